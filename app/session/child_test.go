package session

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// work is what a process does that a test started: with the profile at Path it
// seals messages for Peer for ever, or opens the ones that Inbox lists.
type work struct {
	Path    string
	Peer    identity.DevicePublic
	Session store.SessionID
	Inbox   string // a file of messages one after the other; empty: seal
}

func child(task string) {
	if err := toil(task); err != nil {
		fmt.Println("error", err)
	}
}

func toil(task string) error {
	ctx := context.Background()
	var w work
	if err := json.Unmarshal([]byte(task), &w); err != nil {
		return err
	}
	s, err := store.Open(ctx, w.Path, testKey, store.Options{})
	if err != nil {
		return err
	}
	k, err := New(ctx, s)
	if err != nil {
		return err
	}
	if w.Inbox != "" {
		return toilOpening(ctx, k, w)
	}
	for n := 0; ; n++ {
		fmt.Println("begin")
		var told []string
		err := k.Update(ctx, func(tx *store.Tx, b *Batch) error {
			for range 1 + n%4 {
				sealed, err := b.Seal(w.Session, []byte("words"), noon())
				if err != nil {
					return err
				}
				_, err = tx.Enqueue(store.Outgoing{Device: w.Peer, Class: store.ClassMessage, Session: &sealed.Session, Wire: sealed.Wire, Hash: &sealed.Hash,
					Created: noon(), Next: noon()})
				if err != nil {
					return err
				}
				told = append(told, fmt.Sprintf("%x", sealed.Hash))
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println("done", strings.Join(told, ","))
	}
}

// toilOpening opens what it has not yet, two in a transaction, and keeps each as
// a setting; then it waits to be killed.
func toilOpening(ctx context.Context, k *Keeper, w work) error {
	inbox, err := os.ReadFile(w.Inbox)
	if err != nil {
		return err
	}
	const size = 4<<10 - 40
	for len(inbox) > 0 {
		fmt.Println("begin")
		err := k.Update(ctx, func(tx *store.Tx, b *Batch) error {
			for range 2 {
				if len(inbox) == 0 {
					break
				}
				_, payload, err := b.OpenAny(w.Peer, inbox[:size], noon())
				inbox = inbox[size:]
				if errors.Is(err, ErrSeen) {
					continue
				}
				if err != nil {
					return err
				}
				if err := readOnce(tx, string(payload)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println("done")
	}
	fmt.Println("all")
	select {}
}

// readOnce keeps words, and fails if they are there already.
func readOnce(tx *store.Tx, words string) error {
	if _, err := tx.Setting(words); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%q read twice: %w", words, err)
	}
	return tx.PutSetting(words, nil)
}

// process is a child and what it says.
type process struct {
	*exec.Cmd
	lines chan string // closed at the end of its output
}

func begin(t *testing.T, w work) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	task, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{exec.Command(exe), make(chan string)}
	p.Env = append(os.Environ(), "GODWIT_SESSION_TEST="+string(task))
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				p.lines <- strings.TrimSpace(line)
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				p.lines <- "error " + err.Error()
				return
			}
		}
	}()
	return p
}

// kill lets the process work a while after its first commit, ends it without
// warning and returns what it said was done, and whether it was inside a
// transaction.
func (p *process) kill(t *testing.T, after time.Duration) (done []string, inside, all bool) {
	t.Helper()
	note := func(line string) {
		what, rest, _ := strings.Cut(line, " ")
		switch what {
		case "begin":
			inside = true
		case "done":
			inside = false
			if rest != "" {
				done = append(done, strings.Split(rest, ",")...)
			}
		case "all":
			all = true
		default:
			t.Errorf("the process says %q", line)
		}
	}
	var timer <-chan time.Time
	for running := true; running && !all; {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Error("the process ended by itself")
				running = false
				break
			}
			note(line)
			if timer == nil && strings.HasPrefix(line, "done") {
				timer = time.After(after)
			}
		case <-timer:
			running = false
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Error(err)
	}
	for line := range p.lines {
		note(line)
	}
	_ = p.Wait() // says that it was killed
	return done, inside, all
}

func rounds() int {
	if testing.Short() {
		return 3
	}
	return 10
}

// TestKilledWhileSealing: Alice's program is killed again and again. What it said
// was kept is in the outbox; Bob opens everything there, in any order, and nothing
// was sealed with a key that was used before.
func TestKilledWhileSealing(t *testing.T) {
	alice, bob, c := friends(t)
	promised, opened, insides := 0, 0, 0
	for range rounds() {
		alice.close()
		done, inside, _ := begin(t, work{Path: alice.path, Peer: bob.me, Session: c.id()}).kill(t, time.Duration(rand.IntN(50))*time.Millisecond)
		if t.Failed() {
			return
		}
		if inside {
			insides++
		}
		promised += len(done)
		alice.open(store.Options{})
		var list []store.Outgoing
		alice.do(func(tx *store.Tx, _ *Batch) (err error) {
			for _, h := range done {
				hash, err := hex.DecodeString(h)
				if err != nil {
					return err
				}
				if _, err := tx.OutgoingByHash(store.Hash(hash)); err != nil {
					t.Errorf("%s was promised: %v", h, err)
				}
			}
			list, err = tx.Pending(bob.me, 0, 1<<20)
			return err
		})
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		bob.do(func(_ *store.Tx, b *Batch) error {
			for _, o := range list {
				if _, _, err := b.OpenAny(alice.me, o.Wire, noon()); err != nil {
					t.Errorf("one of %d in the outbox: %v", len(list), err)
				}
			}
			return nil
		})
		opened += len(list)
		alice.do(func(tx *store.Tx, _ *Batch) error {
			for _, o := range list {
				if _, err := tx.Withdraw(o.ID); err != nil {
					return err
				}
			}
			return nil
		})
		chat(t, alice, bob, 1) // and the other way
	}
	if opened < promised {
		t.Errorf("%d promised, %d opened", promised, opened)
	}
	t.Logf("%d messages, killed %d times, %d of them inside a transaction", opened, rounds(), insides)
}

// TestKilledWhileOpening: Bob's program is killed again and again and given the
// same inbox each time, as relays do that got no ACK. He reads everything once.
func TestKilledWhileOpening(t *testing.T) {
	alice, bob, c := friends(t)
	const n = 120
	var inbox [][]byte
	alice.do(func(_ *store.Tx, b *Batch) error {
		for i := range n {
			sealed, err := b.Seal(c.id(), fmt.Appendf(nil, "message %d", i), noon())
			if err != nil {
				return err
			}
			inbox = append(inbox, sealed.Wire)
		}
		return nil
	})
	path := filepath.Join(t.TempDir(), "inbox")
	bob.close()
	insides, killed := 0, 0
	for all := false; !all; {
		rand.Shuffle(n, func(i, j int) { inbox[i], inbox[j] = inbox[j], inbox[i] })
		var joined []byte
		for _, wire := range inbox {
			joined = append(joined, wire...)
		}
		if err := os.WriteFile(path, joined, 0o600); err != nil {
			t.Fatal(err)
		}
		var inside bool
		_, inside, all = begin(t, work{Path: bob.path, Peer: alice.me, Inbox: path}).kill(t, time.Duration(rand.IntN(30))*time.Millisecond)
		if t.Failed() {
			return
		}
		killed++
		if inside {
			insides++
		}
	}
	bob.open(store.Options{})
	bob.do(func(tx *store.Tx, _ *Batch) error {
		for i := range n {
			if _, err := tx.Setting(fmt.Sprintf("message %d", i)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		return nil
	})
	chat(t, alice, bob, 2)
	t.Logf("%d messages, killed %d times, %d of them inside a transaction", n, killed, insides)
}
