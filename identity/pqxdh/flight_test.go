package pqxdh

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

// letter is a flight of Alice's to Bob with any message in it.
func letter(t testing.TB) (alice *person, bobs *offering, f Flight) {
	t.Helper()
	alice = newPerson()
	bobs = newPerson().offers(t, true)
	offer, _ := initiates(t, alice, bobs.bundle)
	message := make([]byte, MessageSize)
	rand.Read(message)
	return alice, bobs, alice.flight(offer, message)
}

func same(a, b Flight) bool {
	return bytes.Equal(a.Chain, b.Chain) && bytes.Equal(a.Message, b.Message) &&
		a.Device == b.Device && a.Agreement == b.Agreement && a.Offer == b.Offer
}

func TestFlight(t *testing.T) {
	_, bobs, f := letter(t)
	for _, n := range []int{1, len(f.Chain), identity.MaxChainSize} {
		f.Chain = append(f.Chain, make([]byte, identity.MaxChainSize)...)[:n]
		one, err := SealFlight(bobs.bundle.Intro, f)
		if err != nil || len(one) != FlightSize {
			t.Fatalf("a chain of %d bytes: a flight of %d, %v", n, len(one), err)
		}
		got, err := OpenFlight(bobs.intro, one)
		if err != nil || !same(got, f) {
			t.Fatalf("a chain of %d bytes: the flight is not read back: %v", n, err)
		}
		// A copy for another relay shares nothing with it.
		two, err := SealFlight(bobs.bundle.Intro, f)
		if err != nil {
			t.Fatal(err)
		}
		equal := 0
		for i := range one {
			if one[i] == two[i] {
				equal++
			}
		}
		if equal > FlightSize/100 { // 64 by chance
			t.Errorf("two copies agree in %d bytes", equal)
		}
		again, err := ParseIntro(mustBytes(t, bobs))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenFlight(again, two); err != nil || !same(got, f) {
			t.Errorf("with the key read back: %v", err)
		}
	}
	for name, bad := range map[string]Flight{
		"no chain":         {Message: f.Message},
		"a chain too long": {Message: f.Message, Chain: make([]byte, identity.MaxChainSize+1)},
		"a short message":  {Message: f.Message[1:], Chain: f.Chain},
		"a long message":   {Message: append(f.Message, 0), Chain: f.Chain},
	} {
		if _, err := SealFlight(bobs.bundle.Intro, bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SealFlight(bobs.bundle.Intro[1:], f); !errors.Is(err, identity.ErrKey) {
		t.Errorf("a short introduction key: %v", err)
	}
	if _, err := ParseIntro(nil); !errors.Is(err, identity.ErrKey) {
		t.Errorf("no private introduction key: %v", err)
	}
}

func mustBytes(t *testing.T, o *offering) []byte {
	b, err := o.intro.Bytes()
	if err != nil || len(b) != 32 {
		t.Fatalf("an introduction key of %d bytes, %v", len(b), err)
	}
	return b
}

func TestFlightDamaged(t *testing.T) {
	_, bobs, f := letter(t)
	cell, err := SealFlight(bobs.bundle.Intro, f)
	if err != nil {
		t.Fatal(err)
	}
	// Every byte of HPKE's ciphertext of the key, the ends, and some between.
	for i := 0; i < len(cell); i++ {
		if i > encSize+64 && i < len(cell)-64 {
			i += 37
		}
		damaged := bytes.Clone(cell)
		damaged[i] ^= 1 << (i % 8)
		if _, err := OpenFlight(bobs.intro, damaged); !errors.Is(err, ErrSealed) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, n := range []int{0, encSize, FlightSize - 1, FlightSize + 1} {
		if _, err := OpenFlight(bobs.intro, append(bytes.Clone(cell), 0)[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	carols := newPerson().offers(t, true)
	if _, err := OpenFlight(carols.intro, cell); !errors.Is(err, ErrSealed) {
		t.Errorf("a flight for somebody else: %v", err)
	}
}

// TestFlightFrom: Bob takes a flight for Alice's only if her account lists the
// device, with that agreement key, and has not revoked it.
func TestFlightFrom(t *testing.T) {
	alice, _, f := letter(t)
	chain, peer, err := f.From()
	if err != nil || peer != alice.peer() || chain.Head() != alice.chain.Head() {
		t.Fatalf("an honest flight: %v", err)
	}
	mallory := newPerson()
	for name, c := range map[string]struct {
		change func(*Flight)
		want   error
	}{
		"another device":        {func(f *Flight) { f.Device = mallory.device.Public() }, identity.ErrNotListed},
		"another agreement key": {func(f *Flight) { f.Agreement = mallory.agreement.Public() }, identity.ErrNotListed},
		"another chain":         {func(f *Flight) { f.Chain = mallory.chain.Marshal() }, identity.ErrNotListed},
		"a damaged chain":       {func(f *Flight) { f.Chain[len(f.Chain)-1] ^= 1 }, identity.ErrSignature},
		"half a chain":          {func(f *Flight) { f.Chain = f.Chain[:len(f.Chain)/2] }, identity.ErrMalformed},
	} {
		g := f
		g.Chain = bytes.Clone(f.Chain)
		c.change(&g)
		if _, _, err := g.From(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParseOffer(f *testing.F) {
	_, _, flight := letter(f)
	f.Add(flight.Offer.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOffer(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, identity.ErrKey) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(o.Marshal(), data) {
			t.Fatal("two encodings of one offer")
		}
	})
}

// FuzzParseFlight gives the decoder what somebody sealed: the seal keeps nobody
// out, as anybody may write to Bob.
func FuzzParseFlight(f *testing.F) {
	_, _, flight := letter(f)
	plain, err := flight.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(plain))
	plain[len(plain)-1] = 1
	f.Add(plain)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseFlight(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, identity.ErrKey) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if again, err := got.marshal(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("two encodings of one flight: %v", err)
		}
		got.From()
	})
}

func FuzzOpenFlight(f *testing.F) {
	_, bobs, flight := letter(f)
	cell, err := SealFlight(bobs.bundle.Intro, flight)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cell)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := OpenFlight(bobs.intro, data)
		if err == nil && !same(got, flight) {
			t.Fatal("opened what nobody sealed")
		}
	})
}
