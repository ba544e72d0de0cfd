package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/proto"

	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Flood is what a hostile crowd does to a relay on loopback. Each of its connections does one of these,
// chosen by Seed: says nothing (half of them); or holds mailbox streams, on which bytes trickle; tries LOGINs; PUTs; pours in
// requests of 64 KiB without a pause; logs in to a box with a lease, which is one for all of them, and names hundreds of cells
// at a time, opening streams as long as it gets some; pushes to identify; asks the DHT. It goes on until the relay ends it.
type Flood struct {
	Seed        uint64
	Connections int           // that are begun, each from an address of its own
	Streams     int           // that are held open at once, if the relay lets it
	Length      time.Duration // over which the connections are begun, evenly; then they are held as long again
}

// Flooded is what came of it.
type Flooded struct {
	Begun    int64 `json:"begun"`
	Let      int64 `json:"let"`      // handshakes that were finished, of those that were tried
	Held     int64 `json:"held"`     // slow streams, at most at one time
	Steadily int64 `json:"steadily"` // and at the median second of those in which connections were begun
	Asked    int64 `json:"asked"`    // requests of all kinds that were sent
}

// trickleEvery is how often a slow stream sends a byte, and askEvery a connection that asks a request.
const trickleEvery, askEvery = 2 * time.Second, 10 * time.Millisecond

// slowEach is how many slow streams a connection opens, and holderStreams one that has a box.
const slowEach, holderStreams = 8, 16

// Address is where the i-th connection comes from: one of 256 groups of 127.1.0.0/16.
func (f Flood) address(i int) netip.Addr {
	n := mathrand.New(mathrand.NewPCG(f.Seed, uint64(i))).Uint32()
	return netip.AddrFrom4([4]byte{127, 1, byte(n), byte(n>>8)%253 + 1})
}

// Run floods a relay. It ends after twice Length, or with the context.
func (f Flood) Run(ctx context.Context, relay peer.AddrInfo) (Flooded, error) {
	at, err := tcpOf(relay)
	if err != nil {
		return Flooded{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*f.Length)
	defer cancel()
	_, box, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Flooded{}, err
	}
	r := &flooding{Flood: f, relay: relay.ID, at: at, box: box}
	var holding sync.WaitGroup
	var seconds []int64
	tick, second := time.NewTicker(max(f.Length/time.Duration(max(f.Connections, 1)), time.Microsecond)), time.Now()
	defer tick.Stop()
	for began := time.Now(); ctx.Err() == nil && int(r.begun.Load()) < f.Connections; {
		due := int64(float64(f.Connections) * min(1, float64(time.Since(began))/float64(f.Length)))
		for i := r.begun.Load(); i < due; i++ { // a tick that was late is made up for
			r.begun.Add(1)
			holding.Go(func() { r.connection(ctx, int(i)) })
		}
		if time.Since(second) >= time.Second {
			second = time.Now()
			seconds = append(seconds, r.held.Load())
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	holding.Wait()
	var steadily int64
	if len(seconds) > 0 {
		slices.Sort(seconds)
		steadily = seconds[len(seconds)/2]
	}
	return Flooded{r.begun.Load(), r.let.Load(), r.most.Load(), steadily, r.asked.Load()}, nil
}

func tcpOf(p peer.AddrInfo) (ma.Multiaddr, error) {
	for _, a := range p.Addrs {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			return a, nil
		}
	}
	return nil, errors.New("relay: a flood goes over TCP")
}

type flooding struct {
	Flood
	relay                              peer.ID
	at                                 ma.Multiaddr
	box                                ed25519.PrivateKey
	begun, let, held, most, due, asked atomic.Int64
}

// connection is one of them. That it ends, and why, is the relay's affair.
func (r *flooding) connection(ctx context.Context, i int) {
	rnd := mathrand.New(mathrand.NewPCG(r.Seed, uint64(i)))
	rnd.Uint32() // which chose the address
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.address(i), 0))}
	if rnd.IntN(2) == 0 {
		r.silent(ctx, d, rnd.IntN(2) == 0)
		return
	}
	c, err := r.dial(ctx, d)
	if err != nil {
		return
	}
	r.let.Add(1)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	var answering sync.WaitGroup
	defer answering.Wait()
	defer c.Close()
	answering.Go(func() { // whatever the relay asks, it has no answer
		for {
			s, err := c.AcceptStream()
			if err != nil {
				return
			}
			s.Reset()
		}
	})
	switch kind := rnd.IntN(10); {
	case kind < 4:
		r.slow(ctx, c)
	case kind == 4:
		r.mailbox(ctx, c, 0x01, make([]byte, 32+64), askEvery) // LOGIN
	case kind == 5:
		r.mailbox(ctx, c, 0x06, make([]byte, 32+4+mailbox.CellSmall), askEvery) // PUT
	case kind == 6:
		r.mailbox(ctx, c, 0x06, make([]byte, 32+4+mailbox.CellLarge), 0)
	case kind == 7:
		r.holder(ctx, c)
	case kind == 8:
		r.pushes(ctx, c)
	default:
		r.asksDHT(ctx, c)
	}
}

// silent is a connection on which the handshake does not begin, or hardly.
func (r *flooding) silent(ctx context.Context, d *net.Dialer, hardly bool) {
	network, addr, err := manet.DialArgs(r.at)
	if err != nil {
		return
	}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if hardly {
		c.Write([]byte("\x13/multistr"))
	}
	io.Copy(io.Discard, c)
}

// dial finishes a handshake, under a PeerID of its own.
func (r *flooding) dial(ctx context.Context, d *net.Dialer) (transport.CapableConn, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	s, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	u, err := upgrader.New([]sec.SecureTransport{s}, muxers, nil, new(network.NullResourceManager), nil)
	if err != nil {
		return nil, err
	}
	t, err := tcp.NewTCPTransport(u, nil, nil, tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return d, nil }))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return t.Dial(ctx, r.at, r.relay)
}

// open opens a stream of a protocol.
func (r *flooding) open(ctx context.Context, c transport.CapableConn, p protocol.ID) (network.MuxedStream, error) {
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := multistream.SelectProtoOrFail(p, s); err != nil {
		s.Reset()
		return nil, err
	}
	s.SetDeadline(time.Time{})
	return s, nil
}

// slow holds streams whose first request never ends, as long as not enough are held.
func (r *flooding) slow(ctx context.Context, c transport.CapableConn) {
	var holding sync.WaitGroup
	defer holding.Wait()
	for range slowEach {
		if r.due.Add(1) > int64(r.Streams) {
			r.due.Add(-1)
			break
		}
		s, err := r.open(ctx, c, mailbox.Protocol)
		if err != nil {
			r.due.Add(-1)
			break
		}
		holding.Go(func() {
			r.hold(ctx, s)
			r.due.Add(-1)
		})
	}
	holding.Go(func() { // even where it may hold no stream
		for ctx.Err() == nil && !c.IsClosed() {
			wait(ctx, trickleEvery)
		}
	})
}

func (r *flooding) hold(ctx context.Context, s network.MuxedStream) {
	defer s.Reset()
	var hello [4 + 5 + 71]byte
	if _, err := io.ReadFull(s, hello[:]); err != nil || hello[4] != 0x80 {
		return // it was turned away
	}
	if n := r.held.Add(1); n > r.most.Load() {
		r.most.Store(n) // of two at one moment either will do
	}
	defer r.held.Add(-1)
	head := binary.BigEndian.AppendUint32(nil, 5+32+4+mailbox.CellSmall)
	for i := 0; ; i++ {
		b := byte(0)
		if i < len(head) {
			b = head[i]
		}
		if _, err := s.Write([]byte{b}); err != nil {
			return
		}
		if !wait(ctx, trickleEvery) {
			return
		}
	}
}

// wait tells whether the context goes on.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// mailbox sends one request every so often, if it is taken, with random bytes, on stream after stream.
func (r *flooding) mailbox(ctx context.Context, c transport.CapableConn, kind byte, body []byte, every time.Duration) {
	var reading sync.WaitGroup
	defer reading.Wait()
	for ctx.Err() == nil {
		s, err := r.open(ctx, c, mailbox.Protocol)
		if err != nil {
			return
		}
		reading.Go(func() { io.Copy(io.Discard, s) }) // ends with the stream
		for id := uint32(1); ; id++ {
			rand.Read(body) // never fails, see crypto/rand
			b := binary.BigEndian.AppendUint32(nil, uint32(5+len(body)))
			b = binary.BigEndian.AppendUint32(append(b, kind), id)
			if _, err := s.Write(append(b, body...)); err != nil || !wait(ctx, every) {
				break
			}
			r.asked.Add(1)
		}
		s.Reset()
	}
}

// holder logs in to the flood's box and acknowledges what is not there, on as many streams as it gets.
func (r *flooding) holder(ctx context.Context, c transport.CapableConn) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for range holderStreams {
		s, err := r.open(ctx, c, mailbox.Protocol)
		if err != nil {
			return
		}
		asking.Go(func() {
			defer s.Reset()
			var hello [4 + 5 + 71]byte
			if _, err := io.ReadFull(s, hello[:]); err != nil || hello[4] != 0x80 {
				return // it was turned away
			}
			asking.Go(func() { io.Copy(io.Discard, s) }) // ends with the stream
			say := func(kind byte, body ...[]byte) error {
				b := slices.Concat(body...)
				head := binary.BigEndian.AppendUint32(nil, uint32(5+len(b)))
				_, err := s.Write(append(binary.BigEndian.AppendUint32(append(head, kind), 1), b...))
				return err
			}
			box := r.box.Public().(ed25519.PublicKey)
			what := slices.Concat([]byte("godwit/1/mailbox/login"), []byte(r.relay), hello[4+5+9:][:32], box)
			if say(0x01, box, ed25519.Sign(r.box, what)) != nil || say(0x02, []byte{byte(mailbox.LeaseOpen), 0}) != nil {
				return
			}
			cells := make([]byte, 2+mailbox.MaxBatch*len(mailbox.CellID{}))
			binary.BigEndian.PutUint16(cells, mailbox.MaxBatch)
			for ctx.Err() == nil {
				rand.Read(cells[2:]) // never fails, see crypto/rand
				if say(0x09, cells) != nil {
					return
				}
				r.asked.Add(1)
			}
		})
	}
}

// pushes tells the relay at great length where it is reached, again and again.
func (r *flooding) pushes(ctx context.Context, c transport.CapableConn) {
	long := make([]byte, 4<<10)
	rand.Read(long) // never fails, see crypto/rand
	for ctx.Err() == nil {
		s, err := r.open(ctx, c, identify.IDPush)
		if err != nil {
			return
		}
		b := binary.AppendUvarint(nil, uint64(len(long)))
		s.Write(append(b, long...))
		s.CloseWrite()
		io.Copy(io.Discard, s)
		s.Reset()
		r.asked.Add(1)
		wait(ctx, askEvery)
	}
}

// asksDHT asks for what is near a random key.
func (r *flooding) asksDHT(ctx context.Context, c transport.CapableConn) {
	var reading sync.WaitGroup
	defer reading.Wait()
	for ctx.Err() == nil {
		s, err := r.open(ctx, c, dht.Protocol)
		if err != nil {
			return
		}
		reading.Go(func() { io.Copy(io.Discard, s) }) // ends with the stream
		for {
			key := make([]byte, 38)
			rand.Read(key) // never fails, see crypto/rand
			m, err := proto.Marshal(&pb.Message{Type: pb.Message_FIND_NODE, Key: key})
			if err != nil {
				panic(fmt.Sprint("relay: a message that cannot be written: ", err))
			}
			if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(m))), m...)); err != nil || !wait(ctx, askEvery) {
				break
			}
			r.asked.Add(1)
		}
		s.Reset()
	}
}
