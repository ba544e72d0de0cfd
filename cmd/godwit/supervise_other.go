//go:build !linux

package main

import "time"

// sinceBoot is only asked for by systemd.
func sinceBoot() time.Duration { return 0 }
