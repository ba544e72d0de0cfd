// Package p2ptest makes peers for tests: real ones on loopback, and a World of
// simulated ones whose network can lose, cut and delay, in virtual time inside
// testing/synctest.
package p2ptest

import (
	"slices"
	"testing"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Loopback starts a node in loopback mode and closes it with the test.
func Loopback(t testing.TB) *node.Node {
	t.Helper()
	return Start(t, node.Config{Mode: node.Loopback})
}

// Start starts a node and closes it with the test.
func Start(t testing.TB, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close node: %v", err)
		}
	})
	return n
}

// Info is a node's PeerID with all its addresses.
func Info(n *node.Node) peer.AddrInfo {
	return peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()}
}

// InfoOver is a node's PeerID with those of its addresses that hold a protocol,
// multiaddr's P_TCP or P_QUIC_V1, so that it is dialled over that transport.
func InfoOver(n *node.Node, code int) peer.AddrInfo {
	i := Info(n)
	i.Addrs = slices.DeleteFunc(slices.Clone(i.Addrs), func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(code)
		return err != nil
	})
	return i
}
