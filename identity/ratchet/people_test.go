package ratchet

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// noon is when nothing else is said.
var noon = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

// first is what the two sides of a session begin with.
type first struct {
	secrets Secrets
	parties Parties
	prekey  identity.PrekeyPrivate
}

func newFirst() first {
	f := first{prekey: identity.GeneratePrekey()}
	for _, k := range []*[32]byte{&f.secrets.RootEC, &f.secrets.RootPQ, &f.secrets.HeaderA, &f.secrets.NextHeaderB} {
		rand.Read(k[:])
	}
	f.parties = Parties{
		InitiatorRoot: identity.RootPublic{1}, InitiatorDevice: identity.DevicePublic{2},
		ResponderRoot: identity.RootPublic{3}, ResponderDevice: identity.DevicePublic{4}, Suite: identity.Suite,
	}
	return f
}

func (f first) initiator(t testing.TB) *Session {
	t.Helper()
	s, err := NewInitiator(f.secrets, f.parties, f.prekey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f first) responder(t testing.TB) *Session {
	t.Helper()
	s, err := NewResponder(f.secrets, f.parties, f.prekey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// meet gives both sides of a new session on which nothing was said.
func meet(t testing.TB) (alice, bob *Session) {
	t.Helper()
	f := newFirst()
	return f.initiator(t), f.responder(t)
}

// talk has the two say rounds messages each, in turn, alice first.
func talk(t testing.TB, alice, bob *Session, rounds int) {
	t.Helper()
	for range rounds {
		hears(t, bob, says(t, alice, "ping"), "ping")
		hears(t, alice, says(t, bob, "pong"), "pong")
	}
}

func says(t testing.TB, s *Session, text string) []byte {
	t.Helper()
	wire, err := s.Seal([]byte(text), Small)
	if err != nil {
		t.Fatalf("sealing %q: %v", text, err)
	}
	return wire
}

func hears(t testing.TB, s *Session, wire []byte, text string) {
	t.Helper()
	got, err := s.Open(wire, noon)
	if err != nil {
		t.Fatalf("opening %q: %v", text, err)
	}
	if string(got) != text {
		t.Fatalf("opened %q, want %q", got, text)
	}
}

func state(t testing.TB, s *Session) []byte {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refuses opens a message that must be refused with the state untouched, and
// gives the reason.
func refuses(t testing.TB, s *Session, wire []byte) error {
	t.Helper()
	before := state(t, s)
	got, err := s.Open(wire, noon)
	if err == nil {
		t.Fatalf("opened as %q what it should refuse", got)
	}
	if !bytes.Equal(before, state(t, s)) {
		t.Fatalf("refused (%v), but its state changed", err)
	}
	return err
}

// lies seals a message whose header was edited by somebody who holds the
// sender's whole state, and moves that state past it.
func lies(t testing.TB, s *Session, edit func(*header)) []byte {
	t.Helper()
	h, ecKey, pqKey, err := s.advance()
	if err != nil {
		t.Fatal(err)
	}
	edit(&h)
	return s.seal(&h, &s.ec.sendHeader, ecKey, pqKey, []byte("a lie"), Small)
}
