package apptest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/problem"
)

// three people's relays.
var three = []string{"oak", "elm", "ash"}

// has waits until a message of a person's is kept by so many of the three relays.
func has(p, other *apptest.Person, id string, kept int) (m api.Message) {
	p.Awaits("receipts", func(context.Context) bool {
		m = p.Finds(other, id)
		return m.Relays != nil && m.Relays.Kept == kept
	})
	return m
}

// With three relays there are three receipts, and nothing is left to say.
func TestThreeRelays(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	for _, name := range three {
		w.Relay(name)
	}
	alice, bob := w.Person("alice", three...), w.Person("bob", three...)
	alice.Meets(bob)
	bob.Leaves()
	id := alice.Says(bob, "three copies")
	m := has(alice, bob, id, 3)
	if m.State != api.Kept || *m.Relays != (api.Copies{Kept: 3, Named: 3, Wanted: 3}) || m.Reason != "" {
		t.Errorf("a message at three relays is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}
	// Three copies are one message.
	bob.Returns()
	bob.Reads(alice, "three copies")
	alice.Sees(bob, id, api.Delivered)
	bob.Sees(alice, bob.Says(alice, "one arrived"), api.Delivered)
	bob.Reads(alice, "three copies")
}

// With one relay the message is kept, and it says why that is less than wanted.
func TestOneRelay(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak := w.Relay("oak")
	alice, bob := w.Person("alice", "oak"), w.Person("bob", "oak")
	alice.Meets(bob)
	bob.Leaves()
	// A test of the network says so, and when the relay is gone.
	tried := func() api.RelayTest {
		t.Helper()
		test, err := alice.TestNetwork(t.Context(), api.TestNetworkRequest{})
		if err != nil || len(test.Relays) != 1 || test.Relays[0].Relay != oak.ID().String() {
			t.Fatalf("%+v, %v", test, err)
		}
		return test.Relays[0]
	}
	defer func() {
		oak.Stops()
		if v := tried(); v.Reason != "nobody listens at its address" {
			t.Errorf("a relay that has stopped: %+v", v)
		}
	}()
	if v := tried(); v.Reason != "" || v.Connect < 0 || v.Answer < 0 {
		t.Errorf("a relay that works: %+v", v)
	}
	m := alice.Sees(bob, alice.Says(bob, "one copy"), api.Kept)
	if *m.Relays != (api.Copies{Kept: 1, Named: 1, Wanted: 3}) || !strings.Contains(m.Reason, string(problem.FewRelays)) {
		t.Errorf("a message at one relay is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}
}

// With two of three relays down one receipt is not enough; with the second it is,
// and the third comes when it can. Relays come and go meanwhile.
func TestTwoOfThreeRelaysAreDown(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak, elm, ash := w.Relay("oak"), w.Relay("elm"), w.Relay("ash")
	alice, bob := w.Person("alice", three...), w.Person("bob", three...)
	alice.Meets(bob)
	bob.Leaves()
	oak.Stops()
	elm.Stops()
	id := alice.Says(bob, "is one enough?")
	m := has(alice, bob, id, 1)
	alice.Hopes(bob, id, problem.RelayUnreached)
	if m = alice.Finds(bob, id); m.State != api.Queued || *m.Relays != (api.Copies{Kept: 1, Named: 3, Wanted: 3}) {
		t.Errorf("with two of three relays down a message is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}

	oak.Starts()
	if m = has(alice, bob, id, 2); m.State != api.Kept || m.Relays.Named != 3 || !strings.Contains(m.Reason, string(problem.RelayUnreached)) {
		t.Errorf("with one of three relays down a message is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}
	ash.Stops()
	elm.Starts()
	if m = has(alice, bob, id, 3); m.State != api.Kept || m.Reason != "" {
		t.Errorf("a message at three relays is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}

	// Any one of the three has it.
	alice.Leaves()
	oak.Stops()
	bob.Returns()
	bob.Reads(alice, "is one enough?")
	oak.Starts()
	ash.Starts()
	alice.Returns()
	alice.Sees(bob, alice.Says(bob, "all are here"), api.Delivered)
	bob.Reads(alice, "is one enough?", "all are here")
}

// With every relay stopped, two people who are online talk on.
func TestAllRelaysStop(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak, elm := w.Relay("oak"), w.Relay("elm")
	alice, bob := w.Person("alice", "oak", "elm"), w.Person("bob", "oak", "elm")
	alice.Meets(bob)
	oak.Stops()
	elm.Stops()
	alice.Sees(bob, alice.Says(bob, "direct"), api.Delivered)
	bob.Sees(alice, bob.Says(alice, "and back"), api.Delivered)
	bob.Reads(alice, "direct")
	alice.Reads(bob, "and back")
}

// A relay that lost its disk, or what it had not synced, is used again as soon as
// it is back: the box is leased, and queues and notices are put there anew.
func TestRelayThatForgetsItsQueues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(*apptest.Relay)
		after  func(*apptest.Relay)
	}{
		{"its disk", func(*apptest.Relay) {}, (*apptest.Relay).LosesDisk},
		{"what was not synced", (*apptest.Relay).Remembers, (*apptest.Relay).LosesPower},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := apptest.New(t)
			oak := w.Relay("oak")
			alice, bob, carol := w.Person("alice", "oak"), w.Person("bob", "oak"), w.Person("carol", "oak")
			alice.Leaves()
			bob.Leaves()
			c.before(oak)
			alice.Returns()
			bob.Returns()
			alice.Meets(bob)
			link := alice.Invites()
			alice.Leaves()
			bob.Leaves()
			carol.Leaves()
			c.after(oak)

			alice.Returns()
			bob.Returns()
			bob.Leaves()
			alice.Sees(bob, alice.Says(bob, "after the fire"), api.Kept)
			bob.Returns()
			bob.Reads(alice, "after the fire")
			alice.Leaves()
			carol.Returns()
			if err := carol.Accepts(link, "alice", "I was invited before the fire"); err != nil {
				t.Fatal(err)
			}
			alice.Returns()
			alice.AwaitsContact("carol")
			alice.Reads(carol, "I was invited before the fire")
		})
	}
}
