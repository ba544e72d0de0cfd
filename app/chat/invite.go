package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// The lifetime of invitations.
const (
	DefaultLifetime = 7 * 24 * time.Hour // of a single-use one
	MinLifetime     = time.Minute
	MaxLifetime     = 30 * 24 * time.Hour
)

// Lifetimes are how long an invitation of a kind lives unless its maker says else, and at
// most.
func Lifetimes(kind byte) (usual, longest time.Duration) {
	if kind == identity.Reusable {
		return DefaultAddress, MaxAddress
	}
	return DefaultLifetime, MaxLifetime
}

// Invite makes an invitation: a single-use one, or an address for any number of people, who
// then ask to be contacts. It returns when the invitation is durable
// here and at those of our relays that answered in time. lifetime 0 is the usual one.
// Errors: problem.InvitationLifetime, NoWayIn, TooManyInvitations.
func (c *Chat) Invite(ctx context.Context, kind byte, lifetime time.Duration) (store.InvitationID, error) {
	if err := c.inUse(); err != nil {
		return store.InvitationID{}, err
	}
	usual, longest := Lifetimes(kind)
	if lifetime == 0 {
		lifetime = usual
	}
	if lifetime < MinLifetime || lifetime > longest {
		return store.InvitationID{}, problem.Newf(problem.InvitationLifetime, "%s", lifetime)
	}
	return c.inviteGuest(ctx, kind, lifetime, guest{})
}

// guest is for whom alone an invitation is, and who asked for it; the zero value is
// anybody, and nobody.
type guest struct {
	account    *identity.AccountID
	introducer int64
}

// inviteGuest is Invite for a guest.
func (c *Chat) inviteGuest(ctx context.Context, kind byte, lifetime time.Duration, g guest) (id store.InvitationID, err error) {
	var relays int
	err = c.update(ctx, func(t *turn) (err error) {
		id, relays, err = c.invite(t, kind, lifetime, g)
		return err
	})
	if err != nil || relays == 0 {
		return id, err
	}
	c.syncBoxes()
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	_, err = c.await(ctx, func(tx *store.Tx) (bool, error) {
		at, err := tx.InvitationRelays(id)
		for _, r := range at {
			if r.Posted.IsZero() {
				return false, err
			}
		}
		return true, err
	})
	return id, err
}

func (c *Chat) invite(t *turn, kind byte, lifetime time.Duration, g guest) (id store.InvitationID, relays int, err error) {
	hints, err := c.hints(t.Tx, kind)
	if err != nil {
		return id, 0, err
	}
	if len(hints) == 0 {
		return id, 0, problem.New(problem.NoWayIn, nil)
	}
	if err := roomToInvite(t); err != nil {
		return id, 0, err
	}
	known := identity.NewInvitation(kind, c.self(), inLink(hints))
	noticeID := known.NoticeID()
	inv := store.Invitation{ID: store.InvitationID(noticeID[:8]), Kind: kind, Secret: known.Secret, Link: known.Link(),
		Created: t.now, Noticed: t.now, Expires: t.now.Add(lifetime).Truncate(time.Second), State: store.InvitationOpen,
		Guest: g.account, Introducer: g.introducer}
	bundle, err := c.bundle(t, inv, hints)
	if err != nil {
		return id, 0, err
	}
	if inv.Notice, err = known.SealNotice(bundle.Raw); err != nil {
		return id, 0, err
	}
	if err := t.InsertInvitation(inv); err != nil {
		return id, 0, err
	}
	if err := t.InsertBundle(bundle); err != nil {
		return id, 0, err
	}
	for _, h := range hints {
		if h.Kind != identity.HintRelay {
			continue
		}
		relays++
		if err := inviteAt(t, inv.ID, known, store.PeerID(h.Peer)); err != nil {
			return id, 0, err
		}
	}
	return inv.ID, relays, nil
}

// bundle is what the notice of an invitation offers from now on.
func (c *Chat) bundle(t *turn, inv store.Invitation, hints []identity.Hint) (b store.Bundle, err error) {
	set, keys, err := currentPrekeys(t)
	if err != nil {
		return b, err
	}
	b = store.Bundle{PrekeySet: set, Invitation: &inv.ID, Expires: inv.Expires}
	offer := &identity.Bundle{
		Suite: identity.Suite, Chain: c.chain, Device: c.me, Agreement: c.agreement.Public(), Signed: keys.signed.Public(),
		KEM:   identity.KEMPrekey{ID: uint32(set), Public: keys.kem.EncapsulationKey().Bytes(), LastResort: true},
		Intro: keys.intro.PublicKey().Bytes(), Relays: hints,
	}
	if inv.Kind == identity.Single {
		oneTime := identity.GeneratePrekey()
		public, private := oneTime.Public(), oneTime.Bytes()
		offer.OneTime, b.OneTime = &public, &private
	} else if last := t.now.Add(noticeFor).Truncate(time.Second); last.Before(b.Expires) {
		b.Expires = last
	}
	offer.Expiry = b.Expires
	b.Raw, err = offer.Sign(c.device)
	b.ID = store.BundleID(offer.ID())
	return b, err
}

// inviteAt has a relay given an invitation's queue and notice.
func inviteAt(t *turn, id store.InvitationID, known identity.Invitation, relay store.PeerID) error {
	key, err := mailbox.NewWriteKey(peer.ID(relay), mailbox.CatchAll, known.WriteKey([]byte(relay)))
	if err != nil {
		return err
	}
	row, err := t.InsertOwnQueue(store.OwnQueue{Invitation: &id, Relay: relay, N: 1})
	if err != nil {
		return err
	}
	if err := t.PutQueueID(store.QueueID(key.QID()), row, mailbox.CatchAll); err != nil {
		return err
	}
	return t.PutInvitationRelay(store.InvitationRelay{Invitation: id, Relay: relay})
}

// roomToInvite says whether there may be one more open invitation: a relay keeps the
// notices of so many, and would refuse the next.
func roomToInvite(t *turn) error {
	all, err := t.Invitations()
	if err != nil {
		return err
	}
	open := 0
	for _, inv := range all {
		if inv.State == store.InvitationOpen && t.now.Before(inv.Expires) {
			open++
		}
	}
	if open >= mailbox.MaxNotices {
		return problem.New(problem.TooManyInvitations, nil)
	}
	return nil
}

// hints say where who is invited finds us: our relays, with the others that lead there, and in the places left
// over this device itself. A reusable address, which anybody may read, names the device only if
// nothing else leads to us.
func (c *Chat) hints(tx *store.Tx, kind byte) ([]identity.Hint, error) {
	relays, err := tx.UsualRelays()
	if err != nil {
		return nil, err
	}
	// Those that fail come last, and may find no place.
	slices.SortStableFunc(relays, func(a, b store.Relay) int {
		return cmp.Compare(len(c.choice.failing(a.Peer)), len(c.choice.failing(b.Peer)))
	})
	var hints []identity.Hint
	for _, r := range relays {
		if r.Removed.IsZero() && len(hints) < identity.MaxHints {
			hints = append(hints, hint(identity.HintRelay, []byte(r.Peer), withRoutes(r.Addrs, r.Routes)))
		}
	}
	if kind == identity.Reusable && len(hints) > 0 {
		return hints, nil
	}
	if own := c.presence(); !c.brief && len(own.Addrs) > 0 && len(hints) < identity.MaxHints {
		hints = append(hints, hint(identity.HintDevice, own.Peer, own.Addrs))
	}
	return hints, nil
}

// hint keeps to the bounds of a hint: what it leaves out would not fit a link.
func hint(kind byte, peer []byte, addrs [][]byte) identity.Hint {
	h := identity.Hint{Kind: kind, Peer: peer}
	for _, a := range addrs {
		if len(a) <= identity.MaxAddrSize && len(h.Addrs) < identity.MaxAddrs {
			h.Addrs = append(h.Addrs, a)
		}
	}
	return h
}

// openNotice is the notice of an invitation that is still good.
func openNotice(tx *store.Tx, id [32]byte) ([]byte, error) {
	inv, err := tx.Invitation(store.InvitationID(id[:8]))
	if err != nil {
		return nil, err
	}
	known, err := identity.ParseLink(inv.Link)
	if err != nil || known.NoticeID() != id {
		return nil, errors.Join(err, store.ErrNotFound)
	}
	if inv.State != store.InvitationOpen || time.Now().After(inv.Expires) {
		return nil, errUsed
	}
	return inv.Notice, nil
}

// Revoke ends an open invitation. Errors: problem.NoSuchInvitation, InvitationGone.
func (c *Chat) Revoke(ctx context.Context, id store.InvitationID) error {
	return c.update(ctx, func(t *turn) error {
		t.then(func() {
			c.syncBoxes()
			c.doors.tell()
		})
		inv, err := t.Invitation(id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return problem.New(problem.NoSuchInvitation, nil)
		case err != nil:
			return err
		case inv.State != store.InvitationOpen:
			return problem.Newf(problem.InvitationSpent, "it is %s", inv.State)
		}
		return t.SetInvitationState(id, store.InvitationRevoked, 0)
	})
}
