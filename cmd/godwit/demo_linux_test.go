package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A demo that is killed leaves no process behind.
func TestDemoIsKilled(t *testing.T) {
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { // the others die as the first does, and may write a moment longer
		var err error
		for start := time.Now(); time.Since(start) < 30*time.Second; <-time.After(10 * time.Millisecond) {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
		}
		t.Error(err)
	}()
	cmd := exec.CommandContext(t.Context(), "godwit", "demo", "--json")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	lines := bufio.NewScanner(stdout)
	for child == 0 && lines.Scan() {
		var r demoReport
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		child = r.PID
	}
	if child == 0 || !lives(child) {
		t.Fatalf("no child to watch (%d)", child)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); lives(child); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives on", child)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// lives says whether a process runs; one that ended and that nobody waited for does
// not.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
