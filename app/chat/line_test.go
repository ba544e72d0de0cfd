package chat

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
)

// answering is a device that proves its sessions and keeps nothing: it answers each
// message with a code.
type answering struct {
	id       peer.ID
	sessions []direct.Session
	code     func() direct.Code

	mu   sync.Mutex
	came []time.Time
}

func (a *answering) Sessions() []direct.Session { return a.sessions }

func (a *answering) Deliver(_ context.Context, _ direct.SessionID, messages [][]byte) (codes []direct.Code) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range messages {
		a.came = append(a.came, time.Now())
		codes = append(codes, a.code())
	}
	return codes
}

func (a *answering) Flight(context.Context, []byte) (auth [32]byte, hash direct.Hash, code direct.Code) {
	return auth, hash, direct.Refused
}

func (a *answering) Notice(context.Context, [32]byte) ([]byte, error)   { return nil, direct.Unknown }
func (a *answering) Connected(direct.SessionID, *direct.Conn)           {}
func (a *answering) Acked(direct.SessionID, []direct.Ack)               {}
func (a *answering) Refused(direct.SessionID, []direct.Nak)             {}
func (a *answering) Disconnected(direct.SessionID, *direct.Conn, error) {}

// when are the times at which messages came.
func (a *answering) when() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.came)
}

// Answers has the device of somebody who is away connect to another and answer
// each message with a code, until the function that it returns is called.
func (p *person) Answers(other *person, code func() direct.Code) (*answering, func()) {
	p.w.Helper()
	a := &answering{code: code}
	s, err := store.Open(p.w.Context(), p.path, p.key, store.Options{})
	p.w.check(err)
	keys, err := session.New(p.w.Context(), s)
	p.w.check(err)
	p.w.check(s.Close())
	for _, one := range keys.Auths() {
		a.sessions = append(a.sessions, direct.Session{ID: direct.SessionID(one.ID), Auth: one.Auth})
	}
	n, err := node.New(node.Config{Mode: node.Public, Listen: []string{"/ip4/" + p.ip.String() + "/tcp/4001"}, Options: p.w.wires.options(p.name, p.ip)})
	p.w.check(err)
	a.id = n.Host().ID()
	service := direct.New(n, a, direct.Config{})
	at := peer.AddrInfo{ID: other.node.Host().ID(), Addrs: other.node.Host().Addrs()}
	_, err = service.Connect(p.w.Context(), at, a.sessions[0])
	p.w.check(err)
	return a, sync.OnceFunc(func() {
		service.Close()
		p.w.check(n.Close())
	})
}

// Bob's device has no room for a while, and there is no relay. It is offered the
// message again on the same line, ever less often, and takes it when it has room.
func TestNoRoomForAWhile(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.Person("alice"), w.Person("bob")
		alice.Meets(bob)
		bob.Leaves()
		room := time.Now().Add(5 * time.Minute)
		device, leave := bob.Answers(alice, func() direct.Code {
			if time.Now().Before(room) {
				return direct.Full
			}
			return direct.Accepted
		})
		defer leave()
		w.Advance(time.Second)
		id := alice.Says(bob, "is there room?")
		w.Advance(time.Minute)
		if sent := alice.state(id); sent.State != api.Queued {
			w.Errorf("what was refused is %s", sent.State)
		}
		w.Advance(4*time.Minute - 2*time.Second)
		if n := len(device.when()); n < 6 || n > 16 {
			w.Errorf("in five minutes it was offered %d times", n)
		}
		w.Advance(2 * fullLast)
		alice.Sees(id, api.Delivered)
		before := len(device.when())
		alice.Sees(alice.Says(bob, "and for this?"), api.Delivered)
		if n := len(device.when()); n != before+1 {
			w.Errorf("with room it was offered %d times", n-before)
		}
	})
}

// Bob's device takes calls, and hangs up as soon as Alice says something. There is no relay. She
// calls less and less often, and the message goes when the device takes it.
func TestWhoHangsUpIsCalledSeldom(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.Person("alice"), w.Person("bob")
		alice.Meets(bob)
		bob.Leaves()
		var takes atomic.Bool
		device, leave := bob.Answers(alice, func() direct.Code {
			if !takes.Load() {
				w.wires.hangUp("alice", "bob")
				return direct.Full
			}
			return direct.Accepted
		})
		defer leave()
		w.check(alice.update(w.Context(), func(t *turn) error { // where it listens
			_, err := t.PutAddress(store.Address{Device: bob.device.Public(), Peer: store.PeerID(device.id), Addrs: alice.believes(bob).Addrs, Told: time.Now(), Seen: time.Now()})
			return err
		}))
		before := w.wires.dialled(bob.ip.String() + ":4001")
		id := alice.Says(bob, "do not hang up")
		w.Advance(10 * time.Minute)
		if n := w.wires.dialled(bob.ip.String()+":4001") - before; n < 10 || n > 45 { // libp2p dials three times for a call that ends so
			w.Errorf("in ten minutes she called %d times", n)
		}
		takes.Store(true)
		w.Advance(2 * dialLast)
		alice.Sees(id, api.Delivered)
	})
}

// Bob's device cannot read the message: it is not offered on this line again, and goes
// to his relay at once.
func TestCannotBeRead(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		device, leave := bob.Answers(alice, func() direct.Code { return direct.Unreadable })
		defer leave()
		w.Advance(time.Second)
		id := alice.Says(bob, "can you read this?")
		w.Advance(time.Second)
		if sent := alice.state(id); sent.State != api.Kept {
			w.Errorf("a second later it is %s", sent.State)
		}
		w.Advance(time.Hour)
		if n := len(device.when()); n != 1 {
			w.Errorf("it was offered %d times", n)
		}
	})
}
