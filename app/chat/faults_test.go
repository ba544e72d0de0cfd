package chat

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// disk is a relay's disk that can hang, or be damaged in one place.
type disk struct {
	mailbox.Store

	mu      sync.Mutex
	hangs   chan struct{} // not nil: until it is closed
	damaged map[mailbox.CellID]bool
}

// has the relay keep its things on a disk; to be called before it starts.
func (r *relay) on(d *disk) *disk {
	r.Before = func(s mailbox.Store) mailbox.Store {
		d.Store = ledger{s, r}
		return d
	}
	return d
}

// Hangs has all that needs the disk wait until the function is called.
func (d *disk) Hangs() (wakes func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	hangs := make(chan struct{})
	d.hangs = hangs
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hangs = nil
		close(hangs)
	})
}

func (d *disk) wait() {
	d.mu.Lock()
	hangs := d.hangs
	d.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
}

// Damages makes a cell unreadable, or readable again.
func (d *disk) Damages(id mailbox.CellID, damaged bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.damaged == nil {
		d.damaged = make(map[mailbox.CellID]bool)
	}
	d.damaged[id] = damaged
}

func (d *disk) Commit(now time.Time, changes []mailbox.Change) error {
	d.wait()
	return d.Store.Commit(now, changes)
}

func (d *disk) Cell(box mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	d.wait()
	d.mu.Lock()
	damaged := d.damaged[id]
	d.mu.Unlock()
	if damaged {
		return nil, mailbox.ErrDamaged
	}
	return d.Store.Cell(box, id, now)
}

// withholds has the relay lose the answers to those who fetch cells, while it is true.
func (r *relay) withholds() *atomic.Bool {
	withheld := new(atomic.Bool)
	r.Host = func(h host.Host) host.Host { return withholdingHost{h, withheld} }
	return withheld
}

type withholdingHost struct {
	host.Host
	withheld *atomic.Bool
}

func (h withholdingHost) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { f(withholdingStream{s, h.withheld}) })
}

type withholdingStream struct {
	network.Stream
	withheld *atomic.Bool
}

func (s withholdingStream) Write(p []byte) (int, error) {
	const answersGet = 0x88 // length 4 | kind 1
	if !s.withheld.Load() {
		return s.Stream.Write(p)
	}
	for at := 0; at+4 < len(p); at += 4 + int(binary.BigEndian.Uint32(p[at:])) { // several answers may leave in one write
		if p[at+4] == answersGet {
			_, err := s.Stream.Write(p[:at])
			return len(p), err
		}
	}
	return s.Stream.Write(p)
}

// One of Alice's relays takes her requests for cells and answers none. What comes by
// the other comes at once; the rest when she has lost patience with the connection and
// the relay answers again.
func TestARelayStalls(t *testing.T) {
	inWorld(t, func(w *world) {
		elm, oak := w.Relay("elm"), w.NewRelay("oak")
		withheld := oak.withholds()
		oak.Starts()
		alice, bob, carol := w.Person("alice", oak), w.Person("bob", oak), w.Person("carol", oak)
		alice.Meets(bob)
		w.check(alice.AddRelay(w.Context(), elm.info(), store.RelayByHand, nil))
		w.Advance(time.Minute) // Bob is told, and Carol below is not
		alice.Meets(carol)
		for _, p := range []*person{bob, carol} {
			if n := len(p.theirQueues(alice)); n != 2 {
				w.Fatalf("%s knows of %d relays", p.name, n)
			}
		}
		alice.Leaves()
		bob.Sees(bob.Says(alice, "by both"), api.Kept)
		elm.Stops()
		carol.Says(alice, "by oak only")
		w.Advance(time.Minute)
		bob.Leaves()
		carol.Leaves()
		elm.Starts() // after Carol has left, or she brings it there as well

		withheld.Store(true)
		alice.Starts()
		w.Advance(5 * time.Second)
		alice.ReadsNow(bob, "by both")
		w.Advance(2 * time.Minute)
		alice.ReadsNow(carol)
		withheld.Store(false)
		w.Advance(90 * time.Second) // less than it takes the relay to end the stream
		alice.ReadsNow(carol, "by oak only")
		w.Advance(time.Minute)
		if n := len(oak.keptFor(0)); n != 0 {
			w.Errorf("%d cells are left for Alice", n)
		}
	})
}

// The relays of more people hang than there are hosts to leave things from. What Bob
// says to Alice, whose relay is well, is kept in a minute or two all the same.
func TestOthersRelaysHang(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak, bad := w.Relay("oak"), w.NewRelay("bad")
		d := bad.on(new(disk))
		bad.Starts()
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		var others []*person
		for i := range node.PoolSize + 2 {
			p := w.Person(fmt.Sprint("other ", i), bad)
			p.Meets(bob)
			p.Leaves()
			others = append(others, p)
		}
		alice.Leaves()
		wakes := d.Hangs()
		defer wakes()
		for _, p := range others {
			bob.Says(p, "hello")
		}
		w.Advance(10 * time.Second)
		id := bob.Says(alice, "this is urgent")
		w.Advance(2 * roundTime)
		if sent := bob.state(id); sent.State != api.Kept {
			w.Errorf("after two minutes it is %s (%s)", sent.State, sent.Reason)
		}
		wakes()
		bob.Leaves()
	})
}

// One of four cells cannot be read at the relay. The others come through; it comes
// when it can be read.
func TestOneCellIsDamaged(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		d := oak.on(new(disk))
		oak.Starts()
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		var first mailbox.CellID
		for i, text := range []string{"1", "2", "3", "4"} {
			bob.Sees(bob.Says(alice, text), api.Kept)
			if i == 0 {
				first = oak.keptFor(0)[0].Cell
			}
		}
		bob.Leaves()
		d.Damages(first, true)
		alice.Returns()
		w.Advance(time.Minute)
		if n := len(oak.keptFor(0)); n != 1 {
			w.Errorf("%d cells are left", n)
		}
		alice.Leaves()
		d.Damages(first, false)
		alice.Returns()
		alice.Reads(bob, "1", "2", "3", "4")
	})
}

// Bob keeps mail at eight relays, all that he may. That leaves him hosts to leave things
// at others.
func TestEightRelays(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		var eight []*relay
		for i := range maxRelays {
			eight = append(eight, w.Relay(fmt.Sprint("relay ", i)))
		}
		alice, bob := w.Person("alice", oak), w.Person("bob", eight...)
		alice.Meets(bob)
		alice.Leaves()
		bob.Sees(bob.Says(alice, "hello"), api.Kept)
	})
}

// Bob changes his relays so often that he has more boxes to empty than hosts to do it
// from. Those in use are attended all the time, the others now and then.
func TestMoreBoxesThanHosts(t *testing.T) {
	inWorld(t, func(w *world) {
		var old, inUse []*relay
		for i := range maxRelays {
			r := w.Relay(fmt.Sprint("relay ", i))
			if i < 3 {
				old = append(old, r)
			} else {
				inUse = append(inUse, r)
			}
		}
		alice, bob := w.Person("alice"), w.Person("bob", slices.Concat(old, inUse)...)
		alice.Meets(bob)
		bob.relays = nil
		alice.Leaves()
		for i, r := range old {
			w.check(bob.RemoveRelay(w.Context(), r.id()))
			another := w.Relay(fmt.Sprint("another ", i))
			w.check(bob.AddRelay(w.Context(), another.info(), store.RelayByHand, nil))
			inUse = append(inUse, another)
		}
		connected := func() (n int) {
			list, err := bob.Relays(w.Context())
			w.check(err)
			for _, r := range list {
				if r.State == relayConnected {
					n++
				}
			}
			return n
		}
		for end := time.Now().Add(10 * time.Minute); connected() < len(inUse); w.Advance(time.Second) {
			if time.Now().After(end) {
				w.Fatalf("%d of %d relays are connected", connected(), len(inUse))
			}
		}
		// Alice has not heard of the new ones.
		w.wires.setCut("alice", "bob", true)
		alice.Starts()
		for _, r := range inUse {
			r.Stops()
		}
		alice.Says(bob, "by the old ways")
		w.Advance(2 * visitEvery)
		bob.ReadsNow(alice, "by the old ways")
	})
}

// A window's worth of things is kept for Alice and waits for her. The next goes out
// nevertheless.
func TestWhatIsKeptMakesRoom(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		bob.keepsAt(oak, alice, window)
		bob.Leaves()
		bob.Returns()
		bob.Sees(bob.Says(alice, "next"), api.Kept)
	})
}

// Bob returns to thousands of things that are kept for Alice, and to one behind them
// that is not. It does not wait for something to happen.
func TestWhatIsBehindWhatIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		oak.Stops()
		bob.keepsAt(oak, alice, 6*window)
		id := bob.Says(alice, "next")
		bob.Leaves()
		oak.Starts()
		bob.Returns()
		w.Advance(2 * time.Second)
		if sent := bob.state(id); sent.State != api.Kept {
			w.Errorf("after three seconds it is %s (%s)", sent.State, sent.Reason)
		}
	})
}

// keepsAt has a relay keep things for another, as far as the person knows.
func (p *person) keepsAt(r *relay, to *person, n int) {
	p.w.Helper()
	p.must(func(t *turn) error {
		head, err := t.keys.Preferred(to.device.Public())
		if err != nil {
			return err
		}
		for range n {
			var hash store.Hash
			rand.Read(hash[:])
			o := store.Outgoing{
				Device: to.device.Public(), Class: store.ClassProfile, Item: []byte{}, Session: &head.ID, Wire: make([]byte, 4056), Hash: &hash,
				Created: t.now, Next: t.now, Attempts: 1,
			}
			if o.ID, err = t.Enqueue(o); err != nil {
				return err
			}
			d := store.Deposit{Outbox: o.ID, Relay: store.PeerID(r.id()), Receipt: []byte{1}, Until: t.now.Add(29 * day), At: t.now}
			if err := t.PutDeposit(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// A message comes so long after those that follow it that Alice has given its keys up.
// Bob is told that she cannot read it, not that she has it.
func TestKeysAreGivenUp(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		id := bob.Says(alice, "lost")
		bob.Sees(id, api.Kept)
		oak.loses()
		bob.must(func(t *turn) error {
			head, err := t.keys.Preferred(alice.device.Public())
			for range 1200 { // keys of the newest 1,000 are kept
				if err == nil {
					_, err = t.keys.Seal(head.ID, []byte("never sent"), t.now)
				}
			}
			return err
		})
		bob.Sees(bob.Says(alice, "after"), api.Kept)
		bob.Leaves()
		alice.Returns()
		w.Advance(time.Minute)
		bob.Returns()
		w.Advance(time.Minute)
		sent := bob.state(id)
		if sent.State.Meets(api.Delivered) || sent.Reason != Reason(string(problem.SessionLost)) {
			w.Errorf("what Alice cannot read is %s (%s)", sent.State, sent.Reason)
		}
		w.Advance(heldFor)
		alice.ReadsNow(bob, "after")
	})
}

// fickle is a relay that hangs up on whoever has said anything, while it is true.
func (r *relay) fickle() *atomic.Bool {
	hangsUp := new(atomic.Bool)
	r.Host = func(h host.Host) host.Host { return fickleHost{h, hangsUp} }
	return hangsUp
}

type fickleHost struct {
	host.Host
	hangsUp *atomic.Bool
}

func (h fickleHost) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		if h.hangsUp.Load() {
			end := time.AfterFunc(time.Second, func() { s.Conn().Close() })
			defer end.Stop()
		}
		f(s)
	})
}

// Alice's relay lets her in and hangs up a second later, whenever she comes. She calls it less
// and less often, and is told why. When it comes to its senses it serves again, and when it is gone for a
// moment after that she is back at once.
func TestARelayHangsUp(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		hangsUp := oak.fickle()
		hangsUp.Store(true)
		oak.Starts()
		alice := w.Person("alice", oak)
		calls := func(d time.Duration) int {
			before := w.wires.dialled(oak.ip.String() + ":4001")
			w.Advance(d)
			return w.wires.dialled(oak.ip.String()+":4001") - before
		}
		if n := calls(10 * time.Minute); n < 5 || n > 20 {
			w.Errorf("in the first ten minutes she called %d times", n)
		}
		if n := calls(2 * time.Hour); n < 4 || n > 30 {
			w.Errorf("in two hours after that she called %d times", n)
		}
		if v := alice.at(oak); v.State != relayUnreachable || !strings.Contains(v.Reason, "in a row ended as soon as they began") {
			w.Errorf("the relay is %s: %s", v.State, v.Reason)
		}
		hangsUp.Store(false)
		w.Advance(2 * boxDropped)
		if v := alice.at(oak); v.State != relayConnected || v.Reason != "" {
			w.Errorf("when it holds the relay is %s: %s", v.State, v.Reason)
		}
		oak.Stops()
		oak.Starts()
		w.Advance(10 * time.Second)
		if v := alice.at(oak); v.State != relayConnected {
			w.Errorf("after a moment's absence the relay is %s: %s", v.State, v.Reason)
		}
	})
}

// A relay that was found for Alice hangs up like that. That she reaches it for a moment now
// and then is no service: another takes its place.
func TestARelayThatHangsUpIsReplaced(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		bad := w.NewRelay("bad")
		hangsUp := bad.fickle()
		bad.Starts()
		y.announces(bad, w.Relay("oak"), w.Relay("elm"))
		alice, log := w.Chooser("alice", y, Pace{Look: time.Second, Down: 20 * time.Minute})
		alice.Returns()
		w.Advance(time.Minute)
		y.announces(w.Relay("ash"))
		hangsUp.Store(true)
		bad.Stops()
		bad.Starts()
		w.Advance(30 * time.Minute)
		if names := alice.inUse(); !slices.Equal(names, []string{"ash", "elm", "oak"}) {
			w.Errorf("half an hour later the relays are %q; the log says\n%s", names, log)
		}
		if !strings.Contains(log.String(), string(problem.RelayGone)) {
			w.Errorf("the log does not say why:\n%s", log)
		}
	})
}
