//go:build linux

package soak

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// self is who a process is to the proxy: the last number of the address that its
// connections come from.
type self byte

// nowhere is whose connections are all refused.
const nowhere self = 250

// network is a proxy between all processes. What one dials is 127.77.0.1 instead of
// 127.0.0.1, from an address of its own (see weatherSource), and goes on to the latter
// if the rules say so. It knows nothing of what it carries.
type network struct {
	mu      sync.Mutex
	changed *sync.Cond // of mu
	ports   map[int]*port
	links   map[*link]bool
	silent  map[[2]self]bool // nothing goes between them, and nobody is told
	mute    map[[2]self]bool // what the first says to the second is thrown away
	traps   map[*trap]bool
	over    bool
	work    sync.WaitGroup
}

// port is a port that a process listens on.
type port struct {
	owner    self
	listener net.Listener
}

// link is a connection of one process to another.
type link struct {
	from, to   self
	conns      [2]net.Conn // of from, of to
	incomplete bool        // something was thrown away: nothing more may pass
}

// trap calls a function once so many bytes have gone to somebody, or were said by them,
// before the last of these arrive.
type trap struct {
	who  self
	said bool // by who, else to who
	left int
	call func()
}

func newNetwork(t testing.TB) *network {
	n := &network{ports: map[int]*port{}, links: map[*link]bool{}, silent: map[[2]self]bool{}, mute: map[[2]self]bool{}, traps: map[*trap]bool{}}
	n.changed = sync.NewCond(&n.mu)
	t.Cleanup(n.close)
	return n
}

func (n *network) close() {
	n.mu.Lock()
	n.over = true
	for _, p := range n.ports {
		p.listener.Close()
	}
	for l := range n.links {
		l.cut()
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	n.work.Wait()
}

// listen gives a process a port that nobody listens on: one below those that the
// system gives out, so that it stays free while the process is dead.
func (n *network) listen(owner self, first int) (int, error) {
	for number := first; number < first+100; number++ {
		there, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", number))
		if err != nil {
			continue
		}
		there.Close()
		l, err := net.Listen("tcp4", fmt.Sprintf("127.77.0.1:%d", number))
		if err != nil {
			continue
		}
		p := &port{owner, l}
		n.mu.Lock()
		n.ports[number] = p
		n.mu.Unlock()
		n.work.Go(func() { n.serve(number, p) })
		return number, nil
	}
	return 0, errors.New("no port is free")
}

// forget is for a port that its process will never listen on again.
func (n *network) forget(number int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.ports[number]; p != nil {
		p.listener.Close()
		delete(n.ports, number)
	}
}

func (n *network) serve(number int, p *port) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		from := self(c.RemoteAddr().(*net.TCPAddr).IP.To4()[3])
		n.work.Go(func() { n.carry(&link{from: from, to: p.owner, conns: [2]net.Conn{c}}, number) })
	}
}

// carry is one connection.
func (n *network) carry(l *link, number int) {
	defer l.conns[0].Close()
	n.mu.Lock()
	for n.cutOff(l.from, l.to) && !n.over { // a lost SYN is sent again
		n.changed.Wait()
	}
	refused := n.over || l.from == nowhere
	n.mu.Unlock()
	if refused {
		reset(l.conns[0])
		return
	}
	to, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		reset(l.conns[0])
		return
	}
	l.conns[1] = to
	defer to.Close()
	n.mu.Lock()
	n.links[l] = true
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { n.pass(l, 0) })
	both.Go(func() { n.pass(l, 1) })
	both.Wait()
	n.mu.Lock()
	delete(n.links, l)
	n.mu.Unlock()
}

// pass brings what one end says to the other.
func (n *network) pass(l *link, end int) {
	from, to := l.conns[end], l.conns[1-end]
	says, hears := l.from, l.to
	if end == 1 {
		says, hears = hears, says
	}
	b := make([]byte, 16<<10)
	for {
		read, err := from.Read(b)
		if read > 0 && n.may(l, says, hears, read) {
			if _, err := to.Write(b[:read]); err != nil {
				l.cut()
				return
			}
		}
		if err != nil {
			n.mu.Lock()
			for n.cutOff(l.from, l.to) && !n.over { // neither comes an end through
				n.changed.Wait()
			}
			n.mu.Unlock()
			if errors.Is(err, io.EOF) {
				to.(*net.TCPConn).CloseWrite()
			} else {
				l.cut()
			}
			return
		}
	}
}

// may waits until bytes may pass and says whether they do.
func (n *network) may(l *link, says, hears self, bytes int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.cutOff(says, hears) && !n.over {
		n.changed.Wait()
	}
	for t := range n.traps {
		if t.who == hears && !t.said || t.who == says && t.said {
			if t.left -= bytes; t.left <= 0 {
				delete(n.traps, t)
				t.call()
			}
		}
	}
	if n.mute[[2]self{says, hears}] || n.mute[[2]self{says, 0}] || n.mute[[2]self{0, hears}] {
		l.incomplete = true
	}
	return !l.incomplete
}

// cutOff says whether two are apart; 0 in a rule is everybody. The caller holds mu.
func (n *network) cutOff(a, b self) bool {
	return n.silent[[2]self{a, b}] || n.silent[[2]self{b, a}] || n.silent[[2]self{a, 0}] || n.silent[[2]self{b, 0}]
}

// part cuts two off from each other, or one from all if the other is 0: what is under
// way waits, as with a cable pulled.
func (n *network) part(a, b self) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[[2]self{a, b}] = true
}

// join takes part back. What waited goes on, or is cut with an error.
func (n *network) join(a, b self, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.silent, [2]self{a, b})
	for l := range n.links {
		if cut && (l.from == a && (b == 0 || l.to == b) || l.to == a && (b == 0 || l.from == b)) {
			l.cut()
		}
	}
	n.changed.Broadcast()
}

// deafen throws away what one says to the other, so that answers are lost, until hear.
func (n *network) deafen(says, hears self) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute[[2]self{says, hears}] = true
}

// hear takes deafen back: connections in which something was lost end.
func (n *network) hear(says, hears self) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mute, [2]self{says, hears})
	for l := range n.links {
		if l.incomplete {
			l.cut()
		}
	}
}

// after calls a function once so many bytes have gone to somebody, or were said by them.
func (n *network) after(who self, said bool, bytes int, call func()) (disarm func()) {
	t := &trap{who, said, bytes, call}
	n.mu.Lock()
	n.traps[t] = true
	n.mu.Unlock()
	return func() {
		n.mu.Lock()
		delete(n.traps, t)
		n.mu.Unlock()
	}
}

// cut ends a connection with an error at both ends.
func (l *link) cut() {
	for _, c := range l.conns {
		if c != nil {
			reset(c)
		}
	}
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// What the proxy does is what it says.
func TestNetwork(t *testing.T) {
	n := newNetwork(t)
	const me, other self = 7, 8
	number, err := n.listen(other, 21000)
	check(t, err)
	echo, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", number))
	check(t, err)
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 100)
				for {
					k, err := c.Read(b)
					if err != nil {
						c.Close()
						return
					}
					c.Write(b[:k])
				}
			}()
		}
	}()
	dial := func(who self) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 78, 0, byte(who))}}
		c, err := d.DialContext(t.Context(), "tcp4", fmt.Sprintf("127.77.0.1:%d", number))
		check(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, text string) {
		_, err := c.Write([]byte(text))
		check(t, err)
	}
	hear := func(c net.Conn) (string, error) {
		b := make([]byte, 100)
		k, err := c.Read(b)
		return string(b[:k]), err
	}
	hears := func(c net.Conn, want string) {
		t.Helper()
		if got, err := hear(c); got != want || err != nil {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	silent := func(c net.Conn) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		var timeout net.Error
		if got, err := hear(c); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("%q, %v from behind a cut", got, err)
		}
		c.SetReadDeadline(time.Time{})
	}
	c := dial(me)
	say(c, "one")
	hears(c, "one")
	for _, whom := range []self{other, 0} {
		n.part(me, whom)
		say(c, "two")
		silent(c)
		n.join(me, whom, false)
		hears(c, "two")
	}
	n.part(me, other)
	n.join(me, other, true)
	if got, err := hear(c); err == nil {
		t.Fatalf("%q on a connection that was cut", got)
	}
	c = dial(me)
	say(c, "three")
	hears(c, "three")
	n.deafen(other, me)
	say(c, "four")
	silent(c)
	n.hear(other, me)
	if got, err := hear(c); err == nil {
		t.Fatalf("%q on a connection in which an answer was lost", got)
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 78, 0, byte(nowhere))}}
	if lost, err := from.DialContext(t.Context(), "tcp4", fmt.Sprintf("127.77.0.1:%d", number)); err == nil {
		if got, err := hear(lost); err == nil {
			t.Fatalf("%q from nowhere", got)
		}
		lost.Close()
	}
	c = dial(me)
	called := make(chan bool, 1)
	n.after(other, false, 3, func() { called <- true })
	say(c, "12")
	hears(c, "12")
	say(c, "345")
	hears(c, "345")
	<-called
	n.after(other, true, 3, func() { called <- true })
	say(c, "678")
	<-called
	hears(c, "678")
}
