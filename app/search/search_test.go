package search

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"Hello, World!":                    "hello world",
		"don't re-use it":                  "don t re use it",
		"Café CAFÉ cafe\u0301":             "cafe cafe cafe",
		"Straße STRASSE":                   "strasse strasse",
		"İstanbul ISPARTA ısparta":         "istanbul isparta isparta",
		"Ｆｕｌｌ ﬁsh ①":                       "full fish 1",
		"Σίσυφος ΣΊΣΥΦΟΣ":                  "σισυφοσ σισυφοσ",
		"ёлка Ёлка":                        "елка елка",
		"soft\u00adhyphen zero\u200bwidth": "softhyphen zero width",
		"今晚你来吗？Ok":                         "今 晚 你 来 吗 ok",
		"ｶﾀｶﾅ カタカナ":                        "カ タ カ ナ カ タ カ ナ",
		"שָׁלוֹם שלום":                     "שלום שלום",
		"مُحَمَّد محمد":                    "محمد محمد",
		"हिन्दी":                           "हिन्दी",
		"한국어 검색":                           "한국어 검색",
		"party🎉🎉 👍🏽":                       "party 🎉 🎉 👍",
		"smørbrød łódź đak œuvre":          "smorbrod lodz dak oeuvre",
		"\xff\xfe a\xffb":                  "a b",
		"\u0301\u0301":                     "",
		"1.234,56 €":                       "1 234 56",
	} {
		if got := Words(text); got != want && Words(want) != got {
			t.Errorf("%q has the words %q, want %q", text, got, want)
		}
	}
	if w := Words(strings.Repeat("é", 1000)); w != strings.Repeat("e", maxWord) {
		t.Errorf("a long word is %q", w)
	}
}

func TestQueries(t *testing.T) {
	for typed, want := range map[string]string{
		"":                  "",
		"  ":                "",
		"?!":                "",
		"hello":             `"hello" *`,
		"hello ":            `"hello"`,
		"hello wor":         `"hello" AND "wor" *`,
		`"hello world"`:     `"hello world"`,
		`"hello wor`:        `"hello wor" *`,
		`“hello world” x`:   `"hello world" AND "x"`,
		"re-use":            `"re use" *`,
		"今晚":                `"今 晚"`,
		"a OR b":            `"a" AND "or" AND "b"`,
		`text : x" OR "y`:   `"text" AND "x" AND "or" AND "y"`,
		"NEAR(a b, 5)":      `"near a" AND "b" AND "5"`,
		"x* ^y -z +w {a b}": `"x" AND "y" AND "z" AND "w" AND "a" AND "b"`,
		"!":                 "",
		"hello!":            `"hello"`,
	} {
		if got := Parse(typed).Match(); got != want {
			t.Errorf("%q asks for %s, want %s", typed, got, want)
		}
	}
	if n := len(Parse(strings.Repeat("a ", 10_000)).phrases); n != maxTerms {
		t.Errorf("%d words count", n)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ typed, text, want string }{
		{"harbour", "See you at the HARBOUR, the old harbour.", "See you at the [HARBOUR], the old [harbour]."},
		{"harb", "harbours", "[harbours]"},
		{"harb ", "harbours", ""},
		{"cafe", "un café, dos cafe\u0301s", "un [café], dos [cafe\u0301s]"},
		{"old harbour", "The harbour is old.", "The [harbour] is [old]."},
		{`"old harbour"`, "The harbour is old.", ""},
		{`"old harbour"`, "An old, old harbour", "An old, [old harbour]"},
		{"晚你", "今晚你来吗", "今[晚你]来吗"},
		{"🎉", "yes 🎉🎉", "yes [🎉][🎉]"},
		{"x", "xylophone x", "xylophone [x]"},
		{"aa aa", "aa aa", "[aa] [aa]"},
	} {
		found := Parse(c.typed).Find(c.text)
		if got := marked(c.text, found); found != nil && got != c.want || found == nil && c.want != "" {
			t.Errorf("%q in %q: %q, want %q", c.typed, c.text, got, c.want)
		}
	}
}

func marked(text string, found []Range) string {
	var b strings.Builder
	at := 0
	for _, r := range found {
		b.WriteString(text[at:r.From] + "[" + text[r.From:r.To] + "]")
		at = r.To
	}
	return b.String() + text[at:]
}

func TestSnippets(t *testing.T) {
	long := strings.Repeat("lorem ipsum ", 50) + "the needle\nis here " + strings.Repeat("dolor ", 100)
	for _, c := range []struct{ typed, text, want string }{
		{"needle", "a needle", "a [needle]"},
		{"needle", long, "…ipsum lorem ipsum lorem ipsum the [needle] is here dolor"},
		{"lorem", long, "[lorem] ipsum [lorem]"},
		{"needle", strings.Repeat("x", 1000) + " needle", "…[needle]"},
	} {
		s, in := Snippet(c.text, Parse(c.typed).Find(c.text))
		if got := marked(s, in); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q shows %q, want %q", c.typed, got, c.want)
		}
		if n := utf8.RuneCountInString(s); n > snippetMax+2 {
			t.Errorf("%d characters", n)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		typed, name string
		want        bool
	}{
		{"an", "Anna Bergmann", true}, {"berg", "Anna Bergmann", true}, {"b an", "Anna Bergmann", true}, {"nna", "Anna Bergmann", false},
		{"muller", "Käthe Müller", true}, {"MÜLLER", "Kathe Muller", true}, {"小", "王小明", true}, {"", "Anna", false}, {"?", "Anna", false}, {"o'n", "Frank O'Neil", true},
	} {
		if got := Parse(c.typed).Names(c.name); got != c.want {
			t.Errorf("%q for %q: %v", c.typed, c.name, got)
		}
	}
}

// Whatever is typed and whatever is searched: words are such as the index takes them apart,
// a text is found by its own words, and what is shown is part of it.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{"hello", `"a b`, "今晚 café 🎉", "a\u0301\u00ad", `x" OR "y`, "\xff“", "ﷺ", "½ ㌀ İ"} {
		f.Add(s, "hello, "+s)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, typed, text string) {
		for _, w := range strings.Fields(Words(text)) {
			for i := range len(w) {
				if b := w[i]; b < utf8.RuneSelf && !('a' <= b && b <= 'z' || '0' <= b && b <= '9') {
					t.Fatalf("the index would part the word %q", w)
				}
			}
			if len(w) > maxWord && utf8.RuneCountInString(w) > 1 {
				t.Fatalf("a word of %d bytes", len(w))
			}
		}
		q := Parse(typed)
		if strings.Count(q.Match(), `"`) != 2*len(q.phrases) || q.Empty() != (q.Match() == "") {
			t.Fatalf("%q asks for %s", typed, q.Match())
		}
		found := q.Find(text)
		s, in := Snippet(text, found)
		for _, r := range in {
			if r.From < 0 || r.From >= r.To || r.To > len(s) {
				t.Fatalf("%v of %q", r, s)
			}
		}
		if !slices.IsSortedFunc(found, func(a, b Range) int { return a.To - b.From - 1 }) {
			t.Fatalf("%v overlap", found)
		}
		if len(words(typed)) <= maxTerms && !q.Empty() && q.Find(typed) == nil {
			t.Fatalf("%q is not found in itself", typed)
		}
	})
}
