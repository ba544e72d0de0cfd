package jetstream

import "testing"

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
}
