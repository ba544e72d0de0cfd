package dht

import (
	"net/netip"
	"sync"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// maxCorners bounds the peers of which it is remembered where they are.
const maxCorners = 8192

// corners remembers in which corner of the network peers are, by the addresses from which
// they answered: what they say of themselves may be made up.
type corners struct {
	mu sync.Mutex
	of map[peer.ID]netip.Prefix
}

func (c *corners) note(p peer.ID, at ma.Multiaddr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= maxCorners {
		c.of = make(map[peer.ID]netip.Prefix)
	}
	c.of[p] = cornerOf(at)
}

// cornerOf is an IPv4 /16 or an IPv6 /32, about what one operator has; the zero corner where
// there is no IP address.
func cornerOf(at ma.Multiaddr) netip.Prefix {
	raw, err := manet.ToIP(at)
	if err != nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(raw)
	bits := 32
	if ip = ip.Unmap(); ip.Is4() {
		bits = 16
	}
	corner, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return corner
}

// spread leaves out of a list, in its order, all peers of a corner beyond the first perGroup. Ids cost
// nothing: who is asked for a key can have any number next to it, made beforehand, and a single
// computer can answer for all of them. Corners cost something. Elsewhere than in public
// all are in one.
func (d *DHT) spread(ps []peer.ID) []peer.ID { return d.spreadBy(ps, nil) }

// spreadBy is spread, where others than those who answered are said to be somewhere.
func (d *DHT) spreadBy(ps []peer.ID, said map[peer.ID]netip.Prefix) (list []peer.ID) {
	if d.cfg.Mode != node.Public && !d.cfg.diverse {
		return ps
	}
	d.corners.mu.Lock()
	defer d.corners.mu.Unlock()
	count := make(map[netip.Prefix]int)
	for _, p := range ps {
		corner, known := d.corners.of[p]
		if !known {
			corner, known = said[p]
		}
		if known && count[corner] >= perGroup {
			continue
		}
		if known {
			count[corner]++
		}
		list = append(list, p)
	}
	return list
}
