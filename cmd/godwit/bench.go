package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/problem"
)

// figure is one result of a benchmark: a line `name value unit`.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// bench is one benchmark: it gives each figure to report as soon as it has it.
// Each ratio's parts are figures too.
type bench struct {
	name, means string
	run         func(ctx context.Context, report func(figure) error) error
	more        bool // only when it is named
}

// benches are all benchmarks, in the order in which `bench` runs them.
func (c *cli) benches() []bench {
	return []bench{
		{"session", "sealing and opening messages, against the bare primitives", benchSession, false},
		{"direct", "messages between two nodes: latency and throughput", benchDirect, false},
		{"mailbox", "deposits at a relay, against a bare server that stores as durably", benchMailbox, false},
		{"start", "from the start of a process to a contact's message", benchStart, false},
		{"memory", "a node with 20 contacts and 10,000 messages, a relay with 10,000 cells, idle (takes minutes)", benchMemory, false},
		{"find", "look-ups in a DHT of 50 nodes of which a fifth have just been killed; leaving messages at relays by way of others, and fetching them; what passes an idle node's sockets (takes minutes)", c.benchFound, true},
		{"search", "searching 100,000 messages letter by letter, the list of 200 conversations, a page of one; what the index takes to be made", benchSearch, true},
		{"relay", "what a relay bears: deposits, its store alone, half of full load, 2,000 people, a flood, a million cells, three servers that keep its mail (takes a quarter of an hour)", c.benchRelay, true},
		{"flood", "the part of relay that is a flood alone", benchFlood, true},
		{"idle", "the last part of find alone (takes minutes)", c.benchTraffic, true},
		{"store", "a relay's store alone, a part of relay", benchStore, true},
		{"steady", "half of full load at a relay, and the disk alone before and after it, a part of relay (takes minutes)", c.benchSteady, true},
		{"people", "2,000 people at a relay, a part of relay", benchPeople, true},
		{"million", "a million cells at a relay that are fetched and deleted, a part of relay (takes minutes)", benchMillion, true},
		{"cluster", "deposits at a relay whose mail three servers keep, a part of relay", c.benchCluster, true},
	}
}

func (c *cli) benchCommand() *cobra.Command {
	var names, core []string
	long := "Measures the real program on this computer and prints lines of `name value unit`. Without NAME all of these but those in brackets:\n"
	for _, b := range c.benches() {
		names = append(names, b.name)
		if b.more {
			long += fmt.Sprintf("  %-9s %s\n", "["+b.name+"]", b.means)
			continue
		}
		core = append(core, b.name)
		long += fmt.Sprintf("  %-9s %s\n", b.name, b.means)
	}
	cmd := &cobra.Command{
		Use:       "bench [NAME]",
		Short:     "Measure the real program",
		Long:      strings.TrimSpace(long),
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.benchAll(cmd.Context(), core)
			}
			i := slices.Index(names, args[0])
			if i < 0 {
				return problem.Newf(problem.Usage, "there is no benchmark %q: %s", args[0], strings.Join(names, ", "))
			}
			err := c.benches()[i].run(cmd.Context(), func(f figure) error {
				return c.result(f, func(w io.Writer) { fmt.Fprintf(w, "%s %s %s\n", f.Name, number(f.Value), f.Unit) })
			})
			if err != nil && cmd.Context().Err() == nil {
				return problem.New(problem.BenchFailed, err)
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&c.window, "window", idleWindow, "for how long idle traffic is measured, a multiple of 2m")
	cmd.Flags().DurationVar(&c.steady, "steady", steadyTime, "for how long a relay bears half of full load")
	cmd.Flags().StringVar(&c.natsServer, "nats-server", "bin/nats-server", "the program of a NATS server, for deposits at three of them")
	cmd.AddCommand(c.bareServerCommand(), c.fillStoreCommand(), c.floodCommand(), c.benchProfileCommand())
	return cmd
}

// benchAll runs each benchmark in a process of its own, so that one does not
// leave its garbage to the next. One that fails does not keep the others from
// running, but is the end's problem.
func (c *cli) benchAll(ctx context.Context, names []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var failed []string
	for _, name := range names {
		args := []string{"bench", name}
		if c.json {
			args = append(args, "--json")
		}
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.Stdout, cmd.Stderr = c.out, c.err
		if err := cmd.Run(); err != nil {
			failed = append(failed, name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed != nil {
		return problem.Newf(problem.BenchFailed, "failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// number writes a figure with four digits that matter.
func number(v float64) string {
	if v >= 1000 || v <= -1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
