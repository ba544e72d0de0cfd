package search

import (
	"slices"
	"strings"
	"unicode"
)

// maxTerms is how many words of a query count.
const maxTerms = 32

// Query is what a person asks for: all of its phrases.
type Query struct{ phrases []phrase }

// phrase is words that stand one after the other.
type phrase struct {
	words  []string
	prefix bool // the last may be the beginning of a word
}

// Parse reads what a person typed. What stands between quotation marks is one phrase, and
// so is what was typed without a space, such as a word with a hyphen. The last word may be
// the beginning of one, unless a space or a quotation mark follows it. Nothing else has a meaning, and nothing is an
// error.
func Parse(typed string) (q Query) {
	terms := 0
	add := func(part string, open bool) {
		var p phrase
		single := false
		for _, w := range words(part) {
			if terms == maxTerms {
				break
			}
			terms++
			p.words = append(p.words, w.folded)
			single = w.single
		}
		p.prefix = open && !single && strings.LastIndexFunc(part, inWord) == strings.LastIndexFunc(part, func(rune) bool { return true })
		if p.words != nil {
			q.phrases = append(q.phrases, p)
		}
	}
	const quotes = `"“”„«»`
	for quoted := false; ; quoted = !quoted {
		i := strings.IndexAny(typed, quotes)
		part := typed
		if i >= 0 {
			part = typed[:i]
		}
		if quoted {
			add(part, i < 0)
		} else {
			fields := strings.FieldsFunc(part, unicode.IsSpace)
			for n, field := range fields {
				last := n == len(fields)-1 && i < 0 && strings.HasSuffix(typed, field)
				add(field, last)
			}
		}
		if i < 0 {
			return q
		}
		_, typed, _ = strings.Cut(typed[i:], typed[i:i+runeLen(typed[i:])])
	}
}

func inWord(r rune) bool { return letter(r) || silent(r) }

// runeLen is the length of a string's first character in bytes.
func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// Empty says whether there is nothing to look for.
func (q Query) Empty() bool { return len(q.phrases) == 0 }

// Match is the query in the language of FTS5 (https://sqlite.org/fts5.html, 3): every word is
// a string between quotation marks, and has none in it.
func (q Query) Match() string {
	var parts []string
	for _, p := range q.phrases {
		s := `"` + strings.Join(p.words, " ") + `"`
		if p.prefix && len(p.words[len(p.words)-1]) >= minPrefix {
			s += " *"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " AND ")
}

// minPrefix is how many bytes of a word must be typed before others that begin so are
// looked for in the index: with one, half of all words would be gone through.
const minPrefix = 2

// Range is part of a text, in bytes.
type Range struct {
	From int `json:"from"`
	To   int `json:"to"` // the first that is not in it
}

// Find tells where in a text the phrases are, in order and without overlaps; nil if one of
// them is nowhere.
func (q Query) Find(text string) []Range {
	all := words(text)
	var found []Range
	for _, p := range q.phrases {
		n := len(found)
		for i := 0; i+len(p.words) <= len(all); i++ {
			if p.at(all[i:]) {
				found = append(found, Range{all[i].from, all[i+len(p.words)-1].to})
			}
		}
		if len(found) == n {
			return nil
		}
	}
	slices.SortFunc(found, func(a, b Range) int { return a.From - b.From })
	joined := found[:0]
	for _, r := range found {
		if n := len(joined); n > 0 && r.From < joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, r.To)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// at says whether words begin with the phrase.
func (p phrase) at(all []word) bool {
	for i, w := range p.words {
		if all[i].folded == w {
			continue
		}
		if last := i == len(p.words)-1; !last || !p.prefix || len(w) < minPrefix || !strings.HasPrefix(all[i].folded, w) {
			return false
		}
	}
	return true
}

// Names says whether a name is meant: each word that was typed begins a word of it.
func (q Query) Names(name string) bool {
	all := words(name)
	for _, p := range q.phrases {
		for _, w := range p.words {
			if !slices.ContainsFunc(all, func(n word) bool { return strings.HasPrefix(n.folded, w) }) {
				return false
			}
		}
	}
	return !q.Empty()
}
