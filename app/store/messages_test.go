package store

import (
	"testing"
	"time"
)

// said is Bob's n-th message.
func said(conversation int64, n byte) Message {
	return Message{Message: MessageID{n}, Conversation: conversation, Author: bobsPhone, Seq: uint64(n), Prev: [32]byte{n}, Sent: day0(),
		At: day0().Add(time.Duration(n) * time.Second), Kind: 1, Body: []byte{n}, State: Received, Shown: true}
}

func TestMessagesArePagedInTheOrderTheyCame(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	var want []Message
	update(t, s, func(tx *Tx) error {
		for n := range byte(5) {
			m := said(id, n)
			var err error
			if m.ID, err = tx.InsertMessage(m); err != nil {
				return err
			}
			want = append(want, m)
		}
		_, err := tx.InsertMessage(want[2])
		is(t, "the same message twice", err, ErrExists)
		return nil
	})
	page := func(before int64, limit int) []Message {
		return get(t, s, func(tx *Tx) ([]Message, error) { return tx.Messages(id, before, limit) })
	}
	same(t, "newest two", page(0, 2), want[3:])
	same(t, "three before", page(want[3].ID, 3), want[:3])
	same(t, "before the first", len(page(want[0].ID, 3)), 0)
	same(t, "by id", get(t, s, func(tx *Tx) (Message, error) { return tx.MessageByID(MessageID{4}) }), want[4])
	same(t, "by row", get(t, s, func(tx *Tx) (Message, error) { return tx.Message(want[4].ID) }), want[4])
}

// TestAMessageWaitsForItsPredecessor: Bob's second message overtakes the first,
// and is shown after it all the same.
func TestAMessageWaitsForItsPredecessor(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	second := said(id, 2)
	second.Shown, second.ShowBy = false, day0().Add(24*time.Hour)
	update(t, s, func(tx *Tx) error {
		row, err := tx.InsertMessage(second)
		if err != nil {
			return err
		}
		second.ID = row
		hidden, err := tx.NextHidden(bobsPhone, id, second.Seq)
		same(t, "hidden", hidden, second)
		if err != nil {
			return err
		}
		_, err = tx.NextHidden(bobsPhone, id, second.Seq-1)
		is(t, "nothing that early", err, ErrNotFound)
		list, err := tx.Messages(id, 0, 10)
		same(t, "shown", len(list), 0)
		if err != nil {
			return err
		}
		overdue, err := tx.Overdue(day0().Add(24*time.Hour - time.Millisecond))
		same(t, "overdue", len(overdue), 0)
		if err != nil {
			return err
		}
		overdue, err = tx.Overdue(day0().Add(24 * time.Hour))
		same(t, "overdue a day later", len(overdue), 1)
		if err != nil {
			return err
		}
		if _, err := tx.InsertMessage(said(id, 1)); err != nil {
			return err
		}
		row, err = tx.Show(second.ID, day0())
		if err != nil {
			return err
		}
		_, err = tx.Show(row, day0())
		is(t, "shown twice", err, ErrNotFound)
		list, err = tx.Messages(id, 0, 10)
		if err != nil {
			return err
		}
		same(t, "order", []uint64{list[0].Seq, list[1].Seq}, []uint64{1, 2})
		same(t, "row", list[1].ID, row)
		return nil
	})
}
