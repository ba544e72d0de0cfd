package node

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"
)

// Other is the peer that answers at an address in place of the one that was dialled,
// if that is what err says: somebody else, or the same device after a new start.
func Other(err error) (peer.ID, bool) {
	var stranger sec.ErrPeerIDMismatch
	if !errors.As(err, &stranger) {
		return "", false
	}
	return stranger.Actual, true
}

// Why says in words for people why a peer could not be reached, or nothing if err
// is not of a dial. libp2p's own text lists every address that it tried.
func Why(err error) string {
	var stranger sec.ErrPeerIDMismatch
	var late net.Error
	var other multistream.ErrNotSupported[protocol.ID]
	switch {
	case err == nil:
		return ""
	case errors.As(err, &stranger):
		return "another peer answers at its address"
	case errors.Is(err, ErrNoAddress), errors.Is(err, errName), errors.Is(err, swarm.ErrNoAddresses), errors.Is(err, swarm.ErrNoGoodAddresses),
		errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "it has no address that this --network may dial"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at its address"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no way to its network"
	case errors.Is(err, swarm.ErrDialBackoff):
		return "it did not answer a moment ago"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, swarm.ErrDialTimeout), errors.As(err, &late) && late.Timeout():
		return "it did not answer in time"
	case errors.Is(err, swarm.ErrAllDialsFailed):
		return "it does not answer"
	case errors.As(err, &other):
		return "it is something else: it does not speak this protocol"
	}
	return ""
}
