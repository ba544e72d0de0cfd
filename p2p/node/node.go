// Package node makes the libp2p hosts that everything under p2p speaks through.
//
// A host speaks TCP + Noise + yamux and QUIC and nothing else: no TLS over TCP,
// WebSocket, WebTransport or WebRTC, no mDNS, no port mapping, no ping service; by
// circuits through relays only where Config.Circuits says so (circuit.go). Its PeerID is a transport key and not a person: an account's is
// fresh on each start, a relay keeps its own. Where its packets may go is its
// Mode, enforced by a connection gater for every dial whoever wanted it; see
// AllowedAddr. What strangers may take from it (connections, streams, memory)
// is bounded by libp2p's resource manager.
//
// A Pool lends throw-away hosts to the mailbox client, so that a box's login and
// deposits are not seen under one PeerID.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	libp2prate "github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

const (
	// DialTimeout bounds Dial. libp2p's own is a minute, far longer than a
	// person waits; direct delivery gives way to the mailbox after 5 s.
	DialTimeout = 5 * time.Second
	// LocalDialTimeout bounds one address of a private network, where an
	// answer takes milliseconds.
	LocalDialTimeout = 2 * time.Second
	// raceDelay is the head start of the first transport over the second
	// where round trips are short, and publicRaceDelay where they are not.
	raceDelay, publicRaceDelay = 30 * time.Millisecond, 250 * time.Millisecond
	// idleGrace is how long a new connection is spared when the node is
	// above its high water mark.
	idleGrace = 20 * time.Second
	// AddrTTL is how long the host keeps addresses that it is to dial. It is none
	// of the terms that libp2p's identify uses: when a connection ends identify
	// drops those of its own, which may be the ones just given to dial anew.
	AddrTTL = time.Hour
	// maxAddrs is the number of addresses of one peer that are dialled.
	maxAddrs = 16
)

// ErrNoAddress says that none of a peer's addresses may be dialled in this mode.
var ErrNoAddress = errors.New("node: no address that this mode allows")

// Config says how to make a Node. Its zero value, but for Mode, is a desktop's.
type Config struct {
	// Mode must be one of the three.
	Mode Mode
	// Listen holds multiaddrs. Empty means the mode's own: a port chosen by
	// the system, for TCP and for QUIC, on 127.0.0.1 in loopback mode and on
	// all interfaces otherwise. One outside the mode is ErrOutside.
	Listen []string
	// Announce holds multiaddrs that others are told besides those that the host finds out
	// by itself. One that nobody may dial in the mode is ErrOutside.
	Announce []string
	// Key is the transport key, Ed25519. Nil makes a fresh one.
	Key crypto.PrivKey
	// Low and High are the numbers of connections between which idle ones
	// are closed: above High, down to Low. 0 means 96 and 128.
	Low, High int
	// MemoryMiB bounds what libp2p holds in buffers for all peers together,
	// in MiB. 0 means 128.
	MemoryMiB int
	// Circuits has the host be reached by circuits through other relays: a relay. The
	// hosts of a Pool made with it reach others so.
	Circuits bool
	// Bounds are what others may take of a relay; see Guard.
	Bounds Bounds
	// Heap is how many bytes the whole program may have in memory, garbage aside, before a relay with Bounds
	// ends connections; nil: any number.
	Heap func() uint64
	// From is the address of this computer that TCP is dialled from; the zero one leaves
	// it to the system. Tests on loopback have people of several groups of addresses by it.
	From netip.Addr
	// Options are added to the host's. Tests put simulated networks here.
	Options []libp2p.Option

	mute bool // do not listen: a host of a Pool
}

// A Node is one libp2p host, held to a mode.
type Node struct {
	mode  Mode
	host  host.Host
	gate  *gater
	guard *Guard // of a relay

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// New makes a host and listens. The caller ends it by Close, or by Run.
func New(cfg Config) (*Node, error) {
	if _, err := ParseMode(string(cfg.Mode)); err != nil {
		return nil, err
	}
	if cfg.Key == nil {
		k, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("node: make a transport key: %w", err)
		}
		cfg.Key = k
	}
	if cfg.Key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("node: the transport key is %s, want Ed25519", cfg.Key.Type())
	}
	if err := allListen(cfg.Mode, cfg.listen()); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	for _, text := range cfg.Announce {
		if a, err := ma.NewMultiaddr(text); err != nil || !AllowedAddr(cfg.Mode, a) {
			return nil, fmt.Errorf("node: announce %s with network %s: %w", text, cfg.Mode, ErrOutside)
		}
	}
	gate := newGater(cfg.Mode, cfg.Circuits)
	opts, guard, err := cfg.options(gate)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("node: start host: %w", err)
	}
	h.Network().Notify(new(ends))
	// What somebody asked for is had, or the node says why not. Of our own wishes one is enough:
	// there are systems and networks without UDP.
	if err := listen(h, cfg.listen(), cfg.Mode == Public && len(cfg.Options) == 0, len(cfg.Listen) > 0); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{mode: cfg.Mode, host: h, gate: gate, guard: guard, stop: stop}
	if !cfg.relay() && !cfg.mute { // a relay's reservations are connections without streams
		n.tasks.Go(func() { n.sweep(ctx) })
	}
	if guard != nil && cfg.Heap != nil {
		n.tasks.Go(func() { guard.watch(ctx, ownHeap(), cfg.Heap) })
	}
	return n, nil
}

// relay says whether the host is to be reached by circuits.
func (cfg *Config) relay() bool { return cfg.Circuits && !cfg.mute }

func (cfg *Config) listen() []string {
	switch {
	case cfg.mute:
		return nil
	case len(cfg.Listen) > 0:
		return cfg.Listen
	case cfg.Mode == Loopback:
		return []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	default:
		return []string{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"}
	}
}

// options are the host's, and the guard of a relay.
func (cfg *Config) options(gate *gater) ([]libp2p.Option, *Guard, error) {
	low, high := cfg.Low, cfg.High
	if high == 0 {
		low, high = 96, 128
	}
	conns, err := connmgr.NewConnManager(low, high, connmgr.WithGracePeriod(idleGrace))
	if err != nil {
		return nil, nil, fmt.Errorf("node: connection manager: %w", err)
	}
	resources, err := newResources(cfg.MemoryMiB, high, cfg.relay())
	if err != nil {
		return nil, nil, err
	}
	var guard *Guard
	var opts []libp2p.Option
	if cfg.relay() {
		guard = newGuard(resources, cfg.Bounds, conns)
		resources = guard
		book, err := newVisitorsBook()
		if err != nil {
			return nil, nil, fmt.Errorf("node: peerstore: %w", err)
		}
		opts = append(opts, libp2p.Peerstore(book)) // closed with the host
	}
	dials := cfg.dials()
	opts = append(opts,
		libp2p.Identity(cfg.Key),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, cfg.muxer()),
		libp2p.Transport(quic.NewTransport),
		libp2p.ConnectionGater(gate),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(resources),
		libp2p.MultiaddrResolver(noNames{}),
		libp2p.AddrsFactory(cfg.advertised),
		libp2p.UserAgent("godwit"),
		libp2p.Ping(false),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.WithDialTimeout(DialTimeout),
		libp2p.SwarmOpts(swarm.WithDialTimeoutLocal(LocalDialTimeout), swarm.WithDialRanker(ranker(cfg.Mode))),
	)
	if cfg.Mode == Public {
		// Dialling from the port one listens on is how others can tell us
		// what our address looks like from outside.
		opts = append(opts, libp2p.Transport(newTCP, dials...))
	} else {
		opts = append(opts, libp2p.Transport(newTCP, append(dials, tcp.DisableReuseport())...),
			libp2p.DisableIdentifyAddressDiscovery(), libp2p.ForceReachabilityPrivate())
	}
	opts = append(opts, libp2p.NoListenAddrs) // see listen
	if len(cfg.Options) > 0 {
		opts = append(opts, cfg.Options...)
	} else {
		opts = append(opts, quicSockets(cfg.Mode, resources))
	}
	if cfg.Circuits {
		opts = append(opts, cfg.circuits())
	}
	return opts, guard, nil
}

// dials says where TCP is dialled from.
func (cfg *Config) dials() []any {
	if !cfg.From.IsValid() {
		return nil
	}
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.From, 0))}
	return []any{tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return d, nil })}
}

// advertised is what identify tells others of our addresses: those that they
// may dial in this mode.
func (cfg *Config) advertised(addrs []ma.Multiaddr) []ma.Multiaddr {
	var all []ma.Multiaddr
	for _, text := range cfg.Announce {
		if a := ma.StringCast(text); !ma.Contains(all, a) { // New has read them
			all = append(all, a)
		}
	}
	for _, a := range addrs {
		if AllowedAddr(cfg.Mode, a) && !ma.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// newResources bounds what all peers, and each, may hold. Its numbers are
// libp2p's for a machine of the given memory, with the streams cut down: a
// contact needs two, a relay's client a handful. Each circuit is a stream of the relay that it
// goes through.
func newResources(mib, high int, circuits bool) (network.ResourceManager, error) {
	if mib == 0 {
		mib = 128
	}
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	conns := rcmgr.LimitVal(2 * high) // the connection manager closes only what is older than idleGrace
	over := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns + 64,
			Streams: 16 * conns, StreamsInbound: 16 * conns, StreamsOutbound: 16 * conns,
			Memory: rcmgr.LimitVal64(mib) << 20,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: conns / 2, ConnsInbound: conns / 2, ConnsOutbound: conns / 2, FD: conns / 2,
			Streams: conns, StreamsInbound: conns, StreamsOutbound: conns,
		},
		ProtocolDefault: rcmgr.ResourceLimits{
			Streams: 16 * conns, StreamsInbound: 16 * conns, StreamsOutbound: 16 * conns,
			Memory: rcmgr.LimitVal64(mib) << 20,
		},
		ProtocolPeerDefault: rcmgr.ResourceLimits{Streams: 64, StreamsInbound: 32, StreamsOutbound: 64},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: 8, ConnsInbound: 8, ConnsOutbound: 8, FD: 8,
			Streams: 128, StreamsInbound: 64, StreamsOutbound: 128,
			Memory: rcmgr.LimitVal64(max(mib/4, 32)) << 20,
		},
	}
	if circuits {
		over.PeerDefault.Memory = 64 << 20
		over.PeerDefault.Streams, over.PeerDefault.StreamsInbound, over.PeerDefault.StreamsOutbound = 4*MaxCircuits, 2*MaxCircuits, 2*MaxCircuits
		each := rcmgr.ResourceLimits{Streams: MaxCircuits, StreamsInbound: MaxCircuits, StreamsOutbound: MaxCircuits, Memory: 4 << 20}
		all := rcmgr.ResourceLimits{Streams: 2 * conns, StreamsInbound: conns, StreamsOutbound: conns, Memory: rcmgr.LimitVal64(mib) << 20 / 4}
		over.Service = map[string]rcmgr.ResourceLimits{relayv2.ServiceName: all}
		over.ServicePeer = map[string]rcmgr.ResourceLimits{relayv2.ServiceName: each}
		over.Protocol = map[protocol.ID]rcmgr.ResourceLimits{proto.ProtoIDv2Hop: all, proto.ProtoIDv2Stop: all}
		over.ProtocolPeer = map[protocol.ID]rcmgr.ResourceLimits{proto.ProtoIDv2Hop: each, proto.ProtoIDv2Stop: each}
	}
	opts := []rcmgr.Option{rcmgr.WithMetricsDisabled()}
	if circuits { // its Guard bounds addresses: eight connections, as here, are few for an office
		opts = append(opts, rcmgr.WithConnRateLimiters(new(libp2prate.Limiter)),
			rcmgr.WithLimitPerSubnet([]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: math.MaxInt}}, []rcmgr.ConnLimitPerSubnet{{PrefixLength: 64, ConnCount: math.MaxInt}}))
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(over.Build(limits.Scale(int64(mib)<<20, int(conns)+64))), opts...)
	if err != nil {
		return nil, fmt.Errorf("node: resource manager: %w", err)
	}
	return m, nil
}

// quicSockets makes the UDP sockets of QUIC. In loopback mode one that is only
// dialled from is bound to loopback as well, where libp2p would bind it to all
// interfaces and answer strangers' packets by stateless resets. A constructor
// of our own must repeat what libp2p's does for the resource manager.
func quicSockets(m Mode, resources network.ResourceManager) libp2p.Option {
	listen := func(proto string, a *net.UDPAddr) (net.PacketConn, error) {
		if m == Loopback && (a == nil || a.IP == nil || a.IP.IsUnspecified()) {
			a = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: portOf(a)}
			if proto == "udp6" {
				a.IP = net.IPv6loopback
			}
		}
		return net.ListenUDP(proto, a)
	}
	return libp2p.QUICReuse(
		func(l fx.Lifecycle, reset quicgo.StatelessResetKey, token quicgo.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			cm, err := quicreuse.NewConnManager(reset, token, opts...)
			if err == nil {
				l.Append(fx.StopHook(cm.Close))
			}
			return cm, err
		},
		quicreuse.OverrideListenUDP(listen),
		quicreuse.VerifySourceAddress(resources.VerifySourceAddress),
		quicreuse.ConnContext(func(ctx context.Context, info *quicgo.ClientInfo) (context.Context, error) {
			a, err := quicreuse.ToQuicMultiaddr(info.RemoteAddr, quicgo.Version1)
			if err != nil {
				a = nil // the resource manager decides
			}
			scope, err := resources.OpenConnection(network.DirInbound, false, a)
			if err != nil {
				return ctx, err
			}
			ctx = network.WithConnManagementScope(ctx, scope)
			context.AfterFunc(ctx, scope.Done)
			return ctx, nil
		}),
	)
}

func portOf(a *net.UDPAddr) int {
	if a == nil {
		return 0
	}
	return a.Port
}

// ranker decides in which order addresses are tried, but for those given to Dial. Public: libp2p's, QUIC
// 250 ms ahead of TCP. On one machine or network TCP goes 30 ms ahead: there it
// moves more bytes a second, and the system reports a dead peer at once, where
// QUIC has to wait for silence.
func ranker(m Mode) network.DialRanker {
	if m == Public {
		return swarm.DefaultDialRanker
	}
	return func(addrs []ma.Multiaddr) []network.AddrDelay {
		out := make([]network.AddrDelay, 0, len(addrs))
		for _, a := range addrs {
			d := network.AddrDelay{Addr: a}
			if _, err := a.ValueForProtocol(ma.P_TCP); err != nil {
				d.Delay = raceDelay
			}
			out = append(out, d)
		}
		slices.SortStableFunc(out, func(a, b network.AddrDelay) int { return int(a.Delay - b.Delay) })
		return out
	}
}

// noNames resolves nothing: see AllowedAddr.
type noNames struct{}

var errName = errors.New("node: host names are not looked up")

func (noNames) ResolveDNSAddr(context.Context, peer.ID, ma.Multiaddr, int, int) ([]ma.Multiaddr, error) {
	return nil, errName
}

func (noNames) ResolveDNSComponent(context.Context, ma.Multiaddr, int) ([]ma.Multiaddr, error) {
	return nil, errName
}

// Host is the libp2p host, for protocols to set their handlers on.
func (n *Node) Host() host.Host { return n.host }

// SetBounds changes the Bounds of a relay for those who come from now on.
func (n *Node) SetBounds(b Bounds) { n.guard.SetBounds(b) }

// Turned says who was turned away from a relay so far.
func (n *Node) Turned() Turned { return n.guard.Turned() }

// Mode is the mode the node was made with.
func (n *Node) Mode() Mode { return n.mode }

// PeerAddrs are the addresses under which others of the same mode reach this
// node, each with /p2p/ and the PeerID: what goes into presence and invitations.
func (n *Node) PeerAddrs() []ma.Multiaddr {
	if len(n.host.Addrs()) == 0 {
		return nil // libp2p would tell the id alone
	}
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()})
	if err != nil {
		panic("node: our own PeerID is not valid: " + err.Error())
	}
	return addrs
}

// ListenAddrs are the addresses that the node is bound to.
func (n *Node) ListenAddrs() []ma.Multiaddr {
	return slices.DeleteFunc(n.host.Network().ListenAddresses(), circuitPart.Equal)
}

// Dial connects to a peer, within DialTimeout, unless a connection is there
// already. It tries at most 16 of the addresses and only those that the mode
// allows; the error wraps ErrNoAddress if there are none.
func (n *Node) Dial(ctx context.Context, p peer.AddrInfo) error {
	return Dial(ctx, n.host, n.mode, p)
}

// Dial is Node.Dial for a host of a Pool.
func Dial(ctx context.Context, h host.Host, m Mode, p peer.AddrInfo) error {
	if c := h.Network().Connectedness(p.ID); c == network.Connected {
		return nil
	}
	addrs := make([]ma.Multiaddr, 0, min(len(p.Addrs), maxAddrs))
	for _, a := range p.Addrs {
		if len(addrs) < maxAddrs && AllowedAddr(m, a) {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 || !ed25519ID(p.ID) {
		return fmt.Errorf("dial %s: %w", p.ID, ErrNoAddress)
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	// libp2p would refuse to dial a peer again for 5 s after a failure; who
	// calls Dial keeps its own pauses.
	ctx = network.WithForceDirectDial(ctx, "godwit")
	if err := dialTCPFirst(ctx, h, m, p.ID, addrs); err != nil {
		return fmt.Errorf("dial %s: %w", p.ID, err)
	}
	return nil
}

// dialTCPFirst dials a peer over TCP, and a moment later or when that has failed over QUIC
// too. The connections made here are such as stand for hours: over QUIC one costs twice as
// much (quiet.go), which the round trips that it saves at the beginning are not worth.
func dialTCPFirst(ctx context.Context, h host.Host, m Mode, p peer.ID, addrs []ma.Multiaddr) error {
	ctx, cancel := context.WithCancel(ctx)
	var dials sync.WaitGroup
	defer dials.Wait()
	defer cancel()
	// The addresses given now are the ones to try: old ones, of the peer's
	// last network, would only take time.
	h.Peerstore().ClearAddrs(p)
	ended := make(chan error, 2)
	dial := func(addrs []ma.Multiaddr) {
		h.Peerstore().AddAddrs(p, addrs, AddrTTL)
		dials.Go(func() {
			_, err := h.Network().DialPeer(ctx, p)
			ended <- err
		})
	}
	isTCP := func(a ma.Multiaddr) bool { _, err := a.ValueForProtocol(ma.P_TCP); return err == nil }
	first := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return !isTCP(a) })
	later := slices.DeleteFunc(slices.Clone(addrs), isTCP)
	if len(first) == 0 {
		first, later = later, nil
	}
	dial(first)
	head := raceDelay
	if m == Public {
		head = publicRaceDelay
	}
	moment := time.NewTimer(head)
	defer moment.Stop()
	for left := 1; ; {
		var err error
		select {
		case err = <-ended:
			if left--; err == nil {
				return nil
			}
		case <-moment.C:
		}
		if later != nil {
			dial(later)
			later = nil
			left++
		} else if left == 0 {
			return err
		}
	}
}

// Run waits for ctx to end and closes the node.
func (n *Node) Run(ctx context.Context) error {
	<-ctx.Done()
	return n.Close()
}

// Close ends all connections and stops listening. It may be called twice.
func (n *Node) Close() error {
	n.stop()
	n.gate.closing.Store(true)
	n.tasks.Wait()
	return n.host.Close()
}
