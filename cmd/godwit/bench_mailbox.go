package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/relay"
)

// The load of the mailbox benchmark. Relay and bare server take turns, so that
// both meet the same moods of the machine, and the median of each counts.
const (
	depositClients = 64
	depositWarm    = 500 * time.Millisecond
	depositMeasure = 2 * time.Second
	depositRounds  = 7
)

// benchMailbox measures durable 4 KiB deposits into distinct queues at a relay,
// against a bare server that does for the same clients what no relay can leave
// out. Both are processes of their own; the clients are in this one.
func benchMailbox(ctx context.Context, report func(figure) error) error {
	defer collectRarely()()
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		bare, err := w.start(ctx, "bare", "bench", "bare-server", w.dir)
		if err != nil {
			return err
		}
		r, err := w.startRelay(ctx, "relay")
		if err != nil {
			return err
		}
		info, err := r.info()
		if err != nil {
			return err
		}
		work, done, err := relay.Depositors(ctx, info, depositClients)
		if err != nil {
			return err
		}
		defer done()
		load := relay.Load{Clients: depositClients, Warm: depositWarm, Measure: depositMeasure}
		by := func(p *process) relay.Load {
			l := load
			l.CPU = func() (time.Duration, error) { return cpuTime(p.cmd.Process.Pid) }
			return l
		}
		var deposits, bares []relay.Rate
		for range depositRounds {
			d, err := by(r).Run(ctx, work)
			if err != nil {
				return err
			}
			b, err := relay.DepositBare(ctx, bare.ready.Addrs[0], by(bare))
			if err != nil {
				return err
			}
			deposits, bares = append(deposits, d), append(bares, b)
		}
		perSecond := func(a, b relay.Rate) int { return cmp.Compare(a.PerSecond, b.PerSecond) }
		slices.SortFunc(deposits, perSecond)
		slices.SortFunc(bares, perSecond)
		d, b := deposits[depositRounds/2], bares[depositRounds/2]
		for _, f := range []figure{
			{"mailbox_deposit_ratio", d.PerSecond / b.PerSecond, "ratio"},
			{"mailbox_deposits", d.PerSecond, "deposits/s"},
			{"bare_deposits", b.PerSecond, "deposits/s"},
			{"mailbox_deposit_cpu_us", micros(d.CPU), "cpu-us"},
			{"bare_deposit_cpu_us", micros(b.CPU), "cpu-us"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// fillRelay deposits cells at a relay.
func fillRelay(ctx context.Context, r *process, cells int) error {
	info, err := r.info()
	if err != nil {
		return err
	}
	return relay.Fill(ctx, info, cells)
}

// info is where a process can be reached, by what it said when it was ready.
func (p *process) info() (peer.AddrInfo, error) {
	var addrs []ma.Multiaddr
	for _, text := range p.ready.Addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return peer.AddrInfo{}, err
		}
		addrs = append(addrs, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil || len(infos) != 1 {
		return peer.AddrInfo{}, fmt.Errorf("%s is at %v: %w", p.name, p.ready.Addrs, err)
	}
	return infos[0], nil
}

// bareServerCommand is the bare server in a process of its own, for
// benchMailbox alone.
func (c *cli) bareServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "bare-server DIR",
		Short:  "Serve the bare server of the mailbox benchmark",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return relay.ServeBare(cmd.Context(), args[0], func(addr string) {
				e := api.Event{Event: api.EventReady, At: api.Time{Time: time.Now()}, Addrs: []string{addr}}
				_ = c.result(e, func(w io.Writer) { (&cli{}).humanEvent(w, e) })
			})
		},
	}
}
