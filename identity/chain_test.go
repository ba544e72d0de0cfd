package identity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Alice makes an account, adds a laptop and a phone, and loses the phone.
func TestAliceHasThreeDevices(t *testing.T) {
	alice, laptop, phone := somebody('a'), newGadget('l'), newGadget('p')
	c := alice.chain
	if _, ok := received(t, c).Device(alice.device.Public()); ok {
		t.Fatal("a chain that nobody verified answers for a device")
	}
	c = next(t, c, alice.device, []gadget{laptop}, true)
	c = next(t, c, laptop.key, []gadget{phone}, false)
	if c.N() != 2 || len(c.Devices()) != 3 {
		t.Fatalf("number %d, %d devices", c.N(), len(c.Devices()))
	}
	c = next(t, c, alice.device, nil, false, phone.key.Public())

	seen := received(t, c)
	if err := seen.Verify(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seen.Marshal(), c.Marshal()) || seen.Head() != c.Head() || seen.Account() != alice.root.Public().Account() || seen.Root() != alice.root.Public() {
		t.Error("the chain changed on its way")
	}
	if d, ok := seen.Device(laptop.key.Public()); !ok || !d.Admin || d.Agreement != laptop.agreement.Public() || !d.Added.Equal(noon) {
		t.Errorf("the laptop is %+v, %v", d, ok)
	}
	if err := seen.Check(phone.key.Public(), phone.agreement.Public()); !errors.Is(err, ErrRevoked) {
		t.Errorf("the lost phone: %v", err)
	}
	if err := seen.Check(laptop.key.Public(), phone.agreement.Public()); !errors.Is(err, ErrNotListed) {
		t.Errorf("the laptop with another's agreement key: %v", err)
	}
	if !seen.Fresh(noon) || seen.Fresh(noon.Add(ManifestLifetime)) {
		t.Error("a manifest is fresh for a year")
	}

	if _, err := c.Draft(alice.device.Public(), []Device{phone.listed(false)}, nil, noon); err == nil {
		t.Error("a revoked device is added again")
	}
	if _, err := c.Draft(phone.key.Public(), nil, nil, noon); !errors.Is(err, ErrNotListed) {
		t.Errorf("a revoked device drafts: %v", err)
	}
}

// What a contact must refuse, each made by somebody who holds real keys.
func TestForgedChains(t *testing.T) {
	alice, mallory := somebody('a'), somebody('m')
	laptop, phone, evil := newGadget('l'), newGadget('p'), newGadget('e')
	c := next(t, alice.chain, alice.device, []gadget{laptop, phone}, true)
	c = next(t, c, alice.device, nil, false, phone.key.Public())
	plain := next(t, alice.chain, alice.device, []gadget{laptop}, false) // the laptop is no admin

	// extend appends a manifest that nothing but the signer's key limits.
	extend := func(c Chain, by DevicePrivate, cosign []DevicePrivate, change func(*Manifest)) Chain {
		last := c.Newest()
		m := Manifest{
			Account: last.Account, N: last.N + 1, Prev: last.Hash(), Expiry: last.Expiry,
			Devices: slices.Clone(last.Devices), Revoked: slices.Clone(last.Revoked), Signer: by.Public(),
		}
		change(&m)
		slices.SortFunc(m.Devices, func(a, b Device) int { return compareDevices(a.Signing, b.Signing) })
		slices.SortFunc(cosign, func(a, b DevicePrivate) int { return compareDevices(a.Public(), b.Public()) })
		for _, k := range cosign {
			m.Cosignatures = append(m.Cosignatures, k.Sign(cosignLabel, m.text()))
		}
		m.Signature = by.Sign(manifestLabel, m.text())
		return Chain{root: c.root, manifests: append(slices.Clone(c.manifests), m)}
	}
	addEvil := func(m *Manifest) { m.Devices = append(m.Devices, evil.listed(true)) }

	for what, forged := range map[string]Chain{
		"a device added by a revoked admin": extend(c, phone.key, []DevicePrivate{evil.key}, addEvil),
		"a device added by one that is no admin": extend(plain, laptop.key, []DevicePrivate{evil.key},
			addEvil),
		"a device added by itself":               extend(c, evil.key, []DevicePrivate{evil.key}, addEvil),
		"a device that did not co-sign":          extend(c, laptop.key, nil, addEvil),
		"a device co-signed by its adder":        extend(c, laptop.key, []DevicePrivate{laptop.key}, addEvil),
		"a co-signature of a device that is old": extend(c, laptop.key, []DevicePrivate{laptop.key}, func(*Manifest) {}),
		"a number left out":                      extend(c, laptop.key, nil, func(m *Manifest) { m.N++ }),
		"the same number again":                  extend(c, laptop.key, nil, func(m *Manifest) { m.N-- }),
		"another one before it":                  extend(c, laptop.key, nil, func(m *Manifest) { m.Prev[0] ^= 1 }),
		"nothing before it":                      extend(c, laptop.key, nil, func(m *Manifest) { m.Prev = [32]byte{} }),
		"a revoked device forgotten":             extend(c, laptop.key, nil, func(m *Manifest) { m.Revoked = nil }),
		"a revoked device listed again": extend(c, laptop.key, []DevicePrivate{phone.key}, func(m *Manifest) {
			m.Revoked, m.Devices = nil, append(m.Devices, phone.listed(true))
		}),
		"a device gone, not revoked": extend(c, laptop.key, nil, func(m *Manifest) {
			m.Devices = slices.DeleteFunc(m.Devices, func(d Device) bool { return d.Signing == alice.device.Public() })
		}),
		"a device's agreement key replaced": extend(c, laptop.key, nil, func(m *Manifest) { m.Devices[0].Agreement = evil.agreement.Public() }),
		"another account's manifest":        extend(c, laptop.key, nil, func(m *Manifest) { m.Account = mallory.chain.Account() }),
		"signed by a device in ROOT's name": extend(c, laptop.key, nil, func(m *Manifest) { m.Signer = DevicePublic{} }),
		"Mallory's key over Alice's":        {root: mallory.root.Public(), manifests: c.manifests},
		"not from the one that ROOT signed": {root: c.root, manifests: c.manifests[1:]},
		"the middle left out":               {root: c.root, manifests: []Manifest{c.manifests[0], c.manifests[2]}},
		"in the wrong order":                {root: c.root, manifests: []Manifest{c.manifests[0], c.manifests[2], c.manifests[1]}},
		"two that ROOT signed":              {root: c.root, manifests: []Manifest{c.manifests[0], c.manifests[0]}},
		"none":                              {root: c.root},
	} {
		if err := forged.Verify(); !errors.Is(err, ErrChain) {
			t.Errorf("%s: %v", what, err)
		}
		if len(forged.Devices()) != 0 {
			t.Errorf("%s: has devices", what)
		}
		if _, err := NewPin(forged, Suite); err == nil {
			t.Errorf("%s: is pinned", what)
		}
	}
	honest := extend(c, laptop.key, []DevicePrivate{evil.key}, addEvil)
	if err := honest.Verify(); err != nil {
		t.Errorf("an honest one made the same way: %v", err)
	}
}

// Mallory, an admin of her own account, would like Bob's phone to count as
// hers, so that what Bob signs seems to come from her.
func TestNobodyAddsADeviceOfAnother(t *testing.T) {
	mallory, bob := somebody('m'), somebody('b')
	theirs := Device{Signing: bob.device.Public(), Agreement: bob.agreement.Public(), Added: noon}
	d, err := mallory.chain.Draft(mallory.device.Public(), []Device{theirs}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sign(mallory.device); !errors.Is(err, ErrChain) {
		t.Errorf("signed without Bob: %v", err)
	}
	if err := d.Cosign(bob.device.Public(), mallory.device.Sign(cosignLabel, d.Text())); !errors.Is(err, ErrSignature) {
		t.Errorf("Mallory co-signs for Bob: %v", err)
	}
	// Bob's device is asked, and believes that it joins Bob's account.
	if _, err := CosignManifest(bob.device, bob.agreement.Public(), bob.chain.Account(), d.Text()); !errors.Is(err, ErrWrongAccount) {
		t.Errorf("Bob co-signs for another account: %v", err)
	}
	evil := newGadget('e')
	if _, err := CosignManifest(bob.device, evil.agreement.Public(), mallory.chain.Account(), d.Text()); !errors.Is(err, ErrNotListed) {
		t.Errorf("Bob co-signs another agreement key: %v", err)
	}
	if _, err := CosignManifest(evil.key, evil.agreement.Public(), mallory.chain.Account(), d.Text()); !errors.Is(err, ErrNotListed) {
		t.Errorf("a device that is not listed co-signs: %v", err)
	}
	if _, err := CosignManifest(bob.device, bob.agreement.Public(), mallory.chain.Account(), append(d.Text(), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a text with more behind it: %v", err)
	}
}

// Ten thousand devices are refused before anything is made of them.
func TestTenThousandDevices(t *testing.T) {
	alice := somebody('a')
	agreement := alice.agreement.Public()
	var many []Device
	for i := range 10000 {
		many = append(many, Device{Signing: DevicePublic{byte(i), byte(i >> 8), 9}, Agreement: agreement, Added: noon})
	}
	if _, err := alice.chain.Draft(alice.device.Public(), many, nil, noon); !errors.Is(err, ErrTooLarge) {
		t.Errorf("drafted: %v", err)
	}
	last := alice.chain.Newest()
	last.Devices = many[:255] // as many as the count can say
	forged := Chain{root: alice.root.Public(), manifests: []Manifest{last}}
	if _, err := ParseChain(forged.Marshal()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("255 devices: %v", err)
	}
	last.Devices = many[:MaxDevices+1]
	if _, err := parseManifest(last.marshal()); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d devices: %v", MaxDevices+1, err)
	}
	if _, err := ParseChain(make([]byte, 10<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("ten megabytes: %v", err)
	}
	data := alice.chain.Marshal()
	if n := testing.AllocsPerRun(10, func() { ParseChain(data[:len(data)-1]) }); n > 50 {
		t.Errorf("a truncated chain takes %v allocations", n)
	}
}

// Alice renews her manifest until the chain is full; only her words go on.
func TestAChainThatIsFullStartsAnew(t *testing.T) {
	alice, c := somebody('a'), somebody('a').chain
	for i := 0; ; i++ {
		d, err := c.Draft(alice.device.Public(), nil, nil, noon.Add(time.Duration(i)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		longer, err := d.Sign(alice.device)
		if errors.Is(err, ErrTooLarge) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		c = longer
	}
	if n := len(c.Marshal()); n > MaxChainSize || n < MaxChainSize-1000 {
		t.Errorf("full at %d bytes", n)
	}
	t.Logf("full after %d manifests", c.N()+1)
	pin, err := NewPin(received(t, c), Suite)
	if err != nil {
		t.Fatal(err)
	}
	anew := RestartChain(alice.root, alice.device, alice.agreement.Public(), noon, c.N())
	if pin, err = pin.Advance(received(t, anew)); err != nil || pin.Head != anew.Head() {
		t.Errorf("the new chain: %v", err)
	}
}

func TestEveryByteOfAChainCounts(t *testing.T) {
	alice := somebody('a')
	c := next(t, alice.chain, alice.device, []gadget{newGadget('l')}, true)
	data := c.Marshal()
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		got, err := ParseChain(bad)
		if err == nil {
			err = got.Verify()
		}
		if err == nil {
			t.Errorf("a bit of byte %d changed, and nobody saw", i)
		}
	}
	for n := range data {
		// A chain that ends with one manifest the fewer is a chain: an older one.
		if got, err := ParseChain(data[:n]); err == nil && len(got.manifests) != 1 {
			t.Errorf("cut at byte %d, and nobody saw", n)
		}
	}
	if _, err := ParseChain(append(data, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
	newer := bytes.Clone(data)
	newer[0] = 2
	if _, err := ParseChain(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("version 2: %v", err)
	}
}

// A device key of low order, for which anybody can sign, gets nowhere.
func TestKeysOfLowOrderInAManifest(t *testing.T) {
	alice := somebody('a')
	last := alice.chain.Newest()
	for what, change := range map[string]func(*Device){
		"signing, order 1":       func(d *Device) { d.Signing = DevicePublic{1} },
		"signing, order 4":       func(d *Device) { d.Signing = DevicePublic{} },
		"agreement, zero":        func(d *Device) { d.Agreement = AgreementPublic{} },
		"agreement, one":         func(d *Device) { d.Agreement = AgreementPublic{1} },
		"agreement, over 2^255":  func(d *Device) { d.Agreement[31] |= 0x80 },
		"signing, not canonical": func(d *Device) { d.Signing = DevicePublic(bytes.Repeat([]byte{0xff}, 32)) },
	} {
		m := last
		m.Devices = slices.Clone(last.Devices)
		change(&m.Devices[0])
		if _, err := parseManifest(m.marshal()); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLabelsOfSignaturesDiffer(t *testing.T) {
	// A label that begins another could let one text be read as two things.
	labels := []string{manifestLabel, cosignLabel, bundleLabel}
	for i, a := range labels {
		for j, b := range labels {
			if i != j && strings.HasPrefix(a, b) {
				t.Errorf("%q begins with %q", a, b)
			}
		}
	}
}

func FuzzParseChain(f *testing.F) {
	alice := somebody('a')
	f.Add(alice.chain.Marshal())
	long := next(&testing.T{}, alice.chain, alice.device, []gadget{newGadget('l'), newGadget('p')}, true)
	f.Add(long.Marshal())
	f.Add(RestartChain(alice.root, alice.device, alice.agreement.Public(), noon, 3).Marshal())
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseChain(data)
		if err != nil {
			decoderError(t, err)
			return
		}
		if !bytes.Equal(c.Marshal(), data) {
			t.Fatalf("two spellings of one chain:\n%x\n%x", data, c.Marshal())
		}
		if err := c.Verify(); err != nil && !errors.Is(err, ErrChain) {
			t.Fatal(err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	alice := somebody('a')
	c := next(&testing.T{}, alice.chain, alice.device, []gadget{newGadget('l'), newGadget('p')}, true)
	c = next(&testing.T{}, c, alice.device, nil, true, newGadget('p').key.Public())
	for i := range c.manifests {
		f.Add(c.manifests[i].marshal())
		f.Add(c.manifests[i].text())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			decoderError(t, err)
		} else if !bytes.Equal(m.marshal(), data) {
			t.Fatalf("two spellings of one manifest:\n%x\n%x", data, m.marshal())
		}
		if _, err := CosignManifest(alice.device, alice.agreement.Public(), alice.chain.Account(), data); err != nil &&
			!errors.Is(err, ErrNotListed) && !errors.Is(err, ErrWrongAccount) {
			decoderError(t, err)
		}
	})
}

// decoderError fails unless a decoder's error is one of those it promises.
func decoderError(t *testing.T, err error) {
	t.Helper()
	for _, known := range []error{ErrMalformed, ErrNewer, ErrTooLarge, ErrKey} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Fatal(fmt.Errorf("not an error of a decoder: %w", err))
}
