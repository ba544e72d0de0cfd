package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"google.golang.org/protobuf/proto"
)

// aRelay is a node as a relay has it, and somebody's.
func aRelay(t *testing.T, b Bounds) (relay *Node, someone func() *Node) {
	t.Helper()
	start := func(cfg Config) *Node {
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	return start(Config{Mode: Loopback, Circuits: true, Bounds: b}), func() *Node { return start(Config{Mode: Loopback}) }
}

func getsIn(t *testing.T, n, relay *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Dial(ctx, peer.AddrInfo{ID: relay.Host().ID(), Addrs: relay.Host().Addrs()}); err != nil {
		t.Fatal(err)
	}
	late := time.After(10 * time.Second)
	for tick := time.Tick(5 * time.Millisecond); len(relay.Host().Peerstore().Addrs(n.Host().ID())) == 0; { // it was asked who it is
		select {
		case <-late:
			t.Fatal("the relay never learned of Bob")
		case <-tick:
		}
	}
}

// Attack 27: Mallory pushes ever new addresses, protocols and names to the relay, as many as go into a message, without
// end, and holds some pushes open. It keeps little of what she says, ends what does not end, and at last her connection; Bob is
// heard meanwhile.
func TestPushesInAFlood(t *testing.T) {
	relay, someone := aRelay(t, Bounds{Connections: 64, Group: 64, Rate: 8})
	mallory := someone()
	getsIn(t, mallory, relay)
	open := func() (network.Stream, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return mallory.Host().NewStream(network.WithNoDial(ctx, "she does not come back"), relay.Host().ID(), identify.IDPush)
	}
	part := func(m *pb.Identify) []byte {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)
	}
	push := func(i int) (err error) {
		s, err := open()
		if err != nil {
			return err
		}
		defer s.Reset()
		var addrs [][]byte
		for n := range 400 {
			addrs = append(addrs, ma.StringCast(fmt.Sprintf("/ip4/127.%d.%d.%d/tcp/%d", i%250+1, n/200, n%200+1, i+1)).Bytes())
		}
		var names []string
		for n := range 100 {
			names = append(names, fmt.Sprintf("/%d/%d", i, n))
		}
		names = append(names, strings.Repeat("n", 4<<10))
		long := strings.Repeat("v", 7<<10)
		what := slices.Concat(part(&pb.Identify{ListenAddrs: addrs}), part(&pb.Identify{Protocols: names}), part(&pb.Identify{AgentVersion: &long}))
		if _, err := s.Write(what); err != nil {
			return err
		}
		if err := s.CloseWrite(); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, s) // until it was taken
		return err
	}
	for i := range 20 {
		if err := push(i); err != nil {
			t.Fatal(err)
		}
	}
	book, who := relay.Host().Peerstore(), mallory.Host().ID()
	names, err := book.GetProtocols(who)
	if err != nil || len(names) == 0 || len(names) > keptProtocols || slices.ContainsFunc(names, func(p protocol.ID) bool { return len(p) > keptText }) {
		t.Errorf("%d names of protocols are kept, %v", len(names), err)
	}
	if agent, err := book.Get(who, "AgentVersion"); err != nil || len(agent.(string)) > keptText {
		t.Errorf("a name is kept whole, %v", err)
	}
	if n := len(book.Addrs(who)); n == 0 || n > maxAddrs {
		t.Errorf("%d addresses are kept", n)
	}
	var ending sync.WaitGroup
	for range 8 { // pushes that do not end
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte{0x80}); err != nil {
			t.Fatal(err)
		}
		ending.Go(func() {
			if err := s.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Error(err)
			}
			if _, err := io.Copy(io.Discard, s); err == nil || strings.Contains(err.Error(), "deadline") {
				t.Errorf("a push that does not end is waited for: %v", err)
			}
		})
	}
	getsIn(t, someone(), relay)
	ending.Wait()
	// As fast as she can: one push is done, and many are under way.
	agent := "v"
	what := part(&pb.Identify{AgentVersion: &agent})
	late := time.Now().Add(time.Minute)
	var pushing sync.WaitGroup
	for range 16 {
		pushing.Go(func() {
			for len(mallory.Host().Network().ConnsToPeer(relay.Host().ID())) > 0 {
				if time.Now().After(late) {
					t.Error("she may push as much as she likes")
					return
				}
				if s, err := open(); err == nil {
					_, _ = s.Write(what) // it may be refused
					_ = s.Reset()
				}
			}
		})
	}
	pushing.Wait()
	if n := relay.Turned(); n.Ended == 0 || n.Streams+n.StreamRate == 0 {
		t.Errorf("%+v", n)
	}
	getsIn(t, someone(), relay)
}

// Slowloris: somebody selects a protocol, or shakes hands, byte by byte, on connections and on streams of one. Each has some
// seconds for it, however often another byte comes, and nobody else has to wait.
func TestSlowHandshakes(t *testing.T) {
	relay, someone := aRelay(t, Bounds{Connections: 256, Group: 256, Rate: 64})
	var at ma.Multiaddr
	for _, a := range relay.Host().Addrs() {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			at = a
		}
	}
	netw, addr, err := manet.DialArgs(at)
	if err != nil {
		t.Fatal(err)
	}
	const every, most = 250 * time.Millisecond, 25 * time.Second // libp2p gives a connection 15 s, and a stream 10
	// trickle writes byte after byte until it is hung up on.
	trickle := func(what string, w io.Writer, b []byte) {
		for began, tick := time.Now(), time.NewTicker(every); ; <-tick.C {
			if len(b) == 0 {
				b = []byte{0}
			}
			if _, err := w.Write(b[:1]); err != nil {
				return
			}
			b = b[1:]
			if time.Since(began) > most {
				t.Errorf("%s: it is waited for", what)
				return
			}
		}
	}
	choose := func(p string) []byte { return append(append([]byte{byte(len(p) + 1)}, p...), '\n') }
	var going sync.WaitGroup
	for what, c := range map[string]struct{ atOnce, slowly []byte }{
		"the first words":            {nil, choose("/multistream/1.0.0")},
		"a protocol that is long":    {choose("/multistream/1.0.0"), append([]byte{0xff, 0x07}, make([]byte, 1023)...)},
		"ever another protocol":      {choose("/multistream/1.0.0"), slices.Concat(choose("/a"), choose("/b"), choose("/c"), choose("/d"), choose("/e"))},
		"the handshake":              {slices.Concat(choose("/multistream/1.0.0"), choose("/noise")), append([]byte{0, 32}, make([]byte, 32)...)},
		"a handshake of 64 KiB":      {slices.Concat(choose("/multistream/1.0.0"), choose("/noise")), []byte{0xff, 0xff}},
		"what stands in a handshake": {slices.Concat(choose("/multistream/1.0.0"), choose("/noise"), []byte{0, 32}, make([]byte, 32)), nil},
	} {
		for range 4 {
			going.Go(func() {
				conn, err := net.Dial(netw, addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if _, err := conn.Write(c.atOnce); err != nil {
					t.Error(err)
				}
				trickle(what, conn, c.slowly)
			})
		}
	}
	mallory := someone()
	getsIn(t, mallory, relay)
	for range 8 {
		going.Go(func() {
			s, err := mallory.Host().Network().NewStream(t.Context(), relay.Host().ID())
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Reset()
			trickle("a stream", s, append(choose("/multistream/1.0.0"), 0xff, 0x07))
		})
	}
	began := time.Now()
	for range 4 {
		getsIn(t, someone(), relay)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("others wait %v", took)
	}
	going.Wait()
}
