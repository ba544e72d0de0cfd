package store

import (
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/godwit-im/godwit/identity"
)

// ContactKind says how far a person is known.
type ContactKind string

// The kinds of contacts. Who came by a single-use invitation is new, who came
// by a reusable one is a request until accepted; those of kind self live on this
// computer alone and have no device: the person's own notes, and Echo.
const (
	ContactNew     ContactKind = "new"
	ContactKnown   ContactKind = "contact"
	ContactRequest ContactKind = "request"
	ContactSelf    ContactKind = "self"
)

// Contact is a person.
type Contact struct {
	ID       int64
	Account  identity.AccountID
	Root     *identity.RootPublic // nil until their manifests were seen
	Chain    []byte               // newest manifests, as identity.Chain encodes them; nil as Root
	PinN     uint64               // see identity.Pin
	PinHead  [32]byte
	PinSuite byte
	Frozen   bool
	Name     string // what they call themselves
	Petname  string // what we call them; may be empty
	Kind     ContactKind
	Blocked  time.Time // zero: not; likewise Removed and Verified
	Removed  time.Time
	Verified time.Time
	Created  time.Time

	Introducer int64 // row of the contact who introduced them; 0: nobody
}

const contactColumns = "id, account, root, chain, pin_n, pin_head, pin_suite, frozen, name, petname, kind, blocked, removed, verified, created, introducer"

func scanContact(r row) (c Contact, err error) {
	var n int64
	err = r.Scan(&c.ID, fixed(c.Account[:]), maybe32(&c.Root), &c.Chain, &n, fixed(c.PinHead[:]), &c.PinSuite, &c.Frozen,
		&c.Name, nullText{&c.Petname}, &c.Kind, stamp{&c.Blocked}, stamp{&c.Removed}, stamp{&c.Verified}, stamp{&c.Created}, nullID{&c.Introducer})
	c.PinN = uint64(n)
	return c, err
}

// PetnameKey folds a petname so that names which differ only in case, in
// compatibility forms (Unicode NFKC, default case folding), in how much space is
// between their words or in what joins an emoji's parts are one.
func PetnameKey(petname string) string {
	const selector, joiner = "\ufe0f", "\u200d"
	petname = strings.NewReplacer(selector, "", joiner, "").Replace(petname)
	return strings.Join(strings.Fields(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(petname)))), " ")
}

// InsertContact adds a person and returns the row's id. ErrExists: the account
// or the petname is taken.
func (tx *Tx) InsertContact(c Contact) (int64, error) {
	return tx.insert(`INSERT INTO contacts (account, root, chain, pin_n, pin_head, pin_suite, frozen, name, petname, petname_key, kind, blocked, removed, verified, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Account[:], null32(c.Root), blob(c.Chain), int64(c.PinN), c.PinHead[:], c.PinSuite, c.Frozen, c.Name, text(c.Petname),
		text(PetnameKey(c.Petname)), string(c.Kind), ms(c.Blocked), ms(c.Removed), ms(c.Verified), c.Created.UnixMilli())
}

// UpdateContact replaces everything about the person with this row id except
// the account and Created. ErrExists: the petname is taken.
func (tx *Tx) UpdateContact(c Contact) error {
	return tx.must(`UPDATE contacts SET root = ?, chain = ?, pin_n = ?, pin_head = ?, pin_suite = ?, frozen = ?, name = ?, petname = ?, petname_key = ?,
		kind = ?, blocked = ?, removed = ?, verified = ? WHERE id = ?`,
		null32(c.Root), blob(c.Chain), int64(c.PinN), c.PinHead[:], c.PinSuite, c.Frozen, c.Name, text(c.Petname),
		text(PetnameKey(c.Petname)), string(c.Kind), ms(c.Blocked), ms(c.Removed), ms(c.Verified), c.ID)
}

// SetIntroducer notes who introduced a person.
func (tx *Tx) SetIntroducer(contact, by int64) error {
	return tx.must("UPDATE contacts SET introducer = ? WHERE id = ?", null(by), contact)
}

// Contact returns the person with this row id.
func (tx *Tx) Contact(id int64) (Contact, error) {
	return one(tx, scanContact, "SELECT "+contactColumns+" FROM contacts WHERE id = ?", id)
}

// ContactByAccount returns the person with this account.
func (tx *Tx) ContactByAccount(a identity.AccountID) (Contact, error) {
	return one(tx, scanContact, "SELECT "+contactColumns+" FROM contacts WHERE account = ?", a[:])
}

// ContactByPetname returns the person whom we call this, whatever the case.
func (tx *Tx) ContactByPetname(petname string) (Contact, error) {
	return one(tx, scanContact, "SELECT "+contactColumns+" FROM contacts WHERE petname_key = ?", PetnameKey(petname))
}

// ContactByDevice returns the person whose device this is, revoked or not.
func (tx *Tx) ContactByDevice(d identity.DevicePublic) (Contact, error) {
	return one(tx, scanContact, "SELECT "+contactColumns+" FROM contacts WHERE id = (SELECT contact FROM devices WHERE device = ?)", d[:])
}

// Contacts returns everybody, removed ones too, in the order they came.
func (tx *Tx) Contacts() ([]Contact, error) {
	return all(tx, scanContact, "SELECT "+contactColumns+" FROM contacts ORDER BY id")
}

// Device is a contact's device.
type Device struct {
	Device    identity.DevicePublic
	Contact   int64
	Agreement identity.AgreementPublic
	Revoked   time.Time // zero: in use
}

const deviceColumns = "device, contact, agreement, revoked"

func scanDevice(r row) (d Device, err error) {
	err = r.Scan(fixed(d.Device[:]), &d.Contact, fixed(d.Agreement[:]), stamp{&d.Revoked})
	return d, err
}

// PutDevice keeps a device, in place of what was known of it. A device never
// changes hands: ErrExists if another contact has it.
func (tx *Tx) PutDevice(d Device) error {
	n, err := tx.count(`INSERT INTO devices (device, contact, agreement, revoked) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET agreement = excluded.agreement, revoked = excluded.revoked WHERE contact = excluded.contact`,
		d.Device[:], d.Contact, d.Agreement[:], ms(d.Revoked))
	if err == nil && n == 0 {
		return ErrExists
	}
	return err
}

// Device returns a device.
func (tx *Tx) Device(d identity.DevicePublic) (Device, error) {
	return one(tx, scanDevice, "SELECT "+deviceColumns+" FROM devices WHERE device = ?", d[:])
}

// Devices returns the devices of a contact that are in use.
func (tx *Tx) Devices(contact int64) ([]Device, error) {
	return all(tx, scanDevice, "SELECT "+deviceColumns+" FROM devices WHERE contact = ? AND revoked IS NULL ORDER BY device", contact)
}

// LastRevoked is when a device of a contact was last revoked; zero if none ever was.
func (tx *Tx) LastRevoked(contact int64) (time.Time, error) {
	return one(tx, func(r row) (at time.Time, err error) {
		err = r.Scan(stamp{&at})
		return at, err
	}, "SELECT max(revoked) FROM devices WHERE contact = ?", contact)
}

// AllDevices returns every device in use of everybody.
func (tx *Tx) AllDevices() ([]Device, error) {
	return all(tx, scanDevice, "SELECT "+deviceColumns+" FROM devices WHERE revoked IS NULL ORDER BY contact, device")
}

// FormerDevices returns the devices that were revoked, and those of who is blocked or removed.
func (tx *Tx) FormerDevices() ([]identity.DevicePublic, error) {
	return all(tx, func(r row) (d identity.DevicePublic, err error) {
		err = r.Scan(fixed(d[:]))
		return d, err
	}, `SELECT d.device FROM devices d JOIN contacts c ON c.id = d.contact
		WHERE d.revoked IS NOT NULL OR c.blocked IS NOT NULL OR c.removed IS NOT NULL ORDER BY d.device`)
}

// Address is where a device listens.
type Address struct {
	Device identity.DevicePublic
	Peer   PeerID
	Addrs  [][]byte  // multiaddrs, in bytes
	Told   time.Time // by the sender's clock
	Seen   time.Time // by ours
}

// PutAddress keeps an address if it was told later than the one we have, and
// tells whether it was.
func (tx *Tx) PutAddress(a Address) (newer bool, err error) {
	list, err := encodeList(a.Addrs)
	if err != nil {
		return false, err
	}
	n, err := tx.count(`INSERT INTO addresses (device, peer, addrs, told, seen) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET peer = excluded.peer, addrs = excluded.addrs, told = excluded.told, seen = excluded.seen WHERE told < excluded.told`,
		a.Device[:], []byte(a.Peer), list, a.Told.UnixMilli(), a.Seen.UnixMilli())
	return n == 1, err
}

// Address returns where a device listens, as far as it was told.
func (tx *Tx) Address(d identity.DevicePublic) (Address, error) {
	return one(tx, func(r row) (a Address, err error) {
		a.Device = d
		err = r.Scan(peerID{&a.Peer}, addrs{&a.Addrs}, stamp{&a.Told}, stamp{&a.Seen})
		return a, err
	}, "SELECT peer, addrs, told, seen FROM addresses WHERE device = ?", d[:])
}
