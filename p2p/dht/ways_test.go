package dht

import (
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// dead are peers that are not there any more.
func (w *world) dead(n int) (infos []peer.AddrInfo) {
	for i := range n {
		infos = append(infos, peer.AddrInfo{ID: newID(w.t), Addrs: []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/127.99.0.%d/tcp/4001", i+1))}})
	}
	return infos
}

// Bob starts again after a long time. Everybody whom he knew in the last run is gone, but for
// one way in of any other kind; through that he finds all others.
func TestEachKindOfWayIn(t *testing.T) {
	for name, knows := range map[string]func(m *member, living peer.AddrInfo){
		"the last run":               func(m *member, p peer.AddrInfo) { m.cfg.Last.Peers[7] = p },
		"a peer given by hand":       func(m *member, p peer.AddrInfo) { m.cfg.Bootstrap = []peer.AddrInfo{p} },
		"a list":                     func(m *member, p peer.AddrInfo) { m.cfg.Listed = append(m.cfg.Last.Peers, p) },
		"a hint in an invitation":    func(m *member, p peer.AddrInfo) { m.AddPeers(p) },
		"a spare, if nobody answers": func(m *member, p peer.AddrInfo) { m.AddSpares(p) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 6, func(t *testing.T, w *world) {
				anna := w.members[2]
				bob := w.stranger(Config{Last: Memory{Peers: w.dead(20)}})
				if err := bob.Ready(within(t, lastPause)); !errors.Is(err, ErrNoPeers) {
					t.Fatalf("everybody is gone, and he is ready: %v", err)
				}
				knows(bob, infoOf(w.members[4].host))
				bob = w.stranger(Config{Bootstrap: bob.cfg.Bootstrap, Listed: bob.cfg.Listed, Last: bob.cfg.Last})
				knows(bob, infoOf(w.members[4].host))
				seed := w.seed()
				anna.publish(seed)
				if f := bob.finds(seed); f.Device.ID != anna.host.ID() {
					t.Errorf("found %v", f)
				}
			})
		})
	}
}

// A spare is not asked as long as somebody else answers.
func TestSparesAreSpared(t *testing.T) {
	inWorld(t, 6, func(t *testing.T, w *world) {
		lone := w.join(Config{}) // knows nobody, and nobody knows it
		bob := w.stranger(Config{Bootstrap: infos(w.members[0])})
		bob.AddSpares(infoOf(lone.host))
		bob.mustBeReady()
		for range 5 {
			bob.publish(w.seed())
		}
		if n := len(bob.host.Network().ConnsToPeer(lone.host.ID())); n != 0 {
			t.Errorf("%d connections to the spare", n)
		}
	})
}
