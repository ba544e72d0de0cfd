package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The length of a snippet, in characters, and how many of them come before what was found.
const (
	snippetMax    = 160
	snippetBefore = 40
)

// Snippet is the part of a text round the first of what was found in it, on one line, and
// where in that part what was found is. Line breaks in it are spaces.
func Snippet(text string, found []Range) (string, []Range) {
	first := 0
	if len(found) > 0 {
		first = found[0].From
	}
	from := back(text, first, snippetBefore)
	to := forth(text, from, snippetMax)
	if len(found) > 0 && to < found[0].To { // a phrase of long words
		from = first
		to = forth(text, from, snippetMax)
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
	}
	shift := b.Len() - from
	for part := text[from:to]; part != ""; {
		r, size := utf8.DecodeRuneInString(part)
		if unicode.IsSpace(r) || r == utf8.RuneError { // the places of what follows stay
			b.WriteString(strings.Repeat(" ", size))
		} else {
			b.WriteString(part[:size])
		}
		part = part[size:]
	}
	if to < len(text) {
		b.WriteString("…")
	}
	var in []Range
	for _, r := range found {
		if r.From >= to {
			break
		}
		in = append(in, Range{r.From + shift, min(r.To, to) + shift})
	}
	return b.String(), in
}

// back is the place in a text so many characters before another, at the beginning of a word if there
// is one.
func back(text string, at, n int) int {
	from := at
	for ; n > 0 && from > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:from])
		from -= size
	}
	if from == 0 {
		return 0
	}
	for i, r := range text[from:at] {
		if unicode.IsSpace(r) {
			return from + i + utf8.RuneLen(r)
		}
	}
	return from
}

// forth is the place in a text so many characters after another.
func forth(text string, at, n int) int {
	for i := range text[at:] {
		if n == 0 {
			return at + i
		}
		n--
	}
	return len(text)
}
