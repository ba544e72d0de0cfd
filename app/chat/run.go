package chat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
)

const (
	// tidyEvery is how often expired and overdue messages are looked for,
	// maintainEvery how often the store is maintained.
	tidyEvery, maintainEvery = time.Minute, time.Hour
	// receiptJitter is the longest time that an acknowledgement by mailbox is
	// held back outside of loopback mode (network.md, "Receipts in time").
	receiptJitter = 5 * time.Second
)

// New makes a Chat. It is at work while Run runs.
func New(ctx context.Context, cfg Config) (*Chat, error) {
	keys, err := session.New(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Chat{
		store: cfg.Store, chain: cfg.Chain, head: cfg.Chain.Head(), me: cfg.Device.Public(), device: cfg.Device, agreement: cfg.Agreement, node: cfg.Node, pool: cfg.Pool, boxPool: cfg.Boxes, log: log,
		keys: keys, ops: make(chan *op), stopped: make(chan struct{}), running: make(chan struct{}),
		relays: cfg.Relays, brief: cfg.Brief, routing: cfg.Routing, lots: newLots(), finder: cfg.Finder, working: make(chan struct{}, 1),
		callers: allowance{Limit: rate.Limit{Burst: callerBurst, PerSecond: callerRate}},
		typed:   make(map[int64]time.Time), heard: make(map[identity.DevicePublic]time.Time),
		stalled: make(map[store.SessionID]bool), knowUs: make(map[identity.DevicePublic]bool), couriers: make(map[identity.DevicePublic]*courier), boxes: make(map[store.PeerID]*box),
	}
	c.Share(cfg.Shared)
	c.choice = newChooser(c, cfg.Choice)
	return c, c.readRevoked(ctx)
}

// Run works until the context ends, and returns when all that it started has
// ended. It is called once.
func (c *Chat) Run(ctx context.Context) error {
	// Those who learn things end first, then the owner who writes them down.
	ownerCtx, stopOwner := context.WithCancel(context.WithoutCancel(ctx))
	var owner sync.WaitGroup
	owner.Go(func() { c.own(ownerCtx) })
	defer owner.Wait()
	defer stopOwner()

	parent := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.mu.Lock()
	c.ctx, c.retireSelf = ctx, stop
	c.over = !c.Revoked().IsZero()
	c.mu.Unlock()
	c.direct = direct.New(c.node, lines{c}, direct.Config{})
	close(c.running)
	var err error
	if c.Revoked().IsZero() {
		err = c.begin(ctx)
	}
	if err == nil && c.Revoked().IsZero() {
		if c.finder != nil && !c.brief {
			c.mu.Lock()
			c.start(c.publish)
			c.mu.Unlock()
		}
		c.mu.Lock()
		c.start(c.echo)
		c.start(c.fade)
		c.start(c.index)
		c.mu.Unlock()
		if c.choice != nil {
			c.mu.Lock()
			c.start(c.choice.run)
			c.mu.Unlock()
		}
		c.tidy(ctx, c.chores())
	}
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	stop()
	c.direct.Close()
	c.work.Wait()
	if err == nil && !c.Revoked().IsZero() {
		c.tidy(parent, c.localChores())
	}
	if parent.Err() != nil {
		return nil // what was cut short by that is no failure
	}
	return err
}

// begin starts the boxes and the couriers that have something to do.
func (c *Chat) begin(ctx context.Context) error {
	var relays []store.Relay
	var devices []store.Device
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if relays, err = tx.Relays(); err != nil {
			return err
		}
		devices, err = tx.AllDevices()
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range relays {
		c.startBox(r)
	}
	for _, at := range c.relays {
		if err := c.AddRelay(ctx, at, store.RelayByFlag, nil); err != nil {
			return err
		}
	}
	// Contacts learn where we listen now: those that are connected in a moment
	// by that connection, the others by their relays.
	err = c.tellAll(ctx, devices)
	if errors.Is(err, store.ErrFull) {
		// Nothing can be taken in, but what is here can be read.
		c.log.Warn("the disk is full; contacts learn where this device listens once there is room")
		c.mu.Lock()
		c.start(func(ctx context.Context) { c.tellOnceThereIsRoom(ctx, devices) })
		c.mu.Unlock()
		err = nil
	}
	for _, d := range devices {
		c.courier(d.Device)
	}
	return err
}

// tellAll queues where we listen for all devices that can be told.
func (c *Chat) tellAll(ctx context.Context, devices []store.Device) error {
	return c.update(ctx, func(t *turn) error {
		for _, d := range devices {
			if err := c.tellPresence(t, d.Device); err != nil {
				return err
			}
		}
		return nil
	})
}

// tellOnceThereIsRoom tries tellAll until the disk takes it.
func (c *Chat) tellOnceThereIsRoom(ctx context.Context, devices []store.Device) {
	wait := pause{first: fullFirst, last: fullLast}
	for {
		wait.failed(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(wait.until)):
		}
		err := c.tellAll(ctx, devices)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !errors.Is(err, store.ErrFull) {
			c.log.Error("contacts could not be told where this device listens", "err", err)
			return
		}
	}
}

// tellPresence queues where we listen for a device that can be told.
func (c *Chat) tellPresence(t *turn, device identity.DevicePublic) error {
	own := c.presence()
	if len(own.Addrs) == 0 {
		return nil
	}
	if ready, err := c.reachable(t, device); err != nil || !ready {
		return err
	}
	body, err := own.Marshal()
	item, err := loose(t.now, content.KindPresence, 0, body, err)
	if err != nil {
		return err
	}
	return c.queue(t, device, store.ClassPresence, 0, item)
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// A chore is done every minute.
type chore struct {
	name string
	do   func(context.Context) error
}

// localChores are those that need nobody else.
func (c *Chat) localChores() []chore {
	return []chore{{"give up messages", c.giveUp}, {"see which copies have ended", c.lapse}, {"show messages", c.showOverdue},
		{"let messages disappear", c.vanish}}
}

func (c *Chat) chores() []chore {
	return append(c.localChores(), chore{"retire prekeys", c.retirePrekeys}, chore{"renew queues", c.renewQueues},
		chore{"forget relays", c.forgetRelays}, chore{"renew seeds", c.renewSeeds}, chore{"use friends' computers", c.renewFriends}, chore{"renew addresses", c.renewAddresses},
		chore{"give up introductions", c.giveUpIntroductions}, chore{"tell what was read", c.tellReads})
}

// tidy does what is due by time alone, until the context ends. Each chore makes its
// changes by itself: what hinders one for good must not hold up the others.
func (c *Chat) tidy(ctx context.Context, often []chore) {
	seldom := []chore{
		{"forget keys", func(ctx context.Context) error {
			return c.update(ctx, func(t *turn) error { return t.keys.Expire(t.now) })
		}},
		{"maintain the store", func(ctx context.Context) error { return c.store.Maintain(ctx, time.Now()) }},
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var maintained time.Time
	for {
		due := often
		if time.Since(maintained) >= maintainEvery {
			maintained = time.Now()
			due = slices.Concat(often, seldom)
		}
		for _, chore := range due {
			if err := chore.do(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("tidying up failed", "chore", chore.name, "err", err)
			}
		}
		c.syncBoxes() // invitations that have expired are taken down
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// forEach makes a change for each of what a view of the store lists: all in one
// turn, or if that fails each in its own, so that one which cannot be changed holds
// up no other. What is listed may have changed before its turn comes.
func forEach[T any](ctx context.Context, c *Chat, list func(*store.Tx) ([]T, error), change func(*turn, T) error) error {
	var items []T
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		items, err = list(tx)
		return err
	})
	if err != nil || len(items) == 0 {
		return err
	}
	inTurn := func(items []T) error {
		return c.update(ctx, func(t *turn) error {
			for _, i := range items {
				if err := change(t, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err = inTurn(items); err == nil || len(items) == 1 {
		return err
	}
	var errs []error
	for i := range items {
		errs = append(errs, inTurn(items[i:i+1]))
	}
	return errors.Join(errs...)
}

// courier finds or starts the courier of a device.
func (c *Chat) courier(device identity.DevicePublic) *courier {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.couriers[device]
	if k == nil {
		k = newCourier(c, device)
		c.couriers[device] = k
		c.start(k.run)
	}
	return k
}

// start runs something for as long as Run does. The lock is held.
func (c *Chat) start(run func(context.Context)) {
	if c.ctx == nil || c.over {
		return
	}
	c.work.Go(func() { run(c.ctx) })
}

// startBox starts or restarts the box at a relay.
func (c *Chat) startBox(r store.Relay) {
	if r.Friend == nil {
		c.wayIn(peer.AddrInfo{ID: peer.ID(r.Peer), Addrs: multiaddrs(r.Addrs)})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.boxes[r.Peer]; old != nil {
		old.stop()
	}
	b := &box{c: c, relay: r, poke: make(chan struct{}, 1), over: make(chan struct{}), state: relayConnecting,
		strangers: allowance{Limit: rate.Limit{Burst: doorBurst, PerSecond: doorRate}}}
	c.boxes[r.Peer] = b
	if c.ctx == nil || c.over {
		b.stop = func() {}
		return
	}
	ctx, stop := context.WithCancel(c.ctx)
	b.stop = stop
	c.work.Go(func() {
		defer stop()
		b.run(ctx)
	})
}

// crowded says whether there are more boxes than hosts to attend them at once.
func (c *Chat) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.boxes) > node.PoolSize
}

// syncBoxes has every box look for what is to be opened, posted or closed.
func (c *Chat) syncBoxes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.boxes {
		select {
		case b.poke <- struct{}{}:
		default:
		}
	}
}

// jitter is how long an acknowledgement by mailbox is held back, so that a relay
// cannot tell by the time alone who answers whom.
func (c *Chat) jitter() time.Duration {
	if c.node.Mode() == node.Loopback {
		return 0
	}
	return rand.N(receiptJitter)
}

// firstContact opens and keeps a first flight that came by a relay.
func (c *Chat) firstContact(ctx context.Context, cell []byte, by origin) error {
	opened, err := c.openFlight(ctx, cell, by)
	if err != nil {
		return err
	}
	_, _, err = c.takeOpened(ctx, opened)
	return err
}

// takeOpened is takeFlight in a turn of its own. A flight that shows two lists of
// devices of one account freezes the contact.
func (c *Chat) takeOpened(ctx context.Context, o openedFlight) (auth [32]byte, hash direct.Hash, err error) {
	asked := false
	err = c.update(ctx, func(t *turn) (err error) {
		auth, hash, err = c.takeFlight(t, o)
		if asked = errors.Is(err, errAsked); asked {
			return nil // it was kept as a request
		}
		return err
	})
	if err == nil && asked {
		err = errAsked
	}
	return auth, hash, c.freezeIf(ctx, o.chain.Account(), err)
}

// freezeIf marks a contact whose keys contradict each other, if that is what an
// error says. The turn that found out kept nothing.
func (c *Chat) freezeIf(ctx context.Context, account identity.AccountID, err error) error {
	if !errors.Is(err, problem.ContactFrozen) {
		return err
	}
	return errors.Join(err, c.update(ctx, func(t *turn) error {
		who, err := t.ContactByAccount(account)
		if err != nil || who.Frozen {
			return err
		}
		who.Frozen = true
		t.then(func() { c.contactEvent(who, "frozen") })
		return t.UpdateContact(who)
	}))
}

// Connected is the number of devices that are connected directly.
func (c *Chat) Connected() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.couriers {
		if k.isConnected() {
			n++
		}
	}
	return n
}

// Events gives what happens from now on to the function; see api.Backend. first
// is given before anything else.
func (c *Chat) Events(ctx context.Context, first api.Event, each func(api.Event) error) error {
	s := c.events.subscribe("")
	defer c.events.unsubscribe(s)
	if err := each(first); err != nil {
		return err
	}
	return s.follow(ctx, each)
}

// Sent is how far a message of ours has come.
func (c *Chat) Sent(ctx context.Context, id content.ID) (sent api.Sent, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		m, err := tx.MessageByID(store.MessageID(id))
		if errors.Is(err, store.ErrNotFound) || err == nil && !m.Mine {
			return problem.New(problem.NoSuchMessage, nil)
		}
		if err != nil {
			return err
		}
		sent, err = c.sentView(tx, m)
		return err
	})
	return sent, err
}

// contactEvent tells of a change of a contact.
func (c *Chat) contactEvent(who store.Contact, change string) {
	c.events.emit(api.Event{Event: api.EventContact, At: api.Time{Time: time.Now()}, Contact: accountID(who.Account), Name: DisplayName(who),
		Verified: !who.Verified.IsZero(), Change: change})
	if change != "removed" {
		change = ""
	}
	c.conversationEvent(ContactID(who), change)
}

// online tells that a contact's device came or went.
func (c *Chat) online(device identity.DevicePublic, now bool) {
	var who store.Contact
	err := c.store.View(context.Background(), func(tx *store.Tx) (err error) {
		who, err = tx.ContactByDevice(device)
		return err
	})
	if err != nil {
		return
	}
	change := "offline"
	if now {
		change = "online"
		c.callFriend(device)
	}
	c.contactEvent(who, change)
}
