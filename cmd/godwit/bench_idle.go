package main

import (
	"context"
	"fmt"
	"time"
)

// Measures of idle traffic.
const (
	idleContacts = 50
	idleSettle   = time.Minute     // after the last change, before the clock starts
	idleWindow   = 2 * time.Minute // of which an hour is made
	idleTick     = time.Second     // between two looks at the sockets
)

// benchTraffic measures what passes a node's sockets when nobody says anything: with its contacts
// online, and away. They share one relay with it, and everybody is a server of the DHT, as in
// loopback mode. An hour is thirty times the window. What is done less often than
// that is in it by chance or not at all: a look at the DHT and a question to each
// relay every ten minutes, a record for each contact that does not know our address every
// six hours.
func benchTraffic(ctx context.Context, report func(figure) error) error {
	return inWorld(ctx, func(ctx context.Context, w *world) error {
		r, err := w.startRelay(ctx, "relay")
		if err != nil {
			return err
		}
		anna, err := w.startNode(ctx, "anna", at(r)...)
		if err != nil {
			return err
		}
		everybody := []*process{anna}
		for i := range idleContacts {
			friend, err := w.startNode(ctx, fmt.Sprint("friend", i+1), at(r)...)
			if err == nil {
				err = acquaint(ctx, anna, friend)
			}
			if err != nil {
				return err
			}
			everybody = append(everybody, friend)
		}
		if err := settled(ctx, everybody...); err != nil {
			return err
		}
		online, err := idleTraffic(ctx, anna)
		if err != nil {
			return err
		}
		for _, friend := range everybody[1:] {
			if err := friend.stop(); err != nil {
				return err
			}
		}
		away, err := idleTraffic(ctx, anna)
		if err != nil {
			return err
		}
		for _, f := range []figure{
			{"idle_traffic_away_kib_per_hour", away, "KiB/h"},
			{"idle_traffic_online_kib_per_hour", online, "KiB/h"},
		} {
			if err := report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// idleTraffic is what passes a process's TCP sockets in the window, both ways and with
// headers, made an hour of. A connection counts up to the last look before its end.
func idleTraffic(ctx context.Context, p *process) (kib float64, err error) {
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(idleSettle):
	}
	first, err := socketBytes(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	last := make(map[string]uint64)
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	for range idleWindow / idleTick {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
		now, err := socketBytes(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		for socket, n := range now {
			last[socket] = n
		}
	}
	var sum uint64
	for socket, n := range last {
		sum += n - first[socket]
	}
	return float64(sum) / 1024 * float64(time.Hour/idleWindow), nil
}
