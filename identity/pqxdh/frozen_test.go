package pqxdh

import (
	"bytes"
	"crypto/mlkem"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"github.com/godwit-im/godwit/identity"
)

var update = flag.Bool("update", false, "write the frozen vectors anew")

// frozenContact is one first contact in testdata/pqxdh.json, with every key.
type frozenContact struct {
	About string

	InitiatorRoot, InitiatorHead, InitiatorDevice    hexBytes
	InitiatorAgreement, Ephemeral                    hexBytes // private
	InitiatorChain                                   hexBytes
	ResponderAgreement, ResponderSigned              hexBytes // private
	ResponderOneTime, ResponderKEMSeed, ResponderIPK hexBytes // private; the first may be empty
	Bundle, BundleID                                 hexBytes

	Offer, SessionID, Transcript               hexBytes
	RootEC, RootPQ, HeaderA, NextHeaderB, Auth hexBytes
	Flight                                     hexBytes // sealed; of the first contact only
	FlightMessage                              byte     // each byte of the message in it

	DiallerID, ListenerID, Nonce, MessageHash hexBytes
	HelloFromDialler, HelloFromListener, Ack  hexBytes
}

func TestFrozen(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	var all []frozenContact
	for _, oneTime := range []bool{true, false} {
		alice, bob := newPerson(), newPerson()
		seed := bytes.Repeat([]byte{7}, mlkem.SeedSize)
		bobs := bob.offersWith(t, oneTime, seed)
		ek := identity.GeneratePrekey()
		offer, s, err := initiate(alice.initiator(), bobs.bundle, ek)
		if err != nil {
			t.Fatal(err)
		}
		root, head, device := alice.root.Public(), alice.chain.Head(), alice.device.Public()
		dikA, ekBytes := alice.agreement.Bytes(), ek.Bytes()
		dikB, spk := bob.agreement.Bytes(), bobs.prekeys.Signed.Bytes()
		id, sid := bobs.bundle.ID(), offer.SessionID()
		nonce, hash := [32]byte{8}, [32]byte{9}
		dialler, listener := []byte("dialler"), []byte("the listener")
		fromDialler := HelloMAC(s.Auth, FromDialler, dialler, listener, nonce)
		fromListener := HelloMAC(s.Auth, FromListener, dialler, listener, nonce)
		ack := AckMAC(s.Auth, hash)
		f := frozenContact{
			About:         "SPEC.md, section 7. Times are 2026-06-21 12:00 UTC.",
			InitiatorRoot: root[:], InitiatorHead: head[:], InitiatorDevice: device[:],
			InitiatorAgreement: dikA[:], Ephemeral: ekBytes[:], InitiatorChain: alice.chain.Marshal(),
			ResponderAgreement: dikB[:], ResponderSigned: spk[:], ResponderKEMSeed: seed, ResponderIPK: mustBytes(t, bobs),
			Bundle: bobs.bundle.Marshal(), BundleID: id[:],
			Offer: offer.Marshal(), SessionID: sid[:], Transcript: s.Transcript[:],
			RootEC: s.RootEC[:], RootPQ: s.RootPQ[:], HeaderA: s.HeaderA[:], NextHeaderB: s.NextHeaderB[:], Auth: s.Auth[:],
			DiallerID: dialler, ListenerID: listener, Nonce: nonce[:], MessageHash: hash[:],
			HelloFromDialler: fromDialler[:], HelloFromListener: fromListener[:], Ack: ack[:],
		}
		if oneTime {
			opk := bobs.prekeys.OneTime.Bytes()
			f.ResponderOneTime = opk[:]
			f.FlightMessage = 0x5a
			if f.Flight, err = SealFlight(bobs.bundle.Intro, alice.flight(offer, bytes.Repeat([]byte{0x5a}, MessageSize))); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, f)
	}
	got, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", "pqxdh.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("first contact is no longer that of %s; if the format was meant to change, raise its version", file)
	}
}

// TestFrozenIsRead: what was written once is read for ever, with the keys of
// the file and no randomness at all.
func TestFrozenIsRead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "pqxdh.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []frozenContact
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d first contacts", len(all))
	}
	for i, f := range all {
		kem, err := mlkem.NewDecapsulationKey1024(f.ResponderKEMSeed)
		if err != nil {
			t.Fatal(err)
		}
		b, err := identity.ParseBundle(f.Bundle)
		if err != nil {
			t.Fatal(err)
		}
		p := Prekeys{
			Agreement: identity.NewAgreementPrivate([32]byte(f.ResponderAgreement)),
			Signed:    identity.NewPrekeyPrivate([32]byte(f.ResponderSigned)), KEM: kem,
		}
		if len(f.ResponderOneTime) > 0 {
			opk := identity.NewPrekeyPrivate([32]byte(f.ResponderOneTime))
			p.OneTime = &opk
		}
		offer, err := ParseOffer(f.Offer)
		if err != nil {
			t.Fatal(err)
		}
		peer := Peer{
			Root: identity.RootPublic(f.InitiatorRoot), Head: [32]byte(f.InitiatorHead), Device: identity.DevicePublic(f.InitiatorDevice),
			Agreement: identity.NewAgreementPrivate([32]byte(f.InitiatorAgreement)).Public(),
		}
		s, err := Respond(p, b, peer, offer)
		want := Secrets{[32]byte(f.RootEC), [32]byte(f.RootPQ), [32]byte(f.HeaderA), [32]byte(f.NextHeaderB), [32]byte(f.Auth), [64]byte(f.Transcript)}
		if id := offer.SessionID(); err != nil || s != want || !bytes.Equal(id[:], f.SessionID) {
			t.Errorf("contact %d: other secrets, %v", i, err)
		}
		if len(f.Flight) == 0 {
			continue
		}
		intro, err := ParseIntro(f.ResponderIPK)
		if err != nil {
			t.Fatal(err)
		}
		flight, err := OpenFlight(intro, f.Flight)
		if err != nil || !bytes.Equal(flight.Chain, f.InitiatorChain) || flight.Offer != offer ||
			!bytes.Equal(flight.Message, bytes.Repeat([]byte{f.FlightMessage}, MessageSize)) {
			t.Fatalf("contact %d: another flight, %v", i, err)
		}
		if _, from, err := flight.From(); err != nil || from != peer {
			t.Errorf("contact %d: the flight is somebody else's, %v", i, err)
		}
	}
}
