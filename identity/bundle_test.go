package identity

import (
	"bytes"
	"crypto/mlkem"
	"errors"
	"testing"
	"time"
)

// Alice gets Bob's bundle and checks it against the account of his invitation.
func TestAliceTakesBobsBundle(t *testing.T) {
	bob := somebody('b')
	for _, oneTime := range []bool{true, false} {
		sent := bob.bundle(t, 1, oneTime)
		data := sent.Marshal()
		t.Logf("one-time %v: %d bytes", oneTime, len(data))
		got, err := ParseBundle(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Verify(bob.chain.Account(), noon); err != nil {
			t.Fatal(err)
		}
		if got.ID() != sent.ID() || got.Digest() != sent.Digest() || !bytes.Equal(got.Marshal(), data) {
			t.Error("the bundle changed on its way")
		}
		if d := got.Digest(); got.ID() != BundleID(d[:32]) {
			t.Error("the id is not cut from the digest")
		}
		if (got.OneTime != nil) != oneTime || got.KEM.LastResort == oneTime || got.KEM.ID != 1 || !got.Expiry.Equal(sent.Expiry) || len(got.Relays) != 2 {
			t.Errorf("read as %+v", got)
		}
		// What was read is not tied to the bytes it was read from.
		clear(data)
		if err := got.Verify(bob.chain.Account(), noon); err != nil {
			t.Errorf("after the bytes were cleared: %v", err)
		}
	}
}

// Every way in which a bundle can be true in its parts and a lie as a whole.
func TestBundlesThatLie(t *testing.T) {
	bob, mallory, laptop := somebody('b'), somebody('m'), newGadget('l')
	bobsLater := *bob
	bobsLater.chain = next(t, bob.chain, bob.device, []gadget{laptop}, true)
	bobsLater.chain = next(t, bobsLater.chain, laptop.key, nil, false, bob.device.Public())
	other, malloryBundle := bob.bundle(t, 2, true), mallory.bundle(t, 3, true)
	k := NewPrekeyPrivate([32]byte{99}).Public()

	for _, c := range []struct {
		what   string
		want   error
		change func(*Bundle)
	}{
		{"Mallory's own, in Bob's place", ErrWrongAccount, func(b *Bundle) { *b = *malloryBundle }},
		{"Bob's key with Mallory's device", ErrNotListed, func(b *Bundle) {
			b.Device, b.Agreement = mallory.device.Public(), mallory.agreement.Public()
			b.signature = mallory.device.Sign(bundleLabel, digest(b))
		}},
		{"Bob's device with Mallory's agreement key", ErrNotListed, func(b *Bundle) { b.Agreement = mallory.agreement.Public() }},
		{"a device that is revoked", ErrRevoked, func(b *Bundle) {
			b.Chain = bobsLater.chain
			b.signature = bob.device.Sign(bundleLabel, digest(b))
		}},
		{"Bob's ROOT over Mallory's manifests", ErrChain, func(b *Bundle) {
			b.Chain = Chain{root: bob.root.Public(), manifests: mallory.chain.manifests}
		}},
		{"the signed prekey of another bundle", ErrSignature, func(b *Bundle) { b.Signed = other.Signed }},
		{"the post-quantum prekey of another bundle", ErrSignature, func(b *Bundle) { b.KEM = other.KEM }},
		{"the post-quantum prekey under another number", ErrSignature, func(b *Bundle) { b.KEM.ID++ }},
		{"a one-time post-quantum prekey called last-resort", ErrSignature, func(b *Bundle) { b.KEM.LastResort = true }},
		{"the one-time prekey of another bundle", ErrSignature, func(b *Bundle) { b.OneTime = other.OneTime }},
		{"the one-time prekey taken out", ErrSignature, func(b *Bundle) { b.OneTime = nil }},
		{"a one-time prekey of Mallory's", ErrSignature, func(b *Bundle) { b.OneTime = &k }},
		{"Mallory's introduction key", ErrSignature, func(b *Bundle) { b.Intro = malloryBundle.Intro }},
		{"Mallory's relays", ErrSignature, func(b *Bundle) { b.Relays = malloryBundle.Relays }},
		{"no relays", ErrSignature, func(b *Bundle) { b.Relays = nil }},
		{"a longer life", ErrSignature, func(b *Bundle) { b.Expiry = b.Expiry.Add(time.Hour) }},
		{"another bundle's signature", ErrSignature, func(b *Bundle) { b.signature = other.signature }},
		{"signed by ROOT", ErrSignature, func(b *Bundle) { b.signature = bob.root.Sign(bundleLabel, digest(b)) }},
		{"signed as something else", ErrSignature, func(b *Bundle) { b.signature = bob.device.Sign(cosignLabel, digest(b)) }},
	} {
		b := bob.bundle(t, 1, true)
		c.change(b)
		b, err := ParseBundle(b.Marshal())
		if err != nil {
			t.Errorf("%s: does not even parse: %v", c.what, err)
			continue
		}
		if err := b.Verify(bob.chain.Account(), noon); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}

	b := bob.bundle(t, 1, true)
	last := b.Expiry.Add(-time.Nanosecond)
	if err := b.Verify(bob.chain.Account(), last); err != nil {
		t.Errorf("in its last moment: %v", err)
	}
	for _, now := range []time.Time{b.Expiry, noon.AddDate(10, 0, 0)} {
		if err := b.Verify(bob.chain.Account(), now); !errors.Is(err, ErrExpired) {
			t.Errorf("at %v: %v", now, err)
		}
	}
	if err := b.Verify(bob.chain.Account(), noon.AddDate(-1, 0, 0)); err != nil {
		t.Errorf("by a clock that is a year behind: %v", err)
	}
}

func digest(b *Bundle) []byte {
	d := b.Digest()
	return d[:]
}

// Keys that are not what they are called, and parts that cannot be left out.
func TestBundlesThatDoNotParse(t *testing.T) {
	bob := somebody('b')
	overModulus := bytes.Repeat([]byte{0xff}, mlkem.EncapsulationKeySize1024)
	for _, c := range []struct {
		what   string
		want   error
		change func(*Bundle)
	}{
		{"the post-quantum key taken out", ErrMalformed, func(b *Bundle) { b.KEM.Public = nil }},
		{"a key of ML-KEM-768 for one of 1024", ErrMalformed, func(b *Bundle) { b.KEM.Public = b.Intro[:mlkem.EncapsulationKeySize768] }},
		{"a post-quantum key over the modulus", ErrKey, func(b *Bundle) { b.KEM.Public = overModulus }},
		{"an introduction key over the modulus", ErrKey, func(b *Bundle) { b.Intro = overModulus[:IntroSize] }},
		{"an introduction key of low order", ErrKey, func(b *Bundle) { clear(b.Intro[mlkem.EncapsulationKeySize768:]) }},
		{"an introduction key that is not canonical", ErrKey, func(b *Bundle) { b.Intro[IntroSize-1] |= 0x80 }},
		{"a signed prekey of low order", ErrKey, func(b *Bundle) { b.Signed = PrekeyPublic{1} }},
		{"a one-time prekey of zeros", ErrKey, func(b *Bundle) { b.OneTime = new(PrekeyPublic) }},
		{"an agreement key of zeros", ErrKey, func(b *Bundle) { b.Agreement = AgreementPublic{} }},
		{"a device key of low order", ErrKey, func(b *Bundle) { b.Device = DevicePublic{1} }},
		{"a suite from tomorrow", ErrNewer, func(b *Bundle) { b.Suite = 2 }},
		{"a suite that never was", ErrNewer, func(b *Bundle) { b.Suite = 0 }},
		{"four relays", ErrMalformed, func(b *Bundle) { b.Relays = []Hint{relayHint(1), relayHint(2), relayHint(3), relayHint(4)} }},
		{"a relay twice", ErrMalformed, func(b *Bundle) { b.Relays = []Hint{relayHint(1), relayHint(1)} }},
		{"a relay without a name", ErrMalformed, func(b *Bundle) { b.Relays = []Hint{{Kind: HintRelay}} }},
		{"a relay of no known kind", ErrMalformed, func(b *Bundle) { b.Relays[0].Kind = 3 }},
		{"an empty address", ErrMalformed, func(b *Bundle) { b.Relays[0].Addrs = [][]byte{{}} }},
		{"an address too long", ErrMalformed, func(b *Bundle) { b.Relays[0].Addrs = [][]byte{make([]byte, MaxAddrSize+1)} }},
		{"nine addresses", ErrMalformed, func(b *Bundle) { b.Relays[0].Addrs = bytes.Split(bytes.Repeat([]byte{1}, 9), nil) }},
	} {
		b := bob.bundle(t, 1, true)
		c.change(b)
		if _, err := ParseBundle(b.Marshal()); !errors.Is(err, c.want) {
			t.Errorf("%s: parsed: %v, want %v", c.what, err, c.want)
		}
		if _, err := b.Sign(bob.device); err == nil {
			t.Errorf("%s: Bob signs it", c.what)
		}
	}

	b := bob.bundle(t, 1, true)
	if _, err := b.Sign(somebody('m').device); !errors.Is(err, ErrNotListed) {
		t.Errorf("signed with Mallory's key: %v", err)
	}
	data := b.Marshal()
	for n := range data {
		if _, err := ParseBundle(data[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
	}
	if _, err := ParseBundle(append(data, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
	if _, err := ParseBundle(make([]byte, MaxBundleSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
}

func TestEveryByteOfABundleCounts(t *testing.T) {
	bob := somebody('b')
	b := bob.bundle(t, 1, true)
	data := b.Marshal()
	kem, intro := bytes.Index(data, b.KEM.Public), bytes.Index(data, b.Intro)
	for i := range data {
		// The two ML-KEM keys are long, and one byte of them is as another.
		inKEM, inIntro := i > kem && i < kem+len(b.KEM.Public)-1, i > intro && i < intro+mlkem.EncapsulationKeySize768-1
		if (inKEM || inIntro) && i%32 != 0 {
			continue
		}
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		b, err := ParseBundle(bad)
		if err == nil {
			err = b.Verify(bob.chain.Account(), noon)
		}
		if err == nil {
			t.Errorf("a bit of byte %d changed, and nobody saw", i)
		}
	}
}

// The longest chain and the longest hints still make a bundle that a notice
// can carry.
func TestTheLongestBundle(t *testing.T) {
	bob := somebody('b')
	for i := 0; ; i++ {
		d, err := bob.chain.Draft(bob.device.Public(), nil, nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.Sign(bob.device)
		if err != nil {
			break
		}
		bob.chain = c
	}
	b := bob.bundle(t, 1, true)
	b.Relays = longestHints()
	data, err := b.Sign(bob.device)
	if err != nil {
		t.Fatal(err)
	}
	i := NewInvitation(Single, bob.chain.Account(), nil)
	if _, err := i.SealNotice(data); err != nil {
		t.Error(err)
	}
	t.Logf("%d bytes of %d", len(data), MaxNotice)
	if most := MaxBundleSize; most > MaxNotice {
		t.Errorf("a bundle of %d bytes may be made, and a notice holds %d", most, MaxNotice)
	}
}

func longestHints() []Hint {
	var hints []Hint
	for n := range byte(MaxHints) {
		h := Hint{Kind: HintDevice, Peer: append(make([]byte, MaxPeer-1), n)}
		for range MaxAddrs {
			h.Addrs = append(h.Addrs, make([]byte, MaxAddrSize))
		}
		hints = append(hints, h)
	}
	return hints
}

func FuzzParseBundle(f *testing.F) {
	bob := somebody('b')
	f.Add(bob.bundle(f, 1, true).Marshal())
	f.Add(bob.bundle(f, 2, false).Marshal())
	f.Add([]byte{1, 1, 0, 0})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBundle(data)
		if err != nil {
			decoderError(t, err)
			return
		}
		if !bytes.Equal(b.Marshal(), data) {
			t.Fatalf("two spellings of one bundle:\n%x\n%x", data, b.Marshal())
		}
		if b.Verify(bob.chain.Account(), noon) == nil && b.Device != bob.device.Public() {
			t.Fatal("a forged bundle")
		}
	})
}
