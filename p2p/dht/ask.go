package dht

import (
	"context"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/p2p/node"
)

// Ask asks one peer, of whom the host has addresses or a connection, for servers of the
// DHT, and tells how many it named. Without an error the peer serves the DHT, also if it
// named none. The host takes no part in the DHT by it.
func Ask(ctx context.Context, h host.Host, m node.Mode, to peer.ID) (named int, err error) {
	s := sender{h, timesOf(m).request, new(corners)}
	answer, err := s.SendRequest(ctx, to, pb.NewMessage(pb.Message_FIND_NODE, []byte(h.ID()), 0))
	if err != nil {
		return 0, err
	}
	return len(answer.CloserPeers), nil
}
