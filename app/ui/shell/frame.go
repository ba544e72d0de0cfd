// Package shell is the frame of the window: the rail with the sections, the list, the
// content and the details beside it; in a narrow window one of them at a time. It also
// has the table of commands with what is driven by it, and remembers how the window was
// left. It knows nothing of what the panes show.
package shell

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Frame lays the panes out. Its methods belong to the window's thread.
type Frame struct {
	fynewidget.BaseWidget
	rail, list, content, details *slot
	listWidth                    float32
	inContent                    bool // in a narrow window: the content is shown, not the list
	wide                         func(single bool)
	single                       bool
	dragged                      func(width float32)
}

// slot is a pane on its ground. Screens that are shown again and again are kept in it,
// hidden: what is in no window is not told of other colours.
type slot struct {
	box    *fyne.Container
	ground *widget.Fill
	kept   bool
	now    fyne.CanvasObject // what is shown; nil: nothing
}

// newSlot is a pane. Where the window's own colour shows, in which it is wiped anyway,
// nothing is drawn over it: where there is no GPU, to paint each px of the largest pane
// once more is a third of what a frame costs.
func newSlot(colour fyne.ThemeColorName, kept bool) *slot {
	if colour == theme.Canvas {
		colour = ""
	}
	s := &slot{ground: widget.NewFill(colour, 0), kept: kept}
	s.box = container.New(pile{}, s.ground)
	return s
}

// set shows something else, or nothing; it says whether that is a change.
func (s *slot) set(o fyne.CanvasObject) (changed bool) {
	if s.now == o {
		return false
	}
	s.now = o
	if !s.kept {
		s.box.Objects = s.box.Objects[:1:1]
	}
	for _, other := range s.box.Objects[1:] {
		other.Hide()
	}
	if o != nil {
		o.Show()
		if !slices.Contains(s.box.Objects, o) {
			s.box.Objects = append(s.box.Objects, o)
		}
	}
	pile{}.Layout(s.box.Objects, s.box.Size())
	widget.Repaint(s.box)
	return true
}

// pile lays on each other what is shown. A pane is no reason for a window to be larger.
type pile struct{}

func (pile) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	for _, o := range objects {
		if o.Visible() {
			o.Move(fyne.Position{})
			o.Resize(s)
		}
	}
}

func (pile) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }

// NewFrame is a frame with a rail. Narrow is called when the window becomes so narrow
// that one pane is shown at a time, or wide again; dragged when the list was given
// another width. Both may be nil.
func NewFrame(rail fyne.CanvasObject, listWidth float32, narrow func(bool), dragged func(float32)) *Frame {
	f := &Frame{rail: newSlot(theme.Rail, false), list: newSlot(theme.Pane, true), content: newSlot(theme.Canvas, true), details: newSlot(theme.Pane, false), listWidth: listWidth, wide: narrow, dragged: dragged}
	f.rail.set(rail)
	f.ExtendBaseWidget(f)
	return f
}

// SetList shows something as the list; nil: none, as on the Network page.
func (f *Frame) SetList(o fyne.CanvasObject) { f.set(f.list, o) }

// SetContent shows something as the content.
func (f *Frame) SetContent(o fyne.CanvasObject) { f.set(f.content, o) }

// SetDetails shows something beside the content, or in its place where there is no room.
func (f *Frame) SetDetails(o fyne.CanvasObject) { f.set(f.details, o) }

func (f *Frame) set(s *slot, o fyne.CanvasObject) {
	if s.set(o) {
		f.Refresh()
	}
}

// HasDetails says whether there are details.
func (f *Frame) HasDetails() bool { return f.details.now != nil }

// ShowContent says which pane a narrow window shows.
func (f *Frame) ShowContent(content bool) {
	if f.inContent != content {
		f.inContent = content
		f.Refresh()
	}
}

// ShowsContent says whether a narrow window shows the content, and not the list.
func (f *Frame) ShowsContent() bool { return f.inContent }

// Single says whether one pane is shown at a time.
func (f *Frame) Single() bool { return f.single }

// CreateRenderer implements fyne.Widget.
func (f *Frame) CreateRenderer() fyne.WidgetRenderer {
	r := &frameRenderer{f: f, rule: widget.NewFill(theme.Line, 0), rule2: widget.NewFill(theme.Line, 0)}
	r.drag = newDivider(func(dx float32) {
		f.listWidth = min(max(f.listWidth+dx, theme.ListMin), theme.ListMax)
		r.Layout(f.Size())
	}, func() {
		if f.dragged != nil {
			f.dragged(f.listWidth)
		}
	})
	r.Layout(f.Size())
	return r
}

type frameRenderer struct {
	f           *Frame
	rule, rule2 *widget.Fill
	drag        *divider
}

// Place is where each pane is, for a window of a size: pure, for tests. A width of 0 is
// a pane that is not shown.
type Place struct{ Rail, List, Content, Details float32 }

// Arrange decides what a window of this width shows.
func Arrange(width, list float32, hasList, inContent, hasDetails bool) (p Place, single bool) {
	single = width < theme.SingleBelow
	if single {
		switch {
		case hasDetails:
			p.Details = width
		case inContent || !hasList:
			p.Content = width
			if !hasList {
				p.Rail = theme.RailWidth
				p.Content -= p.Rail
			}
		default:
			p.Rail = theme.RailWidth
			p.List = width - p.Rail
		}
		return p, single
	}
	p.Rail = theme.RailWidth
	rest := width - p.Rail
	if hasList {
		p.List = max(min(list, rest-theme.ContentMin), theme.ListMin)
		rest -= p.List
	}
	switch {
	case hasDetails && width >= theme.DetailsFrom:
		p.Details = theme.DetailsWidth
		p.Content = rest - p.Details
	case hasDetails:
		p.Details = rest
	default:
		p.Content = rest
	}
	return p, single
}

func (r *frameRenderer) Layout(s fyne.Size) {
	f := r.f
	p, single := Arrange(s.Width, f.listWidth, f.list.now != nil, f.inContent, f.details.now != nil)
	changed := single != f.single
	f.single = single
	x := float32(0)
	put := func(o fyne.CanvasObject, w float32) {
		if w <= 0 {
			o.Hide()
			return
		}
		o.Show()
		o.Move(fyne.NewPos(x, 0))
		o.Resize(fyne.NewSize(w, s.Height))
		x += w
	}
	line := func(o fyne.CanvasObject, show bool) {
		if !show {
			o.Hide()
			return
		}
		o.Show()
		o.Move(fyne.NewPos(x-1, 0))
		o.Resize(fyne.NewSize(1, s.Height))
	}
	put(f.rail.box, p.Rail)
	put(f.list.box, p.List)
	both := p.List > 0 && p.Content+p.Details > 0
	line(r.rule, both)
	if both {
		r.drag.Show()
		r.drag.Move(fyne.NewPos(x-dividerWidth/2, 0))
		r.drag.Resize(fyne.NewSize(dividerWidth, s.Height))
	} else {
		r.drag.Hide()
	}
	put(f.content.box, p.Content)
	line(r.rule2, p.Content > 0 && p.Details > 0)
	put(f.details.box, p.Details)
	if changed && f.wide != nil {
		f.wide(single)
	}
}

// Refresh places the panes. What is in them draws itself.
func (r *frameRenderer) Refresh() {
	r.Layout(r.f.Size())
	widget.Repaint(r.f)
}
func (r *frameRenderer) MinSize() fyne.Size { return fyne.NewSize(theme.WindowMinW, theme.WindowMinH) }
func (r *frameRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.f.rail.box, r.f.list.box, r.f.content.box, r.f.details.box, r.rule, r.rule2, r.drag}
}
func (r *frameRenderer) Destroy() {}

// dividerWidth is what can be grabbed; what is seen is the line of 1 px in its middle.
const dividerWidth float32 = 8

// divider changes the width of the list.
type divider struct {
	fynewidget.BaseWidget
	move func(dx float32)
	end  func()
}

func newDivider(move func(float32), end func()) *divider {
	d := &divider{move: move, end: end}
	d.ExtendBaseWidget(d)
	return d
}

func (d *divider) Dragged(e *fyne.DragEvent) { d.move(e.Dragged.DX) }
func (d *divider) DragEnd()                  { d.end() }
func (d *divider) Cursor() desktop.Cursor    { return desktop.HResizeCursor }
func (d *divider) CreateRenderer() fyne.WidgetRenderer {
	return fynewidget.NewSimpleRenderer(container.NewWithoutLayout())
}
