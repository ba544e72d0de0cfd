package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
)

const (
	killRounds      = 30
	killRoundsShort = 6
	killBurst       = 16                    // messages that are accepted at most before somebody is killed
	killDelay       = 30 * time.Millisecond // from the last of them to the kill, at most
	killAfter       = 8                     // messages that who is left says then, at most
)

// TestKillAnybodyAnytime kills Anna's node, Bob's or the relay, or two of them, with
// SIGKILL at moments of chance while both write as fast as they can, and starts
// them again: nothing that was acknowledged is lost, nothing comes twice, and each
// one's messages come in their order.
func TestKillAnybodyAnytime(t *testing.T) {
	t.Parallel()
	rounds := killRounds
	if testing.Short() {
		rounds = killRoundsShort
	}
	ctx, w := faultWorld(t)
	k := &killing{t: t, ctx: ctx, world: w, rng: faultSeed(t)}
	k.begin()
	for range rounds {
		k.round()
	}
	k.judge(rounds)
}

// killing is the state of one run.
type killing struct {
	t   *testing.T
	ctx context.Context
	*world
	rng       *rand.Rand
	relay     *process // nil while it is dead
	relayAddr string   // without its PeerID
	relayFull string
	anna, bob *speaker

	kills                    map[string]int
	caught, caughtKills      int // rounds and kills with something unacknowledged
	caughtBy                 map[string]int
	uncertain, uncertainKept int
	sent                     int
	slowest                  time.Duration // start of a process
}

// speaker is a person who writes, and remembers what the node told.
type speaker struct {
	name, id string
	other    *speaker
	process  *process // nil while it is dead

	mu    sync.Mutex
	said  []said
	shown map[string]api.State // of own messages: the latest state that was told
	heard map[string]int       // message events of the other's, by text
	watch sync.WaitGroup
}

// said is a message that the API took, or that a kill cut short.
type said struct {
	text    string
	id      string // empty: nobody knows whether it was taken
	written time.Time
}

func (k *killing) begin() {
	k.kills, k.caughtBy = make(map[string]int), make(map[string]int)
	k.startRelay()
	newSpeaker := func(name string) *speaker {
		return &speaker{name: name, shown: make(map[string]api.State), heard: make(map[string]int)}
	}
	k.anna, k.bob = newSpeaker("anna"), newSpeaker("bob")
	k.anna.other, k.bob.other = k.bob, k.anna
	k.starts(k.anna)
	k.starts(k.bob)
	check(k.t, acquaint(k.ctx, k.anna.process, k.bob.process))
	k.settle()
}

// startRelay starts the relay, the first time at any port, then at the same.
func (k *killing) startRelay() {
	k.t.Helper()
	if k.relayAddr == "" {
		k.relayAddr = "/ip4/127.0.0.1/tcp/0"
	}
	began := time.Now()
	var err error
	k.relay, err = k.start(k.ctx, "relay", "relay", "--data", filepath.Join(k.dir, "relay"), "--listen", k.relayAddr)
	check(k.t, err)
	k.slowest = max(k.slowest, time.Since(began))
	k.relayFull = k.relay.ready.Addrs[0]
	k.relayAddr, _, _ = strings.Cut(k.relayFull, "/p2p/")
}

// starts starts a person's node and listens to its events until it dies.
func (k *killing) starts(s *speaker) {
	k.t.Helper()
	began := time.Now()
	var err error
	s.process, err = k.startNode(k.ctx, s.name, "--relay", k.relayFull)
	check(k.t, err)
	k.slowest = max(k.slowest, time.Since(began))
	s.id = s.process.ready.Account
	client := s.process.client
	listening := make(chan struct{})
	s.watch.Go(func() {
		_ = client.Events(k.ctx, api.EventsRequest{}, func(e api.Event) error { // it ends with the node
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case e.Event == api.EventReady:
				close(listening)
			case e.Event == api.EventState:
				s.shown[e.ID] = api.State(e.State)
			case e.Event == api.EventMessage && e.Author != s.id:
				s.heard[e.Text]++
			}
			return nil
		})
	})
	select {
	case <-listening:
	case <-k.ctx.Done():
		k.t.Fatal(context.Cause(k.ctx))
	}
}

// alive are those of a list who live.
func (k *killing) alive(all ...*speaker) []*speaker {
	return slices.DeleteFunc(all, func(s *speaker) bool { return s.process == nil })
}

// say has a person say one thing. It is false if the node is gone.
func (k *killing) say(s *speaker, client *api.Client) bool {
	s.mu.Lock()
	text := fmt.Sprintf("%s says %d", s.name, len(s.said))
	s.mu.Unlock()
	sent, err := client.Send(k.ctx, api.SendRequest{Contact: s.other.id, Text: text})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, said{text, sent.ID, time.Now()})
	if err == nil && !s.shown[sent.ID].Meets(sent.State) {
		s.shown[sent.ID] = sent.State
	}
	return err == nil
}

// round kills one or two, one after the other, and starts them again.
func (k *killing) round() {
	caught := false
	victims := []string{"anna", "bob", "relay"}
	k.rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	victims = victims[:1+k.rng.IntN(2)]
	if victims[0] == "relay" {
		// A relay has something to lose while one of the two is away.
		slices.Reverse(victims)
	}
	for _, victim := range victims {
		caught = k.killOne(victim, 1+k.rng.IntN(killBurst), time.Duration(k.rng.Int64N(int64(killDelay)))) || caught
	}
	if caught {
		k.caught++
	}
	var all sync.WaitGroup
	for _, s := range k.alive(k.anna, k.bob) {
		n := k.rng.IntN(killAfter)
		all.Go(func() {
			for range n {
				k.say(s, s.process.client)
			}
		})
	}
	all.Wait()
	k.rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	for _, victim := range victims {
		switch victim {
		case "relay":
			k.startRelay()
		case "anna":
			k.starts(k.anna)
		case "bob":
			k.starts(k.bob)
		}
	}
}

// killOne lets all who live write until so many messages were taken, waits a
// moment, and kills. It tells whether something was written then and not
// acknowledged by the victim, or to it.
func (k *killing) killOne(victim string, after int, delay time.Duration) bool {
	var writing sync.WaitGroup
	enough := make(chan struct{})
	stop := make(chan struct{})
	taken := make(chan struct{}, 2*killBurst)
	for _, s := range k.alive(k.anna, k.bob) {
		client := s.process.client
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !k.say(s, client) {
					return
				}
				select {
				case taken <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	go func() {
		defer close(enough)
		for range after {
			select {
			case <-taken:
			case <-k.ctx.Done():
				return
			}
		}
	}()
	<-enough
	<-time.After(delay)
	at := time.Now()
	p := k.relay
	var dead *speaker
	for _, s := range []*speaker{k.anna, k.bob} {
		if s.name == victim {
			dead, p = s, s.process
		}
	}
	check(k.t, p.kill())
	close(stop)
	writing.Wait()
	k.kills[victim]++
	if dead == nil {
		k.relay = nil
	} else {
		dead.process = nil
		dead.watch.Wait()
	}
	caught := k.unacknowledged(dead, at)
	if caught {
		k.caughtKills++
		k.caughtBy[victim]++
	}
	return caught
}

// unacknowledged tells whether a kill cut something short: a message that was
// written before it and that the victim had not acknowledged, or had no
// acknowledgement for. Of a relay: one without a receipt and not delivered, to
// somebody who is away. On the way it checks what the dead left behind.
func (k *killing) unacknowledged(dead *speaker, at time.Time) (caught bool) {
	for _, s := range []*speaker{k.anna, k.bob} {
		written := make(map[string]bool)
		s.mu.Lock()
		for _, m := range s.said {
			written[m.id] = m.id != "" && m.written.Before(at)
		}
		s.mu.Unlock()
		if s.process == nil {
			left := autopsy(k.t, filepath.Join(k.dir, s.name))
			k.compare(s, left)
			for _, m := range left.mine {
				caught = caught || s == dead && written[m.id] && !m.state.Meets(api.Delivered)
			}
			continue
		}
		for _, m := range k.history(s) {
			if m.Author != s.id || !written[m.ID] || m.State.Meets(api.Delivered) {
				continue
			}
			caught = caught || s.other == dead || dead == nil && s.other.process == nil && m.State == api.Queued && m.Relays != nil && m.Relays.Kept == 0
		}
	}
	return caught
}

// compare compares what is on a dead one's disk with what was acknowledged: what the
// API took, the states that were told, and what the other was told is here.
func (k *killing) compare(s *speaker, left kept) {
	k.t.Helper()
	mine, theirs := make(map[string]api.State), make(map[string]int)
	for _, m := range left.mine {
		mine[m.id] = m.state
	}
	for _, m := range left.theirs {
		theirs[m.id]++
	}
	s.mu.Lock()
	for _, m := range s.said {
		if state, ok := mine[m.id]; m.id != "" && (!ok || !state.Meets(s.shown[m.id])) {
			k.t.Errorf("%s was told that %q is %s; on the disk it is %q", s.name, m.text, s.shown[m.id], state)
		}
	}
	s.mu.Unlock()
	told := make(map[string]bool)
	s.other.mu.Lock()
	for id, state := range s.other.shown {
		told[id] = state.Meets(api.Delivered)
	}
	s.other.mu.Unlock()
	for id, delivered := range told {
		if delivered && theirs[id] == 0 {
			k.t.Errorf("%s was told that message %s is delivered; it is not on %s's disk", s.other.name, id, s.name)
		}
	}
	for id, n := range theirs {
		if n > 1 {
			k.t.Errorf("message %s is on %s's disk %d times", id, s.name, n)
		}
	}
}

// history is a person's conversation as their node tells it.
func (k *killing) history(s *speaker) []api.Message {
	k.t.Helper()
	list, err := s.process.client.Messages(k.ctx, api.MessagesRequest{Contact: s.other.id, Limit: api.MaxMessages})
	check(k.t, err)
	return list
}

// settle waits until all is acknowledged on both sides.
func (k *killing) settle() {
	k.t.Helper()
	for _, s := range []*speaker{k.anna, k.bob} {
		awaits(k.t, k.ctx, "all of "+s.name+"'s to be acknowledged", func() (bool, error) {
			status, err := s.process.client.Status(k.ctx, api.StatusRequest{})
			return status.Waiting == 0, err
		})
	}
}

// judge waits until all has arrived and reads both histories, as a person would,
// from what is on the disk.
func (k *killing) judge(rounds int) {
	began := time.Now()
	k.settle()
	settled := time.Since(began)
	for _, s := range []*speaker{k.anna, k.bob} {
		for _, m := range k.history(s) {
			if m.Author == s.id && !m.State.Meets(api.Delivered) {
				k.t.Errorf("nothing of %s's waits, but %q is %s", s.name, m.Text, m.State)
			}
		}
	}
	for _, s := range []*speaker{k.anna, k.bob} {
		if err := s.process.stop(); err != nil || s.process.cmd.ProcessState.ExitCode() != 0 {
			k.t.Errorf("%s's node ended by %v, %v", s.name, s.process.cmd.ProcessState, err)
		}
		s.watch.Wait()
	}
	mine, theirs := make(map[*speaker][]string), make(map[*speaker][]string)
	for _, s := range []*speaker{k.anna, k.bob} {
		mine[s], theirs[s] = k.read(s)
	}
	for _, s := range []*speaker{k.anna, k.bob} {
		if !slices.Equal(mine[s], theirs[s.other]) {
			k.t.Errorf("%s reads of %s %d messages that are not the %d that %s has, in order", s.other.name, s.name, len(theirs[s.other]), len(mine[s]), s.name)
		}
		// What was said, in the order in which it was, with nothing but what was
		// cut short left out and nothing put in.
		next := 0
		for _, m := range s.said {
			k.sent++
			here := next < len(mine[s]) && mine[s][next] == m.text
			switch {
			case here:
				next++
			case m.id != "":
				k.t.Errorf("%s's %q was taken and is not where it should be", s.name, m.text)
			}
			if m.id == "" {
				k.uncertain++
				if here {
					k.uncertainKept++
				}
			}
		}
		if next != len(mine[s]) {
			k.t.Errorf("%s has %d messages that nobody said, from %q", s.name, len(mine[s])-next, mine[s][next])
		}
		for text, n := range s.heard {
			if n > 1 {
				k.t.Errorf("%q was announced to %s %d times", text, s.name, n)
			}
		}
	}
	k.t.Logf("%d rounds with %d kills (relay %d, anna %d, bob %d); %d rounds, %d kills (relay %d, anna %d, bob %d) between the first write and the acknowledgement",
		rounds, k.kills["relay"]+k.kills["anna"]+k.kills["bob"], k.kills["relay"], k.kills["anna"], k.kills["bob"],
		k.caught, k.caughtKills, k.caughtBy["relay"], k.caughtBy["anna"], k.caughtBy["bob"])
	k.t.Logf("%d messages said, %d cut short (of which %d were written); %d and %d arrived once, in order; settled in %.1f s, slowest start %.1f s",
		k.sent, k.uncertain, k.uncertainKept, len(theirs[k.anna]), len(theirs[k.bob]), settled.Seconds(), k.slowest.Seconds())
	if k.caught < rounds/3 {
		k.t.Errorf("only %d of %d rounds killed between the first write and the acknowledgement", k.caught, rounds)
	}
	if lines := grepLogs(k.t, k.dir, regexp.MustCompile(`(?m)^.*level=ERROR.*`)); len(lines) > 0 {
		k.t.Errorf("%d errors in the logs, such as %s", len(lines), lines[0])
	}
}

// read is a person's history by the command line, without a node.
func (k *killing) read(s *speaker) (mine, theirs []string) {
	k.t.Helper()
	cmd := k.command(k.ctx, "--profile", filepath.Join(k.dir, s.name), "messages", s.other.id, "--limit", fmt.Sprint(api.MaxMessages))
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatal(withStderr(err, out))
	}
	for line := range bytes.Lines(out) {
		var m api.Message
		check(k.t, json.Unmarshal(line, &m))
		if m.Author == s.id {
			mine = append(mine, m.Text)
		} else {
			theirs = append(theirs, m.Text)
		}
	}
	return mine, theirs
}
