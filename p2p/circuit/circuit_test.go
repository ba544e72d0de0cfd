package circuit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relay is a relay that is a hop for others and reserves at those that it knows.
type relay struct {
	*node.Node
	hop    *Hop
	holder *Holder
	stop   func()
}

// serve has a node be a relay that knows others.
func serve(t *testing.T, n *node.Node, known ...*relay) *relay {
	t.Helper()
	r := &relay{Node: n}
	var err error
	if r.hop, err = NewHop(n.Host(), n.Mode()); err != nil {
		t.Fatal(err)
	}
	cfg := HolderConfig{Mode: n.Mode()}
	for _, k := range known {
		cfg.Peers = append(cfg.Peers, p2ptest.Info(k.Node))
	}
	r.holder = NewHolder(n.Host(), cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.holder.Run(ctx) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		r.hop.Close()
		n.Close()
	})
	t.Cleanup(r.stop)
	// An echo is all that those who come here want.
	n.Host().SetStreamHandler("/echo", func(s network.Stream) {
		io.Copy(s, s)
		s.Close()
	})
	return r
}

// echo says something over a connection that is there, and hears it again.
func echo(h host.Host, to peer.ID, n int) error {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(network.WithNoDial(context.Background(), ""), ""), time.Minute)
	defer cancel()
	s, err := h.NewStream(ctx, to, "/echo")
	if err != nil {
		return err
	}
	defer s.Reset()
	failed := make(chan error, 1)
	go func() {
		_, err := io.Copy(s, io.LimitReader(zeros{}, int64(n)))
		failed <- errors.Join(err, s.CloseWrite())
	}()
	got, err := io.Copy(io.Discard, s)
	if err = errors.Join(err, <-failed); err == nil && got != int64(n) {
		err = fmt.Errorf("%d bytes of %d came back", got, n)
	}
	return err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Anna reaches a relay through another. The relay sees the other's address, and of
// Anna's host nothing by which it could be told from any other; the other sees where
// Anna is and which relay she wants.
func TestThroughAnother(t *testing.T) {
	start := func() *node.Node { return p2ptest.Start(t, node.Config{Mode: node.Loopback, Circuits: true}) }
	oak := serve(t, start())
	elm := serve(t, start(), oak)
	until(t, "a reservation", func() bool { return elm.holder.Len() == 1 && oak.holder.Len() == 1 })
	hops := node.Hops(node.Loopback, elm.holder.Addrs())
	if len(hops) != 1 || hops[0].ID != oak.Host().ID() {
		t.Fatalf("elm is reached through %v", hops)
	}

	pool := node.NewPool(node.Config{Mode: node.Loopback, Circuits: true})
	defer pool.Close()
	anna, release, err := pool.Host(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for range 2 { // the second time the circuit is there
		via, err := node.DialCircuit(t.Context(), anna, node.Loopback, hops, elm.Host().ID())
		if err != nil || via != oak.Host().ID() {
			t.Fatal(via, err)
		}
		if err := echo(anna, elm.Host().ID(), 100_000); err != nil {
			t.Fatal(err)
		}
	}
	if s := oak.hop.Stats(); s.Reservations != 1 || s.Circuits != 1 || s.Served != 1 {
		t.Errorf("the hop counts %+v", s)
	}

	// What elm sees.
	at := oak.Host().Addrs()
	for _, c := range elm.Host().Network().ConnsToPeer(anna.ID()) {
		if hop, ok := node.Via(c); !ok || hop != oak.Host().ID() {
			t.Errorf("elm sees her come from %s", c.RemoteMultiaddr())
		}
	}
	until(t, "elm to have asked who she is", func() bool {
		v, err := elm.Host().Peerstore().Get(anna.ID(), "AgentVersion")
		return err == nil && v == "godwit"
	})
	for _, a := range elm.Host().Peerstore().Addrs(anna.ID()) {
		if !slices.ContainsFunc(at, func(o ma.Multiaddr) bool {
			return strings.HasPrefix(a.String(), o.String()+"/p2p/"+oak.Host().ID().String())
		}) {
			t.Errorf("elm was told of %s", a)
		}
	}
	protocols, err := elm.Host().Peerstore().GetProtocols(anna.ID())
	if err != nil || slices.ContainsFunc(protocols, func(p protocol.ID) bool { return !strings.HasPrefix(string(p), "/ipfs/id") }) {
		t.Errorf("elm was told that she speaks %v, %v", protocols, err)
	}
	// She does not take in anybody: a hop cannot pass strangers on to her.
	if _, err := oak.Host().NewStream(network.WithNoDial(t.Context(), ""), anna.ID(), "/libp2p/circuit/relay/0.2.0/stop"); err == nil {
		t.Error("a throw-away host takes circuits")
	}
	// The wrong way round there is none: oak holds none at elm that the hops name.
	if _, err := node.DialCircuit(t.Context(), anna, node.Loopback, []peer.AddrInfo{{ID: elm.Host().ID(), Addrs: elm.Host().Addrs()}}, oak.Host().ID()); !errors.Is(err, node.ErrNoCircuit) {
		t.Errorf("a host that is connected to the target itself dialled a circuit: %v", err)
	}
}

// A circuit carries 16 MiB and then ends; the next one is made at once.
func TestCircuitsAreBounded(t *testing.T) {
	start := func() *node.Node { return p2ptest.Start(t, node.Config{Mode: node.Loopback, Circuits: true}) }
	oak := serve(t, start())
	elm := serve(t, start(), oak)
	until(t, "a reservation", func() bool { return elm.holder.Len() == 1 })
	pool := node.NewPool(node.Config{Mode: node.Loopback, Circuits: true})
	defer pool.Close()
	anna, release, err := pool.Host(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	hops := node.Hops(node.Loopback, elm.holder.Addrs())
	dial := func() error {
		_, err := node.DialCircuit(t.Context(), anna, node.Loopback, hops, elm.Host().ID())
		return err
	}
	if err := errors.Join(dial(), echo(anna, elm.Host().ID(), 15<<20)); err != nil {
		t.Fatal(err)
	}
	if err := echo(anna, elm.Host().ID(), 2<<20); err == nil {
		t.Error("a circuit carried 17 MiB")
	}
	until(t, "the circuit to end", func() bool { return anna.Network().Connectedness(elm.Host().ID()) == network.NotConnected })
	if err := errors.Join(dial(), echo(anna, elm.Host().ID(), 1<<20)); err != nil {
		t.Error(err)
	}
}

// The hop at which a relay reserved vanishes, as in a power failure. The relay notices,
// reserves elsewhere, and for as long as it lives renews what it has.
func TestReservationsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 10 * time.Millisecond}, 1)
		start := func(name string, known ...*relay) *relay {
			cfg := w.Config(name)
			cfg.Circuits = true
			return serve(t, w.Start(cfg), known...)
		}
		var known []*relay
		for _, name := range []string{"oak", "elm", "ash", "yew"} {
			known = append(known, start(name))
		}
		fir := start("fir", known...)
		hops := func() (names []peer.ID) {
			for _, h := range node.Hops(node.Public, fir.holder.Addrs()) {
				names = append(names, h.ID)
			}
			return names
		}
		until(t, "three reservations", func() bool { return fir.holder.Len() == node.MaxHops })
		first := hops()
		if len(first) != node.MaxHops || slices.Contains(first, known[3].Host().ID()) {
			t.Fatalf("of four given by hand, in order, fir has %v", first)
		}
		<-time.After(3 * time.Hour)
		if now := hops(); !slices.Equal(now, first) {
			t.Fatalf("after three hours fir has %v, not %v", now, first)
		}
		for i, k := range known {
			if s := k.hop.Stats(); (s.Reservations > 0) != (i < 3) {
				t.Errorf("relay %d counts %+v", i, s)
			}
		}
		w.Vanish("oak")
		until(t, "another instead of who vanished", func() bool {
			now := hops()
			return len(now) == node.MaxHops && !slices.Contains(now, first[0]) && slices.Contains(now, known[3].Host().ID())
		})
		fir.stop()
		until(t, "the others to forget fir", func() bool { return known[1].hop.Stats().Reservations == 0 })
	})
}

// A hop gives reservations and ends the connection at once, each time. The relay asks it less and
// less often; a hop that it kept for long and that was away for a moment is asked again soon.
func TestAHopThatHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 10 * time.Millisecond}, 1)
		start := func(name string, known ...*relay) *relay {
			cfg := w.Config(name)
			cfg.Circuits = true
			return serve(t, w.Start(cfg), known...)
		}
		oak := start("oak")
		hangsUp, came := new(atomic.Bool), new(atomic.Int32)
		hangsUp.Store(true)
		oak.Host().Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
			came.Add(1)
			if hangsUp.Load() {
				time.AfterFunc(500*time.Millisecond, func() { c.Close() })
			}
		}})
		fir := start("fir", oak)
		<-time.After(time.Hour)
		if n := came.Load(); n < 4 || n > 20 {
			t.Errorf("in an hour fir reserved %d times at who hangs up", n)
		}
		hangsUp.Store(false)
		<-time.After(2 * shunRefused)
		if fir.holder.Len() != 1 {
			t.Fatal("when the hop holds there is no reservation")
		}
		for _, c := range oak.Host().Network().ConnsToPeer(fir.Host().ID()) {
			c.Close()
		}
		<-time.After(4 * shunLost) // left alone for up to one and a half, and looked for again within as much
		if fir.holder.Len() != 1 {
			t.Error("after a moment's absence there is no reservation")
		}
		fir.stop()
	})
}

// A hop gives reservations that are over in a moment. They are none, and it is not asked for ever.
func TestReservationsThatAreTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 10 * time.Millisecond}, 1)
		cfg := w.Config("oak")
		cfg.Circuits = true
		oak := &relay{Node: w.Start(cfg)}
		r := relayv2.DefaultResources()
		r.ReservationTTL = 2 * time.Second
		asked := new(atomic.Int32)
		service, err := relayv2.New(oak.Host(), relayv2.WithResources(r), relayv2.WithACL(countsReservations{asked}))
		if err != nil {
			t.Fatal(err)
		}
		defer service.Close()
		cfg = w.Config("fir")
		cfg.Circuits = true
		fir := serve(t, w.Start(cfg), oak)
		<-time.After(10 * time.Minute)
		if n := asked.Load(); n == 0 || n > 3 || fir.holder.Len() != 0 {
			t.Errorf("in ten minutes fir asked %d times and holds %d reservations", n, fir.holder.Len())
		}
		fir.stop()
	})
}

type countsReservations struct{ asked *atomic.Int32 }

func (c countsReservations) AllowReserve(peer.ID, ma.Multiaddr) bool {
	c.asked.Add(1)
	return true
}

func (countsReservations) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return false }

// A hop that is full gives nobody else a reservation, but everybody who has one goes on having it.
func TestAFullHopRenews(t *testing.T) {
	g := newGate(true)
	at := func(n int) ma.Multiaddr { return ma.StringCast(fmt.Sprintf("/ip4/9.%d.%d.7/tcp/1", n/256, n%256)) }
	id := func(n int) peer.ID { return peer.ID(fmt.Sprint("relay ", n)) }
	for n := range maxReservations {
		if !g.AllowReserve(id(n), at(n)) {
			t.Fatalf("reservation %d is refused", n)
		}
	}
	if g.AllowReserve(id(maxReservations), at(maxReservations)) {
		t.Error("there is one more than there may be")
	}
	for n := range maxReservations {
		if !g.AllowReserve(id(n), at(n)) {
			t.Fatalf("reservation %d is not renewed", n)
		}
	}
}

// One corner of the network gets four reservations and no more, and begins so many
// circuits a minute; the rest of the network is not held up by that.
func TestACornerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(true)
		corner, elsewhere := ma.StringCast("/ip4/9.1.1.7/tcp/1"), ma.StringCast("/ip4/9.1.2.7/tcp/1")
		id := func(n int) peer.ID { return peer.ID(fmt.Sprint("relay ", n)) }
		for n := range reservationsGroup {
			if !g.AllowReserve(id(n), corner) {
				t.Fatalf("reservation %d is refused", n)
			}
		}
		if g.AllowReserve(id(99), corner) || !g.AllowReserve(id(0), corner) || !g.AllowReserve(id(100), elsewhere) {
			t.Error("a corner had one more, could not renew, or another corner had none")
		}
		<-time.After(reservationTime)
		if !g.AllowReserve(id(99), corner) {
			t.Error("what has ended counts for ever")
		}
		for n := range circuitsPerMinute {
			if !g.AllowConnect("a", corner, "b") {
				t.Fatalf("circuit %d is refused", n)
			}
		}
		if g.AllowConnect("c", corner, "b") || !g.AllowConnect("a", elsewhere, "b") {
			t.Error("a corner began one more, or another corner none")
		}
		<-time.After(time.Minute)
		if !g.AllowConnect("a", corner, "b") {
			t.Error("the next minute has no room")
		}
		if home := newGate(false); !home.AllowReserve("a", corner) || !home.AllowConnect("a", corner, "b") {
			t.Error("outside of public there are bounds")
		}
	})
}
