package chat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/node"
)

// Fifty gives all people from now on a DHT of fifty servers, each at a place of its own.
func (w *world) Fifty() {
	w.Helper()
	w.board = nil
	var ways []peer.AddrInfo
	for i := range 50 {
		ip := w.place()
		n, err := node.New(node.Config{Mode: node.Public, Listen: []string{fmt.Sprintf("/ip4/%s/tcp/4001", ip)}, Options: w.wires.options(fmt.Sprint("server ", i), ip)})
		w.check(err)
		d, err := dht.New(n.Host(), dht.Config{Mode: node.Public, Relay: true, Bootstrap: ways})
		w.check(err)
		w.Cleanup(func() {
			d.Close()
			n.Close()
		})
		if len(ways) > 0 {
			w.check(d.Ready(w.Context()))
		}
		if len(ways) < 3 {
			ways = append(ways, peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()})
		}
	}
	w.ways = ways
}

// joins has the person's node join the DHT until leave is called.
func (p *person) joins() (_ *dht.DHT, leave func()) {
	p.w.Helper()
	d, err := dht.New(p.node.Host(), dht.Config{Mode: node.Public, Bootstrap: p.w.ways})
	p.w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	return d, func() {
		cancel()
		running.Wait()
		d.Close()
	}
}

// Sixty days later all that Alice and Bob know of each other is who they are: both are
// at other addresses, their relays are gone and they have others. They find each other
// through a DHT of fifty servers, and go on.
func TestFoundAfterSixtyDays(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		b := w.Board()
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		if !slices.Contains(b.ways, oak.id()) || !slices.Contains(b.ways, elm.id()) {
			w.Error("their relays are no ways into the DHT")
		}
		alice.Meets(bob)
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Leaves()
		oak.Stops()
		elm.Stops()
		w.relays = nil
		w.Pass(60 * day)
		w.Fifty()
		ash, fir := w.Relay("ash"), w.Relay("fir")
		for p, r := range map[*person]*relay{alice: ash, bob: fir} {
			p.Moves()
			p.relays = []peer.AddrInfo{r.info()}
			p.Returns()
		}
		alice.Sees(alice.Says(bob, "after all this time"), api.Delivered)
		bob.Sees(bob.Says(alice, "always"), api.Delivered)
		w.Advance(time.Minute)
		bob.Leaves()
		id := alice.Says(bob, "goodbye")
		alice.Awaits("the new relay to keep it", func() bool { return len(fir.kept()) > 0 })
		bob.Returns()
		alice.Sees(id, api.Delivered)
	})
}
