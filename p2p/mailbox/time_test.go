package mailbox_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const day = 24 * time.Hour

// TestMonths: in virtual time, what is kept is kept until its day and no
// longer, leases and queues end, and a descriptor's days follow each other.
func TestMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key})
		bobs, alices := hosts[1], hosts[2]
		visit := func(h *pipeHost, f func(p *person)) {
			t.Helper()
			p := r.via(t, h)
			f(p)
			p.Close()
		}
		key := mailbox.GenerateBox()
		as := func(f func(bob *person)) {
			t.Helper()
			visit(bobs, func(bob *person) {
				info, err := bob.Login(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if info.Until.Sub(bob.Now()) < 10*day {
					if _, err := bob.Lease(t.Context(), key.Public(), nil); err != nil {
						t.Fatal(err)
					}
				}
				f(bob)
			})
		}
		var d *mailbox.Descriptor
		as(func(bob *person) { d = bob.describe() })
		inBox := func(want int) {
			t.Helper()
			as(func(bob *person) {
				entries, _, err := bob.List(t.Context(), 0)
				if err != nil || len(entries) != want {
					t.Fatalf("%v: %d cells in the box (%v), want %d", bob.Now(), len(entries), err, want)
				}
			})
		}
		queues := make(map[mailbox.QID]bool)
		deposit := func(ttl time.Duration) (err error) {
			visit(alices, func(alice *person) {
				q := d.Queue(alice.Epoch())
				queues[q.Write.QID()] = true
				_, err = alice.Put(t.Context(), q.Write, small(), ttl)
			})
			return err
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}

		must(deposit(time.Hour))
		must(deposit(0))
		time.Sleep(time.Hour - 2*time.Second)
		inBox(2)
		time.Sleep(2 * time.Second)
		inBox(1)
		time.Sleep(time.Minute)
		if u := r.store.Usage(); u.Cells != 1 {
			t.Fatalf("%d cells a minute after one expired", u.Cells)
		}

		for range 43 { // every day another queue
			time.Sleep(day)
			must(deposit(day))
			inBox(2 - boolInt(len(queues) > 30)) // today's, and for 30 days the first
		}
		if len(queues) != 44 {
			t.Fatalf("%d queues in 44 days", len(queues))
		}
		time.Sleep(day)
		must(deposit(day)) // the last day is over: the catch-all
		time.Sleep(day)
		must(deposit(day))
		if len(queues) != 45 || !queues[d.Queue(mailbox.CatchAll).Write.QID()] {
			t.Fatalf("%d queues in 46 days", len(queues))
		}
		time.Sleep(29 * day)
		inBox(0)
		wantErr(t, deposit(day), mailbox.ErrUnknownQueue) // the descriptor is over
		time.Sleep(40 * day)

		// Nobody came for 40 days: the lease is over, and comes back.
		as(func(bob *person) { d = bob.describe() })
		must(deposit(0))
		time.Sleep(mailbox.LeaseTime - time.Hour)
		must(deposit(3 * day))
		time.Sleep(2 * time.Hour)
		wantErr(t, deposit(day), mailbox.ErrLease)
		inBox(1) // as leases
		must(deposit(day))
		inBox(2)
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestADayOfWatching: a watched stream outlives hours of quiet; one that asks
// nothing does not outlive minutes, and one that trickles neither.
func TestADayOfWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 5 * time.Millisecond}, 1)
		r := serveOn(t, w.Node("relay").Host(), terms{})
		bob := r.via(t, w.Node("bob").Host()).moveIn()
		d := bob.describe()
		alices := w.Node("alice").Host()
		idle := r.via(t, alices)
		if err := idle.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		came := make(chan []mailbox.Entry, 10)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			over <- bob.Watch(ctx, 0, func(e []mailbox.Entry) error { came <- e; return nil })
		}()

		mallory := w.Node("mallory").Host()
		silent, trickling := r.stranger(t, mallory), r.stranger(t, mallory)
		began := time.Now()
		slow := func() time.Duration { // a byte every 7 s of a frame that is 64 KiB long
			head := []byte{0, 1, 0, 0x80, 0x06}
			for i := 0; ; i++ {
				b := []byte{0}
				if i < len(head) {
					b[0] = head[i]
				}
				if _, err := trickling.stream.Write(b); err != nil {
					return time.Since(began)
				}
				time.Sleep(7 * time.Second)
			}
		}()
		if slow > time.Minute {
			t.Fatalf("a trickling stream lived %v", slow)
		}
		if k, _, _ := silent.hear(); k != 0 {
			t.Fatal("a silent stream was not ended")
		}

		time.Sleep(6 * time.Minute)
		if idle.Err() == nil {
			t.Fatal("a stream that asks nothing lives on")
		}
		for range 4 {
			time.Sleep(6 * time.Hour)
			alice := r.via(t, alices)
			id, _ := alice.leave(d, message(alice.Now().String(), mailbox.CellSmall))
			alice.Close()
			if e := <-came; len(e) != 1 || e[0].Cell != id {
				t.Fatal("other news", e)
			}
		}
		time.Sleep(time.Minute) // to say goodbye
		if n := r.server.Stats().Streams; n != 1 {
			t.Fatalf("%d streams are open, want Bob's", n)
		}
		stop()
		wantErr(t, <-over, context.Canceled)
	})
}

// TestRelayVanishes: a watched relay that is cut off is noticed, and what was
// under way fails.
func TestRelayVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 5 * time.Millisecond}, 1)
		r := serveOn(t, w.Node("relay").Host(), terms{})
		bob := r.via(t, w.Node("bob").Host()).moveIn()
		over := make(chan error, 1)
		go func() { over <- bob.Watch(t.Context(), 0, func([]mailbox.Entry) error { return nil }) }()
		time.Sleep(time.Hour)
		w.Vanish("relay")
		began := time.Now()
		wantErr(t, <-over, mailbox.ErrClosed)
		if d := time.Since(began); d > 41*time.Second {
			t.Fatalf("it took %v to notice", d)
		}
		_, _, err := bob.List(t.Context(), 0)
		wantErr(t, err, mailbox.ErrClosed)
	})
}

// TestRelayStalls: a relay that takes requests and does not answer, or answers all but
// one, holds nobody up for ever; one that is slow is borne with.
func TestRelayStalls(t *testing.T) {
	const asksGet, asksPing = 0x08, 0x0e
	pong := func(id uint32) []byte {
		return slices.Concat([]byte{0x80 | asksPing}, u32(id), u64(uint64(time.Now().UnixMilli())))
	}
	for _, c := range []struct {
		name   string
		answer func(kind byte) (after time.Duration, ok bool) // of a request
		pings  bool                                           // somebody else asks too
		least  time.Duration
		most   time.Duration // 0: it answers in the end
	}{
		{"silent", func(byte) (time.Duration, bool) { return 0, false }, false, time.Minute, time.Minute + time.Second},
		{"answers something else", func(kind byte) (time.Duration, bool) { return 0, kind == asksPing }, true, 10 * time.Minute, 11 * time.Minute},
		{"slow", func(byte) (time.Duration, bool) { return 50 * time.Second, true }, false, 50 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts := pipeHosts(t, 2)
				hosts[0].SetStreamHandler(mailbox.Protocol, func(s network.Stream) {
					defer s.Close()
					say := func(frame []byte) { s.Write(append(u32(uint32(len(frame))), frame...)) }
					say(goodHello(time.Now()))
					for {
						head := make([]byte, 4+5)
						if _, err := io.ReadFull(s, head); err != nil {
							return
						}
						if _, err := io.ReadFull(s, make([]byte, binary.BigEndian.Uint32(head)-5)); err != nil {
							return
						}
						kind, id := head[4], binary.BigEndian.Uint32(head[5:])
						after, ok := c.answer(kind)
						switch time.Sleep(after); {
						case !ok:
						case kind == asksPing:
							say(pong(id))
						default:
							say(slices.Concat([]byte{0xff}, u32(id), u16(13), u32(0), u64(uint64(time.Now().UnixMilli())))) // not found
						}
					}
				})
				client, err := mailbox.Dial(t.Context(), hosts[1], peer.AddrInfo{ID: hosts[0].id})
				if err != nil {
					t.Fatal(err)
				}
				var pings sync.WaitGroup
				defer pings.Wait()
				defer client.Close()
				time.Sleep(time.Hour) // nothing is asked: nothing is late
				if c.pings {
					pings.Go(func() {
						for client.Ping(context.Background()) == nil {
							time.Sleep(20 * time.Second)
						}
					})
				}
				began := time.Now()
				_, err = client.Get(context.Background(), mailbox.CellID{1})
				took := time.Since(began)
				if c.most == 0 {
					wantErr(t, err, mailbox.ErrNotFound)
					if took < c.least {
						t.Errorf("it took %v", took)
					}
					return
				}
				wantErr(t, err, mailbox.ErrSilent)
				wantErr(t, err, mailbox.ErrClosed)
				if took < c.least || took > c.most {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestSkew: attacks.md row 34. A writer reckons by the relay's clock, whatever
// its own says; HELLO is all it needs.
func TestSkew(t *testing.T) {
	for _, skew := range []time.Duration{10 * 365 * day, -365 * day, 3 * time.Second} {
		at := time.Now().Add(skew)
		r, _ := liar(t, goodHello(at), func(byte, uint32, []byte) [][]byte { return nil })
		alice := r.as(t)
		if d := alice.Now().Sub(at); d.Abs() > time.Minute {
			t.Fatalf("the relay's clock is off by %v", d)
		}
		if d := alice.Skew() - skew; d.Abs() > time.Minute {
			t.Fatalf("skew %v, want %v", alice.Skew(), skew)
		}
		if e := alice.Epoch(); e != mailbox.Epoch(at) && e != mailbox.Epoch(at)+1 {
			t.Fatalf("epoch %d at %v", e, at)
		}
	}
}

// TestInvitation: a single-use invitation from its making to its end.
func TestInvitation(t *testing.T) {
	r := startRelay(t, terms{})
	bob := r.as(t).moveIn()
	ctx := t.Context()
	secret := [32]byte(mailboxtest.Random(32)) // identity derives it from the invitation
	queue, err := mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, secret)
	if err != nil {
		t.Fatal(err)
	}
	id, bundle := mailbox.NoticeID(mailboxtest.Random(32)), mailboxtest.Random(mailbox.NoticeSize)
	expires := bob.Now().Add(7 * day)
	if err := bob.Open(ctx, mailbox.Invite, expires, queue.QID()); err != nil {
		t.Fatal(err)
	}
	if until, err := bob.Post(ctx, id, bundle, 7*day); err != nil || until.Sub(expires).Abs() > time.Minute {
		t.Fatal(until, err)
	}

	alice := r.as(t)
	got, err := alice.Fetch(ctx, id)
	if err != nil || string(got) != string(bundle) {
		t.Fatal(err)
	}
	flight := mailboxtest.Random(mailbox.CellMedium)
	if _, err := alice.Put(ctx, queue, flight, 0); err != nil {
		t.Fatal(err)
	}
	_, err = alice.Put(ctx, queue, small(), 0)
	wantErr(t, err, mailbox.ErrSize)
	entries, _, err := bob.List(ctx, 0)
	if err != nil || len(entries) != 1 || entries[0].Queue != queue.QID() || entries[0].Size != mailbox.CellMedium {
		t.Fatal(entries, err)
	}
	if got, err := bob.Get(ctx, entries[0].Cell); err != nil || string(got) != string(flight) {
		t.Fatal(err)
	}

	// A stranger can neither take it away nor fill the relay with notices.
	mallory := r.as(t)
	if _, err := mallory.Login(ctx, mallory.key); err != nil {
		t.Fatal(err)
	}
	_, err = mallory.Post(ctx, mailbox.NoticeID{1}, bundle, 0)
	wantErr(t, err, mailbox.ErrLease)
	if _, err := mallory.Lease(ctx, mallory.key.Public(), nil); err != nil {
		t.Fatal(err)
	}
	_, err = mallory.Post(ctx, id, mailboxtest.Random(mailbox.NoticeSize), 0)
	wantErr(t, err, mailbox.ErrTaken)
	if err := errors.Join(mallory.Unpost(ctx, id), mallory.CloseQueues(ctx, queue.QID())); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Fetch(ctx, id); err != nil {
		t.Fatal(err)
	}

	// Bob accepted her: it is used.
	if err := errors.Join(bob.CloseQueues(ctx, queue.QID()), bob.Unpost(ctx, id)); err != nil {
		t.Fatal(err)
	}
	if n, err := bob.Ack(ctx, entries[0].Cell); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_, err = alice.Put(ctx, queue, mailboxtest.Random(mailbox.CellMedium), 0)
	wantErr(t, err, mailbox.ErrUnknownQueue)
	_, err = r.as(t).Fetch(ctx, id)
	wantErr(t, err, mailbox.ErrNotFound)
}

// TestQueueOpensLater: a writer that was refused may come again on the same
// connection once the queue is open.
func TestQueueOpensLater(t *testing.T) {
	r := startRelay(t, terms{})
	bob, alice := r.as(t).moveIn(), r.as(t)
	k, err := mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, [32]byte(mailboxtest.Random(32)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = alice.Put(t.Context(), k, small(), 0)
		wantErr(t, err, mailbox.ErrUnknownQueue)
	}
	if err := bob.Open(t.Context(), mailbox.Ordinary, bob.Now().Add(time.Hour), k.QID()); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Put(t.Context(), k, small(), 0); err != nil {
		t.Fatal(err)
	}
}
