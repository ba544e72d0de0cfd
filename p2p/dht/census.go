package dht

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// censusKeys is how many random keys one census looks up. The median of
	// four lies within a factor of 1.4 of the truth in 98 of 100.
	censusKeys = 4
	// countsKept and countsLife bound what is remembered of earlier ones: there is
	// always one, see refreshLast.
	countsKept = 12
	countsLife = 9 * time.Hour
)

// A census estimates how many servers the DHT has, from how near those are that
// answer a look-up of a random key. kad-dht has an estimate too, but makes it of
// all look-ups: there, who crowds round the keys that we look up makes the DHT seem
// larger, and the crowd less odd. Who crowds round a key that was drawn just now has ids for
// every key, and one corner of the network for most of them: see spread.
type census struct {
	sem chan struct{} // held by the one who counts; capacity 1

	mu     sync.Mutex
	counts []count
}

// count is what one look-up saw.
type count struct {
	servers float64
	at      time.Time
}

// size is the median of the counts, 0 if there is none.
func (c *census) size(now time.Time) int { return c.since(now.Add(-countsLife)) }

// since is the median of the counts after a moment.
func (c *census) since(from time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var live []float64
	for _, x := range c.counts {
		if x.at.After(from) {
			live = append(live, x.servers)
		}
	}
	if len(live) == 0 {
		return 0
	}
	slices.Sort(live)
	return int(live[len(live)/2]+live[(len(live)-1)/2]+1) / 2
}

func (c *census) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = nil
}

func (c *census) add(x count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = append(c.counts, x)
	if n := len(c.counts) - countsKept; n > 0 {
		c.counts = slices.Delete(c.counts, 0, n)
	}
}

// counted is the estimated number of servers; it takes a census if there is none yet. It
// is 0 if nobody answers, or ctx ends.
func (d *DHT) counted(ctx context.Context) int {
	if n := d.census.size(time.Now()); n > 0 {
		return n
	}
	d.takeCensus(ctx)
	return d.census.size(time.Now())
}

// takeCensus looks up random keys, which refreshes the buckets that they fall into,
// too, one of them by a path of our own, which shows whether the routing table hides
// servers from us. If somebody else does so already, it waits for that.
func (d *DHT) takeCensus(ctx context.Context) {
	select {
	case d.census.sem <- struct{}{}:
	default:
		select {
		case d.census.sem <- struct{}{}:
			<-d.census.sem
		case <-ctx.Done():
		case <-d.ctx.Done():
		}
		return
	}
	defer func() { <-d.census.sem }()
	var keys [censusKeys][32]byte
	for i := range keys {
		rand.Read(keys[i][:])
	}
	before := time.Now().Add(-time.Nanosecond)
	d.compare(ctx)
	atOnce(keys[:], func(key [32]byte) {
		at := kb.ConvertKey(string(key[:]))
		answered, closest, err := d.lookUp(ctx, string(key[:]))
		if err != nil || ctx.Err() != nil {
			return
		}
		if n := d.estimateSpread(at, answered, closest); n > 0 {
			d.census.add(count{servers: n, at: time.Now()})
		}
	})
	// What was counted earlier must not hide for hours that servers are gone.
	if n := d.census.since(before); n > 0 {
		d.alarms.sized(n, time.Now())
	}
}

// compare looks up a random key with the routing table and by a path of our own, and
// raises or ends the alarm that the one hides servers.
func (d *DHT) compare(ctx context.Context) {
	var key [32]byte
	rand.Read(key[:])
	own := d.followTold(ctx, string(key[:]))
	if len(own) == 0 {
		return
	}
	by, _, err := d.byTable(ctx, string(key[:]))
	switch {
	case err != nil || ctx.Err() != nil:
	case hides(string(key[:]), by, own):
		d.census.forget() // what was counted before is not the DHT
		d.alarms.raise(Alarm{Kind: Split}, time.Now())
	default:
		d.alarms.end(Split)
	}
}

// estimate is the number of servers by one look-up: of n ids at random, k lie within a
// part x of all distances if n is near (k-1)/x (the unbiased estimate of a Poisson
// rate by its k-th arrival). closest are the nearest that a look-up heard of, sorted;
// those of them count that answered. If there are no 20, they are all there is.
func estimate(at kb.ID, answered, closest []peer.ID) float64 {
	k := 0
	for _, p := range closest {
		if slices.Contains(answered, p) {
			k++
		}
	}
	if len(closest) < bucketSize {
		return float64(k)
	}
	return arrivals(at, k, closest[len(closest)-1])
}

func arrivals(at kb.ID, k int, last peer.ID) float64 {
	return float64(k-1) / part(at, kb.ConvertPeerID(last))
}

// estimateSpread is estimate without those whom spread leaves out. If it leaves out most, the crowd
// hid who else is near, and those count that answered on the way there: too few, which
// makes the crowd no less odd.
func (d *DHT) estimateSpread(at kb.ID, answered, closest []peer.ID) float64 {
	few := d.spread(closest)
	if len(few) == len(closest) {
		return estimate(at, answered, closest)
	}
	if len(few) < bucketSize/2 {
		few = cut(d.spread(answered), bucketSize)
	}
	few = slices.DeleteFunc(slices.Clone(few), func(p peer.ID) bool { return !slices.Contains(answered, p) })
	if len(few) == 0 {
		return 0
	}
	return arrivals(at, len(few), few[len(few)-1])
}
