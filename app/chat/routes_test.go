package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
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

// reached says whether somebody dialled one of the relays since they had dialled so many.
func (p *person) reached(since int, relays ...*relay) bool {
	return slices.ContainsFunc(p.w.wires.from(p.name)[since:], func(to string) bool {
		return slices.ContainsFunc(relays, func(r *relay) bool { return r.name == to })
	})
}

// flights are the steps of a message's trail that left it, or tried to, as a first flight.
func (p *person) flights(id content.ID) []api.Step {
	p.w.Helper()
	return slices.DeleteFunc(p.steps(id), func(s api.Step) bool { return s.Path != string(store.PathFlight) || s.Reason != "" })
}

// Alice accepts what Bob, who is away, invites by: a single-use invitation, or an address for
// strangers. His relays see neither where she fetches his notice from, nor where her first
// words come from.
func TestFirstContactThroughOtherRelays(t *testing.T) {
	for _, kind := range []byte{identity.Single, identity.Reusable} {
		inPrivate(t, 6, func(w *world, r []*relay) {
			for _, bobs := range r[3:] {
				bobs.Stops()
				bobs.Work = 1
				bobs.Starts()
			}
			w.Advance(30 * time.Second)
			alice, bob := w.Person("alice", r[0]), w.Person("bob", r[3:]...)
			w.Advance(10 * time.Second) // Bob learns through whom his relays are reached
			id, err := bob.Invite(w.Context(), kind, 0)
			w.check(err)
			link := bob.link(id)
			if kind == identity.Single && len(link) > 700 {
				t.Errorf("the link has %d characters", len(link))
			}
			bob.Leaves()
			before := len(w.wires.from(alice.name))
			met, err := alice.Accept(w.Context(), link, "bob", "who saw me?")
			if err != nil || len(met.SeenBy) > 0 {
				t.Fatal(met, err)
			}
			said := alice.said(bob)
			alice.Awaits("three receipts", func() bool { return len(alice.flights(said)) == 3 })
			for _, s := range alice.flights(said) {
				if s.Via == "" || s.Proof != api.ProofGood || slices.ContainsFunc(r[3:], func(b *relay) bool { return b.id().String() == s.Via }) {
					t.Errorf("left so: %+v", s)
				}
			}
			if alice.reached(before, r[3:]...) {
				t.Errorf("alice dialled %v", w.wires.from(alice.name)[before:])
			}
			bob.Returns()
			if kind == identity.Reusable {
				bob.IsAsked(alice)
				bob.Admits(alice)
			}
			bob.Reads(alice, "who saw me?")
			alice.Sees(said, api.Delivered)
		})
	}
}

// The others that led to Bob's relay when he made the invitation are gone when Alice accepts
// it. She is told that his relay saw where she is; or, if it never may, why she has to wait.
func TestFirstContactWhereNoOtherRelayLeads(t *testing.T) {
	inPrivate(t, 3, func(w *world, r []*relay) {
		alice, carol, bob := w.Person("alice", r[0]), w.NewPerson("carol", r[0]), w.Person("bob", r[2])
		w.Advance(10 * time.Second)
		first, second := bob.Invites(), bob.Invites()
		bob.Leaves()
		for _, hop := range r[:2] {
			w.wires.setCut(hop.name, r[2].name, true)
		}
		w.Advance(time.Minute)
		met, err := alice.Accept(w.Context(), first, "bob", "by any way")
		if err != nil || !slices.Equal(met.SeenBy, []peer.ID{r[2].id()}) {
			t.Errorf("accepting says %+v, %v", met, err)
		}
		alice.Awaits("a receipt", func() bool { return len(alice.flights(alice.said(bob))) == 1 })
		if s := alice.flights(alice.said(bob))[0]; s.Via != "" {
			t.Errorf("it went through %s, which leads nowhere", s.Via)
		}
		w.strict = true
		carol.Returns()
		before := len(w.wires.from(carol.name))
		if _, err := carol.Accept(w.Context(), second, "bob", "by no way"); !errors.Is(err, problem.NoOtherRelay) {
			t.Errorf("accepting where nothing may go straight: %v", err)
		}
		if carol.reached(before, r[2]) {
			t.Error("carol dialled bob's relay")
		}
		for _, hop := range r[:2] {
			w.wires.setCut(hop.name, r[2].name, false)
		}
		w.Advance(15 * time.Minute) // until it has reserved again
		carol.Accepts(bob, second, "through others")
		carol.Awaits("a receipt", func() bool { return len(carol.flights(carol.said(bob))) == 1 })
		if carol.reached(before, r[2]) {
			t.Error("carol dialled bob's relay")
		}
	})
}

// Where nothing may go straight a message waits for another relay that leads there, for as
// long as it takes, and its reason says so.
func TestNeverStraight(t *testing.T) {
	inPrivate(t, 3, func(w *world, r []*relay) {
		w.strict = true
		alice, bob := w.Person("alice", r[0]), w.Person("bob", r[2])
		w.Advance(10 * time.Second)
		bob.Meets(alice)
		alice.ways(bob, 1)
		bob.Leaves()
		alice.Leaves()
		for _, hop := range r[:2] {
			w.wires.setCut(hop.name, r[2].name, true)
		}
		w.Advance(time.Minute)
		alice.Returns()
		before := len(w.wires.from(alice.name))
		id := alice.Says(bob, "by no way")
		w.Advance(2 * straightFor)
		if sent := alice.state(id); sent.State != api.Queued || !strings.Contains(sent.Reason, string(problem.NoOtherRelay)) {
			t.Errorf("it is %s: %s", sent.State, sent.Reason)
		}
		if n := len(alice.steps(id)); n != 3 { // queued, why not, and how it is
			t.Errorf("its trail has %d steps: %+v", n, alice.steps(id))
		}
		for _, hop := range r[:2] {
			w.wires.setCut(hop.name, r[2].name, false)
		}
		w.Advance(4 * relayLast) // until it has reserved again, and she has tried again
		alice.Sees(id, api.Kept)
		if s := alice.deposited(id)[r[2].id().String()]; s.Via == "" || alice.reached(before, r[2]) {
			t.Errorf("it went straight: %+v", s)
		}
	})
}

// Bob's relay says each time that it is reached through others than before, and has him ask
// often. He does not write to his contacts as often.
func TestARelayThatChangesItsMind(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		var asked atomic.Int64
		oak.Routes = func() (list []ma.Multiaddr) {
			for range node.MaxHops {
				other := w.NewRelay("nobody")
				list = append(list, node.CircuitAddrs(other.info())...)
			}
			asked.Add(1)
			return list
		}
		oak.Starts()
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		bob.Meets(alice)
		alice.Leaves()
		told := make(map[string]bool)
		for range 50 {
			oak.Stops()
			oak.Starts()
			w.Advance(boxHeld + 5*time.Second) // or he comes back ever less often
			bob.View(func(tx *store.Tx) error {
				r, err := tx.Relay(store.PeerID(oak.id()))
				told[fmt.Sprint(r.Routes)] = true
				return err
			})
		}
		if n := asked.Load(); n < 20 || len(told) > 2 {
			t.Errorf("asked %d times, bob told of %d ways", n, len(told))
		}
		w.Advance(retellRoutes + routesLast)
		bob.View(func(tx *store.Tx) error {
			r, err := tx.Relay(store.PeerID(oak.id()))
			if told[fmt.Sprint(r.Routes)] {
				t.Error("an hour later bob has told of no others")
			}
			return err
		})
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
