package mailbox

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/semaphore"
)

// Bounds of section 3.
const (
	firstTimeout = 30 * time.Second // from the opening of a stream to its first request
	nextTimeout  = 5 * time.Minute  // from one request to the next

	window         = 1 << 20  // bytes of requests without answer, per stream
	waitingBytes   = 32 << 20 // bytes of requests that wait for the disk
	heldBytes      = 64 << 20 // bytes of answers that wait for who asked, from which on each stream has one
	rememberProofs = 256      // queues proven per stream
	badProofs      = 16       // wrong signatures until a stream is closed
	watchersPerBox = 8

	defaultStreams     = 4096
	defaultPeerStreams = 16

	// drainTime is how long a server that ends waits until what it took in is answered, and
	// drainLinger how long a stream waits until its peer has read that.
	drainTime, drainLinger = 5 * time.Second, time.Second

	// slowEvery is how often it is looked whether requests of those who ask too much go on.
	slowEvery = 100 * time.Millisecond

	// sweepEvery is how often what has expired is removed.
	sweepEvery = 30 * time.Second
)

// A Signer signs for the relay's PeerID; a libp2p crypto.PrivKey is one.
type Signer interface {
	Sign(text []byte) ([]byte, error)
}

// ServerConfig says on what terms a Server serves. The zero values stand for
// what the comments say.
type ServerConfig struct {
	Quotas Quotas      // what the Store enforces, to be told; DefaultQuotas
	Leases []LeaseKind // accepted; none
	// LeaseTime is how long a lease lasts, TokenLeaseTime one that a token pays for, in whole seconds; LeaseTime of this package,
	// and as for the others.
	LeaseTime, TokenLeaseTime time.Duration
	Tokens                    [][]byte // for LeaseToken, 16 to 64 bytes each
	Friends                   [][]byte // the same, each for one box alone: its FriendBox
	Former                    [][]byte // were friends' tokens before, and are not any more: the leases of their boxes end at once
	Difficulty                uint8    // of LeaseWork, in bits
	IntroWork                 uint8    // the least for a deposit into an intro queue, in bits, up to MaxIntroWork; DefaultIntroWork
	Streams                   int      // at once; 4096
	PeerStreams               int      // at once per peer; 16
	// MaxTTL is the longest that anything is kept, in whole seconds; MaxTTL of this package,
	// which is also the most.
	MaxTTL time.Duration
	// Closed says that nothing new is taken, on streams that are there neither: no deposits,
	// notices or queues. What is kept is given out as before.
	Closed bool
	// Routes are the circuit addresses under which the relay can be reached now,
	// of which MaxRoutes are told; nil: none.
	Routes func() []ma.Multiaddr
	// GroupBoxes is how many boxes one group of addresses may open in a day that no token paid
	// for; 0: any number.
	GroupBoxes int
	// GroupBytes is how many bytes of cells and notices one group of addresses may leave in a day while, by Room, room
	// is scarce, and less when hardly any is left; 0: any number. Room nil: it never is.
	GroupBytes uint64
	Room       func() (taken, all uint64) // bytes
	// Daily is how many bytes of cells and notices may come and go in a day, of and to all. Those that come have half
	// of it, so that they can be fetched. It comes back evenly over the day. 0: any number.
	Daily uint64
	// Bounds are those of connections, to be told; what is 0 is not bounded.
	Bounds node.Bounds
	Log    *slog.Logger
}

// Stats counts what a Server did since it was made.
type Stats struct {
	Streams    int    // open now
	Deposits   uint64 // accepted, repeated ones included
	Fetches    uint64 // cells and notices given out
	Deletions  uint64 // cells acknowledged
	Refusals   uint64
	Refused    map[string]uint64 // these by why: the names of section 2.1
	Groups     uint64            // commits
	Committing time.Duration     // what these took together
	Taken      uint64            // bytes of cells and notices that came, refused ones included
	Given      uint64            // bytes of those that were given out
	Day        uint64            // bytes of ServerConfig.Daily that are used now
}

// A Server is a relay's side of the protocol, on top of a Store that it does
// not own.
type Server struct {
	host  host.Host
	key   Signer
	store Store
	cfg   atomic.Pointer[ServerConfig] // as they are now, complete
	log   *slog.Logger
	relay peer.ID

	queue   chan *batch
	gather  time.Duration // how long more is waited for, at most
	waiting *semaphore.Weighted
	waits   waits
	intros  *introGate
	boxes   rate.Groups // that were opened
	left    rate.Groups // bytes of cells and notices
	carried carried

	mu       sync.Mutex
	draining chan struct{} // not nil: no streams begin, and it is closed when none is left
	closing  bool
	sessions map[*session]struct{}
	ousted   int // of these: they made room, and are about to end
	peers    map[peer.ID]int
	watchers map[BoxPublic][]*session
	ends     sync.WaitGroup
	changed  chan struct{} // capacity 1: the terms are others

	deposits, fetches, deletions, refusals, groups, taken, given atomic.Uint64
	committing                                                   atomic.Int64 // nanoseconds
	held                                                         atomic.Int64 // bytes of answers
	refused                                                      [maxCode + 1]atomic.Uint64
}

// NewServer makes a server for a host whose key is given. Streams are taken in
// from now on and served by Run, which must follow. The error is ErrRelay if the host's
// PeerID cannot be a relay's.
func NewServer(h host.Host, key Signer, store Store, cfg ServerConfig) (*Server, error) {
	if _, err := relayKey(h.ID()); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		host: h, key: key, store: store, log: cfg.Log, relay: h.ID(),
		queue:    make(chan *batch, 64),
		gather:   gather,
		waiting:  semaphore.NewWeighted(waitingBytes),
		intros:   newIntroGate(cfg.IntroWork),
		sessions: make(map[*session]struct{}),
		peers:    make(map[peer.ID]int),
		watchers: make(map[BoxPublic][]*session),
		changed:  make(chan struct{}, 1),
	}
	s.boxes.SetLimit(daily(uint64(cfg.GroupBoxes)))
	s.left.SetLimit(daily(cfg.GroupBytes))
	s.cfg.Store(&cfg)
	if shared, ok := store.(SharedStore); ok {
		s.gather = gatherShared
		shared.Others(func(box BoxPublic) { s.tell(map[BoxPublic]struct{}{box: {}}) })
	}
	h.SetStreamHandler(Protocol, s.serve)
	return s, nil
}

// complete puts what is not said in its place. Its error tells what cannot be.
func (cfg ServerConfig) complete() (ServerConfig, error) {
	if cfg.Quotas == (Quotas{}) {
		cfg.Quotas = DefaultQuotas()
	}
	if cfg.Streams == 0 {
		cfg.Streams = defaultStreams
	}
	if cfg.PeerStreams == 0 {
		cfg.PeerStreams = defaultPeerStreams
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = MaxTTL
	}
	if cfg.MaxTTL < time.Second || cfg.MaxTTL > MaxTTL {
		return cfg, fmt.Errorf("mailbox: to keep things for %v, not for up to %v", cfg.MaxTTL, MaxTTL)
	}
	cfg.LeaseTime = cmp.Or(cfg.LeaseTime, LeaseTime)
	cfg.TokenLeaseTime = cmp.Or(cfg.TokenLeaseTime, cfg.LeaseTime)
	if min(cfg.LeaseTime, cfg.TokenLeaseTime) < time.Hour || max(cfg.LeaseTime, cfg.TokenLeaseTime) > MaxLease {
		return cfg, fmt.Errorf("mailbox: leases for %v and %v, not for an hour up to %v", cfg.LeaseTime, cfg.TokenLeaseTime, MaxLease)
	}
	if cfg.IntroWork == 0 {
		cfg.IntroWork = DefaultIntroWork
	}
	if cfg.IntroWork > MaxIntroWork {
		return cfg, fmt.Errorf("mailbox: %d bits of work for strangers, more than %d", cfg.IntroWork, MaxIntroWork)
	}
	for _, t := range slices.Concat(cfg.Tokens, cfg.Friends, cfg.Former) {
		if len(t) < minToken || len(t) > maxToken {
			return cfg, fmt.Errorf("mailbox: a token of %d bytes, not %d to %d", len(t), minToken, maxToken)
		}
	}
	return cfg, nil
}

// daily is so many a day as a rate.
func daily(n uint64) rate.Limit {
	return rate.Limit{Burst: float64(n), PerSecond: float64(n) / (24 * time.Hour).Seconds()}
}

// SetTerms changes the terms for streams that begin from now on; Routes, Room and Log stay as
// they were, and so does what was told on streams that are there, but for tokens: who has one no more is not
// given a lease for it, and what a friend had ends, as that of Former ones does. What the Store
// enforces is its owner's to change. On an error nothing is changed.
func (s *Server) SetTerms(cfg ServerConfig) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	was := s.cfg.Load()
	cfg.Routes, cfg.Room, cfg.Log = was.Routes, was.Room, s.log
	s.intros.setLeast(cfg.IntroWork)
	s.boxes.SetLimit(daily(uint64(cfg.GroupBoxes)))
	s.left.SetLimit(daily(cfg.GroupBytes))
	cfg.Former = slices.DeleteFunc(slices.Concat(cfg.Former, was.Former, was.Friends), func(t []byte) bool { return among(cfg.Friends, t) })
	slices.SortFunc(cfg.Former, slices.Compare)
	cfg.Former = slices.CompactFunc(cfg.Former, slices.Equal)
	s.cfg.Store(&cfg)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// among says whether a token is one of a list, in a time that tells nothing of it.
func among(list [][]byte, token []byte) bool {
	found := 0
	for _, t := range list {
		found |= subtle.ConstantTimeCompare(t, token)
	}
	return found == 1
}

// takes says whether a token pays for a box.
func (cfg *ServerConfig) takes(relay peer.ID, box BoxPublic, token []byte) bool {
	return among(cfg.Tokens, token) || among(cfg.Friends, token) && FriendBox(relay, token).Public() == box
}

// endLeases ends the leases of those who are friends no more, whenever the terms change, until the context ends. Who
// watches such a box is sent away: they learn of it when they log in.
func (s *Server) endLeases(ctx context.Context) {
	for {
		for _, t := range s.cfg.Load().Former {
			box := FriendBox(s.relay, t).Public()
			if info, err := s.store.Box(box); err != nil || !info.Until.After(time.Now()) {
				continue // what is wrong with the Store ends the server
			}
			s.do(&EndLease{Box: box})
			s.mu.Lock()
			for _, c := range s.watchers[box] {
				c.stopReading()
			}
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
	}
}

// Run serves until the context ends. Then no streams begin any more, no requests are read, and what
// was read is answered; those who take longer than drainTime are cut off. It returns nil then, and the Store's error
// if that is of no more use. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		s.commit(func(err error) { cancel(err) })
	}()
	var own sync.WaitGroup // what changes the Store by itself
	own.Go(func() { s.sweep(ctx) })
	own.Go(func() { s.endLeases(ctx) })
	<-ctx.Done()
	s.drain()
	s.host.RemoveStreamHandler(Protocol)

	s.mu.Lock()
	s.closing = true
	for c := range s.sessions {
		c.kill()
	}
	s.mu.Unlock()
	s.ends.Wait()
	own.Wait()
	close(s.queue) // nobody is left to send
	<-committed
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// drain ends all streams as soon as what they asked for is answered, or drainTime later.
func (s *Server) drain() {
	s.mu.Lock()
	s.draining = make(chan struct{})
	drained := s.draining
	if len(s.sessions) == 0 {
		close(drained)
	}
	s.mu.Unlock()
	late := time.NewTimer(drainTime)
	defer late.Stop()
	again := time.NewTicker(drainTime / 50)
	defer again.Stop()
	for {
		s.mu.Lock()
		for c := range s.sessions {
			c.stopReading() // again, for who was about to read just then
		}
		s.mu.Unlock()
		select {
		case <-drained:
			return
		case <-late.C:
			return
		case <-again.C:
		}
	}
}

// Stats tells what the server did.
func (s *Server) Stats() Stats {
	refused := make(map[string]uint64)
	for code, name := range codeNames() {
		if name != "" {
			refused[name] = s.refused[code].Load()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Refused: refused,
		Streams: len(s.sessions) - s.ousted, Deposits: s.deposits.Load(), Fetches: s.fetches.Load(),
		Deletions: s.deletions.Load(), Refusals: s.refusals.Load(), Groups: s.groups.Load(), Committing: time.Duration(s.committing.Load()),
		Taken: s.taken.Load(), Given: s.given.Load(), Day: s.carried.day(s.cfg.Load().Daily, time.Now()),
	}
}

// serve is a stream's handler.
func (s *Server) serve(stream network.Stream) {
	c := newSession(s, stream)
	who := stream.Conn().RemotePeer()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		stream.Reset()
		return
	}
	s.ends.Add(1)
	defer s.ends.Done()
	var full error
	switch {
	case s.draining != nil:
		full = ErrTryLater
	case s.peers[who] >= c.cfg.PeerStreams:
		full = ErrTooMany
	case len(s.sessions)-s.ousted >= c.cfg.Streams && !s.makeRoom(c.group):
		full = ErrTryLater
	default:
		s.sessions[c] = struct{}{}
		s.peers[who]++
	}
	s.mu.Unlock()
	if full != nil {
		c.turnAway(full)
		return
	}
	c.run()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
	if c.ousted {
		s.ousted--
	}
	if s.draining != nil && len(s.sessions) == 0 {
		close(s.draining)
	}
	if s.peers[who]--; s.peers[who] == 0 {
		delete(s.peers, who)
	}
	if c.box != nil {
		s.unwatch(*c.box, c)
	}
}

// makeRoom ends a stream of the group of addresses that has most, if that is more than another has with
// one more, and there one of the peer with most. The lock is held.
func (s *Server) makeRoom(group netip.Prefix) bool {
	groups := make(map[netip.Prefix]int)
	for c := range s.sessions {
		if !c.ousted {
			groups[c.group]++
		}
	}
	most := group
	for g, n := range groups {
		if n > groups[most] {
			most = g
		}
	}
	if groups[most] <= groups[group]+1 {
		return false
	}
	streams := func(c *session) int { return s.peers[c.stream.Conn().RemotePeer()] }
	var found *session
	for c := range s.sessions {
		if c.group == most && !c.ousted && (found == nil || streams(c) > streams(found)) {
			found = c
		}
	}
	found.ousted = true
	s.ousted++
	found.kill()
	return true
}

// watch makes a session hear of a box. The error is ErrTooMany.
func (s *Server) watch(box BoxPublic, c *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watchers[box]) >= watchersPerBox {
		return ErrTooMany
	}
	s.watchers[box] = append(s.watchers[box], c)
	return nil
}

func (s *Server) unwatch(box BoxPublic, c *session) {
	left := slices.DeleteFunc(s.watchers[box], func(w *session) bool { return w == c })
	if len(left) == 0 {
		delete(s.watchers, box)
		return
	}
	s.watchers[box] = left
}

// tell wakes those who watch boxes in which something is new.
func (s *Server) tell(boxes map[BoxPublic]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for box := range boxes {
		for _, c := range s.watchers[box] {
			c.tell()
		}
	}
}

func (s *Server) routes() (list []ma.Multiaddr) {
	routes := s.cfg.Load().Routes
	if routes == nil {
		return nil
	}
	for _, a := range routes() {
		if isCircuit(a) && len(list) < MaxRoutes {
			list = append(list, a)
		}
	}
	return list
}

// Limits are what the server tells in HELLO.
func (s *Server) Limits() Limits { return s.cfg.Load().limits() }

func (cfg *ServerConfig) limits() Limits {
	room := cfg.Quotas.Of(len(cfg.Leases) == 1 && cfg.Leases[0] == LeaseToken)
	return Limits{
		Difficulty: cfg.Difficulty, Leases: cfg.Leases, Proofs: rememberProofs, Window: window, MaxTTL: cmp.Or(cfg.MaxTTL, MaxTTL),
		QueueCells: room.QueueCells, QueueBytes: room.QueueBytes, BoxBytes: room.BoxBytes, BoxQueues: room.BoxQueues, Newer: true,
	}
}

// Allowance is what the server tells to who asks.
func (s *Server) Allowance() Allowance { return s.cfg.Load().allowance() }

func (cfg *ServerConfig) allowance() Allowance {
	a := Allowance{
		Lease: cfg.LeaseTime, GroupBoxes: uint64(cfg.GroupBoxes), GroupBytes: cfg.GroupBytes, Daily: cfg.Daily, Connections: uint64(cfg.Bounds.Connections),
		GroupConnections: uint64(cfg.Bounds.Group), GroupRate: uint64(math.Ceil(cfg.Bounds.Rate)),
	}
	if slices.Contains(cfg.Leases, LeaseToken) {
		a.TokenLease, a.Token = cfg.TokenLeaseTime, cfg.Quotas.Of(true)
	}
	return a
}

// sweep removes what has expired, while the clock can be trusted.
func (s *Server) sweep(ctx context.Context) {
	began := time.Now()
	clock := newClock(began, s.store.Latest())
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			trusted, jumped := clock.look(now, now.Sub(began))
			if jumped != 0 {
				s.log.Warn("the clock jumped, so nothing is deleted by expiry for an hour", "by", jumped)
			}
			if !trusted {
				continue
			}
			for more := true; more; {
				e := &Expire{At: now}
				s.do(e)
				more = e.More && e.Err == nil && ctx.Err() == nil
			}
		}
	}
}

// clock tells whether the wall clock can be trusted with deletions, by the
// steady one: the time since the server started.
type clock struct {
	wall   time.Time // at the last look, without its monotonic reading
	steady time.Duration
	from   time.Duration // when, by the steady clock, the other may be trusted
}

const (
	clockJump = time.Hour
	clockWait = time.Hour
)

// newClock starts with the latest time known from before.
func newClock(wall, latest time.Time) *clock {
	c := &clock{wall: wall.Round(0)}
	if wall.Before(latest.Add(-clockJump)) {
		c.from = clockWait
	}
	return c
}

// look compares the two clocks with what they were at the last look.
func (c *clock) look(wall time.Time, steady time.Duration) (trusted bool, jumped time.Duration) {
	wall = wall.Round(0)
	if d := wall.Sub(c.wall) - (steady - c.steady); d.Abs() > clockJump {
		jumped = d
		c.from = steady + clockWait
	}
	c.wall, c.steady = wall, steady
	return steady >= c.from, jumped
}
