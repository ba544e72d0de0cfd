package chats

import (
	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// PinBar is the bar over a conversation with one of its pinned messages. Pressing it goes
// there.
type PinBar struct {
	fynewidget.BaseWidget
	l     *lang.Lang
	all   fyne.CanvasObject
	press *widget.Press
	title *widget.Text
	said  *widget.Text
}

// NewPinBar is a bar without a message.
func NewPinBar(l *lang.Lang, jump, unpin func()) *PinBar {
	v := &PinBar{l: l, title: widget.NewText("", theme.TextCaption, theme.Accent).Bold().Shrink(), said: widget.NewText("", theme.TextSecondary, theme.Dim).Shrink()}
	words := widget.Edge(nil, nil, widget.Inset(theme.Space4, 0, theme.Space4, 0, widget.Row(0, widget.NewIcon("pin", 18, theme.Accent))), nil, widget.Inset(0, 5, 0, 5, widget.Col(1, v.title, v.said)))
	v.press = widget.NewPress("", words, jump)
	v.press.Shape("", "", theme.RadiusField, fyne.NewSize(0, 44))
	row := widget.Row(theme.Space2, widget.Grow(v.press), widget.NewIconButton("close", l.T("Unpin"), unpin))
	v.all = widget.Stack(widget.NewFill(theme.Pane, 0), widget.Col(0, widget.Inset(theme.Space3, theme.Space1, theme.Space4, theme.Space1, row), widget.Rule(false)))
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *PinBar) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Set shows a message, the nth of all that are pinned, counted from the newest.
func (v *PinBar) Set(m api.Message, n, all int) {
	title := v.l.T("Pinned message")
	if all > 1 {
		title = v.l.T("Pinned message {n} of {all}", "n", n, "all", all)
	}
	said := widget.OneLine(Gist(v.l, m))
	v.title.Set(title)
	v.said.Set(said)
	v.press.Name(title + ": " + said)
	widget.Arrange(v.all)
}
