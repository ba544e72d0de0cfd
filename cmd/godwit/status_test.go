package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

// What `godwit status` says of the DHT: how much of it is seen, what is wrong and what to
// do about it.
func TestHumanDHT(t *testing.T) {
	since := api.Time{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)}
	for _, c := range []struct {
		dht  api.DHT
		want []string
	}{
		{api.DHT{}, []string{"dht: no peers: a contact whose addresses have all changed is not found"}},
		{api.DHT{Peers: 3, Servers: 3, Ways: 2}, []string{"dht: 3 peers"}},
		{api.DHT{Peers: 60, Servers: 200, Ways: 4}, []string{"dht: 60 peers of some 200"}},
		{api.DHT{Peers: 30, Servers: 31, Ways: 1}, []string{"dht: 30 peers, all through one way in, which decides what is seen of it"}},
		{api.DHT{Peers: 1, Ways: 2, Alarms: []api.DHTAlarm{{Code: string(problem.DHTCrowd), Reason: "They crowd", Since: since}}},
			[]string{"dht: 1 peer", "alarm: They crowd (NET-05), since 2026-03-01 12:00. Nothing has to be done."}},
	} {
		var got []string
		humanDHT(func(name, format string, args ...any) { got = append(got, name+": "+fmt.Sprintf(format, args...)) }, c.dht)
		for i, want := range c.want {
			if len(got) != len(c.want) || !strings.HasPrefix(got[i], want) {
				t.Errorf("%+v: %q", c.dht, got)
			}
		}
	}
}

// What waits for contacts who are out of touch is said of them, and of nobody else.
func TestHumanStatusOfWhoIsOutOfTouch(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "1 contact out of touch: No relay", 2: "2 contacts out of touch: No relay"} {
		var b strings.Builder
		humanStatus(&b, api.Status{Waiting: 2, Queued: 2, OutOfTouch: n}, false)
		if said := strings.Contains(b.String(), "out of touch"); said != (n > 0) || !strings.Contains(b.String(), want) {
			t.Errorf("of %d the status says\n%s", n, &b)
		}
	}
}
