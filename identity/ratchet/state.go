package ratchet

import (
	"crypto/mlkem"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

// stateVersion is the first byte of a state.
const stateVersion byte = 1

// Flags of a state.
const (
	flagInitiator byte = 1 << iota
	flagHasSend
	flagHasRecv
)

// MarshalBinary gives the state in its only form (SPEC.md, section 8). It holds
// secrets in the clear; the caller seals it. Its error is always nil.
func (s *Session) MarshalBinary() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, s.stateSize()))
	b.AddUint8(stateVersion)
	b.AddUint8(s.suite)
	b.AddBytes(s.ad[1:])
	var flags byte
	for f, set := range map[byte]bool{flagInitiator: s.pq.initiator, flagHasSend: s.ec.hasSend, flagHasRecv: s.ec.hasRecv} {
		if set {
			flags |= f
		}
	}
	b.AddUint8(flags)
	b.AddUint32(s.steps)

	e := &s.ec
	b.AddBytes(e.root[:])
	b.AddBytes(e.nextSendHeader[:])
	b.AddBytes(e.nextRecvHeader[:])
	b.AddUint32(e.prevSent)
	if !e.owed() {
		b.AddBytes(e.own.private[:])
		b.AddBytes(e.own.public[:])
	}
	if e.hasSend {
		b.AddBytes(e.sendHeader[:])
		addChain(b, &e.send)
	}
	if e.hasRecv {
		b.AddBytes(e.peer[:])
		b.AddBytes(e.recvHeader[:])
		addChain(b, &e.recv)
	}

	p := &s.pq
	b.AddUint8(byte(p.role))
	b.AddUint32(p.epoch)
	b.AddBytes(p.root[:])
	addChain(b, &p.send)
	addChain(b, &p.recv)
	b.AddUint32(p.prevSent)
	if p.role == roleC {
		b.AddBytes(p.next.key[:]) // its n is 0
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddBytes(p.seed)
		b.AddBytes(p.body)
	})

	addStore(b, s.ecSkipped, func(id key) { b.AddBytes(id[:]) })
	addStore(b, s.pqSkipped, b.AddUint32)
	return b.Bytes()
}

// stateSize is a little more than the length in bytes of the state.
func (s *Session) stateSize() int {
	return 2048 + (s.ecSkipped.len()+s.pqSkipped.len())*(4+8+32) + (len(s.ecSkipped)+len(s.pqSkipped))*(32+2)
}

func addChain(b *cryptobyte.Builder, c *chain) {
	b.AddBytes(c.key[:])
	b.AddUint32(c.n)
}

func addStore[ID comparable](b *cryptobyte.Builder, s store[ID], addID func(ID)) {
	b.AddUint16(uint16(len(s)))
	for _, ch := range s {
		addID(ch.id)
		b.AddUint16(uint16(len(ch.keys)))
		for _, k := range ch.keys {
			b.AddUint32(k.n)
			b.AddUint64(uint64(k.at))
			b.AddBytes(k.key[:])
		}
	}
}

// ParseSession reads what MarshalBinary wrote and refuses any other bytes. Its
// error is ErrMalformed, with identity.ErrNewer for a later version.
func ParseSession(state []byte) (*Session, error) {
	r := stateReader{cryptobyte.String(state), true}
	s := new(Session)
	version := r.uint8()
	s.suite = r.uint8()
	s.ad[0] = Version
	r.bytes(s.ad[1:])
	flags := r.uint8()
	s.steps = r.uint32()
	if version > stateVersion {
		return nil, fmt.Errorf("%w: state: %w", ErrMalformed, identity.ErrNewer)
	}
	if version != stateVersion || flags > flagInitiator|flagHasSend|flagHasRecv {
		return nil, fmt.Errorf("%w: state of version %d", ErrMalformed, version)
	}
	s.pq.initiator = flags&flagInitiator != 0
	r.ec(&s.ec, flags)
	r.pq(&s.pq)
	if !s.ec.hasSend && !s.ec.hasRecv && s.pq.initiator {
		r.ok = false // an initiator begins with a sending chain
	}
	s.ecSkipped = readStore(&r, func() (id key) { r.bytes(id[:]); return id })
	s.pqSkipped = readStore(&r, r.uint32)
	if !r.ok || !r.s.Empty() {
		return nil, fmt.Errorf("%w: state of %d bytes", ErrMalformed, len(state))
	}
	return s, nil
}

// stateReader reads the parts of a state; ok becomes false at the first that is wrong.
type stateReader struct {
	s  cryptobyte.String
	ok bool
}

func (r *stateReader) uint8() (v uint8)    { r.ok = r.ok && r.s.ReadUint8(&v); return v }
func (r *stateReader) uint16() (v uint16)  { r.ok = r.ok && r.s.ReadUint16(&v); return v }
func (r *stateReader) uint32() (v uint32)  { r.ok = r.ok && r.s.ReadUint32(&v); return v }
func (r *stateReader) uint64() (v uint64)  { r.ok = r.ok && r.s.ReadUint64(&v); return v }
func (r *stateReader) bytes(to []byte)     { r.ok = r.ok && r.s.CopyBytes(to) }
func (r *stateReader) chain(c *chain)      { r.bytes(c.key[:]); c.n = r.uint32() }
func (r *stateReader) must(condition bool) { r.ok = r.ok && condition }

func (r *stateReader) ec(e *ecHalf, flags byte) {
	e.hasSend, e.hasRecv = flags&flagHasSend != 0, flags&flagHasRecv != 0
	r.bytes(e.root[:])
	r.bytes(e.nextSendHeader[:])
	r.bytes(e.nextRecvHeader[:])
	e.prevSent = r.uint32()
	if !e.owed() {
		e.own = new(ratchetKey)
		r.bytes(e.own.private[:])
		r.bytes(e.own.public[:])
	}
	if e.hasSend {
		r.bytes(e.sendHeader[:])
		r.chain(&e.send)
	}
	if e.hasRecv {
		r.bytes(e.peer[:])
		r.bytes(e.recvHeader[:])
		r.chain(&e.recv)
	}
}

func (r *stateReader) pq(p *pqHalf) {
	p.role = role(r.uint8())
	p.epoch = r.uint32()
	r.bytes(p.root[:])
	r.chain(&p.send)
	r.chain(&p.recv)
	p.prevSent = r.uint32()
	if p.role == roleC {
		r.bytes(p.next.key[:])
	}
	var held cryptobyte.String
	r.must(r.ok && r.s.ReadUint16LengthPrefixed(&held))
	// The initiator owns the key of odd epochs, the responder that of even ones.
	owner := (p.epoch%2 == 1) == p.initiator
	switch {
	case p.epoch == 0 || owner != (p.role == roleK):
		r.ok = false
	case p.role == roleK && len(held) == mlkem.SeedSize+mlkem.EncapsulationKeySize768:
		p.seed, p.body = clone(held[:mlkem.SeedSize]), clone(held[mlkem.SeedSize:])
	case p.role == roleW && len(held) == mlkem.EncapsulationKeySize768,
		p.role == roleC && len(held) == mlkem.CiphertextSize768:
		p.body = clone(held)
	case (p.role == roleK || p.role == roleW) && len(held) == 0:
	default:
		r.ok = false
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

func readStore[ID comparable](r *stateReader, readID func() ID) (s store[ID]) {
	total := 0
	for range r.uint16() {
		ch := skippedChain[ID]{id: readID()}
		n := int(r.uint16())
		total += n
		r.must(0 < n && n <= maxSkippedChain && total <= maxSkipped && len(r.s) >= n*(4+8+32))
		if !r.ok {
			return nil
		}
		ch.keys = make([]skippedKey, n)
		for i := range ch.keys {
			k := &ch.keys[i]
			k.n, k.at = r.uint32(), int64(r.uint64())
			r.bytes(k.key[:])
			r.must(i == 0 || ch.keys[i-1].n < k.n)
		}
		for _, before := range s {
			r.must(before.id != ch.id)
		}
		s = append(s, ch)
	}
	return s
}

// StallAfter is the number of our own DH steps without a new post-quantum epoch
// after which a session is reported: the other side withholds its half.
const StallAfter = 20

// Stats is what can be told about a session without its secrets.
type Stats struct {
	Suite   byte
	Epoch   uint32 // post-quantum epoch that we send under
	Steps   uint32 // our own DH steps since that epoch began
	Stalled bool   // Steps reached StallAfter
	Missing int    // messages that others have overtaken and that would still open
}

// Stats tells how far the session's ratchets have turned.
func (s *Session) Stats() Stats {
	epoch := s.pq.epoch - 1
	if s.pq.role == roleC {
		epoch = s.pq.epoch
	}
	return Stats{
		Suite: s.suite, Epoch: epoch, Steps: s.steps, Stalled: s.steps >= StallAfter,
		Missing: min(s.ecSkipped.len(), s.pqSkipped.len()),
	}
}
