package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// asProgram is set for the process in which the test program is the program itself.
const asProgram = "GODWIT_DESKTOP_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// screen starts a screen in memory and gives its name; it ends with the test.
func screen(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("Xvfb"); err != nil {
		t.Skip("NOT TESTED: there is no Xvfb here to show a window on")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "900x700x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not start: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// A person starts the program, its node answers other programs, the window comes to the
// front when a second start asks, and an end in order leaves nothing undone.
func TestTheWindowOpensAndCloses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: the screen in memory is X11's")
	}
	display := screen(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	profile := filepath.Join(t.TempDir(), "profile")
	env := map[string]string{"GODWIT_NETWORK": "loopback"}
	cfg, _, err := config.Load(config.Sources{Getenv: func(k string) string { return env[k] }, Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Create(ctx, cfg, api.InitRequest{Name: "Anna"}); err != nil {
		t.Fatal(err)
	}
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"--profile", profile}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1", "GODWIT_NETWORK=loopback", "DISPLAY="+display, "WAYLAND_DISPLAY=", "LIBGL_ALWAYS_SOFTWARE=1", "LANG=en_US.UTF-8")
		cmd.Stderr = os.Stderr
		return cmd
	}
	first := start()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	client := answering(ctx, t, cfg.Dirs.Socket)
	s, err := client.Status(ctx, api.StatusRequest{})
	if err != nil || s.Name != "Anna" || s.PID != first.Process.Pid {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := start("godwit:").Run(); err != nil {
		t.Errorf("a second start: %v", err)
	}
	client.Close()
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	// The window's thread was alive to the end: it wrote down how large it was.
	var look struct{ Width float32 }
	raw, err := os.ReadFile(filepath.Join(cfg.Dirs.State, "window.json"))
	if err != nil || json.Unmarshal(raw, &look) != nil || look.Width < 480 {
		t.Errorf("%s, %v", raw, err)
	}
}

// answering waits until a node answers.
func answering(ctx context.Context, t *testing.T, socket string) *api.Client {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		client, err := api.Dial(ctx, socket)
		if err == nil {
			return client
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody answers: %v", err)
		case <-tick.C:
		}
	}
}

func TestWithoutAScreenItSaysSo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there always is one")
	}
	env := func(k string) string {
		return map[string]string{"GODWIT_HOME": t.TempDir(), "GODWIT_NETWORK": "loopback"}[k]
	}
	if err := run(t.Context(), nil, env, io.Discard, io.Discard); !errors.Is(err, problem.NoDisplay) {
		t.Errorf("%v", err)
	}
}

func TestWrongFlags(t *testing.T) {
	env := func(k string) string { return map[string]string{"GODWIT_HOME": t.TempDir()}[k] }
	for _, args := range [][]string{{"--nonsense"}, {"--network", "moon"}, {"a", "b"}} {
		if err := run(t.Context(), args, env, io.Discard, io.Discard); !errors.Is(err, problem.Usage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"--help"}, env, &out, io.Discard); err != nil || !strings.Contains(out.String(), "--profile") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
