package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

// seek is what is searched for over all conversations.
type seek struct {
	query  string
	found  api.Found
	asking bool   // one question at a time
	failed bool   // there was no answer to the last one
	enter  bool   // Enter was pressed before there was an answer
	picked string // key of the row that Enter opens
	from   *place // where the person was; nil: there is nowhere to return to
	jumped bool   // away from there
}

// place is where somebody was in the window.
type place struct {
	chat    string // empty: none was open
	at      timeline.Place
	content bool // a narrow window showed the conversation, not the list
}

// here is where the person is now.
func (a *account) here() *place {
	p := &place{chat: a.openID, content: a.frame.ShowsContent()}
	if p.chat != "" {
		p.at = a.line.Place()
	}
	return p
}

// shown are the rows of the list.
func (a *account) shown() []chats.Row {
	if strings.TrimSpace(a.seek.query) == "" && a.filter == chats.Starred {
		return a.withPicked(chats.StarredRows(a.l, a.marks.starred, a.convs, a.now()))
	}
	if strings.TrimSpace(a.seek.query) == "" {
		rows := chats.Rows(a.l, a.convs, a.now(), a.filter, "", a.openID)
		for i, r := range rows {
			if a.typing.is(r.ID, a.now()) {
				rows[i] = r.Writing(a.l)
			}
		}
		return rows
	}
	return a.withPicked(chats.Results(a.l, a.convs, a.seek.found.Messages, a.now(), a.seek.query, ""))
}

// withPicked marks the row that Enter opens.
func (a *account) withPicked(rows []chats.Row) []chats.Row {
	if i := a.pickedRow(rows); i >= 0 {
		rows[i].Selected = true
	}
	return rows
}

// pickedRow is the result that Enter opens: the one that was chosen, or the first; -1 if
// there is none.
func (a *account) pickedRow(rows []chats.Row) int {
	if i := slices.IndexFunc(rows, func(r chats.Row) bool { return r.Head == "" && r.Key() == a.seek.picked }); i >= 0 {
		return i
	}
	return slices.IndexFunc(rows, func(r chats.Row) bool { return r.Head == "" })
}

// beginSearch goes to the search field.
func (a *account) beginSearch() {
	if a.seek.from == nil {
		a.seek.from, a.seek.jumped = a.here(), false
	}
	a.go_(shell.Chats)
	a.frame.ShowContent(false)
	a.win.Canvas().Focus(a.list.Search)
}

// search looks for people and messages, with every change of the field.
func (a *account) search(query string) {
	a.seek.query, a.seek.picked, a.seek.enter = query, "", false
	if strings.TrimSpace(query) == "" {
		a.seek.found = api.Found{}
		a.line.Seek(search.Query{})
		if a.seek.jumped { // and stays there
			a.seek.from, a.seek.jumped = nil, false
		}
	} else if a.seek.from == nil {
		a.seek.from, a.seek.jumped = a.here(), false
	}
	a.showList()
	a.ask()
}

// ask asks for the messages that have the words.
func (a *account) ask() {
	query := a.seek.query
	if a.seek.asking || strings.TrimSpace(query) == "" {
		return
	}
	a.seek.asking = true
	task.Load(a.work, func(ctx context.Context) (api.Found, error) {
		return a.b.Search(ctx, api.SearchRequest{Text: query, Limit: 50})
	}, func(f api.Found, err error) {
		a.seek.asking = false
		if err != nil {
			a.opt.Log.Warn("nothing could be searched", "err", err)
		}
		if a.seek.query != query { // more was typed meanwhile
			a.showList() // it is not looked for any more
			a.ask()
			return
		}
		a.seek.found, a.seek.failed = f, err != nil
		a.showList()
		if a.seek.enter {
			a.openPicked()
		}
	})
}

// arrow is Up or Down in the search field.
func (a *account) arrow(down bool) {
	if strings.TrimSpace(a.seek.query) == "" && a.filter != chats.Starred {
		a.step(down)
		return
	}
	rows := a.shown()
	i := a.pickedRow(rows)
	if i < 0 {
		return
	}
	by := 1
	if !down {
		by = -1
	}
	for i += by; i >= 0 && i < len(rows) && rows[i].Head != ""; i += by {
	}
	if i < 0 || i >= len(rows) {
		return
	}
	a.seek.picked = rows[i].Key()
	a.showList()
	a.list.ScrollTo(i)
}

// openPicked opens the result that is marked: with a person what was searched is done,
// with a message the others stay for the next Enter.
func (a *account) openPicked() {
	rows := a.shown()
	i := a.pickedRow(rows)
	if i < 0 {
		a.seek.enter = a.seek.asking
		return
	}
	a.seek.enter = false
	if r := rows[i]; r.Message != "" {
		a.openAt(r.ID, r.Message)
		if !a.frame.Single() {
			a.win.Canvas().Focus(a.list.Search)
		}
		return
	}
	a.list.Search.SetText("")
	a.open(rows[i].ID)
}

// openAt opens a conversation at a message, which was found or which a link names.
func (a *account) openAt(id, message string) {
	if message == "" {
		a.open(id)
		return
	}
	if a.filter == chats.Starred {
		a.seek.picked = chats.Row{ID: id, Message: message}.Key()
	}
	if strings.TrimSpace(a.seek.query) != "" {
		a.seek.picked, a.seek.jumped = chats.Row{ID: id, Message: message}.Key(), true
	}
	if id == a.openID {
		a.go_(shell.Chats)
		a.frame.ShowContent(true)
		a.line.Reveal(message)
		a.win.Canvas().Focus(a.compose.Field())
	} else {
		a.enter_(id, timeline.Conversation{At: message})
	}
	a.line.Seek(search.Parse(a.seek.query))
	a.showList()
}

// endSearch ends it, and returns to the place from which a result led away.
func (a *account) endSearch() {
	from, jumped := a.seek.from, a.seek.jumped
	a.seek.from, a.seek.jumped = nil, false
	a.list.Search.SetText("")
	if from == nil {
		return
	}
	switch {
	case !jumped:
	case from.chat == a.openID:
		a.line.Return(from.at)
	case a.conversation(from.chat).ID == "":
		a.closeChat()
	default:
		a.enter_(from.chat, timeline.Conversation{Place: from.at})
	}
	a.frame.ShowContent(from.content)
	if a.openID != "" && (from.content || !a.frame.Single()) {
		a.win.Canvas().Focus(a.compose.Field())
	}
}

// finding is what is searched for in the conversation that is open.
type finding struct {
	on     bool
	query  string
	asked  bool // an answer has come
	asking bool
	hits   []api.FoundMessage // newest first
	more   bool               // there are older ones
	ready  bool               // all that was said can be searched
	full   bool               // the disk: that is why not all can
	failed bool               // there was no answer
	at     int                // of hits, which is shown
	from   timeline.Place
	since  time.Time // of the newest message that was in sight there
	jumped bool
}

// openFind shows the bar over the conversation.
func (a *account) openFind() {
	if a.openID == "" || a.section != shell.Chats {
		a.beginSearch()
		return
	}
	a.frame.ShowContent(true)
	if !a.find.on {
		a.find = finding{on: true, query: a.find.query, asking: a.find.asking, from: a.line.Place()}
		for _, r := range a.line.InSight() {
			if r.Message != nil {
				a.find.since = r.Message.Time
			}
		}
		a.pane.Find(a.findBar)
		a.findBar.Count("", false)
		a.findQuery(a.find.query)
	}
	a.win.Canvas().Focus(a.findBar.Field)
	a.findBar.Field.TypedShortcut(&fyne.ShortcutSelectAll{})
}

// findQuery looks for something else.
func (a *account) findQuery(query string) {
	f := &a.find
	f.query, f.hits, f.asked, f.failed, f.more, f.at = query, nil, false, false, false, 0
	a.line.Seek(search.Parse(query))
	if strings.TrimSpace(query) == "" {
		a.line.Point("")
		a.countFound()
		if f.jumped {
			f.jumped = false
			a.line.Return(f.from)
		}
		return
	}
	a.askFind("")
}

// askFind asks for what the conversation has, or for what is older than a message.
func (a *account) askFind(before string) {
	f := &a.find
	query, chat := f.query, a.openID
	if f.asking || !f.on || strings.TrimSpace(query) == "" {
		return
	}
	f.asking = true
	task.Load(a.work, func(ctx context.Context) (api.Found, error) {
		return a.b.Search(ctx, api.SearchRequest{Text: query, Conversation: chat, Before: before, Limit: api.MaxFound})
	}, func(found api.Found, err error) {
		f.asking = false
		if err != nil && !errors.Is(err, context.Canceled) {
			a.opt.Log.Warn("a conversation could not be searched", "err", err)
		}
		stale := before != "" && (len(f.hits) == 0 || f.hits[len(f.hits)-1].Message.ID != before) // the bar was closed meanwhile
		if !f.on || a.openID != chat || f.query != query || stale {
			a.askFind("")
			return
		}
		f.asked, f.failed = true, err != nil
		if err != nil { // what was found stays
			f.more = f.more || before != ""
			a.countFound()
			return
		}
		f.more, f.ready, f.full = found.More, found.Unindexed == 0, found.DiskFull
		shown := ""
		if f.at < len(f.hits) && f.jumped {
			shown = f.hits[f.at].Message.ID
		}
		if before == "" {
			f.hits = found.Messages
		} else {
			f.hits = append(f.hits, found.Messages...)
		}
		at := slices.IndexFunc(f.hits, func(m api.FoundMessage) bool { return m.Message.ID == shown })
		switch {
		case before != "" && at >= 0: // the way led to the end of what was known
			f.at = at
			a.stepFind(true)
			return
		case at >= 0:
			f.at = at
		case len(f.hits) > 0:
			f.at = slices.IndexFunc(f.hits, func(m api.FoundMessage) bool { return !m.Message.Time.After(f.since) })
			if f.at < 0 {
				f.at = len(f.hits) - 1
			}
			a.pointFound()
		default:
			a.line.Point("")
		}
		a.countFound()
	})
}

// stepFind goes to the one before or after, and from the last to the first.
func (a *account) stepFind(older bool) {
	f := &a.find
	n := len(f.hits)
	switch {
	case n == 0 || f.asking:
		return
	case older && f.at == n-1 && f.more:
		f.more = false // asked for once
		a.askFind(f.hits[n-1].Message.ID)
		return
	case older:
		f.at = (f.at + 1) % n
	default:
		f.at = (f.at + n - 1) % n
	}
	a.pointFound()
	a.countFound()
}

func (a *account) pointFound() {
	a.find.jumped = true
	a.line.Point(a.find.hits[a.find.at].Message.ID)
}

// countFound says which of how many is shown.
func (a *account) countFound() {
	f, text := &a.find, ""
	n := len(f.hits)
	switch {
	case n > 0 && f.more:
		text = a.l.T("{n} of {all}", "n", f.at+1, "all", fmt.Sprint(n, "+"))
	case n > 0:
		text = a.l.T("{n} of {all}", "n", f.at+1, "all", n)
	case !f.asked:
	case f.failed:
		text = a.l.T("The search did not work")
	case f.full:
		text = a.l.T("Disk full: not all is searched")
	case f.ready:
		text = a.l.T("Nothing found")
	default:
		text = a.l.T("Nothing yet: still reading")
	}
	a.findBar.Count(text, n > 1)
}

// closeFind takes the bar away and returns to where it was opened.
func (a *account) closeFind() {
	f := a.find
	a.dropFind()
	if f.jumped {
		a.line.Return(f.from)
	}
	a.win.Canvas().Focus(a.compose.Field())
}

// dropFind takes the bar away. What was looked for stays in it.
func (a *account) dropFind() {
	if !a.find.on {
		return
	}
	a.find.on = false
	a.pane.Find(nil)
	a.line.Point("")
	a.line.Seek(search.Query{})
}

// goBack returns from where a jump led: the search of a conversation, a quote, a result.
func (a *account) goBack() bool {
	switch {
	case a.section != shell.Chats || a.openID == "" || a.frame.Single() && !a.frame.ShowsContent():
		return false
	case a.find.on:
		a.closeFind()
	case a.line.Back():
	case a.seek.from == nil || !a.seek.jumped:
		return false
	case a.frame.Single(): // to the results; once more ends the search
		a.frame.ShowContent(false)
		a.win.Canvas().Focus(a.list.Search)
	default:
		a.endSearch()
	}
	return true
}
