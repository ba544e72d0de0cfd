package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// reader tells what the index alone knows.
type reader struct {
	db     *pebble.DB
	recent recents
}

// Writable is mailbox.Store's.
func (r *reader) Writable(q mailbox.QID, now time.Time) error {
	v, ok, err := loadRecent(r.db, &r.recent.queues, q, keyQueue, parseQueue)
	if err == nil && (!ok || v.until <= now.Unix()) {
		return mailbox.ErrUnknownQueue
	}
	return err
}

// Intro is mailbox.Store's.
func (r *reader) Intro(q mailbox.QID, now time.Time) (int, uint8, error) {
	v, ok, err := loadRecent(r.db, &r.recent.queues, q, keyQueue, parseQueue)
	if err != nil {
		return 0, 0, err
	}
	if !ok || v.until <= now.Unix() || v.class != mailbox.Intro {
		return 0, 0, mailbox.ErrUnknownQueue
	}
	all, err := loadPending(r.db, introKey{v.box, q})
	if err != nil || len(all) == 0 {
		return 0, 0, err
	}
	return len(all), all[0].work, nil
}

// Box is mailbox.Store's.
func (r *reader) Box(b mailbox.BoxPublic) (mailbox.BoxInfo, error) {
	v, ok, err := load(r.db, keyBox(b), parseBox)
	if err != nil || !ok {
		return mailbox.BoxInfo{}, err
	}
	return mailbox.BoxInfo{Until: time.Unix(v.until, 0), Used: v.used, Queues: v.queues, Token: v.token}, nil
}

// List is mailbox.Store's.
func (r *reader) List(b mailbox.BoxPublic, after uint64, limit int, now time.Time) (entries []mailbox.Entry, more bool, err error) {
	if after+1 == 0 {
		return nil, false, nil
	}
	damaged := func(err error) error { return fmt.Errorf("%w: list: %w", mailbox.ErrDamaged, err) }
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: keySequence(b, after+1), UpperBound: append(keySequence(b, 1<<64-1), 0)})
	if err != nil {
		return nil, false, damaged(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = damaged(e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil || len(it.Key()) != 41 || len(v) != len(mailbox.CellID{}) {
			return nil, false, damaged(fmt.Errorf("row s: %w", errors.Join(err, errRecord)))
		}
		e := mailbox.Entry{Sequence: binary.BigEndian.Uint64(it.Key()[33:]), Cell: mailbox.CellID(v)}
		c, ok, err := load(r.db, keyCell(cellKey{b, e.Cell}), parseCell)
		if err != nil {
			return nil, false, err
		}
		if !ok || c.sequence != e.Sequence || c.expiry <= now.Unix() {
			continue // deleted since the iterator was made, or expired
		}
		if len(entries) == limit {
			return entries, true, nil
		}
		e.Queue, e.Size, e.Expiry, e.Work = c.queue, c.size, time.Unix(c.expiry, 0), c.work
		entries = append(entries, e)
	}
	return entries, false, nil
}

// Cell is mailbox.Store's.
func (s *Store) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	return s.blob(func() (location, int, error) {
		v, ok, err := load(s.db, keyCell(cellKey{b, id}), parseCell)
		if err == nil && (!ok || v.expiry <= now.Unix()) {
			err = mailbox.ErrNotFound
		}
		return v.at, v.size, err
	}, func() mailbox.CellID { return id })
}

// Notice is mailbox.Store's.
func (s *Store) Notice(id mailbox.NoticeID, now time.Time) ([]byte, error) {
	var sum mailbox.CellID
	return s.blob(func() (location, int, error) {
		v, ok, err := load(s.db, keyNotice(id), parseNotice)
		if err == nil && (!ok || v.expiry <= now.Unix()) {
			err = mailbox.ErrNotFound
		}
		sum = v.sum
		return v.at, mailbox.NoticeSize, err
	}, func() mailbox.CellID { return sum })
}

// blob reads what find finds and checks it. If it was moved between the two,
// it is sought again.
func (s *Store) blob(find func() (location, int, error), sum func() mailbox.CellID) ([]byte, error) {
	var problem error
	for range 3 {
		at, size, err := find()
		if err != nil {
			return nil, err
		}
		s.mu.RLock()
		seg := s.segments[at.segment]
		s.mu.RUnlock()
		if seg == nil {
			problem = errors.New("a segment is not there")
			continue
		}
		b := make([]byte, size)
		if problem = seg.read(b, int64(at.offset)); problem != nil {
			continue
		}
		if mailbox.IDOf(b) == sum() {
			return b, nil
		}
		problem = errors.New("the bytes are not those that were written")
	}
	return nil, fmt.Errorf("%w: %w", mailbox.ErrDamaged, problem)
}

// read fills b from a place in the segment, unless it was deleted meanwhile.
func (seg *segment) read(b []byte, at int64) error {
	seg.reading.RLock()
	defer seg.reading.RUnlock()
	if seg.closed {
		return errors.New("a segment was deleted")
	}
	_, err := seg.file.ReadAt(b, at)
	return err
}

// Latest is mailbox.Store's.
func (s *Store) Latest() time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.totals.time == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.totals.time)
}

// Usage is mailbox.Store's.
func (s *Store) Usage() mailbox.Usage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return mailbox.Usage{
		Cells: s.totals.cells, Bytes: s.totals.bytes, Queues: s.totals.queues,
		Boxes: s.totals.boxes, Notices: s.totals.notices, Disk: s.logged + s.index, Oldest: s.totals.oldestCell(),
	}
}
