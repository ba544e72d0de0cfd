package disk

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// fill deposits n cells and tells them in order.
func fill(t *testing.T, s *Store, n int) (box mailbox.BoxPublic, cells []mailbox.CellID) {
	t.Helper()
	box, q := lease(t, s, noon)
	for len(cells) < n {
		var changes []mailbox.Change
		for range min(100, n-len(cells)) {
			cell := mailboxtest.Random(mailbox.CellSmall)
			cells = append(cells, mailbox.IDOf(cell))
			changes = append(changes, &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: noon.Add(mailbox.MaxTTL)})
		}
		commit(t, s, noon, changes...)
	}
	return box, cells
}

func roomy() mailbox.Quotas {
	q := mailbox.DefaultQuotas()
	q.QueueCells, q.QueueBytes = 1<<16-1, 1<<30
	return q
}

// TestSpaceReturns: what was deleted or has expired is given back, and what
// lives among it can be read all the while.
func TestSpaceReturns(t *testing.T) {
	fs := vfs.NewCrashableMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 64 << 20, Quotas: roomy()}
	s := open(t, cfg)
	const n = 3000 // 12 MB in segments of 512 KiB
	box, cells := fill(t, s, n)
	deposited := s.Usage().Bytes
	id := mailbox.NoticeID{1}
	notice := mailboxtest.Random(mailbox.NoticeSize)
	commit(t, s, noon, &mailbox.PostNotice{Box: box, ID: id, Expiry: noon.Add(time.Hour), Notice: bytes.Clone(notice)})
	var alive []mailbox.CellID
	for i, c := range slices.Collect(slices.Chunk(cells, 10)) {
		if i%3 == 0 {
			alive = append(alive, c[0])
			c = c[1:]
		}
		commit(t, s, noon, &mailbox.Delete{Box: box, Cells: c})
	}
	read := func() {
		for _, c := range alive {
			if _, err := s.Cell(box, c, noon); err != nil {
				t.Error(err)
				return
			}
		}
		if b, err := s.Notice(id, noon); err != nil || !bytes.Equal(b, notice) {
			t.Error("not the notice", err)
		}
	}
	ctx, done := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				read()
			}
		})
	}
	if err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
	reading.Wait()
	read()
	if u := s.Usage(); u.Disk > deposited/3 || u.Cells != uint64(len(alive)) {
		t.Fatalf("%d bytes of %d on disk for %d cells", u.Disk, deposited, u.Cells)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	old := s
	cfg.FS = fs
	s = open(t, cfg)
	old.Close()
	read()

	commit(t, s, noon, &mailbox.Expire{At: noon.Add(mailbox.MaxTTL)})
	if err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Disk > deposited/10 || u.Cells != 0 || u.Notices != 0 {
		t.Fatalf("after all has expired %+v", u)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersAreMoved: what strangers left lives on when space is given back around
// it, and is displaced in the same order as before.
func TestStrangersAreMoved(t *testing.T) {
	fs := vfs.NewCrashableMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 64 << 20, Quotas: roomy()}
	cfg.Quotas.IntroCells = 50
	s := open(t, cfg)
	box, q := lease(t, s, noon)
	intro := mailbox.QID{77}
	commit(t, s, noon, &mailbox.OpenQueues{Box: box, Class: mailbox.Intro, Until: noon.Add(time.Hour), Queues: []mailbox.QID{intro}})
	deposit := func(q mailbox.QID, work uint8) mailbox.CellID {
		cell := mailboxtest.Random(mailbox.CellMedium)
		commit(t, s, noon, &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: noon.Add(mailbox.MaxTTL), Work: work})
		return mailbox.IDOf(cell)
	}
	var ids, others []mailbox.CellID
	for i := range uint8(50) {
		ids = append(ids, deposit(intro, 1+i%5))
		for range 3 {
			others = append(others, deposit(q, 0))
		}
	}
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: others})
	if err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Disk > 120*mailbox.CellMedium {
		t.Fatalf("%d bytes on disk for 50 cells", u.Disk)
	}
	old := s
	cfg.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	s = open(t, cfg)
	old.Close()
	defer s.Close()
	for i := range 10 { // each displaces the latest of those of work 1
		at := 45 - 5*i
		if _, err := s.Cell(box, ids[at], noon); err != nil {
			t.Fatal(i, err)
		}
		deposit(intro, 6)
		if _, err := s.Cell(box, ids[at], noon); !errors.Is(err, mailbox.ErrNotFound) {
			t.Fatal(i, err)
		}
	}
	for i, id := range ids {
		if _, err := s.Cell(box, id, noon); i%5 > 0 && err != nil {
			t.Fatal(i, err)
		}
	}
	if n, weakest, err := s.Intro(intro, noon); n != 50 || weakest != 2 || err != nil {
		t.Fatal(n, weakest, err)
	}
}

// TestCap: a Store never takes more than it may, goes on deleting, and takes
// again when space has been given back.
func TestCap(t *testing.T) {
	cfg := Config{Dir: "/mail", FS: vfs.NewMem(), MaxBytes: 8 << 20, Quotas: roomy()}
	s := open(t, cfg)
	defer s.Close()
	box, q := lease(t, s, noon)
	var kept []mailbox.CellID
	deposit := func() error {
		cell := mailboxtest.Random(mailbox.CellLarge)
		d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: noon.Add(time.Hour)}
		if err := s.Commit(noon, []mailbox.Change{d}); err != nil {
			t.Fatal(err)
		}
		if d.Err == nil {
			kept = append(kept, d.ID)
		}
		return d.Err
	}
	for range 200 {
		if err := deposit(); err != nil {
			if !errors.Is(err, mailbox.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if len(kept) < 80 || len(kept) > 128 {
		t.Fatalf("took %d cells of 64 KiB with a cap of 8 MiB", len(kept))
	}
	if room, why := s.Room(); room >= mailbox.CellLarge || why == "" {
		t.Fatalf("room for %d (%s)", room, why)
	}
	for _, c := range []mailbox.Change{
		&mailbox.PostNotice{Box: box, ID: mailbox.NoticeID{1}, Expiry: noon.Add(time.Hour), Notice: mailboxtest.Random(mailbox.NoticeSize)},
	} {
		for range 10 { // a notice is small enough for what is left, at first
			if err := s.Commit(noon, []mailbox.Change{c}); err != nil {
				t.Fatal(err)
			}
		}
		if err := mailbox.OutcomeOf(c).Err; !errors.Is(err, mailbox.ErrFull) {
			t.Fatalf("%T at the cap: %v", c, err)
		}
	}
	if u := s.Usage(); u.Disk > 8<<20 {
		t.Fatalf("%d bytes used", u.Disk)
	}
	for _, c := range kept { // nothing was evicted
		if _, err := s.Cell(box, c, noon); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: kept[:len(kept)/2]})
	if err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := deposit(); err != nil {
		t.Fatal("after half was deleted:", err)
	}
}

// TestDiskNearlyFull: the file system's end is respected before it is reached.
func TestDiskNearlyFull(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, Config{Dir: "/mail", FS: fs, MaxBytes: 1 << 30, Quotas: roomy()})
	defer s.Close()
	box, q := lease(t, s, noon)
	a := put(t, s, noon, q, mailbox.CellSmall)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: keepFree, TotalBytes: 1 << 30, UsedBytes: 1 << 29})
	cell := mailboxtest.Random(mailbox.CellSmall)
	d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: noon.Add(time.Hour)}
	if err := s.Commit(noon, []mailbox.Change{d}); err != nil || !errors.Is(d.Err, mailbox.ErrFull) {
		t.Fatal(err, d.Err)
	}
	if _, why := s.Room(); why != "the disk is full" {
		t.Fatal(why)
	}
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(a)}})
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: keepFree + 1<<20, TotalBytes: 1 << 30, UsedBytes: 1 << 29})
	put(t, s, noon, q, mailbox.CellSmall)
}

// TestFlippedBits: a damaged cell is told as damaged and not given out, the
// others are, and the Store goes on.
func TestFlippedBits(t *testing.T) {
	fs := vfs.NewMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 8 << 20, Quotas: roomy()}
	s := open(t, cfg)
	box, cells := fill(t, s, 50)
	at := s.segments[1]
	b := make([]byte, at.size)
	if _, err := at.file.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	v, _, err := load(s.db, keyCell(cellKey{box, cells[20]}), parseCell)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b[v.at.offset+100] ^= 1
	f, err := fs.OpenReadWrite("/mail/log/"+logName(1), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s = open(t, cfg)
	defer s.Close()
	for i, c := range cells {
		_, err := s.Cell(box, c, noon)
		if want := i == 20; errors.Is(err, mailbox.ErrDamaged) != want || !want && err != nil {
			t.Fatalf("cell %d: %v", i, err)
		}
	}
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: cells[:45]})
	for range 2 { // what cannot be moved does not stop the rest
		if err := s.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Cell(box, cells[49], noon); err != nil {
		t.Fatal(err)
	}
	_, q := lease(t, s, noon)
	put(t, s, noon, q, mailbox.CellSmall)
}

// TestNewer: what a newer version wrote is not opened.
func TestNewer(t *testing.T) {
	fs := vfs.NewMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 8 << 20}
	s := open(t, cfg)
	fill(t, s, 1)
	if err := s.db.Set(keyTotals(), []byte{indexVersion + 1, 1, 2, 3}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrNewer) {
		t.Fatalf("an index of a newer version: %v", err)
	}
}

func TestTwoProcesses(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), MaxBytes: 8 << 20}
	s := open(t, cfg)
	defer s.Close()
	if again, err := Open(cfg); err == nil {
		again.Close()
		t.Fatal("opened twice")
	}
	cfg.Dir, cfg.MaxBytes = t.TempDir(), 1<<20
	if _, err := Open(cfg); err == nil {
		t.Fatal("opened with a cap of 1 MiB")
	}
}
