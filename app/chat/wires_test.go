package chat

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// wires is a network in memory: TCP as far as libp2p can tell, under the real
// Noise and yamux. Package p2ptest simulates packets and QUIC, which is what one
// wants of a network that is tested; here the network is only in the way, and
// a month of retries has to pass in seconds.
//
// Who dials an address where nobody listens hears nothing until the time is up,
// as from a computer that is switched off.
type wires struct {
	mu    sync.Mutex
	heard map[string]*ear // by IP:port
	cut   map[[2]string]bool
	ends  []*end
	ports int
	dials map[string]int    // by IP:port, whether anybody was there or not
	met   [][2]string       // who reached whom, in order
	bytes map[[2]string]int // what passed between two, both ways, with the headers of TCP/IP
}

func newWires() *wires {
	return &wires{heard: make(map[string]*ear), cut: make(map[[2]string]bool), dials: make(map[string]int), bytes: make(map[[2]string]int)}
}

// options make a host of somebody's speak by wires, from the given IP address.
func (w *wires) options(owner string, ip net.IP) []libp2p.Option {
	return []libp2p.Option{
		func(cfg *libp2p.Config) error {
			cfg.Transports = nil // those of package node, which speak with the world
			return nil
		},
		libp2p.Transport(func(u transport.Upgrader, m network.ResourceManager) *wireTransport {
			return &wireTransport{w, owner, ip, u, m}
		}),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ForceReachabilityPrivate(),
	}
}

// Cut lets nothing pass between two people until Heal; what was said meanwhile
// arrives then. Nobody is told.
func (w *wires) setCut(a, b string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[[2]string{a, b}], w.cut[[2]string{b, a}] = cut, cut
	for _, e := range w.ends {
		e.tell()
	}
}

// hangUp ends what connects two people.
func (w *wires) hangUp(a, b string) {
	w.mu.Lock()
	var ends []*end
	for _, e := range w.ends {
		if e.owner == a && e.far.owner == b || e.owner == b && e.far.owner == a {
			ends = append(ends, e)
		}
	}
	w.mu.Unlock()
	for _, e := range ends {
		e.Close()
	}
}

func (w *wires) isCut(a, b string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[[2]string{a, b}]
}

// dialled is how often an address was dialled.
func (w *wires) dialled(at string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[at]
}

// from are those whom somebody reached by dialling, in order.
func (w *wires) from(owner string) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.met {
		if m[0] == owner {
			names = append(names, m[1])
		}
	}
	return names
}

// wireTransport is wires as one host of libp2p sees them.
type wireTransport struct {
	w        *wires
	owner    string
	ip       net.IP
	upgrader transport.Upgrader
	limits   network.ResourceManager
}

func (t *wireTransport) CanDial(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_TCP)
	return err == nil
}

func (t *wireTransport) Protocols() []int { return []int{ma.P_TCP} }

func (t *wireTransport) Proxy() bool { return false }

func (t *wireTransport) Dial(ctx context.Context, to ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	scope, err := t.limits.OpenConnection(network.DirOutbound, true, to)
	if err != nil {
		return nil, err
	}
	c, err := t.dial(ctx, to, p, scope)
	if err != nil {
		scope.Done()
	}
	return c, err
}

func (t *wireTransport) dial(ctx context.Context, to ma.Multiaddr, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if err := scope.SetPeer(p); err != nil {
		return nil, err
	}
	_, at, err := manet.DialArgs(to)
	if err != nil {
		return nil, err
	}
	t.w.mu.Lock()
	t.w.dials[at]++
	l := t.w.heard[at]
	t.w.ports++
	from := &net.TCPAddr{IP: t.ip, Port: 20_000 + t.w.ports%40_000}
	t.w.mu.Unlock()
	if l == nil || t.w.isCut(t.owner, l.owner) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := t.w.join(t.owner, l.owner, from, l.at)
	select {
	case l.come <- far:
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return t.upgrader.Upgrade(ctx, t, near, network.DirOutbound, p, scope)
}

func (t *wireTransport) Listen(at ma.Multiaddr) (transport.Listener, error) {
	a, err := manet.ToNetAddr(at)
	if err != nil {
		return nil, err
	}
	l := &ear{w: t.w, owner: t.owner, at: a.(*net.TCPAddr), come: make(chan *end), closed: make(chan struct{})}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.w.heard[a.String()] != nil {
		return nil, errors.New("address in use")
	}
	t.w.heard[a.String()] = l
	return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(l)), nil
}

// ear is a listener.
type ear struct {
	w      *wires
	owner  string
	at     *net.TCPAddr
	come   chan *end
	once   sync.Once
	closed chan struct{}
}

func (l *ear) Accept() (manet.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *ear) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		delete(l.w.heard, l.at.String())
	})
	return nil
}

func (l *ear) Addr() net.Addr { return l.at }

func (l *ear) Multiaddr() ma.Multiaddr { return mustMultiaddr(l.at) }

func mustMultiaddr(a net.Addr) ma.Multiaddr {
	m, err := manet.FromNetAddr(a)
	if err != nil {
		panic(err) // an address of ours
	}
	return m
}

// join makes a connection. What is written to one end can be read at the other,
// without bound and without delay, unless the two are cut.
func (w *wires) join(nearOwner, farOwner string, nearAt, farAt *net.TCPAddr) (near, far *end) {
	near = &end{w: w, owner: nearOwner, at: nearAt, news: make(chan struct{}, 1)}
	far = &end{w: w, owner: farOwner, at: farAt, news: make(chan struct{}, 1)}
	near.far, far.far = far, near
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, near, far)
	w.met = append(w.met, [2]string{nearOwner, farOwner})
	return near, far
}

// end is one end of a connection.
type end struct {
	w     *wires
	owner string
	at    *net.TCPAddr
	far   *end
	news  chan struct{} // something below changed
	gone  atomic.Bool   // closed here

	mu    sync.Mutex
	data  []byte // written by the other end, not read yet
	last  bool   // the other end is closed
	until time.Time
	timer *time.Timer
}

func (e *end) tell() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *end) Read(p []byte) (int, error) {
	for {
		n, err, ready := e.take(p)
		if ready {
			return n, err
		}
		<-e.news
	}
}

func (e *end) take(p []byte) (n int, err error, ready bool) {
	cut := e.w.isCut(e.owner, e.far.owner)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.gone.Load():
		return 0, net.ErrClosed, true
	case !e.until.IsZero() && !time.Now().Before(e.until):
		return 0, os.ErrDeadlineExceeded, true
	case len(p) == 0:
		return 0, nil, true
	case cut:
		return 0, nil, false
	case len(e.data) > 0:
		n = copy(p, e.data)
		if e.data = e.data[n:]; len(e.data) == 0 {
			e.data = nil
		}
		return n, nil, true
	case e.last:
		return 0, io.EOF, true
	}
	return 0, nil, false
}

func (e *end) Write(p []byte) (int, error) {
	if e.gone.Load() {
		return 0, net.ErrClosed
	}
	e.w.count(e.owner, e.far.owner, len(p))
	e.far.mu.Lock()
	e.far.data = append(e.far.data, p...)
	e.far.mu.Unlock()
	e.far.tell()
	return len(p), nil
}

func (e *end) Close() error {
	if e.gone.Swap(true) {
		return nil
	}
	e.SetReadDeadline(time.Time{})
	e.tell()
	e.far.mu.Lock()
	e.far.last = true
	e.far.mu.Unlock()
	e.far.tell()
	if e.far.gone.Load() {
		e.w.forget(e, e.far)
	}
	return nil
}

// count counts what somebody wrote: each 1,448 bytes are a segment with headers, and
// for each an acknowledgement comes back.
func (w *wires) count(from, to string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n += (n + 1447) / 1448 * 2 * 52
	w.bytes[[2]string{from, to}] += n
	w.bytes[[2]string{to, from}] += n
}

// passed is what passed between somebody and each other since the beginning.
func (w *wires) passed(who string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := make(map[string]int)
	for k, n := range w.bytes {
		if k[0] == who {
			by[k[1]] = n
		}
	}
	return by
}

func (w *wires) forget(a, b *end) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.ends[:0]
	for _, e := range w.ends {
		if e != a && e != b {
			kept = append(kept, e)
		}
	}
	clear(w.ends[len(kept):])
	w.ends = kept
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	if e.until = t; !t.IsZero() {
		e.timer = time.AfterFunc(time.Until(t), e.tell)
	}
	e.tell()
	return nil
}

func (e *end) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetWriteDeadline does nothing: to write never waits.
func (e *end) SetWriteDeadline(time.Time) error { return nil }

func (e *end) LocalAddr() net.Addr           { return e.at }
func (e *end) RemoteAddr() net.Addr          { return e.far.at }
func (e *end) LocalMultiaddr() ma.Multiaddr  { return mustMultiaddr(e.at) }
func (e *end) RemoteMultiaddr() ma.Multiaddr { return mustMultiaddr(e.far.at) }
