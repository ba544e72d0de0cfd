package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A relay sees a box's login and a deposit come from two peers, and the same
// two for a while.
func TestPoolSeparatesKeys(t *testing.T) {
	relay := loopback(t)
	pool := node.NewPool(node.Config{Mode: node.Loopback})
	defer pool.Close()
	seen := make(map[peer.ID]string)
	for _, key := range []string{"box", "deposit", "box", "deposit"} {
		h, release, err := pool.Host(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := node.Dial(context.Background(), h, pool.Mode(), p2ptest.Info(relay)); err != nil {
			t.Fatal(err)
		}
		if len(h.Network().ListenAddresses()) != 0 {
			t.Error("a throw-away host listens")
		}
		if was, ok := seen[h.ID()]; ok && was != key {
			t.Errorf("%s and %s are one peer", was, key)
		}
		seen[h.ID()] = key
		release()
		release() // twice is as once
	}
	if len(seen) != 2 || pool.Len() != 2 {
		t.Errorf("%d peers, %d hosts for 2 keys", len(seen), pool.Len())
	}
}

// An unused host is closed after a minute of quiet, and not before.
func TestPoolForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := node.NewPool(node.Config{Mode: node.Loopback})
		defer pool.Close()
		use := func() peer.ID {
			h, release, err := pool.Host(context.Background(), "box")
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			<-time.After(time.Hour) // in use it stays
			return h.ID()
		}
		first := use()
		<-time.After(node.PoolQuiet - time.Second)
		if second := use(); second != first {
			t.Error("forgotten too early")
		}
		<-time.After(node.PoolQuiet + time.Second)
		if pool.Len() != 0 {
			t.Error("still open")
		}
		if third := use(); third == first {
			t.Error("the same PeerID came back")
		}
	})
}

// Eight at once, no more: the ninth takes the place of who was unused longest,
// or waits.
func TestPoolIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := node.NewPool(node.Config{Mode: node.Loopback})
		defer pool.Close()
		var releases []func()
		ids := make(map[string]peer.ID)
		for i := range node.PoolSize {
			key := fmt.Sprint(i)
			h, release, err := pool.Host(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			ids[key] = h.ID()
			releases = append(releases, release)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, _, err := pool.Host(ctx, "ninth"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		releases[3]()
		<-time.After(time.Second)
		releases[5]()
		_, release, err := pool.Host(context.Background(), "ninth")
		if err != nil {
			t.Fatal(err)
		}
		release()
		if n := pool.Len(); n != node.PoolSize {
			t.Errorf("%d hosts", n)
		}
		h, release, err := pool.Host(context.Background(), "5")
		if err != nil || h.ID() != ids["5"] {
			t.Errorf("the host that was unused longest was not the one to go: %v", err)
		}
		release()
		for _, r := range releases {
			r()
		}
	})
}

// Close waits for those who still use a host, and lets nobody in.
func TestPoolCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := node.NewPool(node.Config{Mode: node.Loopback})
		h, release, err := pool.Host(context.Background(), "box")
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		synctest.Wait()
		if _, _, err := pool.Host(context.Background(), "box"); !errors.Is(err, node.ErrPoolClosed) {
			t.Error(err)
		}
		select {
		case <-closed:
			t.Error("closed under the hands of a user")
		default:
		}
		if len(h.Network().Conns()) != 0 {
			t.Error("connections")
		}
		release()
		<-closed
	})
}
