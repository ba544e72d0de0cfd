package apptest_test

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
)

// Alice and Bob meet by an invitation and talk directly.
func TestTwoPeopleTalk(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("relay")
	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
	alice.Meets(bob)

	alice.Sees(bob, alice.Says(bob, "hello Bob"), api.Delivered)
	bob.Sees(alice, bob.Says(alice, "hello Alice"), api.Delivered)
	bob.Reads(alice, "hello Bob")
	alice.Reads(bob, "hello Alice")
}

// Bob is away; Alice's messages wait at the relay, and Alice may leave too.
func TestMessagesWaitAtTheRelay(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("relay")
	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
	alice.Meets(bob)
	bob.Leaves()
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("message %d", i))
	}
	for _, text := range want {
		m := alice.Sees(bob, alice.Says(bob, text), api.Kept)
		if m.Relays == nil || m.Relays.Kept != 1 || m.Relays.Named != 1 || m.Relays.Wanted != 3 || m.Reason == "" {
			t.Errorf("a message kept at one relay says %+v, %q", m.Relays, m.Reason)
		}
	}
	alice.Leaves()
	bob.Returns()
	bob.Reads(alice, want...)
	alice.Returns()
	id := alice.Says(bob, "are you there?")
	alice.Sees(bob, id, api.Delivered)
	bob.Reads(alice, append(want, "are you there?")...)
}

// With the relay gone two people who are online talk on.
func TestDirectWithoutTheRelay(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	relay := w.Relay("relay")
	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
	alice.Meets(bob)
	relay.Stops()
	alice.Sees(bob, alice.Says(bob, "the relay is gone"), api.Delivered)
	bob.Reads(alice, "the relay is gone")
}
