package mailboxtest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
)

// Serve makes a host a relay until the test ends. A nil store is one in memory,
// a nil key the host's own; a config without terms for a lease asks for nothing.
func Serve(t testing.TB, h host.Host, store mailbox.Store, key mailbox.Signer, cfg mailbox.ServerConfig) *mailbox.Server {
	t.Helper()
	if store == nil {
		store = NewMemory(mailbox.DefaultQuotas(), 0)
	}
	if key == nil {
		key = h.Peerstore().PrivKey(h.ID())
	}
	if cfg.Leases == nil {
		cfg.Leases = []mailbox.LeaseKind{mailbox.LeaseOpen}
	}
	s, err := mailbox.NewServer(h, key, store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, mailbox.ErrDamaged) {
			t.Error(err)
		}
	})
	return s
}

// WrongKey is a Signer with another key than the relay's.
func WrongKey(t testing.TB) mailbox.Signer {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
