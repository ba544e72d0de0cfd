package mailbox_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relay is a relay on loopback, with its Store in memory unless another is given.
type relay struct {
	info   peer.AddrInfo
	server *mailbox.Server
	store  mailbox.Store
}

type terms struct {
	store  mailbox.Store
	sign   mailbox.Signer
	config mailbox.ServerConfig
}

func startRelay(t testing.TB, terms terms) *relay {
	t.Helper()
	return serveOn(t, p2ptest.Loopback(t).Host(), terms)
}

func serveOn(t testing.TB, h host.Host, terms terms) *relay {
	t.Helper()
	if terms.store == nil {
		terms.store = mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0)
	}
	return &relay{infoOf(h), mailboxtest.Serve(t, h, terms.store, terms.sign, terms.config), terms.store}
}

func infoOf(h host.Host) peer.AddrInfo {
	if _, ok := h.(*pipeHost); ok {
		return peer.AddrInfo{ID: h.ID()}
	}
	return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
}

// person is someone with one connection to one relay.
type person struct {
	*mailbox.Client
	t   testing.TB
	key mailbox.BoxPrivate
}

func (r *relay) as(t testing.TB) *person {
	t.Helper()
	return r.via(t, p2ptest.Loopback(t).Host())
}

func (r *relay) via(t testing.TB, h host.Host) *person {
	t.Helper()
	c, err := mailbox.Dial(t.Context(), h, r.info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &person{c, t, mailbox.GenerateBox()}
}

// moveIn logs in and leases.
func (p *person) moveIn() *person {
	p.t.Helper()
	if _, err := p.Login(p.t.Context(), p.key); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.Lease(p.t.Context(), p.key.Public(), nil); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// describe makes a descriptor and opens its queues.
func (p *person) describe() *mailbox.Descriptor {
	p.t.Helper()
	d, err := mailbox.NewDescriptor(peer.AddrInfo{ID: p.Relay()}, p.Now(), p.Limits())
	if err != nil {
		p.t.Fatal(err)
	}
	var names []mailbox.QID
	for _, q := range d.Queues() {
		names = append(names, q.Write.QID())
	}
	if err := p.Open(p.t.Context(), mailbox.Ordinary, d.Expiry, names...); err != nil {
		p.t.Fatal(err)
	}
	return d
}

// leave seals a message into today's queue.
func (p *person) leave(d *mailbox.Descriptor, message []byte) (mailbox.CellID, mailbox.Receipt) {
	p.t.Helper()
	q := d.Queue(p.Epoch())
	cell, err := q.Key.Seal(message)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.Put(p.t.Context(), q.Write, cell, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return mailbox.IDOf(cell), r
}

func message(text string, size int) []byte {
	b := make([]byte, size-mailbox.CellOverhead)
	copy(b, text)
	return b
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error %v, want %v", got, want)
	}
}

func TestBobIsAway(t *testing.T) {
	r := startRelay(t, terms{})
	bob := r.as(t).moveIn()
	d := bob.describe()

	alice := r.as(t)
	id, receipt := alice.leave(d, message("are you there?", mailbox.CellSmall))
	if err := receipt.Verify(r.info.ID, d.Queue(alice.Epoch()).Write.QID(), id); err != nil {
		t.Fatal(err)
	}
	kept, err := mailbox.ParseReceipt(receipt.Marshal())
	if err != nil || kept.Verify(r.info.ID, d.Queue(alice.Epoch()).Write.QID(), id) != nil {
		t.Fatal("a stored receipt proves nothing", err)
	}
	if d := receipt.Expiry.Sub(alice.Now()); d < mailbox.MaxTTL-time.Minute || d > mailbox.MaxTTL {
		t.Fatalf("kept for %v", d)
	}

	entries, more, err := bob.List(t.Context(), 0)
	if err != nil || more || len(entries) != 1 || entries[0].Cell != id {
		t.Fatal(entries, more, err)
	}
	var queue mailbox.Queue
	for _, q := range d.Queues() {
		if q.Write.QID() == entries[0].Queue {
			queue = q
		}
	}
	cell, err := bob.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := queue.Key.Open(cell); err != nil || !bytes.HasPrefix(m, []byte("are you there?")) {
		t.Fatal(err)
	}
	if n, err := bob.Ack(t.Context(), id, mailbox.CellID{1}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if entries, _, err := bob.List(t.Context(), 0); err != nil || len(entries) != 0 {
		t.Fatal(entries, err)
	}
	_, err = bob.Get(t.Context(), id)
	wantErr(t, err, mailbox.ErrNotFound)
	if s := r.server.Stats(); s.Deposits != 1 || s.Fetches != 1 || s.Deletions != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestBobWatches(t *testing.T) {
	r := startRelay(t, terms{})
	bob := r.as(t).moveIn()
	d := bob.describe()
	alice := r.as(t)
	const before, all = 300, 700
	for i := range before {
		alice.leave(d, message(string(rune(i)), mailbox.CellSmall))
	}
	var got []mailbox.Entry
	enough := errors.New("enough")
	done := make(chan error, 1)
	begun := sync.OnceFunc(func() { done <- nil })
	watched := make(chan error, 1)
	go func() {
		watched <- bob.Watch(t.Context(), 0, func(e []mailbox.Entry) error {
			begun()
			got = append(got, e...)
			if _, err := bob.Get(t.Context(), e[0].Cell); err != nil {
				return err
			}
			if len(got) >= all {
				return enough
			}
			return nil
		})
	}()
	<-done
	var putting sync.WaitGroup
	for i := range 4 {
		putting.Go(func() {
			q := d.Queue(alice.Epoch() + uint32(i%2)) // one queue takes 512
			for j := range 100 {
				cell, _ := q.Key.Seal(message(string(rune(1000*(i+1)+j)), mailbox.CellSmall))
				if _, err := alice.Put(t.Context(), q.Write, cell, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	putting.Wait()
	wantErr(t, <-watched, enough)
	seen := make(map[mailbox.CellID]bool)
	for i, e := range got {
		if i > 0 && e.Sequence <= got[i-1].Sequence || seen[e.Cell] {
			t.Fatalf("entry %d is out of order or came twice", i)
		}
		seen[e.Cell] = true
	}
	if len(got) != all {
		t.Fatalf("%d entries, want %d", len(got), all)
	}
	wantErr(t, bob.Watch(t.Context(), 0, nil), mailbox.ErrTooMany)
}

// TestChangedMinds: who gives up waiting costs the connection nothing.
func TestChangedMinds(t *testing.T) {
	r := startRelay(t, terms{})
	bob := r.as(t).moveIn()
	d := bob.describe()
	alice := r.as(t)
	q := d.Queue(alice.Epoch()).Write
	var asking sync.WaitGroup
	for i := range 2000 {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*10*time.Microsecond)
			defer cancel()
			if _, err := alice.Put(ctx, q, mailboxtest.Random(mailbox.CellLarge), 0); err != nil && !errors.Is(err, context.DeadlineExceeded) &&
				!errors.Is(err, mailbox.ErrQuota) {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	q = d.Queue(mailbox.CatchAll).Write
	for range 100 {
		asking.Go(func() {
			if _, err := alice.Put(t.Context(), q, mailboxtest.Random(mailbox.CellLarge), 0); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
}

// TestWrongRelay: a key or a peer that is not this relay's is refused at once.
func TestWrongRelay(t *testing.T) {
	r, other := startRelay(t, terms{}), startRelay(t, terms{})
	k, err := mailbox.NewWriteKey(other.info.ID, mailbox.CatchAll, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.as(t).Put(t.Context(), k, mailboxtest.Random(mailbox.CellSmall), 0)
	wantErr(t, err, mailbox.ErrRelay)
	_, err = mailbox.NewWriteKey("nobody", mailbox.CatchAll, [32]byte{1})
	wantErr(t, err, mailbox.ErrRelay)
	_, err = mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), peer.AddrInfo{ID: "nobody"})
	wantErr(t, err, mailbox.ErrRelay)
	deaf := p2ptest.Loopback(t) // not a relay
	if _, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), p2ptest.Info(deaf)); err == nil {
		t.Fatal("dialled a mailbox where there is none")
	}
}

// A relay that comes back is dialled at once, whatever failed before.
func TestDialAgain(t *testing.T) {
	h := p2ptest.Loopback(t).Host()
	away := p2ptest.Loopback(t)
	info := p2ptest.InfoOver(away, ma.P_TCP)
	away.Close()
	for range 3 {
		if _, err := mailbox.Dial(t.Context(), h, info); err == nil || errors.Is(err, swarm.ErrDialBackoff) {
			t.Errorf("a relay that is away: %v", err)
		}
	}
}

// Anna's relay is for her friends. Ben has a token of hers: it pays for one box, the one that follows
// from it, and for no second that he would share out; Mallory has none. What Carol leaves for Ben
// is kept for a week at most. Then Anna closes the relay: it takes nothing more, also
// on connections that are there, and Ben fetches what it keeps.
func TestFriends(t *testing.T) {
	token := bytes.Repeat([]byte{7}, 32)
	const week = 7 * 24 * time.Hour
	cfg := mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseToken}, Friends: [][]byte{bytes.Repeat([]byte{6}, 32), token}, MaxTTL: week}
	r := startRelay(t, terms{config: cfg})
	lease := func(p *person, token []byte) error {
		t.Helper()
		if _, err := p.Login(t.Context(), p.key); err != nil {
			t.Fatal(err)
		}
		_, err := p.Lease(t.Context(), p.key.Public(), token)
		return err
	}
	if err := lease(r.as(t), nil); !errors.Is(err, mailbox.ErrLease) {
		t.Fatalf("Mallory, without a token: %v", err)
	}
	if err := lease(r.as(t), bytes.Repeat([]byte{8}, 32)); !errors.Is(err, mailbox.ErrLease) {
		t.Fatalf("Mallory, with one that she made up: %v", err)
	}
	if err := lease(r.as(t), token); !errors.Is(err, mailbox.ErrLease) {
		t.Fatalf("Ben's token for another box: %v", err)
	}
	ben := r.as(t)
	ben.key = mailbox.FriendBox(ben.Relay(), token)
	if err := lease(ben, token); err != nil {
		t.Fatal(err)
	}
	if ttl := ben.Limits().MaxTTL; ttl != week {
		t.Fatalf("it says that it keeps things for %v", ttl)
	}
	d := ben.describe()
	carol := r.as(t)
	q := d.Queue(carol.Epoch())
	cell, err := q.Key.Seal(make([]byte, mailbox.CellSmall-mailbox.CellOverhead))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := carol.Put(t.Context(), q.Write, cell, mailbox.MaxTTL); !errors.Is(err, mailbox.ErrTTL) {
		t.Fatalf("for a month: %v", err)
	}
	id, receipt := carol.leave(d, make([]byte, mailbox.CellSmall-mailbox.CellOverhead))
	if left := receipt.Expiry.Sub(receipt.Time); left > week {
		t.Fatalf("it promises to keep a cell for %v", left)
	}

	cfg.Closed = true
	if err := r.server.SetTerms(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := carol.Put(t.Context(), q.Write, cell, time.Hour); !errors.Is(err, mailbox.ErrTryLater) {
		t.Fatalf("a deposit at a relay that is closed: %v", err)
	}
	if err := ben.Open(t.Context(), mailbox.Ordinary, ben.Now().Add(time.Hour), mailbox.QID{1}); !errors.Is(err, mailbox.ErrTryLater) {
		t.Fatalf("a queue at a relay that is closed: %v", err)
	}
	again := r.as(t)
	again.key = ben.key
	if err := lease(again, token); err != nil {
		t.Fatalf("Ben comes back to a relay that is closed: %v", err)
	}
	if _, err := again.Get(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n, err := again.Ack(t.Context(), id); n != 1 || err != nil {
		t.Fatalf("%d deleted, %v", n, err)
	}
	if s := r.server.Stats(); s.Given != mailbox.CellSmall || s.Taken < mailbox.CellSmall {
		t.Fatalf("%d bytes came, %d went", s.Taken, s.Given)
	}
}
