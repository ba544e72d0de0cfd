package chat

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/store"
)

// Attack 35: Bob's disk is full. Nothing that comes is acknowledged, neither to who
// sends nor to the relay, and he is told when he writes; with room again all of it
// is there, once and in order. Needs root, for a small disk.
func TestTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	resize := func(size string, flags uintptr) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size)
	}
	if err := resize("3m", 0); err != nil {
		t.Skip("SKIPPED: mounting a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		oak := w.Relay("oak")
		alice, carol := w.Person("alice", oak), w.Person("carol", oak)
		w.dir = dir
		bob := w.Person("bob", oak)
		alice.Meets(bob)
		carol.Meets(bob)
		alice.Sees(alice.Says(bob, "before"), api.Delivered)
		carol.Leaves()

		full := 0
		for i, size := 0, 1<<16; size > 0 && i < 10_000; i++ {
			err := bob.update(w.Context(), func(t *turn) error { return t.PutSetting(fmt.Sprint("filler ", i), make([]byte, size)) })
			switch {
			case err == nil:
			case errors.Is(err, store.ErrFull):
				size /= 4
				full++
			default:
				w.Fatal(err)
			}
		}
		if full == 0 {
			w.Fatal("the disk did not get full")
		}
		id := alice.Says(bob, "directly")
		w.Advance(time.Minute)
		if sent := alice.state(id); sent.State != api.Kept {
			w.Errorf("what Bob has no room for is %s", sent.State)
		}
		alice.Leaves()
		carol.Returns()
		late := carol.Says(bob, "by mailbox")
		w.Advance(time.Minute)
		if sent := carol.state(late); sent.State != api.Kept {
			w.Errorf("what Bob has no room for is %s", sent.State)
		}
		if n := len(oak.kept()); n < 2 {
			w.Errorf("the relay keeps %d cells: what could not be kept was acknowledged", n)
		}
		if _, err := bob.Send(w.Context(), bob.finds(alice), Words{Text: "no room"}, api.Queued, 0); !errors.Is(err, store.ErrFull) {
			w.Errorf("Bob writes: %v", err)
		}
		bob.ReadsNow(alice, "before")
		found, err := bob.Search(w.Context(), "before", nil, "", 20) // what there is no room to index is not found
		w.check(err)
		if found.Unindexed == 0 || !found.DiskFull {
			w.Errorf("that not all was searched, and why, is not said: %+v", found)
		}

		// He starts anew, and can read what is there.
		bob.Leaves()
		bob.Returns()
		w.Advance(time.Minute)
		bob.ReadsNow(alice, "before")

		w.check(resize("30m", syscall.MS_REMOUNT))
		w.Advance(10 * time.Minute)
		bob.ReadsNow(alice, "before", "directly")
		bob.ReadsNow(carol, "by mailbox")
		if _, found := bob.searches("before", nil); !slices.Equal(found, []string{"[before]"}) {
			w.Errorf("Bob finds %q", found)
		}
		alice.Returns()
		alice.Sees(id, api.Delivered)
		carol.Sees(late, api.Delivered)
		bob.Says(alice, "room again")
		alice.Reads(bob, "room again")
		bob.Leaves() // before the disk
	})
}
