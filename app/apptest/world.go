// Package apptest is a world of people for tests: accounts with profiles of
// their own and relays, in one process, that speak over real sockets on loopback.
//
//	w := apptest.New(t)
//	w.Relay("relay")
//	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
//	alice.Meets(bob)
//	bob.Leaves()
//	m := alice.Says(bob, "hello")
//	alice.Sees(m, api.Kept)
//	bob.Returns()
//	bob.Reads(alice, "hello")
package apptest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity/vault"
	"github.com/godwit-im/godwit/p2p/circuit"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
)

// Patience is how long anything in a world may take before a test fails.
const Patience = time.Minute

// World holds people and relays. They end with the test.
type World struct {
	t      testing.TB
	dir    string
	relays map[string]*Relay
	peers  []string // servers of the DHT

	private bool // see Private
	mu      sync.Mutex
	running []*Relay // if private
	yard    *yard    // see Yard; nil: none
}

// New makes an empty world.
func New(t testing.TB) *World {
	return &World{t: t, dir: t.TempDir(), relays: make(map[string]*Relay)}
}

// Dir is where the world keeps its files.
func (w *World) Dir() string { return w.dir }

// Private has the relays that start from now on be reached through each other, and
// people leave their messages so.
func (w *World) Private() { w.private = true }

// DHT starts servers of a DHT, which all people made afterwards know three of.
func (w *World) DHT(servers int) {
	w.t.Helper()
	var known []peer.AddrInfo
	for range servers {
		n, err := node.New(node.Config{Mode: node.Loopback})
		w.check(err)
		d, err := dht.New(n.Host(), dht.Config{Mode: node.Loopback, Relay: true, Bootstrap: known})
		w.check(err)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := d.Run(ctx); err != nil {
				w.t.Errorf("a server of the DHT: %v", err)
			}
		})
		w.t.Cleanup(func() {
			cancel()
			running.Wait()
			n.Close()
		})
		if len(known) < 3 {
			known = append(known, peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()})
			for _, a := range n.PeerAddrs() {
				w.peers = append(w.peers, a.String())
			}
		}
	}
}

// Relay is a relay of the world.
type Relay struct {
	w     *World
	name  string
	key   crypto.PrivKey
	addrs []string // as of its first start; kept over restarts

	// Signer and Store, if set before Starts, stand before the relay's own: a
	// relay that lies.
	Signer func(mailbox.Signer) mailbox.Signer
	Store  func(mailbox.Store) mailbox.Store

	kept mailbox.Store
	stop func()
}

// NewRelay makes a relay that does not run yet.
func (w *World) NewRelay(name string) *Relay {
	w.t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	w.check(err)
	r := &Relay{w: w, name: name, key: key}
	w.relays[name] = r
	w.t.Cleanup(r.Stops)
	return r
}

// Yard says that the relays which come from now on announce themselves in a DHT that
// they make together, and that people who come then find theirs there, at a pace.
func (w *World) Yard(pace config.Pace) { w.yard = &yard{pace: pace} }

// yard is a DHT made by relays.
type yard struct {
	pace config.Pace
	ways []peer.AddrInfo // those that were there first
}

// joins has a relay take part.
func (y *yard) joins(ctx context.Context, w *World, n *node.Node, running *sync.WaitGroup) {
	d, err := dht.New(n.Host(), dht.Config{Mode: node.Loopback, Relay: true, Bootstrap: y.ways})
	w.check(err)
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			w.t.Errorf("a relay's DHT: %v", err)
		}
	})
	if len(y.ways) < 3 {
		y.ways = append(y.ways, peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()})
		for _, a := range n.PeerAddrs() {
			w.peers = append(w.peers, a.String())
		}
	}
}

// Relay makes a relay and starts it.
func (w *World) Relay(name string) *Relay {
	w.t.Helper()
	r := w.NewRelay(name)
	r.Starts()
	return r
}

// listens makes the relay's node, on the same addresses as before. At first it is given a port that no system gives out by
// itself, so that nobody else has it when the relay comes back.
func (r *Relay) listens() (n *node.Node, err error) {
	for range 20 {
		listen := r.addrs
		if listen == nil {
			port := 20000 + mathrand.IntN(12000)
			listen = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port), fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)}
		}
		n, err = node.New(node.Config{Mode: node.Loopback, Key: r.key, Listen: listen, Circuits: r.w.private})
		if err == nil || r.addrs != nil {
			break
		}
	}
	return n, err
}

// Starts runs the relay, on the same addresses as before.
func (r *Relay) Starts() {
	r.w.t.Helper()
	n, err := r.listens()
	r.w.check(err)
	if r.addrs == nil {
		for _, a := range n.ListenAddrs() {
			r.addrs = append(r.addrs, a.String())
		}
	}
	kept, err := disk.Open(disk.Config{Dir: r.dir()})
	r.w.check(err)
	r.kept = kept
	var signer mailbox.Signer = r.key
	if r.Signer != nil {
		signer = r.Signer(signer)
	}
	var store mailbox.Store = kept
	if r.Store != nil {
		store = r.Store(store)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	terms := mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}}
	var hop *circuit.Hop
	if r.w.private {
		hop, err = circuit.NewHop(n.Host(), node.Loopback)
		r.w.check(err)
		holder := circuit.NewHolder(n.Host(), circuit.HolderConfig{Mode: node.Loopback, Find: r.w.found})
		running.Go(func() { holder.Run(ctx) })
		terms.Routes = holder.Addrs
		r.w.starts(r, true)
	}
	if r.w.yard != nil {
		r.w.yard.joins(ctx, r.w, n, &running)
	}
	s, err := mailbox.NewServer(n.Host(), signer, store, terms)
	r.w.check(err)
	running.Go(func() {
		if err := s.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			r.w.t.Errorf("relay %s: %v", r.name, err)
		}
	})
	running.Go(func() { kept.Run(ctx) })
	r.stop = func() {
		cancel()
		running.Wait()
		if hop != nil {
			r.w.starts(r, false)
			hop.Close()
		}
		n.Close()
		kept.Close()
	}
}

// starts notes that a relay starts or stops.
func (w *World) starts(r *Relay, begins bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = slices.DeleteFunc(w.running, func(other *Relay) bool { return other == r })
	if begins {
		w.running = append(w.running, r)
	}
}

// found are the relays that run. Each who asks has addresses of its own, as libp2p
// writes behind the ends of those that it is given.
func (w *World) found(context.Context, int) (list []peer.AddrInfo, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.running {
		list = append(list, r.AddrInfo())
	}
	return list, nil
}

// Stops ends the relay; what it keeps stays on its disk.
func (r *Relay) Stops() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Remembers says that from now on nothing reaches the relay's disk, whatever the
// relay answers: what it writes is in a cache that LosesPower loses.
func (r *Relay) Remembers() {
	r.w.t.Helper()
	running := r.stop != nil
	r.Stops()
	r.w.check(os.RemoveAll(r.synced()))
	r.w.check(os.CopyFS(r.synced(), os.DirFS(r.dir())))
	if running {
		r.Starts()
	}
}

// LosesPower takes the relay back to when it was last told to remember, and
// starts it again.
func (r *Relay) LosesPower() {
	r.w.t.Helper()
	r.Stops()
	r.w.check(os.RemoveAll(r.dir()))
	r.w.check(os.CopyFS(r.dir(), os.DirFS(r.synced())))
	r.Starts()
}

// LosesDisk empties the relay's disk and starts it again. It keeps its key.
func (r *Relay) LosesDisk() {
	r.w.t.Helper()
	r.Stops()
	r.w.check(os.RemoveAll(r.dir()))
	r.Starts()
}

func (r *Relay) dir() string    { return filepath.Join(r.w.dir, r.name) }
func (r *Relay) synced() string { return filepath.Join(r.w.dir, r.name+".synced") }

// Empties waits until the relay holds no cell.
func (r *Relay) Empties() {
	r.w.t.Helper()
	r.w.awaits(r.name, "to hold no cell", func(context.Context) bool { return r.kept.Usage().Cells == 0 })
}

// ID is the relay's PeerID.
func (r *Relay) ID() peer.ID {
	id, err := peer.IDFromPrivateKey(r.key)
	r.w.check(err)
	return id
}

// AddrInfo is where the relay is found.
func (r *Relay) AddrInfo() peer.AddrInfo {
	at := peer.AddrInfo{ID: r.ID()}
	for _, text := range r.addrs {
		a, err := ma.NewMultiaddr(text)
		r.w.check(err)
		at.Addrs = append(at.Addrs, a)
	}
	return at
}

// Addrs are the relay's addresses with its PeerID.
func (r *Relay) Addrs() (list []string) {
	for _, a := range r.addrs {
		list = append(list, a+"/p2p/"+r.ID().String())
	}
	return list
}

// Person is an account of the world.
type Person struct {
	*app.App
	Name string

	w      *World
	relays []string
	events []api.Event
	mu     sync.Mutex
	news   *sync.Cond
	stop   func()
}

// Person makes an account that keeps its mail at the named relays, and starts it.
func (w *World) Person(name string, relays ...string) *Person {
	w.t.Helper()
	p := &Person{Name: name, w: w, relays: relays}
	p.news = sync.NewCond(&p.mu)
	_, err := app.Create(context.Background(), p.config(), api.InitRequest{Name: name})
	w.check(err)
	w.t.Cleanup(p.Leaves)
	p.Returns()
	return p
}

// Profile is the directory of the person's profile.
func (p *Person) Profile() string { return filepath.Join(p.w.dir, p.Name) }

func (p *Person) config() config.Config {
	env := map[string]string{"GODWIT_NETWORK": "loopback"}
	cfg, _, err := config.Load(config.Sources{Getenv: func(k string) string { return env[k] }, Profile: p.Profile()})
	p.w.check(err)
	for _, r := range p.relays {
		cfg.Relays = append(cfg.Relays, p.w.relays[r].Addrs()...)
	}
	cfg.Peers = p.w.peers
	if p.w.yard != nil {
		cfg.Choose, cfg.Pace = config.ChooseOn, p.w.yard.pace
	}
	if p.w.private {
		cfg.Private = config.PrivateOn
	}
	cfg.Logger = slog.New(slog.NewTextHandler(testWriter{p.w.t, p.Name}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return cfg
}

// Returns starts the person's node, and waits until the relays that run are
// reached.
func (p *Person) Returns() {
	p.w.t.Helper()
	a, err := app.Open(context.Background(), p.config())
	p.w.check(err)
	p.App = a
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			p.w.t.Errorf("%s: %v", p.Name, err)
		}
	})
	ready := make(chan struct{})
	running.Go(func() {
		a.Events(ctx, api.EventsRequest{}, func(e api.Event) error {
			if e.Event == api.EventReady {
				close(ready)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
			p.news.Broadcast()
			return nil
		})
	})
	<-ready
	p.stop = func() {
		cancel()
		running.Wait()
		if err := a.Close(); err != nil {
			p.w.t.Errorf("%s: close: %v", p.Name, err)
		}
	}
	for _, r := range p.relays {
		if p.w.relays[r].stop != nil {
			p.Connects(r)
		}
	}
}

// Connects waits until the person's box at a relay is connected.
func (p *Person) Connects(relay string) {
	p.w.t.Helper()
	id := p.w.relays[relay].ID().String()
	p.Awaits("relay "+relay, func(ctx context.Context) bool {
		list, err := p.Relays(ctx, api.RelaysRequest{})
		return err == nil && slices.ContainsFunc(list, func(v api.Relay) bool { return v.Relay == id && v.State == "connected" })
	})
}

// Happened are the events of a kind that the person was told of.
func (p *Person) Happened(kind string) (list []api.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == kind {
			list = append(list, e)
		}
	}
	return list
}

// Leaves stops the person's node.
func (p *Person) Leaves() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// Awaits waits until something is so. It looks again whenever something happens,
// and now and then.
func (p *Person) Awaits(what string, so func(context.Context) bool) {
	p.w.t.Helper()
	p.w.awaits(p.Name, what, so)
}

func (w *World) awaits(who, what string, so func(context.Context) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s waited in vain: %s", who, what)
		case <-tick.C:
		}
	}
}

// Meets makes two people contacts by an invitation of the first, each called by
// their name. It returns when each has answered the other.
func (p *Person) Meets(other *Person) {
	p.w.t.Helper()
	p.w.check(other.Accepts(p.Invites(), p.Name, ""))
	p.AwaitsContact(other.Name)
	p.Settles()
	other.Settles()
}

// Settles waits until nothing of the person's waits for an acknowledgement.
func (p *Person) Settles() {
	p.w.t.Helper()
	p.Awaits("all to be acknowledged", func(ctx context.Context) bool {
		s, err := p.Status(ctx, api.StatusRequest{})
		return err == nil && s.Waiting == 0
	})
}

// Invites makes a single-use invitation and returns its link.
func (p *Person) Invites() string {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	inv, err := p.Invite(ctx, api.InviteRequest{})
	p.w.check(err)
	return inv.Link
}

// Accepts accepts an invitation of somebody who will be called by the given name,
// and says a text at once unless it is empty.
func (p *Person) Accepts(link, name, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	_, err := p.Accept(ctx, api.AcceptRequest{Link: link, Name: name, Message: text})
	return err
}

// Knows are the names of the person's contacts.
func (p *Person) Knows() (names []string) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	list, err := p.Contacts(ctx, api.ContactsRequest{})
	p.w.check(err)
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

// AwaitsContact waits until the person has a contact of a name.
func (p *Person) AwaitsContact(name string) {
	p.w.t.Helper()
	p.Awaits(name+" to be a contact", func(context.Context) bool { return slices.Contains(p.Knows(), name) })
}

// Says sends a text and returns its id.
func (p *Person) Says(to *Person, text string) string {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	sent, err := p.Send(ctx, api.SendRequest{Contact: to.Name, Text: text})
	p.w.check(err)
	return sent.ID
}

// Sees waits until a message of the person's is known to have come as far as want.
func (p *Person) Sees(other *Person, id string, want api.State) api.Message {
	p.w.t.Helper()
	var m api.Message
	p.Awaits(fmt.Sprintf("a message to be %s", want), func(context.Context) bool {
		m = p.Finds(other, id)
		return m.State.Meets(want)
	})
	return m
}

// Finds is a message of the person's as it is now.
func (p *Person) Finds(other *Person, id string) api.Message {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	list, err := p.Messages(ctx, api.MessagesRequest{Contact: other.Name, Limit: 10_000})
	p.w.check(err)
	i := slices.IndexFunc(list, func(m api.Message) bool { return m.ID == id })
	if i < 0 {
		p.w.t.Fatalf("%s does not find message %s", p.Name, id)
	}
	return list[i]
}

// Keeps waits until a text of the person's is kept, and returns it.
func (p *Person) Keeps(other *Person, text string) (m api.Message) {
	p.w.t.Helper()
	p.Awaits(fmt.Sprintf("%q to be kept", text), func(ctx context.Context) bool {
		list, err := p.Messages(ctx, api.MessagesRequest{Contact: other.Name, Limit: 10_000})
		p.w.check(err)
		i := slices.IndexFunc(list, func(m api.Message) bool { return m.Text == text })
		if i >= 0 {
			m = list[i]
		}
		return m.State.Meets(api.Kept)
	})
	return m
}

// Hopes waits until a message of the person's has the given reason for not being
// further.
func (p *Person) Hopes(other *Person, id string, why problem.Code) (m api.Message) {
	p.w.t.Helper()
	p.Awaits("the reason "+string(why), func(context.Context) bool {
		m = p.Finds(other, id)
		return strings.Contains(m.Reason, string(why))
	})
	return m
}

// Hears are the texts that another has said, in the order shown.
func (p *Person) Hears(other *Person) (texts []string) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	list, err := p.Messages(ctx, api.MessagesRequest{Contact: other.Name, Limit: 10_000})
	p.w.check(err)
	for _, m := range list {
		if m.Name == other.Name {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// Reads waits until just these texts of another are there, in this order.
func (p *Person) Reads(other *Person, want ...string) {
	p.w.t.Helper()
	p.Awaits(fmt.Sprintf("%d texts of %s", len(want), other.Name), func(context.Context) bool { return len(p.Hears(other)) >= len(want) })
	if got := p.Hears(other); !slices.Equal(got, want) {
		p.w.t.Fatalf("%s reads %q of %s, want %q", p.Name, got, other.Name, want)
	}
}

func (w *World) check(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// testWriter sends a log to the test's.
type testWriter struct {
	t    testing.TB
	name string
}

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s: %s", w.name, strings.TrimSpace(string(b)))
	return len(b), nil
}

// Edits changes the database of a person who is away, as no node would.
func (p *Person) Edits(change func(*store.Tx) error) {
	p.w.t.Helper()
	v, err := vault.Open(p.Profile(), vault.Options{})
	p.w.check(err)
	s, err := store.Open(context.Background(), filepath.Join(p.Profile(), "godwit.db"), v.Secrets().Database, store.Options{})
	p.w.check(err)
	p.w.check(errors.Join(s.Update(context.Background(), change), s.Close()))
}
