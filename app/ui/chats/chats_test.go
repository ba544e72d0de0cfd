package chats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
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
	if got := Day(english, now.Add(-400*day), now); got != "16 Oct 2025" {
		t.Error(got)
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

func TestWordsAreForTheNewestThatHasNotArrived(t *testing.T) {
	list := []api.Message{
		{ID: "1", Author: "me", Time: ago(4 * time.Minute), State: api.Queued, Reason: "No relay can be reached (REL-06); something else"},
		{ID: "2", Author: "me", Time: ago(3 * time.Minute), State: api.Delivered},
		{ID: "3", Author: "me", Time: ago(2 * time.Minute), State: api.Kept, Relays: &api.Copies{Kept: 2}, Expires: api.Time{Time: time.Date(2026, 12, 6, 12, 0, 0, 0, time.Local)}},
		{ID: "4", Author: "anna", Time: ago(time.Minute)},
	}
	e := Entries(english, list, "me", false, "4", now)
	if e[0].Words != "" || e[1].Words != "" || e[2].Words != "Kept at 2 relays until 6 Dec" || e[3].Words != "" {
		t.Errorf("%+v", e)
	}
	if !e[0].Below || !e[1].Above || !e[1].Below || e[2].Below || e[3].Above || !e[3].New || e[0].Day != "Today" || e[1].Day != "" {
		t.Errorf("grouping: %+v", e)
	}
	if got := StateWords(english, list[0]); got != "Waiting on this device · No relay can be reached" {
		t.Errorf("%q", got)
	}
	if got := StateWords(english, api.Message{State: api.Failed, Reason: "Expired (not a code)"}); got != "Not delivered · Expired (not a code)" {
		t.Errorf("%q", got)
	}
	for _, m := range Entries(english, list, "me", true, "", now) {
		if m.Glyph != "" || m.Words != "" {
			t.Errorf("a note to oneself has a state: %+v", m)
		}
	}
}

func TestAMessageIsShownOnce(t *testing.T) {
	var list []api.Message
	for i := range 4 {
		list = Put(list, api.Message{ID: fmt.Sprint(i % 3), Text: fmt.Sprint(i)})
	}
	if len(list) != 3 || list[0].Text != "3" {
		t.Errorf("%+v", list)
	}
	if !Note(list, api.Sent{ID: "1", State: api.Read}) || list[1].State != api.Read || Note(list, api.Sent{ID: "9"}) {
		t.Errorf("%+v", list)
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
