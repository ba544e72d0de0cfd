package chat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	at := func(id string, fault problem.Code) chosen {
		return chosen{id: store.PeerID(id), fault: fault, added: noon.Add(-100 * day)}
	}
	hand := func(id string, fault problem.Code) chosen {
		c := at(id, fault)
		c.hand = true
		return c
	}
	late := func(c chosen) chosen {
		c.added = noon.Add(-10 * day)
		return c
	}
	const ok = ""
	for _, c := range []struct {
		name    string
		changed time.Duration // ago
		inUse   []chosen
		want    change
	}{
		{"none", 0, nil, change{add: true}},
		{"two, just changed", 0, []chosen{at("a", ok), at("b", ok)}, change{add: true}},
		{"two, one lies", 365 * day, []chosen{at("a", ok), at("b", problem.RelayLoses)}, change{add: true, drop: "b", alone: true}},
		{"two, one is gone", 365 * day, []chosen{at("a", ok), at("b", problem.RelayGone)}, change{add: true}},
		{"one, and it lies", 365 * day, []chosen{at("a", problem.RelayLoses)}, change{add: true}},
		{"three", 365 * day, []chosen{at("a", ok), at("b", ok), at("c", ok)}, change{}},
		{"one is gone", 25 * time.Hour, []chosen{at("a", ok), at("b", problem.RelayGone), at("c", ok)}, change{add: true, drop: "b"}},
		{"one is gone, just changed", 23 * time.Hour, []chosen{at("a", ok), at("b", problem.RelayGone), at("c", ok)}, change{}},
		{"our clock was put back", -23 * time.Hour, []chosen{at("a", ok), at("b", problem.RelayGone), at("c", ok)}, change{}},
		{"the liar first", 25 * time.Hour, []chosen{at("a", problem.RelaySlow), at("b", problem.RelayLoses), at("c", ok)}, change{add: true, drop: "b", alone: true}},
		{"all fail", 25 * time.Hour, []chosen{at("a", problem.RelayForges), at("b", problem.RelayLoses), at("c", problem.RelayGone)}, change{add: true, drop: "a"}},
		{"one by hand fails", 0, []chosen{hand("a", problem.RelayLoses), at("b", ok), at("c", ok)}, change{add: true}},
		{"all by hand fail", 0, []chosen{hand("a", problem.RelayLoses), hand("b", problem.RelayGone), hand("c", problem.RelaySlow)}, change{add: true}},
		{"one stands beside it", 365 * day, []chosen{hand("a", problem.RelayLoses), at("b", ok), at("c", ok), at("d", ok)}, change{}},
		{"it works again", 6 * day, []chosen{hand("a", ok), at("b", ok), late(at("c", ok)), at("d", ok)}, change{}},
		{"it has worked for long", 8 * day, []chosen{hand("a", ok), at("b", ok), late(at("c", ok)), at("d", ok)}, change{drop: "c", alone: true}},
		{"many by hand", 365 * day, []chosen{hand("a", ok), hand("b", ok), hand("c", ok), hand("d", ok)}, change{}},
		{"one too many fails", 25 * time.Hour, []chosen{at("a", ok), at("b", problem.RelayGone), at("c", ok), at("d", ok)}, change{drop: "b", alone: true}},
		{"no room", 0, []chosen{hand("a", problem.RelayGone), hand("b", problem.RelayGone), hand("c", problem.RelayGone), hand("d", problem.RelayGone),
			hand("e", problem.RelayGone), hand("f", problem.RelayGone), hand("g", problem.RelayGone), hand("h", problem.RelayGone)}, change{}},
	} {
		if got := decide(noon, noon.Add(-c.changed), Pace{}.orUsual(), c.inUse); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestInOrder(t *testing.T) {
	candidate := func(id, addr, operator string, ago time.Duration) store.Candidate {
		return store.Candidate{Peer: store.PeerID(id), Addrs: [][]byte{ma.StringCast(addr).Bytes()}, Operator: operator, Seen: noon.Add(-ago)}
	}
	barred := candidate("barred", "/ip4/9.9.9.9/tcp/1", "", 300*day)
	barred.Retry = noon.Add(time.Hour)
	all := []store.Candidate{
		barred,
		candidate("in use", "/ip4/9.1.1.1/tcp/1", "", 300*day),
		candidate("same group", "/ip4/9.1.1.77/tcp/1", "", 200*day),
		candidate("same operator", "/ip4/9.2.2.2/tcp/1", "anna", 200*day),
		candidate("both", "/ip4/9.1.1.78/tcp/1", "bob", 200*day),
		candidate("new", "/ip4/9.3.3.3/tcp/1", "", time.Hour),
		candidate("old", "/ip4/9.4.4.4/tcp/1", "", 100*day),
		candidate("old too", "/ip6/2a00:1::1/tcp/1", "", 100*day+time.Hour),
	}
	stay := []chosen{
		{id: "in use", where: cornerOf("", multiaddrs(all[1].Addrs))},
		{id: "friend's", where: cornerOf("anna", []ma.Multiaddr{ma.StringCast("/ip4/9.5.5.5/tcp/1")})},
		{id: "another's", where: cornerOf("bob", []ma.Multiaddr{ma.StringCast("/ip4/9.6.6.6/tcp/1")})},
	}
	first := make(map[store.PeerID]bool)
	for range 50 {
		var got []store.PeerID
		for _, c := range inOrder(noon, all, stay) {
			got = append(got, c.Peer)
		}
		first[got[0]] = true
		slices.Sort(got[:2])
		slices.Sort(got[3:5])
		if want := []store.PeerID{"old", "old too", "new", "same group", "same operator", "both"}; !slices.Equal(got, want) {
			t.Fatalf("the order is %q, want %q", got, want)
		}
	}
	if len(first) != 2 {
		t.Error("of two as old as each other the same is always first")
	}
	if n := alike(stay); n != 0 {
		t.Errorf("%d of three that have nothing in common are alike", n)
	}
	if n := alike(append(stay, chosen{id: "x", where: cornerOf("anna", nil)})); n != 2 {
		t.Errorf("%d of two of one operator are alike", n)
	}
}

func TestFaultOf(t *testing.T) {
	lost, forged := store.RelayFault{What: string(problem.RelayLoses)}, store.RelayFault{What: string(problem.RelayForges)}
	for i, c := range []struct {
		faults []store.RelayFault
		down   time.Duration
		slow   bool
		want   problem.Code
	}{
		{nil, 0, false, ""},
		{[]store.RelayFault{lost}, 5 * time.Hour, false, ""},
		{[]store.RelayFault{lost}, 0, true, problem.RelaySlow},
		{nil, 6 * time.Hour, true, problem.RelayGone},
		{[]store.RelayFault{lost, forged}, 7 * time.Hour, true, problem.RelayForges},
		{[]store.RelayFault{forged, lost}, 0, false, problem.RelayLoses},
	} {
		if got := faultOf(c.faults, c.down, c.slow, Pace{}.orUsual()); got != c.want {
			t.Errorf("case %d: %q, want %q", i, got, c.want)
		}
	}
}

func TestSlowness(t *testing.T) {
	var s slowness
	feed := func(n int, d time.Duration) string {
		for range n {
			s.add(d)
		}
		return fmt.Sprint(s.slow)
	}
	if feed(fewSamples-1, time.Minute) != "false" {
		t.Error("a few answers say that it is slow")
	}
	if feed(1, time.Minute) != "true" {
		t.Error("six answers of a minute are not slow")
	}
	if feed(samples-2, time.Second) != "true" {
		t.Error("it is fast although a twentieth of its answers took a minute")
	}
	if feed(samples, 3*time.Second) != "true" {
		t.Error("it is fast again at more than half of what is slow")
	}
	if feed(samples, time.Second) != "false" {
		t.Error("it stays slow for ever")
	}
	if feed(1, 10*time.Second) != "false" {
		t.Error("one slow answer of twenty-four makes it slow")
	}
}
