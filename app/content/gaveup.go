package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// GaveUp says that the author's device no longer tries to deliver the numbered
// item Seq of a conversation, whose hash is Hash: what follows it need not wait.
//
//	body: conversation 32 | seq 8 | hash 32
type GaveUp struct {
	Conversation ConversationID
	Seq          uint64
	Hash         [32]byte
}

// Marshal encodes the note.
func (g GaveUp) Marshal() ([]byte, error) {
	if g.Seq == 0 {
		return nil, fmt.Errorf("%w: gave up item 0", ErrMalformed)
	}
	var b cryptobyte.Builder
	b.AddBytes(g.Conversation[:])
	b.AddUint64(g.Seq)
	b.AddBytes(g.Hash[:])
	return b.Bytes()
}

// ParseGaveUp reads a body of KindGaveUp.
func ParseGaveUp(body []byte) (GaveUp, error) {
	var g GaveUp
	s := cryptobyte.String(body)
	if !s.CopyBytes(g.Conversation[:]) || !s.ReadUint64(&g.Seq) || !s.CopyBytes(g.Hash[:]) || !s.Empty() || g.Seq == 0 {
		return g, fmt.Errorf("%w: gave-up", ErrMalformed)
	}
	return g, nil
}
