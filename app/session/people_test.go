package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
)

func TestMain(m *testing.M) {
	if task := os.Getenv("GODWIT_SESSION_TEST"); task != "" {
		child(task) // this process is one that a test started to kill it
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// noon is when the stories begin.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

var testKey = [32]byte{4, 2}

// person is somebody with a profile on this disk.
type person struct {
	t     testing.TB
	path  string
	root  identity.RootPublic
	me    identity.DevicePublic
	store *store.Store
	*Keeper
}

func newPerson(t testing.TB, n byte) *person {
	t.Helper()
	p := &person{t: t, path: filepath.Join(t.TempDir(), "godwit.db"), root: identity.RootPublic{n}, me: identity.DevicePublic{n}}
	p.open(store.Options{Create: true})
	t.Cleanup(func() { p.store.Close() })
	return p
}

func (p *person) open(o store.Options) {
	p.t.Helper()
	var err error
	if p.store, err = store.Open(p.t.Context(), p.path, testKey, o); err != nil {
		p.t.Fatal(err)
	}
	if p.Keeper, err = New(p.t.Context(), p.store); err != nil {
		p.t.Fatal(err)
	}
}

// restart closes the profile and opens it again.
func (p *person) restart() {
	p.t.Helper()
	p.close()
	p.open(store.Options{})
}

func (p *person) close() {
	p.t.Helper()
	if err := p.store.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// do is a transaction that must succeed.
func (p *person) do(fn func(tx *store.Tx, b *Batch) error) {
	p.t.Helper()
	if err := p.Update(p.t.Context(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// contact is what first contact agreed, for both sides.
type contact struct {
	offer   pqxdh.Offer
	secrets pqxdh.Secrets
	parties ratchet.Parties
	prekey  identity.PrekeyPrivate
}

// agree is first contact without its cryptography: random secrets, which both
// sides are given. TestFirstContact does the real thing.
func agree(from, to *person) (c contact) {
	c.prekey = identity.GeneratePrekey()
	for _, b := range [][]byte{c.offer.Ephemeral[:], c.offer.Ciphertext[:], c.secrets.RootEC[:], c.secrets.RootPQ[:], c.secrets.HeaderA[:],
		c.secrets.NextHeaderB[:], c.secrets.Auth[:], c.secrets.Transcript[:]} {
		rand.Read(b)
	}
	c.parties = ratchet.Parties{InitiatorRoot: from.root, InitiatorDevice: from.me, ResponderRoot: to.root, ResponderDevice: to.me, Suite: identity.Suite}
	return c
}

func (c contact) id() store.SessionID { return c.offer.SessionID() }

func (c contact) initiated() Initiated {
	return Initiated{Offer: c.offer, Secrets: c.secrets, Parties: c.parties, Prekey: c.prekey.Public(), Intro: []byte("by pigeon")}
}

func (c contact) answered(wire []byte) Answered {
	return Answered{Offer: c.offer, Secrets: c.secrets, Parties: c.parties, Prekey: c.prekey, Message: wire}
}

// start begins a session with somebody.
func (p *person) start(to *person) contact {
	p.t.Helper()
	return p.startAt(to, noon())
}

func (p *person) startAt(to *person, now time.Time) contact {
	p.t.Helper()
	c := agree(p, to)
	p.do(func(_ *store.Tx, b *Batch) error {
		id, err := b.Start(c.initiated(), now)
		if id != c.id() {
			p.t.Errorf("session %x, want %x", id, c.id())
		}
		return err
	})
	return c
}

// say seals words to a device on the preferred session.
func (p *person) say(to identity.DevicePublic, words string) (s Sealed) {
	p.t.Helper()
	p.do(func(_ *store.Tx, b *Batch) error {
		head, err := b.Preferred(to)
		if err != nil {
			return err
		}
		s, err = b.Seal(head.ID, []byte(words), noon())
		return err
	})
	return s
}

// hear opens a message of a device and returns the words.
func (p *person) hear(from identity.DevicePublic, wire []byte) string {
	p.t.Helper()
	words, err := p.tryHear(from, wire)
	if err != nil {
		p.t.Fatal(err)
	}
	return words
}

// tryHear is hear where it may fail. The transaction is committed in any case, as
// the owner does, who keeps the reason.
func (p *person) tryHear(from identity.DevicePublic, wire []byte) (words string, err error) {
	p.t.Helper()
	p.do(func(_ *store.Tx, b *Batch) error {
		var payload []byte
		_, payload, err = b.OpenAny(from, wire, noon())
		words = string(payload)
		return nil
	})
	return words, err
}

// receive takes a flight.
func (p *person) receive(c contact, wire []byte) string {
	p.t.Helper()
	words, err := p.tryReceive(c, wire)
	if err != nil {
		p.t.Fatal(err)
	}
	return words
}

func (p *person) tryReceive(c contact, wire []byte) (words string, err error) {
	p.t.Helper()
	p.do(func(_ *store.Tx, b *Batch) error {
		has, errHas := b.Has(c.id())
		if errHas != nil {
			return errHas
		}
		var payload []byte
		if has {
			payload, err = b.Open(c.id(), wire, noon())
		} else {
			_, payload, err = b.Answer(c.answered(wire), noon())
		}
		words = string(payload)
		return nil
	})
	return words, err
}

// preferred is the session that somebody sends on.
func (p *person) preferred(to identity.DevicePublic) (id store.SessionID) {
	p.t.Helper()
	p.do(func(_ *store.Tx, b *Batch) error {
		head, err := b.Preferred(to)
		id = head.ID
		return err
	})
	return id
}

// row is a session as it is on the disk.
func (p *person) row(id store.SessionID) (row store.Session) {
	p.t.Helper()
	err := p.store.View(p.t.Context(), func(tx *store.Tx) (err error) {
		row, err = tx.Session(id)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return row
}

// friends are two people with a session on which both have heard each other.
func friends(t testing.TB) (alice, bob *person, c contact) {
	t.Helper()
	alice, bob = newPerson(t, 0xa), newPerson(t, 0xb)
	c = alice.start(bob)
	bob.receive(c, alice.say(bob.me, "hello").Wire)
	alice.hear(bob.me, bob.say(alice.me, "hello yourself").Wire)
	return alice, bob, c
}

// chat says and hears n messages each way.
func chat(t testing.TB, a, b *person, n int) {
	t.Helper()
	for i := range n {
		words := fmt.Sprintf("number %d", i)
		if got := b.hear(a.me, a.say(b.me, words).Wire); got != words {
			t.Fatalf("heard %q, said %q", got, words)
		}
		if got := a.hear(b.me, b.say(a.me, words).Wire); got != words {
			t.Fatalf("heard %q, said %q", got, words)
		}
	}
}

func is(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
