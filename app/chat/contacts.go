package chat

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/direct"
)

// ChangeContact changes a contact and tells of it by the given word, see
// api.Event. Errors: problem.NoSuchContact, and those of the function.
func (c *Chat) ChangeContact(ctx context.Context, row int64, word string, change func(*store.Contact) error) (who store.Contact, err error) {
	err = c.update(ctx, func(t *turn) error {
		if who, err = t.Contact(row); err != nil {
			return ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
		}
		before := served(who)
		if err := change(&who); err != nil {
			return err
		}
		now := who
		t.then(func() { c.contactEvent(now, word) })
		if err := t.UpdateContact(who); err != nil || served(who) == before {
			return err
		}
		return c.serve(t, who)
	})
	return who, err
}

// serve ends what is under way to a contact that is not served any more, or takes it
// up again: its devices were told nothing meanwhile.
func (c *Chat) serve(t *turn, who store.Contact) error {
	devices, err := t.Devices(who.ID)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := c.tellQueuesTo(t, d.Device); err != nil {
			return err
		}
		t.then(func() { c.courier(d.Device).changed() })
	}
	t.then(c.syncBoxes)
	return nil
}

// Rename gives a contact a petname. Errors: problem.NoSuchContact, BadName.
func (c *Chat) Rename(ctx context.Context, row int64, name string) (who store.Contact, err error) {
	if err := CheckName(name); err != nil {
		return who, problem.New(problem.BadName, err)
	}
	err = c.update(ctx, func(t *turn) error {
		if who, err = t.Contact(row); err != nil {
			return ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
		}
		if err := setPetname(t, &who, name); err != nil {
			return err
		}
		now := who
		t.then(func() { c.contactEvent(now, "renamed") })
		return t.UpdateContact(who)
	})
	return who, err
}

// HangUp ends the direct connections with a contact.
func (c *Chat) HangUp(ctx context.Context, contact int64) error {
	var lines []direct.SessionID
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		lines, err = sessionsWith(tx, contact)
		return err
	})
	for _, id := range lines {
		c.service().End(id)
	}
	return err
}

// sessionsWith are the sessions with all devices of a contact.
func sessionsWith(tx *store.Tx, contact int64) (list []direct.SessionID, err error) {
	devices, err := tx.Devices(contact)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		heads, err := tx.SessionHeads(d.Device)
		if err != nil {
			return nil, err
		}
		for _, h := range heads {
			list = append(list, direct.SessionID(h.ID))
		}
	}
	return list, nil
}

// Fetch has a contact send again what was refused while it was blocked: its lines
// are begun anew, and our relays are asked for all that they keep.
func (c *Chat) Fetch(ctx context.Context, contact int64) error {
	if err := c.HangUp(ctx, contact); err != nil {
		return err
	}
	var relays []store.Relay
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		relays, err = tx.Relays()
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range relays {
		c.startBox(r)
	}
	return nil
}

func ignoreAs(err, is, as error) error {
	if errors.Is(err, is) {
		return as
	}
	return err
}

// RemoveContact forgets a contact: the sessions with its devices, what waits for
// them, and the history.
func (c *Chat) RemoveContact(ctx context.Context, row int64) error {
	return c.update(ctx, func(t *turn) error {
		who, err := t.Contact(row)
		if err != nil {
			return ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
		}
		devices, err := t.Devices(row)
		if err != nil {
			return err
		}
		for _, d := range devices {
			heads, err := t.SessionHeads(d.Device)
			if err != nil {
				return err
			}
			for _, h := range heads {
				if err := t.keys.Erase(h.ID); err != nil {
					return err
				}
			}
			t.then(func() { c.courier(d.Device).changed() })
		}
		t.then(func() {
			c.contactEvent(who, "removed")
			c.syncBoxes()
			c.said.tell()
		})
		return t.ForgetContact(row, t.now)
	})
}
