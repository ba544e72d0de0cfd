package direct_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The types of SPEC.md, section 2, written out again so that a change of the
// code alone is seen.
const (
	hello, challenge, proof, welcome = 1, 2, 3, 4
	msg, ack, nak, ping, pong, bye   = 5, 6, 7, 8, 9, 10
	flight, fetch, notice            = 16, 17, 18
)

// A raw stream is spoken by a test that keeps to no rules.
type raw struct {
	t  testing.TB
	st network.Stream
	r  *frame.Reader
	w  *frame.Writer
}

func newRaw(t testing.TB, st network.Stream) *raw {
	return &raw{t: t, st: st, r: frame.NewReader(st, 1<<20, 20*time.Second), w: frame.NewWriter(st, 1<<20, 20*time.Second)}
}

func (r *raw) close() {
	r.st.Close() // which lets through what was sent
	r.r.Close()
	r.w.Close()
}

// dialRaw opens a stream to a person.
func dialRaw(t testing.TB, n *node.Node, to *person) *raw {
	t.Helper()
	if err := n.Dial(context.Background(), peer.AddrInfo{ID: to.node.Host().ID(), Addrs: to.node.Host().Addrs()}); err != nil {
		t.Fatal(err)
	}
	st, err := n.Host().NewStream(context.Background(), to.node.Host().ID(), direct.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	r := newRaw(t, st)
	t.Cleanup(r.close)
	return r
}

func (r *raw) send(kind byte, body ...[]byte) {
	r.w.Append(append([][]byte{{1, kind}}, body...)...)
	r.w.Flush()
}

// expect reads a frame of a type; -1 in place of it means that the stream is over.
func (r *raw) expect(kind int) []byte {
	r.t.Helper()
	f, err := r.r.Next()
	if err != nil {
		if kind != over {
			r.t.Fatalf("waiting for type %d: %v", kind, err)
		}
		return nil
	}
	if kind == over || f[0] != 1 || int(f[1]) != kind {
		r.t.Fatalf("got frame % x..., want type %d", f[:min(len(f), 8)], kind)
	}
	return append([]byte(nil), f[2:]...)
}

const over = -1

// enter does the opener's hello.
func (r *raw) enter(s direct.Session) {
	r.t.Helper()
	var n [32]byte
	rand.Read(n[:])
	r.send(hello, n[:])
	theirs := [32]byte(r.expect(challenge))
	me, p := r.st.Conn().LocalPeer(), r.st.Conn().RemotePeer()
	mac := pqxdh.HelloMAC(s.Auth, pqxdh.FromDialler, []byte(me), []byte(p), theirs)
	r.send(proof, mac[:])
	w := r.expect(welcome)
	if mac := pqxdh.HelloMAC(s.Auth, pqxdh.FromListener, []byte(me), []byte(p), n); [32]byte(w[:32]) != mac {
		r.t.Fatal("the other end did not prove the session")
	}
}

// serveRaw makes a node answer streams by a test's own rules.
func serveRaw(t testing.TB, n *node.Node, f func(*raw)) {
	var mu sync.Mutex
	var streams []network.Stream
	var serving sync.WaitGroup
	n.Host().SetStreamHandler(direct.Protocol, func(st network.Stream) {
		mu.Lock()
		streams = append(streams, st)
		serving.Add(1)
		mu.Unlock()
		defer serving.Done()
		r := newRaw(t, st)
		defer r.close()
		f(r)
	})
	t.Cleanup(func() {
		n.Host().RemoveStreamHandler(direct.Protocol)
		mu.Lock()
		defer mu.Unlock()
		for _, st := range streams {
			st.Reset()
		}
		serving.Wait()
	})
}

// admit does the accepter's hello with a session; false if the stream ended.
func (r *raw) admit(s direct.Session, messages byte) bool {
	f, err := r.r.Next()
	if err != nil || len(f) != 34 || f[1] != hello {
		return false
	}
	theirs := [32]byte(f[2:])
	var n [32]byte
	rand.Read(n[:])
	r.send(challenge, n[:])
	if f, err = r.r.Next(); err != nil || len(f) != 34 || f[1] != proof {
		return false
	}
	me, p := r.st.Conn().LocalPeer(), r.st.Conn().RemotePeer()
	mac := pqxdh.HelloMAC(s.Auth, pqxdh.FromListener, []byte(p), []byte(me), theirs)
	r.send(welcome, mac[:], []byte{0, messages, 0, 0x10, 0, 0})
	return true
}

// down is why a person's latest connection ended.
func (p *person) down() error {
	p.await(func() bool { return len(p.downs) > 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.downs[len(p.downs)-1]
}

func (p *person) wantDown(want error) {
	p.t.Helper()
	if err := p.down(); !errors.Is(err, want) {
		p.t.Errorf("%s's connection ended by %v, want %v", p.name, err, want)
	}
}
