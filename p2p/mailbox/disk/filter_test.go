package disk

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// What is kept is never taken for absent, whether it came now, lay there when the Store was opened, or is in the part of
// the log that the index had not read; what is not, or is gone, mostly is.
func TestAbsentCellsAreKnown(t *testing.T) {
	fs := vfs.NewCrashableMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 64 << 20, Quotas: roomy()}
	s := open(t, cfg)
	box, cells := fill(t, s, 900)
	known := func(kept, gone []mailbox.CellID) {
		t.Helper()
		for _, id := range kept {
			if s.recent.cells.lacks(cellKey{box, id}) {
				t.Fatal("a cell that is kept is taken for absent")
			}
		}
		looks := 0
		for _, id := range gone {
			if !s.recent.cells.lacks(cellKey{box, id}) {
				looks++
			}
		}
		if looks > len(gone)/10 {
			t.Errorf("%d of %d cells that are gone are looked for", looks, len(gone))
		}
	}
	known(cells, nil)
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: cells[:300]})
	known(cells[300:], cells[:300])
	if err := s.db.Flush(); err != nil { // so much the index knows of the log
		t.Fatal(err)
	}
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: cells[300:600]})
	cfg.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	s.Close()
	s = open(t, cfg)
	defer func() { s.Close() }()
	known(cells[600:], cells[:600])
	commit(t, s, noon.Add(mailbox.MaxTTL), &mailbox.Expire{At: noon.Add(mailbox.MaxTTL)})
	for s.Usage().Cells > 0 {
		commit(t, s, noon.Add(mailbox.MaxTTL), &mailbox.Expire{At: noon.Add(mailbox.MaxTTL)})
	}
	known(nil, cells)
	var unread filter
	if unread.lacks(cellKey{box, cells[0]}) {
		t.Error("who knows nothing says that a cell is absent")
	}
}

// A counter stands for more cells than it can count: they are looked for from then on.
func TestFullCounters(t *testing.T) {
	s := open(t, Config{Dir: "/mail", FS: vfs.NewMem(), MaxBytes: minMaxBytes})
	defer s.Close()
	f, k := &s.recent.cells, cellKey{id: mailbox.IDOf(mailboxtest.Random(mailbox.CellSmall))}
	for range 300 {
		f.count(k, true)
	}
	for range 299 {
		f.count(k, false)
	}
	if f.lacks(k) {
		t.Error("a cell that is kept is taken for absent")
	}
}
