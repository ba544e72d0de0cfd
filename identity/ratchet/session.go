package ratchet

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-im/godwit/identity"
)

// Version is the first byte of every message.
const Version byte = 1

// Offsets in a message, in bytes. See the package comment.
const (
	atNonce  = 1
	atHeader = atNonce + chacha20poly1305.NonceSizeX
	atCommit = atHeader + headerSize + chacha20poly1305.Overhead
	atBody   = atCommit + 32
)

// Size is the length in bytes of a message. A message has one of three.
type Size int

// The sizes of messages: what a mailbox cell of 4, 16 and 64 KiB has room for
// beside the 40 bytes of the cell's own seal. A first flight carries a Small one.
const (
	Small  Size = 4<<10 - 40
	Medium Size = 16<<10 - 40
	Large  Size = 64<<10 - 40
)

var (
	// ErrUnknown says that no header key of the session fits: the message
	// belongs to another session, to a chain long gone, or to nobody.
	ErrUnknown = errors.New("ratchet: not a message of this session")
	// ErrForged says that the header is the other side's but the rest is
	// not, or that the other side broke the protocol.
	ErrForged = errors.New("ratchet: forged message")
	// ErrMalformed says that bytes have not the form of a message, a header or a state.
	ErrMalformed = errors.New("ratchet: malformed")
	// ErrUsed says that the message's keys are gone: it was opened before,
	// or it is later than the bounds on skipped keys allow.
	ErrUsed = errors.New("ratchet: message opened before, or too late")
	// ErrTooFarAhead says that more than 25,000 messages before this one
	// are missing. It is to be set aside, unacknowledged, and the session reset.
	ErrTooFarAhead = errors.New("ratchet: message too far ahead")
	// ErrTooLong says that a payload does not fit the size asked for.
	ErrTooLong = errors.New("ratchet: payload too long")
	// ErrNotReady says that a responder has not opened its first message yet.
	ErrNotReady = errors.New("ratchet: nothing received yet")
	// ErrSelf says that both sides of a session are the same device.
	ErrSelf = errors.New("ratchet: a session of a device with itself")
	// ErrExhausted says that a chain has no numbers left.
	ErrExhausted = errors.New("ratchet: chain exhausted")
)

// PayloadMax is the number of payload bytes a message of the size carries.
func PayloadMax(size Size) int { return int(size) - atBody - chacha20poly1305.Overhead - 1 }

// SizeFor gives the smallest size that carries n payload bytes, or ErrTooLong.
func SizeFor(n int) (Size, error) {
	for _, size := range []Size{Small, Medium, Large} {
		if n <= PayloadMax(size) {
			return size, nil
		}
	}
	return 0, fmt.Errorf("%w: %d bytes", ErrTooLong, n)
}

func (z Size) valid() bool { return z == Small || z == Medium || z == Large }

// MessageHash names a message: SHA-256 of its bytes.
func MessageHash(wire []byte) [32]byte { return sha256.Sum256(wire) }

// Secrets is what first contact (package pqxdh) agreed for the session.
type Secrets struct {
	RootEC      [32]byte // root key of the elliptic-curve half
	RootPQ      [32]byte // root key of the post-quantum half
	HeaderA     [32]byte // header key of the initiator's first chain
	NextHeaderB [32]byte // header key of the responder's first chain
}

// Session is one side's state of a session. NewInitiator, NewResponder and
// ParseSession make one.
type Session struct {
	halves
	ecSkipped store[key]    // by header key
	pqSkipped store[uint32] // by epoch

	// Room to work in, so that a message costs no garbage but itself.
	headerBuf [headerSize]byte
	adBuf     [atBody + 32]byte
}

// halves is the part of the state that is copied before it is tried.
type halves struct {
	suite byte
	ad    [1 + 32]byte // version ‖ convAD: associated data of headers; bodies take convAD
	ec    ecHalf
	pq    pqHalf
	steps uint32 // our own DH steps since the last new epoch
}

// NewInitiator begins a session as the side that sends first, to the signed
// prekey that the handshake used. Its errors are ErrSelf and identity.ErrKey.
func NewInitiator(s Secrets, p Parties, peer identity.PrekeyPublic) (*Session, error) {
	if p.InitiatorDevice == p.ResponderDevice {
		return nil, ErrSelf
	}
	h := halves{suite: p.Suite, ad: p.associated(), pq: newPQHalf(s.RootPQ, true)}
	h.ec = ecHalf{root: s.RootEC, nextSendHeader: s.HeaderA, nextRecvHeader: s.NextHeaderB}
	if err := h.ec.turn(peer); err != nil {
		return nil, err
	}
	return &Session{halves: h}, nil
}

// NewResponder begins a session as the side that receives first, with the
// signed prekey that the handshake used. Its error is ErrSelf.
func NewResponder(s Secrets, p Parties, prekey identity.PrekeyPrivate) (*Session, error) {
	if p.InitiatorDevice == p.ResponderDevice {
		return nil, ErrSelf
	}
	own := &ratchetKey{private: prekey.Bytes(), public: prekey.Public()}
	h := halves{suite: p.Suite, ad: p.associated(), pq: newPQHalf(s.RootPQ, false)}
	h.ec = ecHalf{root: s.RootEC, own: own, nextSendHeader: s.NextHeaderB, nextRecvHeader: s.HeaderA}
	return &Session{halves: h}, nil
}

// Seal makes a message of the size that carries the payload, and moves the
// state past it. The state must be kept before the message is let out: a
// message key is used once. Its errors are ErrTooLong, ErrNotReady and
// ErrExhausted, and leave the state as it was.
func (s *Session) Seal(payload []byte, size Size) ([]byte, error) {
	if !size.valid() || len(payload) > PayloadMax(size) {
		return nil, fmt.Errorf("%w: %d bytes in a message of %d", ErrTooLong, len(payload), size)
	}
	t := s.halves
	h, ecKey, pqKey, err := t.advance()
	if err != nil {
		return nil, err
	}

	wire := s.seal(&h, &t.ec.sendHeader, ecKey, pqKey, payload, size)
	s.halves = t
	return wire, nil
}

// seal writes a message.
func (s *Session) seal(h *header, headerKey *key, ecKey, pqKey key, payload []byte, size Size) []byte {
	wire := make([]byte, size)
	wire[0] = Version
	nonce := wire[atNonce:atHeader]
	rand.Read(nonce) // never fails, see crypto/rand
	headerAEAD(headerKey).Seal(wire[:atHeader], nonce, h.marshal(s.headerBuf[:0]), s.ad[:])

	body, commitment := messageKDF(ecKey, pqKey, wire[:atCommit])
	copy(wire[atCommit:], commitment[:])
	plain := wire[atBody : int(size)-chacha20poly1305.Overhead]
	plain[copy(plain, payload)] = 0x80
	var zero [chacha20poly1305.NonceSize]byte // each key seals once
	bodyAEAD(&body).Seal(plain[:0], zero[:], plain, s.bodyAD(wire))
	return wire
}

// advance does what is owed before sending and takes the next message key of
// each half.
func (t *halves) advance() (h header, ecKey, pqKey key, err error) {
	if !t.ec.hasSend {
		if !t.ec.hasRecv {
			return h, ecKey, pqKey, ErrNotReady
		}
		if err := t.ec.turn(t.ec.peer); err != nil {
			return h, ecKey, pqKey, err
		}
		t.steps++
	}
	newEpoch, err := t.pq.advance()
	if err != nil {
		return h, ecKey, pqKey, err
	}
	if newEpoch {
		t.steps = 0
	}
	if t.ec.send.n == math.MaxUint32 || t.pq.send.n == math.MaxUint32 || t.pq.epoch == math.MaxUint32 {
		return h, ecKey, pqKey, ErrExhausted
	}
	h = header{dh: t.ec.own.public, pn: t.ec.prevSent, n: t.ec.send.n}
	t.pq.attach(&h)
	return h, t.ec.send.next(), t.pq.send.next(), nil
}

// Open gives the payload of a message and moves the state past it; now is used
// to age the keys of messages that are missing. Its errors are ErrUnknown,
// ErrForged, ErrMalformed, ErrUsed and ErrTooFarAhead, and leave the state as
// it was, byte for byte.
func (s *Session) Open(wire []byte, now time.Time) ([]byte, error) {
	plainHeader, id, err := s.unlock(wire)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(plainHeader, !s.pq.initiator)
	if err != nil {
		return nil, err
	}

	t := s.halves
	var ecChange change[key]
	var pqChange change[uint32]
	ecKey, err := t.ec.open(&h, id, s.ecSkipped, now, &ecChange)
	if err != nil {
		return nil, err
	}
	pqKey, newEpoch, err := t.pq.open(&h, s.pqSkipped, now, &pqChange)
	if err != nil {
		return nil, err
	}
	if newEpoch {
		t.steps = 0
	}

	body, commitment := messageKDF(ecKey, pqKey, wire[:atCommit])
	if subtle.ConstantTimeCompare(commitment[:], wire[atCommit:atBody]) != 1 {
		return nil, ErrForged
	}
	var zero [chacha20poly1305.NonceSize]byte
	plain, err := bodyAEAD(&body).Open(nil, zero[:], wire[atBody:], s.bodyAD(wire))
	if err != nil {
		return nil, ErrForged
	}
	end := len(bytes.TrimRight(plain, "\x00")) - 1
	if end < 0 || plain[end] != 0x80 {
		return nil, fmt.Errorf("%w: padding", ErrForged)
	}

	s.halves = t
	s.ecSkipped.apply(ecChange, now)
	s.ecSkipped.forget(t.ec.recvHeader, maxOldHeaderKeys)
	s.pqSkipped.apply(pqChange, now)
	return plain[:end:end], nil
}

// Recognises tells whether a header key of the session fits the message, at
// the cost of at most 7 header trials. Where a device has several sessions it
// finds the one to Open with.
func (s *Session) Recognises(wire []byte) bool {
	_, _, err := s.unlock(wire)
	return err == nil
}

// unlock opens the sealed header: with the present header key, the next one,
// and those of at most 5 chains before, newest first.
func (s *Session) unlock(wire []byte) (plain []byte, id key, err error) {
	if Size(len(wire)).valid() && wire[0] > Version {
		return nil, id, fmt.Errorf("%w: message: %w", ErrMalformed, identity.ErrNewer)
	}
	if !Size(len(wire)).valid() || wire[0] != Version {
		return nil, id, fmt.Errorf("%w: %d bytes are no message", ErrMalformed, len(wire))
	}
	try := func(k *key) bool {
		plain, err = headerAEAD(k).Open(s.headerBuf[:0], wire[atNonce:atHeader], wire[atHeader:atCommit], s.ad[:])
		return err == nil
	}
	if s.ec.hasRecv && try(&s.ec.recvHeader) {
		return plain, s.ec.recvHeader, nil
	}
	// While our own step is owed the other side cannot have made another.
	if !s.ec.owed() && try(&s.ec.nextRecvHeader) {
		return plain, s.ec.nextRecvHeader, nil
	}
	for i := len(s.ecSkipped) - 1; i >= 0; i-- {
		if k := s.ecSkipped[i].id; k != s.ec.recvHeader && try(&k) {
			return plain, k, nil
		}
	}
	return nil, id, ErrUnknown
}

// bodyAD is the associated data of a body: all that goes before it, and convAD.
func (s *Session) bodyAD(wire []byte) []byte {
	return append(append(s.adBuf[:0], wire[:atBody]...), s.ad[1:]...)
}

// Clone gives a copy that shares nothing that changes.
func (s *Session) Clone() *Session {
	return &Session{halves: s.halves, ecSkipped: s.ecSkipped.clone(), pqSkipped: s.pqSkipped.clone()}
}

// Expire drops keys of missing messages that are older than 30 days and tells
// whether there were any. Open does so too; a quiet session needs it now and then.
func (s *Session) Expire(now time.Time) bool {
	ec := s.ecSkipped.expire(now)
	return s.pqSkipped.expire(now) || ec
}
