// Package disk is a relay's mailbox.Store: an append-only log that holds every
// cell once and is synced once a group, and a Pebble index of it. FORMAT.md
// tells the files, and why nothing that was answered can be lost.
package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

const (
	// DefaultMaxBytes is the cap of a Store whose Config has none.
	DefaultMaxBytes = 10 << 30
	minMaxBytes     = 8 << 20

	minSegment = 256 << 10
	maxSegment = 128 << 20
	// keepFree is how much of the file system deposits leave to others, and to
	// the index and deletions of this Store, in bytes.
	keepFree = 64 << 20
	// flushEvery bounds, in bytes of log, what is read again after a crash.
	flushEvery = 128 << 20
	// partBytes bounds the cells and notices in one group.
	partBytes = 8 << 20
	// expirePart bounds what one record expires.
	expirePart = 1000
	// memtable and cache are Pebble's share of memory, in bytes.
	memtable = 4 << 20
	cache    = 16 << 20
	// memtables is how many of them may wait to be flushed before Pebble takes no more, and with it nobody
	// gets an answer. On a full disk they wait for room; what changes there is little, as the log has none.
	memtables = 8
	// tables is how many flushed memtables come together before they are merged with what is below: each time much of
	// that is written anew. Twice as many spared nothing more, and who reads looks into each.
	tables = 8
	// tableIndex is the size, in bytes, from which a table's own index is cut in two levels, of which each costs every look.
	tableIndex = 256 << 10
)

// Config says where and how much. The zero values stand for what the comments
// say.
type Config struct {
	Dir      string         // made if it is not there, 0700
	MaxBytes uint64         // cap on what is used on disk; DefaultMaxBytes; at least 8 MiB
	Quotas   mailbox.Quotas // mailbox.DefaultQuotas
	FS       vfs.FS         // the operating system's
	Log      *slog.Logger   // nothing is logged
}

// ErrNewer says that a newer version wrote what is in the directory.
var ErrNewer = errors.New("disk: written by a newer version")

// Store is a mailbox.Store in a directory. Run gives space back; without it all
// else works.
type Store struct {
	fs      vfs.FS
	ballast *ballasted // fs, for the index
	reserve *held      // for flush
	dir     string
	log     *slog.Logger
	max     atomic.Uint64 // cap, bytes
	reader

	collecting sync.Mutex      // held by the collector and a snapshot, which must not be together
	flushing   <-chan struct{} // a flush of the index that was not done in time; of the collector, and of Close after it
	ahead      chan struct{}   // tells prepare that a segment may be wanted
	pace       pace

	commit    sync.Mutex // held by Commit and the collector; guards what follows
	quotas    mailbox.Quotas
	lives     map[uint64]int64
	came      *ages
	buf       []byte
	unflushed int64  // bytes of log since the index was last asked to flush
	flushed   uint64 // segments below this number are in the index for good
	next      uint64 // the number of the segment that is begun next
	broken    error

	mu       sync.RWMutex // guards what follows; never held while waiting for the disk
	segments map[uint64]*segment
	active   *segment // nil: the next group begins one
	spare    *segment // begun ahead of its time; nil: none
	totals   totals
	logged   uint64 // bytes that all segments and the spare take
	index    uint64 // bytes of the index on disk, as last seen
	closed   bool
}

// Open opens the Store in a directory, or makes one. Its errors wrap ErrNewer,
// mailbox.ErrDamaged or the operating system's, such as of a full disk.
func Open(cfg Config) (_ *Store, err error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Quotas == (mailbox.Quotas{}) {
		cfg.Quotas = mailbox.DefaultQuotas()
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := checkCap(cfg.MaxBytes); err != nil {
		return nil, err
	}
	s := &Store{
		fs: cfg.FS, dir: cfg.Dir, log: cfg.Log, quotas: cfg.Quotas,
		lives: make(map[uint64]int64), segments: make(map[uint64]*segment), next: 1, ahead: make(chan struct{}, 1),
	}
	s.max.Store(cfg.MaxBytes)
	if err := makeDir(s.fs, s.path("log")); err != nil {
		return nil, fmt.Errorf("disk: make directory: %w", err)
	}
	if err := s.fs.RemoveAll(s.path(snapshotDir)); err != nil { // of a process that was killed: it holds room
		return nil, fmt.Errorf("disk: remove an old snapshot: %w", err)
	}
	s.ballast = newBallasted(s.fs, s.path("ballast"))
	if err := s.ballast.lay(); err != nil {
		// Some of what it gave free may be left. If others took that as well, Pebble could end
		// the process at any moment.
		if u, e := s.fs.GetDiskUsage(s.dir); e == nil && u.AvailBytes < leastRoom {
			return nil, fmt.Errorf("disk: make room for the index: %w", err)
		}
		s.log.Warn("no room for the ballast of the index", "error", err)
	}
	s.reserve = &held{fs: s.fs, path: s.path("reserve"), size: int64(min(reserveSize, cfg.MaxBytes/8))}
	if s.db, err = openIndex(s.ballast, s.path("index"), s.log); err != nil {
		return nil, fmt.Errorf("%w: open index: %w", mailbox.ErrDamaged, err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.shut())
	}
	s.holdReserve()
	return s, nil
}

// holdReserve sees that the reserve is there.
func (s *Store) holdReserve() {
	if err := s.reserve.lay(); err != nil {
		s.log.Debug("no room for the reserve", "error", err) // there is no hurry
	}
}

func (s *Store) path(parts ...string) string {
	return s.fs.PathJoin(append([]string{s.dir}, parts...)...)
}

// openIndex opens an index. What Pebble cannot go on after while it opens is an error.
func openIndex(fs *ballasted, dir string, log *slog.Logger) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	o := &pebble.Options{
		FS:                    fs,
		DisableWAL:            true, // the log is the WAL
		CacheSize:             cache,
		MemTableSize:          memtable,
		MaxOpenFiles:          256,
		L0CompactionThreshold: 2 * tables, // Pebble counts each of them twice
		L0StopWritesThreshold: 4 * tables,
		FormatMajorVersion:    pebble.FormatColumnarBlocks,
		Logger:                pebbleLog{log},

		MemTableStopWritesThreshold: memtables,
	}
	// Cells come and go all over the index. Where most of what is flushed says that something is gone, Pebble would merge it at
	// once, and write all that is below anew, when so little of it is dead; nobody reads over many of those rows.
	o.Experimental.TombstoneDenseCompactionThreshold = -1
	for i := range o.Levels {
		o.Levels[i].IndexBlockSize = tableIndex
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most cells are new: their absence is then known without reading
	}
	return pebble.Open(dir, o)
}

// load reads what the index knows, and lets it read the rest of the log.
func (s *Store) load() error {
	var ok bool
	var err error
	if s.totals, s.came, ok, err = loadTotals(s.db); err != nil {
		return err
	}
	s.recent.cells = countCells(s.db, s.totals.cells)
	if ok {
		// Also when that segment is deleted: what is below its number is not read again.
		s.next = s.totals.end.segment + 1
		s.flushed = s.totals.end.segment
	} else {
		s.totals.end = location{segment: 1, offset: uint64(segmentHead)}
	}
	if err := each(s.db, key('g'), func(k, v []byte) error {
		if len(k) != 9 || len(v) != 8 {
			return errRecord
		}
		s.lives[binary.BigEndian.Uint64(k[1:])] = int64(binary.BigEndian.Uint64(v))
		return nil
	}); err != nil {
		return err
	}
	names, err := s.fs.List(s.path("log"))
	if err != nil {
		return fmt.Errorf("disk: list the log: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		stem, isLog := strings.CutSuffix(name, ".log")
		n, err := strconv.ParseUint(stem, 10, 63)
		if !isLog || err != nil || name != logName(n) {
			continue
		}
		if err := s.loadSegment(n); err != nil {
			return err
		}
	}
	for n, live := range s.lives {
		if s.segments[n] == nil && live == 0 { // deleted just before the process was killed
			delete(s.lives, n)
			if err := s.db.Delete(keyLive(n), pebble.NoSync); err != nil {
				return fmt.Errorf("%w: write index: %w", mailbox.ErrDamaged, err)
			}
		}
	}
	s.index = s.db.Metrics().DiskSpaceUsage()
	return s.adopt()
}

// adopt takes the last segment for the spare if it is one: on a full disk none could be made.
func (s *Store) adopt() error {
	seg := s.segments[s.next-1]
	if seg == nil || seg.number <= s.totals.end.segment || seg.disk != minSegment {
		return nil
	}
	b := make([]byte, seg.disk)
	if _, err := seg.file.ReadAt(b, 0); err != nil {
		return fmt.Errorf("%w: read segment: %w", mailbox.ErrDamaged, err)
	}
	if !slices.Equal(b, append(appendSegmentHead(nil, seg.number), make([]byte, minSegment-segmentHead)...)) {
		return nil
	}
	delete(s.segments, seg.number)
	seg.size, seg.zeroed = int64(segmentHead), seg.disk
	s.spare = seg
	return nil
}

// loadSegment opens a segment and applies what the index has not read of it.
func (s *Store) loadSegment(n uint64) error {
	f, err := s.fs.OpenReadWrite(s.path("log", logName(n)), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("disk: open segment: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("disk: open segment: %w", err), f.Close())
	}
	seg := &segment{number: n, file: f, size: info.Size(), disk: info.Size()}
	s.segments[n] = seg
	s.logged += uint64(seg.disk)
	s.next = max(s.next, n+1)
	from := int64(segmentHead)
	switch {
	case n < s.totals.end.segment:
		return nil
	case n == s.totals.end.segment:
		from = int64(s.totals.end.offset)
	}
	_, err = scan(seg, from, func(b []byte, at location) error { return s.replay(b, at) })
	return err
}

// replay applies a group to the index.
func (s *Store) replay(b []byte, at location) error {
	now, records, ats, err := parseGroup(b, at)
	if err != nil {
		return err // checked by scan, so it is a record we do not know
	}
	t := newTxn(s.db, &s.recent, s.totals, now)
	defer t.close()
	for i, r := range records {
		r.apply(t, ats[i])
	}
	if err := t.commit(location{at.segment, at.offset + uint64(len(b))}, now, s.lives, s.came); err != nil {
		return err
	}
	s.totals = t.totals
	return nil
}

// scan reads the whole groups of a segment from an offset on, and tells where
// they end. The bytes given to each are its own only during the call.
func scan(seg *segment, from int64, each func(b []byte, at location) error) (end int64, err error) {
	head := make([]byte, segmentHead)
	if _, err := seg.file.ReadAt(head, 0); err != nil {
		if errors.Is(err, io.EOF) { // cut short when it was made
			return 0, nil
		}
		return 0, fmt.Errorf("%w: read segment: %w", mailbox.ErrDamaged, err)
	}
	if want := appendSegmentHead(nil, seg.number); !slices.Equal(head, want) {
		if slices.Equal(head[:len(magic)], want[:len(magic)]) && head[len(magic)] > segmentVersion {
			return 0, ErrNewer
		}
		return 0, nil
	}
	var b []byte
	for end = from; ; end += int64(len(b)) {
		head := head[:groupHead]
		if seg.size-end < groupHead {
			return end, nil
		}
		if _, err := seg.file.ReadAt(head, end); err != nil {
			return end, fmt.Errorf("%w: read segment: %w", mailbox.ErrDamaged, err)
		}
		length := int64(binary.BigEndian.Uint32(head[4:]))
		if length > maxGroup || groupHead+length > seg.size-end {
			return end, nil
		}
		b = slices.Grow(b[:0], int(groupHead+length))[:groupHead+length]
		if _, err := seg.file.ReadAt(b, end); err != nil {
			return end, fmt.Errorf("%w: read segment: %w", mailbox.ErrDamaged, err)
		}
		at := location{seg.number, uint64(end)}
		if binary.BigEndian.Uint32(b) != checksum(b, at) {
			return end, nil
		}
		if err := each(b, at); err != nil {
			return end, err
		}
	}
}

// Close makes the index durable, so that opening is quick, and closes all. Run
// must have returned.
func (s *Store) Close() error {
	s.commit.Lock()
	defer s.commit.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.broken == nil {
		s.broken = fmt.Errorf("%w: the store is closed", mailbox.ErrDamaged)
		err := s.flush()
		if errors.Is(err, errNotFlushed) {
			s.log.Warn("the next start will take longer", "error", err) // it reads the log instead
			err = nil
		}
		return errors.Join(err, s.shut())
	}
	return s.shut()
}

func (s *Store) shut() error {
	err := s.db.Close()
	for _, seg := range s.segments {
		err = errors.Join(err, seg.file.Close())
	}
	switch {
	case s.spare == nil:
	case s.spare.disk > minSegment:
		err = errors.Join(err, s.discard(s.spare))
	default: // the next start takes it over
		err = errors.Join(err, s.spare.file.Close())
	}
	return err
}

// pebbleLog hands Pebble's log on. Its messages name files, not people.
type pebbleLog struct{ log *slog.Logger }

func (l pebbleLog) Infof(format string, args ...any) {
	l.log.Debug("index: " + fmt.Sprintf(format, args...))
}
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn("index: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble calls it when its directory could not be
// written and it does not know what is on disk. What was answered is in the log. That
// the disk is full is no such case as long as the ballast lasts.
func (l pebbleLog) Fatalf(format string, args ...any) {
	panic("disk: index: " + fmt.Sprintf(format, args...))
}

var _ mailbox.Store = (*Store)(nil)

// makeDir makes a directory and what is missing above it, durably.
func makeDir(fs vfs.FS, dir string) error {
	var above []string
	for d, there := dir, false; !there; {
		parent := fs.PathDir(d)
		_, err := fs.Stat(parent)
		there = err == nil || parent == d
		above = append(above, parent)
		d = parent
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range slices.Backward(above) {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
