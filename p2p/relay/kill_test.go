package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// killsEnv says how often the relay is killed, in place of kills.
const killsEnv, kills = "KILLS", 6

// earlierEnv names a test binary of this package of an earlier version (`go test -c`), which is the relay for the
// first half of the rounds: what it left when it was killed, the others open.
const earlierEnv = "EARLIER"

// Full load: as many people as `godwit bench relay` has, each with a connection and a deposit that waits for its
// receipt, into boxes of some readers who delete most of it as it comes.
const people, readers = 64, 4

// TestKilled: a relay in a process of its own is killed (SIGKILL) at random, again and again, under full load, while
// it gives space back and its index is flushed. After each restart every cell with a receipt is there, byte
// for byte, unless its reader deleted it; what was deleted is gone, and stays so.
func TestKilled(t *testing.T) {
	rounds := kills
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "relay")
	run := func(round int) *child {
		program := os.Args[0]
		if earlier := os.Getenv(earlierEnv); earlier != "" && round < rounds/2 {
			program = earlier
		}
		return startProgram(t, program, "relay", dir, busyEnv+"=1", diskEnv+"=67108864") // in segments of 512 KiB
	}
	r := run(0)
	rng := rand.New(rand.NewPCG(1, 2))
	boxes := make([]*box, readers)
	for i := range boxes {
		boxes[i] = newBox(t, r.info(t))
	}
	hosts := make([]host.Host, people+readers)
	for i := range hosts {
		hosts[i] = p2ptest.Loopback(t).Host()
	}
	receipts, deleted, loaded := 0, 0, 0
	for round := range rounds {
		info := r.info(t)
		clients := make([]*mailbox.Client, len(hosts))
		var coming sync.WaitGroup
		at := make(chan struct{}, 8) // who comes at once
		for i, h := range hosts {
			coming.Go(func() {
				at <- struct{}{}
				defer func() { <-at }()
				var err error
				if clients[i], err = mailbox.Dial(t.Context(), h, info); err != nil {
					t.Error(err)
				}
			})
		}
		coming.Wait()
		if t.Failed() {
			t.FailNow()
		}
		ctx, stop := context.WithCancel(t.Context())
		var underWay atomic.Int64
		var working sync.WaitGroup
		for i, c := range clients[:people] {
			working.Go(func() { boxes[i%readers].fill(ctx, t, c, i/readers, &underWay) })
		}
		for i, c := range clients[people:] {
			working.Go(func() { boxes[i].drain(ctx, c) })
		}
		<-time.After(time.Duration(100+rng.IntN(250)) * time.Millisecond)
		if underWay.Load() > people/2 {
			loaded++
		}
		r.kill(t)
		stop()
		working.Wait()
		for _, c := range clients {
			c.Close()
		}

		r = run(round + 1)
		if got := r.info(t).ID; got != info.ID {
			t.Fatal("after a kill it is another relay")
		}
		receipts, deleted = 0, 0
		for i, b := range boxes {
			if err := b.check(t, r); err != nil {
				t.Fatalf("round %d, box %d: %v", round, i, err)
			}
			receipts, deleted = receipts+b.receipts, deleted+len(b.gone)
		}
	}
	t.Logf("%d kills, %d of them with more than %d deposits under way; %d receipts, %d deletions answered", rounds, loaded, people/2, receipts, deleted)
	if loaded < rounds/2 || deleted == 0 {
		t.Error("that was not full load")
	}
	logs, err := os.ReadDir(filepath.Join(dir, "mail", "log"))
	if err != nil || len(logs) == 0 || logs[0].Name() <= "0000000000000001.log" {
		t.Errorf("no space was given back: %v %v", logs, err)
	}
	if tables, err := filepath.Glob(filepath.Join(dir, "mail", "index", "*.sst")); err != nil || len(tables) == 0 {
		t.Errorf("the index was never flushed: %v", err)
	}
}

// box is somebody's, and what is known of it from outside.
type box struct {
	key    mailbox.BoxPrivate
	queues [people / readers]mailbox.WriteKey
	seed   [32]byte // of its cells

	mu       sync.Mutex // guards what follows
	made     uint64     // cells
	sent     map[mailbox.CellID]uint64
	kept     map[mailbox.CellID]uint64 // with a receipt, or seen after a start
	asked    map[mailbox.CellID]bool   // to be deleted, in this round; so it may be gone
	gone     map[mailbox.CellID]bool   // that was answered; so it is, for ever
	receipts int
}

func newBox(t *testing.T, info peer.AddrInfo) *box {
	t.Helper()
	owner := moveIn(t, info)
	b := &box{
		key: owner.key, seed: [32]byte(mailboxtest.Random(32)),
		sent: map[mailbox.CellID]uint64{}, kept: map[mailbox.CellID]uint64{}, asked: map[mailbox.CellID]bool{}, gone: map[mailbox.CellID]bool{},
	}
	for i := range b.queues {
		var err error
		if b.queues[i], err = mailbox.NewWriteKey(info.ID, mailbox.CatchAll, [32]byte(mailboxtest.Random(32))); err != nil {
			t.Fatal(err)
		}
		if err := owner.Open(t.Context(), mailbox.Ordinary, owner.Now().Add(time.Hour), b.queues[i].QID()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// cell is the cell of a number; the same one whenever it is asked for.
func (b *box) cell(n uint64) []byte {
	seed := b.seed
	binary.BigEndian.PutUint64(seed[:], n)
	cell := make([]byte, mailbox.CellSmall)
	_, _ = rand.NewChaCha8(seed).Read(cell) // never fails
	return cell
}

// fill deposits cells into one of the queues until the relay is gone.
func (b *box) fill(ctx context.Context, t *testing.T, c *mailbox.Client, queue int, underWay *atomic.Int64) {
	for {
		b.mu.Lock()
		b.made++
		n := b.made
		b.mu.Unlock()
		cell := b.cell(n)
		id := mailbox.IDOf(cell)
		b.mu.Lock()
		b.sent[id] = n
		b.mu.Unlock()
		underWay.Add(1)
		_, err := c.Put(ctx, b.queues[queue], cell, 0)
		underWay.Add(-1)
		switch {
		case err == nil:
			b.mu.Lock()
			if !b.gone[id] { // its reader may have been faster
				b.kept[id] = n
			}
			b.receipts++
			b.mu.Unlock()
		case errors.Is(err, mailbox.ErrQuota), errors.Is(err, mailbox.ErrFull):
			t.Error(err) // then that was no full load
			return
		default:
			return
		}
	}
}

// drain deletes three quarters of what comes, until the relay is gone.
func (b *box) drain(ctx context.Context, c *mailbox.Client) {
	if _, err := c.Login(ctx, b.key); err != nil {
		return
	}
	for after := uint64(0); ; {
		entries, _, err := c.List(ctx, after)
		if err != nil {
			return
		}
		var part []mailbox.CellID
		b.mu.Lock()
		for _, e := range entries {
			if after = e.Sequence; e.Cell[0]%4 > 0 {
				part = append(part, e.Cell)
				b.asked[e.Cell] = true
			}
		}
		b.mu.Unlock()
		if _, err := c.Ack(ctx, part...); err != nil {
			return
		}
		b.answered(part)
	}
}

func (b *box) answered(ids []mailbox.CellID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.kept, id)
		delete(b.asked, id)
		b.gone[id] = true
	}
}

// check compares what a relay that was started again has with what it promised. What it has it has
// promised from then on. A box that has much is emptied, or its queues were full one day.
func (b *box) check(t *testing.T, r *child) error {
	there := everything(t, r, b.key)
	for id, cell := range there {
		n, sent := b.sent[id]
		switch {
		case b.gone[id]:
			return errors.New("a cell came back after its deletion was answered")
		case !sent || !bytes.Equal(cell, b.cell(n)):
			return errors.New("a cell is not the one that was left")
		}
		b.kept[id] = n
	}
	for id := range b.kept {
		if there[id] != nil {
			continue
		}
		if !b.asked[id] {
			return errors.New("a cell with a receipt is lost")
		}
		delete(b.kept, id)
		b.gone[id] = true
	}
	clear(b.asked)
	clear(b.sent)
	maps.Copy(b.sent, b.kept)
	if len(there) > 1000 {
		b.answered(empty(t, r, b.key))
	}
	return nil
}

// everything is what a box holds, each cell fetched.
func everything(t *testing.T, r *child, key mailbox.BoxPrivate) map[mailbox.CellID][]byte {
	t.Helper()
	c := dial(t, r.info(t))
	defer c.Close()
	if _, err := c.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	there := make(map[mailbox.CellID][]byte)
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = c.List(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		cells, errs := make([][]byte, len(entries)), make([]error, len(entries))
		var fetching sync.WaitGroup
		for i, e := range entries {
			fetching.Go(func() { cells[i], errs[i] = c.Get(t.Context(), e.Cell) })
		}
		fetching.Wait()
		for i, e := range entries {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if there[e.Cell] != nil {
				t.Fatalf("%v is listed twice", e.Cell)
			}
			there[e.Cell], after = cells[i], e.Sequence
		}
	}
	return there
}

// empty deletes all that a box holds.
func empty(t *testing.T, r *child, key mailbox.BoxPrivate) []mailbox.CellID {
	t.Helper()
	c := dial(t, r.info(t))
	defer c.Close()
	if _, err := c.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	ids := slices.Collect(maps.Keys(everything(t, r, key)))
	if n, err := c.Ack(t.Context(), ids...); n != len(ids) || err != nil {
		t.Fatalf("%d of %d deleted: %v", n, len(ids), err)
	}
	return ids
}
