package widget

import (
	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// NewOption is a line that says how something is set, and lets it be set otherwise: an
// icon, what it is, and at the right what it is now.
func NewOption(icon, name, value string, tap func()) *Press {
	words := Row(theme.Space3, NewIcon(icon, 18, theme.Dim), Grow(NewText(name, theme.TextBody, theme.Text).Shrink()),
		NewText(value, theme.TextSecondary, theme.Dim), NewIcon("chevron", 14, theme.Dim))
	p := NewPress(name+", "+value, Inset(theme.Space4, 0, theme.Space3, 0, words), tap)
	return p.Shape(theme.BubbleIn, "", theme.RadiusField, fyne.NewSize(0, theme.Primary))
}
