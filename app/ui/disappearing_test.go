package ui

import (
	"context"
	"slices"
	"testing"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/shell"
)

func (h *house) SetTimer(_ context.Context, r api.SetTimerRequest) (api.Sent, error) {
	h.mu.Lock()
	h.timers = append(h.timers, r)
	i := slices.IndexFunc(h.convs, func(c api.Conversation) bool { return c.ID == r.Contact })
	h.convs[i].Timer = r.After
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventConversation, Conversation: r.Contact}
	return api.Sent{}, nil
}

// A person has messages disappear, from the details and by keys; it is told above the
// conversation, in it, in the list, and beside each message, and Anna can end it.
func TestMessagesDisappear(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	if len(shell.Find(s.l, s.inner.table, "disappearing")) != 0 {
		t.Error("there is a timer of no conversation")
	}
	s.inner.open("anna")
	s.inner.showPerson()
	s.until("the details", func() bool { return s.says("Disappearing messages") && s.says("Off") })
	s.press("Disappearing messages, Off")
	if !s.says("What is written from now on disappears") || !s.says("4 weeks") {
		t.Errorf("%q", s.words())
	}
	s.press("1 week")
	s.until("the head and the details tell it", func() bool {
		words := s.words()
		return len(words)-len(slices.DeleteFunc(words, func(w string) bool { return w == "1 week" })) == 2
	})
	s.press("Disappearing messages, 1 week")
	s.press("1 week, chosen")
	if want := []api.SetTimerRequest{{Contact: "anna", After: api.Duration(7 * 24 * time.Hour)}}; !slices.Equal(h.timers, want) {
		t.Errorf("%+v", h.timers)
	}
	h.say(api.Message{ID: "t1", Conversation: "anna", Author: "me", Kind: "timer", Time: at(10), Deeds: api.Deeds{Timer: api.Duration(7 * 24 * time.Hour)}, State: api.Delivered})
	h.say(api.Message{ID: "m4", Conversation: "anna", Author: "anna", Name: "Anna", Kind: "text", Text: "Under the mat", Time: at(11), Deeds: api.Deeds{Timer: api.Duration(7 * 24 * time.Hour)}})
	s.until("the line", func() bool {
		return s.says("You set messages to disappear 1 week after they were read.") && s.says("Under the mat")
	})

	s.inner.compose.Reply("m4", "Anna", "Under the mat")
	h.mu.Lock()
	h.messages["anna"] = h.messages["anna"][:4]
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventMessage, Conversation: "anna", ID: "m4", Change: api.ChangeRemoved}
	s.until("it is gone", func() bool { return !s.says("Under the mat") && s.inner.compose.Mode().Reply == "" })

	h.say(api.Message{ID: "t2", Conversation: "anna", Author: "anna", Name: "Anna", Kind: "timer", Time: at(12)})
	s.until("Anna ends it", func() bool { return s.says("Anna turned disappearing messages off.") })
	s.inner.back()
	found := shell.Find(s.l, s.inner.table, "disappearing")
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	found[0].Run()
	for _, k := range []fyne.KeyName{fyne.KeyDown, fyne.KeyDown, fyne.KeyUp, fyne.KeyDown, fyne.KeyReturn} { // from 1 week to the last
		s.win.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: k})
	}
	s.until("4 weeks, by keys", func() bool { return s.says("4 weeks") })
	if s.says("30 seconds") || s.says("What is written from now on") {
		t.Errorf("it is still asked: %q", s.words())
	}
}

// The list tells it in words too, and whose it was.
func TestTheListTellsOfATimer(t *testing.T) {
	h := harbour()
	h.convs[0].Last = &api.Message{Kind: "timer", Author: "me", State: api.Delivered, Deeds: api.Deeds{Timer: api.Duration(8 * time.Hour)}, Time: at(9)}
	h.convs[1].Last = &api.Message{Kind: "timer", Author: "ben", Name: "Ben", Time: at(9)}
	s := look(t, h, wide)
	s.until("the list", func() bool {
		return s.says("You set messages to disappear 8 hours after they were read.") && s.says("Ben turned disappearing messages off.")
	})
	if s.says("You: ") {
		t.Errorf("%q", s.words())
	}
}
