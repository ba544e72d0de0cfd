package direct_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// overBoth runs a test over each transport.
func overBoth(t *testing.T, f func(t *testing.T, code int)) {
	t.Run("tcp", func(t *testing.T) { f(t, ma.P_TCP) })
	t.Run("quic", func(t *testing.T) { f(t, ma.P_QUIC_V1) })
}

// connect calls b, over either transport, and waits until b has called back.
func connect(t testing.TB, a, b *person, s direct.Session) *direct.Conn {
	t.Helper()
	return connectOver(t, a, b, s, ma.P_IP4)
}

func connectOver(t testing.TB, a, b *person, s direct.Session, code int) *direct.Conn {
	t.Helper()
	c, err := a.Connect(context.Background(), p2ptest.InfoOver(b.node, code), s)
	if err != nil {
		t.Fatal(err)
	}
	b.conn(s)
	return c
}

func send(t testing.TB, c *direct.Conn, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// Bob keeps some messages and refuses others; Alice learns which, and why.
func TestRefusals(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, bob)
	codes := []direct.Code{direct.Accepted, direct.Busy, direct.Refused, direct.Unreadable, direct.TooFar, direct.Full, 200}
	bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
		out := make([]direct.Code, len(messages))
		for i, m := range messages {
			out[i] = codes[m[0]]
		}
		return out
	}
	c := connect(t, alice, bob, s)
	want := make(map[direct.Hash]direct.Code)
	for i := range codes {
		m := message(string(rune(i)))
		want[direct.HashOf(m)] = codes[i]
		send(t, c, m)
	}
	alice.await(func() bool { return len(alice.acked)+len(alice.refused) == len(codes) })
	alice.know(func() {
		for h, code := range want {
			if _, kept := alice.acked[h]; alice.refused[h] != code || kept != (code == direct.Accepted) {
				t.Errorf("%v: kept %v, refused %v", code, kept, alice.refused[h])
			}
		}
	})
	if c.Unanswered() != 0 || c.Err() != nil {
		t.Errorf("%d unanswered, %v", c.Unanswered(), c.Err())
	}
}

// Only the three sizes of ratchet messages travel.
func TestSizes(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	c := connect(t, alice, bob, befriend(alice, bob))
	for n, ok := range map[int]bool{0: false, 4055: false, 4056: true, 4057: false, 4096: false, 16344: true, 16384: false, 65496: true, 65497: false} {
		if err := c.Send(context.Background(), make([]byte, n)); (err == nil) != ok || err != nil && !errors.Is(err, direct.ErrSize) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	alice.await(func() bool { return len(alice.acked) == 3 })
}

// Bob's disk is slow. Alice's sender waits for room and is not lost in it; Bob
// holds no more than the window, and commits what came meanwhile at once.
func TestBackpressure(t *testing.T) {
	const window = 8
	alice := loopback(t, "alice")
	bob := newPerson(t, "bob", p2ptest.Loopback(t), direct.Config{Window: window})
	s := befriend(alice, bob)
	disk := make(chan struct{})
	bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
		<-disk
		return make([]direct.Code, len(messages))
	}
	c := connect(t, alice, bob, s)
	for range window {
		send(t, c, message(""))
	}
	if ok, err := c.TrySend(message("")); ok || err != nil {
		t.Errorf("room beyond the window: %v, %v", ok, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Send(ctx, message("")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Many wait at once, and all get through.
	var senders sync.WaitGroup
	for range 10 {
		senders.Go(func() {
			for range 10 {
				send(t, c, message(""))
			}
		})
	}
	close(disk)
	senders.Wait()
	alice.await(func() bool { return len(alice.acked) == 100+window })
	bob.know(func() {
		for _, n := range bob.batches {
			if n > window {
				t.Errorf("%d messages at once with a window of %d", n, window)
			}
		}
		if len(bob.batches) > 90 {
			t.Errorf("108 messages in %d commits", len(bob.batches))
		}
	})
}

// A message that is on its way already is not sent a second time.
func TestNoMessageTwice(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, bob)
	disk := make(chan struct{})
	bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
		<-disk
		return make([]direct.Code, len(messages))
	}
	c := connect(t, alice, bob, s)
	m := message("once")
	send(t, c, m, m, m)
	if c.Unanswered() != 1 {
		t.Errorf("%d on their way", c.Unanswered())
	}
	close(disk)
	alice.await(func() bool { return len(alice.acked) == 1 })
	send(t, c, m) // answered: it may be sent again, and Bob tells by the hash
	bob.await(func() bool { return len(bob.kept) == 2 })
}

// Answers that nobody asked for, or that the session did not make, end the
// connection; what was honestly acknowledged before counts.
func TestForgedAnswers(t *testing.T) {
	alice := loopback(t, "alice")
	for name, c := range map[string]struct {
		answer func(r *raw, s direct.Session, h direct.Hash)
		want   error
	}{
		"wrong key": {func(r *raw, s direct.Session, h direct.Hash) {
			mac := pqxdh.AckMAC(nonce(), h)
			r.send(ack, h[:], mac[:])
		}, direct.ErrForged},
		"not sent": {func(r *raw, s direct.Session, h direct.Hash) {
			other := nonce()
			mac := pqxdh.AckMAC(s.Auth, other)
			r.send(ack, other[:], mac[:])
		}, direct.ErrForged},
		"refuses what was not sent": {func(r *raw, s direct.Session, h direct.Hash) {
			other := nonce()
			r.send(nak, other[:], []byte{1})
		}, direct.ErrForged},
		"echo":        {func(r *raw, s direct.Session, h direct.Hash) { r.send(msg, message("")) }, direct.ErrMalformed},
		"pong":        {func(r *raw, s direct.Session, h direct.Hash) { r.send(pong, make([]byte, 8)) }, direct.ErrMalformed},
		"ping":        {func(r *raw, s direct.Session, h direct.Hash) { r.send(ping, make([]byte, 8)) }, direct.ErrMalformed},
		"half an ack": {func(r *raw, s direct.Session, h direct.Hash) { r.send(ack, h[:]) }, direct.ErrMalformed},
		"nothing":     {func(r *raw, s direct.Session, h direct.Hash) { r.send(ack) }, direct.ErrMalformed},
		"513 acks":    {func(r *raw, s direct.Session, h direct.Hash) { r.send(ack, make([]byte, 513*48)) }, direct.ErrMalformed},
		"leaves":      {func(r *raw, s direct.Session, h direct.Hash) { r.send(bye, []byte{1}) }, direct.ErrLeft},
		"replaced":    {func(r *raw, s direct.Session, h direct.Hash) { r.send(bye, []byte{5}) }, direct.ErrReplaced},
		"odd word":    {func(r *raw, s direct.Session, h direct.Hash) { r.send(bye, []byte{77}) }, direct.ErrLeft},
	} {
		s := befriend(alice, alice)
		bob := p2ptest.Loopback(t)
		serveRaw(t, bob, func(r *raw) {
			if !r.admit(s, 8) {
				return
			}
			for i := range 2 {
				h := direct.HashOf(r.expect(msg))
				if i == 0 {
					mac := pqxdh.AckMAC(s.Auth, h)
					r.send(ack, h[:], mac[:])
				} else {
					c.answer(r, s, h)
				}
			}
		})
		conn, err := alice.Connect(context.Background(), p2ptest.Info(bob), s)
		if err != nil {
			t.Fatal(name, err)
		}
		honest, forged := message("1"), message("2")
		send(t, conn, honest, forged)
		<-conn.Done()
		alice.await(func() bool { return alice.up[s.ID] == nil })
		if !errors.Is(conn.Err(), c.want) {
			t.Errorf("%s: %v", name, conn.Err())
		}
		if !fits(s, alice.evidence(honest)) || fits(s, alice.evidence(forged)) {
			t.Errorf("%s: the evidence is wrong", name)
		}
		if err := conn.Send(context.Background(), message("")); !errors.Is(err, c.want) {
			t.Errorf("%s: sent after the end: %v", name, err)
		}
	}
}

// An opener that goes beyond the window, or chatters, is thrown out; what it
// sent before is kept.
func TestOpenerOutOfBounds(t *testing.T) {
	for name, f := range map[string]func(*raw){
		"window in messages": func(r *raw) {
			for range 5 {
				r.send(msg, message(""))
			}
		},
		"window in bytes": func(r *raw) {
			for range 3 {
				r.send(msg, make([]byte, 65496))
			}
		},
		"odd size": func(r *raw) { r.send(msg, make([]byte, 4057)) },
		"pings": func(r *raw) {
			for range 20 {
				r.send(ping, make([]byte, 8))
			}
		},
		"ack":        func(r *raw) { r.send(ack, make([]byte, 48)) },
		"welcome":    func(r *raw) { r.send(welcome, make([]byte, 38)) },
		"flight":     func(r *raw) { r.send(flight, cell()) },
		"short ping": func(r *raw) { r.send(ping, make([]byte, 7)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := p2ptest.NewWorld(t, p2ptest.Link{}, 1)
				bob := newPerson(t, "bob", w.Node("bob"), direct.Config{Window: 4, WindowBytes: 2 * 65496})
				s := befriend(bob, bob)
				disk := make(chan struct{})
				bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
					<-disk
					return make([]direct.Code, len(messages))
				}
				r := dialRaw(t, w.Node("alice"), bob)
				r.enter(s)
				r.send(msg, message("first"))
				f(r)
				<-time.After(time.Second) // all of it has arrived
				close(disk)
				for said := 0; said != bye; {
					fr, err := r.r.Next()
					if err != nil {
						t.Fatalf("%v in place of BYE", err)
					}
					if said = int(fr[1]); said == bye && fr[2] != 4 {
						t.Errorf("BYE %d", fr[2])
					}
				}
				if m := bob.mail(); len(m) == 0 || len(m) > 5 || string(m[0][:5]) != "first" {
					t.Errorf("%d messages were kept", len(m))
				}
			})
		})
	}
}

// Bob restarts with a new PeerID while the old connection still looks alive. The
// new one takes over, in both directions, and deliveries do not overlap.
func TestRestartedPeerTakesOver(t *testing.T) { overBoth(t, testRestartedPeerTakesOver) }

func testRestartedPeerTakesOver(t *testing.T, code int) {
	alice, old := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, old)
	first := connectOver(t, alice, old, s, code)
	bob := loopback(t, "bob again")
	bob.know(func() { bob.sessions = append(bob.sessions, s) })
	if _, err := bob.Connect(context.Background(), p2ptest.InfoOver(alice.node, code), s); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	if !errors.Is(first.Err(), direct.ErrReplaced) {
		t.Error(first.Err())
	}
	alice.await(func() bool { c := alice.up[s.ID]; return c != nil && c.Peer() == bob.node.Host().ID() })
	send(t, alice.conn(s), message("to the new one"))
	bob.await(func() bool { return len(bob.kept) == 1 })
	// The old device had written to Alice over a stream that is replaced too.
	old.wantDown(direct.ErrReplaced)
}

// Both call each other at the same moment, many times over: in the end each has
// one connection, and messages arrive.
func TestBothCallAtOnce(t *testing.T) {
	for range 10 {
		alice, bob := loopback(t, "alice"), loopback(t, "bob")
		s := befriend(alice, bob)
		var calls sync.WaitGroup
		for range 3 {
			for _, p := range [][2]*person{{alice, bob}, {bob, alice}} {
				calls.Go(func() {
					if _, err := p[0].Connect(context.Background(), p2ptest.Info(p[1].node), s); err != nil {
						t.Error(err)
					}
				})
			}
		}
		calls.Wait()
		send(t, alice.conn(s), message("from alice"))
		send(t, bob.conn(s), message("from bob"))
		alice.await(func() bool { return len(alice.acked) == 1 && len(alice.kept) == 1 })
		bob.await(func() bool { return len(bob.acked) == 1 && len(bob.kept) == 1 })
		for _, p := range []*person{alice, bob} {
			p.know(func() {
				if len(p.up) != 1 || p.ups != 1 {
					t.Errorf("%s was connected %d times", p.name, p.ups)
				}
			})
		}
	}
}

// A service that closes says good-bye and waits for its handler; nothing can be
// begun with it any more.
func TestClose(t *testing.T) { overBoth(t, testClose) }

func testClose(t *testing.T, code int) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, bob)
	delivering := make(chan struct{})
	bob.onDeliver = func(ctx context.Context, messages [][]byte) []direct.Code {
		close(delivering)
		<-ctx.Done() // a commit that is given up
		out := make([]direct.Code, len(messages))
		for i := range out {
			out[i] = direct.Busy
		}
		return out
	}
	c := connectOver(t, alice, bob, s, code)
	send(t, c, message(""))
	<-delivering
	bob.Close()
	bob.Close() // twice is as once
	alice.wantDown(direct.ErrLeft)
	bob.wantDown(direct.ErrClosed)
	if _, err := bob.Connect(context.Background(), p2ptest.Info(alice.node), s); !errors.Is(err, direct.ErrClosed) {
		t.Error(err)
	}
	if _, err := bob.SendFlight(context.Background(), p2ptest.Info(alice.node), cell(), nonce(), nonce()); !errors.Is(err, direct.ErrClosed) {
		t.Error(err)
	}
	if _, err := alice.Connect(context.Background(), p2ptest.Info(bob.node), s); err == nil {
		t.Error("a closed service was reached")
	}
}

// One connection is closed: the other end hears it, and it can be made anew.
func TestHangUpAndCallAgain(t *testing.T) {
	alice, bob := loopback(t, "alice"), loopback(t, "bob")
	s := befriend(alice, bob)
	for i := range 5 {
		c := connect(t, alice, bob, s)
		send(t, c, message(fmt.Sprint(i)))
		alice.await(func() bool { return len(alice.acked) == i+1 })
		c.Close()
		<-c.Done()
		alice.await(func() bool { return alice.up[s.ID] == nil })
		alice.wantDown(direct.ErrClosed)
	}
}

// world makes two people in a simulated network, with a session, connected.
func world(t *testing.T, link p2ptest.Link) (w *p2ptest.World, alice, bob *person, s direct.Session) {
	w = p2ptest.NewWorld(t, link, 1)
	alice = newPerson(t, "alice", w.Node("alice"), direct.Config{})
	bob = newPerson(t, "bob", w.Node("bob"), direct.Config{})
	return w, alice, bob, befriend(alice, bob)
}

// A bad network: 50 ms each way, one packet in twenty lost. Everything arrives
// once and in order, acknowledged.
func TestBadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, bob, s := world(t, p2ptest.Link{Latency: 50 * time.Millisecond, Loss: 0.05})
		c := connect(t, alice, bob, s)
		const n = 500
		for i := range n {
			send(t, c, message(fmt.Sprintf("%04d", i)))
		}
		alice.await(func() bool { return len(alice.acked) == n })
		for i, m := range bob.mail() {
			if string(m[:4]) != fmt.Sprintf("%04d", i) {
				t.Fatalf("message %d is %q", i, m[:4])
			}
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

// Bob's computer loses power. Alice knows within 4 s if she waits for an answer. If
// not she asks after two minutes, or sooner where she was told to; QUIC knows after 30 s.
func TestSilenceIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		busy   bool
		idle   time.Duration
		within time.Duration
		why    error
	}{
		"idle, and asks soon": {false, 10 * time.Second, 13 * time.Second, direct.ErrSilent},
		"idle":                {false, 0, 31 * time.Second, nil},
		"busy":                {true, 0, 4 * time.Second, direct.ErrSilent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 20 * time.Millisecond}, 1)
				alice := newPerson(t, "alice", w.Node("alice"), direct.Config{IdlePing: c.idle})
				bob := newPerson(t, "bob", w.Node("bob"), direct.Config{IdlePing: c.idle})
				s := befriend(alice, bob)
				conn := connect(t, alice, bob, s)
				<-time.After(time.Hour + 61*time.Second) // of good pings
				if conn.Err() != nil {
					t.Fatal(conn.Err())
				}
				w.Vanish("bob")
				start := time.Now()
				if c.busy {
					send(t, conn, message("are you there?"))
				}
				<-conn.Done()
				if d := time.Since(start); d > c.within+100*time.Millisecond || c.why != nil && !errors.Is(conn.Err(), c.why) {
					t.Errorf("after %v: %v", d, conn.Err())
				}
				alice.await(func() bool { return len(alice.up) == 0 })
				if alice.node.Host().Network().Connectedness(bob.node.Host().ID()) == network.Connected {
					t.Error("the next attempt would trust this connection")
				}
				bob.await(func() bool { return len(bob.up) == 0 }) // he notices too
			})
		})
	}
}

// Bob's disk takes a minute. He is alive all the same, and Alice can tell.
func TestSlowDiskIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, bob, s := world(t, p2ptest.Link{Latency: 20 * time.Millisecond})
		bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
			<-time.After(time.Minute)
			return make([]direct.Code, len(messages))
		}
		alice.onAcked = func([]direct.Ack) { <-time.After(time.Minute) } // so is hers
		c := connect(t, alice, bob, s)
		for range 300 {
			send(t, c, message(""))
		}
		alice.await(func() bool { return len(alice.acked) == 300 })
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

// The network goes away for a minute and comes back. What was unanswered is sent
// again by its owner, over a new connection.
func TestNetworkComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, alice, bob, s := world(t, p2ptest.Link{Latency: 20 * time.Millisecond})
		c := connect(t, alice, bob, s)
		w.Cut("alice", "bob")
		m := message("later")
		send(t, c, m)
		<-c.Done()
		alice.await(func() bool { return alice.up[s.ID] == nil })
		if _, err := alice.Connect(context.Background(), p2ptest.Info(bob.node), s); err == nil {
			t.Error("connected through a cut")
		}
		<-time.After(time.Minute)
		w.Heal("alice", "bob")
		c = connect(t, alice, bob, s)
		send(t, c, m)
		alice.await(func() bool { return len(alice.acked) == 1 })
	})
}

// Two hours without a word, and the connection still stands.
func TestLongQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, bob, s := world(t, p2ptest.Link{})
		c := connect(t, alice, bob, s)
		<-time.After(2 * time.Hour)
		send(t, c, message("still here"))
		alice.await(func() bool { return len(alice.acked) == 1 })
	})
}
