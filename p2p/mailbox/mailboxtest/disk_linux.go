package mailboxtest

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// SmallDisk is a directory with a disk of its own, of a size as tmpfs takes it ("24m"), until the
// test ends. The test is skipped, and says so, where none can be mounted, which needs root.
func SmallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("SKIPPED: mounting a small disk: ", err)
	}
	t.Cleanup(func() {
		// What Pebble could not open it may leave open, which nobody but a test outlives.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// FillDisk writes to a file until its disk has not a byte left.
func FillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			b = b[:len(b)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
