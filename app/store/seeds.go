package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// OwnSeed is a seed of the rendezvous records by which a device finds us. Seed is
// sealed on the disk.
type OwnSeed struct {
	ID     int64
	Device identity.DevicePublic // who was given it
	Seed   [32]byte
	Made   time.Time
	Told   time.Time // when the device acknowledged it; zero: not yet
}

// InsertOwnSeed keeps a seed and returns its id.
func (tx *Tx) InsertOwnSeed(s OwnSeed) (int64, error) {
	id, err := tx.nextID("SELECT coalesce(max(id), 0) + 1 FROM own_seeds")
	if err != nil {
		return 0, err
	}
	return tx.insert("INSERT INTO own_seeds (id, device, sealed, made, told) VALUES (?, ?, ?, ?, ?)",
		id, s.Device[:], tx.store.rows.seal("own_seeds", rowID(id), s.Seed[:]), s.Made.UnixMilli(), ms(s.Told))
}

// OwnSeeds returns the seeds that a device was given, the oldest first.
func (tx *Tx) OwnSeeds(device identity.DevicePublic) ([]OwnSeed, error) {
	return all(tx, func(r row) (s OwnSeed, err error) {
		var sealed []byte
		if err = r.Scan(&s.ID, fixed(s.Device[:]), &sealed, stamp{&s.Made}, stamp{&s.Told}); err != nil {
			return s, err
		}
		value, err := tx.store.rows.open("own_seeds", rowID(s.ID), sealed)
		if err != nil {
			return s, err
		}
		return s, fixed(s.Seed[:]).Scan(value)
	}, "SELECT id, device, sealed, made, told FROM own_seeds WHERE device = ? ORDER BY id", device[:])
}

// TellSeeds notes that a device acknowledged the seeds made up to a time, and
// forgets those that this makes needless: all before the newest of them.
func (tx *Tx) TellSeeds(device identity.DevicePublic, made, at time.Time) error {
	err := tx.run("UPDATE own_seeds SET told = ? WHERE device = ? AND made <= ? AND told IS NULL", at.UnixMilli(), device[:], made.UnixMilli())
	if err != nil {
		return err
	}
	return tx.run("DELETE FROM own_seeds WHERE device = ?1 AND id < (SELECT max(id) FROM own_seeds WHERE device = ?1 AND told IS NOT NULL)", device[:])
}

// TheirSeed is the seed of the records by which a device is found.
type TheirSeed struct {
	Device identity.DevicePublic
	Seed   [32]byte
	Made   time.Time // by its clock
	Seq    time.Time // highest of the records that were opened; zero: none was
}

// PutTheirSeed keeps a seed if it was made later than the one we have, and tells
// whether it was.
func (tx *Tx) PutTheirSeed(s TheirSeed) (newer bool, err error) {
	n, err := tx.count(`INSERT INTO their_seeds (device, sealed, made, seq) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET sealed = excluded.sealed, made = excluded.made, seq = excluded.seq WHERE made < excluded.made`,
		s.Device[:], tx.store.rows.seal("their_seeds", s.Device[:], s.Seed[:]), s.Made.UnixMilli(), ms(s.Seq))
	return n == 1, err
}

// TheirSeed returns the newest seed of a device, or ErrNotFound.
func (tx *Tx) TheirSeed(device identity.DevicePublic) (TheirSeed, error) {
	return one(tx, func(r row) (s TheirSeed, err error) {
		var sealed []byte
		s.Device = device
		if err = r.Scan(&sealed, stamp{&s.Made}, stamp{&s.Seq}); err != nil {
			return s, err
		}
		value, err := tx.store.rows.open("their_seeds", device[:], sealed)
		if err != nil {
			return s, err
		}
		return s, fixed(s.Seed[:]).Scan(value)
	}, "SELECT sealed, made, seq FROM their_seeds WHERE device = ?", device[:])
}

// SawRecord notes the seq of a record that was opened.
func (tx *Tx) SawRecord(device identity.DevicePublic, seq time.Time) error {
	return tx.must("UPDATE their_seeds SET seq = ? WHERE device = ?", seq.UnixMilli(), device[:])
}
