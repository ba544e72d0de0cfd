package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
)

// relayCheck is what `relay check` prints.
type relayCheck struct {
	Addr   string        `json:"addr"`
	OK     bool          `json:"ok"`
	Steps  []checkStep   `json:"steps"`
	Allows *relay.Allows `json:"allows,omitempty"`
	Bounds *relay.Bounds `json:"bounds,omitempty"` // that it tells; an earlier version does not
	Over   string        `json:"over,omitempty"`   // TCP or QUIC
	Addrs  []string      `json:"addrs,omitempty"`  // that it tells of itself
	Skew   float64       `json:"skew"`             // seconds by which its clock is ahead
	Routes int           `json:"routes"`           // relays through which it says it is reached
	DHT    int           `json:"dht"`              // servers of the DHT that it named
}

type checkStep struct {
	Step   string  `json:"step"`
	OK     bool    `json:"ok"`
	Millis float64 `json:"ms"`
	Detail string  `json:"detail,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

func (c *cli) relayCheckCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "check ADDRESS",
		Short: "Try from outside whether a relay works",
		Long: "Tries from outside whether a relay works, what it allows and how fast it is. It connects, takes a box that is used for nothing else, leaves\n" +
			"some cells there from a second peer id, checks their receipts, lists, fetches and deletes them, and gives the box back; then it tries the relay's other addresses,\n" +
			"whether others can be reached through it, and the DHT. It needs no account. The first step that fails says why, and decides the exit\n" +
			"status: 69 if the relay is not reached, 75 if it is full or busy, 77 if it wants a token, 1 if it does something else than a relay does.\n" +
			"The times of deposit and fetch are those of one cell, the median of five. With --quiet it says in one line whether it works. Check it from another network than the relay's own.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := c.load()
			if err != nil {
				return err
			}
			pay, err := tokenFlag(token)
			if err != nil {
				return err
			}
			seen, err := app.CheckRelay(cmd.Context(), node.Mode(cfg.Network), args[0], pay)
			if err != nil {
				return err
			}
			r := checked(args[0], seen)
			if err := c.result(r, func(w io.Writer) { humanCheck(w, r, c.quiet) }); err != nil {
				return err
			}
			return app.CheckProblem(seen)
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the `TOKEN` that the relay's operator gave you")
	return cmd
}

func checked(addr string, seen relay.Check) relayCheck {
	r := relayCheck{Addr: addr, OK: seen.Err() == nil, Over: seen.Over, Skew: seen.Skew.Seconds(), Routes: seen.Routes, DHT: seen.Knows}
	for _, a := range seen.Addrs {
		r.Addrs = append(r.Addrs, a.String())
	}
	for _, s := range seen.Steps {
		step := checkStep{Step: string(s.Step), OK: s.Err == nil, Millis: float64(s.Took.Microseconds()) / 1000, Detail: s.Detail}
		if s.Err != nil {
			step.Detail, step.Reason = "", app.CheckReason(s.Err)
		} else if s.Step == relay.StepHello {
			allows := relay.AllowsOf(seen.Limits, seen.More)
			r.Allows = &allows
			if bounds := relay.BoundsOf(seen.More); bounds != (relay.Bounds{}) {
				r.Bounds = &bounds
			}
		}
		r.Steps = append(r.Steps, step)
	}
	return r
}

func humanCheck(w io.Writer, r relayCheck, quiet bool) {
	if quiet { // what fails is said by the error
		if r.OK {
			fmt.Fprintln(w, "It works.")
		}
		return
	}
	for _, s := range r.Steps {
		how, words := "ok", s.Detail
		if !s.OK {
			how, words = "FAILED", s.Reason
		}
		fmt.Fprintf(w, "%-10s %-6s %8.1f ms  %s\n", s.Step, how, s.Millis, visible(words))
	}
	if r.Allows != nil {
		humanAllows(w, *r.Allows)
	}
	if r.Bounds != nil {
		fmt.Fprintf(w, "%-10s %s\n", "takes", r.Bounds)
	}
	if skew := time.Duration(r.Skew * float64(time.Second)); skew.Abs() > time.Minute {
		fmt.Fprintf(w, "Its clock is off by %s, or that of this computer is.\n", age(skew))
	}
	if r.OK {
		fmt.Fprintln(w, "It works.")
	}
}

// humanAllows says what a relay allows.
func humanAllows(w io.Writer, a relay.Allows) {
	row := rows(w)
	row("allows", "%s", a.Room)
	if a.Token != nil && *a.Token != a.Room {
		row("by token", "%s", a.Token)
	}
	row("keeps", "cells for %s", count(int(time.Duration(a.Keep*float64(time.Second))/(24*time.Hour)), "day"))
	row("asks", "%s for a box", a.Asks())
}
