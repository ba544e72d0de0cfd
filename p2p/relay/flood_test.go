package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
)

// floodEnv has the Flood and the relay's address, for the process that floods.
const floodEnv = "GODWIT_TEST_FLOOD"

type flooding struct {
	relay.Flood
	Relay string
}

// flood says on standard output what came of a flood.
func flood(ctx context.Context, what string) error {
	var f flooding
	if err := json.Unmarshal([]byte(what), &f); err != nil {
		return err
	}
	info, err := peer.AddrInfoFromString(f.Relay)
	if err != nil {
		return err
	}
	fmt.Println("it begins")
	_, err = f.Run(ctx, *info)
	return err
}

// A hundred people would write to each other all the while; here a dozen, some from the very groups of
// addresses where another process floods their relay from: connections that say nothing, slow streams,
// logins, deposits, pushes to identify, questions to the DHT. All their mail comes, who hangs up comes back in, somebody new
// gets in, and the relay takes what its bounds allow and no more. (`bench flood` does it at length.)
func TestFlood(t *testing.T) {
	l, err := net.Listen("tcp", "127.2.0.1:0")
	if err != nil {
		t.Skip("this system has no addresses of several groups on loopback: ", err)
	}
	l.Close()
	bounds := node.Bounds{Connections: 256, Group: 64, Rate: 8}
	r := run(t, relay.Config{Data: t.TempDir(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Limits: relay.Limits{Bounds: bounds}})
	r.until(t, relay.Serving)
	street, err := relay.MoveIn(t.Context(), r.info(), 12, relay.FromNeighbourhoods)
	if err != nil {
		t.Fatal(err)
	}
	defer street.Close()
	b, err := json.Marshal(flooding{relay.Flood{Seed: 1, Connections: 800, Streams: 100, Length: 2 * time.Second}, r.Addrs()[0].String()})
	if err != nil {
		t.Fatal(err)
	}
	start(t, "flood", "", floodEnv+"="+string(b))
	for tick := time.NewTicker(10 * time.Millisecond); r.Report().Turned.Connections() < 100; { // it is under way
		<-tick.C
	}
	took, err := street.Write(t.Context(), 250*time.Millisecond, 2*time.Second)
	if err != nil || len(took) < 12*8 {
		t.Errorf("%d messages came: %v", len(took), err)
	}
	if _, err := relay.Newcomer(t.Context(), r.info(), netip.MustParseAddr("127.3.0.1")); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
	report := r.Report()
	if report.Peers > int64(bounds.Connections) || report.Streams > int64(bounds.Connections) || report.Turned.Rate+report.Turned.Group+report.Turned.All == 0 {
		t.Errorf("%d peers with %d streams, and turned away were %+v", report.Peers, report.Streams, report.Turned)
	}
	t.Logf("turned away %+v; of the mail 99 of 100 took %v at most", report.Turned, took[len(took)*99/100])
}
