package dht

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestTwo(t *testing.T) {
	anna := loopback(t, Config{})
	bob := loopback(t, Config{Bootstrap: infos(anna)})
	seed := rendezvous.NewSeed()
	if n := bob.publish(seed); n != 1 {
		t.Fatalf("%d keep it", n)
	}
	if f := anna.finds(seed); f.Device.ID != bob.host.ID() {
		t.Fatal(f)
	}
}

// Of fifty, five were just killed and five lost power; nobody has noticed. Who looks
// for a contact does.
func TestFoundAmongTheDead(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		seeds := make([]rendezvous.Seed, 30)
		for i := range seeds {
			seeds[i] = rendezvous.NewSeed()
			if n := w.members[i].publish(seeds[i]); n < bucketSize {
				t.Fatalf("%d keep it", n)
			}
		}
		for i, m := range w.members[40:] {
			if i%2 == 0 {
				w.kill(m)
			} else {
				w.freeze(m)
			}
		}
		for i, s := range seeds {
			start := time.Now()
			f := w.members[39-i].finds(s)
			if f.Device.ID != w.members[i].host.ID() {
				t.Fatalf("found %v", f)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
		}
	})
}

// Bob's clock and Anna's differ by hours, and Anna published in another period.
func TestFoundAcrossPeriods(t *testing.T) {
	inWorld(t, 6, func(t *testing.T, w *world) {
		anna, bob := w.members[1], w.members[4]
		seed := rendezvous.NewSeed()
		at := time.Now()
		anna.publish(seed)
		for _, off := range []time.Duration{-rendezvous.Period, 0, rendezvous.Period} {
			if f, err := bob.Find(t.Context(), seed, at.Add(off)); err != nil || f.Device.ID != anna.host.ID() {
				t.Errorf("off by %v: %v", off, err)
			}
		}
		for _, off := range []time.Duration{-2 * rendezvous.Period, 2 * rendezvous.Period} {
			if _, err := bob.Find(t.Context(), seed, at.Add(off)); !errors.Is(err, ErrNotFound) {
				t.Errorf("off by %v: %v", off, err)
			}
		}
		// Later she moved, and the newer of the records of two periods counts.
		time.Sleep(rendezvous.Period)
		moved := anna.where()
		moved.Device.Addrs = nil
		if _, err := anna.Publish(t.Context(), seed, moved, time.Now()); err != nil {
			t.Fatal(err)
		}
		if f := bob.finds(seed); len(f.Device.Addrs) != 0 || time.Since(f.Seq) > time.Minute {
			t.Errorf("found the old: %v", f)
		}
		if _, err := bob.Find(t.Context(), rendezvous.NewSeed(), time.Now()); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// Relays announce themselves; a device that knows nobody but one peer finds them, the
// next day too, and not those that went away.
func TestRelaysAreFound(t *testing.T) {
	inWorld(t, 4, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		ways := infos(w.members[0])
		gone, leave := context.WithCancel(ctx)
		want := make(map[peer.ID]bool)
		for i := range 4 {
			r := w.join(Config{Bootstrap: ways, Relay: true})
			life := ctx
			if i == 0 {
				life = gone
			} else {
				want[r.host.ID()] = true
			}
			running.Go(func() { r.Run(life) })
		}
		time.Sleep(time.Minute)
		device := w.join(Config{Bootstrap: ways})
		if got := device.relays(10); len(got) != 4 {
			t.Fatalf("%d relays", len(got))
		}
		leave()
		for range 2 {
			time.Sleep(13 * time.Hour)
			got := device.relays(10)
			if len(got) != 3 {
				t.Fatalf("%d relays", len(got))
			}
			for _, r := range got {
				if !want[r.ID] || len(r.Addrs) != 1 || !node.AllowedAddr(node.Loopback, r.Addrs[0]) {
					t.Errorf("found %v", r)
				}
			}
		}
	})
}

// invent makes up peers that are not there.
func invent(t *testing.T, n int) (ps []*pb.Message_Peer) {
	for i := range n {
		a := ma.StringCast(fmt.Sprintf("/ip4/127.77.%d.1/tcp/1", i))
		ps = append(ps, &pb.Message_Peer{Id: []byte(newID(t)), Addrs: [][]byte{a.Bytes()}})
	}
	return ps
}

func (m *member) relays(n int) []peer.AddrInfo {
	m.t.Helper()
	rs, err := m.FindRelays(within(m.t, time.Minute), n)
	if err != nil {
		m.t.Fatal(err)
	}
	return rs
}

// One server invents relays, with addresses of others' networks among them.
func TestInventedRelaysComeLast(t *testing.T) {
	inWorld(t, 12, func(t *testing.T, w *world) {
		relay := w.join(Config{Bootstrap: infos(w.members[0]), Relay: true})
		if _, err := relay.Announce(t.Context()); err != nil {
			t.Fatal(err)
		}
		eve := w.members[5]
		inventions := invent(t, 200)
		for i := 0; i < len(inventions); i += 2 {
			inventions[i].Addrs[0] = ma.StringCast("/ip4/192.168.1.1/tcp/80").Bytes()
		}
		eve.answers(func(req *pb.Message) *pb.Message {
			req.ProviderPeers = inventions
			return req
		})
		got := w.members[9].relays(3)
		if len(got) == 0 || got[0].ID != relay.host.ID() {
			t.Fatalf("the relay is not the first of %d", len(got))
		}
		if len(got) > MaxRelays {
			t.Errorf("%d relays", len(got))
		}
		for _, r := range got {
			for _, a := range r.Addrs {
				if !node.AllowedAddr(node.Loopback, a) {
					t.Errorf("%v", a)
				}
			}
		}
	})
}

// Whoever Bob knows is hostile. He is told so, or told nothing, in bounded time.
func TestHostileWaysIn(t *testing.T) {
	seed := rendezvous.NewSeed()
	for name, c := range map[string]struct {
		answer func(*testing.T, *pb.Message) *pb.Message
		want   error
	}{
		"silent": {func(*testing.T, *pb.Message) *pb.Message { return nil }, ErrNoPeers},
		"alone":  {func(_ *testing.T, req *pb.Message) *pb.Message { return req }, ErrNotFound},
		"invent peers": {func(t *testing.T, req *pb.Message) *pb.Message {
			req.CloserPeers = invent(t, maxCloser)
			return req
		}, ErrNotFound},
		"point inward": {func(t *testing.T, req *pb.Message) *pb.Message {
			a := ma.StringCast("/ip4/192.168.0.1/tcp/80")
			req.CloserPeers = append(req.CloserPeers, &pb.Message_Peer{Id: []byte(newID(t)), Addrs: [][]byte{a.Bytes()}})
			return req
		}, ErrNotFound},
		"give out rubbish": {func(t *testing.T, req *pb.Message) *pb.Message {
			req.Record = nil
			req.ProviderPeers = []*pb.Message_Peer{{Id: []byte("x"), Addrs: [][]byte{{1, 2, 3}}}, {}}
			req.CloserPeers = req.ProviderPeers
			return req
		}, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				var ways []*member
				for range 3 {
					eve := w.join(Config{})
					eve.answers(func(req *pb.Message) *pb.Message { return c.answer(t, req) })
					ways = append(ways, eve)
				}
				bob := w.stranger(Config{Bootstrap: infos(ways...)})
				start := time.Now()
				if _, err := bob.Find(t.Context(), seed, time.Now()); !errors.Is(err, c.want) {
					t.Errorf("find: %v", err)
				}
				if n, err := bob.Publish(t.Context(), seed, bob.where(), time.Now()); err == nil && c.want == ErrNoPeers {
					t.Errorf("%d silent ones keep it", n)
				}
				if rs, err := bob.FindRelays(t.Context(), 5); len(rs) > 0 || (err == nil) != (c.want == ErrNotFound) {
					t.Errorf("%d relays, %v", len(rs), err)
				}
				if took := time.Since(start); took > 10*LookupTimeout {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// stranger joins without waiting for a way in.
func (w *world) stranger(cfg Config) *member { return join(w.t, w.host(), cfg) }

func TestNobodyThere(t *testing.T) {
	gone := p2ptest.Loopback(t)
	was := p2ptest.Info(gone)
	gone.Close()
	stranger := p2ptest.Info(p2ptest.Loopback(t)) // serves no DHT
	for name, ways := range map[string][]peer.AddrInfo{"no way in is known": nil, "1 tried: nobody listens": {was}, "1 reached, none of them serves it": {stranger}} {
		bob := loopback(t, Config{Bootstrap: ways})
		start := time.Now()
		_, err := bob.Find(within(t, time.Minute), rendezvous.NewSeed(), time.Now())
		if !errors.Is(err, ErrNoPeers) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > LookupTimeout {
			t.Errorf("%s: took %v", name, took)
		}
		if _, err := bob.Publish(within(t, time.Minute), rendezvous.NewSeed(), bob.where(), time.Now()); !errors.Is(err, ErrNoPeers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two days pass in which nobody looks anything up. A relay looks its routing table over
// every hour, for others; an account ever more seldom.
func TestLooksBecomeFew(t *testing.T) {
	for name, c := range map[string]struct {
		relay       bool
		least, most int64
	}{"account": {false, 8, 14}, "relay": {true, 45, 52}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(t *testing.T, w *world) {
				d := w.stranger(Config{Relay: c.relay, Bootstrap: infos(w.members...)})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- d.Run(ctx) }()
				time.Sleep(48 * time.Hour)
				if n := d.refreshes.Load(); n < c.least || n > c.most {
					t.Errorf("%d looks in two days, want %d to %d", n, c.least, c.most)
				}
				if d.Status().Size == 0 {
					t.Error("the last census is forgotten before the next")
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The way in comes back after an hour; Run has not given up, and saves whom it
// knows for the next time.
func TestRunFindsItsWayBack(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		lost := w.members[0]
		var saved []peer.AddrInfo
		bob := w.stranger(Config{Last: Memory{Peers: infos(lost)}, Save: func(m Memory) { saved = m.Peers }})
		for _, p := range w.net.Peers() {
			if p != bob.host.ID() {
				w.net.UnlinkPeers(bob.host.ID(), p)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- bob.Run(ctx) }()
		time.Sleep(time.Hour)
		if bob.Status().Peers != 0 || saved != nil {
			t.Fatal("the way in was not lost")
		}
		for _, m := range w.members {
			if _, err := w.net.LinkPeers(bob.host.ID(), m.host.ID()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * lastPause)
		if n := bob.Status().Peers; n != 3 {
			t.Errorf("%d peers", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(saved) != 3 {
			t.Errorf("%d peers saved", len(saved))
		}
		for _, p := range saved {
			if len(p.Addrs) != 1 {
				t.Errorf("saved %v", p)
			}
		}
		if _, err := bob.Find(t.Context(), rendezvous.NewSeed(), time.Now()); err == nil {
			t.Error("closed, and still finds")
		}
	})
}

// Bob knew nobody for an hour. As soon as he is told of a way in, he takes it.
func TestANewWayInIsTriedAtOnce(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		bob := w.stranger(Config{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- bob.Run(ctx) }()
		time.Sleep(time.Hour) // virtual
		if bob.Status().Peers != 0 {
			t.Fatal("Bob knows somebody")
		}
		bob.AddPeers(infos(w.members[0])...)
		time.Sleep(firstPause)
		if bob.Status().Peers == 0 {
			t.Error("a second later he still knows nobody")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// At most three of one group of addresses come into a routing table, however many
// come.
func TestDiversity(t *testing.T) {
	bob := join(t, p2ptest.Loopback(t).Host(), Config{diverse: true})
	var wg sync.WaitGroup
	for i := range 12 {
		m := loopback(t, Config{}, fmt.Sprintf("/ip4/127.%d.0.1/tcp/0", i/6+1))
		wg.Go(func() {
			if err := node.Dial(within(t, 10*time.Second), bob.host, node.Loopback, infoOf(m.host)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := bob.Ready(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	groups := make(map[string]int)
	for _, p := range bob.kad.RoutingTable().ListPeers() {
		for _, c := range bob.host.Network().ConnsToPeer(p) {
			groups[strings.Split(c.RemoteMultiaddr().String(), ".")[1]]++
		}
	}
	for g, n := range groups {
		if n > perGroup {
			t.Errorf("%d peers of 127.%s", n, g)
		}
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		k    int
		mean float64
		want float64 // log10, by R: ppois(k-1, mean, lower.tail=FALSE, log.p=TRUE)/log(10)
	}{
		{1, 1, 0}, {1, 0.01, -2.00217}, {20, 1, -18.7994}, {10, 1, -6.95322}, {20, 10, -2.46191}, {5, 0.1, -7.11515},
	} {
		if got := poissonTail(c.k, c.mean); got-c.want > 0.01 || c.want-got > 0.01 {
			t.Errorf("P(X >= %d | %v) = 10^%v, want 10^%v", c.k, c.mean, got, c.want)
		}
	}
}

// Each source of ways in has its turn: a cache full of Eve's peers hides no other.
func TestWaysTakeTurns(t *testing.T) {
	bob := loopback(t, Config{})
	fill := func(n int) (is []peer.AddrInfo) {
		for range n {
			is = append(is, peer.AddrInfo{ID: newID(t)})
		}
		return is
	}
	bob.cfg.Last.Peers, bob.cfg.Bootstrap = fill(500), fill(2)
	bob.AddPeers(fill(100)...)
	bob.AddPeers(infoOf(bob.host))
	ways := bob.ways()
	if len(ways) != maxWays || len(bob.entry.added) != maxWays {
		t.Fatalf("%d ways of %d", len(ways), len(bob.entry.added))
	}
	found := 0
	for _, w := range ways[:6] {
		for _, b := range bob.cfg.Bootstrap {
			if w.ID == b.ID {
				found++
			}
		}
	}
	if found != 2 {
		t.Error("the ways given by hand come late")
	}
}
