package people

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Person is what the details show of a contact.
type Person struct {
	ID, Name string
	Claims   string // what they call themselves, if it is something else
	Looks    string // a warning that they could be taken for somebody else
	Verified bool
	Blocked  bool
	Frozen   bool
	Number   string // safety number; empty: not known yet
	By       string // who introduced them; empty: nobody
	Timer    string // after how long messages disappear, in words
	Mail     string // whether mail for them is kept on this computer, in words; empty: it is for nobody
}

// PersonOf is a contact with the safety number shared with them.
func PersonOf(l *lang.Lang, c api.Contact, n api.SafetyNumber) Person {
	p := Person{ID: c.ID, Name: c.Name, Claims: c.Claims, Verified: c.Verified || n.Verified, Blocked: c.Blocked, Frozen: c.Frozen, By: c.Introduced, Number: n.Number}
	if c.LooksLike != "" {
		p.Looks = l.T("Could be taken for {name}, and is somebody else.", "name", c.LooksLike)
	}
	return p
}

// Groups is a safety number in lines of three groups, as it is read aloud.
func Groups(number string) string {
	groups := strings.Fields(number)
	var b strings.Builder
	for i, g := range groups {
		switch {
		case i == 0:
		case i%3 == 0:
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(g)
	}
	return b.String()
}

// PersonActions is what can be done from the details of a contact.
type PersonActions struct {
	Close, Verify, Timer, Mail, Rename, Block, Unblock, Remove func()
	Introduce                                                  func() // nil: there is nobody to introduce them to
}

// NewDetails is the pane of a contact's details.
func NewDetails(l *lang.Lang, p Person, do PersonActions) fyne.CanvasObject {
	head := paneHead(l, l.T("Details"), do.Close)
	state, colour, icon := l.T("Not verified yet"), theme.Dim, "person"
	switch {
	case p.Frozen:
		state, colour, icon = l.T("Keys contradict each other"), theme.Danger, "alert"
	case p.Blocked:
		state, colour, icon = l.T("Blocked"), theme.Danger, "block"
	case p.Verified:
		state, colour, icon = l.T("Verified in person"), theme.Accent, "verified"
	case p.By != "":
		state = l.T("Introduced by {name}", "name", p.By)
	}
	column := widget.Col(theme.Space4,
		container.NewCenter(widget.NewAvatar(p.ID, p.Name, 88)),
		widget.NewText(p.Name, theme.TextSection, theme.Text).Bold().Centred().Shrink(),
		container.NewCenter(widget.Row(theme.Space2+2, widget.NewIcon(icon, 16, colour), widget.NewText(widget.OneLine(state), theme.TextSecondary, colour))))
	if p.Claims != "" {
		column.Add(widget.NewPara(l.T("They call themselves {name}.", "name", p.Claims), theme.TextSecondary, theme.Dim).Centred())
	}
	if p.Looks != "" {
		column.Add(Warning(p.Looks))
	}
	if !p.Blocked && !p.Frozen {
		column.Add(widget.Gap(0, theme.Space2))
		column.Add(widget.NewOption("timer", l.T("Disappearing messages"), p.Timer, do.Timer))
		if p.Mail != "" {
			column.Add(widget.NewOption("relay", l.T("Mail for them"), p.Mail, do.Mail))
		}
	}
	if p.Number != "" {
		column.Add(widget.Gap(0, theme.Space2))
		column.Add(widget.NewText(l.T("Safety number"), theme.TextCaption, theme.Dim).Bold())
		column.Add(widget.NewPara(l.T("Compare it with theirs: side by side, or read aloud on a call. If all of it is the same, nobody listens between you."), theme.TextSecondary, theme.Dim))
		column.Add(widget.Stack(widget.NewFill(theme.BubbleIn, theme.RadiusField),
			widget.Inset(theme.Space4, theme.Space4, theme.Space4, theme.Space4, widget.NewPara(Groups(p.Number), theme.TextTitle, theme.Text).Mono().Centred())))
		if code := widget.QR(p.Number, 168); code != nil {
			column.Add(container.NewCenter(code))
		}
		if !p.Verified {
			column.Add(widget.NewButton(l.T("The numbers are the same"), widget.Primary, do.Verify))
		}
	}
	column.Add(widget.Gap(0, theme.Space2))
	if do.Introduce != nil {
		column.Add(widget.NewButton(l.T("Introduce to…"), widget.Plain, do.Introduce))
	}
	column.Add(widget.NewButton(l.T("Rename"), widget.Plain, do.Rename))
	if p.Blocked {
		column.Add(widget.NewButton(l.T("Unblock"), widget.Plain, do.Unblock))
	} else {
		column.Add(widget.NewButton(l.T("Block"), widget.Plain, do.Block))
	}
	column.Add(widget.NewButton(l.T("Remove contact"), widget.Plain, do.Remove))
	return widget.Edge(head, nil, nil, nil, container.NewVScroll(widget.Inset(theme.Space5, theme.Space3, theme.Space5, theme.Space6, widget.ColumnTop(420, column))))
}

// paneHead is the header of a pane that can be closed.
func paneHead(l *lang.Lang, title string, closed func()) fyne.CanvasObject {
	return widget.Col(0, widget.Inset(theme.Space5, 0, theme.Space3, 0, widget.AtLeast(0, theme.HeaderHeight,
		widget.Ends(widget.NewText(title, theme.TextTitle, theme.Text).Bold(), widget.NewIconButton("close", l.T("Close"), closed)))), widget.Rule(false))
}

// NewTrail is the pane that says what became of a message.
func NewTrail(l *lang.Lang, steps []chats.Step, closed func()) fyne.CanvasObject {
	column := widget.Col(theme.Space5, widget.NewPara(l.T("What is known of the way of this message, and the proof it rests on."), theme.TextSecondary, theme.Dim))
	for _, s := range steps {
		words := widget.Col(theme.Space1, widget.NewPara(s.What, theme.TextBody, theme.Text))
		if s.More != "" {
			words.Add(widget.NewPara(s.More, theme.TextCaption, theme.Dim))
		}
		words.Add(widget.NewText(s.When, theme.TextCaption, theme.Dim))
		column.Add(widget.Edge(nil, nil, widget.Inset(0, 0, theme.Space4, 0, widget.ColumnTop(20, widget.AtLeast(20, 20, widget.NewIcon(s.Icon, 18, theme.Accent)))), nil, words))
	}
	return widget.Edge(paneHead(l, l.T("Way of the message"), closed), nil, nil, nil,
		container.NewVScroll(widget.Inset(theme.Space5, theme.Space4, theme.Space5, theme.Space6, widget.ColumnTop(480, column))))
}
