package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// minute is a time as rows a have it: in minutes, which is close enough for how old mail is,
// and so few that all can be counted.
func minute(t time.Time) int64 { return max(t.Unix()/60, 0) }

// ages counts the cells that came in each minute, none of which is zero.
type ages struct {
	cells map[int64]int64
	first int64 // the oldest minute; 0: it is to be sought
}

// change adds to a minute's number, and returns what it is now.
func (a *ages) change(minute, by int64) int64 {
	n := a.cells[minute] + by
	switch {
	case n != 0:
		a.cells[minute] = n
		if a.first != 0 {
			a.first = min(a.first, minute)
		}
	default:
		delete(a.cells, minute)
		if minute == a.first {
			a.first = 0
		}
	}
	return n
}

// oldest is the minute of the cell that came first; 0: there is none.
func (a *ages) oldest() int64 {
	if a.first == 0 {
		for m := range a.cells {
			if a.first == 0 || m < a.first {
				a.first = m
			}
		}
	}
	return a.first
}

// oldestCell is when the oldest cell came, the zero time if there is none.
func (v totals) oldestCell() time.Time {
	if v.oldest == 0 {
		return time.Time{}
	}
	return time.Unix(v.oldest*60, 0)
}

// loadTotals reads what an index knows of itself, an index of version 1 after it was made one
// of this. ok is false if it is empty. The error wraps ErrNewer or mailbox.ErrDamaged.
func loadTotals(db *pebble.DB) (v totals, came *ages, ok bool, err error) {
	if raw, done, err := db.Get(keyTotals()); err == nil {
		var version byte
		if len(raw) > 0 {
			version = raw[0]
		}
		raw = append([]byte{indexVersion}, raw[min(1, len(raw)):]...)
		done.Close()
		switch {
		case version > indexVersion:
			return v, nil, false, ErrNewer
		case version == 1:
			if err := upgrade(db, raw); err != nil {
				return v, nil, false, err
			}
		}
	}
	if v, ok, err = load(db, keyTotals(), parseTotals); err != nil {
		return v, nil, false, err
	}
	came = &ages{cells: make(map[int64]int64)}
	err = each(db, 'a', func(k, n []byte) error {
		if len(k) != 9 || len(n) != 8 {
			return errRecord
		}
		came.cells[int64(binary.BigEndian.Uint64(k[1:]))] = int64(binary.BigEndian.Uint64(n))
		return nil
	})
	v.oldest = came.oldest()
	return v, came, ok, err
}

// upgrade gives an index of version 1 its rows a, and its row p anew.
func upgrade(db *pebble.DB, totals []byte) error {
	came := ages{cells: make(map[int64]int64)}
	if err := each(db, 'c', func(_, raw []byte) error {
		v, ok := parseCell(raw)
		if !ok {
			return errRecord
		}
		came.change(v.came, 1)
		return nil
	}); err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	err := b.Set(keyTotals(), totals, nil)
	for m, n := range came.cells {
		err = errors.Join(err, b.Set(keyCame(m), number(uint64(n)), nil))
	}
	if err = errors.Join(err, b.Commit(pebble.NoSync)); err != nil {
		return fmt.Errorf("%w: write index: %w", mailbox.ErrDamaged, err)
	}
	return nil
}

// each calls f with all rows of a kind. The error wraps mailbox.ErrDamaged.
func each(db *pebble.DB, kind byte, f func(key, value []byte) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: row %c of the index: %w", mailbox.ErrDamaged, kind, err)
		}
	}()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: key(kind), UpperBound: key(kind + 1)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key(), v)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}
