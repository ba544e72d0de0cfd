package node_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sys/unix"
)

// Neither end of a connection is probed by the kernel, in loopback mode nor in public
// mode, which dials from the port that it listens on.
func TestConnectionsAreNotProbed(t *testing.T) {
	for _, m := range []node.Mode{node.Loopback, node.Public} {
		listen := []string{"/ip4/127.0.0.1/tcp/0"}
		bob := p2ptest.Start(t, node.Config{Mode: node.Loopback, Listen: listen})
		if m == node.Public { // nobody there may be dialled, but may dial
			alice := bob
			bob = p2ptest.Start(t, node.Config{Mode: m, Listen: listen})
			dial(t, alice, bob)
		} else {
			dial(t, p2ptest.Start(t, node.Config{Mode: m, Listen: listen}), bob)
		}
		text, err := bob.ListenAddrs()[0].ValueForProtocol(ma.P_TCP)
		if err != nil {
			t.Fatal(err)
		}
		port, _ := strconv.Atoi(text)
		ends := 0
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			fd, _ := strconv.Atoi(f.Name())
			near, err1 := unix.Getsockname(fd)
			far, err2 := unix.Getpeername(fd)
			if err1 != nil || err2 != nil || portOf(near) != port && portOf(far) != port {
				continue
			}
			ends++
			if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || v != 0 {
				t.Errorf("%s: an end is probed (%d, %v)", m, v, err)
			}
		}
		if ends != 2 {
			t.Errorf("%s: %d ends of the connection", m, ends)
		}
	}
}

func dial(t *testing.T, from, to *node.Node) {
	t.Helper()
	info := p2ptest.Info(to)
	info.Addrs = to.ListenAddrs() // also those that are not told
	if err := from.Dial(context.Background(), info); err != nil {
		t.Fatal(err)
	}
}

func portOf(a unix.Sockaddr) int {
	if a, ok := a.(*unix.SockaddrInet4); ok {
		return a.Port
	}
	return 0
}
