package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// supervisor is systemd, if it started this process and wants to know how it does
// (sd_notify(3)). The zero value is nobody, who is told nothing.
type supervisor struct {
	socket   string        // a path, or @ and an abstract name
	watchdog time.Duration // how often a sign of life is wanted; 0: never
}

// supervised finds out who that is. What this process starts is not to answer in its place.
func supervised(getenv func(string) string) (s supervisor) {
	s.socket = getenv("NOTIFY_SOCKET")
	if !strings.HasPrefix(s.socket, "/") && !strings.HasPrefix(s.socket, "@") {
		return supervisor{}
	}
	if pid := getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			s.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	return s
}

// tell says something, each line NAME=VALUE. Whether it was heard nobody can know.
func (s supervisor) tell(lines ...string) {
	if s.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write([]byte(strings.Join(lines, "\n")))
}

// reloading tells that the configuration is read, and then that this is over.
func (s supervisor) reloading(read func()) {
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", sinceBoot().Microseconds()))
	defer s.tell("READY=1")
	read()
}

// watch gives signs of life until the context ends, each after alive has returned.
func (s supervisor) watch(ctx context.Context, alive func()) {
	if s.watchdog == 0 {
		return
	}
	tick := time.NewTicker(s.watchdog / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			alive()
			s.tell("WATCHDOG=1")
		}
	}
}
