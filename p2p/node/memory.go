package node

import (
	"context"
	"net/netip"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// What a connection takes of memory is bounded by windows of bytes, and bytes that nobody reads can take dozens of times
// as much as they are: over QUIC each that comes in a frame of its own is kept by itself. So the last bound is on what the program has
// in memory.

const (
	// lookAtMemory is how often it is looked how much memory is taken, and collectAgain how often garbage is collected
	// to know it, unless it is a quarter more than there may be.
	lookAtMemory, collectAgain = time.Second, 5 * time.Second
	// withoutQUIC is for how long nobody gets in over QUIC once it was too much.
	withoutQUIC = time.Minute
	// reliefTime is how long what held the memory has to end.
	reliefTime = 2 * time.Second
)

// Go lets a program grow to twice what it needs before it collects garbage, and keeps what it had. A relay whose people are there
// and silent, as they are most of the time, gives that back, so that what it takes is what they need.

const (
	// atRest is how many bytes a program at rest allocates in each of restLooks looks, at most.
	atRest, restLooks = 1 << 20, 3
	// restAgain is how long after a collection there is another of what is not needed: stacks, of which nobody counts how many
	// were taken, come and go without an allocation.
	restAgain = 30 * time.Second
	// spare is how much is left to it, and a quarter of what it needs.
	spare = 8 << 20
)

// usage is what a program has in memory, in bytes.
type usage struct {
	most, least uint64 // taken: some of it by garbage, and what the last collection found without that
	free        uint64 // held of the system, with nothing in it
	allocated   uint64 // since the program began
}

// waste is what collecting gives back, about.
func (u usage) waste() uint64 { return u.most - min(u.most, u.least) + u.free }

// A heap tells how much memory is taken. collect collects garbage, and gives what is free back to the system.
type heap struct {
	usage   func() usage
	collect func()
}

func ownHeap() heap {
	return heap{usage: func() usage {
		s := []metrics.Sample{
			{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
			{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		}
		metrics.Read(s)
		return usage{most: s[0].Value.Uint64(), least: s[1].Value.Uint64(), free: s[2].Value.Uint64(), allocated: s[3].Value.Uint64()}
	}, collect: func() {
		runtime.GC() // what lies in pools goes with the second only, and is not to count as taken
		debug.FreeOSMemory()
	}}
}

// watch ends connections while more memory is taken than limit says, and gives back what the program does not need while it is at rest,
// until the context ends.
func (g *Guard) watch(ctx context.Context, h heap, limit func() uint64) {
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	var collected time.Time
	var before usage
	rests := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		u, since := h.usage(), time.Since(collected)
		if rests++; u.allocated-before.allocated > atRest {
			rests = 0
		}
		before = u
		l := limit()
		switch over := u.most > l && g.bounded(); {
		case over && (u.most > l+l/4 || since >= collectAgain):
			collected = g.unburden(ctx, h, limit)
		case !over && rests >= restLooks && since >= restAgain && u.waste() > spare+u.least/4:
			h.collect()
			collected = time.Now()
		}
	}
}

// unburden ends connections until no more memory is taken than limit says, or the context ends. It tells when garbage was last collected.
func (g *Guard) unburden(ctx context.Context, h heap, limit func() uint64) (collected time.Time) {
	for {
		h.collect()
		collected = time.Now()
		if h.usage().least <= limit() || g.relieve(collected) == 0 {
			return collected
		}
		wait := time.NewTimer(reliefTime)
		select {
		case <-ctx.Done():
			wait.Stop()
			return collected
		case <-wait.C:
		}
	}
}

func (g *Guard) bounded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bounds.Connections > 0
}

// relieve ends connections because of the memory that they take, and tells how many: those over QUIC, whose people have TCP
// as well; if there are none, those of strangers on which there are streams; and else those of the group that has most streams.
func (g *Guard) relieve(now time.Time) int {
	g.mu.Lock()
	var all, quic, strangers []*Visitor
	streams := make(map[netip.Prefix]int)
	for _, of := range g.peers {
		all = append(all, of...)
	}
	for _, c := range g.corners { // who greets has no peer yet
		for _, v := range c.visitors {
			if v.stage == greets {
				all = append(all, v)
			}
		}
	}
	var most netip.Prefix
	for _, v := range all {
		if v.quic {
			quic = append(quic, v)
		}
		if v.streams == 0 {
			continue
		}
		if v.stage < proved {
			strangers = append(strangers, v)
		}
		if streams[v.group] += v.streams; streams[v.group] > streams[most] {
			most = v.group
		}
	}
	ending := quic
	switch {
	case len(quic) > 0:
		g.noQUIC = now.Add(withoutQUIC)
	case len(strangers) > 0:
		ending = strangers
	default:
		for _, v := range all {
			if v.streams > 0 && v.group == most {
				ending = append(ending, v)
			}
		}
	}
	var outs []func()
	for _, v := range ending {
		if v.close != nil {
			g.remove(v)
			outs = append(outs, v.close)
		}
	}
	g.turned[noMemory].Add(uint64(len(outs)))
	g.mu.Unlock()
	for _, out := range outs {
		out()
	}
	return len(outs)
}

// overQUIC says whether an address is one of QUIC.
func overQUIC(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_QUIC_V1)
	return err == nil
}
