//go:build linux

package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/cmd/godwit/soak/witness"
)

const (
	// usualTime is how long the soak is without SOAK.
	usualTime = 3 * time.Minute
	// worldTime is how long a world goes on: a conversation is read as a whole again
	// and again.
	worldTime = 10 * time.Minute
	// calmTime is how long everything may take to arrive after a storm. Pauses between
	// tries have grown to half a minute by then.
	calmTime = 4 * time.Minute
	// fetchTime is how long somebody may take to collect what relays keep.
	fetchTime = 90 * time.Second
	// trailsRead is of how many messages of a chapter the trail is read, besides those
	// that only relays have.
	trailsRead = 40
)

func TestMain(m *testing.M) {
	if dir, port, liar := strings.Cut(os.Getenv(liarEnv), " "); liar {
		if err := lie(dir, port); err != nil {
			fmt.Fprintln(os.Stderr, "liar:", err)
			os.Exit(1)
		}
		return
	}
	if status, ok := apart(); ok {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// apart runs this process again where it may mount disks that nobody else sees and that
// go with it, for which root or a user namespace is needed.
func apart() (status int, ok bool) {
	const env = "SOAK_APART"
	if os.Getenv(env) != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), env+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		one := func(id int) []syscall.SysProcIDMap {
			return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		}
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = one(os.Getuid()), one(os.Getgid())
	}
	if err := cmd.Start(); err != nil {
		fmt.Println("no namespace of its own for disks:", err)
		return 0, false
	}
	_ = cmd.Wait() // ProcessState says it better
	return max(cmd.ProcessState.ExitCode(), -cmd.ProcessState.ExitCode()), true
}

// TestSoak is three people who write to each other through storms of faults, and a
// witness who judges what they saw. SOAK=DURATION is how long, SEED=NUMBER what happens.
func TestSoak(t *testing.T) {
	length, seed := usualTime, rand.Uint64()
	if testing.Short() {
		length = time.Second
	}
	var err error
	if v := os.Getenv("SOAK"); v != "" {
		length, err = time.ParseDuration(v)
		check(t, err)
	}
	if v := os.Getenv("SEED"); v != "" {
		seed, err = strconv.ParseUint(v, 10, 64)
		check(t, err)
	}
	program := buildProgram(t, t.TempDir())
	t.Run("reasons", func(t *testing.T) { reasons(t, program) })
	wanted := true // by -run
	for end := time.Now().Add(length); wanted; seed++ {
		wanted = false
		if !t.Run(fmt.Sprintf("SEED=%d", seed), func(t *testing.T) {
			wanted = true
			soakWorld(t, program, seed, end)
		}) {
			t.Fatalf("make soak SEED=%d", seed)
		}
		wanted = wanted && time.Now().Before(end)
	}
}

// soakWorld is the life of one world.
func soakWorld(t *testing.T, program string, seed uint64, end time.Time) {
	w := newWorld(t, program, people...)
	w.joins(w.newProcess(hugo))
	var address struct{ Link string }
	check(t, w.all[anna].ask("invite", map[string]any{"reusable": true}, &address))
	w.address = address.Link
	plan := newSchedule(seed)
	if soon := time.Now().Add(worldTime); soon.Before(end) {
		end = soon
	}
	for n := 1; n == 1 || time.Now().Before(end) && !t.Failed(); n++ {
		w.lives(n, plan.next())
		w.verdict(n)
	}
}

// lives is one chapter: a storm, an act in which only relays help, and a calm.
func (w *world) lives(n int, c chapter) {
	over := make(chan struct{})
	var going, saying sync.WaitGroup
	began := time.Now()
	lines := make(map[[2]self]chan string)
	for i, a := range people {
		for _, b := range people[i+1:] {
			if c.apart {
				w.network.part(a, b)
				defer w.network.join(a, b, false)
			}
		}
	}
	for i, s := range c.steps {
		if s.Do != say {
			continue
		}
		to := [2]self{s.Who, s.Other}
		texts := lines[to]
		if texts == nil {
			texts = make(chan string, len(c.steps))
			lines[to] = texts
			saying.Go(func() {
				turn := 0
				for text := range texts {
					turn++
					wait := ""
					if turn%9 == 0 {
						wait = "kept"
					}
					w.all[to[0]].says(to[1], text, wait, turn%7 == 0)
				}
			})
		}
		text := fmt.Sprintf("%s to %s, %d.%d ", s.Who, s.Other, n, i)
		text += strings.Repeat("~", max(0, s.N-len(text)))
		going.Go(func() {
			<-time.After(time.Until(began.Add(s.At)))
			texts <- text
		})
	}
	for _, s := range c.steps {
		if s.Do == say {
			continue
		}
		going.Go(func() {
			<-time.After(time.Until(began.Add(s.At)))
			w.befall(s, over)
		})
	}
	if n == 1 {
		going.Go(func() {
			<-time.After(time.Until(began.Add(c.asked)))
			w.asks(w.address, c.off)
		})
	}
	<-time.After(time.Until(began.Add(stormTime)))
	close(over)
	going.Wait()
	for _, texts := range lines {
		close(texts)
	}
	saying.Wait()
	for _, p := range w.all {
		p.weather.clock(0)
		p.does(honest)
		p.start()
	}
	w.act(n, c)
	if n == 1 {
		w.admits()
	}
	w.calms(n)
}

// act is somebody away, to whom another writes and then goes: what relays promised to
// keep they have to give, however often who fetches it is killed meanwhile.
func (w *world) act(n int, c chapter) {
	reader, writer := w.all[c.reader], w.all[c.writer]
	reader.turn.Lock()
	reader.kill()
	reader.turn.Unlock()
	for i := range c.words {
		writer.says(c.reader, fmt.Sprintf("%s to %s, %d, while away %d", c.writer, c.reader, n, i), "kept", false)
	}
	ids := w.undelivered(writer.reads(c.reader, witness.Line{}))
	for _, id := range ids {
		writer.asksTrail(id)
	}
	writer.turn.Lock()
	if c.killed {
		writer.kill()
	} else {
		_ = writer.end(syscall.SIGTERM)
	}
	writer.turn.Unlock()
	w.write(witness.Line{What: "absent", Who: c.writer.String()})
	for _, s := range c.strikes {
		reader.weather.disk(s.slow)
		hit, ended := make(chan struct{}), make(chan struct{})
		var striking sync.WaitGroup
		disarm := w.network.after(c.reader, s.said, s.bytes, func() {
			if s.late == 0 { // before the last of them arrive
				reader.strike()
				close(hit)
				return
			}
			striking.Go(func() {
				select {
				case <-time.After(s.late):
					reader.strike()
					close(hit)
				case <-ended:
				}
			})
		})
		reader.start()
		select {
		case <-hit:
		case <-time.After(2*time.Second + s.late):
		}
		disarm()
		close(ended)
		striking.Wait()
		reader.turn.Lock()
		if reader.kill() {
			w.did(faultCaught)
		}
		reader.turn.Unlock()
	}
	reader.start()
	reader.weather.disk(0)
	until(fetchTime, func() bool {
		list := reader.peek(c.writer)
		return !slices.ContainsFunc(ids, func(id string) bool { return !strings.Contains(string(list), `"`+id+`"`) })
	})
	reader.reads(c.writer, witness.Line{Without: c.writer.String()})
	writer.start()
}

// undelivered are the ids of a conversation's messages that are kept, but not further.
func (w *world) undelivered(list json.RawMessage) (ids []string) {
	var all []struct{ ID, State string }
	if json.Unmarshal(list, &all) != nil {
		return nil
	}
	for _, m := range all {
		if m.State == "kept" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// peek reads a conversation without writing it down.
func (p *process) peek(other self) json.RawMessage {
	var answer struct{ Items json.RawMessage }
	_ = p.ask("messages", map[string]any{"contact": p.w.all[other].account, "limit": 10000}, &answer) // it is asked again
	return answer.Items
}

// calms waits until nothing waits, and reads it all.
func (w *world) calms(n int) {
	began := time.Now()
	w.await("nothing to wait", calmTime, func() bool {
		for _, who := range people {
			var s status
			if err := w.all[who].ask("status", map[string]any{}, &s); err != nil || s.Waiting > 0 {
				return false
			}
		}
		return true
	})
	settled := time.Since(began)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	var trails int
	for _, who := range people {
		for _, other := range people {
			if who == other {
				continue
			}
			p := w.all[who]
			list := p.reads(other, witness.Line{Calm: true})
			if list == nil {
				w.fault("%s does not answer", who)
			}
			var all []struct{ ID, Author string }
			_ = json.Unmarshal(list, &all)
			for i := max(0, len(all)-60); i < len(all); i++ {
				if all[i].Author == p.account && rng.IntN(60) < trailsRead/6 {
					p.asksTrail(all[i].ID)
					trails++
				}
			}
		}
	}
	w.t.Logf("chapter %d: calm after %.1f s, %d trails", n, settled.Seconds(), trails)
}

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE).*`)

// verdict fails the test with what is wrong.
func (w *world) verdict(n int) {
	w.mu.Lock()
	lines := w.lines
	w.mu.Unlock()
	findings, count := witness.Judge(lines)
	for i, f := range findings {
		if i == 20 {
			w.t.Errorf("and %d more", len(findings)-i)
			break
		}
		w.t.Error(f)
	}
	for _, p := range w.all {
		b, err := os.ReadFile(filepath.Join(w.dir, p.who.String()+".log"))
		check(w.t, err)
		for _, line := range crash.FindAllString(string(b), -1) {
			w.t.Errorf("%s: %s", p.who, line)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range w.wrong {
		w.t.Error(what)
	}
	w.t.Logf("chapter %d: %+v", n, count)
	var did []string
	for _, what := range slices.Sorted(maps.Keys(w.done)) {
		did = append(did, fmt.Sprintf("%s %d", what, w.done[what]))
	}
	w.t.Logf("faults: %s; %s", strings.Join(did, ", "), ways(lines))
}
