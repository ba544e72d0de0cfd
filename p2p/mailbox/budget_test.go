package mailbox_test

import (
	"crypto/ed25519"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
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
