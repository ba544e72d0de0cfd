package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity/vault"
)

// faultTime is how long a test of faults may wait for one thing.
const faultTime = time.Minute

// faultWorld is a world of processes of this program that ends with the test. If
// the test fails it shows the logs; whatever happens they must not tell of a
// panic or a data race.
func faultWorld(t *testing.T) (context.Context, *world) {
	t.Helper()
	ctx, w, err := newWorld(t.Context())
	check(t, err)
	w.self, err = exec.LookPath("godwit") // testscript.Main has put it there
	check(t, err)
	t.Cleanup(func() {
		w.lost(nil)
		w.killAll()
		for _, line := range grepLogs(t, w.dir, regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE).*`)) {
			t.Error(line)
		}
		if t.Failed() {
			w.showLogs(os.Stderr)
		}
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
	return ctx, w
}

// grepLogs finds lines in the logs of a world.
func grepLogs(t *testing.T, dir string, what *regexp.Regexp) (lines []string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	check(t, err)
	for _, name := range logs {
		b, err := os.ReadFile(name)
		check(t, err)
		for _, line := range what.FindAllString(string(b), -1) {
			lines = append(lines, filepath.Base(name)+": "+line)
		}
	}
	return lines
}

// faultSeed is that of GODWIT_SEED, or another each time; it is printed, and what
// is left to chance in a test follows from it.
func faultSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("GODWIT_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("GODWIT_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// awaits fails the test if something is not so in time.
func awaits(t *testing.T, ctx context.Context, what string, so func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, faultTime, fmt.Errorf("not so after %s", faultTime))
	defer cancel()
	if err := until(ctx, so); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// check fails the test with an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept is what a profile holds, read from a copy of its files while no process has
// them: nothing between the disk and the test but the database.
type kept struct {
	mine   []keptMessage // as they were said
	theirs []keptMessage // as they are shown; then those that wait for one before them
}

type keptMessage struct {
	id, text string
	state    api.State
	shown    bool
}

// autopsy reads a profile of a dead process. The profile itself is not touched.
func autopsy(t *testing.T, profile string) (k kept) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"godwit.db", "godwit.db-wal", "godwit.db-shm", "vault.key", vault.KeyFileName} {
		b, err := os.ReadFile(filepath.Join(profile, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	v, err := vault.Open(dir, vault.Options{})
	check(t, err)
	s, err := store.Open(t.Context(), filepath.Join(dir, "godwit.db"), v.Secrets().Database, store.Options{})
	check(t, err)
	defer s.Close()
	err = s.View(t.Context(), func(tx *store.Tx) error {
		people, err := tx.Contacts()
		if err != nil {
			return err
		}
		for _, who := range people {
			c, err := tx.ConversationWith(who.ID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list, err := tx.Messages(c.ID, 0, 1<<20)
			if err != nil {
				return err
			}
			devices, err := tx.Devices(who.ID)
			if err != nil {
				return err
			}
			for _, d := range devices {
				hidden, err := tx.Hidden(d.Device, c.ID)
				if err != nil {
					return err
				}
				list = append(list, hidden...)
			}
			for _, m := range list {
				one := keptMessage{content.ID(m.Message).String(), string(m.Body), api.State(m.State), m.Shown}
				if m.Mine {
					k.mine = append(k.mine, one)
				} else {
					k.theirs = append(k.theirs, one)
				}
			}
		}
		return nil
	})
	check(t, err)
	return k
}
