package timeline

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"github.com/godwit-im/godwit/app/ui/text"
)

// point is a place in the text of a message.
type point struct {
	key   string
	index int // of the runes that are shown
}

// selection is the text from one place to another, in either order.
type selection struct{ from, to point }

// empty tells whether nothing is selected.
func (s selection) empty() bool { return s.from.key == "" || s.from == s.to }

// order is the selection from top to bottom.
func (s selection) order(t *Timeline) (first, last point, ok bool) {
	if s.empty() {
		return point{}, point{}, false
	}
	a, okA := t.index[s.from.key]
	b, okB := t.index[s.to.key]
	if !okA || !okB {
		return point{}, point{}, false
	}
	if a > b || a == b && s.from.index > s.to.index {
		return s.to, s.from, true
	}
	return s.from, s.to, true
}

// of is the part of the selection that is in an item.
func (s selection) of(t *Timeline, it *item) (start, end int) {
	first, last, ok := s.order(t)
	if !ok || it.row.Kind != RowBubble {
		return 0, 0
	}
	i, a, b := t.index[it.key], t.index[first.key], t.index[last.key]
	if i < a || i > b {
		return 0, 0
	}
	end = len(it.shape.body.Doc.Runes)
	if i == a {
		start = first.index
	}
	if i == b {
		end = last.index
	}
	return start, end
}

// SelectedText is the selected text; of several messages, each with its author and time.
func (t *Timeline) SelectedText() string {
	first, last, ok := t.sel.order(t)
	if !ok {
		return ""
	}
	a, b := t.index[first.key], t.index[last.key]
	if a == b {
		return t.shape(a).body.Text(first.index, last.index)
	}
	var parts []string
	for i := a; i <= b; i++ {
		r := &t.rows[i]
		if r.Kind != RowBubble {
			continue
		}
		l := t.shape(i).body
		from, to := 0, len(l.Doc.Runes)
		if i == a {
			from = first.index
		}
		if i == b {
			to = last.index
		}
		if s := l.Text(from, to); s != "" {
			parts = append(parts, t.attributed(r.Message, s))
		}
	}
	return strings.Join(parts, "\n\n")
}

// attributed is a message as it is copied along with others.
func (t *Timeline) attributed(m *Message, s string) string {
	who := m.Author
	if m.Mine {
		who = t.cfg.Lang.T("You")
	}
	return who + ", " + m.Time.In(t.cfg.Now().Location()).Format("2006-01-02 15:04") + "\n" + s
}

// ClearSelection selects nothing.
func (t *Timeline) ClearSelection() {
	t.sel = selection{}
	t.readorn()
}

// StartPicking lets whole messages be picked, one of them being so already.
func (t *Timeline) StartPicking(id string) {
	t.sel = selection{}
	t.picking = true
	t.picked[id] = true
	t.inset()
	t.tellPicked()
}

// StopPicking ends it.
func (t *Timeline) StopPicking() {
	if t.picking {
		t.endPicking()
		t.inset()
	}
}

func (t *Timeline) endPicking() {
	if !t.picking {
		return
	}
	t.picking = false
	clear(t.picked)
	if t.cfg.OnPick != nil {
		t.cfg.OnPick(-1)
	}
}

// inset makes room for the marks, or takes it back.
func (t *Timeline) inset() {
	t.measure.inset = 0
	if t.picking {
		t.measure.inset = 28
	}
	clear(t.shapes)
	t.estimate()
	t.place()
}

// Picked are the picked messages that are loaded, oldest first.
func (t *Timeline) Picked() []Message {
	var out []Message
	for i := range t.messages {
		if t.picked[t.messages[i].ID] {
			out = append(out, t.messages[i])
		}
	}
	return out
}

// PickedText is what Picked says, to be copied.
func (t *Timeline) PickedText() string {
	picked := t.Picked()
	if len(picked) == 1 {
		return picked[0].Text
	}
	var parts []string
	for i := range picked {
		parts = append(parts, t.attributed(&picked[i], picked[i].Text))
	}
	return strings.Join(parts, "\n\n")
}

func (t *Timeline) pick(id string) {
	if t.picked[id] {
		delete(t.picked, id)
	} else {
		t.picked[id] = true
	}
	t.tellPicked()
	t.readorn()
}

func (t *Timeline) tellPicked() {
	if t.cfg.OnPick != nil {
		t.cfg.OnPick(len(t.picked))
	}
}

// part is what of a row is at a point.
type part int

const (
	nowhere part = iota
	ground       // of the bubble
	words        // its text
	link
	quoted
	reaction
	moreText
	meta
)

// hit is what is at a point of the window.
type hit struct {
	it    *item
	part  part
	at    point  // the nearest place in the text
	on    int    // the rune there
	value string // the address of a link, the emoji of a reaction
}

// within tells whether a point is in a box.
func within(p, at fyne.Position, s fyne.Size) bool {
	return p.X >= at.X && p.Y >= at.Y && p.X < at.X+s.Width && p.Y < at.Y+s.Height
}

// hitAt finds it. The row is the nearest one if the point is in none.
func (t *Timeline) hitAt(p fyne.Position) hit {
	var it *item
	for _, c := range t.placed {
		if c.row.Kind != RowBubble {
			continue
		}
		if it == nil || c.Position().Y <= p.Y {
			it = c
		}
	}
	if it == nil {
		return hit{}
	}
	s := it.shape
	p = p.Subtract(it.Position())
	h := hit{it: it}
	text := p.Subtract(s.at)
	index, on, inside := s.body.Index(text.X, text.Y)
	h.at, h.on = point{it.key, index}, on
	for _, c := range s.chips {
		if within(p, c.at, fyne.NewSize(c.width, chipHeight)) {
			h.part, h.value = reaction, c.of.Emoji
			return h
		}
	}
	switch {
	case s.quote != nil && within(p, s.quote.at, s.quote.size):
		h.part = quoted
	case s.more != "" && within(p, s.moreAt.SubtractXY(0, 3), fyne.NewSize(s.size.Width-2*padX, 22)):
		h.part = moreText
	case within(p, s.metaAt.SubtractXY(4, 14), fyne.NewSize(s.metaW+8, 20)):
		h.part = meta
	case inside:
		h.part = words
		if to := s.body.Link(text.X, text.Y); to != "" {
			h.part, h.value = link, to
		}
	case within(p, s.box, s.size):
		h.part = ground
	}
	return h
}

// holding is what the mouse does while its button is down.
type holding struct {
	down  bool
	on    hit
	moved bool
	bar   bool
	grip  float32 // where on the scroll bar
}

// MouseDown implements desktop.Mouseable.
func (t *Timeline) MouseDown(e *desktop.MouseEvent) {
	if e.Button != desktop.MouseButtonPrimary {
		return
	}
	t.ringed = false
	if c := fyne.CurrentApp().Driver().CanvasForObject(t); c != nil && c.Focused() != fyne.Focusable(t) {
		c.Focus(t)
	}
	if t.bar.Visible() && e.Position.X >= t.Size().Width-barZone {
		t.held = holding{down: true, bar: true, grip: t.bar.Size().Height / 2}
		if y := e.Position.Y - t.bar.Position().Y; y >= 0 && y < t.bar.Size().Height {
			t.held.grip = y
		}
		t.dragBar(e.Position.Y)
		return
	}
	h := t.hitAt(e.Position)
	t.held = holding{down: true, on: h}
	if t.picking || h.it == nil {
		return
	}
	n := t.clicks.Count(e.Position, t.cfg.Now())
	switch body := h.it.shape.body; {
	case e.Modifier&fyne.KeyModifierShift != 0 && t.sel.from.key != "":
		t.sel.to = h.at
	case n == 2 && (h.part == words || h.part == link):
		a, b := body.Word(h.on)
		t.sel = selection{point{h.it.key, a}, point{h.it.key, b}}
		t.held.moved = true
	case n >= 3 && (h.part == words || h.part == link):
		a, b := body.Line(h.on)
		t.sel = selection{point{h.it.key, a}, point{h.it.key, b}}
		t.held.moved = true
	default:
		t.sel = selection{h.at, h.at}
	}
	t.readorn()
}

// Dragged selects, or moves the scroll bar. Outside of the window it scrolls.
func (t *Timeline) Dragged(e *fyne.DragEvent) {
	if !t.held.down || t.held.on.it == nil && !t.held.bar {
		return
	}
	if t.held.bar {
		t.dragBar(e.Position.Y)
		return
	}
	t.held.moved = true
	if t.picking {
		return
	}
	h := t.Size().Height
	if e.Position.Y < 0 {
		t.ScrollBy(max(-60, e.Position.Y))
	} else if e.Position.Y > h {
		t.ScrollBy(min(60, e.Position.Y-h))
	}
	p := e.Position
	p.Y = max(0, min(h-1, p.Y))
	if to := t.hitAt(p); to.it != nil && t.sel.to != to.at {
		t.sel.to = to.at
		t.readorn()
	}
}

// DragEnd implements fyne.Draggable.
func (t *Timeline) DragEnd() { t.held.down = false }

// dragBar goes to where the scroll bar is dragged.
func (t *Timeline) dragBar(y float32) {
	size := t.Size()
	room := size.Height - t.bar.Size().Height
	if room <= 0 {
		return
	}
	total := t.heights.before(len(t.rows)) + header + footer
	top := (total - size.Height) * max(0, min(1, (y-t.held.grip)/room))
	if top >= total-size.Height-1 && !t.newer {
		t.follow = true
		t.place()
		return
	}
	i, rest := t.heights.at(top - header)
	for i < len(t.rows)-1 && t.rows[i].Message == nil {
		rest -= t.heights.heights[i]
		i++
	}
	if t.rows[i].Message != nil {
		t.follow = false
		t.at = anchor{t.rows[i].Key, t.rows[i].Gap - rest}
		t.place()
	}
}

// MouseUp does what was clicked.
func (t *Timeline) MouseUp(e *desktop.MouseEvent) {
	held := t.held
	t.held.down = false
	if e.Button != desktop.MouseButtonPrimary || !held.down || held.bar || held.moved || held.on.it == nil {
		return
	}
	h := t.hitAt(e.Position)
	if h.it != held.on.it || h.part != held.on.part || h.value != held.on.value {
		return
	}
	m := *h.it.row.Message
	if t.picking {
		t.pick(m.ID)
		return
	}
	switch h.part {
	case link:
		if t.cfg.OnLink != nil && text.Allowed(h.value) {
			t.cfg.OnLink(h.value)
		}
	case quoted:
		t.JumpTo(m.Reply.ID)
	case reaction:
		if t.cfg.OnReaction != nil {
			t.cfg.OnReaction(m, h.value)
		}
	case moreText:
		t.expand(m.ID)
	case meta:
		if t.cfg.OnState != nil {
			t.cfg.OnState(m)
		}
	}
}

// How much more of a long text is shown at a time.
const (
	moreRunes = 12_000
	moreLines = 300
)

// expand shows more of a long message.
func (t *Timeline) expand(id string) {
	now := t.limits[id]
	t.limits[id] = [2]int{now[0] + moreRunes, now[1] + moreLines}
	t.forget(id)
	t.follow, t.near = false, false // what is read stays where it is; the text grows downwards
	t.place()
}

// TappedSecondary shows what can be done with a message.
func (t *Timeline) TappedSecondary(e *fyne.PointEvent) {
	if h := t.hitAt(e.Position); h.it != nil && h.part != nowhere {
		t.menu(h.it, e.AbsolutePosition)
	}
}

// MouseIn implements desktop.Hoverable.
func (t *Timeline) MouseIn(e *desktop.MouseEvent) { t.MouseMoved(e) }

// MouseMoved shows what can be clicked.
func (t *Timeline) MouseMoved(e *desktop.MouseEvent) {
	t.cursor = desktop.DefaultCursor
	h := t.hitAt(e.Position)
	switch {
	case t.picking || h.it == nil:
	case h.part == words:
		t.cursor = desktop.TextCursor
	case h.part == link, h.part == quoted, h.part == reaction, h.part == moreText, h.part == meta && t.cfg.OnState != nil:
		t.cursor = desktop.PointerCursor
	}
}

// MouseOut implements desktop.Hoverable.
func (t *Timeline) MouseOut() {}

// Cursor implements desktop.Cursorable.
func (t *Timeline) Cursor() desktop.Cursor { return t.cursor }

// Scrolled implements fyne.Scrollable.
func (t *Timeline) Scrolled(e *fyne.ScrollEvent) { t.ScrollBy(-e.Scrolled.DY) }
