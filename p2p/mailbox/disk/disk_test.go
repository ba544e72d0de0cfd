package disk

import (
	"testing"

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
	dirs := make(map[*testing.T]string)
	mailboxtest.StoreSuite(t, true, func(t *testing.T) mailbox.Store {
		if dirs[t] == "" {
			dirs[t] = t.TempDir()
		}
		return open(t, Config{Dir: dirs[t], Quotas: mailboxtest.Quotas()})
	})
}
