package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/ui/lang"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// at is a message of Anna's, or of one's own if its id begins with m, some minutes
// before now.
func at(id string, minutes int, text string) Message {
	m := Message{ID: id, Author: "Anna", AuthorID: "anna", Time: now.Add(-time.Duration(minutes) * time.Minute), Text: text}
	if strings.HasPrefix(id, "m") {
		m.Mine, m.Author, m.AuthorID, m.State = true, "", "", Read
	}
	return m
}

// draw writes rows down: ( and ) are corners that end a group, | those that join.
func draw(rows []Row) string {
	var b strings.Builder
	for _, r := range rows {
		switch r.Kind {
		case RowDay:
			fmt.Fprintf(&b, "--- %s ---\n", r.Label)
		case RowUnread:
			fmt.Fprintf(&b, "=== %s ===\n", r.Label)
		case RowNotice:
			fmt.Fprintf(&b, "* %s\n", r.Label)
		default:
			from, to := "(", ")"
			if r.Above {
				from = "|"
			}
			if r.Below {
				to = "|"
			}
			who := ""
			if r.Author {
				who = r.Message.Author + ": "
			}
			words := ""
			if r.Words {
				words = " [" + r.Message.Words + "]"
			}
			side := "  "
			if r.Message.Mine {
				side = "      "
			}
			fmt.Fprintf(&b, "%s%s%s%s%s%s\n", side, from, who, r.Message.Text, words, to)
		}
	}
	return b.String()
}

func TestRowsOfAConversation(t *testing.T) {
	waiting := func(m Message) Message { m.State, m.Words = Waiting, "Waiting on this device"; return m }
	failed := func(m Message) Message { m.State, m.Words = Failed, "Not delivered"; return m }
	tomas := func(m Message) Message { m.Author, m.AuthorID = "Tomás", "tomas"; return m }
	notice := func(m Message) Message { m.Kind = Notice; return m }
	const day = 24 * 60
	for _, c := range []struct {
		name     string
		messages []Message
		options  Options
		want     string
	}{
		{"nothing", nil, Options{}, ""},
		{"days and groups", []Message{
			at("a1", 800*day, "long ago"), at("a2", 200*day, "in May"), at("a3", 3*day, "on Thursday"), at("m1", day+1, "late"),
			at("m2", 60, "first"), at("m3", 56, "joined"), at("m4", 51, "after five minutes"), at("a4", 50, "answer"), at("a5", 50, "and more"), at("m5", 49, "end"),
		}, Options{}, `
--- 13 September 2024 ---
  (long ago)
--- 6 May ---
  (in May)
--- Thursday ---
  (on Thursday)
--- Yesterday ---
      (late)
--- Today ---
      (first|
      |joined)
      (after five minutes)
  (answer|
  |and more)
      (end)
`},
		{"the unread line parts a group", []Message{at("a1", 10, "read"), at("a2", 9, "new"), at("a3", 8, "newer")}, Options{FirstUnread: "a2", Unread: 2}, `
--- Today ---
  (read)
=== 2 unread messages ===
  (new|
  |newer)
`},
		{"a notice parts a group", []Message{at("a1", 10, "one"), notice(at("n", 10, "Messages disappear after a week")), at("a2", 9, "two")}, Options{}, `
--- Today ---
  (one)
* Messages disappear after a week
  (two)
`},
		{"words only where they help", []Message{waiting(at("m1", 10, "first")), failed(at("m2", 9, "lost")), waiting(at("m3", 8, "second")), at("m4", 7, "arrived")}, Options{}, `
--- Today ---
      (first|
      |lost [Not delivered]|
      |second [Waiting on this device]|
      |arrived)
`},
		{"who writes in a group", []Message{at("a1", 10, "hi"), at("a2", 9, "all"), tomas(at("t1", 9, "hello")), at("m1", 8, "hey")}, Options{Authors: true}, `
--- Today ---
  (Anna: hi|
  |all)
  (Tomás: hello)
      (hey)
`},
	} {
		c.options.Now, c.options.Lang = now, lang.New("en")
		if got := draw(Rows(c.messages, c.options)); got != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s:\n%s", c.name, got)
		}
	}
}

func TestADayBeginsAtMidnightWhereOneIs(t *testing.T) {
	tokyo := time.FixedZone("Tokyo", 9*3600)
	late := now.In(tokyo) // 21:00 of the 22nd
	o := Options{Now: late.Add(4 * time.Hour), Lang: lang.New("en")}
	got := draw(Rows([]Message{{ID: "a", Time: late}, {ID: "b", Time: late.Add(3*time.Hour + time.Minute)}}, o))
	if want := "--- Yesterday ---\n  ()\n--- Today ---\n  ()\n"; got != want {
		t.Errorf("over midnight in Tokyo:\n%s", got)
	}
}

func TestHeightsAddUp(t *testing.T) {
	var f fenwick
	f.reset(nil)
	if i, rest := f.at(5); i != 0 || rest != 0 {
		t.Error("a place in nothing")
	}
	h := make([]float32, 1000)
	for i := range h {
		h[i] = float32(i%7 + 10)
	}
	f.reset(append([]float32(nil), h...))
	for i := range h {
		if i%3 == 0 {
			h[i] += 100
			f.set(i, h[i])
		}
	}
	sum := float32(0)
	for i, v := range h {
		if f.before(i) != sum {
			t.Fatalf("before %d are %v px, not %v", i, f.before(i), sum)
		}
		if j, rest := f.at(sum + v/2); j != i || rest != v/2 {
			t.Fatalf("%v is in row %d at %v, not in %d", sum+v/2, j, rest, i)
		}
		sum += v
	}
	if i, rest := f.at(sum + 50); i != len(h)-1 || rest != h[i] {
		t.Errorf("below the last row is row %d at %v", i, rest)
	}
}
