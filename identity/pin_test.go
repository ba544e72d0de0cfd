package identity

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func pinned(t *testing.T, c Chain) Pin {
	t.Helper()
	p, err := NewPin(received(t, c), Suite)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Bob follows Alice's account from manifest to manifest.
func TestBobFollowsAlice(t *testing.T) {
	alice := somebody('a')
	pin := pinned(t, alice.chain)
	same, err := pin.Advance(received(t, alice.chain))
	if err != nil || same != pin {
		t.Errorf("the same again: %+v, %v", same, err)
	}
	c := next(t, alice.chain, alice.device, []gadget{newGadget('l')}, true)
	c2 := next(t, c, alice.device, []gadget{newGadget('p')}, false)
	// Bob was away and missed the one between.
	pin, err = pin.Advance(received(t, c2))
	if err != nil || pin.N != 2 || pin.Head != c2.Head() || pin.RootSigned || pin.Frozen {
		t.Fatalf("two further: %+v, %v", pin, err)
	}

	// A relay shows him the old ones again, with the device that has gone since.
	for _, old := range []Chain{alice.chain, c} {
		if got, err := pin.Advance(received(t, old)); !errors.Is(err, ErrRollback) || got != pin {
			t.Errorf("number %d after 2: %+v, %v", old.N(), got, err)
		}
	}
	if got, err := pin.Advance(received(t, somebody('m').chain)); !errors.Is(err, ErrWrongAccount) || got != pin {
		t.Errorf("Mallory's chain: %v", err)
	}
}

// A thief of Alice's laptop makes another second manifest than she does. Bob
// sees both, and believes neither until her words have spoken.
func TestAThiefForksAlicesAccount(t *testing.T) {
	alice, laptop := somebody('a'), newGadget('l')
	c := next(t, alice.chain, alice.device, []gadget{laptop}, true)
	hers := next(t, c, alice.device, nil, false, laptop.key.Public())
	thiefs := next(t, c, laptop.key, []gadget{newGadget('e')}, true, alice.device.Public())
	longer := next(t, thiefs, laptop.key, []gadget{newGadget('f')}, true)

	for what, fork := range map[string]Chain{"of the same length": thiefs, "longer": longer} {
		pin := pinned(t, hers)
		frozen, err := pin.Advance(received(t, fork))
		if !errors.Is(err, ErrFork) || !frozen.Frozen || frozen.Head != pin.Head || frozen.N != pin.N {
			t.Errorf("a fork %s: %+v, %v", what, frozen, err)
		}
		// Frozen means frozen, for her own next one too.
		for _, c := range []Chain{hers, next(t, hers, alice.device, []gadget{newGadget('x')}, false), fork} {
			if again, err := frozen.Advance(received(t, c)); !errors.Is(err, ErrFork) || again != frozen {
				t.Errorf("after a fork %s, number %d: %+v, %v", what, c.N(), again, err)
			}
		}
		if again, err := frozen.Advance(received(t, alice.chain)); !errors.Is(err, ErrRollback) || !again.Frozen {
			t.Errorf("after a fork %s, the first: %+v, %v", what, again, err)
		}

		restart := RestartChain(alice.root, alice.device, alice.agreement.Public(), noon.Add(time.Hour), 0)
		free, err := frozen.Advance(received(t, restart))
		if err != nil || free.Frozen || free.Head != restart.Head() || !free.RootSigned {
			t.Errorf("ROOT speaks: %+v, %v", free, err)
		}
		if _, err := free.Advance(received(t, longer)); !errors.Is(err, ErrRollback) {
			t.Errorf("the thief goes on: %v", err)
		}
	}
}

// ROOT against a device at one number: ROOT wins. ROOT against ROOT: a freeze.
func TestRootSignedWins(t *testing.T) {
	alice := somebody('a')
	later := noon.Add(time.Hour)
	restart := RestartChain(alice.root, alice.device, alice.agreement.Public(), later, 0)
	pin := pinned(t, restart)
	same := RestartChain(alice.root, newGadget('x').key, newGadget('x').agreement.Public(), later, 0)
	if got, err := pin.Advance(received(t, same)); !errors.Is(err, ErrFork) || !got.Frozen {
		t.Errorf("two by ROOT at one number: %+v, %v", got, err)
	}

	grown := next(t, restart, alice.device, []gadget{newGadget('l')}, true)
	against := RestartChain(alice.root, alice.device, alice.agreement.Public(), noon, restart.N()) // number restart.N()+1
	if against.N() != grown.N() {
		t.Fatalf("numbers %d and %d", against.N(), grown.N())
	}
	got, err := pinned(t, grown).Advance(received(t, against))
	if err != nil || got.Head != against.Head() || !got.RootSigned {
		t.Errorf("by ROOT against a device: %+v, %v", got, err)
	}
	if after, err := got.Advance(received(t, grown)); !errors.Is(err, ErrFork) || !after.Frozen {
		t.Errorf("and back again: %+v, %v", after, err)
	}
}

// Alice lost everything but her words.
func TestAliceRecovers(t *testing.T) {
	alice, fresh := somebody('a'), newGadget('n')
	old := next(t, alice.chain, alice.device, []gadget{newGadget('l')}, true)
	pin := pinned(t, old)

	entropy, err := ParsePhrase(strings.Join(Phrase(alice.entropy), " "))
	if err != nil {
		t.Fatal(err)
	}
	c := RestartChain(RootFromEntropy(entropy), fresh.key, fresh.agreement.Public(), noon.Add(24*time.Hour), 0)
	if c.Account() != alice.chain.Account() || c.N() != uint64(noon.Add(24*time.Hour).UnixMilli()) {
		t.Fatalf("account %v, number %d", c.Account(), c.N())
	}
	pin, err = pin.Advance(received(t, c))
	if err != nil || pin.N != c.N() {
		t.Fatalf("Bob sees %+v, %v", pin, err)
	}
	seen := received(t, c)
	if err := seen.Verify(); err != nil {
		t.Fatal(err)
	}
	if err := seen.Check(alice.device.Public(), alice.agreement.Public()); !errors.Is(err, ErrNotListed) {
		t.Errorf("her lost device: %v", err)
	}
	// Her clock was before 1970 once; numbers still rise where the last is known.
	if c := RestartChain(alice.root, fresh.key, fresh.agreement.Public(), time.Unix(-1000, 0), pin.N); c.N() != pin.N+1 {
		t.Errorf("with a wrong clock, number %d after %d", c.N(), pin.N)
	}
}

func TestSuiteOnlyRises(t *testing.T) {
	pin := Pin{Suite: 2}
	if _, err := pin.Raise(1); !errors.Is(err, ErrDowngrade) {
		t.Errorf("1 after 2: %v", err)
	}
	if p, err := pin.Raise(2); err != nil || p != pin {
		t.Errorf("2 after 2: %v", err)
	}
	if p, err := pin.Raise(3); err != nil || p.Suite != 3 {
		t.Errorf("3 after 2: %+v, %v", p, err)
	}
	alice := somebody('a')
	high, err := NewPin(received(t, alice.chain), 9)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := high.Advance(received(t, RestartChain(alice.root, alice.device, alice.agreement.Public(), noon, 0))); err != nil || p.Suite != 9 {
		t.Errorf("a new chain changes the suite: %+v, %v", p, err)
	}
}
