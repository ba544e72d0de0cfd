package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

const (
	// collectEvery is how often space is sought to give back.
	collectEvery = 5 * time.Second
	// moveBytes is how much is moved in one group, so that deposits do not
	// wait long behind it.
	moveBytes = 256 << 10
)

// Run gives space back until the context ends. It returns nil then, and an error
// that wraps mailbox.ErrDamaged if the Store is of no more use.
func (s *Store) Run(ctx context.Context) error {
	var preparing sync.WaitGroup
	defer preparing.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	preparing.Go(func() { s.prepare(ctx) })
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Collect(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Collect gives back what space it can now: it deletes segments in which
// nothing lives and moves what lives in those where little does. Run calls it.
func (s *Store) Collect(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = s.collectOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

// collectOne is Collect up to one segment from which things are moved, so that a snapshot
// need not wait for longer; more says that there was one.
func (s *Store) collectOne(ctx context.Context) (more bool, err error) {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	if err := s.deleteDead(); err != nil {
		return false, err
	}
	s.holdReserve()
	s.lookAhead()
	index := s.db.Metrics().DiskSpaceUsage()
	s.mu.Lock()
	s.index = index
	s.mu.Unlock()
	seg := s.sparse()
	if seg == nil {
		return false, nil
	}
	if err := s.empty(ctx, seg); err != nil {
		if errors.Is(err, mailbox.ErrFull) {
			return false, nil // deletions and expiry must come first
		}
		return false, err
	}
	return true, nil
}

// deleteDead deletes the segments in which nothing lives.
func (s *Store) deleteDead() error {
	s.commit.Lock()
	if s.broken != nil {
		defer s.commit.Unlock()
		return s.broken
	}
	s.mu.Lock()
	if a := s.active; a != nil && s.lives[a.number] == 0 && a.size > s.segment()/8 {
		s.active = nil
	}
	var dead []*segment
	end, flush := s.totals.end.segment, false
	for n, seg := range s.segments {
		if seg != s.active && s.lives[n] == 0 {
			dead, flush = append(dead, seg), flush || n >= s.flushed
		}
	}
	s.mu.Unlock()
	s.commit.Unlock()
	// What they tell beside cells must be in the index for good. They cannot
	// come to life again: only the active segment is written to.
	if flush {
		err := s.flush()
		s.commit.Lock()
		switch {
		case err == nil:
			s.flushed = end
		case errors.Is(err, errNotFlushed):
			s.log.Warn("log segments cannot be deleted yet", "error", err)
			dead = slices.DeleteFunc(dead, func(seg *segment) bool { return seg.number >= s.flushed })
		default:
			err = s.fail(fmt.Errorf("%w: flush index: %w", mailbox.ErrDamaged, err))
			s.commit.Unlock()
			return err
		}
		s.commit.Unlock()
	}
	if len(dead) == 0 {
		return nil
	}
	if err := s.forget(dead); err != nil {
		return err
	}
	for _, seg := range dead {
		if err := errors.Join(seg.close(), s.fs.Remove(s.path("log", logName(seg.number)))); err != nil {
			s.log.Warn("a log segment could not be deleted", "error", err) // it is tried again after the next start
		}
	}
	return nil
}

// close waits for who reads and closes the file of a dead segment.
func (seg *segment) close() error {
	seg.reading.Lock()
	defer seg.reading.Unlock()
	seg.closed = true
	return seg.file.Close()
}

// forget takes segments out of all that counts them.
func (s *Store) forget(dead []*segment) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range dead {
		delete(s.segments, seg.number)
		s.logged -= uint64(seg.disk)
		delete(s.lives, seg.number)
		if err := s.db.Delete(keyLive(seg.number), pebble.NoSync); err != nil {
			return s.fail(err)
		}
	}
	return nil
}

// sparse is the segment with the smallest share of live bytes, if it is small
// enough to be worth moving; nil otherwise. Those that are dead wait for a flush alone.
func (s *Store) sparse() (least *segment) {
	enough := 0.5
	if s.nearlyFull() {
		enough = 0.9
	}
	s.commit.Lock()
	lives := maps.Clone(s.lives)
	s.commit.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n, seg := range s.segments {
		if share := float64(lives[n]) / float64(seg.disk); seg != s.active && !seg.damaged && share > 0 && share < enough {
			least, enough = seg, share
		}
	}
	return least
}

// nearlyFull says whether space matters more than that nobody waits.
func (s *Store) nearlyFull() bool { return s.Usage().Disk > s.max.Load()/5*4 }

// empty moves what lives in a segment to the end of the log.
func (s *Store) empty(ctx context.Context, seg *segment) error {
	var part []record
	var size int
	work := shift{s, time.Now()}
	move := func() error {
		err := s.move(part, seg.number)
		part, size = nil, 0
		return err
	}
	_, err := scan(seg, int64(segmentHead), func(b []byte, at location) error {
		_, records, ats, err := parseGroup(b, at)
		if err != nil {
			return err
		}
		for i, r := range records {
			m, err := s.alive(r, ats[i])
			if err != nil {
				return err
			}
			if m == nil {
				continue
			}
			if part, size = append(part, m), size+len(m.blob()); size >= moveBytes {
				if err := move(); err != nil {
					return err
				}
			}
		}
		return work.pause(ctx)
	})
	if err == nil && len(part) > 0 {
		err = move()
	}
	if err != nil {
		return err
	}
	s.commit.Lock()
	lost := s.lives[seg.number]
	s.commit.Unlock()
	if lost != 0 {
		// A group in it no longer fits its checksum. The cells that are
		// whole can still be fetched where they are.
		s.log.Error("a log segment is damaged and stays as it is", "segment", seg.number, "bytes", lost)
		s.mu.Lock()
		seg.damaged = true
		s.mu.Unlock()
	}
	return nil
}

// alive is the record that would move what a record at a place brought, nil if
// the index points elsewhere by now.
func (s *Store) alive(r record, at location) (record, error) {
	switch r := r.(type) {
	case *deposited:
		return s.aliveCell(cellKey{r.box, r.id}, r.cell, at)
	case *introduced:
		return s.aliveCell(cellKey{r.box, r.id}, r.cell, at)
	case *movedCell:
		return s.aliveCell(cellKey{r.box, r.id}, r.cell, at)
	case *posted:
		return s.aliveNotice(r.id, r.notice, at)
	case *movedNotice:
		return s.aliveNotice(r.id, r.notice, at)
	}
	return nil, nil
}

func (s *Store) aliveCell(k cellKey, b []byte, at location) (record, error) {
	v, ok, err := load(s.db, keyCell(k), parseCell)
	if err != nil || !ok || v.at != at {
		return nil, err
	}
	return &movedCell{k.box, k.id, bytes.Clone(b)}, nil
}

func (s *Store) aliveNotice(id mailbox.NoticeID, b []byte, at location) (record, error) {
	v, ok, err := load(s.db, keyNotice(id), parseNotice)
	if err != nil || !ok || v.at != at {
		return nil, err
	}
	return &movedNotice{id, bytes.Clone(b)}, nil
}

// move commits records that move out of a segment, less those that died
// meanwhile.
func (s *Store) move(records []record, from uint64) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if u, err := s.fs.GetDiskUsage(s.dir); err == nil && u.AvailBytes < 2*moveBytes {
		return mailbox.ErrFull // what is prepared is for deletions
	}
	g, err := s.begin(s.Latest()) // a move is not news
	if err != nil {
		return err
	}
	defer g.t.close()
	for _, r := range records {
		switch r := r.(type) {
		case *movedCell:
			if row := g.t.cell(cellKey{r.box, r.id}); row.ok && row.v.at.segment == from {
				g.add(r)
			}
		case *movedNotice:
			if row := g.t.notice(r.id); row.ok && row.v.at.segment == from {
				g.add(r)
			}
		}
	}
	return s.finish(g)
}
