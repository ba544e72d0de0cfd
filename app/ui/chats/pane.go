package chats

import (
	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Head is what stands over a conversation.
type Head struct {
	ID, Name, Icon string
	Verified       bool
	Sub            string // one line: what is true of the way to them
	Writing        bool   // Sub says that they are
	Timer          string // after how long messages disappear; empty: they stay
}

// PaneActions is what the pane of a conversation calls back for.
type PaneActions struct {
	Back    func()
	Details func()
	Menu    func(at fyne.Position)
}

// Pane is the conversation that is open. Its methods belong to the window's thread.
type Pane struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	all    *fyne.Container
	back   *widget.Press
	avatar *widget.Avatar
	name   *widget.Text
	check  *widget.Icon
	sub    *widget.Text
	timer  *widget.Text // after sub, with its icon
	fades  *fyne.Container
	who    *widget.Press
	pins   *fyne.Container
	find   *fyne.Container
	notice *fyne.Container
	empty  *widget.Para // in place of messages
	bottom *fyne.Container
}

// NewPane is a pane that shows nobody yet, with the messages in its middle and where
// one writes below them.
func NewPane(l *lang.Lang, do PaneActions, messages, composer fyne.CanvasObject) *Pane {
	v := &Pane{l: l, avatar: widget.NewAvatar("", "", 38), name: widget.NewText("", theme.TextTitle, theme.Text).Bold().Shrink(),
		check: widget.NewIcon("verified", 17, theme.Accent), sub: widget.NewText("", theme.TextCaption, theme.Dim).Shrink(), pins: widget.Stack(), find: widget.Stack(), notice: widget.Stack()}
	v.back = widget.NewIconButton("back", l.T("Back to the list"), do.Back)
	v.timer = widget.NewText("", theme.TextCaption, theme.Dim)
	v.fades = widget.Row(theme.Space1+1, widget.NewIcon("timer", 14, theme.Dim), v.timer)
	title := widget.Col(1, widget.Row(theme.Space2+2, v.name, v.check), widget.Row(theme.Space3, v.sub, v.fades))
	who := widget.Edge(nil, nil, widget.Inset(theme.Space3, 0, theme.Space4, 0, v.avatar), nil, widget.Inset(0, 6, theme.Space4, 0, title))
	v.who = widget.NewPress(l.T("Details"), who, do.Details)
	v.who.Shape("", "", theme.RadiusField, fyne.NewSize(0, 46))
	var menu *widget.Press
	menu = widget.NewIconButton("more", l.T("More"), func() {
		do.Menu(fyne.CurrentApp().Driver().AbsolutePositionForObject(menu).AddXY(-160, menu.Size().Height+theme.Space2))
	})
	head := widget.Inset(theme.Space3, 0, theme.Space4, 0, widget.AtLeast(0, theme.HeaderHeight, widget.Row(theme.Space2, v.back, widget.Grow(v.who), menu)))
	v.empty = widget.NewPara("", theme.TextBody, theme.Dim).Centred()
	v.empty.Hide()
	v.bottom = widget.Stack(widget.Inset(14, theme.Space3, 14, 14, composer))
	v.all = widget.Edge(widget.Col(0, head, widget.Rule(false), v.pins, v.find, v.notice), v.bottom, nil, nil, widget.Stack(messages, widget.Inset(theme.Space6, 0, theme.Space6, 0, widget.Column(420, v.empty))))
	v.back.Hide()
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *Pane) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Single shows or hides the way back to the list.
func (v *Pane) Single(single bool) {
	if v.back.Hidden == single {
		v.back.Hidden = !single
		widget.Arrange(v.all)
	}
}

// Head shows who it is.
func (v *Pane) Head(h Head) {
	v.avatar.Set(h.ID, h.Name, h.Icon)
	v.name.Set(h.Name)
	v.check.Hidden = !h.Verified
	v.sub.Set(h.Sub)
	v.sub.Hidden = h.Sub == ""
	v.timer.Set(h.Timer)
	v.fades.Hidden = h.Timer == ""
	if h.Timer == "" {
		v.who.Name(v.l.T("Details"))
	} else {
		v.who.Name(v.l.T("Details") + ", " + v.l.T("messages disappear after {time}", "time", h.Timer))
	}
	v.sub.Paint(theme.Dim)
	if h.Writing {
		v.sub.Paint(theme.Accent)
	}
	widget.Arrange(v.all)
}

// Empty shows words where there are no messages yet; none take them away.
func (v *Pane) Empty(words string) {
	if words == v.empty.String() {
		return
	}
	v.empty.Set(words)
	v.empty.Hidden = words == ""
	v.all.Refresh()
}

// Pins shows the bar with a pinned message; nil takes it away.
func (v *Pane) Pins(bar fyne.CanvasObject) { v.bar(v.pins, bar) }

// Find shows the bar in which the conversation is searched; nil takes it away.
func (v *Pane) Find(bar fyne.CanvasObject) { v.bar(v.find, bar) }

func (v *Pane) bar(at *fyne.Container, bar fyne.CanvasObject) {
	if bar == nil && len(at.Objects) == 0 {
		return
	}
	at.Objects = nil
	if bar != nil {
		at.Objects = []fyne.CanvasObject{bar}
	}
	widget.Arrange(v.all)
}

// Notice shows a card above the messages; nil takes it away. Without writing, nothing
// can be written, as to somebody who is blocked.
func (v *Pane) Notice(card fyne.CanvasObject, writing bool) {
	if card == nil && len(v.notice.Objects) == 0 && v.bottom.Hidden == !writing {
		return
	}
	v.notice.Objects = nil
	if card != nil {
		v.notice.Objects = []fyne.CanvasObject{widget.Inset(theme.Space5, theme.Space4, theme.Space5, 0, card)}
	}
	v.bottom.Hidden = !writing
	widget.Arrange(v.all)
}
