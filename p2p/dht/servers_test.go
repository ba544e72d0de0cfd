package dht

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rate"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	ds "github.com/ipfs/go-datastore"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

// put asks one server to keep a value under a key, whatever it is.
func (m *member) put(to *member, key string, value []byte) error {
	return m.messenger.PutValue(within(m.t, 10*time.Second), to.host.ID(), record.MakePutRecord(key, value))
}

// ask asks one server for the value under a key.
func (m *member) ask(to *member, key string) []byte {
	m.t.Helper()
	rec, _, err := m.messenger.GetValue(within(m.t, 10*time.Second), to.host.ID(), key)
	if err != nil {
		m.t.Fatal(err)
	}
	return rec.GetValue()
}

func sealed(t testing.TB, m *member, s rendezvous.Seed, at time.Time, life time.Duration) (key string, value []byte) {
	t.Helper()
	k := s.Keys(rendezvous.At(time.Now()))
	v, err := k.Seal(m.where(), at, life)
	if err != nil {
		t.Fatal(err)
	}
	return k.Key(), v
}

func TestServersRefuseBadRecords(t *testing.T) {
	inWorld(t, 2, func(t *testing.T, w *world) {
		bob, eve := w.members[0], w.members[1]
		seed := rendezvous.NewSeed()
		now := time.Now()
		key, good := sealed(t, eve, seed, now, rendezvous.MaxLife)
		flipped := bytes.Clone(good)
		flipped[300] ^= 1
		_, old := sealed(t, eve, seed, now.Add(-13*time.Hour), rendezvous.MaxLife)
		_, future := sealed(t, eve, seed, now.Add(7*time.Hour), rendezvous.MaxLife)
		otherKey, other := sealed(t, eve, rendezvous.NewSeed(), now, rendezvous.MaxLife)
		for name, try := range map[string]struct {
			key   string
			value []byte
		}{
			"flipped":            {key, flipped},
			"expired":            {key, old},
			"from the future":    {key, future},
			"another's":          {key, other},
			"under another key":  {otherKey, good},
			"empty":              {key, nil},
			"a byte short":       {key, good[1:]},
			"a byte long":        {key, append(bytes.Clone(good), 0)},
			"oversized":          {key, make([]byte, 7000)},
			"beyond any request": {key, make([]byte, 1<<20)},
			"a public key":       {"/pk/" + string(eve.host.ID()), good},
			"IPNS":               {"/ipns/" + key[8:], good},
			"without namespace":  {key[8:], good},
		} {
			if err := eve.put(bob, try.key, try.value); err == nil {
				t.Errorf("%s: kept", name)
			}
		}
		if n := bob.Status().Records; n != 0 {
			t.Fatalf("%d records kept", n)
		}
		if bob.Status().Refused == 0 {
			t.Error("the oversized one was not counted")
		}
		if err := eve.put(bob, key, good); err != nil {
			t.Fatal("the good one was refused: ", err)
		}
	})
}

func TestServersDoNotRollBack(t *testing.T) {
	inWorld(t, 2, func(t *testing.T, w *world) {
		bob, eve := w.members[0], w.members[1]
		seed := rendezvous.NewSeed()
		key, first := sealed(t, eve, seed, time.Now(), rendezvous.MaxLife)
		_, second := sealed(t, eve, seed, time.Now().Add(time.Second), time.Hour)
		for _, v := range [][]byte{first, second, second} {
			if err := eve.put(bob, key, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := eve.put(bob, key, first); err == nil {
			t.Error("rolled back")
		}
		if !bytes.Equal(eve.ask(bob, key), second) {
			t.Error("not the newest")
		}
		// It is forgotten when it expires, not before.
		r, err := rendezvous.Parse(second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(r.Expiry) - time.Second)
		if eve.ask(bob, key) == nil {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if eve.ask(bob, key) != nil {
			t.Error("given out after it expired")
		}
	})
}

// A server that lies about what it keeps is not believed, and the newest of what
// others keep counts.
func TestReadersRefuseBadRecords(t *testing.T) {
	inWorld(t, 8, func(t *testing.T, w *world) {
		anna, eve := w.members[0], w.members[7]
		seed := rendezvous.NewSeed()
		key, old := sealed(t, anna, seed, time.Now(), rendezvous.MaxLife)
		anna.mustPut(old)
		time.Sleep(time.Minute)
		moved := anna.where()
		moved.Device.Addrs = []ma.Multiaddr{ma.StringCast("/ip4/127.9.9.9/tcp/9")}
		if _, err := anna.Publish(t.Context(), seed, moved, time.Now()); err != nil {
			t.Fatal(err)
		}
		forged := bytes.Clone(old)
		forged[40] ^= 1
		for _, lie := range [][]byte{old, forged, []byte("nothing"), make([]byte, 100<<10)} {
			eve.answers(func(req *pb.Message) *pb.Message {
				if req.GetType() == pb.Message_GET_VALUE && string(req.GetKey()) == key {
					req.Record = record.MakePutRecord(key, lie)
				}
				return req
			})
			f := w.members[3].finds(seed)
			if len(f.Device.Addrs) != 1 || !f.Device.Addrs[0].Equal(moved.Device.Addrs[0]) {
				t.Errorf("found %v", f.Device)
			}
		}
	})
}

func (m *member) mustPut(value []byte) {
	m.t.Helper()
	if _, err := m.Put(m.t.Context(), value); err != nil {
		m.t.Fatal(err)
	}
}

// answers makes a member answer as it likes, nothing at all for nil.
func (m *member) answers(answer func(*pb.Message) *pb.Message) {
	m.host.SetStreamHandler(Protocol, func(st network.Stream) {
		defer st.Close()
		raw, err := io.ReadAll(st)
		if err != nil {
			return
		}
		_, n := binary.Uvarint(raw)
		var req pb.Message
		if n <= 0 || proto.Unmarshal(raw[n:], &req) != nil {
			return
		}
		if a := answer(&req); a != nil {
			raw, err := proto.Marshal(a)
			if err != nil {
				panic(err)
			}
			st.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))
		}
	})
}

// Nobody makes a server hold room for a message by telling its length.
func TestLengthsAreChecked(t *testing.T) {
	bob := loopback(t, Config{})
	eve := p2ptest.Loopback(t)
	if err := eve.Dial(t.Context(), infoOf(bob.host)); err != nil {
		t.Fatal(err)
	}
	for i, head := range [][]byte{
		{0},
		{0x81, 0x40}, // 8,193
		{0xff, 0xff, 0xff, 0x01},
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
	} {
		st, err := eve.Host().NewStream(t.Context(), bob.host.ID(), Protocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write(head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(st); err == nil {
			t.Errorf("%x: not refused", head)
		}
		if n := bob.server.refused.Load(); n != uint64(i+1) {
			t.Errorf("%x: %d counted", head, n)
		}
	}
	// What fits is answered, however it is cut, and several on one stream.
	ping, err := proto.Marshal(&pb.Message{Type: pb.Message_PING, Key: make([]byte, 8000)})
	if err != nil {
		t.Fatal(err)
	}
	ping = append(binary.AppendUvarint(nil, uint64(len(ping))), ping...)
	st, err := eve.Host().NewStream(t.Context(), bob.host.ID(), Protocol)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{ping[:1], ping[1:2], ping[2:5000], ping[5000:], ping} {
		if _, err := st.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	st.CloseWrite()
	if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, append(bytes.Clone(ping), ping...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// The same for what servers answer.
func TestAnswersAreBounded(t *testing.T) {
	bob := loopback(t, Config{})
	eve := p2ptest.Loopback(t)
	sends := func(raw []byte) {
		eve.Host().SetStreamHandler(Protocol, func(st network.Stream) {
			defer st.Close()
			io.ReadAll(st)
			st.Write(raw)
		})
	}
	many := pb.Message{Type: pb.Message_FIND_NODE}
	for range 100 {
		p := &pb.Message_Peer{Id: []byte(eve.Host().ID())}
		for range 30 {
			p.Addrs = append(p.Addrs, ma.StringCast("/ip4/127.0.0.1/tcp/1").Bytes())
		}
		many.CloserPeers = append(many.CloserPeers, p)
		many.ProviderPeers = append(many.ProviderPeers, p)
	}
	raw, err := proto.Marshal(&many)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 10*time.Second)
	if err := node.Dial(ctx, bob.host, node.Loopback, p2ptest.Info(eve)); err != nil {
		t.Fatal(err)
	}
	s := sender{bob.host, time.Second, new(corners)}
	ask := func() (*pb.Message, error) {
		return s.SendRequest(ctx, eve.Host().ID(), &pb.Message{Type: pb.Message_FIND_NODE, Key: []byte("k")})
	}
	sends(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))
	a, err := ask()
	if err != nil || len(a.CloserPeers) != maxCloser || len(a.ProviderPeers) != maxProvided || len(a.CloserPeers[0].Addrs) != maxAddrs {
		t.Errorf("heeds too much, or %v", err)
	}
	for name, raw := range map[string][]byte{
		"too long":  binary.AppendUvarint(nil, maxAnswer+1),
		"huge":      binary.AppendUvarint(nil, 1<<62),
		"cut short": {100, 1, 2},
		"no answer": {},
		"nonsense":  {3, 0xff, 0xff, 0xff},
	} {
		sends(raw)
		if a, err := ask(); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
	eve.Host().SetStreamHandler(Protocol, func(st network.Stream) {}) // holds its peace
	start := time.Now()
	if _, err := ask(); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func recordOf(t testing.TB, i int, life time.Duration) (ds.Key, []byte) {
	t.Helper()
	var seed rendezvous.Seed
	binary.BigEndian.PutUint32(seed[:], uint32(i))
	k := seed.Keys(0)
	v, err := k.Seal(rendezvous.Content{Device: peer.AddrInfo{ID: newID(t)}}, time.Now(), life)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(record.MakePutRecord(k.Key(), v))
	if err != nil {
		t.Fatal(err)
	}
	return ds.NewKey(fmt.Sprint(i)), raw
}

func newID(t testing.TB) peer.ID {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A server that is flooded keeps what is nearest to it, and never more than it may.
func TestFullOfRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords(newID(t), 50)
		ctx := t.Context()
		refused := 0
		for i := range 300 {
			key, v := recordOf(t, i, time.Hour)
			if err := r.Put(ctx, key, v); errors.Is(err, errFull) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
			if r.len() > 50 {
				t.Fatal("too many")
			}
		}
		if r.len() != 50 || refused == 0 {
			t.Fatalf("%d kept, %d refused", r.len(), refused)
		}
		// The same set remains whatever the order.
		again := newRecords("", 50)
		again.self = r.self
		for i := 299; i >= 0; i-- {
			key, v := recordOf(t, i, time.Hour)
			_ = again.Put(ctx, key, v)
		}
		for key := range r.byKey {
			if again.byKey[key] == nil {
				t.Fatal("the order decides who stays")
			}
		}
		// A record that replaces its older one needs no room.
		for key := range r.byKey {
			var i int
			fmt.Sscanf(key.String(), "/%d", &i)
			_, v := recordOf(t, i, 2*time.Hour)
			if err := r.Put(ctx, key, v); err != nil || r.len() != 50 {
				t.Fatal(err, r.len())
			}
			break
		}
		// What expired makes room for what is far.
		time.Sleep(time.Hour)
		for i := 1000; i < 1049; i++ {
			key, v := recordOf(t, i, time.Hour)
			if err := r.Put(ctx, key, v); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		r.sweep()
		if r.len() != 0 || len(r.far) != 0 {
			t.Fatalf("%d left", r.len())
		}
		if err := r.Put(ctx, ds.NewKey("x"), []byte("x")); err == nil {
			t.Fatal("not a record")
		}
	})
}

// Servers keep announcements under the keys of these days alone, so many a key, and
// for half a day.
func TestFullOfRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		p := newProviders(true)
		today := dayOf(time.Now())
		relay := func(i int) peer.AddrInfo {
			return peer.AddrInfo{ID: newID(t), Addrs: []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/11.%d.%d.1/tcp/1", i/256, i%256))}}
		}
		for day, want := range map[uint32]bool{today - 2: false, today - 1: true, today: true, today + 1: true, today + 2: false} {
			k := relayKey(day, 15)
			if err := p.AddProvider(ctx, k[:], relay(0)); (err == nil) != want {
				t.Errorf("day %d: %v", int(day)-int(today), err)
			}
		}
		k := relayKey(today, 16)
		for _, key := range [][]byte{nil, []byte("k"), k[:], make([]byte, 32), make([]byte, 80)} {
			if err := p.AddProvider(ctx, key, relay(0)); err == nil {
				t.Errorf("key %x taken", key)
			}
			if got, err := p.GetProviders(ctx, key); len(got) > 0 || err != nil {
				t.Error(got, err)
			}
		}
		k = relayKey(today, 0)
		for i := range 300 {
			if err := p.AddProvider(ctx, k[:], relay(i)); (err == nil) != (i < providersPerKey) {
				t.Fatalf("relay %d: %v", i, err)
			}
		}
		k = relayKey(today, 1)
		mine := relay(7)
		for i := range 10 {
			if err := p.AddProvider(ctx, k[:], mine); err != nil {
				t.Fatal("the same again: ", err)
			}
			if err := p.AddProvider(ctx, k[:], relay(7)); (err == nil) != (i < providersPerGroup-1) {
				t.Errorf("neighbour %d: %v", i, err)
			}
		}
		if err := p.AddProvider(ctx, k[:], peer.AddrInfo{ID: newID(t)}); err == nil {
			t.Error("a relay without address")
		}
		k = relayKey(today, 0)
		got, err := p.GetProviders(ctx, k[:])
		if err != nil || len(got) != providersPerAnswer {
			t.Fatal(len(got), err)
		}
		time.Sleep(AnnouncementLife)
		if got, _ := p.GetProviders(ctx, k[:]); len(got) != 0 {
			t.Fatal("given out after it expired")
		}
		p.sweep()
		if n := p.len(); n != 0 {
			t.Fatalf("%d left", n)
		}
	})
}

// In public, floods from one group of addresses end, and nobody announces others.
func TestOriginsInPublic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(nil, true)
		group := func(a string) func() bool {
			ip, ok := ipOf(ma.StringCast(a))
			if !ok {
				t.Fatal(a)
			}
			return func() bool { return s.stores.Take(node.Group(ip), time.Now()) }
		}
		eve, neighbour, bob := group("/ip4/11.0.0.1/tcp/1"), group("/ip4/11.0.0.200/tcp/1"), group("/ip4/11.0.1.1/tcp/1")
		for range maxStores / 2 {
			if !eve() || !neighbour() {
				t.Fatal("refused too early")
			}
		}
		if eve() || neighbour() || !bob() {
			t.Error("wrong ones refused")
		}
		six, same := group("/ip6/2606:4700:1::1/tcp/1"), group("/ip6/2606:4700:1:ffff::2/tcp/1")
		for range maxStores {
			six()
		}
		if same() {
			t.Error("a /48 has more than one share")
		}
		time.Sleep(time.Minute)
		if !eve() {
			t.Error("not forgiven after a minute")
		}
		for i := range 1 << 16 {
			group(fmt.Sprintf("/ip4/12.%d.%d.1/tcp/1", i>>8, i&255))()
		}
		if s.stores.Len() > rate.MaxGroups+1 {
			t.Errorf("%d groups are told apart", s.stores.Len())
		}
	})
	announce := func(addrs ...string) *pb.Message {
		p := &pb.Message_Peer{}
		for _, a := range addrs {
			p.Addrs = append(p.Addrs, ma.StringCast(a).Bytes())
		}
		return &pb.Message{Type: pb.Message_ADD_PROVIDER, ProviderPeers: []*pb.Message_Peer{p}}
	}
	from, _ := ipOf(ma.StringCast("/ip4/11.0.0.1/udp/77"))
	honest := announce("/ip6/2606:4700::1/tcp/1", "/ip4/11.0.0.1/tcp/1")
	if !names(honest, from) || !bytes.Equal(honest.ProviderPeers[0].Addrs[0], ma.StringCast("/ip4/11.0.0.1/tcp/1").Bytes()) {
		t.Error("an honest announcement is refused")
	}
	for _, lie := range []*pb.Message{announce("/ip4/11.0.0.2/tcp/1"), announce(), {}, {ProviderPeers: []*pb.Message_Peer{{Addrs: [][]byte{{1}, nil}}}}} {
		if names(lie, from) {
			t.Error("somebody else is announced")
		}
	}
}

// A server's reader takes any bytes.
func FuzzInbound(f *testing.F) {
	for _, b := range [][]byte{nil, {0}, {1, 2}, {0x80}, {0x81, 0x40, 1}, {0x80, 0x80, 1}, append([]byte{0x80, 0x40}, make([]byte, 8193)...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &inbound{Stream: &bytesStream{Reader: bytes.NewReader(b)}, refused: &newServer(nil, false).refused}
		got, err := io.ReadAll(in)
		if !bytes.HasPrefix(b, got) {
			t.Fatal("the bytes changed")
		}
		for rest := got; len(rest) > 0; {
			n, k := binary.Uvarint(rest)
			if k <= 0 || n == 0 || n > maxRequest {
				t.Fatalf("%x came through (%v)", rest[:min(10, len(rest))], err)
			}
			rest = rest[min(k+int(n), len(rest)):]
		}
	})
}

type bytesStream struct {
	network.Stream
	*bytes.Reader
}

func (s *bytesStream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
func (s *bytesStream) Reset() error               { return nil }
