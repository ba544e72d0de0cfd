// Package session joins ratchet sessions (identity/ratchet) with the database
// (app/store): a message is sealed or opened inside the transaction that keeps
// it, and the new state of its ratchet is kept in the same transaction or not at
// all.
//
// A Keeper holds live sessions in memory. One goroutine uses it: the owner of
// the account (app/chat). All changes go through Keeper.Update, which hands out a
// Batch beside the transaction. If anything fails, the database undoes the
// transaction and the Keeper forgets every session that the batch touched, to
// read it again when it is needed: no state is ever used that was not committed,
// and none twice. (That a ratchet message is let out only after the commit is the
// caller's to see to.)
//
// # Which session
//
// There may be several with one device: one is lost or broken and a new one begun,
// or both sides begin at once. We receive on all and send on the preferred one; one
// that is not preferred any more is erased after 30 days. Both sides have to prefer
// the same one, whatever reaches them late, so the order is one that both see: the
// session of the highest generation, and of several the one with the smallest
// transcript (design: crypto.md). A session's generation is above that of any session
// which its initiator knew, and its flights tell it (SPEC.md).
package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/ratchet"
)

const (
	// FlightsMax is how many messages may be sealed on a session before the
	// first answer: each goes inside a flight (design: crypto.md).
	FlightsMax = 16
	// ReceiveFor is how long messages are received on a session that is not
	// preferred any more.
	ReceiveFor = 30 * 24 * time.Hour
	// SessionsMax is how many sessions there are with one device, so that a
	// device which begins one after the other fills nothing but its own share.
	// The oldest make room.
	SessionsMax = 16

	// cacheMax is how many sessions are kept parsed, some KiB each.
	cacheMax = 512
)

// Errors that callers branch on. Those of the ratchet pass through: the state is
// as it was, and the transaction may go on.
var (
	// ErrSeen says that a message was opened before. It is acknowledged again
	// and otherwise ignored.
	ErrSeen = errors.New("session: message seen before")
	// ErrNoSession says that there is no session of that id or with that
	// device, or none to which the message belongs.
	ErrNoSession = errors.New("session: no session for this")
	// ErrFlights says that FlightsMax messages wait for the first answer; the
	// next one waits unsealed.
	ErrFlights = errors.New("session: no answer yet")
	// ErrTooFarAhead says that too many messages before this one are missing:
	// set it aside, do not acknowledge it, and begin a new session.
	ErrTooFarAhead = ratchet.ErrTooFarAhead
	// ErrForged says that a message is not what the other side sealed.
	ErrForged = ratchet.ErrForged
	// ErrUsed says that the keys of a message are gone.
	ErrUsed = ratchet.ErrUsed
	// ErrMalformed says that what a message contained has not the form of
	// SPEC.md, though it is the other side's. The message counts as seen.
	ErrMalformed = errors.New("session: malformed")
	// ErrTooLong says that a payload fits no message, or no flight.
	ErrTooLong = ratchet.ErrTooLong
)

// Auth is what a direct connection needs to know of a session: see
// pqxdh.HelloMAC and pqxdh.AckMAC.
type Auth struct {
	ID     store.SessionID
	Device identity.DevicePublic
	Auth   [32]byte
}

// Keeper keeps the sessions of one database. Update is for one goroutine; Auths
// and Auth are for any.
type Keeper struct {
	store *store.Store
	cache map[store.SessionID]*live
	heads map[identity.DevicePublic][]store.SessionHead // as of the last commit, their Flights and Used may be older

	mu    sync.RWMutex
	auths map[store.SessionID]Auth
}

// live is a session as it was last committed.
type live struct {
	state   *ratchet.Session
	auth    [32]byte
	version int64
	head    store.SessionHead // Preferred and Retired may be old: ask the database
	used    time.Time
	dirty   bool
}

// New reads what there is. Its errors are those of store: ErrDamaged means that a
// session's row was altered.
func New(ctx context.Context, s *store.Store) (*Keeper, error) {
	k := &Keeper{store: s, cache: map[store.SessionID]*live{}, heads: map[identity.DevicePublic][]store.SessionHead{}, auths: map[store.SessionID]Auth{}}
	err := s.View(ctx, func(tx *store.Tx) error {
		list, err := tx.AllSessions()
		for _, row := range list {
			k.auths[row.ID] = Auth{row.ID, row.Device, row.Auth}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return k, nil
}

// Auths returns every session's, in no order.
func (k *Keeper) Auths() []Auth {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]Auth, 0, len(k.auths))
	for _, a := range k.auths {
		list = append(list, a)
	}
	return list
}

// Auth returns one session's; false: there is no such session.
func (k *Keeper) Auth(id store.SessionID) (Auth, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	a, ok := k.auths[id]
	return a, ok
}

// Update runs fn in a write transaction with a Batch, keeps the states of all
// sessions that fn used, and commits. See store.Store.Update for what its error
// means; store.ErrStale says that somebody else uses the same sessions: another
// process on this profile, or a copy of it.
func (k *Keeper) Update(ctx context.Context, fn func(*store.Tx, *Batch) error) error {
	b := &Batch{
		keeper:  k,
		touched: map[store.SessionID]*live{},
		heads:   map[identity.DevicePublic][]store.SessionHead{},
		auths:   map[store.SessionID]*Auth{},
	}
	err := k.store.Update(ctx, func(tx *store.Tx) error {
		b.tx = tx
		if err := fn(tx, b); err != nil {
			return err
		}
		return b.save()
	})
	b.tx = nil
	if err != nil {
		clear(k.heads)
		return err // the touched sessions left the cache when they were touched
	}
	k.committed(b)
	return nil
}

func (k *Keeper) committed(b *Batch) {
	for device, heads := range b.heads {
		if len(k.heads) >= cacheMax {
			clear(k.heads)
		}
		k.heads[device] = heads
	}
	for id, l := range b.touched {
		if l == nil {
			continue // erased
		}
		if len(k.cache) >= cacheMax {
			for other := range k.cache { // any: a map's order is random enough
				delete(k.cache, other)
				break
			}
		}
		k.cache[id] = l
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, a := range b.auths {
		if a == nil {
			delete(k.auths, id)
		} else {
			k.auths[id] = *a
		}
	}
}
