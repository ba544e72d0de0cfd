package chat

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// Two contacts of a person's get to know each other through them, in three steps that are lines
// of conversations. Anna introduces Ben and Carol:
//
//	ask    Anna to Ben    may Carol write to you?
//	agree  Ben to Anna    Ben says yes: his device makes a single-use invitation, for Carol's
//	                      account alone
//	meet   Anna to Carol  Anna's device passes the link on, and Carol accepts it or not
//
// So nobody learns how to reach anybody who has not agreed. Who the other is both have from
// Anna: she could put herself between them, which comparing safety numbers shows. The new contact is
// said to be introduced by her, and is not verified.

// Introduce asks a contact whether another one may write to them. It waits as Send does, for
// the question. Errors, of either contact: problem.NoSuchContact, ContactBlocked, ContactFrozen;
// and CannotIntroduce.
func (c *Chat) Introduce(ctx context.Context, contact, to Find, want api.State, limit time.Duration) (api.Sent, error) {
	return c.queued(ctx, want, limit, func(t *turn, id content.ID) (store.Contact, error) {
		first, err := sendable(t, contact)
		if err != nil {
			return first, err
		}
		second, err := sendable(t, to)
		if err != nil {
			return first, err
		}
		if isLocal(first) || isLocal(second) || first.ID == second.ID {
			return first, problem.New(problem.CannotIntroduce, nil)
		}
		m := store.Meeting{ID: store.MessageID(content.NewID()), First: first.ID, Second: second.ID, At: t.now}
		if err := t.InsertMeeting(m); err != nil {
			return first, err
		}
		return first, c.sayStep(t, first, id, content.Introduction{Step: content.StepAsk, ID: content.ID(m.ID), Account: second.Account, Name: claimedName(second)})
	})
}

// claimedName is what somebody calls themselves: what we call them is nobody's business.
func claimedName(who store.Contact) string {
	if who.Name != "" && CheckName(who.Name) == nil {
		return who.Name
	}
	return DisplayName(who)
}

// sayStep queues a step of an introduction.
func (c *Chat) sayStep(t *turn, who store.Contact, id content.ID, step content.Introduction) error {
	body, err := step.Marshal()
	if err != nil {
		return err
	}
	return c.sayToAll(t, who, content.Context{Of: id}, content.KindIntroduction, body)
}

// AcceptIntroduction says yes to an introduction, by the id of the line that tells of it: who is
// asked has an invitation made for the other person, and who is shown one accepts it, as
// Accept does. It returns which step that was. petname may be empty. Errors: problem.NoSuchMessage, WrongKind, AlreadyContact, those
// of Invite and those of Accept.
func (c *Chat) AcceptIntroduction(ctx context.Context, id, petname string) (met Met, step content.Introduction, err error) {
	if err := c.inUse(); err != nil {
		return met, step, err
	}
	var by store.Contact
	err = c.store.View(ctx, func(tx *store.Tx) error {
		m, err := message(tx, id)
		if err != nil {
			return err
		}
		if content.Kind(m.Kind) != content.KindIntroduction || m.Mine || !m.Deleted.IsZero() {
			return problem.New(problem.WrongKind, nil)
		}
		if step, err = content.ParseIntroduction(m.Body); err != nil || step.Step == content.StepAgree {
			return problem.New(problem.WrongKind, err)
		}
		if by, err = correspondent(tx, m.Conversation); err != nil {
			return err
		}
		return c.meets(tx, step.Account)
	})
	if err != nil {
		return met, step, err
	}
	if step.Step == content.StepAsk {
		return met, step, c.agree(ctx, by, step)
	}
	inv, err := identity.ParseLink(step.Link)
	if err != nil || inv.Account != step.Account {
		return met, step, problem.New(problem.InvitationForged, err)
	}
	if met, err = c.Accept(ctx, step.Link, petname, ""); err != nil {
		return met, step, err
	}
	return met, step, c.update(context.WithoutCancel(ctx), func(t *turn) error { return t.SetIntroducer(met.Contact, by.ID) })
}

// meets says whether an account can be met. Errors: problem.AlreadyContact.
func (c *Chat) meets(tx *store.Tx, account identity.AccountID) error {
	who, err := tx.ContactByAccount(account)
	if account == c.self() || err == nil && who.Removed.IsZero() && who.Kind != store.ContactRequest {
		return problem.New(problem.AlreadyContact, nil)
	}
	return ignore(err, store.ErrNotFound)
}

// agree gives who introduces us the link of an invitation for the other person: the one that
// was made before, if it is still open.
func (c *Chat) agree(ctx context.Context, by store.Contact, step content.Introduction) error {
	var open *store.Invitation
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		open, err = invitationFor(tx, step.Account, by.ID)
		return err
	})
	if err != nil {
		return err
	}
	if open == nil {
		id, err := c.inviteGuest(ctx, identity.Single, MaxLifetime, guest{&step.Account, by.ID})
		if err != nil {
			return err
		}
		err = c.store.View(ctx, func(tx *store.Tx) error {
			inv, err := tx.Invitation(id)
			open = &inv
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = c.queued(ctx, "", 0, func(t *turn, id content.ID) (store.Contact, error) {
		who, err := sendable(t, byRow(by.ID))
		if err != nil {
			return who, err
		}
		return who, c.sayStep(t, who, id, content.Introduction{Step: content.StepAgree, ID: step.ID, Account: step.Account, Link: open.Link})
	})
	return err
}

// invitationFor is the open invitation that was made for an account because somebody introduces
// it; nil if there is none.
func invitationFor(tx *store.Tx, guest identity.AccountID, introducer int64) (open *store.Invitation, err error) {
	all, err := tx.Invitations()
	for _, inv := range all {
		if inv.Guest != nil && *inv.Guest == guest && inv.Introducer == introducer && inv.State == store.InvitationOpen && time.Now().Before(inv.Expires) {
			open = &inv
		}
	}
	return open, err
}

// takeIntroduction passes on what the first person agreed to. Other steps are for the person.
func (c *Chat) takeIntroduction(t *turn, who store.Contact, m *store.Message) error {
	step, err := content.ParseIntroduction(m.Body)
	if err != nil {
		c.log.Warn("passed over something malformed", "kind", content.Kind(m.Kind).String(), "err", err)
		m.Reason = string(problem.ContentUnknown)
		return t.SetState(m.ID, m.State, m.Reason)
	}
	if step.Step != content.StepAgree {
		return nil
	}
	meeting, err := t.Meeting(store.MessageID(step.ID))
	if errors.Is(err, store.ErrNotFound) || err == nil && meeting.First != who.ID {
		return nil // nobody asked, or somebody else
	}
	if err != nil {
		return err
	}
	second, err := t.Contact(meeting.Second)
	if err != nil {
		return err
	}
	inv, err := identity.ParseLink(step.Link)
	if err != nil || inv.Account != who.Account || step.Account != second.Account || inv.Kind != identity.Single {
		c.log.Warn("passed over an introduction to somebody else")
		return nil
	}
	if err := t.DeleteMeeting(meeting.ID); err != nil || !served(second) || second.Frozen {
		return err
	}
	return c.sayStep(t, second, content.NewID(), content.Introduction{Step: content.StepMeet, ID: step.ID, Account: who.Account, Name: claimedName(who), Link: step.Link})
}

// introductionView is a step of an introduction as the API tells it.
func (c *Chat) introductionView(tx *store.Tx, m store.Message) (*api.Introduction, error) {
	if content.Kind(m.Kind) != content.KindIntroduction || !m.Deleted.IsZero() {
		return nil, nil
	}
	step, err := content.ParseIntroduction(m.Body)
	if err != nil {
		return nil, nil // its reason says so
	}
	v := &api.Introduction{Account: step.Account.String(), Name: step.Name}
	switch step.Step {
	case content.StepAsk:
		v.Step = api.StepAsk
	case content.StepAgree:
		v.Step = api.StepAgree
	case content.StepMeet:
		v.Step = api.StepMeet
	}
	if err := c.meets(tx, step.Account); errors.Is(err, problem.AlreadyContact) {
		v.Known = true
		return v, nil
	} else if err != nil {
		return nil, err
	}
	if step.Step == content.StepAsk && !m.Mine {
		conv, err := tx.Conversation(m.Conversation)
		if err != nil {
			return nil, err
		}
		open, err := invitationFor(tx, step.Account, conv.Contact)
		if err != nil {
			return nil, err
		}
		v.Agreed = open != nil
	}
	return v, nil
}

// byRow finds the contact of a row.
func byRow(row int64) Find {
	return func(tx *store.Tx) (store.Contact, error) { return tx.Contact(row) }
}
