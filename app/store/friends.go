package store

import (
	"errors"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// FriendOffer is what a contact's device last told of its computer keeping mail for us. Token is
// sealed on the disk.
type FriendOffer struct {
	Device identity.DevicePublic
	Relay  PeerID
	Addrs  [][]byte // multiaddrs, in bytes
	Token  [32]byte
	Told   time.Time // by its clock
	Until  time.Time // it takes nothing more, and gives out what it keeps until then; zero: it keeps mail
	Unused time.Time // not used before: it was given up here, or could not be reached; zero: it may be
}

const offerColumns = "device, relay, addrs, sealed, told, until, unused"

func (tx *Tx) scanOffer(r row) (o FriendOffer, err error) {
	var sealed []byte
	if err = r.Scan(fixed(o.Device[:]), peerID{&o.Relay}, addrs{&o.Addrs}, &sealed, stamp{&o.Told}, stamp{&o.Until}, stamp{&o.Unused}); err != nil {
		return o, err
	}
	value, err := tx.store.rows.open("friend_offers", o.Device[:], sealed)
	if err != nil {
		return o, err
	}
	return o, fixed(o.Token[:]).Scan(value)
}

// PutFriendOffer keeps an offer in place of what the device told before, if it is newer, and says whether it was.
func (tx *Tx) PutFriendOffer(o FriendOffer) (newer bool, err error) {
	have, err := tx.FriendOffer(o.Device)
	if err == nil && !o.Told.After(have.Told) {
		return false, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	list, err := encodeList(o.Addrs)
	if err != nil {
		return false, err
	}
	return true, tx.run("INSERT OR REPLACE INTO friend_offers ("+offerColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
		o.Device[:], []byte(o.Relay), list, tx.store.rows.seal("friend_offers", o.Device[:], o.Token[:]), o.Told.UnixMilli(), ms(o.Until), ms(o.Unused))
}

// FriendOffer returns what a device told, or ErrNotFound.
func (tx *Tx) FriendOffer(device identity.DevicePublic) (FriendOffer, error) {
	return one(tx, tx.scanOffer, "SELECT "+offerColumns+" FROM friend_offers WHERE device = ?", device[:])
}

// FriendOffers returns what devices told, those of old first.
func (tx *Tx) FriendOffers() ([]FriendOffer, error) {
	return all(tx, tx.scanOffer, "SELECT "+offerColumns+" FROM friend_offers ORDER BY told, device")
}

// LeaveFriend notes that the offer of a device is not used before a time, though it stands.
func (tx *Tx) LeaveFriend(device identity.DevicePublic, before time.Time) error {
	return tx.run("UPDATE friend_offers SET unused = ? WHERE device = ?", before.UnixMilli(), device[:])
}

// FriendTold is what a device was last told of this computer, as a hash; the zero hash: nothing.
func (tx *Tx) FriendTold(device identity.DevicePublic) (what [32]byte, at time.Time, err error) {
	type told struct {
		what [32]byte
		at   time.Time
	}
	x, err := one(tx, func(r row) (x told, err error) {
		err = r.Scan(fixed(x.what[:]), stamp{&x.at})
		return x, err
	}, "SELECT what, told FROM friends_told WHERE device = ?", device[:])
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return x.what, x.at, err
}

// TellFriend notes what a device was told of this computer; the zero hash: that it is told nothing more.
func (tx *Tx) TellFriend(device identity.DevicePublic, what [32]byte, at time.Time) error {
	if what == [32]byte{} {
		return tx.run("DELETE FROM friends_told WHERE device = ?", device[:])
	}
	return tx.run("INSERT OR REPLACE INTO friends_told (device, what, told) VALUES (?, ?, ?)", device[:], what[:], at.UnixMilli())
}
