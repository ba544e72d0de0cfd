package content

import (
	"fmt"
	"unicode/utf8"
)

// MaxText is the most bytes of UTF-8 in one text.
const MaxText = MaxBody

// Text is words. Body: the UTF-8 itself.
type Text struct{ Text string }

// Marshal refuses text that is not UTF-8, is empty or longer than MaxText.
func (t Text) Marshal() ([]byte, error) {
	if t.Text == "" || len(t.Text) > MaxText || !utf8.ValidString(t.Text) {
		return nil, fmt.Errorf("%w: text of %d bytes", ErrMalformed, len(t.Text))
	}
	return []byte(t.Text), nil
}

// ParseText reads a body of KindText.
func ParseText(body []byte) (Text, error) {
	t := Text{string(body)}
	_, err := t.Marshal()
	return t, err
}

// Said is the text in the body of an item that people search for; empty: there is none.
func Said(kind Kind, body []byte) string {
	if kind == KindText {
		return string(body)
	}
	return ""
}
