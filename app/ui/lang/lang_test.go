package lang

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/assets"
)

var update = flag.Bool("update", false, "write en.json anew, as `make generate` does")

const source = "../../../assets/translations/en.json"

// sentences are all that the window says: the first argument of each T and N. N says
// whether it is about a number.
func sentences(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	fset := token.NewFileSet()
	visit := func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "T" && sel.Sel.Name != "N" && sel.Sel.Name != "Mark" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Errorf("%s: %v", fset.Position(lit.Pos()), err)
			}
			found[text] = found[text] || sel.Sel.Name == "N"
			return true
		})
		return nil
	}
	for _, dir := range []string{"..", "../../desktop", "../../../cmd/godwit-desktop"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := filepath.WalkDir(dir, visit); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestEveryEnglishSentenceIsInItsFile(t *testing.T) {
	raw, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]forms{}
	if err := json.Unmarshal(raw, &have); err != nil {
		t.Fatal(err)
	}
	said := sentences(t)
	if *update {
		write(t, said, have)
		return
	}
	for text, number := range said {
		f, ok := have[text]
		switch {
		case !ok:
			t.Errorf("en.json lacks %q: run `make generate`", text)
		case number && (f["one"] == "" || f["other"] == ""):
			t.Errorf("en.json: %q wants the forms one and other", text)
		}
	}
	for text := range have {
		if _, ok := said[text]; !ok {
			t.Errorf("en.json has %q, which nothing says: run `make generate`", text)
		}
	}
}

func write(t *testing.T, said map[string]bool, have map[string]forms) {
	out := map[string]any{}
	for text, number := range said {
		f := have[text]
		if !number {
			out[text] = text
			continue
		}
		if f["one"] == "" {
			f = forms{"one": text, "other": text}
		}
		out[text] = map[string]string(f)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil { // sorted by key
		t.Fatal(err)
	}
	if err := os.WriteFile(source, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

var names = regexp.MustCompile(`\{[a-z]+\}`)

// Each language says everything, and leaves no name out.
func TestEveryLanguageIsWhole(t *testing.T) {
	english := New("en")
	for _, tag := range Available() {
		l := New(tag)
		if l.Tag() != tag {
			t.Errorf("asked for %s, got %s", tag, l.Tag())
		}
		for text, f := range english.words {
			there, ok := l.words[text]
			if !ok || there["other"] == "" {
				t.Errorf("%s lacks %q", tag, text)
				continue
			}
			if len(f) > 1 && len(there) < 2 {
				t.Errorf("%s: %q is about a number and has one form", tag, text)
			}
			want := slices.Compact(slices.Sorted(slices.Values(names.FindAllString(text, -1))))
			got := slices.Compact(slices.Sorted(slices.Values(names.FindAllString(there["other"], -1))))
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q has %v, and not %v", tag, there["other"], got, want)
			}
		}
		for text := range l.words {
			if _, ok := english.words[text]; !ok {
				t.Errorf("%s translates %q, which nothing says", tag, text)
			}
		}
	}
}

func TestNamesAreFilledInOnce(t *testing.T) {
	l := &Lang{words: map[string]forms{"Ask {name} for {thing}": {"other": "{thing}? Ask {name}"}}}
	if got := l.T("Ask {name} for {thing}", "name", "{thing}", "thing", "tea"); got != "tea? Ask {thing}" {
		t.Errorf("a person called {thing}: %q", got)
	}
	if got := l.T("never translated {x}", "x", 3); got != "never translated 3" {
		t.Error(got)
	}
}

func TestNumbersHaveTheFormsOfTheirLanguage(t *testing.T) {
	words := map[string]forms{"{n} cats": {"one": "{n} cat", "other": "{n} cats"}}
	l := New("en")
	l.words = words
	for n, want := range map[int]string{0: "0 cats", 1: "1 cat", 2: "2 cats", 21: "21 cats"} {
		if got := l.N("{n} cats", n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestSizesAreInTheWordsOfTheLanguage(t *testing.T) {
	for _, c := range []struct {
		tag  string
		n    int64
		want string
	}{
		{"en", -1, "0 B"}, {"en", 1000, "1,000 B"}, {"en", 1 << 10, "1 KiB"}, {"en", 1<<20 - 1, "1 MiB"}, {"en", 34 << 20, "34 MiB"}, {"en", 3 << 29, "1.5 GiB"}, {"en", 1 << 62, "4,194,304 TiB"},
		{"de", 3 << 29, "1,5 GiB"}, {"fr", 3 << 29, "1,5 Gio"}, {"fr", 12, "12 o"}, {"es", 5 << 20, "5 MiB"},
	} {
		if got := New(c.tag).Size(c.n); got != strings.ReplaceAll(c.want, " ", "\u00a0") {
			t.Errorf("%s: %d bytes are %q, and not %q", c.tag, c.n, got, c.want)
		}
	}
}

func TestUnknownLanguagesAreEnglish(t *testing.T) {
	for _, want := range [][]string{nil, {"tlh"}, {"C"}, {"not a language"}, {"en_US.UTF-8"}, {"en-GB"}} {
		if got := New(want...).Tag(); got != "en" {
			t.Errorf("%q: %s", want, got)
		}
	}
}

func TestTheFilesAreLanguages(t *testing.T) {
	var found []string
	entries, err := assets.Translations.ReadDir("translations")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, strings.TrimSuffix(e.Name(), ".json"))
	}
	if got := Available(); !maps.Equal(set(got), set(found)) || got[0] != "en" {
		t.Errorf("%v, files %v", got, found)
	}
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}
