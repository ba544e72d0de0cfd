//go:build linux

package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The people and relays of a world.
const (
	anna self = 1 + iota
	bob
	carla
	dave // and the others are in TestSoak/reasons only
	erin
	gina
	hugo // a stranger
)

const (
	oak self = 11 + iota
	elm
	ash
	fox // lies
)

var (
	people = []self{anna, bob, carla}
	relays = []self{oak, elm, ash, fox}
	names  = map[self]string{anna: "anna", bob: "bob", carla: "carla", dave: "dave", erin: "erin", gina: "gina", hugo: "hugo", oak: "oak", elm: "elm", ash: "ash", fox: "fox", 0: "all"}
	// atRelays is where each one keeps their mail: at most one of three lies.
	atRelays = map[self][]self{anna: {oak, elm, fox}, bob: {fox, elm, ash}, carla: {ash, oak, elm}, dave: {oak}, gina: {oak, elm, ash}, hugo: {elm, ash, oak}}
	// private are those who leave messages by way of other relays.
	private = []self{anna, carla, hugo}
)

func (s self) String() string { return names[s] }

// slowest is how long a sync takes on a disk that is as slow as can be.
const slowest = 400 * time.Millisecond

// stormTime is how long a storm is, in which the faults of a chapter lie.
const stormTime = 25 * time.Second

// The faults.
const (
	faultKill   = "kill -9"
	faultCaught = "kill -9 in the act" // once it got or said so many bytes, on a slow disk
	faultPart   = "partition of two"
	faultAlone  = "partition of one"
	faultFreeze = "freeze"
	faultMute   = "lost answers"
	faultFull   = "full disk"
	faultSlow   = "slow disk"
	faultJump   = "clock jump"
	faultLie    = "lying relay"
	faultWipe   = "lost disk" // of a relay
)

var faults = []string{faultKill, faultCaught, faultCaught, faultPart, faultAlone, faultFreeze, faultMute, faultFull, faultSlow, faultJump, faultLie, faultWipe}

const say = "say"

// step is one thing that happens in a storm.
type step struct {
	At    time.Duration // after its beginning
	Do    string        // say, or a fault
	Who   self          // who says, or who it befalls
	Other self          // to whom, or the other side of a partition
	For   time.Duration // how long a fault lasts
	Off   time.Duration // how far a clock is off, or how long a sync takes
	N     int           // length of a text in bytes, or bytes before a kill
	Said  bool          // these are what it said, else what it got
	Lie   string
}

// strike is when somebody is killed.
type strike struct {
	said  bool // once they said so many bytes, else once they got them
	bytes int
	late  time.Duration // after that
	slow  time.Duration // how long a sync of theirs takes then
}

func (s step) String() string {
	return fmt.Sprintf("%6.2f s  %s %s %s for %s, %s, %d %s", s.At.Seconds(), s.Do, s.Who, s.Other, s.For, s.Off, s.N, s.Lie)
}

// chapter is a storm and what comes after it.
type chapter struct {
	steps []step
	apart bool // no two people reach each other directly
	// When the storm is over one is away while another writes and then goes; the first
	// has to find it at the relays.
	reader, writer self
	words          int           // messages that are said so
	killed         bool          // how the writer goes: else in order
	strikes        []strike      // the reader is killed again
	asked, off     time.Duration // when a stranger writes, and how soon after that he is killed
}

// schedule makes chapters, one after the other, from a seed.
type schedule struct {
	rng  *rand.Rand
	deck []string // faults that have not had their turn
}

func newSchedule(seed uint64) *schedule { return &schedule{rng: rand.New(rand.NewPCG(seed, 0))} }

// next makes a chapter. Every fault has its turn before one comes again.
func (s *schedule) next() (c chapter) {
	r := s.rng
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(r.Int64N(int64(b-a))) }
	one := func(list []self) self { return list[r.IntN(len(list))] }
	everybody := slices.Concat(people, relays)
	for range 40 + r.IntN(40) {
		at, who := between(0, stormTime), one(people)
		other := one(slices.DeleteFunc(slices.Clone(people), func(p self) bool { return p == who }))
		for range 1 + r.IntN(10)*r.IntN(2) {
			n := 10 + r.IntN(200)
			if r.IntN(12) == 0 {
				n = 1000 + r.IntN(50_000)
			}
			c.steps = append(c.steps, step{At: at, Do: say, Who: who, Other: other, N: n})
		}
	}
	for range 12 + r.IntN(8) {
		if len(s.deck) == 0 {
			s.deck = slices.Clone(faults)
			r.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
		}
		f := step{Do: s.deck[0], At: between(0, stormTime-6*time.Second), Who: one(everybody), For: between(200*time.Millisecond, 8*time.Second)}
		s.deck = s.deck[1:]
		switch f.Do {
		case faultCaught:
			f.N, f.Said = 1+r.IntN(30_000), r.IntN(2) == 0
			f.Off = time.Duration(r.IntN(3)) * 50 * time.Millisecond
		case faultPart, faultMute:
			for f.Other = f.Who; f.Other == f.Who || f.Who > carla && f.Other > carla; {
				f.Who, f.Other = one(everybody), one(everybody)
			}
		case faultSlow:
			f.Off = between(20*time.Millisecond, 500*time.Millisecond)
		case faultJump:
			// Less than a day, after which a gap in a conversation is passed over.
			f.Off = between(-20*time.Hour, 20*time.Hour)
			if r.IntN(2) == 0 {
				f.Off /= 1000
			}
			f.Who = one([]self{anna, bob, carla, oak, elm, ash})
		case faultLie:
			f.Who, f.Lie = fox, lies[r.IntN(len(lies))]
		case faultWipe:
			f.Who = one(relays)
		}
		c.steps = append(c.steps, f)
	}
	slices.SortStableFunc(c.steps, func(a, b step) int { return int(a.At - b.At) })
	c.apart = r.IntN(2) == 0
	turn := r.Perm(len(people))
	c.reader, c.writer, c.words, c.killed = people[turn[0]], people[turn[1]], 5+r.IntN(20), r.IntN(2) == 0
	// While it waits for a slow disk to have what three relays gave, nothing may be acknowledged.
	c.strikes = []strike{{bytes: 20_000 + r.IntN(60_000), late: between(0, slowest), slow: slowest}}
	for range r.IntN(4) {
		c.strikes = append(c.strikes, strike{said: r.IntN(2) == 0, bytes: 1 + r.IntN(60_000), slow: time.Duration(r.IntN(3)) * 50 * time.Millisecond})
	}
	c.asked, c.off = between(0, stormTime/2), between(0, 4*time.Second)
	return c
}

// The schedule follows from the seed alone, and leaves no fault out.
func TestSchedule(t *testing.T) {
	for seed := range uint64(50) {
		a, b := newSchedule(seed), newSchedule(seed)
		had := map[string]int{}
		for range 3 {
			one, other := a.next(), b.next()
			if !slices.Equal(one.steps, other.steps) || one.reader != other.reader || one.writer != other.writer || one.words != other.words || !slices.Equal(one.strikes, other.strikes) {
				t.Fatalf("seed %d has two schedules", seed)
			}
			for _, s := range one.steps {
				had[s.Do]++
				if s.At > stormTime || s.Do == say && s.Who == s.Other || s.Do == faultJump && s.Off.Abs() >= 24*time.Hour {
					t.Errorf("seed %d: %s", seed, s)
				}
			}
		}
		for _, f := range faults {
			if had[f] == 0 {
				t.Errorf("seed %d: no %s in three chapters", seed, f)
			}
		}
	}
	if slices.Equal(newSchedule(1).next().steps, newSchedule(2).next().steps) {
		t.Error("two seeds have one schedule")
	}
}
