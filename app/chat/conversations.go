package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// Conversations lists conversations: those with the contacts that are found, or all; see
// api.Backend. Errors: those of the look-ups.
func (c *Chat) Conversations(ctx context.Context, only ...Find) (list []api.Conversation, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = c.conversationViews(tx, only)
		return err
	})
	return list, err
}

// conversationViews are the conversations with the contacts that are found, or if there is
// no look-up all, in order.
func (c *Chat) conversationViews(tx *store.Tx, only []Find) (list []api.Conversation, err error) {
	rows, err := listed(tx, only)
	if err != nil {
		return nil, err
	}
	connected, err := c.connectedContacts(tx)
	if err != nil {
		return nil, err
	}
	marks, err := likenesses(tx, rows)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, before)
	for _, l := range rows {
		v := c.conversationView(l)
		if v.Last != nil {
			if v.Last.Introduction, err = c.introductionView(tx, *l.Last); err != nil {
				return nil, err
			}
		}
		v.Connected, v.LooksLike = connected[l.Contact.ID], marks[l.Contact.ID]
		if v.Introduced, err = introducer(tx, l.Contact); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// Conversation is the conversation with the contact that is found.
func (c *Chat) Conversation(ctx context.Context, with Find) (api.Conversation, error) {
	list, err := c.Conversations(ctx, with)
	if err != nil {
		return api.Conversation{}, err
	}
	return list[0], nil
}

// listed reads the conversations with the contacts that are found, or if there is no
// look-up all in which there is something or can be.
func listed(tx *store.Tx, only []Find) (rows []store.Listed, err error) {
	if len(only) == 0 {
		rows, err = tx.ListConversations()
		return slices.DeleteFunc(rows, func(l store.Listed) bool {
			conv := l.Conversation
			return isLocal(l.Contact) && !isEcho(l.Contact) && l.Last == nil && conv.Pinned.IsZero() && conv.Draft == ""
		}), err
	}
	for _, find := range only {
		who, err := find(tx)
		if err != nil {
			return nil, ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
		}
		l := store.Listed{Contact: who}
		if who.ID != 0 {
			if l, err = tx.ListConversation(who.ID); err != nil {
				return nil, err
			}
		}
		rows = append(rows, l)
	}
	return rows, nil
}

// before is the order of the list.
func before(a, b store.Listed) int {
	pinned := func(l store.Listed) int {
		if l.Conversation.Pinned.IsZero() {
			return 0
		}
		return 1
	}
	return cmp.Or(pinned(b)-pinned(a), active(b).Compare(active(a)), cmp.Compare(b.Contact.ID, a.Contact.ID))
}

// active is when something was last said, or the contact was added.
func active(l store.Listed) time.Time {
	if l.Conversation.Active.IsZero() {
		return l.Contact.Created
	}
	return l.Conversation.Active
}

// likenesses is LooksLike for those of the rows whom we gave no name: most often nobody,
// and then no names need be compared.
func likenesses(tx *store.Tx, rows []store.Listed) (map[int64]string, error) {
	var nameless []store.Contact
	for _, l := range rows {
		if l.Contact.Petname == "" && l.Contact.Name != "" {
			nameless = append(nameless, l.Contact)
		}
	}
	if nameless == nil {
		return nil, nil
	}
	return LooksLike(tx, nameless)
}

// introducer is what the contact is called who introduced somebody; empty: nobody did, or nobody
// who is a contact still.
func introducer(tx *store.Tx, who store.Contact) (string, error) {
	if who.Introducer == 0 {
		return "", nil
	}
	by, err := tx.Contact(who.Introducer)
	if err != nil || !by.Removed.IsZero() {
		return "", ignore(err, store.ErrNotFound)
	}
	return DisplayName(by), nil
}

// connectedContacts are the contacts of whom a device is connected directly.
func (c *Chat) connectedContacts(tx *store.Tx) (map[int64]bool, error) {
	c.mu.Lock()
	var couriers []*courier
	for _, k := range c.couriers {
		if k.isConnected() {
			couriers = append(couriers, k)
		}
	}
	c.mu.Unlock()
	contacts := make(map[int64]bool)
	for _, k := range couriers {
		d, err := tx.Device(k.device)
		if ignore(err, store.ErrNotFound) != nil {
			return nil, err
		}
		contacts[d.Contact] = true
	}
	return contacts, nil
}

func (c *Chat) conversationView(l store.Listed) api.Conversation {
	who, conv := l.Contact, l.Conversation
	v := api.Conversation{
		ID: ContactID(who), Kind: Kind(who), Name: DisplayName(who), Verified: !who.Verified.IsZero(), Blocked: !who.Blocked.IsZero(), Frozen: who.Frozen,
		Pinned: !conv.Pinned.IsZero(), Archived: !conv.Archived.IsZero(), Draft: conv.Draft, Timer: api.Duration(conv.Timer), Unread: l.Unread, Active: api.Time{Time: active(l)},
	}
	if time.Now().Before(conv.MutedUntil) {
		v.MutedUntil = api.Time{Time: conv.MutedUntil}
	}
	if l.Unread > 0 {
		v.FirstUnread = content.ID(l.FirstUnread).String()
	}
	if l.Last != nil {
		last := c.messageView(*l.Last, who)
		last.Text = firstRunes(last.Text, api.LastText)
		v.Last = &last
	}
	return v
}

// firstRunes is the beginning of a text, of so many characters at most.
func firstRunes(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// SetConversation changes what the person does with a conversation. Errors:
// problem.NoSuchContact, BadText, and those of the look-up.
func (c *Chat) SetConversation(ctx context.Context, with Find, r api.SetConversationRequest) (v api.Conversation, err error) {
	if r.Draft != nil && *r.Draft != "" {
		if _, err := (content.Text{Text: *r.Draft}).Marshal(); err != nil {
			return v, problem.New(problem.BadText, err)
		}
	}
	return c.changeConversation(ctx, with, func(t *turn, _ store.Contact, conv store.Conversation) (bool, error) {
		before := conv
		since := func(on bool, was time.Time) time.Time {
			switch {
			case !on:
				return time.Time{}
			case was.IsZero():
				return t.now
			}
			return was
		}
		if r.Pinned != nil {
			conv.Pinned = since(*r.Pinned, conv.Pinned)
		}
		if r.Archived != nil {
			conv.Archived = since(*r.Archived, conv.Archived)
		}
		if r.MutedUntil != nil {
			conv.MutedUntil = time.Time{}
			if r.MutedUntil.After(t.now) {
				conv.MutedUntil = r.MutedUntil.Time
			}
		}
		if r.Draft != nil {
			conv.Draft = *r.Draft
		}
		if conv == before {
			return false, nil
		}
		return true, t.ArrangeConversation(conv)
	})
}

// MarkRead notes that a conversation was read up to a message, or all of it if upTo is
// empty. What was read stays read: its authors are told, if that is shared, and what
// disappears begins to. Errors: problem.NoSuchContact, NoSuchMessage, and those
// of the look-up.
func (c *Chat) MarkRead(ctx context.Context, with Find, upTo string) (api.Conversation, error) {
	return c.changeConversation(ctx, with, func(t *turn, who store.Contact, conv store.Conversation) (bool, error) {
		var row int64
		if upTo != "" {
			m, err := messageIn(t.Tx, conv, upTo)
			if err != nil {
				return false, err
			}
			row = m.ID
		} else if newest, err := t.Messages(conv.ID, 0, 1); err != nil {
			return false, err
		} else if len(newest) > 0 {
			row = newest[0].ID
		}
		if err := c.haveRead(t, who, conv, row); err != nil {
			return false, err
		}
		return t.MarkRead(conv.ID, row)
	})
}

// changeConversation makes a change to the conversation with the contact that is found, and
// tells of it if there was one.
func (c *Chat) changeConversation(ctx context.Context, with Find, change func(*turn, store.Contact, store.Conversation) (bool, error)) (v api.Conversation, err error) {
	err = c.update(ctx, func(t *turn) error {
		who, err := present(t, with)
		if err != nil {
			return err
		}
		conv, err := c.conversation(t.Tx, who)
		if err != nil {
			return err
		}
		changed, err := change(t, who, conv)
		if changed {
			t.touch(ContactID(who))
		}
		return err
	})
	if err != nil {
		return v, err
	}
	return c.Conversation(ctx, with)
}

// touch has an event tell that the entry of a conversation in the list has changed.
func (t *turn) touch(conversation string) {
	if t.touched == nil {
		t.touched = make(map[string]bool)
	}
	t.touched[conversation] = true
}

func (c *Chat) conversationEvent(id, change string) {
	c.events.emit(api.Event{Event: api.EventConversation, At: api.Time{Time: time.Now()}, Conversation: id, Change: change})
}

// messageIn is a line of a conversation, by its id. Errors: problem.NoSuchMessage.
func messageIn(tx *store.Tx, conv store.Conversation, id string) (store.Message, error) {
	m, err := message(tx, id)
	if err == nil && m.Conversation != conv.ID {
		err = problem.New(problem.NoSuchMessage, nil)
	}
	return m, err
}

// message is a line of a conversation, by its id. Errors: problem.NoSuchMessage.
func message(tx *store.Tx, id string) (store.Message, error) {
	parsed, err := content.ParseID(id)
	if err != nil {
		return store.Message{}, problem.New(problem.NoSuchMessage, nil)
	}
	m, err := tx.MessageByID(store.MessageID(parsed))
	if errors.Is(err, store.ErrNotFound) || err == nil && (!m.Shown || m.Silent) {
		return m, problem.New(problem.NoSuchMessage, nil)
	}
	return m, err
}

// Star marks a message, or takes the mark off. Errors: problem.NoSuchMessage.
func (c *Chat) Star(ctx context.Context, id string, on bool) (api.Message, error) {
	return c.mark(ctx, id, on, (*store.Tx).Star)
}

// PinMessage has a message stand above its conversation, or takes it away from there.
// Errors: problem.NoSuchMessage.
func (c *Chat) PinMessage(ctx context.Context, id string, on bool) (api.Message, error) {
	return c.mark(ctx, id, on, (*store.Tx).PinMessage)
}

func (c *Chat) mark(ctx context.Context, id string, on bool, mark func(*store.Tx, int64, time.Time) error) (v api.Message, err error) {
	err = c.update(ctx, func(t *turn) error {
		m, err := message(t.Tx, id)
		if err != nil {
			return err
		}
		since := time.Time{}
		if on {
			since = t.now
		}
		if err := mark(t.Tx, m.ID, since); err != nil {
			return err
		}
		account, err := t.Correspondent(m.Conversation)
		if err == nil {
			t.touch(accountID(account))
		}
		return err
	})
	if err != nil {
		return v, err
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		m, err := message(tx, id)
		if err != nil {
			return err
		}
		who, err := correspondent(tx, m.Conversation)
		if err != nil {
			return err
		}
		list, err := c.lines(tx, who, []store.Message{m})
		if err == nil {
			v = list[0]
		}
		return err
	})
	return v, err
}

// correspondent is the contact that a conversation is with.
func correspondent(tx *store.Tx, conversation int64) (store.Contact, error) {
	conv, err := tx.Conversation(conversation)
	if err != nil {
		return store.Contact{}, err
	}
	return tx.Contact(conv.Contact)
}

// Marked reads starred or pinned messages, oldest first: up to limit before the one of the
// given id, or the newest; of the conversation with the contact that is found, or if with is nil
// of all. Errors: problem.NoSuchContact, NoSuchMessage, and those of the look-up.
func (c *Chat) Marked(ctx context.Context, mark string, with Find, before string, limit int) (list []api.Message, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		list = nil
		var conv store.Conversation
		if with != nil {
			who, err := with(tx)
			if err != nil {
				return ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
			}
			if conv, err = tx.ConversationWith(who.ID); err != nil {
				return ignore(err, store.ErrNotFound)
			}
		}
		var row int64
		if before != "" {
			m, err := message(tx, before)
			if err != nil {
				return err
			}
			row = m.ID
		}
		read := (*store.Tx).Starred
		if mark == api.MarkPinned {
			read = (*store.Tx).Pinned
		}
		rows, err := read(tx, conv.ID, row, limit)
		if err != nil {
			return err
		}
		list, err = c.lineViews(tx, rows)
		return err
	})
	return list, err
}

// lineViews are messages of several conversations, with how far they have come.
func (c *Chat) lineViews(tx *store.Tx, rows []store.Message) (list []api.Message, err error) {
	people := make(map[int64]store.Contact)
	for _, m := range rows {
		who, known := people[m.Conversation]
		if !known {
			if who, err = correspondent(tx, m.Conversation); err != nil {
				return nil, err
			}
			people[m.Conversation] = who
		}
		one, err := c.lines(tx, who, []store.Message{m})
		if err != nil {
			return nil, err
		}
		list = append(list, one...)
	}
	return list, nil
}

// Page says which messages of a conversation are read: those at one message, by its id, or
// the newest.
type Page struct {
	Before string // those before it
	After  string // those after it
	Around string // half of them before it, then itself and those after it
}

// maxPage bounds a page by the bytes that were said: in JSON, where one may take six, it
// is to fit an answer (package api). maxRead is how many messages are read at once for it.
const maxPage, maxRead = 8 << 20, 100

// Messages reads a page of a conversation, oldest first, of up to limit messages, and fewer
// if they are longer than maxPage together, but one. Errors: problem.NoSuchMessage.
func (c *Chat) Messages(ctx context.Context, who store.Contact, at Page, limit int) (list []api.Message, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		list = nil
		conv, err := tx.ConversationWith(who.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := page(tx, conv, at, limit)
		if err != nil {
			return err
		}
		list, err = c.lines(tx, who, rows)
		return err
	})
	return list, err
}

func page(tx *store.Tx, conv store.Conversation, at Page, limit int) ([]store.Message, error) {
	id := cmp.Or(at.Before, at.After, at.Around)
	if id == "" {
		return older(tx, conv, 0, limit, maxPage)
	}
	m, err := messageIn(tx, conv, id)
	switch {
	case err != nil:
		return nil, err
	case at.Before != "":
		return older(tx, conv, m.ID, limit, maxPage)
	case at.After != "":
		return newer(tx, conv, m.ID, limit, maxPage)
	}
	list, err := older(tx, conv, m.ID, limit/2, maxPage/2)
	if err != nil {
		return nil, err
	}
	rest, err := newer(tx, conv, m.ID-1, limit-len(list), maxPage/2)
	return append(list, rest...), err
}

// older are up to limit messages before a row, oldest first, of so many bytes together.
func older(tx *store.Tx, conv store.Conversation, before int64, limit, room int) ([]store.Message, error) {
	list, err := upTo(limit, room, func(last int64, n int) ([]store.Message, error) {
		some, err := tx.Messages(conv.ID, cmp.Or(last, before), n)
		slices.Reverse(some)
		return some, err
	})
	slices.Reverse(list)
	return list, err
}

// newer are those after a row.
func newer(tx *store.Tx, conv store.Conversation, after int64, limit, room int) ([]store.Message, error) {
	return upTo(limit, room, func(last int64, n int) ([]store.Message, error) {
		return tx.MessagesAfter(conv.ID, cmp.Or(last, after), n)
	})
}

// upTo reads on from the last row that it has, 0 at first, until there is enough or no more.
func upTo(limit, room int, read func(last int64, n int) ([]store.Message, error)) (list []store.Message, err error) {
	for last := int64(0); len(list) < limit; {
		n := min(limit-len(list), maxRead)
		some, err := read(last, n)
		if err != nil {
			return nil, err
		}
		for _, m := range some {
			if room -= len(m.Body); room < 0 && len(list) > 0 {
				return list, nil
			}
			list, last = append(list, m), m.ID
		}
		if len(some) < n {
			break
		}
	}
	return list, nil
}
