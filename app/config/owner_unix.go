//go:build unix

package config

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/godwit-im/godwit/app/problem"
)

// ownedByUs refuses a directory of another user: its owner could replace what
// we put there.
func ownedByUs(dir string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) != os.Geteuid() {
		return problem.Newf(problem.NotPermitted, "%s belongs to user %d", dir, st.Uid)
	}
	return nil
}
