package session

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
)

// Batch seals and opens inside one transaction. It ends with Keeper.Update.
type Batch struct {
	keeper  *Keeper
	tx      *store.Tx
	touched map[store.SessionID]*live                     // nil: erased
	heads   map[identity.DevicePublic][]store.SessionHead // read in this batch
	auths   map[store.SessionID]*Auth                     // of new sessions; nil: erased
}

// Sealed is a ratchet message that is ready to be sent once the transaction is
// committed.
type Sealed struct {
	Session store.SessionID
	Wire    []byte
	Hash    store.Hash
	// Flight says that it has to go inside a flight, because nothing came back
	// on the session yet.
	Flight bool
}

// Seal seals a payload on a session, in the smallest message that holds it. On a
// session of ours without an answer only the smallest message will do
// (ErrTooLong), and FlightsMax of them (ErrFlights); the caller tries again once
// something was opened. Errors: ErrNoSession too.
func (b *Batch) Seal(id store.SessionID, payload []byte, now time.Time) (Sealed, error) {
	l, err := b.live(id)
	if err != nil {
		return Sealed{}, err
	}
	flight := l.head.Initiator && l.head.Confirmed.IsZero()
	content := wrap(payload, flight, l.head.Generation)
	size, err := ratchet.SizeFor(len(content))
	if err != nil {
		return Sealed{}, err
	}
	if flight {
		if size != ratchet.Small {
			return Sealed{}, fmt.Errorf("session: %w for a flight", ErrTooLong)
		}
		if l.head.Flights >= FlightsMax {
			return Sealed{}, ErrFlights
		}
	}
	wire, err := l.state.Seal(content, size)
	if err != nil {
		return Sealed{}, fmt.Errorf("session: seal: %w", err)
	}
	l.dirty, l.used = true, now
	if flight {
		if l.head.Flights, err = b.tx.CountFlight(id); err != nil {
			return Sealed{}, err
		}
	}
	return Sealed{id, wire, ratchet.MessageHash(wire), flight}, nil
}

// Open opens a message on a session and notes it as seen. Errors: ErrSeen,
// ErrNoSession, and those of ratchet.Session.Open, after which the session is as
// it was and the transaction may go on.
func (b *Batch) Open(id store.SessionID, wire []byte, now time.Time) ([]byte, error) {
	if err := b.unseen(wire); err != nil {
		return nil, err
	}
	return b.open(id, wire, now)
}

// OpenAny is Open on the one of a device's sessions to which the message belongs.
// ErrNoSession: it belongs to none.
func (b *Batch) OpenAny(device identity.DevicePublic, wire []byte, now time.Time) (store.SessionID, []byte, error) {
	if err := b.unseen(wire); err != nil {
		return store.SessionID{}, nil, err
	}
	heads, err := b.sessions(device)
	if err != nil {
		return store.SessionID{}, nil, err
	}
	for _, h := range heads {
		l, err := b.live(h.ID)
		if err != nil {
			return h.ID, nil, err
		}
		if l.state.Recognises(wire) {
			payload, err := b.open(h.ID, wire, now)
			return h.ID, payload, err
		}
	}
	return store.SessionID{}, nil, ErrNoSession
}

// unseen is nil for a message that was not opened before: it is looked up before
// any cryptography, for as many copies come as there are relays.
func (b *Batch) unseen(wire []byte) error {
	_, err := b.tx.Seen(ratchet.MessageHash(wire))
	switch {
	case err == nil:
		return ErrSeen
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

func (b *Batch) open(id store.SessionID, wire []byte, now time.Time) ([]byte, error) {
	l, err := b.live(id)
	if err != nil {
		return nil, err
	}
	content, err := l.state.Open(wire, now)
	if err != nil {
		return nil, fmt.Errorf("session: open: %w", err)
	}
	l.dirty, l.used = true, now
	if err := b.tx.PutSeen(store.Seen{Hash: ratchet.MessageHash(wire), At: now, Expires: now.Add(store.SeenFor)}); err != nil {
		return nil, err
	}
	if l.head.Confirmed.IsZero() {
		if err := b.tx.ConfirmSession(id, now); err != nil {
			return nil, err
		}
		l.head.Confirmed = now
		b.changed(l.head.Device)
	}
	payload, _, err := unwrap(content)
	return payload, err
}

// settle makes a new session the preferred one of its device if it comes before
// the one that is.
func (b *Batch) settle(row store.SessionHead, now time.Time) error {
	old, err := b.Preferred(row.Device)
	if err == nil && !before(row, old) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNoSession) {
		return err
	}
	b.changed(row.Device)
	return b.tx.PreferSession(row.ID, now)
}

// before tells whether both sides rather send on a than on b: see the package
// comment.
func before(a, b store.SessionHead) bool {
	if a.Generation != b.Generation {
		return a.Generation > b.Generation
	}
	return bytes.Compare(a.Transcript[:], b.Transcript[:]) < 0
}

// Has tells whether there is a session of this id. A flight of one that there is
// was repeated, and its message is for Open.
func (b *Batch) Has(id store.SessionID) (bool, error) {
	_, err := b.live(id)
	if errors.Is(err, ErrNoSession) {
		return false, nil
	}
	return err == nil, err
}

// Preferred returns the session that we send on to a device, or ErrNoSession.
func (b *Batch) Preferred(device identity.DevicePublic) (store.SessionHead, error) {
	heads, err := b.sessions(device)
	if err != nil {
		return store.SessionHead{}, err
	}
	if len(heads) == 0 || !heads[0].Preferred {
		return store.SessionHead{}, ErrNoSession
	}
	return heads[0], nil
}

// Auth returns a session's AUTH, or ErrNoSession.
func (b *Batch) Auth(id store.SessionID) ([32]byte, error) {
	l, err := b.live(id)
	if err != nil {
		return [32]byte{}, err
	}
	return l.auth, nil
}

// Stats tells how far a session's ratchets have turned.
func (b *Batch) Stats(id store.SessionID) (ratchet.Stats, error) {
	l, err := b.live(id)
	if err != nil {
		return ratchet.Stats{}, err
	}
	return l.state.Stats(), nil
}

// Initiated is a session that we begin, after pqxdh.Initiate.
type Initiated struct {
	Offer   pqxdh.Offer
	Secrets pqxdh.Secrets
	Parties ratchet.Parties
	Prekey  identity.PrekeyPublic // the bundle's signed prekey
	Intro   []byte                // where and how flights go, for the caller's own use
}

// Start begins a session and makes it the preferred one, of a generation above
// all that there are.
func (b *Batch) Start(n Initiated, now time.Time) (store.SessionID, error) {
	state, err := ratchet.NewInitiator(ratchetSecrets(n.Secrets), n.Parties, n.Prekey)
	if err != nil {
		return store.SessionID{}, fmt.Errorf("session: start: %w", err)
	}
	row := newRow(n.Offer, n.Secrets, now)
	row.Device, row.Initiator = n.Parties.ResponderDevice, true
	row.Offer, row.Intro = n.Offer.Marshal(), n.Intro
	known, err := b.sessions(row.Device)
	if err != nil {
		return store.SessionID{}, err
	}
	row.Generation = generation(known, now)
	return row.ID, b.insert(row, state, now)
}

// generation is that of a session that we begin now, beside the ones known: above
// theirs, and never below the minutes since 1970, so that it is also above those of
// sessions that we have forgotten and the other side has not.
func generation(known []store.SessionHead, now time.Time) uint32 {
	g := min(max(now.Unix()/60, 1), math.MaxUint32)
	for _, h := range known {
		g = max(g, min(int64(h.Generation)+1, math.MaxUint32))
	}
	return uint32(g)
}

// Answered is a session that the other side begins, after pqxdh.Respond.
type Answered struct {
	Offer   pqxdh.Offer
	Secrets pqxdh.Secrets
	Parties ratchet.Parties
	Prekey  identity.PrekeyPrivate // private half of the bundle's signed prekey
	Message []byte                 // the ratchet message of the flight
}

// Peek opens the message of a first flight and begins nothing. Errors: as of Answer,
// but for ErrSeen.
func (a Answered) Peek(now time.Time) (payload []byte, err error) {
	_, payload, _, err = a.first(now)
	return payload, err
}

// first opens the message on a copy of the state that it would begin with.
func (a Answered) first(now time.Time) (state *ratchet.Session, payload []byte, generation uint32, err error) {
	if state, err = ratchet.NewResponder(ratchetSecrets(a.Secrets), a.Parties, a.Prekey); err != nil {
		return nil, nil, 0, fmt.Errorf("session: answer: %w", err)
	}
	content, err := state.Clone().Open(a.Message, now)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("session: answer: %w", err)
	}
	payload, generation, err = unwrap(content)
	if err != nil || generation == 0 {
		return nil, nil, 0, fmt.Errorf("session: answer: %w: not the message of a flight", ErrMalformed)
	}
	return state, payload, generation, nil
}

// Answer begins a session with the message of its first flight. Only that the
// message opens shows that the other side is who it says: until then nothing is
// kept. Errors: those of Open, and ErrSelf of ratchet.
func (b *Batch) Answer(a Answered, now time.Time) (store.SessionID, []byte, error) {
	if err := b.unseen(a.Message); err != nil {
		return store.SessionID{}, nil, err
	}
	state, _, generation, err := a.first(now)
	if err != nil {
		return store.SessionID{}, nil, err
	}
	row := newRow(a.Offer, a.Secrets, now)
	row.Device, row.Generation = a.Parties.InitiatorDevice, generation
	if err := b.insert(row, state, now); err != nil {
		return store.SessionID{}, nil, err
	}
	payload, err := b.open(row.ID, a.Message, now)
	return row.ID, payload, err
}

func ratchetSecrets(s pqxdh.Secrets) ratchet.Secrets {
	return ratchet.Secrets{RootEC: s.RootEC, RootPQ: s.RootPQ, HeaderA: s.HeaderA, NextHeaderB: s.NextHeaderB}
}

func newRow(o pqxdh.Offer, s pqxdh.Secrets, now time.Time) store.Session {
	return store.Session{
		SessionHead: store.SessionHead{ID: o.SessionID(), Transcript: s.Transcript, Created: now, Used: now},
		Auth:        s.Auth,
	}
}

// insert keeps a new session, prefers it where that is right, and drops the oldest
// ones beyond SessionsMax.
func (b *Batch) insert(row store.Session, state *ratchet.Session, now time.Time) (err error) {
	if row.State, err = state.MarshalBinary(); err != nil {
		return err
	}
	if err := b.tx.InsertSession(row); err != nil {
		return err
	}
	b.touched[row.ID] = &live{state: state, auth: row.Auth, version: 1, head: row.SessionHead}
	b.auths[row.ID] = &Auth{row.ID, row.Device, row.Auth}
	b.changed(row.Device)
	if err := b.settle(row.SessionHead, now); err != nil {
		return err
	}
	heads, err := b.sessions(row.Device)
	if err != nil {
		return err
	}
	for n, h := len(heads), len(heads)-1; n > SessionsMax && h >= 0; h-- {
		if heads[h].Preferred || heads[h].ID == row.ID {
			continue
		}
		if err := b.Erase(heads[h].ID); err != nil {
			return err
		}
		n--
	}
	return nil
}

// Erase forgets a session for ever.
func (b *Batch) Erase(id store.SessionID) error {
	b.touched[id] = nil
	delete(b.keeper.cache, id)
	clear(b.heads)
	clear(b.keeper.heads)
	b.auths[id] = nil
	return b.tx.DeleteSession(id)
}

// Expire erases sessions that have not been preferred for ReceiveFor, and the
// keys of messages that have been missing for 30 days. It is due once an hour.
func (b *Batch) Expire(now time.Time) error {
	retired, err := b.tx.RetiredSessions(now.Add(-ReceiveFor))
	if err != nil {
		return err
	}
	for _, id := range retired {
		if err := b.Erase(id); err != nil {
			return err
		}
	}
	for _, a := range b.keeper.Auths() {
		l, err := b.live(a.ID)
		if errors.Is(err, ErrNoSession) {
			continue // erased above
		}
		if err != nil {
			return err
		}
		if l.state.Expire(now) {
			l.dirty = true
		}
	}
	return nil
}

// changed says that the heads of a device's sessions are not what they were.
func (b *Batch) changed(device identity.DevicePublic) {
	delete(b.heads, device)
	delete(b.keeper.heads, device)
}

// sessions returns the heads of a device's sessions, the preferred one first.
func (b *Batch) sessions(device identity.DevicePublic) ([]store.SessionHead, error) {
	if heads, ok := b.heads[device]; ok {
		return heads, nil
	}
	if heads, ok := b.keeper.heads[device]; ok {
		return heads, nil
	}
	heads, err := b.tx.SessionHeads(device)
	if err == nil {
		b.heads[device] = heads
	}
	return heads, err
}

// live returns a session for use in this batch. It leaves the cache until the
// commit, so that a batch which fails leaves nothing behind.
func (b *Batch) live(id store.SessionID) (*live, error) {
	if l, ok := b.touched[id]; ok {
		if l == nil {
			return nil, ErrNoSession
		}
		return l, nil
	}
	l, ok := b.keeper.cache[id]
	delete(b.keeper.cache, id)
	if !ok {
		row, err := b.tx.Session(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrNoSession
		}
		if err != nil {
			return nil, err
		}
		state, err := ratchet.ParseSession(row.State)
		if err != nil {
			return nil, fmt.Errorf("session: %w: %w", store.ErrDamaged, err)
		}
		l = &live{state: state, auth: row.Auth, version: row.Version, head: row.SessionHead, used: row.Used}
	}
	b.touched[id] = l
	return l, nil
}

// save keeps the states that changed.
func (b *Batch) save() error {
	for id, l := range b.touched {
		if l == nil || !l.dirty {
			continue
		}
		state, err := l.state.MarshalBinary()
		if err != nil {
			return err
		}
		if err := b.tx.SaveSession(id, l.version, l.auth, state, l.used); err != nil {
			return err
		}
		l.version++
		l.dirty = false
	}
	return nil
}
