package store

import (
	"testing"
	"time"
)

// What friends told of their computers, and what they were told of ours.
func TestFriends(t *testing.T) {
	s := openNew(t)
	offer := FriendOffer{Device: bobsPhone, Relay: "relay", Addrs: [][]byte{{1}, {2, 3}}, Token: [32]byte{7}, Told: day0()}
	put := func(o FriendOffer) (newer bool) {
		update(t, s, func(tx *Tx) (err error) { newer, err = tx.PutFriendOffer(o); return err })
		return newer
	}
	same(t, "it is new", put(offer), true)
	same(t, "it is known", put(offer), false)
	update(t, s, func(tx *Tx) error { return tx.LeaveFriend(bobsPhone, day0()) })
	offer.Unused = day0()
	same(t, "offers", get(t, s, (*Tx).FriendOffers), []FriendOffer{offer})
	over := FriendOffer{Device: bobsPhone, Relay: "relay", Told: day0().Add(time.Second), Until: day0().Add(time.Hour)}
	same(t, "it is over", put(over), true)
	same(t, "the offer comes late", put(offer), false)
	same(t, "what holds", get(t, s, func(tx *Tx) (FriendOffer, error) { return tx.FriendOffer(bobsPhone) }), over)

	told := func() [32]byte {
		return get(t, s, func(tx *Tx) (what [32]byte, err error) { what, _, err = tx.FriendTold(bobsPhone); return what, err })
	}
	same(t, "nothing was told", told(), [32]byte{})
	update(t, s, func(tx *Tx) error { return tx.TellFriend(bobsPhone, [32]byte{1}, day0()) })
	update(t, s, func(tx *Tx) error { return tx.TellFriend(bobsPhone, [32]byte{2}, day0()) })
	same(t, "told", told(), [32]byte{2})
	update(t, s, func(tx *Tx) error { return tx.TellFriend(bobsPhone, [32]byte{}, day0()) })
	same(t, "told no more", told(), [32]byte{})

	friend := bobsPhone
	usual := Relay{Peer: "relay-1", Source: RelayByHand, Added: day0()}
	theirs := Relay{Peer: "relay-2", Source: RelayByFriend, Added: day0().Add(time.Second), Friend: &friend}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutRelay(usual); err != nil {
			return err
		}
		return tx.PutRelay(theirs)
	})
	same(t, "all relays", get(t, s, (*Tx).Relays), []Relay{usual, theirs})
	same(t, "the usual ones", get(t, s, (*Tx).UsualRelays), []Relay{usual})
}
