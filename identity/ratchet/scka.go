package ratchet

import (
	"crypto/mlkem"
	"fmt"
	"time"
)

// role is what a side does in the post-quantum half's present epoch e.
//
//	K  owns the key of e; attaches it until the ciphertext comes, then is W of e+1
//	W  waits for the key of e; on its next Seal encapsulates to it, uses e, is C
//	C  made the ciphertext of e; attaches it until a message under e comes, then is K of e+1
//
// So the sides take turns: K/W of e become W/K of e+1 by way of C. A side sends
// under epoch e-1 as K and W, under e as C, and has received under e-1.
type role byte

const (
	roleK role = 1
	roleW role = 2
	roleC role = 3
)

// pqHalf is the post-quantum half: a sparse continuous key agreement (Double
// Ratchet, section 5) with ML-KEM-768 (FIPS 203).
//
// It is copied by value; what it points to never changes.
type pqHalf struct {
	initiator bool
	root      key
	role      role
	epoch     uint32 // e
	send      chain  // of epoch e-1, as C of e
	recv      chain  // of epoch e-1
	next      chain  // as C: receiving chain of epoch e
	prevSent  uint32 // messages we sent in the epoch before that of send
	body      []byte // as K: our key, as C: our ciphertext, as W: their key; nil: none yet
	seed      []byte // as K with a key: d ‖ z (FIPS 203, section 7.1)
	// The expanded forms of seed and of their key; nil after a state was
	// read back, and made again when needed.
	dk *mlkem.DecapsulationKey768
	ek *mlkem.EncapsulationKey768
}

func newPQHalf(root key, initiator bool) pqHalf {
	p := pqHalf{initiator: initiator, role: roleW, root: root}
	if initiator {
		p.role = roleK
	}
	p.send, p.recv = p.derive(nil)
	p.epoch = 1
	return p
}

// derive turns the root with the epoch's secret and gives the epoch's chains.
func (p *pqHalf) derive(ss []byte) (send, recv chain) {
	p.root, send.key, recv.key = pqKDF(p.root, ss, p.epoch)
	if !p.initiator {
		send, recv = recv, send
	}
	return send, recv
}

// advance does what a side does before it sends: as K without a key it makes
// one, as W with the other's key it encapsulates and becomes C.
func (p *pqHalf) advance() (newEpoch bool, err error) {
	switch {
	case p.role == roleK && p.body == nil:
		if p.dk, err = mlkem.GenerateKey768(); err != nil {
			return false, err
		}
		p.seed, p.body = p.dk.Bytes(), p.dk.EncapsulationKey().Bytes()
	case p.role == roleW && p.body != nil:
		if p.ek == nil {
			if p.ek, err = mlkem.NewEncapsulationKey768(p.body); err != nil {
				return false, err
			}
		}
		ss, ct := p.ek.Encapsulate()
		p.prevSent = p.send.n
		p.send, p.next = p.derive(ss)
		p.role, p.body, p.ek = roleC, ct, nil
		return true, nil
	}
	return false, nil
}

// attach fills in the post-quantum half of a header.
func (p *pqHalf) attach(h *header) {
	h.pqEpoch, h.pqPn, h.pqN = p.epoch-1, p.prevSent, p.send.n
	switch p.role {
	case roleK:
		h.attached, h.epoch, h.body = attachKey, p.epoch, p.body
	case roleC:
		h.pqEpoch = p.epoch
		h.attached, h.epoch, h.body = attachCiphertext, p.epoch, p.body
	}
}

// open gives the message key of a message and moves the half past it. Its
// caller throws the half away when the message turns out not to be authentic.
func (p *pqHalf) open(h *header, skipped store[uint32], now time.Time, c *change[uint32]) (mk key, newEpoch bool, err error) {
	switch {
	case h.pqEpoch == p.epoch && p.role != roleW:
		newEpoch = p.role == roleK
		if err := p.enter(h, now, c); err != nil {
			return key{}, false, err
		}
	case h.pqEpoch >= p.epoch:
		return key{}, false, fmt.Errorf("%w: epoch %d before its time", ErrForged, h.pqEpoch)
	case h.pqEpoch < p.epoch-1 || h.pqN < p.recv.n:
		mk, err := late(skipped, h.pqEpoch, h.pqN, c)
		return mk, false, err
	case h.pqN-p.recv.n > maxJump:
		return key{}, false, ErrTooFarAhead
	}
	if h.attached == attachKey && h.epoch == p.epoch && p.role == roleW && p.body == nil {
		if p.ek, err = mlkem.NewEncapsulationKey768(h.body); err != nil {
			return key{}, false, fmt.Errorf("%w: post-quantum key: %w", ErrForged, err)
		}
		p.body = p.ek.Bytes()
	}
	skipTo(&p.recv, h.pqN, h.pqEpoch, now, c)
	return p.recv.next(), newEpoch, nil
}

// enter closes the receiving chain of epoch e-1 at the first message under e.
func (p *pqHalf) enter(h *header, now time.Time, c *change[uint32]) error {
	var missed uint32
	if h.pqPn > p.recv.n {
		missed = h.pqPn - p.recv.n
	}
	if missed > maxJump || h.pqN > maxJump-missed {
		return ErrTooFarAhead
	}
	skipTo(&p.recv, p.recv.n+missed, p.epoch-1, now, c)
	if p.role == roleC {
		p.recv, p.next = p.next, chain{}
		p.role, p.epoch, p.body = roleK, p.epoch+1, nil
		return nil
	}
	// As K: only an answer to the key that we sent begins the epoch.
	if h.attached != attachCiphertext || p.body == nil {
		return fmt.Errorf("%w: epoch %d without its ciphertext", ErrForged, h.pqEpoch)
	}
	if p.dk == nil {
		var err error
		if p.dk, err = mlkem.NewDecapsulationKey768(p.seed); err != nil {
			return err
		}
	}
	ss, err := p.dk.Decapsulate(h.body)
	if err != nil {
		return fmt.Errorf("%w: post-quantum ciphertext: %w", ErrForged, err)
	}
	p.prevSent = p.send.n
	p.send, p.recv = p.derive(ss)
	p.role, p.epoch, p.body, p.seed, p.dk = roleW, p.epoch+1, nil, nil, nil
	return nil
}
