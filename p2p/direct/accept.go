package direct

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	pingBurst, pingRate = 16, 2 // a second
)

// errTurn says that a frame came out of turn.
var errTurn = fmt.Errorf("%w: out of turn", ErrMalformed)

// accept serves a stream that a peer opened. libp2p runs it in its own goroutine.
func (s *Service) accept(st network.Stream) {
	if !s.begin() {
		_ = st.Reset()
		return
	}
	defer s.tasks.Done()
	group := node.GroupOf(st.Conn().RemoteMultiaddr())
	leave, ok := s.gate.enter(group)
	if !ok {
		_ = st.Reset()
		return
	}
	defer leave()
	// Ends with the service, whatever the stream waits for.
	stop := context.AfterFunc(s.ctx, func() { _ = st.Reset() })
	defer stop()

	r := frame.NewReader(st, maxFirst, stepTimeout)
	defer r.Close()
	w := frame.NewWriter(st, maxFrame, writeTimeout)
	defer w.Close()
	err := s.first(st, r, w, group, leave, stop)
	if errors.Is(err, ErrMalformed) || errors.Is(err, frame.ErrSize) {
		_ = send(w, typeBye, []byte{byeFault})
	}
	_ = st.Close() // which, unlike Reset, lets a good-bye through
}

// first reads what a stream is for and serves it.
func (s *Service) first(st network.Stream, r *frame.Reader, w *frame.Writer, group netip.Prefix, leave func(), stop func() bool) error {
	f, err := r.Next()
	if err != nil {
		return err
	}
	kind, body, err := split(f)
	if err != nil {
		return err
	}
	switch kind {
	case typeHello:
		nonce, err := parse32(body)
		if err != nil {
			return err
		}
		if !s.gate.ask(group) {
			return send(w, typeBye, []byte{byeBusy})
		}
		session, err := s.welcome(st, r, w, nonce)
		if err != nil {
			return err
		}
		leave()
		s.gate.proved(group)
		in := newInbound(s, st, r, w, session)
		if !s.enlist(in) {
			return send(w, typeBye, []byte{byeBusy})
		}
		stop()
		return in.run()
	case typeFlight:
		return s.serveFlight(w, body, group)
	case typeFetch:
		return s.serveFetch(w, body, group)
	}
	return errTurn
}

// welcome is the accepter's part of SPEC.md, section 4, up to the proof.
func (s *Service) welcome(st network.Stream, r *frame.Reader, w *frame.Writer, theirs [32]byte) (Session, error) {
	var nonce [32]byte
	rand.Read(nonce[:])
	if err := send(w, typeChallenge, nonce[:]); err != nil {
		return Session{}, err
	}
	body, err := next(r, typeProof)
	if err != nil {
		return Session{}, err
	}
	proof, err := parse32(body)
	if err != nil {
		return Session{}, err
	}
	me, p := s.node.Host().ID(), st.Conn().RemotePeer()
	var found *Session
	for _, session := range s.handler.Sessions() {
		mac := helloMAC(session.Auth, fromOpener, p, me, nonce)
		if hmac.Equal(proof[:], mac[:]) {
			found = &session
		}
	}
	if found == nil {
		_ = send(w, typeBye, []byte{byeUnknown})
		return Session{}, ErrProof
	}
	wel := welcome{
		mac:    helloMAC(found.Auth, fromAccepter, p, me, theirs),
		window: window{messages: uint16(s.cfg.Window), bytes: uint32(s.cfg.WindowBytes)},
	}
	if err := w.Append(wel.marshal()); err != nil {
		return Session{}, err
	}
	return *found, w.Flush()
}

// serveFlight answers a first flight. What it may cost is paid before it is
// looked at (SPEC.md, section 3).
func (s *Service) serveFlight(w *frame.Writer, flight []byte, group netip.Prefix) error {
	if len(flight) != FlightSize {
		return fmt.Errorf("%w: FLIGHT of %d bytes", ErrMalformed, len(flight))
	}
	nak := func(c Code) error {
		return appendFlush(w, marshalNak([]Nak{{HashOf(flight), c}}))
	}
	if !s.gate.flight(group) {
		return nak(Busy)
	}
	auth, hash, code := s.handler.Flight(s.ctx, append([]byte(nil), flight...))
	if code != Accepted {
		return nak(code)
	}
	return appendFlush(w, marshalAck([]Ack{{hash, ackMAC(auth, hash)}}))
}

// serveFetch answers a request for a notice.
func (s *Service) serveFetch(w *frame.Writer, body []byte, group netip.Prefix) error {
	id, err := parse32(body)
	if err != nil {
		return err
	}
	if !s.gate.ask(group) {
		return appendFlush(w, marshalNak([]Nak{{id, Busy}}))
	}
	notice, err := s.handler.Notice(s.ctx, id)
	if err != nil {
		return appendFlush(w, marshalNak([]Nak{{id, Unknown}}))
	}
	if len(notice) != FlightSize {
		panic(fmt.Sprintf("direct: Handler.Notice returned %d bytes", len(notice)))
	}
	return send(w, typeNotice, notice)
}

func appendFlush(w *frame.Writer, f []byte) error {
	if err := w.Append(f); err != nil {
		return err
	}
	return w.Flush()
}

// An inbound is a proven stream of a peer's. One goroutine reads it, so that
// PING is answered at once; another brings what came to the handler and answers.
type inbound struct {
	svc     *Service
	stream  network.Stream
	session Session
	peer    peer.ID
	r       *frame.Reader
	before  *inbound // the stream that this one replaces

	ctx    context.Context // of Deliver; ends when the stream is not to be answered
	cancel context.CancelFunc
	wake   chan struct{} // holds one: something came
	read   chan struct{} // closed when nothing more will come
	done   chan struct{} // closed when all is over

	mu    sync.Mutex
	queue []arrival
	count int         // messages not answered
	bytes int         // of them
	why   byte        // reason of BYE, once it is to end
	late  *time.Timer // ends it the hard way then

	wmu sync.Mutex // of w: both goroutines write
	w   *frame.Writer
}

// An arrival is a message and what will be answered if it is kept.
type arrival struct {
	message []byte
	ack     Ack
}

func newInbound(s *Service, st network.Stream, r *frame.Reader, w *frame.Writer, session Session) *inbound {
	ctx, cancel := context.WithCancel(s.ctx)
	return &inbound{
		svc: s, stream: st, session: session, peer: st.Conn().RemotePeer(), r: r, w: w,
		ctx: ctx, cancel: cancel,
		wake: make(chan struct{}, 1), read: make(chan struct{}), done: make(chan struct{}),
	}
}

// enlist makes in the session's inbound stream and ends the one before. False
// means that there are too many, or that the service closes.
func (s *Service) enlist(in *inbound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.in[in.session.ID]
	if s.closed || old == nil && len(s.in) >= s.cfg.MaxConns {
		in.cancel()
		return false
	}
	s.in[in.session.ID] = in
	if old != nil {
		in.before = old
		old.end(byeReplaced)
	}
	s.tasks.Add(1)
	go s.openBack(in.peer, in.session)
	return true
}

// end makes the stream end with a reason of BYE. It does not wait.
func (in *inbound) end(reason byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.why != 0 {
		return
	}
	in.why = reason
	in.cancel()
	_ = in.stream.CloseRead() // wakes the reader
	in.late = time.AfterFunc(leaveTimeout, func() { _ = in.stream.Reset() })
}

func (in *inbound) run() error {
	tag := fmt.Sprintf("direct/in/%x", in.session.ID[:8])
	protect := in.svc.node.Host().ConnManager()
	protect.Protect(in.peer, tag)
	var deliver sync.WaitGroup
	deliver.Go(in.deliver)

	err := in.receive()
	close(in.read)
	deliver.Wait() // what came is kept even if nobody waits for the answer
	in.cancel()
	in.mu.Lock()
	reason, late := in.why, in.late
	in.mu.Unlock()
	if reason != 0 {
		err = send(in.w, typeBye, []byte{reason})
		late.Stop()
	}

	protect.Unprotect(in.peer, tag)
	in.svc.mu.Lock()
	if in.svc.in[in.session.ID] == in {
		delete(in.svc.in, in.session.ID)
	}
	in.svc.mu.Unlock()
	close(in.done)
	return err
}

// receive reads until the stream is over, and says why. It never waits for a
// disk: what may be unanswered is bounded by the window, and fits the queue.
func (in *inbound) receive() error {
	in.r.SetMax(maxFrame)
	in.r.SetTimeout(idleTimeout)
	var pings rate.Bucket
	for {
		f, err := in.r.Next()
		if err != nil {
			return err
		}
		kind, body, err := split(f)
		if err != nil {
			return err
		}
		switch kind {
		case typeMessage:
			if err := in.arrived(body); err != nil {
				return err
			}
		case typePing:
			n, err := parsePing(body)
			if err != nil {
				return err
			}
			if !pings.Take(rate.Limit{Burst: pingBurst, PerSecond: pingRate}, time.Now()) {
				return fmt.Errorf("%w: too many PINGs", ErrMalformed)
			}
			in.answer(marshalPing(typePong, n))
		case typeBye:
			reason, err := parseBye(body)
			if err != nil {
				return err
			}
			return byeError(reason)
		default:
			return errTurn
		}
	}
}

func (in *inbound) arrived(body []byte) error {
	if !messageSize(len(body)) {
		return fmt.Errorf("%w: MSG of %d bytes", ErrMalformed, len(body))
	}
	a := arrival{message: append([]byte(nil), body...)}
	a.ack.Hash = HashOf(a.message)
	a.ack.MAC = ackMAC(in.session.Auth, a.ack.Hash)

	in.mu.Lock()
	defer in.mu.Unlock()
	in.count++
	in.bytes += len(body)
	if in.count > in.svc.cfg.Window || in.bytes > in.svc.cfg.WindowBytes {
		return fmt.Errorf("%w: beyond the window", ErrMalformed)
	}
	in.queue = append(in.queue, a)
	select {
	case in.wake <- struct{}{}:
	default:
	}
	return nil
}

// answer writes frames at once. If that fails the stream ends.
func (in *inbound) answer(frames ...[]byte) {
	in.wmu.Lock()
	defer in.wmu.Unlock()
	for _, f := range frames {
		_ = in.w.Append(f)
	}
	if err := in.w.Flush(); err != nil { // and that of Append before
		_ = in.stream.Reset()
	}
}

// deliver brings what came to the handler, all at once, and answers.
func (in *inbound) deliver() {
	if in.before != nil {
		<-in.before.done
		in.before = nil
	}
	for last := false; !last; {
		select {
		case <-in.wake:
		case <-in.read:
			last = true
		}
		for in.ctx.Err() == nil {
			batch := in.take()
			if len(batch) == 0 {
				break
			}
			messages := make([][]byte, len(batch))
			for i, a := range batch {
				messages[i] = a.message
			}
			codes := in.svc.handler.Deliver(in.ctx, in.session.ID, messages)
			if len(codes) != len(batch) {
				panic(fmt.Sprintf("direct: Handler.Deliver gave %d codes for %d messages", len(codes), len(batch)))
			}
			in.answered(batch, codes)
		}
	}
}

func (in *inbound) take() []arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	batch := in.queue
	in.queue = nil
	return batch
}

// answered makes room and sends the answers, in this order: the opener may use
// the room as soon as it has them.
func (in *inbound) answered(batch []arrival, codes []Code) {
	var acks []Ack
	var naks []Nak
	bytes := 0
	for i, a := range batch {
		bytes += len(a.message)
		if codes[i] == Accepted {
			acks = append(acks, a.ack)
		} else {
			naks = append(naks, Nak{a.ack.Hash, codes[i]})
		}
	}
	in.mu.Lock()
	in.count -= len(batch)
	in.bytes -= bytes
	in.mu.Unlock()
	var frames [][]byte
	if len(acks) > 0 {
		frames = append(frames, marshalAck(acks))
	}
	if len(naks) > 0 {
		frames = append(frames, marshalNak(naks))
	}
	in.answer(frames...)
}
