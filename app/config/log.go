package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// The log file's bounds: three files of 10 MiB each, the newest without number.
const (
	logFiles = 3
	logBytes = 10 << 20
)

// LogFile is a profile's log: an io.Writer that starts a new file when one is
// full and keeps the last three.
type LogFile struct {
	path string
	max  int64

	mu   sync.Mutex // slog handlers write from any goroutine
	file *os.File
	size int64
}

// OpenLog opens DIR/godwit.log of a profile's state directory for appending.
func OpenLog(d Dirs) (*LogFile, error) {
	return openLog(filepath.Join(d.State, "godwit.log"), logBytes)
}

func openLog(path string, maxBytes int64) (*LogFile, error) {
	l := &LogFile{path: path, max: maxBytes}
	return l, l.open()
}

func (l *LogFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("log: %w", err), f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write appends one record.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, fs.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *LogFile) rotate() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	for i := logFiles - 1; i > 0; i-- {
		from := l.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", l.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", l.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.open()
}

// Close closes the file; later writes fail.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
