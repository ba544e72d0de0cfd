package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// MaxEdit is the most bytes of UTF-8 in the text of an Edit.
const MaxEdit = MaxBody - len(ID{})

// Edit puts another text in the place of one that its author said before. The newest
// (Item.Sent) holds. When the message was first said stays as it was.
//
//	body: id of the message 16 | text as in Text, at most MaxEdit
type Edit struct {
	Of   ID
	Text Text
}

// Marshal refuses what Text refuses.
func (e Edit) Marshal() ([]byte, error) {
	text, err := e.Text.Marshal()
	if err != nil {
		return nil, err
	}
	if len(text) > MaxEdit {
		return nil, fmt.Errorf("%w: edit of %d bytes", ErrMalformed, len(text))
	}
	return append(e.Of[:], text...), nil
}

// ParseEdit reads a body of KindEdit.
func ParseEdit(body []byte) (e Edit, err error) {
	s := cryptobyte.String(body)
	if !s.CopyBytes(e.Of[:]) {
		return e, fmt.Errorf("%w: edit", ErrMalformed)
	}
	e.Text, err = ParseText(s)
	return e, err
}
