package mailbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// pipeHost is as much of a host as the mailbox needs, over net.Pipe. A libp2p
// host looks at its addresses every 5 s, which makes months of virtual time long.
type pipeHost struct {
	host.Host
	id      peer.ID
	key     crypto.PrivKey
	others  map[peer.ID]*pipeHost
	handler network.StreamHandler
	addr    ma.Multiaddr // as others see it; may be nil
}

// pipeHosts are hosts that know each other.
func pipeHosts(t testing.TB, n int) (hosts []*pipeHost) {
	t.Helper()
	all := make(map[peer.ID]*pipeHost)
	for range n {
		k, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		h := &pipeHost{id: id, key: k, others: all}
		all[id] = h
		hosts = append(hosts, h)
	}
	return hosts
}

func (h *pipeHost) ID() peer.ID                                  { return h.id }
func (h *pipeHost) Connect(context.Context, peer.AddrInfo) error { return nil }
func (h *pipeHost) Peerstore() peerstore.Peerstore               { return noAddrs{} }
func (h *pipeHost) RemoveStreamHandler(protocol.ID)              { h.handler = nil }

func (h *pipeHost) SetStreamHandler(_ protocol.ID, f network.StreamHandler) { h.handler = f }

func (h *pipeHost) NewStream(_ context.Context, to peer.ID, _ ...protocol.ID) (network.Stream, error) {
	other := h.others[to]
	if other == nil || other.handler == nil {
		return nil, errors.New("nobody there")
	}
	a, b := net.Pipe()
	go other.handler(&pipeStream{pipe: b, far: h.id, addr: h.addr})
	return &pipeStream{pipe: a, far: to}, nil
}

// noAddrs keeps no addresses: pipes have none.
type noAddrs struct{ peerstore.Peerstore }

func (noAddrs) AddAddrs(peer.ID, []ma.Multiaddr, time.Duration) {}

type pipeStream struct {
	network.Stream // of it nothing is used but what follows
	pipe           net.Conn
	far            peer.ID
	addr           ma.Multiaddr
}

// CloseWrite is what a pipe cannot do.
func (*pipeStream) CloseWrite() error { return errors.ErrUnsupported }

func (s *pipeStream) Read(b []byte) (int, error)         { return s.pipe.Read(b) }
func (s *pipeStream) Write(b []byte) (int, error)        { return s.pipe.Write(b) }
func (s *pipeStream) Close() error                       { return s.pipe.Close() }
func (s *pipeStream) Reset() error                       { return s.pipe.Close() }
func (s *pipeStream) SetReadDeadline(t time.Time) error  { return s.pipe.SetReadDeadline(t) }
func (s *pipeStream) SetWriteDeadline(t time.Time) error { return s.pipe.SetWriteDeadline(t) }
func (s *pipeStream) Conn() network.Conn                 { return pipeConn{far: s.far, addr: s.addr} }

type pipeConn struct {
	network.Conn
	far  peer.ID
	addr ma.Multiaddr
}

func (c pipeConn) RemotePeer() peer.ID { return c.far }

func (pipeConn) Scope() network.ConnScope { return new(network.NullScope) }

func (c pipeConn) RemoteMultiaddr() ma.Multiaddr { return c.addr }
