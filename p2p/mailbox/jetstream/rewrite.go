package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox/disk"
)

// A message of the stream keeps its room until the last of its cells is gone. When less than half of one is left, what is left goes
// into another message with what is left of others, in one step with their deletion. Each relay process does so: who
// comes second finds them gone.

const (
	// rewriteEvery is how often a process looks for messages to rewrite, and restRewriting how long it rests where there were none.
	rewriteEvery  = 2 * time.Second
	restRewriting = time.Minute
	// rewriteLooks bounds how many messages it looks at in the index at once, and rewriteMost how many it rewrites at once.
	rewriteLooks = 4096
	rewriteMost  = 16
	// rewriteShare is how many times as long as a step took it waits for the next one, so that deposits hardly notice.
	rewriteShare = 9
)

// rewrite rewrites messages until the context ends.
func (s *Store) rewrite(ctx context.Context) {
	var at uint64
	for rest := rewriteEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		began := time.Now()
		n, next, err := s.rewriteSome(ctx, at)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Debug("messages of the store's stream could not be rewritten", "error", err) // they are there another time
			rest = restRewriting
		case next == 0 && at == 0 && n == 0:
			rest = restRewriting
		default:
			rest = max(rewriteShare*time.Since(began), rewriteEvery/20)
		}
		at = next
	}
}

// rewriteSome rewrites some of the messages behind a place. It returns how many, and the place to go on behind: 0 when it saw the last.
func (s *Store) rewriteSome(ctx context.Context, behind uint64) (n int, next uint64, err error) {
	if s.areSilent() || s.failed() != nil {
		return 0, behind, errSilent
	}
	places, next, err := s.view.Sparse(behind, rewriteLooks)
	if err != nil {
		return 0, 0, s.fail(err)
	}
	if len(places) > rewriteMost {
		places = places[:rewriteMost]
		next = places[rewriteMost-1]
	}
	if len(places) == 0 {
		return 0, next, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	var bundles []disk.Bundle
	for _, place := range places {
		m, err := s.get(ctx, place)
		if err != nil {
			continue // deleted just now; or the server is behind, and has it the next time
		}
		bundles = append(bundles, disk.Bundle{Place: place, Blob: m.Data})
	}
	err = s.tryEnter(ctx, func() (*disk.Plan, error) { return s.view.PlanRewrite(bundles) })
	if errors.Is(err, errBehind) {
		return len(bundles), behind, s.settle(ctx) // others have come first; they are more important
	}
	return len(bundles), next, err
}
