package dht

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	// startsToldOf and startsInTable are with how many a path starts: of those
	// that we were told of, and of those in the routing table.
	startsToldOf, startsInTable = 8, 12
	// maxPathAsked bounds the requests of one path.
	maxPathAsked = 100
)

// A path is a look-up of our own, which asks only those whom it starts with and whom
// these lead to. kad-dht's lookups start with those in the routing table that are
// nearest to the key; where these are in the hands of one who names only their own, they
// never get to anybody else. (S/Kademlia, Baumgart and Mies 2007, has all lookups go by
// several disjoint paths; we do where something looks wrong.)
type path struct {
	d     *DHT
	key   string
	known map[peer.ID]asked
	said  map[peer.ID]netip.Prefix // where they are
}

type asked byte

const (
	notAsked asked = iota
	answers
	silent
)

// follow lists who answered on a path, nearest first.
func (d *DHT) follow(ctx context.Context, key string, start []peer.AddrInfo) []peer.ID {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	ctx, cancel = d.with(ctx)
	defer cancel()
	p := path{d: d, key: key, known: make(map[peer.ID]asked), said: make(map[peer.ID]netip.Prefix)}
	for next := p.hear(start); len(next) > 0 && ctx.Err() == nil; next = p.next() {
		p.ask(ctx, next)
	}
	return p.those(answers)
}

// followTold follows a path from those that we were told of: nobody answers if we were
// told of nobody.
func (d *DHT) followTold(ctx context.Context, key string) []peer.ID {
	return d.follow(ctx, key, draw(d.told(), startsToldOf))
}

// followAll follows a path from those that we were told of and any of the routing
// table, however far they are from the key.
func (d *DHT) followAll(ctx context.Context, key string) []peer.ID {
	return d.follow(ctx, key, append(draw(d.told(), startsToldOf), draw(d.Peers(), startsInTable)...))
}

// draw takes some by lot.
func draw[T any](list []T, n int) []T {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return cut(list, n)
}

// hear notes peers, and returns those that are new.
func (p *path) hear(infos []peer.AddrInfo) (heard []peer.ID) {
	for _, i := range infos {
		addrs := p.d.allowed(i.Addrs)
		if _, known := p.known[i.ID]; known || i.ID == p.d.host.ID() || !good(i.ID) || len(addrs) == 0 {
			continue
		}
		p.d.host.Peerstore().AddAddrs(i.ID, addrs, peerstore.TempAddrTTL)
		p.known[i.ID], p.said[i.ID] = notAsked, cornerOf(addrs[0])
		heard = append(heard, i.ID)
	}
	return heard
}

// those lists peers of one kind, nearest first.
func (p *path) those(kinds ...asked) (list []peer.ID) {
	for id, a := range p.known {
		if slices.Contains(kinds, a) {
			list = append(list, id)
		}
	}
	return kb.SortClosestPeers(list, kb.ConvertKey(p.key))
}

// next is whom to ask next: those among the nearest who were not asked yet.
func (p *path) next() []peer.ID {
	if len(p.those(answers, silent)) >= maxPathAsked {
		return nil
	}
	nearest := cut(p.d.spreadBy(p.those(notAsked, answers), p.said), bucketSize)
	return cut(slices.DeleteFunc(nearest, func(id peer.ID) bool { return p.known[id] != notAsked }), concurrency)
}

// ask asks some at once who is nearer.
func (p *path) ask(ctx context.Context, ids []peer.ID) {
	var mu sync.Mutex
	var heard []peer.AddrInfo
	for _, id := range ids {
		p.known[id] = silent
	}
	p.d.each(ctx, ids, func(ctx context.Context, id peer.ID) error {
		nearer, err := p.d.messenger.GetClosestPeers(ctx, id, peer.ID(p.key))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		p.known[id] = answers
		for _, n := range nearer {
			heard = append(heard, *n)
		}
		return nil
	})
	p.hear(heard)
}

// hides tells whether a lookup by the routing table misses more than half of those servers
// nearest to a key that it and a path of our own found together. A path that
// finds less is no reason to worry: the relays that it starts with may know few.
func hides(key string, byTable, own []peer.ID) bool {
	both := kb.SortClosestPeers(append(slices.Clone(byTable), without(own, byTable)...), kb.ConvertKey(key))
	both = cut(both, bucketSize)
	return 2*len(without(both, byTable)) > len(both)
}
