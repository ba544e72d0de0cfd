package compose

import (
	"testing"

	"fyne.io/fyne/v2"
)

// A key that is the window's own works while somebody writes, and writes nothing.
// (That shortcuts do is seen at real windows: make screens.)
func TestKeysOfTheWindowWorkWhileWriting(t *testing.T) {
	w := sit(t)
	keys := ""
	w.window.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) { keys += string(e.Name) })
	w.key(fyne.KeyF6)
	if keys != "F6" || w.entry.Text != "" {
		t.Errorf("keys %q, text %q", keys, w.entry.Text)
	}
	if tab, ok := w.window.Canvas().Focused().(fyne.Tabbable); ok && tab.AcceptsTab() {
		t.Error("Tab does not lead away from what is written")
	}
}
