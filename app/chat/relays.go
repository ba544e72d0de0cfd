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

// maxRelays is how many relays are used at most.
const maxRelays = content.MaxDescriptors

// AddRelay keeps a box at one more relay, or changes the addresses of one, and
// tells contacts. A token, unless empty, pays for the box from now on. Errors: problem.TooManyRelays.
func (c *Chat) AddRelay(ctx context.Context, at peer.AddrInfo, source store.RelaySource, token []byte) error {
	var r store.Relay
	var same bool
	err := c.update(ctx, func(t *turn) error {
		all, err := t.Relays()
		if err != nil {
			return err
		}
		used, again := 0, false
		for _, have := range all {
			if have.Removed.IsZero() && have.Friend == nil && have.Peer != store.PeerID(at.ID) {
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
		fresh := len(token) > 0 && !bytes.Equal(token, r.Lease)
		if fresh {
			r.Lease = token
		}
		addrs := addrBytes(at.Addrs)
		if again && r.Removed.IsZero() {
			same = len(join(r.Addrs, addrs)) == len(r.Addrs) && !fresh && r.Friend == nil
			if same && (r.Source == store.RelayByHand || r.Source == store.RelayByFlag) {
				return nil
			}
			if same { // it was chosen; from now on it is wanted
				r.Source = source
				return t.PutRelay(r)
			}
			// The new address may be a mistake, so the old ones stay behind it.
			addrs = join(addrs, r.Addrs)
			addrs = addrs[:min(len(addrs), identity.MaxAddrs)]
		}
		r.Addrs, r.Source, r.Removed, r.Friend = addrs, source, time.Time{}, nil
		if err := errors.Join(t.PutRelay(r), t.ResumeQueues(r.Peer)); err != nil {
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

// RemoveRelay gives a relay up and tells contacts. Its box is drained: it is asked
// for mail as long as somebody has not heard. Errors: problem.NoSuchRelay.
func (c *Chat) RemoveRelay(ctx context.Context, id peer.ID) error {
	return c.update(ctx, func(t *turn) error {
		r, err := t.Relay(store.PeerID(id))
		if errors.Is(err, store.ErrNotFound) || err == nil && !r.Removed.IsZero() {
			return problem.New(problem.NoSuchRelay, nil)
		}
		if err != nil {
			return err
		}
		if err := errors.Join(c.leaveFriend(t, r), c.giveUpRelay(t, r)); err != nil {
			return err
		}
		return errors.Join(c.useFriends(t), c.tellQueues(t))
	})
}

// Relays are the relays of this account with the states of their boxes: those in use,
// then those that are drained.
func (c *Chat) Relays(ctx context.Context) (list []api.Relay, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		relays, err := tx.Relays()
		if err != nil {
			return err
		}
		extraLast(relays)
		list = nil
		for _, r := range relays {
			if !r.Removed.IsZero() {
				continue
			}
			v, err := c.relayOf(tx, r)
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		for _, r := range relays {
			if r.Removed.IsZero() {
				continue
			}
			v, err := c.relayOf(tx, r)
			if err != nil {
				return err
			}
			if v.Unaware, err = c.unaware(tx, r); err != nil {
				return err
			}
			v.State, v.Until = relayDraining, api.Time{Time: r.Removed.Add(drainFor)}
			list = append(list, v)
		}
		return nil
	})
	return list, err
}

// relayState is a relay of ours with the state of its box, if there is one.
func (c *Chat) relayState(r store.Relay) api.Relay {
	c.mu.Lock()
	b := c.boxes[r.Peer]
	c.mu.Unlock()
	v := relayView(r)
	if b != nil {
		v = b.view()
	}
	if why := c.choice.failing(r.Peer); why != "" && r.Removed.IsZero() {
		v.Failing = Reason(string(why))
	}
	return v
}

// relayOf is relayState with the contact whose computer it is, if it is one's.
func (c *Chat) relayOf(tx *store.Tx, r store.Relay) (api.Relay, error) {
	v := c.relayState(r)
	if r.Friend == nil {
		return v, nil
	}
	who, err := tx.ContactByDevice(*r.Friend)
	if err != nil {
		return v, ignore(err, store.ErrNotFound) // they are a contact no more
	}
	v.Friend, v.Name = accountID(who.Account), DisplayName(who)
	return v, nil
}
