package store

import "time"

// forgetSingly is how many messages are taken out of the index of words one by one, which
// takes some 0.1 ms each.
const forgetSingly = 1000

// ForgetContact marks a contact as removed and deletes the history with them,
// what waits for their devices, and the queues of both sides; our own are closed, for
// relays to be told. Sessions are their owner's to erase. The row itself stays, with
// the account alone, so that a device never changes hands.
//
// Taking many messages out of the index of words one by one takes longer than to make it
// anew, which is then left to Index.
func (tx *Tx) ForgetContact(id int64, at time.Time) error {
	said, err := one(tx, integer, "SELECT count(*) FROM (SELECT 1 FROM messages WHERE conversation IN (SELECT id FROM conversations WHERE contact = ?) LIMIT ?)", id, forgetSingly+1)
	if err != nil {
		return err
	}
	if said > forgetSingly {
		if err := tx.ForgetIndex(); err != nil {
			return err
		}
	}
	const devices = "(SELECT device FROM devices WHERE contact = ?)"
	for _, query := range []string{
		"DELETE FROM outbox WHERE device IN " + devices,
		"DELETE FROM addresses WHERE device IN " + devices,
		"DELETE FROM their_queues WHERE device IN " + devices,
		"DELETE FROM own_seeds WHERE device IN " + devices,
		"DELETE FROM their_seeds WHERE device IN " + devices,
		"DELETE FROM queue_ids WHERE queue IN (SELECT id FROM own_queues WHERE device IN " + devices + ")",
		"DELETE FROM set_aside WHERE device IN " + devices,
		"DELETE FROM meetings WHERE ? IN (first, second)",
		"DELETE FROM messages WHERE conversation IN (SELECT id FROM conversations WHERE contact = ?)",
		"UPDATE conversations SET active = NULL, pinned = NULL, archived = NULL, muted_until = NULL, draft = NULL, timer = 0, timer_version = 0 WHERE contact = ?",
	} {
		if err := tx.run(query, id); err != nil {
			return err
		}
	}
	if err := tx.run("UPDATE own_queues SET closed = ? WHERE closed IS NULL AND device IN "+devices, at.UnixMilli(), id); err != nil {
		return err
	}
	return tx.must("UPDATE contacts SET removed = ?, name = '', petname = NULL, petname_key = NULL, verified = NULL, introducer = NULL WHERE id = ?", at.UnixMilli(), id)
}
