package store

import (
	"fmt"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// SessionHead is what there is to know of a session without its secrets.
type SessionHead struct {
	ID         SessionID
	Device     identity.DevicePublic // the other side's
	Initiator  bool                  // we began it
	Generation uint32                // above that of any session that its initiator knew
	Transcript [64]byte
	Flights    int       // sent so far
	Confirmed  time.Time // when something was first opened on it; zero: not yet
	Preferred  bool      // we send on it
	Created    time.Time
	Used       time.Time
	Retired    time.Time // since when it is not preferred
}

// Session is a ratchet session with a device. State and Auth are sealed on the
// disk, bound to the id.
type Session struct {
	SessionHead
	Offer   []byte // what our flights repeat until the first reply; nil afterwards and as responder
	Intro   []byte // where and how those flights go, as its owner encodes it
	Auth    [32]byte
	State   []byte // ratchet.Session, encoded
	Version int64  // counts saves, see SaveSession
}

const (
	headColumns    = "id, device, initiator, generation, transcript, flights, confirmed, preferred, created, used, retired"
	sessionColumns = headColumns + ", offer, intro, sealed, version"
)

func (s *SessionHead) dest() []any {
	return []any{fixed(s.ID[:]), fixed(s.Device[:]), &s.Initiator, &s.Generation, fixed(s.Transcript[:]), &s.Flights,
		stamp{&s.Confirmed}, &s.Preferred, stamp{&s.Created}, stamp{&s.Used}, stamp{&s.Retired}}
}

func scanHead(r row) (s SessionHead, err error) {
	err = r.Scan(s.dest()...)
	return s, err
}

func (tx *Tx) scanSession(r row) (s Session, err error) {
	var sealed []byte
	if err = r.Scan(append(s.dest(), &s.Offer, &s.Intro, &sealed, &s.Version)...); err != nil {
		return s, err
	}
	value, err := tx.store.rows.open("sessions", s.ID[:], sealed)
	if err != nil {
		return s, err
	}
	if len(value) < len(s.Auth) {
		return s, fmt.Errorf("%w: a session is cut short", ErrDamaged)
	}
	s.State = value[copy(s.Auth[:], value):]
	return s, nil
}

func (tx *Tx) sealSession(id SessionID, auth [32]byte, state []byte) []byte {
	return tx.store.rows.seal("sessions", id[:], append(auth[:], state...))
}

// InsertSession adds a session, whose version becomes 1. It is not preferred
// until PreferSession; Retired counts from Created until then. ErrExists: there
// is a session of this id.
func (tx *Tx) InsertSession(s Session) error {
	return tx.run("INSERT INTO sessions ("+sessionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 1)",
		s.ID[:], s.Device[:], s.Initiator, s.Generation, s.Transcript[:], s.Flights, ms(s.Confirmed), s.Created.UnixMilli(), s.Used.UnixMilli(), s.Created.UnixMilli(),
		blob(s.Offer), blob(s.Intro), tx.sealSession(s.ID, s.Auth, s.State))
}

// SaveSession keeps a new state of a session on top of the given version, which
// then counts one more. ErrStale: the row has another version, so this state
// does not follow from it and must not be used.
func (tx *Tx) SaveSession(id SessionID, version int64, auth [32]byte, state []byte, used time.Time) error {
	n, err := tx.count("UPDATE sessions SET sealed = ?, version = version + 1, used = ? WHERE id = ? AND version = ?",
		tx.sealSession(id, auth, state), used.UnixMilli(), id[:], version)
	if err == nil && n == 0 {
		return fmt.Errorf("store: session: %w", ErrStale)
	}
	return err
}

// Session returns a session.
func (tx *Tx) Session(id SessionID) (Session, error) {
	return one(tx, tx.scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE id = ?", id[:])
}

// SessionHeads returns the sessions with a device, the preferred one first and
// then the newest.
func (tx *Tx) SessionHeads(device identity.DevicePublic) ([]SessionHead, error) {
	return all(tx, scanHead, "SELECT "+headColumns+" FROM sessions WHERE device = ? ORDER BY preferred DESC, created DESC, id", device[:])
}

// AllSessions returns every session.
func (tx *Tx) AllSessions() ([]Session, error) {
	return all(tx, tx.scanSession, "SELECT "+sessionColumns+" FROM sessions ORDER BY device, id")
}

// PreferSession makes this the one session that we send on to its device; the
// one that was is retired now.
func (tx *Tx) PreferSession(id SessionID, now time.Time) error {
	err := tx.run("UPDATE sessions SET preferred = 0, retired = ? WHERE preferred = 1 AND device = (SELECT device FROM sessions WHERE id = ?) AND id <> ?",
		now.UnixMilli(), id[:], id[:])
	if err != nil {
		return err
	}
	return tx.must("UPDATE sessions SET preferred = 1, retired = NULL WHERE id = ?", id[:])
}

// ConfirmSession notes when something was first opened on a session; flights
// and what they need end with it. Later calls change nothing.
func (tx *Tx) ConfirmSession(id SessionID, at time.Time) error {
	return tx.run("UPDATE sessions SET confirmed = ?, offer = NULL, intro = NULL WHERE id = ? AND confirmed IS NULL", at.UnixMilli(), id[:])
}

// SetIntro keeps where and how a session's flights go.
func (tx *Tx) SetIntro(id SessionID, intro []byte) error {
	return tx.must("UPDATE sessions SET intro = ? WHERE id = ?", blob(intro), id[:])
}

// CountFlight notes that another flight was sent and returns how many there are.
func (tx *Tx) CountFlight(id SessionID) (int, error) {
	n, err := one(tx, integer, "UPDATE sessions SET flights = flights + 1 WHERE id = ? RETURNING flights", id[:])
	return int(n), err
}

// DeleteSession erases a session.
func (tx *Tx) DeleteSession(id SessionID) error {
	return tx.run("DELETE FROM sessions WHERE id = ?", id[:])
}

// RetiredSessions returns the ids of sessions that have not been preferred since
// before a time.
func (tx *Tx) RetiredSessions(before time.Time) ([]SessionID, error) {
	return all(tx, func(r row) (id SessionID, err error) {
		err = r.Scan(fixed(id[:]))
		return id, err
	}, "SELECT id FROM sessions WHERE retired < ?", before.UnixMilli())
}
