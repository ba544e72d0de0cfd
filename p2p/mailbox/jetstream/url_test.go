package jetstream

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestParseURL(t *testing.T) {
	got, err := ParseURL("nats://a:1,b:2,user:secret@[::1]:3?creds=/etc/c&stream=mail&replicas=5")
	want := Config{Servers: "nats://a:1,nats://b:2,nats://user:secret@[::1]:3", Creds: "/etc/c", Stream: "mail", Replicas: 5}
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "a:1", "http://a:1", "nats://", "nats://a:1,", "nats://a:1?stream=a.b", "nats://a:1?replicas=2", "nats://a:1?x=1", "nats://a:1?creds=a&creds=b", "nats://a:1?%zz",
	} {
		if got, err := ParseURL(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
	if _, err := ParseURL("nats://user:secret@a:1,user:secret@b:2?replicas=2"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error that goes to a log: %v", err)
	}
}

// What three servers say of the stream as they are killed, as it was seen.
func TestTakes(t *testing.T) {
	three := func(leader string, heard ...time.Duration) *jetstream.ClusterInfo {
		c := &jetstream.ClusterInfo{Leader: leader}
		for _, h := range heard {
			c.Replicas = append(c.Replicas, &jetstream.PeerInfo{Active: h})
		}
		return c
	}
	for name, c := range map[string]struct {
		info *jetstream.ClusterInfo
		want bool
	}{
		"one server, without others":          {nil, true},
		"one server of a cluster":             {three("a"), true},
		"all three":                           {three("a", time.Second, time.Second), true},
		"one is dead":                         {three("a", time.Second, time.Hour), true},
		"two are dead, the leader lives":      {three("a", 14*time.Second, 14*time.Second), false},
		"the leader is one no more":           {three("", time.Second, 0, 0), false},
		"two are dead, and it has heard none": {three("", 2*time.Minute, 16*time.Second, 16*time.Second), false},
	} {
		if got := takes(c.info); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
