// Package emoji knows the emoji of Unicode (16.0, all that are recommended for
// interchange): which text is one, their pictures, names and :shortcodes:, and a
// Picker to choose one. Fonts draw them badly or not at all, differently on every
// system; here they are pictures of Noto Emoji, the same everywhere (assets/emoji,
// made by gen). A Set belongs to the goroutine of the user interface.
package emoji

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/image/draw"

	"github.com/godwit-im/godwit/assets"
)

// Side is the width and height of the pictures as they are stored, in px.
const Side = 64

// cached is how many scaled pictures a Set keeps: a window of chat and an open
// picker need fewer.
const cached = 512

// ID is an emoji of the Set, a skin tone being one of its own.
type ID int

// Emoji is one that a picker offers.
type Emoji struct {
	ID    ID
	Text  string   // what is sent
	Name  string   // "thumbs up sign", lower case
	Codes []string // short names, the usual one first, without colons
	Tones []Emoji  // the same in the five skin tones, or in their pairs
}

// Group is a page of a picker.
type Group struct {
	Name  string
	Emoji []Emoji
}

// Set is all emoji. Make it with Load.
type Set struct {
	byText map[string]ID // without variation selectors
	starts []uint32      // of each picture in the pack, and its end
	pack   string
	groups []Group
	codes  map[string]Emoji

	images map[imageKey]*list.Element
	recent list.List // of cachedImage, newest first
}

type imageKey struct {
	id ID
	px int
}

type cachedImage struct {
	key imageKey
	img *image.RGBA
}

// Load reads what is built in: about 5 ms.
func Load() *Set {
	s, err := parse(assets.EmojiTable, assets.EmojiPack)
	if err != nil {
		panic("emoji: " + err.Error()) // it is built in, and tested
	}
	return s
}

func parse(table, pack string) (*Set, error) {
	if len(pack) < 4 {
		return nil, errors.New("no pictures")
	}
	n := int(binary.BigEndian.Uint32([]byte(pack[:4])))
	head := 4 + 4*n
	if n < 1 || n > 1<<16 || len(pack) < head {
		return nil, errors.New("a bad count")
	}
	s := &Set{byText: make(map[string]ID, n), pack: pack, codes: map[string]Emoji{}, images: map[imageKey]*list.Element{}}
	at := uint32(head)
	for i := range n {
		s.starts = append(s.starts, at)
		at += binary.BigEndian.Uint32([]byte(pack[4+4*i : 8+4*i]))
	}
	s.starts = append(s.starts, at)
	if int(at) != len(pack) {
		return nil, errors.New("lengths that do not add up")
	}

	id := ID(0)
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("line %d has %d columns", id+1, len(f))
		}
		e := Emoji{ID: id, Name: f[3]}
		for h := range strings.SplitSeq(f[0], "-") {
			b, err := hex.DecodeString(strings.Repeat("0", 8-min(8, len(h))) + h)
			if err != nil || len(b) != 4 {
				return nil, fmt.Errorf("line %d: %q is no sequence", id+1, f[0])
			}
			e.Text += string(rune(binary.BigEndian.Uint32(b)))
		}
		s.byText[plain(e.Text)] = id
		id++
		last := len(s.groups) - 1
		if f[1] == "=" {
			if last < 0 {
				return nil, errors.New("a skin tone of nothing")
			}
			of := &s.groups[last].Emoji[len(s.groups[last].Emoji)-1]
			of.Tones = append(of.Tones, e)
			continue
		}
		e.Codes = strings.Split(f[2], ",")
		if last < 0 || s.groups[last].Name != f[1] {
			s.groups = append(s.groups, Group{Name: f[1]})
			last++
		}
		s.groups[last].Emoji = append(s.groups[last].Emoji, e)
	}
	if int(id) != n {
		return nil, fmt.Errorf("%d lines for %d pictures", id, n)
	}
	for _, g := range s.groups {
		for _, e := range g.Emoji {
			for _, c := range e.Codes {
				s.codes[c] = e
			}
		}
	}
	return s, nil
}

// Variation selectors: the character before is to be text, or emoji.
const (
	asText  = '\uFE0E'
	asEmoji = '\uFE0F'
)

// plain is a sequence without the selectors that many systems leave out.
func plain(s string) string { return strings.ReplaceAll(s, string(asEmoji), "") }

// Lookup tells whether a grapheme cluster is an emoji that has a picture.
func (s *Set) Lookup(cluster string) (ID, bool) {
	r, size := utf8.DecodeRuneInString(cluster)
	if r < 0x23 || r > 0x39 && r < 0xA9 { // most text, quickly
		return 0, false
	}
	if size == len(cluster) && r < 0x2600 && !alwaysEmoji(r) {
		return 0, false // ©, ↔ and digits are text unless a selector says otherwise
	}
	if strings.ContainsRune(cluster, asText) {
		return 0, false
	}
	id, ok := s.byText[plain(cluster)]
	return id, ok
}

// alwaysEmoji are the characters below U+2600 that are emoji by themselves
// (Emoji_Presentation in emoji-data.txt).
func alwaysEmoji(r rune) bool {
	switch {
	case r == 0x231A, r == 0x231B, r >= 0x23E9 && r <= 0x23EC, r == 0x23F0, r == 0x23F3, r == 0x25FD, r == 0x25FE:
		return true
	}
	return false
}

// Only returns how many emoji a text is made of, 0 if there is anything else in it
// but spaces, or more than most.
func (s *Set) Only(text string, most int) int {
	n := 0
	for c := range Clusters(text) {
		if strings.TrimSpace(c) == "" {
			continue
		}
		if _, ok := s.Lookup(c); !ok || n == most {
			return 0
		}
		n++
	}
	return n
}

// Clusters are the grapheme clusters of a text: what people take for one character.
func Clusters(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for it := graphemes.FromString(text); it.Next(); {
			if !yield(it.Value()) {
				return
			}
		}
	}
}

// Image is the picture of an emoji, px wide and high. It is shared: do not draw on it.
func (s *Set) Image(id ID, px int) *image.RGBA {
	px = max(1, min(px, 512))
	k := imageKey{id, px}
	if el, ok := s.images[k]; ok {
		s.recent.MoveToFront(el)
		return el.Value.(cachedImage).img
	}
	dst := image.NewRGBA(image.Rect(0, 0, px, px))
	src, err := png.Decode(strings.NewReader(s.pack[s.starts[id]:s.starts[id+1]]))
	if err != nil {
		panic("emoji: " + err.Error()) // it is built in, and tested
	}
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
	s.images[k] = s.recent.PushFront(cachedImage{k, dst})
	if s.recent.Len() > cached {
		old := s.recent.Remove(s.recent.Back()).(cachedImage)
		delete(s.images, old.key)
	}
	return dst
}

// Groups are the pages of a picker. Do not change them.
func (s *Set) Groups() []Group {
	return s.groups[:len(s.groups)-1] // the last one is skin tones by themselves
}

// Code is the emoji of a :shortcode:, which is given without its colons.
func (s *Set) Code(code string) (Emoji, bool) {
	e, ok := s.codes[strings.ToLower(code)]
	return e, ok
}

// Search finds emoji of which each word of the query begins a word of the name or of
// a short name; those with a short name that begins with the whole query come first.
func (s *Set) Search(query string, most int) []Emoji {
	query = strings.ToLower(strings.Trim(strings.TrimSpace(query), ":"))
	words := strings.FieldsFunc(query, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '+' && r != '-' })
	if len(words) == 0 {
		return nil
	}
	type found struct {
		Emoji
		rank int
	}
	var out []found
	for _, g := range s.Groups() {
		for _, e := range g.Emoji {
			if rank, ok := match(e, query, words); ok {
				out = append(out, found{e, rank})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].rank < out[j].rank })
	list := make([]Emoji, 0, min(most, len(out)))
	for _, f := range out[:min(most, len(out))] {
		list = append(list, f.Emoji)
	}
	return list
}

// match ranks an emoji for a query: 0 its short name itself, 1 begins one, 2 its
// words do.
func match(e Emoji, query string, words []string) (rank int, ok bool) {
	rank = 2
	for _, c := range e.Codes {
		if c == query {
			return 0, true
		}
		if strings.HasPrefix(c, query) {
			rank = 1
		}
	}
	if rank == 1 {
		return rank, true
	}
	have := strings.FieldsFunc(e.Name+" "+strings.Join(e.Codes, " "), func(r rune) bool { return r == ' ' || r == '_' || r == '-' })
	for _, w := range words {
		hit := false
		for _, h := range have {
			hit = hit || strings.HasPrefix(h, w)
		}
		if !hit {
			return 0, false
		}
	}
	return rank, true
}

// Expand replaces each :shortcode: of a text by its emoji.
func (s *Set) Expand(text string) string {
	if strings.Count(text, ":") < 2 {
		return text
	}
	var out bytes.Buffer
	for {
		i := strings.IndexByte(text, ':')
		if i < 0 {
			break
		}
		j := strings.IndexByte(text[i+1:], ':')
		if j < 0 {
			break
		}
		e, ok := s.Code(text[i+1 : i+1+j])
		if !ok {
			out.WriteString(text[:i+1+j]) // the second colon may begin another
			text = text[i+1+j:]
			continue
		}
		out.WriteString(text[:i])
		out.WriteString(e.Text)
		text = text[i+j+2:]
	}
	out.WriteString(text)
	return out.String()
}
