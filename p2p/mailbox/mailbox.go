// Package mailbox keeps sealed cells at a relay until their reader collects
// them. SPEC.md is its protocol, /godwit/mailbox/1; section numbers in comments
// are that document's.
//
// A Client speaks with one relay: a writer uses Put, a reader Login and what
// needs it. Every receipt that Put returns was verified against the relay's
// key. A Server answers on top of a Store, whose Commit is durable when it
// returns; the relay's own store is package disk. The package never reads what
// is in a cell except in CellKey.Open, which needs the key of its queue.
package mailbox

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Protocol is what both sides name when a stream is opened.
const Protocol protocol.ID = "/godwit/mailbox/1"

const (
	// CellSmall, CellMedium and CellLarge are the sizes of a cell in bytes;
	// there are no others, so that a cell tells only its class.
	CellSmall  = 4 << 10
	CellMedium = 16 << 10
	CellLarge  = 64 << 10
	// CellOverhead is how many bytes a message is shorter than its cell.
	CellOverhead = 24 + 16
	// NoticeSize is the size of every notice in bytes.
	NoticeSize = 16 << 10

	// MaxTTL bounds how long a cell or notice is kept; it is the default too.
	MaxTTL = 30 * 24 * time.Hour
	// MaxUntil bounds how far ahead a queue can be opened.
	MaxUntil = 180 * 24 * time.Hour
	// LeaseTime is what one lease proof buys, unless the relay is set otherwise.
	LeaseTime = 30 * 24 * time.Hour
	// MaxLease bounds how far ahead a lease can end.
	MaxLease = 10 * 365 * 24 * time.Hour
	// EpochTime is the length of an epoch.
	EpochTime = 24 * time.Hour
	// CatchAll is the epoch without a day, used after a descriptor's last.
	CatchAll uint32 = 1<<32 - 1

	// MaxBatch bounds the QIDs or cellIDs named in one request, and the
	// deposits under one signature.
	MaxBatch = 512
	// MaxEntries bounds the entries in one answer.
	MaxEntries = 256
	// MaxNotices bounds the notices of one box.
	MaxNotices = 64
	// InviteCells bounds the cells in an invitation's queue.
	InviteCells = 32
)

var (
	// ErrRelay says that a PeerID cannot be a relay: its key is not Ed25519.
	ErrRelay = errors.New("mailbox: not a relay's peer id")
	// ErrCell says that a cell was not sealed under this key, or not in the one way that is allowed.
	ErrCell = errors.New("mailbox: cell does not open")
	// ErrMalformed says that bytes are not what SPEC.md says; also a code of refusal.
	ErrMalformed = errors.New("mailbox: malformed")
	// ErrBadReceipt says that a relay's receipt does not prove the deposit.
	ErrBadReceipt = errors.New("mailbox: bad receipt")
	// ErrClosed says that the connection with the relay is over.
	ErrClosed = errors.New("mailbox: connection closed")
	// ErrSilent says that the relay left a request unanswered for too long.
	ErrSilent = errors.New("mailbox: the relay does not answer")
)

// QID names a queue at one relay; it certifies its own write key.
type QID [32]byte

// CellID names a cell: the first bytes of its SHA-256.
type CellID [16]byte

// NoticeID names a notice; to know it is to be allowed to fetch it.
type NoticeID [32]byte

// BoxPublic names a box and is its Ed25519 public key.
type BoxPublic [ed25519.PublicKeySize]byte

// BoxPrivate is the seed of a box's key.
type BoxPrivate struct{ seed [ed25519.SeedSize]byte }

func (q QID) String() string      { return hex.EncodeToString(q[:]) }
func (c CellID) String() string   { return hex.EncodeToString(c[:]) }
func (n NoticeID) String() string { return hex.EncodeToString(n[:]) }

// GenerateBox makes the key of a new box.
func GenerateBox() (k BoxPrivate) {
	rand.Read(k.seed[:]) // never fails, see crypto/rand
	return k
}

// NewBoxPrivate makes the key of a 32-byte seed.
func NewBoxPrivate(seed [32]byte) BoxPrivate { return BoxPrivate{seed} }

// FriendBox is the one box at a relay that a friend's token pays for (LEASE in section 2): who has
// the token has room for one device, and cannot share it out.
func FriendBox(relay peer.ID, token []byte) BoxPrivate {
	b, err := hkdf.Key(sha256.New, token, nil, "godwit/1/mailbox/friend"+string(relay), ed25519.SeedSize)
	if err != nil {
		panic("mailbox: HKDF of 32 bytes cannot fail: " + err.Error())
	}
	return BoxPrivate{[ed25519.SeedSize]byte(b)}
}

// Seed is what NewBoxPrivate takes.
func (k BoxPrivate) Seed() [32]byte { return k.seed }

// Public is the public half.
func (k BoxPrivate) Public() BoxPublic {
	return BoxPublic(ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey))
}

// IDOf is the name of a cell.
func IDOf(cell []byte) CellID {
	h := sha256.Sum256(cell)
	return CellID(h[:16])
}

// Epoch is the day of t, which must be the relay's time.
func Epoch(t time.Time) uint32 { return uint32(t.Unix() / int64(EpochTime/time.Second)) }

// ValidSize tells whether n is the size of a cell, in bytes.
func ValidSize(n int) bool { return n == CellSmall || n == CellMedium || n == CellLarge }

// Class is the class of a queue.
type Class byte

const (
	// Ordinary queues take cells of all sizes.
	Ordinary Class = 1
	// Invite queues take InviteCells first flights of CellMedium bytes.
	Invite Class = 2
	// Intro queues take first flights of CellMedium bytes from strangers who
	// did some work: up to IntroCells, then the weakest are displaced.
	Intro Class = 3
)

func (c Class) valid() bool { return c >= Ordinary && c <= Intro }

// relayIDSize is the length in bytes of an Ed25519 PeerID: an identity
// multihash (2) of a protobuf with type (2) and length (2) of the key (32).
const relayIDSize = 38

// relayKey is the key in a relay's PeerID. Its error is ErrRelay.
func relayKey(id peer.ID) (ed25519.PublicKey, error) {
	k, err := id.ExtractPublicKey()
	if err != nil || k.Type() != crypto.Ed25519 || len(id) != relayIDSize {
		return nil, ErrRelay
	}
	raw, err := k.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, ErrRelay
	}
	return raw, nil
}

// qid is section 1.
func qid(relay peer.ID, epoch uint32, public []byte) QID {
	b := make([]byte, 0, 128)
	b = append(b, "godwit/1/qid"...)
	b = append(b, relay...)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = append(b, public...)
	return sha256.Sum256(b)
}

// A WriteKey deposits into one queue at one relay.
type WriteKey struct {
	relay peer.ID
	epoch uint32
	id    QID
	key   ed25519.PrivateKey
}

// NewWriteKey makes the write key of a seed for the queue of an epoch at a
// relay. An invitation's queue has the epoch CatchAll, a reusable
// address's too. The error is ErrRelay.
func NewWriteKey(relay peer.ID, epoch uint32, seed [32]byte) (WriteKey, error) {
	if _, err := relayKey(relay); err != nil {
		return WriteKey{}, err
	}
	k := ed25519.NewKeyFromSeed(seed[:])
	return WriteKey{relay, epoch, qid(relay, epoch, k[32:]), k}, nil
}

// QID names the queue.
func (k WriteKey) QID() QID { return k.id }

// Epoch is the queue's day, or CatchAll.
func (k WriteKey) Epoch() uint32 { return k.epoch }

func (k WriteKey) public() []byte { return k.key[32:] }

func signed(label string, relay peer.ID, challenge [32]byte, name []byte) []byte {
	b := make([]byte, 0, 160)
	b = append(b, label...)
	b = append(b, relay...)
	b = append(b, challenge[:]...)
	return append(b, name...)
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
