package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Account is the account that the profile holds.
type Account struct {
	ID      identity.AccountID
	Root    identity.RootPublic
	Chain   []byte // own manifests, as identity.Chain encodes them
	Device  identity.DevicePublic
	Name    string // may be empty
	Created time.Time
}

// Account returns the account, or ErrNotFound before PutAccount.
func (tx *Tx) Account() (Account, error) {
	return one(tx, func(r row) (a Account, err error) {
		err = r.Scan(fixed(a.ID[:]), fixed(a.Root[:]), &a.Chain, fixed(a.Device[:]), &a.Name, stamp{&a.Created})
		return a, err
	}, "SELECT account, root, chain, device, name, created FROM account")
}

// PutAccount keeps the account, in place of what was there.
func (tx *Tx) PutAccount(a Account) error {
	return tx.run("INSERT OR REPLACE INTO account (one, account, root, chain, device, name, created) VALUES (1, ?, ?, ?, ?, ?, ?)",
		a.ID[:], a.Root[:], whole(a.Chain), a.Device[:], a.Name, a.Created.UnixMilli())
}

// Setting returns the value of a setting, or ErrNotFound.
func (tx *Tx) Setting(key string) ([]byte, error) {
	return one(tx, func(r row) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	}, "SELECT value FROM settings WHERE key = ?", key)
}

// PutSetting keeps a setting, in place of its old value.
func (tx *Tx) PutSetting(key string, value []byte) error {
	return tx.run("INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, whole(value))
}

// DeleteSetting forgets a setting.
func (tx *Tx) DeleteSetting(key string) error {
	return tx.run("DELETE FROM settings WHERE key = ?", key)
}
