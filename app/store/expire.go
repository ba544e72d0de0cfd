package store

import "time"

// How long things are kept after their time.
const (
	// SeenFor is how long an opened ratchet message is remembered: longer than
	// any relay keeps a copy (30 days) and clocks err.
	SeenFor = 45 * 24 * time.Hour
	// PrekeysFor is how long private halves and replay entries outlive the
	// bundle that named them: a relay's 30 days and two to spare.
	PrekeysFor = 32 * 24 * time.Hour
)

// expire forgets what is past its time. Sessions are forgotten by their owner,
// who holds them in memory too.
func (tx *Tx) expire(now time.Time) error {
	at := now.UnixMilli()
	for _, step := range []struct {
		query  string
		before int64
	}{
		{"DELETE FROM seen WHERE expires <= ?", at},
		{"DELETE FROM bundles WHERE expires <= ?", now.Add(-PrekeysFor).UnixMilli()},
		{"DELETE FROM prekey_sets WHERE erase_after <= ? AND NOT EXISTS (SELECT 1 FROM bundles WHERE prekey_set = prekey_sets.id)", at},
	} {
		if err := tx.run(step.query, step.before); err != nil {
			return err
		}
	}
	return nil
}
