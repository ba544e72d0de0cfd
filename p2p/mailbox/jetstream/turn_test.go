//go:build cluster

package jetstream

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// far is servers as they are reached from so far away: through proxies that hold back all that passes.
func far(t *testing.T, servers string, oneWay time.Duration) string {
	t.Helper()
	var urls []string
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(stop)
	pass := func(from, to net.Conn) {
		type part struct {
			due  time.Time
			data []byte
		}
		parts := make(chan part, 1<<14)
		running.Go(func() {
			defer close(parts)
			for b := make([]byte, 64<<10); ; {
				n, err := from.Read(b)
				if n > 0 {
					parts <- part{time.Now().Add(oneWay), append([]byte(nil), b[:n]...)}
				}
				if err != nil {
					return
				}
			}
		})
		running.Go(func() {
			defer to.Close()
			for p := range parts {
				<-time.After(time.Until(p.due))
				if _, err := to.Write(p.data); err != nil {
					from.Close()
					io.Copy(io.Discard, from)
				}
			}
		})
	}
	for url := range strings.SplitSeq(servers, ",") {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		context.AfterFunc(ctx, func() { l.Close() })
		running.Go(func() {
			for {
				near, err := l.Accept()
				if err != nil {
					return
				}
				there, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
				if err != nil {
					near.Close()
					continue
				}
				context.AfterFunc(ctx, func() { near.Close(); there.Close() })
				pass(near, there)
				pass(there, near)
			}
		})
		urls = append(urls, "nats://"+l.Addr().String())
	}
	return strings.Join(urls, ",")
}

// fair: a relay process that is 50 ms away from the servers gives receipts beside one that is with them and never rests. It would
// always come second, had it no turn; and the near one goes on, too.
func fair(t *testing.T, servers string) {
	box := mailbox.GenerateBox().Public()
	lease := &mailbox.GrantLease{Box: box, Until: time.Now().Add(time.Hour)}
	queues := &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: lease.Until}
	for range 400 {
		queues.Queues = append(queues.Queues, mailbox.QID(mailboxtest.Random(32)))
	}
	near := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer near.Close()
	if err := near.Commit(time.Now(), []mailbox.Change{lease, queues}); err != nil || lease.Err != nil || queues.Err != nil {
		t.Fatal(err, lease.Err, queues.Err)
	}
	away := open(t, Config{Servers: far(t, servers, 25*time.Millisecond), Stream: name(t), Dir: t.TempDir()})
	defer away.Close()
	deposit := func(s *Store, n int) error {
		cell := mailboxtest.Random(mailbox.CellSmall)
		d := &mailbox.Deposit{Queue: queues.Queues[n%400], ID: mailbox.IDOf(cell), Cell: cell, Expiry: lease.Until}
		if err := s.Commit(time.Now(), []mailbox.Change{d}); err != nil {
			return err
		}
		return d.Err
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	count := 0
	var busy sync.WaitGroup
	busy.Go(func() {
		for ; ctx.Err() == nil; count++ {
			if err := deposit(near, count); err != nil {
				t.Error(err)
				return
			}
		}
	})
	began := time.Now()
	const receipts = 8
	for n := range receipts {
		if err := deposit(away, n); err != nil {
			t.Errorf("from far away, after %d receipts: %v", n, err)
			break
		}
	}
	stop()
	busy.Wait()
	t.Logf("%d receipts far away and %d near, in %v", receipts, count, time.Since(began).Round(time.Millisecond))
	if count < receipts {
		t.Errorf("the near one gave only %d receipts", count)
	}
}
