package node_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Bob is dialled over TCP if he is there, and over QUIC if he is refused or not
// answered there.
func TestTCPFirst(t *testing.T) {
	bob := loopback(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	tcp, quic := p2ptest.InfoOver(bob, ma.P_TCP).Addrs[0], p2ptest.InfoOver(bob, ma.P_QUIC_V1).Addrs[0]
	for name, c := range map[string]struct {
		at   []ma.Multiaddr
		over int
	}{
		"both":             {[]ma.Multiaddr{quic, tcp}, ma.P_TCP},
		"refused over TCP": {[]ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1"), quic}, ma.P_QUIC_V1},
		"silent over TCP":  {[]ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", silent.Addr().(*net.TCPAddr).Port)), quic}, ma.P_QUIC_V1},
	} {
		tries := 1
		if c.over == ma.P_TCP {
			tries = 5 // it has a head start and no more: where the machine is held up for so long QUIC joins in
		}
		var conns []network.Conn
		for ; tries > 0 && !onlyOver(conns, c.over); tries-- {
			alice := loopback(t)
			if err := alice.Dial(context.Background(), peer.AddrInfo{ID: bob.Host().ID(), Addrs: c.at}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			conns = alice.Host().Network().ConnsToPeer(bob.Host().ID())
		}
		if !onlyOver(conns, c.over) {
			t.Errorf("%s: %v", name, conns)
		}
	}
}

// onlyOver says whether there is one connection, over a transport.
func onlyOver(conns []network.Conn, transport int) bool {
	if len(conns) != 1 {
		return false
	}
	_, err := conns[0].RemoteMultiaddr().ValueForProtocol(transport)
	return err == nil
}

// Alice asks Bob something once, and talks with Carol. Minutes later she is connected to
// Carol alone, and still is hours later.
func TestUnusedConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 20 * time.Millisecond}, 1)
		alice, bob, carol := w.Node("alice"), w.Node("bob"), w.Node("carol")
		carol.Host().SetStreamHandler("/test", func(s network.Stream) {
			s.Read(make([]byte, 1)) // waits
			s.Reset()
		})
		for _, to := range []*node.Node{bob, carol} {
			if err := alice.Dial(context.Background(), p2ptest.Info(to)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := alice.Host().NewStream(context.Background(), carol.Host().ID(), "/test")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		if _, err := s.Write(nil); err != nil {
			t.Fatal(err)
		}
		connected := func(to *node.Node) bool {
			return alice.Host().Network().Connectedness(to.Host().ID()) == network.Connected
		}
		time.Sleep(time.Minute)
		if !connected(bob) {
			t.Error("a new connection is ended at once")
		}
		time.Sleep(4 * time.Minute)
		if connected(bob) {
			t.Error("nobody uses the connection to Bob, and it stands")
		}
		time.Sleep(2 * time.Hour)
		if !connected(carol) {
			t.Error("the connection to Carol, which is used, was ended")
		}
	})
}
