package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if inNamespace() {
		return // see netns_linux_test.go
	}
	goleak.VerifyTestMain(m)
}

func loopback(t testing.TB) *node.Node { return p2ptest.Loopback(t) }

// stranger is a host of somebody else's making, with libp2p's defaults.
func stranger(t *testing.T, opts ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"),
		libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.ForceReachabilityPrivate(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// Two people on one machine reach each other over either transport.
func TestTwoNodesTalk(t *testing.T) {
	bob := loopback(t)
	bob.Host().SetStreamHandler("/test", func(s network.Stream) {
		io.Copy(s, s)
		s.Close()
	})
	for name, c := range map[string]struct {
		to   peer.AddrInfo
		over int
	}{
		"tcp":  {p2ptest.InfoOver(bob, ma.P_TCP), ma.P_TCP},
		"quic": {p2ptest.InfoOver(bob, ma.P_QUIC_V1), ma.P_QUIC_V1},
	} {
		alice := loopback(t)
		if err := alice.Dial(context.Background(), c.to); err != nil {
			t.Fatal(name, err)
		}
		s, err := alice.Host().NewStream(context.Background(), bob.Host().ID(), "/test")
		if err != nil {
			t.Fatal(name, err)
		}
		s.Write([]byte("hi"))
		s.CloseWrite()
		if b, err := io.ReadAll(s); err != nil || string(b) != "hi" {
			t.Fatalf("%s: read %q, %v", name, b, err)
		}
		if _, err := s.Conn().RemoteMultiaddr().ValueForProtocol(c.over); err != nil {
			t.Errorf("%s: connected over %s", name, s.Conn().RemoteMultiaddr())
		}
		if err := alice.Dial(context.Background(), c.to); err != nil || len(alice.Host().Network().ConnsToPeer(bob.Host().ID())) != 1 {
			t.Errorf("%s: dialled again: %v", name, err)
		}
	}
}

// A node's PeerID is fresh unless it is given a key; its addresses carry it.
func TestPeerID(t *testing.T) {
	a, b := loopback(t), loopback(t)
	if a.Host().ID() == b.Host().ID() {
		t.Error("two nodes have one PeerID")
	}
	key, _, _ := crypto.GenerateEd25519Key(rand.Reader)
	c := p2ptest.Start(t, node.Config{Mode: node.Loopback, Key: key})
	if want, _ := peer.IDFromPrivateKey(key); c.Host().ID() != want {
		t.Error("the key given is not used")
	}
	addrs := c.PeerAddrs()
	if len(addrs) != 2 {
		t.Errorf("addresses %v", addrs)
	}
	for _, a := range addrs {
		if i, err := peer.AddrInfoFromP2pAddr(a); err != nil || i.ID != c.Host().ID() || !node.AllowedAddr(node.Loopback, a) {
			t.Errorf("address %s: %v", a, err)
		}
	}
	rsa, _, _ := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	if n, err := node.New(node.Config{Mode: node.Loopback, Key: rsa}); err == nil {
		n.Close()
		t.Error("a node with an RSA key")
	}
	if n, err := node.New(node.Config{}); err == nil {
		n.Close()
		t.Error("a node without a mode")
	}
}

// libp2p is content with one of two addresses; a relay behind a port that was
// promised to people is not.
func TestListenOnAllOrNone(t *testing.T) {
	a := loopback(t)
	taken, _ := p2ptest.InfoOver(a, ma.P_TCP).Addrs[0].ValueForProtocol(ma.P_TCP)
	n, err := node.New(node.Config{Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/" + taken, "/ip4/127.0.0.1/udp/0/quic-v1"}})
	if err == nil {
		n.Close()
		t.Error("listens on half of what was asked")
	}
}

// Every dial passes the rules, also those that libp2p starts by itself from
// what a peer said about its addresses.
func TestEveryDialPassesTheGater(t *testing.T) {
	alice := loopback(t)
	inward := []ma.Multiaddr{
		ma.StringCast("/ip4/10.0.0.1/tcp/80"), ma.StringCast("/ip4/192.168.1.1/udp/53/quic-v1"),
		ma.StringCast("/ip4/11.22.33.44/tcp/4001"), ma.StringCast("/ip4/169.254.169.254/tcp/80"),
	}
	// Mallory says so about herself.
	mallory := stranger(t, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return inward }))
	if err := mallory.Connect(context.Background(), p2ptest.Info(alice)); err != nil {
		t.Fatal(err)
	}
	mallory.Network().ClosePeer(alice.Host().ID())
	for alice.Host().Network().Connectedness(mallory.ID()) == network.Connected {
		<-time.After(time.Millisecond)
	}
	for name, dial := range map[string]func(context.Context) error{
		"stream": func(ctx context.Context) error { _, err := alice.Host().NewStream(ctx, mallory.ID(), "/x"); return err },
		"connect": func(ctx context.Context) error {
			return alice.Host().Connect(ctx, peer.AddrInfo{ID: mallory.ID(), Addrs: inward})
		},
		"network": func(ctx context.Context) error {
			alice.Host().Peerstore().AddAddrs(mallory.ID(), inward, peerstore.PermanentAddrTTL)
			_, err := alice.Host().Network().DialPeer(ctx, mallory.ID())
			return err
		},
	} {
		start := time.Now()
		err := dial(context.Background())
		var d *swarm.DialError
		switch {
		case err == nil:
			t.Errorf("%s: connected", name)
		case errors.Is(err, swarm.ErrNoAddresses): // identify's were not kept
		case !errors.As(err, &d):
			t.Errorf("%s: %v", name, err)
		default:
			for _, e := range d.DialErrors {
				if !errors.Is(e.Cause, swarm.ErrGaterDisallowedConnection) {
					t.Errorf("%s: %s was tried: %v", name, e.Address, e.Cause)
				}
			}
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: %v to refuse", name, d)
		}
	}
	if err := alice.Dial(context.Background(), peer.AddrInfo{ID: mallory.ID(), Addrs: inward}); !errors.Is(err, node.ErrNoAddress) {
		t.Error(err)
	}
}

// Host names are not looked up, whoever asks.
func TestNamesAreNotLookedUp(t *testing.T) {
	alice, bob := loopback(t), loopback(t)
	named := peer.AddrInfo{ID: bob.Host().ID()}
	for _, a := range bob.Host().Addrs() {
		_, port := ma.SplitFirst(a)
		named.Addrs = append(named.Addrs, ma.StringCast("/dns4/localhost").Encapsulate(port))
	}
	if err := alice.Host().Connect(context.Background(), named); err == nil {
		t.Error("localhost was looked up")
	}
	if err := alice.Dial(context.Background(), named); !errors.Is(err, node.ErrNoAddress) {
		t.Error(err)
	}
}

// Attack 27: keys that are dear to check. Neither side of a connection may have
// one.
func TestOnlyEd25519(t *testing.T) {
	alice := loopback(t)
	for name, generate := range map[string]func() (crypto.PrivKey, crypto.PubKey, error){
		"RSA":       func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateRSAKeyPair(2048, rand.Reader) },
		"ECDSA":     func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateECDSAKeyPair(rand.Reader) },
		"Secp256k1": func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateSecp256k1Key(rand.Reader) },
		"Ed25519":   func() (crypto.PrivKey, crypto.PubKey, error) { return crypto.GenerateEd25519Key(rand.Reader) },
	} {
		key, _, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		mallory := stranger(t, libp2p.Identity(key))
		mallory.SetStreamHandler("/x", func(s network.Stream) { s.Close() })
		want := name == "Ed25519"
		// She is dialled.
		if err := alice.Dial(context.Background(), infoOf(mallory)); (err == nil) != want {
			t.Errorf("dialled %s: %v", name, err)
		}
		if err := alice.Host().Connect(context.Background(), infoOf(mallory)); (err == nil) != want {
			t.Errorf("connected to %s: %v", name, err)
		}
		alice.Host().Network().ClosePeer(mallory.ID())
		// She dials, over either transport.
		for _, code := range []int{ma.P_TCP, ma.P_QUIC_V1} {
			mallory.Network().ClosePeer(alice.Host().ID())
			mallory.Peerstore().ClearAddrs(alice.Host().ID())
			to := p2ptest.InfoOver(alice, code)
			mallory.Peerstore().AddAddrs(to.ID, to.Addrs, node.AddrTTL)
			err := mallory.Connect(context.Background(), to)
			if err == nil {
				// QUIC's client is done before the server has looked.
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				var s network.Stream
				if s, err = mallory.NewStream(ctx, alice.Host().ID(), "/ipfs/id/1.0.0"); err == nil {
					if b, _ := io.ReadAll(s); len(b) == 0 {
						err = errors.New("nothing answered")
					}
				}
				cancel()
			}
			if (err == nil) != want {
				t.Errorf("%s dials over %d: %v", name, code, err)
			}
		}
	}
}

// What strangers may hold open is bounded.
func TestConnectionsAreCapped(t *testing.T) {
	const high = 4
	bob := p2ptest.Start(t, node.Config{Mode: node.Loopback, Low: 2, High: high})
	var wg sync.WaitGroup
	for range 5 * high {
		h := stranger(t, libp2p.NoListenAddrs)
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			h.Connect(ctx, p2ptest.InfoOver(bob, ma.P_TCP))
		})
	}
	wg.Wait()
	if n := len(bob.Host().Network().Conns()); n == 0 || n > 2*high {
		t.Errorf("%d connections, high water mark %d", n, high)
	}
}

// Only what others may dial is told to them.
func TestAdvertised(t *testing.T) {
	alice := p2ptest.Start(t, node.Config{Mode: node.Loopback})
	for _, a := range alice.Host().Addrs() {
		if !node.AllowedAddr(node.Loopback, a) {
			t.Errorf("%s", a)
		}
	}
	if len(alice.Host().Addrs()) == 0 {
		t.Error("none")
	}
	if slices.Contains(alice.Host().Mux().Protocols(), "/libp2p/circuit/relay/0.2.0/stop") {
		t.Error("a circuit could be opened to us")
	}
}

// Nothing is listened on that the mode does not reach.
func TestListenWithinTheMode(t *testing.T) {
	for _, c := range []struct {
		mode node.Mode
		addr string
		ok   bool
	}{
		{node.Loopback, "/ip4/127.0.0.1/tcp/0", true},
		{node.Loopback, "/ip4/127.0.0.2/udp/0/quic-v1", true},
		{node.Loopback, "/ip4/0.0.0.0/tcp/0", false},
		{node.Loopback, "/ip4/0.0.0.0/udp/0/quic-v1", false},
		{node.Loopback, "/ip6/::/tcp/0", false},
		{node.Loopback, "/ip6/::ffff:0.0.0.0/tcp/0", false},
		{node.Loopback, "/ip4/192.0.2.1/tcp/0", false},
		{node.Loopback, "/dns4/localhost/tcp/0", false},
		{node.LAN, "/ip4/0.0.0.0/tcp/0", true},
		{node.LAN, "/ip4/127.0.0.1/tcp/0", false},
		{node.LAN, "/ip4/8.8.8.8/tcp/0", false},
		{node.Public, "/ip4/0.0.0.0/tcp/0", true},
		{node.Public, "/ip4/127.0.0.1/tcp/0", true},
	} {
		n, err := node.New(node.Config{Mode: c.mode, Listen: []string{c.addr}})
		if err == nil {
			n.Close()
		}
		if got := !errors.Is(err, node.ErrOutside); got != c.ok {
			t.Errorf("%s on %s: %v", c.mode, c.addr, err)
		}
	}
}

// What is announced is told to others beside what the node listens on, and has to be of the mode.
func TestAnnounce(t *testing.T) {
	const there = "/ip4/127.0.0.77/tcp/4001"
	n := p2ptest.Start(t, node.Config{Mode: node.Loopback, Announce: []string{there, there}})
	if told := fmt.Sprint(n.PeerAddrs()); len(n.PeerAddrs()) != 3 || !strings.Contains(told, there+"/p2p/") {
		t.Errorf("it tells %s", told)
	}
	for _, bad := range []string{"/ip4/192.0.2.1/tcp/4001", "/ip4/127.0.0.77", "127.0.0.77:4001", "/dns4/localhost/tcp/4001"} {
		if n, err := node.New(node.Config{Mode: node.Loopback, Announce: []string{bad}}); err == nil {
			n.Close()
			t.Errorf("%s is announced", bad)
		} else if !errors.Is(err, node.ErrOutside) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A peer that is not there costs no more than the dial's bound.
func TestDialGivesUp(t *testing.T) {
	alice, bob := loopback(t), loopback(t)
	to := p2ptest.Info(bob)
	bob.Close()
	start := time.Now()
	if err := alice.Dial(context.Background(), to); err == nil {
		t.Fatal("connected to nobody")
	}
	if d := time.Since(start); d > node.DialTimeout+time.Second {
		t.Errorf("took %v", d)
	}
	// libp2p's own pause after a failure must not get in the way of ours.
	if err := alice.Dial(context.Background(), to); errors.Is(err, swarm.ErrDialBackoff) {
		t.Error(err)
	}
}
