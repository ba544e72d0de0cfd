//go:build linux

package soak

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// reasons brings a message into each state in which it does not go on, by what really
// stands in its way, and sees that the command line says so: in words, with a code, and
// what to do.
func reasons(t *testing.T, program string) {
	w := newWorld(t, program, anna, bob, dave, erin)
	me := w.all[anna]
	w.await("their relays", time.Minute, func() bool { return strings.Count(me.cli(t, 0, "relay", "list"), "connected") == 3 })

	t.Log("blocked")
	me.cli(t, 0, "contact", "block", "bob")
	said := me.cli(t, int(problem.ExitPermission), "send", "bob", "are you there?")
	explained(t, me, said, problem.ContactBlocked)
	me.cli(t, 0, "contact", "unblock", "bob")

	t.Log("no relay named, and no way in")
	w.all[erin].stops()
	me.waits(t, "erin", "queued", problem.NoRelayNamed)
	explained(t, w.all[erin], w.all[erin].cli(t, int(problem.ExitUnavailable), "invite"), problem.NoWayIn)

	t.Log("one relay named")
	w.all[dave].stops()
	me.waits(t, "dave", "kept at 1 of 3 relays", problem.FewRelays)

	t.Log("no answer yet to a first flight")
	stranger := w.newProcess(gina)
	w.joins(stranger)
	var invitation struct{ Link string }
	w.await("gina's relays", time.Minute, func() bool { return strings.Count(stranger.cli(t, 0, "relay", "list"), "connected") == 3 })
	check(t, stranger.ask("invite", map[string]any{}, &invitation))
	stranger.stops()
	me.cli(t, 0, "accept", invitation.Link, "--name", "gina", "--message", "hello")
	for i := range 15 {
		me.cli(t, 0, "send", "gina", strconv.Itoa(i))
	}
	me.waits(t, "gina", "queued", problem.FirstAnswer)

	w.all[bob].stops()
	bobs := atRelays[bob]
	t.Log("a receipt that does not hold")
	w.all[fox].does(forger)
	me.waits(t, "bob", "kept at 2 of 3 relays", problem.RelayUnproven)
	w.all[fox].does(honest)

	t.Log("full relays")
	if w.disks {
		for _, r := range bobs {
			check(t, fill(filepath.Join(w.all[r].dir, filler)))
		}
		me.waits(t, "bob", "queued", problem.RelayFull)
		for _, r := range bobs {
			check(t, os.Remove(filepath.Join(w.all[r].dir, filler)))
		}
	}

	t.Log("a full box")
	for i := range int(mailbox.DefaultQuotas().QueueCells) {
		check(t, me.ask("send", map[string]any{"contact": "dave", "text": fmt.Sprint(i)}, nil))
	}
	me.waits(t, "dave", "queued", problem.BoxFull)

	t.Log("relays that know nothing of it")
	for _, r := range bobs {
		w.all[r].stops()
		check(t, os.RemoveAll(filepath.Join(w.all[r].dir, "mail")))
		w.all[r].start()
	}
	me.waits(t, "bob", "queued", problem.RelayRefused)

	t.Log("relays that are not there")
	for _, r := range bobs {
		w.all[r].stops()
	}
	me.waits(t, "bob", "queued", problem.RelayUnreached)

	t.Log("nobody is there")
	w.all[oak].stops()
	me.waits(t, "bob", "queued", problem.NoRelayReached)

	t.Log("for more than a day")
	w.all[oak].start()
	me.stops()
	me.start() // so that it tries them all at once, and so below
	w.await("each relay to be tried", time.Minute, func() bool { return strings.Count(me.trail(t, "bob"), "refused") >= len(bobs) })
	me.stops()
	me.weather.clock(25 * time.Hour)
	me.start()
	me.said(t, "bob", "queued", problem.OutOfTouch)

	t.Log("expired")
	me.stops()
	me.weather.clock(31 * 24 * time.Hour)
	me.start()
	me.said(t, "bob", "failed", problem.Expired)
	for _, what := range w.wrong {
		t.Error(what)
	}
}

// stops ends a process in order.
func (p *process) stops() {
	p.turn.Lock()
	defer p.turn.Unlock()
	by := syscall.SIGTERM
	if p.who == fox {
		by = syscall.SIGKILL
	}
	check(p.w.t, p.end(by))
}

// cli has a person type a command, and wants an exit status. It returns what is on the
// screen.
func (p *process) cli(t *testing.T, status int, args ...string) string {
	t.Helper()
	cmd := p.command(p.dir, p.who)
	cmd.Args = append([]string{cmd.Args[0], "--network", "loopback", "--profile", p.dir}, args...)
	out, err := cmd.CombinedOutput()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		check(t, err)
	}
	if got != status {
		t.Fatalf("%q: exit status %d, want %d\n%s", args, got, status, out)
	}
	return string(out)
}

// waits has a person write to another and wait for it to be kept, and sees how far it
// comes and why not further.
func (p *process) waits(t *testing.T, other, state string, why problem.Code) {
	t.Helper()
	status := int(problem.ExitTimedOut)
	if strings.HasPrefix(state, "kept") {
		status = 0
	}
	p.cli(t, status, "send", other, "will it come?", "--wait", "kept", "--timeout", "2s")
	p.said(t, other, state, why)
}

// said waits until the last message to somebody is in a state, and says why.
func (p *process) said(t *testing.T, other, state string, why problem.Code) {
	t.Helper()
	var shown string
	if !until(2*time.Minute, func() bool {
		shown = p.cli(t, 0, "messages", other, "--limit", "1")
		return strings.Contains(shown, "("+state) && strings.Contains(shown, string(why))
	}) {
		t.Errorf("it is not %s with the reason %s, but %q", state, why, shown)
		t.Log(p.trail(t, other))
		return
	}
	explained(t, p, shown, why)
}

// trail is what became of the last message to somebody.
func (p *process) trail(t *testing.T, other string) string {
	t.Helper()
	var last struct{ Items []struct{ ID string } }
	check(t, p.ask("messages", map[string]any{"contact": other, "limit": 1}, &last))
	return p.cli(t, 0, "messages", "--trail", last.Items[0].ID)
}

// explained sees that what is on the screen has a problem's words and its code, and that
// the program tells what to do about it.
func explained(t *testing.T, p *process, shown string, why problem.Code) {
	t.Helper()
	cmd := p.command(p.dir, p.who, "explain", string(why))
	out, err := cmd.Output()
	check(t, err)
	var words struct{ What, Means, Do string }
	check(t, json.Unmarshal(bytes.TrimSpace(out), &words))
	if words.What == "" || words.Means == "" || words.Do == "" {
		t.Errorf("%s is explained by %s", why, out)
	}
	if !strings.Contains(shown, words.What) || !strings.Contains(shown, string(why)) {
		t.Errorf("%q does not say %q with %s", shown, words.What, why)
	}
}
