package ui

import (
	"testing"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/theme"
)

// The window says everything in each language at its least width, and nothing makes it
// wider: what is measured is what the window would have to be.
func TestEveryLanguageFits(t *testing.T) {
	least := fyne.NewSize(theme.WindowMinW, theme.WindowMinH)
	for _, tag := range lang.Available() {
		t.Run(tag, func(t *testing.T) {
			s := look(t, harbour(), least, func(o *Options) {
				o.Languages = []string{tag}
				o.Session, o.Notices = &session{}, newScreen()
			})
			s.until("the window", func() bool { return s.inner != nil && s.inner.registered.known && len(s.inner.convs) == 2 })
			fits := func(what string) {
				t.Helper()
				if m := s.win.Content().MinSize(); m.Width > least.Width || m.Height > least.Height {
					t.Errorf("%s makes the window %v", what, m)
				}
				if top := s.win.Canvas().Overlays().Top(); top != nil {
					if m := top.MinSize(); m.Width > least.Width {
						t.Errorf("%s is %v", what, m)
					}
				}
			}
			for _, section := range []shell.Section{shell.Chats, shell.Requests, shell.Network, shell.Settings} {
				s.inner.go_(section)
				fits(string(section))
			}
			for _, p := range s.inner.pages() {
				s.inner.prefs.Open(p.ID)
				fits("settings: " + p.Name)
				if w := s.inner.prefs.MinSize().Width; w > theme.WindowMinW-theme.RailWidth {
					t.Errorf("settings: %s is %v wide", p.Name, w)
				}
			}
			s.inner.open("anna")
			fits("a chat")
			s.item("words").Do.Run()
			fits("a question")
		})
	}
}

// The language changes at once: the window is made anew, and nothing is heard twice.
func TestTheLanguageChangesAtOnce(t *testing.T) {
	h, out := harbour(), newScreen()
	h.convs[1].Unread = 1
	s := look(t, h, wide, func(o *Options) { o.Notices = out })
	s.until("the list", func() bool { return s.says("Ben") })
	i := s.item("lang")
	at := 0
	for n, name := range i.Choice.Names {
		if name == "Deutsch" {
			at = n
		}
	}
	i.Choice.Set(at)
	s.until("German", func() bool { return s.says("Einstellungen") && s.says("Sprache") && len(s.inner.convs) == 2 })
	h.events <- said("b1", "ben", "psst")
	s.until("one note", out.showing("Ben: Neue Nachricht"))
	if s.item("lang").Choice.At != at || !s.item("lang").Changed() {
		t.Error("the choice is not shown")
	}
	s.item("lang").Choice.Set(0)
	s.until("English again", func() bool { return s.says("Language") })
}
