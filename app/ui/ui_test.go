package ui

import (
	"errors"
	"fmt"
	"image/color"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/compose"
	"github.com/godwit-im/godwit/app/ui/network"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

func TestSomebodyNewInvitesWithOneClick(t *testing.T) {
	h := newHouse()
	h.err = problem.New(problem.NoAccount, nil)
	h.relays = []api.Relay{{Relay: "r", State: "connected"}}
	s := look(t, h, wide)
	s.until("the first screen", func() bool { return s.says("Say hello to someone") })
	if s.first.Name.Text != "Jonas" {
		t.Errorf("the name to begin with is %q", s.first.Name.Text)
	}
	s.press("Invite someone")
	s.until("an invitation", func() bool { return s.says("godwit:i#abc") })
	if h.name != "Jonas" {
		t.Errorf("the account is called %q", h.name)
	}
}

// Who has 24 words types them at once, and who has none finds the first screen as it was left.
func TestRecoveryWordsAreTypedAtOnce(t *testing.T) {
	h := newHouse()
	h.err = problem.New(problem.NoAccount, nil)
	s := look(t, h, wide)
	s.until("the first screen", func() bool { return s.says("Say hello to someone") })
	s.first.Name.SetText("Jo")
	s.press("Restore from recovery words")
	s.win.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if !s.says("Say hello to someone") || s.first.Name.Text != "Jo" {
		t.Errorf("the name is %q now", s.first.Name.Text)
	}
	s.press("Restore from recovery words")
	s.write(strings.Repeat("abandon ", 24))
	s.until("the account", func() bool { return s.inner != nil })
}

// Who waits with an invitation before them sees who accepts it.
func TestWhoAcceptsIsShown(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.invite()
	s.until("an invitation", func() bool { return s.says("godwit:i#abc") })
	h.mu.Lock()
	h.convs = append(h.convs, api.Conversation{ID: "cleo", Kind: api.KindPerson, Name: "Cleo", Active: at(10)})
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventContact, Contact: "cleo", Change: "added"}
	s.until("the conversation", func() bool { return s.inner.openID == "cleo" })
	if s.says("godwit:i#abc") {
		t.Error("the invitation is still shown")
	}
	s.write("Welcome!")
	s.until("it was sent", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.sent) == 1 && h.sent[0].Contact == "cleo"
	})
}

func TestWithoutARelayInvitingSaysWhatThatMeans(t *testing.T) {
	s := look(t, newHouse(), wide)
	s.until("the window", func() bool { return s.inner != nil })
	s.press("Invite someone")
	s.until("the choice", func() bool { return s.says("No relay yet") && s.says("Run a relay on this computer") })
	s.press("Invite without a relay")
	s.until("an invitation", func() bool { return s.says("godwit:i#abc") })
}

func TestAWrongLinkIsToldAtOnce(t *testing.T) {
	h := newHouse()
	h.err = problem.New(problem.NoAccount, nil)
	s := look(t, h, wide)
	s.until("the first screen", func() bool { return s.first != nil })
	s.first.Link.SetText("https://example.org/")
	s.press("Accept")
	if !s.says("That is no invitation") || h.name != "" {
		t.Errorf("an account called %q was made; it says %q", h.name, s.words())
	}
}

func TestAPersonReadsAndAnswers(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") && s.says("Ben") && s.says("Connected · 1 relay") })
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.says("Hello Jonas") && s.says("2 unread messages") })
	s.until("they were read", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.read) > 0 && h.read[0].UpTo == "m3"
	})
	if !s.says("Connected directly · verified in person") {
		t.Errorf("of the way to Anna it says %q", s.words())
	}
	s.write("At ten!")
	s.until("it was sent", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.sent) == 1 && h.sent[0] == api.SendRequest{Contact: "anna", Text: "At ten!"}
	})
	h.say(api.Message{ID: "m4", Conversation: "anna", Author: "me", Text: "At ten!", Kind: "text", Time: at(10), State: "queued", Reason: "Nobody can be reached (NET-03)"})
	s.until("it is shown with its state", func() bool { return s.says("At ten!") && s.says("Waiting on this device · No relay could be reached") })
	if s.says("NET-03") {
		t.Error("a code stands between the messages")
	}
	h.say(api.Message{ID: "m4", Conversation: "anna", Author: "me", Text: "At ten!", Kind: "text", Time: at(10), State: "delivered"})
	s.until("it has arrived", func() bool { return !s.says("Waiting on this device") })
	if got := s.inner.compose.Text(); got != "" {
		t.Errorf("still written: %q", got)
	}
}

func TestWhatWasSaidIsFound(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") })
	s.inner.list.Search.SetText("hello")
	s.until("what was found", func() bool { return s.says("You: Hello Anna") && s.says("Hello Jonas") })
	if s.says("Ben") {
		t.Error("Ben said nothing of it")
	}
	s.press("Anna, Hello Jonas")
	s.until("the message", func() bool {
		return slices.ContainsFunc(s.inner.line.InSight(), func(r timeline.Row) bool { return r.Message != nil && r.Message.ID == "m2" })
	})
	s.inner.list.Search.SetText("")
	s.until("everybody is there again", func() bool { return s.says("Ben") })
	s.inner.list.Search.SetText("never said")
	s.until("it says so", func() bool { return s.says("nobody said it") })
}

// does a command of the table. (That its shortcut does is seen at real windows.)
func (s *sight) does(id string) {
	s.t.Helper()
	i := slices.IndexFunc(s.inner.table, func(c shell.Command) bool { return c.ID == id && c.Can() })
	if i < 0 {
		s.t.Fatalf("%s cannot be done", id)
	}
	s.inner.table[i].Run()
}

// key presses a key where the keys go; shift is held down meanwhile.
func (s *sight) key(name fyne.KeyName, shift ...bool) {
	s.t.Helper()
	if f := s.win.Canvas().Focused(); f == nil {
		s.win.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: name})
	} else if k, ok := f.(desktop.Keyable); ok && len(shift) > 0 {
		k.KeyDown(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
		f.TypedKey(&fyne.KeyEvent{Name: name})
		k.KeyUp(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
	} else {
		f.TypedKey(&fyne.KeyEvent{Name: name})
	}
}

// inSight says whether a message is in the window.
func (s *sight) inSight(id string) func() bool {
	return func() bool {
		return slices.ContainsFunc(s.inner.line.InSight(), func(r timeline.Row) bool { return r.Message != nil && r.Message.ID == id })
	}
}

// talk is a house in which Ben said very much, the word harbour in every fiftieth message,
// and Anna once.
func talk() *house {
	h := harbour()
	h.convs[0].Unread, h.convs[0].FirstUnread = 0, ""
	for i := range 500 {
		m := api.Message{ID: fmt.Sprintf("b%03d", i), Author: "ben", Text: fmt.Sprintf("Ben says number %d", i), Time: api.Time{Time: at(1).Add(time.Duration(i) * 10 * time.Minute)}, Kind: "text"}
		if i%50 == 0 {
			m.Text += " of the harbour"
		}
		h.messages["ben"] = append(h.messages["ben"], m)
	}
	h.messages["anna"][0].Text = "Hello Anna, at the harbour"
	return h
}

// Who searches goes through people and messages by arrows, opens one by Enter, and is
// again where they were by Escape.
func TestASearchLeadsAwayAndBack(t *testing.T) {
	for _, size := range []fyne.Size{wide, narrow} {
		h := talk()
		s := look(t, h, size)
		s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
		s.inner.open("ben")
		s.until("the messages", s.inSight("b499"))
		s.inner.line.ScrollBy(-1234)
		was := s.inner.line.Place()
		s.does("search")
		test.Type(s.win.Canvas().Focused(), "harbour")
		s.key(fyne.KeyReturn) // before there is an answer
		s.until("the newest", s.inSight("b450"))
		if !s.says("of the harbour") && size == wide {
			t.Errorf("no results: %q", s.words())
		}
		if size == narrow {
			s.key(fyne.KeyEscape) // to the results
		}
		for range 9 {
			s.key(fyne.KeyDown)
		}
		s.key(fyne.KeyUp)
		s.key(fyne.KeyDown)
		s.key(fyne.KeyReturn)
		s.until("Anna's", func() bool { return s.inner.openID == "anna" && s.inSight("m1")() })
		if size == narrow {
			s.key(fyne.KeyEscape)
		}
		s.key(fyne.KeyEscape)
		s.until("Ben's again", func() bool { return s.inner.openID == "ben" && s.inner.line.Place() == was })
		if s.inner.list.Search.Text != "" || s.inner.frame.ShowsContent() != true {
			t.Errorf("still searching: %q", s.words())
		}

		s.does("search")
		test.Type(s.win.Canvas().Focused(), "ánn")
		s.key(fyne.KeyReturn)
		s.until("Anna herself", func() bool { return s.inner.openID == "anna" })
		if s.inner.list.Search.Text != "" {
			t.Error("who was found is found, and it still searches")
		}
	}
}

// Ctrl+F goes through what one conversation has, from where it is read, and Escape
// returns there.
func TestFindingInAChat(t *testing.T) {
	h := talk()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("ben")
	s.until("the messages", s.inSight("b499"))
	s.inner.line.Reveal("b320")
	s.until("an older one", s.inSight("b320"))
	was := s.inner.line.Place()
	s.does("find")
	test.Type(s.win.Canvas().Focused(), "HARBOUR")
	s.until("the one above", func() bool { return s.says("4 of 10") && s.inSight("b300")() })
	for _, step := range []struct {
		name  fyne.KeyName
		shift bool
		says  string
		id    string
	}{
		{fyne.KeyReturn, false, "5 of 10", "b250"}, {fyne.KeyF3, false, "6 of 10", "b200"}, {fyne.KeyReturn, true, "5 of 10", "b250"},
		{fyne.KeyDown, false, "4 of 10", "b300"}, {fyne.KeyF3, true, "3 of 10", "b350"},
	} {
		if step.shift {
			s.key(step.name, true)
		} else {
			s.key(step.name)
		}
		s.until(step.says, func() bool { return s.says(step.says) && s.inSight(step.id)() })
	}
	for range 3 {
		s.press("Newer")
	}
	if !s.says("10 of 10") {
		t.Errorf("it does not go round: %q", s.words())
	}
	h.say(api.Message{ID: "b999", Conversation: "ben", Author: "ben", Text: "the harbour again", Kind: "text", Time: at(23)})
	s.until("what is said meanwhile counts", func() bool { return s.says("11 of 11") })
	s.key(fyne.KeyEscape)
	s.until("where it was", func() bool { return !s.says("of 11") && s.inner.line.Place() == was })
	if s.win.Canvas().Focused() != s.inner.compose.Field() {
		t.Error("and one cannot write")
	}
	s.does("find")
	test.Type(s.win.Canvas().Focused(), "never said")
	s.until("it says so", func() bool { return s.says("Nothing found") })
}

// A click on a quote leads to what it quotes, and Escape back, wherever one writes.
func TestFromAQuoteAndBack(t *testing.T) {
	h := talk()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Ben") && s.inner.status != nil })
	s.inner.open("ben")
	s.until("the messages", s.inSight("b499"))
	s.inner.line.ScrollBy(-333)
	was := s.inner.line.Place()
	s.inner.line.JumpTo("b007")
	s.until("what was quoted", s.inSight("b007"))
	s.key(fyne.KeyEscape)
	s.until("back", func() bool { return s.inner.line.Place() == was })
}

func TestWhatCannotBeSentIsNotLost(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.write("this is too long")
	s.until("the problem", func() bool { return s.says("Details") && s.inner.compose.Text() == "this is too long" })
	if !s.says("Details") || s.says("MSG-03") {
		t.Errorf("%q", s.words())
	}
	s.press("Details")
	if !s.says("MSG-03") {
		t.Errorf("no code in %q", s.words())
	}
}

// A window that was too slow to hear everything asks about all of it.
func TestWhatWasMissedIsAskedFor(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	h.mu.Lock()
	h.convs = append(h.convs, api.Conversation{ID: "cleo", Kind: api.KindPerson, Name: "Cleo", Active: at(10)})
	h.mu.Unlock()
	h.events <- api.Event{}
	s.until("who came meanwhile", func() bool { return s.says("Cleo") })
	h.events <- api.Event{Event: api.EventConversation, Conversation: "cleo", Change: "removed"}
	s.until("it hears again", func() bool { return !s.says("Cleo") })
	if s.says("has stopped working") {
		t.Error("it says that all is over")
	}
}

// Cleo comes, and the first question about her has no answer: it is asked again.
func TestWhatIsNotAnsweredIsAskedAgain(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	h.mu.Lock()
	h.convs = append(h.convs, api.Conversation{ID: "cleo", Kind: api.KindPerson, Name: "Cleo", Active: at(10)})
	h.mute = 1
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventConversation, Conversation: "cleo"}
	s.until("who came", func() bool { return s.says("Cleo") })
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute != 0 {
		t.Errorf("%d questions had an answer that should have had none", h.mute)
	}
}

func TestADraftWaits(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.inner.compose.Insert("half a")
	s.inner.open("ben")
	if s.inner.compose.Text() != "" {
		t.Error("Ben would get what was for Anna")
	}
	s.until("it is kept", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.drafts["anna"] == "half a"
	})
	s.until("the list shows it", func() bool { return s.says("Draft: half a") })
	s.inner.open("anna")
	if got := s.inner.compose.Text(); got != "half a" {
		t.Errorf("%q", got)
	}
}

// What is edited is no draft, and what an edit or a message that fails said is there
// again, in the conversation that it was for.
func TestNothingWrittenIsLost(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	draft := func(of, want string) func() bool {
		return func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.drafts[of] == want
		}
	}
	s.inner.open("anna")
	s.inner.compose.Insert("half a")
	s.inner.compose.Edit("m1", "as it was")
	s.inner.open("ben")
	s.until("the draft is kept", draft("anna", "half a"))

	s.inner.open("anna")
	s.inner.compose.Edit("m1", "as it was")
	s.write(", which is too long")
	s.until("the edit is there again", func() bool { return s.inner.compose.Text() == "as it was, which is too long" })
	s.inner.compose.Leave()
	if got := s.inner.compose.Text(); got != "half a" {
		t.Errorf("behind the edit was %q", got)
	}

	s.inner.open("ben")
	s.inner.send("this is too long, too", compose.Mode{})
	s.inner.open("anna")
	s.until("it is a draft where it belongs", draft("ben", "this is too long, too"))
}

func TestAStrangerWaitsInRequests(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	if s.says("Requests") {
		t.Error("requests are shown although nobody asks")
	}
	h.mu.Lock()
	h.requests = []api.Request{{ID: "x1", Name: "Anna", LooksLike: "Anna", Text: "Hi ![](http://example.org/x.png) $(calc)", Time: at(9)}}
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventRequest, ID: "x1", Change: "new"}
	s.until("the rail says so", func() bool { return s.says("Requests") })
	s.press("Requests")
	if !s.says("Not the Anna you know") || !s.says("![](http://example.org/x.png) $(calc)") {
		t.Errorf("%q", s.words())
	}
	s.press("Ignore")
	s.until("it is gone", func() bool { return s.says("Nobody is asking.") })
	if !slices.Equal(h.decided, []string{"ignore x1"}) {
		t.Errorf("%q", h.decided)
	}
}

func TestANarrowWindowShowsOnePane(t *testing.T) {
	h := harbour()
	s := look(t, h, narrow)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.frame.Single() })
	if s.says("Choose a chat") {
		t.Error("the content is beside the list")
	}
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.says("Hello Jonas") })
	if s.says("Ben") {
		t.Error("the list is still there")
	}
	s.press("Back to the list")
	if !s.says("Ben") || s.says("Hello Jonas") {
		t.Errorf("after going back: %q", s.words())
	}
}

func TestDetailsAndTrail(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.inner.showPerson()
	s.until("the safety number", func() bool { return s.says("12345 12345 12345\n12345") })
	s.inner.back()
	if s.says("Safety number") {
		t.Error("Escape leaves the details open")
	}
	s.inner.showTrail("m1")
	s.until("the trail", func() bool { return s.says("Now: Waiting on this device") && s.says("nobody can be reached") })
}

func TestEveryScreenFitsAndIsDrawn(t *testing.T) {
	for _, size := range []fyne.Size{wide, narrow, fyne.NewSize(theme.WindowMinW, theme.WindowMinH)} {
		h := harbour()
		s := look(t, h, size)
		s.until("the list", func() bool { return s.says("Anna") })
		for _, section := range []shell.Section{shell.Chats, shell.Requests, shell.Network, shell.Settings} {
			s.inner.go_(section)
			if img := s.win.Canvas().Capture(); img.Bounds().Empty() {
				t.Errorf("%s at %v: nothing is drawn", section, size)
			}
		}
		if m := s.win.Content().MinSize(); m.Width > theme.WindowMinW || m.Height > theme.WindowMinH {
			t.Errorf("the window cannot be smaller than %v", m)
		}
	}
}

func TestLockedAndBroken(t *testing.T) {
	h := newHouse()
	h.err = problem.New(problem.Locked, nil)
	s := look(t, h, narrow)
	s.until("the question", func() bool { return s.says("Godwit is locked") })

	h = newHouse()
	h.err = problem.New(problem.StoreDamaged, errors.New("page 7"))
	s = look(t, h, narrow)
	s.until("the reason", func() bool { return s.says("page 7") && s.says("Try again") })
	h.mu.Lock()
	h.err = nil
	h.mu.Unlock()
	s.press("Try again")
	s.until("the window", func() bool { return s.inner != nil })
}

// Each command has a name of its own, each key leads to one command, and the palette
// finds both.
func TestTheTableOfCommands(t *testing.T) {
	s := look(t, harbour(), wide)
	s.until("the window", func() bool { return s.inner != nil })
	ids, keys := map[string]bool{}, map[shell.Key]string{}
	for _, c := range s.inner.table {
		if ids[c.ID] || c.Name == "" || c.Run == nil {
			t.Errorf("command %q", c.ID)
		}
		ids[c.ID] = true
		for _, k := range c.Keys {
			if other := keys[k]; other != "" {
				t.Errorf("%v does %s and %s", k, other, c.ID)
			}
			keys[k] = c.ID
		}
	}
	if found := shell.Find(s.l, s.inner.table, "inv some"); len(found) != 1 || found[0].ID != "invite" {
		t.Errorf("%+v", found)
	}
	if found := shell.Find(s.l, s.inner.table, "archive"); len(found) != 0 {
		t.Error("a chat that is not open can be archived")
	}
}

// Screens that are not shown just now follow the colours too.
func TestHiddenScreensFollowTheColours(t *testing.T) {
	s := look(t, harbour(), wide)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.status != nil })
	s.inner.open("anna")
	s.until("the messages", s.inSight("m3"))
	for _, mode := range []theme.Mode{theme.Light, theme.Dark, theme.Light} {
		s.inner.go_(shell.Settings)
		s.inner.relook(func(v *shell.Look) { v.Mode = mode })
		s.inner.go_(shell.Chats)
		got := color.RGBAModel.Convert(s.win.Canvas().Capture().At(int(wide.Width)-36, int(wide.Height)-58)).(color.RGBA)
		want := color.RGBAModel.Convert(theme.Color(theme.Accent)).(color.RGBA)
		if max(got.G, want.G)-min(got.G, want.G) > 2 { // drawn with soft edges
			t.Errorf("%s: the button to send is %v, the accent %v", mode, got, want)
		}
	}
}

// The network is tested at a press, and says in words what works.
func TestTheNetworkIsTested(t *testing.T) {
	h := harbour()
	h.relays = append(h.relays, api.Relay{Relay: "12D3KooWzyxw", State: "connected", Addrs: []string{"/ip4/127.0.0.1/tcp/4002/p2p/12D3KooWzyxw"}})
	s := look(t, h, wide)
	s.until("the window", func() bool { return s.inner != nil && s.inner.status != nil })
	s.press("Network")
	s.press("Test now")
	s.until("what was seen", func() bool {
		return s.says("it works. Connected after 48 ms, answered after 12 ms") && s.says("it does not work. Nobody listens at its address.") && s.says("17 computers answered within 820 ms")
	})
	s.press("Chats")
	s.press("Network")
	if s.says("Tested now") {
		t.Error("what was seen long ago is shown as if it were so")
	}
}

// This computer keeps mail for contacts: it is switched on and off in the settings, which say what that
// costs, and the Network page says it too. A contact's computer that does the same is shown as what it is.
func TestMailIsKeptForContacts(t *testing.T) {
	h := harbour()
	h.relays = append(h.relays, api.Relay{Relay: "12D3KooWfriend", State: "unreachable", Source: "friend", Friend: "anna", Name: "Anna"})
	s := look(t, h, wide)
	s.until("the window", func() bool { return s.inner != nil && s.inner.status != nil })
	s.press("Network")
	s.until("how it stands", func() bool {
		return s.says("This computer can keep sealed mail for your contacts") && s.says("The computer of Anna") && s.says("It is off, or cannot be reached. Nothing rests on it.")
	})
	s.press("Mail for contacts: settings")
	s.until("the settings", func() bool { return s.says("up to 1 GiB a day") && !s.says("Room for each contact") })
	s.press("Keep mail for contacts: off")
	s.until("what it costs", func() bool {
		return s.says("Mail is kept for your contacts here.") && s.says("34 MiB of 1 GiB are used.") && s.says("Devices of contacts that use it: 7 of 12.") && s.says("Today 5 MiB of 1 GiB came and went.") && s.says("This month 41 MiB came and 39 MiB went.") && s.says("learn this computer's address")
	})
	if f := network.FriendsOf(s.l, *s.inner.status.FriendsRelay); len(f.Figures) != 4 || len(f.Notes) != 1 {
		t.Errorf("%+v", f)
	}
	s.press("256 MiB")
	s.press("7 days")
	s.until("the limits", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.friends.Days == 7
	})
	s.press("Keep mail for contacts: on")
	s.press("Keep no more")
	s.until("it is emptied", func() bool { return s.says("3 messages (12 KiB) wait to be fetched") && !s.inner.keepsMail() })
}

// It is switched off for one contact, in their details, and on again. While mail is kept for nobody they say nothing of it.
func TestMailIsKeptForContactsButOne(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.status != nil })
	s.inner.open("anna")
	s.inner.showPerson()
	s.until("the details", func() bool { return s.says("Disappearing messages") })
	if s.says("Mail for them") {
		t.Error("mail is kept for nobody, and the details are about it")
	}
	s.inner.keepMail(true)
	s.until("it is on", func() bool { return s.inner.keepsMail() })
	s.inner.showPerson()
	s.until("the details with it", func() bool { return s.says("Mail for them") && s.says("Kept here") })
	s.press("Mail for them, Kept here")
	if !s.says("Mail for Anna") || !s.says("Who is left out is told so") {
		t.Errorf("%q", s.words())
	}
	s.press("Not kept here")
	s.until("it is off", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return s.says("Not kept here") && len(h.friends.But) == 1 && h.friends.But[0].Contact == "anna"
	})
	s.inner.showFriends()
	s.until("the settings tell it", func() bool { return s.says("Nothing is kept for Anna; that is set in their details.") })
	s.inner.open("anna")
	s.inner.showPerson()
	s.until("the details", func() bool { return s.says("Not kept here") })
	s.press("Mail for them, Not kept here")
	s.press("Kept here")
	s.until("it is on again", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return s.says("Kept here") && !s.says("Not kept here") && len(h.friends.But) == 0
	})
}

// A link that comes while a passphrase is asked for is followed once the account is open.
func TestALinkWaitsForThePassphrase(t *testing.T) {
	h := harbour()
	h.err = problem.New(problem.Locked, nil)
	s := look(t, h, wide)
	s.until("the question", func() bool { return s.says("Godwit is locked") })
	s.Raise(link.Link{Kind: link.Requests}, "")
	s.Raise(link.Link{}, "") // somebody starts the program once more
	h.mu.Lock()
	h.err = nil
	h.mu.Unlock()
	s.write("horse battery")
	s.until("what was asked for", func() bool { return s.inner != nil && s.inner.section == shell.Requests })
}
