package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

// The test binary is the other process: with roleEnv set it is a relay or a
// bare server instead of running tests.
const roleEnv, dirEnv = "GODWIT_TEST_ROLE", "GODWIT_TEST_DIR"

// busyEnv, if it is set, has the relay give space back all the time, not every few seconds.
const busyEnv = "GODWIT_TEST_BUSY"

// busy is a store that gives space back all the time.
type busy struct{ *disk.Store }

func (b busy) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		for ctx.Err() == nil && b.Collect(ctx) == nil { // whose error Run has, too
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return b.Store.Run(ctx)
}

// diskEnv is how many bytes the relay may use on disk, if not as many as it uses by itself.
const diskEnv = "GODWIT_TEST_MAX_DISK"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Getenv(dirEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// play runs until SIGTERM, having said on standard output where it listens.
func play(role, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if role == "flood" {
		return flood(ctx, os.Getenv(floodEnv))
	}
	if role == "bare" {
		return relay.ServeBare(ctx, dir, func(addr string) { fmt.Println(addr) })
	}
	most, _ := strconv.ParseInt(os.Getenv(diskEnv), 10, 64)
	var store func(relay.StoreConfig) (relay.Store, error)
	if os.Getenv(busyEnv) != "" {
		store = func(c relay.StoreConfig) (relay.Store, error) {
			s, err := disk.Open(disk.Config{Dir: c.Dir, MaxBytes: c.MaxBytes, Quotas: c.Quotas})
			return busy{s}, err
		}
	}
	r, err := relay.New(relay.Config{
		Limits: relay.Limits{MaxDisk: most}, Store: store, Data: dir, Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Event: func(e relay.Event) {
			if e.State == relay.Ready {
				fmt.Println(e.Addrs[0])
			}
		},
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// child is the other process.
type child struct {
	cmd  *exec.Cmd
	addr string
}

func start(t testing.TB, role, dir string, env ...string) *child {
	t.Helper()
	return startProgram(t, os.Args[0], role, dir, env...)
}

// startProgram is start of another test binary of this package, such as one of an earlier version.
func startProgram(t testing.TB, program, role, dir string, env ...string) *child {
	t.Helper()
	c, said := tryProgram(t, program, role, dir, env...)
	if c == nil {
		t.Fatalf("the other process said nothing but: %s", said)
	}
	return c
}

// tryStart is nil, and what the other process said last, if that ends before it serves.
func tryStart(t testing.TB, role, dir string, env ...string) (c *child, said string) {
	t.Helper()
	return tryProgram(t, os.Args[0], role, dir, env...)
}

func tryProgram(t testing.TB, program, role, dir string, env ...string) (c *child, said string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir), env...)
	cmd.Stderr = io.MultiWriter(os.Stderr, &log)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c = &child{cmd: cmd}
	t.Cleanup(func() { (&child{cmd: cmd}).kill(t) })
	s := bufio.NewScanner(out)
	if !s.Scan() {
		cmd.Wait()
		return nil, log.String()
	}
	c.addr = s.Text()
	return c, ""
}

func (c *child) kill(testing.TB) {
	if c.cmd.ProcessState == nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	}
}

func (c *child) info(t testing.TB) peer.AddrInfo {
	t.Helper()
	i, err := peer.AddrInfoFromString(c.addr)
	if err != nil {
		t.Fatal(err)
	}
	return *i
}

func (c *child) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	u, _ := strconv.Atoi(f[11])
	s, _ := strconv.Atoi(f[12])
	return time.Duration(u+s) * 10 * time.Millisecond, nil
}
