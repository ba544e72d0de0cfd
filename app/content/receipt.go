package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// MaxReceipts is how many ratchet messages or items one Receipt or Read names
// at most; the smallest ratchet message has room for them.
const MaxReceipts = 64

// Receipt says of ratchet messages, each named by its SHA-256, that they are
// durable on the device that says so. It is the end-to-end acknowledgement of
// what came by mailbox, authentic because the session that carried it is.
//
//	body: count 1 | count x hash 32
type Receipt struct {
	Hashes [][32]byte // 1 to MaxReceipts
}

// Marshal encodes the receipt.
func (r Receipt) Marshal() ([]byte, error) { return marshalNames(r.Hashes) }

// ParseReceipt reads a body of KindReceipt.
func ParseReceipt(body []byte) (r Receipt, err error) {
	r.Hashes, err = parseNames[[32]byte](body)
	return r, err
}

// Read says that the person has seen items, and shares that.
//
//	body: count 1 | count x id 16
type Read struct {
	IDs []ID // 1 to MaxReceipts
}

// Marshal encodes the list.
func (r Read) Marshal() ([]byte, error) { return marshalNames(r.IDs) }

// ParseRead reads a body of KindRead.
func ParseRead(body []byte) (r Read, err error) {
	r.IDs, err = parseNames[ID](body)
	return r, err
}

func marshalNames[T [32]byte | ID](names []T) ([]byte, error) {
	if len(names) == 0 || len(names) > MaxReceipts {
		return nil, fmt.Errorf("%w: receipt of %d names", ErrMalformed, len(names))
	}
	var b cryptobyte.Builder
	b.AddUint8(uint8(len(names)))
	for _, n := range names {
		for i := range len(n) {
			b.AddUint8(n[i])
		}
	}
	return b.Bytes()
}

func parseNames[T [32]byte | ID](body []byte) ([]T, error) {
	var one T
	s := cryptobyte.String(body)
	var count uint8
	if !s.ReadUint8(&count) || count == 0 || count > MaxReceipts || len(s) != int(count)*len(one) {
		return nil, fmt.Errorf("%w: receipt", ErrMalformed)
	}
	names := make([]T, count)
	for i := range names {
		var raw []byte
		s.ReadBytes(&raw, len(one))
		names[i] = T(raw)
	}
	return names, nil
}
