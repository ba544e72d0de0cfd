package dht

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is one node of a DHT.
type member struct {
	*DHT
	t testing.TB
}

// loopback starts a node with real sockets and has it join the DHT.
func loopback(t testing.TB, cfg Config, listen ...string) *member {
	t.Helper()
	return join(t, p2ptest.Start(t, node.Config{Mode: node.Loopback, Listen: listen}).Host(), cfg)
}

func join(t testing.TB, h host.Host, cfg Config) *member {
	t.Helper()
	if cfg.Mode == "" {
		cfg.Mode = node.Loopback
	}
	d, err := New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close DHT: %v", err)
		}
	})
	return &member{d, t}
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func infos(ms ...*member) (is []peer.AddrInfo) {
	for _, m := range ms {
		is = append(is, infoOf(m.host))
	}
	return is
}

// A world is a DHT in memory and virtual time, inside synctest: hosts of libp2p's
// mocknet, which needs no cryptography, so that fifty of them start in a second
// under the race detector.
type world struct {
	t       *testing.T
	net     mocknet.Mocknet
	members []*member
	hosts   int
	rand    *rand.ChaCha8 // what ids and seeds are drawn from
}

// manyMembers is from which size on members of a world do not refresh on their own,
// which would take minutes.
const manyMembers = 50

// inWorld tells a story in a world of some members.
func inWorld(t *testing.T, size int, story func(t *testing.T, w *world)) {
	before := runtime.GOMAXPROCS(1) // see p2ptest.NewWorld
	defer runtime.GOMAXPROCS(before)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: mocknet.New(), rand: rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", t.Name()))))}
		w.net.SetLinkDefaults(mocknet.LinkOptions{Latency: 2 * time.Millisecond})
		t.Cleanup(func() { w.net.Close() })
		for range size {
			m := w.join(Config{Bootstrap: infos(cut(w.members, 3)...), still: size > manyMembers})
			if m.cfg.still && len(w.members) > 0 { // a look at its own place is enough
				if _, err := m.kad.GetClosestPeers(t.Context(), string(m.host.ID())); err != nil {
					t.Fatal(err)
				}
			}
			w.members = append(w.members, m)
		}
		for _, m := range cut(w.members, 3) { // who knew nobody when the others came
			if err := <-m.kad.RefreshRoutingTable(); err != nil {
				t.Fatal(err)
			}
		}
		story(t, w)
	})
}

// host starts a host that can be dialled by all.
func (w *world) host() host.Host {
	w.t.Helper()
	return w.hostOf(w.key())
}

func (w *world) key() crypto.PrivKey {
	w.t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	w.rand.Read(seed)
	k, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *world) seed() (s rendezvous.Seed) {
	w.rand.Read(s[:])
	return s
}

func (w *world) hostOf(k crypto.PrivKey) host.Host {
	w.t.Helper()
	w.hosts++
	h, err := w.net.AddPeer(k, ma.StringCast(fmt.Sprintf("/ip4/127.%d.%d.1/tcp/4001", w.hosts/256, w.hosts%256)))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range w.net.Peers() {
		if o == h.ID() {
			continue
		}
		if _, err := w.net.LinkPeers(h.ID(), o); err != nil {
			w.t.Fatal(err)
		}
	}
	return h
}

func (w *world) join(cfg Config) *member {
	w.t.Helper()
	m := join(w.t, w.host(), cfg)
	if len(cfg.Bootstrap) > 0 {
		m.mustBeReady()
	}
	return m
}

// kill ends a member as kill -9 does: it is not there any more.
func (w *world) kill(m *member) {
	for _, o := range w.net.Peers() {
		if o == m.host.ID() {
			continue
		}
		w.net.UnlinkPeers(o, m.host.ID())
		w.net.DisconnectPeers(o, m.host.ID())
	}
}

// freeze ends a member as a power failure does: its connections stay, and nobody
// answers.
func (w *world) freeze(m *member) {
	m.host.SetStreamHandler(Protocol, func(network.Stream) {})
}

func (m *member) mustBeReady() {
	m.t.Helper()
	if err := m.Ready(within(m.t, 10*time.Second)); err != nil {
		m.t.Fatal(err)
	}
}

// within is a context of the test that ends early.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// where is what a member says of itself.
func (m *member) where() rendezvous.Content {
	return rendezvous.Content{Device: infoOf(m.host)}.Fit()
}

// publish tells the readers of a seed where m is.
func (m *member) publish(seed rendezvous.Seed) int {
	m.t.Helper()
	n, err := m.Publish(within(m.t, 30*time.Second), seed, m.where(), time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// finds looks for whom a seed belongs to.
func (m *member) finds(seed rendezvous.Seed) Found {
	m.t.Helper()
	f, err := m.Find(within(m.t, 30*time.Second), seed, time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}
