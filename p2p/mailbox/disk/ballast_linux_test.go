package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

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
