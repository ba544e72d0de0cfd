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
// Extra ones are of relays that are only on now and then, such as a friend's computer: what is left
// there is one more copy, and makes nothing kept.
//
//	body: version 8 (unix ms) | count 1 | count x (length 2 | descriptor) [| count 1 | count x (length 2 | descriptor)]
//
// The bracketed part is there if there are extra ones.
type Descriptors struct {
	Version uint64
	List    [][]byte // encodings of mailbox.Descriptor; may be none
	Extra   [][]byte // the same
}

// Marshal encodes the list.
func (d Descriptors) Marshal() ([]byte, error) {
	if len(d.List)+len(d.Extra) > MaxDescriptors {
		return nil, fmt.Errorf("%w: %d descriptors and %d extra", ErrMalformed, len(d.List), len(d.Extra))
	}
	var b cryptobyte.Builder
	b.AddUint64(d.Version)
	lists := [][][]byte{d.List}
	if len(d.Extra) > 0 {
		lists = append(lists, d.Extra)
	}
	for _, list := range lists {
		b.AddUint8(uint8(len(list)))
		for _, one := range list {
			if len(one) == 0 || len(one) > MaxDescriptor {
				return nil, fmt.Errorf("%w: descriptor of %d bytes", ErrMalformed, len(one))
			}
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one) })
		}
	}
	return b.Bytes()
}

// ParseDescriptors reads a body of KindDescriptors.
func ParseDescriptors(body []byte) (Descriptors, error) {
	var d Descriptors
	s := cryptobyte.String(body)
	if !s.ReadUint64(&d.Version) || !readDescriptors(&s, &d.List) {
		return d, fmt.Errorf("%w: descriptors", ErrMalformed)
	}
	if s.Empty() {
		return d, nil
	}
	if !readDescriptors(&s, &d.Extra) || len(d.Extra) == 0 || len(d.List)+len(d.Extra) > MaxDescriptors {
		return d, fmt.Errorf("%w: extra descriptors", ErrMalformed)
	}
	if !s.Empty() {
		return d, fmt.Errorf("%w: bytes after the descriptors", ErrMalformed)
	}
	return d, nil
}

func readDescriptors(s *cryptobyte.String, list *[][]byte) bool {
	var count uint8
	if !s.ReadUint8(&count) || count > MaxDescriptors {
		return false
	}
	for range count {
		var one cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&one) || len(one) == 0 || len(one) > MaxDescriptor {
			return false
		}
		*list = append(*list, bytes.Clone(one))
	}
	return true
}
