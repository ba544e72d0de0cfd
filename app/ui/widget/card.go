package widget

import (
	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Card is a notice with an edge: what happened, what it means, and one button. The
// details are a line that is shown when asked for.
func Card(icon string, colour fyne.ThemeColorName, title, text string, buttons ...fyne.CanvasObject) fyne.CanvasObject {
	words := Col(theme.Space2, NewPara(title, theme.TextBody, theme.Text).Bold())
	if text != "" {
		words.Add(NewPara(text, theme.TextSecondary, theme.Dim))
	}
	if len(buttons) > 0 {
		words.Add(Inset(0, theme.Space3, 0, 0, Row(theme.Space4, buttons...)))
	}
	body := Edge(nil, nil, Inset(0, 0, theme.Space4, 0, ColumnTop(22, AtLeast(22, 22, NewIcon(icon, 22, colour)))), nil, words)
	return Stack(NewFill(theme.Pane, theme.RadiusCard).Edged(theme.Line), Inset(theme.Space5, theme.Space4, theme.Space5, theme.Space4, body))
}
