package ratchet

import (
	"bytes"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
)

// A schedule is a conversation over a bad network, all of it drawn from one
// seed: messages are lost, overtaken and doubled, those that carry key material
// too, at rates of the schedule's own; in some both sides start at once.

// envelope is a message on its way.
type envelope struct {
	wire []byte
	text string
	turn int // of the sender's DH steps in that session
	pair *pairing
	to   int // 0 or 1
}

// pairing is one session between persons 0 and 1.
type pairing struct {
	side   [2]*Session
	turn   [2]int // steps each side made
	heard  [2]int // newest turn of the other side that each side opened
	opened map[string]bool
	before int // order in which to prefer sessions, as T orders them
}

type world struct {
	t       *testing.T
	rng     *mathrand.Rand
	pairs   []*pairing // one, or two where both started
	network []envelope
	said    int

	loss, double float64
	window       int // how far messages overtake each other
}

// preferred is the session that a person sends on: of those ready to send, the
// one with the smaller T.
func (w *world) preferred(person int) *pairing {
	var best *pairing
	for _, p := range w.pairs {
		s := p.side[person]
		if (s.ec.hasSend || s.ec.hasRecv) && (best == nil || p.before < best.before) {
			best = p
		}
	}
	return best
}

func (w *world) say(person int) {
	p := w.preferred(person)
	if p == nil {
		return // a responder who has heard nothing
	}
	s := p.side[person]
	if s.ec.owed() {
		p.turn[person]++
	}
	w.said++
	text := fmt.Sprintf("%d says %d", person, w.said)
	e := envelope{says(w.t, s, text), text, p.turn[person], p, 1 - person}
	if w.rng.Float64() < w.loss {
		return
	}
	w.network = append(w.network, e)
	for w.rng.Float64() < w.double {
		w.network = append(w.network, e)
	}
}

// deliver takes one of the oldest messages on their way.
func (w *world) deliver() {
	if len(w.network) == 0 {
		return
	}
	i := w.rng.IntN(min(w.window, len(w.network)))
	e := w.network[i]
	w.network = append(w.network[:i], w.network[i+1:]...)

	// The receiver finds the session by its header keys.
	var s *Session
	for _, p := range w.pairs {
		if p.side[e.to].Recognises(e.wire) {
			if s != nil {
				w.t.Fatal("two sessions recognise one message")
			}
			s = p.side[e.to]
		}
	}
	p := e.pair
	gone := p.heard[e.to]-e.turn > maxOldHeaderKeys
	if s == nil {
		if !p.opened[e.text] && !gone {
			w.t.Fatalf("%q, of turn %d, is not recognised at turn %d", e.text, e.turn, p.heard[e.to])
		}
		return
	}
	if s != p.side[e.to] {
		w.t.Fatal("the wrong session recognises a message")
	}
	if p.opened[e.text] {
		if err := refuses(w.t, s, e.wire); !errors.Is(err, ErrUsed) {
			w.t.Fatalf("%q again: %v", e.text, err)
		}
		return
	}
	if w.rng.IntN(8) == 0 { // damaged on the way; the true one comes after
		forged := bytes.Clone(e.wire)
		forged[w.rng.IntN(len(forged))] ^= 1 << w.rng.IntN(8)
		refuses(w.t, s, forged)
	}
	hears(w.t, s, e.wire, e.text)
	p.opened[e.text] = true
	p.heard[e.to] = max(p.heard[e.to], e.turn)
	if w.rng.IntN(8) == 0 { // kept and read back
		back, err := ParseSession(state(w.t, s))
		if err != nil {
			w.t.Fatal(err)
		}
		p.side[e.to] = back
	}
}

func TestSchedules(t *testing.T) {
	for seed := range uint64(schedules) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := mathrand.New(mathrand.NewPCG(seed, 0))
			w := &world{
				t: t, rng: rng, loss: rng.Float64() * 0.5, double: rng.Float64() * 0.3, window: 1 + rng.IntN(12),
			}
			begin := func(initiator int) {
				f := newFirst()
				p := &pairing{opened: map[string]bool{}, before: rng.Int()}
				p.side[initiator], p.side[1-initiator] = f.initiator(t), f.responder(t)
				w.pairs = append(w.pairs, p)
			}
			begin(0)
			if rng.IntN(3) == 0 {
				begin(1)
			}
			talkative := 0.2 + 0.6*rng.Float64() // how much of the talking person 0 does
			busy := 0.3 + 0.4*rng.Float64()      // how much is said for each delivery
			for range 300 {
				if rng.Float64() < busy {
					person := 0
					if rng.Float64() > talkative {
						person = 1
					}
					w.say(person)
				} else {
					w.deliver()
				}
			}
			for len(w.network) > 0 {
				w.deliver()
			}
			// The network gets well. What both prefer now is one session, on
			// which they talk, and the post-quantum half turns again.
			w.loss, w.double, w.window = 0, 0, 1
			for range 3 {
				for person := range 2 {
					w.say(person)
					for len(w.network) > 0 {
						w.deliver()
					}
				}
			}
			a, b := w.preferred(0), w.preferred(1)
			if a != b {
				t.Fatal("the two prefer different sessions")
			}
			before := a.side[0].Stats().Epoch
			talk(t, a.side[0], a.side[1], 3)
			for person, s := range a.side {
				if got := s.Stats(); got.Epoch < before+2 || got.Stalled {
					t.Errorf("person %d: no post-quantum progress: %+v, was at %d", person, got, before)
				}
			}
			if before == 0 {
				t.Error("no post-quantum progress in the bad network")
			}
		})
	}
}
