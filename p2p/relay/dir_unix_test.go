//go:build unix

package relay_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/godwit-im/godwit/p2p/relay"
)

// An operator copies as root what a service keeps that does not run. The service's own user can start
// it afterwards: nothing in the directory is root's.
func TestRootExportsForAService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root can make a directory that is somebody else's")
	}
	const nobody = 65534
	dir := t.TempDir()
	h := run(t, relay.Config{Data: dir})
	h.until(t, relay.Serving)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	each := func(do func(path string, owner uint32) error) {
		t.Helper()
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			return do(path, info.Sys().(*syscall.Stat_t).Uid)
		}); err != nil {
			t.Fatal(err)
		}
	}
	each(func(path string, _ uint32) error { return os.Lchown(path, nobody, nobody) })
	theirs, lure := filepath.Join(t.TempDir(), "theirs"), filepath.Join(dir, "lure") // by which the service would be given what is root's
	if err := os.WriteFile(theirs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(theirs, lure); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "relay") // as systemd has one
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Export(link, io.Discard); err != nil {
		t.Fatal(err)
	}
	each(func(path string, owner uint32) error {
		if path == lure {
			if owner != 0 {
				t.Error("a file that has a name elsewhere was given away")
			}
			return nil
		}
		if owner != nobody {
			t.Errorf("%s belongs to %d", path, owner)
		}
		return nil
	})
}
