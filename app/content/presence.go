package content

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// MaxAddrs is how many addresses a presence names at most, MaxAddr how many bytes each has.
const (
	MaxAddrs = 16
	MaxAddr  = 256
	maxPeer  = 64
)

// Presence says where the author's device listens now. The newest (Item.Sent)
// holds. The peer id is fresh on each start and means nothing to others.
//
//	body: length 1 | peer id | count 1 | count x (length 2 | multiaddr)
type Presence struct {
	Peer  []byte   // libp2p peer id, binary
	Addrs [][]byte // multiaddrs, binary; the reader dials what its mode allows
}

// Marshal encodes the presence.
func (p Presence) Marshal() ([]byte, error) {
	if len(p.Peer) == 0 || len(p.Peer) > maxPeer || len(p.Addrs) > MaxAddrs {
		return nil, fmt.Errorf("%w: presence with %d addresses", ErrMalformed, len(p.Addrs))
	}
	var b cryptobyte.Builder
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Peer) })
	b.AddUint8(uint8(len(p.Addrs)))
	for _, a := range p.Addrs {
		if len(a) == 0 || len(a) > MaxAddr {
			return nil, fmt.Errorf("%w: address of %d bytes", ErrMalformed, len(a))
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a) })
	}
	return b.Bytes()
}

// ParsePresence reads a body of KindPresence.
func ParsePresence(body []byte) (Presence, error) {
	var p Presence
	s := cryptobyte.String(body)
	var peer cryptobyte.String
	var count uint8
	if !s.ReadUint8LengthPrefixed(&peer) || len(peer) == 0 || len(peer) > maxPeer || !s.ReadUint8(&count) || count > MaxAddrs {
		return p, fmt.Errorf("%w: presence", ErrMalformed)
	}
	p.Peer = bytes.Clone(peer)
	for range count {
		var a cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&a) || len(a) == 0 || len(a) > MaxAddr {
			return p, fmt.Errorf("%w: address", ErrMalformed)
		}
		p.Addrs = append(p.Addrs, bytes.Clone(a))
	}
	if !s.Empty() {
		return p, fmt.Errorf("%w: bytes after the addresses", ErrMalformed)
	}
	return p, nil
}
