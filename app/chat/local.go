package chat

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// Two contacts live on this computer alone: Notes, by which a person writes to
// themselves, and Echo, which answers what it is told, so that a person alone can see
// everything work. They have no device: nothing is ever queued for them, and their
// messages have no state to show.

// localAccount is the account id of a contact who lives on this computer. Nobody can have
// the key to it.
func localAccount(id string) identity.AccountID {
	return identity.AccountID(sha256.Sum256([]byte("godwit/1/local/" + id)))
}

// isLocal says whether a contact lives on this computer.
func isLocal(who store.Contact) bool { return who.Kind == store.ContactSelf }

func isEcho(who store.Contact) bool { return isLocal(who) && who.Account == localAccount(api.Echo) }

// ContactID is how the API names a contact, and the conversation with it.
func ContactID(who store.Contact) string { return accountID(who.Account) }

// accountID is how the API names a contact.
func accountID(account identity.AccountID) string {
	switch account {
	case localAccount(api.Self):
		return api.Self
	case localAccount(api.Echo):
		return api.Echo
	}
	return account.String()
}

// Kind is what a contact is, as the API says it.
func Kind(who store.Contact) string {
	switch {
	case isEcho(who):
		return api.KindEcho
	case isLocal(who):
		return api.KindSelf
	}
	return api.KindPerson
}

// Local finds the contact on this computer that has an id: api.Self is there whether or
// not something was noted yet, and then has no row; api.Echo once it was added. Any other
// name is store.ErrNotFound.
func Local(tx *store.Tx, id string) (store.Contact, error) {
	if id != api.Self && id != api.Echo {
		return store.Contact{}, store.ErrNotFound
	}
	who, err := tx.ContactByAccount(localAccount(id))
	if id == api.Self && (errors.Is(err, store.ErrNotFound) || err == nil && !who.Removed.IsZero()) {
		return store.Contact{ID: who.ID, Account: localAccount(id), Kind: store.ContactSelf, Created: who.Created}, nil
	}
	if err == nil && !who.Removed.IsZero() {
		return who, store.ErrNotFound
	}
	return who, err
}

// moveIn gives a contact on this computer its row, if it has none or was removed.
func moveIn(t *turn, id string) (store.Contact, error) {
	who, err := t.ContactByAccount(localAccount(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		who = store.Contact{Account: localAccount(id), Kind: store.ContactSelf, PinSuite: identity.Suite, Created: t.now}
		who.ID, err = t.InsertContact(who)
	case err == nil && !who.Removed.IsZero():
		who.Removed = time.Time{}
		err = t.UpdateContact(who)
	}
	return who, err
}

// present is a contact that something is about to be kept for.
func present(t *turn, to Find) (store.Contact, error) {
	who, err := to(t.Tx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return who, problem.New(problem.NoSuchContact, nil)
	case err == nil && who.Account == localAccount(api.Self):
		return moveIn(t, api.Self)
	case err == nil && !who.Removed.IsZero():
		return who, problem.New(problem.NoSuchContact, nil)
	}
	return who, err
}

// keepHere is what becomes of a message for a contact on this computer: it is there.
func (c *Chat) keepHere(t *turn, who store.Contact, message int64) error {
	if isEcho(who) {
		t.then(c.echoed.tell)
	}
	if message == 0 {
		return nil
	}
	if err := t.SetState(message, store.Delivered, ""); err != nil {
		return err
	}
	m, err := t.Message(message)
	if err != nil {
		return err
	}
	return c.countDown(t, who, m)
}

const (
	// echoThinks is how long Echo takes for an answer.
	echoThinks = 800 * time.Millisecond
	// echoAnswers is how much Echo answers at once, at most.
	echoAnswers = 100
	// EchoGreeting is what Echo says first, unless told otherwise.
	EchoGreeting = "Hello! I am Echo. I live on this computer and repeat what you write: none of it leaves here."
)

// AddEcho adds Echo, who says the greeting; empty: EchoGreeting. If it is there already
// nothing changes. Errors: problem.BadText.
func (c *Chat) AddEcho(ctx context.Context, greeting string) (v api.Conversation, err error) {
	if greeting == "" {
		greeting = EchoGreeting
	}
	body, err := content.Text{Text: greeting}.Marshal()
	if err != nil {
		return v, problem.New(problem.BadText, err)
	}
	err = c.update(ctx, func(t *turn) error {
		_, err := Local(t.Tx, api.Echo)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		who, err := moveIn(t, api.Echo)
		if err != nil {
			return err
		}
		t.then(func() { c.contactEvent(who, "added") })
		return c.echoSays(t, who, body)
	})
	if err != nil {
		return v, err
	}
	return c.Conversation(ctx, func(tx *store.Tx) (store.Contact, error) { return Local(tx, api.Echo) })
}

// echoSays keeps a text of Echo's.
func (c *Chat) echoSays(t *turn, who store.Contact, body []byte) error {
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return err
	}
	m := store.Message{
		Message: store.MessageID(content.NewID()), Conversation: conv.ID, Author: identity.DevicePublic(who.Account),
		Sent: t.now.Truncate(time.Millisecond).UTC(), At: t.now, Kind: int(content.KindText), Body: body, State: store.Received, Shown: true, Timer: conv.Timer,
	}
	if m.ID, err = t.InsertMessage(m); err != nil {
		return err
	}
	return c.tellNew(t, who, m)
}

// echo answers what Echo is told, until the context ends. What was told while nobody
// listened is answered first.
func (c *Chat) echo(ctx context.Context) {
	for {
		next := c.echoed.wait()
		waits, err := c.untold(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Error("Echo could not read what it was told", "err", err)
		}
		if !waits {
			select {
			case <-ctx.Done():
				return
			case <-next:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(echoThinks):
		}
		if err := c.update(ctx, c.echoAnswer); err != nil && ctx.Err() == nil {
			c.log.Error("Echo could not answer", "err", err)
			select { // such as a full disk: not at once again
			case <-ctx.Done():
				return
			case <-time.After(tidyEvery):
			}
		}
	}
}

// untold says whether Echo owes an answer.
func (c *Chat) untold(ctx context.Context) (waits bool, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		_, list, err := echoOwes(tx)
		waits = len(list) > 0
		return err
	})
	return waits, err
}

// echoOwes are the texts that Echo was told since it last said something.
func echoOwes(tx *store.Tx) (who store.Contact, list []store.Message, err error) {
	who, err = Local(tx, api.Echo)
	if err != nil || !who.Blocked.IsZero() {
		return who, nil, ignore(err, store.ErrNotFound)
	}
	conv, err := tx.ConversationWith(who.ID)
	if err != nil {
		return who, nil, ignore(err, store.ErrNotFound)
	}
	list, err = tx.Messages(conv.ID, 0, echoAnswers)
	last := -1
	for i, m := range list {
		if !m.Mine {
			last = i
		}
	}
	list = slices.DeleteFunc(list[last+1:], func(m store.Message) bool { return content.Kind(m.Kind) != content.KindText || !m.Deleted.IsZero() })
	return who, list, err
}

func (c *Chat) echoAnswer(t *turn) error {
	who, list, err := echoOwes(t.Tx)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := c.echoSays(t, who, m.Body); err != nil {
			return err
		}
	}
	return nil
}
