package ui

import (
	"errors"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/identity"
)

// seeks changes how a house answers those who search.
func (h *house) seeks(f func(api.SearchRequest) (api.Found, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seek = f
}

// Where a search does not find, the reason is the true one: nobody said it, it is not all prepared yet, the disk is
// full, or there was no answer.
func TestWhyASearchFindsNothing(t *testing.T) {
	for _, c := range []struct {
		found     api.Found
		err       error
		list, bar string
	}{
		{api.Found{}, nil, "nobody said it", "Nothing found"},
		{api.Found{Unindexed: 7}, nil, "still being prepared", "still reading"},
		{api.Found{Unindexed: 7, DiskFull: true}, nil, "the disk is full", "Disk full"},
		{api.Found{}, errors.New("odd"), "did not work", "did not work"},
	} {
		h := talk()
		h.seek = func(api.SearchRequest) (api.Found, error) { return c.found, c.err }
		s := look(t, h, wide)
		s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
		s.inner.list.Search.SetText("xyzzy")
		s.until(c.list, func() bool { return s.says(c.list) })
		s.inner.list.Search.SetText("")
		s.inner.open("ben")
		s.does("find")
		test.Type(s.win.Canvas().Focused(), "xyzzy")
		s.until(c.bar, func() bool { return s.says(c.bar) })
		if c.bar != "Nothing found" && s.says("Nothing found") {
			t.Errorf("it is not known that there is nothing: %q", c.bar)
		}
	}
}

// A question that is not answered takes nothing away of what was found before, and is asked again with the next step.
func TestWhatWasFoundStaysWhenTheNextQuestionFails(t *testing.T) {
	h := talk()
	whole := h.Search
	first := func(r api.SearchRequest) (api.Found, error) {
		h.seeks(nil)
		f, err := whole(t.Context(), r)
		f.Messages, f.More = f.Messages[:3], true
		return f, err
	}
	h.seek = first
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("ben")
	s.until("the messages", s.inSight("b499"))
	s.does("find")
	s.inner.findBar.Field.SetText("harbour")
	s.until("three, and there are more", func() bool { return s.says("1 of 3+") })
	asked := make(chan api.SearchRequest, 10)
	h.seeks(func(r api.SearchRequest) (api.Found, error) {
		asked <- r
		return api.Found{}, errors.New("odd")
	})
	was := func(what string, before bool) {
		t.Helper()
		s.until(what, func() bool { return len(asked) > 0 && !s.inner.find.asking })
		if r := <-asked; (r.Before != "") != before {
			t.Errorf("%s: %+v", what, r)
		}
	}
	for range 3 {
		s.key(fyne.KeyReturn)
	}
	was("no answer", true)
	if !s.says("3 of 3+") {
		t.Errorf("what was found is gone: %q", s.words())
	}
	s.key(fyne.KeyReturn)
	was("it is asked again", true)
	h.say(api.Message{ID: "b999", Conversation: "ben", Author: "ben", Text: "nothing of that", Kind: "text", Time: at(23)})
	was("something was said", false)
	if !s.says("3 of 3+") {
		t.Errorf("what was found is gone: %q", s.words())
	}
}

// An answer that comes when something else is looked for, in another conversation or nowhere any more, is taken for
// nothing.
func TestAnAnswerThatComesLateIsNotTakenForAnother(t *testing.T) {
	h := talk()
	var held chan struct{}
	hold := func() {
		let := make(chan struct{})
		held = let
		h.seeks(func(r api.SearchRequest) (api.Found, error) {
			<-let
			return api.Found{Messages: []api.FoundMessage{{Message: api.Message{ID: "m1", Conversation: "anna"}, Snippet: "late for " + r.Text}}}, nil
		})
	}
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })

	hold() // in the list: the field is emptied meanwhile
	s.inner.list.Search.SetText("first")
	s.inner.list.Search.SetText("")
	close(held)
	s.until("the answer", func() bool { return !s.inner.seek.asking })
	if s.says("late for") {
		t.Errorf("nobody looks for it: %q", s.words())
	}

	hold() // another word is typed meanwhile
	s.inner.list.Search.SetText("first")
	s.inner.list.Search.SetText("second")
	close(held)
	s.until("the answer to the second", func() bool { return s.says("late for second") })
	if s.says("late for first") {
		t.Error("and to the first")
	}
	s.inner.list.Search.SetText("")

	hold() // in a chat: another one is opened
	s.inner.open("ben")
	s.does("find")
	s.inner.findBar.Field.SetText("first")
	s.inner.open("anna")
	close(held)
	s.until("the answer", func() bool { return !s.inner.find.asking })
	if s.inner.find.on || len(s.inner.find.hits) > 0 {
		t.Errorf("what was found in Ben's is shown in Anna's: %+v", s.inner.find)
	}

	hold() // the bar is closed, and opened for something else
	s.inner.open("ben")
	s.does("find")
	s.inner.findBar.Field.SetText("first")
	s.key(fyne.KeyEscape)
	s.does("find")
	h.seeks(nil)
	s.inner.findBar.Field.SetText("harbour")
	close(held)
	s.until("what is looked for now", func() bool { return s.says("of 10") })

	hold() // and the conversation is removed
	s.inner.findBar.Field.SetText("first")
	h.mu.Lock()
	h.convs = h.convs[:1]
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventConversation, Conversation: "ben", Change: "removed"}
	s.until("it is gone", func() bool { return s.inner.openID == "" })
	close(held)
	s.until("the answer", func() bool { return !s.inner.find.asking })
	if s.says("late for") || s.inner.find.on {
		t.Errorf("%q", s.words())
	}
}

// Who is removed while something is being written to them is gone without a complaint, and so is the question whether their
// draft could be kept.
func TestAConversationIsRemovedWhileItIsOpen(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("ben")
	s.inner.compose.Insert("are you th")
	h.mu.Lock()
	for i, c := range h.convs {
		if c.ID == "ben" {
			h.convs = append(h.convs[:i:i], h.convs[i+1:]...)
			break
		}
	}
	h.mu.Unlock()
	s.inner.keepDraft() // before it is known here
	h.events <- api.Event{Event: api.EventContact, Contact: "ben", Change: "removed"}
	s.until("it is gone", func() bool { return s.inner.openID == "" && !s.says("Ben") })
	s.inner.open("anna")
	if got := s.inner.compose.Text(); strings.Contains(got, "are you") {
		t.Error("Anna would get what was for Ben")
	}
	s.until("all is asked", func() bool { return len(s.queue) == 0 && !s.inner.asking })
	if s.win.Canvas().Overlays().Top() != nil {
		t.Errorf("it complains: %q", s.words())
	}
}

// Other programs may open links as often as they like: what they ask stands over the window once, and no key that is
// pressed at that moment says yes.
func TestAFloodOfLinksIsOneQuestion(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("anna")
	h.mu.Lock()
	h.lost = "nobody"
	h.mu.Unlock()
	invitation := identity.NewInvitation(identity.Single, identity.AccountID{7}, nil).Link()
	for range 200 {
		s.Raise(link.Link{Kind: link.Invitation, Invitation: invitation}, "")
		s.Raise(link.Link{Kind: link.Conversation, Conversation: "nobody"}, "")
	}
	s.until("all of it", func() bool { return s.says("Accept an invitation") && s.says("no such contact") && len(s.queue) == 0 })
	if n := len(s.win.Canvas().Overlays().List()); n != 2 {
		t.Errorf("%d questions stand over the window", n)
	}
	if f := s.win.Canvas().Focused(); f != nil {
		t.Errorf("what is typed goes to %T", f)
	}
}
