package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// A relay of ours is tested by cells of our own. One is left as a contact would leave
// it: over another connection, from a PeerID of its own, into a queue that looks as
// those of contacts do. The receipt must hold, the cell must be told of, must be there
// while it lies and also after we were away, must be gone when it was deleted, and the
// next one is left. That needs nobody's word but the relay's own, so nobody can make a
// relay look bad but the relay, which cannot know that it is tested, but for what the
// address tells that leaves the cell and also reads the box.

const (
	// testSize is the size of what is in a test cell: that of a short message.
	testSize = 4096 - mailbox.CellOverhead
	// testReady is how often it is looked whether the queue of test cells is open.
	testReady = time.Second
)

// probing is what a box knows of its test cells. Its box's mutex guards it.
type probing struct {
	cell, last *store.CellID // what lies there, and what was deleted before
	listed     bool          // cell was, on this connection
	returned   bool          // last was, on this connection
	quiet      time.Time     // when something was last told of
	refused    bool          // the relay took none of late
	speed      slowness
}

// expect says which cells of ours the relay may tell of from now on.
func (b *box) expect(t store.RelayTest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.probing
	p.cell, p.last, p.listed, p.returned, p.quiet = t.Cell, t.Last, false, false, time.Now()
}

// recognize takes the test cell out of what the relay told of: it goes on lying there.
func (b *box) recognize(news []mailbox.Entry) []mailbox.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.probing
	p.quiet = time.Now()
	return slices.DeleteFunc(news, func(e mailbox.Entry) bool {
		id := store.CellID(e.Cell)
		p.returned = p.returned || p.last != nil && *p.last == id
		if p.cell == nil || *p.cell != id {
			return false
		}
		p.listed = true
		return true
	})
}

func (b *box) tested() bool {
	return b.c.choice != nil && b.relay.Removed.IsZero() && b.relay.Friend == nil
}

// beginTest is to be called before the relay is asked for news.
func (b *box) beginTest(ctx context.Context) error {
	if !b.tested() {
		return nil
	}
	t, err := b.relayTest(ctx)
	b.expect(t)
	return errors.Join(err, b.recall(ctx))
}

// recall takes up how long answers took in earlier runs: a device that never runs for long
// learns that a relay is slow, too.
func (b *box) recall(ctx context.Context) error {
	return b.c.store.View(ctx, func(tx *store.Tx) error {
		took, err := tx.RelayAnswers(b.relay.Peer)
		if err != nil {
			return err
		}
		var s slowness
		for _, d := range took {
			s.add(d)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.probing.speed.took) == 0 {
			b.probing.speed = s
		}
		return nil
	})
}

func (b *box) relayTest(ctx context.Context) (t store.RelayTest, err error) {
	err = b.c.store.View(ctx, func(tx *store.Tx) error {
		t, err = tx.RelayTest(b.relay.Peer)
		return ignore(err, store.ErrNotFound)
	})
	t.Relay = b.relay.Peer
	return t, err
}

// test tests the relay for as long as the connection lives.
func (b *box) test(ctx context.Context, client *mailbox.Client) {
	for {
		wait, err := b.testStep(ctx, client)
		if errors.Is(err, mailbox.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			b.c.log.Debug("a relay could not be tested", "relay", peer.ID(b.relay.Peer), "err", err)
			wait = b.c.choice.pace.Look
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// testStep does what is to be done next and says how long it can then wait.
func (b *box) testStep(ctx context.Context, client *mailbox.Client) (wait time.Duration, err error) {
	t, err := b.relayTest(ctx)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	p := b.probing
	b.mu.Unlock()
	pace := b.c.choice.pace
	switch quiet := time.Since(p.quiet); {
	case p.returned:
		return 0, b.fault(ctx, t, problem.RelayReturns)
	case t.Cell == nil:
		return b.lay(ctx, t)
	case t.Until.IsZero(), client.Now().After(t.Until.Add(-time.Hour)):
		return 0, b.clear(ctx, t) // we ended before there was a receipt, or were away for too long: nothing is promised
	case !p.listed && quiet < pace.List:
		return pace.List - quiet, nil
	case !p.listed:
		return 0, b.search(ctx, client, t)
	case time.Since(t.Laid) < pace.Lie:
		return pace.Lie - time.Since(t.Laid), nil
	}
	return 0, b.lift(ctx, client, t)
}

// clear forgets the test cell that lies there.
func (b *box) clear(ctx context.Context, t store.RelayTest) error { return b.keepTest(ctx, without(t)) }

// without is what is known of a relay where no test cell lies.
func without(t store.RelayTest) store.RelayTest {
	return store.RelayTest{Relay: t.Relay, Down: t.Down, Last: t.Last}
}

func (b *box) keepTest(ctx context.Context, t store.RelayTest) error {
	err := b.c.update(ctx, func(tn *turn) error { return b.putTest(tn, t) })
	if err == nil {
		b.expect(t)
	}
	return err
}

// putTest keeps what is known of a relay, but for Down, which is the chooser's.
func (b *box) putTest(tn *turn, t store.RelayTest) error {
	now, err := tn.RelayTest(t.Relay)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	t.Down = now.Down
	return tn.PutRelayTest(t)
}

// fault notes that the relay did what it promised not to.
func (b *box) fault(ctx context.Context, t store.RelayTest, what problem.Code) error {
	b.c.log.Warn("a relay of this account failed a test", "why", what.Error())
	b.c.log.Debug("it is", "relay", peer.ID(b.relay.Peer))
	proof := t.Proof
	if what == problem.RelayReturns {
		t.Last, proof = nil, nil
	} else {
		t = without(t)
	}
	err := b.c.update(ctx, func(tn *turn) error {
		f := store.RelayFault{Relay: b.relay.Peer, At: tn.now, What: string(what), Proof: proof}
		return errors.Join(tn.AddRelayFault(f), b.putTest(tn, t))
	})
	if err == nil {
		listed := b.isListed()
		b.expect(t)
		if what == problem.RelayReturns && listed { // the other cell still lies there
			b.recognize([]mailbox.Entry{{Cell: mailbox.CellID(*t.Cell)}})
		}
		b.c.choice.again()
	}
	return err
}

func (b *box) isListed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.probing.listed
}

// refuses notes whether the relay took no test cell of late.
func (b *box) refuses(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing.refused = yes
}

// answered notes how long the relay took to answer.
func (b *box) answered(ctx context.Context, took time.Duration) {
	b.mu.Lock()
	b.probing.speed.add(took)
	b.mu.Unlock()
	if err := b.c.update(ctx, func(t *turn) error { return t.AddRelayAnswer(b.relay.Peer, t.now, took) }); err != nil && ctx.Err() == nil {
		b.c.log.Debug("an answer of a relay is not remembered", "err", err) // there will be others
	}
}

// service is how a relay serves.
type service struct {
	well   bool // it does what it is for
	steady bool // and has done so for a while: the connection did not end as soon as it began
	slow   bool
}

func (b *box) serves() service {
	b.mu.Lock()
	defer b.mu.Unlock()
	well := b.state == relayConnected && !b.probing.refused
	return service{well, well && time.Since(b.since) >= boxHeld, b.probing.speed.slow}
}

// serves is how one of our relays serves.
func (c *Chat) serves(relay store.PeerID) service {
	c.mu.Lock()
	b := c.boxes[relay]
	c.mu.Unlock()
	if b == nil {
		return service{}
	}
	return b.serves()
}

// lay leaves a test cell.
func (b *box) lay(ctx context.Context, t store.RelayTest) (wait time.Duration, err error) {
	again := b.c.choice.pace.Look
	q, err := b.queueForTests(ctx)
	if err != nil || q.ID == 0 {
		return testReady, err
	}
	message := make([]byte, testSize)
	rand.Read(message)
	writer, err := b.writer(ctx, q.relay)
	if err != nil {
		return again, err
	}
	defer writer.Close()
	within, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	queue := ownDescriptor(q.OwnQueue, b.relay).Queue(writer.Epoch())
	cell, err := queue.Key.Seal(message)
	if err != nil {
		return again, err
	}
	// It is written down first, so that it is known when the relay tells of it.
	name := store.CellID(mailbox.IDOf(cell))
	t.Cell, t.Laid, t.Until, t.Proof = &name, time.Now(), time.Time{}, nil
	if err := b.keepTest(ctx, t); err != nil {
		return again, err
	}
	start := time.Now()
	receipt, err := writer.Put(within, queue.Write, cell, min(mailbox.MaxTTL, writer.Limits().MaxTTL))
	switch {
	case writer.via == "": // else it says as much of another
		b.answered(ctx, time.Since(start))
	case isCut(err): // which may be the other's fault
		receipt, err = b.putStraight(ctx, q.relay, queue.Write, cell)
	}
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.Is(err, mailbox.ErrBadReceipt):
		b.refuses(false)
		return again, b.fault(ctx, t, problem.RelayForges)
	case err != nil:
		full := errors.Is(err, mailbox.ErrQuota) || errors.Is(err, mailbox.ErrBoxFull) // which is no fault of the relay
		b.refuses(!full)
		return again, errors.Join(err, b.clear(ctx, t))
	}
	b.refuses(false)
	t.Until, t.Proof = receipt.Expiry, receiptProof(queue.Write.QID(), mailbox.IDOf(cell), receipt.Marshal())
	return 0, b.c.update(ctx, func(tn *turn) error {
		return errors.Join(b.putTest(tn, t), tn.AcknowledgeQueues(b.c.me, 1<<62, tn.now)) // older ones can be shut
	})
}

// writer connects to the relay as who leaves something there does: by way of others if
// that is our way, from a host that is used for nothing else.
func (b *box) writer(ctx context.Context, r store.Relay) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	var nobody identity.DevicePublic
	rand.Read(nobody[:])
	at := place{relay: peer.AddrInfo{ID: peer.ID(r.Peer), Addrs: multiaddrs(r.Addrs)}, hops: node.Hops(b.c.node.Mode(), multiaddrs(r.Routes))}
	l, err := b.c.reach(ctx, nobody, at, way{}, (&way{}).isStraight(b.c.routing, at, time.Now()))
	if errors.Is(err, node.ErrNoCircuit) { // which is no fault of this relay
		l, err = b.c.reach(ctx, nobody, at, way{}, true)
	}
	if err != nil && ctx.Err() == nil { // else it may be that all hosts are taken
		b.refuses(true)
	}
	return l, err
}

// putStraight leaves a test cell by a connection to the relay itself.
func (b *box) putStraight(ctx context.Context, r store.Relay, key mailbox.WriteKey, cell []byte) (receipt mailbox.Receipt, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	l, err := b.c.straightTo(ctx, "test "+string(cell[:len(mailbox.CellID{})]), peer.AddrInfo{ID: peer.ID(r.Peer), Addrs: multiaddrs(r.Addrs)})
	if err != nil {
		return receipt, err
	}
	defer l.Close()
	return l.Put(ctx, key, cell, min(mailbox.MaxTTL, l.Limits().MaxTTL))
}

// testQueue is a queue for test cells, and its relay.
type testQueue struct {
	store.OwnQueue
	relay store.Relay
}

// queueForTests is the queue for test cells, with ID 0 if it is not open yet.
func (b *box) queueForTests(ctx context.Context) (q testQueue, err error) {
	err = b.c.update(ctx, func(t *turn) (err error) {
		q = testQueue{}
		if q.relay, err = t.Relay(b.relay.Peer); err != nil {
			return err
		}
		if err := b.c.makeQueues(t, b.c.me); err != nil {
			return err
		}
		queues, err := t.OwnQueuesFor(b.c.me)
		for _, have := range queues { // in the order they were made
			if have.Relay == b.relay.Peer {
				q.OwnQueue = have
			}
		}
		return err
	})
	if err == nil && (q.OpenedUntil < q.Epoch0+q.N || q.OpenedUntil == store.Shut) {
		b.c.syncBoxes()
		return testQueue{}, nil
	}
	return q, err
}

// search looks whether the relay knows of the test cell at all, when it did not tell
// of it by itself: the connection may have been asleep.
func (b *box) search(ctx context.Context, client *mailbox.Client, t store.RelayTest) error {
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = client.List(ctx, after); err != nil {
			return err
		}
		for _, e := range entries {
			after = e.Sequence
			if store.CellID(e.Cell) == *t.Cell {
				b.recognize([]mailbox.Entry{e})
				return nil
			}
		}
		more = more && len(entries) > 0
	}
	return b.fault(ctx, t, problem.RelayLoses)
}

// lift fetches the test cell, which the relay told of, and has it deleted.
func (b *box) lift(ctx context.Context, client *mailbox.Client, t store.RelayTest) error {
	start := time.Now()
	_, err := client.Get(ctx, mailbox.CellID(*t.Cell))
	switch {
	case errors.Is(err, mailbox.ErrNotFound), errors.Is(err, mailbox.ErrMalformed), errors.Is(err, mailbox.ErrDamaged):
		return b.fault(ctx, t, problem.RelayLoses)
	case err != nil:
		return err
	}
	b.answered(ctx, time.Since(start))
	if _, err := client.Ack(ctx, mailbox.CellID(*t.Cell)); err != nil {
		return err
	}
	t.Last = t.Cell
	t = without(t)
	if err := b.keepTest(ctx, t); err != nil {
		return err
	}
	if _, err := client.Get(ctx, mailbox.CellID(*t.Last)); err == nil {
		return b.fault(ctx, t, problem.RelayReturns)
	}
	return nil
}
