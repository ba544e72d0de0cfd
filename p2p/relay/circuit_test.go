package relay_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// neighbours are four relays of which three know the first only.
func neighbours(t *testing.T) (houses []*house) {
	t.Helper()
	var first []string
	for range 4 {
		h := run(t, relay.Config{Data: t.TempDir(), Peers: first})
		if first == nil {
			for _, a := range h.Addrs() {
				first = append(first, a.String())
			}
		}
		houses = append(houses, h)
	}
	return houses
}

// ways waits until a relay tells of so many hops.
func ways(t *testing.T, c *mailbox.Client, n int) []peer.AddrInfo {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		addrs, err := c.Routes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if hops := node.Hops(node.Loopback, addrs); len(hops) == n {
			return hops
		} else if time.Now().After(end) {
			t.Fatalf("a relay is reached through %d others, want %d", len(hops), n)
		}
	}
}

// throwaway is a host to deposit from.
func throwaway(t *testing.T) host.Host {
	t.Helper()
	pool := node.NewPool(node.Config{Mode: node.Loopback, Circuits: true})
	t.Cleanup(pool.Close)
	h, release, err := pool.Host(t.Context(), "deposit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return h
}

// Relays find each other, by hand and in the DHT, and each is reached through three.
// One that is a hop for a deposit ends in the middle of it: the deposit goes through
// another, and every cell is there once.
func TestThroughOtherRelays(t *testing.T) {
	houses := neighbours(t)
	bob := moveIn(t, houses[3].info())
	hops := ways(t, bob.Client, node.MaxHops)
	for _, h := range houses {
		s, err := relayStatus(t, h)
		if err != nil || h == houses[3] && s.Hops != node.MaxHops {
			t.Errorf("status: %+v, %v", s, err)
		}
	}

	alice := throwaway(t)
	connect := func() (*mailbox.Client, peer.ID) {
		via, err := node.DialCircuit(t.Context(), alice, node.Loopback, hops, bob.Relay())
		if err != nil {
			t.Fatal(err)
		}
		c, err := mailbox.Connect(t.Context(), alice, bob.Relay())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c, via
	}
	c, via := connect()
	hop := houses[slices.IndexFunc(houses, func(h *house) bool { return h.ID() == via })]
	const cells = 200
	var want []mailbox.CellID
	failed := 0
	for i := range cells {
		if i == cells/2 {
			if err := hop.stop(); err != nil {
				t.Fatal(err)
			}
		}
		cell := mailboxtest.Random(mailbox.CellSmall)
		want = append(want, mailbox.IDOf(cell))
		for {
			receipt, err := c.Put(t.Context(), bob.queue.Write, cell, 0)
			if err == nil && receipt.Verify(bob.Relay(), bob.queue.Write.QID(), mailbox.IDOf(cell)) == nil {
				break
			}
			if failed++; failed > 3 {
				t.Fatal(err)
			}
			next, other := connect()
			if other == via {
				t.Fatal("the deposit goes on through a relay that is gone")
			}
			c = next
		}
	}
	if failed == 0 {
		t.Error("the hop's end disturbed nothing: it was not the hop")
	}
	got := make(map[mailbox.CellID]int)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := bob.Watch(ctx, 0, func(news []mailbox.Entry) error {
		for _, e := range news {
			got[e.Cell]++
		}
		if len(got) >= cells {
			cancel()
		}
		return nil
	})
	if len(got) != cells {
		t.Fatalf("%d cells of %d are there: %v", len(got), cells, err)
	}
	for _, id := range want {
		if got[id] != 1 {
			t.Errorf("a cell is there %d times", got[id])
		}
	}
}

func relayStatus(t *testing.T, h *house) (relay.Report, error) {
	return relay.Status(t.Context(), relay.Socket(h.data))
}
