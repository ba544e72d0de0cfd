package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// giveUpAfter is how long a message is tried: as long as a relay keeps it.
const giveUpAfter = 30 * 24 * time.Hour

// Find looks a contact up inside a transaction.
type Find func(*store.Tx) (store.Contact, error)

// Words are what is said, and what of.
type Words struct {
	Text      string
	Reply     string // id of the message that is answered; empty: none
	Forwarded bool   // somebody else's
}

// Send queues a text for the contact that is found. It returns how far the message has come once
// that meets want, or the message failed, or the context or the limit ended; at the
// earliest when it is durable here, from where on the limit counts. 0 is none.
// Errors: problem.ContactBlocked, ContactFrozen, BadText, NoSuchContact, of an answered
// message NoSuchMessage and MessageGone, and those of
// the look-up, which is part of the one transaction because a second costs more than
// all that is done in it.
func (c *Chat) Send(ctx context.Context, to Find, words Words, want api.State, limit time.Duration) (api.Sent, error) {
	body, err := content.Text{Text: words.Text}.Marshal()
	if err != nil {
		return api.Sent{}, problem.New(problem.BadText, err)
	}
	return c.queued(ctx, want, limit, func(t *turn, id content.ID) (store.Contact, error) {
		who, err := sendable(t, to)
		if err != nil {
			return who, err
		}
		about := content.Context{Of: id, Forwarded: words.Forwarded}
		if words.Reply != "" {
			m, err := c.answerable(t, who, words.Reply)
			if err != nil {
				return who, err
			}
			about.Reply = (*content.ID)(&m.Message)
		}
		return who, c.sayToAll(t, who, about, content.KindText, body)
	})
}

// sayToAll says something to all devices of a contact.
func (c *Chat) sayToAll(t *turn, who store.Contact, about content.Context, kind content.Kind, body []byte) error {
	items, row, err := c.say(t, who, about, kind, body)
	if err != nil {
		return err
	}
	return c.queueToAll(t, who, row, items...)
}

// answerable is the message of an id in the conversation with a contact, if it is there to be
// seen. Errors: problem.NoSuchMessage, MessageGone.
func (c *Chat) answerable(t *turn, who store.Contact, id string) (store.Message, error) {
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return store.Message{}, err
	}
	m, err := messageIn(t.Tx, conv, id)
	if err == nil && !m.Deleted.IsZero() {
		err = problem.New(problem.MessageGone, nil)
	}
	return m, err
}

// queued makes a change that queues a message of the id it is given for the contact that it
// returns, and follows that as Send does.
func (c *Chat) queued(ctx context.Context, want api.State, limit time.Duration, change func(*turn, content.ID) (store.Contact, error)) (api.Sent, error) {
	if err := c.inUse(); err != nil {
		return api.Sent{}, err
	}
	id := content.NewID()
	news := c.events.subscribe(id.String())
	defer c.events.unsubscribe(news)
	stays := false // on this computer
	err := c.update(ctx, func(t *turn) error {
		who, err := change(t, id)
		stays = isLocal(who)
		return err
	})
	if err != nil {
		return api.Sent{}, err
	}
	if want == "" || want == api.Queued || stays {
		return c.Sent(ctx, id)
	}
	wait := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var last api.Sent
	errThere := errors.New("there")
	err = news.follow(wait, func(e api.Event) error {
		if e.Event != api.EventState {
			return nil
		}
		last = e.Sent()
		if last.State.Meets(want) || last.State == api.Failed {
			return errThere
		}
		return nil
	})
	if errors.Is(err, errThere) {
		return last, nil
	}
	return c.Sent(context.WithoutCancel(ctx), id)
}

// sendable is the contact, if it can be written to.
func sendable(t *turn, to Find) (store.Contact, error) {
	who, err := present(t, to)
	switch {
	case err != nil:
		return who, err
	case !who.Blocked.IsZero():
		return who, problem.New(problem.ContactBlocked, nil)
	case who.Frozen:
		return who, problem.New(problem.ContactFrozen, nil)
	}
	return who, nil
}

// say numbers something and keeps it as queued. It is not in the outbox yet: what goes
// there are the items, a context before what it is about.
func (c *Chat) say(t *turn, who store.Contact, about content.Context, kind content.Kind, body []byte) (items []content.Item, row int64, err error) {
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return nil, 0, err
	}
	if kind == content.KindText {
		about.Timer = conv.Timer
	}
	item := content.Item{
		Flags: content.Numbered | content.WantsReceipt, ID: about.Of, Sent: t.now.Truncate(time.Millisecond).UTC(), Kind: kind, Body: body,
		Place: content.Place{Conversation: content.ConversationID(conv.Conversation), Seq: conv.SendSeq, Prev: conv.SendPrev},
	}
	if about.Reply != nil || about.Forwarded || about.Timer != 0 {
		body, err := about.Marshal()
		first, err := loose(t.now, content.KindContext, 0, body, err)
		if err != nil {
			return nil, 0, err
		}
		items = append(items, first)
	}
	if err := t.AdvanceSend(conv.ID, conv.SendSeq+1, item.Hash()); err != nil {
		return nil, 0, err
	}
	m := store.Message{
		Message: store.MessageID(item.ID), Conversation: conv.ID, Author: c.me, Mine: true, Seq: item.Place.Seq, Prev: item.Place.Prev,
		Sent: item.Sent, At: t.now, Kind: int(kind), Body: body, State: store.Queued, Expires: t.now.Add(giveUpAfter), Shown: true, Silent: kind.Acts(),
	}
	framed(&m, about)
	if m.Silent {
		m.Body = nil // it is done
	}
	if m.ID, err = t.InsertMessage(m); err != nil {
		return nil, 0, err
	}
	if m.Silent {
		return append(items, item), m.ID, nil
	}
	return append(items, item), m.ID, c.tellNew(t, who, m)
}

// framed notes with a message what is said of it.
func framed(m *store.Message, about content.Context) {
	m.Reply, m.Forwarded, m.Timer = (*store.MessageID)(about.Reply), about.Forwarded, about.Timer
}

// conversation finds or begins the conversation with a contact.
func (c *Chat) conversation(tx *store.Tx, who store.Contact) (store.Conversation, error) {
	conv, err := tx.ConversationWith(who.ID)
	if !errors.Is(err, store.ErrNotFound) {
		return conv, err
	}
	conv = store.Conversation{Conversation: store.ConversationID(content.Between(c.self(), who.Account)), Contact: who.ID, SendSeq: 1}
	conv.ID, err = tx.InsertConversation(conv)
	return conv, err
}

// queueToAll puts items into the outbox once for each device of a contact. For one who lives
// on this computer there is nothing to do.
func (c *Chat) queueToAll(t *turn, who store.Contact, message int64, items ...content.Item) error {
	if isLocal(who) {
		return c.keepHere(t, who, message)
	}
	devices, err := t.Devices(who.ID)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return fmt.Errorf("contact %d has no device", who.ID)
	}
	for _, d := range devices {
		if err := c.queue(t, d.Device, store.ClassMessage, message, items...); err != nil {
			return err
		}
	}
	return nil
}

// queue puts items into the outbox for one device, sealed if that is possible
// now. message is the row of what they say, or 0.
func (c *Chat) queue(t *turn, device identity.DevicePublic, class store.Class, message int64, items ...content.Item) error {
	return c.queueAt(t, t.now, device, class, message, items...)
}

// queueAt is queue for what does not leave before a time.
func (c *Chat) queueAt(t *turn, next time.Time, device identity.DevicePublic, class store.Class, message int64, items ...content.Item) error {
	o := store.Outgoing{Message: message, Device: device, Class: class, Created: t.now, Next: next}
	var err error
	if o.Item, err = (&content.Payload{Items: items}).Marshal(); err != nil {
		return err
	}
	switch class {
	case store.ClassMessage:
		o.Expires = t.now.Add(giveUpAfter)
	case store.ClassReceipt:
		o.Expires = t.now.Add(giveUpAfter)
		o.Next = t.now.Add(c.jitter())
	case store.ClassPresence:
		o.Expires = t.now.Add(presenceTTL)
	}
	if err := c.seal(t, &o); err != nil {
		return err
	}
	if o.Flight && class == store.ClassProfile {
		o.Expires = t.now.Add(introductionFor)
	}
	if o.Wire == nil && message != 0 {
		if err := t.SetState(message, store.Queued, string(problem.FirstAnswer)); err != nil {
			return err
		}
	}
	if o.ID, err = t.Enqueue(o); err != nil {
		return err
	}
	t.then(func() { c.courier(device).offer(o) })
	return nil
}

// seal fills in the ratchet message of a row, or leaves it without one while
// there is no session, or no place left in its first flights.
func (c *Chat) seal(t *turn, o *store.Outgoing) error {
	head, err := t.keys.Preferred(o.Device)
	if err != nil {
		return ignore(err, session.ErrNoSession)
	}
	p, err := content.Parse(o.Item)
	if err != nil {
		return err
	}
	who, err := t.ContactByDevice(o.Device)
	if err != nil {
		return err
	}
	p.Author, p.Reader = c.head, who.PinHead
	raw, err := p.Marshal()
	if err != nil {
		return err
	}
	sealed, err := t.keys.Seal(head.ID, raw, t.now)
	if err != nil {
		if len(raw) > session.PayloadMax() {
			return problem.New(problem.BadText, err)
		}
		if errors.Is(err, session.ErrFlights) || errors.Is(err, session.ErrTooLong) {
			return nil // it waits for the first answer
		}
		return err
	}
	o.Session, o.Wire, o.Hash, o.Flight, o.Size = &sealed.Session, sealed.Wire, &sealed.Hash, sealed.Flight, len(sealed.Wire)
	return nil
}

// confirmed is told when the other side first answered on a session that we
// began: its flights are over, and what waited for this can go.
func (c *Chat) confirmed(t *turn, device identity.DevicePublic, sid store.SessionID) error {
	if c.finder != nil {
		if err := c.renewSeed(t, device); err != nil {
			return err
		}
	}
	return c.eachPending(t, device, func(o *store.Outgoing) error {
		if o.Flight && *o.Session == sid {
			return t.SetFlight(o.ID, false)
		}
		return c.sealLate(t, o)
	})
}

// reseal is told when a session was begun with a device that had others. The
// device may have lost those, so what it has not acknowledged is sealed anew;
// should it have both, it knows each item by its id.
func (c *Chat) reseal(t *turn, device identity.DevicePublic) error {
	heads, err := t.SessionHeads(device)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.Preferred {
			continue
		}
		if _, err := t.Unseal(h.ID); err != nil {
			return err
		}
	}
	return c.eachPending(t, device, func(o *store.Outgoing) error {
		if err := c.sealLate(t, o); err != nil || o.Message == 0 {
			return err
		}
		return c.unkept(t, o.Message)
	})
}

// sealLate seals a row that waited, if that is possible now.
func (c *Chat) sealLate(t *turn, o *store.Outgoing) error {
	if o.Wire != nil {
		return nil
	}
	if err := c.seal(t, o); err != nil || o.Wire == nil {
		return err
	}
	if err := t.SetSealed(o.ID, *o.Session, o.Wire, *o.Hash, o.Flight); err != nil || o.Message == 0 {
		return err
	}
	m, err := t.Message(o.Message)
	if err != nil || m.Reason != string(problem.FirstAnswer) {
		return err
	}
	return t.SetState(m.ID, m.State, "")
}

// eachPending goes through what waits for a device, whose courier then reads it
// anew.
func (c *Chat) eachPending(t *turn, device identity.DevicePublic, each func(*store.Outgoing) error) error {
	const page = 100
	for after := int64(0); ; {
		rows, err := t.Pending(device, after, page)
		if err != nil {
			return err
		}
		for i := range rows {
			after = rows[i].ID
			if err := each(&rows[i]); err != nil {
				return err
			}
		}
		if len(rows) < page {
			break
		}
	}
	t.then(func() { c.courier(device).changed() })
	return nil
}

// loose makes an item without a place in a conversation.
func loose(now time.Time, kind content.Kind, flags content.Flags, body []byte, err error) (content.Item, error) {
	return content.Item{Flags: flags, ID: content.NewID(), Sent: now.Truncate(time.Millisecond).UTC(), Kind: kind, Body: body}, err
}
