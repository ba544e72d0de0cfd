package chat

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-im/godwit/app/store"
)

// CheckName says what is wrong with a name: it is 1 to 64 characters on one line,
// without white space at its ends, control or format characters (among them
// those that turn the direction of text), or characters that no font has.
func CheckName(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		return errors.New("it is not UTF-8")
	case n == 0:
		return errors.New("it is empty")
	case n > 64:
		return errors.New("it has more than 64 characters")
	case strings.TrimSpace(name) != name:
		return errors.New("it begins or ends with white space")
	}
	for _, r := range name {
		if r == '\u200d' || r == '\ufe0f' {
			continue // parts of emoji
		}
		if !unicode.IsGraphic(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return errors.New("it has a character that cannot be seen")
		}
	}
	return nil
}

// DisplayName is what a contact is called: by us, or for want of that by the
// start of the account id. What people call themselves is not used alone: it
// could be somebody else's name.
func DisplayName(who store.Contact) string {
	if who.Petname != "" {
		return who.Petname
	}
	return who.Account.String()[:12]
}
