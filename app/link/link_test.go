package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

var (
	anna    = identity.AccountID{1, 2, 3}.String()
	message = strings.Repeat("0f", messageSize)
	invited = identity.NewInvitation(identity.Single, identity.AccountID{7}, nil).Link()
)

func TestLinks(t *testing.T) {
	for text, want := range map[string]Link{
		"godwit:":                              {},
		"godwit://":                            {},
		" GODWIT:requests\n":                   {Kind: Requests},
		"godwit:c#" + anna:                     {Kind: Conversation, Conversation: anna},
		"godwit://c#" + anna + "/" + message:   {Kind: Conversation, Conversation: anna, Message: message},
		"godwit:c#self":                        {Kind: Conversation, Conversation: Self},
		"godwit:c#echo/" + message:             {Kind: Conversation, Conversation: Echo, Message: message},
		invited:                                {Kind: Invitation, Invitation: invited},
		"Godwit://" + invited[len("godwit:"):]: {Kind: Invitation, Invitation: invited},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := Parse(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q, which reads %+v, %v", text, got, again, err)
		}
	}
}

func TestNoOtherLinks(t *testing.T) {
	for _, text := range []string{
		"", "godwit", "http://example.com", "godwits:", "file:///etc/passwd", "godwit:///", "godwit:///requests",
		"godwit:x", "godwit:requests#", "godwit:requests/1", "godwit:send?to=anna&text=hi", "--profile=/tmp/x", "-v", "godwit:\x00",
		"godwit:c", "godwit:c#", "godwit:c#" + strings.ToUpper(anna), "godwit:c#" + anna + "/", "godwit:c#" + anna + "/" + strings.ToUpper(message),
		"godwit:c#" + anna + "/" + message + "/", "godwit:c#../../x", "godwit:c#" + anna + "?x", "godwit:c#" + anna + "%2f", "godwit:c#self\x1b[2J", "godwit:c#self\nx",
		"godwit:i#", invited + "A", invited[:len(invited)-1], invited + "\n" + invited, "godwit:c#" + strings.Repeat("a", 1<<20),
		strings.Repeat(" ", MaxSize+65) + "godwit:",
	} {
		if got, err := Parse(text); !errors.Is(err, ErrLink) || got != (Link{}) {
			t.Errorf("%.80q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"godwit:", "godwit:requests", "godwit:c#" + anna + "/" + message, invited, "godwit://c#self", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s)
		if err != nil {
			return
		}
		out := l.String()
		if again, err := Parse(out); err != nil || again != l || len(out) > MaxSize || strings.ContainsFunc(out, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is written %q, which reads %+v, %v", s, out, again, err)
		}
	})
}
