package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/godwit-im/godwit"

// importRule forbids some of our packages an import, for a reason.
type importRule struct {
	// of says whose imports the rule is about, by directory from the root.
	of func(dir string) bool
	// not says what may not be imported, by import path.
	not func(path string) bool
	why string
}

// in says whether a slash-separated path is one of these or lies below one.
func in(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

func ours(path string) (dir string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// The three rules that carry the architecture, and the direction that all
// imports go.
var importRules = []importRule{
	{
		of:  func(dir string) bool { return !in(dir, "app/ui", "cmd/godwit-desktop") },
		not: func(path string) bool { return in(path, "fyne.io") },
		why: "only app/ui and cmd/godwit-desktop import Fyne: the headless program stays without cgo and display, and no logic hides below a widget",
	},
	{
		of: func(dir string) bool { return in(dir, "identity") },
		not: func(path string) bool {
			return path != "net/netip" && in(path, "net", "golang.org/x/net", "github.com/libp2p", "github.com/quic-go", "github.com/multiformats", "github.com/pion")
		},
		why: "identity imports no network: keys are made, agreed on and checked by pure functions, which can be tested byte by byte and leak nothing",
	},
	{
		of:  func(dir string) bool { return !in(dir, "app/store") },
		not: func(path string) bool { return in(path, "database/sql", "github.com/ncruces/go-sqlite3") },
		why: "only app/store imports the database: what is on disk, its encryption and its transactions are one package's promise",
	},
	{
		of:  func(dir string) bool { return !in(dir, "p2p/mailbox/jetstream", "cmd/godwit") },
		not: func(path string) bool { return in(path, "github.com/nats-io", module+"/p2p/mailbox/jetstream") },
		why: "only the relay's own program can keep its mail on servers: the window, which can be a relay too, is not made larger by what it never uses",
	},
	{
		of: func(dir string) bool { return in(dir, "identity") },
		not: func(path string) bool {
			dir, ok := ours(path)
			return ok && !in(dir, "identity")
		},
		why: "identity imports nothing of ours but itself: whom to trust does not depend on how it travels",
	},
	{
		of: func(dir string) bool { return in(dir, "p2p", "media") },
		not: func(path string) bool {
			dir, ok := ours(path)
			return ok && !in(dir, "p2p", "media", "identity")
		},
		why: "p2p and media import identity and never app: they carry sealed bytes and know nothing of what people do with them",
	},
	{
		of: func(dir string) bool { return in(dir, "app") },
		not: func(path string) bool {
			dir, ok := ours(path)
			return ok && in(dir, "cmd")
		},
		why: "app imports no command: both programs are faces of one app",
	},
	{
		of: func(dir string) bool { return in(dir, "cmd/godwit/soak/witness") },
		not: func(path string) bool {
			_, ours := ours(path)
			return ours
		},
		why: "witness imports nothing of ours: who judges what the program showed must not share its mistakes",
	},
}

// broken lists the rules that an import breaks.
func broken(dir, path string) (why []string) {
	for _, r := range importRules {
		if r.of(dir) && r.not(path) {
			why = append(why, r.why)
		}
	}
	return why
}

// repository is the root of the source tree, seen from this package.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}

// Every file counts, of every system and of tests too.
func TestImportsGoOneWay(t *testing.T) {
	root := repository(t)
	files := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "bin") {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		for _, i := range f.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			for _, why := range broken(dir, imported) {
				t.Errorf("%s imports %s, but %s", rel, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d files were looked at", files)
	}
}

func TestTheRulesForbidWhatTheyName(t *testing.T) {
	for _, c := range []struct {
		dir, path string
		rules     int
	}{
		{"app/chat", "fyne.io/fyne/v2", 1},
		{"app/ui", "fyne.io/fyne/v2", 0},
		{"cmd/godwit", "fyne.io/fyne/v2/test", 1},
		{"cmd/godwit-desktop", "fyne.io/fyne/v2", 0},
		{"identity/vault", "net/http", 1},
		{"identity", "net", 1},
		{"identity", "net/netip", 0},
		{"identity", "github.com/libp2p/go-libp2p/core/peer", 1},
		{"identity/ratchet", module + "/identity", 0},
		{"identity/ratchet", module + "/p2p/frame", 1},
		{"app/chat", "database/sql", 1},
		{"app/store", "database/sql", 0},
		{"app/storefront", "database/sql", 1},
		{"p2p/relay", module + "/app/config", 1},
		{"p2p/relay", module + "/p2p/mailbox", 0},
		{"p2p/direct", module + "/identity/pqxdh", 0},
		{"app/api", module + "/cmd/godwit", 1},
		{"cmd/godwit", module + "/app", 0},
		{"cmd/godwit/soak", module + "/p2p/node", 0},
		{"cmd/godwit/soak/witness", module + "/app/api", 1},
	} {
		if got := broken(c.dir, c.path); len(got) != c.rules {
			t.Errorf("%s imports %s: breaks %d rules, want %d: %s", c.dir, c.path, len(got), c.rules, got)
		}
	}
}
