package node_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/network"
)

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
