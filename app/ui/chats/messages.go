package chats

import (
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
)

// Joined is how near in time two messages of one author are to hang together.
const Joined = 5 * time.Minute

// Entry is a message as it is shown.
type Entry struct {
	ID     string
	Mine   bool
	Text   string
	Day    string // a mark above it: the first of a day
	New    bool   // the line above it: the first that is unread
	Above  bool   // it hangs together with the one above
	Below  bool   // and with the one below
	Time   string
	Glyph  string // icon of the state
	State  string // what the icon means
	Words  string // of the newest that has not arrived
	Failed bool
}

// Entries are messages, oldest first, as they are shown; firstUnread is the id of the
// message above which the line stands.
func Entries(l *lang.Lang, list []api.Message, me string, local bool, firstUnread string, now time.Time) []Entry {
	out := make([]Entry, len(list))
	worst := -1 // the newest of one's own that has not arrived
	for i, m := range list {
		e := Entry{ID: m.ID, Mine: m.Author == me, Text: Gist(l, m), Time: m.Time.Local().Format("15:04"), New: m.ID == firstUnread && firstUnread != ""}
		if e.Mine && !local {
			e.Glyph, e.State = StateGlyph(l, m.State)
			e.Failed = m.State == api.Failed
			if StateWords(l, m) != "" {
				worst = i
			}
		}
		if i == 0 || dayNumber(list[i-1].Time.Local()) != dayNumber(m.Time.Local()) {
			e.Day = Day(l, m.Time.Time, now)
		}
		if i > 0 && e.Day == "" && !e.New && list[i-1].Author == m.Author && m.Time.Sub(list[i-1].Time.Time) < Joined {
			e.Above = true
			out[i-1].Below = true
		}
		out[i] = e
	}
	if worst >= 0 {
		out[worst].Words = StateWords(l, list[worst])
	}
	return out
}

// Put adds a message to those of a conversation, or renews it, and keeps their order:
// that in which they came.
func Put(list []api.Message, m api.Message) []api.Message {
	if i := slices.IndexFunc(list, func(o api.Message) bool { return o.ID == m.ID }); i >= 0 {
		list[i] = m
		return list
	}
	return append(list, m)
}

// Note renews the state of a message.
func Note(list []api.Message, s api.Sent) bool {
	i := slices.IndexFunc(list, func(o api.Message) bool { return o.ID == s.ID })
	if i < 0 {
		return false
	}
	list[i].State, list[i].Relays, list[i].Expires, list[i].Reason = s.State, s.Relays, s.Expires, s.Reason
	return true
}
