package chat

import (
	"context"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

const (
	// typingEvery is how often a contact is told at most that the person is writing.
	typingEvery = 5 * time.Second
	// typingFor is how long that is believed.
	typingFor = 10 * time.Second
	// typingFlood is how often it is told here at most of one device: no honest one
	// says it as often.
	typingFlood = time.Second
)

// Typing tells a contact that is connected directly that the person is writing to them, or
// not any more, if the person shares that. It is kept nowhere and left at no relay; where nobody
// is connected nothing happens. Errors: those of Send for a contact.
func (c *Chat) Typing(ctx context.Context, to Find, now bool) error {
	if !c.typing.Load() {
		return nil
	}
	return c.update(ctx, func(t *turn) error {
		who, err := sendable(t, to)
		if err != nil || isLocal(who) || !c.sayTyping(who.ID, t.now, now) {
			return err
		}
		devices, err := t.Devices(who.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if err := c.sendTyping(t, who, d.Device, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// sayTyping says whether it is time to tell a contact. The owner's.
func (c *Chat) sayTyping(contact int64, at time.Time, now bool) bool {
	last, told := c.typed[contact]
	switch since := at.Sub(last).Abs(); {
	case !now:
		delete(c.typed, contact)
		return told && since < typingFor
	case told && since < typingEvery:
		return false
	}
	c.typed[contact] = at
	return true
}

// sendTyping seals the hint for a device and hands it to the line, if there is one.
func (c *Chat) sendTyping(t *turn, who store.Contact, device identity.DevicePublic, now bool) error {
	k := c.courier(device)
	if !k.isConnected() {
		return nil
	}
	head, err := t.keys.Preferred(device)
	if err != nil || head.Initiator && head.Confirmed.IsZero() {
		return ignore(err, session.ErrNoSession)
	}
	body, err := content.Typing{Now: now}.Marshal()
	item, err := loose(t.now, content.KindTyping, 0, body, err)
	if err != nil {
		return err
	}
	raw, err := (&content.Payload{Author: c.head, Reader: who.PinHead, Items: []content.Item{item}}).Marshal()
	if err != nil {
		return err
	}
	sealed, err := t.keys.Seal(head.ID, raw, t.now)
	if err != nil {
		return err
	}
	t.then(func() { k.hint(sealed.Wire) })
	return nil
}

// hint hands something over that means nothing later: if the line is busy, or gone, it is
// lost.
func (k *courier) hint(wire []byte) {
	k.mu.Lock()
	line := k.line
	k.mu.Unlock()
	if line == nil {
		return
	}
	if _, err := line.TrySend(wire); err != nil {
		k.c.log.Debug("a direct connection took no hint", "err", err)
	}
}

// takeTyping tells that a contact is writing, if it came directly: what lay at a relay
// is old.
func (c *Chat) takeTyping(t *turn, who store.Contact, a arrival, typing content.Typing) error {
	if a.relay != "" || a.late || !c.typing.Load() {
		return nil
	}
	if last, told := c.heard[a.device]; typing.Now && told && t.now.Sub(last).Abs() < typingFlood {
		return nil
	}
	c.heard[a.device] = t.now
	e := api.Event{Event: api.EventTyping, At: api.Time{Time: t.now}, Conversation: ContactID(who), Name: DisplayName(who)}
	if typing.Now {
		e.Expires = api.Time{Time: t.now.Add(typingFor)}
	}
	t.then(func() { c.events.emit(e) })
	return nil
}
