package chat

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/rendezvous"
)

// The rhythm of rendezvous (network.md, "Rendezvous records").
const (
	// renewSeed is how old a seed becomes.
	renewSeed = 30 * 24 * time.Hour
	// publishAfter is how long after the start records are written: who is
	// connected by then knows our addresses and needs none.
	publishAfter = 2 * time.Second
	// publishJitter spreads the records of a new period, which would otherwise
	// show by their time that they belong together.
	publishJitter = 30 * time.Minute
	// Who can leave us something at publishRelays relays that serve needs no record: we hear of
	// them there at once. Relays that served within publishGrace are taken to come back, and
	// until publishStart after the start all are still being called.
	publishRelays              = 2
	publishGrace, publishStart = 5 * time.Minute, 15 * time.Second
	// Relays that serve us may turn others away, and who tests them may not notice: such a
	// device is written a record every publishSeldom all the same. Who looks for us in vain
	// does so every lookSeldom, and a record lives for half a day.
	publishSeldom = 48 * time.Hour
	// publishers is how many records are put at once.
	publishers = 4
	// A device that could not be reached is looked for after lookFirst, then
	// after ever longer pauses up to lookLast; up to lookSeldom while relays keep all that
	// there is for it. A look costs some 100 KiB.
	lookFirst, lookLast, lookSeldom = 2 * time.Second, 30 * time.Minute, 6 * time.Hour
)

// Finder is the DHT as a Chat needs it.
type Finder interface {
	// Publish writes a record under a seed; stored is the number of servers that
	// kept it.
	Publish(ctx context.Context, seed rendezvous.Seed, c rendezvous.Content, now time.Time) (stored int, err error)
	// Find reads the newest record of a seed.
	Find(ctx context.Context, seed rendezvous.Seed, now time.Time) (dht.Found, error)
	// AddPeers names peers to start from, and AddSpares those to start from only if
	// no other answers.
	AddPeers(...peer.AddrInfo)
	AddSpares(...peer.AddrInfo)
}

// renewSeeds gives each device a seed by which it can find us, if it needs one.
func (c *Chat) renewSeeds(ctx context.Context) error {
	if c.finder == nil {
		return nil
	}
	return forEach(ctx, c, (*store.Tx).AllDevices, func(t *turn, d store.Device) error { return c.renewSeed(t, d.Device) })
}

// renewSeed gives a device a seed: its first, or a new one once the last is old and was
// acknowledged.
func (c *Chat) renewSeed(t *turn, device identity.DevicePublic) error {
	ready, err := c.reachable(t, device)
	if err != nil || !ready {
		return err
	}
	have, err := t.OwnSeeds(device)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		last := have[len(have)-1]
		if last.Told.IsZero() || t.now.Sub(last.Made).Abs() < renewSeed {
			return nil
		}
	}
	s := store.OwnSeed{Device: device, Seed: rendezvous.NewSeed(), Made: t.now}
	if _, err := t.InsertOwnSeed(s); err != nil {
		return err
	}
	body, err := content.Rendezvous{Seed: s.Seed}.Marshal()
	item, err := loose(t.now, content.KindRendezvous, content.WantsReceipt, body, err)
	if err != nil {
		return err
	}
	return c.queue(t, device, store.ClassRendezvous, 0, item)
}

// reachable says whether a device can be told something: its owner is served, and
// there is a session on which it answered.
func (c *Chat) reachable(t *turn, device identity.DevicePublic) (bool, error) {
	who, err := t.ContactByDevice(device)
	if err != nil || !served(who) {
		return false, err
	}
	head, err := t.keys.Preferred(device)
	if err != nil {
		return false, ignore(err, session.ErrNoSession)
	}
	return !head.Initiator || !head.Confirmed.IsZero(), nil
}

// takeRendezvous keeps the seed by which a device can be found.
func (c *Chat) takeRendezvous(t *turn, device identity.DevicePublic, made time.Time, r content.Rendezvous) error {
	newer, err := t.PutTheirSeed(store.TheirSeed{Device: device, Seed: r.Seed, Made: made})
	if newer {
		t.then(func() { c.courier(device).changed() })
	}
	return err
}

// acquainted notes that a device knows where we listen now, so that no record need
// tell it.
func (c *Chat) acquainted(device identity.DevicePublic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.knowUs[device] = true
}

// knows says whether a device acknowledged where we listen now.
func (c *Chat) knows(device identity.DevicePublic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knowUs[device]
}

// publish writes, for each device that neither knows where we listen now nor reaches us by
// relays, a record that tells it, in every period anew, until the context ends.
func (c *Chat) publish(ctx context.Context) {
	p := newPublisher(time.Now())
	timer := time.NewTimer(publishAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		if starting := p.begun.Add(publishStart).Sub(now); starting > 0 {
			timer.Reset(starting)
		} else {
			timer.Reset(tidyEvery)
		}
		strangers, err := c.strangersToOurAddress(ctx)
		if err != nil {
			c.log.Error("records cannot be written", "err", err)
			continue
		}
		var due []identity.DevicePublic
		for _, s := range strangers {
			if p.due(s, now) {
				due = append(due, s.device)
			}
		}
		if len(due) == 0 {
			continue
		}
		record, err := c.record(ctx)
		if err != nil {
			c.log.Error("records cannot be written", "err", err)
			continue
		}
		for _, device := range c.putRecords(ctx, record, due) {
			p.wrote(device, now)
		}
	}
}

// publisher knows when records are due.
type publisher struct {
	begun   time.Time
	jitter  time.Duration
	written map[identity.DevicePublic]rendezvous.Time
	served  map[identity.DevicePublic]time.Time // when relays that it knows served last
	seldom  map[identity.DevicePublic]time.Time // when a record is due although they do
}

func newPublisher(now time.Time) *publisher {
	return &publisher{begun: now, jitter: rand.N(publishJitter), written: make(map[identity.DevicePublic]rendezvous.Time),
		served: make(map[identity.DevicePublic]time.Time), seldom: make(map[identity.DevicePublic]time.Time)}
}

// due says whether a device is to be written a record now.
func (p *publisher) due(s stranger, now time.Time) bool {
	if s.serving >= publishRelays {
		p.served[s.device] = now
	}
	if p.seldom[s.device].IsZero() {
		p.seldom[s.device] = p.begun.Add(rand.N(publishSeldom))
	}
	period := rendezvous.At(now)
	last, wrote := p.written[s.device]
	if wrote && (last == period || last+1 == period && now.Sub(period.Start()) < p.jitter) {
		return false
	}
	starting := s.relays >= publishRelays && now.Sub(p.begun) < publishStart
	reached := starting || now.Sub(p.served[s.device]) < publishGrace
	return !reached || !now.Before(p.seldom[s.device])
}

func (p *publisher) wrote(device identity.DevicePublic, now time.Time) {
	p.written[device], p.seldom[device] = rendezvous.At(now), now.Add(publishSeldom)
}

// stranger is a device that does not know where we listen now.
type stranger struct {
	device          identity.DevicePublic
	relays, serving int // at which it can leave us something, and those of them that serve us
}

// strangersToOurAddress are the devices that do not know where we listen now, as far
// as we know: they did not acknowledge it and are not connected.
func (c *Chat) strangersToOurAddress(ctx context.Context) (list []stranger, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		devices, err := tx.AllDevices()
		if err != nil {
			return err
		}
		for _, d := range devices {
			if ok, err := isServed(tx, d.Device); err != nil {
				return err
			} else if !ok || c.hasOurAddress(d.Device) {
				continue
			}
			relays, err := knownRelays(tx, d.Device)
			if err != nil {
				return err
			}
			s := stranger{device: d.Device, relays: len(relays)}
			for _, r := range relays {
				if c.serves(r).well && c.choice.failing(r) == "" {
					s.serving++
				}
			}
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// knownRelays are the relays of ours at which a device can leave us something, as it told us by
// acknowledging its queues there. Those that it was told of in the first message of all count once
// nothing waits for it that is as old.
func knownRelays(tx *store.Tx, device identity.DevicePublic) (list []store.PeerID, err error) {
	queues, err := tx.OwnQueuesFor(device)
	if err != nil {
		return nil, err
	}
	waits, err := tx.WaitsSince(device)
	if err != nil {
		return nil, err
	}
	first := int64(0)
	for _, q := range queues {
		if q.Version > 0 && (first == 0 || q.Version < first) {
			first = q.Version
		}
	}
	for _, q := range queues {
		introduced := q.Version == first && first > 0 && (waits.IsZero() || waits.UnixMilli() > first)
		open := q.OpenedUntil != store.Shut && q.OpenedUntil > q.Epoch0 && time.Now().Before(queueEnd(q))
		if (introduced || !q.Acknowledged.IsZero()) && open && q.Leaving.IsZero() && !slices.Contains(list, q.Relay) {
			list = append(list, q.Relay)
		}
	}
	return list, nil
}

// hasOurAddress says whether a device acknowledged where we listen now, or is connected.
func (c *Chat) hasOurAddress(d identity.DevicePublic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.couriers[d]
	return c.knowUs[d] || k != nil && k.isConnected()
}

// record is what contacts are told: where we listen and which relays keep our mail.
func (c *Chat) record(ctx context.Context) (r rendezvous.Content, err error) {
	r.Device = peer.AddrInfo{ID: c.node.Host().ID(), Addrs: multiaddrs(c.presence().Addrs)}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		relays, err := tx.UsualRelays()
		for _, at := range relays {
			if at.Removed.IsZero() {
				r.Relays = append(r.Relays, peer.AddrInfo{ID: peer.ID(at.Peer), Addrs: multiaddrs(at.Addrs)})
			}
		}
		return err
	})
	return r.Fit(), err
}

// putRecords writes records for devices, some at a time, and returns for which it
// succeeded.
func (c *Chat) putRecords(ctx context.Context, record rendezvous.Content, devices []identity.DevicePublic) (done []identity.DevicePublic) {
	var mu sync.Mutex
	var putting sync.WaitGroup
	room := make(chan struct{}, publishers)
	for _, d := range devices {
		room <- struct{}{}
		putting.Go(func() {
			defer func() { <-room }()
			if err := c.putRecord(ctx, record, d); err != nil {
				c.log.Debug("a record was not written", "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, d)
		})
	}
	putting.Wait()
	return done
}

// putRecord writes a record under each seed by which a device may look for us.
func (c *Chat) putRecord(ctx context.Context, record rendezvous.Content, device identity.DevicePublic) error {
	var seeds []store.OwnSeed
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		seeds, err = tx.OwnSeeds(device)
		return err
	})
	if err == nil && len(seeds) == 0 {
		return errNoSession // it was given none yet
	}
	for _, s := range seeds {
		if _, e := c.finder.Publish(ctx, s.Seed, record, time.Now()); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// wayIn names peers that the DHT can start from, and measure by what others show of it.
func (c *Chat) wayIn(peers ...peer.AddrInfo) {
	if c.finder != nil {
		c.finder.AddPeers(peers...)
	}
}

// wayInByContact is wayIn for relays of a contact. With private routing these are not to see
// from where we write, and so are asked only if nobody else answers.
func (c *Chat) wayInByContact(relays ...peer.AddrInfo) {
	switch {
	case c.finder == nil:
	case c.routing != Straight:
		c.finder.AddSpares(relays...)
	default:
		c.finder.AddPeers(relays...)
	}
}

// look looks for a device that cannot be reached, in the background.
func (k *courier) look(ctx context.Context, now time.Time) {
	if at, want := k.lookAt(); !want || k.looking || at.After(now) {
		return
	}
	k.looking = true
	k.background(func() report { return report{look: true, err: k.c.find(ctx, k.device)} })
}

// lookAt says when the device is to be looked for: if there is something for it, it is
// not connected, and where it was known to listen nobody answers.
func (k *courier) lookAt() (at time.Time, want bool) {
	lost := len(k.addrs.Addrs) == 0 || k.dial.next > 0
	return k.lookout.until, k.c.finder != nil && k.onLine == nil && len(k.parcels) > 0 && lost
}

// errNoSeed says that a device gave us no seed to find it by.
var errNoSeed = errors.New("chat: the device gave no seed to find it by")

// find looks for the record by which a device tells where it listens now, and keeps
// what it says. What it says of relays is worth their addresses alone: the queues
// there come inside the session.
func (c *Chat) find(ctx context.Context, device identity.DevicePublic) error {
	var seed store.TheirSeed
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		seed, err = tx.TheirSeed(device)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return errNoSeed
	}
	if err != nil {
		return err
	}
	found, err := c.finder.Find(ctx, seed.Seed, time.Now())
	if err != nil {
		return err
	}
	c.wayInByContact(found.Relays...)
	return c.update(ctx, func(t *turn) error {
		now, err := t.TheirSeed(device)
		if err != nil || now.Seed != seed.Seed || !found.Seq.After(now.Seq) {
			return err
		}
		if err := t.SawRecord(device, found.Seq); err != nil {
			return err
		}
		for _, relay := range found.Relays {
			if err := moveQueues(t, device, relay); err != nil {
				return err
			}
		}
		t.then(func() { c.courier(device).changed() })
		return c.takePresence(t, device, found.Seq, content.Presence{Peer: []byte(found.Device.ID), Addrs: addrBytes(found.Device.Addrs)})
	})
}
