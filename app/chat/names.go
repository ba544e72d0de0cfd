package chat

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/store"
)

// CheckName says what is wrong with a name: it is 1 to 64 characters on one line,
// without white space at its ends, control or format characters (among them
// those that turn the direction of text), or characters that no font shows, and it
// is not like an account id, by which contacts are found too.
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
	case store.PetnameKey(name) == api.Self, store.PetnameKey(name) == api.Echo:
		return errors.New("it is what a conversation with nobody else is called")
	case store.PetnameKey(name) == store.PetnameKey(Self):
		return errors.New("it is what you are called here")
	case likeID(name):
		return errors.New("it looks like an account id")
	}
	before := rune(0)
	for _, r := range name {
		if !visible(r) && !joins(before, r) {
			return errors.New("it has a character that cannot be seen")
		}
		before = r
	}
	return nil
}

// visible says whether a character is one that shows, or a space.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsGraphic(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// joins says whether a character that does not show by itself makes an emoji of the
// symbol before it: the emoji variation selector, or the joiner.
func joins(before, r rune) bool {
	const selector, joiner = '\ufe0f', '\u200d'
	symbol := before > 0x2000 && unicode.In(before, unicode.So, unicode.Sm, unicode.Sk)
	return r == selector && symbol || r == joiner && (symbol || before == selector)
}

// likeID says whether a name could be the start of an account id that is shown in
// place of a name.
func likeID(name string) bool {
	inAlphabet := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '2' && r <= '7' }
	return len(name) >= shownID && strings.ContainsAny(name, "234567") && !strings.ContainsFunc(name, func(r rune) bool { return !inAlphabet(r) })
}

// MinPrefix is how many letters of an account id find a contact, at the least.
const MinPrefix = 4

// Self is what a person's own messages are shown under: nobody else is called so.
const Self = "you"

// shownID is how many characters of an account id stand for a name.
const shownID = 12

// DisplayName is what a contact is called: by us, or for want of that by the
// start of the account id. What people call themselves is not used alone: it
// could be somebody else's name.
func DisplayName(who store.Contact) string {
	switch {
	case who.Petname != "":
		return who.Petname
	case isEcho(who):
		return "Echo"
	case isLocal(who):
		return "Notes to self"
	}
	return who.Account.String()[:shownID]
}
