package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// notified is the socket in a directory by which systemd is told.
func notified(t *testing.T, dir string) (_ *net.UnixConn, path string) {
	path = filepath.Join(dir, "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { systemd.Close() })
	return systemd, path
}

// systemd starts a relay, has it reload, and stops it: it is told each step, and gets signs of life.
func TestSystemdIsToldHowARelayDoes(t *testing.T) {
	dir := t.TempDir()
	systemd, socket := notified(t, dir)
	said := make(chan string, 1000)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := systemd.Read(buf)
			if err != nil {
				close(said)
				return
			}
			said <- string(buf[:n])
		}
	}()
	hear := func(want string) {
		t.Helper()
		for {
			select {
			case got := <-said:
				if regexp.MustCompile(want).MatchString(got) {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("systemd was not told %s", want)
			}
		}
	}
	env := map[string]string{"HOME": dir, "GODWIT_NETWORK": "loopback", "NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "30000"}
	var out, errs bytes.Buffer
	c := &cli{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(k string) string { return env[k] }}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, []string{"relay", "--data", filepath.Join(dir, "relay")}) }()
	hear(`^READY=1\nSTATUS=`)
	hear(`^STATUS=serving`)
	hear(`^WATCHDOG=1$`)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hear(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`)
	hear(`^READY=1$`)
	stop()
	hear(`^STOPPING=1\n`)
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d: %s", status, errs.String())
	}
}

func TestNobodyIsTold(t *testing.T) {
	for _, env := range []map[string]string{{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/there/is/nobody", "WATCHDOG_USEC": "x"},
		{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}} {
		s := supervised(func(k string) string { return env[k] })
		s.tell("READY=1")
		if s.watchdog != 0 {
			t.Errorf("%v: a sign of life each %v", env, s.watchdog)
		}
	}
}

// unit is the service for systemd.
func unit(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository(t), "assets/relay/godwit-relay.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// understood has our own command line read arguments that are written down elsewhere.
func understood(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := (&cli{}).root().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cobra.NoArgs(cmd, cmd.Flags().Args())
	}
	if err != nil || cmd.Parent() == nil {
		t.Errorf("%q: %v", args, err)
	}
}

// systemd finds nothing wrong with the unit, and little that its process could do to
// others. The commands in it are ours.
func TestUnitForSystemd(t *testing.T) {
	text := unit(t)
	commands := regexp.MustCompile(`(?m)^Exec(?:Start|Reload)=/usr/local/bin/godwit (.*)$`).FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", ""), -1)
	if len(commands) != 2 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		understood(t, strings.Fields(c[1]))
	}
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT RUN: there is no systemd here to verify the unit")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "godwit")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "godwit-relay.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/local/bin/godwit", program)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), filepath.Base(file)) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command(tool, "security", "--offline=true", "--threshold=20", "--no-pager", file).CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") {
		t.Skip("NOT RUN: this systemd is too old to judge the unit's security without running it")
	}
	t.Log(string(bytes.TrimSpace(out[max(0, bytes.LastIndexByte(bytes.TrimSpace(out), '\n')):])))
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// What the unit starts listens where it says, on IPv4 and IPv6, and tells systemd that it does. It has a network
// of its own here, which ends at this computer: its ports are those of a relay that may run already.
func TestTheUnitsRelayStarts(t *testing.T) {
	dir := t.TempDir()
	systemd, socket := notified(t, dir)
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(.*)$`).FindStringSubmatch(strings.ReplaceAll(unit(t), "\\\n", ""))
	if start == nil {
		t.Fatal("the unit starts nothing")
	}
	const noNetwork = 200
	cmd := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("ip link set lo up || exit %d; exec %s", noNetwork, start[1]))
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "GODWIT_NETWORK=public", "STATE_DIRECTORY="+filepath.Join(dir, "relay"), "NOTIFY_SOCKET="+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getuid()}}, GidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getgid()}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("NOT RUN: there is no network of its own for the unit's relay: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		systemd.Close()
	}()
	buf := make([]byte, 4096)
	n, err := systemd.Read(buf)
	if err == nil {
		if got := string(buf[:n]); !strings.HasPrefix(got, "READY=1\n") {
			t.Errorf("systemd was told %q", got)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	if end := <-ended; cmd.ProcessState.ExitCode() == noNetwork {
		t.Skipf("NOT RUN: there is no network of its own for the unit's relay: %s", &out)
	} else if err != nil || end != nil {
		t.Fatalf("it is not ready, and ends with %v: %s", end, &out)
	}
	for _, want := range []string{"page +http://127.0.0.1:4080", "relay: stopping"} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("it does not say %q: %s", want, &out)
		}
	}
}

// The image runs our command as nobody in particular, with nothing else in it. Docker is not
// needed to see that.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(repository(t), "assets/relay/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	type instruction struct{ name, rest string }
	var stages [][]instruction
	var names []string
	for _, line := range strings.Split(strings.ReplaceAll(string(b), "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stages = append(stages, nil)
			_, as, _ := strings.Cut(rest, " AS ")
			names = append(names, as)
		}
		if len(stages) == 0 {
			t.Fatalf("%s before FROM", name)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], instruction{name, strings.TrimSpace(rest)})
	}
	if len(stages) != 2 || names[0] != "build" {
		t.Fatalf("stages %q", names)
	}
	get := func(stage int, name string) (all []string) {
		for _, i := range stages[stage] {
			if i.name == name {
				all = append(all, i.rest)
			}
		}
		return all
	}
	mod, err := os.ReadFile(filepath.Join(repository(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if from := get(0, "FROM")[0]; !strings.HasPrefix(from, "golang:"+string(version[1])) {
		t.Errorf("built from %s, go.mod wants %s", from, version[1])
	}
	if run := strings.Join(get(0, "RUN"), "\n"); !strings.Contains(run, "CGO_ENABLED=0 go build") || !strings.Contains(run, "./cmd/godwit") {
		t.Errorf("it runs %s", run)
	}
	if from := get(1, "FROM"); from[0] != "scratch" {
		t.Errorf("the image is from %s", from)
	}
	if user := get(1, "USER"); len(user) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user[0]) {
		t.Errorf("it runs as %q", user)
	}
	if len(get(1, "RUN")) > 0 || len(get(1, "ADD")) > 0 {
		t.Error("an image from scratch runs nothing while it is made")
	}
	for _, c := range get(1, "COPY") {
		if !strings.HasPrefix(c, "--from=build ") {
			t.Errorf("it copies %s", c)
		}
	}
	words := func(text string) (args []string) {
		for _, w := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(text, -1) {
			args = append(args, w[1])
		}
		return args
	}
	entry, command, health := words(get(1, "ENTRYPOINT")[0]), words(get(1, "CMD")[0]), words(get(1, "HEALTHCHECK")[0])
	if len(entry) != 1 || entry[0] != "/godwit" || len(health) < 2 || health[0] != "/godwit" {
		t.Fatalf("entry %q, health %q", entry, health)
	}
	understood(t, command)
	understood(t, health[1:])
	if get(1, "VOLUME")[0] != `["/data"]` {
		t.Errorf("volumes %q", get(1, "VOLUME"))
	}
}
