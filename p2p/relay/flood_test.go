package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
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
// logins, deposits, bytes without end, requests of who has a box, pushes to identify, questions to the DHT. All their mail comes, who hangs up comes back in, somebody new
// gets in, and the relay takes what its bounds allow and no more; once the flood is gone, so is what it took. (`bench flood` does it at length.)
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
	before := runtime.NumGoroutine()
	flooders := start(t, "flood", "", floodEnv+"="+string(b))
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
	flooders.kill(t)
	late := time.After(30 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); r.Report().Peers > 2*12 || runtime.NumGoroutine() > before+12*20; { // the connections by which they leave mail are new
		select {
		case <-late:
			t.Fatalf("the flood is gone, and there are %d peers, %d goroutines where there were %d", r.Report().Peers, runtime.NumGoroutine(), before)
		case <-tick.C:
		}
	}
	t.Logf("turned away %+v; of the mail 99 of 100 took %v at most", report.Turned, took[len(took)*99/100])
}

// The status page's readers are as slow as they like, and as many: few have a connection at a time, and when they have
// gone the next is answered.
func TestSlowReadersOfThePage(t *testing.T) {
	r := run(t, relay.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0"})
	at := r.until(t, relay.Ready).HTTP
	var slow []net.Conn
	heard := make(chan error, 200)
	for range cap(heard) {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		slow = append(slow, c)
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := io.ReadFull(c, make([]byte, 15))
			heard <- err
		}()
	}
	for range 64 {
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
	}
	stacks := make([]byte, 4<<20)
	for i := range 20 { // who goes makes room for the next
		slow[i].Close()
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
		late := time.After(30 * time.Second)
		for tick := time.NewTicker(time.Millisecond); ; { // whose connection was just closed may still be on the way out
			n := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "net/http.(*conn).serve(")
			if n <= 64 {
				break
			}
			select {
			case <-late:
				t.Fatalf("%d have a connection at once", n)
			case <-tick.C:
			}
		}
	}
	for _, c := range slow {
		c.Close()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + at + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("answered %s", res.Status)
	}
}
