package store

import (
	"fmt"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// InvitationState is what became of an invitation.
type InvitationState string

// The states of invitations. Expired is not a state: see Expires.
const (
	InvitationOpen    InvitationState = "open"
	InvitationUsed    InvitationState = "used"
	InvitationRevoked InvitationState = "revoked"
)

// Invitation is an invitation that we made. Secret and Link are sealed on the
// disk.
type Invitation struct {
	ID      InvitationID
	Kind    byte // identity.Single or identity.Reusable
	Secret  [16]byte
	Link    string
	Notice  []byte // the sealed bundle, as relays hold it
	Created time.Time
	Expires time.Time
	State   InvitationState
	Contact int64     // who came by it; 0: nobody
	Noticed time.Time // when Notice was sealed

	Guest      *identity.AccountID // the only one who may come by it; nil: anybody
	Introducer int64               // row of the contact who asked for it; 0: nobody
}

const invitationColumns = "id, kind, sealed, notice, created, expires, state, contact, noticed, guest, introducer"

func (tx *Tx) scanInvitation(r row) (i Invitation, err error) {
	var sealed []byte
	if err = r.Scan(fixed(i.ID[:]), &i.Kind, &sealed, &i.Notice, stamp{&i.Created}, stamp{&i.Expires}, &i.State, nullID{&i.Contact}, stamp{&i.Noticed}, maybe32(&i.Guest), nullID{&i.Introducer}); err != nil {
		return i, err
	}
	value, err := tx.store.rows.open("invitations", i.ID[:], sealed)
	if err != nil {
		return i, err
	}
	if len(value) < len(i.Secret) {
		return i, fmt.Errorf("%w: an invitation is cut short", ErrDamaged)
	}
	i.Link = string(value[copy(i.Secret[:], value):])
	return i, nil
}

// InsertInvitation keeps an invitation.
func (tx *Tx) InsertInvitation(i Invitation) error {
	return tx.run("INSERT INTO invitations ("+invitationColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		i.ID[:], i.Kind, tx.store.rows.seal("invitations", i.ID[:], append(i.Secret[:], i.Link...)), whole(i.Notice),
		i.Created.UnixMilli(), i.Expires.UnixMilli(), string(i.State), null(i.Contact), i.Noticed.UnixMilli(), null32(i.Guest), null(i.Introducer))
}

// Invitation returns an invitation.
func (tx *Tx) Invitation(id InvitationID) (Invitation, error) {
	return one(tx, tx.scanInvitation, "SELECT "+invitationColumns+" FROM invitations WHERE id = ?", id[:])
}

// Invitations returns every invitation that is still kept, oldest first.
func (tx *Tx) Invitations() ([]Invitation, error) {
	return all(tx, tx.scanInvitation, "SELECT "+invitationColumns+" FROM invitations ORDER BY created, id")
}

// SetInvitationState notes what became of an invitation, and who came by it.
func (tx *Tx) SetInvitationState(id InvitationID, state InvitationState, contact int64) error {
	return tx.must("UPDATE invitations SET state = ?, contact = ? WHERE id = ?", string(state), null(contact), id[:])
}

// SetNotice replaces the sealed bundle of an invitation, sealed at a time.
func (tx *Tx) SetNotice(id InvitationID, notice []byte, at time.Time) error {
	return tx.must("UPDATE invitations SET notice = ?, noticed = ? WHERE id = ?", whole(notice), at.UnixMilli(), id[:])
}

// InvitationRelay is a relay that holds, or is to hold, an invitation.
type InvitationRelay struct {
	Invitation InvitationID
	Relay      PeerID
	Posted     time.Time // zero: still to be posted
	Closed     time.Time // zero: still open there
}

// PutInvitationRelay keeps what was done at a relay, in place of what was known.
func (tx *Tx) PutInvitationRelay(i InvitationRelay) error {
	return tx.run(`INSERT INTO invitation_relays (invitation, relay, posted, closed) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET posted = excluded.posted, closed = excluded.closed`,
		i.Invitation[:], []byte(i.Relay), ms(i.Posted), ms(i.Closed))
}

// InvitationRelays returns the relays of an invitation.
func (tx *Tx) InvitationRelays(id InvitationID) ([]InvitationRelay, error) {
	return all(tx, func(r row) (i InvitationRelay, err error) {
		i.Invitation = id
		err = r.Scan(peerID{&i.Relay}, stamp{&i.Posted}, stamp{&i.Closed})
		return i, err
	}, "SELECT relay, posted, closed FROM invitation_relays WHERE invitation = ? ORDER BY relay", id[:])
}
