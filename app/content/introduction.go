package content

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

// Step says where an introduction stands.
type Step byte

// The steps. A introduces B and C to each other: only B can make the invitation by which
// C comes to B, and does so if its person agrees; so A asks B, B's device gives A the link of
// an invitation for C alone, and A's device passes it on to C, whose person accepts it or not.
const (
	StepAsk   Step = 1 // A to B: may C, who is named, write to you?
	StepAgree Step = 2 // B to A: by this link
	StepMeet  Step = 3 // A to C: B, who is named, can be reached by this link
)

// MaxLink is the most bytes of an invitation's link.
const MaxLink = 2048

// Introduction is a step of making two contacts known to each other.
//
//	body: step 1 | id of the introduction 16 | account 32 | length 1 | name | length 2 | link
type Introduction struct {
	Step    Step
	ID      ID                 // drawn by who introduces; the same in all steps
	Account identity.AccountID // of who is introduced to the reader; in StepAgree of who the link is for
	Name    string             // of that account, as the author calls it; in StepAgree empty
	Link    string             // of an invitation; in StepAsk empty
}

func (i Introduction) valid() bool {
	if i.Step < StepAsk || i.Step > StepMeet || len(i.Name) > MaxName || len(i.Link) > MaxLink || !utf8.ValidString(i.Name) || !utf8.ValidString(i.Link) {
		return false
	}
	return (i.Name == "") == (i.Step == StepAgree) && (i.Link == "") == (i.Step == StepAsk)
}

// Marshal encodes the step.
func (i Introduction) Marshal() ([]byte, error) {
	if !i.valid() {
		return nil, fmt.Errorf("%w: step %d of an introduction", ErrMalformed, i.Step)
	}
	var b cryptobyte.Builder
	b.AddUint8(uint8(i.Step))
	b.AddBytes(i.ID[:])
	b.AddBytes(i.Account[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(i.Name)) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(i.Link)) })
	return b.Bytes()
}

// ParseIntroduction reads a body of KindIntroduction. What the link says is not checked.
func ParseIntroduction(body []byte) (i Introduction, err error) {
	s := cryptobyte.String(body)
	var name, link cryptobyte.String
	if !s.ReadUint8((*uint8)(&i.Step)) || !s.CopyBytes(i.ID[:]) || !s.CopyBytes(i.Account[:]) ||
		!s.ReadUint8LengthPrefixed(&name) || !s.ReadUint16LengthPrefixed(&link) || !s.Empty() {
		return i, fmt.Errorf("%w: introduction", ErrMalformed)
	}
	i.Name, i.Link = string(name), string(link)
	if !i.valid() {
		return i, fmt.Errorf("%w: step %d of an introduction", ErrMalformed, i.Step)
	}
	return i, nil
}
