package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/problem"
)

// runDemo runs `godwit demo --json`, calls each for every line of it, and
// returns the last line and the exit status. No file may be left.
func runDemo(t *testing.T, each func(demoReport)) (demoResult, int) {
	t.Helper()
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "godwit", "demo", "--json") // testscript.Main has put it into PATH
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "GODWIT_HOME="+t.TempDir()+"/not-for-the-demo", "GODWIT_NETWORK=public")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		last = lines.Text()
		t.Log(last)
		var r demoReport
		if err := json.Unmarshal([]byte(last), &r); err != nil || !strings.HasPrefix(last, `{"schema":1,"step":`) {
			t.Fatalf("%q: %v", last, err)
		}
		each(r)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var result demoResult
	if err := json.Unmarshal([]byte(last), &result); err != nil || result.Step != "result" {
		t.Fatalf("the last line is %q: %v", last, err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return result, cmd.ProcessState.ExitCode()
}

func TestDemoHolds(t *testing.T) {
	steps := 0
	result, exit := runDemo(t, func(r demoReport) {
		steps++
		if !r.OK {
			t.Errorf("%s: %s", r.Step, r.Detail)
		}
	})
	if exit != 0 || !result.OK || result.Kept != demoMessages || result.Received != demoMessages || !result.InOrder || steps < 10 {
		t.Errorf("exit %d after %d lines: %+v", exit, steps, result)
	}
}

// The demo does not hold if its relay is killed, whenever that happens: before
// anything is kept, or when all is kept and nobody has it yet.
func TestDemoFailsWithoutItsRelay(t *testing.T) {
	for _, after := range []string{"kill Bob's node", "kill Anna's node"} {
		t.Run(after, func(t *testing.T) {
			relay := 0
			result, exit := runDemo(t, func(r demoReport) {
				if relay == 0 {
					relay = r.PID
				}
				if r.Step == after {
					p, err := os.FindProcess(relay)
					if err == nil {
						err = p.Kill()
					}
					if err != nil {
						t.Errorf("kill the relay: %v", err)
					}
				}
			})
			if exit != problem.ExitFailed || result.OK || result.Received == demoMessages {
				t.Errorf("exit %d: %+v", exit, result)
			}
		})
	}
}
