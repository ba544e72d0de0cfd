//go:build race

package chat

import "testing"

// long is a story of so much virtual time that the race detector, which slows it down
// sixfold, is left out; others look for races in the same code.
func long(t *testing.T) {
	t.Helper()
	t.Skip("a long story, told without the race detector")
}
