package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// tryTime bounds TestNetwork: who has not answered by then is of no use to people.
const tryTime = 15 * time.Second

// TestNetwork implements api.Backend. Relays are tried as strangers try them, over
// connections of their own, so that one that hangs is noticed.
func (a *App) TestNetwork(ctx context.Context, _ api.TestNetworkRequest) (test api.NetworkTest, err error) {
	relays, err := a.chat.Relays(ctx)
	if err != nil {
		return test, storeProblem(err)
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	pool := node.NewPool(node.Config{Mode: node.Mode(a.cfg.Network)})
	defer pool.Close()
	test.Relays = make([]api.RelayTest, len(relays))
	var all sync.WaitGroup
	for i, r := range relays {
		all.Go(func() { test.Relays[i] = a.tryRelay(ctx, pool, r) })
	}
	if !a.cfg.Brief {
		test.DHT = &api.DHTTest{}
		all.Go(func() {
			begun := time.Now()
			n, err := a.dht.Try(ctx)
			test.DHT.Answered, test.DHT.Took = n, time.Since(begun).Milliseconds()
			switch {
			case err == nil:
			case errors.Is(err, dht.ErrNoPeers):
				test.DHT.Reason = "no server of the DHT answers"
			default:
				test.DHT.Reason = tryReason(err)
			}
		})
	}
	all.Wait()
	return test, nil
}

func (a *App) tryRelay(ctx context.Context, pool *node.Pool, r api.Relay) (t api.RelayTest) {
	t.Relay = r.Relay
	fail := func(err error) api.RelayTest {
		t.Reason = tryReason(err)
		return t
	}
	var info peer.AddrInfo
	for _, addr := range r.Addrs {
		if one, err := parsePeer(addr, node.Mode(a.cfg.Network)); err == nil {
			info.ID, info.Addrs = one.ID, append(info.Addrs, one.Addrs...)
		}
	}
	if len(info.Addrs) == 0 {
		return fail(node.ErrNoAddress)
	}
	h, release, err := pool.Host(ctx, r.Relay)
	if err != nil {
		return fail(err)
	}
	defer release()
	begun := time.Now()
	client, err := mailbox.Dial(ctx, h, info)
	if err != nil {
		return fail(err)
	}
	defer client.Close()
	t.Connect = time.Since(begun).Milliseconds()
	begun = time.Now()
	if _, err := client.Routes(ctx); err != nil {
		return fail(err)
	}
	t.Answer = time.Since(begun).Milliseconds()
	return t
}

// tryReason says in words why something did not answer.
func tryReason(err error) string {
	switch why := node.Why(err); {
	case why != "":
		return why
	case errors.Is(err, mailbox.ErrTryLater), errors.Is(err, mailbox.ErrTooMany), errors.Is(err, mailbox.ErrFull):
		return "it is reached, and has too much to do"
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	}
	return CheckReason(err)
}
