package ratchet

import (
	"crypto/mlkem"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

// headerSize is the length in bytes of a header in the clear.
const headerSize = 1264

// What the post-quantum half attaches to a message.
const (
	attachNone       byte = 0
	attachKey        byte = 1 // an ML-KEM-768 encapsulation key
	attachCiphertext byte = 2 // an ML-KEM-768 ciphertext
)

// attachSize gives the length in bytes of what is attached.
var attachSize = [...]int{attachNone: 0, attachKey: mlkem.EncapsulationKeySize768, attachCiphertext: mlkem.CiphertextSize768}

// header is what a message says to the ratchets.
type header struct {
	dh       [identity.KeySize]byte // the sender's ratchet key, not checked yet
	pn, n    uint32                 // messages in the sender's chain before, number in this one
	pqEpoch  uint32
	pqPn     uint32 // messages the sender sent in the epoch before
	pqN      uint32 // number in this epoch
	attached byte
	epoch    uint32 // of what is attached, 0 for nothing
	body     []byte
}

// marshal writes the header into buf, which is empty and has room for headerSize bytes.
func (h *header) marshal(buf []byte) []byte {
	clear(buf[:headerSize])
	b := cryptobyte.NewFixedBuilder(buf)
	b.AddBytes(h.dh[:])
	for _, v := range []uint32{h.pn, h.n, h.pqEpoch, h.pqPn, h.pqN} {
		b.AddUint32(v)
	}
	b.AddUint8(h.attached)
	b.AddUint8(0) // flags: none yet
	b.AddUint32(h.epoch)
	b.AddBytes(h.body)
	return b.BytesOrPanic()[:headerSize] // the rest is zeros
}

// parseHeader reads a header that the given side sent. body points into b.
//
// Who attaches what follows from the side and the epoch: the initiator owns the
// key of odd epochs and the responder that of even ones, so that a header has
// one form only. Its error is ErrMalformed.
func parseHeader(b []byte, fromInitiator bool) (h header, err error) {
	var flags uint8
	s := cryptobyte.String(b)
	if len(b) != headerSize ||
		!s.CopyBytes(h.dh[:]) || !s.ReadUint32(&h.pn) || !s.ReadUint32(&h.n) ||
		!s.ReadUint32(&h.pqEpoch) || !s.ReadUint32(&h.pqPn) || !s.ReadUint32(&h.pqN) ||
		!s.ReadUint8(&h.attached) || !s.ReadUint8(&flags) || !s.ReadUint32(&h.epoch) {
		return header{}, fmt.Errorf("%w: a header of %d bytes", ErrMalformed, len(b))
	}
	if flags != 0 || int(h.attached) >= len(attachSize) {
		return header{}, fmt.Errorf("%w: unknown flags or attachment", ErrMalformed)
	}
	attaches := (h.pqEpoch%2 == 0) == fromInitiator
	switch {
	case !attaches && h.attached == attachNone && h.epoch == 0:
	case attaches && h.attached == attachKey && h.epoch != 0 && h.epoch-1 == h.pqEpoch:
	case attaches && h.attached == attachCiphertext && h.epoch != 0 && h.epoch == h.pqEpoch:
	default:
		return header{}, fmt.Errorf("%w: attachment out of turn", ErrMalformed)
	}
	if !s.ReadBytes(&h.body, attachSize[h.attached]) {
		return header{}, fmt.Errorf("%w: short attachment", ErrMalformed)
	}
	for _, x := range s {
		if x != 0 {
			return header{}, fmt.Errorf("%w: header not filled with zeros", ErrMalformed)
		}
	}
	return h, nil
}
