package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// killsEnv says how often the relay is killed, in place of kills.
const killsEnv, kills = "KILLS", 12

// TestKilled: a relay in a process of its own is killed (SIGKILL) at random
// while people deposit and acknowledge. After each restart every cell with a receipt is there, whole,
// unless its reader acknowledged it; and what was acknowledged is gone.
func TestKilled(t *testing.T) {
	killRounds := kills
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if killRounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "relay")
	r := start(t, "relay", dir)
	rng := rand.New(rand.NewPCG(1, 2))
	bob := moveIn(t, r.info(t))
	key := bob.key
	queues := make([]mailbox.WriteKey, 30)
	for i := range queues {
		var err error
		if queues[i], err = mailbox.NewWriteKey(bob.Relay(), mailbox.CatchAll, [32]byte(mailboxtest.Random(32))); err != nil {
			t.Fatal(err)
		}
		if err := bob.Open(t.Context(), mailbox.Ordinary, bob.Now().Add(time.Hour), queues[i].QID()); err != nil {
			t.Fatal(err)
		}
	}

	kept, acked := make(map[mailbox.CellID]bool), make(map[mailbox.CellID]bool)
	waited := 0
	for round := range killRounds {
		info := r.info(t)
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		var underWay, done atomic.Int64
		var people sync.WaitGroup
		for range 4 {
			h := p2ptest.Loopback(t).Host()
			people.Go(func() {
				c, err := mailbox.Dial(ctx, h, info)
				if err != nil {
					return // killed before
				}
				defer c.Close()
				var putting sync.WaitGroup
				for range 4 {
					putting.Go(func() {
						for i := 0; ; i++ {
							cell := mailboxtest.Random(mailbox.CellSmall)
							underWay.Add(1)
							_, err := c.Put(ctx, queues[i%len(queues)], cell, 0)
							underWay.Add(-1)
							if err != nil {
								return
							}
							done.Add(1)
							mu.Lock()
							kept[mailbox.IDOf(cell)] = true
							mu.Unlock()
						}
					})
				}
				putting.Wait()
			})
		}
		people.Go(func() { // Bob acknowledges some, one request at a time
			c, err := mailbox.Dial(ctx, p2ptest.Loopback(t).Host(), info)
			if err != nil {
				return
			}
			defer c.Close()
			if _, err := c.Login(ctx, key); err != nil {
				return
			}
			for {
				entries, _, err := c.List(ctx, 0)
				if err != nil {
					return
				}
				for i, e := range entries {
					if i%3 == 0 {
						continue // left for the end
					}
					mu.Lock()
					acked[e.Cell] = false // asked for, so it may be gone
					mu.Unlock()
					if _, err := c.Ack(ctx, e.Cell); err != nil {
						return
					}
					mu.Lock()
					acked[e.Cell] = true // answered, so it must be
					mu.Unlock()
				}
			}
		})
		wait := time.After(time.Duration(50+rng.IntN(250)) * time.Millisecond)
		<-wait
		if underWay.Load() > 0 {
			waited++
		}
		r.kill(t)
		stop()
		people.Wait()

		r = start(t, "relay", dir)
		if got := r.info(t).ID; got != info.ID {
			t.Fatal("after a kill it is another relay")
		}
		there := everything(t, r, key)
		for id := range kept {
			answered, asked := acked[id]
			switch {
			case !asked && !there[id]:
				t.Fatalf("round %d: a cell with a receipt is lost", round)
			case answered && there[id]:
				t.Fatalf("round %d: a cell came back after its acknowledgement was answered", round)
			}
			if !there[id] {
				delete(kept, id)
			}
		}
		clear(acked)
		if len(there) > 10*len(queues) { // or they would be full one day
			clear(kept)
			empty(t, r, key)
		}
		t.Logf("round %d: %d receipts, %d cells there", round, done.Load(), len(there))
	}
	if waited < killRounds/2 {
		t.Fatalf("only %d kills fell between a deposit and its answer", waited)
	}
}

// everything is what a box holds, each cell fetched.
func everything(t *testing.T, r *child, key mailbox.BoxPrivate) map[mailbox.CellID]bool {
	t.Helper()
	c := dial(t, r.info(t))
	defer c.Close()
	if _, err := c.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	there := make(map[mailbox.CellID]bool)
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = c.List(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if there[e.Cell] {
				t.Fatal(fmt.Errorf("%v is listed twice", e.Cell))
			}
			if _, err := c.Get(t.Context(), e.Cell); err != nil {
				t.Fatal(err)
			}
			there[e.Cell], after = true, e.Sequence
		}
	}
	return there
}

// empty deletes all that a box holds.
func empty(t *testing.T, r *child, key mailbox.BoxPrivate) {
	t.Helper()
	c := dial(t, r.info(t))
	defer c.Close()
	if _, err := c.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	var ids []mailbox.CellID
	for id := range everything(t, r, key) {
		ids = append(ids, id)
	}
	if n, err := c.Ack(t.Context(), ids...); n != len(ids) || err != nil {
		t.Fatalf("%d of %d deleted: %v", n, len(ids), err)
	}
}
