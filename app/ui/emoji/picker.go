package emoji

import (
	"image"
	"image/draw"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	parts "github.com/godwit-im/godwit/app/ui/widget"
)

// Measures of a Picker, in px.
const (
	cell      = 38
	picture   = 28
	headline  = 30
	columns   = 8
	gridWidth = columns*cell + 12 // with room for the scroll bar
	tall      = 300
)

// found is the most that a search shows.
const found = 80

// Picker lets somebody choose an emoji: by looking, by name, or by :shortcode:.
// Everything can be done with keys: the arrows move, Enter chooses, Tab goes between
// search, groups and emoji; the Menu key, like a secondary click, offers skin tones.
type Picker struct {
	widget.BaseWidget
	set    *Set
	lang   *lang.Lang
	pick   func(text string)
	search *widget.Entry
	tabs   []*parts.Press
	grid   *grid
	name   *parts.Text
	all    fyne.CanvasObject
}

// NewPicker calls pick with the text of the emoji that is chosen. Recent ones come
// first.
func NewPicker(set *Set, l *lang.Lang, recent []string, pick func(text string)) *Picker {
	p := &Picker{set: set, lang: l, pick: pick, search: widget.NewEntry(), name: parts.NewText("", theme.TextCaption, theme.Dim).Shrink()}
	p.search.SetPlaceHolder(l.T("Search"))
	p.search.OnChanged = p.find
	p.search.OnSubmitted = func(string) {
		if e, ok := p.grid.first(); ok {
			p.pick(e.Text)
		}
	}
	p.grid = newGrid(p)
	p.grid.recent = p.known(recent)
	p.grid.fill(nil, false)
	tabs := make([]fyne.CanvasObject, 0, len(set.Groups()))
	for i, g := range set.Groups() {
		icon := newPicture(set, g.Emoji[0].ID, 20)
		tab := parts.NewPress(GroupName(g.Name, l), parts.Inset(6, 6, 6, 6, icon), func() {
			p.search.SetText("")
			p.grid.scrollTo(i)
		}).Shape("", "", theme.RadiusField, fyne.NewSquareSize(theme.Target))
		p.tabs = append(p.tabs, tab)
		tabs = append(tabs, tab)
	}
	p.all = parts.Inset(theme.Space3, theme.Space3, theme.Space3, theme.Space3, parts.Col(theme.Space2,
		p.search, parts.Row(2, tabs...), parts.Exactly(gridWidth, tall, p.grid), parts.Exactly(gridWidth, 18, p.name)))
	p.ExtendBaseWidget(p)
	return p
}

// Focus is where the keys should go when the picker is shown.
func (p *Picker) Focus() fyne.Focusable { return p.search }

// known finds emoji by their text.
func (p *Picker) known(texts []string) []Emoji {
	var out []Emoji
	for _, t := range texts {
		if id, ok := p.set.Lookup(t); ok {
			out = append(out, Emoji{ID: id, Text: t})
		}
	}
	return out
}

func (p *Picker) find(query string) {
	if query == "" {
		p.grid.fill(nil, false)
		return
	}
	p.grid.fill(p.set.Search(query, found), true)
}

// CreateRenderer implements fyne.Widget.
func (p *Picker) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(p.all) }

// GroupName is the name of a group as it is shown.
func GroupName(name string, l *lang.Lang) string {
	switch name {
	case "Smileys & Emotion":
		return l.T("Smileys and emotion")
	case "People & Body":
		return l.T("People and body")
	case "Animals & Nature":
		return l.T("Animals and nature")
	case "Food & Drink":
		return l.T("Food and drink")
	case "Travel & Places":
		return l.T("Travel and places")
	case "Activities":
		return l.T("Activities")
	case "Objects":
		return l.T("Objects")
	case "Symbols":
		return l.T("Symbols")
	case "Flags":
		return l.T("Flags")
	}
	return name
}

// Picture is a text that is an emoji as an object of a size.
func Picture(set *Set, emoji string, side float32) fyne.CanvasObject {
	id, ok := set.Lookup(emoji)
	if !ok {
		return parts.Exactly(side, side, parts.NewText(emoji, side/2, theme.Text).Centred())
	}
	return newPicture(set, id, side)
}

// newPicture is an emoji as an object of a size.
func newPicture(set *Set, id ID, side float32) fyne.CanvasObject {
	r := canvas.NewRaster(func(w, h int) image.Image { return set.Image(id, max(1, min(w, h))) })
	return parts.Exactly(side, side, r)
}

// line is a headline of the grid, or up to eight emoji beside each other.
type line struct {
	title string
	emoji []Emoji
	y     float32
}

// grid shows lines, of which it draws those in its window.
type grid struct {
	widget.BaseWidget
	p      *Picker
	recent []Emoji
	lines  []line
	groups []int // the first line of each group
	height float32
	offset float32

	row, col int // the current emoji
	focused  bool
	hovered  bool

	rows    []*gridRow
	current *canvas.Rectangle
	bar     *canvas.Rectangle
	objects []fyne.CanvasObject
}

// gridRow draws a line; it is used again for others.
type gridRow struct {
	raster *canvas.Raster
	title  *canvas.Text
	emoji  []Emoji
	line   int
}

var (
	_ fyne.Scrollable        = (*grid)(nil)
	_ fyne.Tappable          = (*grid)(nil)
	_ fyne.SecondaryTappable = (*grid)(nil)
	_ fyne.Focusable         = (*grid)(nil)
	_ fyne.Accessible        = (*grid)(nil)
	_ desktop.Hoverable      = (*grid)(nil)
)

func newGrid(p *Picker) *grid {
	g := &grid{p: p, row: -1, current: canvas.NewRectangle(nil), bar: canvas.NewRectangle(nil)}
	g.current.CornerRadius, g.bar.CornerRadius = theme.RadiusField, 3
	g.ExtendBaseWidget(g)
	return g
}

// fill shows emoji, or, without a search, all of them.
func (g *grid) fill(list []Emoji, searched bool) {
	g.lines, g.groups, g.offset, g.row, g.col = nil, nil, 0, -1, 0
	g.height = 0
	l := g.p.lang
	add := func(title string, list []Emoji) {
		if title != "" {
			g.lines = append(g.lines, line{title: title, y: g.height})
			g.height += headline
		}
		for len(list) > 0 {
			n := min(columns, len(list))
			g.lines = append(g.lines, line{emoji: list[:n], y: g.height})
			g.height += cell
			list = list[n:]
		}
	}
	if searched {
		if len(list) == 0 {
			add(l.T("Nothing is called that."), nil)
		}
		add("", list)
	} else {
		if len(g.recent) > 0 {
			add(l.T("Used lately"), g.recent)
		}
		for _, group := range g.p.set.Groups() {
			g.groups = append(g.groups, len(g.lines))
			add(GroupName(group.Name, l), group.Emoji)
		}
	}
	g.place()
}

// first is the first emoji there is.
func (g *grid) first() (Emoji, bool) {
	for _, l := range g.lines {
		if len(l.emoji) > 0 {
			return l.emoji[0], true
		}
	}
	return Emoji{}, false
}

func (g *grid) scrollTo(group int) {
	if group < len(g.groups) {
		g.offset = g.lines[g.groups[group]].y
		g.place()
	}
}

// place draws the lines that are in the window.
func (g *grid) place() {
	size := g.Size()
	g.offset = max(0, min(g.offset, g.height-size.Height))
	g.objects = append(g.objects[:0], g.current)
	g.current.Hide()
	n := 0
	for i := range g.lines {
		l := &g.lines[i]
		y := l.y - g.offset
		if y < -cell || y > size.Height {
			continue
		}
		if n == len(g.rows) {
			r := &gridRow{line: -1, title: canvas.NewText("", nil)}
			r.title.TextSize, r.title.TextStyle.Bold = theme.TextCaption, true
			r.raster = canvas.NewRaster(func(w, h int) image.Image { return g.p.set.drawRow(r.emoji, w, h) })
			g.rows = append(g.rows, r)
		}
		r := g.rows[n]
		n++
		if l.title != "" {
			r.title.Text, r.title.Color = l.title, theme.Color(theme.Dim)
			r.title.Move(fyne.NewPos(6, y+8))
			r.title.Resize(r.title.MinSize())
			r.title.Refresh()
			r.line = -1
			g.objects = append(g.objects, r.title)
			continue
		}
		r.raster.Move(fyne.NewPos(0, y))
		r.raster.Resize(fyne.NewSize(columns*cell, cell))
		if r.line != i || len(r.emoji) != len(l.emoji) || len(l.emoji) > 0 && r.emoji[0].ID != l.emoji[0].ID {
			r.line, r.emoji = i, l.emoji
			r.raster.Refresh()
		}
		if i == g.row && (g.focused || g.hovered) {
			g.current.FillColor, g.current.StrokeWidth, g.current.StrokeColor = theme.Color(theme.Hover), 0, nil
			if g.focused {
				g.current.StrokeWidth, g.current.StrokeColor = 2, theme.Color(theme.Focus)
			}
			g.current.Move(fyne.NewPos(float32(g.col)*cell, y))
			g.current.Resize(fyne.NewSquareSize(cell))
			g.current.Show()
			g.current.Refresh()
		}
		g.objects = append(g.objects, r.raster)
	}
	g.bar.FillColor = theme.Color("scrollBar")
	if g.height > size.Height && size.Height > 0 {
		h := max(24, size.Height*size.Height/g.height)
		g.bar.Resize(fyne.NewSize(6, h))
		g.bar.Move(fyne.NewPos(size.Width-6, (size.Height-h)*g.offset/(g.height-size.Height)))
		g.objects = append(g.objects, g.bar)
	}
	parts.Repaint(g)
	g.p.name.Set("")
	if e, ok := g.chosen(); ok && (g.focused || g.hovered) {
		name := e.Name
		if len(e.Codes) > 0 {
			name += "  :" + e.Codes[0] + ":"
		}
		g.p.name.Set(name)
	}
}

// drawRow draws emoji beside each other.
func (s *Set) drawRow(list []Emoji, w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, max(w, 1), max(h, 1)))
	scale := float64(h) / cell
	side := int(math.Round(picture * scale))
	for i, e := range list {
		at := image.Pt(int((float64(i)*cell+(cell-picture)/2)*scale), (h-side)/2)
		draw.Draw(img, image.Rectangle{at, at.Add(image.Pt(side, side))}, s.Image(e.ID, side), image.Point{}, draw.Src)
	}
	return img
}

// chosen is the current emoji.
func (g *grid) chosen() (Emoji, bool) {
	if g.row < 0 || g.row >= len(g.lines) || g.col >= len(g.lines[g.row].emoji) {
		return Emoji{}, false
	}
	return g.lines[g.row].emoji[g.col], true
}

// point makes the emoji at a point the current one.
func (g *grid) point(p fyne.Position) bool {
	for i := range g.lines {
		l := &g.lines[i]
		if y := p.Y + g.offset - l.y; y >= 0 && y < cell && p.X >= 0 && int(p.X/cell) < len(l.emoji) {
			g.row, g.col = i, int(p.X/cell)
			return true
		}
	}
	return false
}

// Tapped chooses.
func (g *grid) Tapped(e *fyne.PointEvent) {
	if g.point(e.Position) {
		g.choose()
	}
}

func (g *grid) choose() {
	if e, ok := g.chosen(); ok {
		g.p.pick(e.Text)
	}
}

// TappedSecondary offers skin tones.
func (g *grid) TappedSecondary(e *fyne.PointEvent) {
	if g.point(e.Position) {
		g.tones(e.AbsolutePosition)
	}
}

func (g *grid) tones(at fyne.Position) {
	e, ok := g.chosen()
	c := fyne.CurrentApp().Driver().CanvasForObject(g)
	if !ok || len(e.Tones) == 0 || c == nil {
		return
	}
	var pop *widget.PopUp
	row := make([]fyne.CanvasObject, 0, 6)
	for _, v := range append([]Emoji{e}, e.Tones[:min(5, len(e.Tones))]...) {
		row = append(row, parts.NewPress(v.Text, parts.Inset(5, 5, 5, 5, newPicture(g.p.set, v.ID, picture)), func() {
			pop.Hide()
			g.p.pick(v.Text)
		}).Shape("", "", theme.RadiusField, fyne.NewSquareSize(cell)))
	}
	pop = widget.NewPopUp(parts.Row(0, row...), c)
	pop.ShowAtPosition(at)
}

// Scrolled implements fyne.Scrollable.
func (g *grid) Scrolled(e *fyne.ScrollEvent) {
	g.offset -= e.Scrolled.DY
	g.place()
}

// MouseIn implements desktop.Hoverable.
func (g *grid) MouseIn(e *desktop.MouseEvent) { g.MouseMoved(e) }

// MouseMoved says the name of what the mouse is on.
func (g *grid) MouseMoved(e *desktop.MouseEvent) {
	row, col := g.row, g.col
	g.hovered = g.point(e.Position)
	if row != g.row || col != g.col || !g.hovered {
		g.place()
	}
}

// MouseOut implements desktop.Hoverable.
func (g *grid) MouseOut() { g.hovered = false; g.place() }

// FocusGained implements fyne.Focusable.
func (g *grid) FocusGained() {
	g.focused = true
	if _, ok := g.chosen(); !ok {
		g.move(0, 1)
	}
	g.place()
}

// FocusLost implements fyne.Focusable.
func (g *grid) FocusLost() { g.focused = false; g.place() }

// TypedRune writes into the search.
func (g *grid) TypedRune(r rune) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(g); c != nil {
		c.Focus(g.p.search)
	}
	g.p.search.TypedRune(r)
}

// TypedKey implements fyne.Focusable.
func (g *grid) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyLeft:
		g.move(-1, 0)
	case fyne.KeyRight:
		g.move(1, 0)
	case fyne.KeyUp:
		g.move(0, -1)
	case fyne.KeyDown:
		g.move(0, 1)
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		g.choose()
	case desktop.KeyMenu:
		if g.row >= 0 {
			g.tones(fyne.CurrentApp().Driver().AbsolutePositionForObject(g).AddXY(float32(g.col)*cell, g.lines[g.row].y-g.offset+cell))
		}
	}
}

// move goes on by emoji or by lines, over headlines, and shows where it is.
func (g *grid) move(dx, dy int) {
	row, col := g.row, g.col+dx
	if col < 0 {
		dy, col = -1, columns-1
	} else if row >= 0 && row < len(g.lines) && col >= len(g.lines[row].emoji) && dx > 0 {
		dy, col = 1, 0
	}
	if dy != 0 {
		for row += dy; row >= 0 && row < len(g.lines) && len(g.lines[row].emoji) == 0; row += dy {
		}
	}
	if row < 0 || row >= len(g.lines) {
		return
	}
	g.row, g.col = row, min(col, len(g.lines[row].emoji)-1)
	y := g.lines[row].y
	g.offset = min(g.offset, y)
	g.offset = max(g.offset, y+cell-g.Size().Height)
	g.place()
}

// AccessibilityLabel implements fyne.Accessible.
func (g *grid) AccessibilityLabel() string {
	if e, ok := g.chosen(); ok {
		return e.Name
	}
	return g.p.lang.T("Emoji")
}

// AccessibilityRole implements fyne.Accessible.
func (g *grid) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }

// CreateRenderer implements fyne.Widget.
func (g *grid) CreateRenderer() fyne.WidgetRenderer { return (*gridRenderer)(g) }

type gridRenderer grid

func (r *gridRenderer) Layout(fyne.Size)             { (*grid)(r).place() }
func (r *gridRenderer) MinSize() fyne.Size           { return fyne.NewSize(gridWidth, cell) }
func (r *gridRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *gridRenderer) Destroy()                     {}
func (r *gridRenderer) Refresh()                     { (*grid)(r).place() }
