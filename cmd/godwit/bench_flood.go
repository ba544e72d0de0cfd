package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/relay"
)

// The flood, and those beside it. In life the flooding process has
// processors of its own; here it has what the others leave.
const (
	floodPeople = 100
	floodEvery  = time.Second // from one message of each to the next
	floodQuiet  = 20 * time.Second
	floodGrows  = 5 * time.Second  // before what is beside it is measured
	floodLength = 25 * time.Second // in which its connections begin
	floodBeside = 20 * time.Second
	newcomers   = 5
)

func benchedFlood() relay.Flood {
	return relay.Flood{Seed: 1, Connections: 10_000, Streams: 1_000, Length: floodLength}
}

// benchFlood measures how long mail takes from one to another beside a flood, against how
// long it takes without, at a relay with the bounds of one in public.
func benchFlood(ctx context.Context, report func(figure) error) error {
	defer collectRarely()()
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		r, err := w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", "/ip4/127.0.0.1/tcp/0", "--connections", "4096")
		if err != nil {
			return err
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		street, err := relay.MoveIn(ctx, info, floodPeople, relay.FromNeighbourhoods)
		if err != nil {
			return err
		}
		defer street.Close()
		idle, err := cpuTime(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		began := time.Now()
		quiet, err := street.Write(ctx, floodEvery, floodQuiet)
		if err != nil {
			return err
		}
		without := time.Since(began)
		used, err := cpuTime(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		before, err := residentMiB(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		tally := filepath.Join(w.dir, "flood.json")
		if _, err := w.start(ctx, "flood", "bench", "flooder", info.Addrs[0].String()+"/p2p/"+info.ID.String(), tally); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(floodGrows):
		}
		cpu, err := cpuTime(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		var coming sync.WaitGroup
		var worst time.Duration
		var shutOut error
		coming.Go(func() {
			for i := range newcomers {
				took, err := relay.Newcomer(ctx, info, netip.AddrFrom4([4]byte{127, 3, byte(i), 1}))
				worst, shutOut = max(worst, took), errors.Join(shutOut, err)
			}
		})
		began = time.Now()
		beside, err := street.Write(ctx, floodEvery, floodBeside)
		coming.Wait()
		if err = errors.Join(err, shutOut); err != nil {
			return err
		}
		took := time.Since(began)
		after, err := cpuTime(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		during, err := residentMiB(r.cmd.Process.Pid)
		if err != nil {
			return err
		}
		var flooded relay.Flooded
		if err := until(ctx, func() (bool, error) {
			b, err := os.ReadFile(tally)
			return err == nil && json.Unmarshal(b, &flooded) == nil, nil
		}); err != nil {
			return err
		}
		milli := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		at := func(list []time.Duration, part float64) time.Duration { return list[int(float64(len(list))*part)] }
		for _, f := range []figure{
			{"flood_latency_ratio", milli(at(beside, 0.99)) / milli(at(quiet, 0.99)), "ratio"},
			{"flood_p99_ms", milli(at(beside, 0.99)), "ms"},
			{"flood_without_p99_ms", milli(at(quiet, 0.99)), "ms"},
			{"flood_p50_ms", milli(at(beside, 0.5)), "ms"},
			{"flood_without_p50_ms", milli(at(quiet, 0.5)), "ms"},
			{"flood_messages", float64(len(beside)), "messages"},
			{"flood_newcomer_s", worst.Seconds(), "s"},
			{"flood_connections", float64(flooded.Begun), "connections"},
			{"flood_connections_per_s", float64(flooded.Begun) / floodLength.Seconds(), "connections/s"},
			{"flood_handshakes", float64(flooded.Let), "handshakes"},
			{"flood_streams_held", float64(flooded.Held), "streams"},
			{"flood_streams_held_steadily", float64(flooded.Steadily), "streams"},
			{"flood_requests", float64(flooded.Asked), "requests"},
			{"flood_relay_cores", (after - cpu).Seconds() / took.Seconds(), "cores"},
			{"flood_without_relay_cores", (used - idle).Seconds() / without.Seconds(), "cores"},
			{"flood_relay_rss_mib", during, "MiB"},
			{"flood_without_relay_rss_mib", before, "MiB"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// floodCommand is the flood in a process of its own, for benchFlood alone. It leaves what came of it
// in a file, and stays.
func (c *cli) floodCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "flooder RELAY FILE",
		Short:  "Flood a relay on loopback for a benchmark",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := peer.AddrInfoFromString(args[0])
			if err != nil {
				return err
			}
			if err := lowest(); err != nil {
				return err
			}
			e := api.Event{Event: api.EventReady, At: api.Time{Time: time.Now()}}
			if err := c.result(e, func(w io.Writer) { (&cli{}).humanEvent(w, e) }); err != nil {
				return err
			}
			flooded, err := benchedFlood().Run(cmd.Context(), *info)
			if err != nil {
				return err
			}
			b, err := json.Marshal(flooded)
			if err != nil {
				return fmt.Errorf("the flood's tally: %w", err)
			}
			if err := os.WriteFile(args[1], b, 0o600); err != nil {
				return err
			}
			<-cmd.Context().Done()
			return nil
		},
	}
}
