//go:build cluster

package jetstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream/servers"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/nats-io/nats.go"
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
				t.Run("rewritten", func(t *testing.T) { rewritten(t, c.URL()) })
				t.Run("foreign", func(t *testing.T) { foreign(t, c.URL()) })
				t.Run("fair", func(t *testing.T) { fair(t, c.URL()) })
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

// rewritten: of each message of the stream most cells are deleted, and its room comes back while a few are left. Whoever reads
// meanwhile, by another relay process, misses none and sees none twice or under another sequence; so does one that comes later.
func rewritten(t *testing.T, servers string) {
	var stores []*Store
	for range 2 {
		s := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
		defer s.Close()
		stores = append(stores, s)
	}
	s := stores[0]
	box := mailbox.GenerateBox().Public()
	now := time.Now()
	lease := &mailbox.GrantLease{Box: box, Until: now.Add(time.Hour)}
	queue := mailbox.QID(mailboxtest.Random(32))
	changes := []mailbox.Change{lease, &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: lease.Until, Queues: []mailbox.QID{queue}}}
	const messages = 60
	for range messages * 8 {
		cell := mailboxtest.Random(mailbox.CellSmall)
		changes = append(changes, &mailbox.Deposit{Queue: queue, ID: mailbox.IDOf(cell), Cell: cell, Expiry: lease.Until})
	}
	if err := s.Commit(now, changes); err != nil {
		t.Fatal(err)
	}
	list := func(s *Store) []mailbox.Entry {
		t.Helper()
		entries, more, err := s.List(box, 0, 1000, now)
		if err != nil || more {
			t.Fatal(more, err)
		}
		return entries
	}
	info, err := s.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full := info.State.Bytes
	gone := &mailbox.Delete{Box: box}
	for i, e := range list(s) {
		if i%8 > 1 {
			gone.Cells = append(gone.Cells, e.Cell)
		}
	}
	if err := s.Commit(now, []mailbox.Change{gone}); err != nil || gone.Deleted != messages*6 {
		t.Fatal(err, gone.Deleted)
	}
	want := list(s)
	whole := func(s *Store) {
		t.Helper()
		if got := list(s); !slices.Equal(got, want) {
			t.Fatalf("there are %d cells, not %d, or others", len(got), len(want))
		}
		for _, e := range want {
			if _, err := s.Cell(box, e.Cell, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := stores[1].catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; {
		for _, s := range stores {
			whole(s)
		}
		if info, err = s.info(t.Context()); err == nil && info.State.Bytes < full/2 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the stream takes %d bytes of what were %d", info.State.Bytes, full)
		}
	}
	t.Logf("the stream takes %d bytes of what were %d", info.State.Bytes, full)
	late := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer late.Close()
	whole(late)
}

// foreign: somebody else writes to the stream, by mistake or on purpose. The relays pass that over and say so; they and
// one that comes later go on, and know what they knew.
func foreign(t *testing.T, servers string) {
	s := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer s.Close()
	other := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer other.Close()
	box := mailbox.GenerateBox().Public()
	now := time.Now()
	lease := &mailbox.GrantLease{Box: box, Until: now.Add(time.Hour)}
	queue := mailbox.QID(mailboxtest.Random(32))
	deposit := func() mailbox.Change {
		cell := mailboxtest.Random(mailbox.CellSmall)
		return &mailbox.Deposit{Queue: queue, ID: mailbox.IDOf(cell), Cell: cell, Expiry: lease.Until}
	}
	commit := func(s *Store, changes ...mailbox.Change) {
		t.Helper()
		if err := s.Commit(now, changes); err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if err := mailbox.OutcomeOf(c).Err; err != nil {
				t.Fatal(err)
			}
		}
	}
	commit(s, lease, &mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: lease.Until, Queues: []mailbox.QID{queue}}, deposit())
	l := s.asked()
	ours, err := l.stream.GetLastMsgForSubject(t.Context(), name(t)+".q.*")
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	send := func(subject, head string, data []byte) {
		t.Helper()
		m := nats.NewMsg(name(t) + "." + subject)
		m.Data = data
		if head != "" {
			m.Header.Set(headHeader, head)
		}
		if _, err := l.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	head := ours.Header.Get(headHeader)
	send("hello", "", []byte("is this on?"))
	send("a.b.c", "", nil)
	send("u.AAAAAAAAAAE", "", mailboxtest.Random(1000))
	send("u.AAAAAAAAAAI", "!", nil)
	send("q.AAAA", head, nil) // ours, about another queue
	send("q.!", head, nil)    // about none
	send(ours.Subject[len(name(t))+1:]+".x", head, nil)
	send("b.AAAA", head[:len(head)/2], nil) // cut short
	send("n.AAAA", "AgA", bytes.Repeat([]byte{0}, 200<<10))
	for _, s := range []*Store{s, other} {
		commit(s, deposit())
	}
	late := open(t, Config{Servers: servers, Stream: name(t), Dir: t.TempDir()})
	defer late.Close()
	for _, s := range []*Store{s, other, late} {
		if _, err := s.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, _, err := s.List(box, 0, 100, now)
		if err != nil || len(entries) != 3 {
			t.Fatal(len(entries), err)
		}
		for _, e := range entries {
			if _, err := s.Cell(box, e.Cell, now); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Usage().Foreign; n != uint64(sent) {
			t.Errorf("%d messages were passed over, not %d", n, sent)
		}
	}
	// One that takes the place of ours takes that away, and nothing else.
	entries, _, err := s.List(box, 0, 100, now)
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.view.Cell(box, entries[0].Cell, now)
	if err != nil {
		t.Fatal(err)
	}
	send(string(s.subject(append([]byte("u"), binary.BigEndian.AppendUint64(nil, at.Place)...))[len(name(t))+1:]), "", nil)
	if _, err := s.Cell(box, entries[0].Cell, now); !errors.Is(err, mailbox.ErrDamaged) {
		t.Errorf("a cell that is not there any more: %v", err)
	}
	commit(s, deposit(), &mailbox.Delete{Box: box, Cells: []mailbox.CellID{entries[0].Cell}})
	if _, err := s.Cell(box, entries[1].Cell, now); err != nil {
		t.Fatal(err)
	}
}
