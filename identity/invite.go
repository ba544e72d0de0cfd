package identity

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

// Kinds of invitation.
const (
	Single   byte = 1 // for one person, who is a contact at once
	Reusable byte = 2 // for many, who make requests
)

const (
	// LinkScheme is how the link of an invitation begins.
	LinkScheme = "godwit:i#"
	// MaxLinkSize bounds a link in bytes, far above the some 300 of an
	// ordinary one.
	MaxLinkSize = 6 << 10
	// NoticeSize is the length in bytes of every sealed notice.
	NoticeSize = 16 << 10
	// MaxNotice is the length in bytes of the longest bundle a notice holds.
	MaxNotice = NoticeSize - noticeOverhead
)

const noticeOverhead = 1 + chacha20poly1305.NonceSizeX + 2 + chacha20poly1305.Overhead

var (
	// ErrLink says that a text is not the link of an invitation.
	ErrLink = errors.New("identity: not an invitation link")
	// ErrNotice says that a notice is not one that the invitation opens.
	ErrNotice = errors.New("identity: not the notice of this invitation")
)

// Invitation is what a person hands to another, outside of Godwit, so that they
// can meet. Whoever holds it can use it.
type Invitation struct {
	Kind    byte
	Secret  [16]byte // random; names, seals and unlocks all that belongs to it
	Account AccountID
	Hints   []Hint // where its notice is kept, or the device, up to MaxHints
}

// NewInvitation makes an invitation with a fresh secret.
func NewInvitation(kind byte, account AccountID, hints []Hint) Invitation {
	i := Invitation{Kind: kind, Account: account, Hints: hints}
	rand.Read(i.Secret[:])
	return i
}

// Format implements fmt.Formatter. The secret ends up in no log.
func (i Invitation) Format(f fmt.State, _ rune) { io.WriteString(f, "[invitation]") }

// Link is the invitation as people pass it on, in canonical spelling. An
// invitation with hints out of bounds, or of no known kind, is a programmer's
// mistake and panics.
func (i Invitation) Link() string {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint8(i.Kind)
	b.AddBytes(i.Secret[:])
	b.AddBytes(i.Account[:])
	addHints(&b, i.Hints)
	link := LinkScheme + base64.RawURLEncoding.EncodeToString(b.BytesOrPanic())
	if _, err := ParseLink(link); err != nil {
		panic("identity: an invitation that nobody can read: " + err.Error())
	}
	return link
}

// ParseLink reads a link. White space around it is tolerated, nothing else.
// Its errors are ErrLink, and ErrNewer for a link of a newer version.
func ParseLink(link string) (Invitation, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(link), LinkScheme)
	if !ok {
		return Invitation{}, fmt.Errorf("%w: it does not begin with %s", ErrLink, LinkScheme)
	}
	if len(encoded) > MaxLinkSize {
		return Invitation{}, fmt.Errorf("%w: too long", ErrLink)
	}
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || base64.RawURLEncoding.EncodeToString(data) != encoded {
		return Invitation{}, fmt.Errorf("%w: damaged, or not copied whole", ErrLink)
	}
	s := cryptobyte.String(data)
	if err := readVersion(&s, "invitation"); err != nil {
		return Invitation{}, fmt.Errorf("%w: %w", ErrLink, err)
	}
	var i Invitation
	if !s.ReadUint8(&i.Kind) || !s.CopyBytes(i.Secret[:]) || !s.CopyBytes(i.Account[:]) {
		return Invitation{}, fmt.Errorf("%w: not copied whole", ErrLink)
	}
	if i.Kind != Single && i.Kind != Reusable {
		return Invitation{}, fmt.Errorf("%w: of an unknown kind", ErrLink)
	}
	if i.Hints, err = readHints(&s); err != nil || !s.Empty() {
		return Invitation{}, fmt.Errorf("%w: damaged, or not copied whole", ErrLink)
	}
	return i, nil
}

// derive is HKDF-SHA256 (RFC 5869) of the secret, without salt.
func (i Invitation) derive(info string) [32]byte {
	k, err := hkdf.Key(sha256.New, i.Secret[:], nil, info, 32)
	if err != nil {
		panic("identity: HKDF gives 32 bytes: " + err.Error())
	}
	return [32]byte(k)
}

// NoticeID is where relays keep the invitation's notice.
func (i Invitation) NoticeID() [32]byte { return i.derive("godwit/1/inv-id") }

// NoticeKey seals the notice.
func (i Invitation) NoticeKey() [32]byte { return i.derive("godwit/1/inv-k") }

// WriteKey is the Ed25519 seed that lets its holder write into the
// invitation's queue at a relay, given the relay's peer id.
func (i Invitation) WriteKey(relay []byte) [32]byte {
	return i.derive("godwit/1/inv-w" + string(relay))
}

// RendezvousKey is the seed of the records by which the inviting device is
// found when no hint leads to it any more.
func (i Invitation) RendezvousKey() [32]byte { return i.derive("godwit/1/inv-rdv") }

// SealNotice seals a bundle as the invitation's notice, always NoticeSize
// bytes, anew at each call: relays' copies share nothing but the id. A bundle
// over MaxNotice is ErrTooLarge.
func (i Invitation) SealNotice(bundle []byte) ([]byte, error) {
	if len(bundle) > MaxNotice {
		return nil, fmt.Errorf("%w: bundle of %d bytes", ErrTooLarge, len(bundle))
	}
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, NoticeSize)
	out[0] = 1
	nonce := out[1:]
	rand.Read(nonce)
	plain := make([]byte, 2+MaxNotice)
	plain[0], plain[1] = byte(len(bundle)>>8), byte(len(bundle))
	copy(plain[2:], bundle)
	key := i.NoticeKey()
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("identity: 32 bytes are a key: " + err.Error())
	}
	return aead.Seal(out, nonce, plain, i.noticeAD()), nil
}

// OpenNotice gives the bundle of a notice. Its errors are ErrNotice, and
// ErrNewer for a notice of a newer version.
func (i Invitation) OpenNotice(notice []byte) ([]byte, error) {
	if len(notice) != NoticeSize {
		return nil, ErrNotice
	}
	s := cryptobyte.String(notice)
	if err := readVersion(&s, "notice"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotice, err)
	}
	key := i.NoticeKey()
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("identity: 32 bytes are a key: " + err.Error())
	}
	plain, err := aead.Open(nil, s[:chacha20poly1305.NonceSizeX], s[chacha20poly1305.NonceSizeX:], i.noticeAD())
	if err != nil {
		return nil, ErrNotice
	}
	n := int(plain[0])<<8 | int(plain[1])
	if n > MaxNotice {
		return nil, ErrNotice
	}
	for _, pad := range plain[2+n:] {
		if pad != 0 {
			return nil, ErrNotice
		}
	}
	return plain[2 : 2+n : 2+n], nil
}

// noticeAD ties a notice to its version, its place and the account it is for.
func (i Invitation) noticeAD() []byte {
	id := i.NoticeID()
	ad := append([]byte("godwit/1/notice\x01"), id[:]...)
	return append(ad, i.Account[:]...)
}
