package ui

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/shell"
)

// notices tells the desktop what arrives while nobody looks. What to tell is decided on
// the window's thread; telling happens beside it, in order.
type notices struct {
	desk notify.Desk
	work chan func(context.Context, notify.Notifier) error
}

// waiting is how many notes may wait for the desktop; more are lost, as notes may be.
const waiting = 64

// newNotices begins to tell, and to hear what is clicked; without a notifier it does nothing.
func newNotices(d *Desk) *notices {
	n := &notices{work: make(chan func(context.Context, notify.Notifier) error, waiting)}
	to := d.opt.Notices
	if to == nil {
		return n
	}
	d.work.Go(func(ctx context.Context) {
		told := false // that it does not work; once is enough
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-to.Clicks():
				what, err := link.Parse(c.Target)
				if err != nil {
					d.opt.Log.Warn("a notification of no known target was clicked", "err", err)
					continue
				}
				d.Raise(what, c.Token)
			case f := <-n.work:
				if err := f(ctx, to); err != nil && !told && !errors.Is(err, context.Canceled) {
					d.opt.Log.Warn("a notification could not be shown", "err", err)
					told = true
				}
			}
		}
	})
	return n
}

// say shows notes; a later one of a key takes the place of an earlier.
func (n *notices) say(notes []notify.Note) {
	last := map[string]int{}
	for i, v := range notes {
		last[v.Key] = i
	}
	for i, v := range notes {
		if last[v.Key] == i {
			n.do(func(ctx context.Context, to notify.Notifier) error { return to.Show(ctx, v) })
		}
	}
}

// withdraw takes notes away that are of no more use.
func (n *notices) withdraw(keys []string) {
	for _, key := range keys {
		n.do(func(ctx context.Context, to notify.Notifier) error { return to.Withdraw(ctx, key) })
	}
}

func (n *notices) do(f func(context.Context, notify.Notifier) error) {
	select {
	case n.work <- f:
	default:
	}
}

// level is how much notifications tell.
func (d *Desk) level() notify.Level {
	for _, l := range notify.Levels() {
		if string(l) == d.look.Notify {
			return l
		}
	}
	return notify.Name
}

// dressNotices has the notices follow the settings and the language.
func (a *account) dressNotices() {
	a.notices.desk.Level = a.level()
	a.notices.desk.Words = notify.Words{
		App:      "Godwit",
		Messages: func(n int) string { return a.l.N("{n} new messages", n) },
		Request:  a.l.T("Somebody wants to write to you"),
		Strange:  a.l.T("A stranger"),
	}
}

// noticeMessage says whether a message that arrived is worth a note.
func (a *account) noticeMessage(e api.Event) (notify.Note, bool) {
	if e.Change != "" && e.Change != "new" {
		return notify.Note{}, false
	}
	if e.Kind == "timer" {
		return notify.Note{}, false // it is seen where it holds
	}
	c := a.conversation(e.Conversation)
	if e.Kind != "text" && e.Kind != "" {
		e.Text = chats.Gist(a.l, api.Message{Kind: e.Kind, Name: e.Name, Text: e.Text, Deeds: e.Deeds})
	}
	name := e.Name
	if c.ID != "" {
		name = chats.Name(a.l, c)
	}
	return a.notices.desk.Arrived(notify.Message{
		Chat: e.Conversation, Name: name, Text: e.Text, Muted: chats.Muted(c, a.now()),
		Own:    e.State != "" || e.Conversation == link.Self || a.status != nil && e.Author == a.status.Account,
		Target: link.Link{Kind: link.Conversation, Conversation: e.Conversation, Message: e.ID}.String(),
	})
}

// noticeRequest says whether a stranger who asks is worth a note.
func (a *account) noticeRequest(e api.Event) (notify.Note, bool) {
	if e.Change != "new" || a.present && a.section == shell.Requests {
		return notify.Note{}, false
	}
	return a.notices.desk.Arrived(notify.Message{Name: e.Name, Request: true, Target: link.Link{Kind: link.Requests}.String()})
}

// attend tells the notices what the person has before them.
func (a *account) attend() {
	front := ""
	if a.present && a.section == shell.Chats {
		front = a.openID
	}
	a.notices.withdraw(a.notices.desk.Front(front))
	if a.present && a.section == shell.Requests {
		a.notices.withdraw(a.notices.desk.Asked())
	}
}
