package chat

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// Private routing: what is left at a relay goes there through another one
// (p2p/circuit), so that the one where it lies does not see where it comes from,
// and the one that it passes does not see for which queue it is.
const (
	// routePatience is how long a relay may be out of reach through others before
	// what is for it goes straight, and straightFor how long it does so then.
	// A message that does not arrive helps nobody; its trail tells how it went.
	routePatience, straightFor = 15 * time.Second, 10 * time.Minute
	// circuitRound bounds the bytes of cells left over one circuit, which carries
	// node.CircuitBytes and much besides cells.
	circuitRound = 12 << 20
	// routesFirst and routesLast bound the pauses between two questions to a relay
	// of ours through which others it is reached.
	routesFirst, routesLast = 2 * time.Second, 10 * time.Minute
	// enoughRoutes are the hops of what contacts were told that should still lead
	// to a relay of ours: with fewer they are told anew.
	enoughRoutes = 2
	// retellRoutes is how long contacts are not told anew what one relay says of that: it
	// could say something else each time, and have us write to everybody as often.
	retellRoutes = time.Hour
)

// splitPlaces parts the addresses of a relay from the circuits that lead there.
func splitPlaces(addrs []ma.Multiaddr) (straight, circuits []ma.Multiaddr) {
	for _, a := range addrs {
		if _, ok := node.SplitCircuit(a); ok {
			circuits = append(circuits, a)
		} else {
			straight = append(straight, a)
		}
	}
	return straight, circuits
}

// withRoutes joins the addresses of a relay with the circuits that lead there, in a
// descriptor's bounds.
func withRoutes(addrs, routes [][]byte) [][]byte {
	routes = routes[:min(len(routes), mailbox.MaxRoutes)]
	return slices.Concat(addrs[:min(len(addrs), mailbox.MaxAddrs-len(routes))], routes)
}

// orderHops puts the hops to each relay of a device in the order in which they are
// tried. One that keeps mail for the same device comes last: it would see the message
// both pass and arrive. One in the corner of the network where the relay itself is may
// be its operator's. One that we chose ourselves for our mail is not the
// other's choice. Among equals the order is drawn by lot once for each run, so that few
// relays see us.
func (c *Chat) orderHops(tx *store.Tx, device identity.DevicePublic, list []place) error {
	own, err := tx.Relays()
	if err != nil {
		return err
	}
	for i, at := range list {
		slices.SortStableFunc(list[i].hops, func(a, b peer.AddrInfo) int {
			return cmp.Or(cmp.Compare(risk(a, at, list, own), risk(b, at, list, own)), bytes.Compare(c.lot(device, at, a), c.lot(device, at, b)))
		})
	}
	return nil
}

func risk(hop peer.AddrInfo, at place, list []place, own []store.Relay) (r int) {
	if slices.ContainsFunc(list, func(other place) bool { return other.relay.ID == hop.ID }) {
		r += 4
	}
	if slices.ContainsFunc(at.relay.Addrs, func(a ma.Multiaddr) bool { return node.GroupOf(a) == node.GroupOf(hop.Addrs[0]) }) {
		r += 2
	}
	if !slices.ContainsFunc(own, func(o store.Relay) bool { return peer.ID(o.Peer) == hop.ID && o.Removed.IsZero() }) {
		r++
	}
	return r
}

// newLots are what lot draws by.
func newLots() (lots [32]byte) {
	rand.Read(lots[:]) // never fails, see crypto/rand
	return lots
}

func (c *Chat) lot(device identity.DevicePublic, at place, hop peer.AddrInfo) []byte {
	h := sha256.Sum256(slices.Concat(c.lots[:], device[:], []byte(at.relay.ID), []byte(hop.ID)))
	return h[:]
}

// Routing says how what is for others goes to their relays.
type Routing int

const (
	Straight    Routing = iota // from this computer to the relay
	Private                    // by way of other relays; straight if for routePatience none leads there
	OnlyPrivate                // by way of other relays, or not at all
)

// way is how deposits go to a relay now. The courier keeps it for each.
type way struct {
	blocked  time.Time // since when none of the hops leads there; zero: one does
	straight time.Time // until when they go straight, because none did for long
	carried  int       // bytes over the present circuit
	last     peer.ID   // the hop over which a round was cut off: it is tried last
}

// isStraight says whether to go straight.
func (w *way) isStraight(routing Routing, at place, now time.Time) bool {
	return routing == Straight || routing == Private && (len(at.hops) == 0 || now.Before(w.straight))
}

// went takes note of a round, and says whether the next may begin at once, because it goes
// straight.
func (w *way) went(routing Routing, r report, now time.Time) (atOnce bool) {
	w.carried = r.carried
	cut := r.via != "" && isCut(r.err)
	if cut {
		w.last = r.via
	}
	switch {
	case !cut && !errors.Is(r.err, node.ErrNoCircuit):
		w.blocked = time.Time{}
		if r.moved {
			w.straight = time.Time{} // the relay told of other hops
		}
	case w.blocked.IsZero():
		w.blocked = now
	case routing == Private && now.Sub(w.blocked) >= routePatience:
		w.blocked, w.straight = time.Time{}, now.Add(straightFor)
		return true
	}
	return false
}

// isCut says whether an error is that of a connection and not a relay's answer.
func isCut(err error) bool {
	return errors.Is(err, mailbox.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

// link is a connection to a relay for one round of deposits.
type link struct {
	*mailbox.Client
	via     peer.ID // the hop; empty: straight
	carried int     // bytes over the circuit, with this round
	cut     func()  // ends the circuit
	release func()
}

func (l *link) Close() {
	l.Client.Close()
	l.release()
}

// reach connects to a relay of a device: through another, or straight. The hosts are
// never the same, or the relay would learn where who comes through others is. The error wraps
// node.ErrNoCircuit if no other relay leads there.
func (c *Chat) reach(ctx context.Context, device identity.DevicePublic, at place, w way, straight bool) (*link, error) {
	if straight {
		return c.straightTo(ctx, "deposit "+string(device[:]), at.relay)
	}
	return c.through(ctx, string(device[:])+string(at.session[:]), at.relay.ID, w.order(at.hops), w.carried)
}

// straightTo connects to a relay from the throw-away host of a purpose.
func (c *Chat) straightTo(ctx context.Context, purpose string, relay peer.AddrInfo) (*link, error) {
	h, release, err := c.pool.Host(ctx, purpose)
	if err != nil {
		return nil, err
	}
	client, err := mailbox.Dial(ctx, h, relay)
	if err != nil {
		release()
		return nil, err
	}
	return &link{Client: client, release: release}, nil
}

// through connects to a relay through the first of the hops that leads there, from the
// throw-away host of a purpose. carried are the bytes that went over the circuit that it
// has; a new one is made if that is much. The error wraps node.ErrNoCircuit if no hop leads there.
func (c *Chat) through(ctx context.Context, purpose string, relay peer.ID, hops []peer.AddrInfo, carried int) (*link, error) {
	if len(hops) == 0 {
		return nil, node.ErrNoCircuit
	}
	h, release, err := c.pool.Host(ctx, "circuit "+purpose+string(relay))
	if err != nil {
		return nil, err
	}
	l := &link{carried: carried, release: release, cut: func() { h.Network().ClosePeer(relay) }}
	if l.carried > circuitRound/2 || len(h.Network().ConnsToPeer(relay)) == 0 {
		l.cut()
		l.carried = 0
	}
	errs := []error{node.ErrNoCircuit}
	for _, hop := range hops {
		if l.via, err = node.DialCircuit(ctx, h, c.node.Mode(), []peer.AddrInfo{hop}, relay); err == nil {
			l.Client, err = mailbox.Connect(ctx, h, relay)
		}
		refused := new(mailbox.Refusal)
		if err == nil || errors.As(err, &refused) {
			break
		}
		l.cut() // what it cannot be opened over is of no more use
		errs = append(errs, err)
		err = errors.Join(errs...)
	}
	if err != nil {
		release()
		return nil, err
	}
	return l, nil
}

// order is the order in which hops are tried.
func (w way) order(hops []peer.AddrInfo) []peer.AddrInfo {
	hops = slices.Clone(hops)
	slices.SortStableFunc(hops, func(a, b peer.AddrInfo) int {
		switch w.last {
		case a.ID:
			return 1
		case b.ID:
			return -1
		}
		return 0
	})
	return hops
}

// fits are as many of the parcels as one circuit carries.
func (l *link) fits(due []*parcel) []*parcel {
	if l.via == "" {
		return due
	}
	for i, p := range due {
		size := len(p.wire) + mailbox.CellOverhead
		if p.flight {
			size = mailbox.CellMedium
		}
		if l.carried += size; l.carried > circuitRound && i > 0 {
			l.carried -= size
			return due[:i]
		}
	}
	return due
}

// learnRoutes asks a relay through which others it is reached, and keeps that if the
// device's descriptor says otherwise: it may be old.
func (c *Chat) learnRoutes(ctx context.Context, l *link, device identity.DevicePublic, at place) (moved bool) {
	now, err := l.Routes(ctx)
	if err != nil || len(node.Hops(c.node.Mode(), now)) == 0 {
		return false
	}
	err = c.update(ctx, func(t *turn) error {
		moved = false
		queues, err := t.TheirQueues(device)
		i := slices.IndexFunc(queues, func(q store.TheirQueue) bool { return q.Relay == store.PeerID(at.relay.ID) })
		if err != nil || i < 0 {
			return err
		}
		straight, before := splitPlaces(multiaddrs(queues[i].Addrs))
		if sameHops(before, now) {
			return nil
		}
		moved = true
		return t.MoveTheirQueues(device, queues[i].Relay, withRoutes(addrBytes(straight), addrBytes(now)))
	})
	if err != nil {
		c.log.Debug("could not keep through whom a relay is reached", "err", err)
		return false
	}
	return moved
}

// hopsOf are the hops of circuits.
func hopsOf(circuits []ma.Multiaddr) (list []peer.ID) {
	for _, a := range circuits {
		if hop, ok := node.SplitCircuit(a); ok && !slices.Contains(list, hop.ID) {
			list = append(list, hop.ID)
		}
	}
	return list
}

func sameHops(a, b []ma.Multiaddr) bool {
	x, y := hopsOf(a), hopsOf(b)
	return len(x) == len(y) && shared(x, y) == len(x)
}

// shared is how many of one list are in the other.
func shared(a, b []peer.ID) (n int) {
	for _, id := range a {
		if slices.Contains(b, id) {
			n++
		}
	}
	return n
}

// hintedPlaces are the relays that an invitation names.
func (c *Chat) hintedPlaces(inv identity.Invitation) (list []place) {
	for _, h := range inv.Hints {
		if h.Kind == identity.HintRelay {
			straight, circuits := splitPlaces(multiaddrs(h.Addrs))
			list = append(list, place{relay: peer.AddrInfo{ID: peer.ID(h.Peer), Addrs: straight}, hops: node.Hops(c.node.Mode(), circuits)})
		}
	}
	return list
}

// inLink is what of hints a link names, which people pass on and so is to be short: of the
// circuits no more than as many as there are hops of one relay, of each hop one, shared
// out among the relays. The notice names all.
func inLink(hints []identity.Hint) []identity.Hint {
	relays := only(hints, func(h identity.Hint) bool { return h.Kind == identity.HintRelay })
	each := max(node.MaxHops/max(len(relays), 1), 1)
	var used []peer.ID // a hop that is gone should not be that of all relays
	short := slices.Clone(hints)
	for i, h := range hints {
		straight, circuits := splitPlaces(multiaddrs(h.Addrs))
		slices.SortStableFunc(circuits, func(a, b ma.Multiaddr) int {
			return cmp.Compare(shared(hopsOf([]ma.Multiaddr{a}), used), shared(hopsOf([]ma.Multiaddr{b}), used))
		})
		var few []ma.Multiaddr
		for _, a := range circuits {
			if hop := hopsOf([]ma.Multiaddr{a}); len(few) < each && shared(hop, hopsOf(few)) == 0 {
				few = append(few, a)
			}
		}
		used = append(used, hopsOf(few)...)
		short[i].Addrs = addrBytes(slices.Concat(straight, few))
	}
	return short
}

// moveQueues notes where a relay is that a device told us of. Through whom it is
// reached stays as it was.
func moveQueues(t *turn, device identity.DevicePublic, relay peer.AddrInfo) error {
	queues, err := t.TheirQueues(device)
	if err != nil {
		return err
	}
	addrs := addrBytes(relay.Addrs)
	for _, q := range queues {
		if q.Relay == store.PeerID(relay.ID) {
			_, circuits := splitPlaces(multiaddrs(q.Addrs))
			addrs = withRoutes(addrs, addrBytes(circuits))
		}
	}
	return t.MoveTheirQueues(device, store.PeerID(relay.ID), addrs)
}

// routes asks a relay of ours through which others it is reached. If too few are left of
// those that contacts were told of, they are told anew. It says whether there are as
// many as can be.
func (b *box) routes(ctx context.Context, client *mailbox.Client) (all bool, err error) {
	now, err := client.Routes(ctx)
	if err != nil {
		return false, fmt.Errorf("routes: %w", err)
	}
	var told []peer.ID
	err = b.c.store.View(ctx, func(tx *store.Tx) error {
		r, err := tx.Relay(b.relay.Peer)
		told = hopsOf(multiaddrs(r.Routes))
		return ignore(err, store.ErrNotFound)
	})
	have := len(node.Hops(b.c.node.Mode(), now))
	fresh := len(told) == 0 || b.told.IsZero() || time.Since(b.told) >= retellRoutes
	if hops := hopsOf(now); err == nil && have > 0 && fresh && shared(told, hops) < min(enoughRoutes, len(hops)) {
		b.told = time.Now()
		err = b.tellRoutes(ctx, addrBytes(now))
	}
	return have == node.MaxHops, err
}

func (b *box) tellRoutes(ctx context.Context, routes [][]byte) error {
	return b.c.update(ctx, func(t *turn) error {
		r, err := t.Relay(b.relay.Peer)
		if errors.Is(err, store.ErrNotFound) || err == nil && !r.Removed.IsZero() {
			return nil
		}
		if err != nil {
			return err
		}
		r.Routes = routes
		if err := t.PutRelay(r); err != nil {
			return err
		}
		return b.c.tellQueues(t)
	})
}
