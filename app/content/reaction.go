package content

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
)

// MaxEmoji is the most bytes of UTF-8 in a reaction: the longest emoji of Unicode,
// a family with skin tones, has 41.
const MaxEmoji = 64

// Reaction is an emoji at a message of either side. There is one of each person at each
// message: the newest (Item.Sent), which may be none.
//
//	body: id of the message 16 | emoji, UTF-8; nothing: taken back
type Reaction struct {
	To    ID
	Emoji string
}

// Marshal refuses what is not ReactionText.
func (r Reaction) Marshal() ([]byte, error) {
	if !ReactionText(r.Emoji) {
		return nil, fmt.Errorf("%w: reaction of %d bytes", ErrMalformed, len(r.Emoji))
	}
	return append(r.To[:], r.Emoji...), nil
}

// ParseReaction reads a body of KindReaction.
func ParseReaction(body []byte) (r Reaction, err error) {
	s := cryptobyte.String(body)
	if !s.CopyBytes(r.To[:]) {
		return r, fmt.Errorf("%w: reaction", ErrMalformed)
	}
	r.Emoji = string(s)
	_, err = r.Marshal()
	return r, err
}

// ReactionText says whether something can be a reaction: nothing, or symbols with what
// joins and colours them, at most MaxEmoji bytes. Words cannot: they would stand at a
// message as if they belonged to it. It does not follow the lists of emoji of Unicode,
// which grow each year.
func ReactionText(s string) bool {
	if len(s) > MaxEmoji || !utf8.ValidString(s) {
		return false
	}
	const (
		joiner, text, picture, keycap = 0x200d, 0xfe0e, 0xfe0f, 0x20e3
		firstTag, lastTag             = 0xe0020, 0xe007f // of flags
		information                   = 0x2139           // an emoji, and a letter
	)
	shown, digits, keycaps := s == "", 0, 0
	for _, r := range s {
		switch {
		case r == joiner, r == text, r == picture, r >= firstTag && r <= lastTag:
		case r == keycap:
			keycaps++
		case r >= '0' && r <= '9', r == '#', r == '*':
			digits++
			shown = true
		case unicode.IsSymbol(r), r == information, r == '‼', r == '⁉', r == '〰', r == '〽':
			shown = true
		default:
			return false
		}
	}
	return shown && digits == keycaps
}
