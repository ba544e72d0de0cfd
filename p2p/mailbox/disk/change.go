package disk

import (
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// decision is what changes do to the index, and with it what a log must hold of them.
type decision struct {
	t      *txn
	now    time.Time
	room   int64 // bytes that may still be added, by the cap
	quotas mailbox.Quotas
	log    interface {
		// keep takes a record into the log and tells where its blob will lie.
		keep(r record) location
		// sequence is the one that a cell gets that comes into a box next.
		sequence(b box) uint64
	}
}

// add takes in a record that was decided on.
func (g *decision) add(r record) {
	g.room -= int64(len(r.blob()))
	r.apply(g.t, g.log.keep(r))
}

// group is what one write of the log will hold.
type group struct {
	at location // where it will lie
	b  []byte   // its bytes so far, head included
	decision
}

func (g *group) keep(r record) location {
	g.b = r.append(g.b)
	return location{g.at.segment, g.at.offset + uint64(len(g.b)-len(r.blob()))}
}

func (g *group) sequence(b box) uint64 { return b.sequence + 1 }

func (g *group) empty() bool { return len(g.b) == groupHead+8 }

// plan decides on a change, and adds what the log must hold of it.
func (g *decision) plan(c mailbox.Change) error {
	switch c := c.(type) {
	case *mailbox.Deposit:
		return g.deposit(c)
	case *mailbox.Delete:
		return g.delete(c)
	case *mailbox.OpenQueues:
		return g.open(c)
	case *mailbox.CloseQueues:
		return g.close(c)
	case *mailbox.GrantLease:
		return g.lease(c)
	case *mailbox.EndLease:
		if b, now := g.t.box(c.Box), g.now.Unix(); b.ok && b.v.until > now {
			g.add(&ended{c.Box, now, b.v.token})
		}
		return nil
	case *mailbox.ReleaseBox:
		return g.release(c)
	case *mailbox.PostNotice:
		return g.post(c)
	case *mailbox.RemoveNotice:
		if row := g.t.notice(c.ID); row.ok && row.v.box == c.Box {
			g.add(&unposted{c.ID})
		}
		return nil
	}
	panic("disk: a change that Commit does not know")
}

func (g *decision) deposit(c *mailbox.Deposit) error {
	if len(c.Cell) != mailbox.CellSmall && len(c.Cell) != mailbox.CellMedium && len(c.Cell) != mailbox.CellLarge {
		return mailbox.ErrSize
	}
	now, expiry, size := g.now.Unix(), c.Expiry.Unix(), uint32(len(c.Cell))
	q := g.t.queue(c.Queue)
	if !q.ok || q.v.until <= now {
		return mailbox.ErrUnknownQueue
	}
	b := g.t.box(q.v.box)
	if !b.ok || b.v.until <= now {
		return mailbox.ErrLease
	}
	if (c.Work > 0) != (q.v.class == mailbox.Intro) {
		return mailbox.ErrWork
	}
	k := cellKey{q.v.box, c.ID}
	c.Box, c.Until = q.v.box, c.Expiry
	if old := g.t.cell(k); old.ok {
		switch {
		case old.v.queue != c.Queue:
			return mailbox.ErrTaken
		case expiry > old.v.expiry:
			g.add(&extended{k.box, k.id, expiry})
		default:
			c.Until = time.Unix(old.v.expiry, 0)
		}
		return nil
	}
	if q.v.class == mailbox.Intro {
		return g.introduce(c, b.v)
	}
	room := g.quotas.Of(b.v.token)
	cells, bytes := uint32(room.QueueCells), room.QueueBytes
	if q.v.class == mailbox.Invite {
		if size != mailbox.CellMedium {
			return mailbox.ErrSize
		}
		cells, bytes = mailbox.InviteCells, mailbox.InviteCells*mailbox.CellMedium
	}
	switch {
	case q.v.cells >= cells || q.v.bytes+size > bytes:
		return mailbox.ErrQuota
	case b.v.used+uint64(size) > room.BoxBytes:
		return mailbox.ErrBoxFull
	case g.room < int64(size):
		return mailbox.ErrFull
	}
	g.add(&deposited{k.box, c.Queue, c.ID, g.log.sequence(b.v), expiry, c.Cell})
	c.New = true
	return nil
}

// introduce is deposit for an intro queue.
func (g *decision) introduce(c *mailbox.Deposit, b box) error {
	if len(c.Cell) != mailbox.CellMedium {
		return mailbox.ErrSize
	}
	var displaced []mailbox.CellID
	if pending := g.t.pending(introKey{c.Box, c.Queue}); len(pending) >= g.quotas.Pending() {
		if c.Work <= pending[0].work {
			return mailbox.ErrQuota
		}
		displaced = []mailbox.CellID{pending[0].id}
	}
	switch {
	case displaced == nil && b.used+mailbox.CellMedium > g.quotas.Of(b.token).BoxBytes:
		return mailbox.ErrBoxFull
	case g.room < mailbox.CellMedium:
		return mailbox.ErrFull
	}
	if displaced != nil {
		g.add(&deleted{c.Box, displaced})
	}
	g.add(&introduced{c.Box, c.Queue, c.ID, g.log.sequence(b), c.Expiry.Unix(), c.Work, c.Cell})
	c.New = true
	return nil
}

func (g *decision) delete(c *mailbox.Delete) error {
	var ids []mailbox.CellID
	seen := make(map[mailbox.CellID]bool, len(c.Cells))
	for _, id := range c.Cells {
		if !seen[id] && g.t.cell(cellKey{c.Box, id}).ok {
			ids = append(ids, id)
		}
		seen[id] = true
	}
	if c.Deleted = len(ids); len(ids) > 0 {
		g.add(&deleted{c.Box, ids})
	}
	return nil
}

func (g *decision) open(c *mailbox.OpenQueues) error {
	now, until := g.now.Unix(), c.Until.Unix()
	b := g.t.box(c.Box)
	if !b.ok || b.v.until <= now {
		return mailbox.ErrLease
	}
	var add []mailbox.QID
	fresh := make(map[mailbox.QID]bool)
	for _, q := range c.Queues {
		old := g.t.queue(q)
		switch {
		case old.ok && old.v.box != c.Box:
			return mailbox.ErrTaken
		case !old.ok && !fresh[q]:
			fresh[q] = true
			add = append(add, q)
		case old.ok && old.v.until < until:
			add = append(add, q)
		}
	}
	if uint64(b.v.queues)+uint64(len(fresh)) > uint64(g.quotas.Of(b.v.token).BoxQueues) {
		return mailbox.ErrBoxFull
	}
	if g.room < int64(len(add)*32) {
		return mailbox.ErrFull
	}
	if len(add) > 0 {
		g.add(&opened{c.Box, c.Class, until, add})
	}
	return nil
}

func (g *decision) close(c *mailbox.CloseQueues) error {
	var drop []mailbox.QID
	for _, q := range c.Queues {
		if row := g.t.queue(q); row.ok && row.v.box == c.Box {
			drop = append(drop, q)
		}
	}
	if len(drop) > 0 {
		g.add(&closed{c.Box, drop})
	}
	return nil
}

func (g *decision) lease(c *mailbox.GrantLease) error {
	b := g.t.box(c.Box)
	until := c.Until.Unix()
	if b.ok && b.v.until >= until {
		if !c.Token || b.v.token {
			return nil
		}
		until = b.v.until
	}
	if !b.ok && g.room <= 0 {
		return mailbox.ErrFull
	}
	g.add(&leased{c.Box, until, c.Token})
	return nil
}

// release reads the database for what is in the box, so that it must be the only change of
// its txn.
func (g *decision) release(c *mailbox.ReleaseBox) error {
	if c.More = false; !g.t.box(c.Box).ok {
		return nil
	}
	in, more, err := contents(g.t.db, c.Box, mailbox.ReleasePart)
	if err != nil {
		g.t.err = err
		return err
	}
	if len(in.queues) > 0 {
		g.add(&closed{c.Box, in.queues})
	}
	for _, n := range in.notices {
		g.add(&unposted{n})
	}
	if len(in.cells) > 0 {
		g.add(&deleted{c.Box, in.cells})
	}
	if c.More = more; !more {
		g.add(&forgotten{c.Box})
	}
	return nil
}

func (g *decision) post(c *mailbox.PostNotice) error {
	now := g.now.Unix()
	if len(c.Notice) != mailbox.NoticeSize {
		return mailbox.ErrSize
	}
	b := g.t.box(c.Box)
	if !b.ok || b.v.until <= now {
		return mailbox.ErrLease
	}
	old := g.t.notice(c.ID)
	replaces := old.ok && old.v.box == c.Box
	switch {
	case old.ok && !replaces && old.v.expiry > now:
		return mailbox.ErrTaken
	case !replaces && (b.v.notices >= mailbox.MaxNotices || b.v.used+mailbox.NoticeSize > g.quotas.Of(b.v.token).BoxBytes):
		return mailbox.ErrBoxFull
	case g.room < mailbox.NoticeSize:
		return mailbox.ErrFull
	}
	g.add(&posted{c.Box, c.ID, c.Expiry.Unix(), c.Notice})
	return nil
}
