package node

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gater holds a host to its mode. libp2p asks it before each dial, whoever
// wanted it (identify, a protocol, ourselves), and on each inbound connection.
type gater struct {
	allowed func(ma.Multiaddr) bool
	// inbound is asked for the addresses of those who connect to us.
	inbound func(ma.Multiaddr) bool
	// closing is set once the host is about to be closed. A dial outlives the one who gave
	// up waiting for it, and libp2p v0.51's swarm dereferences nil where one that is forced
	// to be direct looks for its transport after the swarm's are gone (nonProxyAddr).
	closing atomic.Bool
}

var _ connmgr.ConnectionGater = (*gater)(nil)

func newGater(m Mode, circuits bool) *gater {
	g := &gater{allowed: func(a ma.Multiaddr) bool { return AllowedAddr(m, a) || circuits && allowedCircuit(m, a) }}
	g.inbound = g.allowed
	if m == Public {
		// Who comes from a private address sits in our own network or
		// behind our own NAT. To be connected to tells nobody anything.
		g.inbound = func(ma.Multiaddr) bool { return true }
	}
	return g
}

// ed25519ID tells whether a PeerID holds an Ed25519 key, as every Godwit's
// does. An RSA key does not fit into an id and is refused here before a dial,
// and before a connection is used: libp2p bounds it to 8,192 bits, so that the
// one handshake it can force is dear but not ruinous.
func ed25519ID(p peer.ID) bool {
	k, err := p.ExtractPublicKey()
	return err == nil && k.Type() == crypto.Ed25519
}

func (g *gater) InterceptPeerDial(p peer.ID) bool { return ed25519ID(p) }

func (g *gater) InterceptAddrDial(_ peer.ID, a ma.Multiaddr) bool {
	return !g.closing.Load() && g.allowed(a)
}

func (g *gater) InterceptAccept(c network.ConnMultiaddrs) bool { return g.inbound(c.RemoteMultiaddr()) }

func (g *gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return ed25519ID(p)
}

func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
