//go:build unix

package relay

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// openFiles is how many files the process may have open.
func openFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return math.MaxInt32
	}
	return int(min(uint64(l.Max), math.MaxInt32)) // which Go's runtime makes the limit that counts
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// giveBack gives what root made in a directory to the one to whom the directory belongs, such as the
// user of a service, who could not open it.
func giveBack(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(dir) // nothing in it leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	of := func(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }
	top, err := root.Stat(".")
	if err != nil {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || of(info).Uid != 0 || of(top).Uid == 0 {
			return err
		}
		if d.Type().IsRegular() && of(info).Nlink > 1 {
			return nil // it has a name elsewhere, too: the directory's owner may have put root's file here
		}
		return root.Lchown(path, int(of(top).Uid), int(of(top).Gid))
	})
}
