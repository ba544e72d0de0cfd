package p2ptest

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// A Link says what the World's network is like. Its zero value is fast and
// loses nothing.
type Link struct {
	Latency time.Duration // one way
	Loss    float64       // the part of the packets that is lost, 0 to 1
	Bits    int           // a second, each way; 0 means 100 million
}

// A World is a simulated network of nodes in public mode that speak QUIC. It is
// go-libp2p's simnet, as x/simlibp2p uses it, with the faults added. To be made
// inside synctest.Test.
type World struct {
	t   *testing.T
	net *simnet.Simnet

	mu    sync.Mutex
	link  Link
	rng   *rand.Rand
	names []string           // index is that of the address
	ips   map[string]string  // address to name
	cut   map[[2]string]bool // no packet from the first to the second
}

// NewWorld makes an empty world, which ends with the test. Its losses are the
// same in each run with the same seed.
//
// While it lasts the process keeps to one processor: with Go 1.26 the race
// detector crashes when two goroutines of a bubble run a timer each at the same
// moment, because they share the bubble's one race context.
func NewWorld(t *testing.T, link Link, seed uint64) *World {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	w := &World{
		t: t, link: link, rng: rand.New(rand.NewPCG(seed, 0)),
		ips: make(map[string]string), cut: make(map[[2]string]bool),
	}
	w.net = &simnet.Simnet{Logger: slog.New(slog.DiscardHandler), LatencyFunc: func(*simnet.Packet) time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.link.Latency
	}}
	w.net.Start()
	t.Cleanup(w.net.Close)
	return w
}

// Node starts a person's node, at an IP address in a /24 of its own. A name that
// was used before gets a new PeerID and address, as after a restart.
func (w *World) Node(name string) *node.Node {
	w.t.Helper()
	return w.Start(w.Config(name))
}

// Start starts a node and closes it with the test.
func (w *World) Start(cfg node.Config) *node.Node {
	w.t.Helper()
	n, err := node.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { n.Close() })
	return n
}

// Config is what Node starts a person's node with, at an address that nobody has.
func (w *World) Config(name string) node.Config {
	w.mu.Lock()
	index := len(w.names)
	w.names = append(w.names, name)
	ip := simnet.IntToPublicIPv4(index << 8)
	w.ips[ip.String()] = name
	bits := w.link.Bits
	w.mu.Unlock()
	if bits == 0 {
		bits = 100_000_000
	}
	rate := simnet.LinkSettings{BitsPerSecond: bits}
	return node.Config{
		Mode:   node.Public,
		Listen: []string{fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", ip)},
		Options: []libp2p.Option{
			libp2p.DisableIdentifyAddressDiscovery(), // stalls virtual time
			libp2p.ForceReachabilityPrivate(),
			w.sockets(name, ip, simnet.NodeBiDiLinkSettings{Downlink: rate, Uplink: rate}),
		},
	}
}

// SetLink changes what the network is like from now on, but for Bits.
func (w *World) SetLink(link Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link = link
}

// Cut lets nothing pass between two people, in either direction. Nobody is told.
func (w *World) Cut(a, b string) { w.setCut(a, b, true) }

// Heal undoes Cut.
func (w *World) Heal(a, b string) { w.setCut(a, b, false) }

func (w *World) setCut(a, b string, v bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[[2]string{a, b}], w.cut[[2]string{b, a}] = v, v
}

// Vanish cuts a person off from everyone, as a power failure does.
func (w *World) Vanish(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.names {
		w.cut[[2]string{name, other}], w.cut[[2]string{other, name}] = true, true
	}
}

// passes decides a packet's fate.
func (w *World) passes(from string, to net.Addr) bool {
	host, _, err := net.SplitHostPort(to.String())
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[[2]string{from, w.ips[host]}] && (w.link.Loss == 0 || w.rng.Float64() >= w.link.Loss)
}

// sockets makes a host's UDP sockets simulated ones.
func (w *World) sockets(name string, ip net.IP, rate simnet.NodeBiDiLinkSettings) libp2p.Option {
	return libp2p.QUICReuse(
		func(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			cm, err := quicreuse.NewConnManager(reset, token, opts...)
			if err == nil {
				l.Append(fx.StopHook(cm.Close))
			}
			return cm, err
		},
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source{ip}, nil }),
		quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
			return &socket{SimConn: w.net.NewEndpoint(a, rate), world: w, name: name}, nil
		}),
	)
}

type source struct{ ip net.IP }

func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return s.ip, nil }

// A socket drops what the world does not let pass.
type socket struct {
	*simnet.SimConn
	world *World
	name  string
}

func (s *socket) WriteTo(p []byte, to net.Addr) (int, error) {
	if !s.world.passes(s.name, to) {
		return len(p), nil
	}
	return s.SimConn.WriteTo(p, to)
}
