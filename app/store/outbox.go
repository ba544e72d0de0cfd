package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Class says what an outbox row carries.
type Class int

// The classes. Of descriptors and presence only the newest is worth sending.
const (
	ClassMessage     Class = 1
	ClassReceipt     Class = 2
	ClassDescriptors Class = 3
	ClassPresence    Class = 4
	ClassProfile     Class = 5
	ClassRendezvous  Class = 6
)

// Outgoing is something that still has to reach a device.
type Outgoing struct {
	ID       int64 // order of sending
	Message  int64 // row id; 0: not something said
	Device   identity.DevicePublic
	Class    Class
	Item     []byte     // content that waits to be sealed
	Session  *SessionID // nil until sealed, with Wire and Hash
	Wire     []byte     // the ratchet message
	Hash     *Hash      // SHA-256(Wire)
	Flight   bool       // goes inside a flight
	Size     int        // bytes of Wire
	Created  time.Time
	Expires  time.Time // zero: never
	Attempts int
	Next     time.Time // not tried before
}

const outboxColumns = "id, message, device, class, item, session, wire, hash, flight, size, created, expires, attempts, next"

func scanOutgoing(r row) (o Outgoing, err error) {
	err = r.Scan(&o.ID, nullID{&o.Message}, fixed(o.Device[:]), &o.Class, &o.Item, maybe32(&o.Session), &o.Wire, maybe32(&o.Hash), &o.Flight, &o.Size,
		stamp{&o.Created}, stamp{&o.Expires}, &o.Attempts, stamp{&o.Next})
	return o, err
}

// Enqueue adds a row and returns its id, which no other row has while the Store is
// open: whoever has read up to an id has missed nothing. (AUTOINCREMENT would say
// so for ever, for a page more in each transaction.) A row of a class of which only
// the newest counts replaces the ones before it for the same device.
func (tx *Tx) Enqueue(o Outgoing) (int64, error) {
	if o.Class == ClassDescriptors || o.Class == ClassPresence {
		if err := tx.run("DELETE FROM outbox WHERE device = ? AND class = ? AND class IN (3, 4)", o.Device[:], int(o.Class)); err != nil {
			return 0, err
		}
	}
	id, err := tx.insert(`INSERT INTO outbox (id, message, device, class, item, session, wire, hash, flight, size, created, expires, attempts, next)
		VALUES (1 + max(?, (SELECT coalesce(max(id), 0) FROM outbox)), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		tx.store.lastOutgoing, null(o.Message), o.Device[:], int(o.Class), blob(o.Item), null32(o.Session), blob(o.Wire), null32(o.Hash), o.Flight, len(o.Wire),
		o.Created.UnixMilli(), ms(o.Expires), o.Attempts, o.Next.UnixMilli())
	if err == nil {
		tx.store.lastOutgoing = id
	}
	return id, err
}

// SetSealed keeps the ratchet message of a row; its item stays, so that it can
// be sealed again should the session be reset.
func (tx *Tx) SetSealed(id int64, session SessionID, wire []byte, hash Hash, flight bool) error {
	return tx.must("UPDATE outbox SET session = ?, wire = ?, hash = ?, flight = ?, size = ? WHERE id = ?", session[:], wire, hash[:], flight, len(wire), id)
}

// SetFlight says whether a row goes inside a flight.
func (tx *Tx) SetFlight(id int64, flight bool) error {
	return tx.must("UPDATE outbox SET flight = ? WHERE id = ?", flight, id)
}

// Unseal takes the ratchet messages of a session back, and what relays said to
// them, so that their items wait to be sealed anew. It returns how many.
func (tx *Tx) Unseal(session SessionID) (int64, error) {
	if err := tx.run("DELETE FROM deposits WHERE outbox IN (SELECT id FROM outbox WHERE session = ?)", session[:]); err != nil {
		return 0, err
	}
	return tx.count("UPDATE outbox SET session = NULL, wire = NULL, hash = NULL, flight = 0, size = 0, attempts = 0, next = created WHERE session = ?", session[:])
}

// Outgoing returns one row.
func (tx *Tx) Outgoing(id int64) (Outgoing, error) {
	return one(tx, scanOutgoing, "SELECT "+outboxColumns+" FROM outbox WHERE id = ?", id)
}

// OutgoingByHash returns the row whose ratchet message has this hash.
func (tx *Tx) OutgoingByHash(h Hash) (Outgoing, error) {
	return one(tx, scanOutgoing, "SELECT "+outboxColumns+" FROM outbox WHERE hash = ?", h[:])
}

// OutgoingOf returns the rows of a message, one for each device that has not
// acknowledged it.
func (tx *Tx) OutgoingOf(message int64) ([]Outgoing, error) {
	return all(tx, scanOutgoing, "SELECT "+outboxColumns+" FROM outbox WHERE message = ? ORDER BY id", message)
}

// Pending returns up to limit rows for a device whose id is greater than after,
// in the order of sending.
func (tx *Tx) Pending(device identity.DevicePublic, after int64, limit int) ([]Outgoing, error) {
	return all(tx, scanOutgoing, "SELECT "+outboxColumns+" FROM outbox WHERE device = ? AND id > ? ORDER BY id LIMIT ?", device[:], after, limit)
}

// WaitsSince is when the oldest was made of what waits for a device, but for presences; zero: nothing waits.
func (tx *Tx) WaitsSince(device identity.DevicePublic) (at time.Time, err error) {
	return one(tx, func(r row) (at time.Time, err error) {
		err = r.Scan(stamp{&at})
		return at, err
	}, "SELECT min(created) FROM outbox WHERE device = ? AND class <> ?", device[:], int(ClassPresence))
}

// Postpone notes how often a row was tried and when to try it again.
func (tx *Tx) Postpone(id int64, attempts int, next time.Time) error {
	return tx.must("UPDATE outbox SET attempts = ?, next = ? WHERE id = ?", attempts, next.UnixMilli(), id)
}

// Taken is what remains to be known of a row that left the outbox.
type Taken struct {
	ID      int64
	Message int64 // 0: not something said
	Device  identity.DevicePublic
	Class   Class
	Created time.Time
}

func scanTaken(r row) (t Taken, err error) {
	err = r.Scan(&t.ID, nullID{&t.Message}, fixed(t.Device[:]), &t.Class, stamp{&t.Created})
	return t, err
}

// ExpiredIntroductions returns the first flights without anything said in them whose
// time is over and that nobody has answered.
func (tx *Tx) ExpiredIntroductions(now time.Time) ([]Outgoing, error) {
	return all(tx, scanOutgoing, "SELECT "+outboxColumns+" FROM outbox WHERE flight = 1 AND class = ? AND message IS NULL AND expires <= ?", int(ClassProfile), now.UnixMilli())
}

// Acknowledge takes the row whose ratchet message has this hash out of the
// outbox. ErrNotFound: it has left already.
func (tx *Tx) Acknowledge(h Hash) (Taken, error) {
	return tx.takeOut("SELECT id, message, device, class, created FROM outbox WHERE hash = ?", h[:])
}

// Withdraw takes a row out of the outbox: nothing more is tried.
func (tx *Tx) Withdraw(id int64) (Taken, error) {
	return tx.takeOut("SELECT id, message, device, class, created FROM outbox WHERE id = ?", id)
}

// takeOut deletes the row that is found. (DELETE ... RETURNING would do both, but
// SQLite makes a table for what it returns, which costs more than the rest.)
func (tx *Tx) takeOut(query string, key any) (Taken, error) {
	t, err := one(tx, scanTaken, query, key)
	if err != nil {
		return t, err
	}
	return t, tx.must("DELETE FROM outbox WHERE id = ?", t.ID)
}

// Waiting is how many rows are in the outbox, by class.
func (tx *Tx) Waiting() (map[Class]int, error) {
	type line struct {
		class Class
		n     int
	}
	list, err := all(tx, func(r row) (l line, err error) {
		err = r.Scan(&l.class, &l.n)
		return l, err
	}, "SELECT class, count(*) FROM outbox GROUP BY class")
	m := make(map[Class]int, len(list))
	for _, l := range list {
		m[l.class] = l.n
	}
	return m, err
}

// Deposit is the copy of an outbox row at a relay, or the relay's refusal.
type Deposit struct {
	Outbox  int64
	Relay   PeerID
	Receipt []byte    // signed by the relay, checked by the client; nil: refused
	Until   time.Time // by the receipt
	Reason  string    // problem code of the refusal, or that the receipt has ended
	At      time.Time
	Cell    []byte // of a first flight by a reusable address, to leave the same again; nil: another
	Extra   bool   // at a friend's computer, which counts for nothing
}

const depositColumns = "outbox, relay, receipt, until, reason, at, cell, extra"

func scanDeposit(r row) (d Deposit, err error) {
	err = r.Scan(&d.Outbox, peerID{&d.Relay}, &d.Receipt, stamp{&d.Until}, nullText{&d.Reason}, stamp{&d.At}, &d.Cell, &d.Extra)
	return d, err
}

// PutDeposit keeps what a relay said, in place of what it said before.
func (tx *Tx) PutDeposit(d Deposit) error {
	return tx.run(`INSERT INTO deposits (outbox, relay, receipt, until, reason, at, cell, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET receipt = excluded.receipt, until = excluded.until, reason = excluded.reason, at = excluded.at, cell = excluded.cell, extra = excluded.extra`,
		d.Outbox, []byte(d.Relay), blob(d.Receipt), ms(d.Until), text(d.Reason), d.At.UnixMilli(), blob(d.Cell), d.Extra)
}

// Deposits returns what relays said about an outbox row.
func (tx *Tx) Deposits(outbox int64) ([]Deposit, error) {
	return all(tx, scanDeposit, "SELECT "+depositColumns+" FROM deposits WHERE outbox = ? ORDER BY relay", outbox)
}

// ExpiringDeposits returns the copies that relays keep no longer than until a
// time, but for those that have a Reason already.
func (tx *Tx) ExpiringDeposits(before time.Time) ([]Deposit, error) {
	return all(tx, scanDeposit, "SELECT "+depositColumns+" FROM deposits WHERE until <= ? AND reason IS NULL ORDER BY until", before.UnixMilli())
}
