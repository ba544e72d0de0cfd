package identity

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
)

// Kinds of hint.
const (
	HintRelay  byte = 1 // a relay that keeps mail for the device
	HintDevice byte = 2 // the device itself
)

// Bounds of hints.
const (
	MaxHints    = 3   // hints of a bundle or an invitation
	MaxPeer     = 64  // bytes of a peer's id
	MaxAddrs    = 8   // addresses of a hint
	MaxAddrSize = 128 // bytes of an address
)

// Hint says where a device can be reached. What it says is the word of whoever
// made it: addresses are dialled only where the network mode allows.
type Hint struct {
	Kind  byte
	Peer  []byte   // a libp2p peer id, 1 to MaxPeer bytes; opaque here
	Addrs [][]byte // multiaddrs without the peer's own /p2p, up to MaxAddrs; opaque here
}

func addHints(b *cryptobyte.Builder, hints []Hint) {
	b.AddUint8(uint8(len(hints)))
	for _, h := range hints {
		b.AddUint8(h.Kind)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.Peer) })
		b.AddUint8(uint8(len(h.Addrs)))
		for _, a := range h.Addrs {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a) })
		}
	}
}

func readHints(s *cryptobyte.String) ([]Hint, error) {
	var n uint8
	if !s.ReadUint8(&n) || n > MaxHints {
		return nil, malformed("list of hints")
	}
	var hints []Hint
	for range n {
		var h Hint
		var peer cryptobyte.String
		var addrs uint8
		if !s.ReadUint8(&h.Kind) || !s.ReadUint8LengthPrefixed(&peer) || !s.ReadUint8(&addrs) || addrs > MaxAddrs {
			return nil, malformed("hint")
		}
		h.Peer = bytes.Clone(peer)
		for range addrs {
			var a cryptobyte.String
			if !s.ReadUint8LengthPrefixed(&a) {
				return nil, malformed("hint's address")
			}
			h.Addrs = append(h.Addrs, bytes.Clone(a))
		}
		hints = append(hints, h)
	}
	return hints, checkHints(hints)
}

// checkHints tells whether hints keep within their bounds and name no peer twice.
func checkHints(hints []Hint) error {
	if len(hints) > MaxHints {
		return malformed("list of hints")
	}
	for i, h := range hints {
		if h.Kind != HintRelay && h.Kind != HintDevice || len(h.Peer) == 0 || len(h.Peer) > MaxPeer || len(h.Addrs) > MaxAddrs {
			return malformed("hint")
		}
		for _, a := range h.Addrs {
			if len(a) == 0 || len(a) > MaxAddrSize {
				return malformed("hint's address")
			}
		}
		for _, other := range hints[:i] {
			if bytes.Equal(other.Peer, h.Peer) {
				return malformed("list of hints: a peer twice")
			}
		}
	}
	return nil
}
