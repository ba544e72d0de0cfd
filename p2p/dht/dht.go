// Package dht is Godwit's distributed hash table: go-libp2p-kad-dht under a
// protocol of our own, /godwit/kad/1.0.0, held to what we need. SPEC.md says what
// servers keep, refuse and bound.
//
// It does two things. It keeps rendezvous records (p2p/rendezvous), by which
// contacts find a device whose addresses changed: Publish and Find. And it keeps
// who is a relay today, under sixteen daily keys: Announce and FindRelays.
//
// kad-dht has a standing weakness (CVE-2023-26248): who places enough peers
// round a key decides what is found there. So nothing relies on this package
// alone, and each lookup reckons how improbable its answer is: see Alarm.
package dht

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	prefix protocol.ID = "/godwit"
	// Protocol names the protocol to libp2p.
	Protocol = prefix + "/kad/1.0.0"

	// bucketSize is Kademlia's k: how many peers a bucket holds, and how many
	// servers keep a record.
	bucketSize = 20
	// concurrency is Kademlia's alpha: the requests of a lookup under way at once.
	concurrency = 10
	// resiliency is the number of nearest peers that must have answered before
	// a lookup ends.
	resiliency = 3
	// maxAddrs is the number of addresses of one peer that are heard.
	maxAddrs = 16
	// perGroup and perGroupAndBucket bound the peers of the routing table whose
	// addresses are in one group (SPEC.md, section 5).
	perGroup, perGroupAndBucket = 3, 2

	// LookupTimeout bounds Find, Get and the lookup within Put, and each key of
	// FindRelays and Announce.
	LookupTimeout = 10 * time.Second
)

var (
	// ErrNoPeers says that not one peer of the DHT could be reached. What is
	// wrapped with it says which ways in were tried.
	ErrNoPeers = errors.New("dht: no peer of the DHT answers")
	// ErrNotFound says that no server gave out a good record. It is no proof
	// that there is none.
	ErrNotFound = errors.New("dht: no record found")
	// ErrNotStored says that no server kept the record.
	ErrNotStored = errors.New("dht: no server kept the record")
)

// Config says how to make a DHT. Its zero value, but for Mode, is that of a desktop
// which knows nobody yet.
type Config struct {
	// Mode is the host's. In Loopback and LAN every node is a server.
	Mode node.Mode
	// Relay makes the node a server in every mode, and has Run announce it.
	// Others in Public serve while libp2p does not know them to be
	// unreachable.
	Relay bool
	// Bootstrap are the ways in given by hand, and Listed those of a list.
	Bootstrap, Listed []peer.AddrInfo
	// Last is what Save was given in an earlier run.
	Last Memory
	// Save, if not nil, is called by Run, every ten minutes and at its end. It must
	// not block for long.
	Save func(Memory)
	// Alarmed, if not nil, is called each time an Alarm is seen, from several
	// goroutines. It must not block.
	Alarmed func(Alarm)
	// MaxRecords bounds the records that this server keeps, some 1 KB each. 0
	// means 16,384, for a relay 65,536.
	MaxRecords int

	// diverse demands the limits per group of addresses in Loopback too, for tests.
	diverse bool
	// still has it look its routing table over only when told, for tests.
	still bool
}

// Memory is what a run of the DHT leaves to the next.
type Memory struct {
	// Peers are good ones, at most 64, those known longest first.
	Peers []peer.AddrInfo `json:"peers"`
	// Servers is the largest size of the DHT that was seen in the last week, and
	// At when; 0: none was.
	Servers int       `json:"servers"`
	At      time.Time `json:"at"`
}

// times are those bounds that depend on how far away peers can be.
type times struct {
	dial    time.Duration // of one peer, over all its addresses
	request time.Duration // one request and its answer, a dial included
	grace   time.Duration // from the first record found to the choice of the newest
}

func timesOf(m node.Mode) times {
	if m == node.Public {
		return times{dial: 3 * time.Second, request: 4 * time.Second, grace: 750 * time.Millisecond}
	}
	// An answer takes milliseconds here; the rest is for busy computers.
	return times{dial: time.Second, request: 1500 * time.Millisecond, grace: 250 * time.Millisecond}
}

// A DHT is one node's part in the DHT.
type DHT struct {
	cfg       Config
	times     times
	host      host.Host
	kad       *kad.IpfsDHT
	messenger *pb.ProtocolMessenger
	records   *records
	providers *providers
	server    *server

	ctx    context.Context // ends with Close; dials under it are short
	cancel context.CancelFunc

	life   sync.Mutex // of closed, and of beginning something
	closed bool
	wg     sync.WaitGroup

	entry     entry
	refreshed atomic.Int64 // unix seconds of the last refresh
	refreshes atomic.Int64 // since a way in was found
	census    census
	alarms    alarms
	corners   corners
}

// New joins a host to the DHT. Ways in are tried when they are needed, and by Run.
// The caller ends it by Close, before it closes the host.
func New(h host.Host, cfg Config) (*DHT, error) {
	if _, err := node.ParseMode(string(cfg.Mode)); err != nil {
		return nil, err
	}
	if cfg.MaxRecords == 0 {
		cfg.MaxRecords = 1 << 14
		if cfg.Relay {
			cfg.MaxRecords = 1 << 16
		}
	}
	d := &DHT{
		cfg: cfg, times: timesOf(cfg.Mode), host: h,
		records:   newRecords(h.ID(), cfg.MaxRecords),
		providers: newProviders(cfg.Mode == node.Public),
	}
	d.server = newServer(h, cfg.Mode == node.Public)
	d.census.sem = make(chan struct{}, 1)
	d.alarms.tell, d.alarms.largest = cfg.Alarmed, Memory{Servers: cfg.Last.Servers, At: cfg.Last.At}
	d.entry.sem, d.entry.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	// kad-dht's own lookups inherit the short dials from its context.
	d.ctx, d.cancel = context.WithCancel(network.WithDialPeerTimeout(context.Background(), d.times.dial))
	mode := kad.ModeServer
	if cfg.Mode == node.Public && !cfg.Relay {
		mode = kad.ModeAutoServer
	}
	options := []kad.Option{
		kad.ProtocolPrefix(prefix),
		kad.Mode(mode),
		kad.Validator(record.NamespacedValidator{rendezvous.Namespace: rendezvous.Validator{}}),
		kad.Datastore(d.records),
		kad.ProviderStore(d.providers),
		kad.MaxRecordAge(rendezvous.MaxLife + rendezvous.MaxAhead),
		kad.BucketSize(bucketSize),
		kad.Concurrency(concurrency),
		kad.Resiliency(resiliency),
		kad.RoutingTableRefreshPeriod(refreshFirst),
		kad.DisableAutoRefresh(), // see refresh
		kad.RoutingTableRefreshQueryTimeout(LookupTimeout),
		kad.LookupCheckConcurrency(64),
		kad.AddressFilter(d.allowed),
		kad.QueryFilter(func(_ any, p peer.AddrInfo) bool { return good(p.ID) && len(d.allowed(p.Addrs)) > 0 }),
		kad.RoutingTableFilter(func(_ any, p peer.ID) bool { return good(p) && len(d.allowed(h.Peerstore().Addrs(p))) > 0 }),
		kad.WithCustomMessageSender(func(h host.Host, _ []protocol.ID) pb.MessageSenderWithDisconnect {
			return &sender{h, d.times.request, &d.corners}
		}),
		kad.OnRequestHook(d.server.onRequest),
	}
	if cfg.Mode == node.Public || cfg.diverse {
		options = append(options, kad.RoutingTablePeerDiversityFilter(kad.NewRTPeerDiversityFilter(h, perGroupAndBucket, perGroup)))
	}
	var err error
	if d.kad, err = kad.New(d.ctx, d.server, options...); err != nil {
		d.cancel()
		return nil, fmt.Errorf("dht: start: %w", err)
	}
	if d.messenger, err = pb.NewProtocolMessenger(d.kad.MessageSender()); err != nil {
		return nil, errors.Join(fmt.Errorf("dht: start: %w", err), d.Close())
	}
	return d, nil
}

// good tells whether a PeerID holds an Ed25519 key, as every Godwit's does.
func good(p peer.ID) bool {
	k, err := p.ExtractPublicKey()
	return err == nil && k.Type() == crypto.Ed25519
}

// allowed picks those addresses, at most 16, that this node may dial.
func (d *DHT) allowed(addrs []ma.Multiaddr) []ma.Multiaddr {
	var ok []ma.Multiaddr
	for _, a := range addrs {
		if len(ok) < maxAddrs && node.AllowedAddr(d.cfg.Mode, a) {
			ok = append(ok, a)
		}
	}
	return ok
}

// Run keeps the node in the DHT until ctx ends: it finds a way in when the routing
// table is empty, with growing pauses, forgets what expired, saves good peers,
// and announces a relay. Then it closes the DHT.
func (d *DHT) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	var wg sync.WaitGroup
	wg.Go(func() { d.stayIn(ctx) })
	wg.Go(func() { d.keepHouse(ctx) })
	if d.cfg.Relay {
		wg.Go(func() { d.keepAnnounced(ctx) })
	}
	wg.Wait()
	d.save()
	return d.Close()
}

// keepHouse forgets and saves every ten minutes.
func (d *DHT) keepHouse(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.records.sweep()
			d.providers.sweep()
			d.save()
		case <-ctx.Done():
			return
		}
	}
}

func (d *DHT) save() {
	if d.cfg.Save == nil {
		return
	}
	if good := d.Peers(); len(good) > 0 {
		m := Memory{Peers: good}
		m.Servers, m.At = d.alarms.size()
		d.cfg.Save(m)
	}
}

// Peers are those of the routing table that may be dialled, at most 64, known
// longest first.
func (d *DHT) Peers() []peer.AddrInfo {
	known := d.kad.RoutingTable().GetPeerInfos()
	slices.SortFunc(known, func(a, b peerInfo) int { return a.AddedAt.Compare(b.AddedAt) })
	var infos []peer.AddrInfo
	for _, p := range known {
		if addrs := d.allowed(d.host.Peerstore().Addrs(p.Id)); len(addrs) > 0 && len(infos) < 64 {
			infos = append(infos, peer.AddrInfo{ID: p.Id, Addrs: addrs})
		}
	}
	return infos
}

// Status is what can be seen of a DHT from outside.
type Status struct {
	Peers     int     // in the routing table
	Server    bool    // whether we answer others
	Size      int     // how many servers the whole DHT has, by estimate; 0: unknown
	Ways      int     // ways in that answered since there was nobody last
	Records   int     // kept for others
	Providers int     // announcements kept for others
	Refused   uint64  // requests of others that were refused for their size, rate or origin
	Alarms    []Alarm // those seen in the last twelve hours, at most one of a kind
}

// Status tells how it is now.
func (d *DHT) Status() Status {
	d.suspectSelf()
	return Status{
		Peers:     d.kad.RoutingTable().Size(),
		Server:    slices.Contains(d.host.Mux().Protocols(), Protocol),
		Ways:      int(d.entry.answered.Load()),
		Size:      d.census.size(time.Now()),
		Records:   d.records.len(),
		Providers: d.providers.len(),
		Refused:   d.server.refused.Load(),
		Alarms:    d.alarms.live(time.Now()),
	}
}

// begin does something in the background that ends with d.ctx, unless the DHT is closed;
// it tells whether it does.
func (d *DHT) begin(do func()) bool {
	d.life.Lock()
	defer d.life.Unlock()
	if d.closed {
		return false
	}
	d.wg.Go(do)
	return true
}

// Close leaves the DHT and waits for what it started. It may be called twice. The host
// stays open.
func (d *DHT) Close() error {
	d.life.Lock()
	was := d.closed
	d.closed = true
	d.life.Unlock()
	if was {
		return nil
	}
	d.cancel()
	d.wg.Wait() // what we began may still ask kad-dht for something, which must not meet its Close
	err := d.kad.Close()
	d.server.close()
	return err
}
