package dht

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	"github.com/libp2p/go-libp2p/core/peer"
)

// In public relays serve, and people behind NATs only ask. The hosts of a World
// share one IPv4 /16, so that three relays are as many as anybody's table takes.
func TestInPublic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 40 * time.Millisecond}, 1)
		var ways []peer.AddrInfo
		start := func(name string, relay bool) *member {
			n := w.Node(name)
			m := join(t, n.Host(), Config{Mode: node.Public, Relay: relay, Bootstrap: ways})
			if len(ways) > 0 {
				m.mustBeReady()
			}
			if relay {
				ways = append(ways, p2ptest.Info(n))
			}
			return m
		}
		r1, r2, r3 := start("r1", true), start("r2", true), start("r3", true)
		anna, bob := start("anna", false), start("bob", false)
		time.Sleep(time.Minute)
		for _, r := range []*member{r1, r2, r3} {
			if !r.Status().Server {
				t.Error("a relay does not serve")
			}
			if keys, err := r.Announce(t.Context()); err != nil || keys < RelayKeys {
				t.Errorf("announced under %d keys: %v", keys, err)
			}
		}
		if anna.Status().Server || bob.Status().Server {
			t.Error("somebody behind a NAT serves")
		}
		seed := rendezvous.NewSeed()
		if n := anna.publish(seed); n != 3 {
			t.Errorf("%d keep it", n)
		}
		began := time.Now()
		if f := bob.finds(seed); f.Device.ID != anna.host.ID() || time.Since(began) > time.Second {
			t.Errorf("found %v after %v", f, time.Since(began))
		}
		if rs := bob.relays(5); len(rs) != 3 {
			t.Errorf("%d relays", len(rs))
		}
		w.Vanish("r2")
		began = time.Now()
		if f := bob.finds(seed); f.Device.ID != anna.host.ID() || time.Since(began) > 2*time.Second {
			t.Errorf("with one relay gone, found %v after %v", f, time.Since(began))
		}
		for range 4 {
			start("another", true)
		}
		time.Sleep(2 * time.Hour)
		if n := bob.Status().Peers; n > perGroup {
			t.Errorf("%d peers of one /16", n)
		}
	})
}
