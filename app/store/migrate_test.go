package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// tomorrow is this version's migrations and one more.
func tomorrow(t *testing.T, next string) fs.FS {
	t.Helper()
	files := fstest.MapFS{"9999-next.sql": {Data: []byte(next)}}
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// beforeTomorrow is where a database is copied to before tomorrow's migration.
func beforeTomorrow(t *testing.T, path string) string {
	t.Helper()
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s.before-%d", path, len(names)+1)
}

func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestAProfileGrowsUp: Alice's profile of today is opened by the program of
// tomorrow, and then by today's again, which must leave it alone.
func TestAProfileGrowsUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	withBob(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	next := tomorrow(t, "ALTER TABLE contacts ADD COLUMN birthday TEXT; UPDATE contacts SET birthday = '02-29';")
	s = openAt(t, path, Options{migrations: next})
	if got := get(t, s, func(tx *Tx) (Contact, error) { return tx.ContactByPetname("bob") }); got.Name != "Bob" {
		t.Errorf("Bob is %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names := listing(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}

	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, testKey, Options{Create: true}); !errors.Is(err, ErrNewer) {
		t.Fatalf("today's program opens tomorrow's profile: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("today's program changed tomorrow's profile")
	}
	openAt(t, path, Options{migrations: next})
}

// TestAMigrationFailsHalfway: the profile stays what it was, and a copy of it is
// there.
func TestAMigrationFailsHalfway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	withBob(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := tomorrow(t, "DROP TABLE evidence; UPDATE contacts SET name = 'Mallory'; SELECT nonsense;")
	if _, err := Open(t.Context(), path, testKey, Options{migrations: broken}); err == nil {
		t.Fatal("a broken migration succeeded")
	}
	backup := beforeTomorrow(t, path)
	for _, p := range []string{path, backup} {
		s := openAt(t, p, Options{})
		if got := get(t, s, func(tx *Tx) (Contact, error) { return tx.ContactByPetname("bob") }); got.Name != "Bob" {
			t.Errorf("%s: Bob is %q", filepath.Base(p), got.Name)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The next try, by a program that does it right, cleans up.
	openAt(t, path, Options{migrations: tomorrow(t, "CREATE TABLE x (y INTEGER) STRICT;")})
	if _, err := os.Stat(backup); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// TestTheCopyIsThereUntilTheCommit, and is the whole database, WAL and all.
func TestTheCopyIsThereUntilTheCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	withBob(t, s)
	// A second connection of a "process" that died keeps the WAL from being
	// folded in at Close.
	copyAll(t, dir, dir+"-crashed")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir += "-crashed"
	path = filepath.Join(dir, "godwit.db")
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatal("the story needs a WAL: ", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	files := hook{tomorrow(t, "CREATE TABLE x (y INTEGER) STRICT;"), func() {
		backup := beforeTomorrow(t, path)
		copyAll(t, dir, dir+"-seen") // as a crash here would leave it
		if _, err := os.Stat(backup); err != nil {
			t.Errorf("no copy during the migration: %v", err)
		}
	}}
	s, err := Open(ctx, path, testKey, Options{migrations: files})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copied := openAt(t, beforeTomorrow(t, filepath.Join(dir+"-seen", "godwit.db")), Options{})
	if got := get(t, copied, func(tx *Tx) (Contact, error) { return tx.ContactByPetname("bob") }); got.Name != "Bob" {
		t.Errorf("the copy's Bob is %q", got.Name)
	}
}

// hook calls a function when the last migration is read.
type hook struct {
	fs.FS
	fn func()
}

func (h hook) Open(name string) (fs.File, error) {
	if name == "9999-next.sql" {
		h.fn()
	}
	return h.FS.Open(name)
}

func (h hook) ReadFile(name string) ([]byte, error) {
	if name == "9999-next.sql" {
		h.fn()
	}
	return fs.ReadFile(h.FS, name)
}

// copyAll copies the files of a folder, as a crash or a backup program would
// find them.
func copyAll(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(to) })
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
