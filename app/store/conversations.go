package store

import (
	"errors"
	"strings"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Conversation is what we say to, and hear from, one contact.
type Conversation struct {
	ID           int64
	Conversation ConversationID
	Contact      int64
	SendSeq      uint64   // number of our next message
	SendPrev     [32]byte // hash of our last message; zeros at first

	ReadTo     int64     // messages up to this row id were read
	Active     time.Time // when something was last shown in it; zero: never
	Pinned     time.Time // since when; zero: not; likewise Archived
	Archived   time.Time
	MutedUntil time.Time // zero: not muted
	Draft      string    // what was written and not sent

	Timer        time.Duration // whole seconds after which new messages disappear; 0: they stay
	TimerVersion int64         // unix ms; of two timers the later holds
}

const conversationColumns = "id, conversation, contact, send_seq, send_prev, read_to, active, pinned, archived, muted_until, draft, timer, timer_version"

func scanConversation(r row) (c Conversation, err error) {
	var seq, seconds int64
	err = r.Scan(&c.ID, fixed(c.Conversation[:]), &c.Contact, &seq, fixed(c.SendPrev[:]),
		&c.ReadTo, stamp{&c.Active}, stamp{&c.Pinned}, stamp{&c.Archived}, stamp{&c.MutedUntil}, nullText{&c.Draft}, &seconds, &c.TimerVersion)
	c.SendSeq, c.Timer = uint64(seq), time.Duration(seconds)*time.Second
	return c, err
}

// InsertConversation adds a conversation that nothing was done with yet, and returns its row id.
func (tx *Tx) InsertConversation(c Conversation) (int64, error) {
	return tx.insert("INSERT INTO conversations (conversation, contact, send_seq, send_prev) VALUES (?, ?, ?, ?)",
		c.Conversation[:], c.Contact, int64(c.SendSeq), c.SendPrev[:])
}

// Conversation returns the conversation with this row id.
func (tx *Tx) Conversation(id int64) (Conversation, error) {
	return one(tx, scanConversation, "SELECT "+conversationColumns+" FROM conversations WHERE id = ?", id)
}

// ConversationByID returns the conversation that both sides know by this id.
func (tx *Tx) ConversationByID(id ConversationID) (Conversation, error) {
	return one(tx, scanConversation, "SELECT "+conversationColumns+" FROM conversations WHERE conversation = ?", id[:])
}

// ConversationWith returns the conversation with a contact.
func (tx *Tx) ConversationWith(contact int64) (Conversation, error) {
	return one(tx, scanConversation, "SELECT "+conversationColumns+" FROM conversations WHERE contact = ?", contact)
}

// Correspondent returns the account of the contact that a conversation is with.
func (tx *Tx) Correspondent(conversation int64) (identity.AccountID, error) {
	return one(tx, func(r row) (a identity.AccountID, err error) {
		err = r.Scan(fixed(a[:]))
		return a, err
	}, "SELECT account FROM contacts WHERE id = (SELECT contact FROM conversations WHERE id = ?)", conversation)
}

// Conversations returns every conversation.
func (tx *Tx) Conversations() ([]Conversation, error) {
	return all(tx, scanConversation, "SELECT "+conversationColumns+" FROM conversations ORDER BY id")
}

// AdvanceSend notes the number of our next message and the hash of the last.
func (tx *Tx) AdvanceSend(conversation int64, seq uint64, prev [32]byte) error {
	return tx.must("UPDATE conversations SET send_seq = ?, send_prev = ? WHERE id = ?", int64(seq), prev[:], conversation)
}

// ArrangeConversation keeps what the person does with a conversation: Pinned, Archived,
// MutedUntil and Draft.
func (tx *Tx) ArrangeConversation(c Conversation) error {
	return tx.must("UPDATE conversations SET pinned = ?, archived = ?, muted_until = ?, draft = ? WHERE id = ?",
		ms(c.Pinned), ms(c.Archived), ms(c.MutedUntil), text(c.Draft), c.ID)
}

// MarkRead notes that the messages up to a row id were read. It tells whether that is news.
func (tx *Tx) MarkRead(conversation, upTo int64) (bool, error) {
	n, err := tx.count("UPDATE conversations SET read_to = ? WHERE id = ? AND read_to < ?", upTo, conversation, upTo)
	return n == 1, err
}

// stir notes that something is shown in a conversation, which takes it out of the archive
// unless it is muted.
func (tx *Tx) stir(conversation int64, at time.Time) error {
	return tx.must(`UPDATE conversations SET active = max(coalesce(active, 0), ?), archived = CASE WHEN muted_until > ? THEN archived END WHERE id = ?`,
		at.UnixMilli(), at.UnixMilli(), conversation)
}

// Listed is a conversation as a list shows it.
type Listed struct {
	Contact      Contact
	Conversation Conversation // the zero value if nothing was said yet, nor done with it
	Unread       int          // shown messages of the other side that were not read
	FirstUnread  MessageID    // if there are such
	Last         *Message     // the newest that is shown; nil: none
}

// listedQuery looks up three things in messages_conversation for each conversation: the
// newest message, the first that was not read, and from there on how many.
func listedQuery(where string) string {
	return "SELECT " + prefixed("p.", contactColumns) + ", " + prefixed("c.", conversationColumns) + `,
		(SELECT count(*) FROM messages WHERE conversation = c.id AND id > c.read_to AND mine = 0 AND shown = 1 AND silent = 0),
		(SELECT message FROM messages WHERE conversation = c.id AND id > c.read_to AND mine = 0 AND shown = 1 AND silent = 0 ORDER BY id LIMIT 1),
		` + prefixed("m.", messageColumns) + `
	FROM contacts p LEFT JOIN conversations c ON c.contact = p.id
	LEFT JOIN messages m ON m.id = (SELECT id FROM messages WHERE conversation = c.id AND shown = 1 AND silent = 0 ORDER BY id DESC LIMIT 1)
	WHERE ` + where
}

func prefixed(with, columns string) string {
	return with + strings.ReplaceAll(columns, ", ", ", "+with)
}

func columns(list string) int { return strings.Count(list, ",") + 1 }

func scanListed(r row) (l Listed, err error) {
	take := func(n int) (part row) {
		part, r = r[:n], r[n:]
		return part
	}
	if l.Contact, err = scanContact(take(columns(contactColumns))); err != nil {
		return l, err
	}
	if part := take(columns(conversationColumns)); part[0] != nil {
		if l.Conversation, err = scanConversation(part); err != nil {
			return l, err
		}
	}
	if err := take(1).Scan(&l.Unread); err != nil {
		return l, err
	}
	if part := take(1); part[0] != nil {
		if err := part.Scan(fixed(l.FirstUnread[:])); err != nil {
			return l, err
		}
	}
	if r[0] != nil {
		m, err := scanMessage(r)
		l.Last = &m
		return l, err
	}
	return l, nil
}

// ListConversations returns the conversations with all contacts that are neither removed
// nor strangers, in no order.
func (tx *Tx) ListConversations() ([]Listed, error) {
	return all(tx, scanListed, listedQuery("p.removed IS NULL AND p.kind <> 'request'"))
}

// ListConversation returns the conversation with a contact, whoever that is.
func (tx *Tx) ListConversation(contact int64) (Listed, error) {
	return one(tx, scanListed, listedQuery("p.id = ?"), contact)
}

// SetTimer notes after which time new messages of a conversation disappear.
func (tx *Tx) SetTimer(conversation int64, after time.Duration, version int64) error {
	return tx.must("UPDATE conversations SET timer = ?, timer_version = ? WHERE id = ?", int64(after/time.Second), version, conversation)
}

// Stream is what is expected next from a device in a conversation.
type Stream struct {
	Device       identity.DevicePublic
	Conversation int64
	NextSeq      uint64
	Prev         [32]byte // hash of the last message in order; zeros at first
}

// Stream returns what is expected next from a device: number 0 from one that
// has not said anything.
func (tx *Tx) Stream(device identity.DevicePublic, conversation int64) (Stream, error) {
	s, err := one(tx, func(r row) (s Stream, err error) {
		var seq int64
		err = r.Scan(&seq, fixed(s.Prev[:]))
		s.NextSeq = uint64(seq)
		return s, err
	}, "SELECT next_seq, prev FROM streams WHERE device = ? AND conversation = ?", device[:], conversation)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	s.Device, s.Conversation = device, conversation
	return s, err
}

// PutStream keeps what is expected next.
func (tx *Tx) PutStream(s Stream) error {
	return tx.run(`INSERT INTO streams (device, conversation, next_seq, prev) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET next_seq = excluded.next_seq, prev = excluded.prev`,
		s.Device[:], s.Conversation, int64(s.NextSeq), s.Prev[:])
}
