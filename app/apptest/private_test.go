package apptest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
)

// knowsWays waits until all that a person leaves for another goes through other relays, and
// gives the trail of a message that did.
func knowsWays(p, other *apptest.Person, relays int) (deposits []api.Step) {
	p.Awaits("all to go through other relays", func(ctx context.Context) bool {
		id := p.Says(other, "which way?")
		m := p.Sees(other, id, api.Kept)
		p.Awaits("all receipts", func(context.Context) bool {
			m = p.Finds(other, id)
			return m.Relays != nil && m.Relays.Kept == relays
		})
		steps, err := p.Trail(ctx, api.TrailRequest{ID: id})
		deposits = slices.DeleteFunc(steps, func(s api.Step) bool { return s.What != api.StepDeposited })
		return err == nil && !slices.ContainsFunc(deposits, func(s api.Step) bool { return s.Via == "" })
	})
	return deposits
}

// Alice and Bob share three relays. What Alice leaves for Bob, who is away, reaches each
// of them through another; one of them stops, and it is kept all the same.
func TestPrivateRouting(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Private()
	var relays []*apptest.Relay
	for _, name := range three {
		relays = append(relays, w.Relay(name))
	}
	alice, bob := w.Person("alice", three...), w.Person("bob", three...)
	alice.Meets(bob)
	if s, err := alice.Status(t.Context(), api.StatusRequest{}); err != nil || !s.Private {
		t.Errorf("the status says %+v, %v", s, err)
	}
	bob.Leaves()
	for _, s := range knowsWays(alice, bob, 3) {
		if s.Via == s.Peer || s.Proof != api.ProofGood || !slices.ContainsFunc(relays, func(r *apptest.Relay) bool { return r.ID().String() == s.Via }) {
			t.Errorf("it was left so: %+v", s)
		}
	}
	relays[0].Stops()
	id := alice.Says(bob, "with one relay less")
	alice.Sees(bob, id, api.Kept)
	relays[0].Starts()
	bob.Returns()
	alice.Sees(bob, id, api.Delivered)
	heard := bob.Hears(alice)
	if heard[len(heard)-1] != "with one relay less" {
		t.Errorf("bob hears %q", heard)
	}
}
