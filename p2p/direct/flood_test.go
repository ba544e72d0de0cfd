package direct_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// Attack 22: somebody opens 10,000 streams and keeps them open. Bob serves a
// bounded number of them, and his friends as ever.
func TestTenThousandStreams(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	c := connect(t, alice, bob, befriend(alice, bob))
	before := runtime.NumGoroutine()

	mallory, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ForceReachabilityPrivate(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	defer mallory.Close()
	if err := mallory.Connect(context.Background(), p2ptest.InfoOver(bob.node, ma.P_TCP)); err != nil {
		t.Fatal(err)
	}
	opened, most, sent := 0, 0, 0
	for i := range 10_000 {
		if i%100 == 0 {
			most = max(most, runtime.NumGoroutine()-before)
			send(t, c, message("as ever"))
			sent++
		}
		st, err := mallory.NewStream(context.Background(), bob.node.Host().ID(), direct.Protocol)
		if err != nil {
			continue // thrown out already
		}
		if _, err := st.Write([]byte{0, 0, 0, 34, 1}); err == nil {
			opened++
		}
	}
	if opened < 5000 {
		t.Errorf("only %d streams were opened: this test tests nothing", opened)
	}
	if most > 500 {
		t.Errorf("%d goroutines were made for them", most)
	}
	alice.await(func() bool { return len(alice.acked) == sent })
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

// Many strangers of one address group take all that is there for it; a friend
// who comes from elsewhere gets in.
func TestFloodFromOneCorner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, alice, bob, s := world(t, p2ptest.Link{Latency: 10 * time.Millisecond})
		mallory := w.Node("mallory")
		served := 0
		for range 60 {
			r := dialRaw(t, mallory, bob)
			r.send(hello, make([]byte, 32))
			if f, err := r.r.Next(); err == nil && f[1] == challenge {
				served++
			}
		}
		if served == 0 || served == 60 {
			t.Errorf("%d of 60 were served", served)
		}
		start := time.Now()
		send(t, connect(t, alice, bob, s), message("through"))
		alice.await(func() bool { return len(alice.acked) == 1 })
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// Attack 22: slowloris. A frame has its time, however its bytes trickle.
func TestSlowloris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{}, 1)
		bob := newPerson(t, "bob", w.Node("bob"), direct.Config{})
		s := befriend(bob, bob)
		mallory := w.Node("mallory")
		trickle := func(r *raw) time.Duration {
			start := time.Now()
			r.st.Write([]byte{0, 0, 0x3f})
			for range 3600 {
				if _, err := r.st.Write([]byte{1}); err != nil {
					break
				}
				<-time.After(time.Second)
			}
			return time.Since(start)
		}
		if d := trickle(dialRaw(t, mallory, bob)); d > 13*time.Second {
			t.Errorf("a stranger was waited for %v", d)
		}
		r := dialRaw(t, mallory, bob)
		r.enter(s)
		if d := trickle(r); d > 33*time.Second {
			t.Errorf("a friend was waited for %v", d)
		}
		// Saying nothing at all is the same.
		r = dialRaw(t, mallory, bob)
		r.enter(s)
		start := time.Now()
		r.r.SetTimeout(0)
		r.st.SetReadDeadline(time.Time{})
		r.expect(over)
		if d := time.Since(start); d > 5*time.Minute+time.Second {
			t.Errorf("a silent friend was waited for %v", d)
		}
	})
}
