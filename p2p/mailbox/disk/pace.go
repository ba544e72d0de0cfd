package disk

import (
	"context"
	"math"
	"sync"
	"time"
)

const (
	// workTime is how long the collector works in one go. It is less than Go's own turns of 10 ms,
	// for which those who deposit would have to wait several times on their way.
	workTime = 2 * time.Millisecond
	// restShare is how many times as long it rests then, so that its work, which comes at once
	// when a round begins, is spread over the time until the next.
	restShare = 4
	// calm is how long a Commit may take without the collector making way.
	calm = 20 * time.Millisecond
	// forget is how long it takes until a slow Commit counts half as slow.
	forget = 250 * time.Millisecond
	// longestRest bounds what space waits for: 256 KiB a second are moved, or two
	// milliseconds' worth are read, however slow the disk is.
	longestRest = time.Second
)

// pace is by what the collector makes way for those who wait for the disk: how long Commits
// took lately.
type pace struct {
	mu   sync.Mutex
	slow time.Duration // the slowest Commit, counting half of it each time forget goes by
	at   time.Time     // when that was so
}

// lately is how slow Commits are by now. The lock is held.
func (p *pace) lately(now time.Time) time.Duration {
	return time.Duration(float64(p.slow) * math.Exp2(-float64(now.Sub(p.at))/float64(forget)))
}

// took counts a Commit that ends now.
func (p *pace) took(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow, p.at = max(d, p.lately(now)), now
}

// rest is how long to rest now after some work: longer than its share until slow Commits are
// forgotten, unless there is a hurry because space runs out, when it is as long as the work was.
func (p *pace) rest(worked time.Duration, hurry bool, now time.Time) time.Duration {
	if hurry {
		return min(worked, longestRest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := restShare * worked
	if slow := p.lately(now); slow > calm {
		rest = max(rest, time.Duration(float64(forget)*math.Log2(float64(slow)/float64(calm))))
	}
	return min(rest, longestRest)
}

// shift is the collector's work since it last rested.
type shift struct {
	store *Store
	began time.Time
}

// pause rests if it is time to. Its error is the context's.
func (w *shift) pause(ctx context.Context) error {
	now := time.Now()
	worked := now.Sub(w.began)
	if worked < workTime {
		return nil
	}
	rest := time.NewTimer(w.store.pace.rest(worked, w.store.nearlyFull(), now))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-rest.C:
		w.began = time.Now()
		return nil
	}
}
