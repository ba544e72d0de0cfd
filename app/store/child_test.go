package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// child is what a process does that a test started: "path first" writes numbered
// batches to the database at path for ever, and a line for each commit.
func child(task string) {
	path, first, _ := strings.Cut(task, "\n")
	n, err := strconv.Atoi(first)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	s, err := Open(context.Background(), path, testKey, Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for ; ; n++ {
		fmt.Println("begin", n)
		err := s.Update(context.Background(), func(tx *Tx) error { return writeBatch(tx, n) })
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("done", n)
		if n%7 == 0 {
			if err := s.Maintain(context.Background(), day0()); err != nil {
				fmt.Println("error", err)
				return
			}
		}
	}
}

const batch = 20

// writeBatch writes rows that belong together to three tables.
func writeBatch(tx *Tx, n int) error {
	for i := range batch {
		h := batchHash(n, i)
		wire := make([]byte, 4056)
		copy(wire, h[:])
		sid := SessionID{1}
		id, err := tx.Enqueue(Outgoing{Device: bobsPhone, Class: ClassMessage, Session: &sid, Wire: wire, Hash: &h, Created: day0(), Next: day0()})
		if err != nil {
			return err
		}
		if err := tx.PutDeposit(Deposit{Outbox: id, Relay: "relay", Receipt: h[:], At: day0()}); err != nil {
			return err
		}
		if err := tx.PutSeen(Seen{Hash: h, At: day0(), Expires: day0().Add(SeenFor)}); err != nil {
			return err
		}
		if n > 2 { // and take old ones away, as a living outbox does
			if _, err := tx.Acknowledge(batchHash(n-2, i)); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	return tx.PutSetting("last", []byte(strconv.Itoa(n)))
}

func batchHash(n, i int) Hash { return Hash(sha256.Sum256([]byte(fmt.Sprint(n, i)))) }

// process is a child.
type process struct {
	*exec.Cmd
	lines chan string // closed at the end of its output
}

func start(t *testing.T, path string, first int) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{exec.Command(exe), make(chan string)}
	p.Env = append(os.Environ(), "GODWIT_STORE_TEST="+path+"\n"+strconv.Itoa(first))
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stderr = os.Stderr
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
			if err != nil {
				if !errors.Is(err, io.EOF) {
					p.lines <- "error " + err.Error()
				}
				return
			}
		}
	}()
	return p
}

// kill ends a process as a power cut would end it, for all that it knows, and
// returns the last batches that it began and finished.
func (p *process) kill(t *testing.T, after time.Duration) (begun, done int) {
	t.Helper()
	note := func(line string) {
		what, rest, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(rest)
		switch {
		case what == "begin" && err == nil:
			begun = n
		case what == "done" && err == nil:
			done = n
		default:
			t.Errorf("the process says %q", line)
		}
	}
	var timer <-chan time.Time // begins with the first commit
	for running := true; running; {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Error("the process ended by itself")
				running = false
				break
			}
			note(line)
			if done > 0 && timer == nil {
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
	return begun, done
}

// TestKilledAtAnyMoment: whatever a process was doing when it was killed, what it
// said was done is there, and nothing is there by half.
func TestKilledAtAnyMoment(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	first, inside := 1, 0
	for range rounds {
		p := start(t, path, first)
		begun, done := p.kill(t, time.Duration(rand.IntN(60))*time.Millisecond)
		if t.Failed() {
			return
		}
		if begun > done {
			inside++
		}
		s := openAt(t, path, Options{})
		text := get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("last") })
		last, err := strconv.Atoi(string(text))
		if err != nil || last < done || last > begun {
			t.Fatalf("the process finished %d and began %d; the database says %q", done, begun, text)
		}
		view(t, s, func(tx *Tx) error {
			for n := 1; n <= last+1; n++ {
				for i := range batch {
					_, err := tx.Seen(batchHash(n, i))
					_, errOut := tx.OutgoingByHash(batchHash(n, i))
					if (err == nil) != (n <= last) || (errOut == nil) != (n <= last && n > last-2) {
						t.Errorf("batch %d of %d, row %d: seen %v, outbox %v", n, last, i, err, errOut)
					}
				}
			}
			return nil
		})
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		first = last + 1
	}
	t.Logf("%d batches, killed %d times, %d of them inside a transaction", first-1, rounds, inside)
}

// TestTwoProcesses share a file: SQLite lets them take turns, and each keeps what
// it wrote. (That there is one process to a profile is for its lock to see to;
// this is what happens when it fails.)
func TestTwoProcesses(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		t.Skip("no shared memory for the WAL here")
	}
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true})
	p := start(t, path, 1)
	<-p.lines // it has opened the file
	people := 0
	for range 20 {
		fill(t, s, people)
		people++
	}
	_, done := p.kill(t, 0)
	if done == 0 {
		t.Error("the other process wrote nothing")
	}
	same(t, "people", len(get(t, s, (*Tx).Contacts)), people)
	view(t, s, func(tx *Tx) error {
		for n := range done {
			if _, err := tx.Seen(batchHash(n+1, 0)); err != nil {
				t.Errorf("batch %d of the other process: %v", n+1, err)
			}
		}
		return nil
	})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
