package session

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity/ratchet"
)

// The first byte of what a ratchet message contains.
const (
	kindPlain  byte = 0 // the payload follows
	kindFlight byte = 1 // the session's generation, 4 bytes, not 0; then the payload
)

// FlightMax is how many bytes of payload a message in a flight carries.
func FlightMax() int { return ratchet.PayloadMax(ratchet.Small) - 5 }

// PayloadMax is how many bytes of payload the largest message carries.
func PayloadMax() int { return ratchet.PayloadMax(ratchet.Large) - 1 }

// wrap is what a ratchet message contains (SPEC.md).
func wrap(payload []byte, flight bool, generation uint32) []byte {
	var b cryptobyte.Builder
	if flight {
		b.AddUint8(kindFlight)
		b.AddUint32(generation)
	} else {
		b.AddUint8(kindPlain)
	}
	b.AddBytes(payload)
	return b.BytesOrPanic() // nothing here can fail
}

// unwrap reads what wrap wrote; generation 0: it was not in a flight. Its error is
// ErrMalformed.
func unwrap(content []byte) (payload []byte, generation uint32, err error) {
	s := cryptobyte.String(content)
	var kind uint8
	if !s.ReadUint8(&kind) {
		return nil, 0, fmt.Errorf("%w: empty", ErrMalformed)
	}
	switch {
	case kind == kindPlain:
		return s, 0, nil
	case kind == kindFlight && s.ReadUint32(&generation) && generation != 0:
		return s, generation, nil
	}
	return nil, 0, fmt.Errorf("%w: kind %d", ErrMalformed, kind)
}
