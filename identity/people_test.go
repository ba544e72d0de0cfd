package identity

import (
	"crypto/hpke"
	"crypto/mlkem"
	"testing"
	"time"
)

// noon is when the tests' stories begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// person is somebody in a test, with every key that they hold.
type person struct {
	entropy   [32]byte
	root      RootPrivate
	device    DevicePrivate
	agreement AgreementPrivate
	chain     Chain
}

// somebody has an account with one device, made at noon, whose keys follow
// from n.
func somebody(n byte) *person {
	p := &person{entropy: [32]byte{n, 1}, device: NewDevicePrivate([32]byte{n, 2}), agreement: NewAgreementPrivate([32]byte{3, n})}
	p.root = RootFromEntropy(p.entropy)
	p.chain = NewChain(p.root, p.device, p.agreement.Public(), noon)
	return p
}

// gadget is another device, not listed anywhere yet.
type gadget struct {
	key       DevicePrivate
	agreement AgreementPrivate
}

func newGadget(n byte) gadget {
	return gadget{NewDevicePrivate([32]byte{n, 4}), NewAgreementPrivate([32]byte{5, n})}
}

func (g gadget) listed(admin bool) Device {
	return Device{Signing: g.key.Public(), Agreement: g.agreement.Public(), Admin: admin, Added: noon}
}

// next adds and revokes devices, with every co-signature.
func next(t *testing.T, c Chain, by DevicePrivate, add []gadget, admin bool, revoke ...DevicePublic) Chain {
	t.Helper()
	var devices []Device
	for _, g := range add {
		devices = append(devices, g.listed(admin))
	}
	d, err := c.Draft(by.Public(), devices, revoke, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range add {
		signature, err := CosignManifest(g.key, g.agreement.Public(), c.Account(), d.Text())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Cosign(g.key.Public(), signature); err != nil {
			t.Fatal(err)
		}
	}
	c, err = d.Sign(by)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// received is the chain as somebody else gets it.
func received(t testing.TB, c Chain) Chain {
	t.Helper()
	got, err := ParseChain(c.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// bundle is what somebody hands out, good for a week.
func (p *person) bundle(t testing.TB, n byte, oneTime bool) *Bundle {
	t.Helper()
	kem, err := mlkem.NewDecapsulationKey1024(append(make([]byte, 63), n))
	if err != nil {
		t.Fatal(err)
	}
	intro, err := hpke.MLKEM768X25519().NewPrivateKey(append(make([]byte, 31), n))
	if err != nil {
		t.Fatal(err)
	}
	b := &Bundle{
		Suite:     Suite,
		Chain:     p.chain,
		Device:    p.device.Public(),
		Agreement: p.agreement.Public(),
		Signed:    NewPrekeyPrivate([32]byte{6, n}).Public(),
		KEM:       KEMPrekey{ID: uint32(n), Public: kem.EncapsulationKey().Bytes(), LastResort: !oneTime},
		Intro:     intro.PublicKey().Bytes(),
		Relays:    []Hint{relayHint(n), relayHint(n + 1)},
		Expiry:    noon.Add(7 * 24 * time.Hour),
	}
	if oneTime {
		k := NewPrekeyPrivate([32]byte{7, n}).Public()
		b.OneTime = &k
	}
	if _, err := b.Sign(p.device); err != nil {
		t.Fatal(err)
	}
	return b
}

func relayHint(n byte) Hint {
	peer := append([]byte{0, 36, 8, 1, 18, 32}, make([]byte, 32)...)
	peer[37] = n
	return Hint{Kind: HintRelay, Peer: peer, Addrs: [][]byte{{4, 11, 22, 33, n, 6, 15, 161}}}
}
