package store

import (
	"math"
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
	Starred      time.Time // since when; zero: not
	Pinned       time.Time // since when it stands above its conversation; zero: not

	Silent    bool          // no line of the conversation: it acts upon another, or was removed here
	Reply     *MessageID    // the message that is answered; nil: none
	Forwarded bool          // somebody else's words
	Timer     time.Duration // whole seconds until it disappears once that begins to count; 0: it stays
	Vanish    time.Time     // when it disappears; zero: that does not count yet
	Edited    time.Time     // by the author's clock; zero: never
	Deleted   time.Time     // by ours; then there is no Body. Zero: not
}

const messageColumns = "id, message, conversation, author, mine, seq, prev, sent, at, kind, body, state, reason, expires, shown, show_by, starred, pinned, " +
	"silent, reply, forwarded, timer, vanish, edited, deleted"

func scanMessage(r row) (m Message, err error) {
	var seq, seconds int64
	err = r.Scan(&m.ID, fixed(m.Message[:]), &m.Conversation, fixed(m.Author[:]), &m.Mine, &seq, fixed(m.Prev[:]), stamp{&m.Sent}, stamp{&m.At},
		&m.Kind, &m.Body, &m.State, nullText{&m.Reason}, stamp{&m.Expires}, &m.Shown, stamp{&m.ShowBy}, stamp{&m.Starred}, stamp{&m.Pinned},
		&m.Silent, nullMessage{&m.Reply}, &m.Forwarded, &seconds, stamp{&m.Vanish}, stamp{&m.Edited}, stamp{&m.Deleted})
	m.Seq, m.Timer = uint64(seq), time.Duration(seconds)*time.Second
	return m, err
}

// InsertMessage keeps a message, but for Starred and Pinned, and returns its row id,
// which no message had before. ErrExists: there is one of this MessageID.
func (tx *Tx) InsertMessage(m Message) (int64, error) {
	id, err := tx.nextMessage()
	if err != nil {
		return 0, err
	}
	_, err = tx.insert(`INSERT INTO messages (id, message, conversation, author, mine, seq, prev, sent, at, kind, body, state, reason, expires, shown, show_by,
			silent, reply, forwarded, timer, vanish, edited, deleted)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, m.Message[:], m.Conversation, m.Author[:], m.Mine, int64(m.Seq), m.Prev[:], m.Sent.UnixMilli(), m.At.UnixMilli(),
		m.Kind, whole(m.Body), string(m.State), text(m.Reason), ms(m.Expires), m.Shown, ms(m.ShowBy),
		m.Silent, messageOrNull(m.Reply), m.Forwarded, int64(m.Timer/time.Second), ms(m.Vanish), ms(m.Edited), ms(m.Deleted))
	if err != nil {
		return 0, err
	}
	tx.store.lastMessage = id
	if !m.Shown || m.Silent {
		return id, nil
	}
	return id, tx.stir(m.Conversation, m.At)
}

// nextMessage is a row id that no message had before: with another's it would be taken as
// read if that was, and as in the index of words.
func (tx *Tx) nextMessage() (int64, error) {
	if tx.store.lastMessage == 0 {
		last, err := one(tx, integer, "SELECT max((SELECT coalesce(max(id), 0) FROM messages), (SELECT coalesce(max(read_to), 0) FROM conversations), (SELECT upto FROM search_progress))")
		if err != nil {
			return 0, err
		}
		tx.store.lastMessage = last
	}
	return tx.store.lastMessage + 1, nil
}

// Message returns the message with this row id.
func (tx *Tx) Message(id int64) (Message, error) {
	return one(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE id = ?", id)
}

// MessageByID returns the message that both sides know by this id.
func (tx *Tx) MessageByID(id MessageID) (Message, error) {
	return one(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE message = ?", id[:])
}

// Messages returns up to limit lines of a conversation, which are its shown messages that
// are not silent, from before the row id before (0: the newest), oldest first.
func (tx *Tx) Messages(conversation, before int64, limit int) ([]Message, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE conversation = ? AND id < ? AND shown = 1 AND silent = 0 ORDER BY id DESC LIMIT ?",
		conversation, before, limit)
	slices.Reverse(list)
	return list, err
}

// MessagesAfter returns up to limit lines of a conversation from after the row id after,
// oldest first.
func (tx *Tx) MessagesAfter(conversation, after int64, limit int) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE conversation = ? AND id > ? AND shown = 1 AND silent = 0 ORDER BY id LIMIT ?",
		conversation, after, limit)
}

// Unread returns up to limit messages of others that were not read, up to the row id upTo, oldest first.
func (tx *Tx) Unread(conversation, upTo int64, limit int) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+` FROM messages
		WHERE conversation = ? AND id > (SELECT read_to FROM conversations WHERE id = ?) AND id <= ? AND mine = 0 AND shown = 1 AND silent = 0 ORDER BY id LIMIT ?`,
		conversation, conversation, upTo, limit)
}

// Star marks a message; the zero time takes the mark off.
func (tx *Tx) Star(id int64, since time.Time) error {
	return tx.must("UPDATE messages SET starred = ? WHERE id = ?", ms(since), id)
}

// PinMessage has a message stand above its conversation; the zero time takes it away.
func (tx *Tx) PinMessage(id int64, since time.Time) error {
	return tx.must("UPDATE messages SET pinned = ? WHERE id = ?", ms(since), id)
}

// Starred returns up to limit starred messages that came before the row id before (0: the
// newest), oldest first: of one conversation, or of all if that is 0.
func (tx *Tx) Starred(conversation, before int64, limit int) ([]Message, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := all(tx, scanMessage, "SELECT "+messageColumns+` FROM messages
		WHERE starred IS NOT NULL AND shown = 1 AND id < ? AND (? = 0 OR +conversation = ?) ORDER BY id DESC LIMIT ?`, before, conversation, conversation, limit)
	slices.Reverse(list)
	return list, err
}

// Pinned is Starred for pinned messages of one conversation.
func (tx *Tx) Pinned(conversation, before int64, limit int) ([]Message, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := all(tx, scanMessage, "SELECT "+messageColumns+` FROM messages
		WHERE conversation = ? AND pinned IS NOT NULL AND shown = 1 AND id < ? ORDER BY id DESC LIMIT ?`, conversation, before, limit)
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
func (tx *Tx) Show(id int64, now time.Time) (int64, error) {
	next, err := tx.nextMessage()
	if err != nil {
		return 0, err
	}
	conversation, err := one(tx, integer, "UPDATE messages SET id = ?, shown = 1, show_by = NULL WHERE id = ? AND shown = 0 RETURNING iif(silent, 0, conversation)", next, id)
	if err != nil {
		return 0, err
	}
	tx.store.lastMessage = next
	if conversation == 0 { // it is no line
		return next, nil
	}
	return next, tx.stir(conversation, now)
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

// EditMessage puts another body in the place of a message's, edited at a time by its
// author's clock.
func (tx *Tx) EditMessage(id int64, body []byte, edited time.Time) error {
	return tx.must("UPDATE messages SET body = ?, edited = ? WHERE id = ?", whole(body), edited.UnixMilli(), id)
}

// DeleteMessage empties a message for good, with what people reacted. Its line stays and
// says so, unless it is to be silent.
func (tx *Tx) DeleteMessage(id int64, silent bool, at time.Time) error {
	for _, query := range []string{"DELETE FROM reactions WHERE message = ?", "DELETE FROM untold_reads WHERE message = ?"} {
		if err := tx.run(query, id); err != nil {
			return err
		}
	}
	return tx.must("UPDATE messages SET body = x'', silent = ?, deleted = ?, edited = NULL, reply = NULL, forwarded = 0, vanish = NULL, starred = NULL, pinned = NULL WHERE id = ?", silent, at.UnixMilli(), id)
}

// EmptyMessage takes away the body of a message that has done what it is for.
func (tx *Tx) EmptyMessage(id int64) error {
	return tx.must("UPDATE messages SET body = x'' WHERE id = ?", id)
}

// SetVanish notes when a message disappears.
func (tx *Tx) SetVanish(id int64, at time.Time) error {
	return tx.must("UPDATE messages SET vanish = ? WHERE id = ?", at.UnixMilli(), id)
}

// Vanishing returns messages whose time to disappear has come, 100 at most.
func (tx *Tx) Vanishing(now time.Time) ([]Message, error) {
	return all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE vanish IS NOT NULL AND vanish <= ? ORDER BY vanish LIMIT 100", now.UnixMilli())
}

// NextVanish returns when the next message disappears, or ErrNotFound.
func (tx *Tx) NextVanish() (time.Time, error) {
	return one(tx, func(r row) (at time.Time, err error) {
		err = r.Scan(stamp{&at})
		return at, err
	}, "SELECT vanish FROM messages WHERE vanish IS NOT NULL ORDER BY vanish LIMIT 1")
}

// nullMessage scans a MessageID, or NULL as nil.
type nullMessage struct{ to **MessageID }

// Scan implements scanner.
func (n nullMessage) Scan(src any) error {
	if *n.to = nil; src == nil {
		return nil
	}
	*n.to = new(MessageID)
	return fixed((*n.to)[:]).Scan(src)
}

// messageOrNull is the value of a MessageID that is NULL when nil.
func messageOrNull(id *MessageID) any {
	if id == nil {
		return nil
	}
	return id[:]
}
