package session

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// TestBothBeginAtOnce: whoever's flight arrives first, both send on the session
// with the smaller transcript, and nothing said on the other is lost.
func TestBothBeginAtOnce(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late=%v", late), func(t *testing.T) {
			alice, bob := newPerson(t, 0xa), newPerson(t, 0xb)
			hers, his := alice.start(bob), bob.start(alice)
			fromAlice, fromBob := alice.say(bob.me, "I am Alice"), bob.say(alice.me, "I am Bob")
			smaller := hers.id()
			if bytes.Compare(his.secrets.Transcript[:], hers.secrets.Transcript[:]) < 0 {
				smaller = his.id()
			}
			if !late { // the flights cross
				bob.receive(hers, fromAlice.Wire)
				alice.receive(his, fromBob.Wire)
				if alice.preferred(bob.me) != smaller || bob.preferred(alice.me) != smaller {
					t.Error("not the smaller transcript")
				}
			} else { // hers is delayed until they have talked on his
				alice.receive(his, fromBob.Wire)
				if alice.preferred(bob.me) == his.id() {
					bob.hear(alice.me, alice.say(bob.me, "hello Bob").Wire)
				}
				bob.receive(hers, fromAlice.Wire)
			}
			for range 3 { // and on, whatever each prefers now
				for _, pair := range [][2]*person{{alice, bob}, {bob, alice}} {
					from, to := pair[0], pair[1]
					head := from.preferred(to.me)
					s := from.say(to.me, "and on")
					switch head {
					case hers.id():
						to.receive(hers, s.Wire)
					case his.id():
						to.receive(his, s.Wire)
					}
				}
			}
			if alice.preferred(bob.me) != bob.preferred(alice.me) {
				t.Error("they prefer different sessions")
			}
		})
	}
}

// TestForgottenAndFoundAgain: Alice removes Bob with all sessions and adds him
// again, again and again, while he has kept his.
func TestForgottenAndFoundAgain(t *testing.T) {
	alice, bob, c := friends(t)
	now := noon()
	for range 10 {
		alice.do(func(_ *store.Tx, b *Batch) error { return b.Erase(c.id()) })
		now = now.Add(time.Minute)
		c = alice.startAt(bob, now)
		bob.receive(c, alice.say(bob.me, "it is me again").Wire)
		if bob.preferred(alice.me) != c.id() {
			t.Fatal("Bob answers on a session that Alice has forgotten")
		}
		chat(t, alice, bob, 1)
	}
}

// TestGenerations: they rise, whatever the clock says.
func TestGenerations(t *testing.T) {
	year := 365 * 24 * time.Hour
	minutes := uint32(noon().Unix() / 60)
	for _, c := range []struct {
		now   time.Time
		known []uint32
		want  uint32
	}{
		{noon(), nil, minutes},
		{noon(), []uint32{3, 2}, minutes},
		{noon(), []uint32{minutes}, minutes + 1},
		{noon().Add(-year), []uint32{minutes}, minutes + 1},
		{noon().Add(10 * year), []uint32{minutes}, minutes + uint32(10*year/time.Minute)},
		{time.Unix(-1e9, 0), nil, 1},
		{time.Unix(0, 0), nil, 1},
		{noon(), []uint32{1<<32 - 1}, 1<<32 - 1},
		{time.Unix(1<<50, 0), nil, 1<<32 - 1},
	} {
		var known []store.SessionHead
		for _, g := range c.known {
			known = append(known, store.SessionHead{Generation: g})
		}
		if got := generation(known, c.now); got != c.want {
			t.Errorf("at %v beside %v: %d, want %d", c.now, c.known, got, c.want)
		}
	}
}

// packet is something on its way.
type packet struct {
	contact contact // of a flight
	sealed  Sealed
	words   string
}

// side is one of two people in a random schedule.
type side struct {
	*person
	inbox    []packet
	contacts map[store.SessionID]contact // of sessions that this side began
	said     int
}

// TestRandomSchedules: both begin when they like, now and then begin anew, and
// everything is delayed, reordered and repeated. In the end everything said has
// been read once, and both send on the same session.
func TestRandomSchedules(t *testing.T) {
	a, b := newPerson(t, 1), newPerson(t, 2)
	for n := range schedules {
		seed := rand.Uint64()
		// New devices each time, in the same two profiles.
		a.me, b.me = identity.DevicePublic{1, byte(n), byte(n >> 8)}, identity.DevicePublic{2, byte(n), byte(n >> 8)}
		schedule(t, a, b, rand.New(rand.NewPCG(seed, 0)))
		if t.Failed() {
			t.Fatalf("schedule %d, seed %d", n, seed)
		}
	}
}

func schedule(t *testing.T, a, b *person, r *rand.Rand) {
	alice, bob := &side{person: a, contacts: map[store.SessionID]contact{}}, &side{person: b, contacts: map[store.SessionID]contact{}}
	begun, restarts := 0, r.IntN(3)
	read := map[string]int{}
	for range 12 + r.IntN(25) {
		from, to := alice, bob
		if r.IntN(2) == 0 {
			from, to = to, from
		}
		switch {
		case r.IntN(8) == 0 && (from.silent(to) || begun < 2+restarts):
			begun++
			c := from.start(to.person)
			from.contacts[c.id()] = c
			from.send(t, to)
		case r.IntN(2) == 0:
			from.send(t, to)
		default:
			from.deliver(t, to, r, read, true)
		}
	}
	if alice.silent(bob) && bob.silent(alice) {
		c := alice.start(bob.person)
		alice.contacts[c.id()] = c
	}
	for range 4 {
		alice.send(t, bob)
		bob.send(t, alice)
		for len(alice.inbox)+len(bob.inbox) > 0 {
			alice.deliver(t, bob, r, read, false)
			bob.deliver(t, alice, r, read, false)
		}
	}
	if alice.preferred(bob.me) != bob.preferred(alice.me) {
		t.Error("they send on different sessions")
	}
	if len(read) != alice.said+bob.said {
		t.Errorf("%d said, %d read", alice.said+bob.said, len(read))
	}
	for words, n := range read {
		if n != 1 {
			t.Errorf("%q was read %d times", words, n)
		}
	}
}

// silent tells whether there is no session to send on.
func (s *side) silent(to *side) (silent bool) {
	s.do(func(_ *store.Tx, b *Batch) error {
		_, err := b.Preferred(to.me)
		silent = errors.Is(err, ErrNoSession)
		return nil
	})
	return silent
}

// send puts a message on its way, if there is a session and it takes one.
func (s *side) send(t *testing.T, to *side) {
	words := fmt.Sprintf("%x says %d", s.me[0], s.said)
	s.do(func(_ *store.Tx, b *Batch) error {
		head, err := b.Preferred(to.me)
		if errors.Is(err, ErrNoSession) {
			return nil
		}
		if err != nil {
			return err
		}
		sealed, err := b.Seal(head.ID, []byte(words), noon())
		if errors.Is(err, ErrFlights) {
			return nil
		}
		if err != nil {
			return err
		}
		if sealed.Flight != (head.Initiator && head.Confirmed.IsZero()) {
			t.Error("flight or not?")
		}
		s.said++
		to.inbox = append(to.inbox, packet{s.contacts[head.ID], sealed, words})
		return nil
	})
}

// deliver takes any of the packets for somebody; some come twice.
func (s *side) deliver(t *testing.T, from *side, r *rand.Rand, read map[string]int, again bool) {
	if len(s.inbox) == 0 {
		return
	}
	i := r.IntN(len(s.inbox))
	p := s.inbox[i]
	if !again || r.IntN(6) > 0 {
		s.inbox = append(s.inbox[:i], s.inbox[i+1:]...)
	}
	var words string
	var err error
	if p.sealed.Flight {
		words, err = s.tryReceive(p.contact, p.sealed.Wire)
	} else {
		words, err = s.tryHear(from.me, p.sealed.Wire)
	}
	switch {
	case errors.Is(err, ErrSeen):
	case err != nil:
		t.Errorf("%q does not open: %v", p.words, err)
	case words != p.words:
		t.Errorf("%q became %q", p.words, words)
	default:
		read[words]++
	}
}
