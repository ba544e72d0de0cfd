package direct_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	ma "github.com/multiformats/go-multiaddr"
)

func loopback(t testing.TB, name string) *person {
	return newPerson(t, name, p2ptest.Loopback(t), direct.Config{})
}

// Alice calls Bob; both can then write to each other, and each learns that the
// other keeps what was written.
func TestMessagesBothWays(t *testing.T) {
	for name, code := range map[string]int{"tcp": ma.P_TCP, "quic": ma.P_QUIC_V1} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			alice, bob := loopback(t, "alice"), loopback(t, "bob")
			s := befriend(alice, bob)
			c, err := alice.Connect(ctx, p2ptest.InfoOver(bob.node, code), s)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 300 {
				if err := c.Send(ctx, message(fmt.Sprintf("hi %d ", i))); err != nil {
					t.Fatal(err)
				}
			}
			alice.await(func() bool { return len(alice.acked) == 300 })
			for i, m := range bob.mail() {
				if !bytes.HasPrefix(m, fmt.Appendf(nil, "hi %d ", i)) {
					t.Fatalf("message %d is %q", i, m[:10])
				}
				if !fits(s, alice.evidence(m)) {
					t.Fatalf("message %d has no evidence", i)
				}
			}
			if err := bob.conn(s).Send(ctx, message("hello")); err != nil {
				t.Fatal(err)
			}
			bob.await(func() bool { return len(bob.acked) == 1 })
			if n := c.Unanswered(); n != 0 {
				t.Errorf("%d unanswered", n)
			}
		})
	}
}
