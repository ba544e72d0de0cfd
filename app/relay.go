package app

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/mailbox"
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
	case errors.Is(err, relay.ErrNotYours), errors.Is(err, relay.ErrDamaged) && errors.Is(err, fs.ErrPermission):
		return problem.New(problem.NotPermitted, err)
	case errors.Is(err, relay.ErrLimits):
		return problem.New(problem.ConfigValue, err)
	case errors.Is(err, relay.ErrStore): // of which it may be said, too, that it is damaged
		return problem.New(problem.RelayStore, err)
	case errors.Is(err, relay.ErrShared):
		return problem.New(problem.RelayShared, err)
	case errors.Is(err, relay.ErrKey), errors.Is(err, relay.ErrNewer), errors.Is(err, relay.ErrDamaged):
		return problem.New(problem.RelayData, err)
	case errors.Is(err, relay.ErrOwnMail):
		return problem.New(problem.RelayOwnMail, err)
	case errors.Is(err, relay.ErrMoved):
		return problem.New(problem.RelayMoved, err)
	case errors.Is(err, relay.ErrThere):
		return problem.New(problem.RelayThere, err)
	case errors.Is(err, relay.ErrExport):
		return problem.New(problem.BadExport, err)
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

// RelayLimits are the limits that the configuration gives a relay.
func RelayLimits(cfg config.Config) relay.Limits {
	c := cfg.Limits
	l := relay.Limits{
		MaxDisk: cfg.MaxDisk, Work: uint8(c.LeaseWork), Tokens: c.Tokens,
		Quotas: mailbox.Quotas{
			Room:  mailbox.Room{QueueCells: uint16(c.QueueCells), QueueBytes: uint32(c.QueueSize), BoxQueues: uint32(c.BoxQueues), BoxBytes: uint64(c.BoxSize)},
			Token: mailbox.Room{QueueCells: uint16(c.TokenQueueCells), QueueBytes: uint32(c.TokenQueueSize), BoxQueues: uint32(c.TokenBoxQueues), BoxBytes: uint64(c.TokenBoxSize)},
		},
		Lease: time.Duration(c.LeaseDays) * 24 * time.Hour, TokenLease: time.Duration(c.TokenLeaseDays) * 24 * time.Hour,
	}
	l.Bounds = node.Bounds{Connections: c.Connections, Group: c.GroupConnections, Rate: float64(c.GroupRate)}
	l.GroupBoxes, l.GroupBytes = c.GroupBoxes, c.GroupSize
	switch c.Lease {
	case config.LeaseOpen:
		l.Leases = []mailbox.LeaseKind{mailbox.LeaseOpen}
	case config.LeaseToken:
		l.Leases = []mailbox.LeaseKind{mailbox.LeaseToken}
	case config.LeaseWork:
		l.Leases = []mailbox.LeaseKind{mailbox.LeaseWork}
		if len(c.Tokens) > 0 {
			l.Leases = append(l.Leases, mailbox.LeaseToken)
		}
	}
	return l
}

// CheckRelay checks the relay at an address from outside; what is wrong with it is in the
// Check, and CheckProblem names it. Errors: problem.BadAddress, AddressNotInNet, Interrupted.
func CheckRelay(ctx context.Context, mode node.Mode, addr string, token []byte) (relay.Check, error) {
	info, err := parsePeer(addr, mode)
	if err != nil {
		return relay.Check{}, err
	}
	return relay.CheckRelay(ctx, relay.CheckConfig{Mode: mode, Relay: info, Token: token})
}

// CheckProblem names what is wrong with a relay that was checked, or is nil.
func CheckProblem(c relay.Check) error {
	for _, s := range c.Steps {
		if s.Err == nil {
			continue
		}
		code := problem.CheckFails
		switch {
		case s.Step == relay.StepConnect:
			code = problem.CheckUnreached
		case errors.Is(s.Err, relay.ErrToken), errors.Is(s.Err, relay.ErrNoToken):
			code = problem.CheckToken
		case errors.Is(s.Err, mailbox.ErrFull), errors.Is(s.Err, mailbox.ErrTryLater), errors.Is(s.Err, mailbox.ErrTooMany):
			code = problem.CheckBusy
		}
		return problem.Newf(code, "%s: %s", s.Step, CheckReason(s.Err))
	}
	return nil
}

// CheckReason says in words why a step of a check failed.
func CheckReason(err error) string {
	if at := new(relay.AddrError); errors.As(err, &at) {
		return at.Addr.String() + ": " + CheckReason(at.Err)
	}
	if why := node.Why(err); why != "" {
		return why
	}
	_, words, ok := strings.Cut(err.Error(), ": ") // the package's name
	if !ok {
		words = err.Error()
	}
	return words
}
