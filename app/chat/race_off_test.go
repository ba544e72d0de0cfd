//go:build !race

package chat

import "testing"

// long is a story of so much virtual time that it is told beside others.
func long(t *testing.T) { t.Parallel() }
