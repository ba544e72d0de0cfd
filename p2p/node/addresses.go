package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	ma "github.com/multiformats/go-multiaddr"
)

// keptAfter is how many addresses of a peer a relay keeps once it has gone: over TCP and QUIC, of IPv4 and IPv6.
const keptAfter = 4

// visitorsBook keeps the addresses of a relay's peers. libp2p keeps twenty of each that has gone, for a quarter of an
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
	if ttl == peerstore.RecentlyConnectedAddrTTL {
		addrs = addrs[:min(len(addrs), keptAfter)]
	}
	b.Peerstore.AddAddrs(p, addrs, ttl)
}
