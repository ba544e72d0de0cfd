package ui

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/ui/settings"
	"github.com/godwit-im/godwit/app/ui/shell"
)

// screen shows notes, and remembers those that are shown.
type screen struct {
	mu     sync.Mutex
	notes  map[string]notify.Note
	shown  int
	clicks chan notify.Click
}

func newScreen() *screen {
	return &screen{notes: map[string]notify.Note{}, clicks: make(chan notify.Click)}
}

func (s *screen) Show(_ context.Context, n notify.Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[n.Key] = n
	s.shown++
	return nil
}

func (s *screen) Withdraw(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.notes, key)
	return nil
}

func (s *screen) Clicks() <-chan notify.Click { return s.clicks }
func (s *screen) Close() error                { return nil }

// showing says whether these notes are shown, and no others.
func (s *screen) showing(want ...string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		var got []string
		for _, n := range s.notes {
			got = append(got, n.Title+": "+n.Body)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}
}

func said(id, conversation, text string) api.Event {
	return api.Event{Event: api.EventMessage, ID: id, Conversation: conversation, Author: conversation, Kind: "text", Text: text, Time: at(10)}
}

func TestNotesComeWhereNobodyLooks(t *testing.T) {
	h, out := harbour(), newScreen()
	h.convs[1].Unread = 2
	s := look(t, h, wide, func(o *Options) { o.Notices = out })
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("anna")
	h.events <- said("m4", "anna", "you see this")
	h.events <- said("b1", "ben", "psst")
	h.events <- said("b2", "ben", "are you there?")
	mine := said("b3", "ben", "yes")
	mine.Author, mine.State = "me", string(api.Queued)
	h.events <- mine
	h.events <- api.Event{Event: api.EventMessage, ID: "b1", Conversation: "ben", Author: "ben", Text: "edited", Change: "edited"}
	h.events <- api.Event{Event: api.EventRequest, ID: "eve", Name: "Eve", Text: "buy this", Change: "new"}
	s.until("notes of Ben and of Eve", out.showing("Ben: 2 new messages", "Eve: Somebody wants to write to you"))

	s.inner.open("ben")
	s.until("Ben's note is gone", out.showing("Eve: Somebody wants to write to you"))
	s.inner.go_(shell.Requests)
	s.until("and Eve's", out.showing())

	// The window goes behind others, and Anna writes in the chat that is open in it.
	s.inner.open("anna")
	s.app.Lifecycle().(interface{ OnExitedForeground() func() }).OnExitedForeground()()
	h.events <- said("m5", "anna", "where are you?")
	s.until("a note of Anna", out.showing("Anna: New message"))
	s.app.Lifecycle().(interface{ OnEnteredForeground() func() }).OnEnteredForeground()()
	s.until("it is gone", out.showing())
}

func TestAClickOnANoteOpensItsChat(t *testing.T) {
	h, out := harbour(), newScreen()
	s := look(t, h, wide, func(o *Options) { o.Notices = out })
	s.until("the list", func() bool { return s.says("Ben") })
	for _, hostile := range []string{"http://example.com", "godwit:c#../x"} {
		out.clicks <- notify.Click{Target: hostile}
	}
	out.clicks <- notify.Click{Target: link.Link{Kind: link.Requests}.String()}
	s.until("the requests", func() bool { return s.inner.section == shell.Requests })
}

// item is a setting as it is now.
func (s *sight) item(id string) settings.Item {
	s.t.Helper()
	for _, p := range s.inner.pages() {
		for _, i := range p.Items {
			if i.ID == id {
				return i
			}
		}
	}
	s.t.Fatalf("there is no setting %q", id)
	return settings.Item{}
}

func TestHowMuchNotesTellIsChosen(t *testing.T) {
	h, out := harbour(), newScreen()
	h.convs[1].Unread = 2
	file := filepath.Join(t.TempDir(), "window.json")
	s := look(t, h, wide, func(o *Options) { o.Notices, o.Look = out, file })
	s.until("the list", func() bool { return s.says("Ben") })
	if i := s.item("notices"); i.Changed() || i.Choice.Names[i.Choice.At] != "Who wrote" {
		t.Errorf("to begin with: %+v", i.Choice)
	}
	s.item("notices").Choice.Set(3)
	s.inner.open("anna")
	h.events <- said("b1", "ben", "psst")
	s.until("all of it", out.showing("Ben: psst"))
	s.item("notices").Choice.Set(0)
	h.events <- said("b2", "ben", "are you there?")
	h.say(api.Message{ID: "a2", Conversation: "anna", Author: "anna", Text: "the end of it", Kind: "text", Time: at(10)})
	s.until("all has arrived", func() bool { return s.says("the end of it") })
	s.item("notices").Choice.Set(1)
	h.events <- said("b3", "ben", "hello?")
	s.until("no name", out.showing("Ben: psst", "Godwit: New message"))
	if got := shell.LoadLook(file).Notify; got != string(notify.Hint) {
		t.Errorf("kept: %q", got)
	}
	if !s.item("notices").Changed() {
		t.Error("no dot says that it was changed")
	}
}

// session is one that remembers what is registered.
type session struct {
	login, links bool
	fail         error
}

func (d *session) AtLogin() (bool, error)      { return d.login, nil }
func (d *session) SetAtLogin(on bool) error    { d.login = on; return d.fail }
func (d *session) OpensLinks() (bool, error)   { return d.links, nil }
func (d *session) SetOpensLinks(on bool) error { d.links = on; return d.fail }

func TestWhatIsSetOfThisComputer(t *testing.T) {
	d := &session{links: true}
	there := make(chan bool)
	s := look(t, harbour(), wide, func(o *Options) {
		o.Session = d
		o.Tray = func(ctx context.Context, changed func(bool)) error {
			for {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case yes := <-there:
					changed(yes)
				}
			}
		}
	})
	s.until("what is registered", func() bool { return s.inner != nil && s.inner.registered.known })
	if s.item("login").Switch.On || !s.item("links").Switch.On {
		t.Error("what is registered is not shown")
	}
	s.item("login").Switch.Set(true)
	s.until("at login", func() bool { return s.item("login").Switch.On && d.login })

	s.inner.go_(shell.Settings)
	s.inner.prefs.Open("computer")
	if s.says("Stay in the tray") {
		t.Error("a tray is offered where there is none")
	}
	there <- true
	s.until("a tray", func() bool { return s.says("Stay in the tray") })
	s.item("tray").Switch.Set(true)
	if !s.stays() {
		t.Error("the window does not stay")
	}
	s.Start(true)
	if !s.hidden {
		t.Error("it did not begin in the tray")
	}
	there <- false
	s.until("the window is back", func() bool { return !s.hidden && !s.says("Stay in the tray") })

	d.fail = errors.New("read-only")
	s.item("login").Switch.Set(false)
	s.until("why not", func() bool { return s.win.Canvas().Overlays().Top() != nil })
}

func TestPagesOfSettings(t *testing.T) {
	s := look(t, harbour(), wide, func(o *Options) {
		o.Session, o.Notices = &session{}, newScreen()
		o.Tray = func(ctx context.Context, changed func(bool)) error { changed(true); <-ctx.Done(); return ctx.Err() }
	})
	s.until("the window", func() bool { return s.inner != nil && s.inner.registered.known && s.trayHere })
	pages := s.inner.pages()
	if len(pages) > settings.MaxPages {
		t.Errorf("%d pages", len(pages))
	}
	seen := map[string]bool{}
	for _, p := range pages {
		for _, i := range p.Items {
			if seen[i.ID] || i.Name == "" || i.Help == "" {
				t.Errorf("%s/%s: twice, or without words", p.ID, i.ID)
			}
			seen[i.ID] = true
		}
	}
	s.inner.go_(shell.Settings)
	for _, size := range []fyne.Size{wide, narrow, fyne.NewSize(480, 560)} {
		s.win.Resize(size)
		for _, p := range pages {
			s.inner.prefs.Open(p.ID)
			if w := s.inner.prefs.MinSize().Width; w > 480-72 {
				t.Errorf("%s is %v wide", p.ID, w)
			}
		}
	}
	s.inner.prefs.Search().SetText("passphrase")
	if !s.says("Set a passphrase") || s.says("Light and dark") {
		t.Errorf("a search shows %q", s.words())
	}
}

func TestRecoveryWordsAreShownAfterAsking(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the window", func() bool { return s.inner != nil })
	s.item("words").Do.Run()
	s.until("the question", func() bool { return s.says("Is nobody looking?") })
	s.press("Show the words")
	s.until("the words", func() bool { return s.says("abandon") && s.says("24") })
	s.press("Erase them here")
	s.until("the question", func() bool { return s.says("Erase the words from this computer?") })
	s.press("Erase")
	s.until("it is done", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.forgot })
}
