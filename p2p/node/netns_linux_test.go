package node_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Nothing of a node in loopback mode leaves the machine: it runs in a network
// namespace of its own, with a second interface whose counters must not move,
// while it is given every reason to dial out. Needs root.
func TestNothingLeavesLoopback(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: not root, so no network namespace to watch packets in")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("SKIPPED")) {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

const namespaceEnv = "GODWIT_TEST_IN_NAMESPACE"

// inNamespace is the inner half of TestNothingLeavesLoopback.
func inNamespace() bool {
	if os.Getenv(namespaceEnv) == "" {
		return false
	}
	if err := watchNamespace(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return true
}

func watchNamespace() error {
	skip := func(err error, what string) error {
		fmt.Printf("SKIPPED: %s: %v\n", what, err)
		return nil
	}
	ip := func(commands ...string) error {
		for _, c := range commands {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, out)
			}
		}
		return nil
	}
	if err := ip("link set lo up", "link add out0 type veth peer name out1"); err != nil {
		return skip(err, "no second interface")
	}
	for _, name := range []string{"out0", "out1"} {
		// The kernel's own IPv6 would speak up by itself.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil {
			return skip(err, "IPv6 stays on")
		}
	}
	if err := ip("addr add 11.22.33.1/24 dev out0", "link set out0 up", "link set out1 up",
		"route add default via 11.22.33.2", "neigh add 11.22.33.2 lladdr 02:00:00:00:00:02 dev out0",
		"neigh add 11.22.33.44 lladdr 02:00:00:00:00:03 dev out0"); err != nil {
		return skip(err, "no second interface")
	}
	// The counter counts: a packet sent on purpose moves it. Until the kernel has seen
	// that the link is up it drops them.
	before, err := sent("out0")
	if err != nil {
		return err
	}
	after := before
	for start := time.Now(); after == before; {
		if time.Since(start) > 10*time.Second {
			return fmt.Errorf("packets on purpose did not move the counter from %d", before)
		}
		c, err := net.Dial("udp", "11.22.33.44:9")
		if err != nil {
			return err
		}
		c.Write([]byte("x"))
		c.Close()
		if after, err = sent("out0"); err != nil {
			return err
		}
	}
	before = after

	// Two nodes and a throw-away host live their life on loopback.
	a, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	pool := node.NewPool(node.Config{Mode: node.Loopback})
	defer pool.Close()
	h, release, err := pool.Host(ctx, "x")
	if err != nil {
		return err
	}
	defer release()
	to := peer.AddrInfo{ID: b.Host().ID(), Addrs: b.Host().Addrs()}
	if err := a.Dial(ctx, to); err != nil {
		return err
	}
	if err := node.Dial(ctx, h, node.Loopback, to); err != nil {
		return err
	}
	// And are tempted, by each way in that libp2p has.
	c2, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		return err
	}
	outside := peer.AddrInfo{ID: c2.Host().ID(), Addrs: []ma.Multiaddr{
		ma.StringCast("/ip4/11.22.33.44/tcp/4001"), ma.StringCast("/ip4/11.22.33.44/udp/4001/quic-v1"),
		ma.StringCast("/dns4/example.org/tcp/4001"), ma.StringCast("/dnsaddr/example.org"),
		ma.StringCast("/ip4/224.0.0.251/udp/5353/quic-v1"),
	}}
	c2.Close()
	for _, err := range []error{a.Dial(ctx, outside), a.Host().Connect(ctx, outside), h.Connect(ctx, outside)} {
		if err == nil {
			return fmt.Errorf("connected to %v", outside)
		}
	}
	<-time.After(2 * time.Second)
	after, err = sent("out0")
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%d packets left loopback", after-before)
	}
	fmt.Println("0 packets left loopback")
	return nil
}

// sent is the number of packets that an interface sent.
func sent(name string) (int, error) {
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			if f := strings.Fields(rest); len(f) > 9 {
				return strconv.Atoi(f[9])
			}
		}
	}
	return 0, fmt.Errorf("no interface %s", name)
}
