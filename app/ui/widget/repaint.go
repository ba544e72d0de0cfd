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

// Arrange lays out anew what is in a container or a Press, and in those inside of it, and
// has the window drawn: after something in it was shown, hidden, put in or taken out, or
// has other words. What draws stays as it is; Container.Refresh would have all of it made
// anew.
func Arrange(o fyne.CanvasObject) {
	arrange(o)
	Repaint(o)
}

func arrange(o fyne.CanvasObject) {
	switch o := o.(type) {
	case *fyne.Container:
		if o.Layout != nil {
			o.Layout.Layout(o.Objects, o.Size())
		}
		for _, inside := range o.Objects {
			arrange(inside)
		}
	case *Press:
		arrange(o.content)
	}
}
