package mailboxtest

import (
	"testing"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

func TestMemory(t *testing.T) {
	Suite(t, 1<<20, Kind{Open: func(_ *testing.T, limit uint64) mailbox.Store { return NewMemory(Quotas(), limit) }})
}
