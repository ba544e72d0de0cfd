package mailbox

import (
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/rate"
)

// Bounds on the proofs of work that a relay looks at (section 3).
const (
	streamProofs, streamRate = 16, 1.0 / 4    // per stream: at once, then per second
	groupProofs, groupRate   = 32, 1.0 / 2    // per group of addresses
	relayProofs, relayRate   = 64, 16.0       // in all
	waitingProofs            = 32             // for one of the few checked at once
	loadWindow               = time.Minute    // over which the load is reckoned
	easyLoad                 = 60             // proofs in it that ask for no more work
	pendingStep              = IntroCells / 4 // cells pending that ask for a bit more
)

// introGate bounds what proofs of work may cost a relay, and says how much work
// is asked for.
type introGate struct {
	turns chan struct{} // one for each Argon2id at once

	groups rate.Groups

	mu      sync.Mutex
	least   uint8 // bits
	all     rate.Bucket
	waiting int
	load    float64 // proofs looked at, fading with loadWindow
	loadAt  time.Time
}

func newIntroGate(least uint8) *introGate {
	// Half the cores at most, so that deposits go on, and never more than 4
	// times introMemory.
	return &introGate{least: least, turns: make(chan struct{}, min(max(runtime.GOMAXPROCS(0)/2, 1), 4)), groups: rate.Groups{Limit: rate.Limit{Burst: groupProofs, PerSecond: groupRate}}}
}

func (g *introGate) setLeast(bits uint8) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.least = bits
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
func (g *introGate) enter(stream *rate.Bucket, group netip.Prefix, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !stream.Take(rate.Limit{Burst: streamProofs, PerSecond: streamRate}, now) || !g.groups.Take(group, now) {
		return ErrTooMany
	}
	if g.waiting >= waitingProofs || !g.all.Take(rate.Limit{Burst: relayProofs, PerSecond: relayRate}, now) {
		return ErrTryLater
	}
	g.waiting++
	g.load, g.loadAt = g.faded(now)+1, now
	return nil
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
