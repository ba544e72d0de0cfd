package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// A relay's mail can go from a Store of its own into a log that a View is of, and back: part by part.

// Part is some of what a Store or a View keeps, to be taken in by the other.
type Part struct {
	boxes   []lastBox
	records []record // of queues and notices
	cells   []kept
}

// Cells is how many cells are in it.
func (p *Part) Cells() int { return len(p.cells) }

// lastBox is a box, and the last sequence that was given to one of its cells, or could have been.
type lastBox struct {
	leased
	sequence uint64
}

const (
	partThings = 500     // in a Part at most; a View needs up to two Entries for one
	partSize   = 2 << 20 // bytes of cells and notices, beside the last
)

// Parts gives out all that the Store keeps, which nobody adds to meanwhile. Errors wrap mailbox.ErrDamaged, or are give's.
func (s *Store) Parts(give func(*Part) error) error {
	return parts(s.db, func(k cellKey) ([]byte, error) { return s.Cell(k.box, k.id, time.Time{}) },
		func(n mailbox.NoticeID) ([]byte, error) { return s.Notice(n, time.Time{}) }, func(box) uint64 { return 0 }, give)
}

// Parts gives out all that the View knows when it is called. The bytes are asked for; what is not found by then, as
// mailbox.ErrNotFound says, is left out. Errors wrap mailbox.ErrDamaged, or are those of asking or give's.
func (v *View) Parts(cell func(mailbox.BoxPublic, mailbox.CellID) ([]byte, error), notice func(mailbox.NoticeID) ([]byte, error), give func(*Part) error) error {
	end, _ := v.End()
	db := v.db.NewSnapshot()
	defer db.Close()
	return parts(db, func(k cellKey) ([]byte, error) { return cell(k.box, k.id) }, notice, func(box) uint64 { return spot(end+1, 0) }, give)
}

func parts(db pebble.Reader, cell func(cellKey) ([]byte, error), notice func(mailbox.NoticeID) ([]byte, error), sequence func(box) uint64, give func(*Part) error) error {
	part, size := new(Part), 0
	added := func(n int) error {
		if size += n; len(part.boxes)+len(part.records)+len(part.cells) < partThings && size < partSize {
			return nil
		}
		full := part
		part, size = new(Part), 0
		return given(give(full))
	}
	err := each(db, key('b'), func(k, raw []byte) error {
		b, ok := parseBox(raw)
		if !ok || len(k) != 33 {
			return errRecord
		}
		part.boxes = append(part.boxes, lastBox{leased{mailbox.BoxPublic(k[1:]), b.until, b.token}, sequence(b)})
		return added(0)
	})
	if err != nil {
		return err
	}
	err = each(db, key('q'), func(k, raw []byte) error {
		q, ok := parseQueue(raw)
		if !ok || len(k) != 33 {
			return errRecord
		}
		part.records = append(part.records, &opened{q.box, q.class, q.until, []mailbox.QID{mailbox.QID(k[1:])}})
		return added(0)
	})
	if err != nil {
		return err
	}
	err = each(db, key('n'), func(k, raw []byte) error {
		n, ok := parseNotice(raw)
		if !ok || len(k) != 33 {
			return errRecord
		}
		b, err := notice(mailbox.NoticeID(k[1:]))
		if errors.Is(err, mailbox.ErrNotFound) {
			return nil
		}
		if err != nil {
			return given(err)
		}
		part.records = append(part.records, &posted{n.box, mailbox.NoticeID(k[1:]), n.expiry, b})
		return added(len(b))
	})
	if err != nil {
		return err
	}
	err = each(db, key('c'), func(k, raw []byte) error {
		c, ok := parseCell(raw)
		name, good := parseCellKey(k)
		if !ok || !good {
			return errRecord
		}
		b, err := cell(name)
		if errors.Is(err, mailbox.ErrNotFound) {
			return nil
		}
		if err != nil {
			return given(err)
		}
		part.cells = append(part.cells, kept{name, c, b})
		return added(len(b))
	})
	if err != nil {
		return err
	}
	return give(part)
}

// LastSequence is the highest that was given to a cell.
func (s *Store) LastSequence() (last uint64, err error) {
	err = each(s.db, key('b'), func(_, raw []byte) error {
		b, ok := parseBox(raw)
		if !ok {
			return errRecord
		}
		last = max(last, b.sequence)
		return nil
	})
	return last, err
}

// PlaceAfter is the first place of a log whose cells have higher sequences than one.
func PlaceAfter(sequence uint64) uint64 {
	place, _ := placeOf(sequence)
	return place + 1
}

// Take keeps a Part. The Store was empty before the first one.
func (s *Store) Take(part *Part) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	g, err := s.begin(time.Now())
	if err != nil {
		return err
	}
	defer g.t.close()
	for _, b := range part.boxes {
		g.add(&b.leased)
		g.add(&numbered{b.box, b.sequence})
	}
	for _, r := range part.records {
		g.add(r)
	}
	for _, c := range part.cells {
		if v := c.row; v.work > 0 {
			g.add(&introduced{c.box, v.queue, c.id, v.sequence, v.expiry, v.work, c.bytes})
		} else {
			g.add(&deposited{c.box, v.queue, c.id, v.sequence, v.expiry, c.bytes})
		}
	}
	return s.finish(g)
}

// PlanPart plans that all of a Part is in the log which is not there yet.
func (v *View) PlanPart(now time.Time, part *Part) (*Plan, error) {
	p := v.plan(now, 0)
	for _, b := range part.boxes {
		if row := p.t.box(b.box); !row.ok || row.v.until != b.until || row.v.token != b.token {
			p.add(&b.leased)
		}
	}
	for _, r := range part.records {
		switch r := r.(type) {
		case *opened:
			if row := p.t.queue(r.queues[0]); !row.ok || row.v.until != r.until {
				p.add(r)
			}
		case *posted:
			if row := p.t.notice(r.id); !row.ok || row.v.expiry != r.expiry || row.v.sum != mailbox.IDOf(r.notice) {
				p.add(r)
			}
		}
	}
	var cells []kept
	for _, c := range part.cells {
		row := p.t.cell(c.cellKey)
		switch {
		case !row.ok:
			cells = append(cells, c)
		case row.v.expiry < c.row.expiry:
			p.add(&extended{c.box, c.id, c.row.expiry})
		}
	}
	p.resettle(cells)
	return p.planned()
}

// beside gives each row of a table of one index with that of the same key in another, if there is one.
func beside[T any](db, other *pebble.DB, table byte, parse func([]byte) (T, bool), look func(k []byte, here, there T, ok bool) error) error {
	return each(db, key(table), func(k, raw []byte) error {
		here, good := parse(raw)
		there, ok, err := load(other, k, parse)
		if err != nil || !good {
			return errors.Join(err, errRecord)
		}
		return look(k, here, there, ok)
	})
}

// Extra is what a View has that a Store does not, or has otherwise, as changes that remove it: a first part of it, none if there is
// nothing. It is so of a View that took Parts of the Store before this changed.
func (v *View) Extra(s *Store) (changes []mailbox.Change, err error) {
	note := func(c mailbox.Change) error {
		if changes = append(changes, c); len(changes) >= partThings {
			return errEnough
		}
		return nil
	}
	// Boxes first: with one goes all that is in it.
	err = beside(v.db, s.db, 'b', parseBox, func(k []byte, is, was box, ok bool) error {
		if !ok || was.until < is.until || was.until == is.until && is.token && !was.token {
			changes = append(changes, &mailbox.ReleaseBox{Box: mailbox.BoxPublic(k[1:])})
			return errEnough // which is a group by itself
		}
		return nil
	})
	if err == nil {
		err = beside(v.db, s.db, 'q', parseQueue, func(k []byte, is, was queue, ok bool) error {
			if !ok || was.box != is.box || was.class != is.class || was.until < is.until {
				return note(&mailbox.CloseQueues{Box: is.box, Queues: []mailbox.QID{mailbox.QID(k[1:])}})
			}
			return nil
		})
	}
	if err == nil {
		err = beside(v.db, s.db, 'n', parseNotice, func(k []byte, is, was notice, ok bool) error {
			if !ok || was.box != is.box {
				return note(&mailbox.RemoveNotice{Box: is.box, ID: mailbox.NoticeID(k[1:])})
			}
			return nil
		})
	}
	if err == nil {
		err = beside(v.db, s.db, 'c', parseCell, func(k []byte, is, was cell, ok bool) error {
			if !ok || was.sequence != is.sequence || was.expiry < is.expiry {
				return note(&mailbox.Delete{Box: mailbox.BoxPublic(k[1:33]), Cells: []mailbox.CellID{mailbox.CellID(k[33:])}})
			}
			return nil
		})
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return changes, err
}

// Same is nil if a View has what a Store has, and nothing else.
func (v *View) Same(s *Store) error {
	same := func(what string, k []byte, same bool) error {
		if same {
			return nil
		}
		return fmt.Errorf("disk: a %s differs: %x", what, k[1:9])
	}
	err := beside(s.db, v.db, 'b', parseBox, func(k []byte, was, is box, ok bool) error {
		return same("box", k, ok && is.until == was.until && is.token == was.token)
	})
	if err == nil {
		err = beside(s.db, v.db, 'q', parseQueue, func(k []byte, was, is queue, ok bool) error {
			// One that was closed and opened again counts what came since.
			is.cells, is.bytes = was.cells, was.bytes
			return same("queue", k, ok && is == was)
		})
	}
	if err == nil {
		err = beside(s.db, v.db, 'n', parseNotice, func(k []byte, was, is notice, ok bool) error {
			is.at, is.sum = was.at, was.sum
			return same("notice", k, ok && is == was)
		})
	}
	if err == nil {
		err = beside(s.db, v.db, 'c', parseCell, func(k []byte, was, is cell, ok bool) error {
			is.at = was.at
			return same("cell", k, ok && is == was)
		})
	}
	if err != nil {
		return err
	}
	a, b := s.Usage(), v.Usage()
	a.Disk, b.Disk = 0, 0
	if a != b {
		return fmt.Errorf("disk: there is %+v in place of %+v", b, a)
	}
	return nil
}

// Bundles gives out where all bundles lie, and what tells whether the Blob that is there is one's, in part or as a whole. The
// error is give's, or wraps mailbox.ErrDamaged.
func (v *View) Bundles(give func(place uint64, good func(blob []byte) bool) error) error {
	return each(v.db, key('u'), func(k, raw []byte) error {
		b, ok := parseBundle(raw)
		if !ok || len(k) != 9 {
			return errRecord
		}
		return given(give(binary.BigEndian.Uint64(k[1:]), func(blob []byte) bool {
			for i, c := range b.cells {
				if len(blob) < c.size || b.gone>>i&1 == 0 && mailbox.IDOf(blob[:c.size]) != c.id {
					return false
				}
				blob = blob[c.size:]
			}
			return len(blob) == 0
		}))
	})
}

// Notices gives out all notices of a Store.
func (s *Store) Notices(give func(id mailbox.NoticeID, notice []byte) error) error {
	return each(s.db, key('n'), func(k, _ []byte) error {
		id := mailbox.NoticeID(k[1:])
		b, err := s.Notice(id, time.Time{})
		if err != nil {
			return err
		}
		return given(give(id, b))
	})
}
