package ui

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/people"
)

// However much a stranger writes, the page of requests shows the beginning of it: thousands of lines would hold the
// window for as long as they ask.
func TestARequestShowsTheBeginning(t *testing.T) {
	for _, text := range []string{strings.Repeat("\n", 15_000) + "x", strings.Repeat("👍\n", 3000), strings.Repeat("x", 15_000), "e" + strings.Repeat("\u0301", 7000)} {
		s := people.Strangers(lang.New("en"), []api.Request{{ID: "mallory", Name: "Mallory", Text: text}}, at(1).Time)[0]
		if lines := strings.Count(s.Text, "\n") + 1; s.Text == "" || lines > 10 || utf8.RuneCountInString(s.Text) > 600 {
			t.Errorf("of %.8q… %d lines of %d bytes are shown", text, lines, len(s.Text))
		}
	}
}
