package disk

import (
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Commit is mailbox.Store's.
func (s *Store) Commit(now time.Time, changes []mailbox.Change) error {
	began := time.Now()
	defer func() { s.pace.took(time.Since(began), time.Now()) }() // with what was waited for the collector
	s.commit.Lock()
	defer s.commit.Unlock()
	for len(changes) > 0 {
		n, bytes := 0, 0
		for n < len(changes) && bytes < partBytes {
			switch c := changes[n].(type) {
			case *mailbox.Expire, *mailbox.ReleaseBox:
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
	err := s.try(now, changes)
	if errors.Is(err, errNoSpace) && s.spare != nil {
		err = s.try(now, changes) // which takes what needs no space of its own
	}
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

// try is part at the end of the log as it is. Its error wraps mailbox.ErrFull, and nothing
// happened, or mailbox.ErrDamaged.
func (s *Store) try(now time.Time, changes []mailbox.Change) error {
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
			if d, ok := c.(*mailbox.Deposit); ok {
				d.New = false
			}
			mailbox.OutcomeOf(c).Err = g.plan(c)
		}
	}
	return s.finish(g)
}

// begin starts a group at the end of the log.
func (s *Store) begin(now time.Time) (*group, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	s.mu.Lock()
	at, t := s.end(), newTxn(s.db, &s.recent, s.totals, now)
	s.mu.Unlock()
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
	if err := g.t.commit(end, g.now, s.lives, s.came); err != nil {
		return s.fail(err)
	}
	s.mu.Lock()
	seg.size = int64(end.offset)
	if grown := seg.size - seg.disk; grown > 0 {
		s.logged += uint64(grown)
		seg.disk = seg.size
	}
	s.totals = g.t.totals
	if seg.size >= s.segment() {
		s.active = nil
	}
	s.mu.Unlock()
	s.lookAhead()
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
