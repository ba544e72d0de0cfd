package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Edge puts objects along the edges and one in what is left, as container.NewBorder
// does, but without padding between them: it would show as seams. Any may be nil.
func Edge(top, bottom, left, right, centre fyne.CanvasObject) *fyne.Container {
	l := &edge{top, bottom, left, right, centre}
	c := container.New(l)
	for _, o := range []fyne.CanvasObject{top, left, centre, right, bottom} { // as Tab goes through them
		if o != nil {
			c.Add(o)
		}
	}
	return c
}

type edge struct{ top, bottom, left, right, centre fyne.CanvasObject }

func shown(o fyne.CanvasObject) bool { return o != nil && o.Visible() }

func (e *edge) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	var t, b, l, r float32
	place := func(o fyne.CanvasObject, x, y, w, h float32) {
		o.Move(fyne.NewPos(x, y))
		o.Resize(fyne.NewSize(max(w, 0), max(h, 0)))
	}
	for _, o := range []fyne.CanvasObject{e.top, e.bottom} {
		if shown(o) {
			o.Resize(fyne.NewSize(s.Width, o.Size().Height)) // as in a Col
		}
	}
	if shown(e.top) {
		t = e.top.MinSize().Height
		place(e.top, 0, 0, s.Width, t)
	}
	if shown(e.bottom) {
		b = e.bottom.MinSize().Height
		place(e.bottom, 0, s.Height-b, s.Width, b)
	}
	if shown(e.left) {
		l = e.left.MinSize().Width
		place(e.left, 0, t, l, s.Height-t-b)
	}
	if shown(e.right) {
		r = e.right.MinSize().Width
		place(e.right, s.Width-r, t, r, s.Height-t-b)
	}
	if shown(e.centre) {
		place(e.centre, l, t, s.Width-l-r, s.Height-t-b)
	}
}

func (e *edge) MinSize([]fyne.CanvasObject) fyne.Size {
	var m fyne.Size
	if shown(e.centre) {
		m = e.centre.MinSize()
	}
	for _, o := range []fyne.CanvasObject{e.left, e.right} {
		if shown(o) {
			n := o.MinSize()
			m = fyne.NewSize(m.Width+n.Width, max(m.Height, n.Height))
		}
	}
	for _, o := range []fyne.CanvasObject{e.top, e.bottom} {
		if shown(o) {
			n := o.MinSize()
			m = fyne.NewSize(max(m.Width, n.Width), m.Height+n.Height)
		}
	}
	return m
}

// Ends puts one object at the left and one at the right, each at its own height in
// the middle. If there is not enough room the left one is made narrower.
func Ends(left, right fyne.CanvasObject) *fyne.Container {
	return container.New(ends{}, left, right)
}

type ends struct{}

func (ends) Layout(o []fyne.CanvasObject, s fyne.Size) {
	l, r := o[0], o[1]
	var rs fyne.Size
	if r.Visible() {
		rs = r.MinSize()
		r.Resize(rs)
		r.Move(fyne.NewPos(s.Width-rs.Width, (s.Height-rs.Height)/2))
	}
	h := l.MinSize().Height
	l.Resize(fyne.NewSize(max(s.Width-rs.Width, 0), h))
	l.Move(fyne.NewPos(0, (s.Height-h)/2))
}

func (ends) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[0].MinSize()
	if o[1].Visible() {
		n := o[1].MinSize()
		m = fyne.NewSize(m.Width+n.Width, max(m.Height, n.Height))
	}
	return m
}

// Row puts objects beside each other with a gap, each in the middle of the height. An
// object made with Grow takes what room is left.
func Row(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(line{gap: gap}, objects...)
}

// Col puts objects below each other with a gap, each as wide as the whole. An object
// made with Grow takes what room is left.
func Col(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(line{gap: gap, down: true}, objects...)
}

type line struct {
	gap  float32
	down bool
}

// grow marks the object that takes what room a line has left.
type grow struct{}

// Grow makes an object take the room that is left in a Row or Col.
func Grow(o fyne.CanvasObject) *fyne.Container { return container.New(grow{}, o) }

func (grow) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(s)
	o[0].Move(fyne.Position{})
}
func (grow) MinSize(o []fyne.CanvasObject) fyne.Size { return o[0].MinSize() }

func grows(o fyne.CanvasObject) bool {
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(grow)
	return ok
}

func (l line) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	if l.down {
		for _, o := range objects {
			o.Resize(fyne.NewSize(s.Width, o.Size().Height)) // wrapped text knows its height once it has its width
		}
	}
	var used, spare float32 // spare: by how much texts could be longer than they must
	n, growing := 0, 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		n++
		if grows(o) {
			growing++
		}
		used += l.along(o.MinSize())
		spare += l.longer(o)
	}
	if n == 0 {
		return
	}
	left := l.along(s) - used - l.gap*float32(n-1)
	part := float32(0) // of what they would like, that texts get
	if spare > 0 {
		part = max(min(left/spare, 1), 0)
		left -= part * spare
	}
	at := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		length := l.along(m) + part*l.longer(o)
		if grows(o) {
			length = max(length+left/float32(growing), 0)
		}
		switch {
		case l.down:
			o.Resize(fyne.NewSize(s.Width, length))
			o.Move(fyne.NewPos(0, at))
		case grows(o):
			h := min(max(m.Height, 0), s.Height)
			o.Resize(fyne.NewSize(length, h))
			o.Move(fyne.NewPos(at, (s.Height-h)/2))
		default:
			o.Resize(fyne.NewSize(length, m.Height))
			o.Move(fyne.NewPos(at, (s.Height-m.Height)/2))
		}
		at += length + l.gap
	}
}

// longer is how much longer a text that may shrink would like to be.
func (l line) longer(o fyne.CanvasObject) float32 {
	if t, ok := o.(*Text); ok && !l.down && t.shrink {
		return t.Natural().Width
	}
	return 0
}

func (l line) along(s fyne.Size) float32 {
	if l.down {
		return s.Height
	}
	return s.Width
}

func (l line) MinSize(objects []fyne.CanvasObject) (m fyne.Size) {
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		s := o.MinSize()
		if l.down {
			m = fyne.NewSize(max(m.Width, s.Width), m.Height+s.Height)
		} else {
			m = fyne.NewSize(m.Width+s.Width, max(m.Height, s.Height))
		}
		n++
	}
	if gaps := l.gap * float32(max(n-1, 0)); l.down {
		m.Height += gaps
	} else {
		m.Width += gaps
	}
	return m
}

// Inset keeps room free round an object.
func Inset(left, top, right, bottom float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(inset{left, top, right, bottom}, o)
}

type inset struct{ left, top, right, bottom float32 }

func (i inset) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	for _, o := range objects {
		o.Move(fyne.NewPos(i.left, i.top))
		o.Resize(fyne.NewSize(max(s.Width-i.left-i.right, 0), max(s.Height-i.top-i.bottom, 0)))
	}
}

func (i inset) MinSize(objects []fyne.CanvasObject) (m fyne.Size) {
	for _, o := range objects {
		m = m.Max(o.MinSize())
	}
	return fyne.NewSize(m.Width+i.left+i.right, m.Height+i.top+i.bottom)
}

// AtLeast lays objects on each other and gives them a least size.
func AtLeast(w, h float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(atLeast{fyne.NewSize(w, h)}, o...)
}

// Stack lays objects on each other.
func Stack(o ...fyne.CanvasObject) *fyne.Container { return AtLeast(0, 0, o...) }

type atLeast struct{ size fyne.Size }

func (a atLeast) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	for _, o := range objects {
		o.Move(fyne.Position{})
		o.Resize(s)
	}
}

func (a atLeast) MinSize(objects []fyne.CanvasObject) fyne.Size {
	m := a.size
	for _, o := range objects {
		m = m.Max(o.MinSize())
	}
	return m
}

// Exactly gives an object a size, whatever it wants itself.
func Exactly(w, h float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(exactly{fyne.NewSize(w, h)}, o)
}

type exactly struct{ size fyne.Size }

func (e exactly) Layout(objects []fyne.CanvasObject, s fyne.Size) { atLeast{}.Layout(objects, s) }
func (e exactly) MinSize([]fyne.CanvasObject) fyne.Size           { return e.size }

// Column keeps an object in the middle and no wider than most, at its own height;
// where it is higher than the room it starts at the top, so that a scroll shows it.
func Column(most float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(column{most: most, middle: true}, o)
}

// ColumnTop is Column at the top.
func ColumnTop(most float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(column{most: most}, o)
}

type column struct {
	most   float32
	middle bool
}

func (c column) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	for _, o := range objects {
		w := min(s.Width, c.most)
		o.Resize(fyne.NewSize(w, s.Height)) // wrapped text knows its height once it has its width
		h := o.MinSize().Height
		y := float32(0)
		if c.middle {
			y = max((s.Height-h)/2, 0)
		}
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos((s.Width-w)/2, y))
	}
}

func (c column) MinSize(objects []fyne.CanvasObject) (m fyne.Size) {
	for _, o := range objects {
		m = m.Max(o.MinSize())
	}
	return m
}

// Gap is room and nothing else.
func Gap(w, h float32) fyne.CanvasObject { return container.New(exactly{fyne.NewSize(w, h)}) }
