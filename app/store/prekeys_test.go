package store

import (
	"errors"
	"testing"
	"time"
)

func TestPrekeysAreUsedOnceAndOutliveTheirBundles(t *testing.T) {
	s := openNew(t)
	secret := [32]byte{0x11}
	var set int64
	bundle := Bundle{ID: BundleID{1}, OneTime: &secret, Raw: []byte("bundle"), Invitation: &InvitationID{2}, Expires: day0().Add(7 * 24 * time.Hour)}
	plain := Bundle{ID: BundleID{3}, Raw: []byte("without"), Expires: day0()}
	update(t, s, func(tx *Tx) (err error) {
		_, err = tx.NewestPrekeySet()
		is(t, "no prekeys yet", err, ErrNotFound)
		if set, err = tx.InsertPrekeySet(PrekeySet{Secrets: []byte("first"), Created: day0()}); err != nil {
			return err
		}
		if _, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("second"), Created: day0().Add(time.Hour)}); err != nil {
			return err
		}
		bundle.PrekeySet, plain.PrekeySet = set, set
		if err := tx.InsertInvitation(Invitation{ID: InvitationID{2}, Kind: 1, Created: day0(), Expires: bundle.Expires, State: InvitationOpen}); err != nil {
			return err
		}
		return errors.Join(tx.InsertBundle(bundle), tx.InsertBundle(plain))
	})
	update(t, s, func(tx *Tx) error {
		newest, err := tx.NewestPrekeySet()
		same(t, "newest", string(newest.Secrets), "second")
		if err != nil {
			return err
		}
		sets, err := tx.PrekeySets()
		same(t, "sets", len(sets), 2)
		if err != nil {
			return err
		}
		got, err := tx.PrekeySet(set)
		same(t, "set", got, PrekeySet{ID: set, Secrets: []byte("first"), Created: day0()})
		if err != nil {
			return err
		}
		for _, want := range []Bundle{bundle, plain} {
			got, err := tx.Bundle(want.ID)
			same(t, "bundle", got, want)
			if err != nil {
				return err
			}
		}
		of, err := tx.BundlesOf(InvitationID{2})
		same(t, "bundles of the invitation", of, []Bundle{bundle})
		if err != nil {
			return err
		}

		// Carol uses the one-time key, and her repeated flight is welcome;
		// Mallory is refused.
		carol, mallory := SessionID{0xca}, SessionID{0x3a}
		if err := errors.Join(tx.ConsumeBundle(bundle.ID, carol), tx.ConsumeBundle(bundle.ID, carol)); err != nil {
			return err
		}
		is(t, "the key used twice", tx.ConsumeBundle(bundle.ID, mallory), ErrExists)
		is(t, "no such bundle", tx.ConsumeBundle(BundleID{99}, mallory), ErrNotFound)
		got2, err := tx.Bundle(bundle.ID)
		same(t, "consumed", got2.OneTime == nil && *got2.ConsumedBy == carol, true)
		return errors.Join(err, tx.RetirePrekeySet(set, bundle.Expires.Add(PrekeysFor)))
	})

	// The set dies with the last bundle that named it, 32 days after that.
	for _, step := range []struct {
		at      time.Duration
		bundles bool
	}{{0, true}, {38 * 24 * time.Hour, true}, {39 * 24 * time.Hour, false}} {
		if err := s.Maintain(t.Context(), day0().Add(step.at)); err != nil {
			t.Fatal(err)
		}
		view(t, s, func(tx *Tx) error {
			_, err := tx.Bundle(bundle.ID)
			_, errSet := tx.PrekeySet(set)
			same(t, "bundle after "+step.at.String(), err == nil, step.bundles)
			same(t, "set after "+step.at.String(), errSet == nil, step.bundles)
			return nil
		})
	}
}
