package dht

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rate"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// maxRequest bounds a request in bytes: a record is 664, an announcement
	// with 16 addresses some 600. kad-dht would make room for 4 MiB on the word
	// of four bytes.
	maxRequest = 8 << 10
	// maxStores is how many records and announcements one group of addresses
	// may bring at once, and then in each minute, in public.
	maxStores = 256
)

var errRequest = errors.New("dht: a request that is too long")

// server is the host as kad-dht sees it: streams that others open come bounded,
// and end with close.
type server struct {
	host.Host
	public  bool
	refused atomic.Uint64

	mu      sync.Mutex
	streams map[network.Stream]bool
	ended   bool
	wg      sync.WaitGroup

	stores rate.Groups // what is brought, in public
}

func newServer(h host.Host, public bool) *server {
	return &server{Host: h, public: public, streams: make(map[network.Stream]bool), stores: rate.Groups{Limit: rate.Limit{Burst: maxStores, PerSecond: maxStores / 60.0}}}
}

// SetStreamHandler is the host's, with what comes in bounded.
func (s *server) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	s.Host.SetStreamHandler(p, func(st network.Stream) {
		if !s.begin(st) {
			st.Reset()
			return
		}
		defer s.end(st)
		handle(&inbound{Stream: st, refused: &s.refused})
	})
}

func (s *server) begin(st network.Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.streams[st] = true
	s.wg.Add(1)
	return true
}

func (s *server) end(st network.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.wg.Done()
}

func (s *server) close() {
	s.Host.RemoveStreamHandler(Protocol)
	s.mu.Lock()
	s.ended = true
	for st := range s.streams {
		st.Reset()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// onRequest sees each request before kad-dht does, and spoils those that are to be
// refused: that is how its hook can say no.
func (s *server) onRequest(_ context.Context, st network.Stream, req *pb.Message) {
	if !node.VisitorOf(st.Conn()).May(node.Request, 1) {
		s.refused.Add(1)
		req.Type = -1
		return
	}
	if t := req.GetType(); t != pb.Message_PUT_VALUE && t != pb.Message_ADD_PROVIDER || !s.public {
		return
	}
	ip, ok := ipOf(st.Conn().RemoteMultiaddr())
	if !ok || !s.stores.Take(node.Group(ip), time.Now()) || req.GetType() == pb.Message_ADD_PROVIDER && !names(req, ip) {
		s.refused.Add(1)
		req.Type = -1
	}
}

// names says whether an announcement names the address from which it comes: nobody
// can speak for addresses of others. That address is put first, by which the
// store of providers knows the group.
func names(req *pb.Message, ip netip.Addr) bool {
	for _, p := range req.GetProviderPeers() {
		for i, raw := range p.Addrs {
			a, err := ma.NewMultiaddrBytes(raw)
			if err != nil {
				continue
			}
			if claimed, ok := ipOf(a); ok && claimed == ip {
				p.Addrs[0], p.Addrs[i] = p.Addrs[i], p.Addrs[0]
				req.ProviderPeers = []*pb.Message_Peer{p}
				return true
			}
		}
	}
	return false
}

func ipOf(a ma.Multiaddr) (netip.Addr, bool) {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

// inbound is a stream whose messages, each a length as uvarint and that many bytes,
// are bounded before a reader can make room for them.
type inbound struct {
	network.Stream
	refused *atomic.Uint64
	head    []byte // the length, not handed on yet
	left    uint64 // bytes of the message, not read yet
}

func (s *inbound) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.head) == 0 && s.left == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	n, err := s.Stream.Read(p[:min(uint64(len(p)), s.left)])
	s.left -= uint64(n)
	return n, err
}

// next reads a length.
func (s *inbound) next() error {
	var buf [3]byte // 8 KiB takes two
	for i := range buf {
		for {
			n, err := s.Stream.Read(buf[i : i+1])
			if n == 1 {
				break
			}
			if err != nil {
				return err
			}
		}
		if buf[i] < 0x80 {
			size, _ := binary.Uvarint(buf[:i+1])
			if size == 0 || size > maxRequest {
				break
			}
			s.head, s.left = append(s.head[:0], buf[:i+1]...), size
			return nil
		}
	}
	s.refused.Add(1)
	s.Stream.Reset()
	return errRequest
}
