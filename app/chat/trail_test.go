package chat

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// Alice asks what became of two messages: one that waited for Bob at a relay, and
// one that he took himself.
func TestTheTrailOfAMessage(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		waited := alice.Says(bob, "until tomorrow")
		alice.Sees(waited, api.Kept)
		left := time.Now()
		w.Advance(24 * time.Hour)
		bob.Returns()
		alice.Sees(waited, api.Delivered)
		direct := alice.Says(bob, "good morning")
		alice.Sees(direct, api.Delivered)

		trail := alice.Trails(waited)
		// Bob is called as soon as he is there, and may have it over the line first.
		want := []string{"queued  ", "deposited mailbox good", "acknowledged mailbox inner", "state  "}
		over := []string{"queued  ", "deposited mailbox good", "acknowledged direct good", "state  "}
		if got := steps(trail); !slices.Equal(got, want) && !slices.Equal(got, over) {
			w.Fatalf("the trail of what waited is %q, want %q or %q", got, want, over)
		}
		at := trail[1]
		if at.Peer != oak.id().String() || at.Until.Sub(left).Round(time.Hour) != giveUpAfter {
			w.Errorf("it was left at %s for %s", at.Peer, at.Until.Sub(left))
		}
		if after := trail[2].Time.Sub(left); after < 24*time.Hour {
			w.Errorf("it was acknowledged %s after it was left", after)
		}
		if last := trail[3].State; last != api.Delivered {
			w.Errorf("it is %s in the end", last)
		}
		want = []string{"queued  ", "acknowledged direct good", "state  "}
		if got := steps(alice.Trails(direct)); !slices.Equal(got, want) {
			w.Errorf("the trail of what went directly is %q, want %q", got, want)
		}

		// Bob cannot ask for it, nor anybody for what there is not.
		for _, id := range []string{waited.String(), content.NewID().String(), "", "nonsense"} {
			if _, err := bob.Trail(context.Background(), id); !errors.Is(err, problem.NoSuchMessage) {
				w.Errorf("the trail of %q: %v", id, err)
			}
		}
	})
}

// What was changed in the database proves nothing, and what nobody can check any more
// is said to be so.
func TestProofsAreChecked(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		direct := alice.Says(bob, "hello")
		alice.Sees(direct, api.Delivered)
		bob.Leaves()
		kept := alice.Says(bob, "until tomorrow")
		alice.Sees(kept, api.Kept)

		deposit, ack := alice.evidence(kept, store.WhatDeposit), alice.evidence(direct, store.WhatAck)
		for i := range deposit.Proof {
			changed := deposit
			changed.Proof = slices.Clone(deposit.Proof)
			changed.Proof[i] ^= 1
			if got := alice.stepView(changed); got.Proof != api.ProofWrong {
				w.Fatalf("a receipt with byte %d flipped is %s", i, got.Proof)
			}
		}
		for _, changed := range [][]byte{nil, deposit.Proof[:40], deposit.Proof[:len(deposit.Proof)-1], append(slices.Clone(deposit.Proof), 0)} {
			deposit.Proof = changed
			if got := alice.stepView(deposit); got.Proof != api.ProofWrong {
				w.Errorf("a receipt of %d bytes is %s", len(changed), got.Proof)
			}
		}
		if got := alice.stepView(ack); got.Proof != api.ProofGood {
			w.Errorf("the acknowledgement is %s", got.Proof)
		}
		ack.Device = identity.DevicePublic{1} // one without a session
		if got := alice.stepView(ack); got.Proof != api.ProofGone {
			w.Errorf("an acknowledgement of a session that is gone is %s", got.Proof)
		}
		ack.Proof = ack.Proof[1:]
		if got := alice.stepView(ack); got.Proof != api.ProofWrong {
			w.Errorf("an acknowledgement cut short is %s", got.Proof)
		}
	})
}

// Trails is what Alice is told of a message.
func (p *person) Trails(id content.ID) []api.Step {
	p.w.Helper()
	list, err := p.Trail(context.Background(), id.String())
	p.w.check(err)
	return list
}

// evidence is the one piece of a kind in a message's trail.
func (p *person) evidence(id content.ID, what store.What) store.Evidence {
	p.w.Helper()
	for _, e := range p.trail(id) {
		if e.What == what {
			return e
		}
	}
	p.w.Fatalf("no %s in the trail", what)
	return store.Evidence{}
}

// steps are a trail without its times.
func steps(list []api.Step) (short []string) {
	for _, s := range list {
		short = append(short, string(s.What)+" "+s.Path+" "+string(s.Proof))
	}
	return short
}
