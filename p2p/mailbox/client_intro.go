package mailbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Terms asks what a deposit into the intro queue of k takes, now. Refusals are
// ErrUnknownQueue (also if it is another kind of queue), ErrSignature, ErrQuota if it is
// full of cells that took all the work there is, ErrTooMany, ErrDamaged.
func (c *Client) Terms(ctx context.Context, k WriteKey) (Terms, error) {
	if k.relay != c.relay {
		return Terms{}, fmt.Errorf("mailbox: a key for another relay: %w", ErrRelay)
	}
	var a termsAnswer
	if err := c.askProven(ctx, &terms{k.id}, &a, &k); err != nil {
		return Terms{}, err
	}
	return Terms{Work: a.work, Until: time.Now().Add(a.good), relay: c.relay, queue: k.id, challenge: a.challenge}, nil
}

// PutIntro deposits a first flight of CellMedium bytes in the intro queue of k, for ttl
// (0: MaxTTL), with the proof of work that Work found. Its receipt promises Evictable: the
// relay keeps the cell until it expires or stronger ones displace it. A receipt for
// anything else is ErrBadReceipt. Refusals are those of Put, and ErrWork: new terms and
// work are needed; ErrTooMany and ErrTryLater leave the proof good. ErrQuota
// says that the queue was filled by stronger ones meanwhile.
//
// Who works for minutes between Terms and PutIntro must Ping, or use Introduce.
func (c *Client) PutIntro(ctx context.Context, k WriteKey, cell []byte, ttl time.Duration, p Proof) (Receipt, error) {
	if k.relay != c.relay {
		return Receipt{}, fmt.Errorf("mailbox: a key for another relay: %w", ErrRelay)
	}
	if len(cell) != CellMedium {
		return Receipt{}, ErrSize
	}
	ttl, err := c.ttl(ttl)
	if err != nil {
		return Receipt{}, err
	}
	m := &intro{k.id, ttl, p.terms.challenge, p.terms.Work, p.try, p.seal, cell}
	return c.deposit(ctx, m, k, IDOf(cell), ttl, Evictable)
}

// introTries is how often Introduce works at most: as often as it may be outdone meanwhile.
const introTries = 3

// Introduce is Terms, Work and PutIntro, again with new terms where stronger cells filled the
// queue meanwhile. It keeps the connection alive, and gives up the work when that ends.
func (c *Client) Introduce(ctx context.Context, k WriteKey, cell []byte, ttl time.Duration) (r Receipt, err error) {
	for range introTries {
		t, terr := c.Terms(ctx, k)
		if terr != nil {
			return Receipt{}, terr
		}
		p, werr := c.work(ctx, t, cell)
		if werr != nil {
			return Receipt{}, werr
		}
		if r, err = c.putWorked(ctx, k, cell, ttl, p); !errors.Is(err, ErrWork) && !errors.Is(err, ErrQuota) {
			return r, err
		}
	}
	return r, err
}

// putWorked is PutIntro, which waits while the relay is busy: the work is good for a while.
func (c *Client) putWorked(ctx context.Context, k WriteKey, cell []byte, ttl time.Duration, p Proof) (Receipt, error) {
	for wait := time.Second; ; wait = min(2*wait, pingEvery) {
		r, err := c.PutIntro(ctx, k, cell, ttl, p)
		busy := errors.Is(err, ErrTooMany) || errors.Is(err, ErrTryLater)
		if !busy || time.Until(p.terms.Until) < wait {
			return r, err
		}
		select {
		case <-ctx.Done():
			return Receipt{}, ctx.Err()
		case <-c.done:
			return Receipt{}, c.Err()
		case <-time.After(wait):
		}
	}
}

// work is Work on a connection that must outlive it: a relay closes one that is quiet for
// five minutes.
func (c *Client) work(ctx context.Context, t Terms, cell []byte) (Proof, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var pinging sync.WaitGroup
	pinging.Go(func() {
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.done:
				cancel(c.Err())
				return
			case <-tick.C:
				c.Ping(ctx) // a failure ends the connection
			}
		}
	})
	defer pinging.Wait()
	defer cancel(nil)
	return Work(ctx, t, cell)
}

// ttl is what is asked for: in whole seconds, 0 stands for the most. The error is ErrTTL.
func (c *Client) ttl(d time.Duration) (time.Duration, error) {
	if d == 0 {
		d = c.hello.limits.MaxTTL
	}
	if d < time.Second || d > c.hello.limits.MaxTTL {
		return 0, ErrTTL
	}
	return d.Truncate(time.Second), nil
}

// deposit asks for a deposit and checks its receipt.
func (c *Client) deposit(ctx context.Context, m message, k WriteKey, cell CellID, ttl time.Duration, promise Promise) (Receipt, error) {
	body, err := c.do(ctx, m, &k)
	if refused := new(Refusal); errors.As(err, &refused) {
		c.unprove(k.id)
	}
	if err != nil {
		return Receipt{}, err
	}
	r, err := ParseReceipt(body)
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrBadReceipt, err)
	}
	return r, c.verify(r, promise, k.id, cell, ttl)
}
