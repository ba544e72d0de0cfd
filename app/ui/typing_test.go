package ui

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/shell"
)

func (h *house) Settings(context.Context, api.SettingsRequest) (api.Settings, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.choices, nil
}

func (h *house) SetSettings(_ context.Context, r api.SetSettingsRequest) (api.Settings, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.ReadReceipts != nil {
		h.choices.ReadReceipts = *r.ReadReceipts
	}
	if r.Typing != nil {
		h.choices.Typing = *r.Typing
	}
	return h.choices, nil
}

func (h *house) Typing(_ context.Context, r api.TypingRequest) (api.Typed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.typing = append(h.typing, r)
	return api.Typed{}, nil
}

// told says whether these were the hints that the person is writing, in any order: each is
// given beside the window.
func (h *house) told(want ...api.TypingRequest) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.typing) == len(want) && !slices.ContainsFunc(want, func(r api.TypingRequest) bool { return !slices.Contains(h.typing, r) })
	}
}

// What contacts learn is switched on the Privacy page, and holds at once.
func TestWhatIsSharedIsSwitched(t *testing.T) {
	h := harbour()
	h.choices.ReadReceipts = true
	s := look(t, h, wide)
	s.until("the choices", func() bool { return s.inner != nil && s.inner.choices != nil })
	s.inner.go_(shell.Settings)
	s.inner.prefs.Open("privacy")
	if !s.says("People see that you have read their messages.") || !s.says("Godwit never fetches a link") {
		t.Errorf("%q", s.words())
	}
	if r, y := s.item("receipts"), s.item("typing"); !r.Switch.On || r.Changed() || y.Switch.On || y.Changed() {
		t.Errorf("read receipts %+v, typing %+v", r.Switch, y.Switch)
	}
	s.press("Read receipts: on")
	s.press("Typing: off")
	s.until("both are changed", func() bool { return s.item("receipts").Changed() && s.item("typing").Changed() })
	if h.choices.ReadReceipts || !h.choices.Typing {
		t.Errorf("the account has %+v", h.choices)
	}
}

// Nobody learns that the person writes unless they say so; then whom they write to does, now and
// then, and hears when they stop.
func TestWhoIsWrittenToLearnsItIfTheyMay(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.choices != nil })
	s.inner.open("anna")
	s.inner.compose.Type('a')
	s.item("typing").Switch.Set(true)
	s.until("it is on", func() bool { return s.inner.choices.Typing })
	for range 3 {
		s.inner.compose.Type('b')
	}
	s.until("Anna was told", h.told(api.TypingRequest{Contact: "anna"}))
	s.later += sayTypingEvery
	s.inner.compose.Type('c')
	s.until("and again", h.told(api.TypingRequest{Contact: "anna"}, api.TypingRequest{Contact: "anna"}))
	s.inner.open("ben")
	s.until("and that it is over", h.told(api.TypingRequest{Contact: "anna"}, api.TypingRequest{Contact: "anna"}, api.TypingRequest{Contact: "anna", Stopped: true}))
}

func TestWhoIsWritingIsShown(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("See you there") })
	s.inner.open("ben")
	write := func(id string, until time.Time) {
		h.events <- api.Event{Event: api.EventTyping, Conversation: id, Expires: api.Time{Time: until}}
	}
	write("ben", s.now().Add(time.Hour))
	write("anna", s.now().Add(time.Hour))
	s.until("both write", func() bool { return s.says("Ben is typing…") && s.says("typing…") && !s.says("See you there") })
	h.events <- api.Event{Event: api.EventTyping, Conversation: "ben"}
	s.until("Ben has stopped", func() bool { return s.says("Not connected now") && !s.says("Ben is typing…") })
	h.say(api.Message{ID: "m5", Conversation: "anna", Author: "anna", Text: "Done!", Kind: "text", Time: at(10)})
	s.until("Anna has written it", func() bool { return !s.says("typing…") })

	// What nobody takes back ends by itself.
	write("ben", s.now().Add(30*time.Millisecond))
	s.until("Ben writes", func() bool { return s.says("Ben is typing…") || !s.inner.typing.is("ben", s.now()) })
	s.until("it is over", func() bool { return !s.says("Ben is typing…") && len(s.inner.typing.by) == 0 })
}
