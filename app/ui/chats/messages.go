package chats

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/timeline"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Reader reads a conversation, page by page: a part of api.Backend.
type Reader interface {
	Messages(context.Context, api.MessagesRequest) ([]api.Message, error)
}

// View is what one has to know of a conversation to show its messages.
type View struct {
	Lang *lang.Lang
	ID   string
	Kind string
	Name string // of the other side
	Me   string // account id
}

// Shown is a message as the timeline shows it.
func (v View) Shown(m api.Message) timeline.Message {
	t := timeline.Message{
		ID: m.ID, Mine: m.Author == v.Me, AuthorID: m.Author, Author: cmp.Or(m.Name, v.Name), Time: m.Time.Time, Text: m.Text,
		Edited: !m.Edited.IsZero(), Deleted: m.Deleted, Forwarded: m.Forwarded, Starred: m.Starred, Pinned: m.Pinned, Disappears: m.Disappears.Time,
		Timer: time.Duration(m.Timer),
	}
	if t.Mine && v.Kind == api.KindPerson && !m.Deleted { // what was sent to nobody has no state
		t.State, t.Words = stateOf(m.State), StateWords(v.Lang, m)
	}
	if m.Kind != "text" && !m.Deleted {
		if i := m.Introduction; i != nil && !t.Mine && i.Step != api.StepAgree {
			t.Kind, t.Title, t.Text = timeline.Card, Gist(v.Lang, m), v.introduced(*i)
			if !i.Known && !i.Agreed {
				t.Actions = []string{v.Lang.T("Accept"), v.Lang.T("Ignore")}
			}
			return t
		}
		t.Kind, t.Text = timeline.Notice, v.notice(m)
	}
	if q := m.Reply; q != nil {
		t.Reply = &timeline.Quote{ID: q.ID, Name: v.called(q.Author, q.Name), Text: v.quoted(q)}
	}
	for _, r := range m.Reactions {
		var who []string
		for _, id := range r.By {
			who = append(who, v.called(id, ""))
		}
		t.Reactions = append(t.Reactions, timeline.Reaction{Emoji: r.Emoji, Count: len(r.By), Mine: r.Mine, Who: strings.Join(who, ", ")})
	}
	return t
}

// called is what somebody in the conversation is called.
func (v View) called(id, name string) string {
	if id == v.Me {
		return v.Lang.T("You")
	}
	return cmp.Or(name, v.Name)
}

func (v View) quoted(q *api.Quote) string {
	switch {
	case q.Deleted:
		return v.Lang.T("This message was deleted.")
	case q.Author == "":
		return v.Lang.T("This message is not here.")
	}
	return q.Text
}

// introduced is what is said of somebody who is introduced, and of what accepting means.
func (v View) introduced(i api.Introduction) string {
	name := widget.OneLine(i.Name)
	switch {
	case i.Known:
		return v.Lang.T("{name} is among your contacts.", "name", name)
	case i.Agreed:
		return v.Lang.T("You have agreed: {name} is told how to write to you.", "name", name)
	case i.Step == api.StepAsk:
		return v.Lang.T("May {name} write to you? Nobody learns how before you accept.", "name", name)
	}
	return v.Lang.T("{name} agreed that you write to each other. That it is them you have from {other} alone: compare safety numbers when you talk.", "name", name, "other", widget.OneLine(v.Name))
}

// notice is a line that nobody wrote as a text.
func (v View) notice(m api.Message) string {
	if m.Kind == "recovered" {
		return v.Lang.T("{name} uses another device now, restored from the recovery words. Compare the safety number.", "name", v.Name)
	}
	return Gist(v.Lang, m)
}

func stateOf(s api.State) timeline.State {
	switch s {
	case api.Queued:
		return timeline.Waiting
	case api.Kept:
		return timeline.Kept
	case api.Delivered:
		return timeline.Delivered
	case api.Read:
		return timeline.Read
	case api.Failed:
		return timeline.Failed
	}
	return timeline.None
}

// Source is a conversation as the timeline asks for it.
type Source struct {
	Reader
	View
}

// Page implements timeline.Source. It asks for one message more than is wanted, to know
// whether there are others.
func (s Source) Page(ctx context.Context, r timeline.Request) (timeline.Page, error) {
	if r.Oldest {
		return s.oldest(ctx, r.Limit)
	}
	ask := api.MessagesRequest{Contact: s.ID, Limit: r.Limit + 1, Before: r.Before, After: r.After, Around: r.Around}
	list, err := s.Messages(ctx, ask)
	if err != nil {
		return timeline.Page{}, err
	}
	more := len(list) > r.Limit
	switch {
	case r.After != "":
		return s.page(list[:min(len(list), r.Limit)], true, more), nil
	case r.Around != "":
		older, newer, err := s.beyond(ctx, list, ask)
		return s.page(list, older, newer), err
	case r.Before != "":
		return s.page(list[max(len(list)-r.Limit, 0):], more, true), nil
	}
	return s.page(list[max(len(list)-r.Limit, 0):], more, false), nil
}

// beyond tells whether there are others on both sides of messages that were asked for around
// one, as far as that decides where they stand at first. Fewer than were asked for may be all
// there are, or long.
func (s Source) beyond(ctx context.Context, list []api.Message, ask api.MessagesRequest) (older, newer bool, err error) {
	n := len(list)
	if n == 0 {
		return false, false, nil
	}
	older, newer = true, true
	if slices.IndexFunc(list, func(m api.Message) bool { return m.ID == ask.Around }) < ask.Limit/2 {
		some, err := s.Messages(ctx, api.MessagesRequest{Contact: s.ID, Limit: 1, Before: list[0].ID})
		if err != nil {
			return false, false, err
		}
		older = len(some) > 0
	}
	if n < ask.Limit {
		some, err := s.Messages(ctx, api.MessagesRequest{Contact: s.ID, Limit: 1, After: list[n-1].ID})
		if err != nil {
			return false, false, err
		}
		newer = len(some) > 0
	}
	return older, newer, nil
}

// oldest walks back to the beginning.
func (s Source) oldest(ctx context.Context, limit int) (timeline.Page, error) {
	var first []api.Message
	walked := false
	for before := ""; ; walked = true {
		list, err := s.Messages(ctx, api.MessagesRequest{Contact: s.ID, Limit: api.MaxMessages, Before: before})
		if err != nil {
			return timeline.Page{}, err
		}
		if len(list) > 0 {
			first, before = list, list[0].ID
		}
		if len(list) < api.MaxMessages {
			return s.page(first[:min(len(first), limit)], false, walked || len(first) > limit), nil
		}
	}
}

func (s Source) page(list []api.Message, older, newer bool) timeline.Page {
	p := timeline.Page{Messages: make([]timeline.Message, len(list)), Older: older, Newer: newer}
	for i, m := range list {
		p.Messages[i] = s.Shown(m)
	}
	return p
}
