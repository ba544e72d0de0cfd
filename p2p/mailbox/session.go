package mailbox

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
	pool "github.com/libp2p/go-buffer-pool"
	"github.com/libp2p/go-libp2p/core/network"
)

// session is one stream as the relay sees it. The goroutine of run reads and
// owns what is not under mu; another writes. Changes go through Server.queue and are
// answered from there.
type session struct {
	server    *Server
	cfg       *ServerConfig // as they were when the stream began, which HELLO told
	stream    network.Stream
	visitor   *node.Visitor // who opened the connection
	group     netip.Prefix  // of addresses, from which
	ousted    bool          // it made room for another; under the Server's lock
	in        *frame.Reader
	challenge [32]byte
	proofs    proofs[*claim]
	failures  atomic.Int32 // wrong signatures
	box       *BoxPublic   // after LOGIN
	leased    bool
	counted   bool        // the box is one of those that its group opened today
	offers    offers      // of TERMS
	asks      rate.Bucket // of Server.intros, for this stream
	listed    int         // entries in the answer to the request before
	batch     *batch      // what came and was not handed to the committer
	watching  *watches    // asked for, to begin after its answer
	drained   atomic.Bool // no more requests are read
	lastGroup uint64      // in which something of it was; of the committer

	mu      sync.Mutex
	room    *sync.Cond // owed, owedBytes, held shrank, or dead
	out     []answered // to be written
	held    int        // bytes of them
	owed    int        // requests without answer, those in out included
	owing   int        // bytes of them
	ending  bool       // nothing more will be asked
	dead    bool       // the stream is of no more use
	wake    chan struct{}
	watches *watches
}

// watches is a session's WATCH.
type watches struct {
	id    uint32
	box   BoxPublic
	after uint64
	news  bool // there may be something after it
}

func newSession(s *Server, stream network.Stream) *session {
	c := &session{
		server: s, cfg: s.cfg.Load(), stream: stream, visitor: node.VisitorOf(stream.Conn()), group: node.GroupOf(stream.Conn().RemoteMultiaddr()), in: frame.NewReader(stream, maxFrame, firstTimeout),
		proofs: proofs[*claim]{max: rememberProofs}, wake: make(chan struct{}, 1),
	}
	c.room = sync.NewCond(&c.mu)
	rand.Read(c.challenge[:]) // never fails, see crypto/rand
	return c
}

// turnAway refuses a stream before it begins.
func (c *session) turnAway(reason error) {
	defer c.in.Close()
	w := frame.NewWriter(c.stream, maxFrame, 5*time.Second)
	defer w.Close()
	if w.Append(encode(nil, 0, c.server.refusal(reason))) != nil || w.Flush() != nil {
		c.stream.Reset()
		return
	}
	c.stream.Close()
}

// run serves the stream until its end.
func (c *session) run() {
	defer c.in.Close()
	c.answer(answered{frame: encode(nil, 0, &hello{time.Now(), c.challenge, c.cfg.limits()})})
	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := c.write(); err != nil {
			c.server.log.Debug("a stream ended while writing", "error", err)
			c.kill()
		}
	}()
	if err := c.read(); err != nil && !errors.Is(err, io.EOF) {
		c.server.log.Debug("a stream ended while reading", "error", err)
	}
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.rouse()
	<-written
	if c.drained.Load() {
		c.linger()
	}
	if err := c.stream.Close(); err != nil {
		c.stream.Reset()
	}
}

// stopReading has the stream end once what was read is answered. It may be called at any time.
func (c *session) stopReading() {
	c.drained.Store(true)
	c.stream.SetReadDeadline(time.Now())
}

// linger waits until the peer has read all and ended the stream, or for drainLinger: the
// connection is about to be closed, and what is still under way with it.
func (c *session) linger() {
	if c.stream.CloseWrite() != nil {
		return
	}
	for until := time.Now().Add(drainLinger); time.Now().Before(until); {
		c.stream.SetReadDeadline(until) // over that of stopReading
		var b [512]byte
		if _, err := c.stream.Read(b[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// kill ends the stream now. It may be called at any time.
func (c *session) kill() {
	c.mu.Lock()
	c.dead = true
	c.hold(-c.held)
	c.out = nil
	c.room.Broadcast()
	c.mu.Unlock()
	c.rouse()
	c.stream.Reset()
}

// hold counts bytes of answers, here and over all streams. The lock is held.
func (c *session) hold(n int) {
	c.held += n
	c.server.held.Add(int64(n))
}

func (c *session) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read takes in requests until the stream ends or says something malformed.
func (c *session) read() error {
	defer c.submit() // what was taken in is answered, whatever ends the stream
	for !c.drained.Load() {
		b, err := c.in.Next()
		if err != nil {
			return err
		}
		c.in.SetTimeout(nextTimeout)
		k, id, body, err := splitFrame(b)
		if err != nil {
			return err
		}
		if !c.owe(len(b)) {
			return ErrClosed
		}
		req, err := parseRequest(k, body)
		if err != nil {
			c.submit()
			c.answer(answered{encode(nil, id, c.server.refusal(ErrMalformed)), len(b)})
			return err
		}
		cost := cost(req) + c.listed/namesEach
		if c.listed = 0; !c.visitor.May(node.Request, cost) {
			c.submit()
			if !c.turn(cost) {
				c.paid(1, len(b)) // it is not answered
				return ErrClosed
			}
		}
		m, err := c.handle(id, len(b), req)
		switch {
		case err != nil:
			c.answer(answered{encode(nil, id, c.server.refusal(err)), len(b)})
		case m != nil:
			c.answer(answered{encode(make([]byte, 0, 64), id, m), len(b)})
			if k == kindWatch {
				c.beginWatch()
			}
		case k == kindProve:
			c.paid(1, len(b))
		}
		if c.failures.Load() >= badProofs {
			c.submit()
			return ErrSignature
		}
		if !c.in.Buffered() || c.batch != nil && (len(c.batch.changes) >= maxOutstanding || c.batch.bytes >= window) {
			c.submit()
		}
	}
	c.submit()
	return nil
}

// namesEach is how many names in a request, or entries in the answer to the one before, count as one
// request more: each is a look into the index.
const namesEach = 8

// cost is how many requests one counts as.
func cost(req request) int {
	names := 0
	switch m := req.(type) {
	case *open:
		names = len(m.queues)
	case *closeQueues:
		names = len(m.queues)
	case *ack:
		names = len(m.cells)
	}
	return 1 + names/namesEach
}

// turn waits until those who share the peer's address may ask for more; false means that
// the stream ended meanwhile.
func (c *session) turn(cost int) bool {
	again := time.NewTicker(slowEvery)
	defer again.Stop()
	for range again.C {
		c.mu.Lock()
		dead := c.dead
		c.mu.Unlock()
		switch {
		case dead || c.drained.Load() || c.stream.Conn().IsClosed(): // who has gone takes nobody's turn
			return false
		case c.visitor.May(node.Request, cost):
			return true
		}
	}
	return false
}

// owe counts a request and waits until there is room for it; false means that
// the stream is dead.
func (c *session) owe(size int) bool {
	full := func() bool {
		return c.owed >= maxOutstanding || c.owed > 0 && c.owing+c.held+size > window || c.held > 0 && c.server.held.Load() >= heldBytes
	}
	c.mu.Lock()
	if !c.dead && full() && c.batch != nil { // what is waited for must be under way
		c.mu.Unlock()
		c.submit()
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	for !c.dead && full() {
		c.room.Wait()
	}
	c.owed++
	c.owing += size
	return !c.dead
}

// paid counts requests that need no more answers.
func (c *session) paid(n, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed -= n
	c.owing -= size
	c.room.Broadcast()
}

// answer queues answers to be written.
func (c *session) answer(answers ...answered) {
	c.mu.Lock()
	if !c.dead {
		if c.out == nil {
			c.out = answers
		} else {
			c.out = append(c.out, answers...)
		}
		for _, a := range answers {
			c.hold(len(a.frame))
		}
	}
	c.mu.Unlock()
	c.rouse()
}

// add puts a change into the batch, to be answered after its commit. All that waits for that is counted, of
// whatever kind: names, too, are many.
func (c *session) add(change Change, id uint32, k kind, size int) {
	came := time.Now()
	if !c.server.waiting.TryAcquire(int64(size)) {
		c.submit() // so that what is waited for is under way
		if err := c.server.waiting.Acquire(context.Background(), int64(size)); err != nil {
			panic("mailbox: acquire without a context's end: " + err.Error())
		}
	}
	if c.batch == nil {
		c.batch = &batch{from: c, came: came}
		c.batch.changes, c.batch.asked = c.batch.oneChange[:0], c.batch.oneAsked[:0]
	}
	c.batch.changes = append(c.batch.changes, change)
	c.batch.asked = append(c.batch.asked, asked{id: id, kind: k, size: size})
	c.batch.bytes += int64(size)
}

// submit hands the batch to the committer.
func (c *session) submit() {
	b := c.batch
	if c.batch = nil; b == nil {
		return
	}
	c.server.queue <- b
}

// write writes answers and news until nothing more can come.
func (c *session) write() error {
	w := frame.NewWriter(c.stream, maxFrame, writeTimeout)
	defer w.Close()
	for {
		c.mu.Lock()
		out := c.out
		c.out = nil
		dead, over := c.dead, c.ending && c.owed == 0 && len(out) == 0
		var look watches
		if c.watches != nil && c.watches.news && len(out) == 0 {
			look = *c.watches
			c.watches.news = false
		}
		c.mu.Unlock()
		switch {
		case dead:
			return ErrClosed
		case len(out) > 0:
			bytes, asked, held := 0, 0, 0
			for _, a := range out {
				if err := w.Append(a.frame); err != nil {
					return err
				}
				held += len(a.frame)
				if a.size > 0 { // HELLO answers nothing
					asked++
					bytes += a.size
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			c.mu.Lock()
			if !c.dead {
				c.hold(-held)
			}
			c.mu.Unlock()
			c.paid(asked, bytes)
			continue
		case look.news:
			if err := c.tellNews(w, look); err != nil {
				return err
			}
			continue
		case over:
			return nil
		}
		<-c.wake
	}
}

// tellNews writes one page of news.
func (c *session) tellNews(w *frame.Writer, look watches) error {
	entries, more, err := c.server.store.List(look.box, look.after, MaxEntries, time.Now())
	if err != nil || len(entries) == 0 {
		return err
	}
	if err := w.Append(encode(nil, look.id, &news{entries})); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	// Pages of what waits there cost as if they were asked for one by one.
	if cost := 1 + len(entries)/namesEach; more && !c.visitor.May(node.Request, cost) && !c.turn(cost) {
		return ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches.after = entries[len(entries)-1].Sequence
	c.watches.news = c.watches.news || more
	return nil
}

// tell says that something may be new in the watched box.
func (c *session) tell() {
	c.mu.Lock()
	if c.watches != nil {
		c.watches.news = true
	}
	c.mu.Unlock()
	c.rouse()
}

// handle does what is asked, or says why not, or adds it to the batch; then
// both results are nil.
func (c *session) handle(id uint32, size int, req request) (message, error) {
	now := time.Now()
	if adds(req) {
		c.server.taken.Add(uint64(weight(req)))
		if c.server.cfg.Load().Closed || c.server.waits.tooLong(now) {
			return nil, ErrTryLater
		}
	}
	switch m := req.(type) {
	case *prove:
		c.prove(m, now)
		return nil, nil
	case *put:
		return nil, c.put(m, id, size, now)
	case *terms:
		return c.terms(m, now)
	case *intro:
		return nil, c.intro(m, id, size, now)
	case *fetch:
		b, err := c.server.store.Notice(m.id, now)
		if err != nil {
			return nil, err
		}
		return c.server.give(kindFetch, b, now)
	case *ping:
		return &pingAnswer{now}, nil
	case *routes:
		return &routesAnswer{c.server.routes()}, nil
	case *allows:
		return &allowsAnswer{c.cfg.allowance().told()}, nil
	case *login:
		return c.login(m)
	}
	if c.box == nil {
		return nil, ErrLogin
	}
	box := *c.box
	switch m := req.(type) {
	case *lease:
		return nil, c.lease(m, id, size, now)
	case *open:
		if !m.until.After(now) || m.until.After(now.Add(MaxUntil)) {
			return nil, ErrTTL
		}
		c.add(&OpenQueues{Box: box, Class: m.class, Until: m.until, Queues: m.queues}, id, kindOpen, size)
	case *closeQueues:
		c.add(&CloseQueues{Box: box, Queues: m.queues}, id, kindClose, size)
	case *release:
		return c.release(box)
	case *ack:
		c.add(&Delete{Box: box, Cells: m.cells}, id, kindAck, size)
	case *unpost:
		c.add(&RemoveNotice{Box: box, ID: m.id}, id, kindUnpost, size)
	case *post:
		expiry, err := c.expiryOf(now, m.ttl)
		if err != nil {
			return nil, err
		}
		if err := c.leave(len(m.blob), now); err != nil {
			return nil, err
		}
		c.add(&PostNotice{Box: box, ID: m.id, Expiry: expiry, Notice: copied(m.blob)}, id, kindPost, size)
	case *list:
		entries, more, err := c.server.store.List(box, m.after, int(m.max), now)
		c.listed = len(entries)
		return &listAnswer{more, entries}, err
	case *get:
		cell, err := c.server.store.Cell(box, m.cell, now)
		if err != nil {
			return nil, err
		}
		return c.server.give(kindGet, cell, now)
	case *watch:
		return c.watch(m, id, box)
	}
	return nil, nil
}

// adds says whether a request would have the relay keep something new.
func adds(req request) bool {
	switch req.(type) {
	case *put, *intro, *post, *open:
		return true
	}
	return false
}

// weight is how many bytes of a cell or a notice came with a request.
func weight(req request) int {
	switch m := req.(type) {
	case *put:
		return len(m.cell)
	case *intro:
		return len(m.cell)
	case *post:
		return len(m.blob)
	}
	return 0
}

// give answers with a cell or a notice. The error is ErrTryLater.
func (s *Server) give(k kind, b []byte, now time.Time) (message, error) {
	if err := s.carried.take(s.cfg.Load().Daily, 1, len(b), now); err != nil {
		return nil, err
	}
	s.fetches.Add(1)
	s.given.Add(uint64(len(b)))
	return raw{k | kindAnswer, b}, nil
}

func copied(b []byte) []byte {
	c := pool.Get(len(b))
	copy(c, b)
	return c
}

// expiryOf is when something left now for ttl expires, in whole seconds.
func (c *session) expiryOf(now time.Time, ttl time.Duration) (time.Time, error) {
	if ttl < time.Second || ttl > c.cfg.MaxTTL {
		return time.Time{}, ErrTTL
	}
	return time.Unix(now.Unix(), 0).Add(ttl), nil
}

// prove remembers a proof, see PROVE in section 2.
func (c *session) prove(m *prove, now time.Time) {
	q := qid(c.server.relay, m.epoch, m.public[:])
	p := &claim{public: m.public, signature: m.signature, failures: &c.failures, strange: !c.visitor.Proved()}
	if today := Epoch(now); m.epoch != CatchAll && (m.epoch > today+1 || m.epoch+1 < today) {
		p.refused = ErrEpoch
	} else if p.refused = c.server.store.Writable(q, now); p.refused == nil {
		p.text = signed("godwit/1/mailbox/prove", c.server.relay, c.challenge, q[:])
	}
	c.proofs.set(q, p)
}

// put adds a deposit, which the committer refuses if the proof does not hold.
func (c *session) put(m *put, id uint32, size int, now time.Time) error {
	p := c.proofs.known[m.queue]
	if p == nil || p.refused != nil {
		return p.outcome()
	}
	if !ValidSize(len(m.cell)) {
		return ErrSize
	}
	expiry, err := c.expiryOf(now, m.ttl)
	if err != nil {
		return err
	}
	if !c.visitor.May(node.Deposit, 1) {
		return ErrTryLater
	}
	if err := c.leave(len(m.cell), now); err != nil {
		return err
	}
	c.add(&Deposit{Queue: m.queue, ID: IDOf(m.cell), Cell: copied(m.cell), Expiry: expiry}, id, kindPut, size)
	c.batch.asked[len(c.batch.asked)-1].claim = p
	return nil
}

func (c *session) login(m *login) (message, error) {
	if c.box != nil {
		return nil, ErrLogin
	}
	if !c.visitor.May(node.Login, 1) {
		return nil, ErrTryLater
	}
	if !ed25519.Verify(m.box[:], signed("godwit/1/mailbox/login", c.server.relay, c.challenge, m.box[:]), m.signature[:]) {
		if c.failures.Add(1) >= badProofs {
			return nil, ErrTooMany
		}
		return nil, ErrSignature
	}
	info, err := c.server.store.Box(m.box)
	if err != nil {
		return nil, err
	}
	c.box = &m.box
	if info.Until.After(time.Now()) {
		c.visitor.Prove()
	}
	info.Limit = c.cfg.Quotas.Of(info.Token).BoxBytes
	return &loginAnswer{info}, nil
}

func (c *session) lease(m *lease, id uint32, size int, now time.Time) error {
	if c.leased {
		return ErrTooMany
	}
	if !slices.Contains(c.cfg.Leases, m.proof) || !c.pays(m) {
		return ErrLease
	}
	g := &GrantLease{Box: *c.box, Token: m.proof == LeaseToken}
	length := c.cfg.TokenLeaseTime
	if !g.Token {
		if err := c.newBox(now); err != nil {
			return err
		}
		length = c.cfg.LeaseTime
	}
	c.leased = true
	g.Until = time.Unix(now.Unix(), 0).Add(length)
	c.add(g, id, kindLease, size)
	if g.Token {
		c.batch.asked[len(c.batch.asked)-1].token = slices.Clone(m.bytes)
	}
	return nil
}

// newBox counts a box that is not known yet against what its group of addresses may open in a
// day, so that nobody fills the disk from one corner of the network. The error is ErrTooMany.
func (c *session) newBox(now time.Time) error {
	if c.cfg.GroupBoxes == 0 {
		return nil
	}
	info, err := c.server.store.Box(*c.box)
	if err != nil || !info.Until.IsZero() {
		return err
	}
	if !c.server.boxes.Take(c.group, now) {
		return delayed{ErrTooMany, 24 * time.Hour / time.Duration(c.cfg.GroupBoxes)}
	}
	c.counted = true
	return nil
}

// lastParts is the part of what is left of the last tenth of the room that one group of addresses may leave in a day.
const lastParts = 64

// toCome is the part of ServerConfig.Daily that what comes may use.
const toCome = 0.5

// leave counts bytes that are to be kept against what may come in a day, and against what its group of addresses may leave in a
// day, which is asked only while room is scarce: what one corner of the network fills is then left to the others. Of the last
// tenth no group has more than a part of what is left then, so that many together do not fill it either, and who left
// little is served to the end. The error is ErrTryLater or ErrFull.
func (c *session) leave(bytes int, now time.Time) error {
	cfg := c.server.cfg.Load()
	if err := c.server.carried.take(cfg.Daily, toCome, bytes, now); err != nil {
		return err
	}
	if cfg.GroupBytes == 0 || cfg.Room == nil {
		return nil
	}
	taken, all := cfg.Room()
	most := float64(cfg.GroupBytes)
	if taken > all/10*9 {
		most = max(float64(all-min(taken, all))/lastParts, CellLarge)
	}
	if c.server.left.TakeWithin(c.group, most, float64(bytes), now) || taken <= all/2 {
		return nil
	}
	return delayed{ErrFull, max(5*time.Minute, time.Duration(float64(bytes)/float64(cfg.GroupBytes)*float64(24*time.Hour)))}
}

// returned is how much of a box counts on against those of its group once it is given back on the stream on
// which it was leased: enough that nobody has the disk written for nothing, and little enough for who looks
// every five minutes whether the relay works.
const returned = 1. / 16

// releaseCost is how many requests each part of a large box counts as.
const releaseCost = ReleasePart / namesEach

// release gives the box up, part by part, so that others' changes do not wait for a large one.
func (c *session) release(box BoxPublic) (message, error) {
	c.submit() // what was asked for before
	for more := true; more; {
		r := &ReleaseBox{Box: box}
		c.server.do(r)
		if r.Err != nil {
			return nil, r.Err
		}
		if more = r.More; more && (c.drained.Load() || !c.visitor.May(node.Request, releaseCost) && !c.turn(releaseCost)) {
			return nil, ErrTryLater
		}
	}
	if c.counted {
		c.counted = false
		c.server.boxes.Refund(c.group, 1-returned)
	}
	return answer(kindRelease), nil
}

// pays tells whether a lease is paid for.
func (c *session) pays(m *lease) bool {
	switch m.proof {
	case LeaseOpen:
		return len(m.bytes) == 0
	case LeaseToken:
		return c.server.cfg.Load().takes(c.server.relay, *c.box, m.bytes)
	case LeaseWork:
		return len(m.bytes) == 8 && worked(workText(c.server.relay, c.challenge, *c.box), m.bytes, int(c.cfg.Difficulty))
	}
	return false
}

func (c *session) watch(m *watch, id uint32, box BoxPublic) (message, error) {
	if c.watching != nil {
		return nil, ErrTooMany
	}
	if err := c.server.watch(box, c); err != nil {
		return nil, err
	}
	c.watching = &watches{id: id, box: box, after: m.after, news: true}
	return answer(kindWatch), nil
}

// beginWatch lets news follow the answer to WATCH.
func (c *session) beginWatch() {
	c.mu.Lock()
	c.watches = c.watching
	c.mu.Unlock()
	c.rouse()
}
