package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// busyBytes is how large a segment must have become before the next is begun at full
	// length: a relay where little comes in need not hold the room.
	busyBytes = 1 << 20
	// overBytes is by how much, at most, a segment is begun longer than where it is closed, so
	// that the group that closes it finds room, too.
	overBytes = 1 << 20
	// zeroBytes is how much of it is written at a time.
	zeroBytes = 1 << 20
	// warmSegments is how many segments, with the active one, stay in the system's memory when a new one is begun. What lies
	// farther back is rarely fetched soon, and memory for what comes is had faster where what was there is given up.
	warmSegments = 2
)

// segment is a file of the log.
type segment struct {
	number uint64
	file   vfs.File
	size   int64 // bytes of whole groups, and the head
	disk   int64 // bytes that the file takes: at least size
	zeroed int64 // bytes up to which it was written through when it was begun

	damaged bool // a group in it does not fit its checksum
	cooled  bool // the system was asked to give up its memory of it; under Store.mu

	reading sync.RWMutex // held while a cell is read, so that nothing is read of a closed file
	closed  bool
}

func logName(n uint64) string { return fmt.Sprintf("%016d.log", n) }

// end is where the next group will lie. s.commit and s.mu are held.
func (s *Store) end() location {
	a := s.active
	if a != nil && a.size >= a.zeroed && s.spare != nil && s.spare.zeroed > minSegment {
		a, s.active = nil, nil // a sync of what is written through already takes a fraction of the time
	}
	switch {
	case a != nil:
		return location{a.number, uint64(a.size)}
	case s.spare != nil:
		return location{s.spare.number, uint64(segmentHead)}
	}
	return location{s.next, uint64(segmentHead)}
}

// errNoSpace says that nothing of a group counts because the disk is full.
var errNoSpace = errors.New("no space")

// write puts a group where it is to lie and syncs it. If there is no space for it
// the segment is not written to again: what follows its last whole group is void. After
// a sync that failed nobody can say what is on disk, so only opening anew helps.
func (s *Store) write(g *group) (seg *segment, err error) {
	if seg = s.active; seg == nil {
		if seg, err = s.begun(); err != nil {
			if vfs.IsNoSpaceError(err) {
				err = fmt.Errorf("%w: %w", errNoSpace, err)
			}
			return nil, err
		}
	}
	endGroup(g.b, g.at)
	if _, err := seg.file.WriteAt(g.b, int64(g.at.offset)); err != nil {
		if vfs.IsNoSpaceError(err) { // so it is cut short, and refused by its checksum when read again
			err = fmt.Errorf("%w: %w", errNoSpace, err)
		}
		s.mu.Lock()
		s.active = nil
		s.mu.Unlock()
		return nil, err
	}
	return seg, seg.file.SyncData()
}

// begun is a new active segment: the spare, or one made now.
func (s *Store) begun() (seg *segment, err error) {
	fresh := s.spare == nil
	if seg = s.spare; fresh {
		if seg, err = s.create(context.Background(), s.next, 0); err != nil {
			return nil, err
		}
		s.next++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh {
		s.logged += uint64(seg.disk)
	}
	s.segments[seg.number], s.active, s.spare = seg, seg, nil
	return seg, nil
}

// create makes a segment, durably, and writes it through with zeros up to a length: what is
// written over them later needs neither room nor the file system's journal to be synced.
func (s *Store) create(ctx context.Context, n uint64, length int64) (*segment, error) {
	path := s.path("log", logName(n))
	f, err := s.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	seg := &segment{number: n, file: f, size: int64(segmentHead), disk: max(int64(segmentHead), length), zeroed: length}
	head := appendSegmentHead(nil, n)
	if _, err = f.WriteAt(head, 0); err == nil {
		if err = zero(ctx, f, seg.size, length); err == nil {
			if err = f.Sync(); err == nil {
				err = syncDir(s.fs, s.path("log"))
			}
		}
	}
	if err != nil { // an empty segment that stays behind does no harm
		return nil, fmt.Errorf("create segment: %w", errors.Join(err, s.discard(seg)))
	}
	return seg, nil
}

// zero fills a file with zeros, with pauses for others who write, until the context ends.
func zero(ctx context.Context, f vfs.File, from, to int64) error {
	zeros := make([]byte, min(zeroBytes, max(to-from, 0)))
	for from < to {
		start := time.Now()
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
		if _, err := f.SyncTo(from); err != nil {
			return err
		}
		if from < to {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Since(start)):
			}
		}
	}
	return nil
}

// discard removes a segment that nothing was written to.
func (s *Store) discard(seg *segment) error {
	return errors.Join(seg.file.Close(), s.fs.Remove(s.path("log", logName(seg.number))))
}

// lookAhead has prepare see whether a segment is to be begun.
func (s *Store) lookAhead() {
	select {
	case s.ahead <- struct{}{}:
	default:
	}
}

// prepare begins segments ahead of their time until the context ends. A small one is there at all
// times, so that on a full disk there is room for deletions; one at full length where much
// comes in.
func (s *Store) prepare(ctx context.Context) {
	for {
		if err := s.prepareOne(ctx); err != nil {
			s.log.Debug("no segment could be begun ahead", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.ahead:
		}
	}
}

// prepareOne begins a segment if one is wanted.
func (s *Store) prepareOne(ctx context.Context) error {
	s.commit.Lock()
	length := s.wanted()
	if length == 0 {
		s.commit.Unlock()
		return nil
	}
	n := s.next
	s.next++
	s.commit.Unlock()

	s.cool() // first, so that what this gives up is what the new one takes
	seg, err := s.create(ctx, n, length)
	if err != nil {
		return err
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.broken != nil || s.next != n+1 { // a later one is in use already
		return s.discard(seg)
	}
	s.mu.Lock()
	old := s.spare
	s.spare = seg
	s.logged += uint64(seg.disk)
	if old != nil {
		s.logged -= uint64(old.disk)
	}
	s.mu.Unlock()
	if old != nil {
		return s.discard(old)
	}
	return nil
}

// cool gives up, once, what the system has in memory of segments that were full a while ago.
func (s *Store) cool() {
	var full []*segment
	s.mu.Lock()
	numbers := slices.Sorted(maps.Keys(s.segments))
	for _, n := range numbers[:max(len(numbers)-warmSegments, 0)] {
		if seg := s.segments[n]; !seg.cooled && seg != s.active {
			seg.cooled = true
			full = append(full, seg)
		}
	}
	s.mu.Unlock()
	for _, seg := range full {
		seg.reading.RLock()
		if !seg.closed {
			uncache(seg.file.Fd())
		}
		seg.reading.RUnlock()
	}
}

// wanted is the length at which a segment is to be begun ahead; 0: none. s.commit is held.
func (s *Store) wanted() int64 {
	length := int64(minSegment)
	if full := s.segment() + min(s.segment()/8, overBytes); s.active != nil && s.active.size >= min(busyBytes, full/4) {
		if room, _ := s.Room(); room >= full {
			length = full
		}
	}
	if s.broken != nil || s.spare != nil && s.spare.zeroed >= length {
		return 0
	}
	return length
}
