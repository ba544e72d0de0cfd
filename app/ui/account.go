package ui

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/compose"
	"github.com/godwit-im/godwit/app/ui/network"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/settings"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/timeline"
	"github.com/godwit-im/godwit/app/ui/widget"
	"github.com/godwit-im/godwit/identity"
)

// account is the window of an account that is open: what it knows, and the screens.
type account struct {
	*Desk
	b api.Backend

	// What is known, by answers and events.
	status    *api.Status
	broken    error // events came to an end
	convs     []api.Conversation
	requests  []api.Request
	openID    string
	where     timeline.Conversation // at which message or place the next conversation is opened; zero: as usual
	seen      string                // the newest message of it that was in sight
	newer     []string              // messages of it to read again, in order
	reading   bool
	section   shell.Section
	filter    chats.Filter
	seek      seek
	find      finding
	present   bool // somebody looks at the window
	draftDue  *time.Timer
	offered   bool          // the recovery words are, in the list
	accepting string        // the introduction that is being accepted; empty: none
	choices   *api.Settings // nil: not known yet
	typing    typing
	marks     marks
	stale     map[string]bool // conversations to ask about again
	asking    bool            // about conversations
	statusDue bool
	statusing bool
	tested    *api.NetworkTest // while the Network page is open; nil: it was not tested

	frame   *shell.Frame
	rail    *shell.Rail
	list    *chats.List
	pane    *chats.Pane
	findBar *chats.FindBar
	pinBar  *chats.PinBar
	pickBar *chats.PickBar
	line    *timeline.Timeline
	compose *compose.Composer
	reqs    *people.Requests
	net     *network.Page
	prefs   *settings.View
	welcome fyne.CanvasObject
	details func()         // shows the details again; nil: none are open
	invited *widget.Dialog // with an invitation, as long as it is shown
	asked   *widget.Dialog // whether to accept the invitation of a link; perhaps closed
	table   []shell.Command

	registered registered      // with the person's session
	life       context.Context // of following events: a window in another language takes over
	end        func()
}

func newAccount(d *Desk, b api.Backend) *account {
	a := &account{Desk: d, b: b, section: shell.Chats, present: true, stale: map[string]bool{}, typing: typing{by: map[string]time.Time{}}}
	a.life, a.end = context.WithCancel(context.Background())
	l := d.l
	a.table = a.commands()
	a.rail = shell.NewRail(l.T("Menu"), []shell.Item{
		{Section: shell.Chats, Icon: "chats", Name: l.T("Chats")},
		{Section: shell.Requests, Icon: "requests", Name: l.T("Requests")},
		{Section: shell.Network, Icon: "network", Name: l.T("Network"), Foot: true},
		{Section: shell.Settings, Icon: "settings", Name: l.T("Settings"), Foot: true},
	}, a.go_, func(at fyne.Position) {
		widget.ShowMenu(a.win.Canvas(), shell.Menu(l, a.table, shell.People, shell.Go, shell.View), at)
	})
	a.rail.Reveal(shell.Requests, false)
	a.list = chats.NewList(l, chats.ListActions{
		Open: a.openAt, New: a.newChat, Menu: a.rowMenu,
		Search:  a.search,
		Filter:  a.choose,
		Network: func() { a.go_(shell.Network) },
		Key:     func(down bool) bool { a.arrow(down); return true },
		Enter:   a.openPicked,
		Escape: func() {
			if a.seek.from == nil && a.seek.query == "" {
				a.back()
			} else {
				a.endSearch()
			}
		},
	})
	a.line, a.compose = a.newTimeline(), a.newComposer()
	a.pane = chats.NewPane(l, chats.PaneActions{
		Back: a.toList, Details: a.showPerson,
		Menu: func(at fyne.Position) { a.conversationMenu(a.openID, at) },
	}, a.line, a.compose)
	a.pinBar = chats.NewPinBar(l, a.toPin, a.unpin)
	a.pickBar = a.newPickBar()
	a.findBar = chats.NewFindBar(l, chats.FindActions{Query: a.findQuery, Step: a.stepFind, Close: a.closeFind})
	a.reqs = people.NewRequests(l, people.Decisions{Accept: a.acceptRequest, Ignore: a.ignoreRequest, Block: a.blockRequest})
	a.net = network.NewPage(l, network.Actions{Add: a.addRelay, Remove: a.removeRelay, Friends: a.showFriends, Test: a.testNetwork})
	a.welcome = a.newWelcome()
	a.frame = shell.NewFrame(a.rail, d.look.List, func(bool) { a.pane.Single(a.frame.Single()) }, func(w float32) {
		a.look.List = w
		a.keepLook()
	})
	a.prefs = settings.NewView(l, a.pages)
	for _, screen := range []fyne.CanvasObject{a.prefs, a.net, a.reqs, a.pane, a.welcome} { // all follow the colours from now on
		a.frame.SetContent(screen)
	}
	a.dressNotices()
	a.go_(shell.Chats)
	a.showFoot()
	c := d.win.Canvas()
	shell.Listen(c, a.table)
	c.SetOnTypedKey(a.key)
	d.app.Lifecycle().SetOnEnteredForeground(func() {
		a.present = true
		a.read()
		a.attend()
	})
	d.app.Lifecycle().SetOnExitedForeground(func() {
		a.present = false
		a.attend()
	})
	d.win.SetContent(a.frame)
	a.followEvents()
	a.reload()
	a.register(func() error { return nil })
	return a
}

// followEvents follows what happens, as long as this is the window's account.
func (a *account) followEvents() {
	a.work.Go(func(context.Context) {
		err := task.Follow(a.work, func(ctx context.Context, each func(api.Event) error) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			defer context.AfterFunc(a.life, stop)()
			return a.b.Events(ctx, api.EventsRequest{}, each)
		}, a.events)
		a.work.Do(func() {
			if a.life.Err() != nil {
				return
			}
			if errors.Is(err, problem.EventsLost) { // the window was too slow: it asks about everything
				a.followEvents()
				a.reload()
				a.openLine()
				return
			}
			a.broken = err
			a.showFoot()
			a.fail(err)
		})
	})
}

// reload asks about everything.
func (a *account) reload() {
	task.Load(a.work, func(ctx context.Context) ([]api.Conversation, error) {
		return a.b.Conversations(ctx, api.ConversationsRequest{})
	}, func(list []api.Conversation, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.convs = list
		a.showList()
	})
	a.loadRequests()
	a.loadChoices()
	a.loadMarks()
	a.refreshStatus()
}

// events takes what happened since the last time.
func (a *account) events(list []api.Event) {
	if a.life.Err() != nil {
		return
	}
	status, requests, marks, again := false, false, false, false
	var notes []notify.Note
	for _, e := range list {
		switch e.Event {
		case api.EventReady:
			status = true
		case api.EventMessage:
			if n, due := a.noticeMessage(e); due {
				notes = append(notes, n)
			}
			if e.Author == e.Conversation {
				a.typing.end(e.Conversation) // it is written
			}
			a.stale[e.Conversation] = true
			marks = marks || e.Change != api.ChangeNew // one that is marked may say something else, or be gone
			if e.Conversation == a.openID {
				a.renew(e.ID, e.Change)
				again = true
			}
			status = true
		case api.EventTyping:
			a.sawTyping(e)
		case api.EventState:
			a.stale[e.Conversation] = true
			if e.Conversation == a.openID {
				a.renew(e.ID, "")
			}
			status = true
		case api.EventConversation:
			marks = true
			if e.Change == "removed" {
				a.forget(e.Conversation)
			} else {
				a.stale[e.Conversation] = true
			}
		case api.EventContact:
			switch e.Change {
			case "removed":
				a.forget(e.Contact)
			case "added":
				a.stale[e.Contact] = true
				a.welcomeNew(e.Contact)
				for _, id := range a.line.Cards() { // it may have been about them
					a.renew(id, "")
				}
			default:
				a.stale[e.Contact] = true
			}
			status = true
		case api.EventRequest:
			if n, due := a.noticeRequest(e); due {
				notes = append(notes, n)
			}
			requests = true
		case api.EventRelay, api.EventNetwork, api.EventAccount:
			status = true
		}
	}
	a.notices.say(notes)
	a.refreshConversations()
	if again {
		a.askFind("")
	}
	if requests {
		a.loadRequests()
	}
	if marks {
		a.loadMarks()
	}
	if status {
		a.refreshStatus()
	}
}

// askAgainAfter is how long after a question without an answer it is asked again.
const askAgainAfter = 500 * time.Millisecond

// refreshConversations asks about those that changed, one question at a time. Those that
// there was no answer for are asked about again.
func (a *account) refreshConversations() {
	if a.asking || len(a.stale) == 0 {
		return
	}
	only := slices.Collect(maps.Keys(a.stale))
	clear(a.stale)
	a.asking = true
	type answers struct {
		list   []api.Conversation
		missed []string
	}
	task.Load(a.work, func(ctx context.Context) (got answers, err error) {
		for _, id := range only { // one that is gone does not keep the others away
			one, oneErr := a.b.Conversations(ctx, api.ConversationsRequest{Only: []string{id}})
			got.list = append(got.list, one...)
			if oneErr != nil && !errors.Is(oneErr, problem.NoSuchContact) {
				got.missed, err = append(got.missed, id), oneErr
			}
		}
		return got, err
	}, func(got answers, err error) {
		for _, c := range got.list {
			a.put(c)
		}
		a.showList()
		if err == nil {
			a.asking = false
			a.refreshConversations()
			return
		}
		a.opt.Log.Warn("conversations could not be read", "err", err)
		for _, id := range got.missed {
			a.stale[id] = true
		}
		a.work.Go(func(ctx context.Context) {
			select {
			case <-ctx.Done():
				return
			case <-a.life.Done():
				return
			case <-time.After(askAgainAfter):
			}
			a.work.Do(func() {
				a.asking = false
				a.refreshConversations()
			})
		})
	})
}

// put adds a conversation or renews it, and keeps the order of the list.
func (a *account) put(c api.Conversation) {
	timed := c.ID == a.openID && c.Timer != a.conversation(c.ID).Timer
	a.convs = slices.DeleteFunc(a.convs, func(o api.Conversation) bool { return o.ID == c.ID })
	i, _ := slices.BinarySearchFunc(a.convs, c, func(x, y api.Conversation) int {
		if x.Pinned != y.Pinned {
			if x.Pinned {
				return -1
			}
			return 1
		}
		return cmp.Or(y.Active.Compare(x.Active.Time), cmp.Compare(x.ID, y.ID))
	})
	a.convs = slices.Insert(a.convs, i, c)
	if c.ID == a.openID {
		a.showHead()
	}
	if timed && a.details != nil {
		a.details()
	}
	if c.Unread == 0 { // read elsewhere, perhaps
		a.notices.withdraw(a.notices.desk.Gone(c.ID))
	}
}

func (a *account) forget(id string) {
	a.convs = slices.DeleteFunc(a.convs, func(o api.Conversation) bool { return o.ID == id })
	delete(a.stale, id)
	a.notices.withdraw(a.notices.desk.Gone(id))
	if a.openID == id {
		a.closeChat()
	}
	a.showList()
}

// conversation is what is known of one; without an id if it is not known.
func (a *account) conversation(id string) api.Conversation {
	for _, c := range a.convs {
		if c.ID == id {
			return c
		}
	}
	return api.Conversation{}
}

// refreshStatus asks how the account is doing, one question at a time.
func (a *account) refreshStatus() {
	if a.statusing {
		a.statusDue = true
		return
	}
	a.statusing, a.statusDue = true, false
	task.Load(a.work, func(ctx context.Context) (api.Status, error) { return a.b.Status(ctx, api.StatusRequest{}) }, func(s api.Status, err error) {
		a.statusing = false
		if err == nil {
			first := a.status == nil
			a.status = &s
			a.rail.Me(s.Account, cmp.Or(s.Name, "?"))
			if first {
				a.openLine() // now it is known which are one's own
			}
			a.showOffer()
			if a.section == shell.Settings {
				a.prefs.Update()
			}
		}
		a.showFoot()
		if a.statusDue {
			a.refreshStatus()
		}
	})
}

func (a *account) showFoot() {
	a.list.Foot(chats.FootOf(a.l, a.status, a.broken))
	if a.status != nil && a.section == shell.Network {
		r := network.ReportOf(a.l, *a.status)
		if a.tested != nil {
			r.Add(a.l, *a.tested)
		}
		a.net.Set(r)
	}
}

func (a *account) loadRequests() {
	task.Load(a.work, func(ctx context.Context) ([]api.Request, error) { return a.b.Requests(ctx, api.RequestsRequest{}) }, func(list []api.Request, err error) {
		if err != nil {
			return
		}
		a.requests = list
		a.reqs.Set(people.Strangers(a.l, list, a.now()))
		a.rail.Badge(shell.Requests, len(list))
		a.rail.Reveal(shell.Requests, len(list) > 0 || a.section == shell.Requests)
	})
}

// showList shows the conversations.
func (a *account) showList() {
	unread, archived, words := 0, 0, ""
	total := 0
	for _, c := range a.convs {
		if c.Unread > 0 && !c.Archived {
			unread++
			if !chats.Muted(c, a.now()) {
				total += c.Unread
			}
		}
		if c.Archived {
			archived++
		}
	}
	switch {
	case a.seek.asking:
	case a.seek.query != "" && a.seek.failed:
		words = a.l.T("The search did not work this time. Nothing is lost: change a word, or try again later.")
	case a.seek.query != "" && a.seek.found.DiskFull:
		words = a.l.T("Nothing found, but not everything could be searched: the disk is full.")
	case a.seek.query != "" && a.seek.found.Unindexed > 0:
		words = a.l.T("Nothing found yet: what was said long ago is still being prepared for the search.")
	case a.seek.query != "":
		words = a.l.T("Nobody is called so, and nobody said it.")
	case a.filter == chats.Unread:
		words = a.l.T("You have read everything.")
	case a.filter == chats.Archived:
		words = a.l.T("Nothing is archived.")
	case a.filter == chats.Starred:
		words = a.l.T("No message has a star.")
	default:
		words = a.l.T("Nobody is here yet: invite someone with the plus above.")
	}
	a.list.Set(a.shown(), words)
	a.list.Chips(a.filter, unread, archived, len(a.marks.starred) > 0)
	a.rail.Badge(shell.Chats, total)
	if a.section == shell.Chats && a.openID == "" {
		a.showContent()
	}
	if a.openID != "" {
		a.showHead()
	}
}

// showContent puts the pane in the middle that belongs there.
func (a *account) showContent() {
	switch {
	case a.section != shell.Chats:
	case a.openID != "":
		a.frame.SetContent(a.pane)
	default:
		a.frame.SetContent(a.welcome)
	}
}

// go_ opens a section.
func (a *account) go_(s shell.Section) {
	if s != a.section {
		a.tested = nil // it is soon no longer so
	}
	a.section = s
	a.rail.Select(s)
	a.closeDetails()
	a.rail.Reveal(shell.Requests, len(a.requests) > 0 || s == shell.Requests)
	switch s {
	case shell.Requests:
		a.frame.SetList(nil)
		a.frame.SetContent(a.reqs)
	case shell.Network:
		a.frame.SetList(nil)
		a.frame.SetContent(a.net)
		a.showFoot()
		a.refreshStatus()
	case shell.Settings:
		a.frame.SetList(nil)
		a.frame.SetContent(a.prefs)
		a.prefs.Update()
		a.loadChoices()
		a.refreshStatus()
	default:
		a.frame.SetList(a.list)
		a.showContent()
	}
	a.attend()
}

// open opens a conversation as it was left, or from what was not read.
func (a *account) open(id string) {
	a.seek.from = nil
	if id == a.openID {
		if a.section != shell.Chats {
			a.go_(shell.Chats)
		}
		a.frame.ShowContent(true)
		a.win.Canvas().Focus(a.compose.Field())
		return
	}
	a.enter_(id, timeline.Conversation{})
}

// enter_ opens a conversation at a place.
func (a *account) enter_(id string, at timeline.Conversation) {
	if a.section != shell.Chats {
		a.go_(shell.Chats)
	}
	a.keepDraft()
	a.stopTyping()
	a.dropFind()
	a.closeDetails()
	c := a.conversation(id)
	a.openID, a.seen, a.newer, a.where = id, "", nil, at
	a.compose.Open(chats.Name(a.l, c), c.Draft)
	a.frame.ShowContent(true)
	a.attend()
	a.pane.Single(a.frame.Single())
	a.showHead()
	a.showContent()
	a.showList()
	a.openLine()
	a.showPins(nil)
	a.loadMarks()
	a.win.Canvas().Focus(a.compose.Field())
}

// closeChat shows that no conversation is open.
func (a *account) closeChat() {
	a.keepDraft()
	a.stopTyping()
	a.dropFind()
	a.openID = ""
	a.attend()
	a.frame.ShowContent(false)
	a.closeDetails()
	a.showContent()
	a.showList()
}

// back is a step back: from details to the conversation, to where a jump came from, to
// the list.
func (a *account) back() {
	switch {
	case a.frame.HasDetails():
		a.closeDetails()
	case a.section != shell.Chats:
		a.go_(shell.Chats)
	case a.goBack():
	case a.seek.query != "" || a.seek.from != nil:
		a.endSearch()
	case a.frame.Single():
		a.toList()
	}
}

// toList shows the list in a narrow window.
func (a *account) toList() {
	a.keepDraft()
	a.frame.ShowContent(false)
}

// showHead shows who is spoken to, and what is true of the way to them.
func (a *account) showHead() {
	c := a.conversation(a.openID)
	h := chats.Head{ID: c.ID, Name: chats.Name(a.l, c), Icon: chats.IconOf(c.Kind), Verified: c.Verified}
	var parts []string
	switch c.Kind {
	case api.KindSelf:
		parts = append(parts, a.l.T("Kept on this computer, sent to nobody"))
	case api.KindEcho:
		parts = append(parts, a.l.T("Lives on this computer and answers what it is told"))
	default:
		if c.Connected {
			parts = append(parts, a.l.T("Connected directly"))
		}
		if c.Verified {
			parts = append(parts, a.l.T("verified in person"))
		}
		if len(parts) == 0 {
			parts = append(parts, a.l.T("Not connected now"))
		}
		if c.Introduced != "" && !c.Verified { // it is all that is known of who they are
			parts = append([]string{a.l.T("Introduced by {name}", "name", c.Introduced)}, parts...)
		}
	}
	h.Sub = strings.Join(parts, " · ")
	if c.Timer > 0 {
		h.Timer = chats.Lasting(a.l, time.Duration(c.Timer))
	}
	if h.Writing = a.typing.is(c.ID, a.now()); h.Writing {
		h.Sub = a.l.T("{name} is typing…", "name", widget.OneLine(h.Name))
	}
	a.pane.Head(h)
	a.pane.Empty(a.beginning(c))
	if c.Kind == api.KindSelf {
		a.compose.Called("")
	} else {
		a.compose.Called(h.Name)
	}
	switch {
	case c.Blocked:
		a.pane.Notice(widget.Card("block", theme.Danger, a.l.T("You blocked {name}", "name", c.Name), a.l.T("Nothing is taken from them or sent to them."),
			widget.NewButton(a.l.T("Unblock"), widget.Plain, func() { a.block(c.ID, false) })), false)
	case c.Frozen:
		a.pane.Notice(widget.Card("alert", theme.Danger, a.l.T("The keys of {name} contradict each other", "name", c.Name),
			a.l.T("Somebody may be pretending to be them. Nothing is sent; ask them another way.")), false)
	case c.LooksLike != "":
		a.pane.Notice(widget.Card("alert", theme.Warn, a.l.T("Not the {name} you know", "name", c.LooksLike), a.l.T("This is somebody else, with another key.")), true)
	default:
		a.pane.Notice(nil, true)
	}
}

// beginning is what is said of a conversation in which nothing was said yet.
func (a *account) beginning(c api.Conversation) string {
	name := widget.OneLine(c.Name)
	switch {
	case c.Last != nil || c.Blocked || c.Frozen:
		return ""
	case c.Kind == api.KindSelf:
		return a.l.T("Write down what you want to keep. Nobody else sees it.")
	case c.Kind != api.KindPerson:
		return ""
	}
	return a.l.T("You and {name} can write to each other. Nobody between you can read it: to be sure that it is {name}, compare the safety number in the details.", "name", name)
}

// draftAfter is how long after the last key a draft is kept.
const draftAfter = 800 * time.Millisecond

// drafted is called with every change of what is being written.
func (a *account) drafted(text string) {
	if text == "" {
		a.stopTyping()
	}
	if a.openID == "" || a.compose.Draft() == a.conversation(a.openID).Draft {
		a.stopDraft()
		return
	}
	if a.draftDue == nil {
		a.draftDue = time.AfterFunc(draftAfter, func() { a.work.Do(a.keepDraft) })
	} else {
		a.draftDue.Reset(draftAfter)
	}
}

func (a *account) stopDraft() {
	if a.draftDue != nil {
		a.draftDue.Stop()
		a.draftDue = nil
	}
}

// keepDraft keeps what is being written, if that changed.
func (a *account) keepDraft() {
	a.stopDraft()
	if a.openID != "" {
		a.draft(a.openID, a.compose.Draft())
	}
}

// draft keeps what was written in a conversation, if that changed. What was written to
// somebody who was removed meanwhile goes with them.
func (a *account) draft(id, text string) {
	if c := a.conversation(id); c.ID == "" || text == c.Draft {
		return
	}
	for i := range a.convs {
		if a.convs[i].ID == id {
			a.convs[i].Draft = text
		}
	}
	a.change(api.SetConversationRequest{Conversation: id, Draft: &text})
}

// change changes what is done with a conversation.
func (a *account) change(r api.SetConversationRequest) {
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) { return a.b.SetConversation(ctx, r) }, func(c api.Conversation, err error) {
		if errors.Is(err, problem.NoSuchContact) && r.Draft != nil {
			return
		}
		if err != nil {
			a.fail(err)
			return
		}
		a.put(c)
		a.showList()
	})
}

// key is a key that nothing in the window wanted.
func (a *account) key(e *fyne.KeyEvent) { shell.Typed(a.table, e) }

// otherPane moves the focus between the list and what is being written.
func (a *account) otherPane() {
	c := a.win.Canvas()
	if c.Focused() == fyne.Focusable(a.list.Search) && a.openID != "" {
		a.win.Canvas().Focus(a.compose.Field())
	} else {
		a.go_(shell.Chats)
		c.Focus(a.list.Search)
	}
}

// step opens the conversation below or above the one that is open.
func (a *account) step(down bool) {
	rows := chats.Rows(a.l, a.convs, a.now(), a.filter, "", a.openID)
	if len(rows) == 0 {
		return
	}
	i := slices.IndexFunc(rows, func(r chats.Row) bool { return r.ID == a.openID })
	switch {
	case i < 0:
		i = 0
	case down:
		i = min(i+1, len(rows)-1)
	default:
		i = max(i-1, 0)
	}
	focused := a.win.Canvas().Focused()
	a.open(rows[i].ID)
	if focused == fyne.Focusable(a.list.Search) {
		a.win.Canvas().Focus(focused)
	}
	if a.seek.query == "" {
		a.list.ScrollTo(i)
	}
}

// linkProblem says what is wrong with an invitation link; empty: nothing.
func (d *Desk) linkProblem(link string) string {
	if _, err := identity.ParseLink(strings.TrimSpace(link)); err != nil {
		return d.l.T("An invitation link begins with godwit:i# and is copied whole.")
	}
	return ""
}
