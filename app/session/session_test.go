package session

import (
	"bytes"
	"crypto/mlkem"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
)

// TestFirstContact is the whole way with the real handshake: Alice reads Bob's
// bundle and writes before he is there; both close their programs in between.
func TestFirstContact(t *testing.T) {
	alice, bob := newPerson(t, 0xa), newPerson(t, 0xb)

	// Who they are.
	aliceKey, aliceAgreement := identity.GenerateDevice(), identity.GenerateAgreement()
	aliceChain := identity.NewChain(identity.NewRootPrivate([32]byte{1}), aliceKey, aliceAgreement.Public(), noon())
	bobKey, bobAgreement := identity.GenerateDevice(), identity.GenerateAgreement()
	bobChain := identity.NewChain(identity.NewRootPrivate([32]byte{2}), bobKey, bobAgreement.Public(), noon())
	alice.me, bob.me = aliceKey.Public(), bobKey.Public()

	// Bob's bundle.
	signed, oneTime := identity.GeneratePrekey(), identity.GeneratePrekey()
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	intro, err := pqxdh.GenerateIntro()
	if err != nil {
		t.Fatal(err)
	}
	public := oneTime.Public()
	bundle := &identity.Bundle{Suite: identity.Suite, Chain: bobChain, Device: bob.me, Agreement: bobAgreement.Public(), Signed: signed.Public(),
		KEM: identity.KEMPrekey{ID: 1, Public: kem.EncapsulationKey().Bytes()}, OneTime: &public, Intro: intro.PublicKey().Bytes(), Expiry: noon().Add(7 * 24 * time.Hour)}
	raw, err := bundle.Sign(bobKey)
	if err != nil {
		t.Fatal(err)
	}

	// Alice begins.
	given, err := identity.ParseBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := given.Verify(bobChain.Account(), noon()); err != nil {
		t.Fatal(err)
	}
	offer, secrets, err := pqxdh.Initiate(pqxdh.Initiator{Root: aliceChain.Root(), Head: aliceChain.Head(), Device: alice.me, Agreement: aliceAgreement}, given)
	if err != nil {
		t.Fatal(err)
	}
	parties := ratchet.Parties{InitiatorRoot: aliceChain.Root(), InitiatorDevice: alice.me, ResponderRoot: bobChain.Root(), ResponderDevice: bob.me, Suite: identity.Suite}
	var first Sealed
	alice.do(func(_ *store.Tx, b *Batch) error {
		id, err := b.Start(Initiated{offer, secrets, parties, given.Signed, []byte("intro")}, noon())
		if err != nil {
			return err
		}
		first, err = b.Seal(id, []byte("it is Alice"), noon())
		return err
	})
	if !first.Flight {
		t.Error("the first message needs no flight")
	}
	cell, err := pqxdh.SealFlight(given.Intro, pqxdh.Flight{Chain: aliceChain.Marshal(), Device: alice.me, Agreement: aliceAgreement.Public(), Offer: offer, Message: first.Wire})
	if err != nil {
		t.Fatal(err)
	}
	alice.restart()

	// Bob answers.
	flight, err := pqxdh.OpenFlight(intro, cell)
	if err != nil {
		t.Fatal(err)
	}
	_, peer, err := flight.From()
	if err != nil {
		t.Fatal(err)
	}
	secretsB, err := pqxdh.Respond(pqxdh.Prekeys{Agreement: bobAgreement, Signed: signed, KEM: kem, OneTime: &oneTime}, bundle, peer, flight.Offer)
	if err != nil {
		t.Fatal(err)
	}
	bob.do(func(_ *store.Tx, b *Batch) error {
		id, payload, err := b.Answer(Answered{flight.Offer, secretsB, parties, signed, flight.Message}, noon())
		if string(payload) != "it is Alice" || id != first.Session {
			t.Errorf("Bob reads %q on %x", payload, id)
		}
		return err
	})
	bob.restart()

	reply := bob.say(alice.me, "it is Bob")
	if reply.Flight {
		t.Error("Bob's answer goes inside a flight")
	}
	if row := alice.row(first.Session); row.Confirmed != (time.Time{}) || row.Offer == nil || string(row.Intro) != "intro" || row.Flights != 1 || !row.Initiator {
		t.Errorf("before the answer: %+v", row.SessionHead)
	}
	if words := alice.hear(bob.me, reply.Wire); words != "it is Bob" {
		t.Errorf("Alice reads %q", words)
	}
	if row := alice.row(first.Session); row.Confirmed.IsZero() || row.Offer != nil || row.Intro != nil {
		t.Errorf("after the answer: %+v", row.SessionHead)
	}
	if alice.say(bob.me, "so it is").Flight {
		t.Error("a flight after the answer")
	}
	a, okA := alice.Auth(first.Session)
	b, okB := bob.Auth(first.Session)
	if !okA || !okB || a.Auth != b.Auth || a.Device != bob.me || b.Device != alice.me || a.Auth == ([32]byte{}) {
		t.Errorf("AUTH differs: %v %v", a, b)
	}
}

func TestSessionsOutliveThePrograms(t *testing.T) {
	alice, bob, c := friends(t)
	for range 5 {
		chat(t, alice, bob, 3)
		alice.restart()
		bob.restart()
	}
	if got := alice.Auths(); len(got) != 1 || got[0].ID != c.id() || got[0].Auth != c.secrets.Auth {
		t.Errorf("Alice's sessions: %v", got)
	}
	if stats := alice.row(c.id()); stats.Version < 30 {
		t.Errorf("version %d: the state was not kept each time", stats.Version)
	}
	alice.do(func(_ *store.Tx, b *Batch) error {
		auth, err := b.Auth(c.id())
		if err != nil || auth != c.secrets.Auth {
			t.Errorf("AUTH is %x, %v", auth, err)
		}
		stats, err := b.Stats(c.id())
		if err == nil && stats.Epoch == 0 {
			t.Error("the post-quantum ratchet did not turn")
		}
		return err
	})
}

// TestAFailedTransactionLeavesNothing: whatever was sealed, opened or begun in
// it never was, in memory as on the disk.
func TestAFailedTransactionLeavesNothing(t *testing.T) {
	alice, bob, c := friends(t)
	sorry := errors.New("sorry")
	inFlight := bob.say(alice.me, "on its way")
	before, auths := alice.row(c.id()), alice.Auths()
	other := agree(alice, bob)
	theirs := agree(bob, alice)
	hello := helloOf(t, theirs, 1)

	var lost Sealed
	steps := map[string]func(*Batch) error{
		"seal":   func(b *Batch) (err error) { lost, err = b.Seal(c.id(), []byte("never said"), noon()); return err },
		"open":   func(b *Batch) error { _, err := b.Open(c.id(), inFlight.Wire, noon()); return err },
		"start":  func(b *Batch) error { _, err := b.Start(other.initiated(), noon()); return err },
		"answer": func(b *Batch) error { _, _, err := b.Answer(theirs.answered(hello), noon()); return err },
		"erase":  func(b *Batch) error { return b.Erase(c.id()) },
		"expire": func(b *Batch) error { return b.Expire(noon().Add(1000 * time.Hour)) },
	}
	for what, step := range steps {
		err := alice.Update(t.Context(), func(_ *store.Tx, b *Batch) error {
			if err := step(b); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return sorry
		})
		is(t, what, err, sorry)
		func() {
			defer func() { recover() }()
			_ = alice.Update(t.Context(), func(_ *store.Tx, b *Batch) error {
				_ = step(b)
				panic("a bug")
			})
		}()
		if after := alice.row(c.id()); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the row changed", what)
		}
		if got := alice.Auths(); !reflect.DeepEqual(got, auths) {
			t.Errorf("%s: sessions are %v", what, got)
		}
	}
	// All goes on from where it was.
	if got := alice.hear(bob.me, inFlight.Wire); got != "on its way" {
		t.Errorf("Alice reads %q", got)
	}
	if got := bob.hear(alice.me, alice.say(bob.me, "said").Wire); got != "said" {
		t.Errorf("Bob reads %q", got)
	}
	if _, err := bob.tryHear(alice.me, lost.Wire); err == nil {
		t.Error("Bob reads what was never committed, after its number was used")
	}
	chat(t, alice, bob, 3)
}

// helloOf is the ratchet message of a flight that begins a session, made outside
// any profile.
func helloOf(t *testing.T, c contact, generation uint32) []byte {
	t.Helper()
	s, err := ratchet.NewInitiator(ratchetSecrets(c.secrets), c.parties, c.prekey.Public())
	if err != nil {
		t.Fatal(err)
	}
	wire, err := s.Seal(wrap([]byte("hello"), generation > 0, generation), ratchet.Small)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// TestManyInOneTransaction: what a group commit does.
func TestManyInOneTransaction(t *testing.T) {
	alice, bob, c := friends(t)
	version := alice.row(c.id()).Version
	var sent []Sealed
	alice.do(func(_ *store.Tx, b *Batch) error {
		for i := range 100 {
			s, err := b.Seal(c.id(), []byte{byte(i)}, noon())
			if err != nil {
				return err
			}
			sent = append(sent, s)
		}
		return nil
	})
	if got := alice.row(c.id()).Version; got != version+1 {
		t.Errorf("the state was written %d times", got-version)
	}
	bob.do(func(_ *store.Tx, b *Batch) error {
		for i := range sent {
			j := len(sent) - 1 - i // the last first
			_, payload, err := b.OpenAny(alice.me, sent[j].Wire, noon())
			if err != nil || !bytes.Equal(payload, []byte{byte(j)}) {
				t.Errorf("message %d: %x, %v", j, payload, err)
			}
		}
		return nil
	})
}

// TestThreeRelaysDeliverThreeCopies, one after a restart.
func TestThreeRelaysDeliverThreeCopies(t *testing.T) {
	alice, bob, c := friends(t)
	sealed := alice.say(bob.me, "once")
	bob.hear(alice.me, sealed.Wire)
	_, err := bob.tryHear(alice.me, sealed.Wire)
	is(t, "second copy", err, ErrSeen)
	bob.restart()
	_, err = bob.tryHear(alice.me, sealed.Wire)
	is(t, "third copy", err, ErrSeen)
	_, err = bob.tryReceive(c, sealed.Wire)
	is(t, "as a flight", err, ErrSeen)
	bob.do(func(tx *store.Tx, _ *Batch) error {
		seen, err := tx.Seen(sealed.Hash)
		if err == nil && !seen.Expires.Equal(noon().Add(store.SeenFor)) {
			t.Errorf("remembered until %v", seen.Expires)
		}
		return err
	})
}

func TestFlightsAreSmallAndFew(t *testing.T) {
	alice, bob := newPerson(t, 0xa), newPerson(t, 0xb)
	c := alice.start(bob)
	full, over := make([]byte, FlightMax()), make([]byte, FlightMax()+1)
	long := []byte(strings.Repeat("long ", 1000))
	var flights []Sealed
	alice.do(func(_ *store.Tx, b *Batch) error {
		_, err := b.Seal(c.id(), long, noon())
		is(t, "a long message in a flight", err, ErrTooLong)
		_, err = b.Seal(c.id(), over, noon())
		is(t, "a byte too much for a flight", err, ErrTooLong)
		for range FlightsMax {
			s, err := b.Seal(c.id(), full, noon())
			if err != nil {
				return err
			}
			flights = append(flights, s)
		}
		_, err = b.Seal(c.id(), []byte("one more"), noon())
		is(t, "one flight more", err, ErrFlights)
		return nil
	})
	alice.restart()
	alice.do(func(_ *store.Tx, b *Batch) error {
		_, err := b.Seal(c.id(), []byte("one more"), noon())
		is(t, "one flight more after a restart", err, ErrFlights)
		return nil
	})
	// Bob gets the last one first, and then all.
	for i := range flights {
		f := flights[len(flights)-1-i]
		if !f.Flight {
			t.Error("not a flight")
		}
		if got := bob.receive(c, f.Wire); got != string(full) {
			t.Errorf("Bob reads %q", got)
		}
	}
	alice.hear(bob.me, bob.say(alice.me, "yes").Wire)
	alice.do(func(_ *store.Tx, b *Batch) error {
		if _, err := b.Seal(c.id(), make([]byte, PayloadMax()), noon()); err != nil {
			t.Errorf("the longest payload: %v", err)
		}
		_, err := b.Seal(c.id(), make([]byte, PayloadMax()+1), noon())
		is(t, "a byte too much", err, ErrTooLong)
		s, err := b.Seal(c.id(), long, noon())
		if s.Flight || len(s.Wire) != int(ratchet.Medium) {
			t.Errorf("a long message of %d bytes, flight %v", len(s.Wire), s.Flight)
		}
		return err
	})
}

// TestForgedMessagesChangeNothing, neither the row nor the rest of the
// transaction.
func TestForgedMessagesChangeNothing(t *testing.T) {
	alice, bob, c := friends(t)
	good := alice.say(bob.me, "good")
	before := bob.row(c.id())
	bob.do(func(tx *store.Tx, b *Batch) error {
		for i := 0; i < len(good.Wire); i += 97 {
			bad := bytes.Clone(good.Wire)
			bad[i] ^= 0x10
			if _, _, err := b.OpenAny(alice.me, bad, noon()); err == nil {
				t.Errorf("byte %d flipped and read", i)
			}
			if _, err := b.Open(c.id(), bad, noon()); err == nil {
				t.Errorf("byte %d flipped and read", i)
			}
		}
		for _, bad := range [][]byte{nil, good.Wire[:100], append(bytes.Clone(good.Wire), 0)} {
			if _, _, err := b.OpenAny(alice.me, bad, noon()); err == nil {
				t.Errorf("%d bytes read", len(bad))
			}
		}
		return tx.PutSetting("still", []byte("committed"))
	})
	if after := bob.row(c.id()); !reflect.DeepEqual(before, after) {
		t.Error("the row changed")
	}
	body := bytes.Clone(good.Wire)
	body[len(body)-1] ^= 1
	_, err := bob.tryHear(alice.me, body)
	is(t, "a flipped body", err, ErrForged)
	if got := bob.hear(alice.me, good.Wire); got != "good" {
		t.Errorf("Bob reads %q", got)
	}
	_, err = bob.tryHear(identity.DevicePublic{99}, alice.say(bob.me, "x").Wire)
	is(t, "from a stranger", err, ErrNoSession)
	bob.do(func(_ *store.Tx, b *Batch) error {
		_, err := b.Seal(store.SessionID{9}, nil, noon())
		is(t, "on no session", err, ErrNoSession)
		_, err = b.Preferred(identity.DevicePublic{99})
		is(t, "to a stranger", err, ErrNoSession)
		return nil
	})
}

// TestAFlightThatDoesNotOpenBeginsNothing: Mallory can send offers, but not the
// first message of who she says she is.
func TestAFlightThatDoesNotOpenBeginsNothing(t *testing.T) {
	alice, bob := newPerson(t, 0xa), newPerson(t, 0xb)
	c := agree(alice, bob)
	wire := helloOf(t, c, 1)
	wrong := c
	wrong.secrets.RootPQ[0] ^= 1
	if _, err := bob.tryReceive(wrong, wire); err == nil {
		t.Error("the wrong secrets open it")
	}
	plain := agree(alice, bob)
	_, err := bob.tryReceive(plain, helloOf(t, plain, 0))
	is(t, "a first message without a generation", err, ErrMalformed)
	if len(bob.Auths()) != 0 {
		t.Error("a session began")
	}
	if got := bob.receive(c, wire); got != "hello" {
		t.Errorf("Bob reads %q", got)
	}
	_, err = bob.tryReceive(c, wire)
	is(t, "the flight again", err, ErrSeen)
}

// TestAJumpTooFar is set aside, and a new session helps.
func TestAJumpTooFar(t *testing.T) {
	alice, bob, c := friends(t)
	var last Sealed
	alice.do(func(_ *store.Tx, b *Batch) (err error) {
		for range 25_002 {
			if last, err = b.Seal(c.id(), nil, noon()); err != nil {
				return err
			}
		}
		return nil
	})
	before := bob.row(c.id())
	_, err := bob.tryHear(alice.me, last.Wire)
	is(t, "25,001 missing", err, ErrTooFarAhead)
	if after := bob.row(c.id()); !reflect.DeepEqual(before, after) {
		t.Error("the row changed")
	}
	anew := bob.start(alice)
	alice.receive(anew, bob.say(alice.me, "let us begin anew").Wire)
	chat(t, alice, bob, 2)
	if got := alice.preferred(bob.me); got != anew.id() {
		t.Error("Alice did not follow")
	}
}

func TestSessionsAreErasedInTheEnd(t *testing.T) {
	alice, bob, old := friends(t)
	late := alice.say(bob.me, "late")
	later := alice.say(bob.me, "too late")
	anew := alice.start(bob)
	bob.receive(anew, alice.say(bob.me, "anew").Wire)
	expire := func(p *person, after time.Duration) {
		p.t.Helper()
		p.do(func(_ *store.Tx, b *Batch) error { return b.Expire(noon().Add(after)) })
	}
	expire(bob, ReceiveFor)
	if got := bob.hear(alice.me, late.Wire); got != "late" {
		t.Errorf("Bob reads %q", got)
	}
	expire(bob, ReceiveFor+time.Millisecond)
	if got := bob.Auths(); len(got) != 1 || got[0].ID != anew.id() {
		t.Errorf("Bob's sessions: %v", got)
	}
	_, err := bob.tryHear(alice.me, later.Wire)
	is(t, "on an erased session", err, ErrNoSession)
	bob.restart()
	if got := bob.Auths(); len(got) != 1 {
		t.Errorf("after a restart: %v", got)
	}
	alice.do(func(_ *store.Tx, b *Batch) error {
		if err := b.Erase(old.id()); err != nil {
			return err
		}
		has, err := b.Has(old.id())
		if has {
			t.Error("erased and there")
		}
		return err
	})
}

// TestManySessionsFillOnlyTheirShare: Mallory begins one after the other.
func TestManySessionsFillOnlyTheirShare(t *testing.T) {
	mallory, bob := newPerson(t, 0x3), newPerson(t, 0xb)
	friend := newPerson(t, 0xa)
	dear := friend.start(bob)
	bob.receive(dear, friend.say(bob.me, "hi").Wire)
	var newest contact
	for n := range SessionsMax + 5 {
		newest = agree(mallory, bob)
		bob.receive(newest, helloOf(t, newest, uint32(n+1)))
	}
	if got := len(bob.Auths()); got != SessionsMax+1 {
		t.Errorf("%d sessions", got)
	}
	if got := bob.preferred(mallory.me); got != newest.id() {
		t.Error("the newest is not preferred")
	}
	if got := bob.preferred(friend.me); got != dear.id() {
		t.Error("the friend's session went")
	}
	bob.restart()
	if got := len(bob.Auths()); got != SessionsMax+1 {
		t.Errorf("%d sessions after a restart", got)
	}
}

// TestTwoKeepersOnOneProfile: a second process, where the lock failed, cannot
// make the first one use a message key twice.
func TestTwoKeepersOnOneProfile(t *testing.T) {
	alice, bob, c := friends(t)
	other, err := New(t.Context(), alice.store)
	if err != nil {
		t.Fatal(err)
	}
	var sealed Sealed
	err = other.Update(t.Context(), func(_ *store.Tx, b *Batch) (err error) {
		sealed, err = b.Seal(c.id(), []byte("from the other"), noon())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = alice.Update(t.Context(), func(_ *store.Tx, b *Batch) error {
		_, err := b.Seal(c.id(), []byte("from this one"), noon())
		return err
	})
	is(t, "a state that does not follow", err, store.ErrStale)
	if got := bob.hear(alice.me, sealed.Wire); got != "from the other" {
		t.Errorf("Bob reads %q", got)
	}
	chat(t, alice, bob, 2) // read again, and it goes on
}

// TestADamagedSession is named for what it is.
func TestADamagedSession(t *testing.T) {
	alice, bob, c := friends(t)
	row := alice.row(c.id())
	alice.do(func(tx *store.Tx, _ *Batch) error {
		return tx.SaveSession(c.id(), row.Version, row.Auth, append(row.State, 1), noon())
	})
	alice.restart()
	err := alice.Update(t.Context(), func(_ *store.Tx, b *Batch) error {
		_, err := b.Seal(c.id(), nil, noon())
		return err
	})
	is(t, "a state with a byte more", err, store.ErrDamaged)
	anew := alice.start(bob)
	alice.do(func(_ *store.Tx, b *Batch) error { return b.Erase(c.id()) })
	bob.receive(anew, alice.say(bob.me, "anew").Wire)
	chat(t, alice, bob, 2)
}

// TestARestoredBackup: Alice's profile is put back to what it was three messages
// ago. Bob refuses what she seals with numbers that he has had, so that no
// acknowledgement comes, and with a new session they understand each other again:
// the old one does not always heal, as she may have given the post-quantum ratchet
// another turn than the one that Bob knows.
func TestARestoredBackup(t *testing.T) {
	alice, bob, _ := friends(t)
	chat(t, alice, bob, 4)
	alice.close()
	backup, err := os.ReadFile(alice.path)
	if err != nil {
		t.Fatal(err)
	}
	alice.open(store.Options{})
	var wires [][]byte
	for _, words := range []string{"one", "two", "three"} {
		sealed := alice.say(bob.me, words)
		bob.hear(alice.me, sealed.Wire)
		wires = append(wires, sealed.Wire)
	}
	alice.close()
	if err := os.WriteFile(alice.path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	alice.open(store.Options{})
	again := alice.say(bob.me, "one").Wire
	for _, w := range wires {
		if bytes.Equal(w, again) || bytes.Equal(w[:64], again[:64]) {
			t.Error("the same key and nonce twice")
		}
	}
	if _, err = bob.tryHear(alice.me, again); !errors.Is(err, ErrUsed) && !errors.Is(err, ErrForged) {
		t.Errorf("a number used before: %v", err)
	}

	healed := func() error {
		words, err := alice.tryHear(bob.me, bob.say(alice.me, "are you there?").Wire)
		if err != nil || words != "are you there?" {
			return err
		}
		_, err = bob.tryHear(alice.me, alice.say(bob.me, "yes").Wire)
		return err
	}
	if err := healed(); err != nil {
		t.Logf("Bob's word alone does not heal it (%v): a new session", err)
		anew := alice.start(bob)
		bob.receive(anew, alice.say(bob.me, "anew").Wire)
	}
	chat(t, alice, bob, 3)
}

// TestAuthsFromAnywhere: the network asks while the owner works.
func TestAuthsFromAnywhere(t *testing.T) {
	alice, bob, c := friends(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if a, ok := alice.Auth(c.id()); !ok || a.Auth != c.secrets.Auth {
				t.Error("AUTH went away")
			}
			if len(alice.Auths()) == 0 {
				t.Error("no sessions")
			}
		}
	})
	for range 5 {
		anew := bob.start(alice)
		alice.receive(anew, bob.say(alice.me, "anew").Wire)
		alice.do(func(_ *store.Tx, b *Batch) error { return b.Erase(anew.id()) })
		bob.do(func(_ *store.Tx, b *Batch) error { return b.Erase(anew.id()) })
	}
	close(done)
	wg.Wait()
}
