//go:build !linux

package main

import (
	"errors"
	"os"
	"time"
)

// dataSync has a file on disk, as this system knows how.
func dataSync(f *os.File) error { return f.Sync() }

// settleDisk does so on Linux only.
func settleDisk() {}

// residentMiB is known on Linux only.
func residentMiB(int) (float64, error) {
	return 0, errors.New("the memory of another process is measured on Linux only")
}

// cpuTime is known on Linux only.
func cpuTime(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of another process is measured on Linux only")
}

// socketBytes is known on Linux only.
func socketBytes(int) (map[string]uint64, error) {
	return nil, errors.New("what passes the sockets of another process is measured on Linux only")
}

// lowest leaves this process what others do not want of the processors; elsewhere than on Linux it stays as it is.
func lowest() error { return nil }
