package mailbox

import (
	"cmp"
	"time"
)

// A Store keeps what a relay promised. Package disk is the relay's own, package
// jetstream that of several machines; all share the conformance suite of package mailboxtest.
//
// Commit is called by one goroutine at a time, the rest by any number beside
// it. What is read may be, but need not be, of a Commit under way; a cell is
// never readable before it is durable. Reads pass over what has expired by now,
// whether Expire removed it yet or not.
type Store interface {
	// Commit makes changes in the order given and returns when those that
	// happened are durable; each then tells its own outcome. ErrFull is an
	// outcome of changes that add; those that remove never have it unless
	// the disk itself refuses. ErrTryLater is an outcome of any, of a SharedStore: it may
	// yet happen, and to ask again is right either way. An error wraps ErrDamaged: nothing can be said
	// about these changes, and the Store takes no more.
	Commit(now time.Time, changes []Change) error
	// Writable is nil if a deposit would find its queue open, else
	// ErrUnknownQueue or ErrDamaged. Commit has the last word.
	Writable(q QID, now time.Time) error
	// Intro tells of an open intro queue how many cells are pending in it, and the least work
	// among them. The error is ErrUnknownQueue, also for other classes of queue, or ErrDamaged.
	Intro(q QID, now time.Time) (pending int, weakest uint8, err error)
	// Box tells of a box; the zero BoxInfo is of one never leased. Limit is left to the caller.
	Box(box BoxPublic) (BoxInfo, error)
	// List tells of up to limit cells after a sequence, in order, and
	// whether there are more.
	List(box BoxPublic, after uint64, limit int, now time.Time) (entries []Entry, more bool, err error)
	// Cell is a kept cell. Its error wraps ErrNotFound or ErrDamaged.
	Cell(box BoxPublic, id CellID, now time.Time) ([]byte, error)
	// Notice is a kept notice. Its error wraps ErrNotFound or ErrDamaged.
	Notice(id NoticeID, now time.Time) ([]byte, error)
	// Latest is the latest time given to Commit, also before the Store was
	// last opened; the zero time if there was none.
	Latest() time.Time
	// Usage counts what is kept.
	Usage() Usage
	Close() error
}

// A SharedStore is written to by other processes, too.
type SharedStore interface {
	Store
	// Others has f called with each box into which cells came by way of another process.
	Others(f func(BoxPublic))
}

// Usage counts what a Store keeps.
type Usage struct {
	Cells   uint64
	Bytes   uint64 // of cells and notices
	Queues  uint64 // open
	Boxes   uint64 // known
	Notices uint64
	Disk    uint64    // bytes on disk, with all that surrounds the above
	Foreign uint64    // entries of a SharedStore, since it was opened, that no relay made, and that are passed over
	Oldest  time.Time // when the oldest cell came, in whole minutes; zero: there is none
}

// Quotas bound what a Store accepts.
type Quotas struct {
	Room              // of a box that no token pays for
	Token      Room   // of one that a token pays for; what is 0 is as for the others
	IntroCells uint16 // cells pending in one intro queue; 0: IntroCells
}

// Room is how much there is for one box.
type Room struct {
	QueueCells uint16 // cells in one ordinary queue
	QueueBytes uint32 // bytes of cells in one ordinary queue
	BoxBytes   uint64 // bytes of cells and notices in one box
	BoxQueues  uint32 // queues open in one box
}

// Of is the room of a box that a token pays for, or of another.
func (q Quotas) Of(token bool) Room {
	if !token {
		return q.Room
	}
	return Room{
		QueueCells: cmp.Or(q.Token.QueueCells, q.QueueCells), QueueBytes: cmp.Or(q.Token.QueueBytes, q.QueueBytes),
		BoxBytes: cmp.Or(q.Token.BoxBytes, q.BoxBytes), BoxQueues: cmp.Or(q.Token.BoxQueues, q.BoxQueues),
	}
}

// Pending is how many cells may be pending in one intro queue.
func (q Quotas) Pending() int {
	if q.IntroCells == 0 {
		return IntroCells
	}
	return int(q.IntroCells)
}

// DefaultQuotas are those of network.md in the design.
func DefaultQuotas() Quotas {
	return Quotas{Room: Room{QueueCells: 512, QueueBytes: 8 << 20, BoxBytes: 256 << 20, BoxQueues: 16 << 10}}
}

// A Change is one of *Deposit, *Delete, *OpenQueues, *CloseQueues, *GrantLease, *EndLease,
// *ReleaseBox, *PostNotice, *RemoveNotice and *Expire. Commit fills in what follows their
// blank lines; Outcome is nil if the change happened, or one of the errors that
// a Refusal can have.
type Change interface{ change() *Outcome }

// Outcome tells why a change did not happen, nil if it did.
type Outcome struct{ Err error }

func (o *Outcome) change() *Outcome { return o }

// OutcomeOf is where a Store puts how a change went.
func OutcomeOf(c Change) *Outcome { return c.change() }

// Deposit keeps a cell. If the box has it from the same queue, that one is kept
// until the later expiry; if from another queue, the outcome is ErrTaken. Others are ErrUnknownQueue,
// ErrLease, ErrSize, ErrQuota, ErrBoxFull, ErrFull; ErrWork if only one of cell and queue is
// of work. Into an intro queue that is full it displaces the one cell of the least work,
// of several the latest, if its own is more; else the outcome is ErrQuota.
type Deposit struct {
	Queue  QID
	ID     CellID // of Cell
	Cell   []byte // of one of the three sizes; not used after Commit
	Expiry time.Time
	Work   uint8 // bits, for an intro queue; 0 for others

	Outcome
	Box   BoxPublic
	Until time.Time // kept until then: Expiry or later
	New   bool      // was not kept already
}

// promise is what a receipt for it promises.
func (d *Deposit) promise() Promise {
	if d.Work > 0 {
		return Evictable
	}
	return Kept
}

// Delete removes cells of a box; unknown ones are passed over.
type Delete struct {
	Box   BoxPublic
	Cells []CellID

	Outcome
	Deleted int
}

// OpenQueues opens queues, all or none. Outcomes are ErrLease, ErrBoxFull,
// ErrTaken, ErrFull.
type OpenQueues struct {
	Box    BoxPublic
	Class  Class
	Until  time.Time
	Queues []QID

	Outcome
}

// CloseQueues closes queues of a box; others are passed over. Their cells stay.
type CloseQueues struct {
	Box    BoxPublic
	Queues []QID

	Outcome
}

// GrantLease makes a box, or prolongs it; never the other way. A token makes it one that a token pays for
// though it prolongs nothing; without one it is so no more once it is prolonged.
type GrantLease struct {
	Box   BoxPublic
	Until time.Time // at most MaxLease from now
	Token bool      // pays for it

	Outcome
}

// EndLease ends the lease of a box now, in whole seconds: nothing new comes into it. What is in it stays until
// it expires, and can be had and deleted until then. A GrantLease that comes later is good, however long
// the lease would have lasted. A box without a lease is passed over.
type EndLease struct {
	Box BoxPublic

	Outcome
}

// ReleasePart is the most things that one ReleaseBox removes.
const ReleasePart = 400

// ReleaseBox forgets a box and all that is in it, in parts: its queues first, so that nothing
// comes after, and the box itself last. More tells that it must be asked again; what is left
// when it is not stays as it is until it expires. An unknown box is passed over.
type ReleaseBox struct {
	Box BoxPublic

	Outcome
	More bool
}

// PostNotice keeps a notice in place of an older one of the same box. Outcomes
// are ErrLease, ErrBoxFull, ErrTaken, ErrFull.
type PostNotice struct {
	Box    BoxPublic
	ID     NoticeID
	Expiry time.Time
	Notice []byte // NoticeSize; not used after Commit

	Outcome
}

// RemoveNotice removes a notice of a box; others are passed over.
type RemoveNotice struct {
	Box BoxPublic
	ID  NoticeID

	Outcome
}

// Expire removes what expired at or before At, in parts: More tells that it
// must be asked again.
type Expire struct {
	At time.Time

	Outcome
	More bool
}
