package node

import (
	"net/netip"
	"testing"
	"time"
)

// Mallory has proved something from as many addresses as are known, of 256 groups. People elsewhere, and beside her, become known all the same, and
// hers do not come back in their place; what is known of whom stays counted.
func TestKnownAddressesAreShared(t *testing.T) {
	at := func(group, host int) (netip.Prefix, netip.Prefix) {
		ip := netip.AddrFrom4([4]byte{10, byte(group >> 8), byte(group), byte(host)})
		return Group(ip), netip.PrefixFrom(ip, 32)
	}
	now := time.Unix(1_800_000_000, 0)
	var k known
	remember := func(group, host int) bool {
		g, a := at(group, host)
		return k.remember(g, a, now)
	}
	has := func(group, host int) bool {
		g, a := at(group, host)
		return k.has(g, a, now)
	}
	for host := range knownGroup {
		for group := range maxKnown / knownGroup {
			if !remember(group, host) {
				t.Fatalf("there is no room for %d of group %d", host, group)
			}
		}
		now = now.Add(time.Minute)
	}
	if !remember(1000, 1) || !remember(1000, 2) || !has(1000, 1) || !has(1000, 2) {
		t.Error("nobody makes room for people from elsewhere")
	}
	for host := range 2000 {
		remember(host%100, 100+host/100)
	}
	if !has(1000, 1) || !has(1000, 2) {
		t.Error("and they make room themselves, though others have more")
	}
	if !has(7, 63) || has(7, 0) || remember(7, 200) {
		t.Error("in a full group it is not those who came lately who stay")
	}
	full := 0
	for group := 2000; remember(group, 1); group++ { // each from a group of its own, until there is one of each
		if full++; full > maxKnown {
			t.Fatal("there is always room")
		}
	}
	if !has(1000, 1) && !has(1000, 2) {
		t.Error("who came from a group with few is forgotten for one of a group with none")
	}
	n, sizes := 0, 0
	for _, groups := range k.sizes {
		sizes += len(groups)
	}
	for group, addrs := range k.groups {
		if n += len(addrs); len(addrs) > knownGroup || len(addrs) == 0 {
			t.Fatalf("%d of %v", len(addrs), group)
		}
	}
	if n != k.n || n > maxKnown || sizes != len(k.groups) {
		t.Errorf("%d are known, counted as %d", n, k.n)
	}
	now = now.Add(knownTime)
	if has(1000, 1) || !remember(1000, 3) || k.n != 1 {
		t.Errorf("a day later %d are known", k.n)
	}
	if k.remember(netip.Prefix{}, netip.Prefix{}, now) {
		t.Error("no address is known")
	}
}
