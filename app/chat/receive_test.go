package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/node"
)

// Alice's messages to Bob are acknowledged, and read, by Bob's device only, whatever
// Mallory's says.
func TestReceiptsForAnothersMessages(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob, mallory := w.Person("alice", oak), w.Person("bob", oak), w.Person("mallory", oak)
		sharing(alice)
		alice.Meets(bob)
		alice.Meets(mallory)
		bob.Leaves()
		id := alice.Says(bob, "for Bob")
		alice.Sees(id, api.Kept)
		hash := *alice.outbox(bob)[0].Hash
		mallory.SendsItems(alice,
			item(content.KindReceipt, marshal(content.Receipt{Hashes: [][32]byte{hash}}.Marshal())),
			item(content.KindRead, marshal(content.Read{IDs: []content.ID{id}}.Marshal())))
		w.Advance(10 * time.Second)
		if sent := alice.state(id); sent.State != api.Kept {
			w.Errorf("after Mallory's receipt the message is %s", sent.State)
		}
		bob.Returns()
		alice.Sees(id, api.Delivered)
		// Bob has read it, says so twice, and then that he has it.
		for range 2 {
			bob.SendsItems(alice, item(content.KindRead, marshal(content.Read{IDs: []content.ID{id}}.Marshal())))
			alice.Sees(id, api.Read)
			w.Advance(10 * time.Second)
		}
		bob.SendsItems(alice, item(content.KindReceipt, marshal(content.Receipt{Hashes: [][32]byte{hash}}.Marshal())))
		w.Advance(10 * time.Second)
		if sent := alice.state(id); sent.State != api.Read {
			w.Errorf("what was read is %s now", sent.State)
		}
		readings := 0
		for _, e := range alice.trail(id) {
			if e.What == store.WhatReceipt && e.Proof == nil { // with one it is that his device has it
				readings++
			}
		}
		if readings != 1 {
			w.Errorf("being read twice left %d entries in the trail", readings)
		}
		// What Bob said himself he cannot mark as read at Alice's.
		alice.Reads(bob)
		said := bob.Says(alice, "from Bob")
		alice.Reads(bob, "from Bob")
		bob.SendsItems(alice, item(content.KindRead, marshal(content.Read{IDs: []content.ID{said}}.Marshal())))
		w.Advance(10 * time.Second)
		if m := alice.heard(bob)[0]; m.State != "" {
			w.Errorf("Bob's own message has the state %q", m.State)
		}
	})
}

// What a later version says is kept and shown as what it is, and acknowledged; what
// stands beside it is not lost.
func TestKindsOfTheFuture(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		future := said(alice, bob, 1, [32]byte{}, "\x01\x02 a hologram")
		future.Kind = 4711
		alice.SendsItems(bob, item(9000, []byte("not said, but done")), future, said(alice, bob, 2, future.Hash(), "did you see it?"))
		w.Advance(10 * time.Second)
		heard := bob.heard(alice)
		if len(heard) != 2 || heard[0].Kind != "unknown-4711" || heard[0].Text != "" || heard[1].Text != "did you see it?" {
			w.Fatalf("Bob sees %+v", heard)
		}
		bob.View(func(tx *store.Tx) error {
			m, err := tx.MessageByID(store.MessageID(future.ID))
			if string(m.Body) != "\x01\x02 a hologram" {
				w.Errorf("it is kept as %q", m.Body)
			}
			return err
		})
		if n := alice.waiting(); n != 0 {
			w.Errorf("%d messages were not acknowledged", n)
		}
	})
}

// Two messages of one number wait for one that is missing: Alice's profile was
// copied. When the wait is over both are shown, with the reason, and the next too.
func TestTwoOfOneNumberWait(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		first := said(alice, bob, 1, [32]byte{}, "first")
		one := said(alice, bob, 2, first.Hash(), "second, by one of them")
		other := said(alice, bob, 2, first.Hash(), "second, by the other")
		third := said(alice, bob, 3, one.Hash(), "third")
		alice.SendsItems(bob, third, one)
		alice.SendsItems(bob, other)
		w.Advance(time.Second)
		bob.ReadsNow(alice)
		alice.SendsItems(bob, first)
		w.Advance(time.Second)
		bob.ReadsNow(alice, "first", "second, by one of them", "second, by the other", "third")
		for i, m := range bob.heard(alice) {
			if again := m.Reason == Reason(string(problem.Renumbered)); again != (i == 2) {
				w.Errorf("%q is shown with %q", m.Text, m.Reason)
			}
		}
	})
}

// A contact who is blocked is not heard, and does not learn whether Alice is there
// by more than that; unblocked, they talk again.
func TestBlocked(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, mallory := w.Person("alice", oak), w.Person("mallory", oak)
		alice.Meets(mallory)
		block := func(at time.Time) {
			_, err := alice.ChangeContact(w.Context(), alice.contact(mallory).ID, "blocked", func(c *store.Contact) error {
				c.Blocked = at
				return nil
			})
			w.check(err)
		}
		block(time.Now())
		direct := mallory.Says(alice, "directly")
		w.Advance(time.Minute)
		alice.Leaves()
		mailed := mallory.Says(alice, "by mailbox")
		w.Advance(time.Minute)
		alice.Returns()
		w.Advance(time.Minute)
		alice.ReadsNow(mallory)
		for _, id := range []content.ID{direct, mailed} {
			if sent := mallory.state(id); sent.State == api.Delivered {
				w.Errorf("a message to who blocked its author is %s", sent.State)
			}
		}
		if _, err := alice.Send(w.Context(), alice.finds(mallory), Words{Text: "hello"}, api.Queued, 0); !errors.Is(err, problem.ContactBlocked) {
			w.Errorf("writing to who is blocked: %v", err)
		}
		if alice.Connected() != 0 {
			w.Error("who is blocked is connected")
		}
		block(time.Time{})
		mallory.Leaves()
		mallory.Returns()
		w.Advance(time.Minute)
		alice.Sees(alice.Says(mallory, "again"), api.Delivered)
	})
}

// While Mallory is blocked nobody calls her, nothing is left for her anywhere, and she
// is not told of a new relay; once she is not, she is, and gets what waited.
func TestNothingIsDoneForTheBlocked(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm, yew := w.Relay("oak"), w.Relay("elm"), w.Relay("yew")
		alice, mallory := w.Person("alice", oak), w.Person("mallory", elm)
		alice.Meets(mallory)
		block := func(at time.Time) {
			_, err := alice.ChangeContact(w.Context(), alice.contact(mallory).ID, "changed", func(c *store.Contact) error { c.Blocked = at; return nil })
			w.check(err)
		}
		mallory.Leaves()
		elm.Stops()
		id := alice.Says(mallory, "said before")
		block(time.Now())
		w.Advance(time.Minute)
		elm.Starts()
		calls, kept, queues := w.wires.dialled(mallory.address()), elm.deposits(), len(alice.ownQueues(mallory))
		w.check(alice.AddRelay(w.Context(), yew.info(), store.RelayByHand, nil))
		w.Advance(time.Hour)
		alice.Leaves()
		w.Pass(6 * day) // the queues are old
		alice.Returns()
		w.Advance(time.Hour)
		if n := w.wires.dialled(mallory.address()) - calls; n > 0 {
			w.Errorf("who is blocked was called %d times", n)
		}
		if n := elm.deposits() - kept; n > 0 {
			w.Errorf("%d things were left for who is blocked", n)
		}
		if n := len(alice.ownQueues(mallory)) - queues; n > 0 {
			w.Errorf("%d queues were made for who is blocked", n)
		}
		block(time.Time{})
		alice.Sees(id, api.Kept)
		w.Advance(time.Minute)
		alice.Leaves()
		mallory.Returns()
		mallory.Reads(alice, "said before")
		if n := len(mallory.theirQueues(alice)); n != 2 {
			w.Errorf("who was blocked knows %d of two relays", n)
		}
	})
}

// Alice removes Bob: the history goes, nothing is sent to him any more, what he
// sends is not kept, and they can meet again.
func TestRemoved(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "hello"), api.Delivered)
		bob.Leaves()
		oak.Stops()
		alice.Says(bob, "never sent")
		w.Advance(time.Minute) // what is on its way when he is removed may still arrive
		w.check(alice.RemoveContact(w.Context(), alice.contact(bob).ID))
		if n := len(alice.outbox(bob)); n != 0 {
			w.Errorf("%d rows wait for who was removed", n)
		}
		oak.Starts()
		w.check(alice.AddRelay(w.Context(), elm.info(), store.RelayByHand, nil)) // contacts are told
		w.Advance(time.Minute)
		if n := len(alice.outbox(bob)) + len(alice.ownQueues(bob)); n != 0 {
			w.Errorf("%d things were made for who was removed", n)
		}
		bob.Returns()
		bob.Says(alice, "are you angry?")
		w.Advance(time.Minute)
		alice.ReadsNow(bob)
		if got := alice.contact(bob); got.Petname != "" || got.Name != "" || got.Removed.IsZero() {
			w.Errorf("what is left of Bob: %+v", got)
		}
		if list, err := alice.Relays(w.Context()); err != nil || list[0].State != relayConnected {
			w.Errorf("the relay is %+v, %v", list, err)
		}
		bob.Accepts(alice, alice.Invites(), "let us talk")
		w.Advance(time.Minute)
		alice.Reads(bob, "are you angry?", "let us talk")
		alice.Sees(alice.Says(bob, "fine"), api.Delivered)
		bob.Reads(alice, "hello", "fine")
	})
}

// Bob taps the link twice, and once more after a day. It is one contact, and what he
// says arrives.
func TestAcceptedTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		link := alice.Invites()
		alice.Leaves()
		bob.Accepts(alice, link, "hello")
		bob.Accepts(alice, link, "")
		bob.Says(alice, "are you there?")
		w.Advance(time.Minute)
		bob.Accepts(alice, link, "")
		bob.Says(alice, "it is me")
		alice.Returns()
		w.Advance(time.Minute)
		alice.Reads(bob, "hello", "are you there?", "it is me")
		alice.Sees(alice.Says(bob, "yes"), api.Delivered)
		w.Advance(time.Minute)
		if n := bob.waiting(); n != 0 {
			w.Errorf("%d rows are left in the outbox", n)
		}
	})
}

// What Alice said to Bob is more than an answer of the local API holds. It is read by pages,
// whole, in order, and from either end.
func TestALongConversationIsReadByPages(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.Person("alice"), w.Person("bob")
		bob.Meets(alice)
		bob.Leaves()
		const said, size = 300, 50_000
		var want []string
		for i := range said {
			want = append(want, alice.Says(bob, fmt.Sprintf("%04d%s", i, strings.Repeat("x", size))).String())
		}
		for name, next := range map[string]func(page []api.Message) Page{
			"from the newest": func(page []api.Message) Page { return Page{Before: page[0].ID} },
			"from the oldest": func(page []api.Message) Page { return Page{After: page[len(page)-1].ID} },
		} {
			var got []string
			at := Page{}
			if name == "from the oldest" {
				at.After, got = want[0], want[:1:1]
			}
			for len(got) < said {
				page, err := alice.Messages(w.Context(), alice.contact(bob), at, api.MaxMessages)
				w.check(err)
				if len(page) == 0 || len(page)*size > maxPage {
					t.Fatalf("%s: %d messages in one page, after %d", name, len(page), len(got))
				}
				ids := make([]string, len(page))
				for i, m := range page {
					ids[i] = m.ID
				}
				if at = next(page); at.Before != "" {
					got = append(ids, got...)
				} else {
					got = append(got, ids...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d messages, not as they were said", name, len(got))
			}
		}
		around, err := alice.Messages(w.Context(), alice.contact(bob), Page{Around: want[150]}, api.MaxMessages)
		if err != nil || len(around)*size > maxPage || !slices.ContainsFunc(around, func(m api.Message) bool { return m.ID == want[150] }) {
			t.Errorf("around one there are %d, %v", len(around), err)
		}
	})
}

// Alice writes to Bob and goes. When he comes, the relay cannot tell by the time alone that what
// he leaves for her answers what he took: he waits up to five seconds, each time as long as chance
// will have it. On one computer alone nobody waits.
func TestAcknowledgementsByMailboxAreHeldBack(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		isReceipt := func(o store.Outgoing) bool { return o.Class == store.ClassReceipt }
		held := make(map[time.Duration]bool) // in halves of a second
		for round := range 24 {
			bob.Leaves()
			alice.Returns()
			id := alice.Says(bob, fmt.Sprint(round))
			alice.Sees(id, api.Kept)
			alice.Leaves()
			bob.Starts()
			var o store.Outgoing
			ctx, cancel := context.WithTimeout(w.Context(), patience)
			came, err := bob.await(ctx, func(tx *store.Tx) (bool, error) { // at once: it may go soon
				rows, err := tx.Pending(alice.device.Public(), 0, 100)
				i := slices.IndexFunc(rows, isReceipt)
				if i >= 0 {
					o = rows[i]
				}
				return i >= 0, err
			})
			cancel()
			if err != nil || !came {
				t.Fatal("bob acknowledges nothing", err)
			}
			wait := o.Next.Sub(o.Created)
			if wait < 0 || wait > receiptJitter {
				t.Fatalf("an acknowledgement waits for %s", wait)
			}
			held[wait/(500*time.Millisecond)] = true
			w.Advance(time.Until(o.Next) - time.Millisecond)
			if wait > time.Millisecond && !slices.ContainsFunc(bob.outbox(alice), isReceipt) {
				t.Error("it went sooner")
			}
			bob.Awaits("it to go then", func() bool { return !slices.ContainsFunc(bob.outbox(alice), isReceipt) })
		}
		if len(held) < 5 { // of ten; by chance fewer once in 10^7
			t.Errorf("they all wait for as long: %v", held)
		}
	})
	n, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if d := (&Chat{node: n}).jitter(); d != 0 {
		t.Errorf("on one computer it waits for %s", d)
	}
}
