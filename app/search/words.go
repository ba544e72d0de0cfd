// Package search says what a search means: which words a text has, what a person asks for
// by what they type, where in a text that is, and which part of it to show. It is pure; the
// index is a table of app/store, in which a message has the words that Words gives.
//
// A word is a run of letters, digits and marks, folded so that case, accents, width and
// characters that do not show make no difference. In writings without spaces between words
// (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each character is a word, and what is typed
// in one go is a phrase. Each symbol, such as an emoji, is a word too.
//
// SQLite's own tokenizer of Unicode knows version 6.1 and no such writings. So words are
// taken apart here, for the index, for what is typed and for what is shown, by one function,
// and the index only splits at the spaces between them.
package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Version changes when Words gives other words for the same text: an index that was made by
// another version is made anew.
const Version = "1 unicode " + unicode.Version + " norm " + norm.Version

// maxWord is how many bytes of a word count.
const maxWord = 64

// word is a word of a text.
type word struct {
	folded   string // never empty; no ASCII in it but letters and digits
	from, to int    // bytes of the text
	single   bool   // a character or symbol that is a word by itself
}

// Words are the words of a text, folded, with spaces between them.
func Words(text string) string {
	var b strings.Builder
	each(text, func(w word) bool {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.folded)
		return true
	})
	return b.String()
}

// words are the words of a text.
func words(text string) (list []word) {
	each(text, func(w word) bool {
		list = append(list, w)
		return true
	})
	return list
}

// each gives the words of a text to a function for as long as that wants more.
func each(text string, f func(word) bool) {
	start := -1 // of the word that goes on
	end := func(at int) bool {
		if start < 0 {
			return true
		}
		from := start
		start = -1
		if folded := fold(text[from:at]); folded != "" {
			return f(word{folded, from, at, false})
		}
		return true
	}
	for i, r := range text {
		switch {
		case single(r):
			size := utf8.RuneLen(r)
			if !end(i) || !f(word{foldRune(r), i, i + size, true}) {
				return
			}
		case letter(r):
			if start < 0 {
				start = i
			}
		case start >= 0 && silent(r):
		default:
			if !end(i) {
				return
			}
		}
	}
	end(len(text))
}

// letter says whether a character is part of a word. A mark by itself begins none that
// folds to anything.
func letter(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return r != utf8.RuneError && unicode.In(r, unicode.L, unicode.N, unicode.M)
}

// silent says whether a character within a word does not part it: soft hyphens, joiners and
// what turns the direction of text, but not the space of no width.
func silent(r rune) bool { return r != '\u200b' && unicode.Is(unicode.Cf, r) }

// single says whether a character is a word by itself.
func single(r rune) bool {
	return r > 0x0e00 && r != utf8.RuneError && (unicode.Is(unicode.So, r) ||
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && unicode.In(r, unicode.L, unicode.Nl))
}

// foldRune folds a character that is a word by itself; it is never empty.
func foldRune(r rune) string {
	if unicode.Is(unicode.So, r) {
		return string(r)
	}
	if s := norm.NFKC.String(string(r)); utf8.RuneCountInString(s) == 1 {
		return s // half-width Katakana
	}
	return string(r)
}

// fold folds a word: compatibility forms, case, accents, and what does not show.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] < utf8.RuneSelf
	}
	if plain {
		return cut(strings.ToLower(s))
	}
	var b strings.Builder
	// Twice: what is folded may decompose, and what is decomposed fold.
	for _, r := range norm.NFKD.String(cases.Fold().String(norm.NFKD.String(s))) {
		switch {
		case accent(r) || !letter(r):
		case r == 'ı':
			b.WriteByte('i')
		case r == 'ø':
			b.WriteByte('o')
		case r == 'ł':
			b.WriteByte('l')
		case r == 'đ':
			b.WriteByte('d')
		case r == 'æ':
			b.WriteString("ae")
		case r == 'œ':
			b.WriteString("oe")
		default:
			b.WriteRune(r)
		}
	}
	return cut(b.String())
}

// accent says whether a mark makes no difference: accents and points that one may write or
// leave out. Others, as the vowels of Devanagari, are as good as letters.
func accent(r rune) bool {
	switch {
	case r >= 0x0300 && r <= 0x036f, // combining diacritical marks
		r >= 0x0591 && r <= 0x05c7,                                                                      // points of Hebrew
		r >= 0x0610 && r <= 0x061a, r >= 0x064b && r <= 0x065f, r == 0x0670, r >= 0x06d6 && r <= 0x06ed, // of Arabic
		r == 0x0640,                // and its stretched line
		r >= 0x1ab0 && r <= 0x1aff, // more combining marks
		r >= 0x1dc0 && r <= 0x1dff,
		r >= 0x20d0 && r <= 0x20ff,
		r >= 0xfe00 && r <= 0xfe0f: // variation selectors
		return true
	}
	return false
}

// cut keeps what counts of a word, in whole characters.
func cut(s string) string {
	if len(s) <= maxWord {
		return s
	}
	n := maxWord
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
