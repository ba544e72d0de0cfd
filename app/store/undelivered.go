package store

import "time"

// Undelivered counts what no device has acknowledged: messages of ours and first
// flights.
type Undelivered struct {
	Waiting int // all of them
	Queued  int // those that are on this device only, as far as receipts say
	Asked   int // of the queued, those that were put off: nobody answers before a person decides
}

// Undelivered counts what is on its way.
func (tx *Tx) Undelivered(now time.Time) (Undelivered, error) {
	return one(tx, func(r row) (u Undelivered, err error) {
		err = r.Scan(&u.Waiting, &u.Queued, &u.Asked)
		return u, err
	}, `SELECT count(*), count(*) FILTER (WHERE alone), count(*) FILTER (WHERE alone AND flight = 1 AND attempts > 0 AND next > ?2)
		FROM (SELECT *, NOT EXISTS (SELECT 1 FROM deposits WHERE outbox = outbox.id AND receipt IS NOT NULL AND extra = 0 AND until > ?1) AS alone FROM outbox WHERE class IN (1, 5))`,
		now.UnixMilli(), now.UnixMilli())
}

// ContactsWaiting counts the contacts for whom a message of ours waits for one reason, a
// problem's code.
func (tx *Tx) ContactsWaiting(reason string) (int, error) {
	return one(tx, func(r row) (n int, err error) {
		err = r.Scan(&n)
		return n, err
	}, `SELECT count(DISTINCT devices.contact) FROM outbox JOIN messages ON messages.id = outbox.message JOIN devices ON devices.device = outbox.device
		WHERE outbox.class = 1 AND messages.state = 'queued' AND messages.reason = ?`, reason)
}
