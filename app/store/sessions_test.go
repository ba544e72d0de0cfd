package store

import (
	"errors"
	"testing"
	"time"
)

func TestSessionRows(t *testing.T) {
	s := openNew(t)
	mine := Session{
		SessionHead: SessionHead{ID: SessionID{1}, Device: bobsPhone, Initiator: true, Generation: 3, Transcript: [64]byte{9}, Created: day0(), Used: day0(), Retired: day0()},
		Offer:       []byte("offer"), Intro: []byte("intro"), Auth: [32]byte{5}, State: []byte("state"), Version: 1,
	}
	theirs := mine
	theirs.ID, theirs.Initiator, theirs.Offer, theirs.Intro, theirs.Created = SessionID{2}, false, nil, nil, day0().Add(time.Minute)
	theirs.Retired = theirs.Created
	later := day0().Add(time.Hour)
	update(t, s, func(tx *Tx) error {
		if err := errors.Join(tx.InsertSession(mine), tx.InsertSession(theirs)); err != nil {
			return err
		}
		is(t, "the same session twice", tx.InsertSession(mine), ErrExists)
		got, err := tx.Session(mine.ID)
		same(t, "session", got, mine)
		if err != nil {
			return err
		}
		if err := errors.Join(tx.PreferSession(mine.ID, day0()), tx.PreferSession(theirs.ID, later)); err != nil {
			return err
		}
		heads, err := tx.SessionHeads(bobsPhone)
		if err != nil {
			return err
		}
		same(t, "heads", len(heads), 2)
		same(t, "preferred", heads[0].ID, theirs.ID)
		same(t, "one is preferred", heads[0].Preferred && !heads[1].Preferred && heads[1].Retired.Equal(later), true)
		is(t, "no such session to prefer", tx.PreferSession(SessionID{4}, later), ErrNotFound)

		n, err := tx.CountFlight(mine.ID)
		same(t, "flights", n, 1)
		if err := errors.Join(err, tx.SetIntro(mine.ID, []byte("elsewhere"))); err != nil {
			return err
		}
		if err := errors.Join(tx.ConfirmSession(mine.ID, day0()), tx.ConfirmSession(mine.ID, later)); err != nil {
			return err
		}
		got, err = tx.Session(mine.ID)
		same(t, "after the first answer", got.Offer == nil && got.Intro == nil && got.Confirmed.Equal(day0()) && got.Flights == 1, true)
		if err != nil {
			return err
		}

		if err := tx.SaveSession(mine.ID, 1, mine.Auth, []byte("state 2"), later); err != nil {
			return err
		}
		is(t, "a save on top of an old version", tx.SaveSession(mine.ID, 1, mine.Auth, []byte("state 2b"), later), ErrStale)
		got, err = tx.Session(mine.ID)
		same(t, "state", string(got.State), "state 2")
		same(t, "version", got.Version, 2)
		if err != nil {
			return err
		}

		retired, err := tx.RetiredSessions(later.Add(1 * time.Millisecond))
		same(t, "retired", retired, []SessionID{mine.ID})
		if err := errors.Join(err, tx.DeleteSession(mine.ID)); err != nil {
			return err
		}
		all, err := tx.AllSessions()
		same(t, "sessions left", len(all), 1)
		return err
	})
}

// TestASessionIsReset: what was sealed on it is sealed anew, what relays said of
// it is forgotten.
func TestASessionIsReset(t *testing.T) {
	s := openNew(t)
	broken, fine := SessionID{1}, SessionID{2}
	update(t, s, func(tx *Tx) error {
		for n, sid := range []SessionID{broken, fine} {
			h := Hash{byte(n)}
			id, err := tx.Enqueue(Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Session: &sid, Wire: []byte("wire"), Hash: &h,
				Created: day0(), Next: day0().Add(time.Hour)})
			if err != nil {
				return err
			}
			if err := tx.PutDeposit(Deposit{Outbox: id, Relay: "relay", Receipt: []byte("r"), At: day0()}); err != nil {
				return err
			}
		}
		n, err := tx.Unseal(broken)
		same(t, "unsealed", n, 1)
		return err
	})
	list := get(t, s, func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, 0, 10) })
	same(t, "sealed anew", list[0].Wire == nil && list[0].Hash == nil && list[0].Session == nil && string(list[0].Item) == "item" && list[0].Next.Equal(day0()), true)
	same(t, "the other", string(list[1].Wire), "wire")
	for n, want := range []int{0, 1} {
		same(t, "deposits", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(list[n].ID) })), want)
	}
}
