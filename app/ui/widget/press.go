package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Press is content that can be pressed: the one place where hovering, focus, keys and
// the names for screen readers are done. Buttons, chips and rows are made of it.
type Press struct {
	fynewidget.DisableableWidget
	content fyne.CanvasObject
	name    string // for screen readers
	tap     func()
	second  func(at fyne.Position) // secondary click, and the Menu key; may be nil
	arrow   func(down bool)        // Up and Down; may be nil
	fill    fyne.ThemeColorName    // at rest
	edge    fyne.ThemeColorName    // at rest; empty: none
	radius  float32
	least   fyne.Size
	self    fyne.Widget // the widget that this is part of, or itself

	hovered, focused bool
}

var (
	_ desktop.Hoverable      = (*Press)(nil)
	_ desktop.Cursorable     = (*Press)(nil)
	_ fyne.Focusable         = (*Press)(nil)
	_ fyne.Tappable          = (*Press)(nil)
	_ fyne.SecondaryTappable = (*Press)(nil)
	_ fyne.Accessible        = (*Press)(nil)
	_ fyne.Disableable       = (*Press)(nil)
)

// NewPress makes content pressable. The name says what pressing it does.
func NewPress(name string, content fyne.CanvasObject, tap func()) *Press {
	p := &Press{}
	p.init(p, name, content, tap)
	return p
}

// init makes a Press that is part of another widget, by value.
func (p *Press) init(self fyne.Widget, name string, content fyne.CanvasObject, tap func()) {
	p.self, p.content, p.name, p.tap = self, content, name, tap
	p.radius, p.least = theme.RadiusField, fyne.NewSquareSize(theme.Target)
	p.ExtendBaseWidget(self)
}

// Shape gives it a colour at rest, an edge, a corner radius and a least size.
func (p *Press) Shape(fill, edge fyne.ThemeColorName, radius float32, least fyne.Size) *Press {
	p.fill, p.edge, p.radius, p.least = fill, edge, radius, least
	return p
}

// OnSecondary sets what a secondary click or the Menu key does, given where on the
// canvas.
func (p *Press) OnSecondary(f func(at fyne.Position)) *Press { p.second = f; return p }

// OnArrow sets what Up and Down do, such as to go to the one beside it.
func (p *Press) OnArrow(f func(down bool)) *Press { p.arrow = f; return p }

// Paint changes the colours at rest.
func (p *Press) Paint(fill, edge fyne.ThemeColorName) {
	if p.fill != fill || p.edge != edge {
		p.fill, p.edge = fill, edge
		p.Refresh()
	}
}

// Name changes what screen readers say.
func (p *Press) Name(name string) { p.name = name }

// Tapped implements fyne.Tappable.
func (p *Press) Tapped(*fyne.PointEvent) {
	if p.tap != nil && !p.Disabled() {
		p.tap()
	}
}

// TappedSecondary implements fyne.SecondaryTappable.
func (p *Press) TappedSecondary(e *fyne.PointEvent) {
	if p.second != nil && !p.Disabled() {
		p.second(e.AbsolutePosition)
	}
}

// MouseIn implements desktop.Hoverable.
func (p *Press) MouseIn(*desktop.MouseEvent) { p.hovered = true; p.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (p *Press) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (p *Press) MouseOut() { p.hovered = false; p.Refresh() }

// Cursor implements desktop.Cursorable.
func (p *Press) Cursor() desktop.Cursor {
	if p.Disabled() || p.tap == nil {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// FocusGained implements fyne.Focusable. A click does not give focus, so a focus that
// is seen came by keyboard.
func (p *Press) FocusGained() { p.focused = true; p.Refresh() }

// FocusLost implements fyne.Focusable.
func (p *Press) FocusLost() { p.focused = false; p.Refresh() }

// TypedRune implements fyne.Focusable.
func (p *Press) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (p *Press) TypedKey(e *fyne.KeyEvent) {
	switch {
	case e.Name == fyne.KeySpace, e.Name == fyne.KeyReturn, e.Name == fyne.KeyEnter:
		p.Tapped(nil)
	case IsMenuKey(e):
		if p.second != nil && !p.Disabled() {
			p.second(fyne.CurrentApp().Driver().AbsolutePositionForObject(p.self).AddXY(theme.Space5, p.Size().Height))
		}
	case e.Name == fyne.KeyUp, e.Name == fyne.KeyDown:
		if p.arrow != nil {
			p.arrow(e.Name == fyne.KeyDown)
		}
	default:
		ForwardKey(p.self, e) // Fyne gives keys to what has the focus, and to nothing else
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (p *Press) AccessibilityLabel() string { return p.name }

// AccessibilityRole implements fyne.Accessible.
func (p *Press) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (p *Press) CreateRenderer() fyne.WidgetRenderer {
	r := &pressRenderer{p: p, ground: NewFill(p.fill, p.radius), over: NewFill("", p.radius), ring: NewFill("", p.radius)}
	r.Refresh()
	r.Layout(p.Size())
	return r
}

// inside is how far within its edge the ring of the focus is: on the accent, whose colour the
// ring has elsewhere, it stands within, in the colour of the words.
func (p *Press) inside() float32 {
	if p.fill == theme.Accent || p.fill == theme.Danger {
		return 3
	}
	return 0
}

// pressRenderer draws what is round the content, which draws itself: that the mouse comes
// or goes is no reason to make that anew.
type pressRenderer struct {
	p                  *Press
	ground, over, ring *Fill
	objects            []fyne.CanvasObject // those that are seen: each of the others would cost a little in every frame
}

func (r *pressRenderer) Refresh() {
	r.ground.radius, r.over.radius, r.ring.radius = r.p.radius, r.p.radius, r.p.radius-r.p.inside()
	r.ground.Paint(r.p.fill, r.p.edge)
	over, ring := fyne.ThemeColorName(""), fyne.ThemeColorName("")
	if r.p.hovered && r.p.tap != nil && !r.p.Disabled() {
		over = theme.Hover
	}
	if r.p.Disabled() {
		over = theme.Veil
	}
	if r.p.focused {
		ring = theme.Focus
	}
	if ring != "" && r.p.inside() > 0 {
		ring = theme.OnAccent
	}
	r.over.Paint(over, "")
	r.placeRing(r.p.Size())
	r.ring.thick = 2
	r.ring.Paint("", ring)
	objects := append(make([]fyne.CanvasObject, 0, 4), r.ground, r.p.content)
	if over != "" {
		objects = append(objects, r.over)
	}
	if ring != "" {
		objects = append(objects, r.ring)
	}
	if len(objects) != len(r.objects) {
		Repaint(r.p.self)
	}
	r.objects = objects
}

func (r *pressRenderer) placeRing(s fyne.Size) {
	in := r.p.inside()
	r.ring.Resize(s.SubtractWidthHeight(2*in, 2*in))
	r.ring.Move(fyne.NewSquareOffsetPos(in))
}

func (r *pressRenderer) Layout(s fyne.Size) {
	r.ground.Resize(s)
	r.over.Resize(s)
	r.placeRing(s)
	m := r.p.content.MinSize()
	h := min(m.Height, s.Height)
	if stretches(r.p.content) {
		h = s.Height
	}
	r.p.content.Resize(fyne.NewSize(s.Width, h))
	r.p.content.Move(fyne.NewPos(0, (s.Height-h)/2))
}

// stretches says whether content lays itself out in any height.
func stretches(o fyne.CanvasObject) bool {
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(*edge)
	return ok
}

func (r *pressRenderer) MinSize() fyne.Size           { return r.p.content.MinSize().Max(r.p.least) }
func (r *pressRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *pressRenderer) Destroy()                     {}
