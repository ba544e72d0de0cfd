package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Typing says that the author is writing something, or not any more. It travels over
// direct connections only, is kept nowhere, and means nothing ten seconds later.
//
//	body: 1, or 0: not any more
type Typing struct {
	Now bool
}

// Marshal encodes the hint.
func (t Typing) Marshal() ([]byte, error) {
	if t.Now {
		return []byte{1}, nil
	}
	return []byte{0}, nil
}

// ParseTyping reads a body of KindTyping.
func ParseTyping(body []byte) (t Typing, err error) {
	s := cryptobyte.String(body)
	var now uint8
	if !s.ReadUint8(&now) || now > 1 || !s.Empty() {
		return t, fmt.Errorf("%w: typing", ErrMalformed)
	}
	t.Now = now == 1
	return t, nil
}
