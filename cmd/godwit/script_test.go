package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "node": nodeRuns},
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(until(ctx, func() (bool, error) {
		client, err := api.Dial(ctx, dirs.Socket)
		if errors.Is(err, api.ErrNoNode) {
			return false, nil
		}
		if err == nil {
			client.Close()
		}
		return true, err
	}))
}
