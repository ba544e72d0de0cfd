package direct_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

func nonce() (n [32]byte) {
	rand.Read(n[:])
	return n
}

// Bob has a hundred contacts and knows at once which of them calls.
func TestTheRightSessionIsFound(t *testing.T) {
	alice, bob, carol := loopback(t, "alice"), loopback(t, "bob"), loopback(t, "carol")
	for range 50 {
		befriend(bob, carol)
	}
	s := befriend(alice, bob)
	for range 50 {
		befriend(bob, carol)
	}
	if _, err := alice.Connect(context.Background(), p2ptest.Info(bob.node), s); err != nil {
		t.Fatal(err)
	}
	if c := bob.conn(s); c.Peer() != alice.node.Host().ID() || c.Session() != s.ID {
		t.Errorf("Bob took the caller for %x at %s", c.Session(), c.Peer())
	}
}

// Who does not know AUTH is nobody, whether caller or called.
func TestStrangersAreRefused(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	befriend(alice, bob)
	var s direct.Session // of AUTH, Mallory knows nothing
	if _, err := alice.Connect(context.Background(), p2ptest.Info(bob.node), s); !errors.Is(err, direct.ErrProof) {
		t.Errorf("Bob let in a stranger: %v", err)
	}
	// Someone else answers at the address where Alice thinks Bob is.
	mallory := p2ptest.Loopback(t)
	serveRaw(t, mallory, func(r *raw) { r.admit(direct.Session{Auth: nonce()}, 255) })
	if _, err := alice.Connect(context.Background(), p2ptest.Info(mallory), alice.sessions[0]); !errors.Is(err, direct.ErrProof) {
		t.Errorf("Alice took a stranger for Bob: %v", err)
	}
	if len(alice.up)+len(bob.up) != 0 {
		t.Error("somebody was connected")
	}
}

// Attack 5: Mallory sends Alice's own hello back to her: as an answer, and as a
// hello of her own.
func TestReflectedHello(t *testing.T) {
	alice := loopback(t, "alice")
	s := befriend(alice, alice) // one session is enough
	mallory := p2ptest.Loopback(t)
	caught := make(chan [32]byte, 1)
	serveRaw(t, mallory, func(r *raw) {
		n := r.expect(hello)
		r.send(challenge, n) // her own nonce
		p := r.expect(proof)
		caught <- [32]byte(p)
		r.send(welcome, p, []byte{1, 0, 0, 0x20, 0, 0})
		r.expect(over)
	})
	if _, err := alice.Connect(context.Background(), p2ptest.Info(mallory), s); !errors.Is(err, direct.ErrProof) {
		t.Errorf("Alice took her own proof for Bob's: %v", err)
	}
	stolen := <-caught
	r := dialRaw(t, mallory, alice)
	r.send(hello, make([]byte, 32))
	r.expect(challenge)
	r.send(proof, stolen[:])
	if b := r.expect(bye); b[0] != 2 {
		t.Errorf("BYE %d", b[0])
	}
	// And a proof made for the other direction, with the right nonce.
	r = dialRaw(t, mallory, alice)
	r.send(hello, make([]byte, 32))
	n := [32]byte(r.expect(challenge))
	a, m := []byte(alice.node.Host().ID()), []byte(mallory.Host().ID())
	for _, mac := range [][32]byte{
		pqxdh.HelloMAC(s.Auth, pqxdh.FromListener, m, a, n),
		pqxdh.HelloMAC(s.Auth, pqxdh.FromDialler, a, m, n),
		pqxdh.HelloMAC(s.Auth, pqxdh.FromDialler, m, a, [32]byte{}),
	} {
		r := dialRaw(t, mallory, alice)
		r.send(hello, make([]byte, 32))
		r.expect(challenge)
		r.send(proof, mac[:])
		if b := r.expect(bye); b[0] != 2 {
			t.Errorf("BYE %d", b[0])
		}
	}
}

// Mallory stands between Alice and Bob and passes the hello on. The PeerIDs of
// the two connections give her away.
func TestRelayedHello(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, bob)
	mallory := p2ptest.Loopback(t)
	answered := make(chan byte, 1)
	serveRaw(t, mallory, func(r *raw) {
		there := dialRaw(t, mallory, bob)
		there.send(hello, r.expect(hello))
		r.send(challenge, there.expect(challenge))
		there.send(proof, r.expect(proof))
		answered <- there.expect(bye)[0]
	})
	if _, err := alice.Connect(context.Background(), p2ptest.Info(mallory), s); err == nil {
		t.Error("Alice is connected to Bob through Mallory")
	}
	if b := <-answered; b != 2 {
		t.Errorf("Bob said BYE %d", b)
	}
}

// A hello heard once is worth nothing the next time.
func TestReplayedHello(t *testing.T) {
	bob := loopback(t, "bob")
	s := befriend(bob, bob)
	alice := p2ptest.Loopback(t)
	r := dialRaw(t, alice, bob)
	n := nonce()
	r.send(hello, n[:])
	theirs := [32]byte(r.expect(challenge))
	mac := pqxdh.HelloMAC(s.Auth, pqxdh.FromDialler, []byte(alice.Host().ID()), []byte(bob.node.Host().ID()), theirs)
	r.send(proof, mac[:])
	r.expect(welcome)

	r = dialRaw(t, alice, bob)
	r.send(hello, n[:])
	r.expect(challenge)
	r.send(proof, mac[:])
	if b := r.expect(bye); b[0] != 2 {
		t.Errorf("BYE %d", b[0])
	}
}

// Attack 36: guesses at a session's proof are limited before they are looked at.
func TestHelloFlood(t *testing.T) {
	bob := loopback(t, "bob")
	befriend(bob, bob)
	mallory := p2ptest.Loopback(t)
	var busy, unknown int
	for range 150 {
		r := dialRaw(t, mallory, bob)
		r.send(hello, make([]byte, 32))
		f, err := r.r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f[1] == bye {
			if f[2] != 3 {
				t.Fatalf("BYE %d", f[2])
			}
			busy++
		} else {
			r.send(proof, make([]byte, 32))
			r.expect(bye)
			unknown++
		}
		r.st.Reset()
	}
	bob.know(func() {
		if bob.asked != unknown || unknown < 64 || unknown > 110 || busy < 40 {
			t.Errorf("%d guesses were looked at (%d times), %d were not", unknown, bob.asked, busy)
		}
	})
}

// Each frame out of turn or out of shape ends the hello, with a word of why.
func TestHelloOutOfTurn(t *testing.T) {
	bob := newPerson(t, "bob", p2ptest.Loopback(t), direct.Config{AskBurst: 1000})
	mallory := p2ptest.Loopback(t)
	n := make([]byte, 32)
	for name, f := range map[string]func(*raw){
		"message first":   func(r *raw) { r.send(msg, message("")) },
		"proof first":     func(r *raw) { r.send(proof, n) },
		"welcome first":   func(r *raw) { r.send(welcome, make([]byte, 38)) },
		"unknown type":    func(r *raw) { r.send(99, n) },
		"another version": func(r *raw) { r.w.Append([]byte{2, hello}, n); r.w.Flush() },
		"short hello":     func(r *raw) { r.send(hello, n[1:]) },
		"long hello":      func(r *raw) { r.send(hello, n, n) },
		"one byte":        func(r *raw) { r.w.Append([]byte{1}); r.w.Flush() },
		"huge":            func(r *raw) { r.st.Write([]byte{0x7f, 0, 0, 0}) },
		"two hellos":      func(r *raw) { r.send(hello, n); r.expect(challenge); r.send(hello, n) },
		"message for a proof": func(r *raw) {
			r.send(hello, n)
			r.expect(challenge)
			r.send(msg, n)
		},
		"short flight": func(r *raw) { r.send(flight, make([]byte, direct.FlightSize-1)) },
		"short fetch":  func(r *raw) { r.send(fetch, n[1:]) },
	} {
		r := dialRaw(t, mallory, bob)
		f(r)
		if fr, err := r.r.Next(); err != nil || fr[1] != bye || fr[2] != 4 {
			t.Errorf("%s: answered by % x, %v", name, fr, err)
		}
	}
	if bob.flights != 0 {
		t.Error("a flight came through")
	}
}
