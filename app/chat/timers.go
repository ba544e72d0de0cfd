package chat

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// Messages that disappear do so on each device by itself. A conversation has one timer, which
// either side sets for both; a text carries the timer that it was written under, so
// that it disappears by that whatever order things come in. The time runs, as with Signal:
//
//	for the reader    from when the person has read it; unread, it stays
//	for the author    from when it left this device: kept at relays, or on a device of theirs
//
// What waits to be sent, sealed, stays in the outbox until a device acknowledged it or it
// expired: without that it could not be delivered.

// versionAhead is how far into the future the version of a timer is believed: what claims
// more would keep the other side from ever setting another.
const versionAhead = 24 * time.Hour

// SetTimer has the texts of a conversation that are written from now on disappear after a
// time, on both sides; 0: they stay. It waits as Send does.
// Errors: problem.BadTimer, NoSuchContact, ContactBlocked, ContactFrozen, and those of the look-up.
func (c *Chat) SetTimer(ctx context.Context, with Find, after time.Duration, want api.State, limit time.Duration) (api.Sent, error) {
	if !content.CheckTimer(after) {
		return api.Sent{}, problem.Newf(problem.BadTimer, "%s", after)
	}
	return c.queued(ctx, want, limit, func(t *turn, id content.ID) (store.Contact, error) {
		who, err := sendable(t, with)
		if err != nil {
			return who, err
		}
		conv, err := c.conversation(t.Tx, who)
		if err != nil {
			return who, err
		}
		version := max(t.now.UnixMilli(), conv.TimerVersion+1)
		body, err := content.Timer{After: after, Version: uint64(version)}.Marshal()
		if err != nil {
			return who, err
		}
		if err := t.SetTimer(conv.ID, after, version); err != nil {
			return who, err
		}
		return who, c.sayToAll(t, who, content.Context{Of: id}, content.KindTimer, body)
	})
}

// takeTimer sets the timer that another wants, unless there is a later one.
func (c *Chat) takeTimer(t *turn, _ store.Contact, m *store.Message) error {
	timer, err := content.ParseTimer(m.Body)
	if err != nil {
		c.log.Warn("passed over something malformed", "kind", content.Kind(m.Kind).String(), "err", err)
		m.Reason = string(problem.ContentUnknown)
		return t.SetState(m.ID, m.State, m.Reason)
	}
	conv, err := t.Conversation(m.Conversation)
	if err != nil {
		return err
	}
	version := min(int64(timer.Version), t.now.Add(versionAhead).UnixMilli())
	if version < conv.TimerVersion || version == conv.TimerVersion && timer.After <= conv.Timer {
		return nil
	}
	return t.SetTimer(conv.ID, timer.After, version)
}

// countDown begins the time after which a message disappears, if it does.
func (c *Chat) countDown(t *turn, who store.Contact, m store.Message) error {
	if m.Timer == 0 || m.Silent || !m.Deleted.IsZero() || !m.Vanish.IsZero() {
		return nil
	}
	m.Vanish = t.now.Add(m.Timer)
	if err := t.SetVanish(m.ID, m.Vanish); err != nil {
		return err
	}
	t.then(c.fading.tell)
	return c.tell(t, who, m, api.ChangeTimed)
}

// vanish removes the messages whose time is over.
func (c *Chat) vanish(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Message, error) { return tx.Vanishing(time.Now()) }, func(t *turn, m store.Message) error {
		m, err := t.Message(m.ID)
		if err != nil || m.Vanish.IsZero() || m.Vanish.After(t.now) {
			return ignore(err, store.ErrNotFound)
		}
		who, err := correspondent(t.Tx, m.Conversation)
		if err != nil {
			return err
		}
		return c.remove(t, who, m)
	})
}

// fade does vanish whenever a message's time is over, until the context ends.
func (c *Chat) fade(ctx context.Context) {
	for {
		more := c.fading.wait()
		var next time.Time
		err := c.store.View(ctx, func(tx *store.Tx) (err error) {
			next, err = tx.NextVanish()
			return ignore(err, store.ErrNotFound)
		})
		if err == nil && !next.IsZero() && !next.After(time.Now()) {
			if err = c.vanish(ctx); err == nil {
				continue
			}
		}
		var due <-chan time.Time // nil: nothing disappears
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, errStopped):
			c.log.Error("messages that should disappear did not", "err", err)
			due = time.After(tidyEvery) // such as a full disk: not at once again
		case !next.IsZero():
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-due:
		}
	}
}
