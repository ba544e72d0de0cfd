package disk

import (
	"testing"

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
