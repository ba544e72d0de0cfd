package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
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
