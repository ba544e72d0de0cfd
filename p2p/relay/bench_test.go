package relay_test

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/relay"
)

func BenchmarkDeposit(b *testing.B) {
	dir := b.TempDir()
	bare, r := start(b, "bare", dir), start(b, "relay", dir+"/relay")
	for b.Loop() {
		load := relay.Load{Clients: 64, Warm: time.Second, Measure: 6 * time.Second}
		load.CPU = bare.cpu
		ground, err := relay.DepositBare(b.Context(), bare.addr, load)
		if err != nil {
			b.Fatal(err)
		}
		load.CPU = r.cpu
		rate, err := relay.Deposit(b.Context(), r.info(b), load)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate.PerSecond/ground.PerSecond, "ratio")
		b.ReportMetric(rate.PerSecond, "deposits/s")
		b.ReportMetric(ground.PerSecond, "bare/s")
		b.ReportMetric(float64(rate.CPU.Microseconds()), "cpu-us")
		b.ReportMetric(float64(ground.CPU.Microseconds()), "bare-cpu-us")
	}
}
