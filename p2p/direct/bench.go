package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// BareRoundTrip is the ground that direct_latency_ratio stands on: the median
// time of n round trips over a bare libp2p stream between two nodes of this
// process. One way go as many bytes as a small MSG has, the other way as many
// as an ACK with one entry; nothing else is done. The first tenth warms up and
// is not counted. mode is Loopback, but in tests.
func BareRoundTrip(ctx context.Context, mode node.Mode, n int) (p50 time.Duration, err error) {
	const (
		echo  protocol.ID = "/godwit/bench/1"
		there             = 4 + headSize + 4096 - 40
		back              = 4 + headSize + 32 + 16
	)
	if n < 1 {
		return 0, fmt.Errorf("direct: %d round trips", n)
	}
	a, err := node.New(node.Config{Mode: mode})
	if err != nil {
		return 0, err
	}
	defer a.Close()
	b, err := node.New(node.Config{Mode: mode})
	if err != nil {
		return 0, err
	}
	defer b.Close()
	b.Host().SetStreamHandler(echo, func(st network.Stream) {
		defer st.Close()
		buf := make([]byte, there)
		for {
			if _, err := io.ReadFull(st, buf); err != nil {
				return
			}
			if _, err := st.Write(buf[:back]); err != nil {
				return
			}
		}
	})
	if err := a.Dial(ctx, peer.AddrInfo{ID: b.Host().ID(), Addrs: b.Host().Addrs()}); err != nil {
		return 0, err
	}
	st, err := a.Host().NewStream(ctx, b.Host().ID(), echo)
	if err != nil {
		return 0, fmt.Errorf("direct: open stream: %w", err)
	}
	defer st.Reset()
	defer stopWith(ctx, st)()

	buf := make([]byte, there)
	times := make([]time.Duration, 0, n)
	for i := range n + n/10 {
		start := time.Now()
		if _, err = st.Write(buf); err == nil {
			_, err = io.ReadFull(st, buf[:back])
		}
		if err != nil {
			return 0, errors.Join(fmt.Errorf("direct: bare round trip: %w", err), ctx.Err())
		}
		if i >= n/10 {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
