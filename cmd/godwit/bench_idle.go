package main

import (
	"context"
	"fmt"
	"time"
)

// Measures of idle traffic.
const (
	idleContacts = 50
	idleSettle   = 2 * time.Minute // after the last change, before the clock starts
	idleWindow   = 2 * time.Minute // the shortest window, and what it is a multiple of: the longest pause between two pings
	idleTick     = time.Second     // between two looks at the sockets
)

// benchTraffic measures what passes a node's sockets when nobody says anything: with its contacts
// online, and away. They share three relays with it, and everybody is a server of the DHT, as in
// loopback mode. All that has to be is done at least once in the window, which an hour is
// made of, but for this, which is in it by chance or not at all: a test of each relay every
// hour (some 15 KiB), and a look at the DHT, which comes after one hour, two more, four, and then
// every six (some 0.5 MiB with 50 servers). A window of hours has them in it. Who starts
// anew also leaves word for each contact who is away (some 10 KiB, once), and who has fewer than two relays
// that serve writes a record for each of them, every six hours (80 KiB), others every two days.
func (c *cli) benchTraffic(ctx context.Context, report func(figure) error) error {
	if c.window < idleWindow || c.window%idleWindow != 0 {
		return fmt.Errorf("the window is %s, and has to be a multiple of %s", c.window, idleWindow)
	}
	return inWorldFor(ctx, benchLimit+2*c.window, func(ctx context.Context, w *world) error {
		relays, err := w.neighbourhood(ctx)
		if err != nil {
			return err
		}
		at := at(relays[:3]...)
		anna, err := w.startNode(ctx, "anna", at...)
		if err != nil {
			return err
		}
		everybody := []*process{anna}
		for i := range idleContacts {
			friend, err := w.startNode(ctx, fmt.Sprint("friend", i+1), at...)
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
		online, err := idleTraffic(ctx, anna, c.window)
		if err != nil {
			return err
		}
		for _, friend := range everybody[1:] {
			if err := friend.stop(); err != nil {
				return err
			}
		}
		away, err := idleTraffic(ctx, anna, c.window)
		if err != nil {
			return err
		}
		for _, t := range []struct {
			name string
			traffic
		}{{"away", away}, {"online", online}} {
			for _, f := range []figure{
				{"idle_traffic_" + t.name + "_kib_per_hour", t.perHour, "KiB/h"},
				{"idle_" + t.name + "_connections", float64(t.standing), "connections"},
				{"idle_" + t.name + "_busiest_kib_per_hour", t.busiest, "KiB/h"},
			} {
				if err := report(f); err != nil {
					return err
				}
			}
		}
		return report(figure{"idle_window_seconds", c.window.Seconds(), "s"})
	})
}

// traffic is what passed a process's TCP sockets.
type traffic struct {
	perHour  float64 // in KiB
	standing int     // connections that lived all the time
	busiest  float64 // what passed the busiest of all, in KiB an hour
}

// idleTraffic is what passes a process's TCP sockets in the window, both ways and with
// headers, made an hour of. A connection counts up to the last look before its end.
// QUIC is not used where TCP is there.
func idleTraffic(ctx context.Context, p *process, window time.Duration) (t traffic, err error) {
	select {
	case <-ctx.Done():
		return t, context.Cause(ctx)
	case <-time.After(idleSettle):
	}
	first, err := socketBytes(p.cmd.Process.Pid)
	if err != nil {
		return t, err
	}
	last, now := make(map[string]uint64), first
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	for range window / idleTick {
		select {
		case <-ctx.Done():
			return t, context.Cause(ctx)
		case <-tick.C:
		}
		if now, err = socketBytes(p.cmd.Process.Pid); err != nil {
			return t, err
		}
		for socket, n := range now {
			last[socket] = n
		}
	}
	hour := float64(time.Hour) / float64(window) / 1024
	for socket, n := range last {
		passed := float64(n-first[socket]) * hour
		t.perHour += passed
		t.busiest = max(t.busiest, passed)
		if _, stands := now[socket]; stands && first[socket] > 0 {
			t.standing++
		}
	}
	return t, nil
}
