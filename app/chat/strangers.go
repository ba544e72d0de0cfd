package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/rate"
)

// What strangers may cost this device. Their cells wait at the relays, which bound them and ask for
// work (p2p/mailbox/SPEC.md, 2.2). They are fetched strongest first, and not before
// there is room for a request and the rate allows it: a flood is left where it lies, and
// as it lies there the relays ask the next for more work.
const (
	// doorBurst and doorRate bound the flights that are fetched and opened, some
	// milliseconds each, of each relay: at once, then per second.
	doorBurst, doorRate = 100, 1.0 / 5
	// callerBurst and callerRate bound the requests that come directly, without work.
	callerBurst, callerRate = 10, 1.0 / 60
	// doorMax bounds the cells remembered of one relay, some 100 bytes each. What is
	// beyond is told again at the next connection.
	doorMax = 1024
	// doorEvery is how often it is looked whether time has made room.
	doorEvery = time.Minute
)

// allowance bounds what is done for strangers.
type allowance struct {
	rate.Limit

	mu     sync.Mutex
	bucket rate.Bucket
}

// take takes one if there is one.
func (a *allowance) take(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bucket.Take(a.Limit, now)
}

// next is when there is another at the latest.
func (a *allowance) next() time.Duration { return time.Duration(float64(time.Second) / a.PerSecond) }

// door is what strangers left at one relay of ours and is not fetched yet.
type door struct {
	wake chan struct{} // capacity 1: more was left

	mu    sync.Mutex
	cells []mailbox.Entry // strongest first, of the same work the oldest
}

func newDoor() *door { return &door{wake: make(chan struct{}, 1)} }

// add remembers cells.
func (d *door) add(news []mailbox.Entry) {
	if len(news) == 0 {
		return
	}
	d.mu.Lock()
	d.cells = append(d.cells, news...)
	slices.SortStableFunc(d.cells, func(a, b mailbox.Entry) int {
		return cmp.Or(cmp.Compare(b.Work, a.Work), cmp.Compare(a.Sequence, b.Sequence))
	})
	d.cells = d.cells[:min(len(d.cells), doorMax)]
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// strongest is the cell that is next, if there is one.
func (d *door) strongest() (e mailbox.Entry, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cells) == 0 {
		return e, false
	}
	return d.cells[0], true
}

// remove forgets cells.
func (d *door) remove(which func(mailbox.Entry) bool) (removed []mailbox.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cells = slices.DeleteFunc(d.cells, func(e mailbox.Entry) bool {
		if which(e) {
			removed = append(removed, e)
			return true
		}
		return false
	})
	return removed
}

// sort takes what was left for reusable addresses out of news, for the door.
func (b *box) sort(ctx context.Context, news []mailbox.Entry) (others []mailbox.Entry, err error) {
	var strangers []mailbox.Entry
	err = b.c.store.View(ctx, func(tx *store.Tx) error {
		strangers, others = nil, nil
		for _, e := range news {
			inv, err := addressOf(tx, e.Queue)
			switch {
			case err == nil && inv.Kind == identity.Reusable:
				strangers = append(strangers, e)
			case err == nil, errors.Is(err, store.ErrNotFound):
				others = append(others, e)
			default:
				return err
			}
		}
		return nil
	})
	b.door.add(strangers)
	return others, err
}

// addressOf is the invitation that a queue of ours belongs to, or store.ErrNotFound.
func addressOf(tx *store.Tx, q mailbox.QID) (inv store.Invitation, err error) {
	own, _, err := tx.QueueByID(store.QueueID(q))
	if err != nil {
		return inv, err
	}
	if own.Invitation == nil {
		return inv, store.ErrNotFound
	}
	return tx.Invitation(*own.Invitation)
}

// answer takes in what strangers left, as far as there is room, until the context ends.
func (b *box) answer(ctx context.Context, client *mailbox.Client) error {
	for {
		room := b.c.doors.wait() // before it is looked
		wait, err := b.admit(ctx, client)
		if err != nil {
			return err
		}
		again := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		case <-b.door.wake:
		case <-room:
		case <-again.C:
		}
		again.Stop()
	}
}

// admit takes in what there is room for, and says when to look again at the latest.
func (b *box) admit(ctx context.Context, client *mailbox.Client) (time.Duration, error) {
	for {
		if err := b.sweep(ctx, client); err != nil {
			return 0, err
		}
		e, ok := b.door.strongest()
		if !ok {
			return time.Hour, nil
		}
		room := false
		err := b.c.store.View(ctx, func(tx *store.Tx) (err error) {
			room, _, err = requestRoom(tx, origin{b.relay.Peer, e.Work}, time.Now())
			return err
		})
		if err != nil || !room {
			return doorEvery, err
		}
		if !b.strangers.take(time.Now()) {
			return b.strangers.next(), nil
		}
		if err := b.admitOne(ctx, client, e); err != nil {
			return 0, err
		}
	}
}

// sweep has the relay delete what was left for addresses that are revoked or expired.
func (b *box) sweep(ctx context.Context, client *mailbox.Client) error {
	closed := make(map[mailbox.QID]bool)
	err := b.c.store.View(ctx, func(tx *store.Tx) error {
		b.door.mu.Lock()
		defer b.door.mu.Unlock()
		for _, e := range b.door.cells {
			if _, known := closed[e.Queue]; known {
				continue
			}
			inv, err := addressOf(tx, e.Queue)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			closed[e.Queue] = err != nil || inv.State != store.InvitationOpen
		}
		return nil
	})
	if err != nil {
		return err
	}
	gone := b.door.remove(func(e mailbox.Entry) bool { return closed[e.Queue] })
	for part := range slices.Chunk(gone, mailbox.MaxBatch) {
		var names []mailbox.CellID
		for _, e := range part {
			names = append(names, e.Cell)
		}
		if _, err := client.Ack(ctx, names...); err != nil {
			return err
		}
	}
	return nil
}

// admitOne fetches a stranger's cell and takes what is in it. It leaves the relay unless there
// was no room for it after all.
func (b *box) admitOne(ctx context.Context, client *mailbox.Client, e mailbox.Entry) error {
	cells, err := b.get(ctx, client, []mailbox.Entry{e})
	if err != nil {
		return err
	}
	b.door.remove(func(o mailbox.Entry) bool { return o.Sequence == e.Sequence })
	if cells[0].stays {
		return nil
	}
	if cells[0].cell != nil {
		err := b.c.firstContact(ctx, cells[0].cell, origin{b.relay.Peer, e.Work})
		switch {
		case errors.Is(err, errCrowded):
			return nil // it is told again at the next connection
		case err != nil && !refusal(err):
			return err
		}
	}
	_, err = client.Ack(ctx, e.Cell)
	return err
}
