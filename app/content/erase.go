package content

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Erase asks the reader's device to delete something that the author said. It is a
// request: nobody can know whether the device did.
//
//	body: id of the message 16
type Erase struct {
	Of ID
}

// Marshal encodes the request.
func (e Erase) Marshal() ([]byte, error) { return e.Of[:], nil }

// ParseErase reads a body of KindErase.
func ParseErase(body []byte) (e Erase, err error) {
	s := cryptobyte.String(body)
	if !s.CopyBytes(e.Of[:]) || !s.Empty() {
		return e, fmt.Errorf("%w: request to delete", ErrMalformed)
	}
	return e, nil
}
