package chat

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// yard is a DHT in which relays announce themselves.
type yard struct {
	mu     sync.Mutex
	down   bool
	relays []*relay
	asked  int
}

func (y *yard) FindRelays(context.Context, int) (list []peer.AddrInfo, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.asked++
	if y.down {
		return nil, dht.ErrNoPeers
	}
	for _, r := range y.relays {
		list = append(list, r.info())
	}
	return list, nil
}

func (y *yard) announces(relays ...*relay) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.relays = append(y.relays, relays...)
}

func (y *yard) fails(down bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.down = down
}

// journal keeps what an account says above debug.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// Chooser makes somebody whose relays are found in a yard, beside those given by hand.
func (w *world) Chooser(name string, y *yard, pace Pace, relays ...*relay) (*person, *journal) {
	w.Helper()
	p, j := w.NewPerson(name, relays...), new(journal)
	p.choice = Choice{On: true, From: y, Pace: pace}
	p.logs = slog.New(slog.NewTextHandler(j, nil))
	return p, j
}

// inUse are the names of the relays that a person uses, of those of the world.
func (p *person) inUse() (names []string) {
	p.w.Helper()
	for _, r := range p.w.relays {
		if v := p.at(r); v != nil && v.State != relayDraining {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return names
}

// turncoat makes a relay that is honest until it is told to lie, in one of the ways of
// lying.
func (w *world) turncoat(name, way string) (*relay, *atomic.Bool) {
	r, lies := w.NewRelay(name), new(atomic.Bool)
	r.Before = func(s mailbox.Store) mailbox.Store { return &turned{Store: ledger{s, r}, lies: lies, way: way} }
	if way == forging {
		wrong := mailboxtest.WrongKey(w)
		r.Signer = func(own mailbox.Signer) mailbox.Signer {
			return signs(func(text []byte) ([]byte, error) {
				if lies.Load() {
					return wrong.Sign(text)
				}
				return own.Sign(text)
			})
		}
	}
	r.Starts()
	return r, lies
}

// The ways of lying.
const (
	hiding    = "tells of nothing"
	losing    = "keeps nothing"
	forging   = "signs wrongly"
	returning = "deletes nothing"
)

type signs func([]byte) ([]byte, error)

func (s signs) Sign(text []byte) ([]byte, error) { return s(text) }

type turned struct {
	mailbox.Store
	lies *atomic.Bool
	way  string
}

func (s *turned) Commit(now time.Time, changes []mailbox.Change) error {
	if !s.lies.Load() {
		return s.Store.Commit(now, changes)
	}
	var pass, drop []mailbox.Change
	for _, c := range changes {
		d, deletes := c.(*mailbox.Delete)
		if deletes && s.way == returning {
			d.Deleted = len(d.Cells)
			continue
		}
		pass = append(pass, c)
	}
	if err := s.Store.Commit(now, pass); err != nil || s.way != losing {
		return err
	}
	for _, c := range pass {
		if d, ok := c.(*mailbox.Deposit); ok && d.Err == nil {
			drop = append(drop, &mailbox.Delete{Box: d.Box, Cells: []mailbox.CellID{d.ID}})
		}
	}
	return s.Store.Commit(now, drop)
}

func (s *turned) List(box mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	if s.lies.Load() && s.way == hiding {
		return nil, false, nil
	}
	return s.Store.List(box, after, limit, now)
}

// Relays say of themselves that they are for friends alone, keep mail for a day, open few queues or keep little: Alice, who looks for
// relays, asks nothing of them. One suits; from Alice her contacts hear what that is set to.
func TestRelaysThatDoNotSuit(t *testing.T) {
	inWorld(t, func(w *world) {
		y := new(yard)
		alice, _ := w.Chooser("alice", y, Pace{})
		open := mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}}
		with := func(name string, change func(*mailbox.ServerConfig)) *relay {
			r, terms := w.Relay(name), open
			terms.Quotas = mailbox.DefaultQuotas()
			change(&terms)
			w.check(r.server.SetTerms(terms))
			return r
		}
		closed := with("for friends", func(c *mailbox.ServerConfig) {
			c.Leases, c.Tokens = []mailbox.LeaseKind{mailbox.LeaseToken}, [][]byte{[]byte("a friend's token")}
		})
		short := with("for a day", func(c *mailbox.ServerConfig) { c.MaxTTL = 24 * time.Hour })
		narrow := with("for nobody's contacts", func(c *mailbox.ServerConfig) { c.Quotas.BoxQueues = 40 })
		small := with("for a few words", func(c *mailbox.ServerConfig) { c.Quotas.BoxBytes = 1 << 20 })
		oak := w.Relay("oak")
		y.announces(closed, short, narrow, small, oak)
		bob := w.Person("bob", w.Relay("bob's relay"))
		alice.Returns()
		alice.Awaits("a relay", func() bool { return slices.Equal(alice.inUse(), []string{"oak"}) })
		alice.Meets(bob) // of two contacts' queues
		w.Advance(lookLast)
		if names := alice.inUse(); !slices.Equal(names, []string{"oak"}) {
			w.Errorf("the relays in use are %q", names)
		}
		for _, r := range []*relay{closed, short, narrow, small} {
			if n := len(r.boxes()); n != 0 {
				w.Errorf("a box was leased at the one %s", r.name)
			}
		}
		// Of one that suits contacts hear what it is set to, and that changes with it.
		told := func() (d *mailbox.Descriptor) {
			alice.must(func(t *turn) error {
				item, err := alice.descriptors(t, bob.me)
				if err != nil {
					return err
				}
				all, err := content.ParseDescriptors(item.Body)
				if err != nil {
					return err
				}
				for _, raw := range all.List {
					one, err := mailbox.ParseDescriptor(raw)
					if err != nil {
						return err
					}
					if one.Relay == oak.id() {
						d = one
					}
				}
				return nil
			})
			return d
		}
		d := told()
		if d == nil {
			w.Fatal("Bob was told nothing")
		}
		if leases, token, ok := d.Terms(); !ok || token || !slices.Equal(leases, open.Leases) || d.Cells != mailbox.DefaultQuotas().QueueCells {
			w.Errorf("Bob was told %v %v %v, %d cells", leases, token, ok, d.Cells)
		}
	})
}

// Somebody new has no relay. Three are found, in three corners of the network as far as
// there are so many, and stay; what contacts leave there arrives.
func TestThreeAreFound(t *testing.T) {
	inWorld(t, func(w *world) {
		y := new(yard)
		alice, _ := w.Chooser("alice", y, Pace{})
		alice.Returns()
		w.Advance(10 * time.Second)
		if c := alice.Choice(); c.Working != 0 || !c.Seeking || !strings.Contains(c.Reason, "tells of no other relay") {
			w.Errorf("with no relay anywhere the choice is %+v", c)
		}
		oak, elm := w.Relay("oak"), w.Relay("elm")
		var corner []*relay // of one group of addresses
		for i := range 4 {
			r := w.NewRelay(fmt.Sprint("corner ", i))
			if i > 0 {
				r.ip = slices.Clone(corner[0].ip)
				r.ip[3] += byte(i)
			}
			r.Starts()
			corner = append(corner, r)
		}
		y.announces(corner...)
		y.announces(oak, elm, w.NewRelay("dead"))
		w.Advance(lookLast)
		names := alice.inUse()
		if len(names) != 3 || !slices.Contains(names, "oak") || !slices.Contains(names, "elm") {
			w.Fatalf("the relays found are %q", names)
		}
		if c := alice.Choice(); *c != (api.Choice{Wanted: 3, Working: 3}) {
			w.Errorf("with three relays the choice is %+v", c)
		}
		for _, v := range must(alice.Relays(w.Context())) {
			if v.Source != string(store.RelayByDHT) || v.State != relayConnected {
				w.Errorf("a relay that was found is %+v", v)
			}
		}
		bob := w.Person("bob")
		alice.Meets(bob)
		alice.Leaves()
		sent := bob.Sees(bob.Says(alice, "three times"), api.Kept)
		bob.Awaits("three receipts", func() bool { sent = bob.state(must(content.ParseID(sent.ID))); return sent.Relays.Kept == 3 })
		bob.Leaves()
		asked := y.asked
		alice.Returns()
		alice.Reads(bob, "three times")
		w.Advance(15 * time.Minute)
		if now := alice.inUse(); !slices.Equal(now, names) {
			w.Errorf("after a new start the relays are %q", now)
		}
		if y.asked > asked+1 {
			w.Errorf("with three relays that work others were looked for %d times", y.asked-asked)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// One of Alice's three relays turns out to lie, or two do. All that Bob says arrives.
// The liars are replaced, one after the other, and the log says why without saying who.
func TestLiarsAreReplaced(t *testing.T) {
	long(t)
	whys := map[string]problem.Code{hiding: problem.RelayLoses, losing: problem.RelayLoses, forging: problem.RelayForges, returning: problem.RelayReturns}
	for _, ways := range [][]string{{hiding}, {returning}, {losing, forging}} {
		t.Run(strings.Join(ways, ", another "), func(t *testing.T) {
			inWorld(t, func(w *world) {
				y := new(yard)
				bob := w.Person("bob", w.Relay("yew"))
				lies := make(map[string]*atomic.Bool)
				for i, way := range ways {
					r, lie := w.turncoat(fmt.Sprint("liar ", i), way)
					lies[r.name] = lie
					y.announces(r)
				}
				for i := len(ways); i < keptWanted; i++ {
					y.announces(w.Relay(fmt.Sprint("first ", i)))
				}
				pace := Pace{Lie: time.Minute, Change: 20 * time.Minute}
				alice, log := w.Chooser("alice", y, pace)
				alice.Returns()
				w.Advance(time.Minute)
				before := alice.inUse()
				if len(before) != keptWanted {
					w.Fatalf("the relays found are %q", before)
				}
				for i := range ways {
					y.announces(w.Relay(fmt.Sprint("spare ", i)))
				}
				alice.Meets(bob)
				alice.Leaves()
				for _, l := range lies {
					l.Store(true)
				}
				first := bob.Says(alice, "while she is away")
				w.Advance(time.Minute)
				alice.Returns()
				alice.Reads(bob, "while she is away")
				bob.Sees(first, api.Delivered)

				left := func() (n int) {
					for _, name := range alice.inUse() {
						if lies[name] != nil {
							n++
						}
					}
					return n
				}
				w.Advance(pace.Change / 2)
				if n := left(); n != len(ways)-1 {
					w.Fatalf("some minutes later %d liars of %d are in use; the log says\n%s", n, len(ways), log)
				}
				w.Advance(pace.Change)
				now := alice.inUse()
				if len(now) != keptWanted || left() != 0 {
					w.Fatalf("half an hour later the relays are %q; the log says\n%s", now, log)
				}
				if c := alice.Choice(); c.Working != 3 || c.Seeking {
					w.Errorf("with the liars replaced the choice is %+v", c)
				}
				for _, way := range ways {
					if want := "is given up\" why=\"" + whys[way].Error() + "\" replaced=true"; !strings.Contains(log.String(), want) {
						w.Errorf("the log does not say %q but\n%s", want, log)
					}
				}
				for name := range maps.Keys(lies) {
					i := slices.IndexFunc(w.relays, func(r *relay) bool { return r.name == name })
					if strings.Contains(log.String(), w.relays[i].id().String()) || strings.Contains(log.String(), w.relays[i].ip.String()) {
						w.Errorf("the log names %s", name)
					}
				}
				alice.Leaves()
				second := bob.Sees(bob.Says(alice, "and again"), api.Kept)
				bob.Awaits("three receipts", func() bool { return bob.state(must(content.ParseID(second.ID))).Relays.Kept == 3 })
				alice.Returns()
				alice.Reads(bob, "while she is away", "and again")
			})
		})
	}
}

// A relay of Alice's vanishes. Once it has been away for long while she was online,
// another takes its place and Bob is told; what he left before is not lost. That her
// own line fails for as long says nothing of her relays.
func TestARelayVanishes(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		oak, elm, ash, fir, yew := w.Relay("oak"), w.Relay("elm"), w.Relay("ash"), w.Relay("fir"), w.Relay("yew")
		y.announces(oak, elm, ash)
		pace := Pace{Down: 20 * time.Minute}
		alice, log := w.Chooser("alice", y, pace)
		bob := w.Person("bob", yew)
		alice.Returns()
		w.Advance(time.Minute)
		alice.Meets(bob)
		bob.Leaves()
		y.announces(fir)
		// Her line fails.
		y.fails(true)
		all := []*relay{oak, elm, ash, fir, yew}
		for _, r := range all {
			w.wires.setCut("alice", r.name, true)
		}
		w.Advance(30 * time.Minute)
		for _, r := range all {
			w.wires.setCut("alice", r.name, false)
		}
		y.fails(false)
		w.Advance(2 * boxLast)
		if names := alice.inUse(); !slices.Equal(names, []string{"ash", "elm", "oak"}) {
			w.Errorf("after her line had failed the relays are %q", names)
		}
		// Half of the time, a new start, and the other half.
		oak.Stops()
		w.Advance(12 * time.Minute)
		alice.Leaves()
		alice.Returns()
		if names := alice.inUse(); !slices.Contains(names, "oak") {
			w.Error("the relay is replaced before its time")
		}
		w.Advance(10 * time.Minute)
		if names := alice.inUse(); !slices.Equal(names, []string{"ash", "elm", "fir"}) {
			w.Fatalf("the relays are %q; the log says\n%s", names, log)
		}
		if v := alice.drains(oak); v == nil || v.Unaware != 1 {
			w.Errorf("the relay that vanished is %+v", alice.at(oak))
		}
		if !strings.Contains(log.String(), string(problem.RelayGone)) {
			w.Errorf("the log does not say why:\n%s", log)
		}
		alice.Leaves()
		bob.Returns()
		bob.Sees(bob.Says(alice, "by the new one too"), api.Kept)
		bob.Awaits("the new one to keep it", func() bool { return len(fir.keptFor(len(fir.boxes())-1)) > 0 })
		alice.Returns()
		alice.Reads(bob, "by the new one too")
	})
}

// A relay that Alice gave by hand lies. It stays, as she wished; she is told, and
// another stands beside it.
func TestARelayByHandStays(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		own, lies := w.turncoat("own", losing)
		y.announces(w.Relay("oak"), w.Relay("elm"), w.Relay("ash"))
		alice, _ := w.Chooser("alice", y, Pace{Lie: time.Minute}, own)
		alice.Returns()
		w.Advance(time.Minute)
		if names := alice.inUse(); len(names) != 3 || !slices.Contains(names, "own") {
			w.Fatalf("beside her own the relays are %q", names)
		}
		lies.Store(true)
		w.Advance(15 * time.Minute)
		if names := alice.inUse(); len(names) != 4 || !slices.Contains(names, "own") {
			w.Fatalf("with her own lying the relays are %q", names)
		}
		if v := alice.at(own); v.Failing != Reason(string(problem.RelayLoses)) || v.State != relayConnected {
			w.Errorf("her own relay is %+v", v)
		}
		said := false
		alice.mu.Lock()
		for _, e := range alice.events {
			said = said || e.Event == api.EventRelay && e.State == relayFailing && strings.Contains(e.Reason, string(problem.RelayLoses))
		}
		alice.mu.Unlock()
		if !said {
			w.Error("no event tells of it")
		}
		inv := must(identity.ParseLink(alice.Invites()))
		if len(inv.Hints) != 3 || slices.ContainsFunc(inv.Hints, func(h identity.Hint) bool { return string(h.Peer) == string(own.id()) }) {
			w.Error("an invitation names the relay that lies, and not the three that work")
		}
		// She takes it away, and it is not chosen though it announces itself.
		y.announces(own)
		alice.relays = nil
		w.check(alice.RemoveRelay(w.Context(), own.id()))
		w.Advance(10 * time.Minute)
		if names := alice.inUse(); len(names) != 3 || slices.Contains(names, "own") {
			w.Errorf("after she removed her own the relays are %q", names)
		}
	})
}

// A relay loses its disk once, while Alice is away for days. She notices; but that can
// happen to anybody.
func TestARelayLosesItsDiskOnce(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		oak := w.Relay("oak")
		y.announces(oak, w.Relay("elm"), w.Relay("ash"), w.Relay("fir"))
		alice, log := w.Chooser("alice", y, Pace{}, oak)
		alice.relays = nil
		alice.choice.Pace.Lie = 2 * time.Minute
		alice.Returns()
		w.Advance(5 * time.Minute)
		names := alice.inUse()
		lost := w.relays[slices.IndexFunc(w.relays, func(r *relay) bool { return r.name == names[0] })]
		alice.Leaves()
		lost.Stops()
		lost.store = mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0)
		lost.Starts()
		w.Pass(3 * day)
		alice.Returns()
		w.Advance(20 * time.Minute)
		if !strings.Contains(log.String(), "failed a test\" why=\""+problem.RelayLoses.Error()) {
			w.Errorf("she did not notice:\n%s", log)
		}
		if now := alice.inUse(); !slices.Equal(now, names) {
			w.Errorf("the relays are %q, not %q; the log says\n%s", now, names, log)
		}
		if v := alice.at(lost); v.Failing != "" || v.State != relayConnected {
			w.Errorf("the relay is %+v", v)
		}
	})
}

// A relay's disk is slow. It is replaced.
func TestASlowRelay(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		slow := w.NewRelay("slow")
		pause := new(atomic.Int64)
		slow.Before = func(s mailbox.Store) mailbox.Store { return lazy{ledger{s, slow}, pause} }
		slow.Starts()
		y.announces(slow, w.Relay("elm"), w.Relay("ash"))
		alice, log := w.Chooser("alice", y, Pace{Lie: 30 * time.Second})
		alice.Returns()
		w.Advance(time.Minute)
		if n := len(alice.inUse()); n != 3 {
			w.Fatalf("%d relays are in use", n)
		}
		y.announces(w.Relay("fir"))
		pause.Store(int64(7 * time.Second))
		w.Advance(15 * time.Minute)
		if names := alice.inUse(); len(names) != 3 || slices.Contains(names, "slow") || !strings.Contains(log.String(), string(problem.RelaySlow)) {
			w.Errorf("the relays are %q; the log says\n%s", names, log)
		}
	})
}

// Alice is there for minutes a day only, in which the relay answers a few times. After
// some days she knows that it is slow.
func TestASlowRelayOfWhoIsSeldomThere(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		y := new(yard)
		slow := w.NewRelay("slow")
		pause := new(atomic.Int64)
		slow.Before = func(s mailbox.Store) mailbox.Store { return lazy{ledger{s, slow}, pause} }
		slow.Starts()
		y.announces(slow, w.Relay("elm"), w.Relay("ash"))
		alice, log := w.Chooser("alice", y, Pace{})
		alice.Returns()
		w.Advance(time.Minute)
		y.announces(w.Relay("fir"))
		pause.Store(int64(7 * time.Second))
		for days := range 6 {
			if names := alice.inUse(); days < 3 && !slices.Contains(names, "slow") {
				w.Fatalf("the relay is replaced before much is known of it: %q; the log says\n%s", names, log)
			}
			alice.Leaves()
			w.Pass(day)
			alice.Returns()
			w.Advance(3 * time.Minute)
		}
		if names := alice.inUse(); slices.Contains(names, "slow") || !strings.Contains(log.String(), string(problem.RelaySlow)) {
			w.Errorf("the relays are %q; the log says\n%s", names, log)
		}
	})
}

// lazy takes its time to keep cells.
type lazy struct {
	mailbox.Store
	pause *atomic.Int64
}

func (s lazy) Commit(now time.Time, changes []mailbox.Change) error {
	if slices.ContainsFunc(changes, func(c mailbox.Change) bool { _, put := c.(*mailbox.Deposit); return put }) {
		<-time.After(time.Duration(s.pause.Load()))
	}
	return s.Store.Commit(now, changes)
}

// Bob's invitation names his relays; Alice, who has none and no DHT, uses them. They
// may be one person's, so one that the DHT tells of comes before a second of them.
func TestRelaysOfAnInvitation(t *testing.T) {
	inWorld(t, func(w *world) {
		y := new(yard)
		y.fails(true)
		bob := w.Person("bob", w.Relay("oak"), w.Relay("elm"))
		alice, _ := w.Chooser("alice", y, Pace{})
		alice.Returns()
		alice.Accepts(bob, bob.Invites(), "hello")
		w.Advance(time.Minute)
		if names := alice.inUse(); !slices.Equal(names, []string{"elm", "oak"}) {
			w.Fatalf("the relays are %q", names)
		}
		if c := alice.Choice(); c.Alike != 2 || c.Working != 2 || !strings.Contains(c.Reason, "nobody in the DHT answers") {
			w.Errorf("the choice is %+v", c)
		}
		for _, v := range must(alice.Relays(w.Context())) {
			if v.Source != string(store.RelayByInvitation) {
				w.Errorf("a relay is %+v", v)
			}
		}
		bob.Reads(alice, "hello")
		alice.Leaves()
		bob.Sees(bob.Says(alice, "welcome"), api.Kept)
		alice.Returns()
		alice.Reads(bob, "welcome")
	})
}

// Somebody announces hundreds of relays. As many are remembered as are of use, and those
// known before stay.
func TestCandidatesAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, _ := w.Chooser("alice", new(yard), Pace{})
		alice.Returns()
		infos := func(n int) (list []peer.AddrInfo) {
			for range n {
				list = append(list, w.NewRelay("none").info())
			}
			return list
		}
		known := infos(3)
		note := func(list []peer.AddrInfo) {
			alice.must(func(t *turn) error { return alice.noteCandidates(t, store.RelayByDHT, "", list) })
		}
		candidates := func() (list []store.Candidate) {
			alice.View(func(tx *store.Tx) (err error) {
				list, err = tx.Candidates()
				return err
			})
			return list
		}
		note(known)
		w.Advance(time.Second)
		note(infos(200))
		now := candidates()
		if len(now) != store.MaxCandidates {
			w.Fatalf("%d are remembered", len(now))
		}
		for _, k := range known {
			if !slices.ContainsFunc(now, func(c store.Candidate) bool { return c.Peer == store.PeerID(k.ID) }) {
				w.Error("one that was known before is forgotten")
			}
		}
		// All of them are in one corner but the first; who is elsewhere finds room.
		corner := func(n int) (list []peer.AddrInfo) {
			list = infos(n)
			for i := range list {
				list[i].Addrs = []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/8.8.8.%d/tcp/4001", i+1))}
			}
			return list
		}
		alice.must(func(t *turn) error {
			for _, k := range now[3:] {
				if err := t.DeleteCandidate(k.Peer); err != nil {
					return err
				}
			}
			return alice.noteCandidates(t, store.RelayByDHT, "", corner(200))
		})
		elsewhere := infos(1)
		note(elsewhere)
		now = candidates()
		if i := slices.IndexFunc(now, func(c store.Candidate) bool { return c.Peer == store.PeerID(elsewhere[0].ID) }); i < 0 || len(now) != store.MaxCandidates {
			w.Errorf("of %d candidates none is elsewhere", len(now))
		}
		for _, k := range known {
			if !slices.ContainsFunc(now, func(c store.Candidate) bool { return c.Peer == store.PeerID(k.ID) }) {
				w.Error("one that was known before is forgotten")
			}
		}
		alice.Leaves()
		w.relays = nil
		w.Pass(staleCandidate + trialLast)
		alice.Returns()
		note(known[:1])
		if now := candidates(); len(now) != 1 {
			w.Errorf("a month later %d are remembered", len(now))
		}
	})
}

// cutter is a relay's host that lets circuits begin and cuts them once they carry a cell.
type cutter struct{ host.Host }

func (h cutter) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) {
		if p == proto.ProtoIDv2Hop {
			s = &cutStream{Stream: s}
		}
		f(s)
	})
}

type cutStream struct {
	network.Stream
	passed int
}

func (s *cutStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if s.passed += n; s.passed > mailbox.CellSmall {
		s.Reset()
		return 0, network.ErrReset
	}
	return n, err
}

// Of Alice's two relays the one cuts what passes it on the way to the other. That is no
// fault of the other, and is not taken for one.
func TestAHopCannotMakeARelayLookBad(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		w.private = true
		oak, elm := w.NewRelay("oak"), w.NewRelay("elm")
		elm.Host = func(h host.Host) host.Host { return cutter{h} }
		oak.Starts()
		elm.Starts()
		w.Advance(time.Minute)
		alice, log := w.Chooser("alice", new(yard), Pace{Lie: time.Minute, Down: 10 * time.Minute}, oak, elm)
		alice.Starts()
		w.Advance(2 * time.Hour)
		if strings.Contains(log.String(), "fails") || alice.Choice().Working != 2 {
			w.Errorf("%d relays work\n%s", alice.Choice().Working, log)
		}
	})
}

// Alice is killed between the steps of a test, which leaves cells by way of others:
// whatever is written down, nobody is blamed for it.
func TestATestIsCutShort(t *testing.T) {
	inWorld(t, func(w *world) {
		w.private = true
		y := new(yard)
		alice, log := w.Chooser("alice", y, Pace{Lie: time.Minute}, w.Relay("oak"), w.Relay("elm"), w.Relay("ash"))
		for i := range 12 {
			alice.Starts()
			w.Advance(time.Duration(i) * 11 * time.Second)
			alice.Leaves()
		}
		alice.Returns()
		w.Advance(5 * time.Minute)
		if strings.Contains(log.String(), "failed a test") {
			w.Errorf("an honest relay is blamed:\n%s", log)
		}
		for _, r := range w.relays {
			if n := len(r.kept()); n != 1 {
				w.Errorf("%s keeps %d test cells", r.name, n)
			}
		}
		if alice.Choice().Working != 3 {
			w.Error("not all relays work")
		}
	})
}
