package relay_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
)

// house is a relay in this process.
type house struct {
	*relay.Relay
	data   string
	events chan relay.Event
	stop   func() error
}

func run(t *testing.T, cfg relay.Config) *house {
	t.Helper()
	if cfg.Mode == "" {
		cfg.Mode = node.Loopback
	}
	h := &house{data: cfg.Data, events: make(chan relay.Event, 100)}
	cfg.Event = func(e relay.Event) { h.events <- e }
	r, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Relay = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// until waits for a state.
func (h *house) until(t *testing.T, want relay.State) relay.Event {
	t.Helper()
	for {
		select {
		case e := <-h.events:
			if e.State == want {
				return e
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the relay never became %s", want)
		}
	}
}

func (h *house) info() peer.AddrInfo {
	infos, err := peer.AddrInfosFromP2pAddrs(h.Addrs()...)
	if err != nil {
		panic(err)
	}
	return infos[0]
}

// person is someone with a box and a queue.
type person struct {
	*mailbox.Client
	key   mailbox.BoxPrivate
	queue mailbox.Queue
}

func dial(t *testing.T, info peer.AddrInfo) *mailbox.Client {
	t.Helper()
	c, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func moveIn(t *testing.T, info peer.AddrInfo) *person {
	t.Helper()
	p := &person{Client: dial(t, info), key: mailbox.GenerateBox()}
	if _, err := p.Login(t.Context(), p.key); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lease(t.Context(), p.key.Public(), nil); err != nil {
		t.Fatal(err)
	}
	d, err := mailbox.NewDescriptor(info, p.Now(), p.Limits())
	if err != nil {
		t.Fatal(err)
	}
	p.queue = d.Queue(p.Epoch())
	if err := p.Open(t.Context(), mailbox.Ordinary, d.Expiry, p.queue.Write.QID()); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRelayLives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "relay")
	h := run(t, relay.Config{Data: dir, HTTP: "127.0.0.1:0"})
	ready := h.until(t, relay.Ready)
	if ready.Peer != h.ID().String() || len(ready.Addrs) != 2 || !strings.HasSuffix(ready.Addrs[0], "/p2p/"+ready.Peer) || ready.HTTP == "" {
		t.Fatalf("%+v", ready)
	}
	h.until(t, relay.Serving)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "serving\n"} {
		res, err := http.Get("http://" + ready.HTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || string(body) != want {
			t.Fatalf("%s: %d %q %v", path, res.StatusCode, body, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	bob := moveIn(t, h.info())
	if _, err := dial(t, h.info()).Put(t.Context(), bob.queue.Write, mailboxtest.Random(mailbox.CellSmall), 0); err != nil {
		t.Fatal(err)
	}
	s, err := relay.Status(t.Context(), relay.Socket(dir))
	if err != nil || s.State != relay.Serving || s.Cells != 1 || s.Bytes != mailbox.CellSmall || s.Queues != 1 || s.Boxes != 1 || s.Deposits != 1 ||
		s.Peer != ready.Peer || s.Uptime <= 0 || s.Peers != 2 || s.MaxDisk != 10<<30 || s.Disk < s.Bytes {
		t.Fatalf("%+v %v", s, err)
	}
	if _, err := relay.New(relay.Config{Data: dir, Mode: node.Loopback}); !errors.Is(err, relay.ErrInUse) || !strings.Contains(err.Error(), "process") {
		t.Fatal("a second relay on the directory:", err)
	}
	if _, err := relay.Status(t.Context(), relay.Socket(dir)); err != nil {
		t.Fatal("after the second one:", err)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{"": 0o700, "relay.key": 0o600, "relay.sock": 0o600, "mail": 0o700} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
				t.Fatalf("%s: %v %v", name, info.Mode(), err)
			}
		}
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.until(t, relay.Stopping)
	if _, err := relay.Status(t.Context(), relay.Socket(dir)); !errors.Is(err, relay.ErrNotRunning) {
		t.Fatal(err)
	}

	again := run(t, relay.Config{Data: dir})
	if again.ID() != h.ID() {
		t.Fatal("after a restart it is another relay")
	}
	if s, err := relay.Status(t.Context(), relay.Socket(dir)); err != nil || s.Cells != 1 {
		t.Fatalf("%+v %v", s, err)
	}
}

// A relay serves what its specification says, and nothing that somebody could have it do for others: it dials nobody on request (AutoNAT,
// hole punching), and answers no ping.
func TestWhatARelayServes(t *testing.T) {
	r := run(t, relay.Config{Data: t.TempDir()})
	r.until(t, relay.Serving)
	guest, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	told, err := guest.Host().EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	if err := guest.Dial(t.Context(), r.info()); err != nil {
		t.Fatal(err)
	}
	got := (<-told.Out()).(event.EvtPeerIdentificationCompleted).Protocols
	slices.Sort(got)
	want := []protocol.ID{
		dht.Protocol, identify.ID, identify.IDPush, mailbox.Protocol,
		proto.ProtoIDv2Hop, proto.ProtoIDv2Stop,
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("a relay serves %q, want %q", got, want)
	}
}

func TestRelayCannotStart(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "relay.key")
	for name, c := range map[string]struct {
		key  []byte
		peer string
		want error
	}{
		"short":    {[]byte{1, 2, 3}, "", relay.ErrKey},
		"empty":    {[]byte{}, "", relay.ErrKey},
		"zeros":    {append([]byte{1}, make([]byte, 32)...), "", relay.ErrKey},
		"newer":    {append([]byte{2}, make([]byte, 32)...), "", relay.ErrNewer},
		"bad peer": {append([]byte{1}, bytes.Repeat([]byte{9}, 32)...), "/ip4/127.0.0.1/tcp/1", relay.ErrPeer},
	} {
		if err := os.WriteFile(key, c.key, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := relay.Config{Data: dir, Mode: node.Loopback}
		if c.peer != "" {
			cfg.Peers = []string{c.peer}
		}
		if _, err := relay.New(cfg); !errors.Is(err, c.want) {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(key); err != nil || !bytes.Equal(b, c.key) {
			t.Fatalf("%s: the key was touched", name)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.New(relay.Config{Data: file, Mode: node.Loopback}); err == nil {
		t.Fatal("a relay in a file")
	}
	if _, err := relay.New(relay.Config{Data: t.TempDir(), Mode: node.Loopback, HTTP: "no address"}); err == nil {
		t.Fatal("HTTP nowhere")
	}
}

// TestDeepDirectory: where the directory's path is too long for a socket's, that is elsewhere.
func TestDeepDirectory(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	run(t, relay.Config{Data: filepath.Join(t.TempDir(), strings.Repeat("d", 60), strings.Repeat("e", 60)), Socket: socket})
	if _, err := relay.Status(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Status(t.Context(), socket+"x"); !errors.Is(err, relay.ErrNotRunning) {
		t.Fatal(err)
	}
}

// The servers that keep a relay's mail are gone: it ends, and does not say that its own directory is damaged.
// A copy of the mail cannot be had by way of it.
func TestASharedStoreFails(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	fail := make(chan error)
	cfg := relay.Config{Data: t.TempDir(), Mode: node.Loopback, Socket: socket, Store: func(c relay.StoreConfig) (relay.Store, error) {
		d, err := disk.Open(disk.Config{Dir: c.Dir, MaxBytes: c.MaxBytes})
		return shared{d, fail}, err
	}}
	r, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	if _, err := relay.ExportRunning(t.Context(), socket, io.Discard); !errors.Is(err, relay.ErrShared) {
		t.Error(err)
	}
	fail <- fmt.Errorf("%w: nobody answers", mailbox.ErrDamaged)
	if err := <-done; !errors.Is(err, relay.ErrStore) {
		t.Error(err)
	}
}

// shared is a Store elsewhere, which fails when it is told to.
type shared struct {
	relay.Store
	fail <-chan error
}

func (s shared) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.fail:
		return err
	}
}

// TestRelayFills: attacks.md row 35. At its cap a relay says so, to everyone,
// loses nothing, and takes mail again once some was fetched.
func TestRelayFills(t *testing.T) {
	dir := t.TempDir()
	h := run(t, relay.Config{Data: dir, Limits: relay.Limits{MaxDisk: 8 << 20}})
	h.until(t, relay.Serving)
	bob, alice := moveIn(t, h.info()), dial(t, h.info())
	var kept []mailbox.CellID
	var err error
	for range 200 {
		cell := mailboxtest.Random(mailbox.CellLarge)
		if _, err = alice.Put(t.Context(), bob.queue.Write, cell, 0); err != nil {
			break
		}
		kept = append(kept, mailbox.IDOf(cell))
	}
	if !errors.Is(err, mailbox.ErrFull) || len(kept) < 60 {
		t.Fatalf("after %d cells of 64 KiB: %v", len(kept), err)
	}
	if e := h.until(t, relay.Full); e.Reason == "" {
		t.Fatal("full without a reason")
	}
	if s, err := relay.Status(t.Context(), relay.Socket(dir)); err != nil || s.State != relay.Full || s.Reason == "" || s.Disk > s.MaxDisk || s.Cells != int64(len(kept)) {
		t.Fatalf("%+v %v", s, err)
	}
	for _, id := range kept {
		if _, err := bob.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := bob.Ack(t.Context(), kept...); n != len(kept) || err != nil {
		t.Fatal(n, err)
	}
	h.until(t, relay.Serving)
	if _, err := alice.Put(t.Context(), bob.queue.Write, mailboxtest.Random(mailbox.CellLarge), 0); err != nil {
		t.Fatal(err)
	}
}

// TestLogsNameNobody: at info level there is no PeerID, address, box or queue.
func TestLogsNameNobody(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))
	friend := p2ptest.Loopback(t)
	gone := "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	h := run(t, relay.Config{Data: t.TempDir(), Logger: logger, Peers: []string{friend.PeerAddrs()[0].String(), gone}})
	bob, alice := moveIn(t, h.info()), dial(t, h.info())
	cell := mailboxtest.Random(mailbox.CellSmall)
	if _, err := alice.Put(t.Context(), bob.queue.Write, cell, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Get(t.Context(), mailbox.IDOf(cell)); !errors.Is(err, mailbox.ErrLogin) {
		t.Fatal(err)
	}
	h.until(t, relay.Serving)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	box := bob.key.Public()
	for _, name := range []string{"12D3", "127.0.0.1", hex.EncodeToString(box[:]), bob.queue.Write.QID().String(), mailbox.IDOf(cell).String()} {
		if strings.Contains(log.String(), name) {
			t.Errorf("the log says %s:\n%s", name, log.String())
		}
	}
	if !strings.Contains(log.String(), "serving") {
		t.Errorf("the log does not say what the relay does:\n%s", log.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// A relay that starts again finds its way back into the DHT by those that it knew, without
// being told anybody.
func TestARelayRemembersTheDHT(t *testing.T) {
	other := p2ptest.Loopback(t) // serves the DHT, and calls nobody
	d, err := dht.New(other.Host(), dht.Config{Mode: node.Loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dir := t.TempDir()
	first := run(t, relay.Config{Data: dir, Peers: []string{other.PeerAddrs()[0].String()}})
	first.until(t, relay.Serving)
	first.meets(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	again := run(t, relay.Config{Data: dir})
	again.until(t, relay.Serving)
	again.meets(t)
}

// meets waits until a relay knows somebody of the DHT.
func (h *house) meets(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		if s, err := relay.Status(t.Context(), relay.Socket(h.data)); err != nil {
			t.Fatal(err)
		} else if s.DHT > 0 {
			return
		} else if time.Now().After(end) {
			t.Fatal("the relay meets nobody")
		}
	}
}
