package pqxdh

import (
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/ratchet"
)

var noon = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

// person is somebody with one device.
type person struct {
	root      identity.RootPrivate
	device    identity.DevicePrivate
	agreement identity.AgreementPrivate
	chain     identity.Chain
}

func newPerson() *person {
	p := &person{
		root:      identity.RootFromEntropy(identity.NewEntropy()),
		device:    identity.GenerateDevice(),
		agreement: identity.GenerateAgreement(),
	}
	p.chain = identity.NewChain(p.root, p.device, p.agreement.Public(), noon)
	return p
}

func (p *person) initiator() Initiator {
	return Initiator{Root: p.root.Public(), Head: p.chain.Head(), Device: p.device.Public(), Agreement: p.agreement}
}

func (p *person) peer() Peer {
	return Peer{Root: p.root.Public(), Head: p.chain.Head(), Device: p.device.Public(), Agreement: p.agreement.Public()}
}

// offering is a bundle with its private halves.
type offering struct {
	prekeys Prekeys
	intro   hpke.PrivateKey
	bundle  *identity.Bundle // as others receive it, verified
}

func (p *person) offers(t testing.TB, oneTime bool) *offering {
	t.Helper()
	seed := make([]byte, mlkem.SeedSize)
	rand.Read(seed)
	return p.offersWith(t, oneTime, seed)
}

func (p *person) offersWith(t testing.TB, oneTime bool, kemSeed []byte) *offering {
	t.Helper()
	kem, err := mlkem.NewDecapsulationKey1024(kemSeed)
	if err != nil {
		t.Fatal(err)
	}
	intro, err := GenerateIntro()
	if err != nil {
		t.Fatal(err)
	}
	o := &offering{prekeys: Prekeys{Agreement: p.agreement, Signed: identity.GeneratePrekey(), KEM: kem}, intro: intro}
	b := &identity.Bundle{
		Suite: identity.Suite, Chain: p.chain, Device: p.device.Public(), Agreement: p.agreement.Public(),
		Signed: o.prekeys.Signed.Public(),
		KEM:    identity.KEMPrekey{ID: 1, Public: kem.EncapsulationKey().Bytes(), LastResort: !oneTime},
		Intro:  intro.PublicKey().Bytes(), Expiry: noon.Add(7 * 24 * time.Hour),
	}
	if oneTime {
		k := identity.GeneratePrekey()
		public := k.Public()
		o.prekeys.OneTime, b.OneTime = &k, &public
	}
	data, err := b.Sign(p.device)
	if err != nil {
		t.Fatal(err)
	}
	o.bundle = received(t, p, data)
	return o
}

// received is a bundle as it comes from the network, parsed and verified.
func received(t testing.TB, from *person, data []byte) *identity.Bundle {
	t.Helper()
	b, err := identity.ParseBundle(data)
	if err == nil {
		err = b.Verify(from.root.Public().Account(), noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func initiates(t testing.TB, p *person, b *identity.Bundle) (Offer, Secrets) {
	t.Helper()
	o, s, err := Initiate(p.initiator(), b)
	if err != nil {
		t.Fatal(err)
	}
	return o, s
}

func responds(t testing.TB, o *offering, from Peer, offer Offer) Secrets {
	t.Helper()
	s, err := Respond(o.prekeys, o.bundle, from, offer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func session(s Secrets) ratchet.Secrets {
	return ratchet.Secrets{RootEC: s.RootEC, RootPQ: s.RootPQ, HeaderA: s.HeaderA, NextHeaderB: s.NextHeaderB}
}

// flight is what a person's first flight holds.
func (p *person) flight(o Offer, message []byte) Flight {
	return Flight{Chain: p.chain.Marshal(), Device: p.device.Public(), Agreement: p.agreement.Public(), Offer: o, Message: message}
}
