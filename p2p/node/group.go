package node

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// GroupOf is the address group of a peer: one household's or provider's corner, so
// that to have many costs something. Addresses without an IP address, as through a
// relay, are all in the zero group.
func GroupOf(a ma.Multiaddr) netip.Prefix {
	raw, err := manet.ToIP(a)
	if err != nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(raw)
	return Group(ip.Unmap())
}

// Group is the group of an IP address: an IPv4 /24, an IPv6 /48; the zero group if it
// is not valid.
func Group(ip netip.Addr) netip.Prefix {
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
