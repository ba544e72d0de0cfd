package mailboxtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// People are a few boxes and queues that random changes are about, for two Stores
// to be compared under.
type People struct {
	Rand   *rand.Rand
	Now    time.Time
	Queues []mailbox.QID
	boxes  []mailbox.BoxPublic
	cells  [][]byte
	posts  []mailbox.NoticeID
}

// NewPeople makes some of a seed.
func NewPeople(seed uint64) *People {
	p := &People{Rand: rand.New(rand.NewPCG(seed, 1)), Now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range byte(3) {
		p.boxes = append(p.boxes, mailbox.BoxPublic{i + 1})
	}
	for i := range byte(8) {
		p.Queues = append(p.Queues, mailbox.QID{i + 1})
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

func pick[T any](p *People, of []T) T { return of[p.Rand.IntN(len(of))] }

func (p *People) later(most time.Duration) time.Time {
	return p.Now.Add(time.Duration(p.Rand.Int64N(int64(most/time.Second))) * time.Second)
}

// change is a random change; twice the same, for two Stores.
func (p *People) change() (a, b mailbox.Change) {
	box := pick(p, p.boxes)
	some := func() (q []mailbox.QID) {
		for range 1 + p.Rand.IntN(3) {
			q = append(q, pick(p, p.Queues))
		}
		return q
	}
	switch p.Rand.IntN(22) {
	case 0, 1:
		c := mailbox.GrantLease{Box: box, Until: p.later(40 * 24 * time.Hour), Token: p.Rand.IntN(3) == 0}
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
		c := mailbox.PostNotice{Box: box, ID: pick(p, p.posts), Expiry: p.later(10 * 24 * time.Hour), Notice: bytes.Repeat([]byte{byte(p.Rand.IntN(9))}, mailbox.NoticeSize)}
		d := c
		return &c, &d
	case 7:
		c := mailbox.RemoveNotice{Box: box, ID: pick(p, p.posts)}
		d := c
		return &c, &d
	case 8, 9, 10:
		c := mailbox.Delete{Box: box}
		for range 1 + p.Rand.IntN(3) {
			c.Cells = append(c.Cells, mailbox.IDOf(pick(p, p.cells)))
		}
		d := c
		return &c, &d
	case 11:
		c := mailbox.Expire{At: p.Now}
		d := c
		return &c, &d
	case 12:
		c := mailbox.ReleaseBox{Box: box}
		d := c
		return &c, &d
	case 13:
		c := mailbox.EndLease{Box: box}
		d := c
		return &c, &d
	default:
		cell := pick(p, p.cells)
		c := mailbox.Deposit{Queue: pick(p, p.Queues), ID: mailbox.IDOf(cell), Cell: cell, Expiry: p.later(30 * 24 * time.Hour)}
		if len(cell) == mailbox.CellMedium || p.Rand.IntN(20) == 0 {
			c.Work = uint8(p.Rand.IntN(4)) // 0 now and then
		}
		d := c
		return &c, &d
	}
}

// Changes are those of one commit at Now, which moves on; twice the same, for two Stores.
func (p *People) Changes() (a, b []mailbox.Change) {
	p.Now = p.later(12 * time.Hour)
	for range 1 + p.Rand.IntN(6) {
		x, y := p.change()
		a, b = append(a, x), append(b, y)
	}
	return a, b
}

// State is all that can be seen of a Store, but for how it counts sequences.
func (p *People) State(t testing.TB, s mailbox.Store) string {
	t.Helper()
	v, err := p.state(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (p *People) state(s mailbox.Store) (string, error) {
	var b bytes.Buffer
	u := s.Usage()
	u.Disk = 0
	fmt.Fprintf(&b, "%+v\n", u)
	for _, box := range p.boxes {
		info, err := s.Box(box)
		entries, more, err2 := s.List(box, 0, 1000, p.Now)
		if err := errors.Join(err, err2); err != nil || more {
			return "", fmt.Errorf("list: more=%v %w", more, err)
		}
		fmt.Fprintf(&b, "box %x until %d token %v used %d queues %d\n", box[:1], info.Until.Unix(), info.Token, info.Used, info.Queues)
		var last uint64
		for _, e := range entries {
			if e.Sequence <= last {
				return "", errors.New("sequences do not rise")
			}
			last = e.Sequence
			cell, err := s.Cell(box, e.Cell, p.Now)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "  %x %v %d %d %d %d\n", e.Queue[:1], e.Cell, e.Size, e.Expiry.Unix(), e.Work, cell[0])
		}
	}
	for _, q := range p.Queues {
		pending, weakest, err := s.Intro(q, p.Now)
		fmt.Fprintf(&b, "queue %x %v intro %d %d %v\n", q[:1], s.Writable(q, p.Now), pending, weakest, err)
	}
	for _, id := range p.posts {
		n, err := s.Notice(id, p.Now)
		if err != nil && !errors.Is(err, mailbox.ErrNotFound) {
			return "", err
		}
		fmt.Fprintf(&b, "notice %x %v %v\n", id[:1], n == nil, bytes.Count(n, n[:min(len(n), 1)]))
	}
	return b.String(), nil
}

// SameOutcomes wants Commit to have filled in the same, for two Stores.
func SameOutcomes(t testing.TB, a, b []mailbox.Change) {
	t.Helper()
	for i := range a {
		x, y := mailbox.OutcomeOf(a[i]).Err, mailbox.OutcomeOf(b[i]).Err
		if !errors.Is(x, y) && !errors.Is(y, x) {
			t.Fatalf("%T: %v in one Store, %v in the other", a[i], x, y)
		}
		d, ok := a[i].(*mailbox.Deposit)
		if e, _ := b[i].(*mailbox.Deposit); ok && x == nil && (d.Box != e.Box || d.New != e.New || d.Until.Unix() != e.Until.Unix()) {
			t.Fatalf("deposit %v: new=%v until=%v in one Store, new=%v until=%v in the other", d.ID, d.New, d.Until, e.New, e.Until)
		}
		if d, ok := a[i].(*mailbox.Delete); ok && d.Deleted != b[i].(*mailbox.Delete).Deleted {
			t.Fatalf("deleted %d in one Store, %d in the other", d.Deleted, b[i].(*mailbox.Delete).Deleted)
		}
	}
}
