package direct

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxUnproven and maxUnprovenGroup bound the streams whose peers proved
	// nothing (SPEC.md, section 8).
	maxUnproven      = 256
	maxUnprovenGroup = 64
	// maxGroups bounds the memory for groups of addresses, some 200 KiB;
	// beyond it newcomers share one budget.
	maxGroups = 4096
)

// gate bounds what strangers may ask for, before it costs anything.
type gate struct {
	asks    budget // fetches, and hellos that prove nothing
	flights budget
	all     budget // the flights of all together, under one key

	mu       sync.Mutex
	unproven map[netip.Prefix]int
	total    int
}

func newGate(cfg Config) *gate {
	return &gate{
		asks:     budget{burst: cfg.AskBurst, rate: cfg.AskRate},
		flights:  budget{burst: cfg.FlightBurst / 2, rate: cfg.FlightRate / 8},
		all:      budget{burst: cfg.FlightBurst, rate: cfg.FlightRate},
		unproven: make(map[netip.Prefix]int),
	}
}

// enter admits a stream that proved nothing; false means that there are too
// many. leave is to be called once when it proved something or ended.
func (g *gate) enter(group netip.Prefix) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= maxUnproven || g.unproven[group] >= maxUnprovenGroup {
		return nil, false
	}
	g.total++
	g.unproven[group]++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.total--
		if g.unproven[group]--; g.unproven[group] == 0 {
			delete(g.unproven, group)
		}
	}), true
}

// ask takes the price of a hello or fetch.
func (g *gate) ask(group netip.Prefix) bool { return g.asks.take(group, time.Now()) }

// proved gives the price of a hello back.
func (g *gate) proved(group netip.Prefix) { g.asks.refund(group) }

// flight takes the price of a flight. The group pays first, so that it cannot
// use up what is meant for all by asking in vain.
func (g *gate) flight(group netip.Prefix) bool {
	now := time.Now()
	return g.flights.take(group, now) && g.all.take(netip.Prefix{}, now)
}

// budget is a token bucket for each key: burst at once, rate a second.
type budget struct {
	burst, rate float64

	mu      sync.Mutex
	buckets map[netip.Prefix]bucket
	swept   time.Time // when sweep last looked
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was counted
}

func (b *budget) take(key netip.Prefix, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets == nil {
		b.buckets = make(map[netip.Prefix]bucket)
	}
	k, known := b.buckets[key]
	if !known && len(b.buckets) >= maxGroups {
		b.sweep(now)
		if len(b.buckets) >= maxGroups {
			key = netip.Prefix{}
			k, known = b.buckets[key]
		}
	}
	if !known {
		k = bucket{tokens: b.burst, at: now}
	}
	k.tokens, k.at = b.filled(k, now), now
	ok := k.tokens >= 1
	if ok {
		k.tokens--
	}
	b.buckets[key] = k
	return ok
}

// refund gives back what was taken.
func (b *budget) refund(key netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, known := b.buckets[key]; known {
		k.tokens = min(b.burst, k.tokens+1)
		b.buckets[key] = k
	}
}

// filled is what a bucket holds now. A clock set back fills nothing.
func (b *budget) filled(k bucket, now time.Time) float64 {
	return min(b.burst, k.tokens+b.rate*max(0, now.Sub(k.at).Seconds()))
}

// sweep forgets the buckets that are full again: they say nothing. It looks at
// all of them, so once a second is enough.
func (b *budget) sweep(now time.Time) {
	if d := now.Sub(b.swept); d >= 0 && d < time.Second {
		return
	}
	b.swept = now
	for key, k := range b.buckets {
		if b.filled(k, now) >= b.burst {
			delete(b.buckets, key)
		}
	}
}
