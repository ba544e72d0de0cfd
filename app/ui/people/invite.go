package people

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Invitation is what is shown of an invitation that was made.
type Invitation struct {
	Says   string // what to do with it
	Notice string // what its maker should know; empty: nothing
	Link   string
}

// InvitationOf is an invitation in words.
func InvitationOf(l *lang.Lang, v api.Invitation, now time.Time) Invitation {
	i := Invitation{Link: v.Link}
	i.Says = l.T("Send this link to one person, by any way you like. It works once, until {day}.", "day", chats.Until(l, v.Expires.Time))
	if v.Kind == "reusable" {
		i.Says = l.T("Whoever has this link can ask to be your contact; you decide about each. It works until {day}.", "day", chats.Until(l, v.Expires.Time))
	}
	if v.Relays == 0 {
		i.Notice = l.T("No relay holds this invitation: it can only be accepted while Godwit runs here.")
	}
	return i
}

// ShowInvitation shows an invitation with its link and code. Copied is called once the
// link is in the clipboard.
func ShowInvitation(c fyne.Canvas, l *lang.Lang, v Invitation, closed func()) *widget.Dialog {
	link := widget.NewText(v.Link, theme.TextCaption, theme.Dim).Mono().Shrink()
	box := widget.Stack(widget.NewFill(theme.BubbleIn, theme.RadiusField), widget.Inset(theme.Space4, theme.Space3, theme.Space4, theme.Space3, link))
	body := widget.Col(theme.Space5, widget.NewPara(v.Says, theme.TextBody, theme.Dim))
	if v.Notice != "" {
		body.Add(Warning(v.Notice))
	}
	if code := widget.QR(v.Link, 232); code != nil {
		body.Add(container.NewCenter(code))
	}
	body.Add(box)
	var copyLink *widget.Button
	copyLink = widget.NewButton(l.T("Copy link"), widget.Primary, func() {
		fyne.CurrentApp().Clipboard().SetContent(v.Link)
		copyLink.Set(l.T("Copied"))
	})
	body.Add(copyLink)
	d := widget.ShowDialog(c, l.T("Invite someone"), l.T("Close"), 440, body, closed)
	c.Focus(copyLink)
	return d
}

// Warning is a line of what somebody should know.
func Warning(text string) fyne.CanvasObject {
	row := widget.Edge(nil, nil, widget.Inset(0, 0, theme.Space3, 0, widget.AtLeast(0, 19, widget.NewIcon("alert", 16, theme.Warn))), nil, widget.NewPara(text, theme.TextSecondary, theme.Warn))
	return widget.Stack(widget.NewFill(theme.WarnGround, theme.RadiusField), widget.Inset(theme.Space4, theme.Space3, theme.Space4, theme.Space3, row))
}

// NoRelay is what can be done where nobody keeps mail for this account.
type NoRelay struct {
	Add func()
	Run func() // nil: it cannot be offered here
	Go  func() // invite all the same
}

// ShowNoRelay says what an invitation without a relay is worth, and offers what helps.
func ShowNoRelay(c fyne.Canvas, l *lang.Lang, do NoRelay) {
	text := l.T("Relays keep sealed messages while one of you is away. You have none yet: without one, an invitation works only while Godwit runs on both computers and they can reach each other.")
	var d *widget.Dialog
	then := func(f func()) func() {
		return func() {
			d.Close()
			f()
		}
	}
	add := widget.NewButton(l.T("Add a relay address"), widget.Primary, then(do.Add))
	buttons := widget.Col(theme.Space4, add)
	if do.Run != nil {
		buttons.Add(widget.NewButton(l.T("Run a relay on this computer"), widget.Plain, then(do.Run)))
	}
	buttons.Add(widget.NewButton(l.T("Invite without a relay"), widget.Link, then(do.Go)))
	d = widget.ShowDialog(c, l.T("No relay yet"), l.T("Close"), 440, widget.Col(theme.Space5, widget.NewPara(text, theme.TextBody, theme.Dim), buttons), nil)
	c.Focus(add)
}

// Ask is a dialog with one field.
type Ask struct {
	Title, Says, Label, Text, Placeholder, Button string
	// Do is given what was written, and calls back with words of what was wrong, or
	// without any to close.
	Do func(text string, done func(problem string))
	// Sudden is a dialog that nobody here asked for: no key is for it until the person
	// goes to it.
	Sudden bool
}

// ShowAsk shows a dialog with one field.
func ShowAsk(c fyne.Canvas, l *lang.Lang, a Ask) *widget.Dialog {
	field := widget.NewField(a.Placeholder)
	field.SetText(a.Text)
	wrong := widget.NewPara("", theme.TextSecondary, theme.Danger)
	wrong.Hide()
	var d *widget.Dialog
	var ok *widget.Button
	submit := func() {
		if ok.Disabled() {
			return
		}
		ok.Disable()
		a.Do(field.Text, func(problem string) {
			ok.Enable()
			if problem == "" {
				d.Close()
				return
			}
			wrong.Set(problem)
			wrong.Show()
			d.Fit()
		})
	}
	ok = widget.NewButton(a.Button, widget.Primary, submit)
	field.OnSubmitted = func(string) { submit() }
	field.Escape = func() { d.Close() }
	body := widget.Col(theme.Space4)
	if a.Says != "" {
		body.Add(widget.NewPara(a.Says, theme.TextBody, theme.Dim))
	}
	if a.Label != "" {
		body.Add(widget.NewText(a.Label, theme.TextCaption, theme.Dim).Bold())
	}
	body.Add(widget.Roomy(field))
	body.Add(wrong)
	d = widget.ShowDialog(c, a.Title, l.T("Close"), 440, body, nil, widget.NewButton(l.T("Cancel"), widget.Plain, func() { d.Close() }), ok)
	if !a.Sudden {
		c.Focus(field)
	}
	return d
}

// ShowConfirm asks before something that cannot be taken back. Enter does not do it.
func ShowConfirm(c fyne.Canvas, l *lang.Lang, title, says, button string, do func()) {
	no, _ := showQuestion(c, l, title, says, button, widget.Danger, do)
	c.Focus(no)
}

// ShowQuestion asks whether to go on with what should be known first. Enter goes on.
func ShowQuestion(c fyne.Canvas, l *lang.Lang, title, says, button string, do func()) {
	_, yes := showQuestion(c, l, title, says, button, widget.Primary, do)
	c.Focus(yes)
}

func showQuestion(c fyne.Canvas, l *lang.Lang, title, says, button string, kind widget.Kind, do func()) (no, yes *widget.Button) {
	var d *widget.Dialog
	no = widget.NewButton(l.T("Cancel"), widget.Plain, func() { d.Close() })
	yes = widget.NewButton(button, kind, func() {
		d.Close()
		do()
	})
	d = widget.ShowDialog(c, title, l.T("Close"), 420, widget.NewPara(says, theme.TextBody, theme.Dim), nil, no, yes)
	return no, yes
}
