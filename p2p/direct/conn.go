package direct

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A Conn is a proven stream on which messages of one session leave. One
// goroutine writes to it, another reads the answers; both end with it.
type Conn struct {
	svc     *Service
	stream  network.Stream
	session Session
	window  window
	r       *frame.Reader
	w       *frame.Writer

	wake  chan struct{} // holds one: the writer has something to do
	done  chan struct{} // closed with err set
	ended chan struct{} // closed after Handler.Disconnected

	mu      sync.Mutex
	err     error
	late    *time.Timer  // ends the stream the hard way once err is set
	flying  map[Hash]int // unanswered messages and their lengths
	bytes   int          // of flying
	queue   [][]byte     // of flying, those that the writer has not taken
	waiters chan struct{}
	ping    uint64 // number of the latest PING
	want    bool   // the writer is to send it
	pinged  bool   // nothing was heard since it was wanted
	broken  error  // of the writer; the reader may yet hear why
}

func newConn(s *Service, st network.Stream, r *frame.Reader, w *frame.Writer, session Session, win window) *Conn {
	r.SetMax(maxFrame)
	return &Conn{
		svc: s, stream: st, session: session, r: r, w: w,
		window: window{
			messages: min(win.messages, uint16(s.cfg.Window)),
			bytes:    min(win.bytes, uint32(s.cfg.WindowBytes)),
		},
		wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
		flying: make(map[Hash]int),
	}
}

// Session is the session that the Conn carries.
func (c *Conn) Session() SessionID { return c.session.ID }

// Peer is the other end's PeerID.
func (c *Conn) Peer() peer.ID { return c.stream.Conn().RemotePeer() }

// RemoteAddr is the other end's address on this connection.
func (c *Conn) RemoteAddr() ma.Multiaddr { return c.stream.Conn().RemoteMultiaddr() }

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection is over, nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Unanswered is the number of messages sent and neither acknowledged nor refused.
func (c *Conn) Unanswered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flying)
}

// Send sends a ratchet message. It returns when the message is on its way, and
// waits while as many are unanswered as the other device takes. A message that
// is unanswered already is not sent twice. The bytes must not change until the
// answer. The error is ctx's, ErrSize, or why the connection is over; the
// message's fate comes to the Handler.
func (c *Conn) Send(ctx context.Context, message []byte) error {
	for {
		wait, err := c.offer(message)
		if err != nil || wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TrySend is Send that does not wait: it tells whether there was room.
func (c *Conn) TrySend(message []byte) (bool, error) {
	wait, err := c.offer(message)
	return err == nil && wait == nil, err
}

// offer takes a message if there is room; if not it returns what is closed when
// there may be.
func (c *Conn) offer(message []byte) (wait <-chan struct{}, err error) {
	if !messageSize(len(message)) {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, len(message))
	}
	hash := HashOf(message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if _, ok := c.flying[hash]; ok {
		return nil, nil
	}
	if len(c.flying) >= int(c.window.messages) || c.bytes+len(message) > int(c.window.bytes) {
		if c.waiters == nil {
			c.waiters = make(chan struct{})
		}
		return c.waiters, nil
	}
	c.flying[hash] = len(message)
	c.bytes += len(message)
	c.queue = append(c.queue, message)
	if len(c.flying) == 1 {
		c.arm() // from now on silence means more
	}
	c.signal()
	return nil, nil
}

// Close says good-bye and ends the connection. It does not wait.
func (c *Conn) Close() { c.stop(ErrClosed) }

// fail ends the connection at once.
func (c *Conn) fail(err error) {
	if c.stop(err) {
		_ = c.stream.Reset()
	}
}

// stop records why the connection is over; it tells whether it was not before.
func (c *Conn) stop(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = err
	close(c.done)
	// The writer may be waiting for a peer who does not read.
	c.late = time.AfterFunc(leaveTimeout, func() { _ = c.stream.Reset() })
	return true
}

// signal wakes the writer.
func (c *Conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Conn) run() {
	defer c.svc.tasks.Done()
	tag := fmt.Sprintf("direct/out/%x", c.session.ID[:8])
	protect := c.svc.node.Host().ConnManager()
	protect.Protect(c.Peer(), tag)
	c.svc.handler.Connected(c.session.ID, c)

	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read()
	c.fail(err)
	writer.Wait()
	if errors.Is(err, ErrSilent) {
		// Or else the next attempt would find a connection and trust it.
		_ = c.stream.Conn().Close()
	}

	c.late.Stop()
	c.r.Close()
	c.w.Close()
	protect.Unprotect(c.Peer(), tag)
	c.svc.mu.Lock()
	if c.svc.out[c.session.ID] == c {
		delete(c.svc.out, c.session.ID)
	}
	c.svc.mu.Unlock()
	c.svc.handler.Disconnected(c.session.ID, c, c.Err())
	close(c.ended)
}

// write sends what is queued and flushes when the queue is empty.
func (c *Conn) write() {
	// Should the reader wait long for its owner, the accepter still hears us.
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		select {
		case <-quiet.C:
			c.mu.Lock()
			c.ping++
			c.want = true
			c.mu.Unlock()
		case <-c.wake:
		case <-c.done:
			if errors.Is(c.Err(), ErrClosed) {
				_ = send(c.w, typeBye, []byte{byeLeaving})
			}
			// Also makes the reader stop.
			_ = c.stream.Close()
			return
		}
		for {
			queue, ping, want := c.take()
			if len(queue) == 0 && !want {
				break
			}
			if want {
				_ = c.w.Append(marshalPing(typePing, ping))
			}
			for _, m := range queue {
				_ = c.w.Append([]byte{version, typeMessage}, m)
			}
		}
		if err := c.w.Flush(); err != nil { // and that of Append before
			c.mu.Lock()
			c.broken = fmt.Errorf("direct: write: %w", err)
			c.arm()
			c.mu.Unlock()
			<-c.done
		}
		quiet.Reset(keepAlive)
	}
}

func (c *Conn) take() (queue [][]byte, ping uint64, want bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue, ping, want = c.queue, c.ping, c.want
	c.queue, c.want = nil, false
	return queue, ping, want
}

// arm sets how long the reader may hear nothing. The lock is held.
func (c *Conn) arm() {
	d := c.svc.cfg.IdlePing
	switch {
	case c.broken != nil:
		d = leaveTimeout
	case c.pinged:
		d = c.svc.cfg.PingTimeout
	case len(c.flying) > 0:
		d = c.svc.cfg.BusyPing
	}
	_ = c.stream.SetReadDeadline(time.Now().Add(d))
}

// listen prepares for a wait.
func (c *Conn) listen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arm()
}

// read handles answers until the connection is over, and says why it is.
func (c *Conn) read() error {
	var acks []Ack
	var naks []Nak
	report := func() {
		if len(acks) > 0 {
			c.svc.handler.Acked(c.session.ID, acks)
		}
		if len(naks) > 0 {
			c.svc.handler.Refused(c.session.ID, naks)
		}
		acks, naks = nil, nil
	}
	defer report()
	for {
		if !c.r.Buffered() {
			report() // all that came at once, at once
			c.listen()
		}
		f, err := c.r.Next()
		if timedOut(err) && c.Err() == nil {
			if err := c.sendPing(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("direct: read: %w", err)
		}
		kind, body, err := split(f)
		if err != nil {
			return err
		}
		switch kind {
		case typeAck:
			as, err := parseAck(body)
			if err != nil {
				return err
			}
			for _, a := range as {
				if mac := ackMAC(c.session.Auth, a.Hash); !hmac.Equal(a.MAC[:], mac[:]) {
					return ErrForged
				}
			}
			if !answered(c, as, func(a Ack) Hash { return a.Hash }) {
				return ErrForged
			}
			acks = append(acks, as...)
		case typeNak:
			ns, err := parseNak(body)
			if err != nil {
				return err
			}
			if !answered(c, ns, func(n Nak) Hash { return n.Hash }) {
				return ErrForged
			}
			naks = append(naks, ns...)
		case typePong:
			n, err := parsePing(body)
			if err != nil {
				return err
			}
			if !c.knows(n) {
				return fmt.Errorf("%w: PONG without PING", ErrMalformed)
			}
		case typeBye:
			reason, err := parseBye(body)
			if err != nil {
				return err
			}
			return byeError(reason)
		default:
			return fmt.Errorf("%w: type %d from an accepter", ErrMalformed, kind)
		}
		c.heard()
	}
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// answered takes messages off those that fly and makes room for others. False
// means that one of them does not fly.
func answered[T any](c *Conn, entries []T, hash func(T) Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		h := hash(e)
		n, ok := c.flying[h]
		if !ok {
			return false
		}
		delete(c.flying, h)
		c.bytes -= n
	}
	if c.waiters != nil {
		close(c.waiters)
		c.waiters = nil
	}
	return true
}

// sendPing asks for a sign of life. Its error is why the connection is over: one
// was asked for already, or the writer failed.
func (c *Conn) sendPing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	if c.pinged {
		return ErrSilent
	}
	c.pinged, c.want = true, true
	c.ping++
	c.arm()
	c.signal()
	return nil
}

func (c *Conn) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinged = false
}

// knows tells whether PING number n was sent.
func (c *Conn) knows(n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return n >= 1 && n <= c.ping
}
