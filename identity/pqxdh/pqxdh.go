// Package pqxdh is first contact: two devices, one of which may be offline,
// agree on the secrets of a session. It is Signal's PQXDH (revision 3) with the
// whole transcript in the key derivation, as the analysis of Bhargavan et al.
// (USENIX Security 2024) advises, and with the initiator's first flight sealed
// by HPKE (RFC 9180). SPEC.md in this folder is the normative description.
//
// The responder publishes an identity.Bundle. The initiator verifies it, calls
// Initiate, seals a first message with the session (package ratchet) and puts
// all into one Flight. The responder opens the flight, verifies whose it is
// with Flight.From, and calls Respond. Both then hold the same Secrets.
//
// The package is pure: bytes and randomness (crypto/rand) come in, bytes and
// errors go out.
package pqxdh

import (
	"bytes"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

const (
	transcriptLabel = "godwit/1/transcript"
	secretsLabel    = "godwit/1/pqxdh"
)

var (
	// ErrSelf refuses a session of a device with itself. (A person's own
	// devices do have sessions with each other: equal accounts are allowed.)
	ErrSelf = errors.New("pqxdh: both sides are the same device")
	// ErrPrekeys says that private prekeys, bundle and offer do not belong together.
	ErrPrekeys = errors.New("pqxdh: the offer is for other prekeys")
	// ErrMalformed says that bytes have not the form of an offer or a flight.
	ErrMalformed = errors.New("pqxdh: malformed")
	// ErrSealed says that a flight is not sealed to this introduction key.
	ErrSealed = errors.New("pqxdh: a flight for somebody else, or damaged")
)

// Initiator is who begins: this device.
type Initiator struct {
	Root      identity.RootPublic
	Head      [32]byte // of the newest manifest, identity.Chain.Head
	Device    identity.DevicePublic
	Agreement identity.AgreementPrivate
}

// Peer is the initiator as the responder sees it, already verified: see Flight.From.
type Peer struct {
	Root      identity.RootPublic
	Head      [32]byte
	Device    identity.DevicePublic
	Agreement identity.AgreementPublic
}

// Prekeys are the responder's private halves for one bundle.
type Prekeys struct {
	Agreement identity.AgreementPrivate
	Signed    identity.PrekeyPrivate
	KEM       *mlkem.DecapsulationKey1024
	OneTime   *identity.PrekeyPrivate // nil where the bundle has none
}

// Offer is what the initiator adds to the responder's bundle.
type Offer struct {
	Ephemeral  identity.PrekeyPublic // EK
	Bundle     identity.BundleID
	Ciphertext [mlkem.CiphertextSize1024]byte
}

// OfferSize is the length in bytes of an offer's encoding.
const OfferSize = 1 + identity.KeySize + 32 + mlkem.CiphertextSize1024

const offerVersion = 1

// SessionID names the session that the offer begins: SHA-256(EK ‖ ciphertext).
// Both sides know it, and a flight that comes again has it again.
func (o *Offer) SessionID() [32]byte {
	return sha256.Sum256(append(o.Ephemeral[:], o.Ciphertext[:]...))
}

// Marshal gives the offer's encoding, OfferSize bytes: version 1 ‖ EK ‖ bundle
// id ‖ ciphertext.
func (o *Offer) Marshal() []byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, OfferSize))
	b.AddUint8(offerVersion)
	b.AddBytes(o.Ephemeral[:])
	b.AddBytes(o.Bundle[:])
	b.AddBytes(o.Ciphertext[:])
	return b.BytesOrPanic()
}

// checkVersion refuses every version but one, and says so where it is a newer one.
func checkVersion(got, want uint8) error {
	switch {
	case got > want:
		return fmt.Errorf("%w: %w", ErrMalformed, identity.ErrNewer)
	case got < want:
		return fmt.Errorf("%w: version %d", ErrMalformed, got)
	}
	return nil
}

// ParseOffer reads what Marshal wrote. Its errors are ErrMalformed, with
// identity.ErrNewer for a later version, and identity.ErrKey.
func ParseOffer(data []byte) (o Offer, err error) {
	var version uint8
	var ephemeral []byte
	s := cryptobyte.String(data)
	if !s.ReadUint8(&version) {
		return Offer{}, fmt.Errorf("%w: empty offer", ErrMalformed)
	}
	if err := checkVersion(version, offerVersion); err != nil {
		return Offer{}, fmt.Errorf("offer: %w", err)
	}
	if !s.ReadBytes(&ephemeral, identity.KeySize) ||
		!s.CopyBytes(o.Bundle[:]) || !s.CopyBytes(o.Ciphertext[:]) || !s.Empty() {
		return Offer{}, fmt.Errorf("%w: offer of %d bytes", ErrMalformed, len(data))
	}
	if o.Ephemeral, err = identity.ParsePrekey(ephemeral); err != nil {
		return Offer{}, fmt.Errorf("offer's ephemeral key: %w", err)
	}
	return o, nil
}

// Secrets is what both sides hold in the end.
type Secrets struct {
	RootEC      [32]byte // root key of the session's elliptic-curve half
	RootPQ      [32]byte // root key of its post-quantum half
	HeaderA     [32]byte // header key of the initiator's first chain
	NextHeaderB [32]byte // header key of the responder's first chain
	Auth        [32]byte // keys HelloMAC and AckMAC
	// Transcript is T. Where both sides began at once, both send on the
	// session whose T is smaller, and receive on both for 30 days.
	Transcript [64]byte
}

// Initiate makes an offer to the device of a bundle that the caller has
// verified (identity.Bundle.Verify). Its errors are ErrSelf, identity.ErrNewer
// for a suite not known here, identity.ErrNotListed and identity.ErrRevoked for
// a bundle whose chain was not verified, and identity.ErrKey.
func Initiate(me Initiator, b *identity.Bundle) (Offer, Secrets, error) {
	return initiate(me, b, identity.GeneratePrekey())
}

func initiate(me Initiator, b *identity.Bundle, ephemeral identity.PrekeyPrivate) (o Offer, s Secrets, err error) {
	if err := check(me.Device, b); err != nil {
		return o, s, err
	}
	if err := b.Chain.Check(b.Device, b.Agreement); err != nil {
		return o, s, err
	}
	kem, err := mlkem.NewEncapsulationKey1024(b.KEM.Public)
	if err != nil {
		return o, s, fmt.Errorf("%w: post-quantum prekey: %w", identity.ErrKey, err)
	}
	var dh agreements
	dh.add(me.Agreement.Agree(b.Signed))
	dh.add(ephemeral.AgreeDevice(b.Agreement))
	dh.add(ephemeral.Agree(b.Signed))
	if b.OneTime != nil {
		dh.add(ephemeral.Agree(*b.OneTime))
	}
	if dh.err != nil {
		return o, s, dh.err
	}
	shared, ct := kem.Encapsulate()
	o = Offer{Ephemeral: ephemeral.Public(), Bundle: b.ID(), Ciphertext: [mlkem.CiphertextSize1024]byte(ct)}
	from := Peer{Root: me.Root, Head: me.Head, Device: me.Device, Agreement: me.Agreement.Public()}
	return o, derive(transcript(from, b, &o), append(dh.secrets, shared...)), nil
}

// Respond takes an offer, made to the bundle b, from a verified peer. Whether
// the peer holds the keys that it claims shows only when the first message of
// the session opens: until then nothing may be kept. Its errors are ErrSelf,
// ErrPrekeys, identity.ErrNewer and identity.ErrKey.
func Respond(p Prekeys, b *identity.Bundle, from Peer, o Offer) (s Secrets, err error) {
	if err := check(from.Device, b); err != nil {
		return s, err
	}
	if o.Bundle != b.ID() || !p.fit(b) {
		return s, ErrPrekeys
	}
	// The peer's keys may have come another way than through the parsers.
	if _, err := identity.ParsePrekey(o.Ephemeral[:]); err != nil {
		return s, err
	}
	if _, err := identity.ParseAgreement(from.Agreement[:]); err != nil {
		return s, err
	}
	var dh agreements
	dh.add(p.Signed.AgreeDevice(from.Agreement))
	dh.add(p.Agreement.Agree(o.Ephemeral))
	dh.add(p.Signed.Agree(o.Ephemeral))
	if p.OneTime != nil {
		dh.add(p.OneTime.Agree(o.Ephemeral))
	}
	if dh.err != nil {
		return s, dh.err
	}
	shared, err := p.KEM.Decapsulate(o.Ciphertext[:])
	if err != nil {
		return s, fmt.Errorf("%w: post-quantum ciphertext: %w", ErrMalformed, err)
	}
	return derive(transcript(from, b, &o), append(dh.secrets, shared...)), nil
}

// check refuses what neither side may begin.
func check(initiator identity.DevicePublic, b *identity.Bundle) error {
	if initiator == b.Device {
		return ErrSelf
	}
	if b.Suite != identity.Suite {
		return fmt.Errorf("%w: bundle of suite %d", identity.ErrNewer, b.Suite)
	}
	return nil
}

// fit tells whether the private keys are those of the bundle.
func (p *Prekeys) fit(b *identity.Bundle) bool {
	if p.KEM == nil || (p.OneTime == nil) != (b.OneTime == nil) {
		return false
	}
	return p.Agreement.Public() == b.Agreement && p.Signed.Public() == b.Signed &&
		(p.OneTime == nil || p.OneTime.Public() == *b.OneTime) &&
		bytes.Equal(p.KEM.EncapsulationKey().Bytes(), b.KEM.Public)
}

// agreements gathers DH1 ‖ DH2 ‖ DH3 [‖ DH4], or the first error.
type agreements struct {
	secrets []byte
	err     error
}

func (a *agreements) add(secret [32]byte, err error) {
	a.secrets = append(a.secrets, secret[:]...)
	if a.err == nil {
		a.err = err
	}
}

// transcript is T: all that both sides know of each other and have sent.
func transcript(a Peer, b *identity.Bundle, o *Offer) (t [64]byte) {
	bundle := b.Digest()
	h := sha512.New()
	for _, part := range [][]byte{
		[]byte(transcriptLabel), {b.Suite},
		a.Root[:], a.Head[:], a.Device[:], a.Agreement[:], o.Ephemeral[:],
		bundle[:], o.Ciphertext[:],
	} {
		h.Write(part)
	}
	h.Sum(t[:0])
	return t
}

// derive cuts the secrets from HKDF-SHA512 (RFC 5869).
func derive(t [64]byte, ikm []byte) Secrets {
	okm, err := hkdf.Key(sha512.New, ikm, t[:], secretsLabel, 160)
	if err != nil {
		panic("pqxdh: 160 bytes are within HKDF-SHA512's bound: " + err.Error())
	}
	cut := func(i int) [32]byte { return [32]byte(okm[32*i:]) }
	return Secrets{RootEC: cut(0), RootPQ: cut(1), HeaderA: cut(2), NextHeaderB: cut(3), Auth: cut(4), Transcript: t}
}
