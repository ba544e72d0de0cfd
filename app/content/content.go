// Package content is what people say to each other: the bytes inside a ratchet
// message, one file per kind of content. It knows no network, no disk and no key.
//
// A Payload is a short header and a list of items. An item that the author
// numbers has a place in a conversation: its seq and the hash of the item
// before it let the reader show each exactly once and in order. Some of these act upon
// others (reactions, edits, requests to delete). Items without a number (receipts,
// profiles, descriptors, presence) stand alone and are acted upon at once, but for a
// context, which says more about another item of its payload.
//
// Layout (big-endian; every value has exactly one encoding, others are refused):
//
//	payload  version 1 = 1 | author's manifest head 32 | reader's manifest head 32 | count 1 | items
//	item     flags 1 | id 16 | sent 8 (unix ms) | [conversation 32 | seq 8 | prev 32] | kind 2 | length 3 | body
//
// The bracketed part is there if flags has Numbered. After the last item come
// only the ratchet's zeros, which its own padding removes. Kinds a reader does
// not know are kept raw and acknowledged, never dropped.
package content

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

// ErrMalformed says that bytes are not a payload, an item or a body of their
// kind. What carried them was authentic, so the author's program is at fault.
var ErrMalformed = errors.New("content: malformed")

// MaxBody is the most bytes the body of one item may have: what is left of the
// largest ratchet message (64 KiB) beside a full header.
const MaxBody = 60_000

// MaxItems is the most items in one payload.
const MaxItems = 255

const version = 1

// maxSent is the last millisecond of the year 9999: RFC 3339 knows no later time.
const maxSent = 253402300799999

// Kind says what an item's body is.
type Kind uint16

// The kinds of this version. Numbers are never used again for something else.
const (
	KindText        Kind = 1 // Text
	KindReceipt     Kind = 2 // Receipt
	KindProfile     Kind = 3 // Profile
	KindDescriptors Kind = 4 // Descriptors
	KindPresence    Kind = 5 // Presence
	KindGaveUp      Kind = 6 // GaveUp
	KindRead        Kind = 7 // Read
	KindRendezvous  Kind = 8 // Rendezvous
	KindManifest    Kind = 9 // Manifest

	KindContext      Kind = 10 // Context
	KindReaction     Kind = 11 // Reaction
	KindEdit         Kind = 12 // Edit
	KindErase        Kind = 13 // Erase
	KindTimer        Kind = 14 // Timer
	KindTyping       Kind = 15 // Typing
	KindIntroduction Kind = 16 // Introduction
	KindKeeping      Kind = 17 // Keeping

	// KindRecovered is a note of our own in a conversation, which never travels: from
	// here on the other side is a device that took the place of all others. It has
	// no body.
	KindRecovered Kind = 0x8000
)

// Acts says whether numbered items of a kind do something to another message, and are no
// line of the conversation themselves.
func (k Kind) Acts() bool { return k == KindReaction || k == KindEdit || k == KindErase }

// Local says whether a kind is of notes that a device makes for itself.
func (k Kind) Local() bool { return k >= 0x8000 }

// String is the kind's name as events and `godwit messages` print it.
func (k Kind) String() string {
	switch k {
	case KindText:
		return "text"
	case KindReceipt:
		return "receipt"
	case KindProfile:
		return "profile"
	case KindDescriptors:
		return "descriptors"
	case KindPresence:
		return "presence"
	case KindGaveUp:
		return "gave-up"
	case KindRead:
		return "read"
	case KindRendezvous:
		return "rendezvous"
	case KindManifest:
		return "manifest"
	case KindContext:
		return "context"
	case KindReaction:
		return "reaction"
	case KindEdit:
		return "edit"
	case KindErase:
		return "erase"
	case KindTimer:
		return "timer"
	case KindTyping:
		return "typing"
	case KindIntroduction:
		return "introduction"
	case KindKeeping:
		return "keeping"
	case KindRecovered:
		return "recovered"
	}
	return fmt.Sprintf("unknown-%d", uint16(k))
}

// ID names an item: 16 random bytes of its author.
type ID [16]byte

// NewID draws an id.
func NewID() (id ID) {
	rand.Read(id[:])
	return id
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the id as people and scripts see it: 26 characters of lower-case base32.
func (id ID) String() string { return idEncoding.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (id ID, err error) {
	b, err := idEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) || idEncoding.EncodeToString(b) != s {
		return id, fmt.Errorf("%w: not a message id", ErrMalformed)
	}
	return ID(b), nil
}

// ConversationID names a conversation. Between two people it follows from their accounts.
type ConversationID [32]byte

// Between is the conversation of two accounts, the same from either side.
func Between(a, b identity.AccountID) ConversationID {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	h := sha256.New()
	h.Write([]byte("godwit/1/conversation"))
	h.Write(a[:])
	h.Write(b[:])
	return ConversationID(h.Sum(nil))
}

// Flags of an item. Unknown flags are refused: they could change what an item means.
type Flags byte

const (
	// Numbered items have a place in a conversation. They always have
	// WantsReceipt too.
	Numbered Flags = 1 << iota
	// WantsReceipt asks the reader's device for a Receipt of the ratchet
	// message that carried the item.
	WantsReceipt

	knownFlags = Numbered | WantsReceipt
)

func (f Flags) valid() bool {
	return f&^knownFlags == 0 && (f&Numbered == 0 || f&WantsReceipt != 0)
}

// Place is where a numbered item stands among those of its author's device.
type Place struct {
	Conversation ConversationID
	Seq          uint64   // from 1, without gaps, per author's device and conversation
	Prev         [32]byte // Hash of item Seq-1; zeros for the first
}

// Item is one thing said.
type Item struct {
	Flags Flags
	ID    ID
	Sent  time.Time // the author's clock, to the millisecond
	Place Place     // if Numbered
	Kind  Kind
	Body  []byte // encoding of its kind, at most MaxBody
}

// Payload is what one ratchet message carries.
type Payload struct {
	Author [32]byte // head of the author's manifest chain
	Reader [32]byte // head of the reader's manifest chain, as the author knows it
	Items  []Item
}

// Marshal encodes the payload. It fails only for more than MaxItems items, a body
// over MaxBody or unknown flags, which are mistakes of the caller.
func (p *Payload) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(version)
	b.AddBytes(p.Author[:])
	b.AddBytes(p.Reader[:])
	if len(p.Items) > MaxItems {
		return nil, fmt.Errorf("content: %d items in one payload, at most %d", len(p.Items), MaxItems)
	}
	b.AddUint8(uint8(len(p.Items)))
	for i := range p.Items {
		if err := p.Items[i].add(&b); err != nil {
			return nil, err
		}
	}
	return b.Bytes()
}

// Parse decodes a payload, with the items of unknown kinds too.
func Parse(raw []byte) (*Payload, error) {
	s := cryptobyte.String(raw)
	p := new(Payload)
	var v, count uint8
	if !s.ReadUint8(&v) || v != version {
		return nil, fmt.Errorf("%w: payload version %d", ErrMalformed, v)
	}
	if !s.CopyBytes(p.Author[:]) || !s.CopyBytes(p.Reader[:]) || !s.ReadUint8(&count) {
		return nil, fmt.Errorf("%w: payload header", ErrMalformed)
	}
	for range count {
		it, err := readItem(&s)
		if err != nil {
			return nil, err
		}
		p.Items = append(p.Items, it)
	}
	if !s.Empty() {
		return nil, fmt.Errorf("%w: %d bytes after the last item", ErrMalformed, len(s))
	}
	return p, nil
}

func (it *Item) add(b *cryptobyte.Builder) error {
	if !it.Flags.valid() || len(it.Body) > MaxBody {
		return fmt.Errorf("content: item with flags %#x and a body of %d bytes", it.Flags, len(it.Body))
	}
	b.AddUint8(uint8(it.Flags))
	b.AddBytes(it.ID[:])
	b.AddUint64(uint64(it.Sent.UnixMilli()))
	if it.Flags&Numbered != 0 {
		b.AddBytes(it.Place.Conversation[:])
		b.AddUint64(it.Place.Seq)
		b.AddBytes(it.Place.Prev[:])
	}
	b.AddUint16(uint16(it.Kind))
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(it.Body) })
	return nil
}

func readItem(s *cryptobyte.String) (it Item, err error) {
	var flags uint8
	var sent uint64
	if !s.ReadUint8(&flags) || !s.CopyBytes(it.ID[:]) || !s.ReadUint64(&sent) {
		return it, fmt.Errorf("%w: item header", ErrMalformed)
	}
	if sent > maxSent {
		return it, fmt.Errorf("%w: time of an item", ErrMalformed)
	}
	it.Flags = Flags(flags)
	it.Sent = time.UnixMilli(int64(sent)).UTC()
	if !it.Flags.valid() {
		return it, fmt.Errorf("%w: item flags %#x", ErrMalformed, flags)
	}
	if it.Flags&Numbered != 0 {
		if !s.CopyBytes(it.Place.Conversation[:]) || !s.ReadUint64(&it.Place.Seq) || !s.CopyBytes(it.Place.Prev[:]) || it.Place.Seq == 0 {
			return it, fmt.Errorf("%w: item place", ErrMalformed)
		}
	}
	var body cryptobyte.String
	if !s.ReadUint16((*uint16)(&it.Kind)) || !s.ReadUint24LengthPrefixed(&body) || len(body) > MaxBody {
		return it, fmt.Errorf("%w: item body", ErrMalformed)
	}
	it.Body = bytes.Clone(body)
	return it, nil
}

// Size is the length of the item's encoding in bytes.
func (it *Item) Size() int {
	n := 1 + 16 + 8 + 2 + 3 + len(it.Body)
	if it.Flags&Numbered != 0 {
		n += 32 + 8 + 32
	}
	return n
}

// HeaderSize is the length of a payload without items.
const HeaderSize = 1 + 32 + 32 + 1

// Hash is what the next numbered item names as its Prev:
// SHA-256("godwit/1/item" ‖ item).
func (it *Item) Hash() [32]byte {
	b := cryptobyte.NewBuilder([]byte("godwit/1/item"))
	if err := it.add(b); err != nil {
		panic(err) // an item that was encoded or decoded before
	}
	return sha256.Sum256(b.BytesOrPanic())
}
