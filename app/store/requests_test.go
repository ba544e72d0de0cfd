package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Requests wait, the weakest and of those the latest is the first to make room;
// what was kept of one goes with it.
func TestRequests(t *testing.T) {
	s := openNew(t)
	bundle := Bundle{ID: BundleID{1}, Raw: []byte("bundle"), Expires: day0()}
	var ids []int64
	update(t, s, func(tx *Tx) error {
		set, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("secrets"), Created: day0()})
		if err != nil {
			return err
		}
		bundle.PrekeySet = set
		if err := tx.InsertBundle(bundle); err != nil {
			return err
		}
		for i, work := range []uint8{9, 7, 7, 8} {
			id, err := tx.InsertRequest(Request{Account: identity.AccountID{byte(i)}, State: RequestWaiting, Name: "Mallory", Text: "hello", Work: work, At: day0(), Expires: day0().Add(time.Hour)})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		_, err = tx.InsertRequest(Request{Account: identity.AccountID{1}, State: RequestIgnored, At: day0(), Expires: day0()})
		is(t, "a second of one account", err, ErrExists)
		for i, id := range ids {
			f := RequestFlight{Request: id, Hash: Hash{byte(i)}, Bundle: bundle.ID, Cell: []byte("flight")}
			if i == 3 {
				f.Relay = "oak"
			}
			if err := tx.InsertRequestFlight(f); err != nil {
				return err
			}
			is(t, "the same flight again", tx.InsertRequestFlight(f), ErrExists)
		}
		return nil
	})
	weakest := get(t, s, (*Tx).WeakestRequest)
	same(t, "weakest", weakest.ID, ids[2])
	same(t, "its flights", weakest.Flights, 1)
	by := func(relay PeerID) func(*Tx) (Request, error) {
		return func(tx *Tx) (Request, error) { return tx.WeakestRequestBy(relay) }
	}
	same(t, "weakest by a relay", get(t, s, by("oak")).ID, ids[3])
	same(t, "weakest of those that came direct", get(t, s, by("")).ID, ids[2])
	same(t, "waiting by a relay", get(t, s, func(tx *Tx) (int64, error) { return tx.CountRequestsBy("oak") }), int64(1))
	weakest.State, weakest.Text, weakest.Expires = RequestIgnored, "", day0().Add(2*time.Hour)
	update(t, s, func(tx *Tx) error { return errors.Join(tx.UpdateRequest(weakest), tx.ForgetRequestFlights(weakest.ID)) })
	same(t, "waiting", get(t, s, (*Tx).CountRequests), int64(3))
	same(t, "weakest now", get(t, s, (*Tx).WeakestRequest).ID, ids[1])
	same(t, "kept", get(t, s, func(tx *Tx) (bool, error) { return tx.HasRequestFlight(Hash{2}) }), false)
	update(t, s, func(tx *Tx) error { return tx.DeleteRequest(ids[0]) })
	same(t, "kept of a deleted one", get(t, s, func(tx *Tx) (bool, error) { return tx.HasRequestFlight(Hash{0}) }), false)

	// The bundle of what waits outlives its own time.
	at := day0().Add(PrekeysFor)
	update(t, s, func(tx *Tx) error {
		q, err := tx.RequestBy(identity.AccountID{1})
		q.Expires = at.Add(time.Hour)
		return errors.Join(err, tx.UpdateRequest(q))
	})
	if err := s.Maintain(context.Background(), at); err != nil {
		t.Fatal(err)
	}
	same(t, "waiting after the others' time", len(get(t, s, (*Tx).Requests)), 1)
	if _, err := getErr(s, func(tx *Tx) (Bundle, error) { return tx.Bundle(bundle.ID) }); err != nil {
		t.Errorf("the bundle of a request that waits: %v", err)
	}
	if err := s.Maintain(context.Background(), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err := getErr(s, func(tx *Tx) (Bundle, error) { return tx.Bundle(bundle.ID) })
	is(t, "the bundle when nothing waits", err, ErrNotFound)
}
