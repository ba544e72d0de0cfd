package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// people are a few boxes and queues that random changes are about.
type people struct {
	rng    *rand.Rand
	now    time.Time
	boxes  []mailbox.BoxPublic
	queues []mailbox.QID
	cells  [][]byte
	posts  []mailbox.NoticeID
}

func newPeople(seed uint64) *people {
	p := &people{rng: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range byte(3) {
		p.boxes = append(p.boxes, mailbox.BoxPublic{i + 1})
	}
	for i := range byte(8) {
		p.queues = append(p.queues, mailbox.QID{i + 1})
	}
	for i := range byte(24) {
		n := []int{mailbox.CellSmall, mailbox.CellMedium, mailbox.CellMedium, mailbox.CellLarge}[i%4]
		p.cells = append(p.cells, bytes.Repeat([]byte{i}, n))
	}
	for i := range byte(4) {
		p.posts = append(p.posts, mailbox.NoticeID{i + 1})
	}
	return p
}

func pick[T any](p *people, of []T) T { return of[p.rng.IntN(len(of))] }

func (p *people) later(most time.Duration) time.Time {
	return p.now.Add(time.Duration(p.rng.Int64N(int64(most/time.Second))) * time.Second)
}

// change is a random change; twice the same, for two Stores.
func (p *people) change() (a, b mailbox.Change) {
	box := pick(p, p.boxes)
	some := func() (q []mailbox.QID) {
		for range 1 + p.rng.IntN(3) {
			q = append(q, pick(p, p.queues))
		}
		return q
	}
	switch p.rng.IntN(20) {
	case 0, 1:
		c := mailbox.GrantLease{Box: box, Until: p.later(40 * 24 * time.Hour)}
		d := c
		return &c, &d
	case 2, 3, 4:
		c := mailbox.OpenQueues{Box: box, Class: pick(p, []mailbox.Class{mailbox.Ordinary, mailbox.Ordinary, mailbox.Invite, mailbox.Intro}), Until: p.later(60 * 24 * time.Hour), Queues: some()}
		d := c
		return &c, &d
	case 5:
		c := mailbox.CloseQueues{Box: box, Queues: some()}
		d := c
		return &c, &d
	case 6:
		c := mailbox.PostNotice{Box: box, ID: pick(p, p.posts), Expiry: p.later(10 * 24 * time.Hour), Notice: bytes.Repeat([]byte{byte(p.rng.IntN(9))}, mailbox.NoticeSize)}
		d := c
		return &c, &d
	case 7:
		c := mailbox.RemoveNotice{Box: box, ID: pick(p, p.posts)}
		d := c
		return &c, &d
	case 8, 9, 10:
		c := mailbox.Delete{Box: box}
		for range 1 + p.rng.IntN(3) {
			c.Cells = append(c.Cells, mailbox.IDOf(pick(p, p.cells)))
		}
		d := c
		return &c, &d
	case 11:
		c := mailbox.Expire{At: p.now}
		d := c
		return &c, &d
	default:
		cell := pick(p, p.cells)
		c := mailbox.Deposit{Queue: pick(p, p.queues), ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.later(30 * 24 * time.Hour)}
		if len(cell) == mailbox.CellMedium || p.rng.IntN(20) == 0 {
			c.Work = uint8(p.rng.IntN(4)) // 0 now and then
		}
		d := c
		return &c, &d
	}
}

// changes are those of one commit.
func (p *people) changes() (a, b []mailbox.Change) {
	p.now = p.later(12 * time.Hour)
	for range 1 + p.rng.IntN(6) {
		x, y := p.change()
		a, b = append(a, x), append(b, y)
	}
	return a, b
}

// state is all that can be seen of a Store.
func (p *people) state(s mailbox.Store) (string, error) {
	var b bytes.Buffer
	u := s.Usage()
	u.Disk = 0
	fmt.Fprintf(&b, "%+v\n", u)
	for _, box := range p.boxes {
		info, err := s.Box(box)
		entries, more, err2 := s.List(box, 0, 1000, p.now)
		if err := errors.Join(err, err2); err != nil || more {
			return "", fmt.Errorf("list: more=%v %w", more, err)
		}
		fmt.Fprintf(&b, "box %x until %d used %d queues %d\n", box[:1], info.Until.Unix(), info.Used, info.Queues)
		for _, e := range entries {
			cell, err := s.Cell(box, e.Cell, p.now)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "  %d %x %v %d %d %d %d\n", e.Sequence, e.Queue[:1], e.Cell, e.Size, e.Expiry.Unix(), e.Work, cell[0])
		}
	}
	for _, q := range p.queues {
		pending, weakest, err := s.Intro(q, p.now)
		fmt.Fprintf(&b, "queue %x %v intro %d %d %v\n", q[:1], s.Writable(q, p.now), pending, weakest, err)
	}
	for _, id := range p.posts {
		n, err := s.Notice(id, p.now)
		if err != nil && !errors.Is(err, mailbox.ErrNotFound) {
			return "", err
		}
		fmt.Fprintf(&b, "notice %x %v %v\n", id[:1], n == nil, bytes.Count(n, n[:min(len(n), 1)]))
	}
	return b.String(), nil
}

func (p *people) mustState(t *testing.T, s mailbox.Store) string {
	t.Helper()
	v, err := p.state(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// outcomes are what Commit filled in.
func outcomes(t *testing.T, a, b []mailbox.Change) {
	t.Helper()
	for i := range a {
		x, y := mailbox.OutcomeOf(a[i]).Err, mailbox.OutcomeOf(b[i]).Err
		if !errors.Is(x, y) && !errors.Is(y, x) {
			t.Fatalf("%T: %v on disk, %v in memory", a[i], x, y)
		}
		d, ok := a[i].(*mailbox.Deposit)
		if e, _ := b[i].(*mailbox.Deposit); ok && x == nil && (d.Box != e.Box || d.New != e.New || d.Until.Unix() != e.Until.Unix()) {
			t.Fatalf("deposit %v: new=%v until=%v on disk, new=%v until=%v in memory", d.ID, d.New, d.Until, e.New, e.Until)
		}
		if d, ok := a[i].(*mailbox.Delete); ok && d.Deleted != b[i].(*mailbox.Delete).Deleted {
			t.Fatalf("deleted %d on disk, %d in memory", d.Deleted, b[i].(*mailbox.Delete).Deleted)
		}
	}
}

func crashConfig(fs vfs.FS) Config {
	return Config{Dir: "/relay/mail", FS: fs, MaxBytes: minMaxBytes, Quotas: mailboxtest.Quotas()}
}

// TestLikeMemory does the same to a Store on disk and to one in memory, with
// power failures, restarts and collections between: they never differ.
func TestLikeMemory(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := newPeople(seed)
			fs := vfs.NewCrashableMem()
			s := open(t, crashConfig(fs))
			defer func() { s.Close() }()
			model := mailboxtest.NewMemory(mailboxtest.Quotas(), 0)
			for round := range 200 {
				a, b := p.changes()
				if err := errors.Join(s.Commit(p.now, a), model.Commit(p.now, b)); err != nil {
					t.Fatal(err)
				}
				outcomes(t, a, b)
				switch p.rng.IntN(25) {
				case 0: // power fails
					old := s
					fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.rng.IntN(3) * 50, RNG: p.rng})
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
				default:
					if round%20 != 0 {
						continue
					}
				}
				if got, want := p.mustState(t, s), p.mustState(t, model); got != want {
					t.Fatalf("round %d: on disk\n%s\nin memory\n%s", round, got, want)
				}
			}
		})
	}
}

// TestPowerFailsDuringCommit: what is found is the state before a group or
// after it, and never before one that Commit had returned from.
func TestPowerFailsDuringCommit(t *testing.T) {
	before, after := 0, 0
	for seed := range uint64(60) {
		p := newPeople(1000 + seed)
		fs := vfs.NewCrashableMem()
		s := open(t, crashConfig(fs))
		model := mailboxtest.NewMemory(mailboxtest.Quotas(), 0)
		for range 1 + p.rng.IntN(30) {
			a, b := p.changes()
			if err := errors.Join(s.Commit(p.now, a), model.Commit(p.now, b)); err != nil {
				t.Fatal(err)
			}
		}
		p.mustState(t, s)
		// One deposit into each queue, so that it is one group.
		var a, b []mailbox.Change
		for _, q := range p.queues {
			cell := bytes.Repeat([]byte{q[0] + 100}, mailbox.CellSmall)
			d := mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.now.Add(time.Hour)}
			e := d
			a, b = append(a, &d), append(b, &e)
		}
		was := p.mustState(t, model)
		var committing sync.WaitGroup
		begun := make(chan struct{})
		committing.Go(func() {
			close(begun)
			if err := s.Commit(p.now, a); err != nil {
				t.Error(err)
			}
		})
		<-begun
		for range p.rng.IntN(40) {
			fs.Stat("/relay") // let the commit come along
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.rng.IntN(101), RNG: p.rng})
		committing.Wait()
		s.Close()
		if err := model.Commit(p.now, b); err != nil {
			t.Fatal(err)
		}
		is := p.mustState(t, model)
		s = open(t, crashConfig(crashed))
		switch got := p.mustState(t, s); got {
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

func (f tight) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err != nil || !bytes.HasSuffix([]byte(name), []byte(".log")) {
		return file, err
	}
	return &tightFile{file, f}, nil
}

func (f *tightFile) Write(b []byte) (int, error) {
	n := min(*f.fs.left, len(b))
	*f.fs.left -= n
	if _, err := f.File.Write(b[:n]); err != nil || n == len(b) {
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
		p := newPeople(uint64(cut))
		left = 1 << 30
		dir := fmt.Sprintf("/relay%d", cut)
		s := open(t, Config{Dir: dir, FS: fs, MaxBytes: minMaxBytes})
		box, q := lease(t, s, p.now)
		a := put(t, s, p.now, q, mailbox.CellMedium)
		left = cut * 300 // a group of one cell of 4 KiB takes 4,210 bytes
		cell := mailboxtest.Random(mailbox.CellSmall)
		d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.now.Add(time.Hour)}
		if err := s.Commit(p.now, []mailbox.Change{d}); err != nil {
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
		holds(t, s, p.now, box, want...)
		left = 1 << 30
		want = append(want, put(t, s, p.now, q, mailbox.CellSmall))
		holds(t, s, p.now, box, want...)
		crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: cut % 101, RNG: p.rng})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir, FS: crashed, MaxBytes: minMaxBytes})
		holds(t, s, p.now, box, want...)
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
