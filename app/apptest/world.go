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
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
)

// Patience is how long anything in a world may take before a test fails.
const Patience = 30 * time.Second

// World holds people and relays. They end with the test.
type World struct {
	t      testing.TB
	dir    string
	relays map[string]*Relay
}

// New makes an empty world.
func New(t testing.TB) *World {
	return &World{t: t, dir: t.TempDir(), relays: make(map[string]*Relay)}
}

// Dir is where the world keeps its files.
func (w *World) Dir() string { return w.dir }

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

// Relay makes a relay and starts it.
func (w *World) Relay(name string) *Relay {
	w.t.Helper()
	r := w.NewRelay(name)
	r.Starts()
	return r
}

// Starts runs the relay, on the same addresses as before.
func (r *Relay) Starts() {
	r.w.t.Helper()
	listen := r.addrs
	n, err := node.New(node.Config{Mode: node.Loopback, Key: r.key, Listen: listen})
	r.w.check(err)
	if r.addrs == nil {
		for _, a := range n.Host().Network().ListenAddresses() {
			r.addrs = append(r.addrs, a.String())
		}
	}
	kept, err := disk.Open(disk.Config{Dir: filepath.Join(r.w.dir, r.name)})
	r.w.check(err)
	var signer mailbox.Signer = r.key
	if r.Signer != nil {
		signer = r.Signer(signer)
	}
	var store mailbox.Store = kept
	if r.Store != nil {
		store = r.Store(store)
	}
	s, err := mailbox.NewServer(n.Host(), signer, store, mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}})
	r.w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			r.w.t.Errorf("relay %s: %v", r.name, err)
		}
	})
	running.Go(func() { kept.Run(ctx) })
	r.stop = func() {
		cancel()
		running.Wait()
		n.Close()
		kept.Close()
	}
}

// Stops ends the relay; what it keeps stays on its disk.
func (r *Relay) Stops() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Addrs are the relay's addresses with its PeerID.
func (r *Relay) Addrs() (list []string) {
	id, err := peerID(r.key)
	r.w.check(err)
	for _, a := range r.addrs {
		list = append(list, a+"/p2p/"+id)
	}
	return list
}

// Person is an account of the world.
type Person struct {
	*app.App
	Name string

	w      *World
	relays []string
	log    slog.Level
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
			id, err := peerID(p.w.relays[r].key)
			p.w.check(err)
			p.Awaits("relay "+r, func(ctx context.Context) bool {
				list, err := a.Relays(ctx, api.RelaysRequest{})
				return err == nil && slices.ContainsFunc(list, func(v api.Relay) bool { return v.Relay == id && v.State == "connected" })
			})
		}
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			p.w.t.Fatalf("%s waited in vain: %s", p.Name, what)
		case <-tick.C:
		}
	}
}

// Meets makes two people contacts by an invitation of the first, each called by
// their name.
func (p *Person) Meets(other *Person) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	inv, err := p.Invite(ctx, api.InviteRequest{})
	p.w.check(err)
	_, err = other.Accept(ctx, api.AcceptRequest{Link: inv.Link, Name: p.Name})
	p.w.check(err)
	p.Awaits(other.Name+" to be a contact", func(ctx context.Context) bool { return p.knows(ctx, other.Name) })
	other.Awaits("an answer of "+p.Name, func(ctx context.Context) bool {
		s, err := other.Status(ctx, api.StatusRequest{})
		return err == nil && s.Waiting == 0
	})
}

func (p *Person) knows(ctx context.Context, name string) bool {
	list, err := p.Contacts(ctx, api.ContactsRequest{})
	return err == nil && slices.ContainsFunc(list, func(c api.Contact) bool { return c.Name == name })
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
	p.Awaits(fmt.Sprintf("a message to be %s", want), func(ctx context.Context) bool {
		list, err := p.Messages(ctx, api.MessagesRequest{Contact: other.Name, Limit: 10_000})
		p.w.check(err)
		i := slices.IndexFunc(list, func(m api.Message) bool { return m.ID == id })
		if i < 0 {
			return false
		}
		m = list[i]
		return m.State.Meets(want)
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

func peerID(k crypto.PrivKey) (string, error) {
	id, err := peer.IDFromPrivateKey(k)
	return id.String(), err
}
