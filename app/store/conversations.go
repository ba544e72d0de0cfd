package store

import (
	"errors"

	"github.com/godwit-im/godwit/identity"
)

// Conversation is what we say to, and hear from, one contact.
type Conversation struct {
	ID           int64
	Conversation ConversationID
	Contact      int64
	SendSeq      uint64   // number of our next message
	SendPrev     [32]byte // hash of our last message; zeros at first
}

const conversationColumns = "id, conversation, contact, send_seq, send_prev"

func scanConversation(r row) (c Conversation, err error) {
	var seq int64
	err = r.Scan(&c.ID, fixed(c.Conversation[:]), &c.Contact, &seq, fixed(c.SendPrev[:]))
	c.SendSeq = uint64(seq)
	return c, err
}

// InsertConversation adds a conversation and returns its row id.
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
