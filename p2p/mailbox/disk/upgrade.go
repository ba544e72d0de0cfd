package disk

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// upgrade gives an index of an earlier version the rows that it has not: a those of version 1,
// o those of 1 and 2. One of version 3 has all, but its program would not know what the log tells now. Row p is written last, so one that is cut short is begun again.
func upgrade(db *pebble.DB, version byte, totals []byte) error {
	const part = 1 << 20 // bytes written at once, for there may be millions of queues
	b := db.NewBatch()
	defer func() { b.Close() }()
	failed := func(err error) error { return fmt.Errorf("%w: write index: %w", mailbox.ErrDamaged, err) }
	put := func(key, value []byte) error {
		if err := b.Set(key, value, nil); err != nil || b.Len() < part {
			return err
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.Close()
		b = db.NewBatch()
		return nil
	}
	if version < 2 {
		came := ages{cells: make(map[int64]int64)}
		if err := each(db, key('c'), func(_, raw []byte) error {
			v, ok := parseCell(raw)
			if !ok {
				return errRecord
			}
			came.change(v.came, 1)
			return nil
		}); err != nil {
			return err
		}
		for m, n := range came.cells {
			if err := put(keyCame(m), number(uint64(n))); err != nil {
				return failed(err)
			}
		}
	}
	if version < 3 {
		if err := each(db, key('q'), func(k, raw []byte) error {
			v, ok := parseQueue(raw)
			if !ok {
				return errRecord
			}
			return put(keyIn(v.box, k), nil)
		}); err != nil {
			return err
		}
		if err := each(db, key('n'), func(k, raw []byte) error {
			v, ok := parseNotice(raw)
			if !ok {
				return errRecord
			}
			return put(keyIn(v.box, k), nil)
		}); err != nil {
			return err
		}
	}
	if err := put(keyTotals(), totals); err != nil {
		return failed(err)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return failed(err)
	}
	return nil
}
