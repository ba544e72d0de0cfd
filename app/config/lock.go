package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"github.com/godwit-im/godwit/app/problem"
)

// Lock keeps other processes out of a directory. The system lets go of it when
// the process ends, however it ends.
type Lock struct {
	lock *flock.Flock
	pid  string // file with the owner's number
}

// Acquire takes the lock of a profile, whose directories must be there.
// Errors: problem.ProfileInUse, naming the process that has it.
func Acquire(d Dirs) (*Lock, error) {
	return AcquireFile(filepath.Join(d.State, "lock"), problem.ProfileInUse)
}

// AcquireFile takes the lock at a path of one's choice; inUse is the problem
// that another process's hold is told as.
func AcquireFile(path string, inUse problem.Code) (*Lock, error) {
	l := &Lock{lock: flock.New(path, flock.SetPermissions(0o600)), pid: path + ".pid"}
	got, err := l.lock.TryLock()
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil, problem.New(problem.CannotMakeDir, err)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !got {
		// The number lies in a file of its own: a locked file cannot be
		// read on Windows.
		b, err := os.ReadFile(l.pid)
		if n, perr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && perr == nil {
			return nil, problem.Newf(inUse, "process %d has %s", n, filepath.Dir(path))
		}
		return nil, problem.Newf(inUse, "a process has %s", filepath.Dir(path))
	}
	if err := os.WriteFile(l.pid, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(problem.New(problem.CannotMakeDir, err), l.lock.Unlock())
	}
	return l, nil
}

// Release lets go. The lock's file stays: removing it would let two processes
// lock two files of one name.
func (l *Lock) Release() error {
	err := os.Remove(l.pid)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.lock.Unlock())
}
