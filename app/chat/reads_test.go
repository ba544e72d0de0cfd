package chat

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
)

// sharing has the people share what they read and write.
func sharing(people ...*person) {
	for _, p := range people {
		p.shared = Shared{ReadReceipts: true, Typing: true}
		p.Share(p.shared)
	}
}

// Ben reads; Anna is told within a minute, of all in one message, and not of what he has not
// seen. Carol does not share what she reads, and so is not told it either.
func TestReadReceipts(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, ben, carol := w.Person("Anna", w.Relay("oak")), w.Person("Ben"), w.Person("Carol")
		sharing(anna, ben)
		anna.Meets(ben)
		anna.Meets(carol)
		var said []content.ID
		for _, text := range []string{"one", "two", "three"} {
			said = append(said, anna.Says(ben, text))
		}
		ben.Reads(anna, "one", "two", "three")
		toCarol := anna.Says(carol, "and you?")
		carol.Reads(anna, "and you?")
		fromCarol := carol.Says(anna, "me too")
		anna.Reads(carol, "me too")
		_, err := ben.MarkRead(w.Context(), ben.finds(anna), said[0].String())
		w.check(err)
		_, err = ben.MarkRead(w.Context(), ben.finds(anna), said[1].String())
		w.check(err)
		carol.SeesAll(anna)
		anna.SeesAll(carol)
		if n := len(ben.outbox(anna)); n != 0 {
			w.Errorf("%d receipts left at once", n)
		}
		w.Advance(time.Minute + 10*time.Second)
		for i, want := range []api.State{api.Read, api.Read, api.Delivered} {
			if got := anna.state(said[i]).State; got != want {
				w.Errorf("message %d is %s, want %s", i, got, want)
			}
		}
		if got := anna.state(toCarol).State; got != api.Delivered {
			w.Errorf("Carol does not share, yet her message is %s", got)
		}
		if got := carol.state(fromCarol).State; got != api.Delivered {
			w.Errorf("Carol does not share, and learned that hers is %s", got)
		}
		// A mark that goes back says nothing new, and what was read stays read.
		_, err = ben.MarkRead(w.Context(), ben.finds(anna), said[0].String())
		w.check(err)
		// Ben changes his mind before the minute is over.
		ben.SeesAll(anna)
		ben.Share(Shared{})
		w.Advance(2 * time.Minute)
		if got := anna.state(said[2]).State; got != api.Delivered {
			w.Errorf("what Ben did not want to share became %s", got)
		}
		ben.Share(Shared{ReadReceipts: true})
		w.Advance(2 * time.Minute)
		if got := anna.state(said[2]).State; got != api.Delivered {
			w.Errorf("what Ben did not want to share then became %s later", got)
		}
	})
}

// Anna is away when Ben reads, and Ben stops at once: she is told when both have been back.
func TestReadReceiptsOutliveARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		sharing(anna, ben)
		anna.Meets(ben)
		id := anna.Says(ben, "good night")
		ben.Reads(anna, "good night")
		anna.Sees(id, api.Delivered)
		anna.Leaves()
		ben.SeesAll(anna)
		ben.Leaves()
		w.Advance(time.Hour)
		ben.Returns()
		ben.Awaits("the receipt to be left at the relay", func() bool { return ben.waiting() == 0 })
		ben.Leaves()
		anna.Returns()
		anna.Sees(id, api.Read)
	})
}

// Ben is shown that Anna is writing while both are connected, at most every five seconds, and
// nothing of it is kept or left anywhere. It is off unless both want it.
func TestTyping(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		anna.Sees(anna.Says(ben, "hello"), api.Delivered)
		writes := func(d time.Duration) {
			for range d / time.Second {
				w.check(anna.Typing(w.Context(), anna.finds(ben), true))
				w.Advance(time.Second)
			}
		}
		writes(3 * time.Second)
		if len(ben.saw(api.EventTyping)) != 0 {
			w.Error("Ben was told, and nobody wanted that")
		}
		sharing(anna)
		writes(6 * time.Second)
		if len(ben.saw(api.EventTyping)) != 0 {
			w.Error("Ben was told what he does not share himself")
		}
		sharing(ben)
		before := oak.deposits()
		writes(11 * time.Second)
		w.check(anna.Typing(w.Context(), anna.finds(ben), false))
		w.check(anna.Typing(w.Context(), anna.finds(ben), false))
		w.Advance(time.Second)
		got := ben.saw(api.EventTyping)
		if len(got) < 3 || len(got) > 4 {
			w.Fatalf("in eleven seconds Ben was told %d times", len(got))
		}
		for i, e := range got {
			if last := i == len(got)-1; e.Conversation != anna.chain.Account().String() || e.Expires.IsZero() != last || !last && e.Expires.Sub(e.At.Time) != typingFor {
				w.Errorf("Ben was told %+v", e)
			}
		}
		if oak.deposits() != before || anna.waiting() != 0 || len(ben.talk(anna)) != 1 {
			w.Error("it was left somewhere")
		}
		ben.Leaves()
		w.Advance(time.Minute)
		w.check(anna.Typing(w.Context(), anna.finds(ben), true))
		w.Advance(time.Minute)
		if anna.waiting() != 0 {
			w.Error("it waits for Ben")
		}
		ben.Returns()
		anna.Sees(anna.Says(ben, "are you back?"), api.Delivered)
		ben.View(func(tx *store.Tx) error {
			list, err := tx.Asides(10)
			if len(list) != 0 {
				w.Errorf("%d messages were set aside", len(list))
			}
			return err
		})
	})
}
