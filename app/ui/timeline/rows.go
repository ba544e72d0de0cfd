package timeline

import (
	"strconv"
	"time"

	"github.com/godwit-im/godwit/app/ui/lang"
)

// State is how far a message of one's own has come. A state is shown by its shape,
// never by colour alone.
type State int

// The states. None is for what others sent, and for what is sent to nobody.
const (
	None State = iota
	Waiting
	Kept // at relays
	Delivered
	Read
	Failed
)

// usual tells whether a state needs no words.
func (s State) usual() bool { return s == None || s == Delivered || s == Read }

// Kind is what a message is.
type Kind int

// The kinds.
const (
	Bubble Kind = iota
	Notice      // a line in the middle: "Anna set messages to disappear after a week"
	Card        // a bubble with a title, and perhaps buttons: something to decide
)

// Message is one as it is shown.
type Message struct {
	ID         string
	Mine       bool
	Author     string // name; shown above the first of a group if Options.Authors
	AuthorID   string // groups are of one author
	Time       time.Time
	Text       string
	State      State
	Words      string // what the state means: "Kept at 2 relays until 6 Dec"
	Reply      *Quote
	Reactions  []Reaction
	Edited     bool
	Deleted    bool
	Forwarded  bool
	Starred    bool
	Pinned     bool
	Timer      time.Duration // it disappears so long after it was read; 0: it stays
	Disappears time.Time     // zero: that time does not run
	Kind       Kind
	Title      string   // of a card
	Actions    []string // of a card: the names of its buttons, first what most people want
}

// disappears says whether it will be gone one day.
func (m *Message) disappears() bool { return (m.Timer > 0 || !m.Disappears.IsZero()) && !m.Deleted }

// Quote is the message that another one answers.
type Quote struct {
	ID, Name, Text string
}

// Reaction is one emoji and who chose it.
type Reaction struct {
	Emoji string
	Count int
	Mine  bool
	Who   string // names, for those who ask
}

// RowKind is what a row is.
type RowKind int

// The kinds of rows.
const (
	RowBubble RowKind = iota
	RowNotice
	RowDay
	RowUnread
)

// Row is one thing that stands below another.
type Row struct {
	Key     string // of the row, as long as it is about the same
	Kind    RowKind
	Label   string   // of a day, the unread line or a notice
	Message *Message // of a bubble or notice
	// Above and Below tell whether the bubble continues the one there: the corners
	// between them are drawn tighter.
	Above, Below bool
	Author       bool    // its author is shown
	Words        bool    // its state is said in words
	Gap          float32 // px above it
}

// Options of Rows.
type Options struct {
	FirstUnread string // message id; the unread line stands above it
	Unread      int    // how many, for the words of that line
	Authors     bool   // more than two people: say who writes
	Now         time.Time
	Lang        *lang.Lang
}

// together is how soon after each other messages of one author are one group.
const together = 5 * time.Minute

// Gaps above rows, in px.
const (
	gapJoined = 3
	gapGroup  = 14
	gapMark   = 16
)

// Rows makes rows of messages, which come oldest first. Times are shown where
// Options.Now is.
func Rows(messages []Message, o Options) []Row {
	rows := make([]Row, 0, len(messages)+len(messages)/8+2)
	newest := -1 // the newest of mine whose state needs words
	for i := range messages {
		if m := &messages[i]; m.Mine && !m.Deleted && !m.State.usual() {
			newest = i
		}
	}
	day := ""
	var last *Row // the bubble just above, if nothing stands between
	for i := range messages {
		m := &messages[i]
		at := m.Time.In(o.Now.Location())
		if d := at.Format(time.DateOnly); d != day {
			day = d
			rows = append(rows, Row{Key: "day " + d, Kind: RowDay, Label: Day(at, o.Now, o.Lang), Gap: gapMark})
			last = nil
		}
		if m.ID == o.FirstUnread && m.ID != "" {
			rows = append(rows, Row{Key: "unread", Kind: RowUnread, Label: unread(o), Gap: gapMark})
			last = nil
		}
		r := Row{Key: m.ID, Kind: RowBubble, Message: m, Gap: gapGroup}
		if m.Kind == Notice {
			r.Kind, r.Label, r.Gap = RowNotice, m.Text, gapMark
			rows = append(rows, r)
			last = nil
			continue
		}
		if m.Kind == Card {
			rows = append(rows, r)
			last = nil
			continue
		}
		r.Words = i == newest || m.State == Failed && m.Mine && !m.Deleted
		if last != nil && last.Message.Mine == m.Mine && last.Message.AuthorID == m.AuthorID && m.Time.Sub(last.Message.Time) < together {
			r.Above, last.Below = true, true
			r.Gap = gapJoined
		}
		r.Author = o.Authors && !m.Mine && !r.Above
		rows = append(rows, r)
		last = &rows[len(rows)-1]
	}
	return rows
}

func unread(o Options) string {
	if o.Unread > 0 {
		return o.Lang.N("{n} unread messages", o.Unread)
	}
	return o.Lang.T("Unread messages")
}

// Day names a day as people do: today, yesterday, a day of the week, a date.
func Day(at, now time.Time, l *lang.Lang) string {
	start := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
	switch days := int(start(now).Sub(start(at)).Hours() / 24); {
	case days == 0:
		return l.T("Today")
	case days == 1:
		return l.T("Yesterday")
	case days > 1 && days < 7:
		return weekday(at.Weekday(), l)
	case at.Year() == now.Year():
		return l.T("{day} {month}", "day", strconv.Itoa(at.Day()), "month", month(at.Month(), l))
	}
	return l.T("{day} {month} {year}", "day", strconv.Itoa(at.Day()), "month", month(at.Month(), l), "year", strconv.Itoa(at.Year()))
}

func weekday(d time.Weekday, l *lang.Lang) string {
	return [...]string{l.T("Sunday"), l.T("Monday"), l.T("Tuesday"), l.T("Wednesday"), l.T("Thursday"), l.T("Friday"), l.T("Saturday")}[d]
}

func month(m time.Month, l *lang.Lang) string {
	return [...]string{l.T("January"), l.T("February"), l.T("March"), l.T("April"), l.T("May"), l.T("June"), l.T("July"), l.T("August"), l.T("September"), l.T("October"), l.T("November"), l.T("December")}[m-1]
}
