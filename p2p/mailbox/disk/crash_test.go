package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

func crashConfig(fs vfs.FS) Config {
	return Config{Dir: "/relay/mail", FS: fs, MaxBytes: minMaxBytes, Quotas: mailboxtest.Quotas()}
}

// TestLikeMemory does the same to a Store on disk and to one in memory, with
// power failures, restarts, collections and moves to another disk between: they never differ.
func TestLikeMemory(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := mailboxtest.NewPeople(seed)
			fs := vfs.NewCrashableMem()
			s := open(t, crashConfig(fs))
			defer func() { s.Close() }()
			model := mailboxtest.NewMemory(mailboxtest.Quotas(), 0)
			for round := range 200 {
				a, b := p.Changes()
				if err := errors.Join(s.Commit(p.Now, a), model.Commit(p.Now, b)); err != nil {
					t.Fatal(err)
				}
				mailboxtest.SameOutcomes(t, a, b)
				switch p.Rand.IntN(25) {
				case 0: // power fails
					old := s
					fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.Rand.IntN(3) * 50, RNG: p.Rand})
					s = open(t, crashConfig(fs))
					old.Close()
				case 1: // an orderly restart
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, crashConfig(fs))
				case 2:
					if err := s.Collect(t.Context()); err != nil {
						t.Fatal(err)
					}
				case 3, 4:
					if err := s.prepareOne(t.Context()); err != nil {
						t.Fatal(err)
					}
				case 5: // what is on this disk from here on is of no more use
					old := s
					fs = moveTo(t, s)
					s = open(t, crashConfig(fs))
					old.Close()
				default:
					if round%20 != 0 {
						continue
					}
				}
				if got, want := s.logged, logged(t, fs); got != want {
					t.Fatalf("round %d: %d bytes of log are counted of %d", round, got, want)
				}
				if got, want := p.State(t, s), p.State(t, model); got != want {
					t.Fatalf("round %d: on disk\n%s\nin memory\n%s", round, got, want)
				}
			}
		})
	}
}

// moveTo is another disk, with a snapshot of a Store on it.
func moveTo(t *testing.T, s *Store) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	_, cells, err := s.Snapshot(func(name string, size int64, r io.Reader) error {
		path := "/relay/mail/" + name
		if err := makeDir(fs, fs.PathDir(path)); err != nil {
			return err
		}
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		n, err := io.Copy(f, r)
		if n != size {
			t.Errorf("%s has %d bytes, not %d", name, n, size)
		}
		return errors.Join(err, f.Sync(), f.Close(), syncDir(fs, fs.PathDir(path)))
	})
	if err != nil || cells != s.Usage().Cells {
		t.Fatalf("a snapshot of %d cells: %v", cells, err)
	}
	return fs
}

// logged is what the files of the log take.
func logged(t *testing.T, fs vfs.FS) (all uint64) {
	t.Helper()
	names, err := fs.List("/relay/mail/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := fs.Stat("/relay/mail/log/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all += uint64(info.Size())
	}
	return all
}

// TestPowerFailsDuringCommit: what is found is the state before a group or
// after it, and never before one that Commit had returned from.
func TestPowerFailsDuringCommit(t *testing.T) {
	before, after := 0, 0
	for seed := range uint64(60) {
		p := mailboxtest.NewPeople(1000 + seed)
		fs := vfs.NewCrashableMem()
		s := open(t, crashConfig(fs))
		model := mailboxtest.NewMemory(mailboxtest.Quotas(), 0)
		for range 1 + p.Rand.IntN(30) {
			a, b := p.Changes()
			if err := errors.Join(s.Commit(p.Now, a), model.Commit(p.Now, b)); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 0 {
			if err := s.prepareOne(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.State(t, s)
		// One deposit into each queue, so that it is one group.
		var a, b []mailbox.Change
		for _, q := range p.Queues {
			cell := bytes.Repeat([]byte{q[0] + 100}, mailbox.CellSmall)
			d := mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.Now.Add(time.Hour)}
			e := d
			a, b = append(a, &d), append(b, &e)
		}
		was := p.State(t, model)
		var committing sync.WaitGroup
		begun := make(chan struct{})
		committing.Go(func() {
			close(begun)
			if err := s.Commit(p.Now, a); err != nil {
				t.Error(err)
			}
		})
		<-begun
		for range p.Rand.IntN(40) {
			fs.Stat("/relay") // let the commit come along
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.Rand.IntN(101), RNG: p.Rand})
		committing.Wait()
		s.Close()
		if err := model.Commit(p.Now, b); err != nil {
			t.Fatal(err)
		}
		is := p.State(t, model)
		s = open(t, crashConfig(crashed))
		switch got := p.State(t, s); got {
		case is:
			after++
		case was:
			before++
		default:
			t.Fatalf("seed %d: found\n%s\nwant\n%s\nor\n%s", seed, got, was, is)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d times before the group, %d times after", before, after)
}

// tight is a file system whose log files take so many more bytes, and then as
// much of a write as fits.
type tight struct {
	vfs.FS
	left    *int
	syncErr *error
}

type tightFile struct {
	vfs.File
	fs tight
}

func (f tight) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	if err != nil || !bytes.HasSuffix([]byte(name), []byte(".log")) {
		return file, err
	}
	return &tightFile{file, f}, nil
}

func (f *tightFile) WriteAt(b []byte, at int64) (int, error) {
	n := min(*f.fs.left, len(b))
	*f.fs.left -= n
	if _, err := f.File.WriteAt(b[:n], at); err != nil || n == len(b) {
		return n, err
	}
	return n, syscall.ENOSPC
}

func (f *tightFile) SyncData() error {
	if *f.fs.syncErr != nil {
		return *f.fs.syncErr
	}
	return f.File.SyncData()
}

// TestDiskFull: deposits are refused as full, what was kept stays, and when
// there is room again the Store goes on, now and after a power failure.
func TestDiskFull(t *testing.T) {
	mem := vfs.NewCrashableMem()
	left, none := 0, error(nil)
	fs := tight{mem, &left, &none}
	for cut := range 40 {
		p := mailboxtest.NewPeople(uint64(cut))
		left = 1 << 30
		dir := fmt.Sprintf("/relay%d", cut)
		s := open(t, Config{Dir: dir, FS: fs, MaxBytes: minMaxBytes})
		box, q := lease(t, s, p.Now)
		a := put(t, s, p.Now, q, mailbox.CellMedium)
		left = cut * 300 // a group of one cell of 4 KiB takes 4,210 bytes
		cell := mailboxtest.Random(mailbox.CellSmall)
		d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.Now.Add(time.Hour)}
		if err := s.Commit(p.Now, []mailbox.Change{d}); err != nil {
			t.Fatal(err)
		}
		full := errors.Is(d.Err, mailbox.ErrFull)
		if !full && d.Err != nil || full != (cut*300 < 4210) {
			t.Fatalf("with %d bytes left: %v", cut*300, d.Err)
		}
		want := [][]byte{a}
		if !full {
			want = append(want, cell)
		}
		holds(t, s, p.Now, box, want...)
		left = 1 << 30
		want = append(want, put(t, s, p.Now, q, mailbox.CellSmall))
		holds(t, s, p.Now, box, want...)
		crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: cut % 101, RNG: p.Rand})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir, FS: crashed, MaxBytes: minMaxBytes})
		holds(t, s, p.Now, box, want...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSyncFails: after a sync that failed nobody knows what is on disk, so the
// Store says so and stops; opened anew it has all that was answered.
func TestSyncFails(t *testing.T) {
	mem := vfs.NewCrashableMem()
	left, fails := 1<<30, error(nil)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Config{Dir: "/relay", FS: tight{mem, &left, &fails}, MaxBytes: minMaxBytes})
	box, q := lease(t, s, now)
	a := put(t, s, now, q, mailbox.CellSmall)
	fails = syscall.EIO
	cell := mailboxtest.Random(mailbox.CellSmall)
	change := []mailbox.Change{&mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: now.Add(time.Hour)}}
	if err := s.Commit(now, change); !errors.Is(err, mailbox.ErrDamaged) {
		t.Fatalf("a failed sync: %v", err)
	}
	fails = nil
	if err := s.Commit(now, change); !errors.Is(err, mailbox.ErrDamaged) {
		t.Fatalf("after a failed sync: %v", err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	s.Close()
	s = open(t, Config{Dir: "/relay", FS: crashed, MaxBytes: minMaxBytes})
	holds(t, s, now, box, a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func lease(t *testing.T, s *Store, now time.Time) (mailbox.BoxPublic, mailbox.QID) {
	t.Helper()
	box, q := mailbox.BoxPublic(mailboxtest.Random(32)), mailbox.QID(mailboxtest.Random(32))
	commit(t, s, now, &mailbox.GrantLease{Box: box, Until: now.Add(mailbox.LeaseTime)},
		&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: now.Add(mailbox.MaxUntil), Queues: []mailbox.QID{q}})
	return box, q
}

func put(t *testing.T, s *Store, now time.Time, q mailbox.QID, size int) []byte {
	t.Helper()
	cell := mailboxtest.Random(size)
	commit(t, s, now, &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: bytes.Clone(cell), Expiry: now.Add(mailbox.MaxTTL)})
	return cell
}

// commit wants all changes to happen.
func commit(t *testing.T, s *Store, now time.Time, changes ...mailbox.Change) {
	t.Helper()
	if err := s.Commit(now, changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if err := mailbox.OutcomeOf(c).Err; err != nil {
			t.Fatalf("%T: %v", c, err)
		}
	}
}

func holds(t *testing.T, s *Store, now time.Time, box mailbox.BoxPublic, cells ...[]byte) {
	t.Helper()
	entries, _, err := s.List(box, 0, 1000, now)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []mailbox.CellID
	for _, e := range entries {
		got = append(got, e.Cell)
		if _, err := s.Cell(box, e.Cell, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cells {
		want = append(want, mailbox.IDOf(c))
	}
	if !slices.Equal(got, want) && (len(got) > 0 || len(want) > 0) {
		t.Fatalf("%d cells %v, want %d %v", len(got), got, len(want), want)
	}
}

// Everything was fetched and its segments were given back before the relay was started
// anew. What it keeps then survives a power cut as well.
func TestPowerCutAfterAllWasGivenBack(t *testing.T) {
	fs := vfs.NewCrashableMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 8 << 20, Quotas: roomy()}
	s := open(t, cfg)
	box, cells := fill(t, s, 10)
	commit(t, s, noon, &mailbox.Delete{Box: box, Cells: cells})
	if err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.segments); n != 0 {
		t.Fatalf("%d segments are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	box, cells = fill(t, s, 5)
	old := s
	cfg.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	s = open(t, cfg)
	old.Close()
	defer s.Close()
	for _, id := range cells {
		if _, err := s.Cell(box, id, noon); err != nil {
			t.Errorf("a cell whose deposit was answered: %v", err)
		}
	}
}
