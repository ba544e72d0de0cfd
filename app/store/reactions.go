package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Reaction is what a person reacted to a message with.
type Reaction struct {
	Message int64 // row id
	Account identity.AccountID
	Emoji   string    // empty: it was taken back
	At      time.Time // by their clock
}

const reactionColumns = "message, account, emoji, at"

func scanReaction(r row) (v Reaction, err error) {
	err = r.Scan(&v.Message, fixed(v.Account[:]), &v.Emoji, stamp{&v.At})
	return v, err
}

// PutReaction keeps a reaction in place of the one before of the same person.
func (tx *Tx) PutReaction(r Reaction) error {
	return tx.run(`INSERT INTO reactions (message, account, emoji, at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET emoji = excluded.emoji, at = excluded.at`, r.Message, r.Account[:], r.Emoji, r.At.UnixMilli())
}

// Reaction returns a person's reaction to a message, taken back or not.
func (tx *Tx) Reaction(message int64, account identity.AccountID) (Reaction, error) {
	return one(tx, scanReaction, "SELECT "+reactionColumns+" FROM reactions WHERE message = ? AND account = ?", message, account[:])
}

// Reactions returns those to the messages of a conversation between two row ids, both
// included, but for those that were taken back; the oldest of each message first.
func (tx *Tx) Reactions(conversation, first, last int64) ([]Reaction, error) {
	return all(tx, scanReaction, "SELECT "+reactionColumns+` FROM reactions WHERE message BETWEEN ? AND ? AND emoji <> ''
		AND (SELECT conversation FROM messages WHERE id = reactions.message) = ? ORDER BY message, at, account`, first, last, conversation)
}
