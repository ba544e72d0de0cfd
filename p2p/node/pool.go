package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

const (
	// PoolSize is the number of throw-away hosts open at once; each costs
	// about 0.4 MiB.
	PoolSize = 8
	// PoolQuiet is how long an unused host is kept for its key's next use.
	PoolQuiet = 60 * time.Second
)

// ErrPoolClosed says that the pool was closed.
var ErrPoolClosed = errors.New("node: pool closed")

// A Pool lends hosts that do not listen and have a fresh PeerID each. A relay
// that sees two of them cannot tell by the PeerID that one device owns both.
type Pool struct {
	cfg Config

	mu     sync.Mutex
	idle   *sync.Cond // a host was given back or closed, or the pool was
	hosts  map[string]*pooled
	closed bool
}

type pooled struct {
	key   string
	node  *Node // nil while it is being made
	users int
	since time.Time   // unused since then
	timer *time.Timer // closes it; runs while users is 0
}

// NewPool makes a pool of hosts for a mode; with Circuits they dial by circuits. Options
// are for tests.
func NewPool(cfg Config) *Pool {
	p := &Pool{
		cfg:   Config{Mode: cfg.Mode, Circuits: cfg.Circuits, Options: cfg.Options, Low: 16, High: 32, MemoryMiB: 64, mute: true},
		hosts: make(map[string]*pooled),
	}
	p.idle = sync.NewCond(&p.mu)
	return p
}

// Mode is the mode of the pool's hosts.
func (p *Pool) Mode() Mode { return p.cfg.Mode }

// Host lends the host of a key, the same to all who ask for it until it was
// unused for PoolQuiet. If PoolSize others are open, the one that was unused
// longest makes room; if all are in use, Host waits. release must be called
// once; the host must not be used after it. The error is the context's,
// ErrPoolClosed, or that of making a host.
func (p *Pool) Host(ctx context.Context, key string) (h host.Host, release func(), err error) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.idle.Broadcast()
	})
	defer stop()

	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if p.closed {
			return nil, nil, ErrPoolClosed
		}
		e := p.hosts[key]
		switch {
		case e != nil && e.node != nil:
			if e.users == 0 {
				e.timer.Stop()
			}
			e.users++
			return e.node.Host(), sync.OnceFunc(func() { p.release(e) }), nil
		case e != nil || len(p.hosts) >= PoolSize && !p.evict():
			p.idle.Wait()
		case e == nil && len(p.hosts) < PoolSize:
			e = &pooled{key: key, users: 1}
			p.hosts[key] = e
			p.mu.Unlock()
			n, err := New(p.cfg)
			p.mu.Lock()
			p.idle.Broadcast()
			if err != nil {
				delete(p.hosts, key)
				return nil, nil, fmt.Errorf("pool: %w", err)
			}
			e.node = n
			return n.Host(), sync.OnceFunc(func() { p.release(e) }), nil
		}
	}
}

// evict closes the host that was unused longest; it tells whether there was one.
// The lock is held; closing a host without listeners takes a millisecond.
func (p *Pool) evict() bool {
	var oldest *pooled
	for _, e := range p.hosts {
		if e.node != nil && e.users == 0 && (oldest == nil || e.since.Before(oldest.since)) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	p.drop(oldest)
	return true
}

func (p *Pool) drop(e *pooled) {
	e.timer.Stop()
	delete(p.hosts, e.key)
	e.node.Close()
	p.idle.Broadcast()
}

func (p *Pool) release(e *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	e.since = time.Now()
	e.timer = time.AfterFunc(PoolQuiet, func() { p.expire(e) })
	if p.closed {
		p.drop(e)
		return
	}
	p.idle.Broadcast()
}

func (p *Pool) expire(e *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// It may have been lent, or lent and given back, since the timer fired.
	if p.hosts[e.key] == e && e.users == 0 && time.Since(e.since) >= PoolQuiet {
		p.drop(e)
	}
}

// Len is the number of open hosts.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.hosts)
}

// Close refuses further loans, closes what is unused and waits until the rest
// is given back and closed.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.idle.Broadcast()
	for _, e := range p.hosts {
		if e.node != nil && e.users == 0 {
			p.drop(e)
		}
	}
	for len(p.hosts) > 0 {
		p.idle.Wait()
	}
}
