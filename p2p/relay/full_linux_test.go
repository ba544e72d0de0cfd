package relay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// The disk is filled to the last byte, by somebody else, while people deposit; the relay is
// killed on it and started again, twice. Without the room that it holds back it does not start,
// and says why. Then there is room once more: every cell with a receipt was there all the while,
// and deposits are taken again. Needs root, for a small disk.
func TestDiskFilledToTheLastByte(t *testing.T) {
	disk := mailboxtest.SmallDisk(t, "48m")
	dir, filler := filepath.Join(disk, "relay"), filepath.Join(disk, "filler")
	run := func() *child { return start(t, "relay", dir, diskEnv+"=33554432") }
	r := run()
	bob := moveIn(t, r.info(t))
	key := bob.key
	queue, err := mailbox.NewWriteKey(bob.Relay(), mailbox.CatchAll, [32]byte(mailboxtest.Random(32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.Open(t.Context(), mailbox.Ordinary, bob.Now().Add(time.Hour), queue.QID()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	kept := make(map[mailbox.CellID]bool)
	// put deposits until it is refused, n are taken, or the relay is gone.
	put := func(ctx context.Context, n int) (refused error) {
		c, err := mailbox.Dial(ctx, p2ptest.Loopback(t).Host(), r.info(t))
		if err != nil {
			return err
		}
		defer c.Close()
		for range n {
			cell := mailboxtest.Random(mailbox.CellMedium)
			if _, err := c.Put(ctx, queue, cell, 0); err != nil {
				return err
			}
			mu.Lock()
			kept[mailbox.IDOf(cell)] = true
			mu.Unlock()
		}
		return nil
	}
	whole := func(when string) {
		t.Helper()
		there := everything(t, r, key)
		for id := range kept {
			if there[id] == nil {
				t.Fatalf("%s: a cell with a receipt is lost", when)
			}
		}
	}
	if err := put(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	var people sync.WaitGroup
	people.Go(func() {
		if err := put(t.Context(), 400); !errors.Is(err, mailbox.ErrFull) {
			t.Errorf("deposits while the disk fills up: %v", err)
		}
	})
	mailboxtest.FillDisk(t, filler)
	people.Wait()
	for range 2 {
		whole("on the full disk")
		if err := put(t.Context(), 1); !errors.Is(err, mailbox.ErrFull) {
			t.Fatalf("a deposit on the full disk: %v", err)
		}
		r.kill(t)
		r = run()
	}
	whole("after two kills on the full disk")

	// What room it had held back for itself is taken as well.
	r.kill(t)
	if err := os.Remove(filepath.Join(dir, "mail", "ballast")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	mailboxtest.FillDisk(t, filler)
	if _, said := tryStart(t, "relay", dir); !strings.Contains(said, "no space left on device") || strings.Contains(said, "goroutine") {
		t.Fatalf("started without any room a relay says %q", said)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r = run()
	whole("with room again")
	if err := put(t.Context(), 50); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	whole("after deposits with room again")
	empty(t, r, key)
}
