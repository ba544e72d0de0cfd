package store

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"
)

func TestRelayTests(t *testing.T) {
	s := openNew(t)
	at := func() (RelayTest, error) {
		var x RelayTest
		err := s.View(t.Context(), func(tx *Tx) (err error) {
			x, err = tx.RelayTest("relay")
			return err
		})
		return x, err
	}
	_, err := at()
	is(t, "a relay that was never tried", err, ErrNotFound)
	want := RelayTest{Relay: "relay", Down: 90 * time.Second}
	update(t, s, func(tx *Tx) error { return tx.PutRelayTest(want) })
	same(t, "without a cell", get(t, s, func(tx *Tx) (RelayTest, error) { return tx.RelayTest("relay") }), want)
	want = RelayTest{Relay: "relay", Cell: &CellID{1}, Laid: day0(), Until: day0().Add(time.Hour), Proof: []byte("signed"), Last: &CellID{2}}
	update(t, s, func(tx *Tx) error { return tx.PutRelayTest(want) })
	same(t, "with one", get(t, s, func(tx *Tx) (RelayTest, error) { return tx.RelayTest("relay") }), want)

	faults := []RelayFault{{Relay: "relay", At: day0(), What: "REL-15", Proof: []byte("signed")}, {Relay: "relay", At: day0().Add(time.Hour), What: "REL-17"}}
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.AddRelayFault(faults[0]), tx.AddRelayFault(RelayFault{Relay: "other", At: day0(), What: "REL-16"}), tx.AddRelayFault(faults[1]))
	})
	since := func(after time.Time) []RelayFault {
		return get(t, s, func(tx *Tx) ([]RelayFault, error) { return tx.RelayFaults("relay", after) })
	}
	same(t, "faults", since(day0().Add(-time.Second)), faults)
	same(t, "later faults", since(day0()), faults[1:])

	answers := func(p PeerID) []time.Duration {
		return get(t, s, func(tx *Tx) ([]time.Duration, error) { return tx.RelayAnswers(p) })
	}
	update(t, s, func(tx *Tx) error {
		for i := range AnswersKept + 3 {
			err := errors.Join(tx.AddRelayAnswer("relay", day0(), time.Duration(i)*time.Second), tx.AddRelayAnswer("other", day0().Add(time.Duration(i)*time.Hour), time.Minute))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if took := answers("relay"); len(took) != AnswersKept || took[0] != 3*time.Second || took[AnswersKept-1] != (AnswersKept+2)*time.Second {
		t.Errorf("the latest answers took %v", took)
	}

	update(t, s, func(tx *Tx) error { return tx.DeleteRelay("relay") })
	same(t, "answers of a relay that is forgotten", len(answers("relay")), 0)
	_, err = at()
	is(t, "a relay that is forgotten", err, ErrNotFound)
	same(t, "its faults", len(since(time.Time{})), 0)
	other := func() []RelayFault {
		return get(t, s, func(tx *Tx) ([]RelayFault, error) { return tx.RelayFaults("other", time.Time{}) })
	}
	same(t, "those of others", len(other()), 1)
	if err := s.Maintain(t.Context(), day0().Add(FaultsFor)); err != nil {
		t.Fatal(err)
	}
	same(t, "long after", len(other()), 0)
	same(t, "answers of the first hours, long after", len(answers("other")), AnswersKept)
	if err := s.Maintain(t.Context(), day0().Add(FaultsFor+5*time.Hour)); err != nil {
		t.Fatal(err)
	}
	same(t, "and hours later", len(answers("other")), AnswersKept-3)
}

func TestCandidates(t *testing.T) {
	s := openNew(t)
	old := Candidate{Peer: "b", Addrs: [][]byte{{4, 127, 0, 0, 1}}, Source: RelayByInvitation, Operator: "anna", Seen: day0(), Heard: day0().Add(time.Hour), Failed: 2, Retry: day0().Add(2 * time.Hour)}
	young := Candidate{Peer: "a", Source: RelayByDHT, Seen: day0().Add(time.Minute), Heard: day0().Add(time.Hour), Retry: day0()}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.PutCandidate(young), tx.PutCandidate(old)) })
	all := func() []Candidate { return get(t, s, (*Tx).Candidates) }
	got := all()
	if len(got) == 2 {
		got[1].Addrs = nil // none
	}
	same(t, "candidates", got, []Candidate{old, young})
	old.Failed, old.Retry = 0, time.Time{}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.PutCandidate(old), tx.DeleteCandidate("a")) })
	if got := all(); len(got) != 1 || got[0].Failed != 0 || !got[0].Retry.IsZero() || !slices.Equal(got[0].Addrs[0], old.Addrs[0]) {
		t.Errorf("one is left, and it is %+v", got)
	}
}

// A profile from before relays were chosen keeps those that it has, and takes others.
func TestRelaysOfAnOlderProfile(t *testing.T) {
	before := fstest.MapFS{}
	for _, name := range []string{"0001-first.sql", "0002-seeds.sql", "0003-left.sql", "0004-routes.sql"} {
		text, err := fs.ReadFile(migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: text}
	}
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true, migrations: before})
	old := Relay{Peer: "old", Addrs: [][]byte{{1}}, Source: RelayByHand, Box: [32]byte{7}, Lease: []byte{2}, LeaseUntil: day0(), Added: day0(), Removed: day0(), Routes: [][]byte{{3}}}
	update(t, s, func(tx *Tx) error { // as it was written then
		addrs, err := encodeList(old.Addrs)
		routes, routesErr := encodeList(old.Routes)
		return errors.Join(err, routesErr, tx.run("INSERT INTO relays (peer, addrs, source, sealed, lease, lease_until, added, removed, routes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			[]byte(old.Peer), addrs, string(old.Source), tx.store.rows.seal("relays", []byte(old.Peer), old.Box[:]), old.Lease, ms(old.LeaseUntil), old.Added.UnixMilli(), ms(old.Removed), routes))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	same(t, "the old one", get(t, s, func(tx *Tx) (Relay, error) { return tx.Relay("old") }), old)
	found := Relay{Peer: "new", Addrs: [][]byte{{1}}, Source: RelayByDHT, Added: day0()}
	update(t, s, func(tx *Tx) error { return tx.PutRelay(found) })
	same(t, "the new one", get(t, s, func(tx *Tx) (Relay, error) { return tx.Relay("new") }), found)
}
