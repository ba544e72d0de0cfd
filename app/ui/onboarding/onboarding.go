// Package onboarding is what somebody sees before there is an account: one screen, on
// which nothing has to be filled in; the way back in with recovery words; and the
// passphrase of a profile that has one.
package onboarding

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Actions is what the first screen calls back for, each with the name that is wanted.
type Actions struct {
	Invite  func(name string)
	Accept  func(name, link string)
	Echo    func(name string) // nil: it cannot be offered
	Restore func(name string)
}

// First is the first screen. Its methods belong to the window's thread.
type First struct {
	fynewidget.BaseWidget
	all     fyne.CanvasObject
	Name    *widget.Field
	Link    *widget.Field
	buttons []*widget.Button
	problem *fyne.Container
}

// NewFirst is the first screen, with a name to begin with.
func NewFirst(l *lang.Lang, name string, do Actions) *First {
	v := &First{Name: widget.NewField(l.T("No name")), Link: widget.NewField(l.T("Paste an invitation link")), problem: widget.Stack()}
	v.Name.SetText(name)
	called := func() string { return strings.TrimSpace(v.Name.Text) }
	button := func(text string, kind widget.Kind, f func()) *widget.Button {
		b := widget.NewButton(text, kind, f)
		v.buttons = append(v.buttons, b)
		return b
	}
	accept := button(l.T("Accept"), widget.Plain, func() { do.Accept(called(), v.Link.Text) })
	accept.Disable()
	v.Link.OnChanged = func(s string) {
		if strings.TrimSpace(s) == "" {
			accept.Disable()
		} else {
			accept.Enable()
		}
	}
	v.Link.OnSubmitted = func(s string) {
		if !accept.Disabled() {
			do.Accept(called(), s)
		}
	}
	or := widget.Row(theme.Space4, widget.Grow(widget.Rule(false)), widget.NewText(l.T("or"), theme.TextCaption, theme.Dim), widget.Grow(widget.Rule(false)))
	column := widget.Col(0,
		widget.NewPara(l.T("Say hello to someone"), theme.TextHero, theme.Text).Bold(),
		widget.Gap(0, theme.Space3),
		widget.NewPara(l.T("No sign-up, phone number or e-mail. Your keys are made on this computer and stay here."), theme.TextBody, theme.Dim),
		v.problem,
		widget.Gap(0, theme.Space6),
		label(l.T("Your name, as your contacts will see it")),
		widget.Gap(0, theme.Space3),
		widget.Roomy(v.Name),
		widget.Gap(0, theme.Space5),
		button(l.T("Invite someone"), widget.Primary, func() { do.Invite(called()) }),
		widget.Gap(0, theme.Space4),
		or,
		widget.Gap(0, theme.Space4),
		label(l.T("Someone sent you an invitation?")),
		widget.Gap(0, theme.Space3),
		widget.Edge(nil, nil, nil, widget.Inset(theme.Space3, 0, 0, 0, accept), widget.Roomy(v.Link)),
		widget.Gap(0, theme.Space4))
	links := widget.Row(theme.Space3)
	if do.Echo != nil {
		column.Add(button(l.T("Try it with Echo"), widget.Plain, func() { do.Echo(called()) }))
		column.Add(widget.Gap(0, theme.Space4))
	}
	links.Add(button(l.T("Restore from recovery words"), widget.Link, func() { do.Restore(called()) }))
	column.Add(container.NewCenter(links))
	column.Add(widget.Gap(0, theme.Space3))
	column.Add(widget.NewPara(l.T("Nothing leaves this computer before you choose one of these."), theme.TextCaption, theme.Dim).Centred())
	v.all = sheet(column)
	v.ExtendBaseWidget(v)
	return v
}

func label(text string) fyne.CanvasObject {
	return widget.NewText(text, theme.TextCaption, theme.Dim).Bold()
}

// sheet is a card in the middle of the window.
func sheet(o fyne.CanvasObject) fyne.CanvasObject {
	card := widget.Stack(widget.NewFill(theme.Canvas, 16).Raised(), widget.Inset(36, theme.Space7, 36, theme.Space6, o))
	return widget.Stack(widget.NewFill(theme.Rail, 0), container.NewVScroll(widget.Inset(theme.Space5, theme.Space6, theme.Space5, theme.Space6, widget.Column(520, card))))
}

// CreateRenderer implements fyne.Widget.
func (v *First) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Busy keeps the buttons still while something is done.
func (v *First) Busy(busy bool) {
	for _, b := range v.buttons {
		if busy {
			b.Disable()
		} else {
			b.Enable()
		}
	}
	if !busy {
		v.Link.OnChanged(v.Link.Text)
	}
}

// Problem shows a card of what went wrong; nil takes it away.
func (v *First) Problem(card fyne.CanvasObject) {
	v.problem.Objects = nil
	if card != nil {
		v.problem.Objects = []fyne.CanvasObject{widget.Inset(0, theme.Space5, 0, 0, card)}
	}
	v.all.Refresh()
}

// NewRestore is where recovery words are typed. Back leads to the first screen.
func NewRestore(l *lang.Lang, back func(), restore func(words string, failed func(problem string))) (o fyne.CanvasObject, focus fyne.Focusable) {
	words := widget.NewField(l.T("The 24 words, with spaces between them"))
	words.MultiLine, words.Wrapping, words.Escape = true, fyne.TextWrapWord, back
	words.SetMinRowsVisible(4)
	q := question{
		title: l.T("Restore from recovery words"), button: l.T("Restore"),
		says:  l.T("Your other devices are cut off, and your contacts see that it is you. Messages that were only on them do not come back."),
		field: words, text: func() string { return words.Text }, back: back, do: restore,
	}
	q.submitted = func(f func()) { words.Enter = func(bool) { f() } } // words need no second line
	return ask(l, q), words
}

// NewUnlock is where the passphrase of a profile is typed.
func NewUnlock(l *lang.Lang, unlock func(passphrase string, failed func(problem string))) (o fyne.CanvasObject, focus fyne.Focusable) {
	field := widget.NewField(l.T("Passphrase"))
	field.Password = true
	q := question{
		title: l.T("Godwit is locked"), button: l.T("Unlock"), says: l.T("Type your passphrase to open it."),
		field: field, text: func() string { return field.Text }, do: unlock,
	}
	q.submitted = func(f func()) { field.OnSubmitted = func(string) { f() } }
	return ask(l, q), field
}

// question is a sheet with one field and a button.
type question struct {
	title, says, button string
	field               fyne.CanvasObject
	text                func() string
	submitted           func(func())
	back                func()
	do                  func(text string, failed func(string))
}

func ask(l *lang.Lang, q question) fyne.CanvasObject {
	wrong := widget.NewPara("", theme.TextSecondary, theme.Danger)
	wrong.Hide()
	var ok *widget.Button
	var column *fyne.Container
	submit := func() {
		if ok.Disabled() {
			return
		}
		ok.Disable()
		q.do(q.text(), func(problem string) {
			ok.Enable()
			wrong.Set(problem)
			wrong.Show()
			column.Refresh()
		})
	}
	ok = widget.NewButton(q.button, widget.Primary, submit)
	if q.submitted != nil {
		q.submitted(submit)
	}
	column = widget.Col(theme.Space5, widget.NewPara(q.title, theme.TextHero, theme.Text).Bold(), widget.NewPara(q.says, theme.TextBody, theme.Dim), widget.Roomy(q.field), wrong, ok)
	if q.back != nil {
		column.Add(container.NewCenter(widget.NewButton(l.T("Back"), widget.Link, q.back)))
	}
	return sheet(column)
}
