package rendezvous

import (
	"bytes"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"
)

const (
	contentVersion = 1
	// MaxAddrs is the number of addresses of the device, and of each relay.
	MaxAddrs = 8
	// MaxRelays is the number of relays: as many as a device keeps boxes at.
	MaxRelays = 3

	idSize = 38 // an Ed25519 PeerID: an identity multihash
)

// Content is what a record tells its readers (section 4). The addresses do not end
// in /p2p.
type Content struct {
	Device peer.AddrInfo
	Relays []peer.AddrInfo
}

// Fit drops what is not to be encoded, and addresses from the ends of the
// longest lists until the rest fits into a record. Its result can be sealed if
// the PeerIDs are Ed25519.
func (c Content) Fit() Content {
	c.Device.Addrs = fitAddrs(c.Device.ID, c.Device.Addrs)
	var relays []peer.AddrInfo
	for _, r := range c.Relays {
		taken := slices.ContainsFunc(relays, func(o peer.AddrInfo) bool { return o.ID == r.ID })
		if !taken && r.ID != c.Device.ID && len(relays) < MaxRelays {
			relays = append(relays, peer.AddrInfo{ID: r.ID, Addrs: fitAddrs(r.ID, r.Addrs)})
		}
	}
	c.Relays = relays
	for c.size() > contentSize {
		longest := &c.Device.Addrs
		for i := range c.Relays {
			if a := &c.Relays[i].Addrs; len(*a) > len(*longest) {
				longest = a
			}
		}
		*longest = (*longest)[:len(*longest)-1]
	}
	return c
}

func fitAddrs(id peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	var fit []ma.Multiaddr
	for _, a := range addrs {
		if of, last := peer.SplitAddr(a); last == id {
			a = of
		}
		ok := goodAddr(a) && !slices.ContainsFunc(fit, a.Equal)
		if ok && len(fit) < MaxAddrs {
			fit = append(fit, a)
		}
	}
	return fit
}

func goodAddr(a ma.Multiaddr) bool {
	n := len(a)
	return n > 0 && a[n-1].Protocol().Code != ma.P_P2P && len(a.Bytes()) <= 255
}

func (c *Content) size() int {
	n := 1 + idSize + 1 + 1 + len(c.Relays)*(idSize+1)
	for _, a := range c.Device.Addrs {
		n += 1 + len(a.Bytes())
	}
	for _, r := range c.Relays {
		for _, a := range r.Addrs {
			n += 1 + len(a.Bytes())
		}
	}
	return n
}

// marshal encodes the content, padded. The error wraps ErrMalformed.
func (c *Content) marshal() ([]byte, error) {
	if len(c.Relays) > MaxRelays || c.size() > contentSize {
		return nil, malformed("content too long")
	}
	var b cryptobyte.Builder
	b.AddUint8(contentVersion)
	addInfo(&b, c.Device)
	b.AddUint8(uint8(len(c.Relays)))
	for _, r := range c.Relays {
		addInfo(&b, r)
	}
	text, err := b.Bytes()
	if err != nil || len(text) > contentSize {
		return nil, malformed("content too long")
	}
	text = append(text, make([]byte, contentSize-len(text))...)
	// The reader's checks are the writer's: whatever it refuses is not sent.
	if _, err := parseContent(text); err != nil {
		return nil, err
	}
	return text, nil
}

func addInfo(b *cryptobyte.Builder, p peer.AddrInfo) {
	b.AddBytes([]byte(p.ID))
	b.AddUint8(uint8(min(len(p.Addrs), 255)))
	for _, a := range p.Addrs {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a.Bytes()) })
	}
}

// parseContent decodes 512 bytes. The error wraps ErrMalformed.
func parseContent(text []byte) (c Content, err error) {
	s := cryptobyte.String(text)
	var version, m uint8
	if len(text) != contentSize || !s.ReadUint8(&version) || version != contentVersion {
		return Content{}, malformed("content: version or size")
	}
	if c.Device, err = readInfo(&s); err != nil {
		return Content{}, err
	}
	if !s.ReadUint8(&m) || m > MaxRelays {
		return Content{}, malformed("content: relays")
	}
	for range m {
		r, err := readInfo(&s)
		if err != nil {
			return Content{}, err
		}
		if r.ID == c.Device.ID || slices.ContainsFunc(c.Relays, func(o peer.AddrInfo) bool { return o.ID == r.ID }) {
			return Content{}, malformed("content: a peer stands twice")
		}
		c.Relays = append(c.Relays, r)
	}
	if len(bytes.Trim(s, "\x00")) > 0 {
		return Content{}, malformed("content: padding")
	}
	return c, nil
}

func readInfo(s *cryptobyte.String) (p peer.AddrInfo, err error) {
	var id []byte
	var n uint8
	if !s.ReadBytes(&id, idSize) || !s.ReadUint8(&n) || n > MaxAddrs {
		return p, malformed("content: truncated")
	}
	if p.ID, err = peer.IDFromBytes(id); err != nil {
		return p, malformed("content: PeerID")
	}
	if k, err := p.ID.ExtractPublicKey(); err != nil || k.Type() != crypto.Ed25519 || !p.ID.MatchesPublicKey(k) {
		return p, malformed("content: PeerID")
	}
	for range n {
		var raw cryptobyte.String
		if !s.ReadUint8LengthPrefixed(&raw) {
			return p, malformed("content: truncated")
		}
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil || !goodAddr(a) || !bytes.Equal(a.Bytes(), raw) || slices.ContainsFunc(p.Addrs, a.Equal) {
			return p, malformed("content: address")
		}
		p.Addrs = append(p.Addrs, a)
	}
	return p, nil
}
