package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

const (
	// checkStep bounds one step of a check, the proof of work for a lease apart.
	checkStep = 15 * time.Second
	// checkWork bounds that.
	checkWork = 5 * time.Minute
	// checkCells is how many cells are left and fetched, so that one slow sync does not
	// stand for all.
	checkCells = 5
	// checkKeep is how long the relay is asked to keep them, should the check be cut off.
	checkKeep = time.Hour
	// checkReturn bounds how long giving back the box may take of a check that was cut off.
	checkReturn = 5 * time.Second
)

// Step is a part of a check, in the order in which they are made.
type Step string

// The steps. Each but the last three needs those before it; these need a connection.
const (
	StepConnect Step = "connect" // a connection from a PeerID that is thrown away
	StepHello   Step = "hello"   // the mailbox protocol, and what the relay allows
	StepLogin   Step = "login"   // a box of a fresh key
	StepLease   Step = "lease"   // for a token or work, as the relay asks
	StepOpen    Step = "open"    // a queue in it
	StepDeposit Step = "deposit" // of cells, by a second PeerID; their receipts hold
	StepList    Step = "list"    // the box has them
	StepFetch   Step = "fetch"   // they are the same
	StepDelete  Step = "delete"  // and then gone
	StepReturn  Step = "return"  // the box is given back
	StepAddrs   Step = "addrs"   // it is reached at the other addresses that it tells, too
	StepCircuit Step = "circuit" // others can be reached through it
	StepDHT     Step = "dht"     // it serves the DHT
)

// CheckConfig says what to check.
type CheckConfig struct {
	Mode  node.Mode
	Relay peer.AddrInfo
	Token []byte // for a lease; nil: none
}

// CheckStep is how a step went.
type CheckStep struct {
	Step   Step
	Err    error         // nil: well
	Took   time.Duration // of deposit and fetch: the median of one cell
	Detail string        // what came of it, in words; may be empty
}

// Check is what was seen of a relay from outside.
type Check struct {
	Steps  []CheckStep // those that were made; one that failed is followed by those that do not need it
	Limits mailbox.Limits
	More   mailbox.Allowance // zero: an earlier version does not say
	Skew   time.Duration     // by which the relay's clock is ahead of ours
	Over   string            // TCP or QUIC: what the first connection went over
	Addrs  []ma.Multiaddr    // that it tells of itself, those of the mode
	Routes int               // relays through which it says it is reached
	Knows  int               // servers of the DHT that it named
}

// Err is that of the first step that failed, or nil.
func (c Check) Err() error {
	for _, s := range c.Steps {
		if s.Err != nil {
			return fmt.Errorf("%s: %w", s.Step, s.Err)
		}
	}
	return nil
}

// AddrError says which of a relay's addresses does not lead to it.
type AddrError struct {
	Addr ma.Multiaddr
	Err  error
}

func (e *AddrError) Error() string { return e.Addr.String() + ": " + e.Err.Error() }
func (e *AddrError) Unwrap() error { return e.Err }

var (
	// ErrLost says that a relay promised to keep a cell and does not have it.
	ErrLost = errors.New("relay: it does not have what it promised to keep")
	// ErrToken says that a relay does not take the token that it was given.
	ErrToken = errors.New("relay: it does not take this token")
	// ErrNoToken says that a relay asks for a token and was given none.
	ErrNoToken = errors.New("relay: it asks for a token")
	// ErrReturned says that a relay has what it said it had deleted.
	ErrReturned = errors.New("relay: it still has what it said it had deleted")
)

// CheckRelay tries from outside what a relay does for people, with a box and PeerIDs that
// are used for nothing else. It leaves nothing behind, also when the context ends: the box is given
// back, but by a relay of an earlier version, which forgets an empty one some time after its lease has ended. What is
// wrong is in the Check. The error is of this computer, or the context's.
func CheckRelay(ctx context.Context, cfg CheckConfig) (Check, error) {
	pool := node.NewPool(node.Config{Mode: cfg.Mode, Circuits: true})
	defer pool.Close()
	c := &checking{cfg: cfg, ctx: ctx}
	for i := range c.hosts {
		h, release, err := pool.Host(ctx, fmt.Sprint(i))
		if err != nil {
			return Check{}, err
		}
		defer release()
		c.hosts[i] = h
	}
	if c.connects() {
		c.keepsMail()
		c.serves()
	}
	return c.seen, ctx.Err()
}

// checking is a check under way.
type checking struct {
	cfg   CheckConfig
	ctx   context.Context
	hosts [3]host.Host // who owns the box, who leaves something there, and who tries the rest
	seen  Check

	box    *mailbox.Client
	key    mailbox.BoxPrivate
	queue  mailbox.Queue
	cells  map[mailbox.CellID][]byte
	writer *mailbox.Client
	holds  bool // the relay may have the box
}

// do makes a step and tells whether it went well.
func (c *checking) do(step Step, within time.Duration, f func(context.Context, *CheckStep) error) bool {
	if c.ctx.Err() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(c.ctx, within)
	defer cancel()
	s := CheckStep{Step: step}
	start := time.Now()
	s.Err = f(ctx, &s)
	if s.Took == 0 {
		s.Took = time.Since(start)
	}
	c.seen.Steps = append(c.seen.Steps, s)
	return s.Err == nil
}

func (c *checking) connects() bool {
	id := c.cfg.Relay.ID
	return c.do(StepConnect, checkStep, func(ctx context.Context, s *CheckStep) error {
		if err := node.Dial(ctx, c.hosts[0], c.cfg.Mode, c.cfg.Relay); err != nil {
			return err
		}
		c.seen.Over = "QUIC"
		for _, conn := range c.hosts[0].Network().ConnsToPeer(id) {
			if _, err := conn.RemoteMultiaddr().ValueForProtocol(ma.P_TCP); err == nil {
				c.seen.Over = "TCP"
			}
		}
		s.Detail = "over " + c.seen.Over
		return nil
	})
}

// keepsMail tries what a relay is for. A step that fails is the last.
func (c *checking) keepsMail() {
	defer func() {
		if c.holds { // it failed before, or is cut off
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), checkReturn)
			defer cancel()
			c.box.Release(ctx) // what else is wrong has been said
		}
		for _, client := range []*mailbox.Client{c.writer, c.box} {
			if client != nil {
				client.Close()
			}
		}
	}()
	_ = c.do(StepHello, checkStep, c.hello) &&
		c.do(StepLogin, checkStep, func(ctx context.Context, _ *CheckStep) error {
			c.key = mailbox.GenerateBox()
			_, err := c.box.Login(ctx, c.key)
			return err
		}) &&
		c.do(StepLease, checkWork, func(ctx context.Context, s *CheckStep) error {
			c.holds = true
			until, err := c.box.Lease(ctx, c.key.Public(), c.cfg.Token)
			takes := slices.Contains(c.seen.Limits.Leases, mailbox.LeaseToken)
			switch {
			case err == nil:
				s.Detail = "until " + until.UTC().Format(time.DateOnly)
			case errors.Is(err, mailbox.ErrLease) && takes && c.cfg.Token != nil:
				return ErrToken
			case errors.Is(err, mailbox.ErrLease) && takes && len(c.seen.Limits.Leases) == 1:
				return ErrNoToken
			}
			return err
		}) &&
		c.do(StepOpen, checkStep, func(ctx context.Context, _ *CheckStep) error {
			d, err := mailbox.NewDescriptor(c.cfg.Relay, c.box.Now(), c.seen.Limits)
			if err != nil {
				return err
			}
			c.queue = d.Queue(c.box.Epoch())
			return c.box.Open(ctx, mailbox.Ordinary, c.box.Now().Add(checkKeep), c.queue.Write.QID())
		}) &&
		c.do(StepDeposit, checkStep, c.deposit) &&
		c.do(StepList, checkStep, c.list) &&
		c.do(StepFetch, checkStep, c.fetch) &&
		c.do(StepDelete, checkStep, c.delete) &&
		c.do(StepReturn, checkStep, c.giveBack)
}

func (c *checking) hello(ctx context.Context, s *CheckStep) (err error) {
	if c.box, err = mailbox.Connect(ctx, c.hosts[0], c.cfg.Relay.ID); err != nil {
		return err
	}
	c.seen.Limits, c.seen.Skew = c.box.Limits(), c.box.Skew()
	if c.seen.More, err = c.box.Allowance(ctx); err != nil && !errors.Is(err, mailbox.ErrOlder) {
		return err
	}
	routes, err := c.box.Routes(ctx)
	c.seen.Routes = len(node.Hops(c.cfg.Mode, routes))
	return err
}

func (c *checking) deposit(ctx context.Context, s *CheckStep) (err error) {
	if c.writer, err = mailbox.Dial(ctx, c.hosts[1], c.cfg.Relay); err != nil {
		return err
	}
	c.cells = make(map[mailbox.CellID][]byte)
	var took []time.Duration
	for range checkCells {
		message := make([]byte, mailbox.CellSmall-mailbox.CellOverhead)
		rand.Read(message) // never fails, see crypto/rand
		cell, err := c.queue.Key.Seal(message)
		if err != nil {
			return err
		}
		start := time.Now()
		if _, err := c.writer.Put(ctx, c.queue.Write, cell, checkKeep); err != nil {
			return err
		}
		took = append(took, time.Since(start))
		c.cells[mailbox.IDOf(cell)] = cell
	}
	s.Took, s.Detail = median(took), fmt.Sprintf("%d cells, their receipts hold", checkCells)
	return nil
}

func (c *checking) list(ctx context.Context, _ *CheckStep) error {
	entries, _, err := c.box.List(ctx, 0)
	if err != nil {
		return err
	}
	for id := range c.cells {
		if !slices.ContainsFunc(entries, func(e mailbox.Entry) bool { return e.Cell == id }) {
			return ErrLost
		}
	}
	return nil
}

func (c *checking) fetch(ctx context.Context, s *CheckStep) error {
	var took []time.Duration
	for id, want := range c.cells {
		start := time.Now()
		got, err := c.box.Get(ctx, id) // which compares it with its name
		if errors.Is(err, mailbox.ErrNotFound) || err == nil && !bytes.Equal(got, want) {
			return ErrLost
		}
		if err != nil {
			return err
		}
		took = append(took, time.Since(start))
	}
	s.Took = median(took)
	return nil
}

func (c *checking) delete(ctx context.Context, _ *CheckStep) error {
	ids := slices.Collect(maps.Keys(c.cells))
	if _, err := c.box.Ack(ctx, ids...); err != nil {
		return err
	}
	// To ask for one of them would be a refusal, and the relay count it as one.
	entries, _, err := c.box.List(ctx, 0)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return ErrReturned
	}
	return c.box.CloseQueues(ctx, c.queue.Write.QID())
}

func (c *checking) giveBack(ctx context.Context, s *CheckStep) error {
	c.holds = false
	err := c.box.Release(ctx)
	if errors.Is(err, mailbox.ErrOlder) {
		s.Detail = "it is of an older version, and keeps the empty box until some time after its lease"
		return nil
	}
	return err
}

// serves tries what a relay does beside keeping mail. No step needs another.
func (c *checking) serves() {
	id, h := c.cfg.Relay.ID, c.hosts[2]
	c.do(StepAddrs, checkStep, func(ctx context.Context, s *CheckStep) error {
		// Identify has told them by now, if the relay speaks a protocol at all.
		told := c.hosts[0].Peerstore().Addrs(id)
		told = slices.DeleteFunc(told, func(a ma.Multiaddr) bool { return !node.AllowedAddr(c.cfg.Mode, a) })
		c.seen.Addrs = told
		for _, a := range told {
			if err := node.Dial(ctx, h, c.cfg.Mode, peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{a}}); err != nil {
				return &AddrError{a, err}
			}
			if err := h.Network().ClosePeer(id); err != nil {
				return err
			}
		}
		s.Detail = fmt.Sprintf("%d of %d answer", len(told), len(told))
		return nil
	})
	c.do(StepCircuit, checkStep, func(ctx context.Context, s *CheckStep) error {
		if err := node.Dial(ctx, h, c.cfg.Mode, c.cfg.Relay); err != nil {
			return err
		}
		got, err := client.Reserve(ctx, h, peer.AddrInfo{ID: id})
		if err == nil {
			s.Detail = fmt.Sprintf("reserved for %.0f minutes", time.Until(got.Expiration).Minutes())
		}
		return err
	})
	c.do(StepDHT, checkStep, func(ctx context.Context, s *CheckStep) (err error) {
		if err := node.Dial(ctx, h, c.cfg.Mode, c.cfg.Relay); err != nil {
			return err
		}
		c.seen.Knows, err = dht.Ask(ctx, h, c.cfg.Mode, id)
		s.Detail = fmt.Sprintf("it named %d other servers", c.seen.Knows)
		return err
	})
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
