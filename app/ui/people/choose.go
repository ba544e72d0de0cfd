package people

import (
	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Choice is a dialog with one choice of several.
type Choice struct {
	Title, Says string
	Names       []string
	At          int // -1: none of them
	Set         func(int)
}

// ShowChoice shows it. Up and Down go from one to another; what is chosen holds at once, and closes it.
func ShowChoice(c fyne.Canvas, l *lang.Lang, v Choice) {
	var d *widget.Dialog
	rows := widget.Col(theme.Space1)
	var all []fyne.Focusable
	for i, name := range v.Names {
		mark := widget.NewIcon("", 18, theme.Accent)
		text, says := widget.NewText(name, theme.TextBody, theme.Text).Shrink(), name
		if i == v.At {
			mark = widget.NewIcon("tick", 18, theme.Accent)
			text.Bold()
			says = l.T("{name}, chosen", "name", name)
		}
		row := widget.NewPress(says, widget.Inset(theme.Space4, 0, theme.Space4, 0, widget.Row(theme.Space4, widget.Exactly(18, 18, mark), text)), func() {
			d.Close()
			v.Set(i)
		}).Shape("", "", theme.RadiusField, fyne.NewSize(0, 36))
		row.OnArrow(func(down bool) {
			if to := i + 1; down && to < len(all) {
				c.Focus(all[to])
			} else if to = i - 1; !down && to >= 0 {
				c.Focus(all[to])
			}
		})
		if i == v.At {
			row.Paint(theme.Selected, "")
		}
		all = append(all, row)
		rows.Add(row)
	}
	d = widget.ShowDialog(c, v.Title, l.T("Close"), 380, widget.Col(theme.Space4, widget.NewPara(v.Says, theme.TextSecondary, theme.Dim), rows), nil)
	c.Focus(all[max(v.At, 0)])
}
