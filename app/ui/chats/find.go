package chats

import (
	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// FindActions is what a FindBar calls back for.
type FindActions struct {
	Query func(string)     // with every change of the field
	Step  func(older bool) // to the next one found
	Close func()
}

// FindBar is the bar over a conversation in which its messages are searched: a field,
// which of those found is shown, and the ways to the others.
type FindBar struct {
	fynewidget.BaseWidget
	all          fyne.CanvasObject
	Field        *widget.Field
	count        *widget.Text
	older, newer *widget.Press
}

// NewFindBar is a bar with nothing to look for.
func NewFindBar(l *lang.Lang, do FindActions) *FindBar {
	v := &FindBar{Field: widget.NewField(l.T("Find in this chat")), count: widget.NewText("", theme.TextCaption, theme.Dim)}
	v.Field.OnChanged = do.Query
	v.Field.Enter = func(shift bool) { do.Step(!shift) }
	v.Field.Arrow = func(down bool) bool { do.Step(!down); return true }
	v.Field.Escape = do.Close
	v.older = widget.NewIconButton("up", l.T("Older"), func() { do.Step(true) })
	v.newer = widget.NewIconButton("down", l.T("Newer"), func() { do.Step(false) })
	row := widget.Row(theme.Space2, widget.Grow(v.Field), widget.Inset(theme.Space3, 0, theme.Space2, 0, v.count), v.older, v.newer, widget.NewIconButton("close", l.T("Close"), do.Close))
	v.all = widget.Stack(widget.NewFill(theme.Pane, 0), widget.Col(0, widget.Inset(theme.Space5, 0, theme.Space4, 0, widget.AtLeast(0, 52, row)), widget.Rule(false)))
	v.Count("", false)
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *FindBar) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Count says which of how many is shown, and whether there are others to go to.
func (v *FindBar) Count(text string, others bool) {
	v.count.Set(text)
	for _, p := range []*widget.Press{v.older, v.newer} {
		if others {
			p.Enable()
		} else {
			p.Disable()
		}
	}
	widget.Arrange(v.all)
}
