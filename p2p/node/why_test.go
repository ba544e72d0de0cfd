package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// People are told in words why somebody could not be reached.
func TestWhy(t *testing.T) {
	alice, bob, carol := loopback(t), loopback(t), loopback(t)
	info := func(id peer.ID, addrs ...string) (p peer.AddrInfo) {
		p.ID = id
		for _, a := range addrs {
			p.Addrs = append(p.Addrs, ma.StringCast(a))
		}
		return p
	}
	gone := p2ptest.InfoOver(carol, ma.P_TCP)
	carol.Close()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		to   peer.AddrInfo
		want string
	}{
		{t.Context(), peer.AddrInfo{ID: gone.ID, Addrs: p2ptest.Info(bob).Addrs}, "another peer answers at its address"},
		{t.Context(), gone, "nobody listens at its address"},
		{t.Context(), info(gone.ID, "/ip4/9.9.9.9/tcp/1"), "it has no address that this --network may dial"},
		{t.Context(), info(gone.ID, "/dns4/localhost/tcp/1"), "it has no address that this --network may dial"},
		{late, p2ptest.Info(bob), "it did not answer in time"},
	} {
		// Over both ways to dial, which wrap differently.
		h := loopback(t).Host()
		if got := node.Why(alice.Dial(c.ctx, c.to)); got != c.want {
			t.Errorf("dial %v: %q, want %q", c.to, got, c.want)
		}
		if got := node.Why(h.Connect(c.ctx, c.to)); got != c.want {
			t.Errorf("connect to %v: %q, want %q", c.to, got, c.want)
		}
	}
	if err := alice.Dial(t.Context(), p2ptest.Info(bob)); err != nil {
		t.Fatal(err)
	}
	_, err := alice.Host().NewStream(t.Context(), bob.Host().ID(), "/nobody/speaks/this")
	if got := node.Why(err); got != "it is something else: it does not speak this protocol" {
		t.Errorf("%q for %v", got, err)
	}
	if got := node.Why(errors.New("else")) + node.Why(nil); got != "" {
		t.Errorf("%q for what is no dial", got)
	}
}

// Somebody else's port is not shared, in any mode, and all addresses or none are
// listened on.
func TestListenOnWhatIsTaken(t *testing.T) {
	bob := loopback(t)
	taken := p2ptest.InfoOver(bob, ma.P_TCP).Addrs[0].String()
	for _, m := range []node.Mode{node.Loopback, node.Public} {
		for listen, want := range map[string]string{
			taken:                   "cannot listen on " + taken + ": another program listens there",
			"/ip4/192.0.2.1/tcp/0":  "cannot listen on /ip4/192.0.2.1/tcp/0: it is not an address of this computer",
			"/ip4/127.0.0.1/udp/99": "cannot listen on /ip4/127.0.0.1/udp/99: it is neither /tcp/PORT nor /udp/PORT/quic-v1",
		} {
			if m == node.Loopback && strings.Contains(listen, "192.0.2.1") {
				continue // ErrOutside
			}
			n, err := node.New(node.Config{Mode: m, Listen: []string{"/ip4/127.0.0.1/tcp/0", listen}})
			if !errors.Is(err, node.ErrListen) || err.Error() != want {
				t.Errorf("%s: %v, want %s", m, err, want)
			}
			if err == nil {
				n.Close()
			}
		}
	}
	first, err := node.New(node.Config{Mode: node.Public, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	addr := first.Host().Network().ListenAddresses()[0].String()
	if second, err := node.New(node.Config{Mode: node.Public, Listen: []string{addr}}); !errors.Is(err, node.ErrListen) {
		t.Errorf("two share %s: %v", addr, err)
		second.Close()
	}
}
