package node

import (
	"net/netip"
	"time"
)

const (
	// knownTime is how long an address is known for after something was proved from there.
	knownTime = 24 * time.Hour
	// maxKnown addresses are known, and knownGroup of one group.
	maxKnown, knownGroup = 16384, 64
	// knownAnew is after what time an address makes room for another of its group, unless it proved something again.
	knownAnew = time.Hour
)

// known are the addresses of those who proved something, and when they last did, by group. Where all places are
// taken the group that has most gives one up to a group that has fewer, so however many addresses somebody has, it takes as
// many groups to be alone here. The zero value knows nobody.
type known struct {
	groups map[netip.Prefix]map[netip.Prefix]time.Time
	sizes  [knownGroup + 1]map[netip.Prefix]struct{} // the groups that have so many
	n      int
	swept  time.Time // when those whose time is over were forgotten
}

// has says whether an address is known.
func (k *known) has(group, addr netip.Prefix, now time.Time) bool {
	at, ok := k.groups[group][addr]
	return ok && now.Sub(at) < knownTime
}

// remember has an address be known from now on, and says whether there was room for it.
func (k *known) remember(group, addr netip.Prefix, now time.Time) bool {
	if !addr.IsValid() {
		return false
	}
	_, again := k.groups[group][addr]
	if !again && !k.makeRoom(group, now) {
		return false
	}
	if k.groups == nil {
		k.groups = make(map[netip.Prefix]map[netip.Prefix]time.Time)
	}
	addrs := k.groups[group]
	if addrs == nil {
		addrs = make(map[netip.Prefix]time.Time)
		k.groups[group] = addrs
	}
	before := len(addrs)
	addrs[addr] = now
	k.count(group, before)
	return true
}

// makeRoom makes room for one more address of a group, or says that there is none.
func (k *known) makeRoom(group netip.Prefix, now time.Time) bool {
	full := func() bool { return k.n >= maxKnown || len(k.groups[group]) >= knownGroup }
	if full() && now.Sub(k.swept) >= time.Minute {
		k.sweep(now)
	}
	if len(k.groups[group]) >= knownGroup {
		addr, at := k.oldest(group)
		if now.Sub(at) < knownAnew {
			return false
		}
		k.forget(group, addr)
	}
	if k.n < maxKnown {
		return true
	}
	for n := knownGroup; n > len(k.groups[group])+1; n-- { // of one that has one more it would only be the other way round then
		for most := range k.sizes[n] {
			addr, _ := k.oldest(most)
			k.forget(most, addr)
			return true
		}
	}
	return false
}

// oldest is the address of a group that proved something longest ago.
func (k *known) oldest(group netip.Prefix) (addr netip.Prefix, at time.Time) {
	for a, t := range k.groups[group] {
		if at.IsZero() || t.Before(at) {
			addr, at = a, t
		}
	}
	return addr, at
}

func (k *known) sweep(now time.Time) {
	k.swept = now
	for group, addrs := range k.groups {
		for addr, at := range addrs {
			if now.Sub(at) >= knownTime {
				k.forget(group, addr)
			}
		}
	}
}

func (k *known) forget(group, addr netip.Prefix) {
	before := len(k.groups[group])
	delete(k.groups[group], addr)
	k.count(group, before)
}

// count notes how many addresses a group has now, where there were some before.
func (k *known) count(group netip.Prefix, before int) {
	after := len(k.groups[group])
	if after == before {
		return
	}
	k.n += after - before
	delete(k.sizes[before], group)
	if after == 0 {
		delete(k.groups, group)
		return
	}
	if k.sizes[after] == nil {
		k.sizes[after] = make(map[netip.Prefix]struct{})
	}
	k.sizes[after][group] = struct{}{}
}
