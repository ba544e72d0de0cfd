package store

import "time"

// Undelivered counts what no device has acknowledged: messages of ours and first
// flights.
type Undelivered struct {
	Waiting int // all of them
	Queued  int // those that are on this device only, as far as receipts say
}

// Undelivered counts what is on its way.
func (tx *Tx) Undelivered(now time.Time) (Undelivered, error) {
	return one(tx, func(r row) (u Undelivered, err error) {
		err = r.Scan(&u.Waiting, &u.Queued)
		return u, err
	}, `SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM deposits WHERE outbox = outbox.id AND receipt IS NOT NULL AND until > ?))
		FROM outbox WHERE class IN (1, 5)`, now.UnixMilli())
}
