package circuit

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/p2p/node"
)

const (
	// lookFirst and lookLast bound the pauses between two looks for more hops
	// while there are fewer than node.MaxHops.
	lookFirst, lookLast = time.Second, 10 * time.Minute
	// reserveTimeout bounds one reservation, the dial included.
	reserveTimeout = 10 * time.Second
	// shunLost and shunRefused are how long a relay is left alone that could not be
	// reached or went, or that refused. One that went within heldWell is left alone for twice
	// as long each time, up to shunRefused: else who hangs up at once would be asked for ever.
	shunLost, shunRefused = time.Minute, time.Hour
	heldWell              = 10 * time.Minute
	// shortest is the shortest reservation that is one: it is renewed at half of its time.
	shortest = time.Minute
	// maxCandidates bounds the relays that are looked at in one round.
	maxCandidates = 64
	// maxShunned bounds the relays that are remembered to be left alone.
	maxShunned = 1024
	// connTag protects the connections to hops: a reservation ends with its connection.
	connTag = "godwit-hop"
)

// errShort says that a hop gave a reservation that is over at once.
var errShort = errors.New("circuit: the reservation is too short")

// HolderConfig says for whom to hold reservations, and where.
type HolderConfig struct {
	Mode node.Mode
	// Peers are relays given by hand. They are tried first.
	Peers []peer.AddrInfo
	// Find looks for at least n relays; nil: nobody is looked for.
	Find func(ctx context.Context, n int) ([]peer.AddrInfo, error)
	Log  *slog.Logger // nil: nothing is logged
}

// A Holder keeps reservations at up to node.MaxHops other relays, in different
// groups of addresses as far as there are any, renews them at half of their time,
// and replaces one that ends.
type Holder struct {
	host host.Host
	cfg  HolderConfig
	log  *slog.Logger
	wake chan struct{} // capacity 1: a hop was lost

	mu   sync.Mutex
	held []*hold
	shun map[peer.ID]shunned
}

// shunned is until when a relay is left alone, and for about how long it was the last time.
type shunned struct {
	until time.Time
	pause time.Duration
}

// hold is one reservation.
type hold struct {
	hop   peer.AddrInfo
	group netip.Prefix
	since time.Time // before it was renewed for the first time
	renew time.Time
	until time.Time
}

// NewHolder makes a Holder for a host that was made with node.Config.Circuits. Run
// has it reserve.
func NewHolder(h host.Host, cfg HolderConfig) *Holder {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Holder{host: h, cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), shun: make(map[peer.ID]shunned)}
}

// Addrs are the circuit addresses under which the host can be reached now, at most
// two for each hop: those of one hop after those of another, longest held first.
func (h *Holder) Addrs() (list []ma.Multiaddr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, r := range h.held {
		if now.Before(r.until) {
			list = append(list, node.CircuitAddrs(r.hop)...)
		}
	}
	return list
}

// Len is the number of reservations held.
func (h *Holder) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// Run holds reservations until the context ends, and returns nil then.
func (h *Holder) Run(ctx context.Context) error {
	n := &network.NotifyBundle{DisconnectedF: h.disconnected}
	h.host.Network().Notify(n)
	defer h.host.Network().StopNotify(n)
	defer h.dropAll()
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := lookFirst
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
			pause = lookFirst
		case <-timer.C:
		}
		h.renew(ctx)
		next := h.nextRenewal()
		if h.Len() < node.MaxHops {
			h.fill(ctx)
		}
		if h.Len() < node.MaxHops {
			next = min(next, pause/2+rand.N(pause))
			pause = min(2*pause, lookLast)
		} else {
			pause = lookFirst
			next = min(next, h.nextRenewal())
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// disconnected drops the reservation at a hop whose last connection has ended: the
// hop has dropped it too.
func (h *Holder) disconnected(n network.Network, c network.Conn) {
	if p := c.RemotePeer(); n.Connectedness(p) != network.Connected && h.drop(p) {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// drop forgets a reservation and leaves its hop alone for a while.
func (h *Holder) drop(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.held, func(r *hold) bool { return r.hop.ID == p })
	if i < 0 {
		return false
	}
	last := h.shun[p].pause
	if time.Since(h.held[i].since) >= heldWell {
		last = 0
	}
	h.leaveAlone(p, min(max(2*last, shunLost), shunRefused))
	h.held = slices.Delete(h.held, i, i+1)
	h.host.ConnManager().Unprotect(p, connTag)
	h.log.Debug("a reservation ended", "hop", p)
	return true
}

// leaveAlone has a relay not be asked for a while. The lock is held.
func (h *Holder) leaveAlone(p peer.ID, pause time.Duration) {
	if len(h.shun) >= maxShunned {
		clear(h.shun)
	}
	h.shun[p] = shunned{time.Now().Add(pause/2 + rand.N(pause)), pause}
}

func (h *Holder) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.held {
		h.host.ConnManager().Unprotect(r.hop.ID, connTag)
	}
	h.held = nil
}

// renew prolongs the reservations that are due.
func (h *Holder) renew(ctx context.Context) {
	h.mu.Lock()
	var due []peer.AddrInfo
	for _, r := range h.held {
		if !time.Now().Before(r.renew) {
			due = append(due, r.hop)
		}
	}
	h.mu.Unlock()
	for _, hop := range due {
		if err := h.reserve(ctx, hop); err != nil && ctx.Err() == nil {
			h.log.Debug("a reservation could not be renewed", "hop", hop.ID, "err", err)
			h.drop(hop.ID)
		}
	}
}

func (h *Holder) nextRenewal() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := lookLast
	for _, r := range h.held {
		next = min(next, time.Until(r.renew))
	}
	return next
}

// fill reserves at as many relays as are missing. Relays of groups that are not
// there yet come first.
func (h *Holder) fill(ctx context.Context) {
	list := h.candidates(ctx)
	for _, other := range []bool{true, false} {
		for _, c := range list {
			if ctx.Err() != nil || h.Len() >= node.MaxHops {
				return
			}
			if h.free(c.ID) && (!other || h.elsewhere(c)) {
				h.take(ctx, c)
			}
		}
	}
}

// candidates are the relays that could be hops: those given by hand, those that we
// are connected to, and if that is not enough those that can be found.
func (h *Holder) candidates(ctx context.Context) (list []peer.AddrInfo) {
	add := func(some ...peer.AddrInfo) {
		for _, c := range some {
			c.Addrs = slices.DeleteFunc(slices.Clone(c.Addrs), func(a ma.Multiaddr) bool { return !node.AllowedAddr(h.cfg.Mode, a) })
			if len(c.Addrs) > 0 && len(list) < maxCandidates && h.free(c.ID) && !slices.ContainsFunc(list, func(have peer.AddrInfo) bool { return have.ID == c.ID }) {
				list = append(list, c)
			}
		}
	}
	add(h.cfg.Peers...)
	for _, p := range h.host.Network().Peers() {
		if known, err := h.host.Peerstore().SupportsProtocols(p, proto.ProtoIDv2Hop); err == nil && len(known) > 0 {
			add(h.host.Peerstore().PeerInfo(p))
		}
	}
	if len(list) < node.MaxHops-h.Len() && h.cfg.Find != nil {
		found, err := h.cfg.Find(ctx, 2*node.MaxHops)
		if err != nil {
			h.log.Debug("no relays were found", "err", err)
		}
		add(found...)
	}
	return list
}

// free says whether a relay may be asked: it is not us, holds nothing for us yet, and
// is not to be left alone.
func (h *Holder) free(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return p != h.host.ID() && !time.Now().Before(h.shun[p].until) && !slices.ContainsFunc(h.held, func(r *hold) bool { return r.hop.ID == p })
}

// elsewhere says whether a relay is in another group of addresses than we and those
// where we reserve: whoever owns a corner of the network does not get several.
func (h *Holder) elsewhere(c peer.AddrInfo) bool {
	group := node.GroupOf(c.Addrs[0])
	if slices.ContainsFunc(h.host.Addrs(), func(a ma.Multiaddr) bool { return node.GroupOf(a) == group }) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !slices.ContainsFunc(h.held, func(r *hold) bool { return r.group == group })
}

// take reserves at a relay for the first time.
func (h *Holder) take(ctx context.Context, c peer.AddrInfo) {
	err := h.reserve(ctx, c)
	if err == nil || ctx.Err() != nil {
		return
	}
	h.log.Debug("a relay gave no reservation", "hop", c.ID, "err", err)
	wait := shunLost
	var refused client.ReservationError
	if errors.As(err, &refused) && refused.Status != pb.Status_CONNECTION_FAILED || errors.Is(err, errShort) {
		wait = shunRefused
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leaveAlone(c.ID, wait)
}

// reserve makes or renews one reservation.
func (h *Holder) reserve(ctx context.Context, hop peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	if err := node.Dial(ctx, h.host, h.cfg.Mode, hop); err != nil {
		return err
	}
	// It is protected first, or it might end before anybody knows of it.
	h.host.ConnManager().Protect(hop.ID, connTag)
	got, err := client.Reserve(ctx, h.host, peer.AddrInfo{ID: hop.ID})
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.held, func(r *hold) bool { return r.hop.ID == hop.ID })
	if err == nil && h.host.Network().Connectedness(hop.ID) != network.Connected {
		err = network.ErrNoConn
	}
	if err == nil && time.Until(got.Expiration) < shortest {
		err = errShort
	}
	if err != nil {
		if i < 0 {
			h.host.ConnManager().Unprotect(hop.ID, connTag)
		}
		return err
	}
	now := time.Now()
	left := min(time.Until(got.Expiration), reservationTime)
	r := &hold{hop: hop, group: node.GroupOf(hop.Addrs[0]), since: now, renew: now.Add(left / 2), until: now.Add(left)}
	if i >= 0 {
		r.since = h.held[i].since
		h.held[i] = r
		return nil
	}
	h.held = append(h.held, r)
	h.log.Debug("a reservation was made", "hop", hop.ID)
	return nil
}
