//go:build race

package dht

import "testing"

// long is a test with so many servers that the race detector, which slows it down
// sixfold, is left out; others look for races in the same code.
func long(t *testing.T) {
	t.Helper()
	t.Skip("a long test, run without the race detector")
}
