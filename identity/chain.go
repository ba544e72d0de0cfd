package identity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// MaxChainSize bounds the encoding of a chain in bytes. A chain that would
// grow past it is begun anew with ROOT.
const MaxChainSize = 8 << 10

var (
	// ErrChain says that a chain of manifests does not hold: a gap, a signer
	// without the right, a missing co-signature.
	ErrChain = errors.New("identity: the account's manifests do not follow from its key")
	// ErrNotListed says that the account does not list the device, or lists
	// it with another agreement key.
	ErrNotListed = errors.New("identity: not a device of this account")
	// ErrRevoked says that the account has revoked the device.
	ErrRevoked = errors.New("identity: the account has revoked this device")
	// ErrWrongAccount says that a chain belongs to another account.
	ErrWrongAccount = errors.New("identity: belongs to another account")
)

// Chain is the proof that devices belong to an account: its ROOT key and its
// manifests from the last one that ROOT signed to the newest. A Chain that was
// parsed answers for no device until Verify has accepted it.
type Chain struct {
	root      RootPublic
	manifests []Manifest // never changed in place: copies of a Chain share it
	verified  bool
}

// NewChain is the chain of a new account with one device, which is its admin.
func NewChain(root RootPrivate, device DevicePrivate, agreement AgreementPublic, now time.Time) Chain {
	return newChain(root, device, agreement, now, 0)
}

// RestartChain is the chain of an account recovered from its words, on a new
// device: all others are revoked by no longer being listed. It is numbered by
// the clock, and past the newest number that is known (0 if none is).
func RestartChain(root RootPrivate, device DevicePrivate, agreement AgreementPublic, now time.Time, known uint64) Chain {
	return newChain(root, device, agreement, now, max(uint64(max(now.UnixMilli(), 1)), known+1))
}

func newChain(root RootPrivate, device DevicePrivate, agreement AgreementPublic, now time.Time, n uint64) Chain {
	m := Manifest{
		Account: root.Public().Account(),
		N:       n,
		Expiry:  seconds(now.Add(ManifestLifetime)),
		Devices: []Device{{Signing: device.Public(), Agreement: agreement, Admin: true, Added: seconds(now)}},
	}
	m.Signature = root.Sign(manifestLabel, m.text())
	m.Cosignatures = [][SignatureSize]byte{device.Sign(cosignLabel, m.text())}
	return Chain{root: root.Public(), manifests: []Manifest{m}, verified: true}
}

// Root is the ROOT key that the chain hangs from.
func (c Chain) Root() RootPublic { return c.root }

// Account is the id of the account that the chain belongs to.
func (c Chain) Account() AccountID { return c.root.Account() }

// Newest is the last manifest; the zero Manifest in the zero Chain.
func (c Chain) Newest() Manifest {
	if len(c.manifests) == 0 {
		return Manifest{}
	}
	return c.manifests[len(c.manifests)-1]
}

// Head is the hash of the newest manifest.
func (c Chain) Head() [32]byte {
	m := c.Newest()
	return m.Hash()
}

// N is the number of the newest manifest.
func (c Chain) N() uint64 { return c.Newest().N }

// Fresh tells whether the newest manifest's time has not ended. One that is
// not fresh is worth a warning, no more.
func (c Chain) Fresh(now time.Time) bool { return now.Before(c.Newest().Expiry) }

// Devices is a copy of the devices that the account has now; none if the chain
// was not verified.
func (c Chain) Devices() []Device {
	if !c.verified {
		return nil
	}
	return slices.Clone(c.Newest().Devices)
}

// Device finds a device that the account has now: listed, co-signed and not
// revoked. It finds none in a chain that was not verified.
func (c Chain) Device(name DevicePublic) (Device, bool) {
	if !c.verified {
		return Device{}, false
	}
	m := c.Newest()
	return m.Device(name)
}

// Check is Device as an error: nil if the account has the device with this
// agreement key, else ErrRevoked or ErrNotListed.
func (c Chain) Check(name DevicePublic, agreement AgreementPublic) error {
	d, ok := c.Device(name)
	if ok && d.Agreement == agreement {
		return nil
	}
	if m := c.Newest(); m.revokes(name) {
		return ErrRevoked
	}
	return ErrNotListed
}

// Marshal is the chain's encoding.
func (c Chain) Marshal() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(1)
	b.AddBytes(c.root[:])
	for i := range c.manifests {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.manifests[i].marshal()) })
	}
	return b.BytesOrPanic()
}

// ParseChain reads a chain. Its errors are ErrMalformed, ErrNewer, ErrTooLarge
// and ErrKey; whether the chain holds is for Verify to say.
func ParseChain(data []byte) (Chain, error) {
	if len(data) > MaxChainSize {
		return Chain{}, fmt.Errorf("%w: chain of %d bytes", ErrTooLarge, len(data))
	}
	s := cryptobyte.String(data)
	if err := readVersion(&s, "chain"); err != nil {
		return Chain{}, err
	}
	var root []byte
	if !s.ReadBytes(&root, KeySize) {
		return Chain{}, malformed("chain's key")
	}
	var c Chain
	var err error
	if c.root, err = ParseRoot(root); err != nil {
		return Chain{}, fmt.Errorf("chain: %w", err)
	}
	for {
		var one cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&one) {
			return Chain{}, malformed("chain")
		}
		m, err := parseManifest(one)
		if err != nil {
			return Chain{}, fmt.Errorf("chain: %w", err)
		}
		c.manifests = append(c.manifests, m)
		if s.Empty() {
			return c, nil
		}
	}
}

// Verify checks every link from ROOT to the newest manifest. Its errors wrap
// ErrChain, and ErrSignature where that is the reason.
func (c *Chain) Verify() error {
	if c.verified {
		return nil
	}
	if len(c.manifests) == 0 {
		return fmt.Errorf("%w: there are none", ErrChain)
	}
	var before *Manifest
	for i := range c.manifests {
		m := &c.manifests[i]
		if err := c.verifyNext(before, m); err != nil {
			return fmt.Errorf("%w: number %d: %w", ErrChain, m.N, err)
		}
		before = m
	}
	c.verified = true
	return nil
}

// verifyNext checks one manifest against the one before it, which is nil for
// the first of a chain.
func (c *Chain) verifyNext(before, m *Manifest) error {
	if m.Account != c.root.Account() {
		return ErrWrongAccount
	}
	text := m.text()
	if before == nil {
		if !m.RootSigned() {
			return errors.New("the first is not signed by the account's key")
		}
		if err := c.root.Verify(manifestLabel, text, m.Signature[:]); err != nil {
			return err
		}
		return m.verifyCosignatures(text, nil)
	}
	if m.RootSigned() {
		return errors.New("signed by the account's key, but not first")
	}
	if m.N != before.N+1 || m.N == 0 || m.Prev != before.Hash() {
		return errors.New("does not follow the one before it")
	}
	if by, ok := before.Device(m.Signer); !ok || !by.Admin {
		return errors.New("signed by a device that is no admin")
	}
	if err := m.Signer.Verify(manifestLabel, text, m.Signature[:]); err != nil {
		return err
	}
	for _, r := range before.Revoked {
		if !m.revokes(r) {
			return errors.New("a revoked device is forgotten")
		}
	}
	for _, d := range before.Devices {
		now, ok := m.Device(d.Signing)
		if !ok && !m.revokes(d.Signing) {
			return errors.New("a device is gone without being revoked")
		}
		if ok && (now.Agreement != d.Agreement || !now.Added.Equal(d.Added)) {
			return errors.New("a device changed its keys")
		}
	}
	return m.verifyCosignatures(text, before)
}

func (m *Manifest) verifyCosignatures(text []byte, before *Manifest) error {
	fresh := m.newDevices(before)
	if len(fresh) != len(m.Cosignatures) {
		return errors.New("not co-signed by just the new devices")
	}
	for i, name := range fresh {
		if err := name.Verify(cosignLabel, text, m.Cosignatures[i][:]); err != nil {
			return fmt.Errorf("co-signature: %w", err)
		}
	}
	return nil
}

// newDevices are the devices that must co-sign.
func (m *Manifest) newDevices(before *Manifest) []DevicePublic {
	var fresh []DevicePublic
	for _, d := range m.Devices {
		if before != nil {
			if _, ok := before.Device(d.Signing); ok {
				continue
			}
		}
		fresh = append(fresh, d.Signing)
	}
	return fresh
}

// Draft is the next manifest of a chain on its way to its signatures.
type Draft struct {
	chain    Chain
	next     Manifest
	cosigned map[DevicePublic][SignatureSize]byte
}

// Draft begins the next manifest: what the newest says, with devices added and
// revoked, and a new expiry. An admin device, by, will sign it. Adding a
// device that was revoked is refused, as is a list past its bound (ErrTooLarge).
func (c Chain) Draft(by DevicePublic, add []Device, revoke []DevicePublic, now time.Time) (*Draft, error) {
	if err := c.Verify(); err != nil {
		return nil, err
	}
	last := c.Newest()
	if d, ok := last.Device(by); !ok || !d.Admin {
		return nil, fmt.Errorf("%w: the signer is no admin", ErrNotListed)
	}
	next := Manifest{Account: last.Account, N: last.N + 1, Prev: last.Hash(), Expiry: seconds(now.Add(ManifestLifetime)), Signer: by}
	next.Revoked = slices.Clone(last.Revoked)
	for _, r := range revoke {
		if _, ok := last.Device(r); !ok {
			return nil, ErrNotListed
		}
		next.Revoked = append(next.Revoked, r)
	}
	slices.SortFunc(next.Revoked, compareDevices)
	next.Revoked = slices.Compact(next.Revoked)
	for _, d := range last.Devices {
		if !next.revokes(d.Signing) {
			next.Devices = append(next.Devices, d)
		}
	}
	for _, d := range add {
		d.Added = seconds(d.Added)
		next.Devices = append(next.Devices, d)
	}
	slices.SortFunc(next.Devices, func(a, b Device) int { return compareDevices(a.Signing, b.Signing) })
	if len(next.Devices) > MaxDevices || len(next.Revoked) > MaxRevoked {
		return nil, fmt.Errorf("%w: %d devices, %d revoked", ErrTooLarge, len(next.Devices), len(next.Revoked))
	}
	s := cryptobyte.String(next.text())
	if err := readManifestText(&s, new(Manifest)); err != nil {
		return nil, err
	}
	return &Draft{chain: c, next: next, cosigned: map[DevicePublic][SignatureSize]byte{}}, nil
}

// Text is what new devices sign, see CosignManifest.
func (d *Draft) Text() []byte { return d.next.text() }

// Cosign takes a new device's signature over Text.
func (d *Draft) Cosign(name DevicePublic, signature [SignatureSize]byte) error {
	if err := name.Verify(cosignLabel, d.Text(), signature[:]); err != nil {
		return err
	}
	d.cosigned[name] = signature
	return nil
}

// Sign finishes the draft and gives the chain with it. The chain that the
// draft was made from stays as it was. Its errors are ErrChain (a signature is
// missing, or the key is not that of the draft's signer) and ErrTooLarge,
// after which only ROOT can go on.
func (d *Draft) Sign(key DevicePrivate) (Chain, error) {
	m := d.next
	last := d.chain.Newest()
	for _, name := range m.newDevices(&last) {
		c, ok := d.cosigned[name]
		if !ok {
			return Chain{}, fmt.Errorf("%w: a new device has not co-signed", ErrChain)
		}
		m.Cosignatures = append(m.Cosignatures, c)
	}
	m.Signature = key.Sign(manifestLabel, m.text())
	c := Chain{root: d.chain.root, manifests: append(slices.Clone(d.chain.manifests), m)}
	if err := c.Verify(); err != nil {
		return Chain{}, err
	}
	if n := len(c.Marshal()); n > MaxChainSize {
		return Chain{}, fmt.Errorf("%w: chain of %d bytes", ErrTooLarge, n)
	}
	return c, nil
}
