package disk

import (
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"
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

// loadTotals reads what an index knows of itself, an index of an earlier version after it was made
// one of this. ok is false if it is empty. The error wraps ErrNewer or mailbox.ErrDamaged.
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
		case version > 0 && version < indexVersion:
			if err := upgrade(db, version, raw); err != nil {
				return v, nil, false, err
			}
		}
	}
	if v, ok, err = load(db, keyTotals(), parseTotals); err != nil {
		return v, nil, false, err
	}
	came = &ages{cells: make(map[int64]int64)}
	err = each(db, key('a'), func(k, n []byte) error {
		if len(k) != 9 || len(n) != 8 {
			return errRecord
		}
		came.cells[int64(binary.BigEndian.Uint64(k[1:]))] = int64(binary.BigEndian.Uint64(n))
		return nil
	})
	v.oldest = came.oldest()
	return v, came, ok, err
}
