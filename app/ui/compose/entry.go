package compose

import (
	"image/color"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	parts "github.com/godwit-im/godwit/app/ui/widget"
)

// Input methods write whole words at once; the Enter that ends one must not send.
const (
	burst = 5 * time.Millisecond  // runes closer than this were not typed by fingers
	quiet = 50 * time.Millisecond // after a burst
)

// entry is where the text is written.
type entry struct {
	widget.Entry
	c *Composer

	shift    bool
	lastRune time.Time
	inputEnd time.Time // of the last burst
}

func newEntry(c *Composer) *entry {
	e := &entry{c: c}
	e.MultiLine = true
	e.Wrapping = fyne.TextWrapWord
	e.ExtendBaseWidget(e)
	e.SetMinRowsVisible(1)
	return e
}

// AcceptsTab implements fyne.Tabbable: Tab and Shift+Tab go on to what is beside it, as a person
// without a mouse needs it. Nobody writes tabs into messages.
func (e *entry) AcceptsTab() bool { return false }

// TypedRune writes a letter; a colon may end a :shortcode:.
func (e *entry) TypedRune(r rune) {
	now := e.c.cfg.Now()
	if now.Sub(e.lastRune) < burst {
		e.inputEnd = now
	}
	e.lastRune = now
	e.Entry.TypedRune(r)
	if r == ':' {
		e.expand()
	}
}

// expand makes an emoji of a :shortcode: that ends at the cursor.
func (e *entry) expand() {
	before := string([]rune(e.Text)[:e.CursorTextOffset()])
	code := strings.TrimSuffix(before, ":")
	start := strings.LastIndexByte(code, ':')
	if start < 0 {
		return
	}
	found, ok := e.c.cfg.Fonts.Emoji().Code(code[start+1:])
	if !ok {
		return
	}
	for range []rune(before[start:]) {
		e.Entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyBackspace})
	}
	e.insert(found.Text)
}

// insert writes text at the cursor, in place of what is selected, as pasting does.
func (e *entry) insert(text string) {
	e.Entry.TypedShortcut(&fyne.ShortcutPaste{Clipboard: once(text)})
}

// once is a clipboard with one text.
type once string

func (o once) Content() string   { return string(o) }
func (o once) SetContent(string) {}

// KeyDown remembers Shift, which Enter asks for.
func (e *entry) KeyDown(k *fyne.KeyEvent) {
	if k.Name == desktop.KeyShiftLeft || k.Name == desktop.KeyShiftRight {
		e.shift = true
	}
	e.Entry.KeyDown(k)
}

// KeyUp implements desktop.Keyable.
func (e *entry) KeyUp(k *fyne.KeyEvent) {
	if k.Name == desktop.KeyShiftLeft || k.Name == desktop.KeyShiftRight {
		e.shift = false
	}
	e.Entry.KeyUp(k)
}

// FocusGained shows the edge of the field.
func (e *entry) FocusGained() {
	e.Entry.FocusGained()
	e.c.focus(true)
}

// FocusLost forgets keys that are let go elsewhere.
func (e *entry) FocusLost() {
	e.shift = false
	e.Entry.FocusLost()
	e.c.focus(false)
}

// TypedKey sends, edits the last message, or leaves what was begun.
func (e *entry) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		if e.c.cfg.Now().Sub(e.inputEnd) < quiet {
			return
		}
		if e.c.enterSends != parts.ShiftHeld(e.shift) {
			e.c.send()
			return
		}
	case fyne.KeyUp:
		if e.Text == "" && e.c.mode == (Mode{}) && e.c.cfg.OnEditLast != nil {
			e.c.cfg.OnEditLast()
			return
		}
	case fyne.KeyEscape:
		e.c.escape()
		return
	}
	if parts.ForwardKey(e, k) {
		return
	}
	e.Entry.TypedKey(k)
}

// TypedShortcut sends by Ctrl+Enter in any case; commands of the window work here too.
func (e *entry) TypedShortcut(s fyne.Shortcut) {
	if c, ok := s.(*desktop.CustomShortcut); ok && (c.KeyName == fyne.KeyReturn || c.KeyName == fyne.KeyEnter) {
		e.c.send()
		return
	}
	if parts.Forward(e, s) {
		return
	}
	e.Entry.TypedShortcut(s)
}

// AccessibilityLabel implements fyne.Accessible.
func (e *entry) AccessibilityLabel() string { return e.PlaceHolder }

// AccessibilityRole implements fyne.Accessible.
func (e *entry) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// bare is the theme of the application for a field that has its edge from somewhere
// else.
type bare struct{}

func (bare) theme() fyne.Theme { return fyne.CurrentApp().Settings().Theme() }

// Color implements fyne.Theme.
func (b bare) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	switch n {
	case fynetheme.ColorNameInputBackground, fynetheme.ColorNameInputBorder:
		return color.Transparent
	}
	return b.theme().Color(n, v)
}

// Size implements fyne.Theme.
func (b bare) Size(n fyne.ThemeSizeName) float32 {
	if n == fynetheme.SizeNameInputBorder {
		return 0
	}
	return b.theme().Size(n)
}

// Font implements fyne.Theme.
func (b bare) Font(s fyne.TextStyle) fyne.Resource { return b.theme().Font(s) }

// Icon implements fyne.Theme.
func (b bare) Icon(n fyne.ThemeIconName) fyne.Resource { return b.theme().Icon(n) }
