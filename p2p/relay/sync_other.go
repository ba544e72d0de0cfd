//go:build !linux

package relay

import "os"

// dataSync has a file's data on disk.
func dataSync(f *os.File) error { return f.Sync() }
