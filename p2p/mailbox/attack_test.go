package mailbox_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// stranger speaks the protocol byte by byte, as SPEC.md has it and without the
// package's own encoders.
type stranger struct {
	t         testing.TB
	stream    network.Stream
	relay     peer.ID
	hello     []byte
	challenge []byte
}

func (r *relay) stranger(t testing.TB, h host.Host) *stranger {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := h.Connect(ctx, r.info); err != nil {
		t.Fatal(err)
	}
	s, err := h.NewStream(ctx, r.info.ID, "/godwit/mailbox/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Reset() })
	x := &stranger{t: t, stream: s, relay: r.info.ID}
	k, id, body := x.hear()
	if k == 0x80 && id == 0 && len(body) == 71 && body[0] == 1 {
		x.hello, x.challenge = body, body[9:41]
	} else if k != 0xff {
		t.Fatalf("the relay says %#x %d %x", k, id, body)
	}
	return x
}

// say sends one frame.
func (x *stranger) say(kind byte, id uint32, parts ...[]byte) {
	x.t.Helper()
	if err := x.try(kind, id, parts...); err != nil {
		x.t.Fatal(err)
	}
}

func (x *stranger) try(kind byte, id uint32, parts ...[]byte) error {
	body := bytes.Join(parts, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(5+len(body)))
	b = binary.BigEndian.AppendUint32(append(b, kind), id)
	_, err := x.stream.Write(append(b, body...))
	return err
}

// hear is the next frame; kind 0 is the end of the stream.
func (x *stranger) hear() (kind byte, id uint32, body []byte) {
	x.t.Helper()
	x.stream.SetReadDeadline(time.Now().Add(20 * time.Second))
	var head [4]byte
	if _, err := io.ReadFull(x.stream, head[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, network.ErrReset) {
			return 0, 0, nil
		}
		x.t.Fatal("hear:", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(x.stream, b); err != nil {
		x.t.Fatal(err)
	}
	return b[0], binary.BigEndian.Uint32(b[1:5]), b[5:]
}

// wantCode wants a refusal of a request.
func (x *stranger) wantCode(id uint32, code uint16) {
	x.t.Helper()
	k, got, body := x.hear()
	if k != 0xff || got != id || len(body) != 14 || binary.BigEndian.Uint16(body) != code {
		x.t.Fatalf("heard %#x %d %x, want refusal %d of %d", k, got, body, code, id)
	}
}

func (x *stranger) wantAnswer(kind byte, id uint32) []byte {
	x.t.Helper()
	k, got, body := x.hear()
	if k != kind|0x80 || got != id {
		x.t.Fatalf("heard %#x %d %x, want the answer to %#x %d", k, got, body, kind, id)
	}
	return body
}

func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// qidOf is QID of section 1.
func qidOf(relay peer.ID, epoch uint32, public []byte) []byte {
	h := sha256.Sum256(slices.Concat([]byte("godwit/1/qid"), []byte(relay), u32(epoch), public))
	return h[:]
}

func sign(k ed25519.PrivateKey, label string, relay peer.ID, challenge, name []byte) []byte {
	return ed25519.Sign(k, slices.Concat([]byte(label), []byte(relay), challenge, name))
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k ed25519.PrivateKey) []byte { return k[32:] }

func (x *stranger) login(k ed25519.PrivateKey) {
	x.t.Helper()
	x.say(0x01, 1000, public(k), sign(k, "godwit/1/mailbox/login", x.relay, x.challenge, public(k)))
	x.wantAnswer(0x01, 1000)
	x.say(0x02, 1001, []byte{0, 0})
	x.wantAnswer(0x02, 1001)
}

// openOrdinary opens a queue of today for a key.
func (x *stranger) openOrdinary(k ed25519.PrivateKey) (epoch uint32, queue []byte) {
	x.t.Helper()
	epoch = uint32(time.Now().Unix() / 86400)
	queue = qidOf(x.relay, epoch, public(k))
	x.say(0x03, 1002, []byte{1}, u64(uint64(time.Now().Add(48*time.Hour).Unix())), u16(1), queue)
	x.wantAnswer(0x03, 1002)
	return epoch, queue
}

func (x *stranger) prove(epoch uint32, k ed25519.PrivateKey, queue []byte) {
	x.t.Helper()
	x.say(0x05, 0, u32(epoch), public(k), sign(k, "godwit/1/mailbox/prove", x.relay, x.challenge, queue))
}

func small() []byte { return mailboxtest.Random(mailbox.CellSmall) }

// TestByTheBook goes through the protocol with nothing but SPEC.md.
func TestByTheBook(t *testing.T) {
	r := startRelay(t, terms{})
	bob, alice := r.stranger(t, p2ptest.Loopback(t).Host()), r.stranger(t, p2ptest.Loopback(t).Host())
	box, write := newKey(t), newKey(t)
	bob.login(box)
	epoch, queue := bob.openOrdinary(write)
	bob.say(0x0a, 7, u64(0))
	bob.wantAnswer(0x0a, 7)

	cell := small()
	id := sha256.Sum256(cell)
	alice.prove(epoch, write, queue)
	alice.say(0x06, 9, queue, u32(3600), cell)
	receipt := alice.wantAnswer(0x06, 9)
	if len(receipt) != 22+64 || receipt[0] != 1 || receipt[1] != 1 || !bytes.Equal(receipt[18:22], []byte{0, 1, 0, 0}) {
		t.Fatalf("receipt %x", receipt)
	}
	leaf := sha256.Sum256(slices.Concat([]byte{0, 1}, queue, id[:16], receipt[2:10]))
	key, err := r.info.ID.ExtractPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	text := slices.Concat([]byte("godwit/1/receipt"), []byte(r.info.ID), receipt[10:18], u16(1), leaf[:])
	if ok, err := key.Verify(text, receipt[22:]); !ok || err != nil {
		t.Fatal("the relay's signature does not fit", err)
	}

	k, watch, news := bob.hear()
	entry := slices.Concat(u64(1), queue, id[:16], []byte{1}, receipt[2:10])
	if k != 0xc0 || watch != 7 || !bytes.Equal(news, append(u16(1), entry...)) {
		t.Fatalf("news %#x %d %x", k, watch, news)
	}
	bob.say(0x07, 10, u64(0), u16(256))
	if got := bob.wantAnswer(0x07, 10); !bytes.Equal(got, slices.Concat([]byte{0}, u16(1), entry)) {
		t.Fatalf("list %x", got)
	}
	bob.say(0x08, 11, id[:16])
	if got := bob.wantAnswer(0x08, 11); !bytes.Equal(got, cell) {
		t.Fatal("another cell")
	}
	bob.say(0x09, 12, u16(2), id[:16], make([]byte, 16))
	if got := bob.wantAnswer(0x09, 12); !bytes.Equal(got, u16(1)) {
		t.Fatalf("deleted %x", got)
	}
	bob.say(0x08, 13, id[:16])
	bob.wantCode(13, 13)
	notice, blob := mailboxtest.Random(32), mailboxtest.Random(mailbox.NoticeSize)
	bob.say(0x0b, 14, notice, u32(60), blob)
	bob.wantAnswer(0x0b, 14)
	alice.say(0x0d, 15, notice)
	if got := alice.wantAnswer(0x0d, 15); !bytes.Equal(got, blob) {
		t.Fatal("another notice")
	}
	bob.say(0x0c, 16, notice)
	bob.wantAnswer(0x0c, 16)
	alice.say(0x0d, 17, notice)
	alice.wantCode(17, 13)
	bob.say(0x04, 18, u16(1), queue)
	bob.wantAnswer(0x04, 18)
	alice.say(0x06, 19, queue, u32(3600), small())
	alice.wantCode(19, 3)
	alice.say(0x0e, 20)
	alice.wantAnswer(0x0e, 20)
}

// TestWrongProofs: attacks.md row 21, the writer's side.
func TestWrongProofs(t *testing.T) {
	r, other := startRelay(t, terms{}), startRelay(t, terms{})
	h := p2ptest.Loopback(t).Host()
	box, write := newKey(t), newKey(t)
	bob := r.stranger(t, h)
	bob.login(box)
	epoch, queue := bob.openOrdinary(write)
	cell := small()
	deposit := func(t *testing.T, x *stranger, code uint16) {
		t.Helper()
		x.say(0x06, 1, queue, u32(60), cell)
		if code == 0 {
			x.wantAnswer(0x06, 1)
		} else {
			x.wantCode(1, code)
		}
	}
	proof := func(k ed25519.PrivateKey, relay peer.ID, challenge, name []byte) []byte {
		return sign(k, "godwit/1/mailbox/prove", relay, challenge, name)
	}
	cases := []struct {
		name string
		send func(x *stranger)
		code uint16
	}{
		{"no proof", func(*stranger) {}, 4},
		{"another key", func(x *stranger) {
			k := newKey(t)
			x.say(0x05, 0, u32(epoch), public(k), proof(k, x.relay, x.challenge, queue))
		}, 4},
		{"another's signature", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), proof(newKey(t), x.relay, x.challenge, queue))
		}, 2},
		{"another relay's proof", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), proof(write, other.info.ID, x.challenge, queue))
		}, 2},
		{"another queue's proof", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), proof(write, x.relay, x.challenge, make([]byte, 32)))
		}, 2},
		{"another stream's challenge", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), proof(write, x.relay, bob.challenge, queue))
		}, 2},
		{"a login's signature", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), sign(write, "godwit/1/mailbox/login", x.relay, x.challenge, queue))
		}, 2},
		{"another epoch", func(x *stranger) {
			x.say(0x05, 0, u32(epoch+1), public(write), proof(write, x.relay, x.challenge, queue))
		}, 4}, // the QID that follows is another
		{"wrong, then right", func(x *stranger) {
			x.say(0x05, 0, u32(epoch), public(write), proof(newKey(t), x.relay, x.challenge, queue))
			x.prove(epoch, write, queue)
		}, 0},
		{"right, then wrong", func(x *stranger) {
			x.prove(epoch, write, queue)
			x.say(0x05, 0, u32(epoch), public(write), proof(newKey(t), x.relay, x.challenge, queue))
		}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x := r.stranger(t, h)
			c.send(x)
			deposit(t, x, c.code)
			x.stream.Close()
		})
	}
	t.Run("a queue of another day", func(t *testing.T) {
		x := r.stranger(t, h)
		for _, e := range []uint32{epoch - 2, epoch + 2, 0, 1<<32 - 2} {
			queue := qidOf(x.relay, e, public(write))
			bob.say(0x03, 2, []byte{1}, u64(uint64(time.Now().Add(time.Hour).Unix())), u16(1), queue)
			bob.wantAnswer(0x03, 2)
			x.prove(e, write, queue)
			x.say(0x06, 3, queue, u32(60), cell)
			x.wantCode(3, 5)
		}
		for _, e := range []uint32{epoch - 1, epoch + 1, 1<<32 - 1} { // midnight is near somewhere
			queue := qidOf(x.relay, e, public(write))
			bob.say(0x03, 2, []byte{1}, u64(uint64(time.Now().Add(time.Hour).Unix())), u16(1), queue)
			bob.wantAnswer(0x03, 2)
			x.prove(e, write, queue)
			x.say(0x06, 3, queue, u32(60), small())
			x.wantAnswer(0x06, 3)
		}
	})
	t.Run("a queue that is not there", func(t *testing.T) {
		x, k := r.stranger(t, h), newKey(t)
		x.prove(epoch, k, qidOf(x.relay, epoch, public(k)))
		x.say(0x06, 3, qidOf(x.relay, epoch, public(k)), u32(60), cell)
		x.wantCode(3, 3)
	})
	t.Run("sixteen wrong signatures end it", func(t *testing.T) {
		x := r.stranger(t, h)
		for i := range uint32(16) {
			x.say(0x05, 0, u32(epoch), public(write), make([]byte, 64))
			x.say(0x06, i, queue, u32(60), cell)
			x.wantCode(i, 2)
		}
		x.say(0x05, 0, u32(epoch), public(write), make([]byte, 64))
		if k, _, body := x.hear(); k != 0 {
			t.Fatalf("heard %#x %x", k, body)
		}
	})
	t.Run("the oldest proof is forgotten", func(t *testing.T) {
		x := r.stranger(t, h)
		x.prove(epoch, write, queue)
		deposit(t, x, 0)
		for range 255 {
			k := newKey(t)
			x.prove(epoch, k, qidOf(x.relay, epoch, public(k)))
		}
		deposit(t, x, 0)
		k := newKey(t)
		x.prove(epoch, k, qidOf(x.relay, epoch, public(k)))
		deposit(t, x, 4)
		x.prove(epoch, write, queue)
		deposit(t, x, 0)
	})
}

// TestWrongLogins: attacks.md row 21, the reader's side, and row 22's replayed
// proof of work.
func TestWrongLogins(t *testing.T) {
	r, other := startRelay(t, terms{}), startRelay(t, terms{})
	h := p2ptest.Loopback(t).Host()
	box := newKey(t)
	bob := r.stranger(t, h)
	text := func(x *stranger, relay peer.ID, challenge []byte) []byte {
		return sign(box, "godwit/1/mailbox/login", relay, challenge, public(box))
	}
	good := text(bob, bob.relay, bob.challenge)
	flipped := bytes.Clone(good)
	flipped[3] ^= 1
	for i, s := range [][]byte{text(bob, other.info.ID, bob.challenge), text(bob, bob.relay, make([]byte, 32)), flipped} {
		bob.say(0x01, uint32(i), public(box), s)
		bob.wantCode(uint32(i), 2)
	}
	for _, kind := range []struct {
		k    byte
		body []byte
	}{
		{0x02, []byte{0, 0}}, {0x03, slices.Concat([]byte{1}, u64(1<<32), u16(1), make([]byte, 32))}, {0x04, append(u16(1), make([]byte, 32)...)},
		{0x07, append(u64(0), 0, 1)}, {0x08, make([]byte, 16)}, {0x09, append(u16(1), make([]byte, 16)...)}, {0x0a, u64(0)},
		{0x0b, make([]byte, 32+4+mailbox.NoticeSize)}, {0x0c, make([]byte, 32)},
	} {
		bob.say(kind.k, 50, kind.body)
		bob.wantCode(50, 11)
	}
	bob.say(0x01, 60, public(box), good)
	bob.wantAnswer(0x01, 60)
	bob.say(0x01, 61, public(box), good)
	bob.wantCode(61, 11)
	for _, body := range [][]byte{ // logged in, without a lease
		slices.Concat([]byte{1}, u64(uint64(time.Now().Add(time.Hour).Unix())), u16(1), make([]byte, 32)),
	} {
		bob.say(0x03, 62, body)
		bob.wantCode(62, 12)
	}
	bob.say(0x0b, 63, make([]byte, 32), u32(60), make([]byte, mailbox.NoticeSize))
	bob.wantCode(63, 12)
	bob.say(0x02, 64, []byte{0, 0})
	bob.wantAnswer(0x02, 64)
	bob.say(0x02, 65, []byte{0, 0})
	bob.wantCode(65, 15)

	mallory := r.stranger(t, h) // replays what Bob said, on another stream
	mallory.say(0x01, 1, public(box), good)
	mallory.wantCode(1, 2)
}

// TestLeasesArePaidFor: proof of work is for one box on one stream; tokens are compared whole.
func TestLeasesArePaidFor(t *testing.T) {
	const bits = 9
	token := []byte("a friend's token")
	r := startRelay(t, terms{config: mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseToken, mailbox.LeaseWork}, Difficulty: bits, Tokens: [][]byte{token}}})
	h := p2ptest.Loopback(t).Host()
	box := newKey(t)
	work := func(relay peer.ID, challenge, box []byte) []byte {
		for n := uint64(0); ; n++ {
			if h := sha256.Sum256(slices.Concat([]byte("godwit/1/mailbox/work"), []byte(relay), challenge, box, u64(n))); h[0] == 0 && h[1] < 0x80 {
				return u64(n)
			}
		}
	}
	worthless := func(relay peer.ID, challenge, box []byte) []byte {
		for n := uint64(0); ; n++ {
			if h := sha256.Sum256(slices.Concat([]byte("godwit/1/mailbox/work"), []byte(relay), challenge, box, u64(n))); h[0] == 0 && h[1] >= 0x80 {
				return u64(n) // one bit short
			}
		}
	}
	login := func() *stranger {
		x := r.stranger(t, h)
		x.say(0x01, 1, public(box), sign(box, "godwit/1/mailbox/login", x.relay, x.challenge, public(box)))
		x.wantAnswer(0x01, 1)
		return x
	}
	first, second := login(), login()
	if d, kinds := first.hello[41], first.hello[42]; d != bits || kinds != 1<<1|1<<2|1<<7 { // the last: it knows RELEASE
		t.Fatalf("hello tells difficulty %d, leases %b", d, kinds)
	}
	paid := work(first.relay, first.challenge, public(box))
	refused := func(x *stranger, kind byte, proof []byte) {
		t.Helper()
		x.say(0x02, 2, []byte{kind, byte(len(proof))}, proof)
		x.wantCode(2, 12)
	}
	refused(first, 0, nil)
	refused(first, 2, worthless(first.relay, first.challenge, public(box)))
	refused(first, 2, append(paid, 0))
	refused(first, 2, paid[:7])
	refused(first, 1, token[:15])
	refused(first, 1, append(slices.Clone(token), 0))
	refused(first, 1, bytes.Repeat([]byte{1}, 16))
	refused(first, 3, paid)
	refused(second, 2, paid) // another stream's work
	first.say(0x02, 3, []byte{2, 8}, paid)
	first.wantAnswer(0x02, 3)
	second.say(0x02, 3, []byte{1, byte(len(token))}, token)
	second.wantAnswer(0x02, 3)

	carol := r.as(t)
	if _, err := carol.Login(t.Context(), carol.key); err != nil {
		t.Fatal(err)
	}
	if _, err := carol.Lease(t.Context(), carol.key.Public(), []byte("not a friend's..")); !errors.Is(err, mailbox.ErrLease) {
		t.Fatal(err)
	}
	if until, err := carol.Lease(t.Context(), carol.key.Public(), nil); err != nil || until.Sub(carol.Now()) < mailbox.LeaseTime-time.Minute { // by work
		t.Fatal(until, err)
	}
}

// TestBoxesOfOneCorner: one group of addresses opens so many boxes a day and is told when there
// may be another; who has one renews it, and who has a token has a box, all the same.
func TestBoxesOfOneCorner(t *testing.T) {
	token := []byte("a friend's token")
	r := startRelay(t, terms{config: mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen, mailbox.LeaseToken}, Tokens: [][]byte{token}, GroupBoxes: 2}})
	lease := func(p *person, token []byte) error {
		c, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), r.info)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Login(t.Context(), p.key); err != nil {
			t.Fatal(err)
		}
		_, err = c.Lease(t.Context(), p.key.Public(), token)
		return err
	}
	anna, bob, carol := r.as(t), r.as(t), r.as(t)
	for _, p := range []*person{anna, bob, anna, bob, anna} {
		if err := lease(p, nil); err != nil {
			t.Fatal(err)
		}
	}
	err := lease(carol, nil)
	var refusal *mailbox.Refusal
	if !errors.Is(err, mailbox.ErrTooMany) || !errors.As(err, &refusal) || refusal.Retry != 12*time.Hour {
		t.Fatalf("a third box from one corner: %v", err)
	}
	if err := lease(carol, token); err != nil {
		t.Fatalf("a third box for a token: %v", err)
	}
	if err := lease(carol, nil); err != nil {
		t.Fatalf("renewed without a token: %v", err)
	}
}

// TestADaysTraffic: what comes and goes in a day is bounded. What comes has half of it, so that it can all be fetched; what is
// refused is refused until a time that is told, and nothing is lost. What a run before carried counts.
func TestADaysTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := mailbox.ServerConfig{Daily: 16 * mailbox.CellLarge}
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 5 * time.Millisecond}, 1)
		r := serveOn(t, w.Node("relay").Host(), terms{config: cfg})
		bobs, alices := w.Node("bob").Host(), w.Node("alice").Host()
		bob, alice := r.via(t, bobs).moveIn(), r.via(t, alices)
		d := bob.describe()
		put := func() error {
			q := d.Queue(alice.Epoch())
			cell, err := q.Key.Seal(mailboxtest.Random(mailbox.CellLarge - mailbox.CellOverhead))
			if err != nil {
				t.Fatal(err)
			}
			_, err = alice.Put(t.Context(), q.Write, cell, 0)
			return err
		}
		later := func(err error, least, most time.Duration) {
			t.Helper()
			var refusal *mailbox.Refusal
			if !errors.Is(err, mailbox.ErrTryLater) || !errors.As(err, &refusal) || refusal.Retry < least || refusal.Retry > most {
				t.Fatal(err)
			}
		}
		for range 8 {
			if err := put(); err != nil {
				t.Fatal(err)
			}
		}
		later(put(), 89*time.Minute, 90*time.Minute) // a sixteenth of a day
		_, err := bob.Post(t.Context(), mailbox.NoticeID{1}, make([]byte, mailbox.NoticeSize), 0)
		later(err, 22*time.Minute, 23*time.Minute)
		entries, _, err := bob.List(t.Context(), 0)
		if err != nil || len(entries) != 8 {
			t.Fatal(len(entries), err)
		}
		for _, e := range entries {
			if _, err := bob.Get(t.Context(), e.Cell); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.server.Stats().Day; n < cfg.Daily-mailbox.CellSmall || n > cfg.Daily {
			t.Fatalf("%d bytes of %d are used", n, cfg.Daily)
		}
		_, err = bob.Get(t.Context(), entries[0].Cell)
		later(err, 89*time.Minute, 90*time.Minute)
		if n, err := bob.Ack(t.Context(), entries[1].Cell); err != nil || n != 1 { // what frees room costs nothing
			t.Fatal(n, err)
		}
		time.Sleep(90 * time.Minute)
		key := bob.key
		bob = r.via(t, bobs)
		if _, err := bob.Login(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Get(t.Context(), entries[0].Cell); err != nil {
			t.Fatal(err)
		}
		alice = r.via(t, alices)
		later(put(), 13*time.Hour, 13*time.Hour+30*time.Minute)
		time.Sleep(13*time.Hour + 30*time.Minute)
		alice = r.via(t, alices)
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if a, err := alice.Allowance(t.Context()); err != nil || a.Daily != cfg.Daily {
			t.Fatalf("%+v, %v", a, err)
		}
		r.server.Carried(cfg.Daily/2, time.Now())
		later(put(), 13*time.Hour, 14*time.Hour)
		if err := r.server.SetTerms(mailbox.ServerConfig{}); err != nil { // any number, on streams that are there, too
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBytesOfOneCorner: while there is room, anybody leaves what the boxes take. Once it is scarce, a corner of the network that
// has left its part is told that the relay is full, whatever it leaves; when it has room again, or a day later, all is as before.
func TestBytesOfOneCorner(t *testing.T) {
	var scarce atomic.Bool
	cfg := mailbox.ServerConfig{GroupBytes: 4 * mailbox.NoticeSize, Room: func() (taken, all uint64) {
		if scarce.Load() {
			return 51, 100
		}
		return 50, 100
	}}
	r := startRelay(t, terms{config: cfg})
	anna, bob := r.as(t).moveIn(), r.as(t)
	at := anna.describe()
	leave := func(size int) error {
		q := at.Queue(bob.Epoch())
		cell, err := q.Key.Seal(mailboxtest.Random(size - mailbox.CellOverhead))
		if err != nil {
			t.Fatal(err)
		}
		_, err = bob.Put(t.Context(), q.Write, cell, 0)
		return err
	}
	post := func() error {
		_, err := anna.Post(t.Context(), mailbox.NoticeID(mailboxtest.Random(32)), make([]byte, mailbox.NoticeSize), 0)
		return err
	}
	for range 3 {
		if err := errors.Join(leave(mailbox.CellLarge), post()); err != nil {
			t.Fatal(err)
		}
	}
	scarce.Store(true)
	err := leave(mailbox.CellSmall)
	var refusal *mailbox.Refusal
	if !errors.Is(err, mailbox.ErrFull) || !errors.As(err, &refusal) || refusal.Retry != 90*time.Minute { // a sixteenth of a day
		t.Fatalf("more than its part: %v", err)
	}
	wantErr(t, post(), mailbox.ErrFull)
	if entries, _, err := anna.List(t.Context(), 0); err != nil || len(entries) != 3 {
		t.Fatal(len(entries), err)
	}
	scarce.Store(false)
	if err := leave(mailbox.CellSmall); err != nil {
		t.Fatal(err)
	}
	scarce.Store(true)
	cfg.GroupBytes *= 2 // it may leave as much again, on streams that are there too
	if err := r.server.SetTerms(cfg); err != nil {
		t.Fatal(err)
	}
	if err := leave(mailbox.CellMedium); err != nil {
		t.Fatal(err)
	}
	if err := leave(mailbox.CellLarge); !errors.Is(err, mailbox.ErrFull) {
		t.Fatal(err)
	}
}

// TestBoxesGivenBack: who gives a box back on the stream on which it was leased may open sixteen for one, such as a
// monitor that looks every few minutes whether the relay works; and no more, so that nobody has the
// relay write for ever.
func TestBoxesGivenBack(t *testing.T) {
	r := startRelay(t, terms{config: mailbox.ServerConfig{GroupBoxes: 2}})
	h := p2ptest.Loopback(t).Host()
	look := func() error {
		p := r.via(t, h)
		defer p.Close()
		if _, err := p.Login(t.Context(), p.key); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Lease(t.Context(), p.key.Public(), nil); err != nil {
			return err
		}
		p.leave(p.describe(), message("is it well?", mailbox.CellSmall))
		for range 2 { // the second time there is nothing to give
			if err := p.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := r.store.Box(p.key.Public()); err != nil || info != (mailbox.BoxInfo{}) {
			t.Fatal(info, err)
		}
		wantErr(t, p.Open(t.Context(), mailbox.Ordinary, p.Now().Add(time.Hour), mailbox.QID{1}), mailbox.ErrLease)
		return nil
	}
	looks := 0
	for look() == nil {
		if looks++; looks > 100 {
			t.Fatal("it never ends")
		}
	}
	if looks != 17 { // the last needs a whole one
		t.Fatalf("%d boxes were opened and given back", looks)
	}
	if u := r.store.Usage(); u.Boxes+u.Queues+u.Cells+u.Bytes != 0 {
		t.Fatalf("left are %+v", u)
	}
}

// TestReleaseIsForOwners: RELEASE needs LOGIN, and is about that box alone. Who watches another is not disturbed.
func TestReleaseIsForOwners(t *testing.T) {
	r := startRelay(t, terms{})
	anna, bob := r.as(t).moveIn(), r.as(t)
	at := anna.describe()
	cell, _ := anna.leave(at, message("for Anna", mailbox.CellSmall))
	wantErr(t, bob.Release(t.Context()), mailbox.ErrLogin)
	bob.moveIn()
	if err := bob.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := anna.Get(t.Context(), cell); err != nil {
		t.Fatal(err)
	}
	// What was asked for before, on the same stream, happened before.
	second := r.as(t)
	second.key = anna.key
	if _, err := second.Login(t.Context(), second.key); err != nil {
		t.Fatal(err)
	}
	q := anna.Epoch()
	if err := anna.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, _, err := second.List(t.Context(), 0); err != nil || len(entries) != 0 {
		t.Fatal(entries, err)
	}
	sealed, err := at.Queue(q).Key.Seal(message("too late", mailbox.CellSmall))
	if err != nil {
		t.Fatal(err)
	}
	_, err = bob.Put(t.Context(), at.Queue(q).Write, sealed, 0)
	wantErr(t, err, mailbox.ErrUnknownQueue)
	if _, err := second.Lease(t.Context(), second.key.Public(), nil); err != nil { // and it may be had again
		t.Fatal(err)
	}
}

// TestNewerRelay: a relay that tells what is not known here is understood as far as it is.
func TestNewerRelay(t *testing.T) {
	hello := goodHello(time.Now())
	hello[47] |= 1<<7 | 1<<5 // it knows ALLOWS, and another kind of lease
	r, _ := liar(t, hello, func(kind byte, id uint32, _ []byte) [][]byte {
		return [][]byte{slices.Concat([]byte{kind | 0x80}, u32(id), []byte{4, 1}, u64(3600), []byte{3}, u64(1<<40), []byte{10}, u64(7), []byte{99}, u64(1))}
	})
	p := r.as(t)
	if a, err := p.Allowance(t.Context()); err != nil || a != (mailbox.Allowance{Lease: time.Hour, Token: mailbox.Room{QueueCells: 1<<16 - 1}, GroupBoxes: 7}) {
		t.Fatalf("%+v, %v", a, err)
	}
	if l := p.Limits(); !l.Newer || !slices.Equal(l.Leases, []mailbox.LeaseKind{mailbox.LeaseOpen, 5}) {
		t.Fatalf("%+v", l)
	}
}

// TestOlderRelay: a relay that does not know RELEASE and ALLOWS says so by not saying otherwise, is not asked, and goes on.
func TestOlderRelay(t *testing.T) {
	r, _ := liar(t, goodHello(time.Now()), func(kind byte, id uint32, _ []byte) [][]byte {
		if kind != 0x0e {
			t.Errorf("it is asked %#x", kind)
		}
		return [][]byte{slices.Concat([]byte{kind | 0x80}, u32(id), u64(uint64(time.Now().UnixMilli())))}
	})
	p := r.as(t)
	wantErr(t, p.Release(t.Context()), mailbox.ErrOlder)
	_, err := p.Allowance(t.Context())
	wantErr(t, err, mailbox.ErrOlder)
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestMalformed: attacks.md row 28 on the wire. The relay says so, ends that
// stream, and serves the others.
func TestMalformed(t *testing.T) {
	r := startRelay(t, terms{})
	h := p2ptest.Loopback(t).Host()
	names := func(n uint16, size int) []byte { return append(u16(n), make([]byte, int(n)*size)...) }
	for name, body := range map[string][]byte{
		"unknown kind":           {0x14},
		"release long":           {0x12, 0},
		"allows long":            {0x13, 0},
		"routes long":            {0x11, 0},
		"an answer":              {0x81},
		"hello":                  append([]byte{0x80}, make([]byte, 71)...),
		"login short":            append([]byte{0x01}, make([]byte, 95)...),
		"login long":             append([]byte{0x01}, make([]byte, 97)...),
		"lease short":            {0x02, 2, 8, 1},
		"lease trailing":         {0x02, 0, 0, 0},
		"open class 4":           slices.Concat([]byte{0x03, 4}, u64(1), names(1, 32)),
		"open none":              slices.Concat([]byte{0x03, 1}, u64(1), names(0, 32)),
		"open 513":               slices.Concat([]byte{0x03, 1}, u64(1), names(513, 32)),
		"open until year 10000":  slices.Concat([]byte{0x03, 1}, u64(253402300800), names(1, 32)),
		"open fewer than told":   slices.Concat([]byte{0x03, 1}, u64(1), u16(2), make([]byte, 32)),
		"close trailing":         append(append([]byte{0x04}, names(1, 32)...), 0),
		"prove short":            append([]byte{0x05}, make([]byte, 99)...),
		"put without cell's end": append([]byte{0x06}, make([]byte, 30)...),
		"list 0":                 slices.Concat([]byte{0x07}, u64(0), u16(0)),
		"list 257":               slices.Concat([]byte{0x07}, u64(0), u16(257)),
		"get short":              append([]byte{0x08}, make([]byte, 15)...),
		"ack 600":                append([]byte{0x09}, names(600, 16)...),
		"post of another size":   append([]byte{0x0b}, make([]byte, 36+mailbox.NoticeSize-1)...),
		"fetch long":             append([]byte{0x0d}, make([]byte, 33)...),
		"terms long":             append([]byte{0x0f}, make([]byte, 33)...),
		"intro without a seal":   append([]byte{0x10}, make([]byte, 84)...),
		"ping with body":         {0x0e, 1},
	} {
		t.Run(name, func(t *testing.T) {
			x := r.stranger(t, h)
			x.say(0x0e, 1)
			x.wantAnswer(0x0e, 1)
			x.say(body[0], 2, body[1:])
			x.wantCode(2, 1)
			if k, _, _ := x.hear(); k != 0 {
				t.Fatal("the stream goes on")
			}
			x.stream.Reset()
		})
	}
	for name, frame := range map[string][]byte{"empty frame": {0, 0, 0, 0}, "frame of 4 bytes": {0, 0, 0, 4, 1, 1, 1, 1}, "frame of 4 GiB": {255, 255, 255, 255, 1}, "one byte too long": {0, 1, 0, 0x81}} {
		t.Run(name, func(t *testing.T) {
			x := r.stranger(t, h)
			if _, err := x.stream.Write(frame); err != nil {
				t.Fatal(err)
			}
			if k, _, _ := x.hear(); k != 0 {
				t.Fatal("the stream goes on")
			}
		})
	}
	bob := r.as(t).moveIn()
	bob.leave(bob.describe(), message("all is well", mailbox.CellSmall))
}

// TestEdges: sizes off by one and times at their limits.
func TestEdges(t *testing.T) {
	r := startRelay(t, terms{})
	x := r.stranger(t, p2ptest.Loopback(t).Host())
	box, write := newKey(t), newKey(t)
	x.login(box)
	epoch, queue := x.openOrdinary(write)
	x.prove(epoch, write, queue)
	for _, n := range []int{0, 1, 4095, 4097, 16383, 16385, 65535} {
		x.say(0x06, 1, queue, u32(60), make([]byte, n))
		x.wantCode(1, 9)
	}
	for _, ttl := range []uint32{0, 30*86400 + 1, 1<<32 - 1} {
		x.say(0x06, 2, queue, u32(ttl), small())
		x.wantCode(2, 10)
		x.say(0x0b, 3, make([]byte, 32), u32(ttl), make([]byte, mailbox.NoticeSize))
		x.wantCode(3, 10)
	}
	for _, ttl := range []uint32{1, 30 * 86400} {
		x.say(0x06, 4, queue, u32(ttl), small())
		x.wantAnswer(0x06, 4)
	}
	now := time.Now()
	for _, until := range []time.Time{now.Add(-time.Second), now.Add(mailbox.MaxUntil + time.Minute), time.Unix(0, 0)} {
		x.say(0x03, 5, []byte{1}, u64(uint64(until.Unix())), u16(1), make([]byte, 32))
		x.wantCode(5, 10)
	}
	for i := range 64 {
		x.say(0x0b, 6, bytes.Repeat([]byte{byte(i)}, 32), u32(60), make([]byte, mailbox.NoticeSize))
		x.wantAnswer(0x0b, 6)
	}
	x.say(0x0b, 7, bytes.Repeat([]byte{200}, 32), u32(60), make([]byte, mailbox.NoticeSize))
	x.wantCode(7, 7)
	x.say(0x07, 8, u64(1<<64-1), u16(256))
	if b := x.wantAnswer(0x07, 8); !bytes.Equal(b, []byte{0, 0, 0}) {
		t.Fatalf("listed %x", b)
	}
}

// TestFloods: attacks.md row 22. Streams beyond the bounds are told so; one
// that fills its window without reading is stopped and then dropped, and others are
// served meanwhile.
func TestFloods(t *testing.T) {
	r := startRelay(t, terms{config: mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}, Streams: 24}})
	mallory, friend := p2ptest.Loopback(t).Host(), p2ptest.Loopback(t).Host()
	bob := r.as(t).moveIn()
	d := bob.describe()
	alice := r.as(t)

	var streams []*stranger
	for i := range 20 {
		x := r.stranger(t, mallory)
		if refused := x.hello == nil; refused != (i >= 16) {
			t.Fatalf("stream %d of one peer: refused %v", i, refused)
		}
		streams = append(streams, x)
	}
	for i := range 10 {
		x := r.stranger(t, friend) // 2 people and 16 streams are there
		if refused := x.hello == nil; refused != (i >= 6) {
			t.Fatalf("stream %d of all: refused %v", i, refused)
		}
		streams = append(streams, x)
	}
	alice.leave(d, message("during the flood", mailbox.CellSmall))

	x := streams[0] // asks and never listens
	var asked sync.WaitGroup
	asked.Go(func() {
		x.stream.SetWriteDeadline(time.Now().Add(5 * time.Second))
		for i := range 1 << 20 {
			if x.try(0x0e, uint32(i)) != nil {
				return
			}
		}
		t.Error("a million questions were taken in without an answer being read")
	})
	alice.leave(d, message("beside it", mailbox.CellSmall))
	asked.Wait()
	alice.leave(d, message("after it", mailbox.CellSmall))
	for _, x := range streams {
		x.stream.Reset()
	}
	for { // slots come back
		x := r.stranger(t, mallory)
		if x.hello != nil {
			break
		}
	}
	if entries, _, err := bob.List(t.Context(), 0); len(entries) != 3 || err != nil {
		t.Fatal(len(entries), err)
	}
}

// TestManyAtOnce: one person's deposits beyond window and group sizes all come.
func TestManyAtOnce(t *testing.T) {
	r := startRelay(t, terms{})
	bob := r.as(t).moveIn()
	queues := bob.describe().Queues()
	day := slices.IndexFunc(queues, func(q mailbox.Queue) bool { return q.Write.Epoch() == bob.Epoch() })
	alice := r.as(t)
	var putting sync.WaitGroup
	for i := range 900 {
		putting.Go(func() {
			size := []int{mailbox.CellSmall, mailbox.CellSmall, mailbox.CellMedium}[i%3]
			q := queues[day+i%2]
			cell, err := q.Key.Seal(message(fmt.Sprint(i), size))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := alice.Put(t.Context(), q.Write, cell, 0); err != nil {
				t.Errorf("deposit %d: %v", i, err)
			}
		})
	}
	putting.Wait()
	seen := make(map[mailbox.CellID]bool)
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = bob.List(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			seen[e.Cell] = true
			after = e.Sequence
		}
	}
	if len(seen) != 900 {
		t.Fatalf("%d cells came, want 900", len(seen))
	}
}
