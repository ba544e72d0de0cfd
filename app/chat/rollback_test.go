package chat

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// copied is the person's database as it is now; the person must be away.
func (p *person) copied() []byte {
	p.w.Helper()
	b, err := os.ReadFile(p.path)
	p.w.check(err)
	return b
}

// putBack replaces the person's database by an old copy.
func (p *person) putBack(old []byte) {
	p.w.Helper()
	for _, f := range []string{p.path + "-wal", p.path + "-shm"} {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			p.w.Fatal(err)
		}
	}
	p.w.check(os.WriteFile(p.path, old, 0o600))
}

// Attack 10: Bob's profile is put back from a copy, and he goes on. No message key
// is used twice. What Alice cannot open is not acknowledged and both are told; with
// the session begun anew she sees all that he said, in both of his lives, with a
// reason where a number came again.
func TestAProfileIsPutBack(t *testing.T) {
	for _, way := range []string{"directly", "by mailbox"} {
		t.Run(way, func(t *testing.T) {
			inWorld(t, func(w *world) {
				oak := w.Relay("oak")
				alice, bob := w.Person("alice", oak), w.Person("bob", oak)
				alice.Meets(bob)
				alice.Sees(alice.Says(bob, "question"), api.Delivered)
				bob.Sees(bob.Says(alice, "answer"), api.Delivered)
				bob.Leaves()
				old := bob.copied()
				var wires [][]byte
				live := func(words ...string) (ids []content.ID) {
					if way == "by mailbox" {
						alice.Leaves()
					}
					bob.Returns()
					for _, text := range words {
						ids = append(ids, bob.Says(alice, text))
					}
					for _, o := range bob.outbox(alice) {
						wires = append(wires, o.Wire)
					}
					w.Advance(10 * time.Second)
					if way == "by mailbox" {
						bob.Leaves()
						alice.Returns()
						w.Advance(10 * time.Second)
					}
					return ids
				}
				live("first, in his first life", "second, in his first life")
				alice.ReadsNow(bob, "answer", "first, in his first life", "second, in his first life")
				bob.Leaves()
				bob.putBack(old)
				said := []string{"first, in his second life", "second, in his second life", "third, in his second life"}
				ids := live(said...)
				seen := make(map[string]bool)
				for _, wire := range wires {
					const nonce, header, commit, body = 1, 25, 1305, 1337 // crypto.md, "Session"
					for _, part := range [][]byte{wire[nonce:header], wire[commit:body]} {
						if seen[string(part)] {
							w.Error("two messages share a header's nonce or a key")
						}
						seen[string(part)] = true
					}
				}
				bob.Leaves()
				bob.Returns()
				w.Advance(time.Minute)
				heard := alice.heard(bob)
				lost := 0
				for i, text := range said {
					shown := slices.ContainsFunc(heard, func(m api.Message) bool { return m.Text == text })
					sent := bob.state(ids[i])
					if (sent.State == api.Delivered) != shown {
						w.Errorf("Bob's %q is %s, and that Alice sees it is %v", text, sent.State, shown)
					}
					if !shown {
						lost++
						if sent.Reason != Reason(string(problem.SessionLost)) {
							w.Errorf("Bob's %q is %s because of %q", text, sent.State, sent.Reason)
						}
					}
				}
				told := 0
				for _, e := range alice.saw(api.EventContact) {
					if e.Change == "session lost" {
						told++
					}
				}
				if told < lost {
					w.Errorf("%d messages could not be opened, and Alice was told %d times", lost, told)
				}
				bob.Accepts(alice, alice.Invites(), "")
				w.Advance(time.Minute)
				heard = alice.heard(bob)
				for i, text := range said {
					n := slices.IndexFunc(heard, func(m api.Message) bool { return m.Text == text })
					if n < 0 {
						w.Errorf("Alice does not see %q", text)
						continue
					}
					if i < 2 && heard[n].Reason != Reason(string(problem.Renumbered)) {
						w.Errorf("%q is shown with %q", text, heard[n].Reason)
					}
					bob.Sees(ids[i], api.Delivered)
				}
				if want := 3 + len(said); len(heard) != want {
					w.Errorf("Alice sees %q", texts(heard))
				}
				alice.Sees(alice.Says(bob, "are you well?"), api.Delivered)
				bob.Reads(alice, "question", "are you well?")
			})
		})
	}
}

// recovered is the same account on a new device, after its words were entered.
func (w *world) recovered(p *person, name string, known uint64, relays ...*relay) *person {
	w.Helper()
	q := w.NewPerson(name, relays...)
	q.root = p.root
	q.chain = identity.RestartChain(q.root, q.device, q.agree.Public(), time.Now(), known)
	q.isAccount()
	return q
}

// isAccount writes who the person is into their database.
func (p *person) isAccount() {
	p.w.Helper()
	s, err := store.Open(p.w.Context(), p.path, p.key, store.Options{})
	p.w.check(err)
	p.w.check(s.Update(p.w.Context(), func(tx *store.Tx) error {
		return tx.PutAccount(store.Account{ID: p.chain.Account(), Root: p.chain.Root(), Chain: p.chain.Marshal(), Device: p.device.Public(), Name: p.name, Created: time.Now()})
	}))
	p.w.check(s.Close())
}

// Attack 14: somebody who has Bob's words, or a Bob who was cloned, shows Alice
// another list of devices with the number of the one she knows. The contact is
// frozen, Alice is told, nothing is sent any more; what ROOT signs later wins.
func TestAForkFreezes(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		evil := w.NewPerson("evil", oak)
		evil.root, evil.chain = bob.root, identity.NewChain(bob.root, evil.device, evil.agree.Public(), time.Now())
		evil.isAccount()
		link := alice.Invites()
		evil.Returns()
		evil.Accepts(alice, link, "it is me, Bob, on a new device")
		w.Advance(time.Minute)
		who := alice.contact(bob)
		if !who.Frozen {
			w.Fatal("the contact is not frozen")
		}
		frozen := 0
		for _, e := range alice.saw(api.EventContact) {
			if e.Change == "frozen" {
				frozen++
			}
		}
		if frozen != 1 {
			w.Errorf("Alice was told %d times", frozen)
		}
		alice.ReadsNow(bob)
		if _, err := alice.Send(w.Context(), byID(who.ID), Words{Text: "hello?"}, api.Queued, 0); !errors.Is(err, problem.ContactFrozen) {
			w.Errorf("sending to a frozen contact: %v", err)
		}
		if n := alice.sessions(evil); n != 0 {
			w.Errorf("there are %d sessions with the other device", n)
		}
		// It stays so over a restart, and Bob's own device does not thaw it.
		alice.Leaves()
		alice.Returns()
		bob.Accepts(alice, alice.Invites(), "it is really me")
		w.Advance(time.Minute)
		if !alice.contact(bob).Frozen {
			w.Error("the contact thawed by itself")
		}
		// Bob takes his paper out.
		bob.Leaves()
		again := w.recovered(bob, "bob again", bob.chain.N(), oak)
		again.Returns()
		again.Accepts(alice, alice.Invites(), "I had to recover")
		w.Advance(time.Minute)
		if who := alice.contact(bob); who.Frozen || who.PinHead != again.chain.Head() {
			w.Errorf("after what ROOT signed: frozen %v, head %x", who.Frozen, who.PinHead[:4])
		}
		alice.Reads(again, "I had to recover")
		alice.Sees(alice.Says(again, "glad to hear"), api.Delivered)
		again.Reads(alice, "glad to hear")
	})
}

// Attack 14: the same, but it is Alice who accepts an invitation of the other list's.
func TestAForkInAnInvitationFreezes(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		evil := w.NewPerson("evil", oak)
		evil.root, evil.chain = bob.root, identity.NewChain(bob.root, evil.device, evil.agree.Public(), time.Now())
		evil.isAccount()
		evil.Returns()
		for range 2 { // the second time it is known
			if _, err := alice.Accept(w.Context(), evil.Invites(), "", "hello Bob"); !errors.Is(err, problem.ContactFrozen) {
				w.Fatalf("accepting an invitation of another list: %v", err)
			}
		}
		if !alice.contact(bob).Frozen {
			w.Error("the contact is not frozen")
		}
		told := 0
		for _, e := range alice.saw(api.EventContact) {
			if e.Change == "frozen" {
				told++
			}
		}
		if told != 1 || alice.sessions(evil) != 0 {
			w.Errorf("Alice was told %d times and has %d sessions with the other device", told, alice.sessions(evil))
		}
	})
}

// Attack 14 and 15: Bob's laptop is stolen and he recovers. The laptop shows its old
// list and is refused; nothing more is sent to it.
func TestAStolenDevice(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "to the old laptop"), api.Delivered)
		bob.Leaves()
		alice.Says(bob, "nobody has this yet")
		again := w.recovered(bob, "bob again", 0, oak)
		again.Returns()
		again.Accepts(alice, alice.Invites(), "a new laptop")
		alice.Reads(again, "a new laptop")
		w.Advance(time.Minute)
		head := alice.contact(bob).PinHead

		// The thief starts the old one.
		alice.Says(again, "for Bob alone")
		for _, o := range alice.outbox(bob) {
			if o.Class == store.ClassMessage {
				w.Error("a message is queued for the stolen device")
			}
		}
		again.Reads(alice, "nobody has this yet", "for Bob alone")
		oak.loses() // what would tell the old one that it is revoked: a thief's program would not heed it
		bob.Returns()
		w.Advance(time.Minute)
		bob.Accepts(alice, alice.Invites(), "do not mind the other")
		w.Advance(time.Minute)
		if got := alice.contact(bob); got.PinHead != head || got.Frozen {
			w.Errorf("after the old list came the head is %x, frozen %v", got.PinHead[:4], got.Frozen)
		}
		if got := texts(bob.heard(alice)); slices.Contains(got, "for Bob alone") {
			w.Error("the stolen device reads on")
		}
		if got := texts(alice.heard(again)); slices.Contains(got, "do not mind the other") {
			w.Error("the stolen device was let in again")
		}
		if n := len(oak.keptFor(0)); n != 0 {
			w.Errorf("%d cells are left for Alice at the relay", n)
		}
	})
}

// Mallory has two accounts and lists one device in both. The second is refused; the
// inviter's box is not stopped by it.
func TestOneDeviceInTwoAccounts(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, mallory := w.Person("alice", oak), w.Person("mallory", oak)
		alice.Meets(mallory)
		mallory.Leaves()
		other := w.NewPerson("mallory's other self", oak)
		other.device, other.agree = mallory.device, mallory.agree
		other.chain = identity.NewChain(other.root, other.device, other.agree.Public(), time.Now())
		other.isAccount()
		link := alice.Invites()
		alice.Leaves()
		other.Returns()
		other.Accepts(alice, link, "hello, I am new")
		w.Advance(time.Minute)
		other.Leaves()
		bob := w.Person("bob", oak)
		alice.Returns()
		alice.Meets(bob)
		w.Advance(time.Minute)
		if alice.knows(other) {
			w.Error("a device that is another contact's was let in")
		}
		if list, err := alice.Relays(w.Context()); err != nil || list[0].State != relayConnected {
			w.Errorf("the relay is %+v, %v", list, err)
		}
		if n := len(oak.keptFor(0)); n != 0 {
			w.Errorf("%d cells are left for Alice at the relay", n)
		}
		mallory.Returns()
		alice.Sees(alice.Says(mallory, "which of you is it?"), api.Delivered)
	})
}

// A receipt comes for a copy that was sealed in a session which was begun anew
// meanwhile. It says nothing of the copy that is sealed in the new one.
func TestAReceiptOfAnOldSession(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		d := oak.on(new(disk))
		oak.Starts()
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Leaves()
		w.Advance(time.Minute)
		wakes := d.Hangs()
		id := bob.Says(alice, "sealed twice")
		w.Advance(20 * time.Second) // the first is on its way to the relay
		bob.must(func(t *turn) error {
			head, err := t.keys.Preferred(alice.device.Public())
			if err != nil {
				return err
			}
			if _, err := t.Unseal(head.ID); err != nil {
				return err
			}
			return bob.eachPending(t, alice.device.Public(), func(o *store.Outgoing) error { return bob.sealLate(t, o) })
		})
		wakes()
		bob.Sees(id, api.Kept)
		if n := len(oak.keptFor(0)); n != 2 {
			w.Errorf("the relay keeps %d copies, want that of each session", n)
		}
	})
}

// Bob begins a session with Alice anew. What relays keep of the old one does not count
// any more: she may have lost that.
func TestKeptInAnOldSession(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		d := oak.on(new(disk))
		oak.Starts()
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		link := alice.Invites()
		w.Advance(10 * time.Second)
		alice.Leaves()
		id := bob.Says(alice, "sealed twice")
		bob.Sees(id, api.Kept)
		wakes := d.Hangs()
		bob.Accepts(alice, link, "")
		if sent := bob.state(id); sent.State != api.Queued {
			w.Errorf("it is %s at %d relays, in a session that nobody uses any more", sent.State, sent.Relays.Kept)
		}
		wakes()
		bob.Sees(id, api.Kept)
		alice.Returns()
		alice.Reads(bob, "sealed twice")
	})
}
