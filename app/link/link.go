// Package link reads godwit: links, which come from anywhere: a page in a browser, a
// message, a notification of our own, the command line of a second start. A link asks
// the window to show something; it never makes anything happen by itself. An invitation
// is shown with a question, and accepted by a person's hand.
//
//	godwit:                        the window
//	godwit:i#...                   an invitation (identity.Invitation.Link)
//	godwit:c#CONVERSATION          a conversation: an account id, self or echo
//	godwit:c#CONVERSATION/MESSAGE  the same, at a message
//	godwit:requests                strangers who ask to be contacts
package link

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/godwit-im/godwit/identity"
)

// Scheme is the scheme of our links, as it is registered with the system.
const Scheme = "godwit"

// MaxSize is the longest link in bytes: that of an invitation.
const MaxSize = len(identity.LinkScheme) + identity.MaxLinkSize

// Kind is what a link shows.
type Kind byte

// The kinds. Window is the zero value.
const (
	Window Kind = iota
	Invitation
	Conversation
	Requests
)

// Conversations that are no person's.
const (
	Self = "self" // notes to self
	Echo = "echo"
)

// messageSize is the length of a message's id, in bytes (store.MessageID).
const messageSize = 16

// ErrLink says that a text is no link of ours.
var ErrLink = errors.New("link: not a link of ours")

// Link is what a link shows. Only Parse's results are links.
type Link struct {
	Kind         Kind
	Invitation   string // of an Invitation: its link, in canonical spelling
	Conversation string // of a Conversation: an account id, Self or Echo
	Message      string // of a Conversation, if not empty: a message's id
}

// Parse reads a link and refuses all but the forms above, in the spelling above, but
// for the scheme's case, a slash or two that browsers add after the scheme, and white space around it.
// Its error is ErrLink.
func Parse(text string) (Link, error) {
	if len(text) > MaxSize+64 {
		return Link{}, fmt.Errorf("%w: it is too long", ErrLink)
	}
	text = strings.TrimSpace(text)
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(scheme, Scheme) {
		return Link{}, fmt.Errorf("%w: it does not begin with the scheme godwit", ErrLink)
	}
	for range 2 {
		rest = strings.TrimPrefix(rest, "/")
	}
	what, of, ok := strings.Cut(rest, "#")
	switch {
	case !ok && what == "":
		return Link{}, nil
	case !ok && what == "requests":
		return Link{Kind: Requests}, nil
	case ok && what == "i":
		return invitation(of)
	case ok && what == "c":
		return conversation(of)
	}
	return Link{}, fmt.Errorf("%w: of no known form", ErrLink)
}

func invitation(of string) (Link, error) {
	i, err := identity.ParseLink(identity.LinkScheme + of)
	if err != nil {
		return Link{}, fmt.Errorf("%w: %w", ErrLink, err)
	}
	return Link{Kind: Invitation, Invitation: i.Link()}, nil
}

func conversation(of string) (Link, error) {
	who, message, at := strings.Cut(of, "/")
	if _, err := identity.ParseAccountID(who); err != nil && who != Self && who != Echo {
		return Link{}, fmt.Errorf("%w: it names no conversation", ErrLink)
	}
	if id, err := hex.DecodeString(message); at && (err != nil || len(id) != messageSize || hex.EncodeToString(id) != message) {
		return Link{}, fmt.Errorf("%w: it names no message", ErrLink)
	}
	return Link{Kind: Conversation, Conversation: who, Message: message}, nil
}

// String is the link as Parse reads it.
func (l Link) String() string {
	switch l.Kind {
	case Invitation:
		return l.Invitation
	case Conversation:
		if l.Message != "" {
			return Scheme + ":c#" + l.Conversation + "/" + l.Message
		}
		return Scheme + ":c#" + l.Conversation
	case Requests:
		return Scheme + ":requests"
	}
	return Scheme + ":"
}
