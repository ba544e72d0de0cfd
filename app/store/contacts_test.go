package store

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

func TestContactsAndTheirDevices(t *testing.T) {
	s := openNew(t)
	bob, _ := withBob(t, s)
	update(t, s, func(tx *Tx) error {
		c, err := tx.Contact(bob)
		if err != nil {
			return err
		}
		root := identity.RootPublic{4}
		c.Root, c.Chain, c.PinN, c.PinHead, c.Frozen = &root, []byte("bob's"), 1<<63+5, [32]byte{6}, true
		c.Kind, c.Petname, c.Verified, c.Blocked = ContactKnown, "Straße", day0(), day0().Add(time.Second)
		if err := tx.UpdateContact(c); err != nil {
			return err
		}
		for how, find := range map[string]func() (Contact, error){
			"row":     func() (Contact, error) { return tx.Contact(bob) },
			"account": func() (Contact, error) { return tx.ContactByAccount(identity.AccountID{7}) },
			"petname": func() (Contact, error) { return tx.ContactByPetname("STRASSE") },
			"device":  func() (Contact, error) { return tx.ContactByDevice(bobsPhone) },
		} {
			got, err := find()
			if err != nil {
				t.Errorf("by %s: %v", how, err)
			}
			same(t, "bob by "+how, got, c)
		}

		// A second person may not take the same petname in other letters,
		// and keeps an empty one to share with everybody.
		carol := Contact{Account: identity.AccountID{8}, Kind: ContactRequest, Petname: "strasse", Created: day0()}
		_, err = tx.InsertContact(carol)
		is(t, "taken petname", err, ErrExists)
		carol.Petname = ""
		if carol.ID, err = tx.InsertContact(carol); err != nil {
			return err
		}
		carol.Petname = "ＳＴＲＡＳＳＥ" // full-width
		is(t, "look-alike petname", tx.UpdateContact(carol), ErrExists)
		is(t, "nobody", tx.UpdateContact(Contact{ID: 404, Kind: ContactKnown}), ErrNotFound)
		list, err := tx.Contacts()
		same(t, "people", len(list), 2)
		if err != nil {
			return err
		}

		is(t, "a stolen device", tx.PutDevice(Device{Device: bobsPhone, Contact: carol.ID}), ErrExists)
		tablet := Device{Device: identity.DevicePublic{0xb1}, Contact: bob, Agreement: identity.AgreementPublic{1}}
		if err := tx.PutDevice(tablet); err != nil {
			return err
		}
		devices, err := tx.Devices(bob)
		same(t, "devices", len(devices), 2)
		if err != nil {
			return err
		}
		if last, err := tx.LastRevoked(bob); err != nil || !last.IsZero() {
			t.Errorf("before a device is revoked: %v, %v", last, err)
		}
		tablet.Revoked = day0()
		if err := tx.PutDevice(tablet); err != nil {
			return err
		}
		if last, err := tx.LastRevoked(bob); err != nil || !last.Equal(day0()) {
			t.Errorf("the last was revoked at %v, %v", last, err)
		}
		got, err := tx.Device(tablet.Device)
		same(t, "revoked device", got, tablet)
		if err != nil {
			return err
		}
		devices, err = tx.AllDevices()
		same(t, "devices in use", devices, []Device{{Device: bobsPhone, Contact: bob, Agreement: identity.AgreementPublic{9}}})
		return err
	})
}

func TestTheNewestAddressWins(t *testing.T) {
	s := openNew(t)
	withBob(t, s)
	a := Address{Device: bobsPhone, Peer: "peer-1", Addrs: [][]byte{{4, 127, 0, 0, 1}, {}}, Told: day0(), Seen: day0()}
	old := Address{Device: bobsPhone, Peer: "peer-0", Told: day0().Add(-time.Minute), Seen: day0().Add(time.Hour)}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Address(bobsPhone)
		is(t, "no address yet", err, ErrNotFound)
		for _, step := range []struct {
			a     Address
			newer bool
		}{{a, true}, {old, false}, {a, false}} {
			newer, err := tx.PutAddress(step.a)
			if err != nil {
				return err
			}
			same(t, "newer", newer, step.newer)
		}
		return nil
	})
	same(t, "address", get(t, s, func(tx *Tx) (Address, error) { return tx.Address(bobsPhone) }), a)
}
