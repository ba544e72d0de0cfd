package direct

import (
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/rate"
)

const (
	// maxUnproven and maxUnprovenGroup bound the streams whose peers proved
	// nothing (SPEC.md, section 8).
	maxUnproven      = 256
	maxUnprovenGroup = 64
)

// gate bounds what strangers may ask for, before it costs anything.
type gate struct {
	asks    rate.Groups // fetches, and hellos that prove nothing
	flights rate.Groups
	all     rate.Groups // the flights of all together, under one key

	mu       sync.Mutex
	unproven map[netip.Prefix]int
	total    int
}

func newGate(cfg Config) *gate {
	return &gate{
		asks:     rate.Groups{Limit: rate.Limit{Burst: cfg.AskBurst, PerSecond: cfg.AskRate}},
		flights:  rate.Groups{Limit: rate.Limit{Burst: cfg.FlightBurst / 2, PerSecond: cfg.FlightRate / 8}},
		all:      rate.Groups{Limit: rate.Limit{Burst: cfg.FlightBurst, PerSecond: cfg.FlightRate}},
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
func (g *gate) ask(group netip.Prefix) bool { return g.asks.Take(group, time.Now()) }

// proved gives the price of a hello back.
func (g *gate) proved(group netip.Prefix) { g.asks.Refund(group, 1) }

// flight takes the price of a flight. The group pays first, so that it cannot
// use up what is meant for all by asking in vain.
func (g *gate) flight(group netip.Prefix) bool {
	now := time.Now()
	return g.flights.Take(group, now) && g.all.Take(netip.Prefix{}, now)
}
