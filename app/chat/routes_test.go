package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/circuit"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// joins has a relay be reached through those that there are, and they through it.
func (r *relay) joins(ctx context.Context, h host.Host) (routes func() []ma.Multiaddr, left func()) {
	if !r.w.private {
		return nil, func() {}
	}
	hop, err := circuit.NewHop(h, node.Public)
	r.w.check(err)
	holder := circuit.NewHolder(h, circuit.HolderConfig{Mode: node.Public, Find: func(context.Context, int) (list []peer.AddrInfo, err error) {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		for _, other := range r.w.running {
			list = append(list, other.info())
		}
		return list, nil
	}})
	var holding sync.WaitGroup
	holding.Go(func() { holder.Run(ctx) })
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.running = append(r.w.running, r)
	return holder.Addrs, func() {
		r.w.mu.Lock()
		r.w.running = slices.DeleteFunc(r.w.running, func(other *relay) bool { return other == r })
		r.w.mu.Unlock()
		holding.Wait()
		hop.Close()
	}
}

// inPrivate tells a story among relays that are reached through each other.
func inPrivate(t *testing.T, relays int, story func(w *world, relays []*relay)) {
	inWorld(t, func(w *world) {
		w.private = true
		var list []*relay
		for i := range relays {
			list = append(list, w.NewRelay(fmt.Sprint("relay ", i)))
		}
		for _, r := range list {
			r.Starts()
		}
		w.Advance(30 * time.Second)
		story(w, list)
	})
}

// ways waits until the person knows hops to each relay of another.
func (p *person) ways(other *person, relays int) {
	p.w.Helper()
	p.Awaits("to know ways to all relays", func() bool {
		n := 0
		for _, q := range p.theirQueues(other) {
			if _, circuits := splitPlaces(multiaddrs(q.Addrs)); len(circuits) > 0 {
				n++
			}
		}
		return n == relays
	})
}

// deposited are the deposits of a message, by relay.
func (p *person) deposited(id content.ID) (list map[string]api.Step) {
	p.w.Helper()
	steps, err := p.Trail(context.Background(), id.String())
	p.w.check(err)
	list = make(map[string]api.Step)
	for _, s := range steps {
		if s.What == api.StepDeposited {
			list[s.Peer] = s
		}
	}
	return list
}

// Alice's messages to Bob, who is away, go to his relays through relays that are none of
// his. No relay of his ever sees where she is, but those that are hers too.
func TestLeftThroughOtherRelays(t *testing.T) {
	inPrivate(t, 6, func(w *world, r []*relay) {
		alice, bob := w.Person("alice", r[0]), w.Person("bob", r[3], r[4], r[5])
		bob.Meets(alice)
		alice.ways(bob, 3)
		bob.Leaves()
		w.Advance(2 * time.Minute) // what came before is forgotten
		before := len(w.wires.from(alice.name))
		id := alice.Says(bob, "who saw me?")
		alice.Awaits("three receipts", func() bool { return len(alice.deposited(id)) == 3 })
		for at, s := range alice.deposited(id) {
			if s.Via == "" || s.Proof != api.ProofGood || slices.ContainsFunc(r[3:], func(b *relay) bool { return b.id().String() == s.Via }) {
				t.Errorf("left at %s: %+v", at, s)
			}
		}
		for _, to := range w.wires.from(alice.name)[before:] {
			if slices.ContainsFunc(r[3:], func(b *relay) bool { return b.name == to }) {
				t.Errorf("alice dialled %s", to)
			}
		}
		bob.Returns()
		bob.Reads(alice, "who saw me?")
		alice.Sees(id, api.Delivered)
	})
}

// While no other relay leads to Bob's, what is for it waits a little, and then goes
// straight, as the trail says. When one leads there again, it is used.
func TestWhereNoOtherRelayLeads(t *testing.T) {
	inPrivate(t, 3, func(w *world, r []*relay) {
		alice, bob := w.Person("alice", r[0]), w.Person("bob", r[2])
		bob.Meets(alice)
		alice.ways(bob, 1)
		bob.Leaves()
		alice.Leaves()
		for _, hop := range r[:2] { // they reach Bob's relay no more, and it has nobody else
			w.wires.setCut(hop.name, r[2].name, true)
		}
		w.Advance(time.Minute)
		began := time.Now() // what she tells of herself waits too
		alice.Returns()
		id := alice.Says(bob, "by any way")
		alice.Sees(id, api.Kept)
		if took := time.Since(began); took < routePatience || took > 4*routePatience {
			t.Errorf("it went straight after %s", took)
		}
		if s := alice.deposited(id)[r[2].id().String()]; s.Via != "" {
			t.Errorf("it went through %s, which leads nowhere", s.Via)
		}
		for _, hop := range r[:2] {
			w.wires.setCut(hop.name, r[2].name, false)
		}
		w.Advance(straightFor + 5*time.Minute)
		id = alice.Says(bob, "and so again")
		alice.Sees(id, api.Kept)
		if s := alice.deposited(id)[r[2].id().String()]; s.Via == "" {
			t.Errorf("it went straight though others lead there: %+v", s)
		}
		bob.Returns()
		bob.Reads(alice, "by any way", "and so again")
	})
}

// The hops that Alice was told of all end while Bob is away. Other relays have taken
// their place; she learns of them from Bob's relay itself, and goes on through these.
func TestHopsThatChange(t *testing.T) {
	inPrivate(t, 4, func(w *world, r []*relay) {
		alice, bob := w.Person("alice", r[0]), w.Person("bob", r[0])
		bob.Meets(alice)
		alice.ways(bob, 1)
		bob.Leaves()
		alice.Leaves()
		for _, hop := range r[1:4] {
			hop.Stops()
		}
		for i := range 3 {
			w.Relay(fmt.Sprint("new ", i))
		}
		w.Advance(15 * time.Minute) // until it has looked for others
		alice.Returns()
		first := alice.Says(bob, "one")
		alice.Sees(first, api.Kept)
		if s := alice.deposited(first)[r[0].id().String()]; s.Via != "" {
			t.Errorf("it went through %s, which is gone", s.Via)
		}
		second := alice.Says(bob, "two")
		alice.Sees(second, api.Kept)
		s := alice.deposited(second)[r[0].id().String()]
		if i := slices.IndexFunc(w.relays, func(n *relay) bool { return n.id().String() == s.Via }); i < 0 || !strings.HasPrefix(w.relays[i].name, "new") {
			t.Errorf("it did not go through one of the new relays: %+v", s)
		}
		bob.Returns()
		bob.Reads(alice, "one", "two")
		// Bob has heard too, and tells: but once, not for each of them.
		bob.Awaits("his contacts to know", func() bool { return bob.waiting() == 0 })
		alice.ways(bob, 1)
	})
}

// Somebody who has private routing off goes straight, and learns no ways.
func TestWithoutPrivateRouting(t *testing.T) {
	inPrivate(t, 3, func(w *world, r []*relay) {
		bob := w.Person("bob", r[2])
		w.private = false
		alice := w.Person("alice", r[0])
		bob.Meets(alice)
		alice.ways(bob, 1)
		bob.Leaves()
		id := alice.Says(bob, "straight")
		alice.Sees(id, api.Kept)
		if s := alice.deposited(id)[r[2].id().String()]; s.Via != "" {
			t.Errorf("it went through %s", s.Via)
		}
	})
}

// A round leaves no more over one circuit than it carries, but at the least one message.
func TestWhatACircuitCarries(t *testing.T) {
	large := make([]byte, mailbox.CellLarge-mailbox.CellOverhead)
	due := make([]*parcel, 1000)
	for i := range due {
		due[i] = &parcel{wire: large}
	}
	for _, c := range []struct {
		via     peer.ID
		carried int
		want    int
	}{
		{"", 0, len(due)}, {"hop", 0, circuitRound / mailbox.CellLarge}, {"hop", circuitRound / 2, circuitRound / 2 / mailbox.CellLarge}, {"hop", 2 * circuitRound, 1},
	} {
		l := link{via: c.via, carried: c.carried}
		if got := l.fits(due); len(got) != c.want || c.via != "" && l.carried != c.carried+c.want*mailbox.CellLarge {
			t.Errorf("%d bytes after %d: %d messages fit, want %d", l.carried, c.carried, len(got), c.want)
		}
	}
}

// Which hop is tried first.
func TestOrderOfHops(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice := w.Person("alice", oak)
		info := func(name string, ip string) peer.AddrInfo {
			return peer.AddrInfo{ID: peer.ID(name), Addrs: []ma.Multiaddr{ma.StringCast("/ip4/" + ip + "/tcp/1")}}
		}
		target, theirs := info("target", "9.1.1.1"), info("theirs", "9.1.2.1")
		corner, other, mine := info("corner", "9.1.1.2"), info("other", "9.1.3.1"), peer.AddrInfo{ID: oak.id(), Addrs: oak.info().Addrs}
		list := []place{{relay: target, hops: []peer.AddrInfo{theirs, corner, other, mine}}, {relay: theirs}}
		alice.View(func(tx *store.Tx) error { return alice.orderHops(tx, alice.device.Public(), list) })
		var got []peer.ID
		for _, h := range list[0].hops {
			got = append(got, h.ID)
		}
		if want := []peer.ID{mine.ID, other.ID, corner.ID, theirs.ID}; !slices.Equal(got, want) {
			t.Errorf("hops are tried in the order %s, want %s", got, want)
		}
	})
}
