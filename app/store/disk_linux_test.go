package store

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mount gives a small disk of its own, which needs root.
func mount(t *testing.T, options string) (dir string, remount func(options string)) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("mounting a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, func(options string) {
		var flags uintptr = syscall.MS_REMOUNT
		if options == "ro" {
			flags, options = flags|syscall.MS_RDONLY, ""
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
			t.Fatal(err)
		}
	}
}

// TestARealDiskIsFull is TestTheDiskIsFull where writing itself fails.
func TestARealDiskIsFull(t *testing.T) {
	dir, remount := mount(t, "size=3m")
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	n := fillUp(t, s)
	remount("size=20m")
	fill(t, s, n)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	same(t, "people", len(get(t, s, (*Tx).Contacts)), n+1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// No room for a new profile, nor for the copy before a migration.
	if err := os.WriteFile(filepath.Join(dir, "filler"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	filler, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); err == nil; {
		_, err = filler.Write(b)
	}
	filler.Close()
	_, err = Open(t.Context(), filepath.Join(dir, "other.db"), testKey, Options{Create: true})
	is(t, "a new profile", err, ErrFull)
	_, err = Open(t.Context(), path, testKey, Options{migrations: tomorrow(t, "CREATE TABLE x (y INTEGER) STRICT;")})
	is(t, "a migration", err, ErrFull)
	remount("size=40m")
	s = openAt(t, path, Options{})
	same(t, "people afterwards", len(get(t, s, (*Tx).Contacts)), n+1)
}

// TestAReadOnlyDisk: a clear error, also for who may write everything.
func TestAReadOnlyDisk(t *testing.T) {
	dir, remount := mount(t, "size=20m")
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	fill(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount("ro")
	_, err := Open(t.Context(), path, testKey, Options{})
	is(t, "a profile on a read-only disk", err, ErrReadOnly)
	_, err = Open(t.Context(), filepath.Join(dir, "other.db"), testKey, Options{Create: true})
	is(t, "a new profile on a read-only disk", err, ErrReadOnly)
}
