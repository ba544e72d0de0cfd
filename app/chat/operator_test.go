package chat

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	manet "github.com/multiformats/go-multiaddr/net"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// operator is whoever runs a relay and writes down all that they can: each byte that
// comes in or goes out, without the transport's seal, and who sent it from where.
type operator struct {
	r *relay

	mu    sync.Mutex
	bytes bytes.Buffer
	seen  []sight
}

// sight is a request that somebody made.
type sight struct {
	at     time.Time
	peer   peer.ID
	ip     string  // where it came from
	via    peer.ID // if it came through another relay
	kind   byte    // of the mailbox's frame; 0: a circuit was asked for
	box    mailbox.BoxPublic
	queues []mailbox.QID // that it is about
	notice mailbox.NoticeID
	target peer.ID // of the circuit
}

// watched has an operator watch the relay from its next start on.
func (r *relay) watched() *operator {
	o := &operator{r: r}
	r.Host = func(h host.Host) host.Host { return watchedHost{h, o} }
	return o
}

// forgets has the operator forget who left what so far; whose queues are whose stays known.
func (o *operator) forgets() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = slices.DeleteFunc(o.seen, func(s sight) bool { return s.kind != open && s.kind != login })
}

type watchedHost struct {
	host.Host
	o *operator
}

func (h watchedHost) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { f(&watchedStream{Stream: s, o: h.o, protocol: p}) })
}

type watchedStream struct {
	network.Stream
	o        *operator
	protocol protocol.ID
	in       []byte
	box      mailbox.BoxPublic
}

func (s *watchedStream) Write(b []byte) (int, error) {
	s.o.mu.Lock()
	s.o.bytes.Write(b)
	s.o.mu.Unlock()
	return s.Stream.Write(b)
}

func (s *watchedStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.bytes.Write(b[:n])
	s.in = append(s.in, b[:n]...)
	switch s.protocol {
	case mailbox.Protocol:
		for len(s.in) >= 4 && len(s.in)-4 >= int(binary.BigEndian.Uint32(s.in)) {
			end := 4 + int(binary.BigEndian.Uint32(s.in))
			s.frame(s.in[4], s.in[9:end])
			s.in = s.in[end:]
		}
	case proto.ProtoIDv2Hop:
		if size, k := binary.Uvarint(s.in); k > 0 && size > 0 && uint64(len(s.in)-k) >= size {
			var m circuitpb.HopMessage
			if protobuf.Unmarshal(s.in[k:k+int(size)], &m) == nil && m.GetType() == circuitpb.HopMessage_CONNECT {
				s.note(sight{target: peer.ID(m.GetPeer().GetId())})
			}
			s.protocol = "" // what follows is sealed from the hop
		}
	}
	return n, err
}

// The kinds of frames that say something of who writes to whom (p2p/mailbox/SPEC.md, section 2).
const login, open, put, post, fetch = 0x01, 0x03, 0x06, 0x0b, 0x0d

func (s *watchedStream) frame(kind byte, body []byte) {
	switch kind {
	case login:
		copy(s.box[:], body)
		s.note(sight{kind: kind, box: s.box})
	case open:
		seen := sight{kind: kind, box: s.box}
		for ids := body[11:]; len(ids) >= 32; ids = ids[32:] {
			seen.queues = append(seen.queues, mailbox.QID(ids[:32]))
		}
		s.note(seen)
	case put:
		s.note(sight{kind: kind, queues: []mailbox.QID{mailbox.QID(body[:32])}})
	case post, fetch:
		s.note(sight{kind: kind, box: s.box, notice: mailbox.NoticeID(body[:32])})
	}
}

func (s *watchedStream) note(seen sight) {
	seen.at, seen.peer = time.Now(), s.Conn().RemotePeer()
	seen.via, _ = node.Via(s.Conn())
	if ip, err := manet.ToIP(s.Conn().RemoteMultiaddr()); err == nil {
		seen.ip = ip.String()
	}
	s.o.seen = append(s.o.seen, seen)
}

// pair says that who is at one address writes to who is at the other.
type pair struct{ from, to string }

// links is what operators find out together: whose box a cell went to, or whose notice was
// fetched, from where that box is emptied, and from where the cell or the question came. If it came through a relay of theirs,
// that one knows whom it let pass under the same PeerID. With near they also take for one
// what passes and what arrives within that time.
func links(near time.Duration, all ...*operator) map[pair]bool {
	found := make(map[pair]bool)
	owner, posted, readers := make(map[mailbox.QID]mailbox.BoxPublic), make(map[mailbox.NoticeID]mailbox.BoxPublic), make(map[mailbox.BoxPublic][]string)
	for _, o := range all {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, s := range o.seen {
			switch s.kind {
			case login:
				readers[s.box] = append(readers[s.box], s.ip)
			case open:
				for _, q := range s.queues {
					owner[q] = s.box
				}
			case post:
				posted[s.notice] = s.box
			}
		}
	}
	for _, o := range all {
		for _, s := range o.seen {
			if s.kind != put && s.kind != fetch {
				continue
			}
			whose := posted[s.notice]
			if s.kind == put {
				whose = owner[s.queues[0]]
			}
			var from []string
			if s.via == "" {
				from = append(from, s.ip)
			}
			for _, other := range all {
				for _, passed := range other.seen {
					same := passed.peer == s.peer && passed.target == o.r.id()
					if passed.target != "" && (same || near > 0 && passed.at.Sub(s.at).Abs() < near) {
						from = append(from, passed.ip)
					}
				}
			}
			for _, ip := range from {
				for _, reader := range readers[whose] {
					if ip != reader {
						found[pair{ip, reader}] = true
					}
				}
			}
		}
	}
	return found
}

// namesNobody looks for what must not be in anything that an operator has. People need long
// names for it: "bob" is in a megabyte of sealed bytes by chance, one time in sixteen.
func (o *operator) namesNobody(people ...*person) {
	t := o.r.w
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes.Len() == 0 {
		t.Errorf("%s saw nothing", o.r.name)
	}
	for _, p := range people {
		account, device, root := p.chain.Account(), p.device.Public(), p.chain.Root()
		for what, secret := range map[string][]byte{
			"account": account[:], "account in words": []byte(account.String()), "device": device[:], "root": root[:], "name": []byte(p.name), "text": []byte("meet me at"),
		} {
			if bytes.Contains(o.bytes.Bytes(), secret) {
				t.Errorf("%s saw %s's %s", o.r.name, p.name, what)
			}
		}
	}
}

// talk has Alice and Bob write to each other while the other is away, and gives how
// Alice's message was left.
func talk(alice, bob *person) (deposits []api.Step) {
	bob.Leaves()
	alice.w.Advance(2 * time.Minute) // the hosts from which something was left before are gone
	id := alice.Says(bob, "meet me at the ford")
	alice.Sees(id, api.Kept)
	alice.w.Advance(10 * time.Second) // for those that come late
	for _, s := range alice.deposited(id) {
		deposits = append(deposits, s)
	}
	alice.Leaves()
	bob.Returns()
	bob.Reads(alice, "meet me at the ford")
	bob.Sees(bob.Says(alice, "meet me at nine"), api.Kept)
	bob.Leaves()
	alice.Returns()
	alice.Reads(bob, "meet me at nine")
	bob.Returns()
	return deposits
}

// A relay operator's view where private routing is off, as identity/THREATS.md says: one
// alone knows by address who writes to whom; never who they are, or what they say.
func TestOperatorsViewStraight(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		o := oak.watched()
		oak.Starts()
		alice, bob := w.Person("alice abernathy", oak), w.Person("bob bartholomew", oak)
		bob.Meets(alice)
		talk(alice, bob)
		a, b := alice.ip.String(), bob.ip.String()
		if found := links(0, o); len(found) != 2 || !found[pair{a, b}] || !found[pair{b, a}] {
			t.Errorf("an operator alone finds %v, not that %s and %s write to each other", found, a, b)
		}
		o.namesNobody(alice, bob)
	})
}

// With private routing and enough relays no operator alone finds out anything, from the first
// contact on. The two of one way do, together, and no other two.
func TestOperatorsViewPrivate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.private = true
		r, watch := w.watchedRelays("oak", "elm", "ash", "yew", "fir", "bay")
		alice, bob := w.Person("alice abernathy", r[0]), w.Person("bob bartholomew", r[3:]...)
		w.Advance(10 * time.Second) // they learn through whom their relays are reached
		alice.Meets(bob)
		alice.ways(bob, 3)
		bob.ways(alice, 1)
		writes := pair{alice.ip.String(), bob.ip.String()}
		if !links(0, watch...)[pair{writes.to, writes.from}] {
			t.Error("all together do not see that Bob accepted what Alice invited by")
		}
		for _, o := range watch {
			if found := links(0, o); len(found) > 0 {
				t.Errorf("%s alone finds of first contact %v", o.r.name, found)
			}
		}
		w.Advance(2 * time.Minute)
		for _, o := range watch {
			o.forgets()
		}
		deposits := talk(alice, bob)
		if len(deposits) != 3 {
			t.Fatalf("alice left %d copies", len(deposits))
		}
		oneWay := func(x, y *operator) bool {
			return slices.ContainsFunc(deposits, func(d api.Step) bool { return d.Via == x.r.id().String() && d.Peer == y.r.id().String() })
		}
		for _, x := range watch {
			if found := links(0, x); len(found) > 0 {
				t.Errorf("%s alone finds %v", x.r.name, found)
			}
			x.namesNobody(alice, bob)
			for _, y := range watch {
				if x == y {
					continue
				}
				if got, want := links(0, x, y)[writes], oneWay(x, y) || oneWay(y, x); got != want {
					t.Errorf("%s and %s together find that alice writes to bob: %v, want %v", x.r.name, y.r.name, got, want)
				}
			}
		}
	})
}

// With private routing where all keep their mail at the same three relays, none knows by
// address who writes to whom. But each lets pass what is for the others and keeps a
// copy itself, and by the time alone it can tell.
func TestOperatorsViewOfFewRelays(t *testing.T) {
	inWorld(t, func(w *world) {
		w.private = true
		r, watch := w.watchedRelays("oak", "elm", "ash")
		alice, bob := w.Person("alice", r...), w.Person("bob", r...)
		bob.Meets(alice)
		alice.ways(bob, 3)
		bob.ways(alice, 3)
		w.Advance(2 * time.Minute)
		for _, o := range watch {
			o.forgets()
		}
		talk(alice, bob)
		byTime := false
		for _, o := range watch {
			if found := links(0, o); len(found) > 0 {
				t.Errorf("%s alone finds %v", o.r.name, found)
			}
			byTime = byTime || links(time.Second, o)[pair{alice.ip.String(), bob.ip.String()}]
		}
		if !byTime {
			t.Error("nobody can tell by the time: some can, says THREATS.md")
		}
	})
}

// watchedRelays starts relays that are reached through each other, each with its operator.
func (w *world) watchedRelays(names ...string) (relays []*relay, watch []*operator) {
	for _, name := range names {
		r := w.NewRelay(name)
		relays, watch = append(relays, r), append(watch, r.watched())
	}
	for _, r := range relays {
		r.Starts()
	}
	w.Advance(30 * time.Second)
	return relays, watch
}
