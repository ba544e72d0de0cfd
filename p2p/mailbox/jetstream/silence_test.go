//go:build cluster

package jetstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/nats-io/nats.go"
)

// leads asks which server leads the stream of a family.
func (f *family) leads(t *testing.T) int {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; <-time.After(100 * time.Millisecond) {
		nc, err := nats.Connect(f.servers.URL())
		if err != nil {
			continue
		}
		answer, err := nc.Request("$JS.API.STREAM.INFO."+DefaultStream, nil, time.Second)
		nc.Close()
		if err != nil {
			continue
		}
		if _, name, ok := strings.Cut(string(answer.Data), `"leader":"s`); ok && name[0] >= '0' && name[0] < '3' {
			return int(name[0] - '0')
		}
	}
	t.Fatal("no server leads")
	return 0
}

// later has a relay refuse a deposit for now; what it took in before comes first.
func (f *family) later(t *testing.T, i int, queue mailbox.WriteKey) {
	t.Helper()
	h := p2ptest.Loopback(t).Host()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	for {
		c, err := mailbox.Dial(ctx, h, f.info(i))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Put(ctx, queue, mailboxtest.Random(mailbox.CellSmall), 0)
		c.Close()
		if errors.Is(err, mailbox.ErrTryLater) {
			t.Logf("relay %d: %v, after %v", i, err, time.Since(began).Round(time.Millisecond))
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// page is what a relay says at /readyz once it says so.
func (f *family) page(t *testing.T, i int, want string) {
	t.Helper()
	var says string
	for began := time.Now(); time.Since(began) < time.Minute; <-time.After(100 * time.Millisecond) {
		res, err := http.Get("http://" + f.pages[i] + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if says = string(body); err == nil && says == want {
			return
		}
	}
	t.Fatalf("relay %d says %q, not %q", i, says, want)
}

// TestServersFallSilent: servers stop without being gone (SIGSTOP), as a machine that hangs, or whose disk does. While one is
// silent, be it the one that leads, the others do. With two, and with three, each relay process lives on and says to try later, and
// at /readyz why. When the servers go on, so do the relays, and nothing that was receipted is lost.
func TestServersFallSilent(t *testing.T) {
	t.Parallel()
	f := newFamily(t, 2)
	c := newCrowd(t, f)
	c.more(t, "at first", 50)
	leader := f.leads(t)
	f.servers.Pause(leader)
	c.more(t, "the server that leads is silent", 50)
	f.servers.Continue(leader)
	f.ready(t)
	c.more(t, "it goes on", 50)

	leader = f.leads(t)
	f.servers.Pause(leader)
	f.servers.Pause((leader + 1) % 3)
	for range 2 { // two are silent, then all three
		for i := range 2 {
			f.later(t, i, c.queues[i])
			f.page(t, i, "full: the store's servers do not answer\n")
		}
		f.servers.Pause((leader + 2) % 3)
	}
	for i := range 3 {
		f.servers.Continue(i)
	}
	f.ready(t)
	c.more(t, "all go on", 50)
	for i := range 2 {
		f.page(t, i, "serving\n")
	}
	c.allThere(t)
}
