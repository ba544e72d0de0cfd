package node

import (
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	ma "github.com/multiformats/go-multiaddr"
)

// keptAfter is how many addresses of a peer a relay keeps once it has gone: over TCP and QUIC, of IPv4 and IPv6.
const keptAfter = 4

// What a relay keeps of that which a peer says of itself while it is connected: libp2p would keep 500 addresses, and some
// 90 KiB besides, of each of thousands.
const (
	keptProtocols = 64  // more than three times what we have
	keptText      = 128 // bytes of a protocol's name, or of a program's
)

// visitorsBook keeps what is known of a relay's peers. libp2p keeps twenty addresses of each that has gone, for a quarter of an
// hour: strangers who come and go as fast as they may would fill it, and with it memory, until none is taken any more, not
// even those that the relay is about to dial.
type visitorsBook struct {
	peerstore.Peerstore
	peerstore.CertifiedAddrBook
}

func newVisitorsBook() (peerstore.Peerstore, error) {
	p, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	return visitorsBook{p, p}, nil
}

func (b visitorsBook) AddAddrs(p peer.ID, addrs []ma.Multiaddr, ttl time.Duration) {
	most := len(addrs)
	switch ttl {
	case peerstore.RecentlyConnectedAddrTTL:
		most = keptAfter
	case peerstore.ConnectedAddrTTL:
		most = maxAddrs
	}
	b.Peerstore.AddAddrs(p, addrs[:min(len(addrs), most)], ttl)
}

// SetProtocols keeps the first of them. One whose name is too long is none of ours.
func (b visitorsBook) SetProtocols(p peer.ID, all ...protocol.ID) error {
	var list []protocol.ID
	for _, name := range all {
		if len(name) <= keptText && len(list) < keptProtocols {
			list = append(list, name)
		}
	}
	return b.Peerstore.SetProtocols(p, list...)
}

// Put keeps the beginning of a text.
func (b visitorsBook) Put(p peer.ID, key string, value any) error {
	if text, ok := value.(string); ok && len(text) > keptText {
		value = strings.Clone(text[:keptText])
	}
	return b.Peerstore.Put(p, key, value)
}
