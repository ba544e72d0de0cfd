package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// Repaint has the window of an object drawn again as things stand: after objects were
// put into a widget that draws its own, or taken out. canvas.Refresh would also throw
// away the pictures of everything inside of it, to be made anew.
func Repaint(o fyne.CanvasObject) {
	switch c := fyne.CurrentApp().Driver().CanvasForObject(o).(type) {
	case nil:
	case interface{ SetDirty() }:
		c.SetDirty()
	default:
		canvas.Refresh(o)
	}
}
