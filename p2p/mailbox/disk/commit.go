package disk

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Commit is mailbox.Store's.
func (s *Store) Commit(now time.Time, changes []mailbox.Change) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	for len(changes) > 0 {
		n, bytes := 0, 0
		for n < len(changes) && bytes < partBytes {
			switch c := changes[n].(type) {
			case *mailbox.Expire:
				if n == 0 {
					n, bytes = 1, partBytes // alone
				} else {
					bytes = partBytes
				}
				continue
			case *mailbox.Deposit:
				bytes += len(c.Cell)
			case *mailbox.PostNotice:
				bytes += len(c.Notice)
			}
			n++
		}
		if err := s.part(now, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// part commits changes that become one group.
func (s *Store) part(now time.Time, changes []mailbox.Change) error {
	g, err := s.begin(now)
	if err != nil {
		return err
	}
	defer g.t.close()
	if e, ok := changes[0].(*mailbox.Expire); ok {
		ends, err := endsUpTo(s.db, e.At.Unix(), expirePart+1)
		if err != nil {
			return s.fail(err)
		}
		if e.More = len(ends) > expirePart; len(ends) > 0 {
			g.add(&expired{e.At.Unix(), expirePart})
		}
	} else {
		for _, c := range changes {
			mailbox.OutcomeOf(c).Err = g.plan(c)
		}
	}
	err = s.finish(g)
	if errors.Is(err, mailbox.ErrFull) {
		for _, c := range changes {
			if o := mailbox.OutcomeOf(c); o.Err == nil {
				o.Err = mailbox.ErrFull
			}
		}
		return nil
	}
	return err
}

// begin starts a group at the end of the log.
func (s *Store) begin(now time.Time) (*group, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	s.mu.RLock()
	active, t := s.active, newTxn(s.db, &s.recent, s.totals)
	s.mu.RUnlock()
	at := location{s.next, uint64(segmentHead)}
	if active != nil {
		at = location{active.number, uint64(active.size)}
	}
	room, _ := s.Room()
	g := &group{at: at, b: beginGroup(s.buf[:0], now), decision: decision{t: t, now: now, room: room, quotas: s.quotas}}
	g.log = g
	return g, nil
}

// Room is how many bytes deposits may still add, and, in words, what bounds
// it: the cap or the file system.
func (s *Store) Room() (bytes int64, bound string) {
	most := s.max.Load()
	bytes, bound = int64(most)-2*s.segment()-int64(s.Usage().Disk), "the relay holds as much as it may"
	if u, err := s.fs.GetDiskUsage(s.dir); err == nil {
		if left := int64(u.AvailBytes) - int64(min(keepFree, most/8)); left < bytes {
			bytes, bound = left, "the disk is full"
		}
	}
	return max(bytes, 0), bound
}

// finish makes a group durable and then known. Its error wraps
// mailbox.ErrFull, and nothing happened, or mailbox.ErrDamaged.
func (s *Store) finish(g *group) error {
	if g.t.err != nil {
		return s.fail(g.t.err)
	}
	if s.buf = g.b; cap(s.buf) > 1<<20 {
		s.buf = nil
	}
	if g.empty() {
		return nil
	}
	seg, err := s.write(g)
	if err != nil {
		s.log.Warn("the log could not be written", "error", err)
		if errors.Is(err, errNoSpace) {
			return fmt.Errorf("%w: %w", mailbox.ErrFull, err)
		}
		return s.fail(err)
	}
	end := location{g.at.segment, g.at.offset + uint64(len(g.b))}
	if err := g.t.commit(end, g.now, s.lives); err != nil {
		return s.fail(err)
	}
	s.mu.Lock()
	if s.segments[seg.number] == nil {
		s.logged += uint64(seg.size)
	}
	s.logged += end.offset - uint64(seg.size)
	seg.size = int64(end.offset)
	s.totals = g.t.totals
	s.segments[seg.number], s.active = seg, seg
	if seg.size >= s.segment() {
		s.active = nil
	}
	s.mu.Unlock()
	if s.unflushed += int64(len(g.b)); s.unflushed >= flushEvery {
		s.unflushed = 0
		if _, err := s.db.AsyncFlush(); err != nil {
			return s.fail(err)
		}
	}
	return nil
}

// fail remembers that the Store is of no more use.
func (s *Store) fail(err error) error {
	if !errors.Is(err, mailbox.ErrDamaged) {
		err = fmt.Errorf("%w: %w", mailbox.ErrDamaged, err)
	}
	s.broken = err
	return err
}

// errNoSpace says that nothing of a group counts because the disk is full.
var errNoSpace = errors.New("no space")

// write appends a group to the log and syncs it. If there is no space for it
// the segment is not written to again: what follows its last whole group is void. After
// a sync that failed nobody can say what is on disk, so only opening anew helps.
func (s *Store) write(g *group) (seg *segment, err error) {
	if seg = s.active; seg == nil {
		if seg, err = s.create(s.next); err != nil {
			if vfs.IsNoSpaceError(err) {
				err = fmt.Errorf("%w: %w", errNoSpace, err)
			}
			return nil, err
		}
		s.next++
	}
	endGroup(g.b, g.at)
	if _, err := seg.file.Write(g.b); err != nil {
		if vfs.IsNoSpaceError(err) { // so it is cut short, and refused by its length when read again
			err = fmt.Errorf("%w: %w", errNoSpace, err)
		}
		s.mu.Lock()
		if s.segments[seg.number] == nil {
			s.logged += uint64(seg.size)
		}
		s.segments[seg.number], s.active = seg, nil
		s.mu.Unlock()
		return nil, err
	}
	return seg, seg.file.SyncData()
}

// create makes a segment, durably.
func (s *Store) create(n uint64) (*segment, error) {
	f, err := s.fs.Create(s.path("log", logName(n)), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	seg := &segment{number: n, file: f, size: int64(segmentHead)}
	if _, err = f.Write(appendSegmentHead(nil, n)); err == nil {
		if err = f.Sync(); err == nil {
			err = syncDir(s.fs, s.path("log"))
		}
	}
	if err != nil { // an empty segment that stays behind does no harm
		f.Close()
		s.fs.Remove(s.path("log", logName(n)))
		return nil, fmt.Errorf("create segment: %w", err)
	}
	return seg, nil
}
