package store

import (
	"encoding/hex"
	"fmt"

	"github.com/godwit-im/godwit/identity"
)

// Ids, each of its own type. The row ids of contacts, conversations, messages,
// queues and outbox rows are plain int64, 0 meaning none.
type (
	// SessionID names a ratchet session: SHA-256(EK ‖ ct), see identity/pqxdh.
	SessionID [32]byte
	// BundleID names a bundle.
	BundleID = identity.BundleID
	// InvitationID names an invitation: the first 8 bytes of its notice's id.
	InvitationID [8]byte
	// ConversationID names a conversation at both sides.
	ConversationID [32]byte
	// MessageID names a message at both sides.
	MessageID [16]byte
	// Hash is the SHA-256 of a ratchet message, by which it is acknowledged.
	Hash [32]byte
	// QueueID names a mailbox queue on one day.
	QueueID [32]byte
	// PeerID is the bytes of a libp2p PeerID, as peer.ID holds them.
	PeerID string
)

// String is the id in hexadecimal, as people and scripts see it.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// String is the id in hexadecimal, as people and scripts see it.
func (id InvitationID) String() string { return hex.EncodeToString(id[:]) }

// String is the id in hexadecimal, as people and scripts see it.
func (id ConversationID) String() string { return hex.EncodeToString(id[:]) }

// peerID scans a PeerID, or NULL as the empty one.
type peerID struct{ to *PeerID }

// Scan implements scanner.
func (p peerID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*p.to = ""
	case []byte:
		*p.to = PeerID(v)
	default:
		return fmt.Errorf("%w: a PeerID is not bytes", ErrDamaged)
	}
	return nil
}

// peer is the value of a PeerID that is NULL when empty.
func peer(p PeerID) any {
	if p == "" {
		return nil
	}
	return []byte(p)
}
