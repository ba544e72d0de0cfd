package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// ownQueues are the queues that the person opened for another's device.
func (p *person) ownQueues(other *person) (list []store.OwnQueue) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		list, err = tx.OwnQueuesFor(other.device.Public())
		return err
	})
	return list
}

// theirQueues are those that the person writes to for another.
func (p *person) theirQueues(other *person) (list []store.TheirQueue) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		list, err = tx.TheirQueues(other.device.Public())
		return err
	})
	return list
}

// After five days Alice makes new queues for Bob and tells him. What he leaves in
// the old ones, not having heard, she still reads.
func TestDescriptorsAreRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", elm)
		alice.Meets(bob)
		first := bob.theirQueues(alice)
		bob.Leaves()
		alice.Leaves()
		w.Pass(4 * day)
		alice.Returns()
		if n := len(alice.ownQueues(bob)); n != 1 {
			w.Errorf("after four days there are %d queues", n)
		}
		alice.Leaves()
		w.Pass(2 * day)
		alice.Returns()
		w.Advance(time.Minute)
		own := alice.ownQueues(bob)
		if len(own) != 2 || own[1].Epoch0 <= own[0].Epoch0 || own[1].OpenedUntil != own[1].Epoch0+own[1].N {
			w.Fatalf("after six days the queues are %+v", own)
		}
		alice.Leaves()
		// Bob cannot reach his own relay, so he knows the old queues only.
		w.wires.setCut("bob", "elm", true)
		bob.Returns()
		bob.Sees(bob.Says(alice, "by the old way"), api.Kept)
		alice.Returns()
		alice.Reads(bob, "by the old way")
		w.wires.setCut("bob", "elm", false)
		bob.Awaits("the new queues", func() bool {
			now := bob.theirQueues(alice)
			return len(now) == 1 && now[0].Epoch0 > first[0].Epoch0
		})
	})
}

// Months pass in which both are there now and then: queues of the past are closed,
// and messages go through in each week.
func TestMonthsOfQueues(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		var want []string
		most := 0
		for week := range 14 {
			alice.Leaves()
			bob.Leaves()
			w.Pass(7 * day)
			alice.Returns()
			text := fmt.Sprintf("week %d", week)
			alice.Says(bob, text)
			w.Advance(30 * time.Second)
			alice.Leaves()
			bob.Returns()
			want = append(want, text)
			bob.Reads(alice, want...)
			alice.Returns()
			w.Advance(time.Minute)
			if n := alice.waiting(); n != 0 {
				w.Errorf("in week %d, %d rows are left in the outbox", week, n)
			}
			most = max(most, int(oak.store.Usage().Queues))
		}
		// Of each other they have the newest queue and the one before; a box has
		// room for 16,384.
		if most > 2*3*(mailbox.DescriptorEpochs+1) {
			w.Errorf("the relay had %d queues open for a pair of contacts", most)
		}
	})
}

// A message just before midnight and one just after lie in queues of their own;
// both arrive, and so does one that was left while midnight passed.
func TestOverMidnight(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		w.AdvanceTo(23, 59)
		alice.Sees(alice.Says(bob, "good night"), api.Kept)
		w.Advance(59*time.Second + 900*time.Millisecond)
		alice.Says(bob, "still awake")
		w.AdvanceTo(0, 1)
		alice.Sees(alice.Says(bob, "good morning"), api.Kept)
		queues := make(map[mailbox.QID]bool)
		for _, e := range oak.kept() {
			queues[e.Queue] = true
		}
		if len(queues) != 2 {
			w.Errorf("the cells of two days lie in %d queues", len(queues))
		}
		bob.Returns()
		bob.Reads(alice, "good night", "still awake", "good morning")
	})
}

// skewed makes a relay's clock appear to be ahead of everybody's, or behind: in the
// hello, which tells the day, and in what its receipts promise.
func (r *relay) skewed(by time.Duration) {
	r.greets(func(hello []byte) {
		const at = 4 + 1 + 4 + 1 // length 4 | kind 1 | id 4 | version 1 | time 8
		ms := binary.BigEndian.Uint64(hello[at:])
		binary.BigEndian.PutUint64(hello[at:], uint64(int64(ms)+by.Milliseconds()))
	})
	if by > 0 {
		r.Before = func(s mailbox.Store) mailbox.Store { return skewedStore{s, by} }
	}
}

// forgetful makes a relay say that it keeps nothing for longer than this.
func (r *relay) forgetful(ttl time.Duration) {
	r.greets(func(hello []byte) {
		const at = 4 + 1 + 4 + 1 + 8 + 32 + 1 + 1 + 2 + 4 // and then challenge 32 | difficulty 1 | leases 1 | proofs 2 | window 4 | ttl 4
		binary.BigEndian.PutUint32(hello[at:], uint32(ttl/time.Second))
	})
}

// greets changes the first frame that the relay sends on a stream, the HELLO.
func (r *relay) greets(change func(hello []byte)) {
	r.Host = func(h host.Host) host.Host { return greetingHost{h, change} }
}

type greetingHost struct {
	host.Host
	change func([]byte)
}

func (h greetingHost) SetStreamHandler(p protocol.ID, f network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { f(&greetingStream{Stream: s, change: h.change}) })
}

type greetingStream struct {
	network.Stream
	change func([]byte)
	said   bool
}

func (s *greetingStream) Write(p []byte) (int, error) {
	if !s.said {
		s.said = true
		p = append([]byte(nil), p...)
		s.change(p)
	}
	return s.Stream.Write(p)
}

type skewedStore struct {
	mailbox.Store
	by time.Duration
}

func (s skewedStore) Commit(now time.Time, changes []mailbox.Change) error {
	err := s.Store.Commit(now, changes)
	for _, c := range changes {
		if d, ok := c.(*mailbox.Deposit); ok && d.Err == nil {
			d.Until = d.Until.Add(s.by)
		}
	}
	return err
}

// The relay's clock is hours ahead or behind, so that its day is another than
// the people's for a part of each: mail goes through at every hour.
func TestTheRelaysClockIsWrong(t *testing.T) {
	long(t)
	for _, by := range []time.Duration{-11 * time.Hour, -5 * time.Hour, 5 * time.Hour, 11 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				oak := w.NewRelay("oak")
				oak.skewed(by)
				oak.Starts()
				alice, bob := w.Person("alice", oak), w.Person("bob", oak)
				alice.Meets(bob)
				bob.Leaves()
				var want []string
				for hour := 0; hour <= 24; hour += 4 {
					text := fmt.Sprintf("at %v", time.Now().UTC().Format(time.TimeOnly))
					want = append(want, text)
					sent := alice.Sees(alice.Says(bob, text), api.Kept)
					if ends := time.Until(sent.Expires.Time); ends < 29*day || ends > 31*day {
						w.Errorf("kept for %v", ends)
					}
					alice.Leaves()
					w.Pass(4 * time.Hour)
					alice.Returns()
				}
				alice.Leaves()
				bob.Returns()
				bob.Reads(alice, want...)
			})
		})
	}
}

// Prekeys are made anew each week, and the old ones are erased once nothing that
// names them can come any more, not sooner.
func TestPrekeysAreRotated(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		sets := func() (list []store.PrekeySet) {
			alice.View(func(tx *store.Tx) (err error) {
				list, err = tx.PrekeySets()
				return err
			})
			return list
		}
		pass := func(d time.Duration) {
			alice.Leaves()
			bob.Leaves()
			w.Pass(d)
			alice.Returns()
			bob.Returns()
			w.Advance(2 * tidyEvery)
		}
		invite := func(lifetime time.Duration) string {
			id, err := alice.Invite(w.Context(), identity.Single, lifetime)
			w.check(err)
			return alice.link(id)
		}
		invite(0)
		invite(0)
		if n := len(sets()); n != 1 {
			w.Fatalf("two invitations of one day made %d sets of prekeys", n)
		}
		first := sets()[0]
		pass(7*day - time.Hour)
		late := invite(MaxLifetime)
		if n := len(sets()); n != 1 {
			w.Fatalf("there are %d sets of prekeys in the first week", n)
		}
		pass(2 * time.Hour)
		invite(0)
		if n := len(sets()); n != 2 {
			w.Fatalf("there are %d sets of prekeys in the second week", n)
		}
		// Somebody accepts the last invitation of the first week on its last day.
		// His flight arrives a month later: his relay kept it all that time.
		pass(MaxLifetime - 6*time.Hour)
		alice.Leaves()
		bob.Leaves()
		carol := w.Person("carol")
		carol.Accepts(alice, late, "hello, I am late")
		w.Advance(time.Minute)
		carol.Leaves()
		w.Pass(29 * day)
		alice.Returns()
		alice.Awaits("the late guest", func() bool { return alice.knows(carol) })
		alice.Reads(carol, "hello, I am late")
		if got := sets(); got[len(got)-1].ID != first.ID {
			w.Fatal("the first week's prekeys were erased before their time")
		}
		pass(10 * day)
		for _, set := range sets() {
			if set.ID == first.ID {
				w.Errorf("the first week's prekeys are still there at %v; they were to be erased at %v", time.Now(), set.EraseAfter)
			}
		}
	})
}

// The first answer counts as one whatever is in it: what waits for it is sealed, though
// nobody here can read it.
func TestTheFirstAnswerIsMalformed(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		link := alice.Invites()
		alice.Leaves()
		bob.Accepts(alice, link, "")
		bob.SaysMany(alice, 20)
		w.Advance(time.Minute)
		bob.Leaves()
		alice.Returns()
		w.Advance(time.Minute)
		var wire []byte
		alice.must(func(t *turn) error {
			s, _, err := alice.ratchetWith(t, bob)
			if err == nil {
				wire, err = s.Seal([]byte{77, 1, 2, 3}, ratchet.Small)
			}
			return err
		})
		alice.Leaves()
		oak.loses() // what else she answered
		bob.Returns()
		bob.must(func(t *turn) error {
			_, err := bob.take(t, arrival{device: alice.device.Public(), wire: wire, relay: store.PeerID(oak.id())})
			return err
		})
		for _, o := range bob.outbox(alice) {
			if o.Wire == nil || o.Flight {
				w.Errorf("a message of class %d still waits for the first answer (sealed %t)", o.Class, o.Wire != nil)
			}
		}
	})
}

// Bob accepts while Alice is away and says a lot. Sixteen flights go ahead; the
// rest waits, and says for what, until her first answer. Then all is there, in
// order.
func TestSixteenFlights(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		link := alice.Invites()
		alice.Leaves()
		bob.Accepts(alice, link, "")
		want := bob.SaysMany(alice, 40)
		w.Advance(time.Minute)
		flights, waiting := 0, 0
		for _, o := range bob.outbox(alice) {
			switch {
			case o.Wire == nil:
				waiting++
			case o.Flight:
				flights++
			}
		}
		if flights != 16 || waiting != 25 { // one of them is the introduction
			w.Errorf("%d flights, and %d messages wait", flights, waiting)
		}
		if n := len(oak.kept()); n != 16 {
			w.Errorf("the relay keeps %d flights", n)
		}
		list, err := bob.Messages(context.Background(), bob.contact(alice), Page{}, 100)
		w.check(err)
		if m := list[0]; m.State != api.Kept {
			w.Errorf("the first message is %s (%s)", m.State, m.Reason)
		}
		if m := list[39]; m.State != api.Queued || m.Reason != Reason(string(problem.FirstAnswer)) {
			w.Errorf("the last message is %s (%s)", m.State, m.Reason)
		}
		bob.Leaves()
		alice.Returns()
		alice.Reads(bob, want[:15]...)
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Returns()
		w.Advance(time.Minute)
		bob.Leaves()
		alice.Returns()
		alice.Reads(bob, want...)
		bob.Returns()
		w.Advance(time.Minute)
		if n := bob.waiting(); n != 0 {
			w.Errorf("%d rows are left in the outbox", n)
		}
	})
}

// Far more waits for Bob than is held in memory at once or fits one day's queue.
// All of it arrives, in order, once, by mailbox and directly mixed.
func TestMoreThanAWindow(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		want := alice.SaysMany(bob, window+200)
		w.Advance(time.Minute)
		if n := len(oak.kept()); n != 512 {
			w.Errorf("the relay keeps %d cells of a queue that has room for 512", n)
		}
		alice.Leaves()
		bob.Returns()
		bob.Reads(alice, want[:512]...)
		alice.Returns()
		bob.Reads(alice, want...)
		w.Advance(time.Minute)
		if n := alice.waiting(); n != 0 {
			w.Errorf("%d rows are left in the outbox", n)
		}
		if n := len(oak.kept()); n != 0 {
			w.Errorf("the relay still keeps %d cells", n)
		}
	})
}

// Alice changes her relay while Bob is away. He learns of it, and his mail goes to
// the new one; until then it goes to the old one, which she still empties.
func TestAnotherRelay(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm, yew := w.Relay("oak"), w.Relay("elm"), w.Relay("yew")
		alice, bob := w.Person("alice", oak), w.Person("bob", yew)
		alice.Meets(bob)
		bob.Leaves()
		w.check(alice.AddRelay(context.Background(), elm.info(), store.RelayByHand, nil))
		w.check(alice.RemoveRelay(context.Background(), oak.id()))
		w.Advance(time.Minute)
		if in, out := alice.uses(elm), alice.drains(oak); !in || out == nil || out.Unaware != 1 {
			w.Errorf("Alice uses elm: %v, and gave oak up: %+v", in, out)
		}
		alice.relays = nil // oak was a flag
		alice.Leaves()
		w.wires.setCut("bob", "yew", true)
		bob.Returns()
		bob.Sees(bob.Says(alice, "to the old address"), api.Kept)
		if len(oak.kept()) == 0 {
			w.Error("it is not at the relay that Bob knows")
		}
		w.wires.setCut("bob", "yew", false)
		w.Advance(2 * boxLast) // the longest pause
		bob.Awaits("the new address", func() bool {
			q := bob.theirQueues(alice)
			return len(q) == 1 && q[0].Relay == store.PeerID(elm.id())
		})
		before := oak.deposits()
		bob.Sees(bob.Says(alice, "to the new address"), api.Kept)
		if oak.deposits() != before || len(elm.kept()) == 0 {
			w.Error("it went to the old relay")
		}
		alice.Returns()
		alice.Reads(bob, "to the old address", "to the new address")
		bob.Leaves()
		alice.Leaves()
		w.Pass(drainFor)
		alice.Returns()
		w.Advance(2 * tidyEvery)
		alice.View(func(tx *store.Tx) error {
			list, err := tx.Relays()
			if err == nil && (len(list) != 1 || list[0].Peer != store.PeerID(elm.id())) {
				w.Errorf("long after, the relays are %+v", list)
			}
			return err
		})
	})
}

// A relay that was given up does not have its queues renewed, nor anybody told of
// them again and again.
func TestAGivenUpRelayIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak, elm), w.Person("bob", elm)
		alice.Meets(bob)
		alice.relays = alice.relays[1:]
		w.check(alice.RemoveRelay(context.Background(), oak.id()))
		w.Advance(time.Minute)
		alice.Leaves()
		bob.Leaves()
		w.Pass(8 * day)
		alice.Returns()
		w.Advance(2 * tidyEvery)
		before := alice.outbox(bob)
		deposits := elm.deposits()
		w.Advance(time.Hour)
		if after := alice.outbox(bob); len(after) != len(before) || after[len(after)-1].ID > before[len(before)-1].ID {
			w.Error("Bob is told of the same queues again")
		}
		if n := elm.deposits() - deposits; n > 0 {
			w.Errorf("%d deposits in an hour in which nothing happened", n)
		}
	})
}

// Alice stays connected to her relay past the time when her lease is to be
// prolonged, which takes a new connection.
func TestTheLeaseIsProlonged(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice := w.Person("alice", oak)
		ends := func() time.Duration {
			box, err := oak.store.Box(oak.boxes()[0])
			w.check(err)
			return time.Until(box.Until)
		}
		alice.Leaves()
		w.Pass(mailbox.LeaseTime - leaseAhead - 12*time.Hour)
		alice.Returns()
		if got := ends(); got > leaseAhead+day {
			w.Fatalf("the lease ends in %v already", got)
		}
		w.Advance(13 * time.Hour)
		if got := ends(); got < mailbox.LeaseTime-day {
			w.Errorf("the lease ends in %v", got)
		}
		if list, err := alice.Relays(context.Background()); err != nil || list[0].State != relayConnected {
			w.Errorf("the relay is %+v, %v", list, err)
		}
	})
}

// Alice removes Bob. Her relay need not keep his queues open for months, and does not,
// though it cannot be told at once.
func TestQueuesOfTheRemovedAreClosed(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob")
		alice.Meets(bob)
		if n := int(oak.store.Usage().Queues); n < mailbox.DescriptorEpochs {
			w.Fatalf("the relay has %d queues open", n)
		}
		oak.Stops()
		w.check(alice.RemoveContact(w.Context(), alice.contact(bob).ID))
		w.Advance(time.Minute)
		oak.Starts()
		w.Advance(2*boxLast + tidyEvery)
		if n := int(oak.store.Usage().Queues); n > 1 { // the invitation's
			w.Errorf("the relay has %d queues open", n)
		}
	})
}

// A relay holds so many notices of one box. The next invitation is refused, and not
// made; with one revoked there is room again. Long after, nothing is left of them.
func TestAsManyInvitationsAsARelayHolds(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob")
		posted := func(id store.InvitationID) (yes bool) {
			alice.View(func(tx *store.Tx) error {
				at, err := tx.InvitationRelays(id)
				yes = len(at) == 1 && !at[0].Posted.IsZero()
				return err
			})
			return yes
		}
		var last store.InvitationID
		for range mailbox.MaxNotices {
			id, err := alice.Invite(w.Context(), identity.Single, 0)
			w.check(err)
			if !posted(id) {
				w.Fatal("an invitation is not at the relay")
			}
			last = id
		}
		if _, err := alice.Invite(w.Context(), identity.Single, 0); !errors.Is(err, problem.TooManyInvitations) {
			w.Errorf("one more than the relay holds: %v", err)
		}
		w.check(alice.Revoke(w.Context(), last))
		w.Advance(time.Second)
		link := alice.Invites()
		bob.Accepts(alice, link, "hello")
		alice.Awaits("Bob", func() bool { return alice.knows(bob) })
		id, err := alice.Invite(w.Context(), identity.Single, 0)
		w.check(err)
		alice.Awaits("the relay to hold it", func() bool { return posted(id) })

		alice.Leaves()
		bob.Leaves()
		w.Pass(DefaultLifetime + store.InvitationsFor)
		alice.Returns()
		w.Advance(tidyEvery)
		alice.View(func(tx *store.Tx) error {
			list, err := tx.Invitations()
			if len(list) != 0 {
				w.Errorf("%d invitations are remembered", len(list))
			}
			return err
		})
		alice.Reads(bob, "hello")
	})
}

// Bob has been away for so long that he was told of ten queues more, one after the other, and has
// acknowledged none. Of those after the first between only the newest stay open: a box has
// room for so many.
func TestQueuesOfWhoIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		bob.Meets(alice)
		bob.Leaves()
		device := bob.device.Public()
		ours := func() (list []store.OwnQueue) {
			alice.View(func(tx *store.Tx) (err error) {
				list, err = tx.OwnQueuesFor(device)
				return err
			})
			return list
		}
		first := ours()
		if len(first) != 1 || first[0].Version == 0 {
			t.Fatalf("at first there are %+v", first)
		}
		for i := range 10 {
			alice.must(func(t *turn) error {
				q := first[0]
				q.ID, q.Seed, q.OpenedUntil, q.Acknowledged = 0, [32]byte{byte(i + 1)}, q.Epoch0, time.Time{}
				id, err := t.InsertOwnQueue(q)
				return errors.Join(err, t.SetQueueVersion(id, first[0].Version+int64(i)+1))
			})
			alice.syncBoxes()
			w.Advance(time.Second)
		}
		open := 0
		for i, q := range ours() {
			is := q.OpenedUntil != store.Shut
			if is {
				open++
			}
			if known, newest := i == 0, i > 10-generations; is != (known || newest) {
				t.Errorf("queue %d is open: %v", i, is)
			}
		}
		if open != 1+generations {
			t.Errorf("%d queues are open", open)
		}
		id := alice.Says(bob, "when you are back")
		alice.Sees(id, api.Kept)
		bob.Returns()
		bob.Reads(alice, "when you are back")
		bob.Sees(bob.Says(alice, "here I am"), api.Delivered)
	})
}
