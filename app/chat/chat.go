// Package chat is the account at work: it owns the outbox and brings what is in
// it to people's devices, takes what arrives, keeps both in order, and says of
// each message how far it is known to have come.
//
// One goroutine, the owner, makes every change, in batches: whatever waits is
// done in one transaction of the store, and only when that is on the disk are
// callers answered, acknowledgements given and events emitted. Around it run a
// courier for each device that something is to be brought to, and a box for each
// relay that keeps mail for this account. They read the store, speak to the
// network and hand what they learnt to the owner; they keep nothing that the
// store does not have. The life of a message is told in design order:
//
//	send.go      queued: numbered, sealed, into the outbox
//	courier.go   to the device directly, else to its relays
//	deposit.go   what relays signed; kept
//	line.go      direct connections: messages that come and acknowledgements
//	box.go       our own relays: cells that wait for us
//	receive.go   opened, put in order, shown; receipts; delivered and read
//	invite.go    invitations; accept.go: those of others
//	first.go     first flights: how a session begins
//	drain.go     relays that were given up
//	friends.go   contacts' computers that keep mail for us, and ours for them
//	choose.go    which relays to use, and why one must go
//	chooser.go   relays found, tried, put to use and replaced
//	probe.go     our own relays, tested by cells of our own
//	reusable.go  addresses for strangers; introduce.go: writing by somebody else's
//	strangers.go what strangers left, fetched as far as there is room
//	requests.go  strangers who wait for the person's decision
//	acts.go      what people do to messages; timers.go: those that disappear
//	meetings.go  two contacts introduced to each other
//	reads.go     telling that something was read; typing.go: that somebody writes
//	conversations.go  the list of conversations, and what a person does with them
//	local.go     notes to oneself, and Echo
//	search.go    people and messages found, and the index of words made
//	rendezvous.go  devices whose addresses changed, found through the DHT
//
// What the states of a message mean and what each rests on is in state.go.
package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
)

// maxBatch is how many changes share one transaction.
const maxBatch = 512

// lazyFor bounds how long a change that is lazy may wait for the disk.
const lazyFor = time.Second

// Config is what a Chat needs. All fields must be set, but for Finder and Log.
type Config struct {
	Store     *store.Store
	Chain     identity.Chain // of this account
	Device    identity.DevicePrivate
	Agreement identity.AgreementPrivate
	Node      *node.Node
	Pool      *node.Pool      // for deposits and notices, which come and go
	Boxes     *node.Pool      // for the boxes, which stay connected
	Relays    []peer.AddrInfo // to be used besides those that the store knows
	Finder    Finder          // by which contacts and we find each other; nil: none
	Routing   Routing         // to others' relays; unless it is Straight, Pool was made with Circuits
	Choice    Choice          // of relays beside those given by hand
	Brief     bool            // Run ends soon: no invitation may name this device's address
	Shared    Shared          // with contacts; see Share
	Log       *slog.Logger
}

// Chat is an account at work. New makes it, Run works; its methods may be
// called from any goroutine while Run runs.
type Chat struct {
	store     *store.Store
	chain     identity.Chain
	head      [32]byte              // of the chain
	me        identity.DevicePublic // this device
	device    identity.DevicePrivate
	agreement identity.AgreementPrivate
	node      *node.Node
	pool      *node.Pool
	boxPool   *node.Pool
	direct    *direct.Service
	keys      *session.Keeper
	relays    []peer.AddrInfo
	brief     bool
	routing   Routing
	lots      [32]byte // decide between hops, anew in each run
	finder    Finder   // nil: none
	choice    *chooser // nil: relays are only those given by hand
	log       *slog.Logger
	stalled   map[store.SessionID]bool            // told of by watchStall; the owner's, like the two after it
	typed     map[int64]time.Time                 // when a contact was last told that the person is writing
	heard     map[identity.DevicePublic]time.Time // when a device last told that of its own

	readReceipts, typing atomic.Bool // what is shared; see Share

	ops     chan *op      // unbuffered: what was handed over will be done
	stopped chan struct{} // closed when the owner is gone
	events  hub
	changed broadcast
	echoed  broadcast   // Echo was told something
	said    broadcast   // there may be messages that the index of words lacks
	cramped atomic.Bool // the disk had no room for the index when it last grew
	fading  broadcast   // the time of a message that disappears has begun
	doors   broadcast   // there may be room for requests

	looked time.Time // when renewFriends did; that of tidy

	callers allowance     // of requests that come directly
	working chan struct{} // capacity 1: held by who works for a deposit
	running chan struct{} // closed when Run has begun

	mu       sync.Mutex
	ctx      context.Context // of Run; nil before it
	over     bool            // Run is about to end: nothing more is started
	couriers map[identity.DevicePublic]*courier
	boxes    map[store.PeerID]*box
	knowUs   map[identity.DevicePublic]bool // devices that acknowledged where we listen

	revoked    atomic.Int64 // unix milliseconds; 0: not
	retireSelf func()       // ends the work of Run, because the device was revoked; under mu
	work       sync.WaitGroup
}

var errStopped = problem.New(problem.NodeStopped, nil)

// op is one change that waits for the owner.
type op struct {
	change func(*turn) error
	done   chan error // capacity 1
}

// turn is what a change is made with. What it asks to do after the commit
// happens on the owner's goroutine and must not wait for anything.
type turn struct {
	*store.Tx
	keys  *session.Batch
	now   time.Time
	after []func()
	lazy  int // how many changes of the batch are
	// receipts are the ratchet messages that came by mailbox in this turn.
	receipts map[identity.DevicePublic][][32]byte
	// notes tell of messages that were given up in this turn.
	notes map[identity.DevicePublic][]content.Item
	// changes are what happened to messages in this turn, each told once; see change.
	changes []changed
	already map[changed]bool // those in changes
	// touched are the conversations whose entries in the list changed in this turn.
	touched map[string]bool
}

func (t *turn) then(f func()) { t.after = append(t.after, f) }

// mayWait says that the change would be asked for again if a power cut took it back
// (store.Tx.Lazy): it need not be on the disk when update returns, but lazyFor later.
func (t *turn) mayWait() { t.lazy++ }

// update has the owner make a change and returns when it is durable (or may wait for
// that, see turn.mayWait). The
// function may be called again if another change of the same batch fails, so it
// must reset what it writes outside of the turn.
func (c *Chat) update(ctx context.Context, change func(*turn) error) error {
	o := &op{change, make(chan error, 1)}
	select {
	case c.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return errStopped
	}
	// From here the change will be made or refused soon, whatever the caller
	// does: to leave now would be not to know which.
	return <-o.done
}

// own makes changes until the context ends.
func (c *Chat) own(ctx context.Context) {
	defer close(c.stopped)
	batch := make([]*op, 0, maxBatch)
	var late <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-late:
			if err := c.store.Sync(ctx); err != nil {
				c.log.Error("changes could not be brought to the disk", "err", err)
			}
			late = nil
			continue
		case o := <-c.ops:
			batch = append(batch[:0], o)
		}
	fill:
		for len(batch) < maxBatch {
			select {
			case o := <-c.ops:
				batch = append(batch, o)
			default:
				break fill
			}
		}
		if c.commit(batch) && late == nil {
			late = time.After(lazyFor)
		}
	}
}

// commit makes the changes of a batch in one transaction. If one fails the
// others must not suffer: they are made again, each in its own. It does not
// follow the context of Run: what was begun is finished. It tells whether the
// changes have yet to reach the disk.
func (c *Chat) commit(batch []*op) (lazy bool) {
	after, lazy, err := c.transact(batch)
	switch {
	case err == nil:
		for _, f := range after {
			f()
		}
		for _, o := range batch {
			o.done <- nil
		}
		c.changed.tell()
	case len(batch) == 1:
		batch[0].done <- err
	default:
		for i := range batch {
			lazy = c.commit(batch[i:i+1]) || lazy
		}
	}
	return lazy
}

func (c *Chat) transact(batch []*op) (after []func(), lazy bool, err error) {
	err = c.keys.Update(context.Background(), func(tx *store.Tx, b *session.Batch) error {
		t := &turn{Tx: tx, keys: b, now: time.Now()}
		for _, o := range batch {
			if err := o.change(t); err != nil {
				return err
			}
		}
		if err := c.flushReceipts(t); err != nil {
			return err
		}
		if err := c.flushNotes(t); err != nil {
			return err
		}
		if err := c.flushChanges(t); err != nil {
			return err
		}
		for id := range t.touched {
			t.then(func() { c.conversationEvent(id, "") })
		}
		if after, lazy = t.after, t.lazy == len(batch); lazy {
			t.Lazy()
		}
		return nil
	})
	return after, lazy && err == nil, err
}

// broadcast wakes all who wait for the next change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// await waits until a view of the store satisfies the function, and tells
// whether it did before the context ended.
func (c *Chat) await(ctx context.Context, ready func(*store.Tx) (bool, error)) (bool, error) {
	for {
		next := c.changed.wait()
		var ok bool
		err := c.store.View(ctx, func(tx *store.Tx) (err error) {
			ok, err = ready(tx)
			return err
		})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) || ok {
			return ok, err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return false, nil
		}
	}
}

// self is this account's id.
func (c *Chat) self() identity.AccountID { return c.chain.Account() }
