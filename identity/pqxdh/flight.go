package pqxdh

import (
	"crypto/hpke"
	"crypto/mlkem"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

const (
	// FlightSize is the length in bytes of every sealed flight. It is
	// deposited, or sent direct, as it is.
	FlightSize = 16 << 10
	// MessageSize is the length in bytes of the ratchet message in a flight,
	// ratchet.Small.
	MessageSize = 4<<10 - 40

	flightLabel   = "godwit/1/flight" // HPKE's info
	flightVersion = 1
	encSize       = mlkem.CiphertextSize768 + 32 // X-Wing's ciphertext
	tagSize       = 16
	flightPlain   = FlightSize - encSize - tagSize
	flightFixed   = OfferSize + 2*identity.KeySize + MessageSize + 2 // all but the chain
)

// The longest chain fits.
const _ uint = flightPlain - flightFixed - identity.MaxChainSize

// Flight is the first message of a session, and each further one until the
// other side's first answer: who writes, the offer, and a ratchet message.
type Flight struct {
	Chain     []byte // identity.Chain.Marshal of the initiator, at most identity.MaxChainSize
	Device    identity.DevicePublic
	Agreement identity.AgreementPublic
	Offer     Offer
	Message   []byte // ratchet message, MessageSize bytes
}

// From verifies whose flight it says it is: the chain holds, and lists the
// device with its agreement key. That the writer also has the keys shows when
// the message opens in the session that Respond gives. Its errors are those of
// identity.ParseChain, identity.Chain.Verify and Chain.Check.
func (f *Flight) From() (identity.Chain, Peer, error) {
	c, err := identity.ParseChain(f.Chain)
	if err != nil {
		return identity.Chain{}, Peer{}, err
	}
	if err := c.Verify(); err != nil {
		return identity.Chain{}, Peer{}, err
	}
	if err := c.Check(f.Device, f.Agreement); err != nil {
		return identity.Chain{}, Peer{}, err
	}
	return c, Peer{Root: c.Root(), Head: c.Head(), Device: f.Device, Agreement: f.Agreement}, nil
}

// The cipher suite of a flight: X-Wing (0x647a), HKDF-SHA256, ChaCha20-Poly1305.
func flightKEM() hpke.KEM   { return hpke.MLKEM768X25519() }
func flightKDF() hpke.KDF   { return hpke.HKDFSHA256() }
func flightAEAD() hpke.AEAD { return hpke.ChaCha20Poly1305() }

// GenerateIntro makes an introduction key, IPK. Its public half goes into the
// bundle; its Bytes, 32 of them, are what ParseIntro takes.
func GenerateIntro() (hpke.PrivateKey, error) { return flightKEM().GenerateKey() }

// ParseIntro reads the private half of an introduction key. Its error is identity.ErrKey.
func ParseIntro(private []byte) (hpke.PrivateKey, error) {
	k, err := flightKEM().NewPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("%w: introduction key: %w", identity.ErrKey, err)
	}
	return k, nil
}

// SealFlight seals a flight to the introduction key of a bundle, in HPKE's base
// mode: FlightSize bytes, new ones each time, so that copies at several relays
// have nothing in common. Its errors are identity.ErrKey, and ErrMalformed for
// a chain or message of the wrong length.
func SealFlight(intro []byte, f Flight) ([]byte, error) {
	public, err := flightKEM().NewPublicKey(intro)
	if err != nil {
		return nil, fmt.Errorf("%w: introduction key: %w", identity.ErrKey, err)
	}
	plain, err := f.marshal()
	if err != nil {
		return nil, err
	}
	return hpke.Seal(public, flightKDF(), flightAEAD(), []byte(flightLabel), plain)
}

// OpenFlight opens a flight. Its errors are ErrSealed, ErrMalformed and
// identity.ErrKey.
func OpenFlight(intro hpke.PrivateKey, cell []byte) (Flight, error) {
	if len(cell) != FlightSize {
		return Flight{}, fmt.Errorf("%w: flight of %d bytes", ErrMalformed, len(cell))
	}
	plain, err := hpke.Open(intro, flightKDF(), flightAEAD(), []byte(flightLabel), cell)
	if err != nil {
		return Flight{}, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return parseFlight(plain)
}

func (f *Flight) marshal() ([]byte, error) {
	if len(f.Chain) == 0 || len(f.Chain) > identity.MaxChainSize || len(f.Message) != MessageSize {
		return nil, fmt.Errorf("%w: chain of %d bytes, message of %d", ErrMalformed, len(f.Chain), len(f.Message))
	}
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, flightPlain))
	b.AddUint8(flightVersion)
	b.AddBytes(f.Device[:])
	b.AddBytes(f.Agreement[:])
	b.AddBytes(f.Offer.Marshal()[1:]) // without its version
	b.AddBytes(f.Message)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(f.Chain) })
	return b.BytesOrPanic()[:flightPlain], nil // the rest is zeros
}

func parseFlight(plain []byte) (f Flight, err error) {
	var version uint8
	var device, agreement, offer []byte
	var chain cryptobyte.String
	s := cryptobyte.String(plain)
	if len(plain) != flightPlain || !s.ReadUint8(&version) {
		return Flight{}, fmt.Errorf("%w: flight of %d bytes", ErrMalformed, len(plain))
	}
	if err := checkVersion(version, flightVersion); err != nil {
		return Flight{}, fmt.Errorf("flight: %w", err)
	}
	if !s.ReadBytes(&device, identity.KeySize) || !s.ReadBytes(&agreement, identity.KeySize) ||
		!s.ReadBytes(&offer, OfferSize-1) || !s.ReadBytes(&f.Message, MessageSize) ||
		!s.ReadUint16LengthPrefixed(&chain) || len(chain) == 0 || len(chain) > identity.MaxChainSize {
		return Flight{}, fmt.Errorf("%w: flight", ErrMalformed)
	}
	for _, x := range s {
		if x != 0 {
			return Flight{}, fmt.Errorf("%w: flight not filled with zeros", ErrMalformed)
		}
	}
	f.Chain = chain
	if f.Device, err = identity.ParseDevice(device); err != nil {
		return Flight{}, fmt.Errorf("flight's device key: %w", err)
	}
	if f.Agreement, err = identity.ParseAgreement(agreement); err != nil {
		return Flight{}, fmt.Errorf("flight's agreement key: %w", err)
	}
	if f.Offer, err = ParseOffer(append([]byte{offerVersion}, offer...)); err != nil {
		return Flight{}, err
	}
	return f, nil
}
