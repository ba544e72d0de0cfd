package dht

import (
	"flag"
	"slices"
	"testing"
	"time"
)

var nodes = flag.Int("nodes", 12, "the nodes of TestMeasureFinds")

// With real sockets, and as many nodes as a test may take.
func TestMeasureFinds(t *testing.T) {
	f, err := MeasureFinds(within(t, 5*time.Minute), *nodes, *nodes/5, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Members) != *nodes-*nodes/5 || len(f.Newcomers) != 2 {
		t.Fatalf("%d and %d", len(f.Members), len(f.Newcomers))
	}
	for _, times := range [][]time.Duration{f.Members, f.Newcomers} {
		slices.Sort(times)
		t.Logf("p50 %v, worst %v", times[len(times)/2], times[len(times)-1])
		if times[len(times)-1] >= LookupTimeout {
			t.Error("too long")
		}
	}
}
