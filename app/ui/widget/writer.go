package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
)

// Writer writes lines that Fyne's own text cannot, as those with emoji in them. The theme
// of the application may be one.
type Writer interface {
	// Wants says whether a line is to be written by it.
	Wants(line string) bool
	// Width is how wide the line is.
	Width(line string, size float32, style fyne.TextStyle) float32
	// Write makes the line, cut with an ellipsis where it is wider than width. What it
	// makes is as large as the line, with its baseline where Fyne's own text has it.
	Write(line string, size float32, style fyne.TextStyle, c color.Color, width float32) *fyne.Container
}

// writerOf is who writes a line; nil: Fyne.
func writerOf(line string) Writer {
	if w, ok := fyne.CurrentApp().Settings().Theme().(Writer); ok && w.Wants(line) {
		return w
	}
	return nil
}

// measure is the size of a line.
func measure(line string, size float32, style fyne.TextStyle) fyne.Size {
	if w := writerOf(line); w != nil {
		return fyne.NewSize(w.Width(line, size, style), fyne.MeasureText("0", size, style).Height)
	}
	return fyne.MeasureText(line, size, style)
}
