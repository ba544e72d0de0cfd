package relay

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync has a file's data on disk: fdatasync(2).
func dataSync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
