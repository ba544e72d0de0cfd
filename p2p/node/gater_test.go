package node

import (
	"context"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
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
