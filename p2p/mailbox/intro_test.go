package mailbox_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/argon2"
)

func flight() []byte { return mailboxtest.Random(mailbox.CellMedium) }

// easy is a relay that asks strangers for little work.
func easy() terms { return terms{config: mailbox.ServerConfig{IntroWork: 1}} }

// welcome opens an intro queue and tells the key that a reusable address carries.
func (p *person) welcome(secret byte) mailbox.WriteKey {
	p.t.Helper()
	k, err := mailbox.NewWriteKey(p.Relay(), mailbox.CatchAll, [32]byte{secret})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.Open(p.t.Context(), mailbox.Intro, p.Now().Add(90*day), k.QID()); err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (p *person) entries() []mailbox.Entry {
	p.t.Helper()
	e, _, err := p.List(p.t.Context(), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// TestAStrangerWrites: who holds a reusable address leaves a first flight for some
// work, and is promised no more than that it may be displaced.
func TestAStrangerWrites(t *testing.T) {
	r := startRelay(t, easy())
	bob := r.as(t).moveIn()
	address := bob.welcome(1)

	sam := r.as(t)
	hello := flight()
	receipt, err := sam.Introduce(t.Context(), address, hello, 0)
	if err != nil {
		t.Fatal(err)
	}
	id := mailbox.IDOf(hello)
	stored, err := mailbox.ParseReceipt(receipt.Marshal())
	if err != nil || stored.Promise != mailbox.Evictable || stored.VerifyEvictable(r.info.ID, address.QID(), id) != nil {
		t.Fatal("a stored receipt proves nothing", err)
	}
	wantErr(t, stored.Verify(r.info.ID, address.QID(), id), mailbox.ErrBadReceipt) // it is not kept
	stored.Promise = mailbox.Kept
	wantErr(t, stored.Verify(r.info.ID, address.QID(), id), mailbox.ErrBadReceipt) // the signature covers the promise

	e := bob.entries()
	if len(e) != 1 || e[0].Cell != id || e[0].Queue != address.QID() || e[0].Work < 1 {
		t.Fatalf("%+v", e)
	}
	if got, err := bob.Get(t.Context(), id); err != nil || mailbox.IDOf(got) != id {
		t.Fatal(err)
	}
	if n, err := bob.Ack(t.Context(), id); n != 1 || err != nil {
		t.Fatal(n, err)
	}

	_, err = sam.Put(t.Context(), address, flight(), 0) // without work
	wantErr(t, err, mailbox.ErrWork)
	d := bob.describe()
	_, err = sam.Terms(t.Context(), d.Queue(sam.Epoch()).Write) // a contact's queue takes no strangers
	wantErr(t, err, mailbox.ErrUnknownQueue)
	_, err = sam.Introduce(t.Context(), address, small(), 0)
	wantErr(t, err, mailbox.ErrSize)
	_, err = sam.Introduce(t.Context(), address, flight(), time.Millisecond)
	wantErr(t, err, mailbox.ErrTTL)
	if err := bob.CloseQueues(t.Context(), address.QID()); err != nil { // the address is revoked
		t.Fatal(err)
	}
	_, err = sam.Introduce(t.Context(), address, flight(), 0)
	wantErr(t, err, mailbox.ErrUnknownQueue)
	if len(bob.entries()) != 0 {
		t.Fatal("something came all the same")
	}
}

// zeros is how many zero bits b starts with.
func zeros(b []byte) int {
	return bits.LeadingZeros64(binary.BigEndian.Uint64(b))
}

// claim is an INTRO as SPEC.md has it, for tests to change.
type claim struct {
	relay     peer.ID
	queue     []byte
	challenge []byte
	cell      []byte
	work      byte
	ttl       uint32
	short     bool // the work is not done
	unsealed  bool
	sent      []byte // instead of cell, if it is not nil
}

// body does the work.
func (c *claim) body() []byte {
	id := sha256.Sum256(c.cell)
	salt := sha256.Sum256(slices.Concat([]byte("godwit/1/mailbox/intro"), []byte(c.relay), c.challenge, c.queue, id[:16], []byte{c.work}))
	var try, seal []byte
	for n := uint64(0); ; n++ {
		try = u64(n)
		if done := zeros(argon2.IDKey(try, salt[:], 1, 4096, 1, 32)) >= int(c.work); done != c.short {
			break
		}
	}
	text := slices.Concat(salt[:], try, make([]byte, 8))
	for n := uint64(0); ; n++ {
		seal = text[40:]
		binary.BigEndian.PutUint64(seal, n)
		h := sha256.Sum256(text)
		if done := zeros(h[:]) >= 18; done != c.unsealed {
			break
		}
	}
	sent := c.cell
	if c.sent != nil {
		sent = c.sent
	}
	return slices.Concat(c.queue, u32(c.ttl), c.challenge, []byte{c.work}, try, seal, sent)
}

// terms proves the queue and asks for terms.
func (x *stranger) terms(k ed25519.PrivateKey) claim {
	x.t.Helper()
	queue := qidOf(x.relay, 1<<32-1, public(k))
	x.prove(1<<32-1, k, queue)
	x.say(0x0f, 500, queue)
	a := x.wantAnswer(0x0f, 500)
	if len(a) != 37 || binary.BigEndian.Uint32(a[33:]) != 600 {
		x.t.Fatalf("terms %x", a)
	}
	return claim{relay: x.relay, queue: queue, challenge: a[:32], work: a[32], ttl: 60, cell: flight()}
}

func (x *stranger) openIntro(k ed25519.PrivateKey) {
	x.t.Helper()
	x.say(0x03, 501, []byte{3}, u64(uint64(time.Now().Add(48*time.Hour).Unix())), u16(1), qidOf(x.relay, 1<<32-1, public(k)))
	x.wantAnswer(0x03, 501)
}

// TestWorkThatIsNone: attacks.md rows 21 and 22 for strangers. A proof is for one
// relay, stream, queue, cell and deposit, and for as much work as it says.
func TestWorkThatIsNone(t *testing.T) {
	r := startRelay(t, easy())
	other := startRelay(t, easy())
	h := p2ptest.Loopback(t).Host()
	bob := r.stranger(t, h)
	bob.login(newKey(t))
	write, write2 := newKey(t), newKey(t)
	bob.openIntro(write)
	bob.openIntro(write2)

	type stage struct {
		do   func(x *stranger, c *claim)
		code uint16 // 0: accepted
		ends bool   // the stream
	}
	for name, s := range map[string]stage{
		"by the book":                {func(*stranger, *claim) {}, 0, false},
		"more than was asked":        {func(_ *stranger, c *claim) { c.work = 3 }, 0, false},
		"terms never told":           {func(_ *stranger, c *claim) { c.challenge = make([]byte, 32) }, 18, false},
		"the stream's own challenge": {func(x *stranger, c *claim) { c.challenge = x.challenge }, 18, false},
		"another stream's terms":     {func(_ *stranger, c *claim) { c.challenge = r.stranger(t, h).terms(write).challenge }, 18, false},
		"another queue's terms":      {func(x *stranger, c *claim) { c.challenge = x.terms(write2).challenge }, 18, false},
		"less than was asked":        {func(_ *stranger, c *claim) { c.work = 0 }, 18, false},
		"more than there is":         {func(_ *stranger, c *claim) { c.work, c.short = 14, true }, 18, false},
		"more said than done":        {func(_ *stranger, c *claim) { c.work, c.short = 13, true }, 18, true},
		"not done":                   {func(_ *stranger, c *claim) { c.short = true }, 18, true},
		"not sealed":                 {func(_ *stranger, c *claim) { c.unsealed = true }, 18, true},
		"another relay's":            {func(_ *stranger, c *claim) { c.relay = other.info.ID }, 18, true},
		"another cell's":             {func(_ *stranger, c *claim) { c.sent = flight() }, 18, true},
		"a small cell":               {func(_ *stranger, c *claim) { c.cell = small() }, 9, false},
		"a large cell":               {func(_ *stranger, c *claim) { c.cell = mailboxtest.Random(mailbox.CellLarge) }, 9, false},
		"for no time":                {func(_ *stranger, c *claim) { c.ttl = 0 }, 10, false},
		"for longer than there is":   {func(_ *stranger, c *claim) { c.ttl = 30*86400 + 1 }, 10, false},
		"a queue never proven":       {func(_ *stranger, c *claim) { c.queue = make([]byte, 32) }, 4, false},
		"the oldest of 17 terms": {func(x *stranger, _ *claim) {
			for range 16 {
				x.terms(write)
			}
		}, 18, false},
		"the oldest of 16 terms": {func(x *stranger, _ *claim) {
			for range 15 {
				x.terms(write)
			}
		}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := r.stranger(t, h)
			defer x.stream.Reset()
			c := x.terms(write)
			if c.work != 1 {
				t.Fatalf("%d bits are asked", c.work)
			}
			s.do(x, &c)
			x.say(0x10, 7, c.body())
			if s.code == 0 {
				receipt := x.wantAnswer(0x10, 7)
				if receipt[0] != 1 || receipt[1] != 2 {
					t.Fatalf("receipt %x", receipt)
				}
			} else {
				x.wantCode(7, s.code)
			}
			if s.ends {
				if k, _, body := x.hear(); k != 0 {
					t.Fatalf("the stream goes on: %#x %x", k, body)
				}
				return
			}
			x.say(0x0e, 8)
			x.wantAnswer(0x0e, 8)
		})
	}

	t.Run("a proof twice", func(t *testing.T) {
		x := r.stranger(t, h)
		c := x.terms(write)
		body := c.body()
		x.say(0x10, 7, body)
		x.wantAnswer(0x10, 7)
		id := sha256.Sum256(c.cell)
		bob.say(0x09, 8, u16(1), id[:16]) // Bob has read and deleted it
		bob.wantAnswer(0x09, 8)
		x.say(0x10, 9, body)
		x.wantCode(9, 18)
		x.terms(write) // as good as the first for another cell, and only for that
		x.say(0x10, 10, body)
		x.wantCode(10, 18)
	})
	t.Run("done well, and too little", func(t *testing.T) {
		strict := startRelay(t, terms{config: mailbox.ServerConfig{IntroWork: 3}})
		owner := strict.stranger(t, h)
		owner.login(newKey(t))
		owner.openIntro(write)
		x := strict.stranger(t, h)
		c := x.terms(write)
		if c.work--; c.work != 2 {
			t.Fatalf("%d bits are asked, want 3", c.work+1)
		}
		x.say(0x10, 1, c.body())
		x.wantCode(1, 18)
		c.work++ // the terms are as good as before
		x.say(0x10, 2, c.body())
		x.wantAnswer(0x10, 2)
	})
	t.Run("without proving the queue", func(t *testing.T) {
		x := r.stranger(t, h)
		x.say(0x0f, 1, qidOf(x.relay, 1<<32-1, public(write)))
		x.wantCode(1, 4)
		x.say(0x05, 0, u32(1<<32-1), public(write), make([]byte, 64))
		x.say(0x0f, 2, qidOf(x.relay, 1<<32-1, public(write)))
		x.wantCode(2, 2)
	})
}

// TestTheStrongerStay: a full queue asks for more work than its weakest took, and that goes.
func TestTheStrongerStay(t *testing.T) {
	quotas := mailbox.DefaultQuotas()
	quotas.IntroCells = 3
	r := startRelay(t, terms{store: mailboxtest.NewMemory(quotas, 0), config: mailbox.ServerConfig{Quotas: quotas, IntroWork: 1}})
	bob := r.as(t).moveIn()
	write := newKey(t)
	address, err := mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, [32]byte(write.Seed()))
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.Open(t.Context(), mailbox.Intro, bob.Now().Add(day), address.QID()); err != nil {
		t.Fatal(err)
	}
	sam := r.as(t)
	leave := func() mailbox.CellID {
		t.Helper()
		cell := flight()
		if _, err := sam.Introduce(t.Context(), address, cell, 0); err != nil {
			t.Fatal(err)
		}
		return mailbox.IDOf(cell)
	}
	early := r.stranger(t, p2ptest.Loopback(t).Host())
	c := early.terms(write) // of when there was room
	ids := []mailbox.CellID{leave(), leave(), leave()}
	if e := bob.entries(); len(e) != 3 || e[0].Work != 1 || e[2].Work != 1 {
		t.Fatalf("%+v", e)
	}

	tooLate := c.body()
	early.say(0x10, 7, tooLate)
	early.wantCode(7, 6) // no more than the weakest did
	if _, err := bob.Ack(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	early.say(0x10, 8, tooLate) // the refusal left it good
	early.wantAnswer(0x10, 8)
	id := sha256.Sum256(c.cell)
	ids = append(ids[1:], mailbox.CellID(id[:16]))

	told, err := sam.Terms(t.Context(), address)
	if err != nil || told.Work != 2 {
		t.Fatalf("%d bits are asked (%v), want 2", told.Work, err)
	}
	ids = append(ids[:2], leave())
	e := bob.entries()
	if len(e) != 3 || e[0].Cell != ids[0] || e[1].Cell != ids[1] || e[2].Cell != ids[2] || e[2].Work != 2 {
		t.Fatalf("%+v, want %v", e, ids)
	}
	_, err = bob.Get(t.Context(), mailbox.CellID(id[:16]))
	wantErr(t, err, mailbox.ErrNotFound)

	var full []mailbox.Change // by people who did all the work there is
	for range 3 {
		cell := flight()
		full = append(full, &mailbox.Deposit{Queue: address.QID(), ID: mailbox.IDOf(cell), Cell: cell, Expiry: time.Now().Add(day), Work: mailbox.MaxIntroWork})
	}
	if err := r.store.Commit(time.Now(), full); err != nil {
		t.Fatal(err)
	}
	_, err = sam.Introduce(t.Context(), address, flight(), 0)
	wantErr(t, err, mailbox.ErrQuota)
}

// TestLiesToStrangers: attacks.md row 23. A promise of less or of something else is none, and a relay
// cannot make people work without end.
func TestLiesToStrangers(t *testing.T) {
	now := time.Now()
	month := now.Add(mailbox.MaxTTL)
	var r *relay
	var key ed25519.PrivateKey
	promised := func(promise byte, queue, cell []byte) []byte {
		b := receiptOf(r, key, queue, cell, month, now)
		id := sha256.Sum256(cell)
		leaf := sha256.Sum256(slices.Concat([]byte{0, promise}, queue, id[:16], u64(uint64(month.Unix()))))
		b[1] = promise
		copy(b[22:], ed25519.Sign(key, slices.Concat([]byte("godwit/1/receipt"), []byte(r.info.ID), u64(uint64(now.UnixMilli())), u16(1), leaf[:])))
		return b
	}
	var put, introduced, work byte
	r, key = liar(t, goodHello(now), func(kind byte, id uint32, body []byte) [][]byte {
		switch kind {
		case 0x06:
			return [][]byte{slices.Concat([]byte{0x86}, u32(id), promised(put, body[:32], body[36:]))}
		case 0x0f:
			return [][]byte{slices.Concat([]byte{0x8f}, u32(id), make([]byte, 32), []byte{work}, u32(600))}
		case 0x10:
			return [][]byte{slices.Concat([]byte{0x90}, u32(id), promised(introduced, body[:32], body[85:]))}
		}
		return nil
	})
	k, err := mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	alice := r.as(t)
	for promise, want := range map[byte]error{1: nil, 2: mailbox.ErrBadReceipt, 3: mailbox.ErrBadReceipt, 0: mailbox.ErrBadReceipt} {
		put = promise
		if _, err := alice.Put(t.Context(), k, small(), 0); !errors.Is(err, want) {
			t.Fatalf("promise %d for a message: %v", promise, err)
		}
	}
	for promise, want := range map[byte]error{2: nil, 1: mailbox.ErrBadReceipt, 3: mailbox.ErrBadReceipt} {
		introduced = promise
		if _, err := alice.Introduce(t.Context(), k, flight(), 0); !errors.Is(err, want) {
			t.Fatalf("promise %d for a first flight: %v", promise, err)
		}
	}
	for _, work = range []byte{14, 255} {
		_, err := alice.Introduce(t.Context(), k, flight(), 0)
		wantErr(t, err, mailbox.ErrWork)
	}
}

// TestPatience: work can be given up at any time, and is when it would come too late.
func TestPatience(t *testing.T) {
	r := startRelay(t, terms{config: mailbox.ServerConfig{IntroWork: mailbox.MaxIntroWork}})
	bob := r.as(t).moveIn()
	told, err := r.as(t).Terms(t.Context(), bob.welcome(1))
	if err != nil || told.Work != mailbox.MaxIntroWork {
		t.Fatal(told.Work, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = mailbox.Work(ctx, told, flight())
	wantErr(t, err, context.Canceled)
	sam := r.as(t)
	time.AfterFunc(20*time.Millisecond, func() { sam.Close() })
	_, err = sam.Introduce(t.Context(), bob.welcome(2), flight(), 0)
	wantErr(t, err, mailbox.ErrClosed)
	told.Until = time.Now().Add(20 * time.Millisecond)
	_, err = mailbox.Work(t.Context(), told, flight())
	wantErr(t, err, mailbox.ErrWork)
}

// TestStrangersInTime: terms end, what was taken in expires, and clocks that jump change neither.
func TestStrangersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key, config: mailbox.ServerConfig{IntroWork: 1}})
		bob := r.via(t, hosts[1]).moveIn()
		address := bob.welcome(1)
		sam := r.via(t, hosts[2])
		keep := func(d time.Duration) { // streams are quiet for less than 5 minutes
			for ; d > 0; d -= 4 * time.Minute {
				time.Sleep(min(d, 4*time.Minute))
				if err := errors.Join(bob.Ping(t.Context()), sam.Ping(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
		}
		cell := flight()
		told, err := sam.Terms(t.Context(), address)
		if err != nil || time.Until(told.Until) != 10*time.Minute {
			t.Fatal(told.Until, err)
		}
		proof, err := mailbox.Work(t.Context(), told, cell)
		if err != nil {
			t.Fatal(err)
		}
		late, err := mailbox.Work(t.Context(), must(sam.Terms(t.Context(), address)), cell)
		if err != nil {
			t.Fatal(err)
		}
		keep(10*time.Minute - time.Second)
		if _, err := sam.PutIntro(t.Context(), address, cell, time.Hour, proof); err != nil {
			t.Fatal(err)
		}
		keep(time.Second)
		_, err = sam.PutIntro(t.Context(), address, cell, time.Hour, late)
		wantErr(t, err, mailbox.ErrWork)
		if e := bob.entries(); len(e) != 1 || e[0].Expiry.Sub(bob.Now()) > time.Hour {
			t.Fatalf("%+v", e)
		}
		keep(time.Hour)
		if e := bob.entries(); len(e) != 0 {
			t.Fatalf("%+v", e)
		}
		time.Sleep(time.Minute)
		if n, _, err := r.store.Intro(address.QID(), time.Now()); n != 0 || err != nil {
			t.Fatalf("%d pending after all expired (%v)", n, err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestAFloodOfBadProofs: attacks.md rows 22 and 36. Proofs that do not hold cost their sender a stream and a
// seal each, and few of one group of addresses cost the relay an Argon2id; others get in all the while.
func TestAFloodOfBadProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock stands still while anybody computes
		hosts := pipeHosts(t, 4)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key, config: mailbox.ServerConfig{IntroWork: 1}})
		hosts[2].addr, hosts[3].addr = ma.StringCast("/ip4/203.0.113.7/tcp/1"), ma.StringCast("/ip4/198.51.100.7/tcp/1")
		bob := r.via(t, hosts[1]).moveIn()
		write := newKey(t)
		address := must(mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, [32]byte(write.Seed())))
		if err := bob.Open(t.Context(), mailbox.Intro, bob.Now().Add(day), address.QID()); err != nil {
			t.Fatal(err)
		}
		flood := func(n int) (checked, turnedAway int) {
			for range n {
				x := r.stranger(t, hosts[2])
				c := x.terms(write)
				c.short = true
				x.say(0x10, 1, c.body())
				_, _, body := x.hear()
				switch binary.BigEndian.Uint16(body) {
				case 18:
					checked++
					if k, _, _ := x.hear(); k != 0 {
						t.Fatal("the stream goes on")
					}
				case 15:
					turnedAway++
				default:
					t.Fatalf("refusal %x", body)
				}
				x.stream.Reset()
			}
			return checked, turnedAway
		}
		if checked, away := flood(34); checked != 32 || away != 2 {
			t.Fatalf("%d proofs were checked, %d turned away", checked, away)
		}
		if _, err := r.via(t, hosts[3]).Introduce(t.Context(), address, flight(), 0); err != nil {
			t.Fatal("an honest stranger:", err)
		}
		time.Sleep(4 * time.Second)
		if checked, away := flood(3); checked != 2 || away != 1 {
			t.Fatalf("after 4 s %d proofs were checked, %d turned away", checked, away)
		}
	})
}

// TestBusyStream: one stream is held back before its group is.
func TestBusyStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key, config: mailbox.ServerConfig{IntroWork: 1}})
		bob := r.via(t, hosts[1]).moveIn()
		address := bob.welcome(1)
		sam := r.via(t, hosts[2])
		for range 16 {
			if _, err := sam.Introduce(t.Context(), address, flight(), 0); err != nil {
				t.Fatal(err)
			}
		}
		cell := flight()
		proof, err := mailbox.Work(t.Context(), must(sam.Terms(t.Context(), address)), cell)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sam.PutIntro(t.Context(), address, cell, 0, proof)
		var refused *mailbox.Refusal
		if !errors.As(err, &refused) || !errors.Is(err, mailbox.ErrTooMany) || refused.Retry == 0 {
			t.Fatal(err)
		}
		time.Sleep(refused.Retry)
		if _, err := sam.PutIntro(t.Context(), address, cell, 0, proof); err != nil { // it stayed good
			t.Fatal(err)
		}
		if n := len(bob.entries()); n != 17 {
			t.Fatalf("%d came, want 17", n)
		}
	})
}
