package store

import (
	"fmt"
	"time"
)

// PrekeySet is the private half of what a week's bundles offer. Secrets is
// encoded by its owner and sealed on the disk.
type PrekeySet struct {
	ID         int64
	Secrets    []byte
	Created    time.Time
	EraseAfter time.Time // zero: in use
}

const prekeySetColumns = "id, sealed, created, erase_after"

func (tx *Tx) scanPrekeySet(r row) (p PrekeySet, err error) {
	var sealed []byte
	if err = r.Scan(&p.ID, &sealed, stamp{&p.Created}, stamp{&p.EraseAfter}); err != nil {
		return p, err
	}
	p.Secrets, err = tx.store.rows.open("prekey_sets", rowID(p.ID), sealed)
	return p, err
}

// InsertPrekeySet adds a set and returns its id.
func (tx *Tx) InsertPrekeySet(p PrekeySet) (int64, error) {
	id, err := tx.nextID("SELECT coalesce(max(id), 0) + 1 FROM prekey_sets")
	if err != nil {
		return 0, err
	}
	return tx.insert("INSERT INTO prekey_sets (id, sealed, created, erase_after) VALUES (?, ?, ?, ?)",
		id, tx.store.rows.seal("prekey_sets", rowID(id), p.Secrets), p.Created.UnixMilli(), ms(p.EraseAfter))
}

// nextID is for rows that are sealed under their id, which must be known first.
func (tx *Tx) nextID(query string) (int64, error) { return one(tx, integer, query) }

// PrekeySet returns a set.
func (tx *Tx) PrekeySet(id int64) (PrekeySet, error) {
	return one(tx, tx.scanPrekeySet, "SELECT "+prekeySetColumns+" FROM prekey_sets WHERE id = ?", id)
}

// NewestPrekeySet returns the set that new bundles offer.
func (tx *Tx) NewestPrekeySet() (PrekeySet, error) {
	return one(tx, tx.scanPrekeySet, "SELECT "+prekeySetColumns+" FROM prekey_sets ORDER BY id DESC LIMIT 1")
}

// PrekeySets returns every set whose private halves are still there, newest
// first: who reads a flight has to try each.
func (tx *Tx) PrekeySets() ([]PrekeySet, error) {
	return all(tx, tx.scanPrekeySet, "SELECT "+prekeySetColumns+" FROM prekey_sets ORDER BY id DESC")
}

// RetirePrekeySet says when a set is to be erased.
func (tx *Tx) RetirePrekeySet(id int64, eraseAfter time.Time) error {
	return tx.must("UPDATE prekey_sets SET erase_after = ? WHERE id = ?", eraseAfter.UnixMilli(), id)
}

// Bundle is a bundle that we gave out.
type Bundle struct {
	ID         BundleID
	PrekeySet  int64
	OneTime    *[32]byte // private half of the one-time key; nil: none, or erased
	Raw        []byte    // as it was signed
	Invitation *InvitationID
	Expires    time.Time
	ConsumedBy *SessionID // the session that used the one-time key
}

func (tx *Tx) scanBundle(r row) (b Bundle, err error) {
	var sealed, invitation []byte
	if err = r.Scan(fixed(b.ID[:]), &b.PrekeySet, &sealed, &b.Raw, &invitation, stamp{&b.Expires}, maybe32(&b.ConsumedBy)); err != nil {
		return b, err
	}
	if invitation != nil {
		b.Invitation = new(InvitationID)
		if err := fixed(b.Invitation[:]).Scan(invitation); err != nil {
			return b, err
		}
	}
	if sealed != nil {
		value, err := tx.store.rows.open("bundles", b.ID[:], sealed)
		if err != nil {
			return b, err
		}
		b.OneTime = new([32]byte)
		return b, fixed(b.OneTime[:]).Scan(value)
	}
	return b, nil
}

// InsertBundle keeps a bundle.
func (tx *Tx) InsertBundle(b Bundle) error {
	var sealed, invitation any
	if b.OneTime != nil {
		sealed = tx.store.rows.seal("bundles", b.ID[:], b.OneTime[:])
	}
	if b.Invitation != nil {
		invitation = b.Invitation[:]
	}
	return tx.run("INSERT INTO bundles (id, prekey_set, sealed, raw, invitation, expires, consumed_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
		b.ID[:], b.PrekeySet, sealed, whole(b.Raw), invitation, b.Expires.UnixMilli(), null32(b.ConsumedBy))
}

const bundleColumns = "id, prekey_set, sealed, raw, invitation, expires, consumed_by"

// Bundle returns a bundle that we gave out.
func (tx *Tx) Bundle(id BundleID) (Bundle, error) {
	return one(tx, tx.scanBundle, "SELECT "+bundleColumns+" FROM bundles WHERE id = ?", id[:])
}

// BundlesOf returns the bundles of an invitation.
func (tx *Tx) BundlesOf(id InvitationID) ([]Bundle, error) {
	return all(tx, tx.scanBundle, "SELECT "+bundleColumns+" FROM bundles WHERE invitation = ?", id[:])
}

// ConsumeBundle notes which session used a bundle's one-time key, and erases the
// key. The same session may come again; another one is ErrExists.
func (tx *Tx) ConsumeBundle(id BundleID, by SessionID) error {
	n, err := tx.count("UPDATE bundles SET consumed_by = ?, sealed = NULL WHERE id = ? AND (consumed_by IS NULL OR consumed_by = ?)", by[:], id[:], by[:])
	if err != nil || n == 1 {
		return err
	}
	if _, err := tx.Bundle(id); err != nil {
		return err
	}
	return fmt.Errorf("store: one-time key: %w", ErrExists)
}
