package ratchet

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// ecHalf is the elliptic-curve half: the Double Ratchet with header encryption
// (section 4), its own half of each step deferred to the next Seal, as that
// document's "Deferring new ratchet key generation" allows. Between a step of
// the other side and our next message it holds no private key at all.
//
// It is copied by value; what it points to never changes.
type ecHalf struct {
	root key
	// own is the ratchet key our present sending chain began with, for the
	// responder at first its signed prekey. It is nil while our step is owed.
	own *ratchetKey
	// peer is the other side's ratchet key; set with hasRecv.
	peer identity.PrekeyPublic

	hasSend, hasRecv bool // neither: a responder who has heard nothing yet
	send, recv       chain
	sendHeader       key // of the sending chain
	recvHeader       key // of the receiving chain
	nextSendHeader   key
	nextRecvHeader   key
	prevSent         uint32 // messages in our sending chain before this one, "PN"
}

// owed tells whether the other side has stepped and we have not yet.
func (e *ecHalf) owed() bool { return e.hasRecv && !e.hasSend }

// turn makes our own step: a new ratchet key and a sending chain with peer.
func (e *ecHalf) turn(peer identity.PrekeyPublic) error {
	own, err := newRatchetKey()
	if err != nil {
		return err
	}
	secret, err := own.agree(peer)
	if err != nil {
		return err
	}
	e.own = own
	e.sendHeader = e.nextSendHeader
	e.root, e.send.key, e.nextSendHeader = ecKDF(e.root, secret)
	e.send.n = 0
	e.hasSend = true
	return nil
}

// follow makes the other side's step, to its new ratchet key.
func (e *ecHalf) follow(peer identity.PrekeyPublic) error {
	secret, err := e.own.agree(peer)
	if err != nil {
		return err
	}
	e.peer = peer
	e.recvHeader = e.nextRecvHeader
	e.root, e.recv.key, e.nextRecvHeader = ecKDF(e.root, secret)
	e.recv.n = 0
	e.hasRecv = true

	e.prevSent = e.send.n
	e.own, e.send, e.sendHeader, e.hasSend = nil, chain{}, key{}, false
	return nil
}

// open gives the message key of a message whose header opened under the header
// key id, and moves the half past it. Its caller throws the half away when the
// message turns out not to be authentic.
func (e *ecHalf) open(h *header, id key, skipped store[key], now time.Time, c *change[key]) (key, error) {
	switch {
	case e.hasRecv && id == e.recvHeader:
		if h.dh != e.peer {
			return key{}, fmt.Errorf("%w: another ratchet key in the same chain", ErrForged)
		}
		if h.n < e.recv.n {
			return late(skipped, id, h.n, c)
		}
		if h.n-e.recv.n > maxJump {
			return key{}, ErrTooFarAhead
		}
	case !e.owed() && id == e.nextRecvHeader:
		var missed uint32
		if e.hasRecv && h.pn > e.recv.n {
			missed = h.pn - e.recv.n
		}
		if missed > maxJump || h.n > maxJump-missed {
			return key{}, ErrTooFarAhead
		}
		skipTo(&e.recv, e.recv.n+missed, e.recvHeader, now, c)
		if err := e.follow(h.dh); err != nil {
			return key{}, fmt.Errorf("%w: ratchet key: %w", ErrForged, err)
		}
	default:
		return late(skipped, id, h.n, c)
	}
	skipTo(&e.recv, h.n, e.recvHeader, now, c)
	return e.recv.next(), nil
}

// late finds the key of a message that others have overtaken.
func late[ID comparable](skipped store[ID], id ID, n uint32, c *change[ID]) (key, error) {
	mk, ok := skipped.find(id, n, c)
	if !ok {
		return key{}, ErrUsed
	}
	return mk, nil
}

// ratchetKey is an X25519 key pair of ours. A state that was read back leaves
// full nil: most messages need only the public half, and making the rest costs
// as much as an agreement.
type ratchetKey struct {
	private, public key
	full            *ecdh.PrivateKey
}

func newRatchetKey() (*ratchetKey, error) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &ratchetKey{key(k.Bytes()), key(k.PublicKey().Bytes()), k}, nil
}

// agree is X25519 (RFC 7748) with a key that nobody has checked yet: it refuses
// points that are not canonical and (by their all-zero secret, section 6.1)
// those of low order, with identity.ErrKey. That is what identity.ParsePrekey
// refuses too, at the price of two more scalar multiplications for each step.
func (k *ratchetKey) agree(peer identity.PrekeyPublic) ([]byte, error) {
	if !canonical(peer) {
		return nil, identity.ErrKey
	}
	own := k.full
	if own == nil {
		var err error
		if own, err = ecdh.X25519().NewPrivateKey(k.private[:]); err != nil {
			return nil, err
		}
	}
	p, err := ecdh.X25519().NewPublicKey(peer[:])
	if err != nil {
		return nil, err
	}
	secret, err := own.ECDH(p)
	if err != nil {
		return nil, identity.ErrKey
	}
	return secret, nil
}

// canonical tells whether the little-endian p is below 2^255-19.
func canonical(p identity.PrekeyPublic) bool {
	limbs := [4]uint64{^uint64(18), ^uint64(0), ^uint64(0), 1<<63 - 1} // 2^255-19
	for i := 3; i >= 0; i-- {
		if v := binary.LittleEndian.Uint64(p[8*i:]); v != limbs[i] {
			return v < limbs[i]
		}
	}
	return false
}
