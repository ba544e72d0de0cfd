package direct_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
)

// A person stands for the owner of a Service: it keeps what is delivered and
// remembers what it is told.
type person struct {
	t    testing.TB
	name string
	node *node.Node
	*direct.Service

	// Set before use; all may be nil.
	onDeliver func(ctx context.Context, messages [][]byte) []direct.Code
	onAcked   func([]direct.Ack)
	onFlight  func([]byte) ([32]byte, direct.Hash, direct.Code)
	notices   map[[32]byte][]byte

	mu       sync.Mutex
	changed  *sync.Cond
	sessions []direct.Session
	kept     [][]byte
	batches  []int
	acked    map[direct.Hash]direct.Ack
	refused  map[direct.Hash]direct.Code
	up       map[direct.SessionID]*direct.Conn
	ups      int
	downs    []error
	flights  int
	asked    int // Sessions was called
}

func newPerson(t testing.TB, name string, n *node.Node, cfg direct.Config) *person {
	p := &person{
		t: t, name: name, node: n,
		acked: make(map[direct.Hash]direct.Ack), refused: make(map[direct.Hash]direct.Code),
		up: make(map[direct.SessionID]*direct.Conn),
	}
	p.changed = sync.NewCond(&p.mu)
	p.Service = direct.New(n, p, cfg)
	t.Cleanup(p.Service.Close)
	return p
}

// befriend gives two people a session.
func befriend(a, b *person) direct.Session {
	var s direct.Session
	rand.Read(s.ID[:])
	rand.Read(s.Auth[:])
	for _, p := range []*person{a, b} {
		p.mu.Lock()
		p.sessions = append(p.sessions, s)
		p.mu.Unlock()
	}
	return s
}

// await waits until cond, which is asked with the lock held, holds.
func (p *person) await(cond func() bool) {
	p.t.Helper()
	late := false
	defer time.AfterFunc(10*time.Minute, func() { p.know(func() { late = true }) }).Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !cond() {
		if late {
			p.t.Fatalf("%s waits in vain", p.name)
		}
		p.changed.Wait()
	}
}

// know changes what p knows.
func (p *person) know(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

// mail is what p kept so far.
func (p *person) mail() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.kept)
}

// evidence is p's acknowledgement of a message.
func (p *person) evidence(m []byte) direct.Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked[direct.HashOf(m)]
}

// conn is p's live connection of a session.
func (p *person) conn(s direct.Session) *direct.Conn {
	p.await(func() bool { return p.up[s.ID] != nil })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up[s.ID]
}

// message makes a random one of the smallest size, which starts with the text.
func message(text string) []byte {
	b := make([]byte, 4056)
	copy(b, text)
	rand.Read(b[len(text):])
	return b
}

func (p *person) Sessions() []direct.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return append([]direct.Session(nil), p.sessions...)
}

func (p *person) Deliver(ctx context.Context, _ direct.SessionID, messages [][]byte) []direct.Code {
	codes := make([]direct.Code, len(messages))
	if p.onDeliver != nil {
		codes = p.onDeliver(ctx, messages)
	}
	p.know(func() {
		p.batches = append(p.batches, len(messages))
		for i, m := range messages {
			if codes[i] == direct.Accepted {
				p.kept = append(p.kept, m)
			}
		}
	})
	return codes
}

func (p *person) Flight(_ context.Context, flight []byte) ([32]byte, direct.Hash, direct.Code) {
	p.know(func() { p.flights++ })
	if p.onFlight == nil {
		return [32]byte{}, direct.Hash{}, direct.Refused
	}
	return p.onFlight(flight)
}

func (p *person) Notice(_ context.Context, id [32]byte) ([]byte, error) {
	if n, ok := p.notices[id]; ok {
		return n, nil
	}
	return nil, errors.New("no such notice")
}

func (p *person) Connected(id direct.SessionID, c *direct.Conn) {
	p.know(func() { p.up[id] = c; p.ups++ })
}

func (p *person) Acked(_ direct.SessionID, acks []direct.Ack) {
	if p.onAcked != nil {
		p.onAcked(acks)
	}
	p.know(func() {
		for _, a := range acks {
			p.acked[a.Hash] = a
		}
	})
}

func (p *person) Refused(_ direct.SessionID, naks []direct.Nak) {
	p.know(func() {
		for _, n := range naks {
			p.refused[n.Hash] = n.Code
		}
	})
}

func (p *person) Disconnected(id direct.SessionID, c *direct.Conn, err error) {
	p.know(func() {
		if p.up[id] == c {
			delete(p.up, id)
		}
		p.downs = append(p.downs, err)
	})
}

// fits tells whether an acknowledgement is evidence under a session.
func fits(s direct.Session, a direct.Ack) bool { return a.MAC == pqxdh.AckMAC(s.Auth, a.Hash) }
