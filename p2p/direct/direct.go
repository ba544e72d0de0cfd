// Package direct hands sealed messages to a device that is online and brings
// back its acknowledgement that they are kept there. SPEC.md is the protocol.
//
// Its caller, app/chat, keeps what is not acknowledged yet and sends it again
// another way: nothing is stored here. A Service is one end. It opens a Conn for
// each session whose device is reached, in either direction, and speaks to the
// caller through Handler, in batches, so that both sides can commit many
// messages at once.
package direct

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Protocol names the protocol to libp2p.
const Protocol protocol.ID = "/godwit/direct/1"

// SessionID names a session, identity/pqxdh's Offer.SessionID.
type SessionID [32]byte

// Hash names a ratchet message: its SHA-256.
type Hash [32]byte

// HashOf names a ratchet message.
func HashOf(message []byte) Hash { return sha256.Sum256(message) }

// A Session is what is needed to know the other end of a session.
type Session struct {
	ID   SessionID
	Auth [32]byte // AUTH of identity/pqxdh
}

// An Ack is the other device's word that it keeps a message. MAC was checked;
// with the session's AUTH it shows so again.
type Ack struct {
	Hash Hash
	MAC  [16]byte
}

// A Nak is the other device's word that it did not keep a message.
type Nak struct {
	Hash Hash
	Code Code
}

// Code says why a message was not kept. As an error it is what SendFlight and
// FetchNotice return; errors.As finds it.
type Code byte

// The codes of SPEC.md, section 2. A peer may send others.
const (
	Accepted   Code = 0 // only between Handler and Service: the message is durable
	Busy       Code = 1 // later, the same again
	Refused    Code = 2 // not from this sender
	Unreadable Code = 3 // no session opens it
	TooFar     Code = 4 // the session must be reset
	Full       Code = 5 // cannot be kept now
	Unknown    Code = 6 // no such notice
	Used       Code = 7 // the invitation is used, revoked or expired
	Asked      Code = 8 // a stranger's flight: whatever becomes of it is for a person to say
)

// String says the code in a word or two.
func (c Code) String() string {
	names := [...]string{"accepted", "busy", "refused", "unreadable", "too far ahead", "full", "unknown", "used", "asked"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("code %d", byte(c))
}

// Error makes a code an error.
func (c Code) Error() string { return "direct: the other device answered: " + c.String() }

var (
	// ErrProof says that the two ends do not share the session, or that the
	// peer is not the one that it was taken for.
	ErrProof = errors.New("direct: the other end did not prove the session")
	// ErrForged says that an acknowledgement does not fit a message and the
	// session.
	ErrForged = errors.New("direct: forged acknowledgement")
	// ErrSilent says that the peer stopped answering.
	ErrSilent = errors.New("direct: no sign of life from the other device")
	// ErrLeft says that the peer said good-bye.
	ErrLeft = errors.New("direct: the other device left")
	// ErrBusy says that the peer, or this end, has as much to do as it takes.
	ErrBusy = errors.New("direct: too busy")
	// ErrReplaced says that a newer connection of the session took over.
	ErrReplaced = errors.New("direct: replaced by a newer connection")
	// ErrClosed says that this end closed the connection or the service.
	ErrClosed = errors.New("direct: closed")
	// ErrSize says that a message has none of the sizes of a ratchet message.
	ErrSize = errors.New("direct: not the size of a message")
)

// The reasons of BYE (SPEC.md, section 2).
const (
	byeLeaving  = 1
	byeUnknown  = 2
	byeBusy     = 3
	byeFault    = 4
	byeReplaced = 5
)

// byeError is what a peer's BYE means here.
func byeError(reason byte) error {
	switch reason {
	case byeLeaving:
		return ErrLeft
	case byeUnknown:
		return ErrProof
	case byeBusy:
		return ErrBusy
	case byeFault:
		return fmt.Errorf("%w: it found fault with what we sent", ErrLeft)
	case byeReplaced:
		return ErrReplaced
	}
	return fmt.Errorf("%w: reason %d", ErrLeft, reason)
}

// A Handler is the caller's side of a Service. Its methods are called from
// several goroutines, must be done soon after their context is, and must not
// wait for Connect or Close. For one Conn the order is Connected, then Acked and
// Refused one at a time, then Disconnected, once.
type Handler interface {
	// Sessions are those that a peer may prove.
	Sessions() []Session
	// Deliver keeps messages, in the order in which they came, and returns a
	// code for each when those that it accepts are durable. session is the
	// one that the peer proved; a message may belong to another one with the
	// same device. The handler may keep the slices. Calls for one session do
	// not overlap.
	Deliver(ctx context.Context, session SessionID, messages [][]byte) []Code
	// Flight opens a first flight and keeps its message. When that is durable
	// it returns Accepted, the message's hash and the new session's AUTH, and
	// does so again for a flight that it has seen.
	Flight(ctx context.Context, flight []byte) (auth [32]byte, hash Hash, code Code)
	// Notice returns the sealed bundle of an invitation, FlightSize bytes.
	// Any error means that there is none.
	Notice(ctx context.Context, id [32]byte) ([]byte, error)
	// Connected says that messages of a session can be sent.
	Connected(session SessionID, c *Conn)
	// Acked says that messages are durable at the other device.
	Acked(session SessionID, acks []Ack)
	// Refused says that messages are not, and why.
	Refused(session SessionID, naks []Nak)
	// Disconnected says that c is over. What was not acknowledged may or may
	// not have arrived.
	Disconnected(session SessionID, c *Conn, reason error)
}

// Config bounds a Service. Zero values mean the numbers of SPEC.md.
type Config struct {
	// IdlePing and BusyPing are the silence after which PING goes out, with
	// nothing and with something unanswered; PingTimeout is what may pass
	// until an answer.
	IdlePing, BusyPing, PingTimeout time.Duration
	// Window is the number of messages offered as unanswered, 1 to 512.
	Window int
	// WindowBytes is their length together, at least 65,496.
	WindowBytes int
	// MaxConns is the number of proven streams of others.
	MaxConns int
	// FlightBurst and FlightRate (a second) bound the flights of all
	// together. A group of addresses has half the burst and an eighth of
	// the rate.
	FlightBurst, FlightRate float64
	// AskBurst and AskRate (a second) bound the fetches and the hellos that
	// prove nothing of a group of addresses.
	AskBurst, AskRate float64
}

func (c Config) withDefaults() Config {
	c.IdlePing = or(c.IdlePing, 2*time.Minute)
	c.BusyPing = or(c.BusyPing, time.Second)
	c.PingTimeout = or(c.PingTimeout, 3*time.Second)
	c.Window = min(or(c.Window, 256), maxEntries)
	c.WindowBytes = max(or(c.WindowBytes, 2<<20), maxMessage)
	c.MaxConns = or(c.MaxConns, 512)
	c.FlightBurst, c.FlightRate = or(c.FlightBurst, 64), or(c.FlightRate, 16)
	c.AskBurst, c.AskRate = or(c.AskBurst, 64), or(c.AskRate, 8)
	return c
}

func or[T int | float64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

const (
	// stepTimeout bounds an accepter's wait for the first frame and each step
	// of a hello, and an opener's for the answer to a flight or fetch.
	stepTimeout = 10 * time.Second
	// helloTimeout bounds an opener's wait for a stream and each step of a
	// hello. It is below the 5 s after which a message goes by mailbox.
	helloTimeout = 4 * time.Second
	// idleTimeout is how long an accepter waits for a frame.
	idleTimeout = 5 * time.Minute
	// keepAlive is how long an opener writes nothing. It is longer than the
	// default IdlePing, so that it matters only while the reader is stuck.
	keepAlive = idleTimeout / 2
	// writeTimeout bounds a write to a peer that does not read.
	writeTimeout = 10 * time.Second
	// leaveTimeout bounds a good-bye.
	leaveTimeout = time.Second
)

// A Service is one end of the protocol on a node.
type Service struct {
	node    *node.Node
	handler Handler
	cfg     Config
	gate    *gate

	ctx    context.Context // of everything that runs here; ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	out     map[SessionID]*Conn
	in      map[SessionID]*inbound
	opening map[SessionID]chan struct{} // closed when the opening is over
}

// New serves the protocol on a node, until Close.
func New(n *node.Node, h Handler, cfg Config) *Service {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{
		node: n, handler: h, cfg: cfg, gate: newGate(cfg), ctx: ctx, cancel: cancel,
		out:     make(map[SessionID]*Conn),
		in:      make(map[SessionID]*inbound),
		opening: make(map[SessionID]chan struct{}),
	}
	n.Host().SetStreamHandler(Protocol, s.accept)
	return s
}

// Run waits for ctx to end and closes the service.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	s.Close()
	return nil
}

// Close says good-bye on every connection, ends them and waits for all calls of
// the Handler to return.
func (s *Service) Close() {
	s.node.Host().RemoveStreamHandler(Protocol)
	s.mu.Lock()
	s.closed = true
	for _, c := range s.out {
		c.Close()
	}
	for _, in := range s.in {
		in.end(byeLeaving)
	}
	s.mu.Unlock()
	s.cancel()
	s.tasks.Wait()
}

// begin registers a task that Close waits for; false means that it is too late.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.tasks.Add(1)
	}
	return !s.closed
}

// Conn is the live connection of a session, nil if there is none.
func (s *Service) Conn(id SessionID) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out[id]
}

// End ends the connections of a session, in both directions. The other side may
// begin new ones, and then sends again what was not acknowledged.
func (s *Service) End(id SessionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.out[id]; c != nil {
		c.Close()
	}
	if in := s.in[id]; in != nil {
		in.end(byeLeaving)
	}
}

// Connect reaches the device that has a session with us at the addresses given,
// proves the session, and makes a Conn, also given to Handler.Connected. If there
// is a live one to the same peer it is returned. An error wraps
// node.ErrNoAddress, ErrProof, ErrBusy or ErrClosed where these are the cause.
func (s *Service) Connect(ctx context.Context, p peer.AddrInfo, session Session) (*Conn, error) {
	if !s.begin() {
		return nil, ErrClosed
	}
	defer s.tasks.Done()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	// Dialling an address that is no more takes seconds. Meanwhile the device
	// may come by itself, and openBack must not wait for us.
	if err := s.node.Dial(ctx, p); err != nil {
		return nil, fmt.Errorf("direct: %w", err)
	}
	done, err := s.lock(ctx, session.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	if c := s.Conn(session.ID); c != nil && c.Peer() == p.ID && c.Err() == nil {
		return c, nil
	}
	return s.open(ctx, p.ID, session)
}

// bound makes a context that ends with the service too.
func (s *Service) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// lock makes sure that one goroutine at a time opens a connection of a session.
func (s *Service) lock(ctx context.Context, id SessionID) (unlock func(), err error) {
	for {
		s.mu.Lock()
		busy := s.opening[id]
		if busy == nil {
			mine := make(chan struct{})
			s.opening[id] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.opening, id)
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// openBack makes a Conn to a peer that proved a session, over the connection
// that it made, if there is none yet.
func (s *Service) openBack(p peer.ID, session Session) {
	defer s.tasks.Done()
	ctx, cancel := context.WithTimeout(s.ctx, 2*stepTimeout)
	defer cancel()
	done, err := s.lock(ctx, session.ID)
	if err != nil {
		return
	}
	defer done()
	if c := s.Conn(session.ID); c != nil && c.Peer() == p && c.Err() == nil {
		return
	}
	// If it fails the owner's outbox goes its other ways.
	_, _ = s.open(ctx, p, session)
}

// open proves a session over an existing connection. The session is locked.
func (s *Service) open(ctx context.Context, p peer.ID, session Session) (*Conn, error) {
	st, err := s.stream(ctx, p)
	if err != nil {
		return nil, err
	}
	r := frame.NewReader(st, maxFirst, 0)
	w := frame.NewWriter(st, maxFrame, writeTimeout)
	win, err := s.hello(ctx, st, r, w, p, session)
	if err != nil {
		_ = st.Reset()
		r.Close()
		w.Close()
		distrust(ctx, st.Conn(), err)
		return nil, err
	}
	c := newConn(s, st, r, w, session, win)
	if old := s.Conn(session.ID); old != nil {
		old.fail(ErrReplaced)
		<-old.ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = st.Reset()
		r.Close()
		w.Close()
		return nil, ErrClosed
	}
	s.out[session.ID] = c
	s.tasks.Add(1)
	go c.run()
	return c, nil
}

// stream opens a stream over an existing connection.
func (s *Service) stream(ctx context.Context, p peer.ID) (network.Stream, error) {
	soon, cancel := context.WithTimeout(network.WithNoDial(ctx, "godwit"), helloTimeout)
	defer cancel()
	st, err := s.node.Host().NewStream(soon, p, Protocol)
	if err != nil {
		for _, c := range s.node.Host().Network().ConnsToPeer(p) {
			distrust(ctx, c, err)
		}
		return nil, fmt.Errorf("direct: open stream: %w", err)
	}
	return st, nil
}

// distrust closes a connection on which an answer did not come in time: its other
// end may be gone without a word, and the next attempt is to make a new one.
// That the caller had no more time says nothing.
func distrust(ctx context.Context, c network.Conn, err error) {
	if timedOut(err) && ctx.Err() == nil {
		_ = c.Close()
	}
}

// hello is the opener's part of SPEC.md, section 4.
func (s *Service) hello(ctx context.Context, st network.Stream, r *frame.Reader, w *frame.Writer, p peer.ID, session Session) (win window, err error) {
	defer stopWith(ctx, st)()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			err = fmt.Errorf("direct: hello: %w", err)
		}
	}()
	r.SetTimeout(helloTimeout)
	defer r.SetTimeout(0)

	var nonce [32]byte
	rand.Read(nonce[:])
	if err := send(w, typeHello, nonce[:]); err != nil {
		return win, err
	}
	body, err := next(r, typeChallenge)
	if err != nil {
		return win, err
	}
	theirs, err := parse32(body)
	if err != nil {
		return win, err
	}
	me := s.node.Host().ID()
	mac := helloMAC(session.Auth, fromOpener, me, p, theirs)
	if err := send(w, typeProof, mac[:]); err != nil {
		return win, err
	}
	if body, err = next(r, typeWelcome); err != nil {
		return win, err
	}
	wel, err := parseWelcome(body)
	if err != nil {
		return win, err
	}
	if mac := helloMAC(session.Auth, fromAccepter, me, p, nonce); !hmac.Equal(wel.mac[:], mac[:]) {
		return win, ErrProof
	}
	return wel.window, nil
}

// stopWith resets a stream when ctx ends, until the function it returns is called.
func stopWith(ctx context.Context, st network.Stream) func() {
	stop := context.AfterFunc(ctx, func() { _ = st.Reset() })
	return func() { stop() }
}

// next reads a frame that must be of one type.
func next(r *frame.Reader, want byte) ([]byte, error) {
	f, err := r.Next()
	if err != nil {
		return nil, err
	}
	return expect(f, want)
}

// send writes one frame at once.
func send(w *frame.Writer, kind byte, body []byte) error {
	if err := w.Append([]byte{version, kind}, body); err != nil {
		return err
	}
	return w.Flush()
}

// SendFlight brings a first flight, FlightSize bytes, to a device, and returns
// its acknowledgement of the ratchet message of the given hash in it, checked
// against the new session's AUTH. An error wraps the device's Code, or what
// Connect's may.
func (s *Service) SendFlight(ctx context.Context, p peer.AddrInfo, flight []byte, hash Hash, auth [32]byte) (Ack, error) {
	if len(flight) != FlightSize {
		return Ack{}, fmt.Errorf("%w: a flight of %d bytes", ErrSize, len(flight))
	}
	kind, body, err := s.ask(ctx, p, typeFlight, flight)
	if err != nil {
		return Ack{}, fmt.Errorf("direct: send flight: %w", err)
	}
	switch kind {
	case typeAck:
		acks, err := parseAck(body)
		if err != nil {
			return Ack{}, err
		}
		mac := ackMAC(auth, hash)
		if len(acks) != 1 || acks[0].Hash != hash || !hmac.Equal(acks[0].MAC[:], mac[:]) {
			return Ack{}, ErrForged
		}
		return acks[0], nil
	case typeNak:
		return Ack{}, nakError(body, HashOf(flight))
	}
	return Ack{}, fmt.Errorf("%w: type %d answers a flight", ErrMalformed, kind)
}

// FetchNotice asks a device for the notice of an invitation and returns its
// FlightSize bytes. An error wraps the device's Code, or what Connect's may.
func (s *Service) FetchNotice(ctx context.Context, p peer.AddrInfo, id [32]byte) ([]byte, error) {
	kind, body, err := s.ask(ctx, p, typeFetch, id[:])
	if err != nil {
		return nil, fmt.Errorf("direct: fetch notice: %w", err)
	}
	switch kind {
	case typeNotice:
		if len(body) != FlightSize {
			return nil, fmt.Errorf("%w: NOTICE of %d bytes", ErrMalformed, len(body))
		}
		return body, nil
	case typeNak:
		return nil, nakError(body, Hash(id))
	}
	return nil, fmt.Errorf("%w: type %d answers a fetch", ErrMalformed, kind)
}

func nakError(body []byte, hash Hash) error {
	naks, err := parseNak(body)
	if err != nil {
		return err
	}
	if len(naks) != 1 || naks[0].Hash != hash {
		return fmt.Errorf("%w: NAK of something else", ErrMalformed)
	}
	return naks[0].Code
}

// ask sends one frame on a stream of its own and returns a copy of the answer.
func (s *Service) ask(ctx context.Context, p peer.AddrInfo, kind byte, body []byte) (byte, []byte, error) {
	if !s.begin() {
		return 0, nil, ErrClosed
	}
	defer s.tasks.Done()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if err := s.node.Dial(ctx, p); err != nil {
		return 0, nil, err
	}
	st, err := s.stream(ctx, p.ID)
	if err != nil {
		return 0, nil, err
	}
	defer st.Reset()
	defer stopWith(ctx, st)()
	w := frame.NewWriter(st, maxFirst, writeTimeout)
	defer w.Close()
	if err := send(w, kind, body); err != nil {
		return 0, nil, err
	}
	_ = st.CloseWrite()
	r := frame.NewReader(st, maxFirst, stepTimeout)
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		distrust(ctx, st.Conn(), err)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return 0, nil, err
	}
	answer, body, err := split(f)
	if err != nil {
		return 0, nil, err
	}
	if answer == typeBye {
		if reason, err := parseBye(body); err == nil {
			return 0, nil, byeError(reason)
		}
	}
	return answer, append([]byte(nil), body...), nil
}
