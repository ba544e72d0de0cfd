package chat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// at is what the person's node says of a relay, if it is one of theirs.
func (p *person) at(r *relay) *api.Relay {
	p.w.Helper()
	list, err := p.Relays(p.w.Context())
	p.w.check(err)
	i := slices.IndexFunc(list, func(v api.Relay) bool { return v.Relay == r.id().String() })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// uses says whether a relay is in use and connected.
func (p *person) uses(r *relay) bool {
	p.w.Helper()
	v := p.at(r)
	return v != nil && v.State == relayConnected
}

// drains is a relay that was given up and is still asked for mail.
func (p *person) drains(r *relay) *api.Relay {
	p.w.Helper()
	if v := p.at(r); v != nil && v.State == relayDraining {
		return v
	}
	return nil
}

// Changes has the person keep their mail at another relay from now on.
func (p *person) Changes(from, to *relay) {
	p.w.Helper()
	p.relays = nil
	p.w.check(p.AddRelay(p.w.Context(), to.info(), store.RelayByHand, nil))
	p.w.check(p.RemoveRelay(p.w.Context(), from.id()))
	p.w.Advance(time.Minute)
}

// Alice gives a relay up. Once Bob knows, and what was under way has had its time, its
// queues are shut and it is asked no more; until then she says how many have not heard.
func TestARelayIsDrained(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm, yew := w.Relay("oak"), w.Relay("elm"), w.Relay("yew")
		alice, bob := w.Person("alice", oak), w.Person("bob", yew)
		alice.Meets(bob)
		bob.Leaves()
		alice.Leaves()
		w.Pass(DefaultLifetime + 2*day) // no invitation names oak any more
		alice.Returns()
		alice.Changes(oak, elm)
		if v := alice.drains(oak); v == nil || v.Unaware != 1 || v.Until.Before(time.Now().Add(drainFor-time.Hour)) {
			w.Errorf("with Bob away oak is %+v", alice.at(oak))
		}
		alice.Leaves()
		w.Pass(2 * lingerFor)
		alice.Returns()
		w.Advance(3 * tidyEvery)
		if v := alice.drains(oak); v == nil || v.Unaware != 1 {
			w.Errorf("with Bob away for two days oak is %+v", alice.at(oak))
		}
		bob.Returns()
		w.Advance(time.Minute)
		if v := alice.drains(oak); v == nil || v.Unaware != 0 {
			w.Errorf("with Bob back oak is %+v", alice.at(oak))
		}
		alice.Leaves()
		bob.Leaves()
		w.Pass(lingerFor - time.Hour)
		alice.Returns()
		w.Advance(3 * tidyEvery)
		if alice.drains(oak) == nil {
			w.Error("oak is given up though something may be under way")
		}
		alice.Leaves()
		w.Pass(time.Hour)
		alice.Returns()
		bob.Returns()
		w.Advance(3 * tidyEvery)
		if v := alice.at(oak); v != nil {
			w.Errorf("long after Bob knows, oak is %+v", v)
		}
		if n := int(oak.store.Usage().Boxes); n > 0 {
			t.Errorf("%d boxes are left at oak", n)
		}
		if n := int(oak.store.Usage().Queues); n > 0 {
			w.Errorf("oak has %d queues open", n)
		}
		alice.Sees(alice.Says(bob, "well moved"), api.Delivered)
	})
}

// Bob is away for longer than anything is drained, and comes back at another address.
// The one relay of Alice's that he knows, which she gave up long ago, still leads to
// her, though no DHT helps and his own relay is gone.
func TestTheLastRelayThatSomebodyKnows(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm, yew := w.Relay("oak"), w.Relay("elm"), w.Relay("yew")
		alice, bob := w.Person("alice", oak), w.Person("bob", yew)
		alice.Meets(bob)
		bob.Leaves()
		alice.Changes(oak, elm)
		yew.Stops()
		w.relays = []*relay{oak, elm}
		for range 4 { // she is there now and then
			alice.Leaves()
			w.Pass(45 * day)
			alice.Moves()
			alice.Returns()
			w.Advance(3 * tidyEvery)
		}
		if v := alice.drains(oak); v == nil || v.Unaware != 1 {
			w.Fatalf("after half a year oak is %+v", alice.at(oak))
		}
		bob.Moves()
		bob.Returns()
		id := bob.Says(alice, "I have been at sea")
		alice.Awaits("word of Bob", func() bool { return len(alice.heard(bob)) == 1 })
		bob.Sees(id, api.Delivered)
		alice.Sees(alice.Says(bob, "welcome back"), api.Delivered)
		alice.Leaves()
		bob.Leaves()
		w.Pass(lingerFor)
		alice.Returns()
		w.Advance(3 * tidyEvery)
		if v := alice.at(oak); v != nil {
			w.Errorf("with Bob back for a day oak is %+v", v)
		}
	})
}

// Sixty days later both are at other addresses and keep their mail at other relays, and
// the DHT is dead. The relays that each gave up while the other was away lead them to
// each other.
func TestSixtyDaysWithoutTheDHT(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		oak, elm, ash, fir := w.Relay("oak"), w.Relay("elm"), w.Relay("ash"), w.Relay("fir")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		alice.Meets(bob)
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Leaves()
		b.fails(true)
		w.Pass(30 * day)
		alice.Moves()
		alice.Returns()
		alice.Changes(oak, ash)
		alice.Leaves()
		bob.Moves()
		bob.Returns()
		bob.Changes(elm, fir)
		bob.Leaves()
		w.Pass(30 * day)
		for _, p := range []*person{alice, bob} {
			p.Moves()
			p.Starts()
		}
		alice.Sees(alice.Says(bob, "where are you now?"), api.Delivered)
		bob.Sees(bob.Says(alice, "at the sea"), api.Delivered)
		knows := func(p, other *person, r *relay) bool {
			q := p.theirQueues(other)
			return len(q) == 1 && q[0].Relay == store.PeerID(r.id())
		}
		w.Advance(time.Minute)
		if !knows(bob, alice, ash) || !knows(alice, bob, fir) {
			w.Error("they do not know of each other's new relays")
		}
	})
}

// The DHT is dead, and so are the relays of both. When both are there, at the addresses
// that they know, Alice's message goes on. (What it says that it waits for is shown by
// TestTriesForDays.)
func TestSixtyDaysWithoutAnything(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		alice.Meets(bob)
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Leaves()
		oak.Stops()
		elm.Stops()
		w.relays = nil
		b.fails(true)
		w.Pass(60 * day)
		alice.relays, bob.relays = nil, []peer.AddrInfo{w.Relay("fir").info()}
		alice.Returns()
		id := alice.Says(bob, "anybody there?")
		w.Advance(time.Minute)
		if sent := alice.state(id); sent.State != api.Queued {
			w.Errorf("with nobody to ask the message is %s", sent.State)
		}
		bob.Returns()
		w.Advance(2 * dialLast)
		alice.Sees(id, api.Delivered)
		bob.Sees(bob.Says(alice, "yes"), api.Delivered)
	})
}

// Bob is away for two months; Alice is there every ten days, and writes. As long as his
// relay has a lease for him it keeps that, left anew in time and in the queue of the
// day; then it waits with her, and says why. What is a month old has failed. When both
// are there again the rest arrives, in order, and he waits for nothing that will not come.
func TestTwoMonthsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		alice.Meets(bob)
		bob.Leaves()
		left := time.Now()
		var texts []string
		var ids []content.ID
		var said []time.Time
		for d := 0; d <= 50; d += 10 {
			texts, said = append(texts, fmt.Sprintf("day %d", d)), append(said, time.Now())
			ids = append(ids, alice.Says(bob, texts[len(texts)-1]))
			w.Advance(2 * tidyEvery)
			for i, id := range ids {
				sent, age := alice.state(id), time.Since(said[i])
				switch {
				case age >= giveUpAfter:
					if sent.State != api.Failed || sent.Reason != Reason(string(problem.Expired)) {
						w.Errorf("on day %d what she said on day %d is %s (%s)", d, 10*i, sent.State, sent.Reason)
					}
				case said[i].Sub(left) < mailbox.LeaseTime-day:
					if sent.State != api.Kept || time.Until(sent.Expires.Time) < 5*day {
						w.Errorf("on day %d what she said on day %d is %s until %v", d, 10*i, sent.State, sent.Expires)
					}
				case sent.State != api.Queued || sent.Reason != Reason(string(problem.RelayRefused)) && sent.Reason != Reason(string(problem.OutOfTouch)):
					w.Errorf("on day %d what she said on day %d is %s (%s)", d, 10*i, sent.State, sent.Reason)
				}
			}
			alice.Leaves()
			w.Pass(10 * day)
			alice.Returns()
		}
		bob.Returns()
		bob.Reads(alice, texts[4:]...)
		for _, id := range ids[4:] {
			alice.Sees(id, api.Delivered)
		}
		bob.Sees(bob.Says(alice, "thank you"), api.Delivered)
		bob.Awaits("today's queues", func() bool {
			q := bob.theirQueues(alice)
			return len(q) == 1 && time.Duration(mailbox.Epoch(time.Now())-q[0].Epoch0) <= renewEpochs
		})
		w.Advance(time.Minute)
		if n := alice.waiting() + bob.waiting(); n != 0 {
			w.Errorf("%d rows are left in the outboxes", n)
		}
	})
}
