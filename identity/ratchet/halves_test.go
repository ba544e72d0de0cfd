package ratchet

import (
	"bytes"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

// exchange has the two talk in turn, each through its own way to seal, until a
// message does not open. It gives the number of the post-quantum epochs that
// the receiver has entered by then, and whether all opened.
func exchange(t *testing.T, alice, bob *Session, turns int, seal func(*Session, string) []byte) (epochs uint32, all bool) {
	t.Helper()
	from, to := alice, bob
	for range turns {
		wire := seal(from, "words")
		if got, err := to.Open(wire, noon); err != nil || string(got) != "words" {
			return to.Stats().Epoch, false
		}
		from, to = to, from
	}
	return to.Stats().Epoch, true
}

// zeroEpoch makes the post-quantum step that is due, if one is, and then makes
// it anew on this side with zeros in place of the secret.
func zeroEpoch(t *testing.T, s *Session) bool {
	t.Helper()
	before := s.pq
	turned, err := s.pq.advance()
	if err != nil {
		t.Fatal(err)
	}
	if turned {
		s.pq.send, s.pq.next = before.derive(make([]byte, 32))
		s.pq.root = before.root
	}
	return turned
}

// zeroStep does the same for the DH step.
func zeroStep(t *testing.T, s *Session) bool {
	t.Helper()
	if !s.ec.owed() {
		return false
	}
	before := s.ec
	if err := s.ec.turn(s.ec.peer); err != nil {
		t.Fatal(err)
	}
	s.ec.root, s.ec.send.key, s.ec.nextSendHeader = ecKDF(before.root, make([]byte, 32))
	return true
}

// TestEachHalfCounts: a side that puts zeros in place of one half's secret is
// not understood, though the other half is in order.
func TestEachHalfCounts(t *testing.T) {
	for name, zero := range map[string]func(*testing.T, *Session) bool{"post-quantum": zeroEpoch, "elliptic-curve": zeroStep} {
		for _, liar := range []string{"initiator", "responder"} {
			alice, bob := meet(t)
			talk(t, alice, bob, 3)
			who := alice
			if liar == "responder" {
				who = bob
			}
			begun := alice.Stats().Epoch
			zeroed := false
			epochs, all := exchange(t, alice, bob, 30, func(s *Session, text string) []byte {
				if s == who {
					zeroed = zero(t, s) || zeroed
				}
				return says(t, s, text)
			})
			if !zeroed || all || epochs > begun+2 {
				t.Errorf("%s, zeros at the %s: zeroed %v, all opened %v, failed at epoch %d after %d", name, liar, zeroed, all, epochs, begun)
			}
		}
	}
	alice, bob := meet(t)
	talk(t, alice, bob, 3)
	if _, all := exchange(t, alice, bob, 30, honest(t)); !all {
		t.Error("without zeros something does not open")
	}
}

// honest is the way to seal of who does not lie.
func honest(t *testing.T) func(*Session, string) []byte {
	return func(s *Session, text string) []byte { return says(t, s, text) }
}

// TestEverySecretCounts: one bit of difference in anything that first contact
// gave, or in who the parties are, and a message each way does not pass.
func TestEverySecretCounts(t *testing.T) {
	agree := func(a, b first) bool {
		alice, bob := a.initiator(t), b.responder(t)
		_, all := exchange(t, alice, bob, 2, honest(t))
		return all
	}
	f := newFirst()
	if !agree(f, f) {
		t.Fatal("equal beginnings do not agree")
	}
	changes := map[string]func(*first){
		"RootEC":          func(f *first) { f.secrets.RootEC[0] ^= 1 },
		"RootPQ":          func(f *first) { f.secrets.RootPQ[31] ^= 1 },
		"HeaderA":         func(f *first) { f.secrets.HeaderA[7] ^= 1 },
		"NextHeaderB":     func(f *first) { f.secrets.NextHeaderB[7] ^= 1 },
		"InitiatorRoot":   func(f *first) { f.parties.InitiatorRoot[3] ^= 1 },
		"InitiatorDevice": func(f *first) { f.parties.InitiatorDevice[3] ^= 1 },
		"ResponderRoot":   func(f *first) { f.parties.ResponderRoot[3] ^= 1 },
		"ResponderDevice": func(f *first) { f.parties.ResponderDevice[3] ^= 1 },
		"Suite":           func(f *first) { f.parties.Suite ^= 1 },
		"the sides swapped": func(f *first) {
			p := &f.parties
			p.InitiatorRoot, p.ResponderRoot = p.ResponderRoot, p.InitiatorRoot
			p.InitiatorDevice, p.ResponderDevice = p.ResponderDevice, p.InitiatorDevice
		},
		"the signed prekey": func(f *first) { f.prekey = identity.GeneratePrekey() },
	}
	for name, change := range changes {
		g := f
		change(&g)
		if agree(f, g) || agree(g, f) {
			t.Errorf("%s does not count", name)
		}
	}
}

// TestEveryKDFInputCounts holds that no input of a key derivation is ignored
// and that none of them stands for another.
func TestEveryKDFInputCounts(t *testing.T) {
	type triple [3]key
	root := func(f func(key, []byte) (key, key, key)) func(key, []byte) triple {
		return func(k key, ikm []byte) triple { a, b, c := f(k, ikm); return triple{a, b, c} }
	}
	ec := root(ecKDF)
	epoch := func(e uint32) func(key, []byte) triple {
		return root(func(k key, ikm []byte) (key, key, key) { return pqKDF(k, ikm, e) })
	}
	k, k2, dh, dh2 := key{1}, key{2}, make([]byte, 32), bytes.Repeat([]byte{1}, 32)
	seen := map[key]int{}
	for i, out := range []triple{ec(k, dh), ec(k2, dh), ec(k, dh2), epoch(1)(k, dh), epoch(1)(k2, dh), epoch(1)(k, dh2), epoch(2)(k, dh), epoch(1)(k, nil)} {
		for _, o := range out {
			if other, twice := seen[o]; twice {
				t.Errorf("derivations %d and %d give the same key", i, other)
			}
			seen[o] = i
		}
	}
	prefix := make([]byte, atCommit)
	other := bytes.Clone(prefix)
	other[atCommit-1] = 1
	messages := map[key]bool{}
	for _, in := range []struct {
		ec, pq key
		prefix []byte
	}{{k, k2, prefix}, {k2, k, prefix}, {k, k, prefix}, {k2, k2, prefix}, {k, k2, other}} {
		body, commitment := messageKDF(in.ec, in.pq, in.prefix)
		if messages[body] || messages[commitment] || body == commitment {
			t.Error("two messages have one key")
		}
		messages[body], messages[commitment] = true, true
	}
	c := chain{key: k}
	mk := c.next()
	if mk == c.key || c.n != 1 {
		t.Error("a message key is the next chain key")
	}
}

// TestHealing: Eve once copied all that Bob's device held. She follows the
// session by herself until its ratchets have turned with randomness that she
// has not, and then never again: not even when one of the two halves stays
// open to her for ever (its whole state, before each message).
func TestHealing(t *testing.T) {
	const heals = 3 // round trips
	const ec, pq = 1, 2
	for name, broken := range map[string]int{"neither half": 0, "the elliptic-curve half": ec, "the post-quantum half": pq, "both": ec | pq} {
		for start := range 6 { // at each role and step
			alice, bob := meet(t)
			talk(t, alice, bob, 1+start)
			if start%2 == 1 {
				hears(t, bob, says(t, alice, "odd one"), "odd one")
				hears(t, bob, says(t, alice, "another"), "another")
			}
			eve := bob.Clone()
			for trip := range 12 {
				wire := says(t, alice, "for Bob alone")
				if broken&ec != 0 {
					eve.ec = bob.ec
				}
				if broken&pq != 0 {
					eve.pq = bob.pq
				}
				reads := overhears(t, eve, bob, wire)
				switch {
				case (trip == 0 || broken == ec|pq) && !reads:
					t.Errorf("%s broken, from %d: Eve does not even read at trip %d, so this shows nothing", name, start, trip)
				case trip >= heals && broken != ec|pq && reads:
					t.Errorf("%s broken, from %d: Eve still reads after %d round trips", name, start, trip)
				}
				hears(t, bob, wire, "for Bob alone")
				hears(t, alice, says(t, bob, "answer"), "answer")
			}
		}
	}
}

// overhears tells whether Eve finds the key of a message to Bob. She is given
// the header; each half that she can follow gives her its key, and where she
// cannot she guesses zeros.
func overhears(t *testing.T, eve, bob *Session, wire []byte) bool {
	t.Helper()
	plain, id, err := bob.unlock(wire)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeader(plain, !bob.pq.initiator)
	if err != nil {
		t.Fatal(err)
	}
	next := eve.halves
	ecKey, err := next.ec.open(&h, id, eve.ecSkipped, noon, new(change[key]))
	if err == nil {
		eve.ec = next.ec
	}
	pqKey, _, err := next.pq.open(&h, eve.pqSkipped, noon, new(change[uint32]))
	if err == nil {
		eve.pq = next.pq
	}
	_, commitment := messageKDF(ecKey, pqKey, wire[:atCommit])
	return commitment == key(wire[atCommit:atBody])
}
