package mailbox

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
)

// offers are the latest terms told on a stream.
type offers struct {
	known map[[32]byte]offer
	order [][32]byte // oldest first
}

type offer struct {
	queue QID
	work  uint8
	until time.Time
}

// maxOffers bounds the terms remembered on a stream; the oldest is forgotten.
const maxOffers = 16

func (o *offers) add(challenge [32]byte, f offer) {
	if o.known == nil {
		o.known = make(map[[32]byte]offer)
	}
	if len(o.order) == maxOffers {
		delete(o.known, o.order[0])
		o.order = append(o.order[:0], o.order[1:]...)
	}
	o.known[challenge] = f
	o.order = append(o.order, challenge)
}

// terms answers TERMS.
func (c *session) terms(m *terms, now time.Time) (message, error) {
	if err := c.proofs.known[m.queue].outcome(); err != nil {
		return nil, err
	}
	pending, weakest, err := c.server.store.Intro(m.queue, now)
	if err != nil {
		return nil, err
	}
	a := &termsAnswer{work: c.server.intros.work(pending, now), good: introGood}
	if pending >= c.server.cfg.Load().Quotas.Pending() {
		a.work = max(a.work, weakest+1)
	}
	if a.work > MaxIntroWork {
		return nil, ErrQuota
	}
	rand.Read(a.challenge[:]) // never fails, see crypto/rand
	c.offers.add(a.challenge, offer{m.queue, a.work, now.Add(introGood)})
	return a, nil
}

// intro takes in a deposit with work. What costs the relay next to nothing is looked at
// first, and Argon2id comes last.
func (c *session) intro(m *intro, id uint32, size int, now time.Time) error {
	if err := c.proofs.known[m.queue].outcome(); err != nil {
		return err
	}
	if len(m.cell) != CellMedium {
		return ErrSize
	}
	expiry, err := c.expiryOf(now, m.ttl)
	if err != nil {
		return err
	}
	o, ok := c.offers.known[m.challenge]
	if !ok || o.queue != m.queue || !now.Before(o.until) || m.work < o.work || m.work > MaxIntroWork {
		return ErrWork
	}
	cell := IDOf(m.cell)
	salt := introSalt(c.server.relay, m.challenge, m.queue, cell, m.work)
	if !isSealed(salt, m.try, m.seal) {
		return c.wrongWork()
	}
	pending, weakest, err := c.server.store.Intro(m.queue, now)
	if err != nil {
		return err
	}
	if pending >= c.server.cfg.Load().Quotas.Pending() && m.work <= weakest {
		return ErrQuota
	}
	if !c.visitor.May(node.Deposit, 1) {
		return ErrTryLater
	}
	if err := c.leave(len(m.cell), now); err != nil {
		return err
	}
	if err := c.server.intros.enter(&c.asks, c.group, now); err != nil {
		return err
	}
	delete(c.offers.known, m.challenge) // good once; its place in order is harmless
	c.submit()                          // what came before need not wait for this
	if !c.server.intros.check(salt, m.try, m.work) {
		return c.wrongWork()
	}
	c.add(&Deposit{Queue: m.queue, ID: cell, Cell: copied(m.cell), Expiry: expiry, Work: m.work}, id, kindIntro, size)
	return nil
}

// wrongWork is the end of a stream: nobody sends by mistake a proof that does not hold.
func (c *session) wrongWork() error {
	c.failures.Store(badProofs)
	return fmt.Errorf("%w: the proof does not hold", ErrWork)
}
