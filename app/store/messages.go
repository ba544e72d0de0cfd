package store

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// State is what is known of a message.
type State string

// The states of our own messages are ordered as they stand here, but for
// failed; received is the one state of those of others.
const (
	Queued    State = "queued"
	Kept      State = "kept"
	Delivered State = "delivered"
	Read      State = "read"
	Failed    State = "failed"
	Received  State = "received"
)

// Message is something said.
type Message struct {
	ID           int64 // row id; orders what is shown
	Message      MessageID
	Conversation int64
	Author       identity.DevicePublic
	Mine         bool
	Seq          uint64    // of the author's device in this conversation
	Prev         [32]byte  // hash of the author's message before
	Sent         time.Time // by the author's clock
	At           time.Time // by ours
	Kind         int
	Body         []byte
	State        State
	Reason       string    // problem code; may be empty
	Expires      time.Time // when we give up; zero: never
	Shown        bool      // false: waits for its predecessor
	ShowBy       time.Time // shown then even so; zero: never
}

const messageColumns = "id, message, conversation, author, mine, seq, prev, sent, at, kind, body, state, reason, expires, shown, show_by"

func scanMessage(r row) (m Message, err error) {
	var seq int64
	err = r.Scan(&m.ID, fixed(m.Message[:]), &m.Conversation, fixed(m.Author[:]), &m.Mine, &seq, fixed(m.Prev[:]), stamp{&m.Sent}, stamp{&m.At},
		&m.Kind, &m.Body, &m.State, nullText{&m.Reason}, stamp{&m.Expires}, &m.Shown, stamp{&m.ShowBy})
	m.Seq = uint64(seq)
	return m, err
}

// InsertMessage keeps a message and returns its row id. ErrExists: there is one
// of this MessageID.
func (tx *Tx) InsertMessage(m Message) (int64, error) {
	return tx.insert(`INSERT INTO messages (message, conversation, author, mine, seq, prev, sent, at, kind, body, state, reason, expires, shown, show_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Message[:], m.Conversation, m.Author[:], m.Mine, int64(m.Seq), m.Prev[:], m.Sent.UnixMilli(), m.At.UnixMilli(),
		m.Kind, whole(m.Body), string(m.State), text(m.Reason), ms(m.Expires), m.Shown, ms(m.ShowBy))
}

// Message returns the message with this row id.
func (tx *Tx) Message(id int64) (Message, error) {
	return one(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE id = ?", id)
}

// MessageByID returns the message that both sides know by this id.
func (tx *Tx) MessageByID(id MessageID) (Message, error) {
	return one(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE message = ?", id[:])
}

// Messages returns up to limit shown messages of a conversation that came before
// the row id before (0: the newest), oldest first.
func (tx *Tx) Messages(conversation, before int64, limit int) ([]Message, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE conversation = ? AND id < ? AND shown = 1 ORDER BY id DESC LIMIT ?",
		conversation, before, limit)
	slices.Reverse(list)
	return list, err
}

// Numbered tells whether there is a message of this number by a device. It is for
// the rare case that a number comes again: it reads the whole conversation.
func (tx *Tx) Numbered(author identity.DevicePublic, conversation int64, seq uint64) (bool, error) {
	n, err := one(tx, integer, "SELECT count(*) FROM messages WHERE conversation = ? AND author = ? AND seq = ?", conversation, author[:], int64(seq))
	return n > 0, err
}

// Hidden returns all messages of a device that wait for a predecessor, by number.
func (tx *Tx) Hidden(author identity.DevicePublic, conversation int64) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE conversation = ? AND author = ? AND shown = 0 ORDER BY seq", conversation, author[:])
}

// CountHidden is how many messages of a device wait for a predecessor.
func (tx *Tx) CountHidden(author identity.DevicePublic, conversation int64) (int64, error) {
	return one(tx, integer, "SELECT count(*) FROM messages WHERE conversation = ? AND author = ? AND shown = 0", conversation, author[:])
}

// NextHidden returns the first message of a device, by number and not above seq,
// that waits for a predecessor, or ErrNotFound. One at a time: a device can have
// thousands wait.
func (tx *Tx) NextHidden(author identity.DevicePublic, conversation int64, seq uint64) (Message, error) {
	return one(tx, scanMessage, "SELECT "+messageColumns+` FROM messages
		WHERE conversation = ? AND author = ? AND shown = 0 AND seq <= ? ORDER BY seq LIMIT 1`, conversation, author[:], int64(seq))
}

// Overdue returns messages that waited long enough for a predecessor, 100 at most.
func (tx *Tx) Overdue(now time.Time) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE shown = 0 AND show_by <= ? ORDER BY conversation, author, seq LIMIT 100", now.UnixMilli())
}

// Show shows a message that waited, after everything that is shown already, and
// returns its new row id.
func (tx *Tx) Show(id int64) (int64, error) {
	return one(tx, integer, "UPDATE messages SET id = (SELECT max(id) + 1 FROM messages), shown = 1, show_by = NULL WHERE id = ? AND shown = 0 RETURNING id", id)
}

// SetState notes what is known of a message. That a state does not fall which
// should not is the caller's to see to.
func (tx *Tx) SetState(id int64, state State, reason string) error {
	return tx.must("UPDATE messages SET state = ?, reason = ? WHERE id = ?", string(state), text(reason), id)
}

// Expired returns our messages in the outbox that are neither delivered nor failed
// past their expiry, oldest first.
func (tx *Tx) Expired(now time.Time) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+` FROM messages WHERE state IN ('queued', 'kept') AND id IN
		(SELECT message FROM outbox WHERE message IS NOT NULL AND expires <= ?) ORDER BY id`, now.UnixMilli())
}
