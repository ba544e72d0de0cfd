package node

import (
	"sync"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// paced is a visitor's connection of TCP. What comes over it and goes over it is counted before
// anything else is done with it, so that bytes poured in cost no deciphering beyond what its group of addresses may
// have of that, whatever is in them; who sends more waits, as the system's buffers fill.
type paced struct {
	manet.Conn
	visitor *Visitor
	ends    func() error
	ended   chan struct{}
}

func newPaced(c manet.Conn, v *Visitor) *paced {
	p := &paced{Conn: c, visitor: v, ended: make(chan struct{})}
	p.ends = sync.OnceValue(func() error {
		close(p.ended)
		return c.Close()
	})
	return p
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.rest(n)
	return n, err
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	p.rest(n)
	return n, err
}

// rest waits as long as bytes that went over the connection ask for, or until it ends.
func (p *paced) rest(n int) {
	wait := p.visitor.pause(n)
	if wait == 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ended:
	}
}

func (p *paced) Close() error { return p.ends() }
