package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is what systemd compares with its own CLOCK_MONOTONIC.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
