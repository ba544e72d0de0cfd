//go:build race

package dht

import (
	"runtime"
	"testing"
)

// The race detector's runtime fails when two goroutines of one bubble of testing/synctest
// receive from expired timers at the same instant: the timers of a bubble share one context
// of the detector, which no two threads may use at once (Go 1.26, runtime/time.go,
// unlockAndRun). On one processor no two do; an order of events that would be a race is
// found there as well.
var _ = runtime.GOMAXPROCS(1)

// long is a test with so many servers that the race detector, which slows it down
// sixfold, is left out; others look for races in the same code.
func long(t *testing.T) {
	t.Helper()
	t.Skip("a long test, run without the race detector")
}
