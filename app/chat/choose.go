package chat

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/node"
)

// Which relays keep our mail is chosen here, from facts alone and without a network:
//
//   - There should be three that do their work. While there are fewer, one is added
//     at once; relays given by hand that fail do not count.
//   - One that fails is replaced, the proven liar first, and not more than one in
//     pace.Change: who can make relays look bad must not be able to choose all of
//     them in a day. The new one is there before the old one goes, except that a
//     proven liar goes without, if another is left: receipts that mean nothing must
//     not make a message *kept*.
//   - A relay given by hand never goes by itself. It is said to fail, and another
//     stands beside it.
//   - With more than three that work, the one that was found last goes, once it has
//     been so for surplusAfter.
//   - Of the candidates those come first that share neither an operator nor a group of
//     addresses with those that stay, as far as that is possible; of these the oldest
//     known; of these one by lot.

const (
	// proven is how many faults within store.FaultsFor show that a relay does not keep
	// what it promises: once, it may have lost its disk.
	proven = 2
	// slowAt is what the slowest twentieth of a relay's answers takes that is too slow,
	// and fastAt what it takes again once it is not: half.
	slowAt, fastAt = 5 * time.Second, 2500 * time.Millisecond
	// samples is how many answers are looked at, and fewSamples how few say nothing.
	samples, fewSamples = store.AnswersKept, 6
	// surplusAfter is how long there may be more relays that work than are wanted.
	surplusAfter = 7 * 24 * time.Hour
)

// A Pace says how fast relays are judged. The zero value is the usual one; tests that
// cannot turn the clock hurry.
type Pace struct {
	Look   time.Duration // how often it is looked; 1 min
	List   time.Duration // how long a relay may take to tell of a cell that it promised to keep; 1 min
	Lie    time.Duration // how long a test cell lies; 1 h
	Down   time.Duration // how long a relay may not serve while we are online; 6 h
	Change time.Duration // how far apart two replacements are; 24 h
}

func (p Pace) orUsual() Pace {
	return Pace{cmp.Or(p.Look, time.Minute), cmp.Or(p.List, time.Minute), cmp.Or(p.Lie, time.Hour), cmp.Or(p.Down, 6*time.Hour), cmp.Or(p.Change, 24*time.Hour)}
}

// chosen is a relay in use, as the choice sees it.
type chosen struct {
	id    store.PeerID
	hand  bool // given by hand or by a flag
	where corner
	added time.Time
	fault problem.Code // why it should go; empty: it does its work
}

// lies says whether a fault shows that receipts of the relay mean nothing.
func lies(c problem.Code) bool {
	return c == problem.RelayLoses || c == problem.RelayForges || c == problem.RelayReturns
}

// corner is what relays should not have in common: their operator, as far as that is
// known, and the groups of their addresses.
type corner struct {
	operator string
	groups   []netip.Prefix
}

func cornerOf(operator string, addrs []ma.Multiaddr) corner {
	w := corner{operator: operator}
	for _, a := range addrs {
		if g := node.GroupOf(a); !slices.Contains(w.groups, g) {
			w.groups = append(w.groups, g)
		}
	}
	return w
}

func (w corner) shares(with corner) bool {
	return w.operator != "" && w.operator == with.operator || slices.ContainsFunc(w.groups, func(g netip.Prefix) bool { return slices.Contains(with.groups, g) })
}

// change is what is to be done about the relays in use.
type change struct {
	add   bool         // one is to be found
	drop  store.PeerID // goes when it is there; empty: none
	alone bool         // drop goes even if none is found
}

// decide says what is to be done, changed being when a relay was last replaced or
// dropped.
func decide(now, changed time.Time, pace Pace, inUse []chosen) (ch change) {
	work, count := 0, 0 // that do their work; and all but those given by hand that fail
	var worst, newest *chosen
	for i := range inUse {
		c := &inUse[i]
		if c.fault == "" {
			work++
		}
		if c.fault == "" || !c.hand {
			count++
		}
		if c.hand {
			continue
		}
		if c.fault != "" && (worst == nil || lies(c.fault) && !lies(worst.fault)) {
			worst = c
		}
		if newest == nil || !c.added.Before(newest.added) {
			newest = c
		}
	}
	ripe := func(after time.Duration) bool { return now.Sub(changed).Abs() >= after }
	switch {
	case count < keptWanted:
		ch.add = len(inUse) < maxRelays
		if worst != nil && lies(worst.fault) && work > 0 && ripe(pace.Change) {
			ch.drop, ch.alone = worst.id, true
		}
	case worst != nil && ripe(pace.Change):
		ch = change{add: work < keptWanted, drop: worst.id, alone: work >= keptWanted || lies(worst.fault) && work > 0}
	case work > keptWanted && newest != nil && ripe(surplusAfter):
		ch = change{drop: newest.id, alone: true}
	}
	return ch
}

// inOrder puts candidates in the order in which they are to be tried; those whose time
// has not come are left out.
func inOrder(now time.Time, candidates []store.Candidate, stay []chosen) []store.Candidate {
	const day = 24 * time.Hour
	list := slices.DeleteFunc(slices.Clone(candidates), func(c store.Candidate) bool {
		return c.Retry.After(now) || slices.ContainsFunc(stay, func(s chosen) bool { return s.id == c.Peer })
	})
	shared := make(map[store.PeerID]int)
	for _, c := range list {
		where := cornerOf(c.Operator, multiaddrs(c.Addrs))
		for _, s := range stay {
			if where.shares(s.where) {
				shared[c.Peer]++
			}
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b store.Candidate) int {
		return cmp.Or(cmp.Compare(shared[a.Peer], shared[b.Peer]), a.Seen.Truncate(day).Compare(b.Seen.Truncate(day)))
	})
	return list
}

// alike is how many relays share an operator or a group of addresses with another.
func alike(inUse []chosen) (n int) {
	for i, c := range inUse {
		for j, other := range inUse {
			if i != j && c.where.shares(other.where) {
				n++
				break
			}
		}
	}
	return n
}

// faultOf says why a relay should go, if it should: by the faults within
// store.FaultsFor, by how long it did not serve, and by whether it is slow.
func faultOf(faults []store.RelayFault, down time.Duration, slow bool, pace Pace) problem.Code {
	switch {
	case len(faults) >= proven:
		return problem.Code(faults[len(faults)-1].What)
	case down >= pace.Down:
		return problem.RelayGone
	case slow:
		return problem.RelaySlow
	}
	return ""
}

// slowness judges how long answers took, the newest last.
type slowness struct {
	took []time.Duration
	slow bool
}

func (s *slowness) add(d time.Duration) {
	s.took = append(s.took, d)
	s.took = s.took[max(0, len(s.took)-samples):]
	if len(s.took) < fewSamples {
		return
	}
	sorted := slices.Sorted(slices.Values(s.took))
	p95 := sorted[(len(sorted)*95+99)/100-1]
	s.slow = p95 > slowAt || s.slow && p95 > fastAt
}
