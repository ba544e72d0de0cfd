package chat

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// An account is recovered by its words on a new device, whose manifest, signed by ROOT,
// lists no other. Contacts learn it when the two meet again, by an invitation of either
// side: then they retire the old devices, say so in the conversation, and send what waits
// for these to the new one. To the old ones they send the manifest, with the last message
// of the session, so that a device which still lives stops.

// retire ends what there was with devices that a contact's newest list does not
// have any more: sessions, queues, and what waited for them, of which the device
// that takes their place gets what was said.
func (c *Chat) retire(t *turn, who store.Contact, chain identity.Chain, heir identity.DevicePublic) error {
	devices, err := t.Devices(who.ID)
	if err != nil {
		return err
	}
	devices = slices.DeleteFunc(devices, func(d store.Device) bool {
		_, listed := chain.Device(d.Device)
		return listed
	})
	if len(devices) == 0 {
		return nil
	}
	for _, d := range devices {
		if err := c.retireDevice(t, d, chain, heir); err != nil {
			return err
		}
	}
	t.then(c.syncBoxes)
	return c.noteRecovered(t, who, heir)
}

func (c *Chat) retireDevice(t *turn, d store.Device, chain identity.Chain, heir identity.DevicePublic) error {
	err := c.eachPending(t, d.Device, func(o *store.Outgoing) error {
		if _, err := t.Withdraw(o.ID); err != nil || o.Message == 0 {
			return err
		}
		p, err := content.Parse(o.Item)
		if err != nil {
			return err
		}
		said := slices.DeleteFunc(p.Items, func(i content.Item) bool { return i.Flags&content.Numbered == 0 })
		if err := c.queue(t, heir, store.ClassMessage, o.Message, said...); err != nil {
			return err
		}
		return c.unkept(t, o.Message)
	})
	if err != nil {
		return err
	}
	if err := c.dismiss(t, d.Device, chain); err != nil {
		return err
	}
	d.Revoked = t.now
	if err := t.PutDevice(d); err != nil {
		return err
	}
	heads, err := t.SessionHeads(d.Device)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if err := t.keys.Erase(h.ID); err != nil {
			return err
		}
	}
	queues, err := t.OwnQueuesFor(d.Device)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if err := t.CloseQueue(q.ID, t.now); err != nil {
			return err
		}
	}
	return nil
}

// dismiss shows a device, on the session that is about to end, the manifests that do not
// list it. One that never answered has no use for it.
func (c *Chat) dismiss(t *turn, device identity.DevicePublic, chain identity.Chain) error {
	head, err := t.keys.Preferred(device)
	if err != nil || head.Initiator && head.Confirmed.IsZero() {
		return ignore(err, session.ErrNoSession)
	}
	body, err := content.Manifest{Chain: chain}.Marshal()
	item, err := loose(t.now, content.KindManifest, 0, body, err)
	if err != nil {
		return err
	}
	return c.queue(t, device, store.ClassProfile, 0, item)
}

// noteRecovered says in the conversation that the other side is another device now.
func (c *Chat) noteRecovered(t *turn, who store.Contact, heir identity.DevicePublic) error {
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return err
	}
	m := store.Message{
		Message: store.MessageID(content.NewID()), Conversation: conv.ID, Author: heir, Sent: t.now.Truncate(time.Millisecond), At: t.now,
		Kind: int(content.KindRecovered), Body: []byte{}, State: store.Received, Reason: string(problem.Recovered), Shown: true,
	}
	if m.ID, err = t.InsertMessage(m); err != nil {
		return err
	}
	t.then(func() { c.contactEvent(who, "recovered") })
	return c.tellNew(t, who, m)
}

// revokedSetting is where it is kept that this device was revoked: when we learned it, 8
// bytes of unix milliseconds, and the manifests that say so.
const revokedSetting = "account/revoked"

// takeManifest is shown manifests of this account. If ROOT signed a list that does not
// have this device, it stops.
func (c *Chat) takeManifest(t *turn, m content.Manifest) error {
	if !c.dismissedBy(m.Chain) {
		c.log.Warn("passed over manifests that do not speak of this device")
		return nil
	}
	if !c.Revoked().IsZero() {
		return nil
	}
	var b cryptobyte.Builder
	b.AddUint64(uint64(t.now.UnixMilli()))
	b.AddBytes(m.Chain.Marshal())
	if err := t.PutSetting(revokedSetting, b.BytesOrPanic()); err != nil {
		return err
	}
	devices, err := t.AllDevices()
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := c.eachPending(t, d.Device, func(o *store.Outgoing) error { return c.stopSending(t, o) }); err != nil {
			return err
		}
	}
	t.then(func() {
		c.log.Warn("this device was revoked: the account was recovered on another one")
		c.revoked.Store(t.now.UnixMilli())
		c.events.emit(api.Event{Event: api.EventAccount, At: api.Time{Time: t.now}, Account: c.self().String(), Change: "revoked", Reason: Reason(string(problem.DeviceRevoked))})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.over = true
		c.retireSelf()
	})
	return nil
}

// stopSending ends what waits here. Copies that relays promised to keep may still arrive.
func (c *Chat) stopSending(t *turn, o *store.Outgoing) error {
	if o.Message == 0 {
		_, err := t.Withdraw(o.ID)
		return err
	}
	m, err := t.Message(o.Message)
	if err != nil || m.State != store.Queued {
		return err
	}
	if _, err := t.Withdraw(o.ID); err != nil {
		return err
	}
	return c.setState(t, m, store.Failed, problem.DeviceRevoked)
}

// dismissedBy says whether manifests prove that this device is none of the account's any
// more.
func (c *Chat) dismissedBy(chain identity.Chain) bool {
	own, err := identity.NewPin(c.chain, identity.Suite)
	if err != nil || chain.Verify() != nil {
		return false
	}
	if _, err := own.Advance(chain); err != nil {
		return false
	}
	_, listed := chain.Device(c.me)
	return !listed
}

// readRevoked finds out at the start whether this device was revoked before.
func (c *Chat) readRevoked(ctx context.Context) error {
	var raw cryptobyte.String
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		raw, err = tx.Setting(revokedSetting)
		return err
	})
	if err != nil {
		return ignore(err, store.ErrNotFound)
	}
	var at uint64
	if !raw.ReadUint64(&at) {
		return store.ErrDamaged
	}
	chain, err := identity.ParseChain(raw)
	if err != nil {
		return errors.Join(store.ErrDamaged, err)
	}
	if c.dismissedBy(chain) {
		c.revoked.Store(int64(at))
	}
	return nil
}

// Revoked is when this device learned that its account was recovered on another one, zero
// if it did not. From then on it only shows what it has.
func (c *Chat) Revoked() time.Time {
	if at := c.revoked.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return time.Time{}
}

// inUse is an error once this device was revoked.
func (c *Chat) inUse() error {
	if c.Revoked().IsZero() {
		return nil
	}
	return problem.New(problem.DeviceRevoked, nil)
}
