package mailbox_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	ma "github.com/multiformats/go-multiaddr"
)

// Mallory and Bob live in one house. She tries logins and deposits as fast as she can, until
// the relay is busy for her; he logs in and has his mail.
func TestWhatAHouseMayDo(t *testing.T) {
	relayNode := p2ptest.Start(t, node.Config{Mode: node.Loopback, Circuits: true, Bounds: node.Bounds{Connections: 64, Group: 64, Rate: 1}})
	r := serveOn(t, relayNode.Host(), terms{})
	bob := r.as(t).moveIn() // from the beginning, which makes the house known
	d := bob.describe()
	mallory := p2ptest.Loopback(t).Host()

	const tryLater = 16
	x := r.stranger(t, mallory)
	k := newKey(t)
	wrong := make([]byte, ed25519.SignatureSize)
	heard := make(map[byte]int) // code of a refusal, or 0
	try := func(x *stranger, kind byte, body ...[]byte) (code byte) {
		x.say(kind, 7, body...)
		answer, _, said := x.hear()
		if answer == 0xff {
			code = said[1]
		}
		heard[code]++
		return code
	}
	for range 15 { // one less than ends a stream
		try(x, 0x01, public(k), wrong)
	}
	x = r.stranger(t, mallory)
	for range 15 {
		try(x, 0x01, public(k), wrong)
	}
	if heard[2] < 17 || heard[tryLater] < 10 || heard[2]+heard[tryLater] != 30 {
		t.Errorf("30 wrong logins: %v, want some 17 that were looked at and the others put off", heard)
	}

	telephone := r.as(t) // of the same house, where no more logins are left
	telephone.key = bob.key
	if _, err := telephone.Login(t.Context(), bob.key); err != nil {
		t.Errorf("Bob's telephone: %v", err)
	}
	alice := r.as(t)
	alice.leave(d, message("hello", mailbox.CellSmall))

	clear(heard)
	epoch := uint32(mailbox.CatchAll)
	queue := qidOf(x.relay, epoch, public(k))
	x = r.stranger(t, p2ptest.Loopback(t).Host())
	x.login(k)
	x.say(0x03, 1002, []byte{1}, u64(uint64(bob.Now().Add(day).Unix())), u16(1), queue)
	x.wantAnswer(0x03, 1002)
	x.prove(epoch, k, queue)
	for range 300 { // 8 and 128
		try(x, 0x06, queue, u32(60), small())
	}
	if heard[tryLater] < 100 || heard[0] < 136 || heard[0]+heard[tryLater] != 300 {
		t.Errorf("300 deposits: %v", heard)
	}
	alice.leave(d, message("hello again", mailbox.CellSmall))
	if entries, _, err := telephone.List(t.Context(), 0); err != nil || len(entries) != 2 {
		t.Errorf("Bob has %d messages, %v", len(entries), err)
	}
	turned := relayNode.Turned()
	if turned.LoginRate < 10 || turned.DepositRate < 100 {
		t.Errorf("counted as %+v", turned)
	}
	if n := r.server.Stats().Refused["try later"]; n < 110 {
		t.Errorf("%d refusals counted as try later", n)
	}
}

// Mallory has a box, with which she proves herself wherever she comes from, and opens all streams that the relay serves, under
// as many names as it takes. Anna, from another corner of the network, is served all the same, and Bob, who is there with one
// stream, stays; Mallory has her part of what there is.
func TestOneGroupDoesNotHaveAllStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 8)
		for i, h := range hosts {
			h.addr = ma.StringCast(fmt.Sprintf("/ip4/10.0.0.%d/tcp/1", i))
		}
		hosts[1].addr, hosts[2].addr, hosts[3].addr = ma.StringCast("/ip4/10.1.0.1/tcp/1"), ma.StringCast("/ip4/10.2.0.1/tcp/1"), ma.StringCast("/ip4/10.3.0.1/tcp/1")
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key, config: mailbox.ServerConfig{Streams: 32}})
		bob := r.via(t, hosts[1]).moveIn()
		d := bob.describe()
		served := make(map[*stranger]bool)
		for _, h := range hosts[4:] {
			for range 16 {
				if x := r.stranger(t, h); x.hello != nil {
					served[x] = true
				}
			}
		}
		if len(served) != 31 {
			t.Fatalf("%d streams of one group beside Bob's, want all 31", len(served))
		}
		anna := r.via(t, hosts[2])
		anna.leave(d, message("beside the flood", mailbox.CellSmall))
		for range 40 { // another flood gets no more than half of all
			r.stranger(t, hosts[3])
		}
		synctest.Wait()
		anna.leave(d, message("and beside two", mailbox.CellSmall))
		if entries, _, err := bob.List(t.Context(), 0); err != nil || len(entries) != 2 {
			t.Errorf("Bob has %d messages, %v", len(entries), err)
		}
		if n := r.server.Stats().Streams; n > 32 {
			t.Errorf("%d streams are served, of 32", n)
		}
		left := 0
		for x := range served {
			if x.try(0x0e, 1) == nil { // PING
				x.wantAnswer(0x0e, 1)
				left++
			}
		}
		if left < 14 || left > 15 {
			t.Errorf("%d streams of the first flood are left, want half of the 30", left)
		}
	})
}

// Somebody has addresses in forty corners of the network, and fills Bob's relay from each as far as it lets them. No corner
// has more than its part, all of them do not fill it, and Anna, who comes from yet another, has her message taken when
// nothing more is taken from any of them.
func TestManyCornersDoNotFillIt(t *testing.T) {
	const room, part, corners = 64 << 20, 8 << 20, 40
	for _, c := range []struct {
		name  string
		taken uint64 // before, as far as the relay knows, of ten times the room
		each  int    // bytes at least that a corner leaves once the last tenth has begun
	}{{"small", 0, mailbox.CellLarge}, {"large", 9 * room, room / 64 / 2}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hosts := pipeHosts(t, corners+3)
				for i, h := range hosts {
					h.addr = ma.StringCast(fmt.Sprintf("/ip4/10.%d.0.1/tcp/1", i))
				}
				quotas := mailbox.Quotas{Room: mailbox.Room{QueueCells: 4096, QueueBytes: 1 << 30, BoxBytes: 1 << 30, BoxQueues: 100}}
				store := mailboxtest.NewMemory(quotas, room)
				all := uint64(room)
				if c.taken > 0 {
					all = 10 * room
				}
				left := func() (taken, of uint64) { return store.Usage().Disk + c.taken, all }
				r := serveOn(t, hosts[0], terms{store: store, sign: hosts[0].key, config: mailbox.ServerConfig{Quotas: quotas, GroupBytes: part, Room: left}})
				bob := r.via(t, hosts[1]).moveIn()
				d := bob.describe()
				fill := func(p *person) (bytes int) {
					t.Helper()
					for {
						q := d.Queue(p.Epoch())
						cell, err := q.Key.Seal(mailboxtest.Random(mailbox.CellLarge - mailbox.CellOverhead))
						if err != nil {
							t.Fatal(err)
						}
						if _, err := p.Put(t.Context(), q.Write, cell, 0); errors.Is(err, mailbox.ErrFull) {
							return bytes
						} else if err != nil {
							t.Fatal(err)
						}
						bytes += mailbox.CellLarge
					}
				}
				last := false
				before := room
				for i, h := range hosts[2 : corners+2] {
					p := r.via(t, h)
					n := fill(p)
					taken, _ := left()
					switch {
					case taken <= all/2 || i == 0: // the first has all of the first half
					case n > part:
						t.Errorf("corner %d left %d bytes, more than its part", i, n)
					case last && (n > before || n < c.each):
						t.Errorf("corner %d left %d bytes of the last tenth, the one before it %d", i, n, before)
					}
					if last = taken > all/10*9; last && n > 0 {
						before = max(n, mailbox.CellLarge)
					}
					p.Close()
				}
				if taken, _ := left(); !last || taken >= all {
					t.Fatalf("%d bytes are taken of %d", taken, all)
				}
				anna, again := r.via(t, hosts[corners+2]), r.via(t, hosts[2])
				if n := fill(again); n != 0 {
					t.Errorf("who had left most left %d bytes more", n)
				}
				anna.leave(d, message("from elsewhere", mailbox.CellLarge))
				if n := fill(anna); n > part {
					t.Errorf("Anna left %d bytes", n)
				}
			})
		})
	}
}

// Requests that name hundreds of things are hundreds of looks into the index, done one after the other by who
// commits for all: they count as many, and who sends them without end waits.
func TestLongRequestsCountAsMany(t *testing.T) {
	relayNode := p2ptest.Start(t, node.Config{Mode: node.Loopback, Circuits: true, Bounds: node.Bounds{Connections: 64, Group: 64, Rate: 1}})
	r := serveOn(t, relayNode.Host(), terms{})
	bob := r.as(t).moveIn()
	d := bob.describe()
	seed := mailbox.GenerateBox().Seed()
	x := r.stranger(t, p2ptest.Loopback(t).Host())
	x.login(ed25519.NewKeyFromSeed(seed[:]))
	names := make([]byte, mailbox.MaxBatch*16)
	for i := range 17 { // 65 requests each, of the 1024 that the house has, beside some that are used and some that come
		if err := x.try(0x09, uint32(i), u16(mailbox.MaxBatch), names); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		x.wantAnswer(0x09, uint32(i))
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); relayNode.Turned().Slowed == 0; {
		select {
		case <-late:
			t.Fatal("a thousand names after the other are looked for as fast as they come")
		case <-tick.C:
		}
	}
	x.stream.Reset()
	r.as(t).leave(d, message("beside it", mailbox.CellSmall)) // what a connection may do at least is enough for this
}

// What came before a frame that is none is committed, and the stream ends for the relay, too: else four thousand of such would
// have been all that it serves, until it is started anew.
func TestWhatCameBeforeABadFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key})
		bob := r.via(t, hosts[1]).moveIn()
		bob.describe()
		seed := mailbox.GenerateBox().Seed()
		for _, bad := range [][]byte{{255, 255, 255, 255}, {0, 0, 0, 0}, {0, 0, 0, 1, 9}, {0, 0, 0, 5, 200, 0, 0, 0, 0}} {
			x := r.stranger(t, hosts[2])
			x.login(ed25519.NewKeyFromSeed(seed[:]))
			ack := append([]byte{0, 0, 0, 5 + 2 + 16, 9, 0, 0, 0, 7, 0, 1}, make([]byte, 16)...)
			if _, err := x.stream.Write(append(ack, bad...)); err != nil { // at once
				t.Fatal(err)
			}
			answered := false
			for kind := byte(1); kind != 0; { // a refusal, perhaps, and the end
				kind, _, _ = x.hear()
				answered = answered || kind == 0x89
			}
			if !answered {
				t.Errorf("what came before a frame of %x is not answered", bad)
			}
			synctest.Wait()
			if n := r.server.Stats().Streams; n != 1 {
				t.Fatalf("%d streams are served after a frame of %x, want Bob's alone", n, bad)
			}
		}
	})
}

// A hundred who ask for large cells and do not read the answers: the relay holds only so many, and goes
// on where they read on.
func TestSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key})
		bob, alice := r.via(t, hosts[1]).moveIn(), r.via(t, hosts[2])
		d := bob.describe()
		alice.leave(d, message("large", mailbox.CellLarge))
		entries, _, err := bob.List(t.Context(), 0)
		if err != nil || len(entries) != 1 {
			t.Fatal(len(entries), err)
		}
		cell := entries[0].Cell
		const slow, each = 100, 14
		var asking sync.WaitGroup
		var readers []*stranger
		seed := bob.key.Seed()
		k := ed25519.NewKeyFromSeed(seed[:])
		for range slow {
			x := r.stranger(t, pipeHostOf(t, hosts[0]))
			x.login(k)
			readers = append(readers, x)
			asking.Go(func() {
				for i := range each {
					if err := x.try(0x08, uint32(i), cell[:]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		synctest.Wait()
		if n := r.server.Stats().Fetches; n > 1024+slow || n < 1000 {
			t.Errorf("%d cells of 64 KiB are read and wait for those who do not take them", n)
		}
		var reading sync.WaitGroup
		for _, x := range readers {
			reading.Go(func() {
				for range each {
					if kind, _, body := x.hear(); kind != 0x88 || len(body) != mailbox.CellLarge {
						t.Errorf("heard %#x and %d bytes", kind, len(body))
						return
					}
				}
			})
		}
		reading.Wait()
		asking.Wait()
		if n := r.server.Stats().Fetches; n != slow*each {
			t.Errorf("%d cells came, want %d", n, slow*each)
		}
	})
}

// pipeHostOf is another host that knows one.
func pipeHostOf(t testing.TB, of *pipeHost) *pipeHost {
	h := pipeHosts(t, 1)[0]
	h.others = of.others
	return h
}
