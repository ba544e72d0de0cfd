package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long, in virtual time, anything may take that nothing hinders.
const patience = time.Minute

// world is where a story happens: people with profiles of their own, relays, and
// the wires between them, in virtual time from midnight of 2000-01-01 UTC.
type world struct {
	*testing.T
	wires  *wires
	dir    string // of the profiles of those who come from now on
	people int
	relays []*relay
	// private has relays be reached through each other, and people make use of it, or with
	// strict of nothing else.
	private bool
	strict  bool
	mu      sync.Mutex
	running []*relay
	board   *board          // the DHT of people who come from now on; nil: none
	ways    []peer.AddrInfo // into a real one, see Fifty; nil: none
}

// inWorld tells a story.
func inWorld(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { story(newWorld(t)) })
}

func newWorld(t *testing.T) *world { return &world{T: t, wires: newWires(), dir: t.TempDir()} }

func (w *world) routing() Routing {
	switch {
	case w.strict:
		return OnlyPrivate
	case w.private:
		return Private
	}
	return Straight
}

// Advance lets time pass.
func (w *world) Advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// Pass lets time pass while nobody is there, the relays neither: that costs
// nothing, where the timers of a running host take seconds for a month.
func (w *world) Pass(d time.Duration) {
	var stopped []*relay
	for _, r := range w.relays {
		if r.stop != nil {
			r.Stops()
			stopped = append(stopped, r)
		}
	}
	w.Advance(d)
	for _, r := range stopped {
		r.Starts()
	}
}

// AdvanceTo lets time pass until a time of day.
func (w *world) AdvanceTo(hour, minute int) {
	now := time.Now().UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if !at.After(now) {
		at = at.Add(24 * time.Hour)
	}
	w.Advance(at.Sub(now))
}

func (w *world) check(err error) {
	if err != nil {
		w.Helper()
		w.Fatal(err)
	}
}

// place gives somebody an IP address.
func (w *world) place() net.IP {
	w.people++
	return net.IPv4(9, byte(w.people>>8), byte(w.people), 1).To4()
}

// relay is a relay. What it keeps survives its stops.
type relay struct {
	w     *world
	name  string
	key   crypto.PrivKey
	ip    net.IP
	store *mailboxtest.Memory

	// Before, Signer and Host, if set before Starts, stand before the relay's own.
	Before func(mailbox.Store) mailbox.Store
	Signer func(mailbox.Signer) mailbox.Signer
	Host   func(host.Host) host.Host
	// Routes, if set before Starts, is through whom the relay says that it is reached.
	Routes func() []ma.Multiaddr
	// Work is the least work for a stranger's deposit, in bits; 0: what relays ask for.
	Work uint8

	server *mailbox.Server
	stop   func()

	mu    sync.Mutex
	known []mailbox.BoxPublic // in the order of their first leases
}

// boxes are those that the relay ever had.
func (r *relay) boxes() []mailbox.BoxPublic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.known)
}

func (r *relay) meets(b mailbox.BoxPublic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.known, b) {
		r.known = append(r.known, b)
	}
}

// ledger notes which boxes a relay has.
type ledger struct {
	mailbox.Store
	r *relay
}

func (l ledger) Commit(now time.Time, changes []mailbox.Change) error {
	for _, c := range changes {
		if g, ok := c.(*mailbox.GrantLease); ok {
			l.r.meets(g.Box)
		}
	}
	return l.Store.Commit(now, changes)
}

// Relay starts a relay.
func (w *world) Relay(name string) *relay {
	w.Helper()
	r := w.NewRelay(name)
	r.Starts()
	return r
}

// EasyRelay starts a relay that asks strangers for little work: tests have better to do.
func (w *world) EasyRelay(name string) *relay {
	w.Helper()
	r := w.NewRelay(name)
	r.Work = 1
	r.Starts()
	return r
}

// NewRelay makes a relay that does not run yet.
func (w *world) NewRelay(name string) *relay {
	w.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	w.check(err)
	r := &relay{w: w, name: name, key: key, ip: w.place(), store: mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0)}
	w.relays = append(w.relays, r)
	w.Cleanup(r.Stops)
	return r
}

func (r *relay) Starts() {
	r.w.Helper()
	n, err := node.New(node.Config{Mode: node.Public, Key: r.key, Circuits: r.w.private, Listen: []string{fmt.Sprintf("/ip4/%s/tcp/4001", r.ip)}, Options: r.w.wires.options(r.name, r.ip)})
	r.w.check(err)
	var kept mailbox.Store = ledger{r.store, r}
	if r.Before != nil {
		kept = r.Before(kept)
	}
	var signer mailbox.Signer = r.key
	if r.Signer != nil {
		signer = r.Signer(signer)
	}
	h := n.Host()
	if r.Host != nil {
		h = r.Host(h)
	}
	ctx, cancel := context.WithCancel(context.Background())
	routes, left := r.joins(ctx, h)
	if r.Routes != nil {
		routes = r.Routes
	}
	r.server, err = mailbox.NewServer(h, signer, kept, mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}, Routes: routes, IntroWork: r.Work})
	r.w.check(err)
	done := make(chan error, 1)
	go func() { done <- r.server.Run(ctx) }()
	r.stop = func() {
		cancel()
		<-done
		left()
		n.Close()
	}
	synctest.Wait()
}

// Stops ends the relay; what it keeps stays.
func (r *relay) Stops() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

func (r *relay) id() peer.ID {
	id, err := peer.IDFromPrivateKey(r.key)
	r.w.check(err)
	return id
}

// info is where the relay is.
func (r *relay) info() peer.AddrInfo {
	return peer.AddrInfo{ID: r.id(), Addrs: []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/4001", r.ip))}}
}

// kept is what the relay keeps for anybody.
func (r *relay) kept() (list []mailbox.Entry) {
	r.w.Helper()
	for i := range r.boxes() {
		list = append(list, r.keptFor(i)...)
	}
	return list
}

// keptFor is what it keeps for the one who came to it as number n, from 0.
func (r *relay) keptFor(n int) []mailbox.Entry {
	r.w.Helper()
	entries, _, err := r.store.List(r.boxes()[n], 0, 1_000_000, time.Now())
	r.w.check(err)
	return entries
}

// loses has the relay lose all cells.
func (r *relay) loses() {
	r.w.Helper()
	for _, b := range r.boxes() {
		var ids []mailbox.CellID
		for _, e := range r.kept() {
			ids = append(ids, e.Cell)
		}
		r.w.check(r.store.Commit(time.Now(), []mailbox.Change{&mailbox.Delete{Box: b, Cells: ids}}))
	}
}

// deposits is how many cells the relay has taken.
func (r *relay) deposits() int { return int(r.server.Stats().Deposits) }

// person is somebody with a profile, and while present with a Chat at work.
type person struct {
	w      *world
	name   string
	path   string // of the database
	key    [32]byte
	ip     net.IP
	root   identity.RootPrivate
	device identity.DevicePrivate
	agree  identity.AgreementPrivate
	chain  identity.Chain
	relays []peer.AddrInfo
	choice Choice       // of relays; the zero value: by hand
	shared Shared       // with contacts, from the next start on; the zero value: nothing
	logs   *slog.Logger // nil: the world's

	*Chat
	store *store.Store
	node  *node.Node
	stop  func()

	mu     sync.Mutex
	events []api.Event
}

// Person makes somebody who keeps their mail at relays, and who is present.
func (w *world) Person(name string, relays ...*relay) *person {
	w.Helper()
	p := w.NewPerson(name, relays...)
	p.Returns()
	return p
}

// NewPerson makes somebody who is away.
func (w *world) NewPerson(name string, relays ...*relay) *person {
	w.Helper()
	p := &person{w: w, name: name, ip: w.place(), path: filepath.Join(w.dir, fmt.Sprintf("%d.db", w.people))}
	rand.Read(p.key[:])
	p.root = identity.RootFromEntropy(identity.NewEntropy())
	p.device, p.agree = newDevice(), newAgreement()
	p.chain = identity.NewChain(p.root, p.device, p.agree.Public(), time.Now())
	for _, r := range relays {
		p.relays = append(p.relays, r.info())
	}
	s, err := store.Open(w.Context(), p.path, p.key, store.Options{Create: true})
	w.check(err)
	w.check(s.Update(w.Context(), func(tx *store.Tx) error {
		return tx.PutAccount(store.Account{ID: p.chain.Account(), Root: p.chain.Root(), Chain: p.chain.Marshal(), Device: p.device.Public(), Name: name, Created: time.Now()})
	}))
	w.check(s.Close())
	w.Cleanup(p.Leaves)
	return p
}

func newDevice() identity.DevicePrivate {
	var seed [32]byte
	rand.Read(seed[:])
	return identity.NewDevicePrivate(seed)
}

func newAgreement() identity.AgreementPrivate {
	var seed [32]byte
	rand.Read(seed[:])
	return identity.NewAgreementPrivate(seed)
}

// Returns has the person's node run, and gives it the time to settle.
func (p *person) Returns() {
	p.w.Helper()
	p.Starts()
	p.w.Advance(time.Second)
}

// Starts has the person's node run.
func (p *person) Starts() {
	p.w.Helper()
	s, err := store.Open(p.w.Context(), p.path, p.key, store.Options{})
	p.w.check(err)
	p.store = s
	cfg := node.Config{Mode: node.Public, Listen: []string{fmt.Sprintf("/ip4/%s/tcp/4001", p.ip)}, Options: p.w.wires.options(p.name, p.ip)}
	p.node, err = node.New(cfg)
	p.w.check(err)
	boxes := node.NewPool(cfg)
	cfg.Circuits = p.w.private
	pool := node.NewPool(cfg)
	var finder Finder
	if p.w.board != nil {
		finder = p.w.board
	}
	leave := func() {}
	if p.w.ways != nil {
		finder, leave = p.joins()
	}
	log := p.logs
	if log == nil {
		log = p.w.log(p.name)
	}
	p.Chat, err = New(p.w.Context(), Config{Routing: p.w.routing(), Finder: finder, Choice: p.choice, Shared: p.shared, Store: s, Chain: p.chain, Device: p.device, Agreement: p.agree, Node: p.node, Pool: pool, Boxes: boxes, Relays: p.relays, Log: log})
	p.w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			p.w.Errorf("%s: %v", p.name, err)
		}
	})
	<-p.running
	running.Go(func() {
		p.Chat.Events(ctx, api.Event{}, func(e api.Event) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
			return nil
		})
	})
	p.stop = func() {
		cancel()
		running.Wait()
		pool.Close()
		boxes.Close()
		leave()
		if err := p.node.Close(); err != nil {
			p.w.Errorf("%s: %v", p.name, err)
		}
		if err := s.Close(); err != nil {
			p.w.Errorf("%s: %v", p.name, err)
		}
	}
}

// Leaves ends the person's node.
func (p *person) Leaves() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// log says what an account has to say with `go test -v`.
func (w *world) log(name string) *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(logWriter{w.T, name}, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

type logWriter struct {
	t    *testing.T
	name string
}

func (l logWriter) Write(b []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, strings.TrimSpace(string(b)))
	return len(b), nil
}

// View reads the person's database.
func (p *person) View(look func(tx *store.Tx) error) {
	p.w.Helper()
	p.w.check(p.store.View(context.Background(), look))
}

// byID finds the contact of a row id.
func byID(id int64) Find {
	return func(tx *store.Tx) (store.Contact, error) { return tx.Contact(id) }
}

// finds finds another person.
func (p *person) finds(other *person) Find { return byID(p.contact(other).ID) }

// contact is what the person knows of another.
func (p *person) contact(other *person) (who store.Contact) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		who, err = tx.ContactByAccount(other.chain.Account())
		return err
	})
	return who
}

func (p *person) knows(other *person) bool {
	known := false
	p.View(func(tx *store.Tx) error {
		_, err := tx.ContactByAccount(other.chain.Account())
		known = err == nil
		return ignore(err, store.ErrNotFound)
	})
	return known
}

// Invites makes an invitation and gives its link.
func (p *person) Invites() string {
	p.w.Helper()
	id, err := p.Invite(p.w.Context(), identity.Single, 0)
	p.w.check(err)
	return p.link(id)
}

func (p *person) link(id store.InvitationID) (link string) {
	p.View(func(tx *store.Tx) error {
		inv, err := tx.Invitation(id)
		link = inv.Link
		return err
	})
	return link
}

// Accepts accepts a link of another's.
func (p *person) Accepts(other *person, link, text string) {
	p.w.Helper()
	_, err := p.Accept(p.w.Context(), link, other.name, text)
	p.w.check(err)
}

// Meets makes two people contacts: the other accepts an invitation of the
// person's. They are told of each other's relays when it returns.
func (p *person) Meets(other *person) {
	p.w.Helper()
	other.Accepts(p, p.Invites(), "")
	p.Awaits(other.name+" to be a contact", func() bool { return p.knows(other) })
	settled := func() bool { return p.waiting() == 0 && other.waiting() == 0 }
	p.Awaits("both to have settled", settled)
}

// waiting is how many rows there are in the outbox.
func (p *person) waiting() (n int) {
	p.View(func(tx *store.Tx) error {
		by, err := tx.Waiting()
		for _, m := range by {
			n += m
		}
		return err
	})
	return n
}

// outbox are the rows that wait for another's device.
func (p *person) outbox(other *person) (rows []store.Outgoing) {
	p.View(func(tx *store.Tx) (err error) {
		rows, err = tx.Pending(other.device.Public(), 0, 10_000)
		return err
	})
	return rows
}

// Awaits lets time pass until something is so.
func (p *person) Awaits(what string, so func() bool) {
	p.w.Helper()
	for end := time.Now().Add(patience); !so(); p.w.Advance(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.w.Fatalf("%s waited in vain for %s", p.name, what)
		}
	}
}

// Says sends a text.
func (p *person) Says(to *person, text string) content.ID {
	p.w.Helper()
	sent, err := p.Send(context.Background(), p.finds(to), Words{Text: text}, api.Queued, 0)
	p.w.check(err)
	id, err := content.ParseID(sent.ID)
	p.w.check(err)
	return id
}

// SaysMany sends texts at once and gives them.
func (p *person) SaysMany(to *person, n int) (texts []string) {
	p.w.Helper()
	row := p.contact(to).ID
	errs := make([]error, n)
	for i := range n {
		texts = append(texts, fmt.Sprintf("%s to %s, %d", p.name, to.name, i))
		_, errs[i] = p.Send(context.Background(), byID(row), Words{Text: texts[i]}, api.Queued, 0)
	}
	p.w.check(errors.Join(errs...))
	return texts
}

// state is how far a message of the person's has come.
func (p *person) state(id content.ID) api.Sent {
	p.w.Helper()
	sent, err := p.Sent(context.Background(), id)
	p.w.check(err)
	return sent
}

// Sees waits until a message of the person's has come as far as want.
func (p *person) Sees(id content.ID, want api.State) api.Sent {
	p.w.Helper()
	sent := p.state(id)
	for end := time.Now().Add(patience); !sent.State.Meets(want); sent = p.state(id) {
		if time.Now().After(end) || sent.State == api.Failed {
			p.w.Fatalf("%s's message is %s (%s), want %s", p.name, sent.State, sent.Reason, want)
		}
		p.w.Advance(50 * time.Millisecond)
	}
	return sent
}

// heard are the messages of another that the person sees, in order.
func (p *person) heard(from *person) (list []api.Message) {
	p.w.Helper()
	all, err := p.Messages(context.Background(), p.contact(from), Page{}, 10_000)
	p.w.check(err)
	for _, m := range all {
		if m.Author == from.chain.Account().String() {
			list = append(list, m)
		}
	}
	return list
}

func texts(list []api.Message) (texts []string) {
	for _, m := range list {
		if m.Kind != content.KindRecovered.String() { // that is nobody's text
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// Reads waits until there are as many texts of another, and wants just these.
func (p *person) Reads(from *person, want ...string) {
	p.w.Helper()
	p.Awaits(fmt.Sprintf("%d texts of %s", len(want), from.name), func() bool { return len(texts(p.heard(from))) >= len(want) })
	p.ReadsNow(from, want...)
}

// ReadsNow wants just these texts of another, without waiting.
func (p *person) ReadsNow(from *person, want ...string) {
	p.w.Helper()
	if got := texts(p.heard(from)); !slices.Equal(got, want) {
		p.w.Fatalf("%s reads %q of %s, want %q", p.name, got, from.name, want)
	}
}

// saw are the events of one kind that the person was told, oldest first.
func (p *person) saw(kind string) (list []api.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == kind {
			list = append(list, e)
		}
	}
	return list
}
