package chat

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// renewEpochs is how many epochs of a descriptor may pass before it is renewed:
// what a device was told stays 40 of 45 epochs ahead (network.md, "Queues").
const renewEpochs = 5

// makeQueues makes queues at our relays for a device that has none there, and
// renews those that are too old. It tells whether the device is to be told.
func (c *Chat) makeQueues(t *turn, device identity.DevicePublic) error {
	relays, err := t.Relays()
	if err != nil {
		return err
	}
	have, err := t.OwnQueuesFor(device)
	if err != nil {
		return err
	}
	today := mailbox.Epoch(t.now)
	for _, r := range relays {
		if !r.Removed.IsZero() || unproven(r) {
			continue
		}
		fresh := false
		for _, q := range have {
			fresh = fresh || q.Relay == r.Peer && !stale(q, today) && q.OpenedUntil != store.Shut
		}
		if fresh {
			continue
		}
		q := store.OwnQueue{Device: &device, Relay: r.Peer, Epoch0: today - 1, N: mailbox.DescriptorEpochs, OpenedUntil: today - 1}
		rand.Read(q.Seed[:])
		if q.ID, err = t.InsertOwnQueue(q); err != nil {
			return err
		}
		d := ownDescriptor(q, r)
		for i, queue := range d.Queues() {
			epoch := q.Epoch0 + uint32(i)
			if i == int(q.N) {
				epoch = mailbox.CatchAll
			}
			if err := t.PutQueueID(store.QueueID(queue.Write.QID()), q.ID, epoch); err != nil {
				return err
			}
		}
	}
	return nil
}

// extraLast puts the computers of friends behind the relays on which something rests.
func extraLast(relays []store.Relay) {
	slices.SortStableFunc(relays, func(a, b store.Relay) int {
		switch {
		case (a.Friend == nil) == (b.Friend == nil):
			return 0
		case a.Friend == nil:
			return -1
		}
		return 1
	})
}

// unproven says whether a relay is the computer of a friend where we never got in: nobody is told
// of it.
func unproven(r store.Relay) bool { return r.Friend != nil && r.LeaseUntil.IsZero() }

// stale says whether a device should be told of a newer queue than this: it is old,
// or was made when our clock was ahead.
func stale(q store.OwnQueue, today uint32) bool {
	return today >= q.Epoch0+1+renewEpochs || q.Epoch0 > today+1
}

// ownDescriptor is what a device is told of a queue of ours.
func ownDescriptor(q store.OwnQueue, r store.Relay) *mailbox.Descriptor {
	quotas := mailbox.DefaultQuotas()
	return &mailbox.Descriptor{
		Relay: peer.ID(q.Relay), Addrs: multiaddrs(withRoutes(r.Addrs, r.Routes)), Seed: q.Seed, Epoch0: q.Epoch0, N: uint16(q.N),
		Cells: quotas.QueueCells, Bytes: quotas.QueueBytes, Expiry: queueEnd(q),
	}
}

// tellTerms has a descriptor tell what its relay said of itself, if that was reached in this run.
func (c *Chat) tellTerms(d *mailbox.Descriptor) {
	c.mu.Lock()
	b := c.boxes[store.PeerID(d.Relay)]
	c.mu.Unlock()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.terms != nil {
		d.Tell(b.terms.limits, b.terms.more, b.terms.token)
	}
}

// queueEnd is until when a queue stays open: its last day, and for the catch-all
// as long again as a cell is kept, or until when it was prolonged.
func queueEnd(q store.OwnQueue) time.Time {
	end := time.Unix(int64(q.Epoch0+q.N)*int64(mailbox.EpochTime/time.Second), 0).Add(mailbox.MaxTTL)
	if q.Prolonged.After(end) {
		return q.Prolonged
	}
	return end
}

// openQueues has our relays open what was made for a device, as far as they
// answer in time.
func (c *Chat) openQueues(ctx context.Context, device identity.DevicePublic) {
	c.syncBoxes()
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	_, err := c.await(ctx, func(tx *store.Tx) (bool, error) {
		queues, err := tx.OwnQueuesFor(device)
		for _, q := range queues {
			if q.OpenedUntil < q.Epoch0+q.N {
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		c.log.Warn("could not see whether queues are open", "err", err)
	}
}

// descriptors is the item that tells a device where it can leave messages: the
// newest queue at each of our relays.
func (c *Chat) descriptors(t *turn, device identity.DevicePublic) (content.Item, error) {
	queues, err := t.OwnQueuesFor(device)
	if err != nil {
		return content.Item{}, err
	}
	relays, err := t.Relays()
	if err != nil {
		return content.Item{}, err
	}
	d := content.Descriptors{Version: uint64(max(t.now.UnixMilli(), 0))}
	for _, q := range queues { // newer than all before, whatever the clock did
		d.Version = max(d.Version, uint64(q.Version)+1)
	}
	extraLast(relays)
	for _, r := range relays {
		if !r.Removed.IsZero() || unproven(r) || len(d.List)+len(d.Extra) == content.MaxDescriptors {
			continue
		}
		var newest *store.OwnQueue
		for i := range queues {
			if queues[i].Relay == r.Peer {
				newest = &queues[i]
			}
		}
		if newest == nil {
			continue
		}
		own := ownDescriptor(*newest, r)
		c.tellTerms(own)
		raw, err := own.Marshal()
		if err != nil {
			return content.Item{}, err
		}
		if r.Friend != nil {
			d.Extra = append(d.Extra, raw)
		} else {
			d.List = append(d.List, raw)
		}
		if err := t.SetQueueVersion(newest.ID, int64(d.Version)); err != nil {
			return content.Item{}, err
		}
	}
	body, err := d.Marshal()
	return loose(t.now, content.KindDescriptors, content.WantsReceipt, body, err)
}

// tellQueues renews the queues of all devices and tells each of its own. Reusable addresses name
// the relays too.
func (c *Chat) tellQueues(t *turn) error {
	devices, err := t.AllDevices()
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := c.tellQueuesTo(t, d.Device); err != nil {
			return err
		}
	}
	t.then(c.syncBoxes)
	addresses, err := openAddresses(t.Tx)
	if err != nil {
		return err
	}
	for _, inv := range addresses {
		if err := c.renewAddress(t, inv); err != nil {
			return err
		}
	}
	return nil
}

// served says whether anything is done for a contact: nothing is sent to who is
// blocked or removed, nothing is opened for them, and nobody calls them.
func served(who store.Contact) bool { return who.Blocked.IsZero() && who.Removed.IsZero() }

// tellQueuesTo renews the queues of a device and tells it of them, unless its owner
// is blocked or removed.
func (c *Chat) tellQueuesTo(t *turn, device identity.DevicePublic) error {
	if who, err := t.ContactByDevice(device); err != nil || !served(who) {
		return err
	}
	if err := c.makeQueues(t, device); err != nil {
		return err
	}
	item, err := c.descriptors(t, device)
	if err != nil {
		return err
	}
	return c.queue(t, device, store.ClassDescriptors, 0, item)
}

// renewQueues does tellQueuesTo for the devices whose descriptors are too old.
func (c *Chat) renewQueues(ctx context.Context) error {
	return forEach(ctx, c, (*store.Tx).AllDevices, func(t *turn, d store.Device) error {
		if who, err := t.ContactByDevice(d.Device); err != nil || !served(who) {
			return err
		}
		old, err := hasStaleQueue(t, d.Device)
		if err != nil || !old {
			return err
		}
		t.then(c.syncBoxes)
		return c.tellQueuesTo(t, d.Device)
	})
}

// hasStaleQueue says whether the newest queue of a device at one of our relays is
// too old.
func hasStaleQueue(t *turn, device identity.DevicePublic) (bool, error) {
	relays, err := t.Relays()
	if err != nil {
		return false, err
	}
	inUse := make(map[store.PeerID]bool)
	for _, r := range relays {
		inUse[r.Peer] = r.Removed.IsZero()
	}
	queues, err := t.OwnQueuesFor(device)
	if err != nil {
		return false, err
	}
	newest := make(map[store.PeerID]store.OwnQueue) // they come in the order they were made
	for _, q := range queues {
		if inUse[q.Relay] {
			newest[q.Relay] = q
		}
	}
	today := mailbox.Epoch(t.now)
	for _, q := range newest {
		if stale(q, today) {
			return true, nil
		}
	}
	return false, nil
}
