// Package mailboxtest helps to test what uses package mailbox: a Store in
// memory, the conformance suite of all Stores, and relays, honest and lying, on
// any host.
package mailboxtest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Memory is a mailbox.Store that forgets all when the process ends. It is made
// with NewMemory.
type Memory struct {
	quotas mailbox.Quotas
	cap    uint64

	mu      sync.Mutex
	latest  time.Time
	boxes   map[mailbox.BoxPublic]*box
	queues  map[mailbox.QID]*queue
	notices map[mailbox.NoticeID]notice
	used    uint64
}

type box struct {
	until    time.Time
	token    bool
	used     uint64
	sequence uint64
	queues   uint32
	notices  int
	cells    map[mailbox.CellID]*cell
}

type queue struct {
	box   mailbox.BoxPublic
	class mailbox.Class
	until time.Time
	cells int
	bytes int
}

type cell struct {
	entry mailbox.Entry
	bytes []byte
	came  time.Time // in whole minutes
}

type notice struct {
	box    mailbox.BoxPublic
	expiry time.Time
	bytes  []byte
}

// NewMemory makes an empty Store that holds at most limit bytes of cells and
// notices (0: no limit).
func NewMemory(q mailbox.Quotas, limit uint64) *Memory {
	return &Memory{
		quotas: q, cap: limit, boxes: make(map[mailbox.BoxPublic]*box),
		queues: make(map[mailbox.QID]*queue), notices: make(map[mailbox.NoticeID]notice),
	}
}

// Commit is mailbox.Store's.
func (m *Memory) Commit(now time.Time, changes []mailbox.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.After(m.latest) {
		m.latest = now
	}
	for _, c := range changes {
		o := mailbox.OutcomeOf(c)
		switch c := c.(type) {
		case *mailbox.Deposit:
			o.Err = m.deposit(now, c)
		case *mailbox.Delete:
			for _, id := range c.Cells {
				if m.drop(c.Box, id) {
					c.Deleted++
				}
			}
		case *mailbox.OpenQueues:
			o.Err = m.open(now, c)
		case *mailbox.CloseQueues:
			for _, id := range c.Queues {
				if q := m.queues[id]; q != nil && q.box == c.Box {
					m.close(id)
				}
			}
		case *mailbox.GrantLease:
			b := m.boxes[c.Box]
			if b == nil {
				b = &box{cells: make(map[mailbox.CellID]*cell)}
				m.boxes[c.Box] = b
			}
			if c.Until.After(b.until) {
				b.until, b.token = c.Until, c.Token
			}
			b.token = b.token || c.Token
		case *mailbox.EndLease:
			if b, at := m.boxes[c.Box], time.Unix(now.Unix(), 0); b != nil && at.Before(b.until) {
				b.until = at
			}
		case *mailbox.ReleaseBox:
			m.release(c.Box)
		case *mailbox.PostNotice:
			o.Err = m.post(now, c)
		case *mailbox.RemoveNotice:
			if m.notices[c.ID].box == c.Box {
				m.unpost(c.ID)
			}
		case *mailbox.Expire:
			m.expire(c.At)
		}
	}
	return nil
}

func (m *Memory) release(name mailbox.BoxPublic) {
	for id, q := range m.queues {
		if q.box == name {
			m.close(id)
		}
	}
	for id, n := range m.notices {
		if n.box == name {
			m.unpost(id)
		}
	}
	if b := m.boxes[name]; b != nil {
		m.used -= b.used
		delete(m.boxes, name)
	}
}

func (m *Memory) leased(name mailbox.BoxPublic, now time.Time) (*box, error) {
	if b := m.boxes[name]; b != nil && b.until.After(now) {
		return b, nil
	}
	return nil, mailbox.ErrLease
}

func (m *Memory) fits(n int) error {
	if m.cap > 0 && m.used+uint64(n) > m.cap {
		return mailbox.ErrFull
	}
	return nil
}

func (m *Memory) deposit(now time.Time, c *mailbox.Deposit) error {
	if !mailbox.ValidSize(len(c.Cell)) {
		return mailbox.ErrSize
	}
	q := m.queues[c.Queue]
	if q == nil || !q.until.After(now) {
		return mailbox.ErrUnknownQueue
	}
	b, err := m.leased(q.box, now)
	if err != nil {
		return err
	}
	if (c.Work > 0) != (q.class == mailbox.Intro) {
		return mailbox.ErrWork
	}
	c.Box, c.Until = q.box, c.Expiry
	if old := b.cells[c.ID]; old != nil {
		if old.entry.Queue != c.Queue {
			return mailbox.ErrTaken
		}
		if c.Expiry.After(old.entry.Expiry) {
			old.entry.Expiry = c.Expiry
		}
		c.Until = old.entry.Expiry
		return nil
	}
	room := m.quotas.Of(b.token)
	cells, size := int(room.QueueCells), int(room.QueueBytes)
	if q.class != mailbox.Ordinary {
		if len(c.Cell) != mailbox.CellMedium {
			return mailbox.ErrSize
		}
		cells, size = mailbox.InviteCells, mailbox.InviteCells*mailbox.CellMedium
	}
	var displaced *mailbox.Entry
	if q.class == mailbox.Intro {
		if pending := b.intros(c.Queue); len(pending) >= m.quotas.Pending() {
			if displaced = &pending[0]; c.Work <= displaced.Work {
				return mailbox.ErrQuota
			}
		}
	} else if q.cells >= cells || q.bytes+len(c.Cell) > size {
		return mailbox.ErrQuota
	}
	if displaced == nil && b.used+uint64(len(c.Cell)) > room.BoxBytes {
		return mailbox.ErrBoxFull
	}
	if displaced != nil {
		m.drop(q.box, displaced.Cell)
	}
	if err := m.fits(len(c.Cell)); err != nil {
		return err
	}
	b.sequence++
	b.cells[c.ID] = &cell{mailbox.Entry{Sequence: b.sequence, Queue: c.Queue, Cell: c.ID, Size: len(c.Cell), Expiry: c.Expiry, Work: c.Work}, bytes.Clone(c.Cell), time.Unix(now.Unix()/60*60, 0)}
	b.used += uint64(len(c.Cell))
	q.cells, q.bytes = q.cells+1, q.bytes+len(c.Cell)
	m.used += uint64(len(c.Cell))
	c.New = true
	return nil
}

// intros are the cells pending in an intro queue, the weakest first, the latest
// before the others of the same work.
func (b *box) intros(q mailbox.QID) (pending []mailbox.Entry) {
	for _, c := range b.cells {
		if c.entry.Queue == q && c.entry.Work > 0 {
			pending = append(pending, c.entry)
		}
	}
	slices.SortFunc(pending, func(x, y mailbox.Entry) int {
		return cmp.Or(cmp.Compare(x.Work, y.Work), cmp.Compare(y.Sequence, x.Sequence))
	})
	return pending
}

func (m *Memory) drop(name mailbox.BoxPublic, id mailbox.CellID) bool {
	b := m.boxes[name]
	if b == nil || b.cells[id] == nil {
		return false
	}
	e := b.cells[id].entry
	delete(b.cells, id)
	b.used -= uint64(e.Size)
	m.used -= uint64(e.Size)
	if q := m.queues[e.Queue]; q != nil {
		q.cells, q.bytes = max(q.cells-1, 0), max(q.bytes-e.Size, 0)
	}
	return true
}

func (m *Memory) open(now time.Time, c *mailbox.OpenQueues) error {
	b, err := m.leased(c.Box, now)
	if err != nil {
		return err
	}
	fresh := make(map[mailbox.QID]bool)
	for _, id := range c.Queues {
		q := m.queues[id]
		if q != nil && q.box != c.Box {
			return mailbox.ErrTaken
		}
		if q == nil {
			fresh[id] = true
		}
	}
	if uint64(b.queues)+uint64(len(fresh)) > uint64(m.quotas.Of(b.token).BoxQueues) {
		return mailbox.ErrBoxFull
	}
	for _, id := range c.Queues {
		if q := m.queues[id]; q == nil {
			m.queues[id] = &queue{box: c.Box, class: c.Class, until: c.Until}
			b.queues++
		} else if c.Until.After(q.until) {
			q.until = c.Until
		}
	}
	return nil
}

func (m *Memory) close(id mailbox.QID) {
	if b := m.boxes[m.queues[id].box]; b != nil {
		b.queues--
	}
	delete(m.queues, id)
}

func (m *Memory) post(now time.Time, c *mailbox.PostNotice) error {
	if len(c.Notice) != mailbox.NoticeSize {
		return mailbox.ErrSize
	}
	b, err := m.leased(c.Box, now)
	if err != nil {
		return err
	}
	old, exists := m.notices[c.ID]
	if exists && old.box != c.Box && old.expiry.After(now) {
		return mailbox.ErrTaken
	}
	if replaces := exists && old.box == c.Box; !replaces {
		if b.notices >= mailbox.MaxNotices || b.used+mailbox.NoticeSize > m.quotas.Of(b.token).BoxBytes {
			return mailbox.ErrBoxFull
		}
		if err := m.fits(mailbox.NoticeSize); err != nil {
			return err
		}
	}
	if exists {
		m.unpost(c.ID)
	}
	m.notices[c.ID] = notice{c.Box, c.Expiry, bytes.Clone(c.Notice)}
	b.notices++
	b.used += mailbox.NoticeSize
	m.used += mailbox.NoticeSize
	return nil
}

func (m *Memory) unpost(id mailbox.NoticeID) {
	n := m.notices[id]
	delete(m.notices, id)
	m.used -= mailbox.NoticeSize
	if b := m.boxes[n.box]; b != nil {
		b.notices--
		b.used -= mailbox.NoticeSize
	}
}

func (m *Memory) expire(at time.Time) {
	for name, b := range m.boxes {
		for id, c := range b.cells {
			if !c.entry.Expiry.After(at) {
				m.drop(name, id)
			}
		}
	}
	for id, q := range m.queues {
		if !q.until.After(at) {
			m.close(id)
		}
	}
	for id, n := range m.notices {
		if !n.expiry.After(at) {
			m.unpost(id)
		}
	}
	for name, b := range m.boxes {
		if !b.until.Add(mailbox.MaxUntil + 24*time.Hour).After(at) {
			delete(m.boxes, name)
		}
	}
}

// Writable is mailbox.Store's.
func (m *Memory) Writable(id mailbox.QID, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q := m.queues[id]; q == nil || !q.until.After(now) {
		return mailbox.ErrUnknownQueue
	}
	return nil
}

// Intro is mailbox.Store's.
func (m *Memory) Intro(id mailbox.QID, now time.Time) (pending int, weakest uint8, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queues[id]
	if q == nil || !q.until.After(now) || q.class != mailbox.Intro {
		return 0, 0, mailbox.ErrUnknownQueue
	}
	cells := m.boxes[q.box].intros(id)
	if len(cells) > 0 {
		weakest = cells[0].Work
	}
	return len(cells), weakest, nil
}

// Box is mailbox.Store's.
func (m *Memory) Box(name mailbox.BoxPublic) (mailbox.BoxInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[name]; b != nil {
		return mailbox.BoxInfo{Until: b.until, Used: b.used, Queues: b.queues, Token: b.token}, nil
	}
	return mailbox.BoxInfo{}, nil
}

// List is mailbox.Store's.
func (m *Memory) List(name mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[name]
	if b == nil {
		return nil, false, nil
	}
	var entries []mailbox.Entry
	for c := range maps.Values(b.cells) {
		if c.entry.Sequence > after && c.entry.Expiry.After(now) {
			entries = append(entries, c.entry)
		}
	}
	slices.SortFunc(entries, func(x, y mailbox.Entry) int { return cmp.Compare(x.Sequence, y.Sequence) })
	if len(entries) > limit {
		return entries[:limit], true, nil
	}
	return entries, false, nil
}

// Cell is mailbox.Store's.
func (m *Memory) Cell(name mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[name]; b != nil && b.cells[id] != nil && b.cells[id].entry.Expiry.After(now) {
		return bytes.Clone(b.cells[id].bytes), nil
	}
	return nil, mailbox.ErrNotFound
}

// Notice is mailbox.Store's.
func (m *Memory) Notice(id mailbox.NoticeID, now time.Time) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.notices[id]; ok && n.expiry.After(now) {
		return bytes.Clone(n.bytes), nil
	}
	return nil, mailbox.ErrNotFound
}

// Latest is mailbox.Store's.
func (m *Memory) Latest() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest
}

// Usage is mailbox.Store's.
func (m *Memory) Usage() mailbox.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := mailbox.Usage{Queues: uint64(len(m.queues)), Boxes: uint64(len(m.boxes)), Notices: uint64(len(m.notices)), Bytes: m.used, Disk: m.used}
	for _, b := range m.boxes {
		u.Cells += uint64(len(b.cells))
		for _, c := range b.cells {
			if u.Oldest.IsZero() || c.came.Before(u.Oldest) {
				u.Oldest = c.came
			}
		}
	}
	return u
}

// Close is mailbox.Store's.
func (m *Memory) Close() error { return nil }

var _ mailbox.Store = (*Memory)(nil)
