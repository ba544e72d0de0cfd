package identity

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

const (
	// MaxDevices bounds the devices of a manifest. Every message is sealed
	// once for each of the recipient's devices, so this also bounds what an
	// account can make its contacts do.
	MaxDevices = 16
	// MaxRevoked bounds the revoked devices a manifest names. A manifest
	// signed by ROOT starts anew with none.
	MaxRevoked = 64
	// ManifestLifetime is how long a manifest is fresh. Its end warns and
	// never freezes: a person who was away for long is still that person.
	ManifestLifetime = 365 * 24 * time.Hour
)

// Labels of the signatures of a manifest and of the hash that names it.
const (
	manifestLabel = "godwit/1/manifest"
	cosignLabel   = "godwit/1/cosign"
	headLabel     = "godwit/1/manifest-head"
)

const deviceSize = 2*KeySize + 1 + 8 // bytes of a Device in a manifest

// Device is a device as its account's manifest lists it.
type Device struct {
	Signing   DevicePublic    // DSK, its name
	Agreement AgreementPublic // DIK
	Admin     bool            // may sign the next manifest
	Added     time.Time       // whole seconds
}

// Manifest says which devices speak for an account. SPEC.md has its layout.
type Manifest struct {
	Account AccountID
	// N counts the manifests of an account. One that starts anew after a
	// recovery has N = unix milliseconds, past any number counted by ones.
	N uint64
	// Prev is the Hash of manifest N-1, and zero in one that starts anew.
	Prev    [32]byte
	Expiry  time.Time      // whole seconds
	Devices []Device       // 1 to MaxDevices, ascending by Signing
	Revoked []DevicePublic // up to MaxRevoked, ascending
	// Signer is an admin of manifest N-1. Zero, which is no device's key,
	// stands for ROOT.
	Signer    DevicePublic
	Signature [SignatureSize]byte
	// Cosignatures show that each new device is one its owner holds: one for
	// each that manifest N-1 does not list, in the order of Devices. In the
	// first manifest of a chain every device counts as new.
	Cosignatures [][SignatureSize]byte
}

// RootSigned tells whether ROOT signed the manifest, and not a device.
func (m *Manifest) RootSigned() bool { return m.Signer == DevicePublic{} }

// Hash names the manifest's contents: SHA-256 of a label and of what its
// signer signed. The hash of an account's newest manifest is its head, which
// contacts pin.
func (m *Manifest) Hash() [32]byte {
	h := sha256.New()
	h.Write([]byte(headLabel))
	h.Write(m.text())
	return [32]byte(h.Sum(nil))
}

// Device finds the device in the manifest.
func (m *Manifest) Device(name DevicePublic) (Device, bool) {
	i, ok := slices.BinarySearchFunc(m.Devices, name, func(d Device, n DevicePublic) int {
		return compareDevices(d.Signing, n)
	})
	if !ok {
		return Device{}, false
	}
	return m.Devices[i], true
}

func (m *Manifest) revokes(name DevicePublic) bool {
	_, ok := slices.BinarySearchFunc(m.Revoked, name, compareDevices)
	return ok
}

// text is what signatures cover: everything but the signatures.
func (m *Manifest) text() []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddBytes(m.Account[:])
	b.AddUint64(m.N)
	b.AddBytes(m.Prev[:])
	addTime(&b, m.Expiry)
	b.AddUint8(uint8(len(m.Devices)))
	for _, d := range m.Devices {
		b.AddBytes(d.Signing[:])
		b.AddBytes(d.Agreement[:])
		b.AddUint8(boolByte(d.Admin))
		addTime(&b, d.Added)
	}
	b.AddUint8(uint8(len(m.Revoked)))
	for _, r := range m.Revoked {
		b.AddBytes(r[:])
	}
	b.AddBytes(m.Signer[:])
	return b.BytesOrPanic()
}

func boolByte(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func (m *Manifest) marshal() []byte {
	b := append(m.text(), m.Signature[:]...)
	b = append(b, uint8(len(m.Cosignatures)))
	for _, c := range m.Cosignatures {
		b = append(b, c[:]...)
	}
	return b
}

// parseManifest reads one whole manifest.
func parseManifest(data []byte) (m Manifest, err error) {
	s := cryptobyte.String(data)
	if err := readManifestText(&s, &m); err != nil {
		return Manifest{}, err
	}
	var n uint8
	if !s.CopyBytes(m.Signature[:]) || !s.ReadUint8(&n) || int(n) > len(m.Devices) || len(s) != int(n)*SignatureSize {
		return Manifest{}, malformed("manifest's signatures")
	}
	m.Cosignatures = make([][SignatureSize]byte, n)
	for i := range m.Cosignatures {
		s.CopyBytes(m.Cosignatures[i][:])
	}
	return m, nil
}

func readManifestText(s *cryptobyte.String, m *Manifest) error {
	if err := readVersion(s, "manifest"); err != nil {
		return err
	}
	var n uint8
	if !s.CopyBytes(m.Account[:]) || !s.ReadUint64(&m.N) || !s.CopyBytes(m.Prev[:]) || !readTime(s, &m.Expiry) || !s.ReadUint8(&n) {
		return malformed("manifest")
	}
	if n == 0 || n > MaxDevices || len(*s) < int(n)*deviceSize {
		return malformed("manifest's list of devices")
	}
	m.Devices = make([]Device, n)
	for i := range m.Devices {
		if err := readDevice(s, &m.Devices[i]); err != nil {
			return err
		}
		if i > 0 && compareDevices(m.Devices[i-1].Signing, m.Devices[i].Signing) >= 0 {
			return malformed("manifest: devices out of order")
		}
	}
	if !s.ReadUint8(&n) || n > MaxRevoked || len(*s) < int(n)*KeySize {
		return malformed("manifest's list of revoked devices")
	}
	m.Revoked = make([]DevicePublic, n)
	for i := range m.Revoked {
		r := &m.Revoked[i]
		s.CopyBytes(r[:])
		if i > 0 && compareDevices(m.Revoked[i-1], *r) >= 0 {
			return malformed("manifest: revoked devices out of order")
		}
		if _, listed := m.Device(*r); listed {
			return malformed("manifest: a device is listed and revoked")
		}
	}
	if !s.CopyBytes(m.Signer[:]) {
		return malformed("manifest's signer")
	}
	return nil
}

func readDevice(s *cryptobyte.String, d *Device) (err error) {
	var signing, agreement []byte
	var admin uint8
	if !s.ReadBytes(&signing, KeySize) || !s.ReadBytes(&agreement, KeySize) || !s.ReadUint8(&admin) || admin > 1 || !readTime(s, &d.Added) {
		return malformed("manifest's device")
	}
	d.Admin = admin == 1
	if d.Signing, err = ParseDevice(signing); err != nil {
		return fmt.Errorf("manifest's device: %w", err)
	}
	if d.Agreement, err = ParseAgreement(agreement); err != nil {
		return fmt.Errorf("manifest's device: %w", err)
	}
	return nil
}

// CosignManifest is a new device's part in its own addition: it signs the
// text of a Draft if that lists this very device, with this agreement key, for
// this account. Whoever shows the device the text learns nothing but that it
// agrees.
func CosignManifest(device DevicePrivate, agreement AgreementPublic, account AccountID, text []byte) ([SignatureSize]byte, error) {
	s := cryptobyte.String(text)
	var m Manifest
	if err := readManifestText(&s, &m); err != nil {
		return [SignatureSize]byte{}, err
	}
	if !s.Empty() {
		return [SignatureSize]byte{}, malformed("manifest's text")
	}
	d, ok := m.Device(device.Public())
	if !ok || d.Agreement != agreement {
		return [SignatureSize]byte{}, ErrNotListed
	}
	if m.Account != account {
		return [SignatureSize]byte{}, ErrWrongAccount
	}
	return device.Sign(cosignLabel, text), nil
}
