package store

import (
	"testing"
	"time"
)

func TestRelays(t *testing.T) {
	s := openNew(t)
	want := Relay{Peer: "relay-1", Addrs: [][]byte{{1, 2}}, Source: RelayByHand, Box: [32]byte{9}, Added: day0(), Routes: [][]byte{{3}, {4, 5}}}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutRelay(want); err != nil {
			return err
		}
		want.Lease, want.LeaseUntil = []byte("lease"), day0().Add(time.Hour)
		return tx.PutRelay(want)
	})
	same(t, "relay", get(t, s, func(tx *Tx) (Relay, error) { return tx.Relay("relay-1") }), want)
	update(t, s, func(tx *Tx) error { return tx.RemoveRelay("relay-1", day0()) })
	want.Removed = day0()
	same(t, "relays", get(t, s, (*Tx).Relays), []Relay{want})
	update(t, s, func(tx *Tx) error {
		is(t, "no such relay", tx.RemoveRelay("relay-2", day0()), ErrNotFound)
		return tx.DeleteRelay("relay-1")
	})
	same(t, "forgotten", len(get(t, s, (*Tx).Relays)), 0)
}
