package ui

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/compose"
	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/timeline"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// newTimeline is where the messages of what is open are shown.
func (a *account) newTimeline() *timeline.Timeline {
	return timeline.New(timeline.Config{
		Fonts: a.fonts(), Lang: a.l, Do: a.work.Do, Now: a.now,
		OnLink: a.openLink, OnMenu: a.messageMenu,
		OnState:    func(m timeline.Message) { a.showTrail(m.ID) },
		OnAction:   a.decideCard,
		OnReaction: func(m timeline.Message, emoji string) { a.react(m, emoji) },
		OnSeen:     func(m timeline.Message) { a.seen = m.ID; a.read() },
		OnTyped:    func(r rune) { a.compose.Type(r) },
		OnPick:     a.picked,
		OnError:    a.fail,
	})
}

// newComposer is where one writes.
func (a *account) newComposer() *compose.Composer {
	return compose.New(compose.Config{
		Fonts: a.fonts(), Lang: a.l, Now: a.now, Limit: content.MaxText,
		OnSend: a.send, OnDraft: a.drafted, OnTyping: a.typed, OnEditLast: a.editLast, OnEscape: a.back, OnBoxes: a.picture,
	})
}

// view is what has to be known to show the messages of what is open.
func (a *account) view() chats.View {
	c := a.conversation(a.openID)
	v := chats.View{Lang: a.l, ID: c.ID, Kind: c.Kind, Name: chats.Name(a.l, c)}
	if a.status != nil {
		v.Me = a.status.Account
	}
	return v
}

// openLine shows the messages of what is open, from what was not read.
func (a *account) openLine() {
	if a.openID == "" || a.status == nil {
		return
	}
	c := a.conversation(a.openID)
	a.line.Open(timeline.Conversation{Source: chats.Source{Reader: told{a.b, a.opt.Log}, View: a.view()}, FirstUnread: c.FirstUnread, Unread: c.Unread, At: a.where.At, Place: a.where.Place})
	a.where = timeline.Conversation{}
}

// told is a Reader of messages that says how many it read, to who wants to know.
type told struct {
	chats.Reader
	log *slog.Logger
}

// Messages implements chats.Reader.
func (t told) Messages(ctx context.Context, r api.MessagesRequest) ([]api.Message, error) {
	began := time.Now()
	list, err := t.Reader.Messages(ctx, r)
	t.log.Debug("messages were read", "n", len(list), "took", time.Since(began))
	return list, err
}

// renew reads a message of what is open again: it is new, or something became of it.
func (a *account) renew(id, change string) {
	if change == api.ChangeRemoved {
		if m := a.compose.Mode(); m.Reply == id || m.Edit == id {
			a.compose.Leave()
		}
		a.line.Remove(id)
		return
	}
	if !slices.Contains(a.newer, id) {
		a.newer = append(a.newer, id)
	}
	a.readAgain()
}

// readAgain reads what is to be renewed, one question at a time.
func (a *account) readAgain() {
	if a.reading || len(a.newer) == 0 {
		return
	}
	open, ids := a.openID, a.newer
	a.newer, a.reading = nil, true
	task.Load(a.work, func(ctx context.Context) (list []api.Message, err error) {
		for _, id := range ids {
			one, oneErr := a.b.Messages(ctx, api.MessagesRequest{Contact: open, Around: id, Limit: 1})
			for _, m := range one {
				if m.ID == id {
					list = append(list, m)
				}
			}
			err = errors.Join(err, oneErr)
		}
		return list, err
	}, func(list []api.Message, err error) {
		a.reading = false
		if err != nil {
			a.opt.Log.Warn("messages could not be read again", "err", err)
		}
		if open == a.openID {
			v := a.view()
			shown := make([]timeline.Message, len(list))
			for i, m := range list {
				shown[i] = v.Shown(m)
			}
			a.line.Add(shown...)
		}
		a.readAgain()
	})
}

// read says that what was in sight was read, if somebody looks.
func (a *account) read() {
	if !a.present || a.openID == "" || a.seen == "" || a.section != shell.Chats {
		return
	}
	id, upTo := a.openID, a.seen
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) {
		return a.b.MarkRead(ctx, api.MarkReadRequest{Conversation: id, UpTo: upTo})
	}, func(_ api.Conversation, err error) {
		if err != nil {
			a.opt.Log.Warn("what was read could not be noted", "err", err)
			return
		}
		a.offerAfter(id)
	})
}

// send sends what was written, as what it is. The draft goes once that is queued: nothing
// that was written is lost in between, and what could not be sent is a draft again.
func (a *account) send(text string, m compose.Mode) {
	id := a.openID
	a.seek.from = nil // the person has arrived here
	if m.Edit == "" {
		a.line.SetUnread("", 0) // who answers has read
	}
	a.stopDraft()
	task.Load(a.work, func(ctx context.Context) (api.Sent, error) {
		if m.Edit != "" {
			return a.b.Edit(ctx, api.EditRequest{ID: m.Edit, Text: text})
		}
		return a.b.Send(ctx, api.SendRequest{Contact: id, Text: text, ReplyTo: m.Reply})
	}, func(_ api.Sent, err error) {
		if err == nil {
			if a.openID == id {
				a.keepDraft()
			}
			return
		}
		a.fail(err)
		switch {
		case a.openID != id:
			a.draft(id, strings.TrimSpace(text+"\n"+a.conversation(id).Draft))
		case m.Edit != "":
			a.compose.Edit(m.Edit, text)
		default:
			a.compose.Insert(text)
		}
	})
}

// editable is how many of the newest messages are looked at for the last one of one's own.
const editable = 50

// editLast takes the last message of one's own to be edited.
func (a *account) editLast() {
	id := a.openID
	task.Load(a.work, func(ctx context.Context) ([]api.Message, error) {
		return a.b.Messages(ctx, api.MessagesRequest{Contact: id, Limit: editable})
	}, func(list []api.Message, err error) {
		if err != nil || id != a.openID || a.status == nil {
			return
		}
		for i := range list {
			if m := list[len(list)-1-i]; m.Author == a.status.Account && m.Kind == "text" && !m.Deleted {
				a.compose.Edit(m.ID, m.Text)
				return
			}
		}
	})
}

// reactions are those that the menu of a message offers.
var reactions = [...]string{"👍", "❤️", "😂", "😮", "😢", "🎉"}

// messageMenu is what can be done with a message.
func (a *account) messageMenu(m timeline.Message, _ string) (menu widget.Menu) {
	if m.Kind == timeline.Notice {
		return menu
	}
	l := a.l
	add := func(icon, name string, do func()) {
		menu.Items = append(menu.Items, widget.Item{Icon: icon, Name: name, Do: do})
	}
	forget := func() {
		menu.Items = append(menu.Items, widget.Item{Icon: "trash", Name: l.T("Delete here"), Grave: true, Do: func() { a.delete(m.ID, false) }})
	}
	if m.Kind == timeline.Card {
		for n, name := range m.Actions {
			add("", name, func() { a.decideCard(m, n) })
		}
		if len(m.Actions) == 0 {
			forget()
		}
		menu.Items = append(menu.Items, widget.Item{})
		return menu
	}
	if !m.Deleted {
		menu.Picks = a.reactionPicks(m)
		add("reply", l.T("Answer"), func() { a.compose.Reply(m.ID, m.Author, m.Text) })
		if m.Mine {
			add("edit", l.T("Edit"), func() { a.compose.Edit(m.ID, m.Text) })
		}
		add("forward", l.T("Forward"), func() { a.forward(m.ID) })
		name := l.T("Star")
		if m.Starred {
			name = l.T("Take the star off")
		}
		add("star", name, func() { a.star(m.ID, !m.Starred) })
		name = l.T("Pin")
		if m.Pinned {
			name = l.T("Unpin")
		}
		add("pin", name, func() { a.pin(m.ID, !m.Pinned) })
	}
	if m.State != timeline.None {
		add("info", l.T("Way of the message"), func() { a.showTrail(m.ID) })
	}
	menu.Items = append(menu.Items, widget.Item{})
	forget()
	if m.Mine && !m.Deleted && a.conversation(a.openID).Kind == api.KindPerson {
		menu.Items = append(menu.Items, widget.Item{Icon: "trash", Name: l.T("Delete for both"), Grave: true, Do: func() {
			people.ShowConfirm(a.win.Canvas(), l, l.T("Delete for both?"), l.T("It is deleted here, and the other side's device is asked to delete it too. What was read cannot be unread."), l.T("Delete"), func() { a.delete(m.ID, true) })
		}})
	}
	menu.Items = append(menu.Items, widget.Item{})
	return menu
}

// reactionPicks are a few emoji to react with, the one that was chosen before, and a way to
// all others.
func (a *account) reactionPicks(m timeline.Message) (picks []widget.Pick) {
	mine, set := "", a.fonts().Emoji()
	for _, r := range m.Reactions {
		if r.Mine {
			mine = r.Emoji
		}
	}
	offer := reactions[:]
	if mine != "" && !slices.Contains(offer, mine) {
		offer = append([]string{mine}, offer[:len(offer)-1]...)
	}
	for _, e := range offer {
		picks = append(picks, widget.Pick{Name: a.l.T("React with {emoji}", "emoji", e), Picture: emoji.Picture(set, e, 24), Checked: e == mine, Do: func() { a.react(m, e) }})
	}
	return append(picks, widget.Pick{Name: a.l.T("Other emoji"), Picture: widget.NewIcon("plus", 18, theme.Dim), Do: func() {
		a.compose.PickFor(func(e string) { a.react(m, e) })
	}})
}

// react reacts to a message, or takes the same reaction back.
func (a *account) react(m timeline.Message, emoji string) {
	for _, r := range m.Reactions {
		if r.Mine && r.Emoji == emoji {
			emoji = ""
		}
	}
	a.decide(func(ctx context.Context) error {
		_, err := a.b.React(ctx, api.ReactRequest{ID: m.ID, Emoji: emoji})
		return err
	})
}

func (a *account) delete(id string, both bool) {
	a.decide(func(ctx context.Context) error {
		_, err := a.b.Delete(ctx, api.DeleteRequest{ID: id, ForBoth: both})
		if !both && errors.Is(err, problem.NoSuchMessage) {
			return nil // it is gone, as was wanted
		}
		return err
	})
}

// picked shows what can be done with the messages that are selected, n of them; less than none: no more.
func (a *account) picked(n int) {
	if n < 0 {
		a.pane.Find(nil)
		return
	}
	a.dropFind()
	a.pickBar.Set(n)
	a.pane.Find(a.pickBar)
}

// newPickBar is the bar over messages that are selected.
func (a *account) newPickBar() *chats.PickBar {
	return chats.NewPickBar(a.l, chats.PickActions{
		Copy: func() {
			a.app.Clipboard().SetContent(a.line.PickedText())
			a.line.StopPicking()
		},
		Delete: func() {
			picked := a.line.Picked()
			people.ShowConfirm(a.win.Canvas(), a.l, a.l.N("Delete {n} messages here?", len(picked)), a.l.T("They stay on the other side's device."), a.l.T("Delete"), func() {
				a.line.StopPicking()
				for _, m := range picked {
					a.delete(m.ID, false)
				}
			})
		},
		Close: a.line.StopPicking,
	})
}

// forward asks to whom a message is to be forwarded.
func (a *account) forward(id string) {
	a.choosePerson(a.l.T("Forward to…"), func(c api.Conversation) bool { return !c.Blocked }, func(to string) {
		a.decide(func(ctx context.Context) error {
			_, err := a.b.Forward(ctx, api.ForwardRequest{ID: id, Contact: to})
			return err
		})
	})
}

// choosePerson asks for one of the conversations that will do.
func (a *account) choosePerson(what string, will func(api.Conversation) bool, do func(id string)) {
	shell.ShowPalette(a.win.Canvas(), a.l, what, func(query string) (hits []shell.Hit) {
		for _, r := range chats.Rows(a.l, a.convs, a.now(), chats.All, query, "") {
			if will(a.conversation(r.ID)) {
				hits = append(hits, shell.Hit{Name: r.Name, Person: r.ID, Do: func() { do(r.ID) }})
			}
		}
		return hits
	})
}

// openLink opens a link that somebody wrote: one of ours in this window, others as the
// system does, and nothing but those that lead to the web or to mail.
func (a *account) openLink(address string) {
	if strings.HasPrefix(strings.ToLower(address), link.Scheme+":") {
		if what, err := link.Parse(address); err == nil {
			a.follow(what)
		}
		return
	}
	u, err := url.Parse(address)
	if err != nil || !text.Allowed(address) {
		return
	}
	if err := a.app.OpenURL(u); err != nil {
		a.opt.Log.Warn("a link could not be opened", "err", err)
	}
}
