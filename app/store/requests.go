package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// RequestState is what became of a request.
type RequestState string

// The states of requests. One that is accepted or blocked is no request any more.
const (
	RequestWaiting RequestState = "waiting"
	RequestIgnored RequestState = "ignored"
)

// Request is a stranger who wrote by a reusable address.
type Request struct {
	ID         int64
	Account    identity.AccountID
	State      RequestState
	Name       string // what they call themselves; may be empty
	Text       string // what they said first; may be empty
	Invitation InvitationID
	Work       uint8 // bits, of the strongest proof of work that brought something; 0: came direct
	At         time.Time
	Expires    time.Time
	Flights    int // kept of theirs; read only
}

const requestColumns = "id, account, state, name, text, invitation, work, at, expires, (SELECT count(*) FROM request_flights WHERE request = requests.id)"

func scanRequest(r row) (q Request, err error) {
	err = r.Scan(&q.ID, fixed(q.Account[:]), &q.State, &q.Name, &q.Text, fixed(q.Invitation[:]), &q.Work, stamp{&q.At}, stamp{&q.Expires}, &q.Flights)
	return q, err
}

// InsertRequest adds a request and returns its id. ErrExists: the account has one.
func (tx *Tx) InsertRequest(q Request) (int64, error) {
	return tx.insert("INSERT INTO requests (account, state, name, text, invitation, work, at, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		q.Account[:], string(q.State), q.Name, q.Text, q.Invitation[:], int(q.Work), q.At.UnixMilli(), q.Expires.UnixMilli())
}

// UpdateRequest replaces everything about the request with this id except the
// account, Invitation and At.
func (tx *Tx) UpdateRequest(q Request) error {
	return tx.must("UPDATE requests SET state = ?, name = ?, text = ?, work = ?, expires = ? WHERE id = ?",
		string(q.State), q.Name, q.Text, int(q.Work), q.Expires.UnixMilli(), q.ID)
}

// DeleteRequest forgets a request and all that was kept of it.
func (tx *Tx) DeleteRequest(id int64) error {
	return tx.run("DELETE FROM requests WHERE id = ?", id)
}

// RequestBy returns the request of an account, whatever its state.
func (tx *Tx) RequestBy(a identity.AccountID) (Request, error) {
	return one(tx, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE account = ?", a[:])
}

// Requests returns those that wait, oldest first.
func (tx *Tx) Requests() ([]Request, error) {
	return all(tx, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE state = 'waiting' ORDER BY id")
}

// firstRelay is by which relay a request came; null: direct.
const firstRelay = "(SELECT relay FROM request_flights WHERE request = requests.id ORDER BY id LIMIT 1)"

// WeakestRequest returns, of those that wait, the one of the least work; of several
// the latest.
func (tx *Tx) WeakestRequest() (Request, error) {
	return one(tx, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE state = 'waiting' ORDER BY work, id DESC LIMIT 1")
}

// WeakestRequestBy is WeakestRequest of those that came by a relay; empty: direct.
func (tx *Tx) WeakestRequestBy(relay PeerID) (Request, error) {
	return one(tx, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE state = 'waiting' AND "+firstRelay+" IS ? ORDER BY work, id DESC LIMIT 1", peer(relay))
}

// CountRequestsBy is how many of those that wait came by a relay; empty: direct.
func (tx *Tx) CountRequestsBy(relay PeerID) (int64, error) {
	return one(tx, integer, "SELECT count(*) FROM requests WHERE state = 'waiting' AND "+firstRelay+" IS ?", peer(relay))
}

// CountRequests is how many requests wait.
func (tx *Tx) CountRequests() (int64, error) {
	return one(tx, integer, "SELECT count(*) FROM requests WHERE state = 'waiting'")
}

// RequestFlight is a first flight that a request is kept with.
type RequestFlight struct {
	ID      int64 // order of arrival
	Request int64
	Hash    Hash // of the ratchet message
	Bundle  BundleID
	Relay   PeerID // empty: came direct
	Cell    []byte // as it came
}

// InsertRequestFlight keeps a flight. ErrExists: it is kept already.
func (tx *Tx) InsertRequestFlight(f RequestFlight) error {
	return tx.run("INSERT INTO request_flights (request, hash, bundle, relay, cell) VALUES (?, ?, ?, ?, ?)",
		f.Request, f.Hash[:], f.Bundle[:], peer(f.Relay), whole(f.Cell))
}

// RequestFlights returns the flights of a request, in the order they came.
func (tx *Tx) RequestFlights(request int64) ([]RequestFlight, error) {
	return all(tx, func(r row) (f RequestFlight, err error) {
		err = r.Scan(&f.ID, &f.Request, fixed(f.Hash[:]), fixed(f.Bundle[:]), peerID{&f.Relay}, &f.Cell)
		return f, err
	}, "SELECT id, request, hash, bundle, relay, cell FROM request_flights WHERE request = ? ORDER BY id", request)
}

// HasRequestFlight tells whether a flight is kept.
func (tx *Tx) HasRequestFlight(h Hash) (bool, error) {
	n, err := one(tx, integer, "SELECT count(*) FROM request_flights WHERE hash = ?", h[:])
	return n > 0, err
}

// ForgetRequestFlights deletes what a request is kept with.
func (tx *Tx) ForgetRequestFlights(request int64) error {
	return tx.run("DELETE FROM request_flights WHERE request = ?", request)
}
