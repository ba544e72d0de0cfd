//go:build !race

package chat

import "testing"

func long(*testing.T) {}
