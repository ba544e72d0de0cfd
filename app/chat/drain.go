package chat

import (
	"context"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// A relay that was given up is drained: its box is asked for mail until each contact
// has acknowledged descriptors without it, its queues are shut, and nothing lies
// there any more; or until drainFor is over. Even then the last relay that somebody
// knows is kept, with the catch-all of its queue open, or two people who were away
// for long would have lost each other.

const (
	// drainFor is how long a relay that was given up is asked for mail at most.
	drainFor = 90 * 24 * time.Hour
	// prolongAhead is how long before its end the queue that a device knows is
	// prolonged, and prolongFor by how much from then.
	prolongAhead, prolongFor = 30 * 24 * time.Hour, 150 * 24 * time.Hour
)

// forgetRelays ends the boxes at relays that were given up and are of no more use, and gives them back.
func (c *Chat) forgetRelays(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Relay, error) {
		relays, err := tx.Relays()
		return slices.DeleteFunc(relays, func(r store.Relay) bool { return r.Removed.IsZero() }), err
	}, c.forgetRelay)
}

func (c *Chat) forgetRelay(t *turn, r store.Relay) error {
	if now, err := t.Relay(r.Peer); err != nil || !now.Removed.Equal(r.Removed) {
		return ignore(err, store.ErrNotFound) // it is in use again, or gone
	}
	over, err := c.drained(t.Tx, r)
	if err != nil || !over {
		return err
	}
	queues, err := t.OwnQueuesAt(r.Peer)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if err := t.CloseQueue(q.ID, t.now); err != nil {
			return err
		}
	}
	t.then(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if b := c.boxes[r.Peer]; b != nil {
			b.end()
			delete(c.boxes, r.Peer)
		}
	})
	return t.DeleteRelay(r.Peer)
}

// drained says whether a relay that was given up need not be asked any more.
func (c *Chat) drained(tx *store.Tx, r store.Relay) (bool, error) {
	if r.Friend != nil {
		if over, err := friendDrained(tx, r); err != nil || over {
			return over, err
		}
	}
	if time.Since(r.Removed) >= drainFor {
		last, err := c.isLast(tx, r)
		return !last, err
	}
	c.mu.Lock()
	b := c.boxes[r.Peer]
	c.mu.Unlock()
	if b == nil || !b.isEmpty() {
		return false, nil
	}
	return c.isShut(tx, r)
}

// isShut says whether nothing can come to a relay that was given up: every device
// knows better, its queues are shut, and no invitation names it.
func (c *Chat) isShut(tx *store.Tx, r store.Relay) (bool, error) {
	queues, err := tx.OwnQueuesAt(r.Peer)
	if err != nil {
		return false, err
	}
	for _, q := range queues {
		if q.Device != nil && q.OpenedUntil != store.Shut {
			return false, nil
		}
	}
	invitations, err := tx.Invitations()
	if err != nil {
		return false, err
	}
	for _, inv := range invitations {
		at, err := tx.InvitationRelays(inv.ID)
		if err != nil {
			return false, err
		}
		named := slices.ContainsFunc(at, func(at store.InvitationRelay) bool {
			shut := inv.State == store.InvitationRevoked && !at.Closed.IsZero()
			return at.Relay == r.Peer && !shut
		})
		if named && time.Now().Before(inv.Expires.Add(24*time.Hour)) { // see post
			return false, nil
		}
	}
	return true, nil
}

// isLast says whether some contact's device knows no other relay of ours. Who keeps
// mail nowhere any more has chosen so.
func (c *Chat) isLast(tx *store.Tx, r store.Relay) (bool, error) {
	relays, err := tx.UsualRelays()
	if err != nil {
		return false, err
	}
	ours := make(map[store.PeerID]bool)
	inUse := false
	for _, at := range relays {
		ours[at.Peer] = at.Peer != r.Peer
		inUse = inUse || at.Removed.IsZero()
	}
	if !inUse {
		return false, nil
	}
	devices, err := tx.AllDevices()
	if err != nil {
		return false, err
	}
	for _, d := range devices {
		if ok, err := isServed(tx, d.Device); err != nil || !ok {
			if err != nil {
				return false, err
			}
			continue
		}
		queues, err := tx.OwnQueuesFor(d.Device)
		if err != nil {
			return false, err
		}
		here, elsewhere := false, false
		for _, q := range queues {
			if !q.Leaving.IsZero() {
				continue
			}
			// What a device was told it may know; what it acknowledged it does.
			here = here || q.Relay == r.Peer && q.Version > 0
			elsewhere = elsewhere || ours[q.Relay] && !q.Acknowledged.IsZero()
		}
		if here && !elsewhere {
			return true, nil
		}
	}
	return false, nil
}

// unaware is how many devices may still leave something at a relay that was given up.
func (c *Chat) unaware(tx *store.Tx, r store.Relay) (int, error) {
	queues, err := tx.OwnQueuesAt(r.Peer)
	devices := make(map[identity.DevicePublic]bool)
	for _, q := range queues {
		if q.Device != nil && *q.Device != c.me && q.Leaving.IsZero() {
			devices[*q.Device] = true
		}
	}
	return len(devices), err
}

// lookIfEmpty notes whether nothing lies any more at a relay that was given up and
// where nothing can come any more.
func (b *box) lookIfEmpty(ctx context.Context, client *mailbox.Client) error {
	if b.relay.Removed.IsZero() || b.isEmpty() {
		return nil
	}
	shut := false
	err := b.c.store.View(ctx, func(tx *store.Tx) (err error) {
		shut, err = b.c.isShut(tx, b.relay)
		return err
	})
	if err != nil || !shut {
		return err
	}
	left, _, err := client.List(ctx, 0)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.empty = len(left) == 0
	return nil
}

func (b *box) isEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.empty
}

// prolong keeps the catch-all open of a queue that a device knows, and has not been
// able to hear of a newer one for months.
func (b *box) prolong(q store.OwnQueue) task {
	var until time.Time
	return task{
		func(ctx context.Context, client *mailbox.Client) error {
			until = client.Now().Add(prolongFor)
			id := ownDescriptor(q, b.relay).Queue(mailbox.CatchAll).Write.QID()
			return client.Open(ctx, mailbox.Ordinary, until, id)
		},
		func(t *turn) error { return t.ProlongQueue(q.ID, until) },
	}
}
