package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// Measures of the demo.
const (
	demoMessages = 20
	demoStep     = 90 * time.Second       // a step may take at most this long
	demoPoll     = 50 * time.Millisecond  // between two looks at a history
	demoStop     = 15 * time.Second       // for a process to end in order
	demoLogTail  = 20                     // lines of each process's log that are shown if the demo fails
	demoRemove   = 100 * time.Millisecond // between two tries to remove files that a killed process held (Windows)
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
	cli       *cli
	self, dir string
	processes []*process
	lost      context.CancelCauseFunc // ends the demo when a process ends that should not

	relay, anna, bob *process
	link             string
	annaID, bobID    string // account ids
	result           demoResult
}

func (c *cli) demo(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "godwit-demo-")
	if err != nil {
		return problem.New(problem.CannotMakeDir, err)
	}
	runCtx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	d := &demo{cli: c, self: self, dir: dir, lost: lost, result: demoResult{Step: "result"}}
	began := time.Now()
	err = d.run(runCtx)
	d.result.OK = err == nil
	d.result.Seconds = seconds(began)
	if err != nil && ctx.Err() == nil {
		d.showLogs()
	}
	d.killAll()
	err = errors.Join(err, removeAll(dir))
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
			return nil, d.deliver(ctx, d.anna, d.bobID, "Hello Bob")
		}},
		{"Bob answers, delivered to Anna", func(ctx context.Context) (*process, error) {
			return nil, d.deliver(ctx, d.bob, d.annaID, "Hello Anna")
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
		if perr := d.cli.result(report, func(w io.Writer) { humanReport(w, report) }); perr != nil {
			return perr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (d *demo) startRelay(ctx context.Context) (p *process, err error) {
	d.relay, err = d.start(ctx, "relay", "relay", "--data", filepath.Join(d.dir, "relay"), "--listen", "/ip4/127.0.0.1/tcp/0")
	return d.relay, err
}

func (d *demo) startAnna(ctx context.Context) (*process, error) {
	p, err := d.startNode(ctx, "anna", "Anna")
	if err == nil {
		d.anna, d.annaID = p, p.ready.Account
	}
	return p, err
}

func (d *demo) startBob(ctx context.Context) (*process, error) {
	p, err := d.startNode(ctx, "bob", "Bob")
	if err == nil {
		d.bob, d.bobID = p, p.ready.Account
	}
	return p, err
}

// startNode makes a person's account the first time, and runs its node.
func (d *demo) startNode(ctx context.Context, name, spelt string) (*process, error) {
	profile := filepath.Join(d.dir, name)
	if _, err := os.Stat(profile); errors.Is(err, os.ErrNotExist) {
		if out, err := d.command(ctx, "--profile", profile, "init", "--name", spelt).Output(); err != nil {
			return nil, fmt.Errorf("init: %w", withStderr(err, out))
		}
	}
	args := []string{"--profile", profile, "node"}
	for _, a := range d.relay.ready.Addrs {
		args = append(args, "--relay", a)
	}
	p, err := d.start(ctx, name, args...)
	if err != nil {
		return p, err
	}
	dirs, err := config.FindDirs(profile, d.cli.getenv)
	if err != nil {
		return p, err
	}
	p.client, err = api.Dial(ctx, dirs.Socket)
	return p, err
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
	return nil, until(ctx, func() (bool, error) {
		contacts, err := d.anna.client.Contacts(ctx, api.ContactsRequest{})
		return len(contacts) == 1 && contacts[0].ID == d.bobID, err
	})
}

// deliver sends one message and sees it acknowledged by the other's device.
func (d *demo) deliver(ctx context.Context, from *process, to, text string) error {
	s, err := from.client.Send(ctx, api.SendRequest{Contact: to, Text: text, Wait: api.Delivered, Timeout: api.Duration(demoStep)})
	if err == nil && !s.State.Meets(api.Delivered) {
		err = fmt.Errorf("it is only %s: %s", s.State, s.Reason)
	}
	return err
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
		return errors.Join(context.Cause(ctx), errors.New("Anna's events ended"))
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

// process is one godwit that the demo runs.
type process struct {
	name   string
	cmd    *exec.Cmd
	ready  api.Event
	client *api.Client   // of a node
	ended  chan struct{} // closed when the process is gone

	mu     sync.Mutex
	wanted bool // that it ends
}

// command is a godwit of this very program, on loopback, with JSON, and with
// nothing of this process's own settings.
func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.self, append([]string{"--network", "loopback", "--json"}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GODWIT_") })
	return cmd
}

// start runs a process until it says that it is ready, and watches over it from
// then on.
func (d *demo) start(ctx context.Context, name string, args ...string) (*process, error) {
	// It outlives this step, so it does not have the step's context.
	cmd := d.command(context.WithoutCancel(ctx), args...)
	log, err := os.OpenFile(filepath.Join(d.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	d.processes = append(d.processes, p)
	ready := make(chan api.Event, 1)
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e api.Event
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == api.EventReady {
				select {
				case ready <- e:
				default: // it was ready before
				}
			}
		}
		_ = cmd.Wait() // ProcessState says it better
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.wanted {
			d.lost(errors.Join(fmt.Errorf("%s's process ended: %s", name, cmd.ProcessState), lines.Err()))
		}
	}()
	select {
	case p.ready = <-ready:
		return p, nil
	case <-p.ended:
		return p, fmt.Errorf("%s's process ended before it was ready", name)
	case <-ctx.Done():
		return p, context.Cause(ctx)
	}
}

// kill ends a process as a power cut would: SIGKILL.
func (p *process) kill() error { return p.end((*os.Process).Kill) }

// stop ends a process in order.
func (p *process) stop() error {
	return p.end(func(o *os.Process) error {
		if err := o.Signal(syscall.SIGTERM); err != nil {
			return o.Kill() // Windows has no SIGTERM to send
		}
		return nil
	})
}

func (p *process) end(how func(*os.Process) error) error {
	p.mu.Lock()
	p.wanted = true
	p.mu.Unlock()
	if p.client != nil {
		p.client.Close()
	}
	if err := how(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(demoStop):
		return errors.Join(fmt.Errorf("%s's process did not end in %s", p.name, demoStop), p.cmd.Process.Kill())
	}
}

func (d *demo) killAll() {
	for _, p := range d.processes {
		_ = p.kill() // it may be gone already, and then that is what is wanted
	}
}

// showLogs prints the ends of the processes' logs.
func (d *demo) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(d.dir, "*.log"))
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		fmt.Fprintf(d.cli.err, "--- %s\n%s\n", filepath.Base(name), strings.Join(lines[max(0, len(lines)-demoLogTail):], "\n"))
	}
}

// removeAll removes the demo's files. A process that was just killed may hold
// them for a moment on Windows.
func removeAll(dir string) (err error) {
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(demoRemove)
	}
	return err
}

// until looks again and again until it is so.
func until(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(demoPoll)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// withStderr adds what a command said to how it ended.
func withStderr(err error, stdout []byte) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(stdout)))
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
