package ui

import (
	"errors"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
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
			h := harbour()
			h.friends.On, h.friends.State, h.friends.Relay, h.friends.Own = true, api.FriendsSpent, "12D3KooWhome", true
			h.friends.But = []api.Excepted{{Contact: "ben", Name: "Wilhelmina Gräfin von Hohenstein"}}
			s := look(t, h, least, func(o *Options) {
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
			s.inner.showPerson()
			s.until("the details", func() bool { return s.inner.details != nil })
			fits("details")
			s.inner.chooseMail()
			fits("a choice")
			s.win.Canvas().Overlays().Remove(s.win.Canvas().Overlays().Top())
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
	s.until("German", func() bool { return s.says("Optionen") && s.says("Sprache") && len(s.inner.convs) == 2 })
	h.events <- said("b1", "ben", "psst")
	s.until("one note", out.showing("Ben: Neue Nachricht"))
	if s.item("lang").Choice.At != at || !s.item("lang").Changed() {
		t.Error("the choice is not shown")
	}
	s.item("lang").Choice.Set(0)
	s.until("English again", func() bool { return s.says("Language") })
}

// Every dialog and each of the first screens has room in the least window, in each
// language, with nothing cut in a title or on the rail.
func TestEveryDialogFits(t *testing.T) {
	least := fyne.NewSize(theme.WindowMinW, theme.WindowMinH)
	open := func(t *testing.T, h *house, tag string) *sight {
		return look(t, h, least, func(o *Options) { o.Languages = []string{tag} })
	}
	for _, tag := range lang.Available() {
		t.Run(tag, func(t *testing.T) {
			h := harbour()
			s := open(t, h, tag)
			s.until("the window", func() bool { return s.inner != nil && s.inner.status != nil && len(s.inner.convs) == 2 })
			for _, name := range []string{"Chats", "Requests", "Network", "Settings"} {
				if w := fyne.MeasureText(s.l.T(name), theme.TextMeta, fyne.TextStyle{}).Width; w > theme.RailWidth-8 {
					t.Errorf("%q is %v wide on the rail", s.l.T(name), w)
				}
			}
			for name, show := range map[string]func(){
				"an error": func() {
					s.inner.fail(problem.New(problem.DeviceRevoked, errors.New("a cause that is told in a line or two, as causes are")))
					s.press(s.l.T("Details"))
				},
				"a relay's address": s.inner.addRelay,
				"a question":        func() { s.inner.askRemove("anna") },
				"a name":            func() { s.inner.askName("anna") },
				"an invitation":     func() { s.inner.makeInvitation(true) },
				"an address":        s.inner.askLink,
				"no relay":          func() { h.relays = nil; s.inner.invite() },
				"the words":         func() { s.inner.wordsDialog(strings.Fields(strings.Repeat("squirrel ", 24))) },
				"a passphrase":      s.inner.lock,
				"the palette":       s.inner.palette,
				"the keys":          func() { s.does("help") },
				"stopping a relay":  func() { s.inner.keepMail(false) },
			} {
				show()
				s.until(name, func() bool { return s.win.Canvas().Overlays().Top() != nil })
				top := s.win.Canvas().Overlays().Top()
				if m := top.MinSize(); m.Width > least.Width || m.Height > least.Height || m.Height < 100 {
					t.Errorf("%s is %v", name, m)
				}
				s.win.Canvas().Overlays().Remove(top)
			}
			for _, err := range []error{problem.New(problem.NoAccount, nil), problem.New(problem.Locked, nil), problem.New(problem.KeyMissing, errors.New("open /home/somebody/.local/share/godwit/vault.key: no such file or directory"))} {
				h := newHouse()
				h.err = err
				s := open(t, h, tag)
				s.until("a screen", func() bool { return len(s.words()) > 1 })
				if m := s.win.Content().MinSize(); m.Width > least.Width {
					t.Errorf("%v makes the window %v", err, m)
				}
			}
		})
	}
}
