package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Progress is what a receipt says of items.
type Progress byte

const (
	Delivered Progress = 1 // durable on the device that says so
	Read      Progress = 2 // shown to the person, who shares that
)

// Receipt says of items that this device has them, or that its person has read
// them. It is authentic because the session that carried it is.
//
//	body: progress 1 | count 1 | count x id 16
type Receipt struct {
	Progress Progress
	IDs      []ID // 1 to MaxReceiptIDs
}

// MaxReceiptIDs is how many items one receipt names at most; a 4 KiB cell has room for them.
const MaxReceiptIDs = 100

// Marshal encodes the receipt.
func (r Receipt) Marshal() ([]byte, error) {
	if r.Progress != Delivered && r.Progress != Read || len(r.IDs) == 0 || len(r.IDs) > MaxReceiptIDs {
		return nil, fmt.Errorf("%w: receipt %d of %d ids", ErrMalformed, r.Progress, len(r.IDs))
	}
	var b cryptobyte.Builder
	b.AddUint8(uint8(r.Progress))
	b.AddUint8(uint8(len(r.IDs)))
	for _, id := range r.IDs {
		b.AddBytes(id[:])
	}
	return b.Bytes()
}

// ParseReceipt reads a body of KindReceipt.
func ParseReceipt(body []byte) (Receipt, error) {
	var r Receipt
	s := cryptobyte.String(body)
	var count uint8
	if !s.ReadUint8((*uint8)(&r.Progress)) || !s.ReadUint8(&count) || len(s) != int(count)*len(ID{}) {
		return r, fmt.Errorf("%w: receipt", ErrMalformed)
	}
	for range count {
		var id ID
		s.CopyBytes(id[:])
		r.IDs = append(r.IDs, id)
	}
	_, err := r.Marshal()
	return r, err
}
