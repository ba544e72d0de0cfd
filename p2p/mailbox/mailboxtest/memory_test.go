package mailboxtest

import (
	"testing"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

func TestMemory(t *testing.T) {
	StoreSuite(t, false, func(*testing.T) mailbox.Store { return NewMemory(Quotas(), 0) })
}
