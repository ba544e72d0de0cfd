package dht

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// maxWays bounds the ways in that one round tries, and dialsAtOnce how many
	// at the same time.
	maxWays, dialsAtOnce = 64, 8
	// enough is the number of ways in that answer before a round stops, and
	// enoughOfSource the number of those of each source: neither a single one
	// decides what we see, nor who made all of one source.
	enough, enoughOfSource = 4, 2
	// Pauses between rounds while nobody answers.
	firstPause, lastPause = time.Second, 5 * time.Minute
	// restPause is between two looks at a routing table that is not empty.
	restPause = 10 * time.Second
	// The routing table is looked over by some fifteen lookups, 0.5 MiB in a DHT of 50
	// servers, which is most of what an idle node sends: first after refreshFirst, one
	// of few peers after refreshFew, then after pauses that double up to refreshLast. An
	// account needs some live peers to begin a lookup with, and every lookup brings
	// others; a relay has others look things up, and goes on as it began. kad-dht on its
	// own would do so every ten and two minutes.
	refreshFirst, refreshFew, refreshLast = time.Hour, 20 * time.Minute, 6 * time.Hour
	few                                   = 10
	// settleTime is how long the first census waits after a way in was found.
	settleTime = 3 * time.Second
	// stale is how long a failed round speaks for the next caller.
	stale = 500 * time.Millisecond
)

// entry is what is known of the ways in.
type entry struct {
	sem  chan struct{} // held by the one who tries; capacity 1
	wake chan struct{} // capacity 1: there is a new way in

	mu     sync.Mutex
	added  []peer.AddrInfo // by AddPeers
	spares []peer.AddrInfo // by AddSpares

	answered atomic.Int64 // ways in of the last round

	last time.Time // of the last round, and how it ended; under sem
	err  error
}

// AddPeers names more ways in: hints of an invitation, relays that contacts
// told. The latest 64 are kept. Run tries some of them at once, even if it knows other
// peers: what contacts told does not depend on what the DHT shows us.
func (d *DHT) AddPeers(ps ...peer.AddrInfo) {
	d.entry.mu.Lock()
	defer d.entry.mu.Unlock()
	news := false
	for _, p := range ps {
		others := slices.DeleteFunc(d.entry.added, func(o peer.AddrInfo) bool { return o.ID == p.ID })
		news = news || len(others) == len(d.entry.added)
		d.entry.added = append(others, p)
	}
	if n := len(d.entry.added) - maxWays; n > 0 {
		d.entry.added = slices.Delete(d.entry.added, 0, n)
	}
	if !news {
		return
	}
	select {
	case d.entry.wake <- struct{}{}:
	default:
	}
}

// AddSpares names ways in that are tried only when no other answers: whoever should not
// learn our address without need. The latest 64 are kept.
func (d *DHT) AddSpares(ps ...peer.AddrInfo) {
	d.entry.mu.Lock()
	defer d.entry.mu.Unlock()
	for _, p := range ps {
		d.entry.spares = append(slices.DeleteFunc(d.entry.spares, func(o peer.AddrInfo) bool { return o.ID == p.ID }), p)
	}
	if n := len(d.entry.spares) - maxWays; n > 0 {
		d.entry.spares = slices.Delete(d.entry.spares, 0, n)
	}
}

// spareWays lists them by lot.
func (d *DHT) spareWays() (ways []way) {
	d.entry.mu.Lock()
	defer d.entry.mu.Unlock()
	for _, p := range draw(slices.Clone(d.entry.spares), maxWays) {
		ways = append(ways, way{AddrInfo: p})
	}
	return ways
}

// told are those of AddPeers.
func (d *DHT) told() []peer.AddrInfo {
	d.entry.mu.Lock()
	defer d.entry.mu.Unlock()
	return slices.Clone(d.entry.added)
}

// A way in, and from which source we have it.
type way struct {
	peer.AddrInfo
	source int
}

// ways lists the ways in, each source in turn, so that none can crowd the others
// out: a poisoned cache, say.
func (d *DHT) ways() []way {
	sources := [][]peer.AddrInfo{d.told()}
	for _, s := range [][]peer.AddrInfo{d.cfg.Bootstrap, d.cfg.Listed, d.cfg.Last.Peers} {
		sources = append(sources, draw(slices.Clone(s), len(s)))
	}
	var ways []way
	seen := map[peer.ID]bool{d.host.ID(): true}
	for left := true; left && len(ways) < maxWays; {
		left = false
		for i, s := range sources {
			if len(s) == 0 {
				continue
			}
			if p := s[0]; !seen[p.ID] && len(ways) < maxWays {
				seen[p.ID] = true
				ways = append(ways, way{p, i})
			}
			sources[i], left = s[1:], true
		}
	}
	return ways
}

// A round is the dialling of ways in.
type round struct {
	done chan struct{} // closed when it is through

	mu      sync.Mutex
	reached int
	sources map[int]int // of reached, by source
	reasons []error     // why others were not
}

// dial tries ways in, some at a time, until enough have answered. It does not wait.
func (d *DHT) dial(ways []way) *round {
	r := &round{done: make(chan struct{}), sources: make(map[int]int)}
	next := make(chan way, len(ways))
	for _, w := range ways {
		next <- w
	}
	close(next)
	try := func() {
		for w := range next {
			if d.ctx.Err() == nil && !r.has(w.source) {
				// A way in is worth waiting for, unlike one peer of many.
				r.add(w.source, node.Dial(withDial(d.ctx, node.DialTimeout), d.host, d.cfg.Mode, w.AddrInfo))
			}
		}
	}
	begun := d.begin(func() {
		defer close(r.done)
		var wg sync.WaitGroup
		for range min(dialsAtOnce, len(ways)) {
			wg.Go(try)
		}
		wg.Wait()
	})
	if !begun {
		close(r.done)
	}
	return r
}

// has tells whether enough have answered, of a source too.
func (r *round) has(source int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reached >= enough && r.sources[source] >= enoughOfSource
}

func (r *round) add(source int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.reasons = append(r.reasons, err)
		return
	}
	r.reached++
	r.sources[source]++
}

// greet tries those ways in that we were told of, if few of them are in the routing
// table; it says whether there are new ones. Servers that we came upon otherwise may all
// be of one kind.
func (d *DHT) greet() bool {
	var ways []way
	in := 0
	for _, p := range d.told() {
		if d.kad.RoutingTable().Find(p.ID) != "" {
			in++
		} else if p.ID != d.host.ID() && d.host.Network().Connectedness(p.ID) != network.Connected {
			ways = append(ways, way{AddrInfo: p})
		}
	}
	if in >= enough {
		return false
	}
	r := d.dial(draw(ways, 2*enough))
	<-r.done
	return r.reached > 0
}

// Ready waits until a peer of the DHT is known, and tries the ways in if none is. The
// error wraps ErrNoPeers when all of them failed, or is the context's.
func (d *DHT) Ready(ctx context.Context) error {
	if d.in() {
		return nil
	}
	select {
	case d.entry.sem <- struct{}{}:
		defer func() { <-d.entry.sem }()
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return context.Canceled
	}
	if d.in() {
		return nil
	}
	if d.entry.err != nil && time.Since(d.entry.last) < stale {
		return d.entry.err
	}
	err := d.enter(ctx, d.ways())
	if spare := d.spareWays(); errors.Is(err, ErrNoPeers) && len(spare) > 0 {
		err = d.enter(ctx, spare)
	}
	if err == nil {
		d.refreshes.Store(0)
		d.refreshed.Store(0)
		d.refresh()
	}
	if ctx.Err() == nil { // a round that was broken off says nothing
		d.entry.last, d.entry.err = time.Now(), err
	}
	return err
}

func (d *DHT) connected() bool { return len(d.host.Network().Peers()) > 0 }

// amongStrangers says whether all whom we are connected to have told what they
// serve, and none serves the DHT.
func (d *DHT) amongStrangers() bool {
	for _, p := range d.host.Network().Peers() {
		serves, err := d.host.Peerstore().GetProtocols(p)
		if err != nil || len(serves) == 0 || slices.Contains(serves, Protocol) {
			return false
		}
	}
	return true
}

func (d *DHT) in() bool { return d.kad.RoutingTable().Size() > 0 }

// enter is one round: it dials the ways in and returns as soon as one of them
// turned out to be of the DHT; the rest goes on behind it.
func (d *DHT) enter(ctx context.Context, ways []way) error {
	if len(ways) == 0 && !d.connected() {
		return fmt.Errorf("%w: no way in is known", ErrNoPeers)
	}
	r := d.dial(ways)
	// kad-dht asks those that we are connected to whether they are of the DHT;
	// Bootstrap has it ask those that it asked before, too.
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	dialling := r.done
	var again, settled <-chan time.Time
	for !d.in() {
		select {
		case <-look.C:
			if settled != nil && d.amongStrangers() {
				return fmt.Errorf("%w: %d reached, none of them serves it", ErrNoPeers, len(d.host.Network().Peers()))
			}
		case <-dialling:
			dialling = nil
			if r.reached == 0 && !d.connected() { // somebody may have come to us
				return fmt.Errorf("%w: %d tried: %w", ErrNoPeers, len(ways), why(r.reasons))
			}
			asking := time.NewTicker(d.times.request)
			defer asking.Stop()
			last := time.NewTimer(node.DialTimeout)
			defer last.Stop()
			again, settled = asking.C, last.C
			if err := d.kad.Bootstrap(ctx); err != nil {
				return fmt.Errorf("%w: %w", ErrNoPeers, err)
			}
		case <-again:
			if err := d.kad.Bootstrap(ctx); err != nil {
				return fmt.Errorf("%w: %w", ErrNoPeers, err)
			}
		case <-settled:
			return fmt.Errorf("%w: %d reached, none of them answers it", ErrNoPeers, len(d.host.Network().Peers()))
		case <-ctx.Done():
			return ctx.Err()
		case <-d.ctx.Done():
			return context.Canceled
		}
	}
	d.begin(func() {
		<-r.done
		d.entry.answered.Store(int64(r.reached))
	})
	return nil
}

// why is one reason, for people: the first that says anything.
func why(reasons []error) error {
	for _, err := range reasons {
		if text := node.Why(err); text != "" {
			return errors.New(text)
		}
	}
	return errors.Join(cut(reasons, 1)...)
}

// stayIn finds a way in whenever there is no peer.
func (d *DHT) stayIn(ctx context.Context) {
	pause := firstPause
	for {
		wait := restPause
		if err := d.Ready(ctx); err != nil {
			// Half of it by lot, so that those who lost the same peer do not
			// come back at once.
			wait = pause/2 + rand.N(pause/2)
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
			d.refresh()
		}
		select {
		case <-ctx.Done():
			return
		case <-d.entry.wake:
			if d.in() {
				d.begin(func() {
					if d.greet() {
						d.takeCensus(d.ctx)
					}
				})
			}
		case <-time.After(wait):
		}
	}
}

// refresh takes a census, and looks over what of the routing table that left out, if it
// is due; it does not wait.
func (d *DHT) refresh() {
	last, now := d.refreshed.Load(), time.Now().Unix()
	if !d.cfg.still && now-last >= int64(d.refreshPause()/time.Second) && d.refreshed.CompareAndSwap(last, now) {
		d.refreshes.Add(1)
		d.begin(func() {
			if last == 0 {
				// Who just came in has people to look for; what they need of this
				// they wait for (counted).
				d.kad.RefreshRoutingTable()
				if rest(d.ctx, settleTime) {
					d.greet()
					d.counted(d.ctx)
				}
				return
			}
			d.greet()
			d.takeCensus(d.ctx)
			d.kad.RefreshRoutingTable()
		})
	}
}

// refreshPause is how long after the last time the routing table is looked over again.
func (d *DHT) refreshPause() time.Duration {
	first, last := refreshFirst, refreshLast
	if d.kad.RoutingTable().Size() <= few {
		first = refreshFew
	}
	if d.cfg.Relay {
		last = refreshFirst
	}
	return min(first<<min(max(d.refreshes.Load()-1, 0), 8), last)
}

// rest waits; it tells whether ctx still lives.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
