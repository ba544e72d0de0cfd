package dht

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// announceEvery is how often a relay announces itself, give or take a tenth:
	// three times within AnnouncementLife.
	announceEvery = 4 * time.Hour
	// keysAtOnce is how many keys Announce and FindRelays work on at the same time.
	keysAtOnce = 4
	// maxRelayAddrs is the number of addresses of a relay that are handed on.
	maxRelayAddrs = 8
	// MaxRelays is the most that FindRelays gives.
	MaxRelays = 64
)

func withDial(ctx context.Context, d time.Duration) context.Context {
	return network.WithDialPeerTimeout(ctx, d)
}

// Announce tells that this node is a relay, under the keys of today, and of
// tomorrow if that begins before the next announcement is due. keys is the number of those, 16 a
// day, under which servers heard it. The error wraps ErrNoPeers or ErrNotStored.
func (d *DHT) Announce(ctx context.Context) (keys int, err error) {
	self := peer.AddrInfo{ID: d.host.ID(), Addrs: d.allowed(d.host.Addrs())}
	if len(self.Addrs) == 0 {
		return 0, fmt.Errorf("%w: this relay has no address that others may dial", ErrNotStored)
	}
	now := time.Now()
	var all [][32]byte
	for _, day := range slices.Compact([]uint32{dayOf(now), dayOf(now.Add(announceEvery + announceEvery/10))}) {
		for i := range RelayKeys {
			all = append(all, relayKey(day, i))
		}
	}
	var mu sync.Mutex
	var failed error
	atOnce(all, func(key [32]byte) {
		// Who asks us hears it too: we may be the only server.
		_ = d.providers.AddProvider(ctx, key[:], self)
		near, _, err := d.nearest(ctx, string(key[:]))
		heard := 0
		if err == nil {
			heard = d.each(ctx, cut(near, bucketSize), func(ctx context.Context, p peer.ID) error {
				return d.messenger.PutProviderAddrs(ctx, p, key[:], self)
			})
		}
		mu.Lock()
		defer mu.Unlock()
		if heard > 0 {
			keys++
		} else {
			failed = cmp.Or(err, ErrNotStored)
		}
	})
	if keys == 0 {
		return 0, errors.Join(failed, ctx.Err())
	}
	return keys, nil
}

// atOnce works on several keys at the same time.
func atOnce(keys [][32]byte, do func([32]byte)) {
	next := make(chan [32]byte, len(keys))
	for _, k := range keys {
		next <- k
	}
	close(next)
	var wg sync.WaitGroup
	for range keysAtOnce {
		wg.Go(func() {
			for k := range next {
				do(k)
			}
		})
	}
	wg.Wait()
}

// keepAnnounced announces for as long as ctx lives.
func (d *DHT) keepAnnounced(ctx context.Context) {
	pause := firstPause
	for {
		wait := announceEvery - announceEvery/10 + rand.N(announceEvery/5)
		if _, err := d.Announce(ctx); err != nil {
			wait = pause/2 + rand.N(pause/2)
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		if !rest(ctx, wait) {
			return
		}
	}
}

// FindRelays looks for at least n relays, at most MaxRelays, that announced themselves
// today, or yesterday if today has none. It asks under keys drawn by lot, and
// stops when it has n. Those that more servers name come first: what one server
// invents comes last. Whether they are relays at all shows when they are dialled;
// their addresses are such as this node may dial. The error wraps ErrNoPeers if nobody could be asked.
func (d *DHT) FindRelays(ctx context.Context, n int) ([]peer.AddrInfo, error) {
	n = min(n, MaxRelays)
	today := dayOf(time.Now())
	named := make(map[peer.ID]*naming)
	for _, day := range []uint32{today, today - 1} {
		order := rand.Perm(RelayKeys)
		for len(order) > 0 && (len(named) < n || len(order) == RelayKeys) {
			keys := make([][32]byte, 0, keysAtOnce)
			for _, i := range order[:keysAtOnce] {
				keys = append(keys, relayKey(day, i))
			}
			order = order[keysAtOnce:]
			if err := d.gather(ctx, keys, named); err != nil {
				return nil, err
			}
			// In a small network the rest would tell the same.
			if len(named) > 0 && len(order) <= RelayKeys/2 {
				break
			}
		}
		if len(named) > 0 {
			break
		}
	}
	list := make([]*naming, 0, len(named))
	for _, r := range named {
		list = append(list, r)
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b *naming) int { return cmp.Compare(b.votes, a.votes) })
	var relays []peer.AddrInfo
	for _, r := range cut(list, MaxRelays) {
		relays = append(relays, peer.AddrInfo{ID: r.id, Addrs: r.addrs})
	}
	return relays, nil
}

// naming is a relay that servers named, each once.
type naming struct {
	id    peer.ID
	addrs []ma.Multiaddr
	votes int
	by    map[peer.ID]bool
}

// gather asks the servers nearest to each key.
func (d *DHT) gather(ctx context.Context, keys [][32]byte, named map[peer.ID]*naming) error {
	var mu sync.Mutex
	var failed error
	asked := 0
	add := func(by peer.ID, p peer.AddrInfo) {
		addrs := cut(d.allowed(p.Addrs), maxRelayAddrs)
		if !good(p.ID) || p.ID == d.host.ID() || len(addrs) == 0 {
			return
		}
		r := named[p.ID]
		if r == nil {
			r = &naming{id: p.ID, by: make(map[peer.ID]bool)}
			named[p.ID] = r
		}
		if r.by[by] {
			return
		}
		r.by[by] = true
		r.votes++
		for _, a := range addrs {
			if len(r.addrs) < maxRelayAddrs && !slices.ContainsFunc(r.addrs, a.Equal) {
				r.addrs = append(r.addrs, a)
			}
		}
	}
	atOnce(keys, func(key [32]byte) {
		near, _, err := d.nearest(ctx, string(key[:]))
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = err
			return
		}
		n := d.each(ctx, cut(near, bucketSize), func(ctx context.Context, p peer.ID) error {
			provided, _, err := d.messenger.GetProviders(ctx, p, key[:])
			mu.Lock()
			defer mu.Unlock()
			for _, r := range provided {
				add(p, *r)
			}
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		asked += n
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if asked == 0 && failed == nil {
		failed = ErrNoPeers
	}
	if asked == 0 {
		return failed
	}
	return nil
}
