package disk

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	disks := make(map[*testing.T]*vfs.MemFS)
	mailboxtest.Suite(t, minMaxBytes, mailboxtest.Kind{
		Open: func(t *testing.T, limit uint64) mailbox.Store {
			if disks[t] == nil {
				disks[t] = vfs.NewCrashableMem()
			}
			return open(t, Config{Dir: "/mail", FS: disks[t], MaxBytes: limit, Quotas: mailboxtest.Quotas()})
		},
		Keeps: true,
		Kill: func(t *testing.T, s mailbox.Store) {
			disks[t] = disks[t].CrashClone(vfs.CrashCloneCfg{})
			s.Close()
		},
		Collect: func(t *testing.T, s mailbox.Store) {
			if err := s.(*Store).Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// TestReleaseInParts: a box with much in it is given back in several groups, its queues first, whatever
// interrupts that.
func TestReleaseInParts(t *testing.T) {
	fs := vfs.NewCrashableMem()
	cfg := Config{Dir: "/mail", FS: fs, MaxBytes: 16 << 20}
	s := open(t, cfg)
	box, other := mailbox.BoxPublic{1}, mailbox.BoxPublic{2}
	var queues []mailbox.QID
	for i := range 512 {
		queues = append(queues, mailbox.QID{1, byte(i), byte(i >> 8)})
	}
	commit(t, s, noon, &mailbox.GrantLease{Box: box, Until: noon.Add(mailbox.LeaseTime)}, &mailbox.GrantLease{Box: other, Until: noon.Add(mailbox.LeaseTime)},
		&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: noon.Add(time.Hour), Queues: queues},
		&mailbox.OpenQueues{Box: other, Class: mailbox.Ordinary, Until: noon.Add(time.Hour), Queues: []mailbox.QID{{2}}})
	for i := range 450 {
		put(t, s, noon, queues[i], mailbox.CellSmall)
	}
	stays := put(t, s, noon, mailbox.QID{2}, mailbox.CellSmall)
	r := &mailbox.ReleaseBox{Box: box}
	for i, left := range []mailbox.Usage{{Queues: 113, Cells: 451, Boxes: 2}, {Queues: 1, Cells: 163, Boxes: 2}, {Queues: 1, Cells: 1, Boxes: 1}} {
		if commit(t, s, noon, r); r.Err != nil || r.More != (i < 2) {
			t.Fatalf("part %d: more=%v, %v", i, r.More, r.Err)
		}
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
		s.Close()
		cfg.FS = fs
		s = open(t, cfg)
		if u := s.Usage(); u.Queues != left.Queues || u.Cells != left.Cells || u.Boxes != left.Boxes {
			t.Fatalf("after part %d: %+v, want %+v", i, u, left)
		}
	}
	defer s.Close()
	holds(t, s, noon, other, stays)
}
