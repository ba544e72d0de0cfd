package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	mailstore "github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream/servers"
	"github.com/godwit-im/godwit/p2p/relay"
)

// Measures of a relay for very many.
const (
	relayPeople = 2000
	relayQueues = 50 // contacts of each
	relaySettle = 5 * time.Second
	drainLimit  = time.Minute     // within which space is given back
	steadyTime  = 5 * time.Minute // how long half of full load lasts
	steadyShort = time.Minute     // how long the disk is measured alone, before that and after it, and a higher rate
	steadyWarm  = 3 * time.Second // until those who fetch have begun, and there is something to delete
	steadyFull  = 20 * time.Second
	// clusterRounds is how often relay and servers take turns: what their disks do differs from second to second.
	clusterRounds = 11
	relayMinutes  = 25 * time.Minute
	steadyDisk    = "1GiB" // so that segments are small enough to be given back meanwhile
)

// benchStock is a million cells in 100,000 queues.
func benchStock() relay.Stock { return relay.Stock{Boxes: 1000, Queues: 100, Cells: 10} }

// benchRelay measures what a relay can bear: each part in a world of its own.
func (c *cli) benchRelay(ctx context.Context, report func(figure) error) error {
	for _, part := range []func(context.Context, func(figure) error) error{benchMailbox, benchStore, c.benchSteady, benchPeople, benchFlood, benchMillion, c.benchCluster} {
		if err := part(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

// collectRarely has this process collect its garbage a tenth as often, until back is called. It stands for
// hundreds of computers, and each collection holds up all of them at once, for up to 90 ms on two
// processors: the process that is measured is another.
func collectRarely() (back func()) {
	was := debug.SetGCPercent(1000)
	return func() { debug.SetGCPercent(was) }
}

// benchCluster measures deposits at a relay whose mail three servers keep, against messages of the
// same size that the same servers take in, in a stream that is set up alike, from as many
// clients that wait for each, over a connection of its own each, as at the relay. Beside that it tells what one
// client is given that has as many messages under way over one connection, which is less work for the servers.
func (c *cli) benchCluster(ctx context.Context, report func(figure) error) error {
	binary, err := exec.LookPath(c.natsServer)
	if err != nil {
		fmt.Fprintf(c.err, "cluster_deposit_ratio is left out: %s (`make test-cluster` builds it; --nats-server says where it is)\n", err)
		return nil
	}
	defer collectRarely()()
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		cluster, err := servers.Start(ctx, binary, w.dir, 3)
		if err != nil {
			return err
		}
		defer cluster.Close()
		r, err := w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", "/ip4/127.0.0.1/tcp/0", "--store", "nats://"+strings.ReplaceAll(cluster.URL(), "nats://", ""))
		if err != nil {
			return err
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		cell := make([]byte, mailboxCell)
		rand.Read(cell) // never fails, see crypto/rand
		var publishers []func() error
		for range depositClients + 1 {
			p, err := cluster.Publisher(ctx, jetstream.StreamConfig("ground", 3))
			if err != nil {
				return err
			}
			defer p.Close()
			publishers = append(publishers, func() error { return p.Publish(context.WithoutCancel(ctx), cell) })
		}
		apart, together := publishers[1:], slices.Repeat(publishers[:1], depositClients)
		work, done, err := relay.Depositors(ctx, info, depositClients)
		if err != nil {
			return err
		}
		defer done()
		load := relay.Load{Clients: depositClients, Warm: depositWarm, Measure: depositMeasure}
		var deposits, aparts, togethers []float64
		for range clusterRounds {
			d, err := load.Run(ctx, work)
			if err != nil {
				return err
			}
			a, err := load.Run(ctx, apart)
			if err != nil {
				return err
			}
			t, err := load.Run(ctx, together)
			if err != nil {
				return err
			}
			deposits, aparts, togethers = append(deposits, d.PerSecond), append(aparts, a.PerSecond), append(togethers, t.PerSecond)
		}
		for _, all := range [][]float64{deposits, aparts, togethers} {
			slices.Sort(all)
		}
		const mid = clusterRounds / 2
		d, a, t := deposits[mid], aparts[mid], togethers[mid]
		for _, f := range []figure{
			{"cluster_deposit_ratio", d / a, "ratio"}, {"cluster_deposit_ratio_to_one_client", d / t, "ratio"},
			{"cluster_deposits", d, "deposits/s"}, {"jetstream_messages", a, "messages/s"}, {"jetstream_messages_of_one_client", t, "messages/s"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// benchStore measures the store alone, against appending the same and syncing it, by turns.
func benchStore(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		load := relay.Load{Clients: depositClients, Warm: depositWarm, Measure: depositMeasure}
		var stores, grounds []float64
		for i := range depositRounds {
			store, err := mailstore.Open(mailstore.Config{Dir: filepath.Join(w.dir, fmt.Sprint("store", i))})
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(ctx)
			var run sync.WaitGroup
			run.Go(func() { _ = store.Run(running) }) // a store of no more use says so to who deposits
			s, err := relay.DepositStore(ctx, store, load)
			stop()
			run.Wait()
			if err = errors.Join(err, store.Close()); err != nil {
				return err
			}
			g, err := relay.DepositAppend(ctx, w.dir, load)
			if err != nil {
				return err
			}
			stores, grounds = append(stores, s.PerSecond), append(grounds, g.PerSecond)
		}
		slices.Sort(stores)
		slices.Sort(grounds)
		s, g := stores[depositRounds/2], grounds[depositRounds/2]
		for _, f := range []figure{{"mailbox_store_ratio", s / g, "ratio"}, {"store_deposits", s, "deposits/s"}, {"append_deposits", g, "deposits/s"}} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// benchSteady measures how long deposits take at half of full load, while what came before
// is fetched and deleted, and its space given back; and, before and after, how long the disk alone takes to append as much. Full load is
// what the relay takes in when all of that is done as fast as it goes. Then the same, for less long, at half of what it takes in when nothing is fetched or deleted, which is more.
func (c *cli) benchSteady(ctx context.Context, report func(figure) error) error {
	defer collectRarely()()
	return inWorldFor(ctx, benchLimit+2*c.steady, func(ctx context.Context, w *world) error {
		r, err := w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", "/ip4/127.0.0.1/tcp/0", "--max-disk", steadyDisk)
		if err != nil {
			return err
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		full, err := relay.DepositMixed(ctx, info, relay.Load{Clients: depositClients, Warm: steadyWarm, Measure: steadyFull})
		if err != nil {
			return err
		}
		short := min(c.steady, steadyShort)
		settleDisk()
		before, err := relay.SteadyAppend(ctx, w.dir, short, full.PerSecond/2)
		if err != nil {
			return err
		}
		settleDisk()
		took, err := relay.Steady(ctx, info, relay.Load{Clients: depositClients, Warm: steadyWarm, Measure: c.steady}, full.PerSecond/2)
		if err != nil {
			return err
		}
		after, err := relay.SteadyAppend(ctx, w.dir, short, full.PerSecond/2)
		if err != nil {
			return err
		}
		syncs := append(before, after...)
		slices.Sort(syncs)
		alone, err := relay.Deposit(ctx, info, relay.Load{Clients: depositClients, Warm: depositWarm, Measure: depositMeasure})
		if err != nil {
			return err
		}
		more, err := relay.Steady(ctx, info, relay.Load{Clients: depositClients, Warm: steadyWarm, Measure: short}, alone.PerSecond/2)
		if err != nil {
			return err
		}
		milli := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		for _, f := range []figure{
			{"mailbox_deposit_p99_ms", milli(took[len(took)*99/100]), "ms"},
			{"mailbox_deposit_p50_ms", milli(took[len(took)/2]), "ms"},
			{"mailbox_deposit_max_ms", milli(took[len(took)-1]), "ms"},
			{"half_deposits", float64(len(took)) / c.steady.Seconds(), "deposits/s"},
			{"disk_sync_p99_ms", milli(syncs[len(syncs)*99/100]), "ms"},
			{"disk_sync_max_ms", milli(syncs[len(syncs)-1]), "ms"},
			{"half_alone_p99_ms", milli(more[len(more)*99/100]), "ms"},
			{"half_alone_deposits", float64(len(more)) / short.Seconds(), "deposits/s"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// benchPeople measures what memory a relay needs for each of those who are with it.
func benchPeople(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		r, err := w.startRelay(ctx, "relay")
		if err != nil {
			return err
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		before, err := r.settledMiB(ctx)
		if err != nil {
			return err
		}
		leave, err := relay.Meet(ctx, info, relayPeople, relayQueues)
		if err != nil {
			return err
		}
		defer leave()
		after, err := r.settledMiB(ctx)
		if err != nil {
			return err
		}
		for _, f := range []figure{
			{"relay_people_per_gib", 1024 * relayPeople / (after - before), "people/GiB"},
			{"relay_without_people_mib", before, "MiB"},
			{"relay_2000_people_mib", after, "MiB"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// settledMiB is a process's resident memory after it was left alone for a while.
func (p *process) settledMiB(ctx context.Context) (float64, error) {
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(relaySettle):
	}
	return residentMiB(p.cmd.Process.Pid)
}

// benchMillion stocks a store, kills its process, has a relay open it, and fetches and deletes all.
func benchMillion(ctx context.Context, report func(figure) error) error {
	return inWorldFor(ctx, relayMinutes, func(ctx context.Context, w *world) error {
		dir, stock := filepath.Join(w.dir, "relay"), benchStock()
		filler, err := w.start(ctx, "filler", "bench", "fill-store", filepath.Join(dir, "mail"))
		if err != nil {
			return err
		}
		filled, err := filler.settledMiB(ctx)
		if err != nil {
			return err
		}
		if err := filler.kill(); err != nil {
			return err
		}
		began := time.Now()
		r, err := w.startRelay(ctx, "relay")
		if err != nil {
			return err
		}
		reopened := time.Since(began)
		opened, err := r.settledMiB(ctx)
		if err != nil {
			return err
		}
		for _, f := range []figure{
			{"mailbox_million_rss_mib", max(filled, opened), "MiB"},
			{"million_filled_mib", filled, "MiB"},
			{"million_opened_mib", opened, "MiB"},
			{"mailbox_million_reopen_s", reopened.Seconds(), "s"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		if err := relay.Drain(ctx, info, stock); err != nil {
			return err
		}
		began = time.Now()
		used, all := 0.0, float64(stock.Total()*mailboxCell)
		err = until(ctx, func() (bool, error) {
			n, err := bytesIn(dir)
			used = float64(n)
			return used <= all/100 || time.Since(began) > drainLimit, err
		})
		if err != nil {
			return err
		}
		for _, f := range []figure{{"mailbox_space_after_drain", used / all, "ratio"}, {"space_drain_s", time.Since(began).Seconds(), "s"}} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// mailboxCell is the size of the cells of a stock, in bytes.
const mailboxCell = 4 << 10

// bytesIn is what the files below a directory take. Those that go meanwhile take nothing.
func bytesIn(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return n, err
}

// fillStoreCommand stocks a store in a process of its own, for benchMillion alone.
func (c *cli) fillStoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "fill-store DIR",
		Short:  "Stock a relay's store for a benchmark",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			store, err := mailstore.Open(mailstore.Config{Dir: args[0]})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			if err := relay.FillStore(cmd.Context(), store, benchStock()); err != nil {
				return err
			}
			e := api.Event{Event: api.EventReady, At: api.Time{Time: time.Now()}}
			if err := c.result(e, func(w io.Writer) { (&cli{}).humanEvent(w, e) }); err != nil {
				return err
			}
			return store.Run(cmd.Context())
		},
	}
}
