package store

import (
	"errors"
	"testing"
	"time"
)

func TestInvitations(t *testing.T) {
	s := openNew(t)
	bob, _ := withBob(t, s)
	want := Invitation{ID: InvitationID{1, 2}, Kind: 1, Secret: [16]byte{3}, Link: "godwit:i#abc", Notice: []byte("sealed"),
		Created: day0(), Noticed: day0(), Expires: day0().Add(168 * time.Hour), State: InvitationOpen}
	update(t, s, func(tx *Tx) error {
		if err := tx.InsertInvitation(want); err != nil {
			return err
		}
		is(t, "twice", tx.InsertInvitation(want), ErrExists)
		r := InvitationRelay{Invitation: want.ID, Relay: "relay-1"}
		if err := tx.PutInvitationRelay(r); err != nil {
			return err
		}
		r.Posted = day0()
		if err := tx.PutInvitationRelay(r); err != nil {
			return err
		}
		relays, err := tx.InvitationRelays(want.ID)
		same(t, "relays", relays, []InvitationRelay{r})
		return errors.Join(err, tx.SetInvitationState(want.ID, InvitationUsed, bob), tx.SetNotice(want.ID, []byte("anew"), day0().Add(time.Hour)))
	})
	want.State, want.Contact, want.Notice, want.Noticed = InvitationUsed, bob, []byte("anew"), day0().Add(time.Hour)
	same(t, "invitation", get(t, s, func(tx *Tx) (Invitation, error) { return tx.Invitation(want.ID) }), want)
	same(t, "invitations", get(t, s, (*Tx).Invitations), []Invitation{want})
	update(t, s, func(tx *Tx) error {
		is(t, "no such invitation", tx.SetInvitationState(InvitationID{9}, InvitationRevoked, 0), ErrNotFound)
		return nil
	})
}
