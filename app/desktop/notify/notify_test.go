package notify

import (
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlain(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"words", "See you at 8!", "See you at 8!"},
		{"lines", "one\r\ntwo\n\n\tthree ", "one two three"},
		{"controls", "a\x00b\x1b[31mc\u0085d\u2028e", "a b [31mc d e"},
		{"not UTF-8", "a\xffb\xc3", "ab"},
		{"reordered", "\u202egnp.exe\u202c \u2066x\u2069 \u200ey", "gnp.exe x y"},
		{"hidden", "a\u200bb\ufeffc\u00add", "abcd"},
		{"emoji stay whole", "👩\u200d🚀 🏴\U000e0067\U000e0062\U000e007f ❤\ufe0f", "👩\u200d🚀 🏴\U000e0067\U000e0062\U000e007f ❤\ufe0f"},
		{"scripts", "سلام שלום 漢字", "سلام שלום 漢字"},
		{"markup is text", `<img src="http://x/y.png"> $(calc) ![](http://x)`, `<img src="http://x/y.png"> $(calc) ![](http://x)`},
	} {
		if got := plain(c.in, maxBody); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPlainIsShort(t *testing.T) {
	for _, in := range []string{strings.Repeat("x", 1<<20), strings.Repeat("🚀", 5000), "e" + strings.Repeat("\u0301", 10_000), strings.Repeat(" ", 1<<20) + "x"} {
		got := plain(in, maxTitle)
		if len(got) > maxTitle || !utf8.ValidString(got) {
			t.Errorf("%d bytes of %.8q became %d: %q", len(in), in, len(got), got)
		}
	}
	if got := plain(strings.Repeat("x", 300), 10); got != "xxxxxxx…" {
		t.Errorf("%q", got)
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "hi", "\xff\u202e\x00", strings.Repeat("é", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s, maxTitle)
		if len(got) > maxTitle || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\n\t\x1b\u202e") || plain(got, maxTitle) != got {
			t.Errorf("%q became %q, and that %q", s, got, plain(got, maxTitle))
		}
	})
}

func TestTheLastClicksCount(t *testing.T) {
	c := make(clicks, 2)
	for _, target := range []string{"a", "b", "c"} {
		c.put(Click{Target: target})
	}
	if b, c := <-c, <-c; b.Target != "b" || c.Target != "c" {
		t.Errorf("%v, %v", b, c)
	}
}
