package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrListen says that an address to listen on is none, is not this computer's, or
// is taken. What is wrapped with it says which address, and why, on one line.
var ErrListen = errors.New("cannot listen")

// ErrOutside says that an address to listen on, or to announce, is outside the mode: loopback mode
// listens on this computer's loopback only, lan mode on local addresses only.
// Beside them 0.0.0.0 and :: are fine in lan and public mode: there the gater keeps
// strangers out.
var ErrOutside = errors.New("not within the mode")

// mayListen says whether a mode may listen on an address. Public mode may on all of
// this computer: what others may dial there is not the same as what we are bound to.
func mayListen(m Mode, a ma.Multiaddr) bool {
	if m == Public {
		return true
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	return ok && (m == LAN && addr.IsUnspecified() || allowedIP(m, addr, interfacePrefixes))
}

// allListen checks all addresses before the first is bound.
func allListen(m Mode, addrs []string) error {
	for _, text := range addrs {
		if a, err := ma.NewMultiaddr(text); err == nil && !mayListen(m, a) { // what is no address listen says better
			return fmt.Errorf("%s with network %s: %w", text, m, ErrOutside)
		}
	}
	return nil
}

// listen has a host listen on the addresses: on all of them, or, if they are not all wanted,
// on those that can be had. libp2p would do the latter itself, but leaves goroutines behind
// if there is none. reused says that the system's ports are listened on with SO_REUSEPORT.
func listen(h host.Host, addrs []string, reused, all bool) error {
	hears, ok := h.Network().(interface{ AddListenAddr(ma.Multiaddr) error })
	if !ok {
		panic(fmt.Sprintf("node: a network of the kind %T does not listen", h.Network()))
	}
	var refused error
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err == nil && reused {
			err = free(a)
		}
		if err == nil {
			err = hears.AddListenAddr(a)
		}
		if err != nil {
			err = fmt.Errorf("%w on %s: %w", ErrListen, text, inWords(err))
		}
		if err != nil && all {
			return err
		}
		refused = cmp.Or(refused, err)
	}
	if len(addrs) > 0 && len(h.Network().ListenAddresses()) == 0 {
		return refused
	}
	return nil
}

// free says whether nobody listens on a TCP address. With SO_REUSEPORT the system
// would let two of us share a port, and give each half of the other's callers.
func free(a ma.Multiaddr) error {
	if _, err := a.ValueForProtocol(ma.P_TCP); err != nil {
		return nil
	}
	network, addr, err := manet.DialArgs(a) // tcp4 or tcp6: the :: of tcp would be 0.0.0.0, too, which may be ours already
	if err != nil {
		return err
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// inWords gives the usual reasons, for people.
func inWords(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("another program listens there")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errors.New("it is not an address of this computer")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("this user may not")
	case errors.Is(err, swarm.ErrNoTransport):
		return errors.New("it is neither /tcp/PORT nor /udp/PORT/quic-v1")
	}
	return err
}
