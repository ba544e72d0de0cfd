package dht

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	record "github.com/libp2p/go-libp2p-record"
	"google.golang.org/protobuf/proto"
)

// Attack 26: Eve brings a relay records without end, good ones and such that are none, and announces herself under every key, as fast as it
// reads, and holds requests open that do not end. It keeps as many as it has room for and one announcement of hers a key, refuses what is too
// much, and answers Cleo, who has a box there, meanwhile; when Eve has gone, nothing of it is left but the records.
func TestRecordsInAFlood(t *testing.T) {
	const room = 10
	bob := join(t, p2ptest.Start(t, node.Config{Mode: node.Loopback, Circuits: true, Bounds: node.Bounds{Connections: 64, Group: 64, Rate: 1}}).Host(), Config{MaxRecords: room, Relay: true})
	cleo := join(t, p2ptest.Start(t, node.Config{Mode: node.Loopback, From: netip.MustParseAddr("127.0.0.2")}).Host(), Config{})
	eve := p2ptest.Loopback(t)
	if err := cleo.host.Connect(t.Context(), infoOf(bob.host)); err != nil {
		t.Fatal(err)
	}
	conns := bob.host.Network().ConnsToPeer(cleo.host.ID())
	if len(conns) != 1 {
		t.Fatalf("%d connections of Cleo", len(conns))
	}
	node.VisitorOf(conns[0]).Prove()
	if err := eve.Dial(t.Context(), infoOf(bob.host)); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	line := func(m *pb.Message) []byte {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)
	}
	request := func(i int) []byte {
		switch day := dayOf(time.Now()); i % 4 {
		case 0:
			k := rendezvous.NewSeed().Keys(rendezvous.At(time.Now()))
			v, err := k.Seal(bob.where(), time.Now(), rendezvous.MaxLife)
			if err != nil {
				t.Fatal(err)
			}
			return line(&pb.Message{Type: pb.Message_PUT_VALUE, Key: []byte(k.Key()), Record: record.MakePutRecord(k.Key(), v)})
		case 1:
			key := string(rendezvous.NewSeed().Keys(0).Key())
			return line(&pb.Message{Type: pb.Message_PUT_VALUE, Key: []byte(key), Record: record.MakePutRecord(key, make([]byte, 7000))})
		default:
			key := relayKey(day-1+uint32(i/4)%3, i/12%RelayKeys)
			who := &pb.Message_Peer{Id: []byte(eve.Host().ID())}
			for _, a := range eve.Host().Addrs() {
				who.Addrs = append(who.Addrs, a.Bytes())
			}
			return line(&pb.Message{Type: pb.Message_ADD_PROVIDER, Key: key[:], ProviderPeers: []*pb.Message_Peer{who}})
		}
	}
	enough := func() bool { s := bob.Status(); return s.Refused >= 20 && s.Records == room && s.Providers > 0 }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var flooding, reading sync.WaitGroup
	for n := range 8 {
		flooding.Go(func() {
			for i := n; ctx.Err() == nil && !enough(); {
				s, err := eve.Host().NewStream(ctx, bob.host.ID(), Protocol)
				if err != nil {
					return // it has enough of her
				}
				reading.Go(func() { io.Copy(io.Discard, s) }) // ends with the stream
				if n < 2 {                                    // and this one with Eve
					s.Write([]byte{0x80, 0x20, 0})
					<-ctx.Done()
				}
				for err == nil && !enough() {
					_, err = s.Write(request(i))
					i += 8
				}
				s.Reset()
			}
		})
	}
	late := time.After(60 * time.Second)
	for tick := time.Tick(200 * time.Millisecond); !enough(); {
		if err := cleo.messenger.Ping(within(t, 5*time.Second), bob.host.ID()); err != nil {
			t.Fatalf("Cleo is not answered: %v", err)
		}
		if s := bob.Status(); s.Records > room || s.Providers > 3*RelayKeys {
			t.Fatalf("%+v", s)
		}
		select {
		case <-late:
			t.Fatalf("Eve may bring as much as she likes, or nothing: %+v", bob.Status())
		case <-tick:
		}
	}
	stop()
	eve.Host().Network().ClosePeer(bob.host.ID())
	flooding.Wait()
	reading.Wait()
	late = time.After(20 * time.Second)
	for tick := time.Tick(20 * time.Millisecond); runtime.NumGoroutine() > before+20; {
		select {
		case <-late:
			t.Fatalf("%d goroutines, where there were %d", runtime.NumGoroutine(), before)
		case <-tick:
		}
	}
}
