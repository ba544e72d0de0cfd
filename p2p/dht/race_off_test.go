//go:build !race

package dht

import "testing"

func long(*testing.T) {}
