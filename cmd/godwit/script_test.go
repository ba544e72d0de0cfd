package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/p2p/relay"
)

func TestMain(m *testing.M) {
	// The scripts call the program by its name: the test binary is it.
	testscript.Main(m, map[string]func(){"godwit": main})
}

// TestScripts runs testdata/script: what a person types, and what they get.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			// Every script has a home of its own, and stays on this computer.
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GODWIT_NETWORK", "loopback")
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run"))
			return os.Mkdir(filepath.Join(e.WorkDir, "run"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "node": nodeRuns, "relay": relayRuns, "port": freePort, "reads": reads, "shows": shows, "fill": fill, "field": field, "withtoken": withToken},
	})
}

// exits runs a command line and compares its exit status: exits 2 godwit nope
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := exitStatus(err); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func exitStatus(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &exit):
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}

// nodeRuns waits until the node of a profile answers: node anna
func nodeRuns(ts *testscript.TestScript, neg bool, args []string) {
	dirs, err := config.FindDirs(ts.MkAbs(args[0]), ts.Getenv)
	ts.Check(err)
	await(ts, func() (bool, error) {
		client, err := api.Dial(context.Background(), dirs.Socket)
		if errors.Is(err, api.ErrNoNode) {
			return false, nil
		}
		if err == nil {
			client.Close()
		}
		return true, err
	})
}

// freePort puts a port that nobody listens on into PORT: port
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// relayRuns waits until the relay of a directory answers, and puts its peer id
// into RELAYID: relay DIR
func relayRuns(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	var report relay.Report
	await(ts, func() (ok bool, err error) {
		report, err = relay.Status(context.Background(), relay.Socket(dir))
		if errors.Is(err, relay.ErrNotRunning) {
			return false, nil
		}
		return err == nil && report.State == relay.Serving, err
	})
	ts.Setenv("RELAYID", report.Peer)
}

// reads runs a person's account until a text has arrived: reads anna Bob TEXT
func reads(ts *testscript.TestScript, neg bool, args []string) {
	profile, contact, text := args[0], args[1], args[2]
	await(ts, func() (bool, error) {
		// Any command runs the account; status stays until the relay is reached.
		if err := ts.Exec("godwit", "--profile", profile, "status"); err != nil {
			return false, err
		}
		if err := ts.Exec("godwit", "--profile", profile, "contacts"); err != nil {
			return false, err
		}
		if !strings.Contains(ts.ReadFile("stdout"), contact) {
			return false, nil
		}
		err := ts.Exec("godwit", "--profile", profile, "messages", contact)
		return strings.Contains(ts.ReadFile("stdout"), contact+": "+text), err
	})
}

// shows runs a command line until what it prints holds a text: shows TEXT godwit status
func shows(ts *testscript.TestScript, neg bool, args []string) {
	await(ts, func() (bool, error) {
		err := ts.Exec(args[1], args[2:]...)
		return strings.Contains(ts.ReadFile("stdout"), args[0]), err
	})
}

// fill makes a file of so many letters: fill FILE N
func fill(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("a"), n), 0o600))
}

// withToken writes good.toml and the token of a file into a configuration, and the token into
// TOKEN: withtoken FILE CONFIG
func withToken(ts *testscript.TestScript, neg bool, args []string) {
	token := strings.TrimSpace(ts.ReadFile(args[0]))
	ts.Setenv("TOKEN", token)
	text := ts.ReadFile("good.toml") + "lease_token = [" + strconv.Quote(token) + "]\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// field puts a text of the last command's first line of JSON, or the first N letters
// of it, into a variable: field KEY VARIABLE [N]
func field(ts *testscript.TestScript, neg bool, args []string) {
	var line map[string]any
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))).Decode(&line))
	value, ok := line[args[0]].(string)
	if !ok {
		ts.Fatalf("%s is %v", args[0], line[args[0]])
	}
	if len(args) > 2 {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		value = value[:n]
	}
	ts.Setenv(args[1], value)
}

// await is until for scripts: half a minute is long enough for anything.
func await(ts *testscript.TestScript, so func() (bool, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(until(ctx, so))
}
