package emoji

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-text/typesetting/font"
)

// How a picture stands in a line, in parts of the size of the text.
const (
	fontPPEM    = 54   // of pictures of Side px: 1.19 of the size
	fontDescent = 13   // px of them below the baseline
	fontAdvance = 1.25 // from one to the next
)

// Font is an OpenType font (with outlines in a CFF table) that has all emoji besides what it had:
// what Fyne's own widgets write, such as the field of a message, shows the same pictures as the
// messages do, on systems without a font of emoji, too. The pictures are glyphs after its own (sbix),
// and sequences of characters become one of them (GSUB). The base is not changed.
func (s *Set) Font(base []byte) ([]byte, error) {
	f, err := openFont(base)
	if err != nil {
		return nil, fmt.Errorf("emoji: a font: %w", err)
	}
	face, err := font.ParseTTF(bytes.NewReader(base))
	if err != nil {
		return nil, err
	}
	own := int(be16(f["maxp"], 4))
	glyphs := map[rune]int{} // of characters
	for it := face.Cmap.Iter(); it.Next(); {
		r, g := it.Char()
		glyphs[r] = int(g)
	}

	// Each picture is a glyph; so is each character that is only a part of sequences.
	n := len(s.starts) - 1
	texts := make([][]rune, n) // without selectors
	var sequences []ligature
	for text, id := range s.byText {
		texts[id] = []rune(text)
	}
	for id, t := range texts {
		if len(t) != 1 {
			continue
		}
		if t[0] >= 0x2600 || alwaysEmoji(t[0]) { // as in Lookup
			glyphs[t[0]] = own + id
		}
	}
	parts := 0
	part := func(r rune) int {
		g, ok := glyphs[r]
		if !ok {
			g = own + n + parts
			glyphs[r] = g
			parts++
		}
		return g
	}
	for id, t := range texts {
		if len(t) == 1 && glyphs[t[0]] == own+id {
			continue
		}
		l := ligature{glyph: own + id}
		for _, r := range t {
			l.parts = append(l.parts, part(r))
		}
		if len(t) == 1 || len(t) == 2 && t[1] == 0x20E3 { // ©, and 1 with a key round it: only with the selector
			with := ligature{parts: slices.Insert(slices.Clone(l.parts), 1, part(asEmoji)), glyph: l.glyph}
			sequences = append(sequences, with)
		}
		if len(t) > 1 {
			sequences = append(sequences, l)
		}
	}
	part(asEmoji)
	total := own + n + parts
	if total > 0xFFFF {
		return nil, errors.New("emoji: a font with too many glyphs")
	}

	upem := int(be16(f["head"], 18))
	f["maxp"] = slices.Concat(f["maxp"][:4], u16(total), f["maxp"][6:])
	f["hmtx"], f["hhea"] = widths(f["hmtx"], f["hhea"], own, n, parts, upem)
	f["cmap"] = characters(glyphs)
	f["sbix"] = s.pictures(own, parts)
	if f["CFF "], err = moreOutlines(f["CFF "], n+parts); err != nil {
		return nil, fmt.Errorf("emoji: the outlines of a font: %w", err)
	}
	if f["GSUB"], err = joined(f["GSUB"], sequences); err != nil {
		return nil, fmt.Errorf("emoji: the substitutions of a font: %w", err)
	}
	return f.bytes(), nil
}

func be16(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
func be32(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
func u16(v ...int) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(x))
	}
	return b
}
func u32(v ...int) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// tables are those of a font, by tag.
type tables map[string][]byte

func openFont(b []byte) (tables, error) {
	f := tables{}
	if len(b) < 12 {
		return nil, errors.New("it is cut")
	}
	for i := range int(be16(b, 4)) {
		e := 12 + 16*i
		if len(b) < e+16 {
			return nil, errors.New("it is cut")
		}
		at, size := int(be32(b, e+8)), int(be32(b, e+12))
		if at+size > len(b) {
			return nil, errors.New("it is cut")
		}
		f[string(b[e:e+4])] = b[at : at+size]
	}
	for tag, least := range map[string]int{"head": 54, "hhea": 36, "maxp": 6, "hmtx": 4, "cmap": 4, "CFF ": 8, "GSUB": 10} {
		if len(f[tag]) < least {
			return nil, fmt.Errorf("its table %q is missing", tag)
		}
	}
	return f, nil
}

func (f tables) bytes() []byte {
	tags := slices.Sorted(maps.Keys(f))
	size := 12 + 16*len(tags)
	for _, t := range tags {
		size += (len(f[t]) + 3) &^ 3
	}
	b := make([]byte, 0, size)
	b = append(append(b, "OTTO"...), u16(len(tags), 0, 0, 0)...)
	at := 12 + 16*len(tags)
	for _, t := range tags {
		b = append(append(b, t...), u32(0, at, len(f[t]))...)
		at += (len(f[t]) + 3) &^ 3
	}
	for _, t := range tags {
		b = append(b, f[t]...)
		b = append(b, make([]byte, -len(f[t])&3)...)
	}
	return b
}

// widths are the tables hmtx and hhea with glyphs for pictures, and with some of no width.
func widths(hmtx, hhea []byte, own, pictures, parts, upem int) (_, _ []byte) {
	long := int(be16(hhea, 34))
	m := slices.Clone(hmtx[:4*long])
	for g := long; g < own; g++ {
		m = append(append(m, hmtx[4*long-4:4*long-2]...), hmtx[4*long+2*(g-long):][:2]...)
	}
	for range pictures {
		m = append(m, u16(int(fontAdvance*float64(upem)), 0)...)
	}
	m = append(m, make([]byte, 4*parts)...)
	return m, slices.Concat(hhea[:34], u16(own+pictures+parts))
}

// characters is a table cmap, in format 12.
func characters(glyphs map[rune]int) []byte {
	var groups []byte
	n, first, last := 0, rune(-1), rune(-2)
	for _, r := range slices.Sorted(maps.Keys(glyphs)) {
		if r == last+1 && glyphs[r] == glyphs[last]+1 {
			last = r
			binary.BigEndian.PutUint32(groups[len(groups)-8:], uint32(last))
			continue
		}
		first, last = r, r
		groups = append(groups, u32(int(first), int(last), glyphs[r])...)
		n++
	}
	return slices.Concat(u16(0, 1, 3, 10), u32(12), u16(12, 0), u32(16+len(groups), 0, n), groups)
}

// pictures is a table sbix: nothing for a number of glyphs, the pictures, nothing for the rest.
func (s *Set) pictures(before, after int) []byte {
	n := len(s.starts) - 1
	at := 4 + 4*(before+n+after+1)
	b := slices.Concat(u16(1, 1), u32(1, 12), u16(fontPPEM, 72))
	for range before {
		b = append(b, u32(at)...)
	}
	for i := range n {
		b = append(b, u32(at)...)
		at += 8 + int(s.starts[i+1]-s.starts[i])
	}
	for range after + 1 {
		b = append(b, u32(at)...)
	}
	b = slices.Grow(b, 8*n+len(s.pack))
	for i := range n {
		b = append(append(b, u16(0, -fontDescent)...), "png "...)
		b = append(b, s.pack[s.starts[i]:s.starts[i+1]]...)
	}
	return b
}

// index reads an INDEX of a CFF table: the place of what follows it, and of its only object if
// there is one.
func index(b []byte, at int) (end, first, last int, err error) {
	if len(b) < at+3 {
		return 0, 0, 0, errors.New("it is cut")
	}
	n, size := int(be16(b, at)), int(b[at+2])
	if n == 0 {
		return at + 2, at + 2, at + 2, nil
	}
	data := at + 3 + (n+1)*size - 1
	if size < 1 || size > 4 || data > len(b) {
		return 0, 0, 0, errors.New("a bad index")
	}
	for _, c := range b[at+3+n*size : at+3+(n+1)*size] {
		end = end<<8 | int(c)
	}
	if data+end > len(b) {
		return 0, 0, 0, errors.New("it is cut")
	}
	return data + end, data + 1, data + end, nil
}

// moreOutlines is a table CFF with so many glyphs more, which are empty. All stays where it is but
// the top DICT, which grows, and the CharStrings, which go to the end.
func moreOutlines(cff []byte, more int) ([]byte, error) {
	top, _, _, err := index(cff, int(cff[2])) // behind the name
	if err != nil {
		return nil, err
	}
	rest, first, last, err := index(cff, top)
	if err != nil {
		return nil, err
	}
	var dict, private []byte
	strings := 0
	for at := first; at < last; {
		begin := at
		var numbers []int
		for at < last && cff[at] > 21 {
			v, size := dictNumber(cff[at:last])
			numbers, at = append(numbers, v), at+size
		}
		if at >= last {
			return nil, errors.New("a bad DICT")
		}
		op := int(cff[at])
		at++
		if op == 12 && at < last {
			op = 1200 + int(cff[at])
			at++
		}
		switch {
		case op == 1230: // keyed by CID
			return nil, errors.New("its kind is not known")
		case op == 15, op == 16: // names of glyphs, and their codes: nobody asks
		case op == 17 && len(numbers) == 1:
			strings = numbers[0]
		case op == 18 && len(numbers) == 2:
			private = u32(numbers...)
		default:
			dict = append(dict, cff[begin:at]...)
		}
	}
	if strings == 0 || private == nil {
		return nil, errors.New("it has no outlines")
	}
	end, _, _, err := index(cff, strings)
	if err != nil {
		return nil, err
	}
	grown := len(dict) + 6 + 11 - (last - first) // by how much what follows moves
	if head := rest - top - (last - first); head < 7 {
		grown += 7 - head
	} else {
		grown -= head - 7
	}
	at := len(cff) + grown
	number := func(v int) []byte { return append([]byte{29}, u32(v)...) }
	dict = slices.Concat(dict, number(at), []byte{17}, number(int(be32(private, 0))), number(int(be32(private, 4))+grown), []byte{18})
	out := slices.Concat(cff[:top], u16(1), []byte{2}, u16(1, 1+len(dict)), dict, cff[rest:])
	if len(out) != at {
		return nil, errors.New("its parts do not add up")
	}
	const endchar = 14
	n, size := int(be16(cff, strings)), int(cff[strings+2])
	data := strings + 3 + (n+1)*size - 1
	out = append(append(out, u16(n+more)...), 4)
	loc := 0
	for i := range n + 1 {
		loc = 0
		for _, c := range cff[strings+3+i*size : strings+3+(i+1)*size] {
			loc = loc<<8 | int(c)
		}
		out = append(out, u32(loc)...)
	}
	for range more {
		loc++
		out = append(out, u32(loc)...)
	}
	out = append(out, cff[data+1:end]...)
	return append(out, bytes.Repeat([]byte{endchar}, more)...), nil
}

// dictNumber reads an operand of a DICT; of a real number only how long it is.
func dictNumber(b []byte) (v, size int) {
	at := func(i int) int {
		if i < len(b) {
			return int(b[i])
		}
		return 0
	}
	switch b0 := at(0); {
	case b0 == 28:
		return int(int16(at(1)<<8 | at(2))), 3
	case b0 == 29:
		return int(int32(at(1)<<24 | at(2)<<16 | at(3)<<8 | at(4))), 5
	case b0 == 30:
		for size = 1; size < len(b) && b[size]&15 != 15; size++ {
		}
		return 0, size + 1
	case b0 < 247:
		return b0 - 139, 1
	case b0 < 251:
		return (b0-247)*256 + at(1) + 108, 2
	default:
		return -(b0-251)*256 - at(1) - 108, 2
	}
}

// ligature is a sequence of glyphs that another one takes the place of.
type ligature struct {
	parts []int
	glyph int
}

// joined is a table GSUB that also makes ligatures, wherever it composes glyphs (ccmp).
func joined(gsub []byte, all []ligature) ([]byte, error) {
	scripts, features, lookups := int(be16(gsub, 4)), int(be16(gsub, 6)), int(be16(gsub, 8))
	if scripts >= features || features >= lookups || lookups+2 > len(gsub) {
		return nil, errors.New("its order is not known")
	}
	ours := int(be16(gsub, lookups)) // the index of the new lookup

	// The features, with one lookup more in ccmp. Their tables follow the list.
	n, found := int(be16(gsub, features)), false
	list, bodies := u16(n), []byte(nil)
	for i := range n {
		e := features + 2 + 6*i
		t := features + int(be16(gsub, e+4))
		count := int(be16(gsub, t+2))
		list = append(append(list, gsub[e:e+4]...), u16(2+6*n+len(bodies))...)
		body := slices.Clone(gsub[t : t+4+2*count])
		if string(gsub[e:e+4]) == "ccmp" {
			found = true
			body = slices.Concat(u16(0, count+1), body[4:], u16(ours))
		} else {
			copy(body, u16(0)) // its parameters are names, for people
		}
		bodies = append(bodies, body...)
	}
	if !found {
		return nil, errors.New("it composes nothing")
	}

	// The lookups move by the place that the new one takes before them.
	const size = 8 + 8 // of the lookup, and of the subtable that says where the ligatures are
	head := 2 + 2*(ours+1)
	index := u16(ours + 1)
	for i := range ours {
		at := int(be16(gsub, lookups+2+2*i)) + 2 + size
		if at > 0xFFFF {
			return nil, errors.New("it is too large")
		}
		index = append(index, u16(at)...)
	}
	index = append(index, u16(head)...)
	old := gsub[lookups+2+2*ours:]
	lookup := slices.Concat(u16(7, 0, 1, 8), u16(1, 4), u32(8+len(old)))

	out := slices.Concat(u16(1, 0, 10, 10+features-scripts, 10+features-scripts+len(list)+len(bodies)), gsub[scripts:features], list, bodies, index, lookup, old)
	table, err := ligatures(all)
	return append(out, table...), err
}

// ligatures is a subtable of GSUB. Longer sequences come first.
func ligatures(all []ligature) ([]byte, error) {
	sets := map[int][]ligature{}
	for _, l := range all {
		sets[l.parts[0]] = append(sets[l.parts[0]], l)
	}
	firsts := slices.Sorted(maps.Keys(sets))
	cover := u16(1, len(firsts))
	at := 6 + 2*len(firsts) + 4 + 2*len(firsts)
	list, body := u16(1, 6+2*len(firsts), len(firsts)), []byte(nil)
	for _, g := range firsts {
		cover = append(cover, u16(g)...)
		set := sets[g]
		slices.SortFunc(set, func(a, b ligature) int {
			if len(a.parts) != len(b.parts) {
				return len(b.parts) - len(a.parts)
			}
			return slices.Compare(a.parts, b.parts)
		})
		if at+len(body) > 0xFFFF {
			return nil, errors.New("too many sequences")
		}
		list = append(list, u16(at+len(body))...)
		head, bodies := u16(len(set)), []byte(nil)
		for _, l := range set {
			head = append(head, u16(2+2*len(set)+len(bodies))...)
			bodies = append(bodies, u16(l.glyph, len(l.parts))...)
			bodies = append(bodies, u16(l.parts[1:]...)...)
		}
		body = append(append(body, head...), bodies...)
	}
	return slices.Concat(list, cover, body), nil
}
