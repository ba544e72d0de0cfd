package node_test

import (
	"context"
	"io"
	"testing"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func start(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func info(n *node.Node) peer.AddrInfo {
	return peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()}
}

// Two people on one machine reach each other, over TCP first, and over QUIC if
// that is all there is.
func TestTwoNodesTalk(t *testing.T) {
	bob := start(t, node.Config{Mode: node.Loopback})
	bob.Host().SetStreamHandler("/test", func(s network.Stream) { io.Copy(s, s); s.Close() })
	for _, transport := range []string{"tcp", "quic-v1"} {
		alice := start(t, node.Config{Mode: node.Loopback})
		to := peer.AddrInfo{ID: bob.Host().ID()}
		for _, a := range bob.Host().Addrs() {
			if transport == "tcp" {
				to.Addrs = append(to.Addrs, a)
			} else if _, err := a.ValueForProtocol(461); err == nil {
				to.Addrs = append(to.Addrs, a)
			}
		}
		if err := alice.Dial(context.Background(), to); err != nil {
			t.Fatal(err)
		}
		s, err := alice.Host().NewStream(context.Background(), bob.Host().ID(), "/test")
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("hi"))
		s.CloseWrite()
		if b, err := io.ReadAll(s); err != nil || string(b) != "hi" {
			t.Fatalf("%s: read %q, %v", transport, b, err)
		}
		if _, err := s.Conn().RemoteMultiaddr().ValueForProtocol(map[string]int{"tcp": 6, "quic-v1": 461}[transport]); err != nil {
			t.Errorf("connected over %s, want %s", s.Conn().RemoteMultiaddr(), transport)
		}
		t.Log(s.Conn().RemoteMultiaddr(), alice.Host().Addrs())
	}
}
