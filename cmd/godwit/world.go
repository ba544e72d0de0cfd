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

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// Measures of a world.
const (
	pollTick   = 20 * time.Millisecond  // between two looks at something
	stopTime   = 15 * time.Second       // for a process to end in order
	logTail    = 20                     // lines of each process's log that are shown if something fails
	removeTick = 100 * time.Millisecond // between two tries to remove files that a killed process held (Windows)
)

// world is processes of this program on the loopback interface, with a directory
// each and nothing shared but the network: what the demo and the benchmarks
// work with.
type world struct {
	self, dir string
	processes []*process
	lost      context.CancelCauseFunc // called when a process ends that should not
}

// newWorld makes a world. The context that it returns ends, with a cause, when
// a process of the world ends by itself.
func newWorld(ctx context.Context) (context.Context, *world, error) {
	self, err := os.Executable()
	if err != nil {
		return ctx, nil, err
	}
	dir, err := os.MkdirTemp("", "godwit-")
	if err != nil {
		return ctx, nil, problem.New(problem.CannotMakeDir, err)
	}
	ctx, lost := context.WithCancelCause(ctx)
	return ctx, &world{self: self, dir: dir, lost: lost}, nil
}

// end kills what still runs and removes all files.
func (w *world) end() error {
	w.lost(nil)
	w.killAll()
	return removeAll(w.dir)
}

// startNode makes a person's account the first time, and runs its node.
func (w *world) startNode(ctx context.Context, name string, args ...string) (*process, error) {
	profile := filepath.Join(w.dir, name)
	if _, err := os.Stat(profile); errors.Is(err, os.ErrNotExist) {
		if out, err := w.command(ctx, "--profile", profile, "init", "--name", name).Output(); err != nil {
			return nil, fmt.Errorf("init: %w", withStderr(err, out))
		}
	}
	p, err := w.start(ctx, name, append([]string{"--profile", profile, "node"}, args...)...)
	if err != nil {
		return p, err
	}
	dirs, err := config.FindDirs(profile, os.Getenv)
	if err != nil {
		return p, err
	}
	p.client, err = api.Dial(ctx, dirs.Socket)
	return p, err
}

// startRelay runs a relay.
func (w *world) startRelay(ctx context.Context, name string) (*process, error) {
	return w.start(ctx, name, "relay", "--data", filepath.Join(w.dir, name), "--listen", "/ip4/127.0.0.1/tcp/0")
}

// acquaint makes two people contacts of each other: one invites, the other
// accepts. It returns once both have it.
func acquaint(ctx context.Context, inviter, accepter *process) error {
	i, err := inviter.client.Invite(ctx, api.InviteRequest{})
	if err != nil {
		return err
	}
	if _, err := accepter.client.Accept(ctx, api.AcceptRequest{Link: i.Link}); err != nil {
		return err
	}
	return inviter.knows(ctx, accepter.ready.Account)
}

// knows waits until an account is among a person's contacts.
func (p *process) knows(ctx context.Context, account string) error {
	return until(ctx, func() (bool, error) {
		contacts, err := p.client.Contacts(ctx, api.ContactsRequest{})
		return slices.ContainsFunc(contacts, func(c api.Contact) bool { return c.ID == account }), err
	})
}

// delivered sends a message and waits until the other's device has
// acknowledged it.
func (p *process) delivered(ctx context.Context, to, text string) error {
	s, err := p.client.Send(ctx, api.SendRequest{Contact: to, Text: text, Wait: api.Delivered, Timeout: api.Duration(time.Minute)})
	if err == nil && !s.State.Meets(api.Delivered) {
		err = fmt.Errorf("a message is only %s after a minute: %s", s.State, s.Reason)
	}
	return err
}

// has waits until a text is in a person's history.
func (p *process) has(ctx context.Context, contact, text string) error {
	return until(ctx, func() (bool, error) {
		history, err := p.client.Messages(ctx, api.MessagesRequest{Contact: contact, Limit: 10})
		return slices.ContainsFunc(history, func(m api.Message) bool { return m.Text == text }), err
	})
}

// process is one godwit of a world.
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
func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.self, append([]string{"--network", "loopback", "--json"}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GODWIT_") })
	return cmd
}

// start runs a process until it says that it is ready, and watches over it from
// then on.
func (w *world) start(ctx context.Context, name string, args ...string) (*process, error) {
	// It outlives this step, so it does not have the step's context.
	cmd := w.command(context.WithoutCancel(ctx), args...)
	log, err := os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	cmd.Stderr = log
	cmd.SysProcAttr = tied()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	w.processes = append(w.processes, p)
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
			w.lost(errors.Join(fmt.Errorf("%s's process ended: %s", name, cmd.ProcessState), lines.Err()))
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
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("%s's process did not end in %s", p.name, stopTime), p.cmd.Process.Kill())
	}
}

func (w *world) killAll() {
	for _, p := range w.processes {
		_ = p.kill() // it may be gone already, and then that is what is wanted
	}
}

// showLogs prints the ends of the processes' logs.
func (w *world) showLogs(out io.Writer) {
	logs, _ := filepath.Glob(filepath.Join(w.dir, "*.log"))
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		fmt.Fprintf(out, "--- %s\n%s\n", filepath.Base(name), strings.Join(lines[max(0, len(lines)-logTail):], "\n"))
	}
}

// removeAll removes a world's files. A process that was just killed may hold
// them for a moment on Windows.
func removeAll(dir string) (err error) {
	for range 20 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(removeTick)
	}
	return err
}

// until looks again and again until it is so.
func until(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(pollTick)
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
