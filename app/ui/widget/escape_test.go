package widget

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Whatever has the focus in it, a sheet is closed by Escape.
func TestEscapeClosesASheetFromAnyFocus(t *testing.T) {
	w := window(t, container.NewWithoutLayout())
	w.Resize(fyne.NewSize(600, 600))
	for _, focus := range []fyne.Focusable{NewButton("Copy", Primary, func() {}), NewIconButton("close", "Close", func() {}), NewChip("All", func() {}), NewField("Name")} {
		closed := false
		ShowDialog(w.Canvas(), "A sheet", "Close", 300, focus.(fyne.CanvasObject), func() { closed = true })
		w.Canvas().Focus(focus)
		focus.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
		if !closed || w.Canvas().Overlays().Top() != nil {
			t.Errorf("with the focus on %T it stays", focus)
		}
	}
}
