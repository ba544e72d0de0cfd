package chat

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/direct"
)

// The rhythm of delivery (network.md, "Kept").
const (
	// directPatience is how long a direct delivery may go without an
	// acknowledgement before the message is left at relays too.
	directPatience = 5 * time.Second
	// dialPatience is how long messages are held back while a device is being
	// called: one that is there answers sooner.
	dialPatience = 500 * time.Millisecond
	// window is how many messages for one device are in memory at once; the
	// rest wait in the outbox. The outbox is read again below half of it.
	window = 512
	// windows bounds, in windows, what is in memory with what relays keep, and windowsBytes
	// in bytes. rowsAtOnce is how many rows are read in a go.
	windows, windowsBytes = 16, 64 << 20
	rowsAtOnce            = 128
	// A device that did not answer is dialled again after dialFirst, then
	// after ever longer pauses up to dialLast; up to dialSeldom while relays keep all
	// that there is for it, which it collects whenever it comes.
	dialFirst, dialLast, dialSeldom = time.Second, 5 * time.Minute, 30 * time.Minute
	// A connection that ended within lineHeld, and on which nothing was acknowledged, is as good
	// as none.
	lineHeld = time.Minute
	// The same for a relay that could not be reached or refused.
	relayFirst, relayLast = time.Second, 10 * time.Minute
	// The same for a connected device that has no room for what came.
	fullFirst, fullLast = time.Second, time.Minute
	// renewBefore is how long before its receipt ends a deposit is made anew,
	// or half its time if that is less; but not within renewPause of it: a
	// relay may keep things for a moment only, or have a clock of its own.
	renewBefore, renewPause = 48 * time.Hour, 10 * time.Minute
	// roundTime bounds a round of deposits at one relay.
	roundTime = time.Minute
	// putsAtOnce is how many deposits are under way at one relay.
	putsAtOnce = 128
	// presenceTTL is how long a relay keeps a presence: the address is stale soon. It is
	// left at one relay; at another too if that does not answer within presencePatience.
	presenceTTL, presencePatience = time.Hour, 5 * time.Second
	// keptEnough and keptWanted are the receipts that make a message *kept*
	// (fewer if the recipient named fewer relays) and that there should be.
	keptEnough, keptWanted = 2, 3
)

// courier brings what the outbox holds for one device to it: over the direct
// connection while there is one, else to the relays the device named. Its own
// goroutine does so; others only tell it what has changed.
type courier struct {
	c      *Chat
	device identity.DevicePublic
	wake   chan struct{} // capacity 1: something below has changed

	mu      sync.Mutex
	line    *direct.Conn
	offered []store.Outgoing  // rows that were just added to the outbox
	reload  bool              // rows, addresses or relays are not what they were
	greeted bool              // the device told where it listens
	settled map[[32]byte]bool // messages that need no further delivery
	refused map[[32]byte]bool // messages that the device did not take; true: it may later
	reports []report

	// What follows belongs to the goroutine.
	parcels  []*parcel
	newest   int64 // the newest outbox row read
	more     bool  // the outbox holds later rows
	onLine   *direct.Conn
	began    time.Time // when onLine began
	moved    time.Time // when it began, or something was last acknowledged
	useful   bool      // something was, on it
	full     pause     // of handing over, for a device that has no room now
	known    bool      // places and addrs are what the store says
	places   []place   // where the device reads
	addrs    peer.AddrInfo
	dial     pause
	dialling bool
	dialled  time.Time // when the last try to reach it began
	lookout  pause
	looking  bool
	greet    bool // dial even with nothing to deliver: the device waits for us
	depots   map[placeKey]*depot
	work     sync.WaitGroup
}

// parcel is an outbox row on its way.
type parcel struct {
	row     int64
	device  identity.DevicePublic
	wire    []byte
	hash    [32]byte
	flight  bool
	session store.SessionID
	class   store.Class
	created time.Time
	next    time.Time // not before, but see due
	expires time.Time // zero: never
	handed  time.Time // when it went out on the present line; zero: it did not
	refused bool      // there: the relays may have it at once
	kept    map[peer.ID]stay
}

func newParcel(o store.Outgoing) *parcel {
	return &parcel{
		row: o.ID, device: o.Device, wire: o.Wire, hash: *o.Hash, flight: o.Flight, session: *o.Session, class: o.Class,
		created: o.Created, next: o.Next, expires: o.Expires, kept: make(map[peer.ID]stay),
	}
}

// due is when a parcel may leave at the earliest. One that was made later than it is now
// is of a clock that was put back since; to wait for it to be right again could take years.
func (p *parcel) due(now time.Time) time.Time {
	if p.created.After(now) {
		return now
	}
	return p.next
}

// stay is the time of a copy at a relay: since our clock said, until its receipt
// says.
type stay struct {
	since, until time.Time
	evictable    bool
}

// renewal is when the copy of a parcel of a time should be deposited again.
func (s stay) renewal(created time.Time) time.Time {
	if s.evictable {
		return askAgain(s.since, created)
	}
	at, soonest := s.until.Add(-min(renewBefore, s.until.Sub(s.since)/2)), s.since.Add(renewPause)
	if at.Before(soonest) {
		return soonest
	}
	return at
}

// depot is the courier's view of one relay.
type depot struct {
	pause    pause
	way      way
	busy     bool      // a round of deposits is under way
	presence time.Time // when that began, if a presence is in it
}

// report is what a goroutine of the courier brings back.
type report struct {
	at      *place // nil: the dial, or the look-up
	look    bool   // the look-up
	results []depositResult
	via     peer.ID // the hop; empty: straight
	carried int     // bytes over the present circuit
	moved   bool    // the relay told of other hops
	err     error
}

// pause spaces tries out: doubling, with jitter so that not all who lost the
// same relay come back at the same moment.
type pause struct {
	first, last time.Duration
	next        time.Duration
	until       time.Time
}

func (p *pause) failed(now time.Time) {
	p.next = min(max(p.next*2, p.first), p.last)
	p.until = now.Add(p.next/2 + rand.N(p.next))
}

func (p *pause) reset() { p.next, p.until = 0, time.Time{} }

func newCourier(c *Chat, device identity.DevicePublic) *courier {
	return &courier{
		c: c, device: device, wake: make(chan struct{}, 1),
		reload:  true,
		settled: make(map[[32]byte]bool), refused: make(map[[32]byte]bool),
		dial: pause{first: dialFirst, last: dialLast}, lookout: pause{first: lookFirst, last: lookLast},
		full:   pause{first: fullFirst, last: fullLast},
		depots: make(map[placeKey]*depot),
	}
}

// tell changes what others may change and wakes the courier.
func (k *courier) tell(change func()) {
	k.mu.Lock()
	change()
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// offer says that a row was added to the outbox. Rows are offered in their order.
func (k *courier) offer(o store.Outgoing) { k.tell(func() { k.offered = append(k.offered, o) }) }

// changed says that what was known of the device holds no more.
func (k *courier) changed() { k.tell(func() { k.reload = true }) }

// told says that the device told where it listens now. It could not reach us
// there where it believed us, or it would have told us directly; it may have
// messages for us that it takes for kept.
func (k *courier) told() { k.tell(func() { k.reload, k.greeted = true, true }) }

func (k *courier) connected(line *direct.Conn) { k.tell(func() { k.line = line }) }

func (k *courier) disconnected(line *direct.Conn) {
	k.tell(func() {
		if k.line == line {
			k.line = nil
		}
	})
}

func (k *courier) done(hashes ...[32]byte) {
	k.tell(func() {
		for _, h := range hashes {
			k.settled[h] = true
		}
	})
}

// again says that the device did not take a message over the line, and whether it
// may yet.
func (k *courier) again(hash [32]byte, later bool) { k.tell(func() { k.refused[hash] = later }) }

// isConnected says whether the device is connected now.
func (k *courier) isConnected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.line != nil
}

// run delivers until the context ends, and waits for what it started.
func (k *courier) run(ctx context.Context) {
	defer k.work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
		next, err := k.step(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			k.c.log.Error("delivery stopped for a while", "err", err)
			next = time.Second
		}
		timer.Reset(next)
	}
}

// step does what can be done now and says when to look again at the latest.
func (k *courier) step(ctx context.Context) (time.Duration, error) {
	k.takeNews()
	if err := k.read(ctx); err != nil {
		return 0, err
	}
	now := time.Now()
	if k.onLine != nil {
		k.handOver(now)
	}
	k.call(ctx, now)
	k.look(ctx, now)
	return k.deposit(ctx, now), nil
}

// lineChanged notes that the line began or ended. Who takes calls and hangs up is not called
// more often than who does not answer.
func (k *courier) lineChanged(now time.Time) {
	switch {
	case k.onLine == nil:
	case k.useful || now.Sub(k.began) >= lineHeld:
		k.dial.reset()
		k.lookout.reset()
	case k.line == nil:
		k.dial.failed(now)
	}
	k.onLine, k.began, k.moved, k.useful = k.line, now, now, false
}

// takeNews applies what others have told since the last step.
func (k *courier) takeNews() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.line != k.onLine {
		k.lineChanged(time.Now())
		for _, p := range k.parcels {
			p.handed, p.refused = time.Time{}, false
		}
		k.full.reset()
	}
	if len(k.settled) > 0 {
		k.moved, k.useful = time.Now(), true
		k.full.reset()
		k.parcels = slices.DeleteFunc(k.parcels, func(p *parcel) bool { return k.settled[p.hash] })
		clear(k.settled)
	}
	now := time.Now()
	if len(k.refused) > 0 {
		for _, p := range k.parcels {
			later, refused := k.refused[p.hash]
			if !refused {
				continue
			}
			p.refused = true
			if later {
				p.handed = time.Time{}
				if !now.Before(k.full.until) {
					k.full.failed(now)
				}
			}
		}
		clear(k.refused)
	}
	for _, r := range k.reports {
		if r.look {
			k.looking = false
			k.lookout.last = k.seldom(lookLast, lookSeldom)
			k.lookout.failed(now) // also when it was found: not again so soon
			continue
		}
		if r.at == nil {
			k.dialling = false
			if r.err != nil {
				k.dial.last = k.seldom(dialLast, dialSeldom)
				k.dial.failed(now)
			} else if soon := now.Add(dialFirst); k.dial.until.Before(soon) {
				k.dial.until = soon // the line is told by connected
			}
			continue
		}
		d := k.depots[r.at.key()]
		d.busy, d.presence = false, time.Time{}
		if atOnce := d.way.went(k.c.routing, r, now); r.err != nil && !atOnce {
			d.pause.failed(now)
		} else {
			d.pause.reset()
		}
		k.known = k.known && !r.moved
		for _, res := range r.results {
			// The row may have been read again since the round began, or sealed anew.
			i := slices.IndexFunc(k.parcels, func(p *parcel) bool { return p.row == res.parcel.row && p.hash == res.parcel.hash })
			if res.err == nil && i >= 0 {
				k.parcels[i].kept[r.at.relay.ID] = stay{now, res.until, r.at.stranger()}
			}
		}
	}
	k.reports = k.reports[:0]
	for _, o := range k.offered {
		switch {
		case o.ID <= k.newest:
		case k.more || len(k.parcels) >= window:
			k.more = true // it is read in its turn
		default:
			k.newest = o.ID
			if o.Wire != nil {
				k.parcels = append(k.parcels, newParcel(o))
			}
		}
	}
	k.offered = nil
	k.greet, k.greeted = k.greet || k.greeted, false
	if k.reload {
		k.reload, k.more = false, true
		k.parcels, k.newest, k.known = nil, 0, false
		k.dial.reset()
		for _, d := range k.depots {
			d.pause.reset()
		}
	}
}

// seldom is the longer of two pauses if relays keep all parcels.
func (k *courier) seldom(often, seldom time.Duration) time.Duration {
	if slices.ContainsFunc(k.parcels, func(p *parcel) bool { return len(p.kept) == 0 }) {
		return often
	}
	return seldom
}

// busy is how many parcels there is something to do for: those that every relay
// keeps only wait for their device.
func (k *courier) busy() (n int) {
	for _, p := range k.parcels {
		if k.onLine != nil || slices.ContainsFunc(k.places, func(at place) bool { _, kept := p.kept[at.relay.ID]; return at.takes(p) && !kept }) || len(k.places) == 0 {
			n++
		}
	}
	return n
}

// read fetches the next rows of the outbox, and where they can go. It goes on until
// there is enough to do: nothing would wake us for what is behind that which every
// relay keeps.
func (k *courier) read(ctx context.Context) error {
	for {
		if (len(k.parcels) > 0 || k.greet) && !k.known {
			places, addrs, err := k.c.readPlaces(ctx, k.device)
			if err != nil {
				return err
			}
			rand.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] }) // so that presences do not all go to the first
			k.places, k.addrs, k.known = places, addrs, true
			for _, at := range places {
				k.c.wayInByContact(at.relay)
			}
		}
		busy := k.busy()
		if !k.more || busy >= window/2 || isMuch(k.parcels) {
			return nil
		}
		rows, last, more, err := k.c.readOutbox(ctx, k.device, k.newest, min(window-busy, rowsAtOnce))
		if err != nil {
			return err
		}
		k.newest, k.more = last, more
		k.parcels = append(k.parcels, rows...)
	}
}

// isMuch says whether so much is in memory that nothing more is to be read.
func isMuch(parcels []*parcel) bool {
	bytes := 0
	for _, p := range parcels {
		bytes += len(p.wire)
	}
	return len(parcels) >= windows*window || bytes >= windowsBytes
}

// handOver gives the line the messages that it does not have yet, as many as the
// other side takes. It does not wait: an acknowledgement makes room and wakes us.
func (k *courier) handOver(now time.Time) {
	if now.Before(k.full.until) {
		return
	}
	for _, p := range k.parcels {
		if !p.handed.IsZero() || p.flight {
			continue
		}
		room, err := k.onLine.TrySend(p.wire)
		if err != nil {
			k.c.log.Debug("a direct connection took no message", "err", err)
		}
		if err != nil || !room {
			return // the line's end is told by disconnected
		}
		p.handed = now
	}
}

// call tries to reach the device itself, in the background.
func (k *courier) call(ctx context.Context, now time.Time) {
	if at, want := k.callAt(now); !want || k.dialling || at.After(now) {
		return
	}
	k.dialling, k.dialled, k.greet = true, now, false
	k.c.log.Debug("dialling a device")
	addrs := k.addrs
	var flights []*parcel
	for _, p := range k.parcels {
		if p.flight && !p.due(now).After(now) {
			flights = append(flights, p)
		}
	}
	k.background(func() report {
		if len(flights) > 0 {
			return report{err: k.c.sendFlights(ctx, k.device, addrs, flights)}
		}
		return report{err: k.c.connect(ctx, k.device, addrs)}
	})
}

// callAt says when the device is to be called: if there is something for it that
// no line takes, or it waits for us. First flights go without one, also while there is one of another
// session, as after a second invitation.
func (k *courier) callAt(now time.Time) (at time.Time, want bool) {
	if len(k.addrs.Addrs) == 0 {
		return at, false
	}
	want = k.greet && k.onLine == nil
	for _, p := range k.parcels {
		var from time.Time // at once
		switch {
		case p.flight:
			from = p.due(now)
		case k.onLine != nil:
			continue
		}
		if !want || from.Before(at) {
			at, want = from, true
		}
	}
	if at.Before(k.dial.until) {
		at = k.dial.until
	}
	return at, want
}

// background runs a function and brings its report to takeNews.
func (k *courier) background(f func() report) {
	k.work.Add(1)
	go func() {
		defer k.work.Done()
		r := f()
		k.tell(func() { k.reports = append(k.reports, r) })
	}()
}

// deposit leaves at the device's relays what should not wait for it to come
// online, and says when to look again.
func (k *courier) deposit(ctx context.Context, now time.Time) time.Duration {
	again := time.Hour
	sooner := func(t time.Time) { again = min(again, max(t.Sub(now), time.Millisecond)) }
	if at, want := k.callAt(now); want && !k.dialling {
		sooner(at)
	}
	if at, want := k.lookAt(); want && !k.looking {
		sooner(at)
	}
	if k.onLine != nil && now.Before(k.full.until) {
		sooner(k.full.until)
	}
	usual := slices.ContainsFunc(k.places, func(at place) bool { return !at.extra })
	for _, at := range k.places {
		d := k.depots[at.key()]
		if d == nil {
			d = &depot{pause: pause{first: relayFirst, last: relayLast}}
			k.depots[at.key()] = d
		}
		if d.busy {
			continue // its report wakes us
		}
		var due []*parcel
		var presence time.Time
		for _, p := range k.parcels {
			switch when, want := k.depositAt(p, at.relay.ID, now); {
			case !want || !at.takes(p) || at.extra && p.class == store.ClassPresence && usual:
			case when.After(now):
				sooner(when)
			case p.class == store.ClassPresence && k.presenceTried().After(now):
				sooner(k.presenceTried())
			default:
				due = append(due, p)
				if p.class == store.ClassPresence {
					presence = now
				}
			}
		}
		if len(due) == 0 {
			continue
		}
		if now.Before(d.pause.until) {
			sooner(d.pause.until)
			continue
		}
		d.busy, d.presence = true, presence
		w := d.way
		k.background(func() report { return k.round(ctx, at, due, w, w.isStraight(k.c.routing, at, now)) })
	}
	return again
}

// presenceTried is when another relay should have a presence that is on its way to one.
func (k *courier) presenceTried() (at time.Time) {
	for _, d := range k.depots {
		if d.presence.After(at) {
			at = d.presence
		}
	}
	return at.Add(presencePatience)
}

// depositAt says when a parcel should go to a relay, if at all.
func (k *courier) depositAt(p *parcel, relay peer.ID, now time.Time) (at time.Time, want bool) {
	if copy, ok := p.kept[relay]; ok {
		return copy.renewal(p.created), p.class != store.ClassPresence
	}
	if p.class == store.ClassPresence && len(p.kept) > 0 {
		return at, false // one relay is enough for what is stale in an hour
	}
	switch {
	case p.due(now).After(now):
		return p.next, true
	case k.onLine != nil && p.refused:
		return now, true
	case k.onLine != nil && !p.flight && p.handed.IsZero():
		// The window is full. It moves, or the relays have to do.
		return k.moved.Add(directPatience), true
	case k.onLine != nil && !p.flight:
		return p.handed.Add(directPatience), true
	case k.dialling && k.dial.next == 0:
		// The first try since it was last connected; later ones are hope.
		return k.dialled.Add(dialPatience), true
	}
	return now, true
}

// round deposits parcels at one relay and records what came of it.
func (k *courier) round(ctx context.Context, at place, due []*parcel, w way, straight bool) report {
	done := k.c.deposit(ctx, k.device, at, due, w, straight)
	k.c.log.Debug("deposited", "count", len(done.results), "straight", straight, "err", done.err)
	if err := k.c.recordDeposits(ctx, at, due, done.results, done.err); err != nil && done.err == nil {
		done.err = err
	}
	for _, r := range done.results {
		if r.err != nil && done.err == nil {
			done.err = r.err
		}
	}
	if errors.Is(done.err, context.Canceled) {
		done.err = ctx.Err()
	}
	return done
}
