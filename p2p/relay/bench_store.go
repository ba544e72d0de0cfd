package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// DepositStore loads a Store that nothing else uses, with groups made as a relay's
// server makes them: of all that waits.
func DepositStore(ctx context.Context, store mailbox.Store, load Load) (Rate, error) {
	clients := make([]*storeClient, load.Clients)
	for i := range clients {
		box, queues := storeBox(uint64(i), clientQueues)
		if err := openBox(store, box, queues); err != nil {
			return Rate{}, err
		}
		clients[i] = &storeClient{queues: queues}
	}
	return load.gathered(ctx, clients, func(group []mailbox.Change) error {
		if err := store.Commit(time.Now(), group); err != nil {
			return err
		}
		for _, c := range group {
			if err := mailbox.OutcomeOf(c).Err; err != nil {
				return fmt.Errorf("relay: a deposit at the store: %w", err)
			}
		}
		return nil
	})
}

// DepositAppend is the ground that mailbox_store_ratio stands on: the same groups, appended
// to a file in dir and synced.
func DepositAppend(ctx context.Context, dir string, load Load) (Rate, error) {
	f, err := os.Create(filepath.Join(dir, "append.log"))
	if err != nil {
		return Rate{}, fmt.Errorf("relay: append: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	clients := make([]*storeClient, load.Clients)
	for i := range clients {
		clients[i] = &storeClient{queues: make([]mailbox.QID, 1)}
	}
	var b []byte
	return load.gathered(ctx, clients, func(group []mailbox.Change) error {
		b = b[:0]
		for _, c := range group {
			b = append(b, c.(*mailbox.Deposit).Cell...)
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
		return dataSync(f)
	})
}

// appendLap is how long, in bytes, the file of SteadyAppend becomes before it is written from its beginning again.
const appendLap = 64 << 20

// SteadyAppend is the ground that mailbox_deposit_p99_ms stands on: as many cells a second, each appended to a file in dir with
// all that came before it and waited, and synced. It returns how long each took from when it was due.
func SteadyAppend(ctx context.Context, dir string, measure time.Duration, perSecond float64) ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "append.log"))
	if err != nil {
		return nil, fmt.Errorf("relay: append: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cells := make([]byte, mailbox.CellSmall*mailbox.MaxBatch)
	rand.Read(cells) // never fails, see crypto/rand
	every, began, at := time.Duration(float64(time.Second)/perSecond), time.Now(), int64(0)
	var took []time.Duration
	for due := began; due.Sub(began) < measure; {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Until(due)):
		}
		n := min(int(time.Since(due)/every)+1, mailbox.MaxBatch)
		if _, err = f.WriteAt(cells[:n*mailbox.CellSmall], at); err == nil {
			err = dataSync(f)
		}
		if err != nil {
			return nil, fmt.Errorf("relay: append: %w", err)
		}
		if at += int64(n * mailbox.CellSmall); at >= appendLap {
			at = 0
		}
		for synced := time.Now(); n > 0; n-- {
			took = append(took, synced.Sub(due))
			due = due.Add(every)
		}
	}
	return took, nil
}

// storeClient deposits one cell after the other, in its queues by turns.
type storeClient struct {
	queues []mailbox.QID
	n      uint64
}

func (c *storeClient) next() *mailbox.Deposit {
	cell := make([]byte, mailbox.CellSmall)
	rand.Read(cell) // never fails, see crypto/rand
	c.n++
	return &mailbox.Deposit{
		Queue: c.queues[c.n%uint64(len(c.queues))], ID: mailbox.IDOf(cell), Cell: cell, Expiry: time.Now().Add(mailbox.MaxTTL),
	}
}

// gathered runs a load whose clients hand what they deposit to one that commits.
func (l Load) gathered(ctx context.Context, clients []*storeClient, commit func([]mailbox.Change) error) (Rate, error) {
	type waiting struct {
		deposit *mailbox.Deposit
		done    chan error
	}
	queue := make(chan waiting, len(clients))
	var committing sync.WaitGroup
	committing.Go(func() {
		for w := range queue {
			group, changes := []waiting{w}, []mailbox.Change{w.deposit}
			for more := true; more && len(group) < mailbox.MaxBatch; {
				select {
				case w, ok := <-queue:
					if more = ok; ok {
						group, changes = append(group, w), append(changes, w.deposit)
					}
				default:
					more = false
				}
			}
			err := commit(changes)
			for _, w := range group {
				w.done <- err
			}
		}
	})
	work := make([]func() error, len(clients))
	for i, c := range clients {
		done := make(chan error, 1)
		work[i] = func() error {
			queue <- waiting{c.next(), done}
			return <-done
		}
	}
	rate, err := l.Run(ctx, work)
	close(queue)
	committing.Wait()
	return rate, err
}

// storeBox names a box whose key anybody can make from its number, and queues in it.
func storeBox(number uint64, queues int) (mailbox.BoxPublic, []mailbox.QID) {
	names := make([]mailbox.QID, queues)
	for i := range names {
		binary.BigEndian.PutUint64(names[i][:], number+1)
		binary.BigEndian.PutUint64(names[i][8:], uint64(i))
	}
	return storeKey(number).Public(), names
}

func storeKey(number uint64) mailbox.BoxPrivate {
	var seed [32]byte
	copy(seed[:], "godwit bench")
	binary.BigEndian.PutUint64(seed[24:], number)
	return mailbox.NewBoxPrivate(seed)
}

// openBox leases a box and opens queues in it.
func openBox(store mailbox.Store, box mailbox.BoxPublic, queues []mailbox.QID) error {
	now := time.Now()
	changes := []mailbox.Change{&mailbox.GrantLease{Box: box, Until: now.Add(mailbox.LeaseTime)}}
	for part := range slices.Chunk(queues, mailbox.MaxBatch) {
		changes = append(changes, &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: now.Add(mailbox.MaxUntil / 2), Queues: part})
	}
	if err := store.Commit(now, changes); err != nil {
		return err
	}
	for _, c := range changes {
		if err := mailbox.OutcomeOf(c).Err; err != nil {
			return fmt.Errorf("relay: open a box: %w", err)
		}
	}
	return nil
}

// Stock is how much FillStore deposits: in each of Boxes boxes Queues queues with Cells
// cells of 4 KiB each.
type Stock struct{ Boxes, Queues, Cells int }

// Total is the number of cells.
func (s Stock) Total() int { return s.Boxes * s.Queues * s.Cells }

// FillStore stocks a Store. Cells of one box come far apart, as they do in life.
func FillStore(ctx context.Context, store mailbox.Store, s Stock) error {
	queues := make([]mailbox.QID, 0, s.Boxes*s.Queues)
	for i := range s.Boxes {
		box, names := storeBox(uint64(i), s.Queues)
		if err := openBox(store, box, names); err != nil {
			return err
		}
		queues = append(queues, names...)
	}
	for range s.Cells {
		for part := range slices.Chunk(queues, mailbox.MaxBatch) {
			if err := ctx.Err(); err != nil {
				return err
			}
			changes := make([]mailbox.Change, len(part))
			for i, q := range part {
				c := storeClient{queues: []mailbox.QID{q}}
				changes[i] = c.next()
			}
			if err := store.Commit(time.Now(), changes); err != nil {
				return err
			}
			for _, c := range changes {
				if err := mailbox.OutcomeOf(c).Err; err != nil {
					return fmt.Errorf("relay: stock a store: %w", err)
				}
			}
		}
	}
	return nil
}
