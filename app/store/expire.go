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
	// InvitationsFor is how long an invitation is remembered after its end, used or
	// not: as long as its keys.
	InvitationsFor = PrekeysFor
	// ClosedFor is how long a queue that is used no more is remembered if its relay
	// cannot be told to close it: the relay does so by itself before.
	ClosedFor = 90 * 24 * time.Hour
	// EvidenceFor is how long the trail of a message is kept. By then the message
	// is delivered or has failed.
	EvidenceFor = 90 * 24 * time.Hour
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
		// Nothing that came as long ago can come again.
		{"DELETE FROM messages WHERE silent = 1 AND at <= ? AND id NOT IN (SELECT message FROM outbox WHERE message IS NOT NULL)", now.Add(-SeenFor).UnixMilli()},
		{"DELETE FROM meetings WHERE at <= ?", now.Add(-MeetingsFor).UnixMilli()},
		{"DELETE FROM requests WHERE expires <= ?", at},
		// What a request holds can be opened as long as it waits.
		{"DELETE FROM bundles WHERE expires <= ? AND NOT EXISTS (SELECT 1 FROM request_flights WHERE bundle = bundles.id)", now.Add(-PrekeysFor).UnixMilli()},
		{"DELETE FROM prekey_sets WHERE erase_after <= ? AND NOT EXISTS (SELECT 1 FROM bundles WHERE prekey_set = prekey_sets.id)", at},
		{"DELETE FROM own_queues WHERE invitation IN (SELECT id FROM invitations WHERE expires <= ?)", now.Add(-InvitationsFor).UnixMilli()},
		{`DELETE FROM own_queues WHERE closed IS NOT NULL
			AND (closed <= ? OR opened_until <= epoch0 OR opened_until = 4294967295 OR relay NOT IN (SELECT peer FROM relays))`, now.Add(-ClosedFor).UnixMilli()},
		{"DELETE FROM invitations WHERE expires <= ? AND NOT EXISTS (SELECT 1 FROM bundles WHERE invitation = invitations.id)", now.Add(-InvitationsFor).UnixMilli()},
		{"DELETE FROM relay_faults WHERE at <= ?", now.Add(-FaultsFor).UnixMilli()},
		{"DELETE FROM relay_answers WHERE at <= ?", now.Add(-FaultsFor).UnixMilli()},
		// Rows come in the order of messages, the oldest first: not all are looked at.
		{"DELETE FROM evidence WHERE at <= ? AND message IN (SELECT DISTINCT message FROM evidence ORDER BY message LIMIT 10000)", now.Add(-EvidenceFor).UnixMilli()},
	} {
		if err := tx.run(step.query, step.before); err != nil {
			return err
		}
	}
	return nil
}
