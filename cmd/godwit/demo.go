package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

// Measures of the demo.
const (
	demoMessages = 20
	demoStep     = 90 * time.Second // a step may take at most this long
)

func (c *cli) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a relay and two people at work on this computer",
		Long: "Starts a relay and two accounts in processes of their own, with nothing shared but the network of this computer. One invites, the other accepts,\n" +
			"they talk, one is killed, twenty messages are kept at the relay, their sender is killed too, and the other comes back and receives them all.\n" +
			"Exits 0 only if all of that happened. Needs no network, and leaves nothing behind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context()) },
	}
}

// demoReport is one line of the demo.
type demoReport struct {
	Step    string  `json:"step"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	PID     int     `json:"pid,omitempty"`    // of the process that the step started
	Detail  string  `json:"detail,omitempty"` // what went wrong
}

// demoResult is the last line.
type demoResult struct {
	Step     string  `json:"step"` // result
	OK       bool    `json:"ok"`
	Seconds  float64 `json:"seconds"`
	Kept     int     `json:"kept"`     // messages with a verified receipt
	Received int     `json:"received"` // different ones in the other's history
	InOrder  bool    `json:"in_order"` // exactly once each, in the order of sending
}

// demo is the state of one run.
type demo struct {
	*world
	cli              *cli
	relay, anna, bob *process
	link             string
	annaID, bobID    string // account ids
	result           demoResult
}

func (c *cli) demo(ctx context.Context) error {
	runCtx, w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	d := &demo{world: w, cli: c, result: demoResult{Step: "result"}}
	began := time.Now()
	err = d.run(runCtx)
	if err != nil && ctx.Err() == nil {
		w.showLogs(c.err)
	}
	err = errors.Join(err, w.end())
	d.result.OK = err == nil
	d.result.Seconds = seconds(began)
	if perr := c.result(d.result, func(w io.Writer) { humanResult(w, d.result) }); perr != nil {
		return perr
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return problem.New(problem.DemoFailed, err)
	}
	return nil
}

// run takes the steps one after the other, and stops at the first that fails.
func (d *demo) run(ctx context.Context) error {
	for _, s := range []struct {
		name string
		do   func(context.Context) (*process, error)
	}{
		{"start a relay", d.startRelay},
		{"start Anna's node", d.startAnna},
		{"start Bob's node", d.startBob},
		{"Anna invites", d.invite},
		{"Bob accepts", d.accept},
		{"Anna writes, delivered to Bob", func(ctx context.Context) (*process, error) {
			return nil, d.anna.delivered(ctx, d.bobID, "Hello Bob")
		}},
		{"Bob answers, delivered to Anna", func(ctx context.Context) (*process, error) {
			return nil, d.bob.delivered(ctx, d.annaID, "Hello Anna")
		}},
		{"kill Bob's node", func(ctx context.Context) (*process, error) { return nil, d.bob.kill() }},
		{fmt.Sprintf("Anna writes %d messages, kept at the relay", demoMessages), d.keep},
		{"kill Anna's node", func(ctx context.Context) (*process, error) { return nil, d.anna.kill() }},
		{"start Bob's node again", d.startBob},
		{"Bob receives them", d.receive},
		{"Bob's history, read from disk", d.checkHistory},
	} {
		began := time.Now()
		stepCtx, cancel := context.WithTimeoutCause(ctx, demoStep, fmt.Errorf("not done after %s", demoStep))
		p, err := s.do(stepCtx)
		if err != nil && stepCtx.Err() != nil {
			err = context.Cause(stepCtx)
		}
		cancel()
		report := demoReport{Step: s.name, OK: err == nil, Seconds: seconds(began)}
		if p != nil {
			report.PID = p.cmd.Process.Pid
		}
		if err != nil {
			report.Detail = err.Error()
		}
		if !d.cli.quiet {
			if perr := d.cli.result(report, func(w io.Writer) { humanReport(w, report) }); perr != nil {
				return perr
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (d *demo) startRelay(ctx context.Context) (p *process, err error) {
	d.relay, err = d.world.startRelay(ctx, "relay")
	return d.relay, err
}

func (d *demo) startAnna(ctx context.Context) (p *process, err error) {
	if p, err = d.startNode(ctx, "anna", d.atRelay()...); err == nil {
		d.anna, d.annaID = p, p.ready.Account
	}
	return p, err
}

func (d *demo) startBob(ctx context.Context) (p *process, err error) {
	if p, err = d.startNode(ctx, "bob", d.atRelay()...); err == nil {
		d.bob, d.bobID = p, p.ready.Account
	}
	return p, err
}

// atRelay are the flags of a node that keeps its mail at the relay.
func (d *demo) atRelay() (flags []string) {
	for _, a := range d.relay.ready.Addrs {
		flags = append(flags, "--relay", a)
	}
	return flags
}

func (d *demo) invite(ctx context.Context) (*process, error) {
	i, err := d.anna.client.Invite(ctx, api.InviteRequest{})
	d.link = i.Link
	return nil, err
}

func (d *demo) accept(ctx context.Context) (*process, error) {
	if _, err := d.bob.client.Accept(ctx, api.AcceptRequest{Link: d.link}); err != nil {
		return nil, err
	}
	return nil, d.anna.knows(ctx, d.bobID)
}

func demoText(i int) string { return fmt.Sprintf("message %d of %d", i+1, demoMessages) }

// keep sends the messages while Bob is away. Each send waits for its receipt;
// the next one starts once the one before it is in Anna's history, so that
// their order is Anna's.
func (d *demo) keep(ctx context.Context) (*process, error) {
	queued := make(chan string, demoMessages)
	listenCtx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() {
		defer close(queued)
		_ = d.anna.client.Events(listenCtx, api.EventsRequest{}, func(e api.Event) error {
			if e.Event == api.EventReady || e.Event == api.EventMessage && e.Conversation == d.bobID {
				select {
				case queued <- e.Text:
				case <-listenCtx.Done():
				}
			}
			return nil
		})
	})
	wait := func(text string) error {
		for got := range queued {
			if got == text {
				return nil
			}
		}
		return errors.Join(context.Cause(ctx), errors.New("the events of Anna ended"))
	}
	if err := wait(""); err != nil { // ready
		return nil, err
	}
	type outcome struct {
		sent api.Sent
		err  error
	}
	outcomes := make(chan outcome, demoMessages)
	for i := range demoMessages {
		all.Go(func() {
			s, err := d.anna.client.Send(ctx, api.SendRequest{Contact: d.bobID, Text: demoText(i), Wait: api.Kept, Timeout: api.Duration(demoStep)})
			outcomes <- outcome{s, err}
		})
		if err := wait(demoText(i)); err != nil {
			return nil, err
		}
	}
	for range demoMessages {
		select {
		case o := <-outcomes:
			if o.err != nil {
				return nil, o.err
			}
			if o.sent.State != api.Kept || o.sent.Relays == nil || o.sent.Relays.Kept < 1 {
				return nil, fmt.Errorf("a message is %s without a relay's receipt: %s", o.sent.State, o.sent.Reason)
			}
			d.result.Kept++
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, nil
}

// judge compares Bob's history with what Anna sent while he was away.
func (d *demo) judge(history []api.Message) {
	var got, want []string
	for _, m := range history {
		if m.Author == d.annaID && strings.HasPrefix(m.Text, "message ") {
			got = append(got, m.Text)
		}
	}
	for i := range demoMessages {
		want = append(want, demoText(i))
	}
	d.result.InOrder = slices.Equal(got, want)
	slices.Sort(got)
	d.result.Received = len(slices.Compact(got))
}

func (d *demo) receive(ctx context.Context) (*process, error) {
	return nil, until(ctx, func() (bool, error) {
		history, err := d.bob.client.Messages(ctx, api.MessagesRequest{Contact: d.annaID, Limit: 10 * demoMessages})
		d.judge(history)
		return d.result.Received == demoMessages, err
	})
}

// checkHistory ends Bob's node in order and reads his history once more, from
// what is on disk: what was shown must be what is kept.
func (d *demo) checkHistory(ctx context.Context) (*process, error) {
	if err := d.bob.stop(); err != nil {
		return nil, err
	}
	cmd := d.command(ctx, "--profile", filepath.Join(d.dir, "bob"), "messages", d.annaID, "--limit", fmt.Sprint(10*demoMessages))
	out, err := cmd.Output()
	if err != nil {
		return nil, withStderr(err, out)
	}
	var history []api.Message
	for line := range strings.Lines(string(out)) {
		var m api.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return nil, err
		}
		history = append(history, m)
	}
	d.judge(history)
	if d.result.Received != demoMessages || !d.result.InOrder {
		return nil, fmt.Errorf("%d of %d arrived, exactly once and in order: %v", d.result.Received, demoMessages, d.result.InOrder)
	}
	return nil, nil
}

func seconds(since time.Time) float64 { return float64(time.Since(since).Milliseconds()) / 1000 }

func humanReport(w io.Writer, r demoReport) {
	mark := "ok    "
	if !r.OK {
		mark = "FAILED"
	}
	fmt.Fprintf(w, "%s %7.2f s  %s", mark, r.Seconds, r.Step)
	if r.PID != 0 {
		fmt.Fprintf(w, " (process %d)", r.PID)
	}
	if r.Detail != "" {
		fmt.Fprintf(w, ": %s", visible(r.Detail))
	}
	fmt.Fprintln(w)
}

func humanResult(w io.Writer, r demoResult) {
	order := "in order and none twice"
	if !r.InOrder {
		order = "not all in order or once"
	}
	fmt.Fprintf(w, "%d of %d kept at the relay, %d of %d received, %s, in %.1f s\n", r.Kept, demoMessages, r.Received, demoMessages, order, r.Seconds)
}
