package store

import (
	"errors"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// A message that is edited, reacted to and deleted: each leaves what it should, and no more.
func TestWhatIsDoneToAMessage(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	bob, reply := identity.AccountID{7}, MessageID{9}
	m := said(conv, 1)
	m.Reply, m.Forwarded, m.Timer, m.Vanish = &reply, true, time.Hour, day0().Add(time.Hour)
	other := said(conv, 2)
	update(t, s, func(tx *Tx) (err error) {
		if m.ID, err = tx.InsertMessage(m); err != nil {
			return err
		}
		same(t, "as it was said", must(t, tx, m.ID), m)
		other.ID, err = tx.InsertMessage(other)
		return err
	})
	update(t, s, func(tx *Tx) error {
		_, err := tx.Reaction(m.ID, bob)
		is(t, "no reaction yet", err, ErrNotFound)
		if err := errors.Join(
			tx.PutReaction(Reaction{m.ID, bob, "👍", day0()}), tx.PutReaction(Reaction{m.ID, bob, "👎", day0().Add(time.Second)}),
			tx.PutReaction(Reaction{m.ID, identity.AccountID{1}, "", day0()}), tx.PutReaction(Reaction{other.ID, bob, "🎈", day0()}),
			tx.EditMessage(m.ID, []byte("better"), day0().Add(time.Minute))); err != nil {
			return err
		}
		m.Body, m.Edited = []byte("better"), day0().Add(time.Minute)
		same(t, "edited", must(t, tx, m.ID), m)
		list, err := tx.Reactions(conv, m.ID, m.ID)
		same(t, "reactions", list, []Reaction{{m.ID, bob, "👎", day0().Add(time.Second)}})
		if err != nil {
			return err
		}
		list, err = tx.Reactions(conv+1, m.ID, other.ID)
		same(t, "reactions in another conversation", len(list), 0)
		return err
	})
	update(t, s, func(tx *Tx) error {
		if err := tx.DeleteMessage(m.ID, false, day0().Add(time.Hour)); err != nil {
			return err
		}
		m.Body, m.Edited, m.Reply, m.Forwarded, m.Vanish, m.Deleted = []byte{}, time.Time{}, nil, false, time.Time{}, day0().Add(time.Hour)
		same(t, "deleted", must(t, tx, m.ID), m)
		list, err := tx.Reactions(conv, m.ID, other.ID)
		same(t, "reactions that are left", len(list), 1)
		lines, err2 := tx.Messages(conv, 0, 10)
		same(t, "lines", len(lines), 2)
		return errors.Join(err, err2, tx.DeleteMessage(m.ID, true, day0()))
	})
	view(t, s, func(tx *Tx) error {
		lines, err := tx.Messages(conv, 0, 10)
		same(t, "lines after one was removed", len(lines), 1)
		return err
	})
}

func must(t *testing.T, tx *Tx, id int64) Message {
	t.Helper()
	m, err := tx.Message(id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What acts upon a message that is not here waits for it, and the oldest for no more
// than EarlyActsMax others.
func TestEarlyActsAreBounded(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	const more = 5
	update(t, s, func(tx *Tx) error {
		for n := range EarlyActsMax + more {
			m := said(conv, 1)
			m.Message, m.Silent = MessageID{1, byte(n), byte(n >> 8)}, true
			id, err := tx.InsertMessage(m)
			if err != nil {
				return err
			}
			if err := tx.PutEarlyAct(id, conv, MessageID{2, byte(n % 2)}); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx *Tx) error {
		first, err := tx.TakeEarlyActs(conv, MessageID{2, 0})
		if err != nil {
			return err
		}
		second, err := tx.TakeEarlyActs(conv, MessageID{2, 1})
		same(t, "that waited", len(first)+len(second), EarlyActsMax)
		same(t, "the oldest that waited", second[0].Message, MessageID{1, more})
		if err != nil {
			return err
		}
		again, err := tx.TakeEarlyActs(conv, MessageID{2, 0})
		same(t, "that wait still", len(again), 0)
		return err
	})
}

// Messages disappear in their order; what is no line is forgotten when no copy of it can
// come any more, and what is in the outbox not before it left.
func TestMessagesDisappear(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	update(t, s, func(tx *Tx) error {
		_, err := tx.NextVanish()
		is(t, "nothing disappears", err, ErrNotFound)
		for n := range byte(3) {
			m := said(conv, n)
			m.At = day0()
			if m.ID, err = tx.InsertMessage(m); err != nil {
				return err
			}
			if err := tx.SetVanish(m.ID, day0().Add(time.Duration(3-n)*time.Hour)); err != nil {
				return err
			}
		}
		at, err := tx.NextVanish()
		same(t, "the first to disappear", at, day0().Add(time.Hour))
		if err != nil {
			return err
		}
		due, err := tx.Vanishing(day0().Add(2 * time.Hour))
		same(t, "due", len(due), 2)
		for _, m := range due {
			err = errors.Join(err, tx.DeleteMessage(m.ID, true, day0()))
		}
		_, err2 := tx.Enqueue(Outgoing{Message: due[0].ID, Device: bobsPhone, Class: ClassMessage, Created: day0(), Next: day0()})
		return errors.Join(err, err2)
	})
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{SeenFor - time.Second, 3}, {SeenFor, 2}} {
		if err := s.Maintain(t.Context(), day0().Add(step.after)); err != nil {
			t.Fatal(err)
		}
		left := 0
		for n := range byte(3) {
			view(t, s, func(tx *Tx) error {
				_, err := tx.MessageByID(MessageID{n})
				if err == nil {
					left++
				}
				return nil
			})
		}
		same(t, "left after "+step.after.String(), left, step.left)
	}
}

// The authors of what was read are told once.
func TestUntoldReads(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	update(t, s, func(tx *Tx) error {
		var ids []int64
		for n := range byte(3) {
			id, err := tx.InsertMessage(said(conv, n))
			if err != nil {
				return err
			}
			ids = append(ids, id)
			if err := errors.Join(tx.NoteRead(id), tx.NoteRead(id)); err != nil {
				return err
			}
		}
		if err := errors.Join(tx.ToldRead(ids[0]), tx.DeleteMessage(ids[1], false, day0())); err != nil {
			return err
		}
		list, err := tx.UntoldReads()
		same(t, "untold", len(list), 1)
		same(t, "which", list[0].ID, ids[2])
		if err := errors.Join(err, tx.ForgetReads()); err != nil {
			return err
		}
		list, err = tx.UntoldReads()
		same(t, "untold after all were forgotten", len(list), 0)
		return err
	})
}
