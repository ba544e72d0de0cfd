package rate

import (
	"net/netip"
	"testing"
	"time"
)

// A group gets its burst at once and then its rate, to each group its own,
// whatever the clock does (attack 34), and what it gave back again.
func TestGroups(t *testing.T) {
	group := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24)
	}
	now := time.Unix(1_800_000_000, 0)
	g := &Groups{Limit: Limit{Burst: 4, PerSecond: 2}}
	spend := func(group netip.Prefix, n int) (ok int) {
		for range n {
			if g.Take(group, now) {
				ok++
			}
		}
		return ok
	}
	if n := spend(group(0), 10); n != 4 {
		t.Errorf("burst of %d", n)
	}
	if n := spend(group(1), 10); n != 4 {
		t.Errorf("another group got %d", n)
	}
	g.Refund(group(1), 1)
	g.Refund(group(2), 1) // took nothing
	if a, b := spend(group(1), 10), spend(group(2), 10); a != 1 || b != 4 {
		t.Errorf("%d and %d after one was given back", a, b)
	}
	now = now.Add(time.Second)
	if n := spend(group(0), 10); n != 2 {
		t.Errorf("%d after a second", n)
	}
	now = now.Add(-365 * 24 * time.Hour)
	if n := spend(group(0), 10); n != 0 {
		t.Errorf("%d after the clock went back a year", n)
	}
	now = now.Add(time.Second)
	if n := spend(group(0), 10); n != 2 {
		t.Errorf("%d a second later", n)
	}
	now = now.Add(10 * 365 * 24 * time.Hour)
	if n := spend(group(0), 10); n != 4 {
		t.Errorf("%d after the clock went ten years ahead", n)
	}
	// 60,000 groups at once do not fill the memory, and get little (attack 36).
	got := 0
	for i := range 60_000 {
		got += spend(group(i), 1)
	}
	if g.Len() > MaxGroups+1 || got > MaxGroups+8 {
		t.Errorf("%d groups, %d served", g.Len(), got)
	}
	// Later they are forgotten, and others served.
	now = now.Add(time.Minute)
	if n := spend(netip.MustParsePrefix("11.255.255.0/24"), 10); n != 4 || g.Len() > 10 {
		t.Errorf("%d, with %d groups", n, g.Len())
	}
}

// What is large is taken whole or not at all, and what was spent beyond what there was is waited for.
func TestLargeThings(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := &Groups{Limit: Limit{Burst: 100, PerSecond: 10}}
	if !g.TakeSome(netip.Prefix{}, 60, now) || g.TakeSome(netip.Prefix{}, 60, now) || !g.TakeSome(netip.Prefix{}, 40, now) {
		t.Error("of 100 there were not 60 and then 40, but no other 60 between")
	}
	other := netip.MustParsePrefix("10.0.0.0/24")
	if wait := g.Spend(other, 100, now); wait != 0 {
		t.Errorf("what there is is waited for %v", wait)
	}
	if wait := g.Spend(other, 50, now); wait != 5*time.Second {
		t.Errorf("50 too many at 10 a second are waited for %v", wait)
	}
	if wait := g.Spend(other, 10, now.Add(5*time.Second)); wait != time.Second {
		t.Errorf("10 more after that for %v", wait)
	}
	g.SetLimit(Limit{})
	if wait := g.Spend(other, 10, now); wait != 0 {
		t.Errorf("for what never comes %v", wait)
	}
}
