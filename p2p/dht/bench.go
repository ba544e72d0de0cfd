package dht

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Finds are the times that look-ups took, each of a record of its own.
type Finds struct {
	Members   []time.Duration // by each living member, its first after the others died
	Newcomers []time.Duration // by nodes that start then: from New to the record
}

// MeasureFinds measures rendezvous look-ups in a DHT of this process, with real
// sockets on loopback, some of whose nodes have just died: half of these are
// closed, so that TCP is refused and QUIC is silent, half are frozen, so that
// connections stay and nobody answers. Each living member looks once, then
// newcomers that know three living members. A look-up that fails is an error.
func MeasureFinds(ctx context.Context, nodes, dead, newcomers int) (f Finds, err error) {
	if dead < 0 || newcomers < 0 || nodes-dead < 4 {
		return f, fmt.Errorf("dht: %d nodes, %d of them dead", nodes, dead)
	}
	var all []*benched
	defer func() {
		for _, b := range all {
			err = errors.Join(err, b.close())
		}
	}()
	var ways []peer.AddrInfo
	for range nodes {
		b, err := newBenched(ways)
		if err != nil {
			return f, err
		}
		all = append(all, b)
		if len(ways) > 0 {
			if err := b.dht.Ready(ctx); err != nil {
				return f, err
			}
		}
		if len(ways) < 3 {
			ways = append(ways, b.info())
		}
	}
	for _, b := range all {
		select {
		case <-b.dht.kad.RefreshRoutingTable():
		case <-ctx.Done():
			return f, ctx.Err()
		}
	}
	living := all[:nodes-dead]
	seeds := make([]rendezvous.Seed, len(living)+newcomers)
	for i := range seeds {
		seeds[i] = rendezvous.NewSeed()
		w := living[i%len(living)]
		if _, err := w.dht.Publish(ctx, seeds[i], rendezvous.Content{Device: w.info()}.Fit(), time.Now()); err != nil {
			return f, err
		}
	}
	for i, b := range all[nodes-dead:] {
		if i%2 == 0 {
			err = b.close()
		} else {
			b.node.Host().SetStreamHandler(Protocol, func(network.Stream) {})
		}
		if err != nil {
			return f, err
		}
	}
	for i, b := range living {
		start := time.Now()
		if _, err := b.dht.Find(ctx, seeds[(i+1)%len(living)], start); err != nil {
			return f, err
		}
		f.Members = append(f.Members, time.Since(start))
	}
	for i := range newcomers {
		start := time.Now()
		b, err := newBenched(ways)
		if err != nil {
			return f, err
		}
		all = append(all, b)
		if _, err := b.dht.Find(ctx, seeds[len(living)+i], time.Now()); err != nil {
			return f, err
		}
		f.Newcomers = append(f.Newcomers, time.Since(start))
	}
	return f, nil
}

type benched struct {
	node *node.Node
	dht  *DHT
}

func newBenched(ways []peer.AddrInfo) (*benched, error) {
	n, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		return nil, err
	}
	d, err := New(n.Host(), Config{Mode: node.Loopback, Bootstrap: ways})
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return &benched{n, d}, nil
}

func (b *benched) info() peer.AddrInfo {
	return peer.AddrInfo{ID: b.node.Host().ID(), Addrs: b.node.Host().Addrs()}
}

// close may be called twice.
func (b *benched) close() error { return errors.Join(b.dht.Close(), b.node.Close()) }
