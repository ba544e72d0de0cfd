package disk

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// reserveSize is the room, in bytes, that is held back for one flush of the index on a full
	// disk, after which segments can be deleted: a table of a memtable.
	reserveSize = memtable + 1<<20
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

// held is a file that holds room back.
type held struct {
	fs   vfs.FS
	path string
	size int64

	mu sync.Mutex // held while it is laid or dropped
}

// lay puts it in its place. It fails if there is no room.
func (h *held) lay() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if info, err := h.fs.Stat(h.path); err == nil && info.Size() == h.size {
		return nil
	}
	f, err := h.fs.Create(h.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, h.size))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, h.fs.Remove(h.path))
	}
	return nil
}

// drop gives the room to who needs it now. It tells whether there was any.
func (h *held) drop() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fs.Remove(h.path) == nil
}

// ballasted is the file system of the index. Pebble cannot go on if its manifest cannot
// be written (see Fatalf), so a file holds room back for that, and is removed when the
// disk is full. No table is begun before it is back, so that tables, which can wait, do
// not use up what it gave free.
type ballasted struct {
	vfs.FS
	held
	spare vfs.FS // FS, with the ballast to spare
}

func newBallasted(fs vfs.FS, path string) *ballasted {
	b := &ballasted{FS: fs, held: held{fs: fs, path: path, size: ballastSize}}
	b.spare = vfs.OnDiskFull(fs, func() { b.drop() })
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
	return &table{File: f}, nil
}

// table is a file of the index that can wait.
type table struct {
	vfs.File
	failed error // what Pebble hears of all that it goes on to write to this one before it tries another
}

// Write implements vfs.File.
func (t *table) Write(p []byte) (n int, err error) {
	if t.failed != nil {
		return 0, t.failed
	}
	if n, t.failed = t.File.Write(p); t.failed != nil {
		time.Sleep(tablePause)
	}
	return n, t.failed
}

// Unwrap implements vfs.FS.
func (b *ballasted) Unwrap() vfs.FS { return b.FS }

// errNotFlushed says that the index could not be made durable in time.
var errNotFlushed = errors.New("disk: the index was not flushed in time, most likely for want of room")

// flush makes the index durable. On a full disk it takes the room that is held back for that.
func (s *Store) flush() error {
	err := s.tryFlush()
	if errors.Is(err, errNotFlushed) && s.reserve.drop() {
		err = s.tryFlush()
	}
	return err
}

// tryFlush waits for a flush that was not done in time before it asks for another: each of them has Pebble
// begin a new memtable, and with too many of those it takes no write, and no question either, until there is room.
func (s *Store) tryFlush() (err error) {
	if err := s.ballast.lay(); err != nil {
		return errors.Join(errNotFlushed, err)
	}
	patience := time.NewTimer(flushPatience)
	defer patience.Stop()
	for asked := false; !asked; {
		if asked = s.flushing == nil; asked {
			if s.flushing, err = s.db.AsyncFlush(); err != nil {
				return err
			}
		}
		select {
		case <-s.flushing:
			s.flushing = nil
		case <-patience.C:
			return errNotFlushed
		}
	}
	return nil
}
