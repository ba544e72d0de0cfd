package store

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"
)

func TestSeen(t *testing.T) {
	s := openNew(t)
	want := Seen{Hash: Hash{1}, At: day0(), Expires: day0().Add(SeenFor)}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Seen(want.Hash)
		is(t, "unseen", err, ErrNotFound)
		if err := tx.PutSeen(want); err != nil {
			return err
		}
		is(t, "seen twice", tx.PutSeen(want), ErrExists)
		return tx.NameSeen(want.Hash, MessageID{8})
	})
	want.Message = &MessageID{8}
	seen := func(tx *Tx) (Seen, error) { return tx.Seen(want.Hash) }
	same(t, "seen", get(t, s, seen), want)
	if err := s.Maintain(t.Context(), want.Expires.Add(-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	same(t, "45 days", get(t, s, seen), want)
	if err := s.Maintain(t.Context(), want.Expires); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		_, err := seen(tx)
		is(t, "after 45 days", err, ErrNotFound)
		return nil
	})
}

func TestWhatIsSetAsideIsBounded(t *testing.T) {
	s := openNew(t)
	aside := func(n int) Aside {
		d, sid := bobsPhone, SessionID{1}
		return Aside{Hash: Hash(sha256.Sum256([]byte{byte(n), byte(n >> 8)})), Device: &d, Session: &sid, Relay: "relay", Wire: []byte{1}, Reason: "MSG-09", At: day0()}
	}
	update(t, s, func(tx *Tx) error {
		for n := range SetAsideMax + 50 {
			for range 2 { // three relays deliver three copies
				if err := tx.SetAside(aside(n)); err != nil {
					return err
				}
			}
		}
		list, err := tx.AsidesOf(bobsPhone)
		same(t, "kept", len(list), SetAsideMax)
		if err != nil {
			return err
		}
		want := aside(50)
		want.ID = list[0].ID
		same(t, "the oldest kept", list[0], want)
		list, err = tx.Asides(1)
		same(t, "the newest", list[0].Hash, aside(SetAsideMax+49).Hash)
		return errors.Join(err, tx.DeleteAside(want.Hash))
	})
	update(t, s, func(tx *Tx) error {
		for n, want := range map[int]bool{49: false, 50: false, 51: true} {
			is, err := tx.IsAside(aside(n).Hash)
			same(t, "set aside", is, want)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
