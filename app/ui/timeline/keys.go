package timeline

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	parts "github.com/godwit-im/godwit/app/ui/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// FocusGained shows which message the keys work on.
func (t *Timeline) FocusGained() {
	t.focused = true
	if !t.held.down {
		t.ringed = true
		if _, ok := t.index[t.current]; !ok || t.items[t.current] == nil {
			t.current = t.lastWhole()
		}
	}
	t.readorn()
}

// FocusLost implements fyne.Focusable.
func (t *Timeline) FocusLost() {
	t.focused, t.ringed = false, false
	if !t.picking {
		t.current = "" // who comes back begins at the newest one
	}
	t.readorn()
}

// lastWhole is the last message that is in the window as a whole.
func (t *Timeline) lastWhole() string {
	key := ""
	for _, it := range t.placed {
		if it.row.Kind == RowBubble && it.Position().Y+it.Size().Height <= t.Size().Height {
			key = it.key
		}
	}
	return key
}

// Current is the message that the keys work on.
func (t *Timeline) Current() (Message, bool) {
	if i, ok := t.index[t.current]; ok && t.rows[i].Message != nil {
		return *t.rows[i].Message, true
	}
	return Message{}, false
}

// TypedRune implements fyne.Focusable.
func (t *Timeline) TypedRune(r rune) {
	if t.picking {
		if r == ' ' && t.current != "" {
			t.pick(t.current)
		}
		return
	}
	if t.cfg.OnTyped != nil {
		t.cfg.OnTyped(r)
	}
}

// TypedKey implements fyne.Focusable.
func (t *Timeline) TypedKey(e *fyne.KeyEvent) {
	page := max(60, t.Size().Height-60)
	if parts.IsMenuKey(e) {
		t.menuOfCurrent()
		return
	}
	switch e.Name {
	case fyne.KeyUp:
		t.step(-1)
	case fyne.KeyDown:
		t.step(1)
	case fyne.KeyPageUp:
		t.ScrollBy(-page)
	case fyne.KeyPageDown:
		t.ScrollBy(page)
	case fyne.KeyHome:
		t.ToStart()
	case fyne.KeyEnd:
		t.ToEnd()
	case fyne.KeyReturn, fyne.KeyEnter:
		t.menuOfCurrent()
	case fyne.KeyEscape:
		switch {
		case t.picking:
			t.StopPicking()
		case !t.sel.empty():
			t.ClearSelection()
		case !t.Back():
			parts.ForwardKey(t, e)
		}
	default:
		parts.ForwardKey(t, e)
	}
}

// step goes to the message above or below, and brings it into the window.
func (t *Timeline) step(by int) {
	i, ok := t.index[t.current]
	t.ringed = true
	if !ok || t.items[t.current] == nil {
		t.current = t.lastWhole()
		t.readorn()
		return
	}
	for i += by; i >= 0 && i < len(t.rows) && t.rows[i].Kind != RowBubble; i += by {
	}
	if i < 0 || i >= len(t.rows) {
		if by > 0 {
			t.ToEnd()
		}
		return
	}
	t.current = t.rows[i].Key
	t.reveal(t.current)
	t.readorn()
}

// reveal scrolls as little as needed for a message to be in the window; the beginning
// of one that is higher than the window.
func (t *Timeline) reveal(key string) {
	it := t.items[key]
	if it == nil {
		return
	}
	top, bottom := it.Position().Y-header, it.Position().Y+it.Size().Height+footer
	switch h := t.Size().Height; {
	case top < 0 || bottom-top > h:
		t.ScrollBy(top)
	case bottom > h:
		t.ScrollBy(bottom - h)
	}
}

// TypedShortcut implements fyne.Shortcutable.
func (t *Timeline) TypedShortcut(s fyne.Shortcut) {
	switch s := s.(type) {
	case *fyne.ShortcutCopy:
		if text := t.copied(); text != "" {
			s.Clipboard.SetContent(text)
		}
	case *desktop.CustomShortcut:
		parts.Forward(t, s) // commands of the window
	}
}

// copied is what Ctrl+C copies: the selection, what is picked, or the current message.
func (t *Timeline) copied() string {
	if s := t.SelectedText(); s != "" {
		return s
	}
	if t.picking {
		return t.PickedText()
	}
	if m, ok := t.Current(); ok && t.ringed && !m.Deleted {
		return m.Text
	}
	return ""
}

func (t *Timeline) menuOfCurrent() {
	it := t.items[t.current]
	if it == nil {
		return
	}
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(it).Add(it.shape.box).AddXY(padX, min(it.shape.size.Height, 60))
	t.menu(it, at)
}

// menu shows what can be done with a message.
func (t *Timeline) menu(it *item, at fyne.Position) {
	c := fyne.CurrentApp().Driver().CanvasForObject(t)
	if c == nil || it.row.Kind != RowBubble {
		return
	}
	m := *it.row.Message
	selected := t.SelectedText()
	var menu parts.Menu
	if t.cfg.OnMenu != nil {
		menu = t.cfg.OnMenu(m, selected)
	}
	add := func(icon, name string, do func()) {
		menu.Items = append(menu.Items, parts.Item{Icon: icon, Name: name, Do: do})
	}
	copy := func(s string) func() { return func() { fyne.CurrentApp().Clipboard().SetContent(s) } }
	if selected != "" {
		add("copy", t.cfg.Lang.T("Copy selected text"), copy(selected))
	}
	if !m.Deleted && m.Kind == Bubble {
		add("copy", t.cfg.Lang.T("Copy text"), copy(m.Text))
	}
	if !t.picking {
		add("tick", t.cfg.Lang.T("Select messages"), func() { t.StartPicking(m.ID) })
	}
	parts.ShowMenu(c, menu, at)
}

// pill goes to the end, and says how many new messages are there.
type pill struct {
	*parts.Press
	text  *parts.Text
	fresh int // what it says
}

const pillHeight = 36

func newPill(t *Timeline) *pill {
	p := &pill{text: parts.NewText("", theme.TextSecondary, theme.OnAccent).Bold()}
	p.text.Hide()
	row := parts.Row(theme.Space3, parts.NewIcon("down", 18, theme.OnAccent), p.text)
	p.Press = parts.NewPress(t.cfg.Lang.T("Go to the newest message"), parts.Inset(9, 0, 9, 0, row), t.ToEnd)
	p.Shape(theme.Accent, "", pillHeight/2, fyne.NewSquareSize(pillHeight))
	return p
}

// placePill shows it if the end is not in the window.
func (t *Timeline) placePill(size fyne.Size) {
	p := t.pill
	if len(t.rows) == 0 || t.near && !t.newer {
		p.Hide()
		return
	}
	if p.fresh != t.fresh {
		p.fresh = t.fresh
		if t.fresh > 0 {
			words := t.cfg.Lang.N("{n} new", t.fresh)
			p.text.Set(words)
			p.Name(words + ", " + t.cfg.Lang.T("Go to the newest message"))
			p.text.Show()
		} else {
			p.Name(t.cfg.Lang.T("Go to the newest message"))
			p.text.Hide()
		}
	}
	p.Show()
	s := p.MinSize()
	put(p.Press, fyne.NewPos(size.Width-side-s.Width, size.Height-s.Height-12), s)
}
