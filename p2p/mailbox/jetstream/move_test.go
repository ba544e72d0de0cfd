//go:build cluster

package jetstream

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
)

// moved is where mail is moved to and from; cut says that an import is cut off after its first part.
type moved struct {
	Config
	cut bool
}

func (m moved) Import(ctx context.Context, c relay.StoreConfig, from *disk.Store, name string) error {
	if !m.cut {
		return Import(ctx, of(m.Config, c), from, name)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.Log = slog.New(cutter{slog.DiscardHandler, cancel})
	return Import(ctx, of(m.Config, c), from, name)
}

// cutter cuts an import off when it tells of a first part.
type cutter struct {
	slog.Handler
	cut context.CancelCauseFunc
}

func (cutter) Enabled(context.Context, slog.Level) bool { return true }

func (c cutter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "mail is imported" {
		c.cut(errCut)
	}
	return nil
}

var errCut = errors.New("cut off")

func (m moved) Export(ctx context.Context, c relay.StoreConfig, into *disk.Store, leaves bool) (time.Time, func() error, error) {
	return Export(ctx, of(m.Config, c), into, leaves)
}

// alone runs a relay of its own on a directory, until stop.
func alone(t *testing.T, dir string) (info peer.AddrInfo, stop func()) {
	t.Helper()
	ready := make(chan string, 1)
	r, err := relay.New(relay.Config{Data: dir, Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Event: func(e relay.Event) {
		if e.State == relay.Ready {
			ready <- e.Addrs[0]
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	at, err := peer.AddrInfoFromString(<-ready)
	if err != nil {
		t.Fatal(err)
	}
	return *at, func() { cancel(); running.Wait() }
}

// listed is all that is in a box, each cell fetched.
func listed(t *testing.T, c *mailbox.Client) (all []mailbox.Entry) {
	t.Helper()
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = c.List(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if cell, err := c.Get(t.Context(), e.Cell); err != nil || mailbox.IDOf(cell) != e.Cell {
				t.Fatal(err)
			}
			after = e.Sequence
		}
		all = append(all, entries...)
	}
	return all
}

// TestRelayOutgrowsItsMachine: a relay of one machine goes into a cluster, and out of it again. The import is cut off and begun again, and
// meanwhile no relay serves the stream. Bob finds his box, his queues and every cell as it was, and hears of what comes later.
func TestRelayOutgrowsItsMachine(t *testing.T) {
	t.Parallel()
	f := &family{servers: cluster(t, 3), dirs: []string{t.TempDir() + "/a", t.TempDir()}, cmds: make([]*exec.Cmd, 2), infos: make([]peer.AddrInfo, 2), pages: make([]string, 2)}
	small := t.TempDir()
	info, stop := alone(t, small)
	f.infos[0] = info
	key := mailbox.GenerateBox()
	bob := f.login(t, 0, key)
	queues := moveIn(t, bob, key, 20)
	anna := f.dial(t, 0)
	for n := range 400 {
		if _, err := anna.Put(t.Context(), queues[n%20], mailboxtest.Random([]int{mailbox.CellSmall, mailbox.CellMedium}[n%2]), 0); err != nil {
			t.Fatal(err)
		}
	}
	var gone []mailbox.CellID
	for i, e := range listed(t, bob) {
		if i%3 == 0 {
			gone = append(gone, e.Cell)
		}
	}
	if _, err := bob.Ack(t.Context(), gone...); err != nil {
		t.Fatal(err)
	}
	want := listed(t, bob)
	stop()

	var file bytes.Buffer
	if _, err := relay.Move(small, &file, nil); err != nil {
		t.Fatal(err)
	}
	store := moved{Config: Config{Servers: f.servers.URL()}, cut: true}
	if _, err := relay.ImportShared(t.Context(), f.dirs[0], bytes.NewReader(file.Bytes()), store, relay.StoreConfig{}); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.dirs[0]); err == nil {
		t.Fatal("a directory is there of an import that was cut off")
	}
	if _, err := Open(t.Context(), Config{Servers: f.servers.URL(), Dir: t.TempDir()}); !errors.Is(err, ErrHalf) {
		t.Fatalf("a stream of half an import can be served: %v", err)
	}
	store.cut = false
	e, err := relay.ImportShared(t.Context(), f.dirs[0], bytes.NewReader(file.Bytes()), store, relay.StoreConfig{})
	if err != nil || int(e.Cells) != len(want) {
		t.Fatal(e, err)
	}
	// Once more, it has nothing to do. Another relay's does not go there, nor a later one of this relay.
	if _, err := relay.ImportShared(t.Context(), filepath.Join(t.TempDir(), "again"), bytes.NewReader(file.Bytes()), store, relay.StoreConfig{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Servers: f.servers.URL(), Dir: t.TempDir(), Relay: "another"}); !errors.Is(err, ErrOther) {
		t.Fatal(err)
	}
	var later bytes.Buffer
	if _, err := relay.Export(small, &later); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.ImportShared(t.Context(), filepath.Join(t.TempDir(), "later"), &later, store, relay.StoreConfig{}); !errors.Is(err, ErrThere) {
		t.Fatal(err)
	}

	raw, err := os.ReadFile(filepath.Join(f.dirs[0], "relay.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dirs[1], "relay.key"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		f.start(t, i)
		t.Cleanup(func() { f.kill(i) })
		if f.info(i).ID != info.ID {
			t.Fatal("it is another relay")
		}
		if got := listed(t, f.login(t, i, key)); !slices.Equal(got, want) {
			t.Fatalf("relay %d has %d cells, not %d, or others", i, len(got), len(want))
		}
	}
	cell := mailboxtest.Random(mailbox.CellSmall)
	if _, err := f.dial(t, 1).Put(t.Context(), queues[0], cell, 0); err != nil {
		t.Fatal(err)
	}
	entries, _, err := f.login(t, 1, key).List(t.Context(), want[len(want)-1].Sequence)
	if err != nil || len(entries) != 1 || entries[0].Cell != mailbox.IDOf(cell) {
		t.Fatal("who knew all does not hear of what came later", len(entries), err)
	}
	want = append(want, entries...)

	// And back. A copy is made while both go on; then the relay leaves, and its processes end by themselves.
	var backup, back bytes.Buffer
	if e, err := relay.ExportShared(t.Context(), f.dirs[0], &backup, store, relay.StoreConfig{}); err != nil || int(e.Cells) != len(want) {
		t.Fatal(e, err)
	}
	f.kill(0)
	if _, err := relay.MoveShared(t.Context(), f.dirs[0], &back, nil, store, relay.StoreConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := f.cmds[1].Wait(); err == nil {
		t.Fatal("a process of a relay that left ended as if all was well")
	}
	if _, err := Open(t.Context(), Config{Servers: f.servers.URL(), Dir: t.TempDir()}); !errors.Is(err, ErrLeft) || !strings.Contains(err.Error(), "20") {
		t.Fatal(err)
	}
	for i, raw := range []*bytes.Buffer{&backup, &back} {
		own := filepath.Join(t.TempDir(), "own")
		if _, err := relay.Import(t.Context(), own, raw); err != nil {
			t.Fatal(i, err)
		}
		f.infos[0], stop = alone(t, own)
		bob := f.login(t, 0, key)
		if got := listed(t, bob); f.infos[0].ID != info.ID || !slices.Equal(got, want) {
			t.Fatalf("back there are %d cells, not %d, or others", len(got), len(want))
		}
		cell := mailboxtest.Random(mailbox.CellSmall)
		if _, err := f.dial(t, 0).Put(t.Context(), queues[0], cell, 0); err != nil {
			t.Fatal(err)
		}
		if entries, _, err := bob.List(t.Context(), want[len(want)-1].Sequence); err != nil || len(entries) != 1 || entries[0].Cell != mailbox.IDOf(cell) {
			t.Fatal("who knew all does not hear of what came later", len(entries), err)
		}
		stop()
	}
}
