package chat

import (
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

// notes counts those in a conversation that say that the other side was recovered.
func (p *person) notes(other *person) (n int) {
	for _, m := range p.heard(other) {
		if m.Kind == content.KindRecovered.String() {
			n++
			if m.Reason != Reason(string(problem.Recovered)) || m.Text != "" {
				p.w.Errorf("%s's note says %+v", p.name, m)
			}
		}
	}
	return n
}

func (p *person) changes(change string) (n int) {
	for _, e := range p.saw(api.EventContact) {
		if e.Change == change {
			n++
		}
	}
	return n
}

// revoked is why a device that was revoked does nothing.
func (p *person) refusesAll(other *person) {
	p.w.Helper()
	if _, err := p.Send(p.w.Context(), byID(p.contact(other).ID), Words{Text: "hello?"}, api.Queued, 0); !errors.Is(err, problem.DeviceRevoked) {
		p.w.Errorf("%s sends: %v", p.name, err)
	}
	if _, err := p.Invite(p.w.Context(), identity.Single, 0); !errors.Is(err, problem.DeviceRevoked) {
		p.w.Errorf("%s invites: %v", p.name, err)
	}
	if _, err := p.Accept(p.w.Context(), other.Invites(), "", ""); !errors.Is(err, problem.DeviceRevoked) {
		p.w.Errorf("%s accepts: %v", p.name, err)
	}
}

// Bob's laptop is at the bottom of the sea; what Alice wrote is kept for it. With his words he
// comes back on a new one, and Alice accepts his invitation. To her he is the same person: the
// same contact, verified, the conversation goes on, with a note in it. What waited comes, what
// he had read does not.
func TestRecovery(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "read before"), api.Delivered)
		before := alice.contact(bob)
		_, err := alice.ChangeContact(w.Context(), before.ID, "verified", func(c *store.Contact) error { c.Verified = time.Now(); return nil })
		w.check(err)
		w.Advance(time.Minute)
		bob.Leaves()
		id := alice.Says(bob, "kept for the old laptop")
		alice.Sees(id, api.Kept)

		again := w.recovered(bob, "bob again", 0, oak)
		again.Returns()
		alice.Accepts(again, again.Invites(), "is it you?")
		alice.Sees(id, api.Delivered)
		again.Reads(alice, "kept for the old laptop", "is it you?")
		again.Sees(again.Says(alice, "it is me"), api.Delivered)
		w.Advance(time.Minute)

		after := alice.contact(again)
		if after.ID != before.ID || after.Verified.IsZero() || after.Frozen || after.PinHead != again.chain.Head() {
			w.Errorf("she was %+v and is %+v", before, after)
		}
		if identity.SafetyNumber(alice.chain.Root(), *before.Root) != identity.SafetyNumber(again.chain.Root(), alice.chain.Root()) {
			w.Error("the safety number has changed")
		}
		if n, e := alice.notes(again), alice.changes("recovered"); n != 1 || e != 1 {
			w.Errorf("%d notes in the conversation, told %d times", n, e)
		}
		if n := again.notes(alice); n != 0 {
			w.Errorf("%d notes on the side that recovered", n)
		}
		// Once more, with a contact who invites.
		again.Leaves()
		third := w.recovered(bob, "bob a third time", 0, oak)
		third.Returns()
		third.Accepts(alice, alice.Invites(), "the second fell in, too")
		w.Advance(time.Minute)
		if n, e := alice.notes(third), alice.changes("recovered"); n != 2 || e != 2 {
			w.Errorf("%d notes in the conversation, told %d times", n, e)
		}
		alice.Sees(alice.Says(third, "careful"), api.Delivered)
	})
}

// Attack 15. The old laptop was only lost, and is found. It learns from Alice, by its relay, that
// it was revoked: what waited on it is not sent and is said not to be, it does nothing
// more, and shows what it has.
func TestARevokedDeviceStops(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob, carol := w.Person("alice", oak), w.Person("bob", elm), w.Person("carol", oak)
		alice.Meets(bob)
		carol.Meets(bob)
		bob.Sees(bob.Says(alice, "from the old laptop"), api.Delivered)
		alice.Sees(alice.Says(bob, "read there"), api.Delivered)
		w.Advance(time.Minute)
		carol.Leaves()
		kept := bob.Says(carol, "kept before it was lost")
		bob.Sees(kept, api.Kept)
		bob.Leaves()
		again := w.recovered(bob, "bob again", 0, elm)
		again.Returns()
		again.Accepts(alice, alice.Invites(), "a new laptop")
		alice.Reads(bob, "from the old laptop", "a new laptop")
		w.Advance(time.Minute)

		oak.Stops() // so that what the old one says now stays with it
		elm.Stops()
		alice.Leaves()
		again.Leaves()
		bob.Returns()
		queued := bob.Says(carol, "said on the old one")
		elm.Starts()
		bob.Awaits("the old laptop to learn it", func() bool { return !bob.Revoked().IsZero() })
		w.Advance(time.Minute)
		oak.Starts()
		alice.Returns()
		again.Returns()
		if m := bob.state(queued); m.State != api.Failed || m.Reason != Reason(string(problem.DeviceRevoked)) {
			w.Errorf("what waited is %s: %s", m.State, m.Reason)
		}
		if m := bob.state(kept); m.State != api.Kept {
			w.Errorf("what a relay keeps is %s: %s", m.State, m.Reason)
		}
		carol.Returns()
		carol.Reads(bob, "kept before it was lost")
		told := bob.saw(api.EventAccount)
		if len(told) != 1 || told[0].Change != "revoked" || told[0].Reason == "" {
			w.Errorf("the person at the old laptop was told %+v", told)
		}
		at := bob.Revoked()
		for range 2 {
			bob.refusesAll(alice)
			if got := texts(bob.heard(alice)); !slices.Equal(got, []string{"read there"}) {
				w.Errorf("the old laptop shows %q", got)
			}
			bob.Leaves()
			bob.Returns()
			if !bob.Revoked().Equal(at.Truncate(time.Millisecond)) {
				w.Errorf("revoked at %v, after a restart %v", at, bob.Revoked())
			}
		}
		again.Sees(again.Says(alice, "here I am"), api.Delivered)
	})
}

// Attack 14 and 20: only ROOT's word, newer than what it knows, stops a device, and nobody puts
// a note into another's conversation.
func TestNobodyElseRevokes(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		bob, mallory := w.Person("bob", oak), w.Person("mallory", oak)
		bob.Meets(mallory)
		evil := w.NewPerson("evil", oak)
		for name, chain := range map[string]identity.Chain{
			"of another account":   identity.RestartChain(mallory.root, evil.device, evil.agree.Public(), time.Now(), 0),
			"its own, as it is":    bob.chain,
			"as old as its own":    identity.NewChain(bob.root, evil.device, evil.agree.Public(), time.Now()),
			"that lists it itself": identity.RestartChain(bob.root, bob.device, bob.agree.Public(), time.Now(), 0),
		} {
			body, err := content.Manifest{Chain: chain}.Marshal()
			w.check(err)
			mallory.must(func(t *turn) error {
				item, err := loose(t.now, content.KindManifest, content.WantsReceipt, body, nil)
				w.check(err)
				return mallory.queue(t, bob.device.Public(), store.ClassProfile, 0, item)
			})
			w.Advance(10 * time.Second)
			if !bob.Revoked().IsZero() {
				w.Fatalf("a list %s stopped him", name)
			}
		}
		mallory.must(func(t *turn) error {
			who, err := t.Contact(mallory.contact(bob).ID)
			w.check(err)
			item, _, err := mallory.say(t, who, content.Context{Of: content.NewID()}, content.KindRecovered, nil)
			w.check(err)
			return mallory.queue(t, bob.device.Public(), store.ClassMessage, 0, item...)
		})
		w.Advance(10 * time.Second)
		if n := bob.notes(mallory); n != 0 {
			w.Errorf("%d notes of Mallory's in Bob's conversation", n)
		}
		bob.Sees(bob.Says(mallory, "nice try"), api.Delivered)
	})
}
