package node

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// Mallory fills the memory of a relay by bytes that nobody reads, over QUIC, as a stranger over TCP, and with a box. Each time those go by whom it
// may have been, first those who can come back over TCP, and of those who proved something the group with most streams; who
// does as people do stays, and nobody goes for what is garbage.
func TestMemoryIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 256, Group: 64, Rate: 1000})
		const limit = 1 << 20
		var mu sync.Mutex // of what follows
		var garbage uint64
		held := make(map[*guest]uint64)
		h := heap{usage: func() (u usage) {
			mu.Lock()
			defer mu.Unlock()
			for v, n := range held {
				if !v.out {
					u.least += n
				}
			}
			u.most = u.least + garbage
			return u
		}, collect: func() {
			mu.Lock()
			defer mu.Unlock()
			garbage = 0
		}}
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		go g.watch(t.Context(), h, func() uint64 { return limit })
		overQUIC := func(ip string) *guest {
			c, err := g.OpenConnection(network.DirInbound, false, ma.StringCast("/ip4/"+ip+"/udp/4001/quic-v1"))
			if err != nil {
				return nil
			}
			v := &guest{Visitor: c.(*Visitor)}
			v.closes(func() { v.out = true; v.Done() })
			return v
		}
		opens := func(v *guest, n int) *guest {
			t.Helper()
			for range n {
				if _, err := g.OpenStream(v.peer, network.DirInbound); err != nil {
					t.Fatal(err)
				}
			}
			return v
		}
		bob, anna := g.greets("10.9.0.1"), g.greets("10.8.0.1") // Bob collects his mail, Anna is about to say who she is
		bob.Prove()
		opens(bob, 2)
		mu.Lock()
		garbage = 2 * limit
		mu.Unlock()
		carol := overQUIC("10.7.0.1")
		wait(time.Minute)
		if carol == nil || carol.out {
			t.Fatal("Carol goes for garbage")
		}
		var flood []*guest
		fill := func(how func(i int) *guest) {
			t.Helper()
			flood = nil
			for i := range 20 {
				v := how(i)
				mu.Lock()
				held[v] = limit / 10
				mu.Unlock()
				flood = append(flood, v)
			}
			wait(collectAgain + 2*lookAtMemory)
			for _, v := range flood {
				if !v.out {
					t.Error("the memory is not given back")
				}
			}
			if bob.out || anna.out {
				t.Errorf("Bob had to go: %v; Anna: %v", bob.out, anna.out)
			}
		}
		fill(func(i int) *guest { return overQUIC(fmt.Sprintf("10.0.%d.1", i)) })
		if !carol.out || overQUIC("10.7.0.1") != nil {
			t.Error("QUIC goes on")
		}
		fill(func(i int) *guest { return opens(g.greets(fmt.Sprintf("10.1.%d.1", i)), 4) })
		fill(func(i int) *guest {
			v := g.greets(fmt.Sprintf("10.2.0.%d", i))
			v.Prove()
			return opens(v, 32)
		})
		time.Sleep(withoutQUIC)
		if carol = overQUIC("10.7.0.1"); carol == nil {
			t.Fatal("nobody gets in over QUIC any more")
		}
		if n := g.Turned().Memory; n != 3*20+2 {
			t.Errorf("%d went, or were not taken, for memory", n)
		}
	})
}

// While people come and go a relay collects its garbage when it likes. Once they are silent it gives back what they do not need,
// once; and again when there is enough to be worth it, and not too often. What is at rest is bounded, too.
func TestRelayAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Bounds{Connections: 256, Group: 64, Rate: 1000})
		mallory := g.greets("10.9.0.1")
		if _, err := g.OpenStream(mallory.peer, network.DirInbound); err != nil {
			t.Fatal(err)
		}
		const need, spared = 100 << 20, spare + 25<<20
		var mu sync.Mutex // of what follows
		u, limit := usage{least: need, most: need + spared}, uint64(1<<40)
		var objects, stacks uint64 // that come, and go, between two looks
		collections := 0
		h := heap{usage: func() usage {
			mu.Lock()
			defer mu.Unlock()
			u.allocated += objects
			u.most += objects
			u.free += stacks
			return u
		}, collect: func() {
			mu.Lock()
			defer mu.Unlock()
			u.most, u.free = u.least, 0
			collections++
		}}
		go g.watch(t.Context(), h, func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return limit
		})
		goesOn := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if collections != want {
				t.Errorf("collected %d times, want %d", collections, want)
			}
		}
		come := func(o, s uint64) {
			mu.Lock()
			defer mu.Unlock()
			objects, stacks = o, s
		}
		come(2*atRest, 0)
		goesOn(time.Minute, 0)
		come(0, 0)
		goesOn((restLooks-1)*lookAtMemory, 0)
		goesOn(lookAtMemory, 1)
		goesOn(time.Hour, 1)
		come(atRest, 0)
		goesOn(spared/atRest*lookAtMemory, 1) // as much as is left to it, and no more
		goesOn(lookAtMemory, 2)
		come(2*atRest, 0)
		goesOn(time.Hour, 2)
		come(0, 0)
		goesOn(time.Hour, 3)
		come(0, 2*spared)
		goesOn(10*restAgain, 13)
		mu.Lock()
		limit = need / 2
		mu.Unlock()
		goesOn(2*lookAtMemory, 14)
		if !mallory.out {
			t.Error("who holds the memory stays")
		}
	})
}
