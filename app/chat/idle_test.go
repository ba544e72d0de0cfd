package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/rendezvous"
)

// What passes an account when nobody says anything, in KiB an hour (issue's figure for 50
// contacts: 1,500 online, 300 away). The look-ups of the DHT are not in it; p2p/dht says what they cost.
const (
	idlePerContact = 20 // who is online
	idlePerRelay   = 50
)

// Alice has three relays and some friends. Nobody says anything for hours; what passes
// is what 50 contacts may cost, and when her friends have gone, only the relays are left.
func TestNobodySaysAnything(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		b := w.Board()
		relays := []*relay{w.Relay("oak"), w.Relay("elm"), w.Relay("ash")}
		alice := w.Person("alice", relays...)
		var friends []*person
		for i := range 3 {
			f := w.Person(fmt.Sprint("friend ", i+1), relays...)
			alice.Meets(f)
			friends = append(friends, f)
		}
		w.Advance(10 * time.Minute)
		const hours = 3
		before := w.wires.passed("alice")
		w.Advance(hours * time.Hour)
		for who, n := range w.wires.passed("alice") {
			most := idlePerContact
			for _, r := range relays {
				if who == r.name {
					most = idlePerRelay
				}
			}
			if kib := (n - before[who]) >> 10 / hours; kib > most {
				t.Errorf("between Alice and %s, who is there, pass %d KiB/h, want at most %d", who, kib, most)
			}
		}
		for _, f := range friends {
			f.Leaves()
		}
		w.Advance(10 * time.Minute)
		before = w.wires.passed("alice")
		w.Advance(hours * time.Hour)
		sum := 0
		for who, n := range w.wires.passed("alice") {
			sum += n - before[who]
		}
		if kib := sum >> 10 / hours; kib > len(relays)*idlePerRelay {
			t.Errorf("with all friends away %d KiB/h pass", kib)
		}
		for _, f := range friends {
			if _, ok := b.written(alice, f); ok {
				t.Errorf("Alice wrote a record for %s, who was told where she is", f.name)
			}
		}
	})
}

// All of Alice's friends are away, and she starts anew at another address. They can reach her by her
// relays, so each is told once, at one relay, and a record is written every other day at most. When but one of
// her relays is left, there are records at once, and a friend who comes back then finds her by them though that relay is gone too.
func TestARestartIsNoNewBeginning(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		b := w.Board()
		relays := []*relay{w.Relay("oak"), w.Relay("elm"), w.Relay("ash")}
		yew := w.Relay("yew")
		alice := w.Person("alice", relays...)
		var friends []*person
		for i := range 3 {
			f := w.Person(fmt.Sprint("friend ", i+1), relays[0], relays[1], yew)
			alice.Meets(f)
			friends = append(friends, f)
		}
		w.Advance(time.Minute)
		for _, f := range friends {
			f.Leaves()
		}
		w.Advance(time.Minute)
		passed := func() (sum int) {
			for _, n := range w.wires.passed("alice") {
				sum += n
			}
			return sum
		}
		left := func() (sum int) {
			for _, r := range append(relays, yew) {
				sum += r.deposits()
			}
			return sum
		}
		for range 2 {
			alice.Leaves()
			alice.Moves()
			before, had, puts := passed(), left(), b.put()
			alice.Returns()
			w.Advance(6 * time.Hour)
			if n := b.put() - puts; n > len(friends) {
				t.Errorf("in six hours Alice wrote %d records, for %d friends", n, len(friends))
			}
			if n := left() - had; n != len(friends) {
				t.Errorf("a new start left %d things at relays, for %d friends", n, len(friends))
			}
			if kib := (passed() - before) >> 10; kib > len(friends)*idlePerContact+6*len(relays)*idlePerRelay {
				t.Errorf("in six hours after a new start pass %d KiB", kib)
			}
		}
		if b.looks() > 0 {
			t.Errorf("Alice looked %d times for friends", b.looks())
		}
		relays[0].Stops()
		b.forgets()
		relays[1].Stops()
		w.Advance(rendezvous.Period + publishJitter + publishGrace + 2*tidyEvery) // one may have been written just before
		if n := len(b.records); n != len(friends) {
			t.Errorf("with one relay Alice wrote %d records for %d friends", n, len(friends))
		}
		relays[2].Stops()
		friends[0].Returns()
		friends[0].Sees(friends[0].Says(alice, "where are your relays?"), api.Delivered)
	})
}

// Who reaches us by relays is written a record every other day, who does not in each period; and those
// relays may be called for a while at the start, and be gone for a moment.
func TestWhenRecordsAreDue(t *testing.T) {
	begun := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	count := func(relays int, serving func(passed time.Duration) int, within time.Duration) (n int) {
		p := newPublisher(begun)
		for passed := publishAfter; passed < within; passed += tidyEvery {
			s := stranger{relays: relays, serving: serving(passed)}
			if p.due(s, begun.Add(passed)) {
				n++
				p.wrote(s.device, begun.Add(passed))
			}
		}
		return n
	}
	always := func(n int) func(time.Duration) int { return func(time.Duration) int { return n } }
	if n := count(3, always(2), 10*day); n < 4 || n > 6 {
		t.Errorf("in ten days with two relays %d records", n)
	}
	for _, serving := range []int{0, 1} {
		if n := count(3, always(serving), 10*day); n != 40 {
			t.Errorf("in ten days with %d relays %d records", serving, n)
		}
	}
	if n := count(0, always(0), time.Minute); n != 1 {
		t.Error("who knows no relay is not written a record at once")
	}
	late := func(passed time.Duration) int {
		if passed > 10*time.Second && passed%time.Hour > 3*time.Minute {
			return 3
		}
		return 0
	}
	if n := count(3, late, 10*day); n > 6 {
		t.Errorf("in ten days with relays that are gone for a moment each hour %d records", n)
	}
}

// Bob's computer falls asleep without a word. Alice, who says nothing, is told that he is
// gone within minutes; what she says is kept by his relay after 5 s, as ever. Her own relay
// goes as quietly, and she notices within a minute.
func TestGoneWithoutAWord(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob, carol := w.Person("alice", oak), w.Person("bob", elm), w.Person("carol", elm)
		alice.Meets(bob)
		alice.Meets(carol)
		w.Advance(17 * time.Minute)
		for _, name := range []string{"bob", "carol"} {
			w.wires.setCut("alice", name, true)
		}
		id := alice.Says(bob, "still there?")
		w.Advance(6 * time.Second)
		if got := alice.state(id); got.State != api.Kept {
			t.Errorf("what Alice says to somebody who is gone is %s after 6 s", got.State)
		}
		w.Advance(2 * time.Minute)
		if n := alice.Connected(); n != 0 {
			t.Errorf("two minutes later %d of those who are gone are there", n)
		}
		w.wires.setCut("alice", "oak", true)
		w.Advance(41 * time.Second)
		if got := alice.at(oak).State; got == relayConnected {
			t.Error("the relay that is gone is connected")
		}
	})
}

// Bob is away for days. Alice's message is kept by his relay, which he will ask; she calls
// and looks for him seldom. Without a relay she goes on as often as before.
func TestCalledSeldomWhileRelaysKeep(t *testing.T) {
	long(t)
	for name, kept := range map[string]bool{"kept": true, "not kept": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				b := w.Board()
				var relays []*relay
				if kept {
					relays = []*relay{w.Relay("oak")}
				}
				alice, bob := w.Person("alice"), w.Person("bob", relays...)
				alice.Meets(bob)
				w.Advance(time.Minute)
				bob.Leaves()
				id := alice.Says(bob, "when you are back")
				w.Advance(day)
				calls, looks := w.wires.dialled(bob.ip.String()+":4001"), b.looks()
				w.Advance(2 * day)
				calls, looks = w.wires.dialled(bob.ip.String()+":4001")-calls, b.looks()-looks
				if often := calls > 2*200 || looks > 2*20; often == kept {
					t.Errorf("in two days Alice called Bob %d times and looked for him %d times", calls, looks)
				}
				bob.Moves()
				bob.Returns()
				w.Advance(time.Minute)
				alice.Sees(id, api.Delivered)
			})
		})
	}
}
