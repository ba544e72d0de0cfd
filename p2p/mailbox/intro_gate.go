package mailbox

import (
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Bounds on the proofs of work that a relay looks at (section 3).
const (
	streamProofs, streamRate = 16, 1.0 / 4    // per stream: at once, then per second
	groupProofs, groupRate   = 32, 1.0 / 2    // per group of addresses
	relayProofs, relayRate   = 64, 16.0       // in all
	waitingProofs            = 32             // for one of the few checked at once
	maxGroups                = 4096           // groups remembered, some 300 KiB
	loadWindow               = time.Minute    // over which the load is reckoned
	easyLoad                 = 60             // proofs in it that ask for no more work
	pendingStep              = IntroCells / 4 // cells pending that ask for a bit more
)

// introGate bounds what proofs of work may cost a relay, and says how much work
// is asked for.
type introGate struct {
	least uint8
	turns chan struct{} // one for each Argon2id at once

	mu      sync.Mutex
	all     bucket
	groups  map[netip.Prefix]bucket
	swept   time.Time
	waiting int
	load    float64 // proofs looked at, fading with loadWindow
	loadAt  time.Time
}

func newIntroGate(least uint8) *introGate {
	// Half the cores at most, so that deposits go on, and never more than 4
	// times introMemory.
	return &introGate{least: least, turns: make(chan struct{}, min(max(runtime.GOMAXPROCS(0)/2, 1), 4)), groups: make(map[netip.Prefix]bucket)}
}

// work is how many bits are asked for a queue: more the more is pending in it, and the
// more came to the relay lately.
func (g *introGate) work(pending int, now time.Time) uint8 {
	g.mu.Lock()
	defer g.mu.Unlock()
	bits := int(g.least) + min(pending/pendingStep, 4)
	for load := g.faded(now); load >= easyLoad && bits < loadWork; load /= 2 {
		bits++
	}
	return uint8(min(bits, max(loadWork, int(g.least))))
}

// faded is the load now. The lock is held.
func (g *introGate) faded(now time.Time) float64 {
	if left := 1 - now.Sub(g.loadAt).Seconds()/loadWindow.Seconds(); left < 1 {
		return g.load * max(left, 0)
	}
	return g.load
}

// enter admits a proof to be checked; check must follow. The smaller pays first, so that nobody
// can use up what is meant for all by asking in vain. Errors are ErrTooMany and ErrTryLater.
func (g *introGate) enter(stream *bucket, group netip.Prefix, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !stream.take(streamProofs, streamRate, now) {
		return ErrTooMany
	}
	if _, known := g.groups[group]; !known && len(g.groups) >= maxGroups {
		g.sweep(now)
		if len(g.groups) >= maxGroups {
			group = netip.Prefix{} // newcomers share one
		}
	}
	b := g.groups[group]
	ok := b.take(groupProofs, groupRate, now)
	g.groups[group] = b
	if !ok {
		return ErrTooMany
	}
	if g.waiting >= waitingProofs || !g.all.take(relayProofs, relayRate, now) {
		return ErrTryLater
	}
	g.waiting++
	g.load, g.loadAt = g.faded(now)+1, now
	return nil
}

// sweep forgets the groups that owe nothing; to look once a second is enough.
func (g *introGate) sweep(now time.Time) {
	if d := now.Sub(g.swept); d >= 0 && d < time.Second {
		return
	}
	g.swept = now
	for k, b := range g.groups {
		if b.full(groupRate, now) {
			delete(g.groups, k)
		}
	}
}

// check does the Argon2id of a proof when it is its turn. It waits for fewer than
// waitingProofs others, so for less than a second.
func (g *introGate) check(salt [32]byte, try [8]byte, work uint8) bool {
	g.turns <- struct{}{}
	ok := tried(salt, try) >= int(work)
	<-g.turns
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	return ok
}

// bucket is a token bucket; the zero one is full.
type bucket struct {
	spent float64
	at    time.Time // when spent was counted
}

func (b *bucket) take(burst, rate float64, now time.Time) bool {
	// A clock set back fills nothing.
	b.spent, b.at = max(0, b.spent-rate*max(0, now.Sub(b.at).Seconds())), now
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}

func (b bucket) full(rate float64, now time.Time) bool {
	return b.spent <= rate*now.Sub(b.at).Seconds()
}
