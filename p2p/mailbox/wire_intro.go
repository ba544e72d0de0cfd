package mailbox

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// terms asks what a deposit into an intro queue takes.
type terms struct{ queue QID }

func (m *terms) kind() kind                      { return kindTerms }
func (m *terms) append(b *cryptobyte.Builder)    { b.AddBytes(m.queue[:]) }
func (m *terms) parse(s *cryptobyte.String) bool { return s.CopyBytes(m.queue[:]) }

type termsAnswer struct {
	challenge [32]byte
	work      uint8         // bits
	good      time.Duration // from now
}

func (m *termsAnswer) kind() kind { return kindTerms | kindAnswer }

func (m *termsAnswer) append(b *cryptobyte.Builder) {
	b.AddBytes(m.challenge[:])
	b.AddUint8(m.work)
	addTTL(b, m.good)
}

func (m *termsAnswer) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(m.challenge[:]) && s.ReadUint8(&m.work) && readTTL(s, &m.good)
}

// intro is a deposit into an intro queue.
type intro struct {
	queue     QID
	ttl       time.Duration
	challenge [32]byte // of the terms
	work      uint8    // bits
	try, seal [8]byte
	cell      []byte
}

func (m *intro) kind() kind { return kindIntro }

func (m *intro) append(b *cryptobyte.Builder) {
	b.AddBytes(m.queue[:])
	addTTL(b, m.ttl)
	b.AddBytes(m.challenge[:])
	b.AddUint8(m.work)
	b.AddBytes(m.try[:])
	b.AddBytes(m.seal[:])
	b.AddBytes(m.cell)
}

// parse leaves the size of the cell to the caller, as put's does.
func (m *intro) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(m.queue[:]) && readTTL(s, &m.ttl) && s.CopyBytes(m.challenge[:]) && s.ReadUint8(&m.work) &&
		s.CopyBytes(m.try[:]) && s.CopyBytes(m.seal[:]) && s.ReadBytes(&m.cell, len(*s)) && len(m.cell) <= CellLarge
}
