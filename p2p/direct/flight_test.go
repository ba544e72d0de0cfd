package direct_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// A cell is what a first flight looks like from outside.
func cell() []byte {
	b := make([]byte, direct.FlightSize)
	rand.Read(b)
	return b
}

// Alice accepted Bob's invitation, which names his own device: she fetches his
// bundle, her flight travels direct, and its acknowledgement holds under AUTH.
// Sent again (attack 4), it is acknowledged again and made into nothing new.
func TestFirstContact(t *testing.T) {
	ctx := context.Background()
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	id, bundle := nonce(), cell()
	bob.notices = map[[32]byte][]byte{id: bundle}
	got, err := alice.FetchNotice(ctx, p2ptest.Info(bob.node), id)
	if err != nil || !bytes.Equal(got, bundle) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	var code direct.Code
	if _, err := alice.FetchNotice(ctx, p2ptest.Info(bob.node), nonce()); !errors.As(err, &code) || code != direct.Unknown {
		t.Errorf("a notice of nothing: %v", err)
	}

	first, auth, hash := cell(), nonce(), direct.Hash(nonce())
	made := make(map[string]bool)
	bob.onFlight = func(f []byte) ([32]byte, direct.Hash, direct.Code) {
		if !bytes.Equal(f, first) {
			return [32]byte{}, direct.Hash{}, direct.Unreadable
		}
		made[string(f)] = true
		return auth, hash, direct.Accepted
	}
	for range 3 {
		a, err := alice.SendFlight(ctx, p2ptest.Info(bob.node), first, hash, auth)
		if err != nil || a.Hash != hash || !fits(direct.Session{Auth: auth}, a) {
			t.Fatalf("%x, %v", a, err)
		}
	}
	if len(made) != 1 {
		t.Errorf("%d sessions", len(made))
	}
	// What the device says is an error that can be told apart.
	if _, err := alice.SendFlight(ctx, p2ptest.Info(bob.node), cell(), hash, auth); !errors.As(err, &code) || code != direct.Unreadable {
		t.Errorf("a flight of nothing: %v", err)
	}
	if _, err := alice.SendFlight(ctx, p2ptest.Info(bob.node), first[1:], hash, auth); !errors.Is(err, direct.ErrSize) {
		t.Errorf("a short flight: %v", err)
	}
}

// Who answers a flight without having opened it is not believed.
func TestForgedFlightAnswers(t *testing.T) {
	alice := loopback(t, "alice")
	auth, hash, other := nonce(), nonce(), nonce()
	mac, wrong := pqxdh.AckMAC(auth, hash), pqxdh.AckMAC(other, hash)
	elsewhere := pqxdh.AckMAC(auth, other)
	for name, c := range map[string]struct {
		answer func(*raw)
		want   error
	}{
		"wrong key":     {func(r *raw) { r.send(ack, hash[:], wrong[:]) }, direct.ErrForged},
		"wrong message": {func(r *raw) { r.send(ack, other[:], elsewhere[:]) }, direct.ErrForged},
		"two answers":   {func(r *raw) { r.send(ack, hash[:], mac[:], other[:], elsewhere[:]) }, direct.ErrForged},
		"empty":         {func(r *raw) { r.send(ack) }, direct.ErrMalformed},
		"refuses other": {func(r *raw) { r.send(nak, other[:], []byte{1}) }, direct.ErrMalformed},
		"no code":       {func(r *raw) { r.send(nak, other[:], []byte{0}) }, direct.ErrMalformed},
		"notice":        {func(r *raw) { r.send(notice, cell()) }, direct.ErrMalformed},
		"good-bye":      {func(r *raw) { r.send(bye, []byte{1}) }, direct.ErrLeft},
	} {
		mallory := p2ptest.Loopback(t)
		serveRaw(t, mallory, func(r *raw) { r.expect(flight); c.answer(r) })
		if _, err := alice.SendFlight(context.Background(), p2ptest.Info(mallory), cell(), hash, auth); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Attack 36: a flood of flights is turned away before it costs any
// cryptography, whatever number of PeerIDs it comes from.
func TestFlightFlood(t *testing.T) {
	bob := loopback(t, "bob")
	busy := 0
	for range 10 {
		mallory := newPerson(t, "mallory", p2ptest.Loopback(t), direct.Config{})
		for range 20 {
			_, err := mallory.SendFlight(context.Background(), p2ptest.Info(bob.node), cell(), direct.Hash{}, nonce())
			var code direct.Code
			if !errors.As(err, &code) {
				t.Fatal(err)
			}
			if code == direct.Busy {
				busy++
			}
		}
	}
	bob.know(func() {
		if bob.flights+busy != 200 || bob.flights < 32 || bob.flights > 60 {
			t.Errorf("of 200 flights %d were opened, %d turned away", bob.flights, busy)
		}
	})
}
