package widget

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Menu is what can be done with something.
type Menu struct {
	Picks []Pick // pictures beside each other, above the lines
	Items []Item
}

// Pick is a picture in a menu that can be chosen.
type Pick struct {
	Name    string // for screen readers
	Picture fyne.CanvasObject
	Checked bool
	Do      func()
}

// Item is a line of a menu. The zero Item is a rule between others.
type Item struct {
	Name    string
	Icon    string // empty: none
	Hint    string // its keys
	Checked bool
	Grave   bool // it destroys something
	Do      func()
	More    []Item // a menu that takes the place of this one
}

// Measures of a menu.
const (
	menuRow  float32 = 36
	menuRule float32 = 9
	menuMin  float32 = 200
	pickSide float32 = 40
)

// ShowMenu shows a menu at a place of the window, within which it stays. Up, Down, Home and End
// move a mark, as does the beginning of a name that is typed; Enter does what is marked,
// Right and Left go into a menu in it and out again, Escape and a click beside it close it.
func ShowMenu(c fyne.Canvas, m Menu, at fyne.Position) {
	if len(m.Picks) == 0 && len(m.Items) == 0 {
		return
	}
	s := &menuSheet{canvas: c, menu: m, at: at}
	s.ExtendBaseWidget(s)
	s.show("", m.Items)
	c.Overlays().Add(s)
	s.Resize(c.Size())
	c.Focus(s)
}

// IsMenuKey says whether a key is the one for the menu of what has the focus: the Menu key,
// or F10 with Shift.
func IsMenuKey(e *fyne.KeyEvent) bool {
	if e.Name != fyne.KeyF10 {
		return e.Name == desktop.KeyMenu
	}
	return ShiftHeld(false)
}

// menuSheet is the whole window while a menu is open: the menu, and the room beside it.
type menuSheet struct {
	fynewidget.BaseWidget
	canvas fyne.Canvas
	menu   Menu
	at     fyne.Position

	above string // what the menu that is shown is called in the one above; empty: it is the first
	items []Item
	rows  []*Press // of items; nil for rules
	picks []*Press
	mark  int // of items; -1-n: of picks; none: nothing yet
	typed string

	box    *fyne.Container
	scroll *container.Scroll
	column *fyne.Container
}

const none = 1 << 30

// show shows lines, those of the menu itself or of one in it.
func (s *menuSheet) show(above string, items []Item) {
	s.above, s.items, s.mark, s.typed = above, items, none, ""
	s.rows, s.picks = nil, nil
	s.column = Col(0)
	if above != "" {
		back := NewPress(above, s.line(Item{Icon: "back", Name: above}, true), s.back)
		s.column.Add(back.Shape("", "", theme.RadiusField, fyne.NewSize(0, menuRow)))
		s.column.Add(menuLine())
	} else if len(s.menu.Picks) > 0 {
		row := Row(theme.Space1)
		for _, p := range s.menu.Picks {
			b := NewPress(p.Name, container.NewCenter(p.Picture), func() { s.do(p.Do) })
			b.Shape(picked(p.Checked), "", pickSide/2, fyne.NewSquareSize(pickSide))
			s.picks = append(s.picks, b)
			row.Add(b)
		}
		s.column.Add(row)
		if len(items) > 0 {
			s.column.Add(menuLine())
		}
	}
	icons := false
	for _, it := range items {
		icons = icons || it.Icon != "" || it.Checked
	}
	for i, it := range items {
		if it.Name == "" {
			s.rows = append(s.rows, nil)
			s.column.Add(menuLine())
			continue
		}
		b := NewPress(it.Name, s.line(it, icons), func() { s.choose(i) })
		b.Shape("", "", theme.RadiusField, fyne.NewSize(0, menuRow))
		s.rows = append(s.rows, b)
		s.column.Add(b)
	}
	s.scroll = container.NewVScroll(s.column)
	s.box = Stack(NewFill(theme.Sheet, theme.RadiusCard).Edged(theme.Line).Raised(), Inset(theme.Space2, theme.Space2, theme.Space2, theme.Space2, s.scroll))
	s.Refresh()
}

func picked(yes bool) fyne.ThemeColorName {
	if yes {
		return theme.Selected
	}
	return ""
}

func menuLine() fyne.CanvasObject {
	return Inset(theme.Space3, theme.Space2, theme.Space3, theme.Space2, Rule(false))
}

// line is how an item looks.
func (s *menuSheet) line(it Item, icons bool) fyne.CanvasObject {
	colour, dim := theme.Text, theme.Dim
	if it.Grave {
		colour, dim = theme.Danger, theme.Danger
	}
	row := Row(theme.Space4)
	switch {
	case it.Checked:
		row.Add(NewIcon("tick", 18, theme.Accent))
	case icons:
		row.Add(NewIcon(it.Icon, 18, dim))
	}
	row.Add(NewText(it.Name, theme.TextBody, colour))
	right := Row(0)
	if it.Hint != "" {
		right.Add(Inset(theme.Space6, 0, 0, 0, NewText(it.Hint, theme.TextCaption, theme.Dim)))
	}
	if len(it.More) > 0 {
		right.Add(Inset(theme.Space4, 0, 0, 0, NewIcon("go", 14, theme.Dim)))
	}
	return Inset(theme.Space4, 0, theme.Space4, 0, Ends(row, right))
}

// close takes the menu away; what had the focus has it again.
func (s *menuSheet) close() { s.canvas.Overlays().Remove(s) }

func (s *menuSheet) do(f func()) {
	s.close()
	if f != nil {
		f()
	}
}

func (s *menuSheet) choose(i int) {
	if it := s.items[i]; len(it.More) > 0 {
		s.show(it.Name, it.More)
		s.canvas.Focus(s) // a click took it away
	} else {
		s.do(it.Do)
	}
}

// back goes to the menu that this one is in.
func (s *menuSheet) back() {
	name := s.above
	s.show("", s.menu.Items)
	s.canvas.Focus(s)
	for i, it := range s.items {
		if it.Name == name {
			s.point(i)
		}
	}
}

// point moves the mark.
func (s *menuSheet) point(mark int) {
	s.mark = mark
	for i, p := range s.picks {
		fill, edge := picked(s.menu.Picks[i].Checked), fyne.ThemeColorName("")
		if mark == -1-i {
			fill, edge = theme.Selected, theme.Focus
		}
		p.Paint(fill, edge)
	}
	for i, r := range s.rows {
		if r == nil {
			continue
		}
		if i != mark {
			r.Paint("", "")
		} else {
			r.Paint(theme.Selected, theme.Focus)
			y, h := r.Position().Y, r.Size().Height
			if y < s.scroll.Offset.Y {
				s.scroll.ScrollToOffset(fyne.NewPos(0, y))
			} else if y+h > s.scroll.Offset.Y+s.scroll.Size().Height {
				s.scroll.ScrollToOffset(fyne.NewPos(0, y+h-s.scroll.Size().Height))
			}
		}
	}
}

// step moves the mark by one line, from the last to the first. The pictures are one line.
func (s *menuSheet) step(by int) {
	at, n := s.mark, len(s.rows)
	switch {
	case at == none && by > 0:
		at = -1
	case at == none, at < 0 && by < 0:
		at = n
	case at < 0:
		at = -1
	}
	for range n + 1 {
		at += by
		switch {
		case (at < 0 || at >= n) && len(s.picks) > 0:
			s.point(-1)
			return
		case at < 0:
			at = n - 1
		case at >= n:
			at = 0
		}
		if s.rows[at] != nil {
			s.point(at)
			return
		}
	}
}

// TypedKey implements fyne.Focusable.
func (s *menuSheet) TypedKey(e *fyne.KeyEvent) {
	onPick := s.mark < 0
	typed := s.typed
	s.typed = ""
	switch e.Name {
	case fyne.KeyUp:
		s.step(-1)
	case fyne.KeyDown, fyne.KeyTab:
		s.step(1)
	case fyne.KeyHome:
		s.mark = none
		s.step(1)
	case fyne.KeyEnd:
		s.mark = none
		s.step(-1)
	case fyne.KeyRight:
		switch {
		case onPick:
			s.point(-1 - (-s.mark)%len(s.picks))
		case s.mark < len(s.items) && len(s.items[s.mark].More) > 0:
			s.choose(s.mark)
			s.step(1)
		}
	case fyne.KeyLeft:
		switch {
		case onPick:
			s.point(-1 - (-s.mark-2+len(s.picks))%len(s.picks))
		case s.above != "":
			s.back()
		}
	case fyne.KeyReturn, fyne.KeyEnter:
		switch {
		case onPick:
			s.do(s.menu.Picks[-1-s.mark].Do)
		case s.mark < len(s.items):
			inner := len(s.items[s.mark].More) > 0
			s.choose(s.mark)
			if inner {
				s.step(1)
			}
		}
	case fyne.KeyEscape:
		if s.above != "" {
			s.back()
		} else {
			s.close()
		}
	default:
		s.typed = typed // letters are keys, too
	}
}

// TypedRune moves the mark to the item whose name begins with what is typed. A space by itself
// chooses, as Enter does.
func (s *menuSheet) TypedRune(r rune) {
	if r == ' ' && s.typed == "" {
		s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		return
	}
	s.typed += strings.ToLower(string(r))
	if !s.find() {
		s.typed = strings.ToLower(string(r))
		s.find()
	}
}

func (s *menuSheet) find() bool {
	for i, it := range s.items {
		if it.Name != "" && strings.HasPrefix(strings.ToLower(it.Name), s.typed) {
			s.point(i)
			return true
		}
	}
	return false
}

// AcceptsTab implements fyne.Tabbable: the keys stay in the menu.
func (s *menuSheet) AcceptsTab() bool { return true }

// FocusGained implements fyne.Focusable.
func (s *menuSheet) FocusGained() {}

// FocusLost implements fyne.Focusable.
func (s *menuSheet) FocusLost() {}

// Tapped closes the menu: it was beside it.
func (s *menuSheet) Tapped(*fyne.PointEvent) { s.close() }

// TappedSecondary closes the menu.
func (s *menuSheet) TappedSecondary(*fyne.PointEvent) { s.close() }

// AccessibilityLabel implements fyne.Accessible.
func (s *menuSheet) AccessibilityLabel() string {
	switch {
	case s.mark < 0:
		return s.menu.Picks[-1-s.mark].Name
	case s.mark < len(s.items):
		return s.items[s.mark].Name
	}
	return s.above
}

// AccessibilityRole implements fyne.Accessible.
func (s *menuSheet) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }

// CreateRenderer implements fyne.Widget.
func (s *menuSheet) CreateRenderer() fyne.WidgetRenderer { return (*menuRenderer)(s) }

type menuRenderer menuSheet

// Layout puts the menu below the place and to its right; above or to the left where there is no room.
func (r *menuRenderer) Layout(s fyne.Size) {
	const in = 2 * theme.Space2
	m := r.column.MinSize().AddWidthHeight(in, in)
	m.Width = min(max(m.Width, menuMin), max(s.Width-2*theme.Space3, 0))
	m.Height = min(m.Height, max(s.Height-2*theme.Space3, 0))
	at := r.at
	if at.Y+m.Height > s.Height-theme.Space3 && at.Y-m.Height >= theme.Space3 {
		at.Y -= m.Height
	}
	at.X = max(min(at.X, s.Width-theme.Space3-m.Width), theme.Space3)
	at.Y = max(min(at.Y, s.Height-theme.Space3-m.Height), theme.Space3)
	r.box.Move(at)
	r.box.Resize(m)
}

func (r *menuRenderer) MinSize() fyne.Size           { return fyne.Size{} }
func (r *menuRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.box} }
func (r *menuRenderer) Destroy()                     {}
func (r *menuRenderer) Refresh() {
	r.Layout(r.Size())
	r.box.Refresh()
}
