package ui

import (
	"context"
	"slices"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// marks are the messages that the person has marked: those pinned in the conversation that
// is open, and those with a star, in all.
type marks struct {
	pins []api.Message // newest first
	at   int           // of pins, which is shown

	starred []api.Message // newest first; one of them while the list does not show them
	asking  bool
	again   bool
}

// The most that is read of marked messages.
const (
	mostPins    = 50
	mostStarred = 500
)

// loadMarks reads what is marked. It is asked for whenever that may have changed, one
// question at a time.
func (a *account) loadMarks() {
	m := &a.marks
	if m.asking {
		m.again = true
		return
	}
	m.asking, m.again = true, false
	open, limit := a.openID, 1
	if a.filter == chats.Starred {
		limit = mostStarred
	}
	type both struct{ pins, starred []api.Message }
	task.Load(a.work, func(ctx context.Context) (v both, err error) {
		if open != "" {
			if v.pins, err = a.b.Marked(ctx, api.MarkedRequest{Mark: api.MarkPinned, Conversation: open, Limit: mostPins}); err != nil {
				return v, err
			}
		}
		v.starred, err = a.b.Marked(ctx, api.MarkedRequest{Mark: api.MarkStarred, Limit: limit})
		return v, err
	}, func(v both, err error) {
		m.asking = false
		if err != nil {
			a.opt.Log.Warn("marked messages could not be read", "err", err)
		} else {
			slices.Reverse(v.pins)
			slices.Reverse(v.starred)
			if open == a.openID && !same(m.pins, v.pins) {
				a.showPins(v.pins)
			}
			if limit == 1 && a.filter == chats.Starred {
				v.starred = m.starred // all are wanted meanwhile
			}
			if !same(m.starred, v.starred) {
				m.starred = v.starred
				a.showList()
			}
		}
		if m.again || open != a.openID {
			a.loadMarks()
		}
	})
}

// same says whether two lists of messages look the same in a line each.
func same(a, b []api.Message) bool {
	return slices.EqualFunc(a, b, func(x, y api.Message) bool {
		return x.ID == y.ID && x.Text == y.Text && x.Deleted == y.Deleted && x.Name == y.Name
	})
}

// showPins shows the bar over the conversation, with the message that it showed before if
// that is still pinned.
func (a *account) showPins(pins []api.Message) {
	m, shown := &a.marks, ""
	if m.at < len(m.pins) {
		shown = m.pins[m.at].ID
	}
	m.pins, m.at = pins, max(0, slices.IndexFunc(pins, func(p api.Message) bool { return p.ID == shown }))
	a.showPin()
}

func (a *account) showPin() {
	m := &a.marks
	if len(m.pins) == 0 {
		a.pane.Pins(nil)
		return
	}
	a.pinBar.Set(m.pins[m.at], m.at+1, len(m.pins))
	a.pane.Pins(a.pinBar)
}

// toPin goes to the pinned message that is shown, and shows the one before it.
func (a *account) toPin() {
	m := &a.marks
	if len(m.pins) == 0 {
		return
	}
	a.frame.ShowContent(true)
	a.line.JumpTo(m.pins[m.at].ID)
	m.at = (m.at + 1) % len(m.pins)
	a.showPin()
}

func (a *account) unpin() {
	if m := &a.marks; len(m.pins) > 0 {
		a.pin(m.pins[m.at].ID, false)
	}
}

func (a *account) pin(id string, on bool) {
	a.mark(id, func(ctx context.Context) (api.Message, error) {
		return a.b.PinMessage(ctx, api.PinMessageRequest{ID: id, Pinned: on})
	})
}

func (a *account) star(id string, on bool) {
	a.mark(id, func(ctx context.Context) (api.Message, error) {
		return a.b.Star(ctx, api.StarRequest{ID: id, Starred: on})
	})
}

// mark changes a mark of a message and shows it.
func (a *account) mark(id string, do func(context.Context) (api.Message, error)) {
	task.Load(a.work, do, func(m api.Message, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		if m.Conversation == a.openID {
			a.renew(id, "")
		}
		a.loadMarks()
	})
}

// showStarred shows the messages with a star, of all conversations.
func (a *account) showStarred() {
	a.go_(shell.Chats)
	a.frame.ShowContent(false)
	a.endSearch()
	a.choose(chats.Starred)
	a.win.Canvas().Focus(a.list.Search)
}

// choose shows the conversations that pass a filter, or the messages with a star.
func (a *account) choose(f chats.Filter) {
	a.filter, a.seek.picked = f, ""
	a.showList()
	a.loadMarks()
}

// rowMenu is what can be done with a row of the list: a conversation, or a message of one.
func (a *account) rowMenu(id, message string, at fyne.Position) {
	if message == "" || !slices.ContainsFunc(a.marks.starred, func(m api.Message) bool { return m.ID == message }) {
		a.conversationMenu(id, at)
		return
	}
	widget.ShowMenu(a.win.Canvas(), widget.Menu{Items: []widget.Item{
		{Icon: "go", Name: a.l.T("Go to the message"), Do: func() { a.openAt(id, message) }},
		{Icon: "star", Name: a.l.T("Take the star off"), Do: func() { a.star(message, false) }},
	}}, at)
}
