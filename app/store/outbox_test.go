package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// TestTheLifeOfASentMessage: queued, sealed, kept at one relay, refused at
// another, acknowledged.
func TestTheLifeOfASentMessage(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	wire := bytes.Repeat([]byte{7}, 4056)
	hash := Hash(sha256.Sum256(wire))
	sid := SessionID{3}
	mine := Message{Message: MessageID{1}, Conversation: id, Author: identity.DevicePublic{0xa}, Mine: true, Sent: day0(), At: day0(), Kind: 1,
		Body: []byte("hi"), State: Queued, Expires: day0().Add(30 * 24 * time.Hour), Shown: true}
	out := Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Created: day0(), Expires: mine.Expires, Next: day0()}
	update(t, s, func(tx *Tx) (err error) {
		if mine.ID, err = tx.InsertMessage(mine); err != nil {
			return err
		}
		out.Message = mine.ID
		out.ID, err = tx.Enqueue(out)
		return err
	})
	one := func(verb func(*Tx) ([]Outgoing, error)) []Outgoing { t.Helper(); return get(t, s, verb) }
	want := []Outgoing{out}
	same(t, "pending", one(func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, 0, 10) }), want)
	same(t, "pending after it", len(one(func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, out.ID, 10) })), 0)
	same(t, "of the message", one(func(tx *Tx) ([]Outgoing, error) { return tx.OutgoingOf(mine.ID) }), want)

	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.SetSealed(out.ID, sid, wire, hash, true), tx.SetFlight(out.ID, false), tx.Postpone(out.ID, 1, day0().Add(time.Minute)))
	})
	out.Session, out.Wire, out.Hash, out.Size, out.Attempts, out.Next = &sid, wire, &hash, len(wire), 1, day0().Add(time.Minute)
	same(t, "sealed", get(t, s, func(tx *Tx) (Outgoing, error) { return tx.OutgoingByHash(hash) }), out)

	until := day0().Add(30 * 24 * time.Hour)
	deposits := []Deposit{
		{Outbox: out.ID, Relay: "relay-1", Receipt: []byte("signed"), Until: until, At: day0()},
		{Outbox: out.ID, Relay: "relay-2", Reason: "REL-05", At: day0()},
	}
	update(t, s, func(tx *Tx) error {
		for _, d := range deposits {
			if err := tx.PutDeposit(Deposit{Outbox: d.Outbox, Relay: d.Relay, Reason: "NET-01", At: day0()}); err != nil {
				return err
			}
			if err := tx.PutDeposit(d); err != nil {
				return err
			}
		}
		return errors.Join(tx.SetState(mine.ID, Kept, "REL-05"),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-1", What: WhatDeposit, Proof: []byte("signed")}),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-2", What: WhatRefused, Reason: "REL-05", Via: "relay-3"}))
	})
	same(t, "deposits", get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(out.ID) }), deposits)
	same(t, "expiring", get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.ExpiringDeposits(until) }), deposits[:1])
	noted := deposits[0]
	noted.Reason = "REL-14"
	update(t, s, func(tx *Tx) error { return tx.PutDeposit(noted) })
	same(t, "noted as ended", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.ExpiringDeposits(until) })), 0)
	count := func(now time.Time) Undelivered {
		return get(t, s, func(tx *Tx) (Undelivered, error) { return tx.Undelivered(now) })
	}
	same(t, "at a relay", count(until.Add(-time.Millisecond)), Undelivered{Waiting: 1})
	same(t, "here only", count(until), Undelivered{Waiting: 1, Queued: 1})
	contacts := func(reason string) int {
		return get(t, s, func(tx *Tx) (int, error) { return tx.ContactsWaiting(reason) })
	}
	same(t, "kept, whatever else is said", contacts("REL-05"), 0)
	update(t, s, func(tx *Tx) error { return tx.SetState(mine.ID, Queued, "MSG-10") })
	same(t, "contacts for whom something waits", [2]int{contacts("MSG-10"), contacts("REL-05")}, [2]int{1, 0})
	update(t, s, func(tx *Tx) error { return tx.SetState(mine.ID, Kept, "REL-05") })
	same(t, "waiting", get(t, s, (*Tx).Waiting), map[Class]int{ClassMessage: 1})
	same(t, "expired", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires) })), 1)
	same(t, "not yet", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires.Add(-time.Millisecond)) })), 0)

	update(t, s, func(tx *Tx) error {
		taken, err := tx.Acknowledge(hash)
		same(t, "acknowledged", taken, Taken{out.ID, mine.ID, bobsPhone, ClassMessage, out.Created})
		if err != nil {
			return err
		}
		_, err = tx.Acknowledge(hash)
		is(t, "acknowledged twice", err, ErrNotFound)
		return errors.Join(tx.SetState(mine.ID, Delivered, ""),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathDirect, What: WhatAck, Proof: []byte("mac")}))
	})
	same(t, "deposits went with it", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(out.ID) })), 0)
	same(t, "a trail of three", len(get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(mine.ID) })), 3)
	// A relay that refuses for ever, each time for another reason, fills no disk; what others
	// promised, and that it was acknowledged, stays.
	update(t, s, func(tx *Tx) error {
		for i := range 3 * MaxSteps {
			e := Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-2", What: WhatRefused, Reason: fmt.Sprint("no ", i)}
			if err := tx.AddEvidence(e); err != nil {
				return err
			}
		}
		return nil
	})
	trail := get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(mine.ID) })
	same(t, "steps of a long trail", len(trail), MaxSteps+2)
	same(t, "its first", trail[0].Peer, PeerID("relay-1"))
	same(t, "its last", trail[len(trail)-1].Reason, fmt.Sprint("no ", 3*MaxSteps-1))
	same(t, "state", get(t, s, func(tx *Tx) (Message, error) { return tx.Message(mine.ID) }).State, Delivered)
	same(t, "delivered does not expire", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires) })), 0)
}

func TestOnlyTheNewestDescriptorsAreSent(t *testing.T) {
	s := openNew(t)
	other := identity.DevicePublic{0xcc}
	update(t, s, func(tx *Tx) error {
		for _, o := range []Outgoing{
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("1")},
			{Device: other, Class: ClassDescriptors, Item: []byte("other's")},
			{Device: bobsPhone, Class: ClassReceipt, Item: []byte("receipt")},
			{Device: bobsPhone, Class: ClassReceipt, Item: []byte("receipt")},
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("2")},
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("3")},
		} {
			o.Created, o.Next = day0(), day0()
			if _, err := tx.Enqueue(o); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "waiting", get(t, s, (*Tx).Waiting), map[Class]int{ClassReceipt: 2, ClassDescriptors: 2})
	update(t, s, func(tx *Tx) error {
		list, err := tx.Pending(bobsPhone, 0, 10)
		if err != nil {
			return err
		}
		last := list[len(list)-1]
		same(t, "the newest", string(last.Item), "3")
		taken, err := tx.Withdraw(last.ID)
		same(t, "withdrawn", taken.Class, ClassDescriptors)
		return err
	})
}

// Whoever has read the outbox up to a row has missed nothing, also when that row was there before
// the Store was opened and has left since.
func TestOutboxIDsAreNotGivenTwice(t *testing.T) {
	s := openNew(t)
	out := Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Created: day0(), Next: day0()}
	var before, after int64
	update(t, s, func(tx *Tx) (err error) {
		before, err = tx.Enqueue(out)
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.Path(), Options{})
	update(t, s, func(tx *Tx) error {
		_, err := tx.Withdraw(before)
		return err
	})
	update(t, s, func(tx *Tx) (err error) {
		after, err = tx.Enqueue(out)
		return err
	})
	if after <= before {
		t.Errorf("row %d is followed by row %d", before, after)
	}
}
