package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A connection on which nothing is said costs what keeps it alive. libp2p asks for a
// sign of life three times over TCP: yamux pings every 30 s, measures the round trip every
// 30 s, and the kernel probes every 30 s, each from both ends; that is 150 KiB an hour for
// each connection, and most connections of an account wait for something all day.
//
// Here whoever needs to know that the other end is there asks for itself, as often as it
// has to know: package direct every two minutes, and after a second if something is
// unanswered; package mailbox every 30 s where mail is waited for. What they leave out, the
// DHT's connections say, yamux looks after seldom. The mappings of NATs outlast all of
// these pauses: those of TCP live for hours (RFC 5382, REQ-5).
//
// QUIC is not concerned: mappings of UDP may end after 30 s, so libp2p sends every 15 s.

const (
	// unusedTime is how long a connection may have no stream before it is closed, and
	// sweepEvery how often it is looked for such ones.
	unusedTime, sweepEvery = 2 * time.Minute, time.Minute
)

// sweep closes connections that nobody uses, until the context ends. Whoever was asked
// once by the DHT is not worth 3 KiB an hour, and the many such would be connected to us
// until the connection manager finds that there are too many.
func (n *Node) sweep(ctx context.Context) {
	unused := make(map[network.Conn]time.Time) // since when
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := unused
		unused = make(map[network.Conn]time.Time)
		for _, c := range n.host.Network().Conns() {
			if len(c.GetStreams()) > 0 {
				continue
			}
			since, was := before[c]
			switch {
			case !was:
				unused[c] = time.Now()
			case time.Since(since) < unusedTime:
				unused[c] = since
			default:
				_ = c.Close()
			}
		}
	}
}

// livenessEvery is how long yamux hears nothing before it pings; without an answer in 10 s
// the connection ends. A relay's is shorter: those through whom it is reached must not be
// gone for long.
const livenessEvery, livenessOfRelay = 5 * time.Minute, time.Minute

// muxer is libp2p's yamux with fewer pings. It measures the round trip when a connection
// begins, which is what it sizes its windows by, and then once a day.
func (cfg *Config) muxer() *yamux.Transport {
	c := *yamux.DefaultTransport.Config()
	c.KeepAliveInterval = livenessEvery
	if cfg.relay() {
		c.KeepAliveInterval = livenessOfRelay
	}
	c.MeasureRTTInterval = 24 * time.Hour
	return (*yamux.Transport)(&c)
}

// newTCP is libp2p's transport of TCP, whose connections the kernel does not probe.
func newTCP(u transport.Upgrader, m network.ResourceManager, shared *tcpreuse.ConnMgr, opts ...tcp.Option) (*tcp.TcpTransport, error) {
	return tcp.NewTCPTransport(unprobed{u}, m, shared, opts...)
}

// unprobed has the kernel not probe connections of TCP: it takes back what libp2p's
// transport set on them.
type unprobed struct{ transport.Upgrader }

func (u unprobed) Upgrade(ctx context.Context, t transport.Transport, c manet.Conn, dir network.Direction, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	unprobe(c)
	return u.Upgrader.Upgrade(ctx, t, c, dir, p, scope)
}

func (u unprobed) UpgradeGatedMaListener(t transport.Transport, l transport.GatedMaListener) transport.Listener {
	return u.Upgrader.UpgradeGatedMaListener(t, unprobedListener{l})
}

type unprobedListener struct{ transport.GatedMaListener }

func (l unprobedListener) Accept() (manet.Conn, network.ConnManagementScope, error) {
	c, scope, err := l.GatedMaListener.Accept()
	if err == nil {
		unprobe(c)
		if v, ok := scope.(*Visitor); ok {
			c = newPaced(c, v)
			v.closes(func() { _ = c.Close() })
		}
	}
	return c, scope, err
}

func unprobe(c manet.Conn) {
	if c, ok := c.(interface{ SetKeepAlive(bool) error }); ok {
		_ = c.SetKeepAlive(false) // or else it is probed as any other
	}
}
