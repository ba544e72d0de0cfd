// Package rate bounds how often strangers may ask for something, before it costs
// anything: token buckets, one by itself or one for each group of addresses
// (node.GroupOf). The servers of p2p call it; the bounds are in their
// specifications. (golang.org/x/time/rate has no bounded map of them, and gives
// back only what was reserved.)
package rate

import (
	"net/netip"
	"sync"
	"time"
)

// A Limit is how much may be asked for: Burst at once, and then so many a second.
type Limit struct{ Burst, PerSecond float64 }

// A Bucket counts what was asked for. The zero value has asked for nothing. It is not
// safe for use by several goroutines.
type Bucket struct {
	spent float64
	at    time.Time // when spent was counted
}

// Take takes one, or nothing if the limit is reached. A clock set back gives nothing.
func (b *Bucket) Take(l Limit, now time.Time) bool { return b.TakeSome(l, 1, now) }

// TakeSome takes n, or nothing if that is more than there is.
func (b *Bucket) TakeSome(l Limit, n float64, now time.Time) bool {
	b.spent, b.at = b.Spent(l, now), now
	if b.spent+n > l.Burst {
		return false
	}
	b.spent += n
	return true
}

// Spend takes n, though that may be more than there is, and tells how long to wait until it is not.
func (b *Bucket) Spend(l Limit, n float64, now time.Time) time.Duration {
	b.spent, b.at = b.Spent(l, now)+n, now
	if over := b.spent - l.Burst; over > 0 && l.PerSecond > 0 {
		return time.Duration(over / l.PerSecond * float64(time.Second))
	}
	return 0
}

// Spent is what of that which was taken still counts.
func (b *Bucket) Spent(l Limit, now time.Time) float64 {
	return max(0, b.spent-l.PerSecond*max(0, now.Sub(b.at).Seconds()))
}

// MaxGroups is how many groups of addresses Groups remembers, in some 300 KiB. Beyond
// that newcomers share one bucket.
const MaxGroups = 4096

// Groups is a bucket for each group of addresses, safe for use by several goroutines.
// Limit is to be set before its first use, and then by SetLimit.
type Groups struct {
	Limit

	mu      sync.Mutex
	buckets map[netip.Prefix]Bucket
	swept   time.Time // when sweep last looked
}

// Take takes one from a group, or nothing if its limit is reached.
func (g *Groups) Take(group netip.Prefix, now time.Time) bool { return g.TakeSome(group, 1, now) }

// TakeSome takes n from a group, or nothing if that is more than there is.
func (g *Groups) TakeSome(group netip.Prefix, n float64, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.take(group, g.Limit, n, now)
}

// TakeWithin is TakeSome of a smaller burst than the limit's.
func (g *Groups) TakeWithin(group netip.Prefix, burst, n float64, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.take(group, Limit{min(burst, g.Burst), g.PerSecond}, n, now)
}

// take takes n from a group within a limit. The lock is held.
func (g *Groups) take(group netip.Prefix, l Limit, n float64, now time.Time) bool {
	group, b := g.bucket(group, now)
	ok := b.TakeSome(l, n, now)
	g.buckets[group] = b
	return ok
}

// Spend takes n from a group, as that of a Bucket.
func (g *Groups) Spend(group netip.Prefix, n float64, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	group, b := g.bucket(group, now)
	wait := b.Spend(g.Limit, n, now)
	g.buckets[group] = b
	return wait
}

// bucket is that of a group, and under which it is kept. The lock is held.
func (g *Groups) bucket(group netip.Prefix, now time.Time) (netip.Prefix, Bucket) {
	if g.buckets == nil {
		g.buckets = make(map[netip.Prefix]Bucket)
	}
	if _, known := g.buckets[group]; !known && len(g.buckets) >= MaxGroups {
		g.sweep(now)
		if len(g.buckets) >= MaxGroups {
			group = netip.Prefix{}
		}
	}
	return group, g.buckets[group]
}

// SetLimit changes the limit; what was taken stays taken.
func (g *Groups) SetLimit(l Limit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Limit = l
}

// Refund gives back n of what was taken from a group.
func (g *Groups) Refund(group netip.Prefix, n float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, known := g.buckets[group]; known {
		b.spent = max(0, b.spent-n)
		g.buckets[group] = b
	}
}

// Len is how many groups are remembered.
func (g *Groups) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.buckets)
}

// sweep forgets the groups that owe nothing. It looks at all of them, so once a
// second is enough.
func (g *Groups) sweep(now time.Time) {
	if d := now.Sub(g.swept); d >= 0 && d < time.Second {
		return
	}
	g.swept = now
	for group, b := range g.buckets {
		if b.Spent(g.Limit, now) == 0 {
			delete(g.buckets, group)
		}
	}
}
