package node

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/godwit-im/godwit/p2p/rate"
)

// Bounds are what those who connect to a relay may take of it, all together and those of
// one group of addresses (GroupOf). The zero value bounds nothing.
type Bounds struct {
	// Connections that others opened, at once. Half of them may be strangers': of those
	// who have not proved anything since they came, see Visitor.Prove, and whose addresses are not known.
	Connections int
	// Group is how many of these one group of addresses may have, a quarter of them strangers'.
	Group int
	// Rate is how many connections a second one group may begin, and eight times as many all
	// strangers together, whose addresses are not known. An Act says how many of it go with that, and
	// SPEC.md of package mailbox, section 3, all.
	Rate float64
}

// DefaultBounds are a relay's where strangers reach it.
func DefaultBounds() Bounds { return Bounds{Connections: 4096, Group: 512, Rate: 8} }

// An Act is something that costs a relay, and of which each group of addresses has so many a
// second. What one connection does of it before it counts is part of its price: so who does
// as people do gets through beside a neighbour who does not.
type Act int

// Acts, with how many for each connection that a group may begin, and for each one it has.
const (
	connect Act = iota
	stream      // 8, and 8
	Login       // 1, and 1: a signature
	Deposit     // 8, and 8: a signature, and its share of a sync
	Request     // 64, and 32: any other, which is not refused but waits; a large one counts as several
	octet       // 1 MiB, and 256 KiB: of all that comes over a connection of TCP and goes over it, which waits
	acts
)

var (
	perConnect = [acts]float64{connect: 1, stream: 8, Login: 1, Deposit: 8, Request: 64, octet: 1 << 20}
	included   = [acts]int{stream: 8, Login: 1, Deposit: 8, Request: 32, octet: 256 << 10}
	// together is how many groups' worth all strangers may do, but for known addresses. Who comes for what
	// a relay is there for needs little beyond what is included before it has proved something.
	together = [acts]float64{connect: 8, stream: 2, Login: 2, Deposit: 1, Request: 1, octet: 1}
)

const (
	// burstTime is how many seconds' worth a group may do at once, and allBurst all strangers together.
	burstTime, allBurst = 16, 2
	// To be known takes one box, and who has that has it at as many addresses as it likes: those that are known
	// do not share with strangers, but beyond a sure part of what each of them may, with each other. That part is one in sureShare, of which there is
	// sureBurst seconds' worth at once, for nothing that counts as more than sureMost (sureBytes);
	// all together they may do as much as crowd groups.
	sureShare, sureBurst = 16, 4
	sureMost, sureBytes  = 4, 64 << 10
	crowd                = 8
	// greetGrace is how long a stranger is left alone to say who it is, and proveGrace to do
	// something that proves it, before it makes room for others where there is none.
	greetGrace, proveGrace = 2 * time.Second, 10 * time.Second
	// visitorStreams is how many streams a stranger has at once, and provedStreams who is none.
	visitorStreams, provedStreams = 16, 64
	// refusedBurst streams of one connection are refused, and refusedRate a second, before it is ended: to refuse one
	// costs about as much as to take it.
	refusedBurst, refusedRate = 128, 4
	// longestPause is how long a connection rests at most for the bytes that went over it: less than
	// who waits for its answer takes for the end.
	longestPause = 5 * time.Second
	// freelyGreeted is how many handshakes are under way before senders of UDP have to show
	// that they are where they say.
	freelyGreeted = 16
)

// Turned counts who was turned away, by why.
type Turned struct {
	Rate        uint64 `json:"rate"`        // connections: too many were begun lately
	Group       uint64 `json:"group"`       // connections: too many are open from one group
	All         uint64 `json:"all"`         // connections: too many are open
	Displaced   uint64 `json:"displaced"`   // connections of strangers who made room
	Streams     uint64 `json:"streams"`     // streams: too many are open
	StreamRate  uint64 `json:"stream_rate"` // streams: too many were begun lately
	LoginRate   uint64 `json:"login_rate"`
	DepositRate uint64 `json:"deposit_rate"`
	Slowed      uint64 `json:"slowed"` // requests that waited
	Paused      uint64 `json:"paused"` // connections: as often as one waited because of the bytes that went over it
	Ended       uint64 `json:"ended"`  // connections that went on opening streams that were refused
	Memory      uint64 `json:"memory"` // connections that were ended, or not taken, because of the memory that they would take
}

// Connections are those that were not let in, or ended so that others could be, or for what they did.
func (t Turned) Connections() uint64 {
	return t.Rate + t.Group + t.All + t.Displaced + t.Ended + t.Memory
}

var errGuarded = errors.New("node: too many from there")

// A Guard bounds what visitors take of a host that serves them, before it costs
// anything: their connections, and what they do with them. It stands where libp2p asks its
// resource manager, whose own bounds go on.
//
// What is scarce goes to those first who proved that somebody relies on them: they stay
// however many strangers come, and their address has bounds of its own
// for a day, beside those of its group. Of strangers, who has been there longest without
// proving anything makes room, in the group that has most. Where no stranger is left to make room,
// the group with most does, and in it the address with most: one box is enough to prove something
// with any number of connections.
type Guard struct {
	network.ResourceManager
	protect connmgr.ConnManager

	budgets [acts]rate.Groups
	all     [acts]rate.Groups // of strangers together, under one key
	sure    [acts]rate.Groups // of known addresses, each for itself
	crowd   [acts]rate.Groups // and together, under one key
	turned  [turns]atomic.Uint64

	mu       sync.Mutex
	bounds   Bounds
	last     uint64 // of the names of visitors
	total    int
	groups   map[netip.Prefix]int // connections
	corners  map[netip.Prefix]*corner
	visitors int       // strangers in all corners, but those of known addresses
	streams  int       // of these
	greeting int       // visitors who have not said who they are
	noQUIC   time.Time // until when nobody gets in over QUIC
	peers    map[peer.ID][]*Visitor
	proven   map[netip.Prefix][]*Visitor // of each group, those who proved something, in that order
	known    known                       // addresses
}

// corner is what the strangers of one group, or of one known address, have.
type corner struct {
	visitors []*Visitor // oldest first
	streams  int
}

func newGuard(m network.ResourceManager, b Bounds, protect connmgr.ConnManager) *Guard {
	g := &Guard{
		ResourceManager: m, protect: protect,
		groups: make(map[netip.Prefix]int), corners: make(map[netip.Prefix]*corner), peers: make(map[peer.ID][]*Visitor), proven: make(map[netip.Prefix][]*Visitor),
	}
	g.SetBounds(b)
	return g
}

// SetBounds changes the bounds for what comes from now on.
func (g *Guard) SetBounds(b Bounds) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bounds = b
	for a := range g.budgets {
		g.budgets[a].SetLimit(rate.Limit{Burst: perConnect[a] * b.Rate * burstTime, PerSecond: perConnect[a] * b.Rate})
	}
	for a := range g.sure {
		g.sure[a].SetLimit(rate.Limit{Burst: perConnect[a] * b.Rate / sureShare * sureBurst, PerSecond: perConnect[a] * b.Rate / sureShare})
		g.crowd[a].SetLimit(rate.Limit{Burst: perConnect[a] * crowd * b.Rate * allBurst, PerSecond: perConnect[a] * crowd * b.Rate})
	}
	for a := range g.all {
		g.all[a].SetLimit(rate.Limit{Burst: perConnect[a] * together[a] * b.Rate * allBurst, PerSecond: perConnect[a] * together[a] * b.Rate})
	}
}

// take takes n of an Act from what those of a key may do, and of what all strangers may or all known
// addresses. The smaller pays first, so that nobody uses up what is for all by asking in vain.
func (g *Guard) take(a Act, n int, key netip.Prefix, known bool, now time.Time) bool {
	some := float64(n)
	if !g.budgets[a].TakeSome(key, some, now) {
		return false
	}
	if !known {
		return g.all[a].TakeSome(netip.Prefix{}, some, now)
	}
	return g.isSure(a, n, key, now) || g.crowd[a].TakeSome(netip.Prefix{}, some, now)
}

// isSure takes n of an Act from the sure part of a known address.
func (g *Guard) isSure(a Act, n int, key netip.Prefix, now time.Time) bool {
	most := sureMost
	if a == octet {
		most = sureBytes
	}
	return n <= most && g.sure[a].TakeSome(key, float64(n), now)
}

// Turned says who was turned away so far.
func (g *Guard) Turned() Turned {
	n := func(w why) uint64 { return g.turned[w].Load() }
	return Turned{
		Rate: n(tooFast), Group: n(groupFull), All: n(allFull), Displaced: n(displaced), Streams: n(streamsFull),
		StreamRate: n(act(stream)), LoginRate: n(act(Login)), DepositRate: n(act(Deposit)), Slowed: n(act(Request)), Paused: n(act(octet)), Ended: n(ended), Memory: n(noMemory),
	}
}

// why somebody was turned away: as below, or for an Act.
type why int

const (
	tooFast why = why(acts) + iota
	groupFull
	allFull
	displaced
	streamsFull
	ended
	noMemory
	turns
)

func act(a Act) why { return why(a) }

// A Visitor is one connection that somebody opened to a guarded host, or that the host opened itself. What comes over the latter
// has the bounds of a known address, but it takes nobody's place: whoever serves the DHT is called now and then.
// A nil one is of a host without bounds: it may do all.
type Visitor struct {
	network.ConnManagementScope
	guard *Guard
	tag   string       // by which the connection manager is told to keep it
	group netip.Prefix // of addresses
	addr  netip.Prefix // itself: an IPv4 address, or the /64 of an IPv6 one
	since time.Time
	quic  bool
	ours  bool // the host opened it
	known bool // its address, when it came
	proof atomic.Bool

	// under the Guard's lock
	key     netip.Prefix // whose budgets it uses: the group's or, if it is known, the address's
	stage   stage
	peer    peer.ID
	close   func() // ends the connection; nil while nobody knows how to
	streams int
	done    [acts]int   // of what is included
	refused rate.Bucket // streams
}

type stage int

const (
	greets stage = iota // has not said who it is
	strange
	proved
	gone
)

// VisitorOf is who opened a connection.
func VisitorOf(c network.Conn) *Visitor {
	v, _ := c.Scope().(*Visitor)
	return v
}

// OpenConnection lets a connection begin, or refuses it.
func (g *Guard) OpenConnection(dir network.Direction, usefd bool, endpoint ma.Multiaddr) (network.ConnManagementScope, error) {
	v := &Visitor{guard: g, since: time.Now(), group: GroupOf(endpoint), addr: addressOf(endpoint), quic: endpoint != nil && overQUIC(endpoint)}
	if dir != network.DirInbound {
		v.ours, v.stage, v.key = true, proved, v.addr
	} else {
		out, err := g.enter(v)
		if out != nil {
			out()
		}
		if err != nil {
			return nil, err
		}
	}
	scope, err := g.ResourceManager.OpenConnection(dir, usefd, endpoint)
	if err != nil {
		v.leave()
		return nil, err
	}
	v.ConnManagementScope = scope
	return v, nil
}

// VerifySourceAddress says whether somebody who begins a connection of QUIC has to show first
// that it is at its address: a forged one would take the place of others.
func (g *Guard) VerifySourceAddress(addr net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bounds.Connections > 0 && g.greeting >= freelyGreeted
}

// addressOf is an address by itself, as one household may have it.
func addressOf(a ma.Multiaddr) netip.Prefix {
	raw, err := manet.ToIP(a)
	if err != nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(raw)
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// enter takes a visitor in, if there is room. out is to be called without the lock: it ends
// the connection of who made room.
func (g *Guard) enter(v *Visitor) (out func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last++
	v.tag = "visitor " + strconv.FormatUint(g.last, 10)
	v.key = v.group
	if g.known.has(v.group, v.addr, v.since) {
		v.key, v.known = v.addr, true
	}
	if b := g.bounds; b.Connections > 0 {
		if v.quic && v.since.Before(g.noQUIC) {
			return nil, g.turn(noMemory)
		}
		if !g.take(connect, 1, v.key, v.known, v.since) {
			return nil, g.turn(tooFast)
		}
		mine := g.corner(v.key)
		defer g.drop(v.key)
		switch {
		case len(mine.visitors) >= b.Group/4:
			if out = g.makeRoom(mine, v.since, false); out == nil {
				return nil, g.turn(groupFull)
			}
		case g.groups[v.group] >= b.Group:
			if out = g.makeRoom(g.corner(v.group), v.since, false); out == nil {
				out = g.share(v.group, v)
			}
			g.drop(v.group)
			if out == nil {
				return nil, g.turn(groupFull)
			}
		case !v.known && g.visitors >= b.Connections/2:
			if out = g.makeRoom(g.fullest(mine, true, false), v.since, false); out == nil {
				return nil, g.turn(allFull)
			}
		case g.total >= b.Connections:
			if out = g.makeRoom(g.fullest(mine, false, false), v.since, false); out == nil {
				out = g.share(g.largest(v.group), v)
			}
			if out == nil {
				return nil, g.turn(allFull)
			}
		}
	}
	g.total++
	g.groups[v.group]++
	g.greeting++
	if !v.known {
		g.visitors++
	}
	c := g.corner(v.key)
	c.visitors = append(c.visitors, v)
	return out, nil
}

func (g *Guard) turn(w why) error {
	g.turned[w].Add(1)
	return errGuarded
}

// corner is made if it is not there; drop removes one in which nobody is.
func (g *Guard) corner(key netip.Prefix) *corner {
	c := g.corners[key]
	if c == nil {
		c = new(corner)
		g.corners[key] = c
	}
	return c
}

func (g *Guard) drop(key netip.Prefix) {
	if c := g.corners[key]; c != nil && len(c.visitors) == 0 {
		delete(g.corners, key)
	}
}

// fullest is the corner with the most visitors, or streams, if that is more than another has; or that of
// addresses that are not known.
func (g *Guard) fullest(than *corner, unknown, byStreams bool) *corner {
	n := func(c *corner) int {
		if byStreams {
			return c.streams
		}
		return len(c.visitors)
	}
	most := than
	for _, c := range g.corners {
		if n(c) > n(most) && !(unknown && len(c.visitors) > 0 && c.visitors[0].known) {
			most = c
		}
	}
	return most
}

// makeRoom takes somebody out of a corner: who has not said for long who it is, else who
// has not proved anything for longest, or of these who has the most streams. out ends the connection; it is nil if
// nobody has been there long enough.
func (g *Guard) makeRoom(c *corner, now time.Time, byStreams bool) (out func()) {
	var found *Visitor
	for _, v := range c.visitors {
		stayed := now.Sub(v.since)
		switch {
		case v.close == nil || byStreams && v.streams == 0:
		case v.stage == greets && stayed >= greetGrace && !byStreams:
			found = v
		case v.stage == strange && stayed >= proveGrace && (found == nil || byStreams && v.streams > found.streams):
			found = v
		}
		if found != nil && found.stage == greets {
			break
		}
	}
	if found == nil {
		return nil
	}
	g.remove(found)
	g.turned[displaced].Add(1)
	return found.close
}

// largest is the group with the most connections, if that is more than one has with one more.
func (g *Guard) largest(than netip.Prefix) netip.Prefix {
	most, n := than, g.groups[than]+1
	for group, m := range g.groups {
		if m > n {
			most, n = group, m
		}
	}
	return most
}

// share takes somebody who proved something out of a group: of the address that has most there, who
// came first. What proves something costs little, so nobody is to have all for it. out ends the connection; it is nil if
// no address there has more than that of who comes would have.
func (g *Guard) share(group netip.Prefix, with *Visitor) (out func()) {
	have := make(map[netip.Prefix]int)
	for _, v := range g.proven[group] {
		have[v.addr]++
	}
	if group == with.group {
		have[with.addr]++
	}
	most := with.addr
	for addr, n := range have {
		if n > have[most] {
			most = addr
		}
	}
	if most == with.addr {
		return nil
	}
	found := g.proven[group][slices.IndexFunc(g.proven[group], func(v *Visitor) bool { return v.addr == most })]
	g.remove(found)
	g.turned[displaced].Add(1)
	return found.close
}

// remove forgets a visitor.
func (g *Guard) remove(v *Visitor) {
	if v.stage == gone {
		return
	}
	if v.ours {
		v.stage = gone
	} else {
		g.total--
		if g.groups[v.group]--; g.groups[v.group] == 0 {
			delete(g.groups, v.group)
		}
		g.settle(v, gone)
	}
	if v.peer != "" {
		if g.peers[v.peer] = slices.DeleteFunc(g.peers[v.peer], func(o *Visitor) bool { return o == v }); len(g.peers[v.peer]) == 0 {
			delete(g.peers, v.peer)
		}
	}
}

// settle moves a visitor on to a later stage.
func (g *Guard) settle(v *Visitor, to stage) {
	if v.stage == greets {
		g.greeting--
	}
	if v.stage < proved && to >= proved {
		if !v.known {
			g.visitors--
			g.streams -= v.streams
		}
		c := g.corners[v.key]
		c.visitors = slices.DeleteFunc(c.visitors, func(o *Visitor) bool { return o == v })
		c.streams -= v.streams
		g.drop(v.key)
	}
	switch {
	case to == proved:
		g.proven[v.group] = append(g.proven[v.group], v)
	case v.stage == proved:
		if g.proven[v.group] = slices.DeleteFunc(g.proven[v.group], func(o *Visitor) bool { return o == v }); len(g.proven[v.group]) == 0 {
			delete(g.proven, v.group)
		}
	}
	v.stage = to
}

// closes says how to end the connection of a visitor; of two ways the first is kept, which
// ends it at once.
func (v *Visitor) closes(end func()) {
	v.guard.mu.Lock()
	late := v.stage == gone
	if v.close == nil {
		v.close = end
	}
	v.guard.mu.Unlock()
	if late { // it made room meanwhile
		end()
	}
}

// ends tells the Guard how a connection is ended. It does so no earlier than the swarm tells
// everybody of the connection: one that is closed before the swarm (libp2p v0.51) counted it
// stays in its list for good, and where the swarm closes meanwhile its count falls below none
// and it panics.
type ends struct{ network.NoopNotifiee }

func (*ends) Connected(_ network.Network, c network.Conn) {
	if v := VisitorOf(c); v != nil {
		v.closes(func() { _ = c.Close() })
	}
}

// SetPeer says who a visitor is, which ends its handshake.
func (v *Visitor) SetPeer(id peer.ID) error {
	if err := v.ConnManagementScope.SetPeer(id); err != nil {
		return err
	}
	g := v.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.stage == gone {
		return errGuarded
	}
	v.peer = id
	g.peers[id] = append(g.peers[id], v)
	if !v.ours {
		g.settle(v, strange)
	}
	return nil
}

// Done says that the connection has ended.
func (v *Visitor) Done() {
	v.leave()
	v.ConnManagementScope.Done()
}

func (v *Visitor) leave() {
	v.guard.mu.Lock()
	v.guard.remove(v)
	id := v.peer
	v.guard.mu.Unlock()
	if v.proof.Load() {
		v.guard.protect.Unprotect(id, v.tag)
	}
}

// Prove says that somebody relies on a visitor: it logged in to a box with a lease, or left
// something for one who has such, or is a relay with a reservation.
func (v *Visitor) Prove() {
	if v == nil || v.proof.Load() {
		return
	}
	g := v.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.stage != strange {
		return
	}
	g.settle(v, proved)
	if g.known.remember(v.group, v.addr, time.Now()) {
		v.key = v.addr
	}
	g.protect.Protect(v.peer, v.tag)
	v.proof.Store(true)
}

// Proved says whether Prove was called, or there are no bounds.
func (v *Visitor) Proved() bool { return v == nil || v.proof.Load() }

// May says whether a visitor may do n of something now, and counts that it does.
func (v *Visitor) May(a Act, n int) bool {
	if v == nil {
		return true
	}
	g := v.guard
	key, known, free := v.does(a, n)
	if free || g.take(a, n, key, known, time.Now()) {
		return true
	}
	g.turned[act(a)].Add(1)
	return false
}

// does counts n of an Act, and tells of whom they are to be taken, if it is not included.
func (v *Visitor) does(a Act, n int) (key netip.Prefix, known, free bool) {
	g := v.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	free = g.bounds.Connections == 0 || v.done[a]+n <= included[a]
	v.done[a] = min(v.done[a]+n, included[a]) // no more is asked, and it does not overflow
	return v.key, v.known || v.stage == proved, free
}

// pause counts bytes that went over a visitor's connection, and tells how long it is to rest for them.
func (v *Visitor) pause(n int) time.Duration {
	g := v.guard
	key, known, free := v.does(octet, n)
	if free {
		return 0
	}
	now := time.Now()
	wait := g.budgets[octet].Spend(key, float64(n), now)
	if !known {
		wait = max(wait, g.all[octet].Spend(netip.Prefix{}, float64(n), now))
	} else if !g.isSure(octet, n, key, now) {
		wait = max(wait, g.crowd[octet].Spend(netip.Prefix{}, float64(n), now))
	}
	if wait > 0 {
		g.turned[act(octet)].Add(1)
	}
	return min(wait, longestPause)
}

// OpenStream lets a stream begin, or refuses it.
func (g *Guard) OpenStream(p peer.ID, dir network.Direction) (network.StreamManagementScope, error) {
	if dir != network.DirInbound {
		return g.ResourceManager.OpenStream(p, dir)
	}
	v, out, err := g.openStream(p, time.Now())
	if out != nil {
		out()
	}
	if err != nil {
		return nil, err
	}
	s, err := g.ResourceManager.OpenStream(p, dir)
	if v == nil {
		return s, err
	}
	if err != nil {
		v.endStream()
		return nil, err
	}
	return &visit{StreamManagementScope: s, end: sync.OnceFunc(v.endStream)}, nil
}

// openStream counts a stream. The visitor is nil if the connection has ended meanwhile.
func (g *Guard) openStream(p peer.ID, now time.Time) (v *Visitor, out func(), err error) {
	g.mu.Lock()
	for _, v = range g.peers[p] {
		if v.stage == proved { // who has two connections and proved something with one
			break
		}
	}
	g.mu.Unlock()
	if v == nil {
		return nil, nil, nil
	}
	may := v.May(stream, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.stage == gone {
		return nil, nil, errGuarded
	}
	switch b := g.bounds; {
	case !may:
		return nil, v.refuse(now), errGuarded
	case b.Connections == 0:
	case v.ours: // a hop brings each circuit as a stream, of which libp2p bounds how many there are at once
	case v.streams >= provedStreams || v.stage < proved && v.streams >= visitorStreams:
		return nil, v.refuse(now), g.turn(streamsFull)
	case v.stage < proved:
		mine := g.corners[v.key]
		switch {
		case mine.streams >= b.Group/2:
			out = g.makeRoom(mine, now, true)
		case !v.known && g.streams >= b.Connections/2:
			out = g.makeRoom(g.fullest(mine, true, true), now, true)
		default:
			out = func() {}
		}
		if out == nil {
			return nil, v.refuse(now), g.turn(streamsFull)
		}
		if v.stage == gone { // it was itself
			return nil, out, g.turn(streamsFull)
		}
	}
	v.streams++
	v.countStream(1)
	return v, out, nil
}

// refuse counts a stream that was refused. out ends the connection, if it does not stop: to open streams and reset them costs it
// a dozen bytes each. The lock is held.
func (v *Visitor) refuse(now time.Time) (out func()) {
	if v.refused.Take(rate.Limit{Burst: refusedBurst, PerSecond: refusedRate}, now) || v.close == nil {
		return nil
	}
	v.guard.remove(v)
	v.guard.turned[ended].Add(1)
	return v.close
}

func (v *Visitor) endStream() {
	g := v.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	v.streams--
	v.countStream(-1)
}

// countStream counts one more or less of a stranger. The lock is held.
func (v *Visitor) countStream(n int) {
	if v.stage >= proved {
		return
	}
	v.guard.corners[v.key].streams += n
	if !v.known {
		v.guard.streams += n
	}
}

// visit is a visitor's stream.
type visit struct {
	network.StreamManagementScope
	end func()
}

func (s *visit) Done() {
	s.end()
	s.StreamManagementScope.Done()
}
