package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
)

// What a circuit through a relay carries (design, network.md, "Private routing").
// Whoever uses it should begin a new one before either ends it midway.
const (
	CircuitTime  = 10 * time.Minute
	CircuitBytes = 16 << 20 // each way
	// circuitFresh is how old a circuit may be that is used once more.
	circuitFresh = CircuitTime - 2*time.Minute
)

// MaxCircuits is how many circuits one peer may have at a relay at once.
const MaxCircuits = 256

// MaxHops is the number of relays through which a relay can be reached.
const MaxHops = 3

// perHop is how many addresses of one hop are told: one for TCP and one for QUIC.
const perHop = 2

// ErrNoCircuit says that a peer could not be reached through any of the given
// relays. What is wrapped with it says why of each.
var ErrNoCircuit = errors.New("node: no circuit through another relay")

var circuitPart = ma.StringCast("/p2p-circuit")

// CircuitAddrs are the addresses of a peer that holds a reservation at a hop, at
// most two: what others put before the peer's own PeerID.
func CircuitAddrs(hop peer.AddrInfo) (list []ma.Multiaddr) {
	id, err := ma.NewComponent("p2p", hop.ID.String())
	if err != nil {
		return nil
	}
	for _, code := range []int{ma.P_TCP, ma.P_QUIC_V1} {
		for _, a := range hop.Addrs {
			if at, _ := peer.SplitAddr(a); at != nil && len(list) < perHop {
				if _, err := at.ValueForProtocol(code); err == nil {
					list = append(list, ma.Join(at, id, circuitPart))
					break
				}
			}
		}
	}
	return list
}

// SplitCircuit parts an address of the form ADDR/p2p/HOP/p2p-circuit. HOP must be an
// Ed25519 PeerID, and ADDR must not be a circuit itself.
func SplitCircuit(a ma.Multiaddr) (hop peer.AddrInfo, ok bool) {
	n := len(a)
	if n < 3 || a[n-1].Protocol().Code != ma.P_CIRCUIT || a[n-2].Protocol().Code != ma.P_P2P {
		return hop, false
	}
	id, err := peer.IDFromBytes(a[n-2].RawValue())
	at := a[: n-2 : n-2]
	if err != nil || !ed25519ID(id) || slices.ContainsFunc(at, func(c ma.Component) bool {
		return c.Protocol().Code == ma.P_P2P || c.Protocol().Code == ma.P_CIRCUIT
	}) {
		return hop, false
	}
	return peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{at}}, true
}

// Hops are the relays through which circuit addresses among addrs lead, in their
// order, with those of their addresses that the mode allows.
func Hops(m Mode, addrs []ma.Multiaddr) (list []peer.AddrInfo) {
	for _, a := range addrs {
		hop, ok := SplitCircuit(a)
		if !ok || !AllowedAddr(m, hop.Addrs[0]) {
			continue
		}
		if i := slices.IndexFunc(list, func(have peer.AddrInfo) bool { return have.ID == hop.ID }); i >= 0 {
			list[i].Addrs = append(list[i].Addrs, hop.Addrs...)
		} else if len(list) < MaxHops {
			list = append(list, hop)
		}
	}
	return list
}

// allowedCircuit says whether a circuit address leads through a hop that the mode
// allows to dial.
func allowedCircuit(m Mode, a ma.Multiaddr) bool {
	if with, _ := peer.SplitAddr(a); with != nil { // the target's own PeerID may follow
		a = with
	}
	hop, ok := SplitCircuit(a)
	return ok && AllowedAddr(m, hop.Addrs[0])
}

// circuits is the transport of circuits. A host that listens is reached by them;
// one that does not only dials, and nobody reaches it.
func (cfg *Config) circuits() libp2p.Option {
	if !cfg.mute {
		return libp2p.EnableRelay()
	}
	return libp2p.Transport(func(h host.Host, u transport.Upgrader) (*client.Client, error) { return client.New(h, u) })
}

// DialCircuit connects to a peer through the first of the hops that leads there, unless such a
// connection is there already, and says through which. Host must have been made with
// Circuits and must never dial the target itself, as else the target would see its
// address under the same PeerID. The error wraps ErrNoCircuit.
func DialCircuit(ctx context.Context, h host.Host, m Mode, hops []peer.AddrInfo, target peer.ID) (via peer.ID, err error) {
	for _, c := range h.Network().ConnsToPeer(target) {
		via, ok := Via(c)
		switch {
		case !ok:
			return "", fmt.Errorf("%w: the host is connected to the target itself", ErrNoCircuit)
		case c.IsClosed():
		case time.Since(c.Stat().Opened) < circuitFresh:
			return via, nil
		default:
			c.Close()
		}
	}
	errs := []error{ErrNoCircuit}
	for _, hop := range hops {
		err := dialThrough(ctx, h, m, hop, target)
		if err == nil {
			return hop.ID, nil
		}
		errs = append(errs, fmt.Errorf("through %s: %w", hop.ID, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", errors.Join(errs...)
}

func dialThrough(ctx context.Context, h host.Host, m Mode, hop peer.AddrInfo, target peer.ID) error {
	if hop.ID == target || !ed25519ID(target) {
		return ErrNoAddress
	}
	if err := Dial(ctx, h, m, hop); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	h.Peerstore().ClearAddrs(target)
	// One way to the hop is enough, for it is connected: of two, the second would open
	// another circuit where the first takes a moment.
	at := CircuitAddrs(hop)
	h.Peerstore().AddAddrs(target, at[:min(len(at), 1)], AddrTTL)
	// libp2p would refuse an address that failed a moment ago; who calls this
	// keeps its own pauses.
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(target)
	}
	_, err := h.Network().DialPeer(network.WithAllowLimitedConn(ctx, "godwit"), target)
	return err
}

// Via is the relay through which a connection goes, if it is a circuit.
func Via(c network.Conn) (hop peer.ID, ok bool) {
	at := c.RemoteMultiaddr()
	if _, err := at.ValueForProtocol(ma.P_CIRCUIT); err != nil {
		return "", false
	}
	text, err := at.ValueForProtocol(ma.P_P2P) // the first: the hop's
	if err != nil {
		return "", false
	}
	hop, err = peer.Decode(text)
	return hop, err == nil
}
