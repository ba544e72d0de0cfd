package direct_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	ma "github.com/multiformats/go-multiaddr"
)

// BenchmarkDirect is the cost of the protocol alone: nothing is stored. Compare
// latency with BenchmarkBareRoundTrip.
func BenchmarkDirect(b *testing.B) {
	for name, code := range map[string]int{"tcp": ma.P_TCP, "quic": ma.P_QUIC_V1} {
		b.Run(name+"/latency", func(b *testing.B) {
			acked := make(chan struct{}, 1)
			c, _ := benchPair(b, code, func(n int) { acked <- struct{}{} })
			m := message("")
			var times []time.Duration
			for i := 0; b.Loop(); i++ {
				m = slices.Clone(m)
				m[0], m[1], m[2] = byte(i), byte(i>>8), byte(i>>16)
				start := time.Now()
				if err := c.Send(context.Background(), m); err != nil {
					b.Fatal(err)
				}
				<-acked
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "ns/p50")
		})
		b.Run(name+"/throughput", func(b *testing.B) {
			done, sent := make(chan int, 1<<16), 0
			c, _ := benchPair(b, code, func(n int) { done <- n })
			m := message("")
			b.SetBytes(int64(len(m)))
			for i := 0; b.Loop(); i++ {
				m = slices.Clone(m)
				m[0], m[1], m[2] = byte(i), byte(i>>8), byte(i>>16)
				if err := c.Send(context.Background(), m); err != nil {
					b.Fatal(err)
				}
				sent++
			}
			for sent > 0 {
				sent -= <-done
			}
		})
	}
}

// BenchmarkDurable is a sender that keeps 256 messages on their way and a
// receiver, each with a file that is synced once for all that came together.
func BenchmarkDurable(b *testing.B) {
	alice, bob := loopback(b, "alice"), loopback(b, "bob")
	disk := func(name string) func(n int) {
		f, err := os.Create(filepath.Join(b.TempDir(), name))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return func(n int) {
			if _, err := f.Write(make([]byte, n)); err != nil {
				b.Error(err)
			}
			if err := f.Sync(); err != nil {
				b.Error(err)
			}
		}
	}
	hers, his := disk("hers"), disk("his")
	done := make(chan int, 1<<16)
	alice.onAcked = func(acks []direct.Ack) {
		hers(64 * len(acks))
		done <- len(acks)
	}
	bob.onDeliver = func(_ context.Context, messages [][]byte) []direct.Code {
		his(4096 * len(messages))
		return make([]direct.Code, len(messages))
	}
	s := befriend(alice, bob)
	c, err := alice.Connect(context.Background(), p2ptest.Info(bob.node), s)
	if err != nil {
		b.Fatal(err)
	}
	bob.conn(s)
	m, sent := message(""), 0
	for i := 0; b.Loop(); i++ {
		m = slices.Clone(m)
		m[0], m[1], m[2] = byte(i), byte(i>>8), byte(i>>16)
		if err := c.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	for sent > 0 {
		sent -= <-done
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func benchPair(b *testing.B, code int, acked func(int)) (*direct.Conn, *person) {
	alice, bob := loopback(b, "alice"), loopback(b, "bob")
	alice.onAcked = func(a []direct.Ack) { acked(len(a)) }
	s := befriend(alice, bob)
	c, err := alice.Connect(context.Background(), p2ptest.InfoOver(bob.node, code), s)
	if err != nil {
		b.Fatal(err)
	}
	bob.conn(s)
	return c, bob
}

func BenchmarkBareRoundTrip(b *testing.B) {
	p50, err := direct.BareRoundTrip(context.Background(), node.Loopback, max(b.N, 100))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(p50.Nanoseconds()), "ns/p50")
}
