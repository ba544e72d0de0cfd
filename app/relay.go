package app

import (
	"errors"
	"io/fs"
	"net"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
)

// RelayProblem names what a relay cannot run for, as relay.New and Run say it.
func RelayProblem(err error) error {
	var network *net.OpError
	var place *fs.PathError
	switch {
	case errors.Is(err, relay.ErrInUse):
		return problem.New(problem.RelayRunning, err)
	case errors.Is(err, relay.ErrKey), errors.Is(err, relay.ErrNewer), errors.Is(err, relay.ErrDamaged):
		return problem.New(problem.RelayData, err)
	case errors.Is(err, relay.ErrPeer):
		return problem.New(problem.BadAddress, err)
	case errors.Is(err, node.ErrOutside):
		return problem.New(problem.AddressNotInNet, err)
	case errors.Is(err, node.ErrListen), errors.As(err, &network):
		return problem.New(problem.CannotListen, err)
	case errors.As(err, &place):
		return problem.New(problem.RelayDir, err)
	}
	return err
}
