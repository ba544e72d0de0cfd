// Package circuit is what relays do for private routing: a relay lets others reach
// further relays through it (Hop), and holds reservations at others, so that it can
// be reached through them itself (Holder). SPEC.md beside it says how both bound
// what strangers may take. It is libp2p's circuit relay v2 and nothing of the
// public network's: whom to reserve at, the caller says.
//
// Who leaves something at a relay that way shows that relay the hop's address, and
// the hop the name of the relay. Whoever plays both sees both (identity/THREATS.md).
package circuit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
)

// Bounds of what one hop does for others (SPEC.md, section 3).
const (
	reservationTime   = time.Hour
	maxReservations   = 512
	reservationsGroup = 4       // from one group of addresses, in public
	circuitsPerMinute = 120     // begun from one group of addresses, and as many at once, in public
	copyBuffer        = 4 << 10 // bytes, each way of a circuit
)

// HopStats counts what a Hop does. What passes it, and between whom, it does not count.
type HopStats struct {
	Reservations int64 // held by others now
	Circuits     int64 // open now
	Served       int64 // circuits since the start
	Refused      int64 // reservations and circuits since the start
}

// A Hop lets others reach, through its host, those who hold a reservation.
type Hop struct {
	service *relayv2.Relay
	gate    *gate
	counts  *counts
}

// NewHop serves from now on. The caller ends it by Close, before it closes the host.
func NewHop(h host.Host, m node.Mode) (*Hop, error) {
	r := relayv2.DefaultResources()
	r.Limit = &relayv2.RelayLimit{Duration: node.CircuitTime, Data: node.CircuitBytes}
	r.ReservationTTL, r.MaxReservations, r.MaxCircuits, r.BufferSize = reservationTime, maxReservations, node.MaxCircuits, copyBuffer
	r.MaxReservationsPerIP = reservationsGroup
	if m != node.Public {
		r.MaxReservationsPerIP = maxReservations // all are in one corner
		r.MaxReservationsPerASN = maxReservations
	}
	hop := &Hop{gate: newGate(m == node.Public), counts: new(counts)}
	hop.gate.reserves = func(p peer.ID) {
		for _, c := range h.Network().ConnsToPeer(p) {
			node.VisitorOf(c).Prove()
		}
	}
	none := func(ma.Multiaddr) bool { return false } // who reserves knows our addresses
	var err error
	hop.service, err = relayv2.New(h, relayv2.WithResources(r), relayv2.WithACL(hop.gate), relayv2.WithMetricsTracer(hop.counts), relayv2.WithReservationAddressFilter(none))
	if err != nil {
		return nil, fmt.Errorf("circuit: serve: %w", err)
	}
	return hop, nil
}

// Stats tells how it is now.
func (h *Hop) Stats() HopStats {
	c := h.counts
	return HopStats{Reservations: c.reservations.Load(), Circuits: c.circuits.Load(), Served: c.served.Load(), Refused: c.refused.Load()}
}

// Close ends all reservations and circuits.
func (h *Hop) Close() error { return h.service.Close() }

// gate bounds what one group of addresses gets, so that a corner of the network
// cannot have it all. Elsewhere than in public all share one group.
type gate struct {
	bounded  bool
	began    rate.Groups   // circuits
	reserves func(peer.ID) // is told who is let reserve; nil: nobody

	mu       sync.Mutex
	reserved map[peer.ID]reserved
}

type reserved struct {
	group netip.Prefix
	until time.Time
}

var _ relayv2.ACLFilter = (*gate)(nil)

func newGate(bounded bool) *gate {
	return &gate{bounded: bounded, reserved: make(map[peer.ID]reserved), began: rate.Groups{Limit: rate.Limit{Burst: circuitsPerMinute, PerSecond: circuitsPerMinute / 60.0}}}
}

// AllowReserve says whether there is room for one more reservation of a group.
func (g *gate) AllowReserve(p peer.ID, at ma.Multiaddr) bool {
	ok := g.mayReserve(p, at)
	if ok && g.reserves != nil {
		g.reserves(p) // others are reached through it: it is not to make room for strangers
	}
	return ok
}

func (g *gate) mayReserve(p peer.ID, at ma.Multiaddr) bool {
	if !g.bounded {
		return true
	}
	now, group := time.Now(), node.GroupOf(at)
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for id, r := range g.reserved {
		switch {
		case !now.Before(r.until):
			delete(g.reserved, id)
		case id != p && r.group == group:
			n++
		}
	}
	_, renews := g.reserved[p]
	if n >= reservationsGroup || !renews && len(g.reserved) >= maxReservations {
		return false
	}
	g.reserved[p] = reserved{group, now.Add(reservationTime)}
	return true
}

// AllowConnect says whether a group may begin one more circuit now.
func (g *gate) AllowConnect(_ peer.ID, from ma.Multiaddr, _ peer.ID) bool {
	return !g.bounded || g.began.Take(node.GroupOf(from), time.Now())
}

// counts is what libp2p's service tells of itself.
type counts struct{ reservations, circuits, served, refused atomic.Int64 }

var _ relayv2.MetricsTracer = (*counts)(nil)

func (c *counts) RelayStatus(bool)               {}
func (c *counts) ConnectionOpened()              { c.circuits.Add(1); c.served.Add(1) }
func (c *counts) ConnectionClosed(time.Duration) { c.circuits.Add(-1) }
func (c *counts) ReservationClosed(n int)        { c.reservations.Add(-int64(n)) }
func (c *counts) BytesTransferred(int)           {}

func (c *counts) ReservationAllowed(again bool) {
	if !again {
		c.reservations.Add(1)
	}
}

func (c *counts) ConnectionRequestHandled(s pb.Status)  { c.handled(s) }
func (c *counts) ReservationRequestHandled(s pb.Status) { c.handled(s) }

func (c *counts) handled(s pb.Status) {
	if s != pb.Status_OK {
		c.refused.Add(1)
	}
}
