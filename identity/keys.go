package identity

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Suite names the algorithms of a session as one byte. It is never negotiated
// down: the lowest suite seen per contact only rises.
const Suite byte = 1

// KeySize is the length in bytes of every Ed25519 seed and public key, and of
// every X25519 private and public key.
const KeySize = 32

// SignatureSize is the length in bytes of an Ed25519 signature (RFC 8032).
const SignatureSize = ed25519.SignatureSize

var (
	// ErrKey says that bytes are not a key of the wanted type: a wrong
	// length, a point that is not canonical or of low order, or an ML-KEM key
	// that fails its modulus check.
	ErrKey = errors.New("identity: not a valid key")
	// ErrSignature says that a signature does not fit its key and text.
	ErrSignature = errors.New("identity: wrong signature")
)

// RootPublic is the public half of an account's ROOT key (Ed25519). It signs
// manifests and nothing else.
type RootPublic [KeySize]byte

// RootPrivate is the seed of an account's ROOT key. It follows from the
// recovery words and is not kept on devices once they are written down.
type RootPrivate struct{ seed [KeySize]byte }

// DevicePublic is a device's signing key, DSK (Ed25519). It also names the
// device.
type DevicePublic [KeySize]byte

// DevicePrivate is the seed of a device's signing key.
type DevicePrivate struct{ seed [KeySize]byte }

// AgreementPublic is a device's long-term agreement key, DIK (X25519).
type AgreementPublic [KeySize]byte

// AgreementPrivate is the private half of a device's agreement key.
type AgreementPrivate struct{ key [KeySize]byte }

// PrekeyPublic is a short-lived X25519 key: a signed prekey (SPK), a one-time
// prekey (OPK), the ephemeral key of a first flight (EK) or a ratchet key.
type PrekeyPublic [KeySize]byte

// PrekeyPrivate is the private half of a PrekeyPublic.
type PrekeyPrivate struct{ key [KeySize]byte }

// AccountID names an account for ever: SHA-256("godwit/1/account" ‖ ROOT public key).
type AccountID [sha256.Size]byte

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the account's id as people and scripts see it: 52 characters of
// lower-case base32 (RFC 4648) without padding.
func (a AccountID) String() string { return idEncoding.EncodeToString(a[:]) }

// ParseAccountID reads what String wrote, and refuses any other spelling.
func ParseAccountID(s string) (AccountID, error) {
	var a AccountID
	b, err := idEncoding.DecodeString(s)
	if err != nil || len(b) != len(a) || idEncoding.EncodeToString(b) != s {
		return a, fmt.Errorf("identity: %q is not an account id", truncate(s, 60))
	}
	copy(a[:], b)
	return a, nil
}

// String is the device's name as scripts see it, spelt as an account's id is.
func (p DevicePublic) String() string { return idEncoding.EncodeToString(p[:]) }

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// Account is the id of the account that the ROOT key belongs to.
func (p RootPublic) Account() AccountID {
	h := sha256.New()
	h.Write([]byte("godwit/1/account"))
	h.Write(p[:])
	var a AccountID
	h.Sum(a[:0])
	return a
}

// NewRootPrivate makes the ROOT key of a 32-byte seed.
func NewRootPrivate(seed [KeySize]byte) RootPrivate { return RootPrivate{seed} }

// Public is the public half.
func (k RootPrivate) Public() RootPublic {
	return RootPublic(ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey))
}

// Sign signs label ‖ text.
func (k RootPrivate) Sign(label string, text []byte) [SignatureSize]byte {
	return sign(k.seed, label, text)
}

// Verify checks a signature over label ‖ text. Its error is ErrSignature.
func (p RootPublic) Verify(label string, text, signature []byte) error {
	return verify(p[:], label, text, signature)
}

// Private keys print as a word, whatever the verb: none ends up in a log.

// Format implements fmt.Formatter.
func (RootPrivate) Format(f fmt.State, _ rune) { io.WriteString(f, "[ROOT private key]") }

// Format implements fmt.Formatter.
func (DevicePrivate) Format(f fmt.State, _ rune) { io.WriteString(f, "[device private key]") }

// Format implements fmt.Formatter.
func (AgreementPrivate) Format(f fmt.State, _ rune) { io.WriteString(f, "[agreement private key]") }

// Format implements fmt.Formatter.
func (PrekeyPrivate) Format(f fmt.State, _ rune) { io.WriteString(f, "[private prekey]") }

// GenerateDevice makes a device's signing key.
func GenerateDevice() DevicePrivate { return DevicePrivate{random()} }

// NewDevicePrivate makes the signing key of a 32-byte seed.
func NewDevicePrivate(seed [KeySize]byte) DevicePrivate { return DevicePrivate{seed} }

// Seed is what NewDevicePrivate takes.
func (k DevicePrivate) Seed() [KeySize]byte { return k.seed }

// Public is the public half.
func (k DevicePrivate) Public() DevicePublic {
	return DevicePublic(ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey))
}

// Sign signs label ‖ text.
func (k DevicePrivate) Sign(label string, text []byte) [SignatureSize]byte {
	return sign(k.seed, label, text)
}

// Verify checks a signature over label ‖ text. Its error is ErrSignature.
func (p DevicePublic) Verify(label string, text, signature []byte) error {
	return verify(p[:], label, text, signature)
}

func sign(seed [KeySize]byte, label string, text []byte) [SignatureSize]byte {
	return [SignatureSize]byte(ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), append([]byte(label), text...)))
}

func verify(public []byte, label string, text, signature []byte) error {
	if len(signature) != SignatureSize || !ed25519.Verify(public, append([]byte(label), text...), signature) {
		return ErrSignature
	}
	return nil
}

// GenerateAgreement makes a device's agreement key.
func GenerateAgreement() AgreementPrivate { return AgreementPrivate{random()} }

// NewAgreementPrivate makes the agreement key of 32 private bytes.
func NewAgreementPrivate(key [KeySize]byte) AgreementPrivate { return AgreementPrivate{key} }

// Bytes is what NewAgreementPrivate takes.
func (k AgreementPrivate) Bytes() [KeySize]byte { return k.key }

// Public is the public half.
func (k AgreementPrivate) Public() AgreementPublic { return AgreementPublic(x25519Public(k.key)) }

// Agree is X25519 (RFC 7748) with a prekey of the other side.
func (k AgreementPrivate) Agree(p PrekeyPublic) ([KeySize]byte, error) { return x25519(k.key, p) }

// GeneratePrekey makes a short-lived X25519 key.
func GeneratePrekey() PrekeyPrivate { return PrekeyPrivate{random()} }

// NewPrekeyPrivate makes the key of 32 private bytes.
func NewPrekeyPrivate(key [KeySize]byte) PrekeyPrivate { return PrekeyPrivate{key} }

// Bytes is what NewPrekeyPrivate takes.
func (k PrekeyPrivate) Bytes() [KeySize]byte { return k.key }

// Public is the public half.
func (k PrekeyPrivate) Public() PrekeyPublic { return PrekeyPublic(x25519Public(k.key)) }

// Agree is X25519 (RFC 7748) with a prekey of the other side.
func (k PrekeyPrivate) Agree(p PrekeyPublic) ([KeySize]byte, error) { return x25519(k.key, p) }

// AgreeDevice is X25519 (RFC 7748) with the other device's agreement key.
func (k PrekeyPrivate) AgreeDevice(p AgreementPublic) ([KeySize]byte, error) {
	return x25519(k.key, p)
}

// ParseDevice reads a device's signing key. Its error is ErrKey.
func ParseDevice(b []byte) (DevicePublic, error) {
	k, err := parseEd25519(b)
	return DevicePublic(k), err
}

// ParseRoot reads an account's ROOT key. Its error is ErrKey.
func ParseRoot(b []byte) (RootPublic, error) {
	k, err := parseEd25519(b)
	return RootPublic(k), err
}

// parseEd25519 refuses what crypto/ed25519 lets through: encodings of 2^255-19
// and above, and the points of low order, for which anybody can make
// signatures. Whether the rest are points at all shows when a signature is
// verified.
func parseEd25519(b []byte) (k [KeySize]byte, err error) {
	if len(b) != KeySize {
		return k, ErrKey
	}
	copy(k[:], b)
	k[31] &= 0x7f // the sign of x
	if !canonical(k[:]) {
		return [KeySize]byte{}, ErrKey
	}
	switch hex.EncodeToString(k[:]) {
	case // y of the eight points of low order: 4, 1, 8, 8 and 2
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f":
		return [KeySize]byte{}, ErrKey
	}
	k[31] = b[31]
	return k, nil
}

// ParseAgreement reads a device's agreement key. Its error is ErrKey.
func ParseAgreement(b []byte) (AgreementPublic, error) {
	k, err := parseX25519(b)
	return AgreementPublic(k), err
}

// ParsePrekey reads a short-lived X25519 key. Its error is ErrKey.
func ParsePrekey(b []byte) (PrekeyPublic, error) {
	k, err := parseX25519(b)
	return PrekeyPublic(k), err
}

// parseX25519 refuses what crypto/ecdh lets through: encodings of 2^255-19 and
// above, and (both) points of low order, for which every private key agrees on
// the same all-zero secret (RFC 7748, section 6.1).
func parseX25519(b []byte) (k [KeySize]byte, err error) {
	if len(b) != KeySize || !canonical(b) {
		return k, ErrKey
	}
	copy(k[:], b)
	if _, err := x25519([KeySize]byte{1}, k); err != nil {
		return [KeySize]byte{}, ErrKey
	}
	return k, nil
}

// canonical tells whether the little-endian b is below p = 2^255-19.
func canonical(b []byte) bool {
	if b[31] != 0x7f {
		return b[31] < 0x7f
	}
	for _, x := range b[1:31] {
		if x != 0xff {
			return true
		}
	}
	return b[0] < 0xed
}

func x25519Public(key [KeySize]byte) [KeySize]byte {
	k, err := ecdh.X25519().NewPrivateKey(key[:])
	if err != nil {
		panic("identity: 32 bytes are always an X25519 private key: " + err.Error())
	}
	return [KeySize]byte(k.PublicKey().Bytes())
}

func x25519(private, public [KeySize]byte) (secret [KeySize]byte, err error) {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return secret, ErrKey
	}
	p, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return secret, ErrKey
	}
	s, err := k.ECDH(p) // refuses the all-zero secret of a low-order point
	if err != nil {
		return secret, ErrKey
	}
	return [KeySize]byte(s), nil
}

func random() (b [KeySize]byte) {
	rand.Read(b[:]) // never fails, see crypto/rand
	return b
}
