package settings

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Measures of a toggle, in px.
const (
	toggleWidth  float32 = 48
	toggleHeight float32 = 26
	knobInset    float32 = 4
)

// toggle is a switch: its knob is at the right while it is on, at the left while not.
type toggle struct {
	press       *widget.Press
	on          bool
	name        string
	l           *lang.Lang
	track, knob *widget.Fill
	face        *fyne.Container
}

func newToggle(name string, l *lang.Lang, changed func(bool)) *toggle {
	t := &toggle{name: name, l: l, track: widget.NewFill(theme.Canvas, toggleHeight/2).Edged(theme.Edge), knob: widget.NewFill(theme.Dim, (toggleHeight-2*knobInset)/2)}
	t.face = container.New(sides{t}, t.track, t.knob)
	t.press = widget.NewPress(name, t.face, func() { changed(!t.on) }).Shape("", "", toggleHeight/2, fyne.NewSize(toggleWidth, theme.Target))
	t.set(false)
	return t
}

// set shows whether it is on.
func (t *toggle) set(on bool) {
	t.on = on
	if on {
		t.track.Paint(theme.Accent, "")
		t.knob.Paint(theme.OnAccent, "")
		t.press.Name(t.l.T("{name}: on", "name", t.name))
	} else {
		t.track.Paint(theme.Canvas, theme.Edge)
		t.knob.Paint(theme.Dim, "")
		t.press.Name(t.l.T("{name}: off", "name", t.name))
	}
	t.face.Refresh()
}

// sides lays a toggle out.
type sides struct{ t *toggle }

func (s sides) Layout(o []fyne.CanvasObject, size fyne.Size) {
	top := (size.Height - toggleHeight) / 2
	o[0].Move(fyne.NewPos(0, top))
	o[0].Resize(fyne.NewSize(toggleWidth, toggleHeight))
	const side = toggleHeight - 2*knobInset
	x := knobInset
	if s.t.on {
		x = toggleWidth - knobInset - side
	}
	o[1].Move(fyne.NewPos(x, top+knobInset))
	o[1].Resize(fyne.NewSquareSize(side))
}

func (s sides) MinSize([]fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(toggleWidth, theme.Target)
}

// changedDot says that a setting is other than usual.
type changedDot struct {
	fynewidget.BaseWidget
	words string
}

func newChangedDot(words string) *changedDot {
	d := &changedDot{words: words}
	d.ExtendBaseWidget(d)
	return d
}

func (d *changedDot) show(on bool) {
	if on {
		d.BaseWidget.Show()
	} else {
		d.Hide()
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (d *changedDot) AccessibilityLabel() string { return d.words }

// AccessibilityRole implements fyne.Accessible.
func (d *changedDot) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// CreateRenderer implements fyne.Widget.
func (d *changedDot) CreateRenderer() fyne.WidgetRenderer {
	const side = 8
	return fynewidget.NewSimpleRenderer(widget.Exactly(side, 20, widget.Inset(0, 6, 0, 6, widget.NewFill(theme.Accent, side/2))))
}

// wrap lays objects out in lines, as many to a line as there is room for. Like wrapped
// text it knows its height once it has its width.
type wrap struct{ gap, width float32 }

func (w *wrap) place(o []fyne.CanvasObject, put func(fyne.CanvasObject, fyne.Position, fyne.Size)) (height float32) {
	x, y, line := float32(0), float32(0), float32(0)
	for _, c := range o {
		if !c.Visible() {
			continue
		}
		s := c.MinSize()
		if w.width > 0 {
			s.Width = min(s.Width, w.width)
			if x > 0 && x+s.Width > w.width {
				x, y, line = 0, y+line+w.gap, 0
			}
		}
		put(c, fyne.NewPos(x, y), s)
		x += s.Width + w.gap
		line = max(line, s.Height)
	}
	return y + line
}

func (w *wrap) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w.width = s.Width
	w.place(o, func(c fyne.CanvasObject, at fyne.Position, size fyne.Size) {
		c.Move(at)
		c.Resize(size)
	})
}

func (w *wrap) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(0, w.place(o, func(fyne.CanvasObject, fyne.Position, fyne.Size) {}))
}
