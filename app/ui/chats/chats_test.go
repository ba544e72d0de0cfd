package chats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

var (
	english = lang.New("en")
	now     = time.Date(2026, 11, 20, 12, 0, 0, 0, time.Local)
)

func ago(d time.Duration) api.Time { return api.Time{Time: now.Add(-d)} }

func TestTimesAreShorterTheLongerAgo(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		ago  time.Duration
		want string
	}{
		{0, "12:00"}, {time.Hour, "11:00"}, {day, "Yesterday"}, {2 * day, "Wed"}, {6 * day, "Sat"}, {7 * day, "13 Nov"}, {400 * day, "2025-10-16"}, {-time.Hour, "13:00"},
	} {
		if got := When(english, now.Add(-c.ago), now); got != c.want {
			t.Errorf("%v ago: %q, want %q", c.ago, got, c.want)
		}
	}
	// The night in which a clock is put back has 25 hours.
	if a, b := dayNumber(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)), dayNumber(time.Date(2026, 10, 26, 0, 10, 0, 0, time.UTC)); b-a != 1 {
		t.Errorf("%d days", b-a)
	}
}

func conversations() []api.Conversation {
	return []api.Conversation{
		{ID: "a", Kind: api.KindPerson, Name: "Anna Kowalczyk", Verified: true, Unread: 2, Last: &api.Message{Text: "line one\nline two", Kind: "text", Time: ago(time.Hour)}},
		{ID: "b", Kind: api.KindPerson, Name: "Ben", Draft: "half", Last: &api.Message{Text: "x", Kind: "text", State: api.Kept}},
		{ID: "c", Kind: api.KindPerson, Name: "Cleo", Archived: true},
		{ID: api.Self, Kind: api.KindSelf, Last: &api.Message{Text: "milk", Kind: "text", State: api.Delivered}},
		{ID: "d", Kind: api.KindPerson, Name: "Dora", Blocked: true, MutedUntil: api.Time{Time: now.Add(time.Hour)}},
	}
}

func ids(rows []Row) (list []string) {
	for _, r := range rows {
		list = append(list, r.ID)
	}
	return list
}

func TestWhatTheListShows(t *testing.T) {
	for _, c := range []struct {
		filter Filter
		query  string
		open   string
		want   []string
	}{
		{All, "", "", []string{"a", "b", api.Self, "d"}},
		{Unread, "", "", []string{"a"}},
		{Unread, "", "b", []string{"a", "b"}}, // what is open stays
		{Archived, "", "", []string{"c"}},
		{All, "cle", "", []string{"c"}},
		{All, "kow anna", "", []string{"a"}},
		{All, "zzz", "", nil},
		{All, "notes", "", []string{api.Self}},
	} {
		if got := ids(Rows(english, conversations(), now, c.filter, c.query, c.open)); !slices.Equal(got, c.want) {
			t.Errorf("%v %q: %q, want %q", c.filter, c.query, got, c.want)
		}
	}
	rows := Rows(english, conversations(), now, All, "", "")
	if r := rows[0]; r.Said != "line one line two" || r.When != "11:00" || r.Unread != 2 || r.Glyph != "" {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; !r.Draft || r.Said != "Draft: half" || r.Glyph != "" {
		t.Errorf("%+v", r)
	}
	if r := rows[2]; r.Name != "Notes to self" || r.Glyph != "" || r.Said != "milk" {
		t.Errorf("notes claim to be delivered: %+v", r)
	}
	if r := rows[3]; r.Said != "Blocked" || !r.Muted {
		t.Errorf("%+v", r)
	}
}

func TestWhatWasFoundIsSeenInItsRow(t *testing.T) {
	for snippet, want := range map[string]string{
		"Good. The boat leaves at eight, from [pier] 3.": "…eight, from pier 3.",
		"From [pier] 3.":                     "From pier 3.",
		"Straße und Brücke und [pier]":       "…Brücke und pier",
		"onewordthatislongerthanitall[pier]": "…ongerthanitallpier",
		"今晚你来吗今晚你来吗今晚你来吗[pier]":              "…晚你来吗今晚你来吗今晚你来吗pier",
	} {
		from, to := strings.Index(snippet, "["), strings.Index(snippet, "]")-1
		f := api.FoundMessage{Snippet: strings.NewReplacer("[", "", "]", "").Replace(snippet), Matches: []api.Match{{From: from, To: to}}}
		if rows := FoundRows(english, []api.FoundMessage{f}, nil, now); rows[1].Said != want {
			t.Errorf("%q shows %q, want %q", snippet, rows[1].Said, want)
		}
	}
}

func TestEveryStateHasAShapeOfItsOwn(t *testing.T) {
	seen := map[string]api.State{}
	for _, s := range []api.State{api.Queued, api.Kept, api.Delivered, api.Read, api.Failed} {
		icon, name := StateGlyph(english, s)
		if other, ok := seen[icon]; ok || icon == "" || name == "" {
			t.Errorf("%s looks like %s", s, other)
		}
		seen[icon] = s
	}
	if seen["tick"] != api.Delivered {
		t.Error("a tick without a device that has it")
	}
}

func view() View {
	return View{Lang: english, ID: "anna", Kind: api.KindPerson, Name: "Anna", Me: "me"}
}

func TestAMessageAsItIsShown(t *testing.T) {
	kept := api.Message{ID: "3", Author: "me", Kind: "text", State: api.Kept, Relays: &api.Copies{Kept: 2}, Expires: api.Time{Time: time.Date(2026, 12, 6, 12, 0, 0, 0, time.Local)}}
	if m := view().Shown(kept); !m.Mine || m.State != timeline.Kept || m.Words != "Kept at 2 relays until 6 Dec" {
		t.Errorf("%+v", m)
	}
	queued := api.Message{Author: "me", Kind: "text", State: api.Queued, Reason: "No relay can be reached (REL-06); something else"}
	if m := view().Shown(queued); m.Words != "Waiting on this device · A relay of the contact cannot be reached" {
		t.Errorf("%q", m.Words)
	}
	if got := StateWords(english, api.Message{State: api.Failed, Reason: "Expired (not a code)"}); got != "Not delivered · Expired (not a code)" {
		t.Errorf("%q", got)
	}
	notes := view()
	notes.Kind = api.KindSelf
	if m := notes.Shown(api.Message{Author: "me", Kind: "text", State: api.Delivered}); m.State != timeline.None || m.Words != "" {
		t.Errorf("a note to oneself has a state: %+v", m)
	}
	if m := view().Shown(api.Message{Kind: "unknown-77"}); m.Kind != timeline.Notice || m.Text == "" {
		t.Errorf("%+v", m)
	}
	answer := api.Message{Author: "anna", Kind: "text", Text: "Yes", Deeds: api.Deeds{
		Reply: &api.Quote{ID: "1", Author: "me", Text: "Really?"}, Reactions: []api.Reaction{{Emoji: "👍", By: []string{"me", "anna"}, Mine: true}}, Edited: ago(0),
	}}
	m := view().Shown(answer)
	if m.Author != "Anna" || m.Reply.Name != "You" || m.Reply.Text != "Really?" || m.Reactions[0].Count != 2 || m.Reactions[0].Who != "You, Anna" || !m.Edited || m.State != timeline.None {
		t.Errorf("%+v %+v %+v", m, m.Reply, m.Reactions)
	}
	if got := Gist(english, api.Message{Kind: "text", Deeds: api.Deeds{Deleted: true}}); got != "This message was deleted." {
		t.Errorf("%q", got)
	}
}

// long is a conversation of n messages.
type long int

func (n long) Messages(_ context.Context, r api.MessagesRequest) (list []api.Message, _ error) {
	from, to := max(int(n)-r.Limit, 0), int(n)
	at := func(id string) (i int) { fmt.Sscan(id, &i); return i }
	switch {
	case r.Before != "":
		to = at(r.Before)
		from = max(to-r.Limit, 0)
	case r.After != "":
		from = at(r.After) + 1
		to = min(from+r.Limit, int(n))
	case r.Around != "":
		from = max(at(r.Around)-r.Limit/2, 0)
		to = min(from+r.Limit, int(n))
	}
	for i := from; i < to; i++ {
		list = append(list, api.Message{ID: fmt.Sprint(i), Kind: "text"})
	}
	return list, nil
}

// The unread line stands where it will stay, without waiting for pages that are not there.
func TestAPageAroundAMessageKnowsTheEnds(t *testing.T) {
	s := Source{Reader: long(100), View: view()}
	for _, c := range []struct {
		around       string
		first, last  string
		older, newer bool
	}{
		{"50", "40", "60", true, true},
		{"9", "0", "20", false, true},
		{"10", "0", "20", true, true}, // as far as that page tells
		{"3", "0", "20", false, true},
		{"89", "79", "99", true, true},
		{"90", "80", "99", true, false},
		{"99", "89", "99", true, false},
	} {
		p, err := s.Page(t.Context(), timeline.Request{Limit: 20, Around: c.around})
		if n := len(p.Messages); err != nil || n == 0 || p.Messages[0].ID != c.first || p.Messages[n-1].ID != c.last || p.Older != c.older || p.Newer != c.newer {
			t.Errorf("%s: %d, %v %v, %v", c.around, n, p.Older, p.Newer, err)
		}
	}
	short := Source{Reader: long(5), View: view()}
	if p, err := short.Page(t.Context(), timeline.Request{Limit: 20, Around: "2"}); err != nil || len(p.Messages) != 5 || p.Older || p.Newer {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAConversationPageByPage(t *testing.T) {
	s := Source{Reader: long(25_000), View: view()}
	for _, c := range []struct {
		ask          timeline.Request
		first, last  string
		older, newer bool
	}{
		{timeline.Request{Limit: 50}, "24950", "24999", true, false},
		{timeline.Request{Limit: 50, Before: "100"}, "50", "99", true, true},
		{timeline.Request{Limit: 50, Before: "50"}, "0", "49", false, true},
		{timeline.Request{Limit: 50, After: "100"}, "101", "150", true, true},
		{timeline.Request{Limit: 50, After: "24949"}, "24950", "24999", true, false},
		{timeline.Request{Limit: 50, Oldest: true}, "0", "49", false, true},
	} {
		p, err := s.Page(t.Context(), c.ask)
		if err != nil || len(p.Messages) != 50 || p.Messages[0].ID != c.first || p.Messages[49].ID != c.last || p.Older != c.older || p.Newer != c.newer {
			t.Errorf("%+v: %d from %s, %v %v, %v", c.ask, len(p.Messages), p.Messages[0].ID, p.Older, p.Newer, err)
		}
	}
	if p, err := (Source{Reader: long(0), View: view()}).Page(t.Context(), timeline.Request{Limit: 50, Oldest: true}); err != nil || len(p.Messages) != 0 || p.Newer {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestTheFootTellsOneTruth(t *testing.T) {
	relay := func(state, failing string) api.Relay { return api.Relay{State: state, Failing: failing} }
	for _, c := range []struct {
		status *api.Status
		good   bool
		want   string
	}{
		{nil, false, "Starting…"},
		{&api.Status{}, false, "No relay yet"},
		{&api.Status{Connected: 1}, false, "1 person connected · No relay yet"},
		{&api.Status{Relays: []api.Relay{relay("connected", ""), relay("unreachable", "")}, Connected: 2}, true, "Connected · 2 people connected · 1 relay"},
		{&api.Status{Relays: []api.Relay{relay("unreachable", "")}, Queued: 4}, false, "No relay reached · 4 messages waiting"},
		{&api.Status{Relays: []api.Relay{relay("connected", "REL-15")}}, false, "No relay reached"},
		{&api.Status{Revoked: ago(0)}, false, "This device was replaced by another"},
	} {
		if f := FootOf(english, c.status, nil); f.Text != c.want || f.Good != c.good || f.Good == (f.Icon != "") {
			t.Errorf("%+v: %+v, want %q", c.status, f, c.want)
		}
	}
}

func TestATrailInWords(t *testing.T) {
	steps := Steps(english, []api.Step{
		{Time: ago(time.Hour), What: api.StepQueued},
		{Time: ago(time.Minute), What: api.StepDeposited, Path: "mailbox", Peer: "12D3KooWabcdefgh", Until: ago(-48 * time.Hour), Proof: api.ProofGood},
		{Time: ago(0), What: api.StepAcknowledged, State: api.Read, Path: "direct", Device: "abcdefghijkl"},
		{Time: ago(0), What: "a kind of later versions", Proof: api.ProofWrong},
	}, now)
	if steps[1].What != "A relay promised to keep it until 22 Nov" || steps[1].More != "relay …abcdefgh · proof checked" || steps[1].When != "11:59:00" {
		t.Errorf("%+v", steps[1])
	}
	if steps[2].Icon != "ticks" || steps[2].More != "directly · device abcdefgh…" {
		t.Errorf("%+v", steps[2])
	}
	if steps[3].More != "the proof does not fit: the database was altered" {
		t.Errorf("%+v", steps[3])
	}
}
