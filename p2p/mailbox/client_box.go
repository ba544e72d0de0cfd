package mailbox

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"
)

// body is an answer that a client decodes.
type body interface {
	parse(*cryptobyte.String) bool
}

// ask sends a request and decodes its answer; nil is an empty one.
func (c *Client) ask(ctx context.Context, m message, into body) error {
	return c.askProven(ctx, m, into, nil)
}

// askProven is ask; the key of a queue, unless nil, is proven before.
func (c *Client) askProven(ctx context.Context, m message, into body, key *WriteKey) error {
	raw, err := c.do(ctx, m, key)
	if refused := new(Refusal); key != nil && errors.As(err, &refused) {
		c.unprove(key.id)
	}
	if err != nil {
		return err
	}
	s := cryptobyte.String(raw)
	if into != nil && !into.parse(&s) || !s.Empty() {
		return malformed(fmt.Sprintf("answer to kind %#x", byte(m.kind())))
	}
	return nil
}

// Routes are the circuit addresses under which the relay can be reached through
// others now: what may go into descriptors, behind the relay's own addresses.
func (c *Client) Routes(ctx context.Context) ([]ma.Multiaddr, error) {
	var a routesAnswer
	err := c.ask(ctx, &routes{}, &a)
	return a.addrs, err
}

// Login proves the box to the relay; all that concerns a box needs it. It can
// be made once per Client; the error then is ErrLogin.
func (c *Client) Login(ctx context.Context, k BoxPrivate) (BoxInfo, error) {
	box := k.Public()
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(k.seed[:]), signed("godwit/1/mailbox/login", c.relay, c.hello.challenge, box[:]))
	var a loginAnswer
	err := c.ask(ctx, &login{box, [ed25519.SignatureSize]byte(signature)}, &a)
	return a.info, err
}

// Lease makes the relay keep the box for LeaseTime from now and tells until
// when. token is what the relay's operator gave out, or nil; without one the
// relay's other terms are met, proof of work included, which can take seconds. One
// lease can be had per Client. The error is ErrLease if no terms can be met, ErrLogin
// before Login.
func (c *Client) Lease(ctx context.Context, k BoxPublic, token []byte) (time.Time, error) {
	var (
		m     lease
		l     = c.hello.limits
		err   error
		can   = func(k LeaseKind) bool { return slices.Contains(l.Leases, k) }
		until = until{k: kindLease | kindAnswer}
	)
	switch {
	case len(token) > 0 && can(LeaseToken):
		if len(token) > maxToken {
			return time.Time{}, ErrLease
		}
		m = lease{LeaseToken, token}
	case can(LeaseOpen):
		m = lease{LeaseOpen, nil}
	case can(LeaseWork):
		m.proof = LeaseWork
		if m.bytes, err = solve(ctx, workText(c.relay, c.hello.challenge, k), int(l.Difficulty)); err != nil {
			return time.Time{}, err
		}
	default:
		return time.Time{}, ErrLease
	}
	err = c.ask(ctx, &m, &until)
	return until.t, err
}

// ErrOlder says that a relay is of an older version, which does not know what it would be asked.
var ErrOlder = errors.New("mailbox: the relay is of an older version")

// Release gives the box up: its lease ends, its queues are closed, and what is in it is deleted. A box that has no
// lease is passed over. The error is ErrOlder if the relay cannot: then the box stays until its lease has ended.
func (c *Client) Release(ctx context.Context) error {
	if !c.hello.limits.Newer {
		return ErrOlder
	}
	return c.ask(ctx, &release{}, nil)
}

// Allowance asks what the relay allows beside its Limits. It needs no Login. The error is ErrOlder if the relay does not
// tell.
func (c *Client) Allowance(ctx context.Context) (Allowance, error) {
	if !c.hello.limits.Newer {
		return Allowance{}, ErrOlder
	}
	var a allowsAnswer
	err := c.ask(ctx, &allows{}, &a)
	return allowanceOf(a.told), err
}

const (
	minToken = 16 // bytes
	maxToken = 64
	// maxDifficulty bounds the work, in bits, that a client does for a lease:
	// beyond it a relay wants hours.
	maxDifficulty = 32
)

func workText(relay peer.ID, challenge [32]byte, box BoxPublic) []byte {
	return signed("godwit/1/mailbox/work", relay, challenge, box[:])
}

// worked tells whether H(text ‖ x) starts with that many zero bits.
func worked(text, x []byte, difficulty int) bool {
	h := sha256.New()
	h.Write(text)
	h.Write(x)
	return leadingZeros(h.Sum(nil)) >= difficulty
}

func leadingZeros(b []byte) (n int) {
	for _, x := range b {
		n += bits.LeadingZeros8(x)
		if x != 0 {
			break
		}
	}
	return n
}

// solve searches x for worked. Its error is ErrLease or the context's.
func solve(ctx context.Context, text []byte, difficulty int) ([]byte, error) {
	if difficulty > maxDifficulty {
		return nil, fmt.Errorf("%w: it wants %d bits of work", ErrLease, difficulty)
	}
	b := slices.Concat(text, make([]byte, 8))
	x := b[len(text):]
	rand.Read(x) // never fails, see crypto/rand
	for n := binary.BigEndian.Uint64(x); ; n++ {
		binary.BigEndian.PutUint64(x, n)
		if h := sha256.Sum256(b); leadingZeros(h[:]) >= difficulty {
			return slices.Clone(x), nil
		}
		if n%(1<<14) == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// Open opens queues for deposits until a time at most MaxUntil ahead of the
// relay's clock. Those already open stay open at least as long as they were.
// Refusals are ErrLease, ErrBoxFull, ErrTTL, ErrTaken.
func (c *Client) Open(ctx context.Context, class Class, until time.Time, queues ...QID) error {
	for part := range slices.Chunk(queues, MaxBatch) {
		if err := c.ask(ctx, &open{class, until, part}, nil); err != nil {
			return err
		}
	}
	return nil
}

// CloseQueues ends deposits into queues at once. Their cells stay in the box.
func (c *Client) CloseQueues(ctx context.Context, queues ...QID) error {
	for part := range slices.Chunk(queues, MaxBatch) {
		if err := c.ask(ctx, &closeQueues{part}, nil); err != nil {
			return err
		}
	}
	return nil
}

// List tells of up to MaxEntries cells after a sequence (0: from the first), in
// order of arrival, and whether there are more.
func (c *Client) List(ctx context.Context, after uint64) (entries []Entry, more bool, err error) {
	var a listAnswer
	err = c.ask(ctx, &list{after, MaxEntries}, &a)
	return a.entries, a.more, err
}

// Get fetches a cell and checks that it is the one. The error is ErrNotFound if
// the relay does not have it, and wraps ErrMalformed if it sent another.
func (c *Client) Get(ctx context.Context, id CellID) ([]byte, error) {
	cell, err := c.do(ctx, &get{id}, nil)
	if err != nil {
		return nil, err
	}
	if IDOf(cell) != id {
		return nil, malformed("the relay sent another cell")
	}
	return cell, nil
}

// Ack deletes cells of the box and tells how many there were. It may name cells
// that never came to this relay.
func (c *Client) Ack(ctx context.Context, cells ...CellID) (deleted int, err error) {
	for part := range slices.Chunk(cells, MaxBatch) {
		var a ackAnswer
		if err := c.ask(ctx, &ack{part}, &a); err != nil {
			return deleted, err
		}
		deleted += int(a.deleted)
	}
	return deleted, nil
}

// Post leaves a notice of NoticeSize bytes for ttl (0: MaxTTL) and tells until
// when. A notice of the same box and id is replaced. Refusals are ErrLease,
// ErrBoxFull, ErrFull, ErrTTL, ErrTaken.
func (c *Client) Post(ctx context.Context, id NoticeID, notice []byte, ttl time.Duration) (time.Time, error) {
	if len(notice) != NoticeSize {
		return time.Time{}, ErrSize
	}
	ttl, err := c.ttl(ttl)
	if err != nil {
		return time.Time{}, err
	}
	a := until{k: kindPost | kindAnswer}
	err = c.ask(ctx, &post{id, ttl, notice}, &a)
	return a.t, err
}

// Unpost removes a notice of the box; an absent one is passed over.
func (c *Client) Unpost(ctx context.Context, id NoticeID) error {
	return c.ask(ctx, &unpost{id}, nil)
}

// Fetch fetches a notice; it needs no Login. The error is ErrNotFound if there
// is none: never posted, removed or expired.
func (c *Client) Fetch(ctx context.Context, id NoticeID) ([]byte, error) {
	b, err := c.do(ctx, &fetch{id}, nil)
	if err == nil && len(b) != NoticeSize {
		return nil, malformed("a notice of another size")
	}
	return b, err
}

// watching is the WATCH of a client.
type watching struct {
	last uint64 // sequence of the last entry that came
	come []Entry
	over bool          // nobody takes them any more
	wake chan struct{} // has room for one
}

// news takes in what a WATCH brought.
func (c *Client) news(raw []byte) error {
	var (
		m news
		s = cryptobyte.String(raw)
	)
	if !m.parse(&s) || !s.Empty() {
		return malformed("news")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	w := c.watching
	if w == nil || m.entries[0].Sequence <= w.last || len(w.come)+len(m.entries) > maxNews {
		return malformed("news that was not asked for")
	}
	w.last = m.entries[len(m.entries)-1].Sequence
	if w.over {
		return nil
	}
	w.come = append(w.come, m.entries...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// Watch calls take with every entry of the box after a sequence, those already
// there first, each once and in order, until the context ends, the connection
// is over or take returns an error; it returns that error. take may call the
// Client. One Watch can be had
// per Client; the error of a second is ErrTooMany.
func (c *Client) Watch(ctx context.Context, after uint64, take func([]Entry) error) error {
	w := &watching{last: after, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	taken := c.watching != nil
	if !taken {
		c.watching = w
	}
	c.mu.Unlock()
	if taken {
		return ErrTooMany
	}
	defer func() {
		c.mu.Lock()
		w.over, w.come = true, nil
		c.mu.Unlock()
	}()
	if err := c.ask(ctx, &watch{after}, nil); err != nil {
		return err
	}
	due := time.NewTimer(pingEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
			return c.Err()
		case <-due.C:
			if c.quiet() >= pingEvery {
				if err := c.Ping(ctx); err != nil {
					return err
				}
			}
			due.Reset(pingEvery - c.quiet())
		case <-w.wake:
			c.mu.Lock()
			come := w.come
			w.come = nil
			c.mu.Unlock()
			if len(come) == 0 {
				continue // the last look took them
			}
			if err := take(come); err != nil {
				return err
			}
		}
	}
}

// Ping asks the relay for a sign of life, within 10 s; if nothing at all comes the
// connection is ended.
func (c *Client) Ping(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := c.ask(within, &ping{}, new(pingAnswer))
	if within.Err() != nil && ctx.Err() == nil {
		if c.quiet() < pingTimeout {
			return nil // the answer comes behind something else
		}
		c.fail(fmt.Errorf("the relay did not answer a ping: %w", within.Err()))
		return c.Err()
	}
	return err
}
