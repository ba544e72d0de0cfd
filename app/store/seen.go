package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// SetAsideMax is how many ratchet messages that could not be opened are kept,
// the newest ones.
const SetAsideMax = 1000

// Seen is a ratchet message that was opened.
type Seen struct {
	Hash    Hash
	Message *MessageID // what was in it; nil: nothing said
	At      time.Time
	Expires time.Time
}

// PutSeen notes that a ratchet message was opened. ErrExists: it was before.
func (tx *Tx) PutSeen(s Seen) error {
	var message any
	if s.Message != nil {
		message = s.Message[:]
	}
	return tx.run("INSERT INTO seen (hash, message, at, expires) VALUES (?, ?, ?, ?)", s.Hash[:], message, s.At.UnixMilli(), s.Expires.UnixMilli())
}

// NameSeen notes what was said in a ratchet message that PutSeen noted.
func (tx *Tx) NameSeen(h Hash, message MessageID) error {
	return tx.must("UPDATE seen SET message = ? WHERE hash = ?", message[:], h[:])
}

// Seen returns what is known of a ratchet message, or ErrNotFound if it was not
// opened in the last 45 days.
func (tx *Tx) Seen(h Hash) (Seen, error) {
	return one(tx, func(r row) (s Seen, err error) {
		var message []byte
		s.Hash = h
		if err = r.Scan(&message, stamp{&s.At}, stamp{&s.Expires}); err != nil || message == nil {
			return s, err
		}
		s.Message = new(MessageID)
		return s, fixed(s.Message[:]).Scan(message)
	}, "SELECT message, at, expires FROM seen WHERE hash = ?", h[:])
}

// Aside is a ratchet message that could not be opened.
type Aside struct {
	ID      int64
	Hash    Hash
	Device  *identity.DevicePublic // from whom, as far as known
	Session *SessionID
	Relay   PeerID // empty: came direct
	Wire    []byte
	Reason  string // problem code
	At      time.Time
}

const asideColumns = "id, hash, device, session, relay, wire, reason, at"

func scanAside(r row) (a Aside, err error) {
	err = r.Scan(&a.ID, fixed(a.Hash[:]), maybe32(&a.Device), maybe32(&a.Session), peerID{&a.Relay}, &a.Wire, &a.Reason, stamp{&a.At})
	return a, err
}

// SetAside keeps a ratchet message that could not be opened, and drops the
// oldest ones beyond SetAsideMax. Doing it again changes nothing.
func (tx *Tx) SetAside(a Aside) error {
	err := tx.run("INSERT INTO set_aside (hash, device, session, relay, wire, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
		a.Hash[:], null32(a.Device), null32(a.Session), peer(a.Relay), whole(a.Wire), a.Reason, a.At.UnixMilli())
	if err != nil {
		return err
	}
	return tx.run("DELETE FROM set_aside WHERE id <= (SELECT id FROM set_aside ORDER BY id DESC LIMIT 1 OFFSET ?)", SetAsideMax)
}

// IsAside tells whether a ratchet message was set aside.
func (tx *Tx) IsAside(h Hash) (bool, error) {
	n, err := one(tx, integer, "SELECT count(*) FROM set_aside WHERE hash = ?", h[:])
	return n > 0, err
}

// Asides returns up to limit ratchet messages that were set aside, newest first.
func (tx *Tx) Asides(limit int) ([]Aside, error) {
	return all(tx, scanAside, "SELECT "+asideColumns+" FROM set_aside ORDER BY id DESC LIMIT ?", limit)
}

// AsidesOf returns the ratchet messages of a device that were set aside, oldest
// first.
func (tx *Tx) AsidesOf(device identity.DevicePublic) ([]Aside, error) {
	return all(tx, scanAside, "SELECT "+asideColumns+" FROM set_aside WHERE device = ? ORDER BY id", device[:])
}

// DeleteAside forgets a ratchet message that was set aside.
func (tx *Tx) DeleteAside(h Hash) error { return tx.run("DELETE FROM set_aside WHERE hash = ?", h[:]) }
