package store

import (
	"errors"
	"testing"
	"time"
)

// What is over is forgotten after its time, and nothing before.
func TestWhatIsOverIsForgotten(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	inv := Invitation{ID: InvitationID{7}, Kind: 1, Created: day0(), Expires: day0().Add(time.Hour), State: InvitationOpen}
	var said1 int64
	update(t, s, func(tx *Tx) (err error) {
		set, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("keys"), Created: day0()})
		if err != nil {
			return err
		}
		if err := tx.InsertInvitation(inv); err != nil {
			return err
		}
		if _, err := tx.InsertOwnQueue(OwnQueue{Invitation: &inv.ID, Relay: "relay", N: 1}); err != nil {
			return err
		}
		m := said(conv, 1)
		m.Mine, m.State = true, Delivered
		if said1, err = tx.InsertMessage(m); err != nil {
			return err
		}
		return errors.Join(
			tx.InsertBundle(Bundle{ID: BundleID{1}, PrekeySet: set, Raw: []byte("bundle"), Invitation: &inv.ID, Expires: inv.Expires}),
			tx.PutInvitationRelay(InvitationRelay{Invitation: inv.ID, Relay: "relay"}),
			tx.AddEvidence(Evidence{Message: said1, Device: bobsPhone, At: day0(), Path: PathDirect, What: WhatAck}))
	})
	for _, step := range []struct {
		at                   time.Duration
		invitation, evidence int
	}{
		{time.Hour, 1, 1},
		{InvitationsFor, 1, 1},
		{InvitationsFor + time.Hour, 0, 1},
		{EvidenceFor - time.Second, 0, 1},
		{EvidenceFor, 0, 0},
	} {
		if err := s.Maintain(t.Context(), day0().Add(step.at)); err != nil {
			t.Fatal(err)
		}
		same(t, "invitations after "+step.at.String(), len(get(t, s, (*Tx).Invitations)), step.invitation)
		same(t, "queues after "+step.at.String(), len(get(t, s, func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesOf(inv.ID) })), step.invitation)
		same(t, "evidence after "+step.at.String(), len(get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(said1) })), step.evidence)
	}
}
