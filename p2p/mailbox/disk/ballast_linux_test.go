package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// The disk is full to the last byte, by somebody else. A relay that runs goes on and
// ends in order, and one that starts does so, again and again; what was kept is given,
// what is collected is deleted, and with room again all is as it was. Needs root, for a
// small disk.
func TestAFullDiskEndsNobody(t *testing.T) {
	dir := mailboxtest.SmallDisk(t, "24m")
	synctest.Test(t, func(t *testing.T) { aFullDisk(t, dir) })
}

func aFullDisk(t *testing.T, dir string) {
	cfg := Config{Dir: filepath.Join(dir, "mail"), MaxBytes: 16 << 20, Quotas: roomy()}
	filler := filepath.Join(dir, "filler")
	s := open(t, cfg)
	box, cells := fill(t, s, 200)
	mailboxtest.FillDisk(t, filler)
	if err := s.Close(); err != nil { // which flushes the index
		t.Fatal(err)
	}
	for range 20 {
		s = open(t, cfg)
		for _, c := range cells {
			if _, err := s.Cell(box, c, noon); err != nil {
				t.Fatal(err)
			}
		}
		d := &mailbox.Deposit{Queue: mailbox.QID{1}, Cell: make([]byte, mailbox.CellSmall), Expiry: noon.Add(mailbox.MaxTTL)}
		if err := s.Commit(noon, []mailbox.Change{d}); err != nil || d.Err == nil {
			t.Fatalf("a deposit onto a full disk: %v, %v", err, d.Err)
		}
		if err := s.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing can be made anew.
	mailboxtest.FillDisk(t, filler)
	if _, err := Open(Config{Dir: filepath.Join(dir, "another"), MaxBytes: 16 << 20}); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, mailbox.ErrDamaged) {
		t.Errorf("a new store on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: cells[:100]})
	for _, c := range cells[100:] {
		if _, err := s.Cell(box, c, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(cfg.Dir, "ballast")); err != nil || info.Size() != ballastSize {
		t.Errorf("with room again there is no ballast: %v", err)
	}
}

// The disk is full to the last byte, by somebody else, and the relay is killed on it. Those
// who collect their mail make room: what they delete is deleted, and its segments go, though
// neither log nor index could grow. Needs root, for a small disk.
func TestDeletionFreesAFullDisk(t *testing.T) {
	dir := mailboxtest.SmallDisk(t, "48m")
	synctest.Test(t, func(t *testing.T) { freedByDeletion(t, dir) })
}

func freedByDeletion(t *testing.T, dir string) {
	cfg := Config{Dir: filepath.Join(dir, "mail"), MaxBytes: 32 << 20, Quotas: roomy()}
	s := open(t, cfg)
	box, cells := fill(t, s, 2000) // 8 MB, in segments of 256 KiB
	defer func() {
		_ = os.Remove(filepath.Join(dir, "filler")) // so that what waits for room ends, too
		s.Close()
	}()
	_, q := lease(t, s, noon)
	if err := s.prepareOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	mailboxtest.FillDisk(t, filepath.Join(dir, "filler"))
	for round := range 4 {
		if round == 2 { // in order, which leaves what is held back for the next start
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			mailboxtest.FillDisk(t, filepath.Join(dir, "filler"))
		}
		cell := mailboxtest.Random(mailbox.CellSmall)
		d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: noon.Add(mailbox.MaxTTL)}
		part := cells[round*500 : (round+1)*500]
		var changes []mailbox.Change
		for c := range slices.Chunk(part, 10) {
			changes = append(changes, &mailbox.Delete{Box: box, Cells: c})
		}
		if err := s.Commit(noon, append(changes, d)); err != nil || !errors.Is(d.Err, mailbox.ErrFull) {
			t.Fatalf("a deposit onto a full disk: %v, %v", err, d.Err)
		}
		for _, c := range changes {
			if err := mailbox.OutcomeOf(c).Err; err != nil {
				t.Fatalf("round %d: a deletion on a full disk: %v", round, err)
			}
		}
		before := s.Usage().Disk
		if err := s.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := s.Usage().Disk; after+1<<20 > before {
			t.Fatalf("round %d: 2 MB were deleted, and of %d bytes there are %d left", round, before, after)
		}
		if err := s.prepareOne(t.Context()); err != nil { // as Run does
			t.Fatal(err)
		}
		mailboxtest.FillDisk(t, filepath.Join(dir, "filler")) // others take it all again
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 100)
}

// The disk is full, and what the relay had held back for that is taken by others as well. For half a minute it
// goes on answering those who collect their mail, refuses what it cannot write down, and ends when
// it is told to; with room again all that it answered holds. Needs root, for a small disk.
func TestAFullDiskWithoutReserves(t *testing.T) {
	dir := mailboxtest.SmallDisk(t, "48m")
	synctest.Test(t, func(t *testing.T) { withoutReserves(t, dir) })
}

func withoutReserves(t *testing.T, dir string) {
	cfg := Config{Dir: filepath.Join(dir, "mail"), MaxBytes: 32 << 20, Quotas: roomy()}
	filler := filepath.Join(dir, "filler")
	s := open(t, cfg)
	box, cells := fill(t, s, 2000)
	if err := s.prepareOne(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "reserve")); err != nil {
		t.Fatal(err)
	}
	mailboxtest.FillDisk(t, filler)
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			for part := range slices.Chunk(cells[:1200], 200) { // as often as Run collects in half a minute
				d := &mailbox.Delete{Box: box, Cells: part}
				if err := s.Commit(noon, []mailbox.Change{d}); err != nil || d.Err != nil || d.Deleted != len(part) {
					return fmt.Errorf("a deletion: %d gone, %v, %v", d.Deleted, err, d.Err)
				}
				if err := s.Collect(t.Context()); err != nil {
					return err
				}
			}
			return s.Close()
		}()
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(3 * time.Minute):
		_ = os.Remove(filler) // so that what waits for room ends, too
		t.Fatalf("on a full disk it neither goes on nor ends: %v", <-done)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	defer s.Close()
	for i, id := range cells {
		if _, err := s.Cell(box, id, noon); i < 1200 != errors.Is(err, mailbox.ErrNotFound) || i >= 1200 && err != nil {
			t.Fatalf("cell %d: %v", i, err)
		}
	}
	fill(t, s, 100)
}
