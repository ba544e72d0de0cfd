package store

// NoteRead keeps that the author of a message is to be told that it was read.
func (tx *Tx) NoteRead(message int64) error {
	return tx.run("INSERT INTO untold_reads (message) VALUES (?) ON CONFLICT DO NOTHING", message)
}

// UntoldReads returns messages that were read without their authors being told, in
// the order of conversations, 1,000 at most.
func (tx *Tx) UntoldReads() ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE id IN (SELECT message FROM untold_reads) ORDER BY conversation, id LIMIT 1000")
}

// ToldRead forgets that the author of a message is to be told.
func (tx *Tx) ToldRead(message int64) error {
	return tx.run("DELETE FROM untold_reads WHERE message = ?", message)
}

// ForgetReads forgets all that is still to be told.
func (tx *Tx) ForgetReads() error { return tx.run("DELETE FROM untold_reads") }
