package text

import (
	"strings"
	"time"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"github.com/clipperhouse/uax29/v2/words"
)

// Word is the word round a rune, for a double click.
func (l *Layout) Word(on int) (start, end int) {
	row := l.rowOf(on)
	at := row.Start
	for it := words.FromString(string(l.Doc.Runes[row.Start:row.End])); it.Next(); {
		n := len([]rune(it.Value()))
		if on < at+n {
			return at, at + n
		}
		at += n
	}
	return row.Start, row.End
}

// Line is the paragraph round a rune, for a triple click.
func (l *Layout) Line(on int) (start, end int) {
	row := l.rowOf(on)
	p := l.paraOf(row)
	return p.Start, p.End
}

func (l *Layout) rowOf(on int) *Row {
	for i := range l.Rows {
		if on < l.Rows[i].End || i == len(l.Rows)-1 {
			return &l.Rows[i]
		}
	}
	return &Row{}
}

// Link is the address of the link at a point, "" if there is none.
func (l *Layout) Link(x, y float32) string {
	_, on, hit := l.Index(x, y)
	if !hit {
		return ""
	}
	for _, s := range l.Doc.Spans {
		if on >= s.Start && on < s.End {
			return s.URL
		}
	}
	return ""
}

// Plain is the text as it is shown, for those who hear it.
func (d *Doc) Plain() string { return string(d.Runes) }

// Clicks counts clicks that follow each other at one place.
type Clicks struct {
	n  int
	at time.Time
	x  float32
	y  float32
}

// doubleClick is how quickly clicks follow each other.
const doubleClick = 400 * time.Millisecond

// Count takes a click and tells the how-manieth it is.
func (c *Clicks) Count(p fyne.Position, now time.Time) int {
	dx, dy := p.X-c.x, p.Y-c.y
	if now.Sub(c.at) > doubleClick || dx*dx+dy*dy > 25 {
		c.n = 0
	}
	c.n++
	c.at, c.x, c.y = now, p.X, p.Y
	return c.n
}

// MessageText is a text that can be selected and whose links can be clicked. It is as
// high as its text is at its width.
type MessageText struct {
	widget.BaseWidget

	// OnLink opens an address that was clicked; it is one of the allowed kinds.
	OnLink func(address string)

	fonts   *Fonts
	size    float32
	doc     *Doc
	block   *Block
	colours func() Colours

	focused bool
	clicks  Clicks
	from    int // where the selection began
	cursor  desktop.Cursor
	width   float32
}

var (
	_ fyne.Focusable     = (*MessageText)(nil)
	_ fyne.Draggable     = (*MessageText)(nil)
	_ fyne.Shortcutable  = (*MessageText)(nil)
	_ fyne.Accessible    = (*MessageText)(nil)
	_ desktop.Mouseable  = (*MessageText)(nil)
	_ desktop.Hoverable  = (*MessageText)(nil)
	_ desktop.Cursorable = (*MessageText)(nil)
)

// NewMessageText shows a Doc. Colours are asked for each time it is refreshed, so that
// a change of theme shows.
func NewMessageText(f *Fonts, d *Doc, size float32, colours func() Colours) *MessageText {
	t := &MessageText{fonts: f, doc: d, size: size, block: NewBlock(f), colours: colours, cursor: desktop.TextCursor}
	t.ExtendBaseWidget(t)
	return t
}

// SetDoc shows another text.
func (t *MessageText) SetDoc(d *Doc) {
	t.doc = d
	t.width = 0
	t.Refresh()
}

// SelectedText is what is selected.
func (t *MessageText) SelectedText() string {
	if t.block.Layout() == nil {
		return ""
	}
	return t.block.Layout().Text(t.block.Selected())
}

// layout breaks the text for a width, once.
func (t *MessageText) layout(width float32) {
	if width == t.width && t.block.Layout() != nil {
		return
	}
	t.width = width
	t.block.Set(t.fonts.Layout(t.doc, t.size, width), t.colours(), width)
}

// MinSize implements fyne.Widget: the height at the present width.
func (t *MessageText) MinSize() fyne.Size {
	if t.width == 0 {
		l := t.fonts.Layout(t.doc, t.size, max(t.Size().Width, 1e5))
		return fyne.NewSize(1, l.Height)
	}
	return fyne.NewSize(1, t.block.Layout().Height)
}

// CreateRenderer implements fyne.Widget.
func (t *MessageText) CreateRenderer() fyne.WidgetRenderer { return &messageRenderer{t} }

type messageRenderer struct{ t *MessageText }

func (r *messageRenderer) Layout(s fyne.Size)           { r.t.layout(max(1, s.Width)) }
func (r *messageRenderer) MinSize() fyne.Size           { return r.t.MinSize() }
func (r *messageRenderer) Objects() []fyne.CanvasObject { return r.t.block.Objects() }
func (r *messageRenderer) Destroy()                     {}
func (r *messageRenderer) Refresh() {
	start, end := r.t.block.Selected()
	r.t.width = 0
	r.t.layout(max(1, r.t.Size().Width))
	r.t.block.Select(start, end)
}

// AccessibilityLabel implements fyne.Accessible.
func (t *MessageText) AccessibilityLabel() string { return t.doc.Plain() }

// AccessibilityRole implements fyne.Accessible.
func (t *MessageText) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// MouseDown begins a selection, or takes a word or line.
func (t *MessageText) MouseDown(e *desktop.MouseEvent) {
	if e.Button != desktop.MouseButtonPrimary || t.block.Layout() == nil {
		return
	}
	if c := fyne.CurrentApp().Driver().CanvasForObject(t); c != nil {
		c.Focus(t)
	}
	l := t.block.Layout()
	index, on, hit := l.Index(e.Position.X, e.Position.Y)
	switch n := t.clicks.Count(e.Position, time.Now()); {
	case n == 1 || !hit:
		t.from = index
		t.choose(index, index)
	case n == 2:
		t.choose(l.Word(on))
	default:
		t.choose(l.Line(on))
	}
}

// MouseUp opens a link, unless something was selected.
func (t *MessageText) MouseUp(e *desktop.MouseEvent) {
	if e.Button != desktop.MouseButtonPrimary || t.OnLink == nil || t.block.Layout() == nil || t.SelectedText() != "" {
		return
	}
	if to := t.block.Layout().Link(e.Position.X, e.Position.Y); to != "" {
		t.OnLink(to)
	}
}

// Dragged extends the selection.
func (t *MessageText) Dragged(e *fyne.DragEvent) {
	if t.block.Layout() == nil {
		return
	}
	index, _, _ := t.block.Layout().Index(e.Position.X, e.Position.Y)
	t.choose(min(t.from, index), max(t.from, index))
}

// DragEnd implements fyne.Draggable.
func (t *MessageText) DragEnd() {}

func (t *MessageText) choose(start, end int) {
	if t.block.Select(start, end) {
		t.BaseWidget.Refresh()
	}
}

// MouseIn implements desktop.Hoverable.
func (t *MessageText) MouseIn(e *desktop.MouseEvent) { t.MouseMoved(e) }

// MouseMoved shows a hand over links.
func (t *MessageText) MouseMoved(e *desktop.MouseEvent) {
	t.cursor = desktop.TextCursor
	if t.block.Layout() != nil && t.block.Layout().Link(e.Position.X, e.Position.Y) != "" {
		t.cursor = desktop.PointerCursor
	}
}

// MouseOut implements desktop.Hoverable.
func (t *MessageText) MouseOut() {}

// Cursor implements desktop.Cursorable.
func (t *MessageText) Cursor() desktop.Cursor { return t.cursor }

// FocusGained implements fyne.Focusable.
func (t *MessageText) FocusGained() { t.focused = true }

// FocusLost forgets the selection.
func (t *MessageText) FocusLost() {
	t.focused = false
	t.choose(0, 0)
}

// TypedRune implements fyne.Focusable.
func (t *MessageText) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (t *MessageText) TypedKey(*fyne.KeyEvent) {}

// TypedShortcut copies and selects.
func (t *MessageText) TypedShortcut(s fyne.Shortcut) {
	switch s := s.(type) {
	case *fyne.ShortcutCopy:
		if text := t.SelectedText(); text != "" {
			s.Clipboard.SetContent(text)
		}
	case *fyne.ShortcutSelectAll:
		t.choose(0, len(t.doc.Runes))
	}
}

// OneLine is a text for one row of a list or a quote: its lines joined, its marks
// kept as they are.
func OneLine(s string) string {
	s = s[:min(len(s), 2048)]
	return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
}
