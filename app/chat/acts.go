package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// What people do to messages travels as messages do: numbered, sealed, queued, tried
// until it is acknowledged, taken exactly once and in order. An act is a message itself,
// a silent one: no line of the conversation. It has a trail and a state for who asks by its id.
//
// What is done here:
//
//	reaction  one of each person at each message of either side; the newest holds
//	edit      another text in the place of one's own; when it was said stays
//	erase     the other side's device is asked to delete what one said oneself
//
// What another does to a message that is not here yet waits for it (store.EarlyActsMax);
// what they do to one that was deleted, or is not theirs to edit or delete, is passed over.

// React reacts to a message with an emoji; an empty one takes the reaction back.
// It waits as Send does. Errors, as of the methods after it: problem.NoSuchMessage, MessageGone,
// WrongKind, ContactBlocked, ContactFrozen; and BadReaction.
func (c *Chat) React(ctx context.Context, id, emoji string, want api.State, limit time.Duration) (api.Sent, error) {
	return c.act(ctx, id, want, limit, func(t *turn, to store.Message, who store.Contact) (content.Kind, []byte, error) {
		if content.Kind(to.Kind).Local() {
			return 0, nil, problem.New(problem.WrongKind, nil)
		}
		body, err := content.Reaction{To: content.ID(to.Message), Emoji: emoji}.Marshal()
		if err != nil {
			return 0, nil, problem.New(problem.BadReaction, err)
		}
		return content.KindReaction, body, putReaction(t, to, store.Reaction{Message: to.ID, Account: c.self(), Emoji: emoji, At: t.now}, false)
	})
}

// Edit puts another text in the place of one of one's own messages'.
// Errors too: problem.NotYours, BadText.
func (c *Chat) Edit(ctx context.Context, id, text string, want api.State, limit time.Duration) (api.Sent, error) {
	return c.act(ctx, id, want, limit, func(t *turn, of store.Message, who store.Contact) (content.Kind, []byte, error) {
		switch {
		case !of.Mine:
			return 0, nil, problem.New(problem.NotYours, nil)
		case content.Kind(of.Kind) != content.KindText:
			return 0, nil, problem.New(problem.WrongKind, nil)
		}
		body, err := content.Edit{Of: content.ID(of.Message), Text: content.Text{Text: text}}.Marshal()
		if err != nil {
			return 0, nil, problem.New(problem.BadText, err)
		}
		t.change(of, api.ChangeEdited)
		return content.KindEdit, body, t.EditMessage(of.ID, []byte(text), t.now)
	})
}

// DeleteForBoth deletes one of one's own messages here and asks the other side's device to
// do the same. What of it has not reached them yet still does, before the request.
// Errors too: problem.NotYours.
func (c *Chat) DeleteForBoth(ctx context.Context, id string, want api.State, limit time.Duration) (api.Sent, error) {
	return c.act(ctx, id, want, limit, func(t *turn, of store.Message, who store.Contact) (content.Kind, []byte, error) {
		if !of.Mine {
			return 0, nil, problem.New(problem.NotYours, nil)
		}
		body, err := content.Erase{Of: content.ID(of.Message)}.Marshal()
		if err != nil {
			return 0, nil, err
		}
		return content.KindErase, body, c.erase(t, who, of)
	})
}

// erase empties a message; its line says that it was deleted.
func (c *Chat) erase(t *turn, who store.Contact, m store.Message) error {
	if err := t.DeleteMessage(m.ID, false, t.now); err != nil {
		return err
	}
	m, err := t.Message(m.ID)
	if err != nil {
		return err
	}
	return c.tell(t, who, m, api.ChangeDeleted)
}

// DeleteForMe removes a message, of whomever, from this device alone; what is on its way
// goes on. Errors: problem.NoSuchMessage.
func (c *Chat) DeleteForMe(ctx context.Context, id string) (sent api.Sent, err error) {
	err = c.update(ctx, func(t *turn) error {
		m, err := message(t.Tx, id)
		if err != nil {
			return err
		}
		who, err := correspondent(t.Tx, m.Conversation)
		if err != nil {
			return err
		}
		sent = api.Sent{ID: id, Conversation: ContactID(who)}
		return c.remove(t, who, m)
	})
	return sent, err
}

// remove takes a message out of its conversation.
func (c *Chat) remove(t *turn, who store.Contact, m store.Message) error {
	if err := t.DeleteMessage(m.ID, true, t.now); err != nil {
		return err
	}
	m, err := t.Message(m.ID)
	if err != nil {
		return err
	}
	return c.tell(t, who, m, api.ChangeRemoved)
}

// Forward sends the text of a message to a contact, as somebody else's words.
// Errors: those of Send.
func (c *Chat) Forward(ctx context.Context, id string, to Find, want api.State, limit time.Duration) (api.Sent, error) {
	var m store.Message
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		m, err = message(tx, id)
		return err
	})
	switch {
	case err != nil:
		return api.Sent{}, err
	case !m.Deleted.IsZero():
		return api.Sent{}, problem.New(problem.MessageGone, nil)
	case content.Kind(m.Kind) != content.KindText:
		return api.Sent{}, problem.New(problem.WrongKind, nil)
	}
	return c.Send(ctx, to, Words{Text: string(m.Body), Forwarded: true}, want, limit)
}

// act does something to a message and tells the other side, in one transaction. The
// function does it here, and says what is sent.
func (c *Chat) act(ctx context.Context, id string, want api.State, limit time.Duration,
	do func(*turn, store.Message, store.Contact) (content.Kind, []byte, error)) (api.Sent, error) {
	return c.queued(ctx, want, limit, func(t *turn, act content.ID) (store.Contact, error) {
		m, err := message(t.Tx, id)
		if err != nil {
			return store.Contact{}, err
		}
		who, err := sendable(t, func(tx *store.Tx) (store.Contact, error) { return correspondent(tx, m.Conversation) })
		if err != nil {
			return who, err
		}
		if !m.Deleted.IsZero() {
			return who, problem.New(problem.MessageGone, nil)
		}
		kind, body, err := do(t, m, who)
		if err != nil {
			return who, err
		}
		return who, c.sayToAll(t, who, content.Context{Of: act}, kind, body)
	})
}

// deed is what another wants to be done to a message.
type deed struct {
	store.Message // the act itself
	target        store.MessageID
	emoji         string       // of a reaction
	text          content.Text // of an edit
}

func parseDeed(m store.Message) (d deed, err error) {
	d.Message = m
	switch kind := content.Kind(m.Kind); kind {
	case content.KindReaction:
		r, err := content.ParseReaction(m.Body)
		d.target, d.emoji = store.MessageID(r.To), r.Emoji
		return d, err
	case content.KindEdit:
		e, err := content.ParseEdit(m.Body)
		d.target, d.text = store.MessageID(e.Of), e.Text
		return d, err
	case content.KindErase:
		e, err := content.ParseErase(m.Body)
		d.target = store.MessageID(e.Of)
		return d, err
	default:
		return d, fmt.Errorf("%w: %s does nothing to a message", content.ErrMalformed, kind)
	}
}

// perform does what another wants to be done to a message, or keeps it until that is here.
func (c *Chat) perform(t *turn, who store.Contact, act store.Message, late bool) error {
	d, err := parseDeed(act)
	if err != nil {
		c.log.Warn("passed over something malformed", "kind", content.Kind(act.Kind).String(), "err", err)
		return t.EmptyMessage(act.ID)
	}
	to, err := t.MessageByID(d.target)
	if errors.Is(err, store.ErrNotFound) || err == nil && !to.Shown {
		return t.PutEarlyAct(act.ID, act.Conversation, d.target)
	}
	if err != nil {
		return err
	}
	return c.performOn(t, who, d, to, late)
}

// performEarly does to a message what came before it, and returns it as it is then.
func (c *Chat) performEarly(t *turn, who store.Contact, to store.Message) (store.Message, error) {
	acts, err := t.TakeEarlyActs(to.Conversation, to.Message)
	if err != nil {
		return to, err
	}
	for _, act := range acts {
		d, err := parseDeed(act)
		if err != nil {
			return to, err // it was read before
		}
		if err := c.performOn(t, who, d, to, false); err != nil {
			return to, err
		}
		if to, err = t.Message(to.ID); err != nil {
			return to, err
		}
	}
	return to, nil
}

// putReaction keeps a person's reaction to a message.
func putReaction(t *turn, to store.Message, r store.Reaction, late bool) error {
	old, err := t.Reaction(r.Message, r.Account)
	if err = ignore(err, store.ErrNotFound); err != nil || old.Emoji == r.Emoji || late && r.At.Before(old.At) {
		return err
	}
	t.change(to, api.ChangeReacted)
	return t.PutReaction(r)
}

// performOn does a deed that is its author's to do. One that comes late, when it was
// not waited for any more, undoes nothing that is newer.
func (c *Chat) performOn(t *turn, who store.Contact, d deed, to store.Message, late bool) error {
	if err := t.EmptyMessage(d.ID); err != nil {
		return err
	}
	theirs := to.Conversation == d.Conversation && !content.Kind(to.Kind).Local()
	if kind := content.Kind(d.Kind); kind == content.KindEdit || kind == content.KindErase {
		theirs = theirs && !to.Mine
	}
	if !theirs {
		c.log.Warn("passed over what is not its author's to do", "kind", content.Kind(d.Kind).String())
		return nil
	}
	if to.Silent || !to.Deleted.IsZero() {
		return nil
	}
	switch content.Kind(d.Kind) {
	case content.KindReaction:
		return putReaction(t, to, store.Reaction{Message: to.ID, Account: who.Account, Emoji: d.emoji, At: d.Sent}, late)
	case content.KindEdit:
		if content.Kind(to.Kind) != content.KindText || late && d.Sent.Before(to.Edited) {
			return nil
		}
		t.change(to, api.ChangeEdited)
		return t.EditMessage(to.ID, []byte(d.text.Text), d.Sent)
	}
	return c.erase(t, who, to)
}
