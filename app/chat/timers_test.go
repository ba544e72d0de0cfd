package chat

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// SeesAll marks the conversation with another as read.
func (p *person) SeesAll(with *person) {
	p.w.Helper()
	_, err := p.MarkRead(p.w.Context(), p.finds(with), "")
	p.w.check(err)
}

// holds says whether a text is still anywhere in what the person keeps of a conversation.
func (p *person) holds(with *person, text string) (found bool) {
	p.w.Helper()
	p.View(func(tx *store.Tx) error {
		conv, err := tx.ConversationWith(p.contact(with).ID)
		p.w.check(err)
		for id := int64(1); id < 100; id++ {
			m, err := tx.Message(id)
			if err == nil && m.Conversation == conv.ID && string(m.Body) == text {
				found = true
			}
		}
		return nil
	})
	return found
}

// Anna has messages disappear after a day, and Ben is away for a week. His time runs
// from when he has read it, hers from when relays kept it.
func TestMessagesDisappearOnBothSides(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		before := anna.Says(ben, "this stays")
		ben.Reads(anna, "this stays")
		ben.Leaves()
		anna.did(anna.SetTimer(w.Context(), anna.finds(ben), day, api.Kept, time.Minute))
		secret := anna.Says(ben, "the key is under the mat")
		if m := anna.lineOf(ben, secret); time.Duration(m.Timer) != day || !m.Disappears.IsZero() && m.State == api.Queued {
			w.Errorf("before it left it is %+v", m)
		}
		anna.Sees(secret, api.Kept)
		if m := anna.lineOf(ben, secret); time.Until(m.Disappears.Time).Round(time.Minute) != day {
			w.Errorf("it disappears at %s", m.Disappears)
		}
		anna.Leaves()
		w.Pass(day - time.Minute)
		anna.Returns()
		w.Advance(2 * time.Minute)
		if anna.holds(ben, "the key is under the mat") {
			w.Error("after a day Anna's device has it still")
		}
		if got, want := anna.changesOf(secret), []string{api.ChangeNew, api.ChangeTimed, api.ChangeRemoved}; !slices.Equal(got, want) {
			w.Errorf("Anna was told %q, want %q", got, want)
		}
		anna.Leaves()
		w.Pass(6 * day)
		anna.Returns()
		ben.Returns()
		ben.Awaits("the message", func() bool { return len(ben.talk(anna)) == 3 }) // and that Anna set a timer
		lines := ben.talk(anna)
		if lines[1].Kind != content.KindTimer.String() || time.Duration(lines[1].Timer) != day || lines[2].Text != "the key is under the mat" {
			w.Fatalf("Ben sees %+v", lines)
		}
		anna.Leaves()
		ben.Leaves()
		w.Pass(2 * day)
		ben.Returns()
		w.Advance(2 * time.Minute) // he is there, and does not look
		if m := ben.lineOf(anna, secret); m.Text == "" || !m.Disappears.IsZero() {
			w.Errorf("unread, it is %+v", m)
		}
		if v := ben.with(ben.finds(anna)); time.Duration(v.Timer) != day {
			w.Errorf("Ben's timer is %v", v.Timer)
		}
		ben.SeesAll(anna)
		ben.Leaves()
		w.Pass(day - 2*time.Minute)
		ben.Returns()
		w.Advance(time.Minute)
		if m := ben.lineOf(anna, secret); m.Text == "" {
			w.Error("it disappeared before its time")
		}
		w.Advance(time.Minute + time.Second)
		anna.Returns()
		if ben.holds(anna, "the key is under the mat") || len(ben.talk(anna)) != 2 {
			w.Error("a day after Ben has read it his device has it still")
		}
		for p, other := range map[*person]*person{anna: ben, ben: anna} {
			if p.lineOf(other, before).Text != "this stays" {
				w.Errorf("what was said before disappeared at %s's", p.name)
			}
		}
		// Ben sets it off; both are told, and what is said from now on stays.
		ben.did(ben.SetTimer(w.Context(), ben.finds(anna), 0, api.Delivered, time.Minute))
		if v := anna.with(anna.finds(ben)); v.Timer != 0 {
			w.Errorf("Anna's timer is %v", v.Timer)
		}
		if m := anna.lineOf(ben, anna.Says(ben, "hello")); m.Timer != 0 {
			w.Errorf("after the timer was set off a message has %v", m.Timer)
		}
	})
}

// A short timer runs while Ben's node does not: the message is gone as soon as it is back. What
// was done to it goes with it.
func TestMessagesDisappearWhileNobodyRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, ben := w.Person("Anna", w.Relay("oak")), w.Person("Ben")
		anna.Meets(ben)
		for _, after := range []time.Duration{-time.Second, time.Millisecond, content.MaxTimer + time.Second} {
			if _, err := anna.SetTimer(w.Context(), anna.finds(ben), after, "", 0); !errors.Is(err, problem.BadTimer) {
				w.Errorf("a timer of %s: %v", after, err)
			}
		}
		anna.did(anna.SetTimer(w.Context(), anna.finds(ben), 5*time.Second, api.Delivered, time.Minute))
		id := anna.Says(ben, "boo")
		ben.Awaits("the message", func() bool { return len(ben.talk(anna)) == 2 })
		ben.SeesAll(anna)
		ben.Sees(ben.Reacts(id, "👻"), api.Delivered)
		anna.Sees(anna.Edits(id, "boo!"), api.Delivered)
		if m := ben.lineOf(anna, id); m.Text != "boo!" || time.Duration(m.Timer) != 5*time.Second {
			w.Errorf("Ben sees %+v", m)
		}
		ben.Leaves()
		w.Advance(6 * time.Second)
		if len(anna.talk(ben)) != 1 {
			w.Error("Anna sees it still")
		}
		ben.Returns()
		if ben.holds(anna, "boo!") || ben.holds(anna, "boo") || len(ben.talk(anna)) != 1 {
			w.Error("Ben's device has it still")
		}
		if _, err := ben.React(w.Context(), id.String(), "👍", "", 0); !errors.Is(err, problem.NoSuchMessage) {
			w.Errorf("a reaction to what is gone: %v", err)
		}
		anna.Sees(anna.Says(ben, "and again"), api.Delivered)
	})
}

// Both set a timer at the same time: in the end they have the same.
func TestTimersAgree(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		ben.Leaves()
		anna.did(anna.SetTimer(w.Context(), anna.finds(ben), time.Hour, api.Kept, time.Minute))
		anna.Leaves()
		ben.Starts()
		ben.did(ben.SetTimer(w.Context(), ben.finds(anna), day, "", 0))
		w.Advance(time.Minute)
		anna.Returns()
		w.Advance(time.Minute)
		a, b := anna.with(anna.finds(ben)).Timer, ben.with(ben.finds(anna)).Timer
		if a != b || time.Duration(a) != day {
			w.Errorf("Anna's timer is %v, Ben's %v", a, b)
		}
	})
}
