package chat

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// First flights by somebody's reusable address. Each is left at the relays of the address for
// proof of work, and may be displaced there by stronger ones; nobody tells. So
// it is left again, the same cell, until the person who is asked answers.
const (
	// workTime bounds a round of deposits that take work: terms are good for ten
	// minutes, and three tries may be needed.
	workTime = 30 * time.Minute
	// asksPerCircuit is how many flights that take work are left over one circuit, which
	// ends after node.CircuitTime.
	asksPerCircuit = 4
	// askFirst and askLast bound the pauses before a flight is left or sent again: as long
	// as it has waited already, within these.
	askFirst, askLast = time.Hour, 24 * time.Hour
	// introductionFor is how long a flight without words is left again: as long as an
	// answer can come to one that was left (at a relay, as a request, and a reserve).
	introductionFor = mailbox.MaxTTL + requestFor + 2*24*time.Hour
)

// stranger says whether we are one at this place.
func (at place) stranger() bool {
	return at.intro != nil && at.intro.invitation.Kind == identity.Reusable
}

// askAgain is when something that was asked at a time, and is waiting since another, is
// asked again.
func askAgain(asked, since time.Time) time.Time {
	return asked.Add(min(max(asked.Sub(since), askFirst), askLast))
}

// startWork waits until no other work is under way: the computer is not there for that
// alone. It holds no host meanwhile.
func (c *Chat) startWork(ctx context.Context) (end func(), err error) {
	select {
	case c.working <- struct{}{}:
		return func() { <-c.working }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// introduce leaves the flight of a parcel in a queue of strangers. The work is given up when
// the flight is answered, or not wanted any more.
func (c *Chat) introduce(ctx context.Context, client *mailbox.Client, key mailbox.WriteKey, relay peer.ID, p *parcel, cell []byte, ttl time.Duration) (mailbox.Receipt, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		gone, err := c.await(ctx, func(tx *store.Tx) (bool, error) {
			o, err := tx.Outgoing(p.row)
			if err == nil {
				served, err := isServed(tx, p.device)
				return !o.Flight || o.Hash == nil || *o.Hash != p.hash || !served, err
			}
			return errors.Is(err, store.ErrNotFound), ignore(err, store.ErrNotFound)
		})
		if gone || err != nil {
			cancel(errors.Join(errNoSession, err))
		}
	}()
	defer func() {
		cancel(nil)
		<-watched
	}()
	c.log.Debug("working for a deposit", "relay", relay)
	r, err := client.Introduce(ctx, key, cell, ttl)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNoSession) {
		err = cause
	}
	return r, err
}

// cellFor is the cell that a parcel is left as at a relay of strangers: the one of before,
// so that it has one place there.
func (c *Chat) cellFor(ctx context.Context, p *parcel, relay peer.ID) (cell []byte, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Deposits(p.row)
		for _, d := range list {
			if d.Relay == store.PeerID(relay) {
				cell = d.Cell
			}
		}
		return err
	})
	if err == nil && cell == nil {
		cell, _, err = c.sealFlight(ctx, p.device, p)
	}
	return cell, err
}

// evictable says of a deposit of a flight whether the relay may displace it: what it
// promised then is not to be counted.
func evictable(proof []byte) bool {
	r, ok := receiptIn(proof)
	return ok && r.Promise == mailbox.Evictable
}

// asked notes that the device which we asked has seen a flight, and leaves the decision
// to its owner.
func (c *Chat) asked(ctx context.Context, via peer.ID, p *parcel) error {
	return c.update(ctx, func(t *turn) error {
		o, err := t.Outgoing(p.row)
		if err != nil || o.Hash == nil || *o.Hash != p.hash {
			return ignore(err, store.ErrNotFound)
		}
		if err := t.Postpone(o.ID, o.Attempts+1, askAgain(t.now, o.Created)); err != nil {
			return err
		}
		t.then(func() { c.courier(p.device).changed() })
		if o.Message == 0 {
			return nil
		}
		e := store.Evidence{Message: o.Message, Device: o.Device, At: t.now, Path: store.PathDirect, Peer: store.PeerID(via), What: store.WhatRefused, Reason: string(problem.Asked)}
		if err := t.AddEvidence(e); err != nil {
			return err
		}
		m, err := t.Message(o.Message)
		if err != nil {
			return err
		}
		return c.setState(t, m, m.State, problem.Asked)
	})
}

// giveUpIntroductions ends what nobody can answer any more. The session that it would have
// begun ends with it: who accepts the address again begins another.
func (c *Chat) giveUpIntroductions(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Outgoing, error) { return tx.ExpiredIntroductions(time.Now()) }, func(t *turn, o store.Outgoing) error {
		now, err := t.Outgoing(o.ID)
		if err != nil || !now.Flight || now.Session == nil || o.Session == nil || *now.Session != *o.Session {
			return ignore(err, store.ErrNotFound)
		}
		if _, err := t.Unseal(*now.Session); err != nil {
			return err
		}
		if err := t.keys.Erase(*now.Session); err != nil {
			return err
		}
		t.then(func() { c.courier(o.Device).changed() })
		_, err = t.Withdraw(o.ID)
		return err
	})
}

// merge is an address with the places that its newest notice names before those of its link, as
// many as a link has room for.
func merge(inv identity.Invitation, now []identity.Hint) identity.Invitation {
	hints := inv.Hints
	inv.Hints = nil
	for _, h := range append(append([]identity.Hint(nil), now...), hints...) {
		known := false
		for _, have := range inv.Hints {
			known = known || have.Kind == h.Kind && bytes.Equal(have.Peer, h.Peer)
		}
		if !known && len(inv.Hints) < identity.MaxHints {
			inv.Hints = append(inv.Hints, h)
		}
	}
	return inv
}
