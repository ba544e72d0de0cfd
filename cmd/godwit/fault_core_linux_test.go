package main

import (
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"
)

// A node that crashes leaves no core file, whatever it was started with.
func TestNoCoreFile(t *testing.T) {
	limit := regexp.MustCompile(`Max core file size +(\S+) +(\S+)`)
	read := func(pid any) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%v/limits", pid))
		check(t, err)
		m := limit.FindSubmatch(b)
		if m == nil {
			t.Fatalf("no limit of core files in %s", b)
		}
		return string(m[1]) + " " + string(m[2])
	}
	var own syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_CORE, &own))
	if own.Max == 0 {
		t.Skip("this process may not have core files, so neither may those that it starts")
	}
	check(t, syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: own.Max, Max: own.Max}))
	defer syscall.Setrlimit(syscall.RLIMIT_CORE, &own)
	ctx, w := faultWorld(t)
	relay, err := w.startRelay(ctx, "relay")
	check(t, err)
	node, err := w.startNode(ctx, "anna")
	check(t, err)
	for _, p := range []*process{relay, node} {
		if got := read(p.cmd.Process.Pid); got != "0 0" {
			t.Errorf("%s may leave a core file of %s bytes", p.name, got)
		}
	}
	if read("self") == "0 0" {
		t.Error("the test has no core files either, and so shows nothing")
	}
}
