package dht

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A suspicion is how improbable it is that the peers which answered are so near to
// a key by chance: -log10 of that probability, for the worst prefix
// of the at most 20 nearest, allowing for the choice among them. Ids of honest peers lie at
// random; who wants to decide what is found under a key makes ids that lie near it.
//
// It is 0 while the size of the DHT is not known, and where there are fewer than 20
// servers. It sees only peers that crowd round a key, not an attacker who has most
// peers everywhere (whose crowd makes the DHT look larger), nor one who answers
// alone and hides all others.
//
// The two bounds: from wary on, a record is put and looked for in the whole region
// of its key, which costs some hundred requests. From alarming on, people are told. Of
// honest look-ups, with the size estimated by one census, one in 5,000 makes us wary,
// and fewer than one in 100,000 is an alarm (TestFalseAlarms).
const (
	wary     = 4
	alarming = 6
)

// An AlarmKind says what is wrong.
type AlarmKind string

const (
	// Crowd: peers stand too near to a key that we looked up, or to our own
	// place: somebody may be hiding what lies there.
	Crowd AlarmKind = "crowd"
	// Shrunk: what is seen of the DHT is far smaller than it was lately. Either most
	// servers are gone, or our ways in show us one of their own.
	Shrunk AlarmKind = "shrunk"
	// Split: the relays that contacts told us of lead to servers that those whom we
	// found otherwise do not. One of the two sides hides the rest of the DHT. All
	// lookups go to both, as long as this lasts.
	Split AlarmKind = "split"
)

// An Alarm is a reason to think that somebody decides what the DHT lets us find.
type Alarm struct {
	Kind        AlarmKind
	Since, Last time.Time // when it was seen first and last
	Digits      float64   // Crowd: the highest suspicion
	Now, Before int       // Shrunk: how many servers it has, and had
}

const (
	// alarmLife is how long an alarm stays after it was seen last: as long as a
	// record may lie hidden.
	alarmLife = 12 * time.Hour
	// A DHT is shrunk if it has less than a quarter of the servers of the last
	// week, and had at least 40: an estimate is good to a factor of 1.4.
	shrunkTo, shrunkFrom = 4, 40
	sizeLife             = 7 * 24 * time.Hour
)

// alarms are those that are live.
type alarms struct {
	tell func(Alarm)

	mu      sync.Mutex
	list    []Alarm
	largest Memory // the largest size of the last week; its Peers are not used
}

// raise notes an alarm and tells of it.
func (a *alarms) raise(x Alarm, now time.Time) {
	a.mu.Lock()
	a.expire(now)
	x.Since, x.Last = now, now
	i := slices.IndexFunc(a.list, func(o Alarm) bool { return o.Kind == x.Kind })
	if i < 0 {
		a.list = append(a.list, x)
	} else {
		x.Since, x.Digits = a.list[i].Since, max(x.Digits, a.list[i].Digits)
		a.list[i] = x
	}
	a.mu.Unlock()
	if a.tell != nil {
		a.tell(x)
	}
}

// expire drops what was not seen for long. The lock is held.
func (a *alarms) expire(now time.Time) {
	a.list = slices.DeleteFunc(a.list, func(x Alarm) bool { return now.Sub(x.Last) >= alarmLife })
}

func (a *alarms) live(now time.Time) []Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire(now)
	return slices.Clone(a.list)
}

// sized compares a census with the largest of the last week.
func (a *alarms) sized(n int, now time.Time) {
	a.mu.Lock()
	before := a.largest
	if n >= before.Servers || now.Sub(before.At) > sizeLife || before.At.After(now) {
		a.largest = Memory{Servers: n, At: now}
	}
	shrunk := a.largest.Servers >= shrunkFrom && n*shrunkTo < a.largest.Servers
	a.mu.Unlock()
	if shrunk {
		a.raise(Alarm{Kind: Shrunk, Now: n, Before: before.Servers}, now)
	} else {
		a.end(Shrunk) // what was missing is there again
	}
}

func (a *alarms) end(kind AlarmKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.DeleteFunc(a.list, func(x Alarm) bool { return x.Kind == kind })
}

// on tells whether an alarm of a kind is live.
func (a *alarms) on(kind AlarmKind, now time.Time) bool {
	return slices.ContainsFunc(a.live(now), func(x Alarm) bool { return x.Kind == kind })
}

// size is the largest size of the last week and when it was seen.
func (a *alarms) size() (int, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.largest.Servers, a.largest.At
}

// suspect reckons the suspicion of a lookup by who answered, and raises an alarm.
func (d *DHT) suspect(ctx context.Context, key string, answered []peer.ID) float64 {
	return d.judge(kb.ConvertKey(key), answered, d.counted(ctx))
}

// suspectSelf reckons it for our own place, by the routing table.
func (d *DHT) suspectSelf() {
	self := kb.ConvertPeerID(d.host.ID())
	d.judge(self, d.kad.RoutingTable().NearestPeers(self, bucketSize), d.census.size(time.Now()))
}

func (d *DHT) judge(at kb.ID, near []peer.ID, size int) float64 {
	x := digits(at, cut(d.spread(near), bucketSize), size)
	if first := cut(near, bucketSize); len(first) == bucketSize && 2*len(d.spread(first)) <= bucketSize {
		x = max(x, wary) // one corner of the network has most of what is near
	}
	if x >= alarming {
		d.alarms.raise(Alarm{Kind: Crowd, Digits: x}, time.Now())
	}
	return x
}

// digits is the suspicion of peers sorted by their distance to a key. Of n ids at
// random, the number within a part x of all distances is near to a Poisson
// variable of mean n·x, and a little less spread, which errs towards calm.
// (Sridhar et al., "Content Censorship in the InterPlanetary File System", NDSS 2024,
// compare the same distances as a whole, by their Kullback-Leibler divergence.)
func digits(key kb.ID, near []peer.ID, size int) float64 {
	parts := make([]float64, len(near))
	for i, p := range near {
		parts[i] = part(key, kb.ConvertPeerID(p))
	}
	return suspicion(parts, size)
}

// suspicion is that of peers at some parts of all distances, nearest first.
func suspicion(parts []float64, size int) float64 {
	if size < bucketSize || len(parts) == 0 {
		return 0
	}
	worst := 0.0
	for i, x := range parts {
		worst = max(worst, -poissonTail(i+1, float64(size)*x))
	}
	return max(0, worst-math.Log10(float64(len(parts))))
}

// part is the distance of two ids as a part of the longest, 0 to 1.
func part(a, b kb.ID) (x float64) {
	d := distance(a, b)
	for i := 15; i >= 0; i-- {
		x = (x + float64(d[i])) / 256
	}
	return x
}

// poissonTail is log10 of the probability that a Poisson variable of a mean is k or more.
func poissonTail(k int, mean float64) float64 {
	if float64(k) <= mean {
		return 0 // likelier than not, near enough
	}
	if mean == 0 {
		mean = math.SmallestNonzeroFloat64
	}
	// P = e^-m m^k/k! · (1 + m/(k+1) + m²/((k+1)(k+2)) + ...), each term smaller.
	sum, term := 1.0, 1.0
	for j := 1; term > 1e-12; j++ {
		term *= mean / float64(k+j)
		sum += term
	}
	lg, _ := math.Lgamma(float64(k) + 1)
	return (-mean + float64(k)*math.Log(mean) - lg + math.Log(sum)) / math.Ln10
}
