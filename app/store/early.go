package store

// EarlyActsMax is how many acts of a conversation wait for the messages that they are
// about.
const EarlyActsMax = 1000

// PutEarlyAct keeps that a message acts upon one which is not here. Of more than
// EarlyActsMax in a conversation the oldest wait no longer.
func (tx *Tx) PutEarlyAct(act, conversation int64, target MessageID) error {
	if err := tx.run("INSERT INTO early_acts (act, conversation, target) VALUES (?, ?, ?)", act, conversation, target[:]); err != nil {
		return err
	}
	n, err := tx.CountEarlyActs(conversation)
	if err != nil || n <= EarlyActsMax {
		return err
	}
	oldest, err := one(tx, integer, "SELECT min(act) FROM early_acts WHERE conversation = ?", conversation)
	if err != nil {
		return err
	}
	if err := tx.EmptyMessage(oldest); err != nil {
		return err
	}
	return tx.run("DELETE FROM early_acts WHERE act = ?", oldest)
}

// TakeEarlyActs returns what waited for a message of a conversation, in the order in which
// it came, and forgets that it did.
func (tx *Tx) TakeEarlyActs(conversation int64, target MessageID) ([]Message, error) {
	list, err := all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE id IN (SELECT act FROM early_acts WHERE conversation = ? AND target = ?) ORDER BY id",
		conversation, target[:])
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list, tx.run("DELETE FROM early_acts WHERE conversation = ? AND target = ?", conversation, target[:])
}

// CountEarlyActs is how many wait in a conversation.
func (tx *Tx) CountEarlyActs(conversation int64) (int64, error) {
	return one(tx, integer, "SELECT count(*) FROM early_acts WHERE conversation = ?", conversation)
}
