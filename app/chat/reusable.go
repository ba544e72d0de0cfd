package chat

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// The lifetime of a reusable address.
const (
	DefaultAddress = 365 * 24 * time.Hour
	MaxAddress     = 5 * 365 * 24 * time.Hour
)

// noticeFor is how long the notice of a reusable address is good, as long as a relay keeps it;
// it is renewed with the prekeys that it offers, each prekeysFor. Retired prekeys live
// MaxLifetime + store.PrekeysFor, so they outlive it and what was left by it.
const noticeFor = MaxLifetime

// renewAddresses renews the notices of reusable addresses, and has relays that came later
// keep them too.
func (c *Chat) renewAddresses(ctx context.Context) error {
	return forEach(ctx, c, openAddresses, c.renewAddress)
}

// openAddresses are the reusable addresses that strangers may write by.
func openAddresses(tx *store.Tx) ([]store.Invitation, error) {
	all, err := tx.Invitations()
	return slices.DeleteFunc(all, func(inv store.Invitation) bool {
		return inv.Kind != identity.Reusable || inv.State != store.InvitationOpen || !time.Now().Before(inv.Expires)
	}), err
}

func (c *Chat) renewAddress(t *turn, inv store.Invitation) error {
	inv, err := t.Invitation(inv.ID)
	if err != nil || inv.State != store.InvitationOpen {
		return err
	}
	known, err := identity.ParseLink(inv.Link)
	if err != nil {
		return fmt.Errorf("invitation: %w", store.ErrDamaged)
	}
	at, err := t.InvitationRelays(inv.ID)
	if err != nil {
		return err
	}
	relays, err := t.UsualRelays()
	if err != nil {
		return err
	}
	for _, r := range relays {
		if r.Removed.IsZero() && !slices.ContainsFunc(at, func(have store.InvitationRelay) bool { return have.Relay == r.Peer }) {
			if err := inviteAt(t, inv.ID, known, r.Peer); err != nil {
				return err
			}
			t.then(c.syncBoxes)
		}
	}
	hints, err := c.hints(t.Tx, inv.Kind)
	if err != nil {
		return err
	}
	stale, err := isStale(t, inv, hints)
	if err != nil || !stale || len(hints) == 0 {
		return err
	}
	bundle, err := c.bundle(t, inv, hints)
	if err != nil {
		return err
	}
	notice, err := known.SealNotice(bundle.Raw)
	if err != nil {
		return err
	}
	if err := t.InsertBundle(bundle); err != nil {
		return err
	}
	t.then(c.syncBoxes)
	return t.SetNotice(inv.ID, notice, t.now)
}

// isStale says whether the notice of an address offers prekeys of before the present ones, or
// relays that are not those in use. That this device listens elsewhere is no
// reason: it does so at each start, and the notice is then renewed when it is due.
func isStale(t *turn, inv store.Invitation, hints []identity.Hint) (bool, error) {
	if age := t.now.Sub(inv.Noticed); age >= prekeysFor || age < 0 {
		return true, nil
	}
	bundles, err := t.BundlesOf(inv.ID)
	if err != nil {
		return false, err
	}
	set, err := t.NewestPrekeySet()
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(bundles, func(b store.Bundle) bool { return b.PrekeySet == set.ID })
	if i < 0 {
		return true, nil
	}
	offered, err := identity.ParseBundle(newest(bundles).Raw)
	if err != nil {
		return false, fmt.Errorf("own bundle: %w: %w", store.ErrDamaged, err)
	}
	relay := func(h identity.Hint) bool { return h.Kind == identity.HintRelay }
	same := func(a, b identity.Hint) bool {
		return bytes.Equal(a.Peer, b.Peer) && slices.EqualFunc(a.Addrs, b.Addrs, bytes.Equal)
	}
	return !slices.EqualFunc(only(offered.Relays, relay), only(hints, relay), same), nil
}

// newest is the bundle of an address that lives longest: there is one at least.
func newest(bundles []store.Bundle) store.Bundle {
	return slices.MaxFunc(bundles, func(a, b store.Bundle) int { return a.Expires.Compare(b.Expires) })
}

func only[T any](list []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return !keep(x) })
}
