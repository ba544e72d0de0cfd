package store

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// RelaySource says how a relay came to be used.
type RelaySource string

// The sources.
const (
	RelayByHand       RelaySource = "hand"
	RelayByFlag       RelaySource = "flag"
	RelayByInvitation RelaySource = "invitation"
	RelayByDHT        RelaySource = "dht"
	RelayByFriend     RelaySource = "friend" // a contact's computer, see Relay.Friend
)

// Relay is a relay where this account keeps a box. Box is sealed on the disk.
type Relay struct {
	Peer       PeerID
	Addrs      [][]byte // multiaddrs, in bytes
	Source     RelaySource
	Box        [32]byte // seed of the box key
	Lease      []byte   // as the relay gave it; nil: none
	LeaseUntil time.Time
	Added      time.Time
	Removed    time.Time              // zero: in use
	Routes     [][]byte               // circuit multiaddrs through other relays, as contacts were told; nil: none
	Friend     *identity.DevicePublic // the contact's device whose computer it is, of RelayByFriend; nil: of others
}

const relayColumns = "peer, addrs, source, sealed, lease, lease_until, added, removed, routes, friend"

func (tx *Tx) scanRelay(r row) (x Relay, err error) {
	var sealed []byte
	if err = r.Scan(peerID{&x.Peer}, addrs{&x.Addrs}, &x.Source, &sealed, &x.Lease, stamp{&x.LeaseUntil}, stamp{&x.Added}, stamp{&x.Removed}, addrs{&x.Routes}, maybe32(&x.Friend)); err != nil {
		return x, err
	}
	value, err := tx.store.rows.open("relays", []byte(x.Peer), sealed)
	if err != nil {
		return x, err
	}
	return x, fixed(x.Box[:]).Scan(value)
}

// PutRelay keeps a relay, in place of what was known of it.
func (tx *Tx) PutRelay(x Relay) error {
	list, err := encodeList(x.Addrs)
	if err != nil {
		return err
	}
	var routes []byte // NULL: none
	if len(x.Routes) > 0 {
		if routes, err = encodeList(x.Routes); err != nil {
			return err
		}
	}
	return tx.run("INSERT OR REPLACE INTO relays ("+relayColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		[]byte(x.Peer), list, string(x.Source), tx.store.rows.seal("relays", []byte(x.Peer), x.Box[:]), blob(x.Lease), ms(x.LeaseUntil),
		x.Added.UnixMilli(), ms(x.Removed), blob(routes), null32(x.Friend))
}

// Relay returns a relay, removed or not.
func (tx *Tx) Relay(p PeerID) (Relay, error) {
	return one(tx, tx.scanRelay, "SELECT "+relayColumns+" FROM relays WHERE peer = ?", []byte(p))
}

// Relays returns every relay, removed ones too, in the order they came.
func (tx *Tx) Relays() ([]Relay, error) {
	return all(tx, tx.scanRelay, "SELECT "+relayColumns+" FROM relays ORDER BY added, peer")
}

// UsualRelays is Relays without the computers of friends, which are only on now and then: nothing
// rests on those.
func (tx *Tx) UsualRelays() ([]Relay, error) {
	list, err := tx.Relays()
	return slices.DeleteFunc(list, func(r Relay) bool { return r.Friend != nil }), err
}

// RemoveRelay notes that a relay is used no more.
func (tx *Tx) RemoveRelay(p PeerID, at time.Time) error {
	return tx.must("UPDATE relays SET removed = ? WHERE peer = ?", at.UnixMilli(), []byte(p))
}

// DeleteRelay forgets a relay, the key of its box, and what is known of it.
func (tx *Tx) DeleteRelay(p PeerID) error {
	for _, table := range []string{"relay_tests WHERE relay", "relay_faults WHERE relay", "relay_answers WHERE relay", "relays WHERE peer"} {
		if err := tx.run("DELETE FROM "+table+" = ?", []byte(p)); err != nil {
			return err
		}
	}
	return nil
}
