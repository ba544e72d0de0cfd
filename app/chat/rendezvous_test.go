package chat

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/rendezvous"
)

// board is a DHT in which everybody reaches everybody: what p2p/dht tests is not
// tested here again.
type board struct {
	mu      sync.Mutex
	down    bool
	hides   bool // what is there
	records map[rendezvous.Seed]dht.Found
	looked  int
	puts    int
	ways    []peer.ID // that it was told to start from
}

func (b *board) Publish(_ context.Context, seed rendezvous.Seed, c rendezvous.Content, now time.Time) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return 0, dht.ErrNoPeers
	}
	b.puts++
	b.records[seed] = dht.Found{Content: c, Seq: now, Expiry: now.Add(rendezvous.MaxLife)}
	return 20, nil
}

func (b *board) Find(_ context.Context, seed rendezvous.Seed, now time.Time) (dht.Found, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looked++
	if b.down {
		return dht.Found{}, dht.ErrNoPeers
	}
	f, ok := b.records[seed]
	if !ok || b.hides || !now.Before(f.Expiry) {
		return dht.Found{}, dht.ErrNotFound
	}
	return f, nil
}

// looks counts how often somebody was looked for.
func (b *board) looks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looked
}

// put counts how often somebody wrote a record.
func (b *board) put() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.puts
}

// forgets has all records be gone.
func (b *board) forgets() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.records)
}

func (b *board) AddPeers(ps ...peer.AddrInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range ps {
		b.ways = append(b.ways, p.ID)
	}
}

func (b *board) AddSpares(ps ...peer.AddrInfo) { b.AddPeers(ps...) }

// fails has the DHT fail, or work again.
func (b *board) fails(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// written is what a person wrote for another last, and whether there is something.
func (b *board) written(by, for_ *person) (f dht.Found, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range by.seeds(for_) {
		if found, there := b.records[s.Seed]; there {
			f, ok = found, true
		}
	}
	return f, ok
}

// Board gives all people from now on a DHT.
func (w *world) Board() *board {
	w.board = &board{records: make(map[rendezvous.Seed]dht.Found)}
	return w.board
}

// Moves takes a person who is away to another place.
func (p *person) Moves() { p.ip = p.w.place() }

// seeds are those that a person gave to another.
func (p *person) seeds(other *person) (list []store.OwnSeed) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		list, err = tx.OwnSeeds(other.device.Public())
		return err
	})
	return list
}

// While the DHT fails too, the message waits; once it works again, it is delivered.
func TestTheDHTFailsForAWhile(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		alice, bob := w.Person("alice"), w.Person("bob")
		alice.Meets(bob)
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Leaves()
		b.fails(true)
		for _, p := range []*person{alice, bob} {
			p.Moves()
			p.Returns()
		}
		id := alice.Says(bob, "where are you?")
		w.Advance(time.Hour)
		if got := alice.state(id); got.State != api.Queued {
			w.Fatalf("with nobody to ask the message is %s", got.State)
		}
		if b.looks() < 2 || b.looks() > 30 {
			w.Errorf("two people looked for each other %d times in an hour", b.looks())
		}
		b.fails(false)
		w.Advance(lookLast + 10*time.Minute)
		alice.Sees(id, api.Delivered)
	})
}

// Somebody hides all that lies in the DHT, and both Alice and Bob come back at other
// addresses. Their relays, which each knows of the other inside the session, are ways into the
// DHT, and carry the mail and the new addresses whatever it finds.
func TestHiddenInTheDHTAndFoundByRelays(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		alice.Meets(bob)
		w.Advance(time.Minute)
		b.mu.Lock()
		b.hides, b.ways = true, nil
		b.mu.Unlock()
		for _, p := range []*person{alice, bob} {
			p.Leaves()
			p.Moves()
		}
		alice.Returns()
		id := alice.Says(bob, "are you there?")
		alice.Awaits("Bob's relay to keep it", func() bool { return len(elm.kept()) > 0 })
		b.mu.Lock()
		if !slices.Contains(b.ways, elm.id()) {
			w.Error("Bob's relay is no way into the DHT for Alice")
		}
		b.mu.Unlock()
		oak.Stops()
		elm.Stops()
		bob.Returns()
		w.Advance(time.Minute)
		if got := alice.state(id); got.State == api.Delivered {
			w.Fatal("they found each other without the DHT and without a relay")
		}
		oak.Starts()
		elm.Starts()
		alice.Sees(id, api.Delivered)
		bob.Sees(bob.Says(alice, "found by a relay"), api.Delivered)
	})
}

// Alice has no relay and was given no peer. The invitation that she accepts names Bob's relay, and
// that is her way into the DHT, before Bob has answered and after each start; what Bob tells her
// of his relays later is, too.
func TestHintsAreWaysIn(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		oak := w.Relay("oak")
		alice, bob := w.Person("alice"), w.Person("bob", oak)
		knows := func(r *relay) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return slices.Contains(b.ways, r.id())
		}
		forgets := func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.ways = nil
		}
		link := bob.Invites()
		bob.Leaves()
		forgets()
		alice.Accepts(bob, link, "hello")
		if !knows(oak) {
			w.Error("the hint of the invitation is no way in")
		}
		for range 2 {
			alice.Leaves()
			forgets()
			alice.Returns()
			w.Advance(time.Second)
			if !knows(oak) {
				w.Error("after a start the hint is no way in")
			}
		}
		elm := w.Relay("elm")
		bob.relays = append(bob.relays, elm.info())
		bob.Returns()
		alice.Awaits("Bob's other relay to be a way in", func() bool { return knows(elm) })
	})
}

// A seed is given anew when it is a month old, and the old one is used until the other
// side has the new one.
func TestSeedsAreRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		alice, bob := w.Person("alice"), w.Person("bob")
		alice.Meets(bob)
		w.Advance(time.Minute)
		first := alice.seeds(bob)
		if len(first) != 1 || first[0].Told.IsZero() {
			w.Fatalf("Bob was given %d seeds", len(first))
		}
		alice.Leaves()
		bob.Leaves()
		w.Pass(renewSeed + time.Hour)
		alice.Moves()
		alice.Returns() // alone: Bob does not hear of the new one yet
		w.Advance(2 * time.Minute)
		both := alice.seeds(bob)
		if len(both) != 2 || both[0].Seed != first[0].Seed || !both[1].Told.IsZero() {
			w.Fatalf("with Bob away Alice has %d seeds", len(both))
		}
		if _, ok := b.written(alice, bob); !ok {
			w.Error("Alice wrote no record")
		}
		bob.Moves()
		bob.Returns()
		alice.Sees(alice.Says(bob, "here I am"), api.Delivered)
		w.Advance(time.Minute)
		if now := alice.seeds(bob); len(now) != 1 || now[0].Seed != both[1].Seed {
			w.Errorf("with Bob back Alice has %d seeds", len(now))
		}
	})
}

// Who is blocked is told nothing, and looked for no more; nor is a record written for
// who knows the present address, or taken from before.
func TestRecordsAreForThoseWhoNeedThem(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.Board()
		alice, bob, carol := w.Person("alice"), w.Person("bob"), w.Person("carol")
		alice.Meets(bob)
		alice.Meets(carol)
		w.Advance(time.Minute)
		if _, ok := b.written(alice, bob); ok {
			w.Error("Alice wrote a record for Bob, who is connected")
		}
		old := dht.Found{Content: rendezvous.Content{Device: peer.AddrInfo{ID: alice.node.Host().ID(), Addrs: multiaddrs(alice.presence().Addrs)}}, Seq: time.Now()}
		for _, p := range []*person{alice, bob, carol} {
			p.Leaves()
		}
		alice.Moves()
		alice.Returns()
		_, err := alice.ChangeContact(w.Context(), alice.contact(carol).ID, "blocked", func(c *store.Contact) error { c.Blocked = time.Now(); return nil })
		w.check(err)
		alice.Leaves()
		b.mu.Lock()
		clear(b.records)
		b.mu.Unlock()
		alice.Returns()
		w.Advance(time.Minute)
		if _, ok := b.written(alice, bob); !ok {
			w.Error("Alice wrote no record for Bob, who is away")
		}
		if _, ok := b.written(alice, carol); ok {
			w.Error("Alice wrote a record for Carol, who is blocked")
		}
		bob.Moves()
		bob.Returns()
		bob.Sees(bob.Says(alice, "found you"), api.Delivered)
		// A server gives out a record from before: what is newer stays.
		at := bob.believes(alice)
		b.mu.Lock()
		for seed := range b.records {
			old.Expiry = time.Now().Add(time.Hour)
			b.records[seed] = old
		}
		b.mu.Unlock()
		w.check(bob.find(w.Context(), alice.device.Public()))
		if now := bob.believes(alice); now.Peer != at.Peer {
			w.Error("an older record took the place of what was known")
		}
	})
}

// believes is where a person believes another to listen.
func (p *person) believes(other *person) (a store.Address) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		a, err = tx.Address(other.device.Public())
		return err
	})
	return a
}
