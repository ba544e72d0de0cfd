package chats

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Simple is a Timeline of stock widgets: all that it is given, in one column.
type Simple struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	trail  func(id string)
	column *fyne.Container
	scroll *container.Scroll
}

// NewSimple is a timeline without messages. Trail is called when a state is pressed.
func NewSimple(l *lang.Lang, trail func(id string)) *Simple {
	s := &Simple{l: l, trail: trail, column: widget.Col(0)}
	s.scroll = container.NewVScroll(widget.Inset(theme.Space6, theme.Space4, theme.Space6, theme.Space4, s.column))
	s.ExtendBaseWidget(s)
	return s
}

// CreateRenderer implements fyne.Widget.
func (s *Simple) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(s.scroll) }

// Set implements Timeline.
func (s *Simple) Set(entries []Entry, end bool) {
	s.column.Objects = nil
	for _, e := range entries {
		if e.Day != "" {
			s.column.Add(widget.Inset(0, theme.Space4, 0, theme.Space3, centre(pill(e.Day, theme.BubbleIn, theme.Dim))))
		}
		if e.New {
			s.column.Add(widget.Inset(0, theme.Space3, 0, theme.Space3, centre(pill(s.l.T("New messages"), theme.WarnGround, theme.Warn))))
		}
		top := theme.Space4
		if e.Above {
			top = theme.Space1 + 1
		}
		s.column.Add(widget.Inset(0, top, 0, 0, s.bubble(e)))
	}
	s.column.Refresh()
	s.scroll.Refresh()
	if end {
		s.scroll.ScrollToBottom()
	}
}

func pill(text string, ground, colour fyne.ThemeColorName) fyne.CanvasObject {
	return widget.Stack(widget.NewFill(ground, 12), widget.Inset(theme.Space4, theme.Space2, theme.Space4, theme.Space2, widget.NewText(text, theme.TextCaption, colour)))
}

func centre(o fyne.CanvasObject) fyne.CanvasObject { return container.NewCenter(o) }

// bubble is one message: its text, and under it the time and the state.
func (s *Simple) bubble(e Entry) fyne.CanvasObject {
	ground, text, meta := theme.BubbleIn, theme.BubbleInText, theme.Dim
	if e.Mine {
		ground, text, meta = theme.BubbleOut, theme.BubbleOutText, theme.BubbleOutMeta
	}
	words := widget.NewPara(e.Text, theme.TextBody, text)
	foot := widget.Row(theme.Space2 + 1)
	if e.Words != "" {
		foot.Add(widget.NewText(e.Words, theme.TextMeta, meta).Shrink())
	}
	foot.Add(widget.NewText(e.Time, theme.TextMeta, meta))
	if e.Glyph != "" {
		icon := widget.NewIcon(e.Glyph, 14, meta)
		if e.Failed {
			icon = widget.NewIcon(e.Glyph, 14, text)
		}
		foot.Add(icon)
	}
	var line fyne.CanvasObject = widget.Ends(widget.Gap(0, 0), foot)
	if e.Mine && e.Glyph != "" {
		p := widget.NewPress(e.State, line, func() { s.trail(e.ID) })
		p.Shape("", "", 6, fyne.NewSize(0, 18))
		line = p
	}
	body := widget.Stack(widget.NewFill(ground, theme.RadiusBubble), widget.Inset(theme.Space4, theme.Space3, theme.Space4, theme.Space2+2, widget.Col(theme.Space1, words, line)))
	width := float32(0)
	for l := range strings.SplitSeq(words.String(), "\n") {
		width = max(width, fyne.MeasureText(l, theme.TextBody, fyne.TextStyle{}).Width)
	}
	width = max(width, foot.MinSize().Width, fyne.MeasureText(e.Words, theme.TextMeta, fyne.TextStyle{}).Width+70) + 2*theme.Space4 + 1
	return container.New(side{mine: e.Mine, want: min(width, theme.BubbleMax+2*theme.Space4)}, body)
}

// side keeps a bubble at its author's side, no wider than it wants.
type side struct {
	mine bool
	want float32
}

func (s side) Layout(o []fyne.CanvasObject, size fyne.Size) {
	w := min(s.want, size.Width)
	o[0].Resize(fyne.NewSize(w, size.Height))
	x := float32(0)
	if s.mine {
		x = size.Width - w
	}
	o[0].Move(fyne.NewPos(x, 0))
	o[0].Resize(fyne.NewSize(w, o[0].MinSize().Height))
}

func (s side) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(0, o[0].MinSize().Height)
}
