package node

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"
)

// guarded is a relay's Guard, and who comes to it.
type guarded struct {
	*Guard
	t    *testing.T
	keep *keeper
	n    int
}

// guest is somebody who came.
type guest struct {
	*Visitor
	out bool // its connection was ended to make room
}

// keeper is a connection manager that only knows whom it is to keep.
type keeper struct {
	connmgr.NullConnMgr
	kept map[string]bool
}

func (k *keeper) Protect(_ peer.ID, tag string)        { k.kept[tag] = true }
func (k *keeper) Unprotect(_ peer.ID, tag string) bool { delete(k.kept, tag); return false }

func guard(t *testing.T, b Bounds) *guarded {
	k := &keeper{kept: make(map[string]bool)}
	return &guarded{Guard: newGuard(new(network.NullResourceManager), b, k), t: t, keep: k}
}

// comes is a connection from an address; nil if it was turned away.
func (g *guarded) comes(ip string) *guest {
	g.t.Helper()
	c, err := g.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/"+ip+"/tcp/4001"))
	if err != nil {
		return nil
	}
	v := &guest{Visitor: c.(*Visitor)}
	v.closes(func() { v.out = true; v.Done() })
	return v
}

// greets is one that says who it is.
func (g *guarded) greets(ip string) *guest {
	g.t.Helper()
	v := g.comes(ip)
	if v != nil {
		g.n++
		if err := v.SetPeer(peer.ID(fmt.Sprint("peer ", g.n))); err != nil {
			g.t.Fatal(err)
		}
	}
	return v
}

// empty says that nothing is counted once all have gone.
func (g *guarded) empty() {
	g.t.Helper()
	if g.total+g.visitors+g.streams+g.greeting+len(g.groups)+len(g.corners)+len(g.peers)+len(g.proven)+len(g.keep.kept) != 0 {
		g.t.Errorf("all have gone, but there are %d connections of %d groups, %d strangers of %d corners with %d streams, %d who greet, %d peers, %d kept",
			g.total, len(g.groups), g.visitors, len(g.corners), g.streams, g.greeting, len(g.peers), len(g.keep.kept))
	}
}

// Mallory opens connections and says nothing. Her group is full, others are not, and after
// two seconds she makes room for her neighbours.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 16, Rate: 100})
		var silent []*guest
		for i := range 4 {
			silent = append(silent, g.comes(fmt.Sprintf("10.0.0.%d", i)))
		}
		if g.comes("10.0.0.9") != nil {
			t.Error("a quarter of a group's connections may be strangers', and one more came")
		}
		bob := g.greets("10.0.1.1")
		if bob == nil {
			t.Fatal("Bob, of another group, is turned away")
		}
		time.Sleep(greetGrace)
		anna := g.greets("10.0.0.200")
		if anna == nil || !silent[0].out || silent[1].out {
			t.Error("nobody made room for a neighbour who greets")
		}
		if silent[0].SetPeer("late") == nil {
			t.Error("who made room goes on")
		}
		far := &net.UDPAddr{IP: net.IPv4(10, 5, 0, 1), Port: 1}
		if g.VerifySourceAddress(far) {
			t.Error("three handshakes are under way, and who comes over UDP has to prove where it is")
		}
		for i := range freelyGreeted {
			silent = append(silent, g.comes(fmt.Sprintf("10.0.%d.1", 10+i)))
		}
		if !g.VerifySourceAddress(far) {
			t.Error("a forged address would take the place of somebody")
		}
		for _, v := range append(silent, anna, bob) {
			v.Done()
			v.Done() // as libp2p does
		}
		g.empty()
		if n := g.Turned(); n.Group != 1 || n.Displaced != 1 || n.Connections() != 2 {
			t.Errorf("counted as %+v", n)
		}
	})
}

// Bob logged in before Mallory, who shares his provider, floods it: he stays, and comes back as he
// likes for a day, while strangers there take their turns.
func TestWhoProvedSomethingStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 16, Rate: 1000})
		bob := g.greets("10.0.0.1")
		bob.Prove()
		if !g.keep.kept[bob.tag] {
			t.Error("the connection manager may close Bob's")
		}
		for range 100 {
			g.greets("10.0.0.66")
			time.Sleep(time.Second)
		}
		phone := g.comes("10.0.0.1")
		if bob.out || phone == nil {
			t.Error("Bob was pushed out, or his telephone cannot come in")
		}
		for range 15 { // his house is full of what has proved nothing, too
			g.greets("10.0.0.1")
		}
		if g.total > 16 {
			t.Errorf("%d connections from one group", g.total)
		}
		time.Sleep(knownTime)
		if again := g.comes("10.0.0.1"); again == nil || again.key != again.group {
			t.Error("after a day Bob's address is not one among others")
		}
	})
}

// Mallory has one box with a lease, which took her a second, and logs in to it from eight addresses in as many groups, over as many
// connections as each may have: all that there are. Whoever comes from elsewhere gets in all the same, and so does
// her neighbour; who has what others have is left alone.
func TestOneBoxIsNotEnoughForAllConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 8, Rate: 1000})
		bob := g.greets("10.9.0.1")
		bob.Prove()
		flood := make(map[int][]*guest)
		for i := range 8 {
			for range 8 {
				if v := g.greets(fmt.Sprintf("10.0.%d.1", i)); v != nil {
					v.Prove()
					flood[i] = append(flood[i], v)
				}
			}
		}
		if g.total != 64 || len(flood[7]) != 7 {
			t.Fatalf("%d connections, %d of the last group", g.total, len(flood[7]))
		}
		anna := g.greets("10.8.0.1")
		if anna == nil || g.total != 64 {
			t.Fatalf("Anna, from elsewhere: %v, %d connections", anna, g.total)
		}
		neighbour := g.greets("10.0.0.2")
		if neighbour == nil {
			t.Fatal("who lives beside the flood does not get in")
		}
		if g.groups[GroupOf(ma.StringCast("/ip4/10.0.0.1/tcp/1"))] > 8 {
			t.Error("and the group has more than its part")
		}
		outs := 0
		for _, of := range flood {
			for _, v := range of {
				if v.out {
					outs++
				}
			}
		}
		if bob.out || anna.out || outs != 2 {
			t.Errorf("Bob had to go: %v; Anna: %v; %d of the flood", bob.out, anna.out, outs)
		}
		if again := g.greets("10.0.3.1"); again != nil {
			t.Error("one more of the flood got in, in the place of others who have as many")
		}
		for _, of := range flood {
			for _, v := range of {
				v.Done()
			}
		}
		for _, v := range []*guest{anna, bob, neighbour} {
			v.Done()
		}
		g.empty()
	})
}

// A botnet has an address in each of many groups. Who comes from one where few are gets in, and it is
// the fullest group that makes room.
func TestManyGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 64, Rate: 1000})
		var first *guest
		for i := range 64 { // half of them get in
			if v := g.greets(fmt.Sprintf("10.0.%d.1", i%4)); i == 1 {
				first = v
			}
		}
		if g.visitors != 32 {
			t.Fatalf("%d strangers, want half of 64", g.visitors)
		}
		one := g.greets("10.0.1.9") // now group 1 has most
		if one != nil {
			t.Error("all are young, and still somebody made room")
		}
		anna := g.greets("10.8.8.8")
		if anna != nil {
			t.Error("a stranger was let in, too")
		}
		anna8 := ma.StringCast("/ip4/10.8.8.8/tcp/1")
		g.known.remember(GroupOf(anna8), addressOf(anna8), time.Now()) // as who proved something yesterday
		if anna = g.greets("10.8.8.8"); anna == nil {
			t.Fatal("Anna's address is known, and there is no room for her")
		}
		anna.Done()
		time.Sleep(proveGrace)
		bob := g.greets("10.9.9.9")
		if bob == nil || g.visitors != 32 {
			t.Fatalf("Bob from a quiet group: %v, %d strangers", bob, g.visitors)
		}
		bob.Prove()
		if g.visitors != 31 {
			t.Error("Bob counts as a stranger")
		}
		for range 500 {
			g.greets(fmt.Sprintf("10.0.%d.1", rand.IntN(4)))
			time.Sleep(100 * time.Millisecond)
		}
		if bob.out || !first.out {
			t.Errorf("Bob was pushed out: %v; who was there first and proved nothing: %v", bob.out, first.out)
		}
	})
}

// Connections, and what is done with them, have their rates.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 4000, Group: 4000, Rate: 1})
		begun := func(ip string, tries int) (n int) {
			for range tries {
				if g.greets(ip) != nil {
					n++
				}
			}
			return n
		}
		bob := g.greets("10.0.1.1")
		bob.Prove()
		if n := begun("10.0.0.1", 100); n != 15 { // 16 of all, and Bob was one
			t.Errorf("%d at once", n)
		}
		time.Sleep(4 * time.Second) // 4 of her group
		if n := begun("10.0.0.1", 100); n != 4 {
			t.Errorf("%d four seconds later", n)
		}
		for i := range 20 {
			begun(fmt.Sprintf("10.1.%d.1", i), 10)
		}
		if n := begun("10.2.0.1", 10); n != 0 {
			t.Errorf("%d more though all strangers together have had theirs", n)
		}
		if n := begun("10.0.1.1", 30); n != 16 { // Bob's own
			t.Errorf("%d of Bob's devices", n)
		}

		count := func(v *guest, a Act) (n int) {
			for range 10_000 {
				if v.May(a, 1) {
					n++
				}
			}
			return n
		}
		mallory, twin := g.greets("10.0.1.1"), bob // of one address
		if mallory != nil {
			t.Fatal("one more than there may be")
		}
		time.Sleep(time.Minute)
		mallory = g.greets("10.0.1.1")
		// Bob's address is known, so what all strangers do together does not concern her.
		for a, want := range map[Act]int{Login: 1 + 16, Deposit: 8 + 128, Request: 32 + 1024} {
			if n := count(mallory, a); n != want {
				t.Errorf("act %d: %d at once, want %d", a, n, want)
			}
		}
		if n := count(twin, Login); n != 1 {
			t.Errorf("who shares a house with a flood has %d logins of its own, want 1", n)
		}
		time.Sleep(10 * time.Second)
		if n := count(mallory, Login); n != 10 {
			t.Errorf("%d logins ten seconds later", n)
		}
		crowd := 0
		for i := range 8 {
			crowd += count(g.greets(fmt.Sprintf("10.3.%d.1", i)), Request)
		}
		if want := 8*included[Request] + 64*allBurst; crowd != want {
			t.Errorf("%d requests of eight groups, want %d: of all strangers together", crowd, want)
		}
		if n := g.Turned(); n.LoginRate == 0 || n.DepositRate == 0 || n.Slowed == 0 || n.Rate == 0 {
			t.Errorf("counted as %+v", n)
		}
		var nobody *Visitor
		nobody.Prove()
		if !nobody.May(Login, 1) {
			t.Error("a host without bounds has some")
		}
	})
}

// Mallory's box is known at two hundred addresses, and from each she asks as much as one may. Bob is known, too, and asks a little
// every second, as people do: he need not wait, and what she gets is a small part of what so many might.
func TestOneBoxAtManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 4000, Group: 4000, Rate: 8})
		known := func(ip string) *guest {
			v := g.greets(ip)
			if v == nil {
				t.Fatal("who comes one by one is turned away")
			}
			v.Prove()
			time.Sleep(time.Second)
			return v
		}
		bob := known("10.9.0.1")
		var flood []*guest
		for i := range 200 {
			flood = append(flood, known(fmt.Sprintf("10.0.%d.1", i)))
		}
		got := make(map[Act]int)
		for range 20 { // seconds
			for _, v := range flood {
				for range 40 {
					for a, n := range map[Act]int{Request: 64, Deposit: 1, Login: 1} {
						if v.May(a, n) {
							got[a] += n
						}
					}
				}
				v.pause(64 << 10)
			}
			for range 8 {
				if !bob.May(Request, 1) {
					t.Fatal("Bob waits for what Mallory asks")
				}
			}
			if !bob.May(Deposit, 2) {
				t.Fatal("Bob's deposits wait for Mallory's")
			}
			if wait := bob.pause(16 << 10); wait != 0 {
				t.Errorf("Bob waits %v for the bytes that Mallory sends", wait)
			}
			time.Sleep(time.Second)
		}
		for a, n := range got {
			// What is included, the sure parts, and what eight groups may; of large requests no sure part.
			most := 200*included[a] + int(perConnect[a]*8*(crowd*(20+allBurst)+200*(20+sureBurst)/sureShare))
			if a == Request {
				most = int(perConnect[a] * 8 * crowd * (20 + allBurst))
			}
			if n > most || n < most/4 {
				t.Errorf("act %d: Mallory had %d, and %d is the most", a, n, most)
			}
		}
	})
}

// Bytes that are poured in, whatever is in them, are taken as fast as a group of addresses may, and all strangers
// together; what a stranger needs goes at once, and so does all that is of a known address.
func TestBytesThatArePouredIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 4000, Group: 4000, Rate: 1})
		pours := func(v *guest, bytes int) (took time.Duration) {
			began := time.Now()
			for ; bytes > 0; bytes -= 64 << 10 {
				time.Sleep(v.pause(min(bytes, 64<<10)))
			}
			return time.Since(began)
		}
		bob := g.greets("10.0.1.1")
		bob.Prove()
		const mib = 1 << 20
		mallory := g.greets("10.0.0.1")
		if took := pours(mallory, 62*mib); took < 59*time.Second || took > 61*time.Second { // a burst for two seconds of all strangers'
			t.Errorf("Mallory poured in 62 MiB in %v, of 1 MiB a second", took)
		}
		anna, twin := g.greets("10.0.0.2"), g.greets("10.0.0.1")
		if took := pours(anna, 192<<10); took != 0 {
			t.Errorf("a neighbour waits %v for what everybody may", took)
		}
		if took := pours(bob, 15*mib); took != 0 {
			t.Errorf("Bob, who is known, waits %v beside strangers", took)
		}
		if took := pours(bob, 60*mib); took < 50*time.Second {
			t.Errorf("Bob alone: 60 MiB more in %v", took)
		}
		crowd := []*guest{mallory, twin}
		for i := range 8 {
			crowd = append(crowd, g.greets(fmt.Sprintf("10.3.%d.1", i)))
		}
		began := time.Now()
		var pouring sync.WaitGroup
		for _, v := range crowd {
			pouring.Go(func() { pours(v, 4*mib) })
		}
		pouring.Wait()
		if took := time.Since(began); took < 25*time.Second { // 40 MiB, of 1 MiB a second, of which 2.5 are included and some were left
			t.Errorf("ten strangers poured in 40 MiB in %v", took)
		}
		if g.Turned().Paused == 0 {
			t.Error("nobody counts that")
		}
	})
}

// A connection that rests for the bytes that went over it ends at once when it is closed.
func TestAPausedConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 64, Rate: 1})
		v := g.greets("10.0.0.1")
		here, there := net.Pipe()
		c := newPaced(piped{here}, v.Visitor)
		go func() {
			b := make([]byte, 1<<20)
			for {
				if _, err := there.Write(b); err != nil {
					return
				}
			}
		}()
		read := make(chan int)
		go func() {
			b, n := make([]byte, 1<<20), 0
			for {
				m, err := c.Read(b)
				if n += m; err != nil {
					read <- n
					return
				}
			}
		}()
		time.Sleep(30 * time.Second)
		began := time.Now()
		c.Close()
		if n := <-read; time.Since(began) != 0 || n < 16<<20 || n > 48<<20 {
			t.Errorf("%d bytes in half a minute, and the end took %v", n, time.Since(began))
		}
		there.Close()
		if err := c.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	})
}

// piped is a pipe as a connection of libp2p.
type piped struct{ net.Conn }

func (piped) LocalMultiaddr() ma.Multiaddr  { return nil }
func (piped) RemoteMultiaddr() ma.Multiaddr { return nil }

// Streams that are held open: a stranger has sixteen, and who has most makes room.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 64, Rate: 1000})
		open := func(v *guest) network.StreamManagementScope {
			s, err := g.OpenStream(v.peer, network.DirInbound)
			if err != nil {
				return nil
			}
			return s
		}
		mallory, anna, bob := g.greets("10.0.0.1"), g.greets("10.0.0.2"), g.greets("10.0.1.1")
		bob.Prove()
		n := 0
		for range 30 {
			if open(mallory) != nil {
				n++
			}
		}
		if n != visitorStreams {
			t.Errorf("Mallory has %d streams", n)
		}
		more := []*guest{g.greets("10.0.2.1"), g.greets("10.0.3.1")}
		for range 16 {
			open(more[0])
		}
		if open(anna) != nil { // 32 of 64 are open, all of them fresh
			t.Error("one stream more than strangers may have")
		}
		for range 20 {
			if open(bob) == nil {
				t.Fatal("Bob is no stranger")
			}
		}
		time.Sleep(proveGrace)
		s := open(anna)
		if s == nil || !mallory.out && !more[0].out || anna.out {
			t.Fatal("nobody made room for one stream")
		}
		s.Done()
		s.Done()
		left := g.streams
		anna.Prove()
		if open(anna); g.streams != left {
			t.Error("the stream of who proved something is a stranger's")
		}
		for _, v := range []*guest{mallory, anna, bob, more[0], more[1]} {
			v.Done()
		}
		g.empty()
	})
}

// Mallory opens streams and resets them, as fast as it goes, on a connection with which she proved something and on one with which she did not. Each
// that is refused costs the relay something, so both end; Bob, who is refused some as well and waits, stays.
func TestWhoGoesOnOpeningStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 64, Rate: 1})
		opens := func(v *guest) error {
			s, err := g.OpenStream(v.peer, network.DirInbound)
			if err == nil {
				s.Done()
			}
			return err
		}
		mallory, owner, bob := g.greets("10.0.0.1"), g.greets("10.0.1.1"), g.greets("10.0.2.1")
		owner.Prove()
		for _, v := range []*guest{mallory, owner} {
			n := 0
			for !v.out {
				if opens(v); n > 1000 {
					t.Fatal("a connection on which 1,000 streams were opened and reset goes on")
				}
				n++
			}
		}
		refused := 0
		for range 1000 {
			if opens(bob) != nil {
				refused++
				time.Sleep(time.Second / refusedRate)
			}
		}
		if bob.out || refused < 100 {
			t.Errorf("Bob, who was refused %d streams and waited after each, was sent away: %v", refused, bob.out)
		}
		if n := g.Turned().Ended; n != 2 {
			t.Errorf("%d connections were ended", n)
		}
		bob.Done()
		g.empty()
	})
}

// Mallory serves the DHT, so the relay calls her, and she opens streams on that connection without end; a hop, which it called too, brings it as many
// circuits as it may. She is sent away, the hop is not, and neither takes the place of somebody who comes.
func TestWhomTheRelayCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 64, Group: 64, Rate: 8})
		calls := func(ip string) *guest {
			c, err := g.OpenConnection(network.DirOutbound, true, ma.StringCast("/ip4/"+ip+"/tcp/4001"))
			if err != nil {
				t.Fatal(err)
			}
			v := &guest{Visitor: c.(*Visitor)}
			v.closes(func() { v.out = true; v.Done() })
			if err := v.SetPeer(peer.ID("peer " + ip)); err != nil {
				t.Fatal(err)
			}
			return v
		}
		mallory, hop := calls("10.0.0.1"), calls("10.0.1.1")
		var circuits []network.StreamManagementScope
		for range MaxCircuits {
			s, err := g.OpenStream(hop.peer, network.DirInbound)
			if err != nil {
				t.Fatalf("after %d circuits: %v", len(circuits), err)
			}
			circuits = append(circuits, s)
		}
		for n := 0; !mallory.out; n++ {
			if s, err := g.OpenStream(mallory.peer, network.DirInbound); err == nil {
				s.Done()
			}
			if n > 10_000 {
				t.Fatal("10,000 streams were opened and reset, and the connection goes on")
			}
		}
		hop.Prove() // by what comes over it nobody becomes known
		if hop.out || hop.Proved() || g.total != 0 || g.known.n != 0 {
			t.Errorf("the hop was sent away: %v; %d visitors, %d known", hop.out, g.total, g.known.n)
		}
		for _, s := range circuits {
			s.Done()
		}
		hop.Done()
		g.empty()
	})
}

// Who comes over TCP or QUIC is known as a visitor as long as it is there, and both can be sent away.
func TestVisitorsOverBoth(t *testing.T) {
	n, err := New(Config{Mode: Loopback, Circuits: true, Bounds: Bounds{Connections: 64, Group: 64, Rate: 100}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	until := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for late := time.After(20 * time.Second); ; {
			n.guard.mu.Lock()
			done := ok()
			n.guard.mu.Unlock()
			if done {
				return
			}
			select {
			case <-late:
				t.Fatal("waited in vain for " + what)
			case <-tick.C:
			}
		}
	}
	for _, a := range n.Host().Addrs() {
		if allowedCircuit(Loopback, a) {
			continue
		}
		guest, err := New(Config{Mode: Loopback, mute: true})
		if err != nil {
			t.Fatal(err)
		}
		defer guest.Close()
		if err := guest.Dial(t.Context(), peer.AddrInfo{ID: n.Host().ID(), Addrs: []ma.Multiaddr{a}}); err != nil {
			t.Fatal(err)
		}
		id := guest.Host().ID()
		until("the visitor of "+a.String(), func() bool {
			return len(n.guard.peers[id]) == 1 && n.guard.peers[id][0].close != nil && len(n.Host().Network().ConnsToPeer(id)) == 1
		})
		n.guard.mu.Lock()
		v := n.guard.peers[id][0]
		n.guard.mu.Unlock()
		if VisitorOf(n.Host().Network().ConnsToPeer(id)[0]) != v {
			t.Errorf("%s: the connection is not that of the visitor", a)
		}
		v.Prove()
		if !n.Host().ConnManager().IsProtected(id, v.tag) {
			t.Errorf("%s: who proved something may be closed", a)
		}
		v.close()
		until("the end of it", func() bool { return len(n.guard.peers) == 0 && n.guard.total == 0 })
		if n.Host().ConnManager().IsProtected(id, "") {
			t.Errorf("%s: who has gone is kept", a)
		}
	}
}

// Attack 27: somebody comes with many addresses and goes. The relay keeps some of them, not all, however many come so.
func TestAddressesOfWhoHasGone(t *testing.T) {
	n, err := New(Config{Mode: Loopback, Circuits: true, Bounds: Bounds{Connections: 64, Group: 64, Rate: 100}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var many []string
	for i := range 3 * keptAfter {
		many = append(many, fmt.Sprintf("/ip4/127.0.0.%d/tcp/0", i+1))
	}
	guest, err := New(Config{Mode: Loopback, Listen: many})
	if err != nil {
		t.Skip("this system has one address on loopback: ", err)
	}
	defer guest.Close()
	if err := guest.Dial(t.Context(), peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()}); err != nil {
		t.Fatal(err)
	}
	known := func() int { return len(n.Host().Peerstore().Addrs(guest.Host().ID())) }
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	until := func(what string, ok func(known int) bool) {
		t.Helper()
		for !ok(known()) {
			select {
			case <-late:
				t.Fatalf("%d addresses are known %s", known(), what)
			case <-tick.C:
			}
		}
	}
	until("while it is there", func(known int) bool { return known >= len(many) })
	guest.Host().Network().ClosePeer(n.Host().ID())
	until("when it has gone", func(known int) bool { return known == keptAfter })
}

// Junk in the form of QUIC's first packets, from as many addresses as one likes: a few are taken for beginnings, the others
// are asked to show that they are where they say, which costs nothing to keep. Bob comes in over QUIC meanwhile.
func TestHalfOpenOverQUIC(t *testing.T) {
	bounds := Bounds{Connections: 256, Group: 64, Rate: 100}
	n, err := New(Config{Mode: Loopback, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, Circuits: true, Bounds: bounds})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	at, err := manet.ToNetAddr(n.ListenAddrs()[0][:2])
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1200)
	copy(first, []byte{0xc0, 0, 0, 0, 1, 8}) // long header, Initial, version 1, 8 bytes of connection id
	first[14] = 8                            // and 8 of the sender's
	copy(first[24:], []byte{0x44, 0x96})     // 1,174 bytes follow
	rnd := rand.New(rand.NewPCG(7, 0))
	for i := range 64 {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i), 1}), 0)))
		if err != nil {
			t.Skip("this system has no addresses of several groups on loopback: ", err)
		}
		defer c.Close()
		for range 4 {
			binary.BigEndian.PutUint64(first[6:], rnd.Uint64())
			if _, err := c.WriteTo(first, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	guest, err := New(Config{Mode: Loopback, mute: true})
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	if err := guest.Dial(t.Context(), peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()}); err != nil {
		t.Errorf("Bob does not get in beside them: %v", err)
	}
	n.guard.mu.Lock()
	defer n.guard.mu.Unlock()
	if g := n.guard.greeting; g == 0 || g > freelyGreeted+1 { // and Bob
		t.Errorf("%d handshakes are under way", g)
	}
}

// passing is a connection that the swarm has yet to count.
type passing struct {
	network.Conn
	v      *Visitor
	closed bool
}

func (c *passing) Scope() network.ConnScope { return c.v }
func (c *passing) Close() error             { c.closed = true; return nil }

// Somebody who comes over QUIC is to make room before the swarm has counted the connection.
func TestMustGoBeforeItIsCounted(t *testing.T) {
	g := guard(t, Bounds{Connections: 8, Group: 8, Rate: 100})
	scope, err := g.OpenConnection(network.DirInbound, false, ma.StringCast("/ip4/127.0.0.1/udp/4001/quic-v1"))
	if err != nil {
		t.Fatal(err)
	}
	c := &passing{v: scope.(*Visitor)}
	c.v.leave()
	if newGater(Loopback, false).InterceptUpgraded(c); c.closed {
		t.Error("it is closed before the swarm knows of it, and stays in its list")
	}
	if new(ends).Connected(nil, c); !c.closed {
		t.Error("it goes on")
	}
	c.v.Done()
}

// Of people who come over QUIC in a rush, and of whom most must make room, none stays in the
// list of those who are connected.
func TestNobodyIsLeftOfARush(t *testing.T) {
	n, err := New(Config{Mode: Loopback, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, Circuits: true, Bounds: Bounds{Connections: 8, Group: 8, Rate: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	gone := make(chan struct{}, 1)
	n.Host().Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		select {
		case gone <- struct{}{}:
		default:
		}
	}})
	var people errgroup.Group
	for range 8 {
		people.Go(func() error {
			guest, err := New(Config{Mode: Loopback, mute: true})
			if err != nil {
				return err
			}
			defer guest.Close()
			for range 40 {
				_ = guest.Dial(t.Context(), peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()})
				_ = guest.Host().Network().ClosePeer(n.Host().ID())
			}
			return nil
		})
	}
	if err := people.Wait(); err != nil {
		t.Fatal(err)
	}
	for late := time.After(time.Minute); len(n.Host().Network().Conns()) > 0; {
		select {
		case <-gone:
		case <-late:
			t.Fatalf("%d connections of people who have long gone", len(n.Host().Network().Conns()))
		}
	}
}

// Whatever comes and goes, what is counted is what is there, and no bound is passed.
func TestGuardKeepsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Bounds{Connections: 80, Group: 24, Rate: 50}
		g := guard(t, b)
		rnd := rand.New(rand.NewPCG(5, 0))
		type opened struct {
			network.StreamManagementScope
			of *guest
		}
		var there []*guest
		var streams []opened
		for range 20_000 {
			time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
			switch rnd.IntN(6) {
			case 0, 1, 2:
				if v := g.comes(fmt.Sprintf("10.0.%d.%d", rnd.IntN(1+rnd.IntN(9)), rnd.IntN(4))); v != nil {
					there = append(there, v)
				}
			case 3:
				if len(there) > 0 {
					v := there[rnd.IntN(len(there))]
					if v.stage == greets {
						_ = v.SetPeer(peer.ID(fmt.Sprint(rnd.IntN(60)))) // some of them twice
					} else if rnd.IntN(4) == 0 {
						v.Prove()
					}
				}
			case 4:
				if len(there) > 0 {
					v := there[rnd.IntN(len(there))]
					if s, err := g.OpenStream(v.peer, network.DirInbound); err == nil && v.peer != "" {
						streams = append(streams, opened{s, v})
					}
				}
			case 5:
				if len(streams) > 0 && rnd.IntN(2) == 0 {
					i := rnd.IntN(len(streams))
					streams[i].Done()
					streams = append(streams[:i], streams[i+1:]...)
				} else if len(there) > 0 && rnd.IntN(3) == 0 {
					i := rnd.IntN(len(there))
					there[i].Done()
					there = append(there[:i], there[i+1:]...)
				}
			}
			strangers, ofStrangers, groups := 0, 0, 0
			for _, of := range g.proven {
				for _, v := range of {
					if v.stage != proved {
						t.Fatal("somebody who has gone counts as one who proved something")
					}
				}
			}
			for _, c := range g.corners {
				for _, v := range c.visitors {
					if !v.known {
						strangers++
						ofStrangers += v.streams
					}
				}
				if len(c.visitors) > b.Group/4 || len(c.visitors) == 0 {
					t.Fatalf("%d strangers in a corner", len(c.visitors))
				}
			}
			for _, n := range g.groups {
				groups += n
				if n > b.Group {
					t.Fatalf("%d connections from one group", n)
				}
			}
			if strangers != g.visitors || ofStrangers != g.streams || groups != g.total || g.total > b.Connections || g.visitors > b.Connections/2 || g.streams > b.Connections/2 || g.streams < 0 {
				t.Fatalf("%d strangers counted as %d, %d streams as %d, %d connections as %d", strangers, g.visitors, ofStrangers, g.streams, groups, g.total)
			}
		}
		if n := g.Turned(); n.Group == 0 || n.All == 0 || n.Displaced == 0 {
			t.Errorf("too little happened: %+v", n)
		}
		for _, v := range there {
			v.Done()
		}
		for _, s := range streams {
			s.Done()
		}
		g.empty()
	})
}
