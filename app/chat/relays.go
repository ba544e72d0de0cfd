package chat

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

const (
	// drainFor is how long a relay that was given up is still asked for mail.
	drainFor = 90 * 24 * time.Hour
	// maxRelays is how many relays are used at most.
	maxRelays = content.MaxDescriptors
)

// AddRelay keeps a box at one more relay, or changes the addresses of one, and
// tells contacts. Errors: problem.TooManyRelays.
func (c *Chat) AddRelay(ctx context.Context, at peer.AddrInfo, source store.RelaySource) error {
	var r store.Relay
	var same bool
	err := c.update(ctx, func(t *turn) error {
		all, err := t.Relays()
		if err != nil {
			return err
		}
		used, again := 0, false
		for _, have := range all {
			if have.Removed.IsZero() && have.Peer != store.PeerID(at.ID) {
				used++
			}
			if have.Peer == store.PeerID(at.ID) {
				r, again = have, true
			}
		}
		if used >= maxRelays {
			return problem.New(problem.TooManyRelays, nil)
		}
		if !again {
			r = store.Relay{Peer: store.PeerID(at.ID), Box: mailbox.GenerateBox().Seed(), Added: t.now}
		}
		addrs := addrBytes(at.Addrs)
		if again && r.Removed.IsZero() {
			if same = len(join(r.Addrs, addrs)) == len(r.Addrs); same {
				return nil
			}
			// The new address may be a mistake, so the old ones stay behind it.
			addrs = join(addrs, r.Addrs)
			addrs = addrs[:min(len(addrs), identity.MaxAddrs)]
		}
		r.Addrs, r.Source, r.Removed = addrs, source, time.Time{}
		if err := t.PutRelay(r); err != nil {
			return err
		}
		return c.tellQueues(t)
	})
	if err != nil || same {
		return err
	}
	c.startBox(r)
	return nil
}

// join is a list and what another has beside it.
func join(a, b [][]byte) [][]byte {
	a = slices.Clone(a)
	for _, x := range b {
		if !slices.ContainsFunc(a, func(have []byte) bool { return bytes.Equal(have, x) }) {
			a = append(a, x)
		}
	}
	return a
}

// RemoveRelay gives a relay up and tells contacts. Its box is asked for mail for
// drainFor longer, for those who have not heard. Errors: problem.NoSuchRelay.
func (c *Chat) RemoveRelay(ctx context.Context, id peer.ID) error {
	return c.update(ctx, func(t *turn) error {
		r, err := t.Relay(store.PeerID(id))
		if errors.Is(err, store.ErrNotFound) || err == nil && !r.Removed.IsZero() {
			return problem.New(problem.NoSuchRelay, nil)
		}
		if err != nil {
			return err
		}
		if err := t.RemoveRelay(r.Peer, t.now); err != nil {
			return err
		}
		r.Removed = t.now
		t.then(func() { c.startBox(r) })
		return c.tellQueues(t)
	})
}

// forgetRelays ends the boxes at relays that were given up long ago.
func (c *Chat) forgetRelays(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Relay, error) {
		relays, err := tx.Relays()
		return slices.DeleteFunc(relays, func(r store.Relay) bool { return r.Removed.IsZero() || time.Since(r.Removed) < drainFor }), err
	}, c.forgetRelay)
}

func (c *Chat) forgetRelay(t *turn, r store.Relay) error {
	if now, err := t.Relay(r.Peer); err != nil || !now.Removed.Equal(r.Removed) {
		return err // it is in use again
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
			b.stop()
			delete(c.boxes, r.Peer)
		}
	})
	return t.DeleteRelay(r.Peer)
}

// Relays are the relays of this account with the states of their boxes.
func (c *Chat) Relays(ctx context.Context) (list []api.Relay, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		relays, err := tx.Relays()
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		list = nil
		for _, r := range relays {
			switch b := c.boxes[r.Peer]; {
			case !r.Removed.IsZero():
			case b != nil:
				list = append(list, b.view())
			default:
				list = append(list, relayView(r))
			}
		}
		return nil
	})
	return list, err
}
