package disk

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// ballastSize is the room, in bytes, that is held back for what Pebble has to be
	// able to write: its manifest, some 200 bytes a flush and some KiB a start.
	ballastSize = 1 << 20
	// leastRoom is how much of it must be left for a start.
	leastRoom = 64 << 10
	// flushPatience is how long a flush may take: without room it would be for ever.
	flushPatience = 5 * time.Second
	// tablePause is between two tries to flush while there is no room: Pebble itself
	// would try again at once, for ever.
	tablePause = time.Second
)

// ballasted is the file system of the index. Pebble cannot go on if its manifest cannot
// be written (see Fatalf), so a file holds room back for that, and is removed when the
// disk is full. No table is begun before it is back, so that tables, which can wait, do
// not use up what it gave free.
type ballasted struct {
	vfs.FS
	path  string
	spare vfs.FS // FS, with the ballast to spare

	mu sync.Mutex // held while the ballast is laid or dropped
}

func newBallasted(fs vfs.FS, path string) *ballasted {
	b := &ballasted{FS: fs, path: path}
	b.spare = vfs.OnDiskFull(fs, b.drop)
	return b
}

// Create implements vfs.FS.
func (b *ballasted) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !strings.HasSuffix(name, ".sst") {
		return b.spare.Create(name, category)
	}
	if err := b.lay(); err != nil {
		time.Sleep(tablePause)
		return nil, err
	}
	f, err := b.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return table{f}, nil
}

// table is a file of the index that can wait.
type table struct{ vfs.File }

// Write implements vfs.File.
func (t table) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	if err != nil {
		time.Sleep(tablePause)
	}
	return n, err
}

// Unwrap implements vfs.FS.
func (b *ballasted) Unwrap() vfs.FS { return b.FS }

// lay puts the ballast in its place. It fails if there is no room.
func (b *ballasted) lay() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if info, err := b.FS.Stat(b.path); err == nil && info.Size() == ballastSize {
		return nil
	}
	f, err := b.FS.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, ballastSize))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, b.FS.Remove(b.path))
	}
	return nil
}

// drop gives the ballast's room to who needs it now.
func (b *ballasted) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.FS.Remove(b.path) // if it is gone already, there is no more to give
}

// errNotFlushed says that the index could not be made durable in time.
var errNotFlushed = errors.New("disk: the index was not flushed in time, most likely for want of room")

// flush makes the index durable.
func (s *Store) flush() error {
	if err := s.ballast.lay(); err != nil {
		return errors.Join(errNotFlushed, err)
	}
	done, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	patience := time.NewTimer(flushPatience)
	defer patience.Stop()
	select {
	case <-done:
		return nil
	case <-patience.C:
		return errNotFlushed
	}
}
