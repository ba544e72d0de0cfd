package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
)

// atOnce is how many clients are made, or collect, at the same time.
const atOnce = 8

// each does something for 0 to n-1, several at once.
func each(n int, do func(i int) error) error {
	errs := make([]error, n)
	turns := make(chan struct{}, atOnce)
	var doing sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		doing.Go(func() {
			defer func() { <-turns }()
			errs[i] = do(i)
		})
	}
	doing.Wait()
	return errors.Join(errs...)
}

// collector reads a box over a connection of its own.
type collector struct {
	node   *node.Node
	client *mailbox.Client
}

// collect logs in to a box.
func collect(ctx context.Context, relay peer.AddrInfo, key mailbox.BoxPrivate) (_ *collector, err error) {
	c := new(collector)
	if c.node, err = quietNode(); err != nil {
		return nil, err
	}
	if c.client, err = mailbox.Dial(ctx, c.node.Host(), relay); err != nil {
		return nil, errors.Join(err, c.node.Close())
	}
	if _, err := c.client.Login(ctx, key); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *collector) close() {
	c.client.Close()
	c.node.Close()
}

// Drain fetches and deletes all that FillStore left.
func Drain(ctx context.Context, relay peer.AddrInfo, s Stock) error {
	return each(s.Boxes, func(i int) error {
		c, err := collect(ctx, relay, storeKey(uint64(i)))
		if err != nil {
			return err
		}
		defer c.close()
		for more := true; more; {
			var entries []mailbox.Entry
			if entries, more, err = c.client.List(ctx, 0); err != nil {
				return err
			}
			ids := make([]mailbox.CellID, len(entries))
			for i, e := range entries {
				ids[i] = e.Cell
			}
			if err := each(len(ids), func(i int) error {
				_, err := c.client.Get(ctx, ids[i])
				return err
			}); err != nil {
				return err
			}
			if len(ids) > 0 {
				if _, err := c.client.Ack(ctx, ids...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Meet lets people come to a relay, each over one connection: a box leased, queues open in
// it, and watched. They stay until done is called.
func Meet(ctx context.Context, relay peer.AddrInfo, people, queues int) (done func(), err error) {
	there := make([]*collector, people)
	ctx, leave := context.WithCancel(ctx)
	var watching sync.WaitGroup
	done = func() {
		leave()
		_ = each(people, func(i int) error {
			if there[i] != nil {
				there[i].close()
			}
			return nil
		})
		watching.Wait()
	}
	err = each(people, func(i int) error {
		key := mailbox.GenerateBox()
		c, err := collect(ctx, relay, key)
		if err != nil {
			return err
		}
		there[i] = c
		if _, err := c.client.Lease(ctx, key.Public(), nil); err != nil {
			return err
		}
		names := make([]mailbox.QID, queues)
		for i := range names {
			rand.Read(names[i][:]) // never fails, see crypto/rand
		}
		if err := c.client.Open(ctx, mailbox.Ordinary, c.client.Now().Add(mailbox.MaxUntil/2), names...); err != nil {
			return err
		}
		watching.Go(func() {
			// It ends with the connection, which is how people leave.
			_ = c.client.Watch(ctx, 0, func([]mailbox.Entry) error { return nil })
		})
		return nil
	})
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

const (
	// collectEvery is how often its readers collect.
	collectEvery = time.Second
	// leftBehind is the part of what is there that a reader leaves for later, one of so
	// many, so that what is deleted lies between what is not.
	leftBehind = 8
)

// pair is one who deposits, and one who reads the box, each over a connection of their own.
type pair struct {
	writer *depositor
	reader *collector
}

// mixed has pairs deposit as is told, while the readers delete most of what has come.
func mixed(ctx context.Context, relay peer.AddrInfo, clients int, deposit func(context.Context, []pair) error) error {
	pairs := make([]pair, clients)
	defer func() {
		for _, p := range pairs {
			if p.writer != nil {
				p.writer.close()
			}
			if p.reader != nil {
				p.reader.close()
			}
		}
	}()
	if err := each(len(pairs), func(i int) (err error) {
		key := mailbox.GenerateBox()
		if pairs[i].writer, err = newDepositor(ctx, relay, key); err == nil {
			pairs[i].reader, err = collect(ctx, relay, key)
		}
		return err
	}); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	reading, leave := context.WithCancel(ctx)
	defer leave()
	var collecting sync.WaitGroup
	began := time.Now()
	for i, p := range pairs {
		collecting.Go(func() {
			// By turns, and each time when it is due: otherwise all who were held up by the same thing
			// would come together from then on.
			due := began.Add(collectEvery * time.Duration(i) / time.Duration(len(pairs)))
			for n := i; wait(reading, time.Until(due)); n, due = n+1, due.Add(collectEvery) {
				if err := p.reader.most(reading, n%10 == 9); err != nil && reading.Err() == nil {
					stop(fmt.Errorf("relay: collect beside deposits: %w", err))
					return
				}
			}
		})
	}
	err := deposit(ctx, pairs)
	leave()
	collecting.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// DepositMixed is Deposit while the readers of the boxes delete most of what has come.
func DepositMixed(ctx context.Context, relay peer.AddrInfo, load Load) (rate Rate, err error) {
	err = mixed(ctx, relay, load.Clients, func(ctx context.Context, pairs []pair) (err error) {
		work := make([]func() error, len(pairs))
		for i, p := range pairs {
			work[i] = func() error { return p.writer.deposit(ctx) }
		}
		rate, err = load.Run(ctx, work)
		return err
	})
	return rate, err
}

// Steady lets clients deposit perSecond cells a second in all, evenly, while the readers of
// their boxes delete most of what has come. Each deposit begins when it is due, whether or not those before it have their
// receipts, as people do not wait for one another. It tells how long each took from then, in order of time taken.
func Steady(ctx context.Context, relay peer.AddrInfo, load Load, perSecond float64) (took []time.Duration, err error) {
	err = mixed(ctx, relay, load.Clients, func(ctx context.Context, pairs []pair) error {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		began := time.Now()
		every := time.Duration(float64(len(pairs)) / perSecond * float64(time.Second))
		var mu sync.Mutex // of took
		var working sync.WaitGroup
		for i, p := range pairs {
			working.Go(func() {
				due := began.Add(time.Duration(i) * every / time.Duration(len(pairs)))
				for ; due.Sub(began) < load.Warm+load.Measure; due = due.Add(every) {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Until(due)):
					}
					put, due := p.writer.next(bytes.Clone(p.writer.cell)), due
					working.Go(func() {
						if err := put(ctx); err != nil {
							stop(fmt.Errorf("relay: a deposit at a steady rate: %w", err))
							return
						}
						if due.Sub(began) >= load.Warm {
							d := time.Since(due)
							mu.Lock()
							took = append(took, d)
							mu.Unlock()
						}
					})
				}
			})
		}
		working.Wait()
		if len(took) == 0 && ctx.Err() == nil {
			return errors.New("relay: nothing was deposited")
		}
		return context.Cause(ctx)
	})
	slices.Sort(took)
	return took, err
}

// most deletes most of what is in the box, or all.
func (c *collector) most(ctx context.Context, all bool) error {
	for after, more := uint64(0), true; more; {
		var entries []mailbox.Entry
		var err error
		if entries, more, err = c.client.List(ctx, after); err != nil || len(entries) == 0 {
			return err
		}
		var ids []mailbox.CellID
		for i, e := range entries {
			if all || i%leftBehind > 0 {
				ids = append(ids, e.Cell)
			}
		}
		if len(ids) > 0 {
			if _, err := c.client.Ack(ctx, ids...); err != nil {
				return err
			}
		}
		after = entries[len(entries)-1].Sequence
	}
	return nil
}
