package chat

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Virtual time only goes forward, but each bubble of it begins at the same moment:
// who goes from one to another with their profile has a clock that was put back.

// goes takes people and relays, none of which runs, to another world.
func (w *world) goes(people []*person, relays ...*relay) {
	for _, p := range people {
		p.w = w
		p.events = nil
		w.Cleanup(p.Leaves)
	}
	for _, r := range relays {
		r.w = w
		w.relays = append(w.relays, r)
		w.Cleanup(r.Stops)
	}
	w.people = 1000
}

// Attack 34: the clock goes back a year, for everybody, after one in which they
// talked. They go on, directly and by mailbox, and can meet others.
func TestTheClockIsPutBackAYear(t *testing.T) {
	long(t)
	dir := t.TempDir()
	var oak *relay
	var alice, bob *person
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		oak = w.Relay("oak")
		alice, bob = w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		for range 12 {
			alice.Leaves()
			bob.Leaves()
			w.Pass(365 * day / 12)
			alice.Returns()
			bob.Returns()
			w.Advance(2 * time.Minute)
		}
		alice.Sees(alice.Says(bob, "happy new year"), api.Delivered)
		bob.Leaves()
		alice.Sees(alice.Says(bob, "left in the new year"), api.Kept)
		alice.Leaves()
		oak.Stops()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		w.goes([]*person{alice, bob}, oak)
		oak.Starts()
		w.Advance(time.Minute)
		bob.Returns()
		bob.Reads(alice, "happy new year", "left in the new year")
		alice.Returns()
		w.Advance(time.Minute)
		alice.Sees(alice.Says(bob, "what year is it?"), api.Delivered)
		bob.Leaves()
		alice.Sees(alice.Says(bob, "are you away?"), api.Kept)
		alice.Leaves()
		bob.Returns()
		bob.Reads(alice, "happy new year", "left in the new year", "what year is it?", "are you away?")
		bob.Sees(bob.Says(alice, "no"), api.Kept)
		alice.Returns()
		alice.Reads(bob, "no")
		carol := w.Person("carol", oak)
		alice.Meets(carol)
		alice.Sees(alice.Says(carol, "welcome"), api.Delivered)
	})
}

// Attack 34: Alice's computer believes for an hour that it is ten years later. What
// waited too long by that clock has failed, and says so; when the clock is right
// again her mail comes, and Bob and she talk as before.
func TestTheClockIsTenYearsAheadForAnHour(t *testing.T) {
	dir := t.TempDir()
	var oak *relay
	var alice, bob *person
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		oak = w.Relay("oak")
		alice, bob = w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "before"), api.Delivered)
		bob.Leaves()
		alice.Leaves()
		oak.Stops()
		w.Pass(10 * 365 * day)
		alice.Starts()
		w.Advance(time.Hour)
		alice.Leaves()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		w.goes([]*person{alice, bob}, oak)
		oak.Starts()
		w.Advance(time.Minute)
		bob.Returns()
		bob.Sees(bob.Says(alice, "are you there?"), api.Kept)
		bob.Leaves()
		alice.Returns()
		alice.Reads(bob, "are you there?")
		w.Advance(time.Minute)
		if list, err := alice.Relays(w.Context()); err != nil || list[0].State != relayConnected {
			w.Errorf("Alice's relay is %+v, %v", list, err)
		}
		id := alice.Says(bob, "yes")
		w.Advance(time.Minute)
		bob.Returns()
		w.Advance(time.Minute)
		alice.Sees(id, api.Delivered)
		bob.Reads(alice, "before", "yes")
		bob.Leaves()
		alice.Sees(alice.Says(bob, "good night"), api.Kept)
		alice.Leaves()
		w.Pass(8 * day)
		alice.Returns()
		w.Advance(2 * tidyEvery)
		bob.Returns()
		bob.Reads(alice, "before", "yes", "good night")
		bob.Sees(bob.Says(alice, "good morning"), api.Delivered)
		for _, q := range append(alice.theirQueues(bob), bob.theirQueues(alice)...) {
			if q.Epoch0 > mailbox.Epoch(time.Now()) {
				w.Errorf("a queue of the future is still in use: from epoch %d", q.Epoch0)
			}
		}
	})
}

// Alice's clock was most of a day ahead when she wrote. What she wrote does not wait
// until that hour has come.
func TestWrittenByAClockThatWasAhead(t *testing.T) {
	long(t)
	dir := t.TempDir()
	var oak *relay
	var alice, bob *person
	var id content.ID
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		oak = w.Relay("oak")
		alice, bob = w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "before"), api.Delivered)
		bob.Leaves()
		w.Advance(time.Minute)
		oak.Stops()
		w.Pass(18 * time.Hour)
		id = alice.Says(bob, "from tomorrow")
		alice.Leaves()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = dir
		w.goes([]*person{alice, bob}, oak)
		oak.Starts()
		alice.Returns()
		w.Advance(time.Minute)
		alice.Sees(id, api.Kept)
		alice.Leaves()
		bob.Returns()
		bob.Reads(alice, "before", "from tomorrow")
	})
}
