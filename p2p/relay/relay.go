// Package relay is relay node mode: one process that keeps mail for people who
// are away, serves the DHT by which they find each other, and lets who deposits reach
// other relays through it, as it is reached through others. Everything else a relay
// is to do for others joins it here.
//
// Its directory holds the relay's identity (relay.key, 0600), where it listens
// (listen.MODE, multiaddrs, written at the first start), its lock, what it knew of others and
// did in the last day and this month (dht.MODE, history), a mark if it was moved away (moved), the
// mailbox's store (mail/, see p2p/mailbox/disk) and the socket on which it tells its
// status (relay.sock). It knows neither accounts nor names, and its log has no peer
// ids or addresses above debug level.
package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/circuit"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/local"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/gofrs/flock"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/netutil"
)

const (
	// DefaultDifficulty is the proof of work for a lease, in bits, where
	// strangers can reach a relay: about a second of one core.
	DefaultDifficulty = 22
	// unbounded is how many peers may be connected where Limits bound none.
	unbounded = 4096
	// What the program may have in memory before connections are ended: beside all, for each connection that it may have, and for
	// each cell that is kept. It is more than twice what people take who do as people do.
	baseHeap, connectionHeap, cellHeap = 256 << 20, 128 << 10, 256
	// spareFiles is how many files a relay has open beside its connections, at most.
	spareFiles = 512
	// httpConnections is how many there are at once for the status page: each is a file, and lasts for seconds however
	// slowly it asks. Later ones wait.
	httpConnections = 64
	// lookEvery is how often the relay looks whether its state changed.
	lookEvery = 2 * time.Second
)

var (
	// ErrInUse says that another process runs a relay on this directory.
	ErrInUse = errors.New("relay: another process runs on this directory")
	// ErrKey says that relay.key is not a relay's key. It is left as it is.
	ErrKey = errors.New("relay: the key is damaged")
	// ErrNewer says that a newer version wrote what is in the directory.
	ErrNewer = disk.ErrNewer
	// ErrDamaged says that the store cannot be read or written.
	ErrDamaged = mailbox.ErrDamaged
	// ErrStore says that a Store of Config could not be opened where it is.
	ErrStore = errors.New("relay: the store is out of reach")
	// ErrShared says that a relay's mail is in a Store of its Config's, and not in its directory: it cannot be
	// copied with it, and nothing can be served from there without that Store.
	ErrShared = errors.New("relay: its mail is in a store that relays share")
	// ErrOwnMail says that a relay's mail is in its directory, and would be left behind by a Store that relays share.
	ErrOwnMail = errors.New("relay: its mail is in its own directory")
	// ErrPeer says that a given peer is not a multiaddr with a PeerID.
	ErrPeer = errors.New("relay: not a peer's address")
)

// Config says how to run a relay. Data and Mode are needed; the other zero
// values stand for what the comments say.
type Config struct {
	Data     string                           // directory, made if it is not there
	Mode     node.Mode                        // where it may listen and dial
	Listen   []string                         // multiaddrs; the mode's own
	Announce []string                         // multiaddrs under which others reach it besides those that it finds out; none
	Peers    []string                         // multiaddrs with PeerID, connected to at the start; none
	Listed   []string                         // the same, of a list: they are not met, only started from
	Limits   Limits                           // what others get; see there
	Friends  bool                             // it is for those who have a token alone: it is not announced, and nobody is reached through it
	HTTP     string                           // host:port of the status page, /healthz, /readyz and /metrics; none
	Version  string                           // of the program, to be told there
	Socket   string                           // unix socket of the status, in a directory that is there and private; see Socket
	Store    func(StoreConfig) (Store, error) // keeps the mail; that of package disk
	Logger   *slog.Logger                     // nothing is logged
	// Reload gives the limits anew, for Relay.Reload, and names the other settings that are not
	// as they were when the relay was started; nil: they stay.
	Reload func() (l Limits, later []string, err error)
	// Event is told what happens, one at a time, the first being Ready. It
	// must not call the Relay; nil is told nothing.
	Event func(Event)
}

// Event is a change of a relay's state.
type Event struct {
	State  State
	Peer   string   // PeerID; in Ready
	Addrs  []string // where it can be reached, with PeerID; in Ready
	HTTP   string   // host:port; in Ready, if it is served
	Allows Allows   // in Ready
	Reason string   // why, in words
}

// State is what a relay is able to do.
type State string

const (
	Ready    State = "ready"    // it listens; told once, then Serving, Full or Draining
	Serving  State = "serving"  // takes and gives mail
	Full     State = "full"     // gives mail but takes none: the cap, or the disk, is reached, or the store's servers do not answer
	Draining State = "draining" // gives mail but takes none: Limits.Closed
	Stopping State = "stopping" // does nothing more
)

// Store is what a relay needs of a mailbox.Store.
type Store interface {
	mailbox.Store
	// Run does what has to be done beside Commit until the context ends; then it returns
	// nil, and an error that wraps mailbox.ErrDamaged once the Store is of no more use.
	Run(ctx context.Context) error
	// Room is how many bytes deposits may still add, and, in words, what bounds it.
	Room() (bytes int64, bound string)
}

// StoreConfig is what a relay's Store is made for.
type StoreConfig struct {
	Dir      string // of the relay's directory, for this Store alone
	Relay    string // PeerID
	MaxBytes uint64 // cap on what is used on disk
	Quotas   mailbox.Quotas
	Log      *slog.Logger
}

func openDisk(c StoreConfig) (Store, error) {
	s, err := disk.Open(disk.Config{Dir: c.Dir, MaxBytes: c.MaxBytes, Quotas: c.Quotas, Log: c.Log})
	if err != nil {
		return nil, err // not a Store that is a nil
	}
	return s, nil
}

// Relay is a running, or soon to run, relay.
type Relay struct {
	cfg    Config
	log    *slog.Logger
	node   *node.Node
	dht    *dht.DHT
	hop    *circuit.Hop    // by which others are reached through this one; nil: none
	holder *circuit.Holder // by which this one is reached through others
	store  Store
	server *mailbox.Server
	lock   *flock.Flock
	status net.Listener
	http   net.Listener // nil: none
	peers  []peer.AddrInfo
	began  time.Time
	state  atomic.Value // State

	history history
	changed chan struct{}  // capacity 1: the limits are others
	exports sync.WaitGroup // under way
	limits  struct {
		sync.Mutex
		now         Limits
		most, asked int // connections that it was started for, and that it should have been
	}
}

// New opens the directory and listens, but serves nothing before Run, which must
// follow. Its errors wrap ErrInUse, ErrMoved, ErrKey, ErrNewer, ErrDamaged, ErrStore, ErrShared, ErrOwnMail, ErrPeer, ErrLimits,
// node.ErrListen or the operating system's.
func New(cfg Config) (_ *Relay, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Event == nil {
		cfg.Event = func(Event) {}
	}
	r := &Relay{cfg: cfg, log: cfg.Logger, began: time.Now(), changed: make(chan struct{}, 1)}
	r.state.Store(Ready)
	if r.limits.now, err = cfg.Limits.in(cfg.Mode, cfg.Friends); err != nil {
		return nil, err
	}
	r.limits.asked = r.limits.now.Bounds.Connections
	r.limits.most = cmp.Or(r.limits.asked, unbounded)
	if files := openFiles(); r.limits.most > max(files-spareFiles, minConnections) {
		r.limits.most = max(files-spareFiles, minConnections)
		r.log.Warn("fewer connections than usual or asked for, as the system lets the process have few open files", "connections", r.limits.most, "files", files)
	}
	r.limits.now.Bounds = atMost(r.limits.now.Bounds, r.limits.most)
	if r.peers, err = parsePeers(cfg.Peers); err != nil {
		return nil, err
	}
	listed, err := parsePeers(cfg.Listed)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("relay: make directory: %w", err)
	}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	if err := notMoved(cfg.Data); err != nil {
		return nil, err
	}
	key, err := loadKey(filepath.Join(cfg.Data, "relay.key"))
	if err != nil {
		return nil, err
	}
	if cfg.Store == nil {
		if isShared(cfg.Data) {
			return nil, ErrShared
		}
		cfg.Store = openDisk
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	limits := r.limits.now
	if r.store, err = cfg.Store(StoreConfig{Dir: filepath.Join(cfg.Data, "mail"), Relay: id.String(), MaxBytes: uint64(limits.MaxDisk), Quotas: limits.Quotas, Log: r.log}); err != nil {
		return nil, err
	}
	if err := r.listen(key); err != nil {
		return nil, err
	}
	if r.dht, err = dht.New(r.node.Host(), dht.Config{Mode: cfg.Mode, Relay: !cfg.Friends, Bootstrap: r.peers, Listed: listed, Last: r.lastDHT(), Save: r.saveDHT}); err != nil {
		return nil, err
	}
	if !cfg.Friends {
		if r.hop, err = circuit.NewHop(r.node.Host(), cfg.Mode); err != nil {
			return nil, err
		}
	}
	r.holder = circuit.NewHolder(r.node.Host(), circuit.HolderConfig{Mode: cfg.Mode, Peers: r.peers, Find: r.dht.FindRelays, Log: r.log})
	terms := limits.terms(cfg.Mode)
	terms.Routes, terms.Room, terms.Log = r.holder.Addrs, r.room, r.log
	receipts, err := newSigner(key)
	if err != nil {
		return nil, err
	}
	if r.server, err = mailbox.NewServer(r.node.Host(), receipts, r.store, terms); err != nil {
		return nil, err
	}
	if r.status, err = local.Listen(cmp.Or(cfg.Socket, Socket(cfg.Data))); err != nil {
		return nil, fmt.Errorf("relay: status socket: %w", err)
	}
	if err := r.history.load(r.historyFile(), time.Now()); err != nil {
		r.log.Warn("what the status page showed in the last run could not be read", "error", err)
	}
	used, at := r.history.lastDay()
	r.server.Carried(uint64(used), at)
	if cfg.HTTP != "" {
		l, err := net.Listen("tcp", cfg.HTTP)
		if err != nil {
			return nil, fmt.Errorf("relay: listen for HTTP: %w", err)
		}
		r.http = netutil.LimitListener(l, httpConnections)
	}
	return r, nil
}

// OwnMail says whether the mail of the relay of a directory is there.
func OwnMail(data string) bool {
	_, err := os.Stat(filepath.Join(data, "mail", "log")) // of package disk
	return err == nil
}

// isShared says whether the mail of the relay of a directory is in a store that relays share, of which there is a
// view alone (package disk).
func isShared(data string) bool {
	_, err := os.Stat(filepath.Join(data, "mail", "view"))
	return err == nil
}

// listen makes the node. Unless told where, it listens where it did the last time:
// people know a relay by its address, and a new one after each start would lose them.
func (r *Relay) listen(key crypto.PrivKey) error {
	// Those of the Bounds, and an eighth for those that it opens itself; beyond that the idle are
	// closed. A stream may hold 256 KiB before it is read from, and half of all have two.
	n := r.limits.most
	cfg := node.Config{
		Mode: r.cfg.Mode, Listen: r.cfg.Listen, Announce: r.cfg.Announce, Key: key, Circuits: true, Bounds: r.limits.now.Bounds,
		Low: n, High: n + n/8, MemoryMiB: 64 + n*3/8,
		Heap: func() uint64 { return baseHeap + uint64(n)*connectionHeap + r.store.Usage().Cells*cellHeap },
	}
	path := filepath.Join(r.cfg.Data, "listen."+string(r.cfg.Mode))
	chosen := len(cfg.Listen) > 0
	if !chosen {
		last, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("relay: %w", err)
		}
		cfg.Listen = strings.Fields(string(last))
	}
	var err error
	if r.node, err = node.New(cfg); err != nil {
		if !chosen && len(cfg.Listen) > 0 {
			return fmt.Errorf("relay: listen where it did the last time (%s says where; remove it to choose anew): %w", path, err)
		}
		return err
	}
	if chosen || len(cfg.Listen) > 0 {
		return nil
	}
	var addrs []string
	for _, a := range r.node.ListenAddrs() {
		addrs = append(addrs, a.String())
	}
	if err := writeFile(path, []byte(strings.Join(addrs, "\n")+"\n")); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

func parsePeers(addrs []string) (infos []peer.AddrInfo, err error) {
	for _, p := range addrs {
		info, err := peer.AddrInfoFromString(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrPeer, p, err)
		}
		infos = append(infos, *info)
	}
	return infos, nil
}

// dhtFile keeps the DHT's memory between runs, as JSON.
func (r *Relay) dhtFile() string { return filepath.Join(r.cfg.Data, "dht."+string(r.cfg.Mode)) }

// lastDHT is what the last run knew of the DHT. What cannot be read is found again.
func (r *Relay) lastDHT() (m dht.Memory) {
	raw, err := os.ReadFile(r.dhtFile())
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.log.Warn("the peers of the last run could not be read", "error", err)
		}
		return dht.Memory{}
	}
	return m
}

func (r *Relay) saveDHT(m dht.Memory) {
	raw, err := json.Marshal(m)
	if err == nil {
		err = writeFile(r.dhtFile(), raw)
	}
	if err != nil {
		r.log.Warn("the peers of the DHT could not be kept", "error", err)
	}
}

// ID is the relay's PeerID, which its directory keeps.
func (r *Relay) ID() peer.ID { return r.node.Host().ID() }

// Addrs are where the relay can be reached, each with its PeerID.
func (r *Relay) Addrs() []ma.Multiaddr { return r.node.PeerAddrs() }

// Routes are the circuit addresses under which the relay can be reached through others now.
func (r *Relay) Routes() []ma.Multiaddr { return r.holder.Addrs() }

// Run serves until the context ends. Then it begins nothing new, answers the deposits that it
// took in, which takes 5 seconds at most, closes all and returns nil. It
// returns earlier if the store fails, with an error that wraps ErrDamaged, and ErrStore if it is one of Config.
func (r *Relay) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	run := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		})
	}
	run(r.server.Run)
	run(r.store.Run)
	run(r.dht.Run)
	run(r.holder.Run)
	run(r.meet)
	servers := []*http.Server{httpServer(r.log, r.statusHandler())}
	if r.http != nil {
		servers = append(servers, httpServer(r.log, r.healthHandler()))
	}
	var telling sync.WaitGroup
	for i, l := range []net.Listener{r.status, r.http}[:len(servers)] {
		telling.Go(func() { servers[i].Serve(l) }) // ends by Close; a failure to accept costs the status, not the mail
	}
	r.tell(Ready, "")
	run(r.look)
	<-ctx.Done()
	r.tell(Stopping, "")
	running.Wait() // the mailbox answers what it took in; meanwhile /readyz says that nothing begins
	for _, s := range servers {
		s.Close()
	}
	telling.Wait()
	r.exports.Wait() // who reads them is cut off
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		return nil
	case r.cfg.Store != nil && errors.Is(cause, ErrDamaged): // what failed is elsewhere than in the directory
		return fmt.Errorf("%w: %w", ErrStore, cause)
	}
	return cause
}

// tell changes the state and says so.
func (r *Relay) tell(s State, reason string) {
	r.state.Store(s)
	e := Event{State: s, Reason: reason}
	if s == Ready {
		e.Peer, e.Allows = r.ID().String(), AllowsOf(r.server.Limits(), r.server.Allowance())
		for _, a := range r.Addrs() {
			e.Addrs = append(e.Addrs, a.String())
		}
		if r.http != nil {
			e.HTTP = r.http.Addr().String()
		}
	}
	r.log.Info("the relay's state changed", "state", string(s), "reason", reason)
	r.cfg.Event(e)
}

// look tells when the relay becomes full or has room again.
func (r *Relay) look(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		next, reason := Serving, ""
		if r.Limits().Closed {
			next = Draining
		} else if room, why := r.store.Room(); room < mailbox.CellLarge {
			next, reason = Full, why
		}
		if r.state.Load() != next {
			r.tell(next, reason)
		}
		r.note(false)
		select {
		case <-ctx.Done():
			r.note(true)
			return nil
		case <-tick.C:
		case <-r.changed:
		}
	}
}

// historyFile keeps what the status page shows of the past.
func (r *Relay) historyFile() string { return filepath.Join(r.cfg.Data, "history") }

// note notes how it does, and writes that down if it is time or at the end.
func (r *Relay) note(end bool) {
	now := time.Now()
	if r.Limits().Daily > 0 {
		s := r.server.Stats()
		r.history.carry(now, int64(s.Taken+s.Given), int64(s.Day))
	}
	r.history.note(now, end, r.Report)
	if err := r.history.save(r.historyFile(), now, end); err != nil {
		r.log.Debug("what the status page shows could not be written", "error", err) // the disk is full, which is told elsewhere
	}
}

// meet connects to the peers that were given, once.
func (r *Relay) meet(ctx context.Context) error {
	var meeting sync.WaitGroup
	for _, p := range r.peers {
		if p.ID == r.ID() {
			continue
		}
		meeting.Go(func() {
			if err := r.node.Dial(ctx, p); err != nil {
				r.log.Debug("a peer could not be reached", "peer", p.ID, "error", err)
				r.log.Warn("a peer that was given could not be reached")
			}
		})
	}
	meeting.Wait()
	return nil
}

// acquire takes the lock of the directory.
func (r *Relay) acquire() error {
	path := filepath.Join(r.cfg.Data, "relay.lock")
	r.lock = flock.New(path, flock.SetPermissions(0o600))
	got, err := r.lock.TryLock()
	if err != nil {
		return fmt.Errorf("relay: lock: %w", err)
	}
	if !got {
		r.lock = nil
		if b, err := os.ReadFile(path + ".pid"); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				return fmt.Errorf("%w: process %d", ErrInUse, pid)
			}
		}
		return ErrInUse
	}
	if err := os.WriteFile(path+".pid", fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		return fmt.Errorf("relay: lock: %w", err)
	}
	return nil
}

// close closes what was opened, in the reverse order.
func (r *Relay) close() (err error) {
	if r.http != nil {
		err = errors.Join(err, ignoreClosed(r.http.Close()))
	}
	if r.status != nil {
		err = errors.Join(err, ignoreClosed(r.status.Close()))
	}
	if r.hop != nil {
		err = errors.Join(err, r.hop.Close())
	}
	if r.dht != nil {
		err = errors.Join(err, r.dht.Close())
	}
	if r.node != nil {
		err = errors.Join(err, r.node.Close())
	}
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
	}
	if r.lock != nil {
		if e := os.Remove(filepath.Join(r.cfg.Data, "relay.lock.pid")); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		err = errors.Join(err, r.lock.Unlock())
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
