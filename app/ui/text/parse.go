package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"

	"github.com/godwit-im/godwit/app/ui/emoji"
)

// Style is how a stretch of text is set: bits.
type Style uint8

// The styles.
const (
	Bold Style = 1 << iota
	Italic
	Code
	Mention
	Link
)

// Span is a stretch of the runes of a Doc in one style. Spans follow each other
// without gaps.
type Span struct {
	Start, End int
	Style      Style
	URL        string   // where a Link goes
	Emoji      emoji.ID // -1 but for an emoji with a picture, which is a span of its own
}

// Para is a line as it was written: the runes up to and without the line feed.
type Para struct {
	Start, End int
	Quote      bool // was written with > before it
	RTL        bool // its first letter is written from right to left
}

// Doc is a text made ready to be laid out.
type Doc struct {
	Runes []rune // as shown: without marks, with nothing that could act
	Spans []Span
	Paras []Para
	Big   bool // one to three emoji, nothing else: shown large
	Left  int  // bytes of the text that are not in here, because of the limits
}

// Options of Parse. The zero value is for any message.
type Options struct {
	Emoji *emoji.Set // nil: emoji are left to fonts
	Runes int        // the most to take, 0: 1,500
	Lines int        // the most to take, 0: 25
	Names []string   // who can be mentioned, without @
	Plain bool       // no marks, links or mentions: names, previews
}

// The limits of what is shown before somebody asks for more: two screens.
const (
	firstRunes = 1500
	firstLines = 25
)

// marksPerLetter is how many combining marks a letter keeps; no language stacks more,
// and thousands on one letter draw over everything above.
const marksPerLetter = 4

// farthest is how far from a mark the one that closes it may be, in bytes: thousands of
// marks that nothing closes must not each look through everything.
const farthest = 600

// Parse makes a text ready. It looks at no more of it than the limits allow, however
// long it is.
func Parse(raw string, o Options) *Doc {
	if o.Runes == 0 {
		o.Runes = firstRunes
	}
	if o.Lines == 0 {
		o.Lines = firstLines
	}
	d := &Doc{}
	raw = strings.TrimRight(raw, "\r\n \t")
	part := cut(raw, o.Runes, o.Lines)
	d.Left = len(raw) - len(part)
	d.Big = o.Emoji != nil && d.Left == 0 && !o.Plain && len(part) < 256 && o.Emoji.Only(part, 3) > 0
	for len(part) > 0 {
		line, rest, more := strings.Cut(part, "\n")
		d.para(strings.TrimSuffix(line, "\r"), o)
		if !more {
			break
		}
		part = rest
		if len(part) == 0 {
			break
		}
		d.Runes = append(d.Runes, '\n')
		d.span(1, 0)
	}
	if len(d.Paras) == 0 {
		d.Paras = []Para{{}}
	}
	return d
}

// cut is the beginning of a text within the limits, ended at a space if one is near.
func cut(raw string, runes, lines int) string {
	n, at := 0, 0
	for at < len(raw) {
		r, size := utf8.DecodeRuneInString(raw[at:])
		if n++; r == '\n' {
			lines--
		}
		if n > runes || lines == 0 {
			break
		}
		at += size
	}
	if at == len(raw) {
		return raw
	}
	part := raw[:at]
	if raw[at] == '\n' || raw[at] == ' ' {
		return part
	}
	if i := strings.LastIndexAny(part, " \n"); i > len(part)*9/10 {
		return strings.TrimRight(part[:i], " \n")
	}
	// Not through the middle of a cluster: an emoji would become two others.
	for n := 0; n < 32 && len(part) > 0; n++ {
		r, size := utf8.DecodeLastRuneInString(part)
		next, _ := utf8.DecodeRuneInString(raw[len(part):])
		if !joins(next) && r != '\u200d' {
			break
		}
		part = part[:len(part)-size]
	}
	return part
}

// joins tells whether a rune belongs to the one before it.
func joins(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == '\u200d' || r >= 0x1F3FB && r <= 0x1F3FF || r >= 0xE0020 && r <= 0xE007F || r >= 0x1F1E6 && r <= 0x1F1FF
}

// para adds a line as it was written.
func (d *Doc) para(line string, o Options) {
	p := Para{Start: len(d.Runes)}
	if !o.Plain {
		if rest, ok := strings.CutPrefix(line, "> "); ok {
			p.Quote, line = true, rest
		} else if line == ">" {
			p.Quote, line = true, ""
		}
	}
	if o.Plain {
		d.words(line, 0, o)
	} else {
		d.inline(line, 0, o)
	}
	p.End = len(d.Runes)
	p.RTL = rtl(d.Runes[p.Start:p.End])
	d.Paras = append(d.Paras, p)
}

// rtl tells whether the first letter with a direction has that from right to left.
func rtl(runes []rune) bool {
	for _, r := range runes {
		if r < 0x590 {
			if r < 0x80 && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				continue
			}
		}
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

// span adds what was just appended to the runes.
func (d *Doc) span(n int, s Style) {
	if n == 0 {
		return
	}
	end := len(d.Runes)
	if i := len(d.Spans) - 1; i >= 0 && d.Spans[i].Style == s && d.Spans[i].URL == "" && d.Spans[i].Emoji < 0 {
		d.Spans[i].End = end
		return
	}
	d.Spans = append(d.Spans, Span{Start: end - n, End: end, Style: s, Emoji: -1})
}

// inline adds text with marks, links and mentions. Marks nest once each: what is
// bold cannot become bolder, so this ends.
func (d *Doc) inline(s string, style Style, o Options) {
	plain := 0 // where what was not added yet begins
	flush := func(to int) {
		d.words(s[plain:to], style, o)
	}
	for i := 0; i < len(s); {
		var n int // bytes taken
		switch c := s[i]; {
		case c == '`':
			if j := strings.IndexByte(s[i+1:], '`'); j > 0 {
				flush(i)
				d.words(s[i+1:i+1+j], style|Code, o)
				n = j + 2
			}
		case c == '*' && style&Bold == 0:
			if body, size := marked(s, i); size > 0 {
				flush(i)
				d.inline(body, style|Bold, o)
				n = size
			}
		case c == '_' && style&Italic == 0:
			if body, size := marked(s, i); size > 0 {
				flush(i)
				d.inline(body, style|Italic, o)
				n = size
			}
		case c == '@' && len(o.Names) > 0 && edge(s, i):
			if size := mention(s[i+1:], o.Names); size > 0 {
				flush(i)
				d.words(s[i:i+1+size], style|Mention, o)
				n = size + 1
			}
		case (c|0x20 == 'h' || c|0x20 == 'm' || c|0x20 == 'g') && edge(s, i):
			if url, shown, size := findLink(s[i:]); size > 0 {
				flush(i)
				from := len(d.Runes)
				d.Runes = append(d.Runes, clean(shown)...)
				d.Spans = append(d.Spans, Span{Start: from, End: len(d.Runes), Style: style | Link, URL: url, Emoji: -1})
				n = size
			}
		}
		if n == 0 {
			i++
			continue
		}
		i += n
		plain = i
	}
	flush(len(s))
}

// edge tells whether a word may begin at s[i].
func edge(s string, i int) bool {
	if i == 0 {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// marked finds what stands between the mark at s[i] and the next of its kind that can
// close it: both at the edge of words, something between them.
func marked(s string, i int) (body string, size int) {
	mark := s[i]
	if !edge(s, i) || i > 0 && s[i-1] == mark {
		return "", 0
	}
	width := 1
	if i+1 < len(s) && s[i+1] == mark {
		width = 2 // **bold** is what other programs taught people
	}
	start := i + width
	if start >= len(s) || s[start] == ' ' || s[start] == mark {
		return "", 0
	}
	s = s[:min(len(s), i+farthest)]
	for j := start + 1; j <= len(s)-width; j++ {
		k := strings.IndexByte(s[j:], mark)
		if k < 0 {
			return "", 0
		}
		j += k
		if j+width > len(s) || width == 2 && s[j+1] != mark || s[j-1] == ' ' {
			continue
		}
		if after, _ := utf8.DecodeRuneInString(s[j+width:]); j+width < len(s) && (unicode.IsLetter(after) || unicode.IsDigit(after) || after == rune(mark)) {
			continue
		}
		return s[start:j], j + width - i
	}
	return "", 0
}

// mention is the length of the longest of the names that s begins with.
func mention(s string, names []string) int {
	best := 0
	for _, n := range names {
		if len(n) > best && strings.HasPrefix(s, n) {
			if r, _ := utf8.DecodeRuneInString(s[len(n):]); len(s) == len(n) || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				best = len(n)
			}
		}
	}
	return best
}

// words adds text without marks; emoji become spans of their own.
func (d *Doc) words(s string, style Style, o Options) {
	if s == "" {
		return
	}
	if o.Emoji == nil || style&Code != 0 || ascii(s) {
		r := clean(s)
		d.Runes = append(d.Runes, r...)
		d.span(len(r), style)
		return
	}
	pending := 0
	at := 0
	for c := range emoji.Clusters(s) {
		if id, ok := o.Emoji.Lookup(c); ok {
			r := clean(s[pending:at])
			d.Runes = append(d.Runes, r...)
			d.span(len(r), style)
			from := len(d.Runes)
			d.Runes = append(d.Runes, []rune(c)...)
			d.Spans = append(d.Spans, Span{Start: from, End: len(d.Runes), Style: style, Emoji: id})
			pending = at + len(c)
		}
		at += len(c)
	}
	r := clean(s[pending:])
	d.Runes = append(d.Runes, r...)
	d.span(len(r), style)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// clean makes text harmless: control characters and overrides of direction are shown
// as U+FFFD, what only hides is left out, line ends of other worlds are spaces here,
// and a letter keeps a few combining marks.
func clean(s string) []rune {
	out := make([]rune, 0, len(s))
	marks := 0
	for _, r := range s {
		if r >= 0x20 && r < 0x7f {
			marks = 0
			out = append(out, r)
			continue
		}
		switch {
		case r == '\t':
			out = append(out, ' ', ' ', ' ', ' ')
			continue
		case r == '\n', r == '\u2028', r == '\u2029', r == '\u0085', r == '\v', r == '\f':
			out = append(out, ' ')
			continue
		case r == '\r', r == '\ufeff':
			continue
		case r == '\u202d', r == '\u202e', unicode.Is(unicode.Cc, r):
			r = unicode.ReplacementChar
		case r >= '\u202a' && r <= '\u202c', r >= '\u2060' && r <= '\u206f': // embeddings, isolates, invisible operators
			continue
		case r >= 0xFFF0 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE0FFF: // tags and annotations
			continue
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > marksPerLetter {
				continue
			}
			out = append(out, r)
			continue
		}
		marks = 0
		out = append(out, r)
	}
	return out
}
