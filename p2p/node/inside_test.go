package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// A host that is about to be closed dials nobody, not even for a dial that began before and
// that nobody waits for any more.
func TestWhoClosesDialsNobody(t *testing.T) {
	alice, err := New(Config{Mode: Loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	bob, err := New(Config{Mode: Loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	alice.gate.closing.Store(true)
	err = alice.Dial(context.Background(), *host.InfoFromHost(bob.host))
	var refused *swarm.DialError
	if !errors.As(err, &refused) || !errors.Is(refused.DialErrors[0].Cause, swarm.ErrGaterDisallowedConnection) {
		t.Errorf("dialled: %v", err)
	}
	if bob.Close(); !bob.gate.closing.Load() {
		t.Error("closing does not shut the gate")
	}
}

// A computer on which nobody can listen over UDP is reached over TCP.
func TestListenOnWhatThereIs(t *testing.T) {
	nowhere := "/ip4/203.0.113.1/udp/0/quic-v1" // no address of ours
	n, err := New(Config{Mode: Loopback, mute: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := listen(n.host, []string{nowhere}, false, false); !errors.Is(err, ErrListen) {
		t.Errorf("listens nowhere: %v", err)
	}
	if err := listen(n.host, []string{nowhere, "/ip4/127.0.0.1/tcp/0"}, false, false); err != nil || len(n.host.Network().ListenAddresses()) != 1 {
		t.Errorf("does not listen over TCP: %v", err)
	}
}

// A port that is taken for IPv4 is free for IPv6: a service listens on both, with the same port.
func TestBothFamiliesHaveThePort(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("there is no IPv6 here: %v", err)
	}
	l.Close()
	if l, err = net.Listen("tcp4", "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if err := free(ma.StringCast(fmt.Sprintf("/ip6/::/tcp/%d", port))); err != nil {
		t.Error(err)
	}
	if err := free(ma.StringCast(fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port))); err == nil {
		t.Error("what is taken is free")
	}
}
