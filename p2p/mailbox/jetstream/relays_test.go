//go:build cluster

package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream/servers"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
)

// dirEnv and storeEnv make the test binary a relay on a directory, with a store at a URL.
const dirEnv, storeEnv = "GODWIT_TEST_DIR", "GODWIT_TEST_STORE"

func of(cfg Config, c relay.StoreConfig) Config {
	cfg.Dir, cfg.Relay, cfg.MaxBytes, cfg.Quotas, cfg.Log = c.Dir, c.Relay, c.MaxBytes, c.Quotas, c.Log
	return cfg
}

// serve is the relay's process: it says where it listens and runs until SIGTERM.
func serve(dir, store string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := ParseURL(store)
	if err != nil {
		return err
	}
	r, err := relay.New(relay.Config{
		Data: dir, Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, HTTP: "127.0.0.1:0",
		Store: func(c relay.StoreConfig) (relay.Store, error) {
			return Open(ctx, of(cfg, c))
		},
		Event: func(e relay.Event) {
			if e.State == relay.Ready {
				fmt.Println(e.Addrs[0], e.HTTP)
			}
		},
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// family is some relay processes of one identity, on one cluster.
type family struct {
	servers *servers.Cluster
	dirs    []string

	mu    sync.Mutex
	cmds  []*exec.Cmd
	infos []peer.AddrInfo
	pages []string // host:port
}

func newFamily(t *testing.T, relays int) *family {
	f := &family{servers: cluster(t, 3), cmds: make([]*exec.Cmd, relays), infos: make([]peer.AddrInfo, relays), pages: make([]string, relays)}
	for i := range relays {
		f.dirs = append(f.dirs, t.TempDir())
		if i > 0 {
			key, err := os.ReadFile(filepath.Join(f.dirs[0], "relay.key"))
			if err == nil {
				err = os.WriteFile(filepath.Join(f.dirs[i], "relay.key"), key, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		f.start(t, i)
		t.Cleanup(func() { f.kill(i) })
	}
	if f.infos[0].ID != f.infos[1].ID {
		t.Fatal("they are not one relay")
	}
	return f
}

func (f *family) start(t *testing.T, i int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirEnv+"="+f.dirs[i], storeEnv+"=nats://"+strings.ReplaceAll(f.servers.URL(), "nats://", ""))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(out)
	if !s.Scan() {
		t.Fatal("a relay's process said nothing")
	}
	addr, page, _ := strings.Cut(s.Text(), " ")
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cmds[i], f.infos[i], f.pages[i] = cmd, *info, page
}

func (f *family) kill(i int) {
	f.cmds[i].Process.Kill()
	f.cmds[i].Wait()
}

func (f *family) info(i int) peer.AddrInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.infos[i]
}

// dial reaches one of the relays, by a host of its own.
func (f *family) dial(t *testing.T, i int) *mailbox.Client {
	t.Helper()
	c, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), f.info(i))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// login reaches a box by one of the relays.
func (f *family) login(t *testing.T, i int, key mailbox.BoxPrivate) *mailbox.Client {
	t.Helper()
	c := f.dial(t, i)
	if _, err := c.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return c
}

// moveIn leases a box and opens queues in it.
func moveIn(t *testing.T, c *mailbox.Client, key mailbox.BoxPrivate, n int) (queues []mailbox.WriteKey) {
	t.Helper()
	if _, err := c.Lease(t.Context(), key.Public(), nil); err != nil {
		t.Fatal(err)
	}
	var names []mailbox.QID
	for range n {
		k, err := mailbox.NewWriteKey(c.Relay(), mailbox.CatchAll, [32]byte(mailboxtest.Random(32)))
		if err != nil {
			t.Fatal(err)
		}
		queues, names = append(queues, k), append(names, k.QID())
	}
	if err := c.Open(t.Context(), mailbox.Ordinary, c.Now().Add(24*time.Hour), names...); err != nil {
		t.Fatal(err)
	}
	return queues
}

// TestTwoRelaysAreOne: Bob watches his box by one process while Anna leaves cells by the
// other; he hears of each, in order, and what he deletes by the one is gone at both. Quotas
// hold for both together.
func TestTwoRelaysAreOne(t *testing.T) {
	t.Parallel()
	f := newFamily(t, 2)
	key := mailbox.GenerateBox()
	bob := f.login(t, 0, key)
	queues := moveIn(t, bob, key, 2)
	heard := make(chan mailbox.Entry, 100)
	ctx, leave := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		err := bob.Watch(ctx, 0, func(entries []mailbox.Entry) error {
			for _, e := range entries {
				heard <- e
			}
			return nil
		})
		if ctx.Err() == nil {
			t.Error(err)
		}
	})
	anna := f.dial(t, 1)
	for range 20 {
		cell := mailboxtest.Random(mailbox.CellSmall)
		if _, err := anna.Put(t.Context(), queues[0], cell, 0); err != nil {
			t.Fatal(err)
		}
		e := <-heard
		if e.Cell != mailbox.IDOf(cell) {
			t.Fatal("Bob heard of another cell")
		}
		if _, err := bob.Get(t.Context(), e.Cell); err != nil {
			t.Fatal(err)
		}
		if n, err := bob.Ack(t.Context(), e.Cell); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	leave()
	watching.Wait()

	// Both processes fill one queue.
	both := []*mailbox.Client{f.dial(t, 0), anna}
	var took, refused atomic.Int64
	var putting sync.WaitGroup
	for _, c := range both {
		for range 8 {
			putting.Go(func() {
				for refused.Load() == 0 {
					_, err := c.Put(t.Context(), queues[1], mailboxtest.Random(mailbox.CellSmall), 0)
					switch {
					case err == nil:
						took.Add(1)
					case errors.Is(err, mailbox.ErrQuota):
						refused.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
	}
	putting.Wait()
	if n := took.Load(); n != int64(mailbox.DefaultQuotas().QueueCells) {
		t.Fatalf("a queue took %d cells", n)
	}
}

// crowd is people who deposit by two relay processes, whatever happens to these.
type crowd struct {
	f      *family
	key    mailbox.BoxPrivate
	queues []mailbox.WriteKey
	stop   context.CancelFunc
	people sync.WaitGroup

	mu   sync.Mutex
	kept []mailbox.CellID
	by   [2]int                  // receipts of each relay
	gone map[mailbox.CellID]bool // deleted, or, if false, perhaps
}

func newCrowd(t *testing.T, f *family) *crowd {
	c := &crowd{f: f, key: mailbox.GenerateBox(), gone: make(map[mailbox.CellID]bool)}
	c.queues = moveIn(t, f.login(t, 0, c.key), c.key, 8*20)
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	t.Cleanup(c.people.Wait)
	t.Cleanup(stop)
	for i := range 8 {
		h := p2ptest.Loopback(t).Host()
		c.people.Go(func() {
			for ctx.Err() == nil {
				client, err := mailbox.Dial(ctx, h, f.info(i%2))
				if err != nil {
					continue // the process is dead
				}
				for n := 0; ; n++ {
					<-time.After(10 * time.Millisecond) // else the queues are full before the story ends
					cell := mailboxtest.Random(mailbox.CellSmall)
					if _, err = client.Put(ctx, c.queues[20*i+n%20], cell, 0); err != nil {
						break
					}
					c.mu.Lock()
					c.kept = append(c.kept, mailbox.IDOf(cell))
					c.by[i%2]++
					c.mu.Unlock()
				}
				client.Close()
				if errors.Is(err, mailbox.ErrQuota) {
					t.Error("the queues are full before the story ends")
					return
				}
				<-time.After(100 * time.Millisecond) // it is said to come later
			}
		})
	}
	h := p2ptest.Loopback(t).Host()
	c.people.Go(func() { // who deletes three of four, by a relay after the other
		for i, done := 0, 0; ctx.Err() == nil; i++ {
			client, err := mailbox.Dial(ctx, h, f.info(i%2))
			if err != nil {
				continue
			}
			for _, err = client.Login(ctx, c.key); err == nil && ctx.Err() == nil; {
				c.mu.Lock()
				fresh := c.kept[done:]
				c.mu.Unlock()
				var some []mailbox.CellID
				for n, id := range fresh[:min(len(fresh), 100)] {
					if (done+n)%4 > 0 {
						some = append(some, id)
					}
				}
				if len(some) == 0 {
					<-time.After(10 * time.Millisecond)
					continue
				}
				done += min(len(fresh), 100)
				_, err = client.Ack(ctx, some...)
				c.mu.Lock()
				for _, id := range some {
					c.gone[id] = err == nil
				}
				c.mu.Unlock()
			}
			client.Close()
			<-time.After(100 * time.Millisecond)
		}
	})
	return c
}

func (c *crowd) receipts() [2]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by
}

// more waits until each relay that is not dead has given so many more receipts.
func (c *crowd) more(t *testing.T, what string, n int, dead ...int) {
	t.Helper()
	was, began := c.receipts(), time.Now()
	for i := range 2 {
		if slices.Contains(dead, i) {
			continue
		}
		for c.receipts()[i] < was[i]+n {
			if time.Since(began) > time.Minute {
				t.Fatalf("%s: relay %d gave only %d receipts in a minute", what, i, c.receipts()[i]-was[i])
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	t.Logf("%s: %d receipts, after %v", what, c.receipts(), time.Since(began).Round(time.Millisecond))
}

// allThere ends the deposits and sees that each relay has all for which one gave a receipt.
func (c *crowd) allThere(t *testing.T) {
	t.Helper()
	c.stop()
	c.people.Wait()
	for i := range 2 {
		// One that did not take a cell itself hears of it a little later.
		for began := time.Now(); ; {
			there := everything(t, c.f.login(t, i, c.key))
			if wrong := slices.IndexFunc(c.kept, func(id mailbox.CellID) bool {
				deleted, asked := c.gone[id]
				return !asked && !there[id] || deleted && there[id]
			}); wrong < 0 {
				t.Logf("relay %d has all of %d cells with receipts of which %d were deleted, and %d in all", i, len(c.kept), len(c.gone), len(there))
				break
			}
			if time.Since(began) > 30*time.Second {
				t.Fatalf("relay %d does not have a cell with a receipt, or one that was deleted", i)
			}
		}
	}
}

func (f *family) ready(t *testing.T) {
	t.Helper()
	if err := f.servers.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestNothingReceiptedIsLost: people deposit by two relay processes while each of the three
// servers is killed (SIGKILL) in turn, then both relays, and then all servers are stopped and
// started one after the other. After each of these both relays give receipts, neither hidden by
// the other; and every cell with a receipt is there at the end, at both, and none that was deleted. Most are, so that messages are
// rewritten all the time.
func TestNothingReceiptedIsLost(t *testing.T) {
	t.Parallel()
	f := newFamily(t, 2)
	c := newCrowd(t, f)
	c.more(t, "at first", 100)
	for i := range 3 {
		f.servers.Kill(i)
		c.more(t, fmt.Sprintf("server %d is dead", i), 50)
		if err := f.servers.Run(i); err != nil {
			t.Fatal(err)
		}
		f.ready(t)
	}
	for i := range 2 {
		f.kill(i)
		c.more(t, fmt.Sprintf("relay %d is dead", i), 50, i)
		f.start(t, i)
	}
	c.more(t, "both relays are back", 50)
	for i := range 3 {
		f.servers.Stop(i)
		if err := f.servers.Run(i); err != nil {
			t.Fatal(err)
		}
		f.ready(t)
		c.more(t, fmt.Sprintf("server %d was started anew", i), 50)
	}
	c.allThere(t)
}

// everything is what a box holds, each tenth cell fetched.
func everything(t *testing.T, c *mailbox.Client) map[mailbox.CellID]bool {
	t.Helper()
	there := make(map[mailbox.CellID]bool)
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = c.List(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if there[e.Cell] {
				t.Fatalf("%v is listed twice", e.Cell)
			}
			if i%10 == 0 {
				if _, err := c.Get(t.Context(), e.Cell); err != nil {
					t.Fatal(err)
				}
			}
			there[e.Cell], after = true, e.Sequence
		}
	}
	return there
}
