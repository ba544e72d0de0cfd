package dht

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

// view is what whoever runs a server of the DHT can write down: each byte that comes in or
// goes out, and who asked for which key from where.
type view struct {
	host.Host

	mu    sync.Mutex
	bytes bytes.Buffer               // all
	kept  bytes.Buffer               // records
	wrote map[string]map[string]bool // key to the IP addresses that put a record
	asked map[string]map[string]bool // and that asked for it
	sawIn map[pb.Message_MessageType]map[string]bool
}

func newView(h host.Host) *view {
	return &view{Host: h, wrote: make(map[string]map[string]bool), asked: make(map[string]map[string]bool), sawIn: make(map[pb.Message_MessageType]map[string]bool)}
}

func (v *view) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	v.Host.SetStreamHandler(p, func(s network.Stream) { handle(&viewed{Stream: s, v: v}) })
}

type viewed struct {
	network.Stream
	v  *view
	in []byte
}

func (s *viewed) Write(b []byte) (int, error) {
	s.v.mu.Lock()
	s.v.bytes.Write(b)
	s.v.mu.Unlock()
	return s.Stream.Write(b)
}

func (s *viewed) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	s.v.bytes.Write(b[:n])
	s.in = append(s.in, b[:n]...)
	for {
		size, k := binary.Uvarint(s.in)
		if k <= 0 || uint64(len(s.in)-k) < size {
			return n, err
		}
		var m pb.Message
		if proto.Unmarshal(s.in[k:k+int(size)], &m) == nil {
			s.v.note(&m, s.Conn().RemoteMultiaddr())
		}
		s.in = s.in[k+int(size):]
	}
}

func (v *view) note(m *pb.Message, from ma.Multiaddr) {
	ip, _ := ipOf(from)
	add := func(in map[string]map[string]bool, key string) {
		if in[key] == nil {
			in[key] = make(map[string]bool)
		}
		in[key][ip.String()] = true
	}
	if v.sawIn[m.GetType()] == nil {
		v.sawIn[m.GetType()] = make(map[string]bool)
	}
	v.sawIn[m.GetType()][ip.String()] = true
	switch m.GetType() {
	case pb.Message_PUT_VALUE:
		add(v.wrote, string(m.GetKey()))
		v.kept.Write(m.GetRecord().GetValue())
	case pb.Message_GET_VALUE:
		add(v.asked, string(m.GetKey()))
	}
}

// links are the pairs of addresses of which one put a record and the other asked for it.
func (v *view) links() map[[2]string]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := make(map[[2]string]bool)
	for key, writers := range v.wrote {
		for w := range writers {
			for r := range v.asked[key] {
				if r != w {
					found[[2]string{w, r}] = true
				}
			}
		}
	}
	return found
}

// A DHT server's view, as identity/THREATS.md says: who is near a key sees the address that
// publishes under it and the one that reads it, and so that the two have to do with each
// other; nobody else with either, nothing of what is in a record, and not that two keys are
// one pair's.
func TestServersView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := p2ptest.NewWorld(t, p2ptest.Link{Latency: 40 * time.Millisecond}, 1)
		var ways []peer.AddrInfo
		var views []*view
		for _, name := range []string{"r1", "r2", "r3"} {
			n := w.Node(name)
			v := newView(n.Host())
			m := join(t, v, Config{Mode: node.Public, Relay: true, Bootstrap: ways})
			if len(ways) > 0 {
				m.mustBeReady()
			}
			ways, views = append(ways, p2ptest.Info(n)), append(views, v)
		}
		person := func(name string) *member {
			m := join(t, w.Node(name).Host(), Config{Mode: node.Public, Bootstrap: ways})
			m.mustBeReady()
			return m
		}
		anna, bob, carol := person("anna"), person("bob"), person("carol")
		ip := func(m *member) string {
			a, _ := ipOf(m.host.Addrs()[0])
			return a.String()
		}
		toBob, toCarol := rendezvous.NewSeed(), rendezvous.NewSeed()
		for period := range 2 {
			if period > 0 {
				time.Sleep(rendezvous.Period)
			}
			anna.publish(toBob)
			anna.publish(toCarol)
			if f := bob.finds(toBob); f.Device.ID != anna.host.ID() {
				t.Fatalf("bob finds %v", f)
			}
		}
		want := map[[2]string]bool{{ip(anna), ip(bob)}: true}
		for i, v := range views {
			if found := v.links(); !maps.Equal(found, want) {
				t.Errorf("server %d finds %v, want %v", i, found, want)
			}
			// Four keys, two for each reader: which two are one reader's it cannot tell but by
			// who asks, and Carol has not asked.
			if len(v.wrote) != 4 {
				t.Errorf("server %d saw records under %d keys", i, len(v.wrote))
			}
			keys := slices.Sorted(maps.Keys(v.wrote))
			for a, one := range keys {
				for _, other := range keys[a+1:] {
					if one[len("/godwit/"):][:4] == other[len("/godwit/"):][:4] {
						t.Errorf("two keys begin alike: %x, %x", one, other)
					}
				}
			}
		}
		// Which of the network's peers Anna is, and where, is in the records. A server knows it of
		// everybody who speaks with it, but from no record.
		for i, v := range views {
			for what, secret := range map[string][]byte{"peer id": []byte(anna.host.ID()), "address": anna.host.Addrs()[0].Bytes()} {
				if v.kept.Len() == 0 || bytes.Contains(v.kept.Bytes(), secret) {
					t.Errorf("server %d read anna's %s in a record", i, what)
				}
			}
			if bytes.Contains(v.bytes.Bytes(), toBob[:]) {
				t.Errorf("server %d saw a seed", i)
			}
			if v.sawIn[pb.Message_GET_VALUE][ip(carol)] {
				t.Errorf("server %d says that carol asked", i)
			}
			if v.sawIn[pb.Message_ADD_PROVIDER][ip(anna)] || v.sawIn[pb.Message_ADD_PROVIDER][ip(bob)] {
				t.Errorf("server %d was told that a person is a relay", i)
			}
		}
	})
}
