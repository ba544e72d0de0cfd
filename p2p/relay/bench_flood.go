package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A Street is people who write to each other by way of one relay, each the next one. Each collects over
// one connection and leaves mail over another, from an address of the neighbourhood.
type Street struct {
	relay   peer.AddrInfo
	people  []*neighbour
	rest    context.CancelFunc // ends the reading
	reading sync.WaitGroup

	mu      sync.Mutex
	sent    map[uint64]time.Time // by number: when it was due
	kept    map[uint64]bool      // with a receipt
	arrived map[uint64]bool
	took    []time.Duration
	next    uint64
	came    chan struct{} // something arrived
}

// lateAfter is how long mail may take until it counts as lost.
const lateAfter = time.Minute

// neighbour is one of them.
type neighbour struct {
	street *Street
	key    mailbox.BoxPrivate
	queue  mailbox.Queue
	home   *node.Node // collects
	away   *node.Node // leaves mail

	mu     sync.Mutex
	reader *mailbox.Client
	writer *mailbox.Client
}

// FromNeighbourhoods gives the i-th person of a Street an address: each tenth one lives where a Flood comes from,
// the others in groups of their own.
func FromNeighbourhoods(i int) netip.Addr {
	if i%10 == 9 {
		return netip.AddrFrom4([4]byte{127, 1, byte(i), 254})
	}
	return netip.AddrFrom4([4]byte{127, 2, byte(i), 1})
}

// MoveIn has people come to a relay on loopback, each with a box and one queue. Close ends all.
func MoveIn(ctx context.Context, relay peer.AddrInfo, people int, from func(i int) netip.Addr) (*Street, error) {
	s := &Street{
		relay: relay, people: make([]*neighbour, people), sent: make(map[uint64]time.Time), kept: make(map[uint64]bool), arrived: make(map[uint64]bool),
		came: make(chan struct{}, 1),
	}
	err := each(people, func(i int) (err error) {
		n := &neighbour{street: s, key: mailbox.GenerateBox()}
		s.people[i] = n
		for _, at := range []**node.Node{&n.home, &n.away} {
			if *at, err = node.New(node.Config{Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, From: from(i)}); err != nil {
				return err
			}
		}
		if err := n.collect(ctx); err != nil {
			return err
		}
		if _, err := n.reader.Lease(ctx, n.key.Public(), nil); err != nil {
			return err
		}
		d, err := mailbox.NewDescriptor(relay, n.reader.Now(), n.reader.Limits())
		if err != nil {
			return err
		}
		n.queue = d.Queue(mailbox.CatchAll)
		return n.reader.Open(ctx, mailbox.Ordinary, n.reader.Now().Add(24*time.Hour), n.queue.Write.QID())
	})
	reading, rest := context.WithCancel(context.WithoutCancel(ctx))
	s.rest = rest
	if err != nil {
		s.Close()
		return nil, err
	}
	for _, n := range s.people {
		s.reading.Go(func() { n.read(reading) })
	}
	return s, nil
}

// Close has all leave.
func (s *Street) Close() {
	s.rest()
	s.reading.Wait()
	_ = each(len(s.people), func(i int) error {
		n := s.people[i]
		if n == nil {
			return nil
		}
		n.hangUp()
		for _, at := range []*node.Node{n.home, n.away} {
			if at != nil {
				at.Close()
			}
		}
		return nil
	})
}

// collect logs in, unless that is done.
func (n *neighbour) collect(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reader != nil && n.reader.Err() == nil {
		return nil
	}
	c, err := mailbox.Dial(ctx, n.home.Host(), n.street.relay)
	if err != nil {
		return err
	}
	if _, err := c.Login(ctx, n.key); err != nil {
		c.Close()
		return err
	}
	n.reader = c
	return nil
}

// hangUp ends both connections.
func (n *neighbour) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range []*mailbox.Client{n.reader, n.writer} {
		if c != nil {
			c.Close()
		}
	}
	for _, at := range []*node.Node{n.home, n.away} {
		if at != nil {
			_ = at.Host().Network().ClosePeer(n.street.relay.ID)
		}
	}
}

// againAfter is how long somebody waits whose connection was refused or ended.
const againAfter = 250 * time.Millisecond

// read takes in what comes, over as many connections as it takes, until the context ends.
func (n *neighbour) read(ctx context.Context) {
	for ctx.Err() == nil {
		if err := n.collect(ctx); err == nil {
			// It ends with the connection; then it goes on over another.
			_ = n.reader.Watch(ctx, 0, func(entries []mailbox.Entry) error { return n.take(ctx, entries) })
		}
		wait(ctx, againAfter)
	}
}

func (n *neighbour) take(ctx context.Context, entries []mailbox.Entry) error {
	for _, e := range entries {
		cell, err := n.reader.Get(ctx, e.Cell)
		if errors.Is(err, mailbox.ErrNotFound) {
			continue // of before, deleted since
		}
		if err != nil {
			return err
		}
		m, err := n.queue.Key.Open(cell)
		if err != nil {
			return err
		}
		n.street.arrives(binary.BigEndian.Uint64(m))
		if _, err := n.reader.Ack(ctx, e.Cell); err != nil {
			return err
		}
	}
	return nil
}

func (s *Street) arrives(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if due, ok := s.sent[number]; ok && !s.arrived[number] {
		s.arrived[number] = true
		s.took = append(s.took, time.Since(due))
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
}

// leave leaves a message for somebody, as often as it takes to have a receipt.
func (n *neighbour) leave(ctx context.Context, to *neighbour, number uint64) error {
	cell, err := to.queue.Key.Seal(binary.BigEndian.AppendUint64(make([]byte, 0, mailbox.CellSmall-40), number)[:mailbox.CellSmall-40])
	if err != nil {
		return err
	}
	for {
		err := func() error {
			n.mu.Lock()
			if n.writer == nil || n.writer.Err() != nil {
				c, err := mailbox.Dial(ctx, n.away.Host(), n.street.relay)
				if err != nil {
					n.mu.Unlock()
					return err
				}
				n.writer = c
			}
			c := n.writer
			n.mu.Unlock()
			_, err := c.Put(ctx, to.queue.Write, cell, time.Hour)
			return err
		}()
		if err == nil {
			return nil
		}
		if !wait(ctx, againAfter) {
			return fmt.Errorf("relay: a message could not be left: %w", err)
		}
	}
}

// Write has each write to the next, every so often for a time, evenly. Each tenth hangs up once, and comes
// back. It tells how long each message took from when it was due until its reader had opened it, in order of time taken. The
// error says if one that has a receipt was lost.
func (s *Street) Write(ctx context.Context, every, length time.Duration) ([]time.Duration, error) {
	s.mu.Lock()
	s.took = nil
	s.mu.Unlock()
	ctx, stop := context.WithTimeoutCause(ctx, length+lateAfter, errors.New("relay: mail did not come in time"))
	defer stop()
	var writers sync.WaitGroup
	errs := make([]error, len(s.people))
	began := time.Now()
	for i, n := range s.people {
		writers.Go(func() {
			to := s.people[(i+1)%len(s.people)]
			rests := i%10 > 0
			for due := began.Add(every * time.Duration(i) / time.Duration(len(s.people))); due.Sub(began) < length; due = due.Add(every) {
				if !wait(ctx, time.Until(due)) {
					return
				}
				if !rests && due.Sub(began) > length/2 {
					rests = true
					n.hangUp()
				}
				s.mu.Lock()
				s.next++
				number := s.next
				s.sent[number] = due
				s.mu.Unlock()
				if errs[i] = n.leave(ctx, to, number); errs[i] != nil {
					return
				}
				s.mu.Lock()
				s.kept[number] = true
				s.mu.Unlock()
			}
		})
	}
	writers.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for {
		s.mu.Lock()
		missing := 0
		for number := range s.kept {
			if !s.arrived[number] {
				missing++
			}
		}
		took := slices.Sorted(slices.Values(s.took))
		s.mu.Unlock()
		if missing == 0 {
			return took, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %d messages that the relay gave receipts for", context.Cause(ctx), missing)
		case <-s.came:
		}
	}
}

// Newcomer is how long it takes somebody, of whom the relay knows nothing, to log in from an address.
func Newcomer(ctx context.Context, relay peer.AddrInfo, from netip.Addr) (time.Duration, error) {
	began := time.Now()
	s := &Street{relay: relay}
	n := &neighbour{street: s, key: mailbox.GenerateBox()}
	var err error
	if n.home, err = node.New(node.Config{Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, From: from}); err != nil {
		return 0, err
	}
	defer n.home.Close()
	defer n.hangUp()
	for {
		if err = n.collect(ctx); err == nil {
			return time.Since(began), nil
		}
		if !wait(ctx, againAfter) {
			return 0, err
		}
	}
}
