package mailbox

import (
	"errors"
	"fmt"
	"slices"
	"time"

	pool "github.com/libp2p/go-buffer-pool"
)

const (
	// groupBytes is how many bytes of deposits are gathered before no more
	// are waited for.
	groupBytes = 8 << 20
	// gather is how long more is waited for, at most, when several deposit at once: a
	// group costs a sync and a signature, however large. It ends when something came from as many as
	// lately. Who is alone never waits.
	gather = time.Millisecond
	// gatherShared is the same for a SharedStore, where a group costs several machines all that, and
	// crosses the network.
	gatherShared = 8 * time.Millisecond
	// ahead is of how many batches the claims are verified while more is waited for.
	ahead = 16
)

// batch is what came together from one session. Its changes share one commit
// and their answers one write.
type batch struct {
	from    *session // nil: the server's own
	came    time.Time
	changes []Change
	asked   []asked // one for each change, if from is not nil
	bytes   int64   // of the requests, held of Server.waiting
	done    func()  // if from is nil

	// One change is what most have; it needs no room of its own.
	oneChange [1]Change
	oneAsked  [1]asked
}

// asked is a request that waits for its answer.
type asked struct {
	id    uint32
	kind  kind
	size  int    // bytes of its frame
	claim *claim // that a deposit rests on
	token []byte // that pays for a lease
}

// answered is the answer to it.
type answered struct {
	frame []byte
	size  int // of the request
}

// commit is the only caller of Store.Commit. It takes all that waits, up to
// MaxBatch changes, commits it, signs once and answers, until the queue is
// closed. If the Store fails it tells so once and refuses what follows.
func (s *Server) commit(failed func(error)) {
	var broken error
	var next *batch
	lately := crowd{group: 1} // sessions begin at 0
	for {
		first := next
		if first == nil {
			b, ok := <-s.queue
			if !ok {
				return
			}
			first = b
		}
		s.waits.begin(first)
		group, changes, bytes := []*batch{first}, slices.Clone(first.changes), first.bytes
		for verified, waited := 0, time.Duration(0); ; waited += gather {
			for next = s.waitingBatch(); next != nil && bytes < groupBytes && len(changes)+len(next.changes) <= MaxBatch; next = s.waitingBatch() {
				group = append(group, next)
				changes, bytes = append(changes, next.changes...), bytes+next.bytes
			}
			if next != nil || len(group) >= lately.size() || waited >= s.gather {
				break
			}
			if len(group)-verified >= ahead {
				verify(claimsOf(group[verified:]))
				verified = len(group)
			} else {
				time.Sleep(gather)
			}
		}
		lately.came(group)
		if good := admitted(group, changes); broken == nil && len(good) > 0 {
			start := time.Now()
			if broken = s.store.Commit(start, good); broken != nil {
				failed(broken)
			}
			s.committing.Add(int64(time.Since(start)))
			s.groups.Add(1)
		}
		s.settle(group, changes, broken)
		s.waits.end()
	}
}

// crowd counts those from whom something came in the last two groups.
type crowd struct {
	group        uint64 // the number of the last
	last, before int    // sessions of which something was in it; and in the one before, but not in it
}

func (c *crowd) size() int { return c.last + c.before }

func (c *crowd) came(group []*batch) {
	c.group++
	c.last, c.before = 0, c.last
	for _, b := range group {
		if b.from == nil || b.from.lastGroup == c.group {
			continue
		}
		if b.from.lastGroup == c.group-1 {
			c.before--
		}
		b.from.lastGroup = c.group
		c.last++
	}
}

// admitted refuses the deposits of a group whose claim does not hold, leases whose token is good no more,
// and what has waited for too long, and returns the other changes.
func admitted(group []*batch, changes []Change) []Change {
	verify(claimsOf(group))
	now := time.Now()
	good := make([]Change, 0, len(changes))
	for _, b := range group {
		for i, c := range b.changes {
			if c.change().Err = b.refusal(i, now); c.change().Err == nil {
				good = append(good, c)
			}
		}
	}
	return good
}

// refusal is why change i of a batch, whose claims are verified, is not to be committed, or nil.
func (b *batch) refusal(i int, now time.Time) error {
	c := b.changes[i]
	if b.from != nil {
		if claim := b.asked[i].claim; claim != nil {
			if err := claim.outcome(); err != nil {
				return err
			}
		}
		// Looked at here, too: what ended a friend's lease may have overtaken this.
		if g, ok := c.(*GrantLease); ok && g.Token && !b.from.server.cfg.Load().takes(b.from.server.relay, g.Box, b.asked[i].token) {
			return ErrLease
		}
	}
	if b.late(c, now) {
		return ErrTryLater
	}
	return nil
}

// claimsOf are those on which something in a group rests.
func claimsOf(group []*batch) (claims []*claim) {
	for _, b := range group {
		for _, a := range b.asked {
			if a.claim != nil {
				claims = append(claims, a.claim)
			}
		}
	}
	return claims
}

// waitingBatch is a batch that waits already, or nil.
func (s *Server) waitingBatch() *batch {
	select {
	case b := <-s.queue: // nil once it is closed
		return b
	default:
		return nil
	}
}

// settle answers a group after its commit.
func (s *Server) settle(group []*batch, changes []Change, broken error) {
	kept, leaves := make([]*Deposit, 0, len(changes)), make([][32]byte, 0, len(changes))
	news := make(map[BoxPublic]struct{})
	for _, c := range changes {
		if broken != nil {
			c.change().Err = broken
		}
		if d, ok := c.(*Deposit); ok && d.Err == nil {
			kept = append(kept, d)
			leaves = append(leaves, leafHash(d.promise(), d.Queue, d.ID, d.Until))
			if d.New {
				news[d.Box] = struct{}{}
			}
		}
	}
	receipts, err := s.receipts(kept, leaves)
	if err != nil {
		s.log.Error("receipts could not be signed", "error", err)
	}
	s.deposits.Add(uint64(len(kept))) // before anybody learns of it
	for _, b := range group {
		answers := make([]answered, 0, len(b.asked))
		for i, c := range b.changes {
			reason := c.change().Err
			if reason == nil && b.from != nil {
				b.from.proved(c)
			}
			var m message
			switch c := c.(type) {
			case *Deposit:
				if reason == nil && err != nil {
					reason = ErrDamaged
				}
				if reason == nil {
					m, receipts = raw{b.asked[i].kind | kindAnswer, receipts[0].Marshal()}, receipts[1:]
				}
				pool.Put(c.Cell)
			case *Delete:
				s.deletions.Add(uint64(c.Deleted))
				m = &ackAnswer{uint16(c.Deleted)}
			case *GrantLease:
				m = &until{kindLease | kindAnswer, c.Until}
			case *PostNotice:
				m = &until{kindPost | kindAnswer, c.Expiry}
				pool.Put(c.Notice)
			case *OpenQueues, *CloseQueues, *RemoveNotice:
				m = answer(b.asked[i].kind)
			case *Expire, *ReleaseBox, *EndLease:
				continue
			}
			if reason != nil {
				m = s.refusal(reason)
			}
			answers = append(answers, answered{encode(make([]byte, 0, 256), b.asked[i].id, m), b.asked[i].size})
		}
		if b.from == nil {
			b.done()
			continue
		}
		s.waiting.Release(b.bytes)
		b.from.answer(answers...)
	}
	if len(news) > 0 {
		s.tell(news)
	}
}

// proved tells those who guard the relay that somebody relies on the peer.
func (c *session) proved(by Change) {
	switch by.(type) {
	case *Deposit, *GrantLease:
		c.visitor.Prove()
	}
}

// receipts makes the receipts of one group, in the order of its leaves.
func (s *Server) receipts(kept []*Deposit, leaves [][32]byte) ([]Receipt, error) {
	if len(leaves) == 0 {
		return nil, nil
	}
	t, now := newTree(leaves), time.Now().Truncate(time.Millisecond)
	signature, err := s.key.Sign(receiptText(s.relay, now, uint16(len(leaves)), t.root()))
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(leaves))
	for i := range receipts {
		receipts[i] = Receipt{Promise: kept[i].promise(), Expiry: kept[i].Until, Time: now, count: uint16(len(leaves)), index: uint16(i), path: t.path(i)}
		if n := copy(receipts[i].signature[:], signature); n != len(signature) || n != len(receipts[i].signature) {
			return nil, fmt.Errorf("mailbox: a signature of %d bytes", len(signature))
		}
	}
	return receipts, nil
}

func (s *Server) refusal(reason error) *Refusal {
	s.refusals.Add(1)
	code := codeOf(reason)
	s.refused[code].Add(1)
	r := &Refusal{Reason: reason, Time: time.Now()}
	var d delayed
	if errors.As(reason, &d) {
		r.Reason, r.Retry = d.error, d.retry
		return r
	}
	switch codes()[code] {
	case ErrTryLater, ErrTooMany:
		r.Retry = 10 * time.Second
	case ErrQuota, ErrBoxFull, ErrFull:
		r.Retry = 5 * time.Minute
	}
	return r
}
