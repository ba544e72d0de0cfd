package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Rendezvous gives the seed of the records by which the author's device can be found
// when its addresses have changed (p2p/rendezvous). The newest (Item.Sent) holds; the
// one before is read as well until the newest is acknowledged.
//
//	body: seed 32
type Rendezvous struct {
	Seed [32]byte
}

// Marshal encodes the seed.
func (r Rendezvous) Marshal() ([]byte, error) { return r.Seed[:], nil }

// ParseRendezvous reads a body of KindRendezvous.
func ParseRendezvous(body []byte) (Rendezvous, error) {
	var r Rendezvous
	s := cryptobyte.String(body)
	if !s.CopyBytes(r.Seed[:]) || !s.Empty() {
		return r, fmt.Errorf("%w: rendezvous", ErrMalformed)
	}
	return r, nil
}
