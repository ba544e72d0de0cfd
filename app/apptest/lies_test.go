package apptest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// signer is a mailbox.Signer that lies.
type signer func(text []byte) ([]byte, error)

func (s signer) Sign(text []byte) ([]byte, error) { return s(text) }

// liar is a mailbox.Store that keeps what it is given, and changes what the relay
// then says of it.
type liar struct {
	mailbox.Store
	lie func(*mailbox.Deposit)
}

func (l liar) Commit(now time.Time, changes []mailbox.Change) error {
	err := l.Store.Commit(now, changes)
	for _, c := range changes {
		if d, ok := c.(*mailbox.Deposit); ok && d.Err == nil {
			l.lie(d)
		}
	}
	return err
}

// lies are the ways to sign a receipt that proves nothing.
var lies = []struct {
	name   string
	signer func(mailbox.Signer) mailbox.Signer
	store  func(*mailbox.Deposit)
}{
	{name: "the signature is wrong", signer: func(own mailbox.Signer) mailbox.Signer {
		return signer(func(text []byte) ([]byte, error) {
			s, err := own.Sign(text)
			s[0] ^= 1
			return s, err
		})
	}},
	{name: "it is signed by another key", signer: func(mailbox.Signer) mailbox.Signer {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}},
	{name: "the signature is an old one", signer: func(own mailbox.Signer) mailbox.Signer {
		var once sync.Once
		var old []byte
		return signer(func(text []byte) (_ []byte, err error) {
			once.Do(func() { old, err = own.Sign(append([]byte("old "), text...)) })
			return old, err
		})
	}},
	{name: "it is for another cell", store: func(d *mailbox.Deposit) { d.ID[0] ^= 1 }},
	{name: "it is for another queue", store: func(d *mailbox.Deposit) { d.Queue[0] ^= 1 }},
	{name: "it ends too soon", store: func(d *mailbox.Deposit) { d.Until = d.Until.Add(-6 * time.Minute) }},
}

// A receipt that does not hold is none: the message stays queued, with the reason,
// until the relay proves it or the other has it.
func TestReceiptsThatDoNotHold(t *testing.T) {
	t.Parallel()
	for i, lie := range lies {
		if testing.Short() && i%3 != 0 {
			continue // one of each kind
		}
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			w := apptest.New(t)
			relay := w.Relay("relay")
			alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
			alice.Meets(bob)
			bob.Leaves()

			relay.Stops()
			relay.Signer = lie.signer
			if lie.store != nil {
				relay.Store = func(own mailbox.Store) mailbox.Store { return liar{own, lie.store} }
			}
			relay.Starts()
			first := alice.Says(bob, "do you believe it?")
			m := alice.Hopes(bob, first, problem.RelayUnproven)
			if m.State != api.Queued || m.Relays == nil || *m.Relays != (api.Copies{Kept: 0, Named: 1, Wanted: 3}) {
				t.Fatalf("a receipt that does not hold made the message %s, %+v", m.State, m.Relays)
			}

			relay.Stops()
			relay.Signer, relay.Store = nil, nil
			relay.Starts()
			if m := alice.Sees(bob, first, api.Kept); *m.Relays != (api.Copies{Kept: 1, Named: 1, Wanted: 3}) {
				t.Fatalf("an honest relay's receipt made the message %s, %+v", m.State, m.Relays)
			}
			// What the liar kept and what the honest one kept is one message.
			bob.Returns()
			bob.Reads(alice, "do you believe it?")
			alice.Sees(bob, first, api.Delivered)
			alice.Sees(bob, alice.Says(bob, "it is proven now"), api.Delivered)
			bob.Reads(alice, "do you believe it?", "it is proven now")
		})
	}
}

// Bob's relay answers without syncing, and loses power. Nobody can see that; but
// Alice has what Bob did not acknowledge, and gives it to him when he is there.
func TestRelayThatDidNotSync(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	relay := w.Relay("relay")
	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
	alice.Meets(bob)
	bob.Leaves()
	relay.Remembers()
	var texts, ids []string
	for i := range 5 {
		texts = append(texts, fmt.Sprintf("not synced %d", i))
		ids = append(ids, alice.Says(bob, texts[i]))
	}
	for _, id := range ids {
		alice.Sees(bob, id, api.Kept)
	}
	alice.Leaves()
	relay.LosesPower()

	// The receipts are all that is left of the copies.
	bob.Returns()
	if heard := bob.Hears(alice); len(heard) != 0 {
		t.Fatalf("a relay that lost its memory gave out %q", heard)
	}
	alice.Returns()
	for _, id := range ids {
		alice.Sees(bob, id, api.Delivered)
	}
	bob.Reads(alice, texts...)
}

// The same, but the two are never there together: Alice deposits again before the
// receipts end.
func TestReceiptsThatAreAboutToEnd(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	relay := w.Relay("relay")
	alice, bob := w.Person("alice", "relay"), w.Person("bob", "relay")
	alice.Meets(bob)
	bob.Leaves()
	relay.Remembers()
	first := alice.Says(bob, "lost once")
	alice.Sees(bob, first, api.Kept)
	alice.Leaves()
	relay.LosesPower()

	// 28 days later.
	soon := time.Now().Add(47 * time.Hour).Truncate(time.Millisecond)
	alice.Edits(func(tx *store.Tx) error {
		ending, err := tx.ExpiringDeposits(time.Now().Add(31 * 24 * time.Hour))
		for _, d := range ending {
			if d.Receipt == nil {
				continue
			}
			d.At, d.Until = soon.Add(-30*24*time.Hour), soon
			if err := tx.PutDeposit(d); err != nil {
				return err
			}
		}
		return err
	})
	alice.Returns()
	alice.Awaits("a receipt that lasts", func(ctx context.Context) bool {
		m := alice.Sees(bob, first, api.Kept)
		return m.Expires.After(soon)
	})
	alice.Leaves()
	bob.Returns()
	bob.Reads(alice, "lost once")
}
