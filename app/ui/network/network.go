// Package network is the page that tells the truth about how this account is reached:
// its relays, who is connected, what waits and why, and what guards the keys.
package network

import (
	"fmt"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/problems"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Relay is a relay as it is shown.
type Relay struct {
	ID, Name, State string
	Tried           string // what a test just saw; empty: none was made
	Fails           bool   // the test, that is
	Icon            string
	Bad             bool
	Why             string
}

// Report is what the page shows.
type Report struct {
	Sentence string // how it stands, whole
	Good     bool
	Facts    [][2]string // a label, and what is true
	Relays   []Relay
	Alarms   []string
	Tried    string // what a test saw of the DHT; empty: none was made
	Friends  Friends
	Keeps    bool // mail is kept for contacts
	Spent    bool // but takes no more for some hours
	Trouble  bool // and something is wrong with that
}

// Add puts what a test saw beside what is known.
func (r *Report) Add(l *lang.Lang, t api.NetworkTest) {
	for i := range r.Relays {
		for _, v := range t.Relays {
			switch one := &r.Relays[i]; {
			case v.Relay != one.ID:
			case v.Reason != "":
				one.Fails = true
				one.Tried = l.T("Tested now: it does not work. {why}", "why", problems.Unreached(l, v.Reason))
			default:
				one.Tried = l.T("Tested now: it works. Connected after {a} ms, answered after {b} ms.", "a", v.Connect, "b", max(v.Answer, 1))
			}
		}
	}
	switch d := t.DHT; {
	case d == nil:
	case d.Answered > 0:
		r.Tried = l.N("Tested now: {n} computers answered within {ms} ms.", d.Answered, "ms", d.Took)
	default:
		r.Tried = l.T("Tested now: nobody answers. People who have moved are not found; messages by relays go all the same.")
	}
}

// ReportOf puts a status in words.
func ReportOf(l *lang.Lang, s api.Status) Report {
	var r Report
	working, usual := 0, 0
	for _, one := range s.Relays {
		if one.Friend != "" {
			r.Relays = append(r.Relays, ofFriend(l, one))
			continue
		}
		usual++
		v := Relay{ID: one.Relay, Name: short(one.Relay), Why: problems.Unreached(l, one.Reason)}
		switch one.State {
		case "connected":
			v.State, v.Icon = l.T("Connected"), "tick"
			working++
		case "connecting":
			v.State, v.Icon = l.T("Connecting…"), "clock"
		case "draining":
			v.State, v.Icon = l.T("Given up, and emptied until others know"), "clock"
		case "refused":
			v.State, v.Icon, v.Bad = l.T("Refuses"), "alert", true
		default:
			v.State, v.Icon, v.Bad = l.T("Cannot be reached"), "alert", true
		}
		if one.Failing != "" {
			v.Icon, v.Bad, v.Why = "alert", true, problems.Explain(l, one.Failing)
		}
		if len(one.Addrs) > 0 {
			v.Name = host(one.Addrs[0], v.Name)
		}
		if s.FriendsRelay != nil && one.Relay == s.FriendsRelay.Relay {
			v.Name = l.T("This computer")
		}
		r.Relays = append(r.Relays, v)
	}
	switch {
	case working > 0 && s.Queued == 0:
		r.Good, r.Sentence = true, l.T("All is well: messages reach you, and yours leave at once.")
	case working > 0:
		r.Good, r.Sentence = true, l.T("Connected. Some messages still wait on this computer.")
	case usual > 0:
		r.Sentence = l.T("No relay can be reached. Messages wait on this computer, safe, until one can or the other side is connected.")
	default:
		r.Sentence = l.T("You have no relay: messages go only while you and the other side are connected.")
	}
	if f := s.FriendsRelay; f != nil {
		r.Friends, r.Keeps = FriendsOf(l, *f), f.On
		r.Spent = f.State == api.FriendsSpent
		r.Trouble = f.State == api.FriendsFailed || f.State == api.FriendsFull || f.On && f.Reason != ""
	}
	fact := func(label, value string) { r.Facts = append(r.Facts, [2]string{label, value}) }
	switch s.Network {
	case "public":
		fact(l.T("Network"), l.T("The Internet"))
	case "lan":
		fact(l.T("Network"), l.T("The local network only"))
	default:
		fact(l.T("Network"), l.T("This computer only"))
	}
	fact(l.T("People connected directly"), l.T("{n} of {all}", "n", s.Connected, "all", s.Contacts))
	fact(l.T("Messages on their way"), fmt.Sprint(s.Waiting))
	fact(l.T("Of these on this computer only"), fmt.Sprint(s.Queued))
	if s.Private {
		fact(l.T("Relays see where mail comes from"), l.T("No: it goes by way of another relay"))
	} else {
		fact(l.T("Relays see where mail comes from"), l.T("Yes"))
	}
	if s.DHT != nil {
		if s.DHT.Peers > 0 {
			fact(l.T("Finding people"), l.N("{n} peers known", s.DHT.Peers))
		} else {
			fact(l.T("Finding people"), l.T("No peer known"))
		}
		for _, a := range s.DHT.Alarms {
			r.Alarms = append(r.Alarms, problems.Explain(l, a.Reason+" ("+a.Code+")"))
		}
	}
	fact(l.T("Keys"), protection(l, s.Protection))
	return r
}

// protection says what guards the keys.
func protection(l *lang.Lang, p api.Protection) string {
	switch p.Kind {
	case api.ByKeyring:
		return l.T("The keys are sealed with a key in this computer's keyring: who copies the profile without it cannot open it.")
	case api.ByPassphrase:
		return l.T("The keys are sealed with your passphrase: who has the profile must guess it.")
	case api.ByFile:
		return l.T("The keys are sealed with a key in a file beside them: only file permissions protect it. Settings, Keys sets a passphrase.")
	}
	return p.Means
}

// host is the address and port of a multiaddr, for those that have them.
func host(addr, otherwise string) string {
	parts := strings.Split(strings.TrimPrefix(addr, "/"), "/")
	if len(parts) >= 4 && (parts[2] == "tcp" || parts[2] == "udp") {
		return parts[1] + " : " + parts[3]
	}
	return otherwise
}

func short(id string) string {
	if len(id) > 12 {
		return "…" + id[len(id)-10:]
	}
	return id
}

// Actions is what the page calls back for.
type Actions struct {
	Add     func()
	Remove  func(id string)
	Friends func() // shows what can be set of keeping mail for contacts
	Test    func()
}

// Page is the page. Its methods belong to the window's thread.
type Page struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	do     Actions
	column *fyne.Container
	all    fyne.CanvasObject
	test   *widget.Button
}

// Testing says that a test is under way, or is over.
func (v *Page) Testing(on bool) {
	if on {
		v.test.Set(v.l.T("Testing…"))
		v.test.Disable()
	} else {
		v.test.Set(v.l.T("Test now"))
		v.test.Enable()
	}
}

// NewPage is an empty page.
func NewPage(l *lang.Lang, do Actions) *Page {
	v := &Page{l: l, do: do, column: widget.Col(theme.Space5)}
	v.test = widget.NewButton(l.T("Test now"), widget.Plain, do.Test)
	head := widget.Inset(theme.Space6, 0, theme.Space6, 0, widget.ColumnTop(680, widget.AtLeast(0, theme.HeaderHeight+4,
		widget.Ends(widget.NewText(l.T("Network"), theme.TextSection, theme.Text).Bold(), v.test))))
	v.all = widget.Edge(head, nil, nil, nil, container.NewVScroll(widget.Inset(theme.Space6, 0, theme.Space6, theme.Space6, widget.ColumnTop(680, v.column))))
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *Page) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Set shows a report.
func (v *Page) Set(r Report) {
	l := v.l
	icon, colour := "tick", theme.OK
	if !r.Good {
		icon, colour = "alert", theme.Warn
	}
	v.column.Objects = []fyne.CanvasObject{widget.Card(icon, colour, r.Sentence, "")}
	for _, a := range r.Alarms {
		v.column.Add(widget.Card("alert", theme.Warn, l.T("Somebody may be deciding what you find"), a))
	}
	v.column.Add(widget.NewText(l.T("Relays"), theme.TextTitle, theme.Text).Bold())
	if len(r.Relays) == 0 {
		v.column.Add(widget.NewPara(l.T("None. Relays keep sealed messages while one of you is away; they cannot read them."), theme.TextSecondary, theme.Dim))
	}
	for _, one := range r.Relays {
		v.column.Add(v.relay(one))
	}
	v.column.Add(widget.Row(theme.Space4, widget.NewButton(l.T("Add a relay address"), widget.Plain, v.do.Add)))
	if r.Friends.State != "" {
		v.column.Add(widget.NewText(l.T("Mail for contacts"), theme.TextTitle, theme.Text).Bold())
		v.column.Add(v.friends(r))
	}
	v.column.Add(widget.NewText(l.T("What is known"), theme.TextTitle, theme.Text).Bold())
	facts := widget.Col(theme.Space4)
	if r.Tried != "" {
		r.Facts = append(r.Facts, [2]string{l.T("Finding people"), r.Tried})
	}
	for _, f := range r.Facts {
		facts.Add(widget.Col(theme.Space1, widget.NewText(f[0], theme.TextCaption, theme.Dim), widget.NewPara(f[1], theme.TextBody, theme.Text)))
	}
	v.column.Add(facts)
	v.column.Refresh()
	v.Refresh()
}

// friends says how it stands with mail kept for contacts.
func (v *Page) friends(r Report) fyne.CanvasObject {
	icon, colour := "tick", theme.OK
	switch {
	case r.Trouble:
		icon, colour = "alert", theme.Warn
	case !r.Keeps || r.Spent:
		icon, colour = "clock", theme.Dim
	}
	words := widget.Col(theme.Space4, widget.NewPara(r.Friends.State, theme.TextBody, theme.Text))
	if len(r.Friends.Figures) > 0 {
		words.Add(widget.NewPara(strings.Join(r.Friends.Figures, "\n"), theme.TextBody, theme.Text))
	}
	if len(r.Friends.Notes) > 0 {
		words.Add(widget.NewPara(strings.Join(r.Friends.Notes, "\n"), theme.TextSecondary, theme.Dim))
	}
	words.Add(widget.Row(0, widget.NewButton(v.l.T("Mail for contacts: settings"), widget.Plain, v.do.Friends)))
	body := widget.Edge(nil, nil, widget.Inset(0, 0, theme.Space4, 0, widget.ColumnTop(20, widget.NewIcon(icon, 20, colour))), nil, words)
	return widget.Stack(widget.NewFill(theme.Pane, theme.RadiusCard).Edged(theme.Line), widget.Inset(theme.Space5, theme.Space4, theme.Space4, theme.Space4, body))
}

func (v *Page) relay(r Relay) fyne.CanvasObject {
	colour := theme.OK
	switch {
	case r.Bad:
		colour = theme.Warn
	case r.Icon == "clock": // nothing is wrong, nor does it work
		colour = theme.Dim
	}
	words := widget.Col(theme.Space1, widget.Row(0, widget.NewText(r.Name, theme.TextBody, theme.Text).Bold().Shrink()), widget.NewPara(r.State, theme.TextSecondary, theme.Dim))
	if r.Why != "" {
		words.Add(widget.NewPara(r.Why, theme.TextCaption, theme.Dim))
	}
	if r.Tried != "" {
		tone := theme.OK
		if r.Fails {
			tone = theme.Danger
		}
		words.Add(widget.NewPara(r.Tried, theme.TextCaption, tone))
	}
	icon := widget.Inset(0, 0, theme.Space4, 0, widget.NewIcon(r.Icon, 20, colour))
	remove := widget.Inset(theme.Space3, 0, 0, 0, widget.ColumnTop(36, widget.NewIconButton("trash", v.l.T("Give this relay up"), func() { v.do.Remove(r.ID) })))
	body := widget.Edge(nil, nil, icon, remove, words)
	return widget.Stack(widget.NewFill(theme.Pane, theme.RadiusCard).Edged(theme.Line), widget.Inset(theme.Space5, theme.Space4, theme.Space4, theme.Space4, body))
}
