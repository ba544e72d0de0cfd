package widget

import (
	"image/color"
	"runtime"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Field is a line to type in. Commands of the window work while it has the focus,
// which Fyne's own entry keeps from them.
type Field struct {
	fynewidget.Entry
	// Escape is called for that key, where it is set.
	Escape func()
	// Arrow is called for Up and Down, where it is set; it says whether it took the key.
	Arrow func(down bool) bool
	// Enter is called for that key, where it is set, and told whether Shift is held down.
	Enter func(shift bool)

	shift bool
}

// NewField is an empty field.
func NewField(placeholder string) *Field {
	f := &Field{}
	f.ExtendBaseWidget(f)
	f.SetPlaceHolder(placeholder)
	return f
}

// KeyDown implements desktop.Keyable.
func (f *Field) KeyDown(e *fyne.KeyEvent) {
	f.shift = f.shift || isShift(e)
	f.Entry.KeyDown(e)
}

// KeyUp implements desktop.Keyable.
func (f *Field) KeyUp(e *fyne.KeyEvent) {
	f.shift = f.shift && !isShift(e)
	f.Entry.KeyUp(e)
}

// FocusLost forgets keys that are let go elsewhere.
func (f *Field) FocusLost() {
	f.shift = false
	f.Entry.FocusLost()
}

// ShiftHeld says whether Shift is held down, given what a field has seen of it: a key that is
// let go while a dialog has the keys is not seen by the field behind that.
func ShiftHeld(seen bool) bool {
	if d, ok := fyne.CurrentApp().Driver().(desktop.Driver); ok {
		return d.CurrentKeyModifiers()&fyne.KeyModifierShift != 0
	}
	return seen
}

func isShift(e *fyne.KeyEvent) bool {
	return e.Name == desktop.KeyShiftLeft || e.Name == desktop.KeyShiftRight
}

// TypedKey implements fyne.Focusable.
func (f *Field) TypedKey(e *fyne.KeyEvent) {
	switch {
	case e.Name == fyne.KeyEscape && f.Escape != nil:
		f.Escape()
	case (e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter || e.Name == fyne.KeyF3) && f.Enter != nil:
		f.Enter(ShiftHeld(f.shift))
	case (e.Name == fyne.KeyUp || e.Name == fyne.KeyDown) && f.Arrow != nil && f.Arrow(e.Name == fyne.KeyDown):
	case ForwardKey(f, e):
	default:
		f.Entry.TypedKey(e)
	}
}

// TypedShortcut implements fyne.Shortcutable.
func (f *Field) TypedShortcut(s fyne.Shortcut) {
	if Forward(f, s) {
		return
	}
	f.Entry.TypedShortcut(s)
}

// Forward gives a shortcut that is a command of the window to the window, and says
// whether it was one.
func Forward(o fyne.CanvasObject, s fyne.Shortcut) bool {
	custom, ok := s.(*desktop.CustomShortcut)
	if !ok || editing(custom) {
		return false
	}
	c, ok := fyne.CurrentApp().Driver().CanvasForObject(o).(fyne.Shortcutable)
	if ok {
		c.TypedShortcut(s)
	}
	return ok
}

// ForwardKey gives a key that no text and no button wants, F3, F6 and Escape, to the
// window, and says whether it was one.
func ForwardKey(o fyne.CanvasObject, e *fyne.KeyEvent) bool {
	if e.Name != fyne.KeyF3 && e.Name != fyne.KeyF6 && e.Name != fyne.KeyEscape {
		return false
	}
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil || c.OnTypedKey() == nil {
		return false
	}
	c.OnTypedKey()(e)
	return true
}

// editing says whether a shortcut moves or edits in a text.
func editing(s *desktop.CustomShortcut) bool {
	switch s.KeyName {
	case fyne.KeyLeft, fyne.KeyRight, fyne.KeyBackspace, fyne.KeyDelete, fyne.KeyHome, fyne.KeyEnd, fyne.KeyZ, fyne.KeyY:
		return s.Modifier&fyne.KeyModifierAlt == 0 || runtime.GOOS == "darwin" // where Alt goes by words
	}
	return false
}

// Roomy shows a field at the height of a button, with more room inside.
func Roomy(f fyne.CanvasObject) fyne.CanvasObject {
	return container.NewThemeOverride(f, roomy{})
}

// roomy is the present theme with more room inside of fields: 12 at the sides and 40
// in height.
type roomy struct{}

func (roomy) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	return fyne.CurrentApp().Settings().Theme().Color(n, v)
}

func (roomy) Font(s fyne.TextStyle) fyne.Resource {
	return fyne.CurrentApp().Settings().Theme().Font(s)
}

func (roomy) Icon(n fyne.ThemeIconName) fyne.Resource {
	return fyne.CurrentApp().Settings().Theme().Icon(n)
}

func (roomy) Size(n fyne.ThemeSizeName) float32 {
	if n == fynetheme.SizeNameInnerPadding {
		return theme.Space4 - 0.5
	}
	return fyne.CurrentApp().Settings().Theme().Size(n)
}
