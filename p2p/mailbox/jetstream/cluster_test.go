//go:build cluster

package jetstream

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream/servers"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"go.uber.org/goleak"
)

// binaryEnv names the server's program, where there is one; else it is built.
const binaryEnv = "GODWIT_NATS_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirEnv); dir != "" {
		if err := serve(dir, os.Getenv(storeEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// natsServer is the program of the server.
func natsServer(t *testing.T) string {
	t.Helper()
	if path := os.Getenv(binaryEnv); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func cluster(t *testing.T, n int) *servers.Cluster {
	t.Helper()
	c, err := servers.Start(t.Context(), natsServer(t), t.TempDir(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// name is a stream's of a test.
func name(t *testing.T) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' {
			return r
		}
		return '-'
	}, t.Name())
}

func TestStore(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			c := cluster(t, n)
			dirs := make(map[*testing.T]string)
			mailboxtest.Suite(t, 1<<20, mailboxtest.Kind{
				Open: func(t *testing.T, limit uint64) mailbox.Store {
					if dirs[t] == "" {
						dirs[t] = t.TempDir()
					}
					s := open(t, Config{Servers: c.URL(), Stream: name(t), Replicas: n, Dir: dirs[t], MaxBytes: limit, Quotas: mailboxtest.Quotas()})
					if cluster := s.stream.CachedInfo().Cluster; n > 1 && cluster.Leader != s.nc.ConnectedServerName() {
						t.Errorf("%s leads, and the store is with %s", cluster.Leader, s.nc.ConnectedServerName())
					}
					return s
				},
				Keeps: true,
				// The process that opens it again is on another machine.
				Kill: func(t *testing.T, s mailbox.Store) {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					dirs[t] = t.TempDir()
				},
				Collect: func(t *testing.T, s mailbox.Store) {
					if _, err := s.(*Store).info(t.Context()); err != nil {
						t.Fatal(err)
					}
				},
			})
			if n > 1 {
				t.Run("leader", func(t *testing.T) { followsTheLeader(t, c.URL()) })
			}
		})
	}
}

// followsTheLeader: another server comes to lead, as after a rolling restart, while a relay takes deposits. None is refused, and
// the relay is with that server soon.
func followsTheLeader(t *testing.T, servers string) {
	s := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer s.Close()
	box := mailbox.GenerateBox().Public()
	lease := &mailbox.GrantLease{Box: box, Until: time.Now().Add(time.Hour)}
	queues := &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: lease.Until}
	for range 400 {
		queues.Queues = append(queues.Queues, mailbox.QID(mailboxtest.Random(32)))
	}
	if err := s.Commit(time.Now(), []mailbox.Change{lease, queues}); err != nil || lease.Err != nil || queues.Err != nil {
		t.Fatal(err, lease.Err, queues.Err)
	}
	was := s.asked().nc
	if answer, err := was.Request("$JS.API.STREAM.LEADER.STEPDOWN."+name(t), nil, attempt); err != nil || !strings.Contains(string(answer.Data), `"success":true`) {
		t.Fatal(err, string(answer.Data))
	}
	for n := 0; ; n++ {
		cell := mailboxtest.Random(mailbox.CellSmall)
		d := &mailbox.Deposit{Queue: queues.Queues[n%400], ID: mailbox.IDOf(cell), Cell: cell, Expiry: lease.Until}
		if err := s.Commit(time.Now(), []mailbox.Change{d}); err != nil || d.Err != nil {
			t.Fatal(err, d.Err)
		}
		if info, err := s.info(t.Context()); err == nil && leaderOf(info) == s.asked().nc.ConnectedServerName() && s.asked().nc != was {
			t.Logf("gone over after %d deposits", n)
			break
		}
		if n == 10000 {
			t.Fatal("it never went over to the server that leads")
		}
		<-time.After(10 * time.Millisecond)
	}
}
