package chat

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

const day = 24 * time.Hour

// trail is what happened to a message of the person's.
func (p *person) trail(id content.ID) (list []store.Evidence) {
	p.w.Helper()
	p.View(func(tx *store.Tx) error {
		m, err := tx.MessageByID(store.MessageID(id))
		if err != nil {
			return err
		}
		list, err = tx.Evidence(m.ID)
		return err
	})
	return list
}

// address is where a person listens, as the wires count dials to it.
func (p *person) address() string { return p.ip.String() + ":4001" }

func (r *relay) address() string { return r.ip.String() + ":4001" }

// Alice and Bob meet and talk directly.
func TestTwoPeopleTalk(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		before := oak.deposits()
		alice.Sees(alice.Says(bob, "hello Bob"), api.Delivered)
		bob.Sees(bob.Says(alice, "hello Alice"), api.Delivered)
		bob.ReadsNow(alice, "hello Bob")
		alice.ReadsNow(bob, "hello Alice")
		if after := oak.deposits(); after != before {
			w.Errorf("%d cells were left at the relay beside a working connection", after-before)
		}
	})
}

// Bob and the relay are gone for more than a day. Alice's node keeps trying, ever less
// often, and says why the message waits.
func TestTriesForDays(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		oak.Stops()
		w.Advance(time.Minute)
		id := alice.Says(bob, "are you there?")
		const away = 25 * time.Hour
		toBob, toOak := w.wires.dialled(bob.address()), w.wires.dialled(oak.address())
		w.Advance(time.Hour)
		firstHour := w.wires.dialled(bob.address()) - toBob
		if sent := alice.state(id); sent.State != api.Queued || sent.Reason != Reason(string(problem.NoRelayReached)) {
			w.Errorf("after an hour the message is %s because of %q", sent.State, sent.Reason)
		}
		w.Advance(away - time.Hour)
		toBob, toOak = w.wires.dialled(bob.address())-toBob, w.wires.dialled(oak.address())-toOak
		// A pause is dialLast or relayLast on average, half of it at least. The
		// relay is dialled for its deposits and for Alice's own box, which is
		// never further apart than boxLast.
		early := 20
		if least, most := int(away/dialLast)*3/4, 2*int(away/dialLast)+early; toBob < least || toBob > most {
			w.Errorf("Bob was dialled %d times in %v, not %d to %d", toBob, away, least, most)
		}
		if firstHour > 12*2+early {
			w.Errorf("Bob was dialled %d times in the first hour", firstHour)
		}
		if most := 2*int(away/relayLast) + 2*int(away/boxLast) + early; toOak > most {
			w.Errorf("the relay was dialled %d times in %v, more than %d", toOak, away, most)
		}
		sent := alice.state(id)
		if sent.State != api.Queued || sent.Reason != Reason(string(problem.OutOfTouch)) {
			w.Errorf("after a day the message is %s because of %q", sent.State, sent.Reason)
		}
		if n := alice.outOfTouch(); n != 1 {
			w.Errorf("%d contacts are out of touch", n)
		}
		if n := len(alice.trail(id)); n != 1 {
			w.Errorf("a refusal that is always the same left %d entries in the trail", n)
		}
		bob.Returns()
		bob.Reads(alice, "are you there?")
		alice.Sees(id, api.Delivered)
		if n := alice.outOfTouch(); n != 0 {
			w.Errorf("with Bob back %d contacts are out of touch", n)
		}
	})
}

// outOfTouch is for how many contacts something waits that no relay takes.
func (p *person) outOfTouch() (n int) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		n, err = tx.ContactsWaiting(string(problem.OutOfTouch))
		return err
	})
	return n
}

// Bob stays away for a month. The message fails with its reason; what Alice says
// later does not wait for it, because Bob is told that it will not come.
func TestExpiresAfterAMonth(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		first := alice.Says(bob, "lunch tomorrow?")
		alice.Sees(first, api.Kept)
		alice.Leaves()
		w.Pass(30*day - time.Hour)
		alice.Returns()
		if sent := alice.state(first); sent.State != api.Kept {
			w.Fatalf("an hour before its time the message is %s", sent.State)
		}
		w.Advance(time.Hour + 2*tidyEvery)
		sent := alice.state(first)
		if sent.State != api.Failed || sent.Reason != Reason(string(problem.Expired)) {
			w.Fatalf("after its time the message is %s because of %q", sent.State, sent.Reason)
		}
		if trail := alice.trail(first); len(trail) > 6 {
			w.Errorf("a message that was left at a relay once has a trail of %d entries", len(trail))
		}
		// By now Bob's lease at the relay is over too.
		second := alice.Says(bob, "or next month?")
		bob.Returns()
		bob.Reads(alice, "or next month?")
		alice.Sees(second, api.Delivered)
		if sent := alice.state(first); sent.State != api.Failed {
			w.Errorf("the failed message is %s now", sent.State)
		}
	})
}

// What Alice says to Bob, who is away, ends a minute apart. The notes of it go together, however
// late the first, so that Bob moves past all of it at once.
func TestNotesDoNotOvertakeEachOther(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		const said = 4
		for i := range said {
			alice.Says(bob, fmt.Sprint(i))
			w.Advance(time.Minute)
		}
		oak.Stops()
		alice.Leaves()
		w.Pass(30*day - (said+3)*time.Minute)
		alice.Returns()
		notes := func() (rows, items int) {
			for _, o := range alice.outbox(bob) {
				p, err := content.Parse(o.Item)
				w.check(err)
				if n := len(p.Items); p.Items[0].Kind == content.KindGaveUp {
					rows, items = rows+1, items+n
				}
			}
			return rows, items
		}
		seen := make(map[int]bool)
		for range 12 {
			w.Advance(time.Minute)
			rows, items := notes()
			if seen[items] = true; rows > 1 {
				t.Fatalf("%d notes go in %d messages", items, rows)
			}
		}
		if !seen[said] || len(seen) < 3 {
			t.Fatalf("there were so many notes at once: %v", seen)
		}
		oak.Starts()
		w.Advance(15 * time.Minute)
		alice.Says(bob, "what is left")
		w.Advance(time.Minute)
		bob.Returns()
		bob.Reads(alice, "what is left")
	})
}

// Two messages fail, one after the other, and the notes about them come in any
// order: what follows is not held longer than a day.
func TestSeveralExpire(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		oak.Stops()
		alice.SaysMany(bob, 20)
		alice.Leaves()
		w.Pass(30*day + time.Hour)
		oak.Starts()
		alice.Returns()
		w.Advance(time.Minute)
		alice.Says(bob, "what is left")
		w.Advance(time.Minute)
		bob.Returns()
		bob.Reads(alice, "what is left")
	})
}

// The relay lost the first of two messages, and Alice is away. Bob's node shows
// the second after a day, not before; the first when it comes after all, and does
// not accuse Alice of anything.
func TestAMissingPredecessor(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		first := alice.Says(bob, "first")
		alice.Sees(first, api.Kept)
		oak.loses()
		second := alice.Says(bob, "second")
		alice.Sees(second, api.Kept)
		third := alice.Says(bob, "third")
		alice.Sees(third, api.Kept)
		alice.Leaves()
		bob.Returns()
		if n := len(oak.kept()); n > 2 { // Bob's acknowledgement and where he is
			w.Errorf("what waits for its predecessor was not acknowledged: %d cells are left", n)
		}
		w.Advance(heldFor - time.Minute)
		bob.ReadsNow(alice)
		w.Advance(2 * time.Minute)
		bob.ReadsNow(alice, "second", "third")
		alice.Returns()
		alice.Sees(first, api.Delivered)
		bob.Reads(alice, "second", "third", "first")
		for _, m := range bob.heard(alice) {
			if m.Reason != "" {
				w.Errorf("%q is shown with %q", m.Text, m.Reason)
			}
		}
		bob.Reads(alice, "second", "third", "first")
		alice.Says(bob, "fourth")
		bob.Reads(alice, "second", "third", "first", "fourth")
	})
}

// What never expires, descriptors, is left anew at the relay before its receipt
// ends, as often as it takes and no more.
func TestDepositsAreRenewed(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		w.check(alice.AddRelay(context.Background(), elm.info(), store.RelayByHand, nil))
		w.Advance(time.Minute)
		until := func() (t time.Time) {
			for _, o := range alice.outbox(bob) {
				if o.Class == store.ClassDescriptors {
					alice.View(func(tx *store.Tx) error {
						d, err := tx.Deposits(o.ID)
						if err == nil && len(d) == 1 {
							t = d[0].Until
						}
						return err
					})
				}
			}
			return t
		}
		first := until()
		if first.IsZero() {
			w.Fatal("the descriptors are at no relay")
		}
		alice.Leaves()
		w.Pass(time.Until(first.Add(-renewBefore - time.Minute)))
		alice.Starts()
		w.Advance(30 * time.Second)
		deposits := oak.deposits()
		w.Advance(6 * time.Hour)
		if !until().After(first.Add(20 * day)) {
			w.Errorf("kept until %v, which was until %v", until(), first)
		}
		if n := oak.deposits() - deposits; n > 2 {
			w.Errorf("%d deposits in six hours", n)
		}
	})
}

// Bob's relays keep things for two days and no longer, and are gone when Alice would
// renew them. With the last receipts her message falls back to waiting and says why;
// when a relay is back it is left there anew and is kept again.
func TestKeptEnds(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak, elm := w.NewRelay("oak"), w.NewRelay("elm")
		for _, r := range []*relay{oak, elm} {
			r.forgetful(2 * day)
			r.Starts()
		}
		alice, bob := w.Person("alice"), w.Person("bob", oak, elm)
		bob.Meets(alice)
		bob.Leaves()
		id := alice.Says(bob, "are you there?")
		alice.Sees(id, api.Kept)
		oak.Stops()
		elm.Stops()
		w.Advance(2*day - time.Hour)
		if sent := alice.state(id); sent.State != api.Kept || sent.Relays.Kept != 2 {
			w.Fatalf("an hour before its receipts end the message is %s at %d relays (%s)", sent.State, sent.Relays.Kept, sent.Reason)
		}
		w.Advance(time.Hour + tidyEvery)
		sent := alice.state(id)
		if sent.State != api.Queued || sent.Relays.Kept != 0 || sent.Reason == "" {
			w.Errorf("after its receipts ended the message is %s at %d relays (%s)", sent.State, sent.Relays.Kept, sent.Reason)
		}
		told, before := 0, ""
		for _, e := range alice.saw(api.EventState) {
			if e.ID == sent.ID {
				if before == string(api.Kept) && e.State == string(api.Queued) {
					told++
				}
				before = e.State
			}
		}
		w.Advance(relayLast)
		if told != 1 {
			w.Errorf("that it is not kept any more was told %d times", told)
		}

		// One of two is not enough.
		oak.Starts()
		w.Advance(2 * relayLast)
		if sent := alice.state(id); sent.State != api.Queued || sent.Relays.Kept != 1 {
			w.Errorf("with one relay the message is %s at %d relays (%s)", sent.State, sent.Relays.Kept, sent.Reason)
		}
		elm.Starts()
		w.Advance(2 * relayLast)
		if sent := alice.state(id); sent.State != api.Kept || sent.Relays.Kept != 2 {
			w.Errorf("with both relays the message is %s at %d relays (%s)", sent.State, sent.Relays.Kept, sent.Reason)
		}
		alice.Leaves()
		bob.Returns()
		bob.Reads(alice, "are you there?")
	})
}

// Bob's device takes a message and does not answer. After five seconds it is left
// at the relay too; Bob reads it once.
func TestTakesAndDoesNotAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "first"), api.Delivered)
		wake := bob.stalls()
		id := alice.Says(bob, "second")
		w.Advance(directPatience - 100*time.Millisecond)
		if len(oak.kept()) != 0 || alice.state(id).State != api.Queued {
			w.Errorf("before its time the message was left at the relay")
		}
		w.Advance(time.Second)
		if len(oak.kept()) != 1 || alice.state(id).State != api.Kept {
			w.Errorf("after five seconds the message is %s and the relay has %d cells", alice.state(id).State, len(oak.kept()))
		}
		wake()
		alice.Sees(id, api.Delivered)
		w.Advance(time.Minute)
		bob.ReadsNow(alice, "first", "second")
		if len(oak.kept()) != 0 {
			w.Error("the copy at the relay was not collected")
		}
	})
}

// stalls keeps the person's owner from doing anything until the function is called.
func (p *person) stalls() (wake func()) {
	stalled, on := make(chan struct{}), make(chan struct{})
	go p.update(context.Background(), func(*turn) error {
		close(stalled)
		<-on
		return nil
	})
	<-stalled
	return func() { close(on) }
}

// The connection dies without a word, and both relays with it: what was under way
// arrives when they are back, once and in order.
func TestTheWireIsCut(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		alice.Sees(alice.Says(bob, "alice to bob, before"), api.Delivered)
		w.wires.setCut("alice", "bob", true)
		w.wires.setCut("alice", "oak", true)
		want := append([]string{"alice to bob, before"}, alice.SaysMany(bob, 50)...)
		w.Advance(10 * time.Minute)
		bob.ReadsNow(alice, want[0])
		w.wires.setCut("alice", "bob", false)
		w.wires.setCut("alice", "oak", false)
		w.Advance(15 * time.Minute) // the longest pause
		bob.ReadsNow(alice, want...)
		if n := len(alice.outbox(bob)); n != 0 {
			w.Errorf("%d rows are left in the outbox", n)
		}
	})
}

// Alice's new address waits for Bob at a relay for an hour and no longer.
func TestPresenceIsStaleInAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		alice.Leaves()
		alice.Returns()
		w.Advance(15 * time.Second)
		var ends []time.Time
		for _, e := range oak.kept() {
			ends = append(ends, e.Expiry)
		}
		if len(ends) != 1 || ends[0].After(time.Now().Add(presenceTTL)) || ends[0].Before(time.Now().Add(presenceTTL-time.Minute)) {
			w.Errorf("the relay keeps %v now at %v", ends, time.Now())
		}
		if rows := alice.outbox(bob); len(rows) != 0 {
			w.Errorf("%d rows are left in the outbox", len(rows))
		}
		w.Advance(presenceTTL)
		if n := len(oak.kept()); n != 0 {
			w.Errorf("the relay still keeps %d cells", n)
		}
		// Without it they find each other by what Bob tells.
		bob.Returns()
		w.Advance(15 * time.Second)
		before := oak.deposits()
		alice.Sees(alice.Says(bob, "there you are"), api.Delivered)
		if oak.deposits() != before {
			w.Error("it went by the relay")
		}
	})
}

// More wait for Bob than are tried at once: each has the reason, also those that have
// not had their turn.
func TestEachOfManyHasTheReason(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		bob.Leaves()
		oak.Stops()
		w.Advance(time.Minute)
		alice.SaysMany(bob, window+100)
		w.Advance(time.Minute)
		list, err := alice.Messages(w.Context(), alice.contact(bob), Page{}, 2*window)
		w.check(err)
		for i, m := range list {
			if m.State != api.Queued || m.Reason != Reason(string(problem.NoRelayReached)) {
				w.Fatalf("message %d is %s because of %q", i, m.State, m.Reason)
			}
		}
		if len(list) != window+100 {
			w.Errorf("there are %d messages", len(list))
		}
	})
}
