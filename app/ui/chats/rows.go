package chats

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Row is a line of the list of conversations as it is shown.
type Row struct {
	ID       string
	Name     string
	Icon     string // in place of an initial, for what is no person
	Verified bool
	Muted    bool
	Pinned   bool
	When     string // of the last message
	Glyph    string // icon of the last message's state; empty: none
	Said     string // the beginning of the last message, or what else there is to say
	Draft    bool   // Said begins with the word for a draft
	Lively   bool   // Said is what happens at this moment
	Unread   int
	Selected bool
	Message  string // id, of a message that was found; empty: the conversation
	Head     string // words over the rows below; then there is nothing else
}

// Key is the row's own among all that a search finds.
func (r Row) Key() string { return r.ID + "/" + r.Message }

// Filter is a choice of conversations.
type Filter int

// The filters, as chips over the list.
const (
	All Filter = iota
	Unread
	Archived
	Starred // no conversations, but the messages with a star
)

// Rows are the conversations that pass a filter and whose names have all the words of a
// query, in the order in which they came.
func Rows(l *lang.Lang, convs []api.Conversation, now time.Time, f Filter, query, open string) []Row {
	rows := make([]Row, 0, len(convs))
	meant := search.Parse(query)
	for _, c := range convs {
		switch {
		case !meant.Empty(): // who searches, searches everything
		case f == Archived && !c.Archived, f != Archived && c.Archived:
			continue
		case f == Unread && c.Unread == 0 && c.ID != open:
			continue
		}
		if !meant.Empty() && !meant.Names(Name(l, c)) {
			continue
		}
		rows = append(rows, row(l, c, now, open))
	}
	return rows
}

// Results are what a search finds: people by their names, then messages, each under a
// head where there are both.
func Results(l *lang.Lang, convs []api.Conversation, found []api.FoundMessage, now time.Time, query, open string) []Row {
	people, messages := Rows(l, convs, now, All, query, open), FoundRows(l, found, convs, now)
	if len(people) > 0 && len(messages) > 0 {
		people = append([]Row{{Head: l.T("People")}}, people...)
	}
	return append(people, messages...)
}

// FoundRows are messages that were found, under a head.
func FoundRows(l *lang.Lang, found []api.FoundMessage, convs []api.Conversation, now time.Time) []Row {
	if len(found) == 0 {
		return nil
	}
	rows := []Row{{Head: l.T("Messages")}}
	for _, f := range found {
		r := Row{ID: f.Message.Conversation, Message: f.Message.ID, When: When(l, f.Message.Time.Time, now), Said: widget.OneLine(nearHit(f))}
		for _, c := range convs {
			if c.ID == r.ID {
				r.Name, r.Icon, r.Verified = Name(l, c), IconOf(c.Kind), c.Verified
			}
		}
		if f.Message.State != "" {
			r.Said = l.T("You: {text}", "text", r.Said)
		}
		rows = append(rows, r)
	}
	return rows
}

// beforeHit is how many characters stand before what was found, at most: a row has room for
// some thirty.
const beforeHit = 14

// nearHit is a snippet from a word or two before what was found in it.
func nearHit(f api.FoundMessage) string {
	if len(f.Matches) == 0 {
		return f.Snippet
	}
	from := f.Matches[0].From
	for n := 0; n < beforeHit && from > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(f.Snippet[:from])
		from -= size
	}
	if from == 0 {
		return f.Snippet
	}
	if i := strings.IndexFunc(f.Snippet[from:f.Matches[0].From], unicode.IsSpace); i >= 0 {
		from += i
	}
	return "…" + strings.TrimLeftFunc(f.Snippet[from:], unicode.IsSpace)
}

// StarredRows are messages with a star, under a head.
func StarredRows(l *lang.Lang, list []api.Message, convs []api.Conversation, now time.Time) []Row {
	found := make([]api.FoundMessage, len(list))
	for i, m := range list {
		found[i] = api.FoundMessage{Message: m, Snippet: Gist(l, m)}
	}
	rows := FoundRows(l, found, convs, now)
	if len(rows) > 0 {
		rows[0].Head = l.T("Starred messages")
	}
	return rows
}

// Name is what a conversation is called in this language.
func Name(l *lang.Lang, c api.Conversation) string {
	switch c.Kind {
	case api.KindSelf:
		return l.T("Notes to self")
	case api.KindEcho:
		return l.T("Echo")
	}
	return c.Name
}

// IconOf is the icon in place of an initial, for what is no person.
func IconOf(kind string) string {
	switch kind {
	case api.KindSelf:
		return "note"
	case api.KindEcho:
		return "chats"
	}
	return ""
}

func row(l *lang.Lang, c api.Conversation, now time.Time, open string) Row {
	r := Row{ID: c.ID, Name: Name(l, c), Icon: IconOf(c.Kind), Verified: c.Verified, Muted: Muted(c, now), Pinned: c.Pinned, Unread: c.Unread, Selected: c.ID == open}
	if c.Last != nil {
		r.When = When(l, c.Last.Time.Time, now)
		r.Said = widget.OneLine(Gist(l, *c.Last))
		if c.Last.State != "" && c.Kind == api.KindPerson {
			r.Glyph, _ = StateGlyph(l, c.Last.State)
			if c.Last.Kind == "text" {
				r.Said = l.T("You: {text}", "text", r.Said)
			}
		}
	}
	switch {
	case c.Blocked:
		r.Glyph, r.Said = "block", l.T("Blocked")
	case c.Frozen:
		r.Glyph, r.Said = "alert", l.T("Keys contradict each other: nothing is sent")
	case c.Draft != "" && c.ID != open:
		r.Glyph, r.Draft, r.Said = "", true, l.T("Draft: {text}", "text", widget.OneLine(c.Draft))
	case c.Last == nil && c.Introduced != "":
		r.Said = l.T("Introduced by {name}", "name", widget.OneLine(c.Introduced))
	case c.Last == nil:
		r.Said = l.T("No messages yet")
	}
	return r
}

// Writing is the row while the other side is writing.
func (r Row) Writing(l *lang.Lang) Row {
	r.Glyph, r.Said, r.Lively, r.Draft = "", l.T("typing…"), true, false
	return r
}

// Gist is what a list says of a message.
func Gist(l *lang.Lang, m api.Message) string {
	if m.Deleted {
		return l.T("This message was deleted.")
	}
	switch m.Kind {
	case "text", "":
		return m.Text
	case "timer":
		return timerGist(l, m)
	case "introduction":
		if m.Introduction != nil {
			return introductionGist(l, m)
		}
	}
	if m.Text != "" {
		return m.Text
	}
	return l.T("A message that this version does not know")
}

// timerGist is a message by which somebody changed how long messages stay.
func timerGist(l *lang.Lang, m api.Message) string {
	after, name := time.Duration(m.Timer), widget.OneLine(m.Name)
	switch {
	case name == "" && after == 0:
		return l.T("You turned disappearing messages off.")
	case name == "":
		return l.T("You set messages to disappear {time} after they were read.", "time", Lasting(l, after))
	case after == 0:
		return l.T("{name} turned disappearing messages off.", "name", name)
	}
	return l.T("{name} set messages to disappear {time} after they were read.", "name", name, "time", Lasting(l, after))
}

// introductionGist is a step of an introduction.
func introductionGist(l *lang.Lang, m api.Message) string {
	by, name := widget.OneLine(m.Name), widget.OneLine(m.Introduction.Name)
	switch step := m.Introduction.Step; {
	case step == api.StepAgree && by == "":
		return l.T("You agreed to the introduction.")
	case step == api.StepAgree:
		return l.T("{name} agreed to the introduction.", "name", by)
	case step == api.StepAsk && by == "":
		return l.T("You asked whether {name} may write to them.", "name", name)
	case by == "":
		return l.T("You introduced {name}.", "name", name)
	case step == api.StepAsk:
		return l.T("{by} would like to introduce {name}", "by", by, "name", name)
	}
	return l.T("{by} introduces {name}", "by", by, "name", name)
}

// Muted says whether a conversation is silent at a time.
func Muted(c api.Conversation, now time.Time) bool {
	return !c.MutedUntil.IsZero() && now.Before(c.MutedUntil.Time)
}

// When is a time as a list shows it: shorter the longer ago.
func When(l *lang.Lang, t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	t, now = t.Local(), now.Local()
	days := dayNumber(now) - dayNumber(t)
	switch {
	case days <= 0:
		return t.Format("15:04")
	case days == 1:
		return l.T("Yesterday")
	case days < 7:
		return shortDay(l, t.Weekday())
	case t.Year() == now.Year():
		return l.T("{day} {month}", "day", t.Day(), "month", shortMonth(l, t.Month()))
	}
	return t.Format("2006-01-02")
}

// Until is a day in the future, as in "until 6 Dec".
func Until(l *lang.Lang, t time.Time) string {
	t = t.Local()
	return l.T("{day} {month}", "day", t.Day(), "month", shortMonth(l, t.Month()))
}

// dayNumber counts days, so that those between two times can be told across months and
// changes of the clock.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func shortDay(l *lang.Lang, d time.Weekday) string {
	return [...]string{l.T("Sun"), l.T("Mon"), l.T("Tue"), l.T("Wed"), l.T("Thu"), l.T("Fri"), l.T("Sat")}[d]
}

func shortMonth(l *lang.Lang, m time.Month) string {
	return [...]string{l.T("Jan"), l.T("Feb"), l.T("Mar"), l.T("Apr"), l.T("May"), l.T("Jun"),
		l.T("Jul"), l.T("Aug"), l.T("Sep"), l.T("Oct"), l.T("Nov"), l.T("Dec")}[m-1]
}
