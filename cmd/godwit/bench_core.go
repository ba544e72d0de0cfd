package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
)

// Measures of the benchmarks.
const (
	benchSessionTime = 2 * time.Second // CPU time for each figure
	benchWarm        = 100             // messages before the clock starts
	benchLatency     = 500             // messages one after the other
	benchThroughput  = 5000            // messages in the window
	benchWindow      = 256             // messages without acknowledgement at any time
	benchStarts      = 3               // starts, of which the median counts
	benchContacts    = 20
	benchHistory     = 10_000 // messages in the history, or cells at the relay
	benchNodes       = 50     // of the DHT
	benchNewcomers   = 5
	benchIdle        = time.Minute
	benchLimit       = 10 * time.Minute // for one benchmark
)

func benchSession(_ context.Context, report func(figure) error) error {
	for _, f := range ratchet.Bench(benchSessionTime) {
		if err := report(figure(f)); err != nil {
			return err
		}
	}
	return nil
}

// pair starts two people who know each other, without a relay.
func pair(ctx context.Context, w *world) (anna, bob *process, err error) {
	if anna, err = w.startNode(ctx, "anna"); err != nil {
		return nil, nil, err
	}
	if bob, err = w.startNode(ctx, "bob"); err != nil {
		return nil, nil, err
	}
	return anna, bob, acquaint(ctx, anna, bob)
}

// inWorld runs f in a world of its own and shows the logs if it fails.
func inWorld(ctx context.Context, f func(context.Context, *world) error) error {
	return inWorldFor(ctx, benchLimit, f)
}

// inWorldFor is inWorld for what takes longer.
func inWorldFor(ctx context.Context, limit time.Duration, f func(context.Context, *world) error) error {
	ctx, w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %s", limit))
	defer cancel()
	err = f(limited, w)
	if err != nil {
		w.showLogs(os.Stderr)
		if limited.Err() != nil {
			err = errors.Join(err, context.Cause(limited))
		}
	}
	return errors.Join(err, w.end())
}

// flood sends n messages, as many as the window allows at a time, and returns
// once all are acknowledged.
func (p *process) flood(ctx context.Context, to string, n int) error {
	numbers := make(chan int)
	failed := make(chan error, benchWindow)
	var senders sync.WaitGroup
	for range min(n, benchWindow) {
		senders.Go(func() {
			for i := range numbers {
				if err := p.delivered(ctx, to, fmt.Sprintf("message %d of %d: a line as long as people write them", i+1, n)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case numbers <- i:
		case err = <-failed:
		}
	}
	close(numbers)
	senders.Wait()
	select {
	case late := <-failed:
		err = errors.Join(err, late)
	default:
	}
	return err
}

// benchDirect measures two nodes that are connected. Sending goes through the
// local API, as every program's does, and counts.
func benchDirect(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		anna, bob, err := pair(ctx, w)
		if err != nil {
			return err
		}
		to := bob.ready.Account
		for range benchWarm {
			if err := anna.delivered(ctx, to, "How long does this take?"); err != nil {
				return err
			}
		}
		disk, err := newDisk(filepath.Join(w.dir, "disk"))
		if err != nil {
			return err
		}
		defer disk.Close()
		// Message and bare disk take turns, so that both meet the same moods
		// of the machine.
		var times, syncs []time.Duration
		for range benchLatency {
			began := time.Now()
			if err := anna.delivered(ctx, to, "How long does this take?"); err != nil {
				return err
			}
			times = append(times, time.Since(began))
			took, err := disk.sync()
			if err != nil {
				return err
			}
			syncs = append(syncs, took)
		}
		roundTrip, err := direct.BareRoundTrip(ctx, node.Loopback, benchLatency)
		if err != nil {
			return err
		}
		latency, sync := median(times), median(syncs)
		bare := roundTrip + 2*sync
		for _, f := range []figure{
			{"direct_latency_ratio", float64(latency) / float64(bare), "ratio"},
			{"direct_latency_us", micros(latency), "us"},
			{"bare_round_trip_us", micros(roundTrip), "us"},
			{"bare_fdatasync_us", micros(sync), "us"},
			{"bare_latency_us", micros(bare), "us"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := anna.flood(ctx, to, benchThroughput); err != nil {
			return err
		}
		return report(figure{"direct_throughput", benchThroughput / time.Since(began).Seconds(), "messages/s"})
	})
}

// disk is a file whose pages are there already, so that a sync writes a page and
// nothing of the file system's own: the least that durability costs.
type disk struct {
	*os.File
	page []byte
	at   int64
}

// diskPages is the length of a disk, in pages of 4 KiB.
const diskPages = 1024

func newDisk(path string) (*disk, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	page := make([]byte, 4096)
	if _, err = f.Write(bytes.Repeat(page, diskPages)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &disk{File: f, page: page}, nil
}

// sync writes one page and has it on disk.
func (d *disk) sync() (time.Duration, error) {
	began := time.Now()
	d.at = (d.at + 1) % diskPages
	d.page[0]++
	if _, err := d.WriteAt(d.page, d.at*int64(len(d.page))); err != nil {
		return 0, err
	}
	err := dataSync(d.File)
	return time.Since(began), err
}

// benchStart measures how soon a person who comes back has what a contact, who
// is online, has for them.
func benchStart(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		anna, bob, err := pair(ctx, w)
		if err != nil {
			return err
		}
		to := bob.ready.Account
		if err := anna.delivered(ctx, to, "Hello"); err != nil {
			return err
		}
		var starts []time.Duration
		for i := range benchStarts {
			if err := bob.stop(); err != nil {
				return err
			}
			text := fmt.Sprintf("Back already? %d", i)
			if _, err := anna.client.Send(ctx, api.SendRequest{Contact: to, Text: text}); err != nil {
				return err
			}
			began := time.Now()
			if bob, err = w.startNode(ctx, "bob"); err != nil {
				return err
			}
			if err := bob.has(ctx, anna.ready.Account, text); err != nil {
				return err
			}
			starts = append(starts, time.Since(began))
		}
		return report(figure{"start_online_seconds", median(starts).Seconds(), "s"})
	})
}

// benchMemory measures what a node and a relay hold in memory when nothing
// happens. The contacts come one after the other and are away when it is
// measured; the node is not started anew in between.
func benchMemory(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		anna, err := w.startNode(ctx, "anna")
		if err != nil {
			return err
		}
		for i := range benchContacts {
			friend, err := w.startNode(ctx, fmt.Sprintf("friend%d", i+1))
			if err != nil {
				return err
			}
			if err := acquaint(ctx, anna, friend); err != nil {
				return err
			}
			if err := anna.flood(ctx, friend.ready.Account, benchHistory/benchContacts); err != nil {
				return err
			}
			if err := friend.stop(); err != nil {
				return err
			}
		}
		relay, err := w.startRelay(ctx, "relay")
		if err != nil {
			return err
		}
		if err := fillRelay(ctx, relay, benchHistory); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(benchIdle):
		}
		for _, m := range []struct {
			name string
			p    *process
		}{{"node_rss_mib", anna}, {"relay_rss_mib", relay}} {
			rss, err := residentMiB(m.p.cmd.Process.Pid)
			if err != nil {
				return err
			}
			if err := report(figure{m.name, rss, "MiB"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// benchFind measures how soon a contact's record is found by members of a DHT, and how
// soon by somebody who has just come to it.
func benchFind(ctx context.Context, report func(figure) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, benchLimit, fmt.Errorf("not done after %s", benchLimit))
	defer cancel()
	finds, err := dht.MeasureFinds(ctx, benchNodes, benchNodes/5, benchNewcomers)
	if err != nil {
		return err
	}
	slices.Sort(finds.Members)
	n := len(finds.Members)
	for _, f := range []figure{
		{"find_seconds_p50", finds.Members[n/2].Seconds(), "s"},
		{"find_seconds_p99", finds.Members[min(n*99/100, n-1)].Seconds(), "s"},
		{"find_lookups", float64(n), "look-ups"},
		{"find_newcomer_seconds_p50", median(finds.Newcomers).Seconds(), "s"},
	} {
		if err := report(f); err != nil {
			return err
		}
	}
	return nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
