package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// firstSchema is the SHA-256 of the first migration. Profiles in the world were
// made with it: it never changes, other steps come after it.
const firstSchema = "87884fe2a3e6e24b37ca7a8686e4809b221ebbaf24d36c80cd8d545c6437764b"

func TestFirstSchemaIsFrozen(t *testing.T) {
	text, err := fs.ReadFile(migrations(), "0001-first.sql")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != firstSchema {
		t.Errorf("0001-first.sql has changed (%x): write a new migration instead", sum)
	}
}

// TestSchemaIsTheSumOfTheMigrations: what sql/schema tells a reader is what the
// migrations make of an empty database.
func TestSchemaIsTheSumOfTheMigrations(t *testing.T) {
	want, got := dump(t, os.DirFS("sql/schema")), dump(t, migrations())
	if !slices.Equal(want, got) {
		t.Errorf("sql/schema says\n%s\nbut the migrations make\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	if len(want) < 20 {
		t.Errorf("only %d tables and indexes: the comparison compares nothing", len(want))
	}
}

// dump runs SQL files in the order of their names and returns the schema that
// they make, without comments and white space, sorted.
func dump(t *testing.T, files fs.FS) (list []string) {
	t.Helper()
	c, err := sqlite3.Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := registerSearch(c); err != nil {
		t.Fatal(err)
	}
	for _, text := range read(t, files) {
		if err := c.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err := c.Prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	comment, space := regexp.MustCompile(`--[^\n]*`), regexp.MustCompile(`\s+`)
	for s.Step() {
		text := space.ReplaceAllString(comment.ReplaceAllString(s.ColumnText(0), " "), " ")
		list = append(list, strings.NewReplacer(" ,", ",", " )", ")").Replace(text))
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func read(t *testing.T, files fs.FS) (texts []string) {
	t.Helper()
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal("no SQL files: ", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// TestTablesAreStrictAndExplained holds the manners of sql/schema.
func TestTablesAreStrictAndExplained(t *testing.T) {
	table := regexp.MustCompile(`(?s)(--[^\n]*\n)?CREATE TABLE (\w+) \(.*?\n\) ([A-Z, ]+);`)
	n := 0
	for _, text := range read(t, os.DirFS("sql/schema")) {
		for _, m := range table.FindAllStringSubmatch(text, -1) {
			n++
			if m[1] == "" {
				t.Errorf("table %s has no comment", m[2])
			}
			if !strings.HasPrefix(m[3], "STRICT") {
				t.Errorf("table %s is not STRICT", m[2])
			}
		}
		if bytes.Contains([]byte(text), []byte("\t")) {
			t.Error("tabs in SQL")
		}
	}
	if n != 37 {
		t.Errorf("found %d tables, want 37", n)
	}
}
