package identity

import (
	"bytes"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha512"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

const (
	// IntroSize is the length in bytes of an X-Wing public key: ML-KEM-768,
	// then X25519.
	IntroSize = mlkem.EncapsulationKeySize768 + KeySize
	// MaxBundleSize bounds the encoding of a bundle in bytes. A bundle with
	// the longest chain and the longest hints fits.
	MaxBundleSize = 15 << 10
)

const bundleLabel = "godwit/1/bundle"

// ErrExpired says that the time of a bundle has ended.
var ErrExpired = errors.New("identity: expired")

// BundleID names a bundle: the first 32 bytes of its Digest.
type BundleID [32]byte

// KEMPrekey is a device's post-quantum prekey, PQPK (ML-KEM-1024, FIPS 203).
type KEMPrekey struct {
	ID         uint32
	Public     []byte // mlkem.EncapsulationKeySize1024 = 1568 bytes
	LastResort bool   // is in more than one bundle
}

// Bundle is what somebody needs to begin a session with a device that may be
// offline: its prekeys, signed by the device, and the proof that the device
// belongs to its account. SPEC.md has its layout.
type Bundle struct {
	Suite     byte
	Chain     Chain
	Device    DevicePublic    // DSK
	Agreement AgreementPublic // DIK
	Signed    PrekeyPublic    // SPK
	KEM       KEMPrekey       // PQPK
	OneTime   *PrekeyPublic   // OPK; nil in a bundle for many
	Intro     []byte          // IPK, X-Wing, IntroSize bytes: seals the first flight
	Relays    []Hint          // where the device keeps its boxes, up to MaxHints
	Expiry    time.Time       // whole seconds
	signature [SignatureSize]byte
}

// body is the encoding without the signature.
func (b *Bundle) body() []byte {
	var w cryptobyte.Builder
	w.AddUint8(1)
	w.AddUint8(b.Suite)
	w.AddUint16LengthPrefixed(func(w *cryptobyte.Builder) { w.AddBytes(b.Chain.Marshal()) })
	w.AddBytes(b.Device[:])
	w.AddBytes(b.Agreement[:])
	w.AddBytes(b.Signed[:])
	w.AddUint32(b.KEM.ID)
	w.AddUint8(boolByte(b.KEM.LastResort))
	w.AddBytes(b.KEM.Public)
	w.AddUint8(boolByte(b.OneTime != nil))
	if b.OneTime != nil {
		w.AddBytes(b.OneTime[:])
	}
	w.AddBytes(b.Intro)
	addHints(&w, b.Relays)
	addTime(&w, b.Expiry)
	return w.BytesOrPanic()
}

// Digest is SHA-512 of the bundle without its signature. The signature covers
// it, BundleID is cut from it, and the transcript of a first contact holds it.
func (b *Bundle) Digest() [64]byte { return sha512.Sum512(b.body()) }

// ID names the bundle.
func (b *Bundle) ID() BundleID {
	d := b.Digest()
	return BundleID(d[:32])
}

// Marshal is the signed bundle's encoding.
func (b *Bundle) Marshal() []byte { return append(b.body(), b.signature[:]...) }

// Sign signs the bundle with its device's key and gives its encoding. It
// refuses what the other side would: a field out of its bounds, a key that is
// not that of the bundle's device, a device that the chain does not list.
func (b *Bundle) Sign(key DevicePrivate) ([]byte, error) {
	if key.Public() != b.Device {
		return nil, fmt.Errorf("%w: signed by another device", ErrNotListed)
	}
	if err := b.Chain.Verify(); err != nil {
		return nil, err
	}
	if err := b.Chain.Check(b.Device, b.Agreement); err != nil {
		return nil, err
	}
	if err := checkHints(b.Relays); err != nil {
		return nil, err
	}
	b.Expiry = seconds(b.Expiry)
	d := b.Digest()
	b.signature = key.Sign(bundleLabel, d[:])
	data := b.Marshal()
	if _, err := ParseBundle(data); err != nil {
		return nil, err
	}
	return data, nil
}

// ParseBundle reads a signed bundle and checks that its keys are keys. Its
// errors are ErrMalformed, ErrNewer, ErrTooLarge and ErrKey. What it says is
// nobody's word yet: that is for Verify.
func ParseBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBundleSize {
		return nil, fmt.Errorf("%w: bundle of %d bytes", ErrTooLarge, len(data))
	}
	s := cryptobyte.String(data)
	if err := readVersion(&s, "bundle"); err != nil {
		return nil, err
	}
	b := new(Bundle)
	if !s.ReadUint8(&b.Suite) {
		return nil, malformed("bundle's suite")
	}
	if b.Suite != Suite {
		return nil, fmt.Errorf("%w: bundle of suite %d", ErrNewer, b.Suite)
	}
	var chain cryptobyte.String
	var agreement, signed, oneTime []byte
	var lastResort, hasOneTime uint8
	if !s.ReadUint16LengthPrefixed(&chain) ||
		!s.CopyBytes(b.Device[:]) ||
		!s.ReadBytes(&agreement, KeySize) ||
		!s.ReadBytes(&signed, KeySize) ||
		!s.ReadUint32(&b.KEM.ID) ||
		!s.ReadUint8(&lastResort) || lastResort > 1 ||
		!s.ReadBytes(&b.KEM.Public, mlkem.EncapsulationKeySize1024) ||
		!s.ReadUint8(&hasOneTime) || hasOneTime > 1 ||
		hasOneTime == 1 && !s.ReadBytes(&oneTime, KeySize) ||
		!s.ReadBytes(&b.Intro, IntroSize) {
		return nil, malformed("bundle")
	}
	b.KEM.LastResort = lastResort == 1
	var err error
	if b.Relays, err = readHints(&s); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if !readTime(&s, &b.Expiry) || !s.CopyBytes(b.signature[:]) || !s.Empty() {
		return nil, malformed("bundle's end")
	}
	if b.Chain, err = ParseChain(chain); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := b.parseKeys(agreement, signed, oneTime); err != nil {
		return nil, fmt.Errorf("bundle's %w", err)
	}
	// data is the caller's.
	b.KEM.Public, b.Intro = bytes.Clone(b.KEM.Public), bytes.Clone(b.Intro)
	return b, nil
}

func (b *Bundle) parseKeys(agreement, signed, oneTime []byte) (err error) {
	if _, err := ParseDevice(b.Device[:]); err != nil {
		return fmt.Errorf("device key: %w", err)
	}
	if b.Agreement, err = ParseAgreement(agreement); err != nil {
		return fmt.Errorf("agreement key: %w", err)
	}
	if b.Signed, err = ParsePrekey(signed); err != nil {
		return fmt.Errorf("signed prekey: %w", err)
	}
	if oneTime != nil {
		k, err := ParsePrekey(oneTime)
		if err != nil {
			return fmt.Errorf("one-time prekey: %w", err)
		}
		b.OneTime = &k
	}
	if _, err := mlkem.NewEncapsulationKey1024(b.KEM.Public); err != nil {
		return fmt.Errorf("post-quantum prekey: %w: %w", ErrKey, err)
	}
	if _, err := hpke.MLKEM768X25519().NewPublicKey(b.Intro); err != nil {
		return fmt.Errorf("introduction key: %w: %w", ErrKey, err)
	}
	if _, err := ParsePrekey(b.Intro[mlkem.EncapsulationKeySize768:]); err != nil {
		return fmt.Errorf("introduction key: %w", err)
	}
	return nil
}

// Verify tells whether the bundle is the account's word, now: account (from
// the invitation) -> ROOT -> manifests -> device and agreement key listed,
// co-signed, not revoked -> signature -> expiry. Its errors are ErrChain,
// ErrWrongAccount, ErrNotListed, ErrRevoked, ErrSignature and ErrExpired. It
// remembers that the chain holds, so it is not for several goroutines at once.
func (b *Bundle) Verify(account AccountID, now time.Time) error {
	if b.Chain.Account() != account {
		return ErrWrongAccount
	}
	if err := b.Chain.Verify(); err != nil {
		return err
	}
	if err := b.Chain.Check(b.Device, b.Agreement); err != nil {
		return err
	}
	d := b.Digest()
	if err := b.Device.Verify(bundleLabel, d[:], b.signature[:]); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if !now.Before(b.Expiry) {
		return fmt.Errorf("%w: bundle of %s", ErrExpired, b.Expiry.Format(time.RFC3339))
	}
	return nil
}
