package pqxdh

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/ratchet"
)

// TestFirstContact is the whole way: Alice has Bob's bundle, writes, and Bob,
// who was away, reads and answers.
func TestFirstContact(t *testing.T) {
	if MessageSize != int(ratchet.Small) {
		t.Fatalf("a flight holds a message of %d bytes, a small one has %d", MessageSize, ratchet.Small)
	}
	for _, oneTime := range []bool{true, false} {
		alice, bob := newPerson(), newPerson()
		bobs := bob.offers(t, oneTime)
		parties := ratchet.Parties{
			InitiatorRoot: alice.root.Public(), InitiatorDevice: alice.device.Public(),
			ResponderRoot: bob.root.Public(), ResponderDevice: bob.device.Public(), Suite: identity.Suite,
		}

		offer, secrets := initiates(t, alice, bobs.bundle)
		hers, err := ratchet.NewInitiator(session(secrets), parties, bobs.bundle.Signed)
		if err != nil {
			t.Fatal(err)
		}
		message, err := hers.Seal([]byte("Hello Bob, this is Alice"), ratchet.Small)
		if err != nil {
			t.Fatal(err)
		}
		cell, err := SealFlight(bobs.bundle.Intro, alice.flight(offer, message))
		if err != nil || len(cell) != FlightSize {
			t.Fatalf("a flight of %d bytes, %v", len(cell), err)
		}

		flight, err := OpenFlight(bobs.intro, cell)
		if err != nil {
			t.Fatal(err)
		}
		chain, peer, err := flight.From()
		if err != nil || chain.Account() != alice.root.Public().Account() || peer != alice.peer() {
			t.Fatalf("Bob takes the flight for %v's: %v", chain.Account(), err)
		}
		his := responds(t, bobs, peer, flight.Offer)
		if his != secrets || flight.Offer.SessionID() != offer.SessionID() {
			t.Fatal("the two have not agreed")
		}
		bobSession, err := ratchet.NewResponder(session(his), parties, bobs.prekeys.Signed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bobSession.Open(flight.Message, noon); err != nil || string(got) != "Hello Bob, this is Alice" {
			t.Fatalf("Bob reads %q, %v", got, err)
		}
		answer, err := bobSession.Seal([]byte("Hello Alice"), ratchet.Small)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hers.Open(answer, noon); err != nil || string(got) != "Hello Alice" {
			t.Fatalf("Alice reads %q, %v", got, err)
		}
	}
}

// TestBothBegin: each wrote first. The transcripts differ, so both sides know
// the same one of the two sessions to be the preferred one.
func TestBothBegin(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	alices, bobs := alice.offers(t, true), bob.offers(t, true)
	o1, s1 := initiates(t, alice, bobs.bundle)
	o2, s2 := initiates(t, bob, alices.bundle)
	if s1.Transcript == s2.Transcript || o1.SessionID() == o2.SessionID() {
		t.Error("two sessions have one name")
	}
	if responds(t, bobs, alice.peer(), o1) != s1 || responds(t, alices, bob.peer(), o2) != s2 {
		t.Error("the two have not agreed")
	}
}

func TestReplayedOffer(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	bobs := bob.offers(t, true)
	offer, secrets := initiates(t, alice, bobs.bundle)
	again, err := ParseOffer(offer.Marshal())
	if err != nil || again != offer || again.SessionID() != offer.SessionID() {
		t.Fatalf("the offer is not read back: %v", err)
	}
	if responds(t, bobs, alice.peer(), again) != secrets {
		t.Error("the same offer, another secret")
	}
	other, _ := initiates(t, alice, bobs.bundle)
	if other.SessionID() == offer.SessionID() || other.Ephemeral == offer.Ephemeral {
		t.Error("another offer for the same one-time key is not told apart")
	}
}

func TestWithOneself(t *testing.T) {
	alice := newPerson()
	hers := alice.offers(t, true)
	if _, _, err := Initiate(alice.initiator(), hers.bundle); !errors.Is(err, ErrSelf) {
		t.Errorf("initiating with one's own device: %v", err)
	}
	bob := newPerson()
	offer, _ := initiates(t, bob, hers.bundle)
	if _, err := Respond(hers.prekeys, hers.bundle, alice.peer(), offer); !errors.Is(err, ErrSelf) {
		t.Errorf("responding to one's own device: %v", err)
	}
	// Two devices of one account do talk.
	laptop := *alice
	laptop.device, laptop.agreement = identity.GenerateDevice(), identity.GenerateAgreement()
	o, s := initiates(t, &laptop, hers.bundle)
	if responds(t, hers, laptop.peer(), o) != s {
		t.Error("two devices of one account have not agreed")
	}
}

// TestEveryTranscriptFieldCounts: one bit of difference in what either side
// knows of the other, and there is no agreement.
func TestEveryTranscriptFieldCounts(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	bobs := bob.offers(t, true)
	offer, secrets := initiates(t, alice, bobs.bundle)

	for name, change := range map[string]func(*Peer, *Offer){
		"ROOT":          func(p *Peer, _ *Offer) { p.Root[0] ^= 1 },
		"manifest head": func(p *Peer, _ *Offer) { p.Head[31] ^= 1 },
		"DSK":           func(p *Peer, _ *Offer) { p.Device[5] ^= 1 },
		"DIK":           func(p *Peer, _ *Offer) { p.Agreement = identity.GenerateAgreement().Public() },
		"EK":            func(_ *Peer, o *Offer) { o.Ephemeral = identity.GeneratePrekey().Public() },
		"ciphertext":    func(_ *Peer, o *Offer) { o.Ciphertext[700] ^= 1 },
	} {
		p, o := alice.peer(), offer
		change(&p, &o)
		s, err := Respond(bobs.prekeys, bobs.bundle, p, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		unlike(t, name, s, secrets)
	}

	// The same in the pure functions, for what Respond would refuse.
	var ikm [160]byte
	want := derive(transcript(alice.peer(), bobs.bundle, &offer), ikm[:])
	for name, change := range map[string]func(*identity.Bundle){
		"suite":         func(b *identity.Bundle) { b.Suite++ },
		"device":        func(b *identity.Bundle) { b.Device[0] ^= 1 },
		"agreement":     func(b *identity.Bundle) { b.Agreement[0] ^= 1 },
		"signed prekey": func(b *identity.Bundle) { b.Signed[0] ^= 1 },
		"KEM prekey":    func(b *identity.Bundle) { b.KEM.Public = append([]byte{^b.KEM.Public[0]}, b.KEM.Public[1:]...) },
		"KEM id":        func(b *identity.Bundle) { b.KEM.ID++ },
		"last resort":   func(b *identity.Bundle) { b.KEM.LastResort = !b.KEM.LastResort },
		"one-time key":  func(b *identity.Bundle) { b.OneTime = &identity.PrekeyPublic{9} },
		"none":          func(b *identity.Bundle) { b.OneTime = nil },
		"intro":         func(b *identity.Bundle) { b.Intro = append([]byte{^b.Intro[0]}, b.Intro[1:]...) },
		"relays":        func(b *identity.Bundle) { b.Relays = []identity.Hint{{Kind: identity.HintRelay, Peer: []byte{1}}} },
		"expiry":        func(b *identity.Bundle) { b.Expiry = b.Expiry.Add(1e9) },
		"chain":         func(b *identity.Bundle) { b.Chain = alice.chain },
	} {
		b := *bobs.bundle
		change(&b)
		unlike(t, "bundle's "+name, derive(transcript(alice.peer(), &b, &offer), ikm[:]), want)
	}
	for i := range ikm { // each byte of each agreement
		other := ikm
		other[i] ^= 1
		unlike(t, "a byte of the agreements", derive(want.Transcript, other[:]), want)
	}
	unlike(t, "an agreement less", derive(want.Transcript, ikm[:128]), want)
}

// unlike holds that two derivations have no secret in common.
func unlike(t *testing.T, name string, a, b Secrets) {
	t.Helper()
	seen := map[[32]byte]bool{}
	for _, k := range [][32]byte{a.RootEC, a.RootPQ, a.HeaderA, a.NextHeaderB, a.Auth, b.RootEC, b.RootPQ, b.HeaderA, b.NextHeaderB, b.Auth} {
		if seen[k] {
			t.Errorf("%s does not count", name)
			return
		}
		seen[k] = true
	}
}

// TestEveryAgreementCounts: zeros in place of any one of the five secrets on
// one side, and there is no agreement.
func TestEveryAgreementCounts(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	bobs := bob.offers(t, true)
	ek := identity.GeneratePrekey()
	offer, secrets, err := initiate(alice.initiator(), bobs.bundle, ek)
	if err != nil {
		t.Fatal(err)
	}
	must := func(s [32]byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return s[:]
	}
	shared, err := bobs.prekeys.KEM.Decapsulate(offer.Ciphertext[:])
	if err != nil {
		t.Fatal(err)
	}
	ikm := bytes.Join([][]byte{
		must(alice.agreement.Agree(bobs.bundle.Signed)), must(ek.AgreeDevice(bobs.bundle.Agreement)),
		must(ek.Agree(bobs.bundle.Signed)), must(ek.Agree(*bobs.bundle.OneTime)), shared,
	}, nil)
	if derive(secrets.Transcript, ikm) != secrets {
		t.Fatal("this is not how the secrets are made")
	}
	for i, name := range []string{"DH1", "DH2", "DH3", "DH4", "SS"} {
		zeroed := bytes.Clone(ikm)
		clear(zeroed[32*i : 32*i+32])
		unlike(t, name, derive(secrets.Transcript, zeroed), secrets)
	}
}

// TestReencapsulated: Mallory stands between, and puts her own encapsulation to
// Bob's key in place of Alice's. (She knows that secret, and no other.)
func TestReencapsulated(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	bobs := bob.offers(t, true)
	offer, secrets := initiates(t, alice, bobs.bundle)
	_, ct := bobs.prekeys.KEM.EncapsulationKey().Encapsulate()
	offer.Ciphertext = [mlkem.CiphertextSize1024]byte(ct)
	unlike(t, "the ciphertext", responds(t, bobs, alice.peer(), offer), secrets)

	// To another of Bob's bundles it is not even tried.
	other := bob.offers(t, true)
	offer, _ = initiates(t, alice, other.bundle)
	if _, err := Respond(bobs.prekeys, bobs.bundle, alice.peer(), offer); !errors.Is(err, ErrPrekeys) {
		t.Errorf("an offer to another bundle: %v", err)
	}
}

// TestBundlesMixed: prekeys of one bundle do not serve another, with the
// one-time or the post-quantum key taken out least of all.
func TestBundlesMixed(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	one, two := bob.offers(t, true), bob.offers(t, true)
	offer, _ := initiates(t, alice, one.bundle)
	for name, change := range map[string]func(*Prekeys){
		"signed prekey":          func(p *Prekeys) { p.Signed = two.prekeys.Signed },
		"post-quantum prekey":    func(p *Prekeys) { p.KEM = two.prekeys.KEM },
		"no post-quantum prekey": func(p *Prekeys) { p.KEM = nil },
		"one-time prekey":        func(p *Prekeys) { p.OneTime = two.prekeys.OneTime },
		"no one-time prekey":     func(p *Prekeys) { p.OneTime = nil },
		"agreement key":          func(p *Prekeys) { p.Agreement = alice.agreement },
	} {
		p := one.prekeys
		change(&p)
		if _, err := Respond(p, one.bundle, alice.peer(), offer); !errors.Is(err, ErrPrekeys) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A relay that strips the one-time key breaks the signature.
	stripped := *one.bundle
	stripped.OneTime = nil
	b, err := identity.ParseBundle(stripped.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(bob.root.Public().Account(), noon); !errors.Is(err, identity.ErrSignature) {
		t.Errorf("a stripped bundle: %v", err)
	}
	b.Chain = identity.Chain{}
	if _, _, err := Initiate(alice.initiator(), b); !errors.Is(err, identity.ErrNotListed) {
		t.Errorf("a bundle with no chain: %v", err)
	}
	unverified, err := identity.ParseBundle(one.bundle.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Initiate(alice.initiator(), unverified); !errors.Is(err, identity.ErrNotListed) {
		t.Errorf("a bundle that nobody verified: %v", err)
	}
	newer := *one.bundle
	newer.Suite++
	if _, _, err := Initiate(alice.initiator(), &newer); !errors.Is(err, identity.ErrNewer) {
		t.Errorf("a suite not known here: %v", err)
	}
}

// TestImpersonation: who has all of Alice's public keys, and even Bob's DIK,
// but neither Alice's DIK nor Bob's SPK, cannot write to Bob as Alice.
func TestImpersonation(t *testing.T) {
	alice, bob, mallory := newPerson(), newPerson(), newPerson()
	bobs := bob.offers(t, true)
	me := alice.initiator()
	me.Agreement = mallory.agreement
	offer, secrets, err := Initiate(me, bobs.bundle)
	if err != nil {
		t.Fatal(err)
	}
	unlike(t, "Alice's DIK", responds(t, bobs, alice.peer(), offer), secrets)

	// With Bob's DIK she has DH2, and all of the rest but DH1, as anybody has.
	me.Agreement = bob.agreement
	if offer, secrets, err = Initiate(me, bobs.bundle); err != nil {
		t.Fatal(err)
	}
	unlike(t, "Alice's DIK, with Bob's stolen", responds(t, bobs, alice.peer(), offer), secrets)
}

// TestUnknownKeyShare: Mallory hands out Bob's prekeys as her own, and passes
// on to Bob what Alice writes to her. Bob does not take it as meant for him.
func TestUnknownKeyShare(t *testing.T) {
	alice, bob, mallory := newPerson(), newPerson(), newPerson()
	bobs := bob.offers(t, true)
	mallory.chain = identity.NewChain(mallory.root, mallory.device, bob.agreement.Public(), noon)
	hers := *bobs.bundle
	hers.Chain, hers.Device = mallory.chain, mallory.device.Public()
	data, err := hers.Sign(mallory.device)
	if err != nil {
		t.Fatal(err)
	}
	offer, secrets := initiates(t, alice, received(t, mallory, data))
	if _, err := Respond(bobs.prekeys, bobs.bundle, alice.peer(), offer); !errors.Is(err, ErrPrekeys) {
		t.Errorf("Bob takes what Alice wrote to Mallory: %v", err)
	}
	offer.Bundle = bobs.bundle.ID()
	unlike(t, "whose bundle it is", responds(t, bobs, alice.peer(), offer), secrets)
}

func TestBadKeys(t *testing.T) {
	alice, bob := newPerson(), newPerson()
	bobs := bob.offers(t, true)
	good, _ := initiates(t, alice, bobs.bundle)
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 9, not canonical
		"0900000000000000000000000000000000000000000000000000000000000080", // 9, high bit
	} {
		point, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		offer := good
		offer.Ephemeral = identity.PrekeyPublic(point)
		if _, err := ParseOffer(offer.Marshal()); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%s in an offer: %v", s, err)
		}
		if _, err := Respond(bobs.prekeys, bobs.bundle, alice.peer(), offer); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%s as EK: %v", s, err)
		}
		peer := alice.peer()
		peer.Agreement = identity.AgreementPublic(point)
		if _, err := Respond(bobs.prekeys, bobs.bundle, peer, good); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%s as DIK: %v", s, err)
		}
	}
	tooLarge := *bobs.bundle
	tooLarge.KEM.Public = bytes.Repeat([]byte{0xff}, mlkem.EncapsulationKeySize1024)
	if _, _, err := Initiate(alice.initiator(), &tooLarge); !errors.Is(err, identity.ErrKey) {
		t.Errorf("an ML-KEM key that fails the modulus check: %v", err)
	}
	for _, n := range []int{0, 1, OfferSize - 1, OfferSize + 1} {
		if _, err := ParseOffer(append(good.Marshal(), 0)[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes of an offer: %v", n, err)
		}
	}
	newer := good.Marshal()
	newer[0]++
	if _, err := ParseOffer(newer); !errors.Is(err, identity.ErrNewer) {
		t.Errorf("an offer of a later version: %v", err)
	}
}

func TestAuth(t *testing.T) {
	auth, nonce := [32]byte{1}, [32]byte{2}
	dialler, listener := []byte("dialler"), []byte("listener")
	seen := map[[32]byte]string{}
	for name, m := range map[string][32]byte{
		"a hello":             HelloMAC(auth, FromDialler, dialler, listener, nonce),
		"the other direction": HelloMAC(auth, FromListener, dialler, listener, nonce),
		"the ends swapped":    HelloMAC(auth, FromDialler, listener, dialler, nonce),
		"another cut":         HelloMAC(auth, FromDialler, append(dialler, 'l'), listener[1:], nonce),
		"another nonce":       HelloMAC(auth, FromDialler, dialler, listener, [32]byte{3}),
		"another session":     HelloMAC([32]byte{9}, FromDialler, dialler, listener, nonce),
	} {
		if other := seen[m]; other != "" {
			t.Errorf("%s and %s have one MAC", name, other)
		}
		seen[m] = name
	}
	acks := map[[16]byte]bool{
		AckMAC(auth, nonce):            true,
		AckMAC([32]byte{9}, nonce):     true,
		AckMAC(auth, [32]byte{3}):      true,
		AckMAC([32]byte{2}, auth):      true,
		AckMAC([32]byte{}, [32]byte{}): true,
	}
	if len(acks) != 5 {
		t.Error("two acknowledgements have one MAC")
	}
}
