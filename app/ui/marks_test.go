package ui

import (
	"context"
	"slices"
	"testing"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

func (h *house) Marked(_ context.Context, r api.MarkedRequest) (list []api.Message, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, all := range h.messages {
		for _, m := range all {
			m.Conversation = id
			if r.Conversation != "" && id != r.Conversation {
				continue
			}
			if r.Mark == api.MarkPinned && m.Pinned || r.Mark == api.MarkStarred && m.Starred {
				list = append(list, m)
			}
		}
	}
	slices.SortFunc(list, func(a, b api.Message) int { return a.Time.Compare(b.Time.Time) })
	return list[max(0, len(list)-r.Limit):], nil
}

func (h *house) Star(_ context.Context, r api.StarRequest) (api.Message, error) {
	return h.marked(r.ID, func(m *api.Message) { m.Starred = r.Starred })
}

func (h *house) PinMessage(_ context.Context, r api.PinMessageRequest) (api.Message, error) {
	return h.marked(r.ID, func(m *api.Message) { m.Pinned = r.Pinned })
}

func (h *house) marked(id string, mark func(*api.Message)) (v api.Message, _ error) {
	h.mu.Lock()
	for conv, all := range h.messages {
		for i := range all {
			if all[i].ID == id {
				mark(&all[i])
				v = all[i]
				v.Conversation = conv
			}
		}
	}
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventConversation, Conversation: v.Conversation}
	return v, nil
}

// choose chooses from the menu of a message, as far as it is a list of names.
func (s *sight) choose(message, name string) {
	s.t.Helper()
	for _, r := range s.inner.line.InSight() {
		if r.Message == nil || r.Message.ID != message {
			continue
		}
		for _, i := range s.inner.messageMenu(*r.Message, "").Items {
			if i.Name == name {
				i.Do()
				return
			}
		}
		s.t.Fatalf("the menu of %s has no %q", message, name)
	}
	s.t.Fatalf("%s is not in sight", message)
}

// shows says whether a message is in the window.
func (s *sight) shows(id string) bool {
	return slices.ContainsFunc(s.inner.line.InSight(), func(r timeline.Row) bool { return r.Message != nil && r.Message.ID == id })
}

// Messages are pinned from their menu and stand above the conversation, the newest first;
// the bar leads to one after the other, and each can be taken down.
func TestPinnedMessagesStandAboveTheConversation(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.shows("m3") })
	if s.says("Pinned message") || len(shell.Find(s.l, s.inner.table, "pinned")) != 0 {
		t.Error("something is pinned from the start")
	}
	s.choose("m1", "Pin")
	s.until("the bar", func() bool { return s.says("Pinned message") })
	s.choose("m3", "Pin")
	s.until("the newest first", func() bool { return s.says("Pinned message 2 of 2") }) // what was shown stays
	s.press("Pinned message 2 of 2: Hello Anna")
	s.press("Pinned message 1 of 2: See you there")
	if !s.says("Pinned message 2 of 2") || !s.shows("m3") {
		t.Errorf("%q", s.words())
	}
	if found := shell.Find(s.l, s.inner.table, "next pinned"); len(found) != 1 {
		t.Errorf("%+v", found)
	} else {
		found[0].Run()
	}
	s.press("Unpin")
	s.until("one is left", func() bool { return s.says("Pinned message") && !s.says(" of 2") })

	h.mu.Lock()
	h.messages["anna"] = h.messages["anna"][1:]
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventMessage, Conversation: "anna", ID: "m1", Change: api.ChangeRemoved}
	s.until("what is gone is not above it", func() bool { return !s.says("Pinned message") })
	s.inner.open("ben")
	s.inner.open("anna")
	if s.says("Pinned message") {
		t.Errorf("%q", s.words())
	}
}

// Messages with a star are found again from wherever they are, by mouse and by keys.
func TestStarredMessagesAreListed(t *testing.T) {
	h := harbour()
	h.messages["ben"] = []api.Message{{ID: "b1", Author: "ben", Text: "The code is 1234", Kind: "text", Time: at(6)}}
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	starred := func() { shell.Find(s.l, s.inner.table, "starred")[0].Run() }
	starred()
	s.until("none", func() bool { return s.says("No message has a star.") })
	s.press("All")
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.shows("m1") })
	s.choose("m1", "Star")
	s.inner.open("ben")
	s.until("the message", func() bool { return s.shows("b1") })
	s.choose("b1", "Star")
	s.until("a star over the list", func() bool { return len(s.inner.marks.starred) > 0 })
	s.press("Starred messages")
	s.until("both, with who wrote", func() bool {
		return len(s.inner.shown()) == 3 && s.says("Starred messages") && s.says("You: Hello Anna")
	})
	s.press("Anna, You: Hello Anna")
	s.until("Anna's", func() bool { return s.inner.openID == "anna" && s.shows("m1") && !s.shows("b1") })
	if !s.says("The code is 1234") {
		t.Error("the list is gone")
	}
	starred()
	search := s.win.Canvas().Focused()
	search.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	search.TypedKey(enter)
	s.until("Ben's, by keys", func() bool { return s.inner.openID == "ben" && s.shows("b1") })

	s.choose("b1", "Take the star off")
	s.until("one is left", func() bool { return len(s.inner.shown()) == 2 }) // and the head
	h.mu.Lock()
	h.messages["anna"] = h.messages["anna"][1:]
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventMessage, Conversation: "anna", ID: "m1", Change: api.ChangeDeleted}
	s.until("none", func() bool { return s.says("No message has a star.") })
}

// Messages that are selected are copied or deleted together, from the bar over them.
func TestSelectedMessagesAreCopiedAndDeleted(t *testing.T) {
	h := harbour()
	s := look(t, h, narrow)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.shows("m3") })
	s.inner.line.StartPicking("m3")
	if !s.says("1 selected") {
		t.Error("nothing says what can be done")
	}
	s.press("Copy text")
	if s.says("1 selected") || s.app.Clipboard().Content() != "See you there" {
		t.Errorf("copied %q", s.app.Clipboard().Content())
	}
	s.inner.line.StartPicking("m3")
	s.press("Delete here")
	if !s.says("Delete 1 message here?") {
		t.Error("nobody is asked")
	}
	s.press("Delete")
	s.until("it is deleted", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Contains(h.decided, "delete m3")
	})
	if s.says("1 selected") {
		t.Error("the bar stays")
	}
}
