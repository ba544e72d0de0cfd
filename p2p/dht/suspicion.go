package dht

import (
	"math"
	"sync"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Alarm is the suspicion from which on a lookup is taken to be surrounded. Honest
// lookups stay below 4 but for one in ten thousand; 20 Sybils nearer than any honest
// peer make 15 and more. The room between bears an estimate of the DHT's size
// that is wrong by a factor of four.
const Alarm = 8

const (
	suspectsKept = 64
	suspectsLife = time.Hour
)

// A Suspicion says how improbable it is that the peers which answered are so near to
// a key by chance: Digits is -log10 of that probability, for the worst prefix
// of the at most 20 nearest, allowing for the choice among them. Ids of honest peers lie at
// random; who wants to decide what is found under a key makes ids that lie near it.
//
// It is 0 while the size of the DHT is not known: kad-dht estimates it from its
// lookups of random keys, once it has seen 20 peers at once. It sees only peers that crowd
// round a key, not an attacker who has most peers everywhere (whose crowd makes the
// DHT look larger), nor one who answers alone and hides all others.
type Suspicion struct {
	Key    string // of the record or announcement; empty: our own place
	Digits float64
	At     time.Time
}

// suspects are the latest suspicions.
type suspects struct {
	mu   sync.Mutex
	last []Suspicion
}

func (s *suspects) add(x Suspicion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) >= suspectsKept {
		// The weakest makes room, so that no flood of harmless ones hides one.
		weakest := 0
		for i, o := range s.last {
			if o.Digits < s.last[weakest].Digits || o.At.Before(x.At.Add(-suspectsLife)) {
				weakest = i
			}
		}
		s.last[weakest] = x
		return
	}
	s.last = append(s.last, x)
}

func (s *suspects) highest() (digits float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.last {
		if time.Since(x.At) < suspectsLife {
			digits = max(digits, x.Digits)
		}
	}
	return digits
}

// size is the estimated number of servers, 0 if that is not known.
func (d *DHT) size() int {
	n, err := d.kad.NetworkSize()
	if err != nil || n < bucketSize {
		return 0
	}
	return int(n)
}

// suspect reckons the suspicion of a lookup by who answered, and tells it.
func (d *DHT) suspect(key string, answered []peer.ID) float64 {
	return d.judge(key, kb.ConvertKey(key), answered)
}

// suspectSelf reckons it for our own place, by the routing table.
func (d *DHT) suspectSelf() {
	self := kb.ConvertPeerID(d.host.ID())
	d.judge("", self, d.kad.RoutingTable().NearestPeers(self, bucketSize))
}

func (d *DHT) judge(key string, at kb.ID, near []peer.ID) float64 {
	x := Suspicion{Key: key, Digits: digits(at, cut(near, bucketSize), d.size()), At: time.Now()}
	if x.Digits == 0 {
		return 0
	}
	d.suspects.add(x)
	if x.Digits >= Alarm && d.cfg.Suspect != nil {
		d.cfg.Suspect(x)
	}
	return x.Digits
}

// digits is Suspicion.Digits for peers sorted by their distance to a key. Of n ids at
// random, the number within a part x of all distances is near to a Poisson
// variable of mean n·x, and a little less spread, which errs towards calm.
// (Sridhar et al., "Content Censorship in the InterPlanetary File System", NDSS 2024,
// compare the same distances as a whole.)
func digits(key kb.ID, near []peer.ID, size int) float64 {
	if size == 0 || len(near) == 0 {
		return 0
	}
	worst := 0.0
	for i, p := range near {
		worst = max(worst, -poissonTail(i+1, float64(size)*part(key, kb.ConvertPeerID(p))))
	}
	return max(0, worst-math.Log10(float64(len(near))))
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
