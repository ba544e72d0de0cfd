package mailboxtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Quotas are the small ones that the suite opens Stores with: a token pays for a queue, a cell and some bytes more.
func Quotas() mailbox.Quotas {
	return mailbox.Quotas{
		Room:       mailbox.Room{QueueCells: 4, QueueBytes: 3 * mailbox.CellLarge, BoxBytes: 4*mailbox.CellLarge + mailbox.NoticeSize, BoxQueues: 8},
		Token:      mailbox.Room{QueueCells: 5, BoxBytes: 5 * mailbox.CellLarge, BoxQueues: 9},
		IntroCells: 5,
	}
}

// shelf is a Store with a clock, for tests to speak with.
type shelf struct {
	t     *testing.T
	store mailbox.Store
	now   time.Time
	kind  Kind
	limit uint64
}

// Kind is a kind of Store, for Suite to open.
type Kind struct {
	// Open opens a Store with Quotas that may use limit bytes; 0 is as many as the suite
	// needs. In one test it opens the same one again, if Keeps.
	Open  func(t *testing.T, limit uint64) mailbox.Store
	Keeps bool // what a Store holds outlives it
	// Kill ends the use of a Store as the death of its process would; nil: Close does.
	Kill func(t *testing.T, s mailbox.Store)
	// Collect gives back what space it can; nil: there is nothing to do for that.
	Collect func(t *testing.T, s mailbox.Store)
}

func (s *shelf) commit(changes ...mailbox.Change) {
	s.t.Helper()
	if err := s.store.Commit(s.now, changes); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) want(c mailbox.Change, want error) {
	s.t.Helper()
	s.commit(c)
	if err := mailbox.OutcomeOf(c).Err; !errors.Is(err, want) || want == nil && err != nil {
		s.t.Fatalf("%T: outcome %v, want %v", c, err, want)
	}
}

// box leases a box with open queues.
func (s *shelf) box(class mailbox.Class, queues int) (mailbox.BoxPublic, []mailbox.QID) {
	s.t.Helper()
	box := mailbox.BoxPublic(Random(32))
	names := make([]mailbox.QID, queues)
	for i := range names {
		names[i] = mailbox.QID(Random(32))
	}
	s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(mailbox.LeaseTime)}, nil)
	s.want(&mailbox.OpenQueues{Box: box, Class: class, Until: s.now.Add(45 * 24 * time.Hour), Queues: names}, nil)
	return box, names
}

func (s *shelf) deposit(q mailbox.QID, cell []byte, ttl time.Duration) *mailbox.Deposit {
	return &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: bytes.Clone(cell), Expiry: s.now.Add(ttl)}
}

// put deposits a fresh cell.
func (s *shelf) put(q mailbox.QID, size int) []byte {
	s.t.Helper()
	cell := Random(size)
	s.want(s.deposit(q, cell, mailbox.MaxTTL), nil)
	return cell
}

func (s *shelf) list(box mailbox.BoxPublic) []mailbox.Entry {
	s.t.Helper()
	var all []mailbox.Entry
	for after, more := uint64(0), true; more; {
		var page []mailbox.Entry
		var err error
		if page, more, err = s.store.List(box, after, 3, s.now); err != nil {
			s.t.Fatal(err)
		}
		if more && len(page) != 3 {
			s.t.Fatalf("a page of %d with more behind it", len(page))
		}
		if all = append(all, page...); more {
			after = page[len(page)-1].Sequence
		}
	}
	if !slices.IsSortedFunc(all, func(a, b mailbox.Entry) int { return int(a.Sequence) - int(b.Sequence) }) {
		s.t.Fatal("entries do not rise")
	}
	return all
}

// holds wants exactly these cells in a box, in this order, readable.
func (s *shelf) holds(box mailbox.BoxPublic, cells ...[]byte) {
	s.t.Helper()
	entries := s.list(box)
	if len(entries) != len(cells) {
		s.t.Fatalf("%d cells in the box, want %d", len(entries), len(cells))
	}
	var used uint64
	for i, e := range entries {
		got, err := s.store.Cell(box, e.Cell, s.now)
		if err != nil || !bytes.Equal(got, cells[i]) || e.Size != len(cells[i]) {
			s.t.Fatalf("cell %d of the box is another (%v)", i, err)
		}
		used += uint64(e.Size)
	}
	if info, err := s.store.Box(box); err != nil || info.Used < used {
		s.t.Fatalf("box uses %d, cells are %d (%v)", info.Used, used, err)
	}
}

// Random is n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails, see crypto/rand
	return b
}

// Suite is what every Store must pass. limit is the smallest that Open can be
// given, in bytes: at least 1 MiB.
func Suite(t *testing.T, limit uint64, kind Kind) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	limited := func(name string, limit uint64, f func(s *shelf)) {
		t.Run(name, func(t *testing.T) {
			s := &shelf{t: t, store: kind.Open(t, limit), now: now, kind: kind, limit: limit}
			t.Cleanup(func() {
				if err := s.store.Close(); err != nil {
					t.Error(err)
				}
			})
			f(s)
		})
	}
	run := func(name string, f func(s *shelf)) { limited(name, 0, f) }
	run("a cell is kept until it is deleted", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		a, b, c := s.put(q[0], mailbox.CellSmall), s.put(q[1], mailbox.CellMedium), s.put(q[0], mailbox.CellLarge)
		s.holds(box, a, b, c)
		d := &mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(b), mailbox.IDOf(b), {1}}}
		s.want(d, nil)
		if d.Deleted != 1 {
			s.t.Fatalf("deleted %d, want 1", d.Deleted)
		}
		s.holds(box, a, c)
		if _, err := s.store.Cell(box, mailbox.IDOf(b), s.now); !errors.Is(err, mailbox.ErrNotFound) {
			s.t.Fatalf("a deleted cell: %v", err)
		}
		e := s.put(q[1], mailbox.CellSmall)
		s.holds(box, a, c, e)
		if u := s.store.Usage(); u.Cells != 3 || u.Bytes != 2*mailbox.CellSmall+mailbox.CellLarge || u.Queues != 2 || u.Boxes != 1 {
			s.t.Fatalf("usage %+v", u)
		}
	})
	run("nobody sees or deletes in another's box", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 1)
		other, oq := s.box(mailbox.Ordinary, 1)
		a := s.put(q[0], mailbox.CellSmall)
		if _, err := s.store.Cell(other, mailbox.IDOf(a), s.now); !errors.Is(err, mailbox.ErrNotFound) {
			s.t.Fatal(err)
		}
		s.want(&mailbox.Delete{Box: other, Cells: []mailbox.CellID{mailbox.IDOf(a)}}, nil)
		s.want(&mailbox.CloseQueues{Box: other, Queues: q}, nil)
		s.want(&mailbox.OpenQueues{Box: other, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: []mailbox.QID{{9}, q[0]}}, mailbox.ErrTaken)
		if err := s.store.Writable(mailbox.QID{9}, s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
			s.t.Fatalf("a refused OPEN opened something: %v", err)
		}
		b := s.put(q[0], mailbox.CellSmall)
		s.holds(box, a, b)
		s.want(s.deposit(oq[0], a, time.Hour), nil) // the same bytes elsewhere are another's
		s.holds(other, a)
		s.holds(box, a, b)
	})
	run("the same cell is kept once, until the later expiry", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		cell := Random(mailbox.CellSmall)
		first, again := s.deposit(q[0], cell, time.Hour), s.deposit(q[0], cell, 2*time.Hour)
		s.commit(first, again)
		if !first.New || again.New || again.Err != nil || !again.Until.Equal(s.now.Add(2*time.Hour)) {
			s.t.Fatalf("first %+v, again new=%v until=%v", first.New, again.New, again.Until)
		}
		earlier := s.deposit(q[0], cell, time.Minute)
		s.want(earlier, nil)
		if !earlier.Until.Equal(s.now.Add(2 * time.Hour)) {
			s.t.Fatalf("an earlier expiry moved it to %v", earlier.Until)
		}
		s.holds(box, cell)
		s.want(s.deposit(q[1], cell, time.Hour), mailbox.ErrTaken)
		s.now = s.now.Add(90 * time.Minute)
		s.want(&mailbox.Expire{At: s.now}, nil)
		s.holds(box, cell)
	})
	run("queues have quotas", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		var cells [][]byte
		for range 4 {
			cells = append(cells, s.put(q[0], mailbox.CellSmall))
		}
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrQuota)
		s.want(s.deposit(q[0], cells[1], mailbox.MaxTTL+time.Hour), nil) // known, so it adds nothing
		for range 3 {
			cells = append(cells, s.put(q[1], mailbox.CellLarge))
		}
		s.want(s.deposit(q[1], Random(mailbox.CellSmall), time.Hour), mailbox.ErrQuota) // by bytes
		s.want(&mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(cells[0])}}, nil)
		cells = append(cells[1:], s.put(q[0], mailbox.CellSmall))
		s.holds(box, cells...)
	})
	run("boxes have quotas", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 3)
		for _, i := range []int{0, 0, 1, 1} {
			s.put(q[i], mailbox.CellLarge)
		}
		s.put(q[2], mailbox.CellMedium) // to the last byte
		s.want(s.deposit(q[2], Random(mailbox.CellSmall), time.Hour), mailbox.ErrBoxFull)
		s.want(s.notice(box, mailbox.NoticeID{1}), mailbox.ErrBoxFull)
		more := make([]mailbox.QID, 6)
		for i := range more {
			more[i] = mailbox.QID(Random(32))
		}
		open := func(q ...mailbox.QID) *mailbox.OpenQueues {
			return &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: q}
		}
		s.want(open(more...), mailbox.ErrBoxFull)
		s.want(open(append(slices.Clone(more[:5]), more[0], q[0])...), nil) // named twice, or open: counts once
		if info, _ := s.store.Box(box); info.Queues != 8 {
			s.t.Fatalf("%d queues, want 8", info.Queues)
		}
	})
	run("a token pays for more", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 8)
		lease := func(token bool, d time.Duration) {
			s.t.Helper()
			s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(d), Token: token}, nil)
		}
		is := func(token bool, d time.Duration) {
			s.t.Helper()
			if info, err := s.store.Box(box); err != nil || info.Token != token || !info.Until.Equal(s.now.Add(d)) {
				s.t.Fatalf("%+v, %v", info, err)
			}
		}
		is(false, mailbox.LeaseTime)
		var cells [][]byte
		for range 4 {
			cells = append(cells, s.put(q[0], mailbox.CellSmall))
		}
		ninth := &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: []mailbox.QID{{9}}}
		s.want(ninth, mailbox.ErrBoxFull)
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrQuota)
		lease(true, time.Hour) // which prolongs nothing
		is(true, mailbox.LeaseTime)
		s.want(ninth, nil)
		cells = append(cells, s.put(q[0], mailbox.CellSmall))
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrQuota)
		for i := range 4 { // 4 x 65,536 and 5 x 4,096: more than without
			cells = append(cells, s.put(q[i/2+1], mailbox.CellLarge))
		}
		s.want(s.notice(box, mailbox.NoticeID{1}), nil)
		lease(false, time.Hour)
		is(true, mailbox.LeaseTime)
		if kind.Keeps {
			for _, killed := range []bool{true, false} {
				s.reopen(killed)
				is(true, mailbox.LeaseTime)
			}
		}
		s.want(s.deposit(q[4], Random(mailbox.CellSmall), time.Hour), nil)
		// Whose token is good no more goes on as the others, and keeps what is there.
		lease(false, mailbox.LeaseTime+time.Hour)
		is(false, mailbox.LeaseTime+time.Hour)
		s.want(s.deposit(q[4], Random(mailbox.CellSmall), time.Hour), mailbox.ErrBoxFull)
		s.want(s.notice(box, mailbox.NoticeID{2}), mailbox.ErrBoxFull)
		if n := len(s.list(box)); n != len(cells)+1 {
			s.t.Fatalf("%d cells are left", n)
		}
		if kind.Keeps {
			s.reopen(true)
			is(false, mailbox.LeaseTime+time.Hour)
		}
	})
	run("what is not a cell is refused", func(s *shelf) {
		_, q := s.box(mailbox.Ordinary, 1)
		for _, n := range []int{0, 1, 4095, 4097, 16383, 65535} {
			s.want(s.deposit(q[0], Random(n), time.Hour), mailbox.ErrSize)
		}
	})
	run("an invitation's queue takes 32 first flights", func(s *shelf) {
		// The box is too small for 32, so this asks for the limits of one cell.
		box, q := s.box(mailbox.Invite, 1)
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrSize)
		s.want(s.deposit(q[0], Random(mailbox.CellLarge), time.Hour), mailbox.ErrSize)
		s.holds(box, s.put(q[0], mailbox.CellMedium), s.put(q[0], mailbox.CellMedium), s.put(q[0], mailbox.CellMedium),
			s.put(q[0], mailbox.CellMedium), s.put(q[0], mailbox.CellMedium)) // more than Quotas' 4
	})
	run("an intro queue displaces the weakest", func(s *shelf) {
		box, q := s.box(mailbox.Intro, 2)
		introduce := func(q mailbox.QID, work uint8) (*mailbox.Deposit, []byte) {
			cell := Random(mailbox.CellMedium)
			d := s.deposit(q, cell, mailbox.MaxTTL)
			d.Work = work
			return d, cell
		}
		leave := func(work uint8, want error) []byte {
			s.t.Helper()
			d, cell := introduce(q[0], work)
			s.want(d, want)
			return cell
		}
		pending := func(n int, weakest uint8) {
			s.t.Helper()
			if got, least, err := s.store.Intro(q[0], s.now); err != nil || got != n || least != weakest {
				s.t.Fatalf("%d pending, the weakest of %d (%v), want %d of %d", got, least, err, n, weakest)
			}
		}
		pending(0, 0)
		a, b, c, d, e := leave(5, nil), leave(3, nil), leave(7, nil), leave(3, nil), leave(4, nil)
		other, o := introduce(q[1], 1) // another queue, which is not full
		s.want(other, nil)
		pending(5, 3)
		leave(2, mailbox.ErrQuota)
		leave(3, mailbox.ErrQuota) // as much is not more
		s.holds(box, a, b, c, d, e, o)
		f := leave(4, nil) // the later of the two of 3 goes
		s.holds(box, a, b, c, e, o, f)
		if u := s.store.Usage(); u.Cells != 6 || u.Bytes != 6*mailbox.CellMedium {
			s.t.Fatalf("usage %+v", u)
		}
		if info, _ := s.store.Box(box); info.Used != 6*mailbox.CellMedium {
			s.t.Fatalf("box uses %d", info.Used)
		}
		for i, want := range []uint8{5, 3, 7, 4, 1, 4} {
			if got := s.list(box)[i].Work; got != want {
				s.t.Fatalf("entry %d is of work %d, want %d", i, got, want)
			}
		}
		if _, err := s.store.Cell(box, mailbox.IDOf(d), s.now); !errors.Is(err, mailbox.ErrNotFound) {
			s.t.Fatalf("a displaced cell: %v", err)
		}

		// In one commit: each displaces by what came before it.
		g, gc := introduce(q[0], 6) // for b, of 3
		h, hc := introduce(q[0], 6) // for f, the later of 4
		i, _ := introduce(q[0], 4)  // nothing is weaker
		j, jc := introduce(q[0], 9) // for e
		k, _ := introduce(q[0], 5)  // only a is as weak, and as much is not more
		s.commit(g, h, i, j, k)
		for n, err := range []error{g.Err, h.Err, j.Err} {
			if err != nil {
				s.t.Fatal(n, err)
			}
		}
		if !errors.Is(i.Err, mailbox.ErrQuota) || !errors.Is(k.Err, mailbox.ErrQuota) {
			s.t.Fatal(i.Err, k.Err)
		}
		s.holds(box, a, c, o, gc, hc, jc)
		pending(5, 5)

		again := s.deposit(q[0], a, mailbox.MaxTTL+time.Hour) // it is kept with its first work
		again.Work = 13
		s.want(again, nil)
		if again.New || !again.Until.Equal(s.now.Add(mailbox.MaxTTL+time.Hour)) {
			s.t.Fatalf("again: new=%v until=%v", again.New, again.Until)
		}
		pending(5, 5)
		s.want(&mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(a), mailbox.IDOf(o)}}, nil)
		pending(4, 6)
		last := leave(1, nil)
		s.holds(box, c, gc, hc, jc, last)

		s.want(&mailbox.CloseQueues{Box: box, Queues: q[:1]}, nil)
		leave(13, mailbox.ErrUnknownQueue)
		if _, _, err := s.store.Intro(q[0], s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
			s.t.Fatal(err)
		}
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Intro, Until: s.now.Add(mailbox.MaxTTL + time.Hour), Queues: q[:1]}, nil)
		pending(5, 1) // they stayed
		s.holds(box, c, gc, hc, jc, leave(2, nil))
		s.now = s.now.Add(mailbox.MaxTTL - time.Second)
		s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(mailbox.LeaseTime)}, nil)
		s.want(&mailbox.Expire{At: s.now.Add(time.Second)}, nil)
		pending(0, 0)
		s.holds(box)
		s.holds(box, leave(1, nil))
	})
	run("work is for intro queues alone", func(s *shelf) {
		_, intro := s.box(mailbox.Intro, 1)
		_, invite := s.box(mailbox.Invite, 1)
		_, ordinary := s.box(mailbox.Ordinary, 1)
		try := func(q mailbox.QID, size int, work uint8, want error) {
			s.t.Helper()
			d := s.deposit(q, Random(size), time.Hour)
			d.Work = work
			s.want(d, want)
		}
		try(intro[0], mailbox.CellMedium, 0, mailbox.ErrWork)
		try(ordinary[0], mailbox.CellMedium, 1, mailbox.ErrWork)
		try(invite[0], mailbox.CellMedium, 1, mailbox.ErrWork)
		for _, n := range []int{mailbox.CellSmall, mailbox.CellLarge} {
			try(intro[0], n, 1, mailbox.ErrSize)
		}
		for _, q := range []mailbox.QID{ordinary[0], invite[0], {1}} {
			if _, _, err := s.store.Intro(q, s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
				s.t.Fatal(err)
			}
		}
	})
	run("a closed queue refuses and its cells stay", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		a := s.put(q[0], mailbox.CellSmall)
		s.want(&mailbox.CloseQueues{Box: box, Queues: []mailbox.QID{q[0], {7}}}, nil)
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrUnknownQueue)
		s.want(s.deposit(q[0], a, time.Hour), mailbox.ErrUnknownQueue)
		s.holds(box, a)
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: q[:1]}, nil)
		b := s.put(q[0], mailbox.CellSmall)
		s.want(&mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(a)}}, nil)
		s.holds(box, b)
		if info, _ := s.store.Box(box); info.Queues != 2 {
			s.t.Fatalf("%d queues, want 2", info.Queues)
		}
	})
	run("time passes", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		short := Random(mailbox.CellSmall)
		s.want(s.deposit(q[0], short, time.Hour), nil)
		long := s.put(q[0], mailbox.CellSmall)
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: []mailbox.QID{{5}}}, nil)
		s.want(&mailbox.PostNotice{Box: box, ID: mailbox.NoticeID{6}, Expiry: s.now.Add(time.Hour), Notice: Random(mailbox.NoticeSize)}, nil)
		s.now = s.now.Add(time.Hour - time.Second)
		s.want(&mailbox.Expire{At: s.now}, nil)
		s.holds(box, short, long)
		s.now = s.now.Add(time.Second)
		s.holds(box, long) // before anything was removed
		if _, err := s.store.Notice(mailbox.NoticeID{6}, s.now); !errors.Is(err, mailbox.ErrNotFound) {
			s.t.Fatal(err)
		}
		if err := s.store.Writable(mailbox.QID{5}, s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
			s.t.Fatal(err)
		}
		s.want(&mailbox.Expire{At: s.now}, nil)
		if u := s.store.Usage(); u.Cells != 1 || u.Notices != 0 || u.Queues != 2 {
			s.t.Fatalf("usage %+v", u)
		}
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), nil)

		s.now = s.now.Add(mailbox.LeaseTime) // less than the queues, as long as the cells
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrLease)
		s.want(s.notice(box, mailbox.NoticeID{7}), mailbox.ErrLease)
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: []mailbox.QID{{5}}}, mailbox.ErrLease)
		s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(mailbox.LeaseTime)}, nil)
		s.want(&mailbox.GrantLease{Box: box, Until: s.now}, nil) // never shorter
		s.put(q[0], mailbox.CellSmall)

		s.now = s.now.Add(300 * 24 * time.Hour)
		s.want(&mailbox.Expire{At: s.now}, nil)
		if u := s.store.Usage(); u.Cells+u.Bytes+u.Notices+u.Queues+u.Boxes != 0 {
			s.t.Fatalf("after all has expired: %+v", u)
		}
	})
	run("a lease that is ended keeps what is there, and takes nothing more", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 2)
		other, oq := s.box(mailbox.Ordinary, 1)
		a, b, c := s.put(q[0], mailbox.CellLarge), s.put(q[1], mailbox.CellSmall), s.put(oq[0], mailbox.CellSmall)
		s.want(s.notice(box, mailbox.NoticeID{1}), nil)
		s.now = s.now.Add(time.Hour)
		s.want(&mailbox.EndLease{Box: box}, nil)
		at := s.now
		is := func(until time.Time) {
			s.t.Helper()
			if info, err := s.store.Box(box); err != nil || !info.Until.Equal(until) || info.Queues != 2 || info.Used != mailbox.CellLarge+mailbox.CellSmall+mailbox.NoticeSize {
				s.t.Fatalf("%+v, %v", info, err)
			}
		}
		s.now = s.now.Add(time.Hour)
		s.want(&mailbox.EndLease{Box: box}, nil) // it has none any more
		s.want(&mailbox.EndLease{Box: mailbox.BoxPublic{7}}, nil)
		is(at)
		s.now = at // at once
		ended := func() {
			s.t.Helper()
			is(at)
			s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrLease)
			s.want(s.deposit(q[0], a, 2*mailbox.MaxTTL), mailbox.ErrLease) // nor for longer
			s.want(s.notice(box, mailbox.NoticeID{2}), mailbox.ErrLease)
			s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: q}, mailbox.ErrLease)
			s.holds(box, a, b)
			s.holds(other, c)
			if _, err := s.store.Notice(mailbox.NoticeID{1}, s.now.Add(-time.Hour)); err != nil {
				s.t.Fatal(err)
			}
			if u := s.store.Usage(); u.Boxes != 2 {
				s.t.Fatalf("usage %+v", u)
			}
		}
		ended()
		if kind.Keeps {
			for _, killed := range []bool{true, false} {
				s.reopen(killed)
				ended()
			}
		}
		c2 := s.put(oq[0], mailbox.CellSmall)
		s.holds(other, c, c2)

		// Another lease, shorter than the first would have been; then it is ended again, for good.
		s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(48 * time.Hour), Token: true}, nil)
		is(s.now.Add(48 * time.Hour))
		if kind.Keeps {
			s.reopen(true)
			is(s.now.Add(48 * time.Hour))
		}
		again := s.put(q[1], mailbox.CellSmall)
		s.now = s.now.Add(24 * time.Hour)
		s.want(&mailbox.EndLease{Box: box}, nil)
		del := &mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(a)}}
		if s.want(del, nil); del.Deleted != 1 {
			s.t.Fatal("its owner cannot delete what is there")
		}
		s.holds(box, b, again)
		s.now = s.now.Add(mailbox.MaxTTL)
		s.want(&mailbox.Expire{At: s.now}, nil)
		s.holds(box)
		s.now = s.now.Add(mailbox.MaxUntil + 25*time.Hour)
		s.want(&mailbox.Expire{At: s.now}, nil)
		if u := s.store.Usage(); u.Cells+u.Bytes+u.Notices+u.Queues+u.Boxes != 0 {
			s.t.Fatalf("after all has expired: %+v", u)
		}
	})
	run("much expires in parts", func(s *shelf) {
		for range 150 {
			s.box(mailbox.Ordinary, 8)
		}
		s.now = s.now.Add(365 * 24 * time.Hour)
		for more, parts := true, 0; more; parts++ {
			e := &mailbox.Expire{At: s.now}
			s.want(e, nil)
			if more = e.More; parts > 100 {
				s.t.Fatal("it never ends")
			}
		}
		if u := s.store.Usage(); u.Queues+u.Boxes != 0 {
			s.t.Fatalf("after all has expired: %+v", u)
		}
	})
	run("a box that is released is gone with all that is in it", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 3)
		shy, iq := s.box(mailbox.Intro, 1)
		other, oq := s.box(mailbox.Ordinary, 1)
		a := s.put(q[0], mailbox.CellLarge)
		b := s.put(q[1], mailbox.CellSmall)
		stays := s.put(oq[0], mailbox.CellSmall)
		stranger := s.deposit(iq[0], Random(mailbox.CellMedium), time.Hour)
		stranger.Work = 3
		s.want(stranger, nil)
		s.want(&mailbox.CloseQueues{Box: box, Queues: q[1:2]}, nil) // whose cell is there
		s.want(s.notice(box, mailbox.NoticeID{1}), nil)
		s.want(s.notice(other, mailbox.NoticeID{2}), nil)
		release := func(box mailbox.BoxPublic) {
			s.t.Helper()
			for more, parts := true, 0; more; parts++ {
				r := &mailbox.ReleaseBox{Box: box}
				if s.want(r, nil); parts > 10 {
					s.t.Fatal("it never ends")
				}
				more = r.More
			}
		}
		release(box)
		release(shy)
		release(box) // which is nothing any more
		release(mailbox.BoxPublic{7})
		gone := func() {
			s.t.Helper()
			s.holds(box)
			s.holds(shy)
			s.holds(other, stays)
			for _, id := range []mailbox.CellID{mailbox.IDOf(a), mailbox.IDOf(b)} {
				if _, err := s.store.Cell(box, id, s.now); !errors.Is(err, mailbox.ErrNotFound) {
					s.t.Fatal(err)
				}
			}
			if _, err := s.store.Notice(mailbox.NoticeID{1}, s.now); !errors.Is(err, mailbox.ErrNotFound) {
				s.t.Fatal(err)
			}
			if _, err := s.store.Notice(mailbox.NoticeID{2}, s.now); err != nil {
				s.t.Fatal(err)
			}
			if info, err := s.store.Box(box); err != nil || info != (mailbox.BoxInfo{}) {
				s.t.Fatal(info, err)
			}
			if u := s.store.Usage(); u.Boxes != 1 || u.Queues != 1 || u.Cells != 1 || u.Notices != 1 || u.Bytes != mailbox.CellSmall+mailbox.NoticeSize {
				s.t.Fatalf("usage %+v", u)
			}
		}
		gone()
		if kind.Keeps {
			for _, killed := range []bool{true, false} {
				s.reopen(killed)
				gone()
			}
		}
		s.want(s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), mailbox.ErrUnknownQueue)
		s.want(s.notice(box, mailbox.NoticeID{1}), mailbox.ErrLease)
		s.want(&mailbox.OpenQueues{Box: other, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: q[:1]}, nil) // it is nobody's now
		s.want(&mailbox.GrantLease{Box: box, Until: s.now.Add(mailbox.LeaseTime)}, nil)
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: q[1:]}, nil)
		again := s.deposit(q[1], b, time.Hour)
		s.want(again, nil)
		if !again.New {
			s.t.Fatal("a cell that was gone is not new")
		}
		s.holds(box, b)
		s.now = s.now.Add(365 * 24 * time.Hour)
		s.want(&mailbox.Expire{At: s.now}, nil)
		if u := s.store.Usage(); u.Cells+u.Bytes+u.Notices+u.Queues+u.Boxes != 0 {
			s.t.Fatalf("after all has expired: %+v", u)
		}
	})
	run("notices", func(s *shelf) {
		box, _ := s.box(mailbox.Ordinary, 1)
		other, _ := s.box(mailbox.Ordinary, 1)
		id := mailbox.NoticeID(Random(32))
		first := s.notice(box, id)
		blob := bytes.Clone(first.Notice)
		s.want(first, nil)
		if got, err := s.store.Notice(id, s.now); err != nil || !bytes.Equal(got, blob) {
			s.t.Fatal("not the notice", err)
		}
		s.want(s.notice(other, id), mailbox.ErrTaken)
		s.want(&mailbox.RemoveNotice{Box: other, ID: id}, nil)
		second := s.notice(box, id)
		blob = bytes.Clone(second.Notice)
		s.want(second, nil)
		if got, err := s.store.Notice(id, s.now); err != nil || !bytes.Equal(got, blob) {
			s.t.Fatal("not the newer notice", err)
		}
		if info, _ := s.store.Box(box); info.Used != mailbox.NoticeSize {
			s.t.Fatalf("box uses %d", info.Used)
		}
		s.want(&mailbox.RemoveNotice{Box: box, ID: id}, nil)
		s.want(&mailbox.RemoveNotice{Box: box, ID: id}, nil)
		if _, err := s.store.Notice(id, s.now); !errors.Is(err, mailbox.ErrNotFound) {
			s.t.Fatal(err)
		}
		s.want(s.notice(other, id), nil)
		s.want(&mailbox.PostNotice{Box: other, ID: mailbox.NoticeID{1}, Expiry: s.now.Add(time.Hour), Notice: Random(17)}, mailbox.ErrSize)
	})
	run("a stranger is given nothing", func(s *shelf) {
		box := mailbox.BoxPublic{1}
		s.want(s.notice(box, mailbox.NoticeID{1}), mailbox.ErrLease)
		s.want(&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: s.now.Add(time.Hour), Queues: []mailbox.QID{{1}}}, mailbox.ErrLease)
		s.want(s.deposit(mailbox.QID{1}, Random(mailbox.CellSmall), time.Hour), mailbox.ErrUnknownQueue)
		s.holds(box)
		if info, err := s.store.Box(box); err != nil || info != (mailbox.BoxInfo{}) {
			s.t.Fatal(info, err)
		}
		if u := s.store.Usage(); u.Boxes != 0 {
			s.t.Fatalf("usage %+v", u)
		}
	})
	run("one bad change spoils no other", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 1)
		good, bad, late := s.deposit(q[0], Random(mailbox.CellSmall), time.Hour), s.deposit(mailbox.QID{1}, Random(mailbox.CellSmall), time.Hour),
			s.deposit(q[0], Random(mailbox.CellSmall), time.Hour)
		a, b := bytes.Clone(good.Cell), bytes.Clone(late.Cell)
		del := &mailbox.Delete{Box: box, Cells: []mailbox.CellID{good.ID}}
		s.commit(good, bad, &mailbox.Expire{At: s.now}, late, del, s.deposit(q[0], a, 2*time.Hour))
		if good.Err != nil || late.Err != nil || !errors.Is(bad.Err, mailbox.ErrUnknownQueue) || del.Deleted != 1 {
			s.t.Fatal(good.Err, bad.Err, late.Err, del.Deleted)
		}
		s.holds(box, b, a) // in the order of the changes
	})
	run("it does as the Store in memory", func(s *shelf) {
		p, model := NewPeople(7), NewMemory(Quotas(), 0)
		for round := range 150 {
			a, b := p.Changes()
			if err := errors.Join(s.store.Commit(p.Now, a), model.Commit(p.Now, b)); err != nil {
				s.t.Fatal(err)
			}
			SameOutcomes(s.t, a, b)
			if round%10 > 0 {
				continue
			}
			if got, want := p.State(s.t, s.store), p.State(s.t, model); got != want {
				s.t.Fatalf("round %d: there is\n%s\nin memory\n%s", round, got, want)
			}
			if kind.Keeps && round%30 == 0 {
				s.reopen(round%60 == 0)
			}
		}
	})
	run("many read while one writes", func(s *shelf) { s.crowd() })
	limited("at its limit it refuses and loses nothing", limit, func(s *shelf) {
		var all []mailbox.BoxPublic
		held := make(map[mailbox.BoxPublic][][]byte)
		var full *mailbox.Deposit
		for full == nil && uint64(len(all)) < limit>>20*10 { // a box of Quotas holds four
			box, q := s.box(mailbox.Ordinary, 2)
			all = append(all, box)
			for i := range 4 {
				cell := Random(mailbox.CellLarge)
				d := s.deposit(q[i/2], cell, mailbox.MaxTTL)
				if s.commit(d); d.Err != nil {
					if full = d; !errors.Is(d.Err, mailbox.ErrFull) {
						s.t.Fatal(d.Err)
					}
					break
				}
				held[box] = append(held[box], cell)
			}
		}
		if full == nil {
			s.t.Fatalf("%d boxes of 256 KiB fit into %d bytes", len(all), limit)
		}
		if u := s.store.Usage(); u.Disk > limit || u.Cells == 0 {
			s.t.Fatalf("at the limit of %d bytes: %+v", limit, u)
		}
		s.commit(&mailbox.GrantLease{Box: all[0], Until: s.now.Add(2 * mailbox.LeaseTime)}) // takes no room
		if kind.Keeps {
			s.reopen(true)
		}
		for _, box := range all {
			s.holds(box, held[box]...)
		}
		again := *full
		again.Cell, again.Outcome = bytes.Clone(full.Cell), mailbox.Outcome{}
		s.want(&again, mailbox.ErrFull)
		for _, box := range all {
			var ids []mailbox.CellID
			for _, cell := range held[box] {
				ids = append(ids, mailbox.IDOf(cell))
			}
			s.want(&mailbox.Delete{Box: box, Cells: ids}, nil)
		}
		if kind.Collect != nil {
			kind.Collect(s.t, s.store)
		}
		again.Outcome = mailbox.Outcome{}
		s.want(&again, nil)
		s.holds(all[len(all)-1], again.Cell)
	})
	if !kind.Keeps {
		return
	}
	run("all is there after opening anew", func(s *shelf) {
		box, q := s.box(mailbox.Ordinary, 3)
		a, b, c := s.put(q[0], mailbox.CellSmall), s.put(q[1], mailbox.CellLarge), s.put(q[0], mailbox.CellMedium)
		s.want(&mailbox.Delete{Box: box, Cells: []mailbox.CellID{mailbox.IDOf(a)}}, nil)
		s.want(&mailbox.CloseQueues{Box: box, Queues: q[2:]}, nil)
		s.want(s.notice(box, mailbox.NoticeID{1}), nil)
		shy, iq := s.box(mailbox.Intro, 1)
		var strangers [][]byte
		for i := range uint8(6) { // the second is displaced, when the sixth comes
			strangers = append(strangers, Random(mailbox.CellMedium))
			d := s.deposit(iq[0], strangers[i], time.Hour)
			d.Work = []uint8{2, 1, 3, 2, 3, 4}[i]
			s.want(d, nil)
		}
		strangers = slices.Delete(strangers, 1, 2)
		want, latest := s.store.Usage(), s.store.Latest()
		for _, killed := range []bool{false, true, true} {
			s.reopen(killed)
			got := s.store.Usage()
			if got.Disk = want.Disk; got != want || !s.store.Latest().Equal(latest) {
				s.t.Fatalf("after opening anew %+v (%v), want %+v (%v)", got, s.store.Latest(), want, latest)
			}
			s.holds(box, b, c)
			s.holds(shy, strangers...)
			if n, weakest, err := s.store.Intro(iq[0], s.now); n != 5 || weakest != 2 || err != nil {
				s.t.Fatal(n, weakest, err)
			}
			if err := s.store.Writable(q[2], s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
				s.t.Fatal(err)
			}
			if _, err := s.store.Notice(mailbox.NoticeID{1}, s.now); err != nil {
				s.t.Fatal(err)
			}
		}
		d := s.put(q[1], mailbox.CellSmall)
		s.holds(box, b, c, d)
	})
}

func (s *shelf) notice(box mailbox.BoxPublic, id mailbox.NoticeID) *mailbox.PostNotice {
	return &mailbox.PostNotice{Box: box, ID: id, Expiry: s.now.Add(time.Hour), Notice: Random(mailbox.NoticeSize)}
}

// reopen ends a Store and opens it again.
func (s *shelf) reopen(killed bool) {
	s.t.Helper()
	if killed && s.kind.Kill != nil {
		s.kind.Kill(s.t, s.store)
	} else if err := s.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.store = s.kind.Open(s.t, s.limit)
}

// crowd lets some look at all that one other commits. What they see is whole: lists
// that rise, cells that are those named, counts that fit each other.
func (s *shelf) crowd() {
	const rounds = 40
	box, q := s.box(mailbox.Ordinary, 4)
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for look := true; look; {
				select {
				case <-stop:
					look = false // once more, at the end
				default:
				}
				if err := s.look(box, q[0]); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	var live [][]byte
	for range rounds {
		var changes []mailbox.Change
		var fresh [][]byte
		for i := range q {
			cell := Random(mailbox.CellSmall)
			fresh = append(fresh, cell)
			changes = append(changes, s.deposit(q[i], cell, mailbox.MaxTTL))
		}
		if len(live) == 3*len(q) {
			var ids []mailbox.CellID
			for _, cell := range live[:len(q)] {
				ids = append(ids, mailbox.IDOf(cell))
			}
			live = live[len(q):]
			changes = append([]mailbox.Change{&mailbox.Delete{Box: box, Cells: ids}}, changes...)
		}
		live = append(live, fresh...)
		s.commit(changes...)
		for _, c := range changes {
			if err := mailbox.OutcomeOf(c).Err; err != nil {
				s.t.Fatalf("%T: %v", c, err)
			}
		}
	}
	close(stop)
	looking.Wait()
	s.holds(box, live...)
}

// look reads all that a Store tells of a box and a queue of it, while it may change.
func (s *shelf) look(box mailbox.BoxPublic, q mailbox.QID) error {
	entries, _, err := s.store.List(box, 0, 100, s.now)
	if err != nil {
		return err
	}
	var last uint64
	for _, e := range entries {
		cell, err := s.store.Cell(box, e.Cell, s.now)
		switch {
		case errors.Is(err, mailbox.ErrNotFound): // deleted meanwhile
		case err != nil:
			return err
		case mailbox.IDOf(cell) != e.Cell || len(cell) != e.Size || e.Sequence <= last:
			return fmt.Errorf("entry %+v after %d is a cell of %d bytes", e, last, len(cell))
		}
		last = e.Sequence
	}
	info, err := s.store.Box(box)
	u := s.store.Usage()
	if err != nil || info.Used > 16*mailbox.CellSmall || info.Queues != 4 || u.Cells*mailbox.CellSmall != u.Bytes {
		return fmt.Errorf("box %+v, usage %+v: %w", info, u, err)
	}
	if err := s.store.Writable(q, s.now); err != nil {
		return err
	}
	if _, _, err := s.store.Intro(q, s.now); !errors.Is(err, mailbox.ErrUnknownQueue) {
		return fmt.Errorf("an ordinary queue asked of as one for strangers: %w", err)
	}
	return nil
}
