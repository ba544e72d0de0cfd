package store

import (
	"errors"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

func TestAccountAndSettings(t *testing.T) {
	s := openNew(t)
	want := Account{ID: identity.AccountID{1}, Root: identity.RootPublic{2}, Chain: []byte("chain"), Device: identity.DevicePublic{3}, Name: "Alice", Created: day0()}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Account()
		is(t, "no account yet", err, ErrNotFound)
		if err := tx.PutAccount(want); err != nil {
			return err
		}
		want.Name = "Alice L."
		return tx.PutAccount(want)
	})
	same(t, "account", get(t, s, (*Tx).Account), want)

	update(t, s, func(tx *Tx) error {
		if err := errors.Join(tx.PutSetting("a", []byte("1")), tx.PutSetting("a", []byte("2")), tx.PutSetting("b", nil)); err != nil {
			return err
		}
		v, err := tx.Setting("a")
		same(t, "setting", string(v), "2")
		return errors.Join(err, tx.DeleteSetting("b"), tx.DeleteSetting("b"))
	})
	view(t, s, func(tx *Tx) error {
		_, err := tx.Setting("b")
		is(t, "deleted setting", err, ErrNotFound)
		return nil
	})
}
