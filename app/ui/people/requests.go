package people

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Stranger is a request as it is shown.
type Stranger struct {
	ID, Name, Text, When string
	Warning              string // that it is not who it seems
}

// What is shown of a request: enough to know what somebody wants. All of it is read where it is
// accepted.
const (
	mostRunes = 500
	mostLines = 8
)

// Strangers are requests as they are shown.
func Strangers(l *lang.Lang, list []api.Request, now time.Time) []Stranger {
	var out []Stranger
	for _, q := range list {
		s := Stranger{ID: q.ID, Name: q.Name, Text: widget.Beginning(q.Text, mostRunes, mostLines), When: chats.When(l, q.Time.Time, now)}
		if s.Name == "" {
			s.Name = l.T("Somebody without a name")
		}
		if q.LooksLike != "" {
			s.Warning = l.T("Not the {name} you know: this is another key.", "name", q.LooksLike)
		}
		out = append(out, s)
	}
	return out
}

// Decisions are what can be said to a request.
type Decisions struct{ Accept, Ignore, Block func(id string) }

// Requests is the page of those who ask to be contacts: text only, no links.
type Requests struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	do     Decisions
	column *fyne.Container
	all    fyne.CanvasObject
}

// NewRequests is a page without requests.
func NewRequests(l *lang.Lang, do Decisions) *Requests {
	v := &Requests{l: l, do: do, column: widget.Col(theme.Space4)}
	head := widget.Inset(theme.Space6, 0, theme.Space6, 0, widget.ColumnTop(680, widget.AtLeast(0, theme.HeaderHeight+4, widget.Ends(widget.NewText(l.T("Requests"), theme.TextSection, theme.Text).Bold(), widget.Gap(0, 0)))))
	v.all = widget.Edge(head, nil, nil, nil, container.NewVScroll(widget.Inset(theme.Space6, 0, theme.Space6, theme.Space6, widget.ColumnTop(680, v.column))))
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *Requests) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Set shows requests.
func (v *Requests) Set(list []Stranger) {
	v.column.Objects = []fyne.CanvasObject{widget.NewPara(v.l.T("People you do not know who have your address. They learn nothing until you accept."), theme.TextSecondary, theme.Dim)}
	if len(list) == 0 {
		v.column.Objects = []fyne.CanvasObject{widget.NewPara(v.l.T("Nobody is asking."), theme.TextBody, theme.Dim)}
	}
	for _, s := range list {
		v.column.Add(v.card(s))
	}
	v.column.Refresh()
	v.Refresh()
}

func (v *Requests) card(s Stranger) fyne.CanvasObject {
	name := widget.Ends(widget.Inset(0, 0, theme.Space3, 0, widget.Row(0, widget.NewText(s.Name, theme.TextTitle, theme.Text).Bold().Shrink())), widget.NewText(s.When, theme.TextCaption, theme.Dim))
	words := widget.Col(theme.Space3, name)
	if s.Warning != "" {
		words.Add(Warning(s.Warning))
	}
	if s.Text != "" {
		words.Add(widget.NewPara(s.Text, theme.TextBody, theme.Text))
	}
	words.Add(widget.Inset(0, theme.Space2, 0, 0, widget.Row(theme.Space4,
		widget.NewButton(v.l.T("Accept"), widget.Primary, func() { v.do.Accept(s.ID) }),
		widget.NewButton(v.l.T("Ignore"), widget.Plain, func() { v.do.Ignore(s.ID) }),
		widget.NewButton(v.l.T("Block"), widget.Plain, func() { v.do.Block(s.ID) }))))
	body := widget.Edge(nil, nil, widget.Inset(0, 0, theme.Space4, 0, widget.ColumnTop(44, widget.NewAvatar(s.ID, s.Name, 44))), nil, words)
	return widget.Stack(widget.NewFill(theme.Pane, theme.RadiusCard).Edged(theme.Line), widget.Inset(theme.Space5, theme.Space5, theme.Space5, theme.Space5, body))
}
