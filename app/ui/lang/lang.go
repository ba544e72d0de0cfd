// Package lang has the words of the window in each language. English is the source:
// the code says what is shown in English, whole sentences with {names} in them, and
// assets/translations/LANGUAGE.json says the same in another language:
//
//	l.T("Kept at {n} relays until {day}", "n", 2, "day", "6 Dec")
//	l.N("{n} messages waiting", 3)
//
// A value of a translation file is a text, or, for N, one for each form of a number
// that the language has: {"one": "{n} message waiting", "other": "{n} messages waiting"}.
// en.json has every sentence, so that translators find them all in one place, and a
// test keeps it so. What is put in place of a name is put there as it is, once: what
// people write cannot name anything.
package lang

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"

	"github.com/godwit-im/godwit/assets"
)

// Lang is one language. Its methods may be called from any goroutine.
type Lang struct {
	tag   language.Tag
	words map[string]forms
}

// forms is a translation: by the name of a number's form, or of "other" alone.
type forms map[string]string

// UnmarshalJSON reads a text, or a text for each form.
func (f *forms) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*f = forms{"other": one}
		return nil
	}
	many := map[string]string{}
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	for name := range many {
		if _, ok := formNames[name]; !ok {
			return fmt.Errorf("lang: no form of a number is called %q", name)
		}
	}
	*f = many
	return nil
}

var formNames = map[string]plural.Form{"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other}

// Available lists the languages there are translations for, English first.
func Available() []string {
	files, err := fs.Glob(assets.Translations, "translations/*.json")
	if err != nil {
		panic(err) // the pattern is ours
	}
	list := []string{"en"}
	for _, f := range files {
		if name := strings.TrimSuffix(strings.TrimPrefix(f, "translations/"), ".json"); name != "en" {
			list = append(list, name)
		}
	}
	return list
}

// New is the best language there is for somebody who wants these, best first, as
// "pt-BR" or "fr". Without any that fits it is English.
func New(wanted ...string) *Lang {
	have := Available()
	tags := make([]language.Tag, len(have))
	for i, name := range have {
		tags[i] = language.Make(name)
	}
	var want []language.Tag
	for _, w := range wanted {
		if t, err := language.Parse(strings.ReplaceAll(w, "_", "-")); err == nil {
			want = append(want, t)
		}
	}
	_, i, _ := language.NewMatcher(tags).Match(want...)
	l := &Lang{tag: tags[i]}
	raw, err := assets.Translations.ReadFile("translations/" + have[i] + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &l.words)
	}
	if err != nil {
		panic(fmt.Errorf("lang: %s: %w", have[i], err)) // it is built in, and a test reads each
	}
	return l
}

// NameOf is what a language calls itself.
func NameOf(tag string) string { return New(tag).T("English") }

// Tag is the language's name, as "fr".
func (l *Lang) Tag() string { return l.tag.String() }

// T is a sentence in this language. The pairs are names and what stands in their place.
func (l *Lang) T(english string, pairs ...any) string {
	text := english
	if f, ok := l.words[english]; ok && f["other"] != "" {
		text = f["other"]
	}
	return fill(text, pairs)
}

// N is a sentence about a number, in the form that the language has for it. The number
// itself is {n}.
func (l *Lang) N(english string, n int, pairs ...any) string {
	text := english
	if f, ok := l.words[english]; ok {
		form := plural.Cardinal.MatchPlural(l.tag, max(n, -n), 0, 0, 0, 0)
		text = f["other"]
		for name, which := range formNames {
			if which == form && f[name] != "" {
				text = f[name]
			}
		}
	}
	return fill(text, append([]any{"n", n}, pairs...))
}

// Size is a number of bytes in a unit in which it is short, such as "1.5 GiB", which no line breaks.
func (l *Lang) Size(bytes int64) string {
	size, unit := float64(max(bytes, 0)), 0
	for ; size >= 1023.5 && unit < 4; unit++ {
		size /= 1024
	}
	digits := 0
	if size < 9.95 {
		digits = 1
	}
	n := message.NewPrinter(l.tag).Sprint(number.Decimal(size, number.MaxFractionDigits(digits)))
	text := [...]string{l.T("{n} B", "n", n), l.T("{n} KiB", "n", n), l.T("{n} MiB", "n", n), l.T("{n} GiB", "n", n), l.T("{n} TiB", "n", n)}[unit]
	return strings.ReplaceAll(text, " ", "\u00a0")
}

// fill puts values in place of names, in one pass.
func fill(text string, pairs []any) string {
	if len(pairs) == 0 {
		return text
	}
	swaps := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		swaps = append(swaps, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return strings.NewReplacer(swaps...).Replace(text)
}

// Mark gives back a sentence as it is: for those in tables, which are translated where
// they are shown.
func Mark(english string) string { return english }
