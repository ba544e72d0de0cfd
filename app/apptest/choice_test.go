package apptest_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// hurried is a pace at which relays are found, tested and replaced in seconds. However
// busy the computer is, a relay that is honest is not blamed for a lie: it is asked.
var hurried = config.Pace{Look: 500 * time.Millisecond, List: 500 * time.Millisecond, Lie: 10 * time.Second, Down: 8 * time.Second, Change: time.Second}

// uses are the names of the relays that a person uses, and of those that are drained.
func uses(ctx context.Context, p *apptest.Person, relays map[string]*apptest.Relay) (inUse, drained []string) {
	list, err := p.Relays(ctx, api.RelaysRequest{})
	if err != nil {
		return nil, nil
	}
	for _, v := range list {
		for name, r := range relays {
			switch {
			case r.ID().String() != v.Relay:
			case v.State == "draining":
				drained = append(drained, name)
			case v.State == "connected":
				inUse = append(inUse, name)
			}
		}
	}
	return inUse, drained
}

// Alice and Bob are new and have no relay. They find three each in a DHT that the relays
// make. One that both use dies: another takes its place, each learns of the other's, and
// what is said to who is away is kept there too.
func TestARelayDies(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Yard(hurried)
	relays := make(map[string]*apptest.Relay)
	for _, name := range three {
		relays[name] = w.Relay(name)
	}
	alice, bob := w.Person("alice"), w.Person("bob")
	people := []*apptest.Person{alice, bob}
	for _, p := range people {
		p.Awaits("three relays", func(ctx context.Context) bool {
			inUse, _ := uses(ctx, p, relays)
			return len(inUse) == 3
		})
	}
	alice.Meets(bob)
	relays["fir"] = w.Relay("fir")
	relays["oak"].Stops()
	for _, p := range people {
		p.Awaits("another relay", func(ctx context.Context) bool {
			inUse, drained := uses(ctx, p, relays)
			return len(inUse) == 3 && slices.Contains(inUse, "fir") && slices.Equal(drained, []string{"oak"})
		})
	}
	for _, p := range people {
		p.Awaits("the other to have heard", func(ctx context.Context) bool {
			list, err := p.Relays(ctx, api.RelaysRequest{})
			return err == nil && slices.ContainsFunc(list, func(v api.Relay) bool {
				return v.State == "draining" && v.Unaware == 0 && v.Relay == relays["oak"].ID().String()
			})
		})
	}
	bob.Leaves()
	m := has(alice, bob, alice.Says(bob, "all three are there"), 3)
	if m.State != api.Kept || *m.Relays != (api.Copies{Kept: 3, Named: 3, Wanted: 3}) || m.Reason != "" {
		t.Errorf("a message is %s, %+v, %q", m.State, *m.Relays, m.Reason)
	}
	alice.Leaves()
	bob.Returns()
	bob.Reads(alice, "all three are there")
}

// turncoat is a relay's store that tells of nothing from a moment on.
type turncoat struct {
	mailbox.Store
	lies *atomic.Bool
}

func (s turncoat) List(box mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	if s.lies.Load() {
		return nil, false, nil
	}
	return s.Store.List(box, after, limit, now)
}

// Two of the three relays that Alice and Bob use begin to lie: one tells of nothing, the
// other signs wrongly. What Bob says while Alice is away arrives, both are replaced, and
// she is told why.
func TestTwoOfThreeRelaysLie(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	pace := hurried
	pace.Down = time.Hour // all serve, also where a busy computer lets nobody connect for seconds
	w.Yard(pace)
	relays := make(map[string]*apptest.Relay)
	var lies atomic.Bool
	for i, name := range three {
		r := w.NewRelay(name)
		switch i {
		case 0:
			r.Store = func(own mailbox.Store) mailbox.Store { return turncoat{own, &lies} }
		case 1:
			r.Signer = func(own mailbox.Signer) mailbox.Signer {
				return signer(func(text []byte) ([]byte, error) {
					s, err := own.Sign(text)
					if lies.Load() && err == nil {
						s[0] ^= 1
					}
					return s, err
				})
			}
		}
		r.Starts()
		relays[name] = r
	}
	alice, bob := w.Person("alice"), w.Person("bob")
	for _, p := range []*apptest.Person{alice, bob} {
		p.Awaits("three relays", func(ctx context.Context) bool {
			inUse, _ := uses(ctx, p, relays)
			return len(inUse) == 3
		})
	}
	alice.Meets(bob)
	alice.Leaves()
	lies.Store(true)
	first := bob.Says(alice, "while she is away")
	has(bob, alice, first, 2) // of three, one signs wrongly
	alice.Returns()
	alice.Reads(bob, "while she is away")
	for _, name := range []string{"fir", "yew"} {
		relays[name] = w.Relay(name)
	}
	for _, p := range []*apptest.Person{alice, bob} {
		p.Awaits("others in the place of the liars", func(ctx context.Context) bool {
			inUse, _ := uses(ctx, p, relays)
			slices.Sort(inUse)
			return slices.Equal(inUse, []string{"ash", "fir", "yew"})
		})
		for _, why := range []problem.Code{problem.RelayLoses, problem.RelayForges} {
			p.Awaits("the reason "+string(why), func(context.Context) bool {
				return slices.ContainsFunc(p.Happened(api.EventRelay), func(e api.Event) bool { return e.State == "failing" && strings.Contains(e.Reason, string(why)) })
			})
		}
	}
	bob.Settles()
	alice.Settles()
	alice.Leaves()
	has(bob, alice, bob.Says(alice, "and again"), 3)
	alice.Returns()
	alice.Reads(bob, "while she is away", "and again")
	bob.Sees(alice, first, api.Delivered)
}
