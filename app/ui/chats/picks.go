package chats

import (
	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// PickActions is what is done with messages that were selected.
type PickActions struct{ Copy, Delete, Close func() }

// PickBar is the bar over a conversation while messages of it are selected.
type PickBar struct {
	fynewidget.BaseWidget
	l     *lang.Lang
	all   fyne.CanvasObject
	count *widget.Text
	does  []*widget.Button
}

// NewPickBar is a bar with nothing selected.
func NewPickBar(l *lang.Lang, do PickActions) *PickBar {
	v := &PickBar{l: l, count: widget.NewText("", theme.TextSecondary, theme.Text).Bold().Shrink()}
	v.does = []*widget.Button{widget.NewButton(l.T("Copy text"), widget.Link, do.Copy), widget.NewButton(l.T("Delete here"), widget.Link, do.Delete)}
	row := widget.Row(theme.Space2, widget.Grow(v.count), v.does[0], v.does[1], widget.NewIconButton("close", l.T("Close"), do.Close))
	v.all = widget.Stack(widget.NewFill(theme.Pane, 0), widget.Col(0, widget.Inset(theme.Space5, theme.Space2, theme.Space4, theme.Space2, row), widget.Rule(false)))
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *PickBar) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Set says how many are selected.
func (v *PickBar) Set(n int) {
	v.count.Set(v.l.N("{n} selected", n))
	for _, b := range v.does {
		if n > 0 {
			b.Enable()
		} else {
			b.Disable()
		}
	}
	v.all.Refresh()
}
