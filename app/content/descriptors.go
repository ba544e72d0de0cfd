package content

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// MaxDescriptors is how many relays a device names at most.
const MaxDescriptors = 8

// MaxDescriptor is the most bytes of one descriptor's encoding.
const MaxDescriptor = 1024

// Descriptors says at which relays, and how, this reader can leave messages for
// the author's device. The newest version holds; it replaces all before it.
//
//	body: version 8 (unix ms) | count 1 | count x (length 2 | descriptor)
type Descriptors struct {
	Version uint64
	List    [][]byte // encodings of mailbox.Descriptor; may be none
}

// Marshal encodes the list.
func (d Descriptors) Marshal() ([]byte, error) {
	if len(d.List) > MaxDescriptors {
		return nil, fmt.Errorf("%w: %d descriptors", ErrMalformed, len(d.List))
	}
	var b cryptobyte.Builder
	b.AddUint64(d.Version)
	b.AddUint8(uint8(len(d.List)))
	for _, one := range d.List {
		if len(one) == 0 || len(one) > MaxDescriptor {
			return nil, fmt.Errorf("%w: descriptor of %d bytes", ErrMalformed, len(one))
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one) })
	}
	return b.Bytes()
}

// ParseDescriptors reads a body of KindDescriptors.
func ParseDescriptors(body []byte) (Descriptors, error) {
	var d Descriptors
	s := cryptobyte.String(body)
	var count uint8
	if !s.ReadUint64(&d.Version) || !s.ReadUint8(&count) || count > MaxDescriptors {
		return d, fmt.Errorf("%w: descriptors", ErrMalformed)
	}
	for range count {
		var one cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&one) || len(one) == 0 || len(one) > MaxDescriptor {
			return d, fmt.Errorf("%w: descriptor", ErrMalformed)
		}
		d.List = append(d.List, bytes.Clone(one))
	}
	if !s.Empty() {
		return d, fmt.Errorf("%w: bytes after the descriptors", ErrMalformed)
	}
	return d, nil
}
