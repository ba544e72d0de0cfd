package chat

import (
	"errors"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
)

// quoteMax is how many characters of an answered message are quoted.
const quoteMax = 300

// tell tells of a line of a conversation as it is now, and of what changed.
func (c *Chat) tell(t *turn, who store.Contact, m store.Message, change string) error {
	t.touch(ContactID(who))
	v, err := c.lines(t.Tx, who, []store.Message{m})
	if err != nil {
		return err
	}
	e := api.MessageEvent(t.now, v[0], change)
	t.then(func() { c.events.emit(e) })
	return nil
}

// tellNew tells of a message that was just kept: it has come nowhere yet, and nothing was
// done to it.
func (c *Chat) tellNew(t *turn, who store.Contact, m store.Message) error {
	t.touch(ContactID(who))
	v, err := c.asSaid(t.Tx, m, who)
	if err != nil {
		return err
	}
	e := api.MessageEvent(t.now, v, api.ChangeNew)
	t.then(func() {
		c.events.emit(e)
		c.said.tell()
	})
	return nil
}

// changed is something that happened to a message.
type changed struct {
	message int64 // row id
	change  string
}

// change has a change of a message be told at the end of the turn, once, however often it happened:
// a message that one turn has brought a thousand reactions to is told of once.
func (t *turn) change(m store.Message, what string) {
	one := changed{m.ID, what}
	if t.already[one] {
		return
	}
	if t.already == nil {
		t.already = make(map[changed]bool)
	}
	t.already[one], t.changes = true, append(t.changes, one)
}

func (c *Chat) flushChanges(t *turn) error {
	for _, one := range t.changes {
		m, err := t.Message(one.message)
		if err != nil || m.Silent {
			if err = ignore(err, store.ErrNotFound); err != nil {
				return err
			}
			continue // it was removed in this turn too
		}
		who, err := correspondent(t.Tx, m.Conversation)
		if err != nil {
			return err
		}
		if err := c.tell(t, who, m, one.change); err != nil {
			return err
		}
	}
	return nil
}

// lines are messages of a conversation, in the order of their rows, as the API tells
// them.
func (c *Chat) lines(tx *store.Tx, who store.Contact, rows []store.Message) (list []api.Message, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	all, err := tx.Reactions(rows[0].Conversation, rows[0].ID, rows[len(rows)-1].ID)
	if err != nil {
		return nil, err
	}
	to := make(map[int64][]store.Reaction)
	for _, r := range all {
		to[r.Message] = append(to[r.Message], r)
	}
	for _, m := range rows {
		v, err := c.asSaid(tx, m, who)
		if err != nil {
			return nil, err
		}
		if m.Mine && (m.State == store.Queued || m.State == store.Kept) {
			sent, err := c.sentView(tx, m)
			if err != nil {
				return nil, err
			}
			v.Relays, v.Expires, v.Reason = sent.Relays, sent.Expires, sent.Reason
		}
		v.Reactions = c.reactions(to[m.ID])
		list = append(list, v)
	}
	return list, nil
}

// asSaid is a message with what it refers to.
func (c *Chat) asSaid(tx *store.Tx, m store.Message, who store.Contact) (v api.Message, err error) {
	v = c.messageView(m, who)
	if v.Reply, err = c.quote(tx, m, who); err != nil {
		return v, err
	}
	v.Introduction, err = c.introductionView(tx, m)
	return v, err
}

// messageView is what a message says of itself.
func (c *Chat) messageView(m store.Message, who store.Contact) api.Message {
	v := api.Message{
		ID: content.ID(m.Message).String(), Conversation: ContactID(who), Time: api.Time{Time: claimed(m.Sent, m.At)}, Kind: content.Kind(m.Kind).String(),
		Reason: c.reason(m), Starred: !m.Starred.IsZero(), Pinned: !m.Pinned.IsZero(), Deeds: api.Deeds{Forwarded: m.Forwarded, Deleted: !m.Deleted.IsZero()},
	}
	v.Author, v.Name = c.author(m, who)
	if m.Mine && !isLocal(who) {
		v.State = api.State(m.State)
	}
	if !m.Edited.IsZero() {
		v.Edited = api.Time{Time: claimed(m.Edited, m.At)}
	}
	if !m.Vanish.IsZero() {
		v.Disappears = api.Time{Time: m.Vanish}
	}
	if v.Deleted {
		return v
	}
	switch content.Kind(m.Kind) {
	case content.KindText:
		v.Text, v.Timer = string(m.Body), api.Duration(m.Timer)
	case content.KindTimer:
		if timer, err := content.ParseTimer(m.Body); err == nil {
			v.Timer = api.Duration(timer.After)
		}
	}
	return v
}

// author is the account of a message's author, and the name unless it is oneself.
func (c *Chat) author(m store.Message, who store.Contact) (account, name string) {
	if m.Mine {
		return c.self().String(), ""
	}
	return ContactID(who), DisplayName(who)
}

// claimed is a time by the clock of another, or ours where RFC 3339 has no word for it.
func claimed(theirs, ours time.Time) time.Time {
	if year := theirs.Year(); year < 1970 || year > 9999 {
		return ours
	}
	return theirs
}

// quote is what a message answers, as it is here now; nil if it answers nothing.
func (c *Chat) quote(tx *store.Tx, m store.Message, who store.Contact) (*api.Quote, error) {
	if m.Reply == nil {
		return nil, nil
	}
	q := &api.Quote{ID: content.ID(*m.Reply).String()}
	to, err := tx.MessageByID(*m.Reply)
	if errors.Is(err, store.ErrNotFound) || err == nil && (to.Conversation != m.Conversation || to.Silent || !to.Shown) {
		return q, nil
	}
	if err != nil {
		return nil, err
	}
	q.Author, q.Name = c.author(to, who)
	v := c.messageView(to, who)
	q.Kind, q.Deleted = v.Kind, v.Deleted
	if q.Text = firstRunes(v.Text, quoteMax); q.Text != v.Text {
		q.Text += "…"
	}
	return q, nil
}

// reactions are those to one message, each emoji once.
func (c *Chat) reactions(all []store.Reaction) (list []api.Reaction) {
	for _, r := range all {
		i := slices.IndexFunc(list, func(v api.Reaction) bool { return v.Emoji == r.Emoji })
		if i < 0 {
			i = len(list)
			list = append(list, api.Reaction{Emoji: r.Emoji})
		}
		list[i].By = append(list[i].By, accountID(r.Account))
		list[i].Mine = list[i].Mine || r.Account == c.self()
	}
	return list
}
