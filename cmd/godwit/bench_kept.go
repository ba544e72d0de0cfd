package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/p2p/relay"
)

// Measures of what relays keep and give.
const (
	keptRelays   = 4    // of which the reader has the first three, and the writers the last
	keptMessages = 200  // one after the other
	keptStarts   = 5    // of the writer, to measure the first message of each
	fetchRounds  = 5    // of which the slowest counts
	fetchWriters = 4    // a queue takes 512 cells a day
	fetchAll     = 1000 // messages in each round
)

// neighbourhood starts relays that are reached through each other.
func (w *world) neighbourhood(ctx context.Context) (relays []*process, err error) {
	var args []string
	for i := range keptRelays {
		r, err := w.start(ctx, fmt.Sprint("relay", i+1), append([]string{"relay", "--data", filepath.Join(w.dir, fmt.Sprint("relay", i+1)), "--listen", "/ip4/127.0.0.1/tcp/0"}, args...)...)
		if err != nil {
			return nil, err
		}
		if args == nil {
			args = []string{"--peer", r.ready.Addrs[0]}
		}
		relays = append(relays, r)
	}
	return relays, nil
}

// at are the flags of somebody who keeps their mail at relays, and leaves others' by way
// of relays.
func at(relays ...*process) []string {
	args := []string{"--private-routing", "on", "--listen", "/ip4/127.0.0.1/tcp/0"}
	for _, r := range relays {
		args = append(args, "--relay", r.ready.Addrs[0])
	}
	return args
}

// settled waits until nothing of anybody's waits for an acknowledgement: they know where the
// others' relays are.
func settled(ctx context.Context, people ...*process) error {
	for _, p := range people {
		err := until(ctx, func() (bool, error) {
			s, err := p.client.Status(ctx, api.StatusRequest{})
			return s.Waiting == 0, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// leaves sends a message to somebody who is away and waits for three receipts. It says when the
// third came, and whether all copies went through other relays.
func (p *process) leaves(ctx context.Context, to, text string) (took time.Duration, private bool, err error) {
	began := time.Now()
	sent, err := p.client.Send(ctx, api.SendRequest{Contact: to, Text: text, Wait: api.Kept, Timeout: api.Duration(time.Minute)})
	if err != nil {
		return 0, false, err
	}
	err = until(ctx, func() (bool, error) {
		steps, err := p.client.Trail(ctx, api.TrailRequest{ID: sent.ID})
		steps = slices.DeleteFunc(steps, func(s api.Step) bool { return s.What != api.StepDeposited })
		if err != nil || len(steps) < 3 {
			return false, err
		}
		took = steps[len(steps)-1].Time.Sub(began)
		private = !slices.ContainsFunc(steps, func(s api.Step) bool { return s.Via == "" })
		return true, nil
	})
	return took, private, err
}

// learns has somebody send until all goes through other relays: until then the ways are
// not known.
func (p *process) learns(ctx context.Context, to string) error {
	return until(ctx, func() (bool, error) {
		_, private, err := p.leaves(ctx, to, "which way?")
		return private, err
	})
}

// benchKept measures how soon a message to somebody away is kept by three relays, by way of
// others.
func benchKept(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		relays, err := w.neighbourhood(ctx)
		if err != nil {
			return err
		}
		anna, err := w.startNode(ctx, "anna", at(relays[keptRelays-1])...)
		if err != nil {
			return err
		}
		bob, err := w.startNode(ctx, "bob", at(relays[:3]...)...)
		if err != nil {
			return err
		}
		to := bob.ready.Account
		if err := acquaint(ctx, bob, anna); err != nil {
			return err
		}
		if err := settled(ctx, anna, bob); err != nil {
			return err
		}
		if err := bob.stop(); err != nil {
			return err
		}
		if err := anna.learns(ctx, to); err != nil {
			return err
		}
		measure := func() (time.Duration, error) {
			took, private, err := anna.leaves(ctx, to, "Read this when you are back.")
			if err == nil && !private {
				err = fmt.Errorf("a copy went straight")
			}
			return took, err
		}
		var each, first []time.Duration
		for range keptMessages {
			took, err := measure()
			if err != nil {
				return err
			}
			each = append(each, took)
		}
		for range keptStarts {
			if err := anna.stop(); err != nil {
				return err
			}
			if anna, err = w.startNode(ctx, "anna", at(relays[keptRelays-1])...); err != nil {
				return err
			}
			took, err := measure()
			if err != nil {
				return err
			}
			first = append(first, took)
		}
		for _, f := range []figure{
			{"kept_seconds_p50", median(each).Seconds(), "s"},
			{"kept_seconds_p95", percentile(each, 95).Seconds(), "s"},
			{"kept_first_seconds_p50", median(first).Seconds(), "s"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// benchFetch measures how soon somebody who was away has all that four others left. The week is not
// waited for: a queue takes 512 cells a day, so that a thousand messages lie in more than
// two, whether of two days or of two people.
func benchFetch(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		relays, err := w.neighbourhood(ctx)
		if err != nil {
			return err
		}
		bob, err := w.startNode(ctx, "bob", at(relays[:3]...)...)
		if err != nil {
			return err
		}
		to := bob.ready.Account
		var writers []*process
		for i := range fetchWriters {
			p, err := w.startNode(ctx, fmt.Sprint("writer", i+1), at(relays[keptRelays-1])...)
			if err == nil {
				err = acquaint(ctx, bob, p)
			}
			if err != nil {
				return err
			}
			writers = append(writers, p)
		}
		if err := settled(ctx, append(writers, bob)...); err != nil {
			return err
		}
		var rounds []time.Duration
		for round := range fetchRounds {
			if err := bob.stop(); err != nil {
				return err
			}
			last := fmt.Sprint("the last of round ", round)
			for _, p := range writers {
				if err := p.floodKept(ctx, to, fetchAll/fetchWriters-1, last); err != nil {
					return err
				}
			}
			began := time.Now()
			if bob, err = w.startNode(ctx, "bob", at(relays[:3]...)...); err != nil {
				return err
			}
			for _, p := range writers { // in order: who has the last has all
				if err := bob.has(ctx, p.ready.Account, last); err != nil {
					return err
				}
			}
			rounds = append(rounds, time.Since(began))
			if err := w.emptied(ctx, relays); err != nil {
				return err
			}
			for _, p := range writers {
				history, err := bob.client.Messages(ctx, api.MessagesRequest{Contact: p.ready.Account, Limit: 10_000})
				if want := (round + 1) * fetchAll / fetchWriters; err == nil && len(history) != want {
					err = fmt.Errorf("there are %d messages of a writer, not %d", len(history), want)
				}
				if err != nil {
					return err
				}
			}
		}
		for _, f := range []figure{
			{"fetch_seconds_p50", median(rounds).Seconds(), "s"},
			{"fetch_seconds_p95", slices.Max(rounds).Seconds(), "s"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptied waits until relays hold nothing: a queue that is still full takes nothing more.
func (w *world) emptied(ctx context.Context, relays []*process) error {
	for _, r := range relays {
		err := until(ctx, func() (bool, error) {
			socket, err := config.RelaySocket(filepath.Join(w.dir, r.name), os.Getenv)
			if err != nil {
				return false, err
			}
			s, err := relay.Status(ctx, socket)
			return s.Cells == 0, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// floodKept leaves n messages for somebody away, and then a last one, each at three relays.
func (p *process) floodKept(ctx context.Context, to string, n int, last string) error {
	for i := range n {
		_, err := p.client.Send(ctx, api.SendRequest{Contact: to, Text: fmt.Sprintf("message %d of %d: a line as long as people write them", i+1, n)})
		if err != nil {
			return err
		}
	}
	if _, _, err := p.leaves(ctx, to, last); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		history, err := p.client.Messages(ctx, api.MessagesRequest{Contact: to, Limit: n + 1})
		for _, m := range history {
			if m.Relays == nil || m.Relays.Kept < 3 {
				return false, err
			}
		}
		return true, err
	})
}

func percentile(d []time.Duration, p int) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)*p/100, len(d)-1)]
}

// benchFound measures how people and what was left for them are found.
func (c *cli) benchFound(ctx context.Context, report func(figure) error) error {
	for _, run := range []func(context.Context, func(figure) error) error{benchFind, benchKept, benchFetch, c.benchTraffic} {
		if err := run(ctx, report); err != nil {
			return err
		}
	}
	return nil
}
