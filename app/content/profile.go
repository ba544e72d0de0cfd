package content

import (
	"fmt"
	"unicode/utf8"
)

// MaxName is the most bytes of UTF-8 in a name.
const MaxName = 128

// Profile is what people call themselves. Body: the name's UTF-8. The reader
// shows it as their claim, never as markup.
type Profile struct{ Name string }

// Marshal refuses a name that is not UTF-8 or is longer than MaxName; an empty one is fine.
func (p Profile) Marshal() ([]byte, error) {
	if len(p.Name) > MaxName || !utf8.ValidString(p.Name) {
		return nil, fmt.Errorf("%w: name of %d bytes", ErrMalformed, len(p.Name))
	}
	return []byte(p.Name), nil
}

// ParseProfile reads a body of KindProfile.
func ParseProfile(body []byte) (Profile, error) {
	p := Profile{string(body)}
	_, err := p.Marshal()
	return p, err
}
