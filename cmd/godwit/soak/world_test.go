//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/cmd/godwit/soak/witness"
)

const (
	// startTime is how long a process may take to be ready, on a machine that is busy
	// and a disk that is slow.
	startTime = time.Minute
	// askTime is how long a node may take to answer.
	askTime = time.Minute
	// diskSize is that of the disk that each one has, where one can be mounted: a relay
	// leaves 64 MiB to others.
	diskSize = "size=128m"
)

// world is people and relays, a process each, and what became of them.
type world struct {
	t       *testing.T
	program string
	dir     string
	began   time.Time
	network *network
	all     map[self]*process
	people  []self
	disks   bool   // everybody has a small one
	address string // by which strangers write to Anna

	mu         sync.Mutex
	transcript *os.File
	lines      []witness.Line
	done       map[string]int // faults, by name
	wrong      []string       // what no witness sees, such as a process that ended by itself
}

// process is somebody's program.
type process struct {
	w       *world
	who     self
	dir     string // its disk
	weather *weather
	port    int
	http    *http.Client // the local API; of people
	account string       // of people; PeerID of relays
	addr    string       // of relays

	turn sync.Mutex // held while it is started or killed
	mu   sync.Mutex
	cmd  *exec.Cmd // nil: it is dead
	in   io.WriteCloser
	run  int
	gone chan struct{} // closed when it has ended and all that it showed is written down
	hit  bool          // it was killed by strike
}

// newWorld starts everybody, and makes the people contacts of each other.
func newWorld(t *testing.T, program string, people ...self) *world {
	dir, err := os.MkdirTemp("", "soak")
	check(t, err)
	w := &world{t: t, program: program, dir: dir, began: time.Now(), network: newNetwork(t), all: map[self]*process{}, people: people, done: map[string]int{}}
	t.Cleanup(w.end)
	w.transcript, err = os.Create(filepath.Join(dir, "transcript"))
	check(t, err)
	for _, who := range relays {
		p := w.newProcess(who)
		p.start()
		w.write(witness.Line{What: "relay", Who: who.String(), ID: p.account, Honest: who != fox})
	}
	for _, who := range people {
		w.joins(w.newProcess(who))
	}
	for i, a := range people {
		for _, b := range people[i+1:] {
			w.acquaint(w.all[a], w.all[b])
		}
	}
	return w
}

// newProcess gives somebody a disk, a clock and a port.
func (w *world) newProcess(who self) *process {
	p := &process{w: w, who: who, dir: filepath.Join(w.dir, who.String())}
	check(w.t, os.Mkdir(p.dir, 0o700))
	err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, diskSize)
	if w.disks = err == nil; !w.disks && len(w.all) == 0 {
		w.t.Logf("LEFT OUT: full disks: no small one can be mounted: %v", err)
	}
	p.weather = newWeather(w.t, filepath.Join(w.dir, who.String()+".weather"))
	p.port, err = w.network.listen(who, 20000+500*int(who))
	check(w.t, err)
	w.all[who] = p
	return p
}

// joins makes a person's account and starts their node.
func (w *world) joins(p *process) {
	socket := filepath.Join(p.dir, "api.sock")
	p.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	out, err := p.command(p.dir, p.who, "init", "--name", p.who.String()).Output()
	check(w.t, err)
	var made struct{ Account string }
	check(w.t, json.Unmarshal(out, &made))
	p.account = made.Account
	w.write(witness.Line{What: "person", Who: p.who.String(), ID: p.account})
	p.start()
}

// end kills everybody and removes all, unless the test failed.
func (w *world) end() {
	for _, p := range w.all {
		p.turn.Lock()
		p.end(syscall.SIGKILL)
		p.turn.Unlock()
	}
	keep := filepath.Join(w.dir, "disks")
	if w.t.Failed() {
		check(w.t, os.Mkdir(keep, 0o700))
	}
	for _, p := range w.all {
		if w.t.Failed() {
			os.Remove(filepath.Join(p.dir, "filler"))
			if err := os.CopyFS(filepath.Join(keep, p.who.String()), files(p.dir)); err != nil {
				w.t.Log(err)
			}
		}
		if err := syscall.Unmount(p.dir, 0); err != nil && w.disks {
			w.t.Error(err)
		}
	}
	check(w.t, w.transcript.Close())
	if w.t.Failed() {
		w.t.Logf("the transcript, the logs and the disks are in %s", w.dir)
		return
	}
	check(w.t, os.RemoveAll(w.dir))
}

// acquaint makes two people contacts of each other, and waits until each has answered.
func (w *world) acquaint(a, b *process) {
	w.await("their relays", time.Minute, func() bool {
		var s status
		err := a.ask("status", map[string]any{}, &s)
		return err == nil && !slices.ContainsFunc(s.Relays, func(r struct{ State string }) bool { return r.State != "connected" })
	})
	var invitation struct{ Link string }
	check(w.t, a.ask("invite", map[string]any{}, &invitation))
	check(w.t, b.ask("accept", map[string]any{"link": invitation.Link}, nil))
	w.await("everybody to know each other", time.Minute, func() bool {
		var s status
		for _, p := range []*process{a, b} {
			var known struct{ Items []struct{ ID string } }
			if err := p.ask("contacts", map[string]any{}, &known); err != nil {
				return false
			}
			other := a
			if p == a {
				other = b
			}
			if !slices.ContainsFunc(known.Items, func(c struct{ ID string }) bool { return c.ID == other.account }) {
				return false
			}
			if p.ask("status", map[string]any{}, &s) != nil || s.Waiting > 0 {
				return false
			}
		}
		return true
	})
}

// status is what a node says of itself.
type status struct {
	Waiting, Queued int
	Relays          []struct{ State string }
}

// await looks again and again until it is so.
func (w *world) await(what string, limit time.Duration, so func() bool) {
	w.t.Helper()
	if !until(limit, so) {
		w.fault("waited %s in vain for %s", limit, what)
	}
}

func until(limit time.Duration, so func() bool) bool {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !so(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// now is the time in the transcript.
func (w *world) now() float64 { return float64(time.Since(w.began).Microseconds()) / 1e6 }

// write adds to the transcript.
func (w *world) write(l witness.Line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.T == 0 {
		l.T = w.now()
	}
	b, err := json.Marshal(l)
	if err != nil { // what was shown is no JSON
		l.JSON, l.Err = nil, err.Error()
		b, _ = json.Marshal(l)
	}
	w.lines = append(w.lines, l)
	w.transcript.Write(append(b, '\n'))
}

// fault notes what is wrong in a way that no person sees.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf("%.3f ", w.now())+fmt.Sprintf(format, args...))
}

// did counts a fault.
func (w *world) did(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[what]++
}

// command is the program on a profile, as somebody.
func (p *process) command(profile string, as self, args ...string) *exec.Cmd {
	cmd := exec.Command(p.w.program, append([]string{"--network", "loopback", "--json", "--profile", profile}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "GODWIT_") }),
		"SOAK_WEATHER="+p.weather.path, "SOAK_SELF="+strconv.Itoa(int(as)))
	return cmd
}

// start runs the program and waits until it is ready. On a disk that is full it may end
// instead, and is started again. The caller holds no lock.
func (p *process) start() {
	p.turn.Lock()
	defer p.turn.Unlock()
	for end := time.Now().Add(startTime); !p.alive(); {
		err := p.startOnce()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			p.w.fault("%s does not start: %v", p.who, err)
			return
		}
		time.Sleep(200 * time.Millisecond) // a service manager's pause: nothing tells when there is room again
	}
}

func (p *process) startOnce() error {
	if p.who < oak { // a person's address is another each time
		p.w.network.forget(p.port)
		port, err := p.w.network.listen(p.who, 20000+500*int(p.who)+p.run%400)
		if err != nil {
			return err
		}
		p.port = port
	}
	listen := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", p.port)
	var cmd *exec.Cmd
	switch {
	case p.who == fox:
		cmd = p.command(p.dir, p.who)
		cmd.Path, cmd.Args = os.Args[0], os.Args[:1]
		cmd.Env = append(cmd.Env, liarEnv+"="+p.dir+" "+strconv.Itoa(p.port))
	case p.who >= oak:
		args := []string{"relay", "--data", p.dir, "--listen", listen}
		for _, r := range relays { // through which it is reached
			if other := p.w.all[r]; r != p.who && r != fox && other != nil && other.addr != "" {
				args = append(args, "--peer", other.addr)
			}
		}
		cmd = p.command(p.dir, p.who, args...)
	default:
		args := []string{"node", "--listen", listen}
		for _, r := range atRelays[p.who] {
			args = append(args, "--relay", p.w.all[r].addr)
		}
		if slices.Contains(private, p.who) {
			args = append(args, "--private-routing", "on")
		}
		cmd = p.command(p.dir, p.who, args...)
	}
	log, err := os.OpenFile(filepath.Join(p.w.dir, p.who.String()+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %.3f run %d\n", p.w.now(), p.run+1)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, gone := make(chan bool), make(chan struct{})
	p.mu.Lock()
	p.run++
	p.cmd, p.in, p.gone, p.hit = cmd, in, gone, false
	run := p.run
	p.mu.Unlock()
	go func() {
		defer close(gone)
		p.watch(run, out, ready)
		_ = cmd.Wait() // ProcessState says it better
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.cmd == cmd && !p.hit { // nobody wanted that
			p.cmd = nil
			select {
			case <-ready:
				p.w.fault("%s ended by itself: %s", p.who, cmd.ProcessState)
			default:
			}
		}
	}()
	select {
	case <-ready:
		return nil
	case <-gone:
		return fmt.Errorf("it ended by %s", cmd.ProcessState)
	case <-time.After(startTime):
		return p.end(syscall.SIGKILL)
	}
}

// watch writes down what a program shows until it ends.
func (p *process) watch(run int, out io.Reader, ready chan bool) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	first := true
	for lines.Scan() {
		if p.who < oak {
			p.w.write(witness.Line{What: "saw", Who: p.who.String(), Run: run, JSON: bytes.Clone(lines.Bytes())})
		}
		var e struct {
			Event, Peer string
			Addrs       []string
		}
		if !first || json.Unmarshal(lines.Bytes(), &e) != nil || e.Event != "ready" {
			continue
		}
		first = false
		switch {
		case p.who < oak:
		case p.account == "": // others read it from now on
			p.account, p.addr = e.Peer, e.Addrs[0]
		case p.account != e.Peer || p.addr != e.Addrs[0]:
			p.w.fault("%s was %s and is %s at %s", p.who, p.addr, e.Peer, e.Addrs[0])
		}
		close(ready)
	}
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil
}

// signal sends a signal to a process that lives.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may be gone already
	}
}

// strike kills a process at once. It is dead, but does not count as such before kill.
func (p *process) strike() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		p.hit = true
		_ = p.cmd.Process.Kill()
	}
}

// end ends the process, and returns when all that it had shown is written down. The
// caller holds turn.
func (p *process) end(by syscall.Signal) error {
	p.mu.Lock()
	cmd, gone := p.cmd, p.gone
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return errors.New("it is dead")
	}
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Process.Signal(by)
	select {
	case <-gone:
	case <-time.After(startTime):
		p.w.fault("%s does not end by %s", p.who, by)
		_ = cmd.Process.Kill()
		<-gone
	}
	if state := cmd.ProcessState; by == syscall.SIGTERM && state.ExitCode() != 0 {
		p.w.fault("%s ended by %s", p.who, state)
	}
	return nil
}

// kill ends somebody's program as a power cut would, and looks what is on a person's
// disk. It is false if the program was dead. The caller holds turn.
func (p *process) kill() bool {
	if p.end(syscall.SIGKILL) != nil {
		return false
	}
	if p.who < oak {
		p.w.write(witness.Line{What: "killed", Who: p.who.String(), Run: p.run})
		p.autopsy()
	}
	return true
}

// autopsy reads a dead person's conversations from a copy of the disk, with a program
// that reaches nobody.
func (p *process) autopsy() {
	at := p.w.now()
	dir, err := os.MkdirTemp(p.w.dir, "copy")
	if err != nil {
		p.w.fault("%v", err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "p"), files(p.dir)); err != nil {
		p.w.fault("copy of %s: %v", p.who, err)
		return
	}
	for _, other := range p.w.people {
		if other == p.who || p.who == hugo && other != anna {
			continue
		}
		cmd := p.command(filepath.Join(dir, "p"), nowhere, "messages", p.w.all[other].account, "--limit", "10000")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if p.who == hugo && bytes.Contains(stderr.Bytes(), []byte(problem.NoSuchContact)) {
			continue // he has not asked yet
		}
		if err != nil {
			p.w.fault("what is on %s's disk: %v: %s", p.who, err, stderr.Bytes())
			return
		}
		p.w.write(witness.Line{T: at, What: "disk", Who: p.who.String(), To: other.String(), Run: p.run, JSON: list(out)})
	}
}

// list makes a list of lines of JSON.
func list(lines []byte) []byte {
	return slices.Concat([]byte("["), bytes.Join(bytes.Split(bytes.TrimSpace(lines), []byte("\n")), []byte(",")), []byte("]"))
}

// ask asks a person's node.
func (p *process) ask(what string, question any, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	raw, err := p.askRaw(ctx, what, question)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(raw, answer)
}

func (p *process) askRaw(ctx context.Context, what string, question any) ([]byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://godwit/v1/"+what, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", what, raw)
	}
	return raw, nil
}

// items is the list in an answer.
func items(raw []byte, err error) (json.RawMessage, error) {
	var answer struct{ Items json.RawMessage }
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if answer.Items == nil {
		answer.Items = json.RawMessage("[]")
	}
	return answer.Items, err
}

// says has a person say something. wait is a state to wait for, or empty.
func (p *process) says(to self, text, wait string, byCommand bool) {
	w := p.w
	if !p.alive() {
		return // there is nobody to write
	}
	w.write(witness.Line{What: say, Who: p.who.String(), To: to.String(), Text: text})
	said := witness.Line{What: "said", Who: p.who.String(), To: to.String(), Text: text}
	other := w.all[to].account
	if byCommand {
		cmd := p.command(p.dir, p.who, "send", other, "-", "--timeout", "10s", "--wait", cmp.Or(wait, "queued"))
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if said.JSON = bytes.TrimSpace(out); len(said.JSON) == 0 {
			said.JSON, said.Err = nil, fmt.Sprint(err)
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				said.Err += ": " + string(exit.Stderr)
			}
		}
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		raw, err := p.askRaw(ctx, "send", map[string]any{"contact": other, "text": text, "wait": wait, "timeout": "10s"})
		if said.JSON = raw; err != nil {
			said.JSON, said.Err = nil, err.Error()
		}
	}
	w.write(said)
}

// reads writes a person's conversation down. It is empty if their node does not answer.
func (p *process) reads(other self, l witness.Line) json.RawMessage {
	l.What, l.Who, l.To, l.Begun = "read", p.who.String(), other.String(), p.w.now()
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	all := []json.RawMessage{}
	for before := ""; ; { // an answer holds only so much
		var page []json.RawMessage
		raw, err := items(p.askRaw(ctx, "messages", map[string]any{"contact": p.w.all[other].account, "limit": 10000, "before": before}))
		if err != nil || json.Unmarshal(raw, &page) != nil {
			return nil
		}
		if len(page) == 0 {
			break
		}
		var oldest struct{ ID string }
		if json.Unmarshal(page[0], &oldest) != nil {
			return nil
		}
		all, before = append(page, all...), oldest.ID
	}
	l.JSON, _ = json.Marshal(all)
	p.w.write(l)
	return l.JSON
}

// asksTrail writes down what became of a message.
func (p *process) asksTrail(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	steps, err := items(p.askRaw(ctx, "messages/trail", map[string]any{"id": id}))
	if err == nil {
		p.w.write(witness.Line{What: "trail", Who: p.who.String(), ID: id, JSON: steps})
	}
}
