package mailbox

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/sync/semaphore"
)

const (
	// helloTimeout bounds the wait for a relay's HELLO.
	helloTimeout = 15 * time.Second
	// writeTimeout bounds one write to a stream, on both sides.
	writeTimeout = 30 * time.Second
	// pingEvery is how long nothing may come from a relay that is watched before it is
	// asked for a sign of life, and pingTimeout how long it may take for one. Mail waits
	// as long as that behind a connection that died without a word, as when a computer
	// slept. A relay closes a stream that was quiet for 5 minutes.
	pingEvery, pingTimeout = 30 * time.Second, 10 * time.Second
	// silence is how long nothing may come from a relay that has requests to
	// answer, and answerTimeout how long it may take for one: over a slow line
	// the last of a window comes late, but a relay that stalls must not hold up
	// for ever what else there is to do.
	silence, answerTimeout = time.Minute, 10 * time.Minute
	// maxOutstanding is how many requests may wait for their answers.
	maxOutstanding = 256
	// receiptSlack is by how much a receipt may promise less than was asked:
	// the time a relay takes from accepting to signing.
	receiptSlack = 5 * time.Minute
	// maxNews bounds the entries of a WATCH that its owner has not taken
	// yet; twice what a box of 256 MiB can hold.
	maxNews = 1 << 17
)

// A Client is one stream with one relay. Its methods are safe for concurrent
// use and share the stream: calls that run at the same time leave and return
// together. Errors wrap ErrClosed once the connection is over, a *Refusal if
// the relay said no, and the context's otherwise. A relay that is silent for a
// minute though requests wait, or leaves one unanswered for ten, ends the connection
// (ErrSilent beside ErrClosed). A Client does not reconnect.
type Client struct {
	stream network.Stream
	relay  peer.ID
	key    *voi.ExpandedPublicKey
	hello  hello
	came   time.Time // when HELLO came, by our clock

	window *semaphore.Weighted // of bytes that wait for an answer
	weight int64               // the least that one request takes of it
	turn   chan struct{}       // holds one token; who has it may use proofs and send in order
	proofs proofs[bool]
	out    chan sending

	mu       sync.Mutex
	pending  map[uint32]*call
	heard    time.Time   // when the last frame came
	patience *time.Timer // ends the connection if the relay stalls; nil: nothing is asked
	nextID   uint32
	watching *watching
	err      error // why the connection is over

	verified struct {
		sync.Mutex
		text      []byte
		signature [ed25519.SignatureSize]byte
	}

	done chan struct{} // closed when err is set
	ends sync.WaitGroup
}

type sending struct{ first, second []byte } // second may be nil

type call struct {
	kind   kind
	asked  time.Time
	weight int64
	answer chan []byte // gets one body
	err    error       // valid once answer is closed
}

// Dial opens a stream to a relay and waits for its HELLO. The error is ErrRelay
// if the PeerID cannot be a relay's. The Client must be closed.
func Dial(ctx context.Context, h host.Host, relay peer.AddrInfo) (*Client, error) {
	if _, err := relayKey(relay.ID); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	// libp2p would refuse to dial a relay again for seconds or minutes after a failure;
	// who calls Dial keeps its own pauses.
	ctx = network.WithForceDirectDial(ctx, "mailbox")
	h.Peerstore().AddAddrs(relay.ID, relay.Addrs, peerstore.AddressTTL) // see node.AddrTTL
	if err := h.Connect(ctx, relay); err != nil {
		return nil, fmt.Errorf("mailbox: connect: %w", err)
	}
	return Connect(ctx, h, relay.ID)
}

// Connect is Dial over a connection that is there already, such as a circuit.
func Connect(ctx context.Context, h host.Host, relay peer.ID) (*Client, error) {
	public, err := relayKey(relay)
	if err != nil {
		return nil, err
	}
	key, err := voi.NewExpandedPublicKey(voi.PublicKey(public))
	if err != nil {
		return nil, ErrRelay
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	ctx = network.WithAllowLimitedConn(network.WithNoDial(ctx, "mailbox"), "mailbox")
	s, err := h.NewStream(ctx, relay, Protocol)
	if err != nil {
		return nil, fmt.Errorf("mailbox: open stream: %w", err)
	}
	c := &Client{
		stream: s, relay: relay, key: key,
		turn:    make(chan struct{}, 1),
		out:     make(chan sending, maxOutstanding),
		pending: make(map[uint32]*call),
		done:    make(chan struct{}),
	}
	c.turn <- struct{}{}
	r := frame.NewReader(s, maxFrame, 0)
	if err := c.greet(ctx, r); err != nil {
		r.Close()
		s.Reset()
		return nil, err
	}
	c.ends.Add(2)
	go func() {
		defer c.ends.Done()
		c.fail(c.read(r))
	}()
	go func() {
		defer c.ends.Done()
		c.fail(c.write())
	}()
	return c, nil
}

// greet reads HELLO.
func (c *Client) greet(ctx context.Context, r *frame.Reader) error {
	stop := context.AfterFunc(ctx, func() { c.stream.Reset() })
	defer stop()
	b, err := r.Next()
	if ctx.Err() != nil {
		return fmt.Errorf("mailbox: wait for hello: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("mailbox: read hello: %w", err)
	}
	c.came = time.Now()
	k, _, body, err := splitFrame(b)
	if err != nil {
		return err
	}
	switch k {
	case kindHello:
		m, err := parseHello(body)
		if err != nil {
			return err
		}
		c.hello = *m
	case kindRefused:
		return parseRefusal(body)
	default:
		return malformed("the relay did not say hello")
	}
	c.proofs = proofs[bool]{max: int(c.hello.limits.Proofs)}
	c.window = semaphore.NewWeighted(int64(c.hello.limits.Window))
	c.weight = (int64(c.hello.limits.Window) + maxOutstanding - 1) / maxOutstanding
	return nil
}

// Close ends the connection and waits until all that belongs to it has ended.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.ends.Wait()
	return nil
}

// Done is closed when the connection is over; Err then tells why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err tells why the connection is over, nil while it is not. It wraps ErrClosed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// quiet is for how long nothing came.
func (c *Client) quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.heard)
}

// Relay is the relay's PeerID.
func (c *Client) Relay() peer.ID { return c.relay }

// Now is the relay's clock, as told in HELLO plus what passed since.
func (c *Client) Now() time.Time { return c.hello.time.Add(time.Since(c.came)) }

// Skew is by how much the relay's clock is ahead of ours.
func (c *Client) Skew() time.Duration { return c.hello.time.Sub(c.came.Round(0)) }

// Epoch is the relay's day; a Descriptor's Queue takes it.
func (c *Client) Epoch() uint32 { return Epoch(c.Now()) }

// Limits are what the relay told of itself.
func (c *Client) Limits() Limits { return c.hello.limits }

// fail ends the connection once and gives err to all that wait.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(err)
}

// end is fail. The lock is held.
func (c *Client) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if !errors.Is(err, ErrClosed) {
		c.err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if c.patience != nil {
		c.patience.Stop()
	}
	for id, p := range c.pending {
		p.err = c.err
		close(p.answer)
		delete(c.pending, id)
		c.window.Release(p.weight) // who waits for it goes on, to find c.err
	}
	c.stream.Reset()
	close(c.done)
}

// write sends what is asked for, in batches.
func (c *Client) write() error {
	w := frame.NewWriter(c.stream, maxFrame, writeTimeout)
	defer w.Close()
	add := func(s sending) error {
		if err := w.Append(s.first); err != nil || s.second == nil {
			return err
		}
		return w.Append(s.second)
	}
	for {
		select {
		case <-c.done:
			return ErrClosed
		case s := <-c.out:
			if err := add(s); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		for more := true; more; {
			select {
			case s := <-c.out:
				if err := add(s); err != nil {
					return fmt.Errorf("write: %w", err)
				}
			default:
				more = false
			}
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}

// read hands answers to those who wait for them until the stream ends.
func (c *Client) read(r *frame.Reader) error {
	defer r.Close()
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w by the relay", ErrClosed)
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		k, id, body, err := splitFrame(b)
		if err != nil {
			return err
		}
		if k == kindNews {
			if err := c.news(body); err != nil {
				return err
			}
			continue
		}
		c.mu.Lock()
		p := c.pending[id]
		if p == nil || p.kind != kindRoutes { // which is asked now and then, and says nothing of what else is asked
			c.heard = time.Now()
		}
		delete(c.pending, id)
		c.mu.Unlock()
		if p == nil {
			if k == kindRefused { // of a frame that could not be read: the stream ends
				return parseRefusal(body)
			}
			return malformed("an answer that nobody waits for")
		}
		c.window.Release(p.weight)
		switch k {
		case p.kind | kindAnswer:
			p.answer <- bytes.Clone(body)
		case kindRefused:
			p.err = parseRefusal(body)
		default:
			p.err = malformed("an answer of another kind")
		}
		close(p.answer)
	}
}

// parseRefusal is the *Refusal in body, or what is wrong with it.
func parseRefusal(body []byte) error {
	var (
		m Refusal
		s = cryptobyte.String(body)
	)
	if !m.parse(&s) || !s.Empty() {
		return malformed("refusal")
	}
	return &m
}

// do sends a request and waits for the body of its answer. If a key is given
// and the relay does not remember it as proven, its proof goes just before.
func (c *Client) do(ctx context.Context, m message, key *WriteKey) ([]byte, error) {
	p := &call{kind: m.kind(), answer: make(chan []byte, 1)}
	b := encode(make([]byte, 0, 64), 0, m)
	p.weight = min(max(int64(len(b)), c.weight), int64(c.hello.limits.Window))
	if err := c.window.Acquire(ctx, p.weight); err != nil {
		return nil, err
	}
	id, err := c.register(p)
	if err != nil {
		return nil, err
	}
	setID(b, id)
	if err := c.send(ctx, b, key); err != nil {
		c.mu.Lock()
		if c.pending[id] == p { // it was not sent, so no answer will come
			delete(c.pending, id)
			c.window.Release(p.weight)
		}
		c.mu.Unlock()
		return nil, err
	}
	select {
	case body, ok := <-p.answer:
		if !ok {
			return nil, p.err
		}
		return body, nil
	case <-ctx.Done():
		return nil, ctx.Err() // the answer, when it comes, frees the window
	}
}

// setID writes the id into an encoded frame.
func setID(b []byte, id uint32) {
	b[1], b[2], b[3], b[4] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
}

// register gives a call its id. Its error is c.err; the window is then free again.
func (c *Client) register(p *call) (id uint32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		c.window.Release(p.weight)
		return 0, c.err
	}
	p.asked = time.Now()
	if c.patience == nil {
		c.patience = time.AfterFunc(silence, c.overdue)
	}
	for {
		c.nextID++
		if _, used := c.pending[c.nextID]; !used && c.nextID != 0 {
			c.pending[c.nextID] = p
			return c.nextID, nil
		}
	}
}

// overdue ends the connection if the relay stalls. It runs when that may be so; while
// nothing is asked no timer runs.
func (c *Client) overdue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 || c.err != nil {
		c.patience = nil
		return
	}
	now := time.Now()
	oldest := now
	for _, p := range c.pending {
		if p.asked.Before(oldest) {
			oldest = p.asked
		}
	}
	quiet := oldest
	if c.heard.After(quiet) {
		quiet = c.heard
	}
	if left := min(silence-now.Sub(quiet), answerTimeout-now.Sub(oldest)); left > 0 {
		c.patience.Reset(left)
		return
	}
	c.end(ErrSilent)
}

// send queues a frame, after the proof of its key if that is needed.
func (c *Client) send(ctx context.Context, b []byte, key *WriteKey) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	s := sending{first: b}
	if key != nil && !c.proofs.known[key.id] {
		s = sending{encode(make([]byte, 0, 128), 0, c.prove(key)), b}
	}
	select {
	case c.out <- s:
		if s.second != nil {
			c.proofs.set(key.id, true)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
}

func (c *Client) prove(k *WriteKey) *prove {
	return &prove{
		epoch:  k.epoch,
		public: [ed25519.PublicKeySize]byte(k.public()),
		// Signed by who verifies, too: that takes half of the standard library's time.
		signature: [ed25519.SignatureSize]byte(voi.Sign(voi.PrivateKey(k.key), signed("godwit/1/mailbox/prove", c.relay, c.hello.challenge, k.id[:]))),
	}
}

// Put deposits a cell in the queue of k for ttl (0: MaxTTL), by the relay's
// clock, and returns when the relay promised by receipt to keep it. The
// receipt was verified against the relay's key; a wrong one, or one that does not promise Kept, is ErrBadReceipt. The same
// cell may be put again: it is kept once. Refusals are ErrUnknownQueue,
// ErrSignature, ErrEpoch (its Time tells the relay's clock), ErrQuota,
// ErrBoxFull, ErrFull, ErrSize, ErrTTL, ErrLease, ErrTryLater, ErrDamaged; ErrWork
// if it is an intro queue, which takes PutIntro.
func (c *Client) Put(ctx context.Context, k WriteKey, cell []byte, ttl time.Duration) (Receipt, error) {
	if k.relay != c.relay {
		return Receipt{}, fmt.Errorf("mailbox: a key for another relay: %w", ErrRelay)
	}
	if !ValidSize(len(cell)) {
		return Receipt{}, ErrSize
	}
	ttl, err := c.ttl(ttl)
	if err != nil {
		return Receipt{}, err
	}
	return c.deposit(ctx, &put{k.id, ttl, cell}, k, IDOf(cell), ttl, Kept)
}

// verify checks a receipt against the relay's key and against what was asked.
// The signature of a commit group is checked once for all its deposits here.
func (c *Client) verify(r Receipt, promise Promise, q QID, cell CellID, ttl time.Duration) error {
	if r.Promise != promise {
		return fmt.Errorf("%w: promises something else", ErrBadReceipt)
	}
	if r.Expiry.Before(r.Time.Add(ttl - receiptSlack)) {
		return fmt.Errorf("%w: promises less than was asked", ErrBadReceipt)
	}
	text, ok := r.text(c.relay, q, cell)
	if !ok {
		return ErrBadReceipt
	}
	v := &c.verified
	v.Lock()
	known := v.signature == r.signature && bytes.Equal(v.text, text)
	v.Unlock()
	if known {
		return nil
	}
	if !voi.VerifyExpandedWithOptions(c.key, text, r.signature[:], receiptRules()) {
		return ErrBadReceipt
	}
	v.Lock()
	v.text, v.signature = text, r.signature
	v.Unlock()
	return nil
}

// unprove makes the next deposit into a queue prove it anew: the proof may be
// what was refused, and the queue may have been opened since.
func (c *Client) unprove(q QID) {
	<-c.turn
	if c.proofs.known[q] {
		c.proofs.set(q, false)
	}
	c.turn <- struct{}{}
}
