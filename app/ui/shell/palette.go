package shell

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Hit is a line of the palette.
type Hit struct {
	Name   string
	Hint   string // keys, or what it is
	Icon   string
	Person string // id for an avatar, in place of an icon
	Do     func()
}

// maxHits is how many lines the palette has room for.
const maxHits = 9

// ShowPalette opens the palette: a field with what it is for, and below it what fits what is typed. Enter
// does the one that is marked, Up and Down move the mark, Escape closes.
func ShowPalette(c fyne.Canvas, l *lang.Lang, what string, find func(query string) []Hit) {
	field := widget.NewField(what)
	lines := widget.Col(theme.Space1)
	var hits []Hit
	var rows []*widget.Press
	marked := 0
	var pop *fynewidget.PopUp
	run := func(i int) {
		if i < len(hits) {
			do := hits[i].Do
			pop.Hide()
			do()
		}
	}
	mark := func() {
		for i, r := range rows {
			fill := fyne.ThemeColorName("")
			if i == marked {
				fill = theme.Selected
			}
			r.Paint(fill, "")
		}
	}
	show := func(query string) {
		hits, rows, marked = find(query), nil, 0
		hits = hits[:min(len(hits), maxHits)]
		lines.Objects = nil
		for i, h := range hits {
			var picture fyne.CanvasObject = widget.AtLeast(24, 24, widget.NewIcon(h.Icon, 18, theme.Dim))
			if h.Person != "" {
				picture = widget.NewAvatar(h.Person, h.Name, 24)
			}
			text := widget.NewText(h.Name, theme.TextBody, theme.Text).Shrink()
			row := widget.Inset(theme.Space4, 0, theme.Space4, 0, widget.Ends(widget.Row(theme.Space4, picture, text), widget.NewText(h.Hint, theme.TextCaption, theme.Dim)))
			p := widget.NewPress(h.Name, row, func() { run(i) })
			p.Shape("", "", theme.RadiusField, fyne.NewSize(0, 38))
			rows = append(rows, p)
			lines.Add(p)
		}
		if len(hits) == 0 {
			lines.Add(widget.Inset(theme.Space4, theme.Space3, theme.Space4, theme.Space3, widget.NewText(l.T("Nothing found"), theme.TextSecondary, theme.Dim)))
		}
		mark()
		lines.Refresh()
	}
	field.OnChanged = show
	field.OnSubmitted = func(string) { run(marked) }
	field.Escape = func() { pop.Hide() }
	field.Arrow = func(down bool) bool {
		if len(hits) == 0 {
			return true
		}
		if down {
			marked = (marked + 1) % len(hits)
		} else {
			marked = (marked + len(hits) - 1) % len(hits)
		}
		mark()
		return true
	}
	show("")
	width := min(540, c.Size().Width-2*theme.Space6)
	body := widget.Edge(widget.Inset(0, 0, 0, theme.Space3, widget.Roomy(field)), nil, nil, nil, lines)
	sheet := widget.Exactly(width, theme.Primary+2*theme.Space3+theme.Space3+maxHits*(38+theme.Space1)+theme.Space3, widget.Inset(theme.Space3, theme.Space3, theme.Space3, theme.Space3, body))
	pop = fynewidget.NewModalPopUp(sheet, c)
	pop.Show()
	c.Focus(field)
}

// ShowHelp is the sheet of all commands and their keys.
func ShowHelp(c fyne.Canvas, l *lang.Lang, commands []Command) {
	column := widget.Col(theme.Space3)
	for _, g := range groups {
		first := true
		for _, cmd := range commands {
			if cmd.Group != g || len(cmd.Keys) == 0 {
				continue
			}
			if first {
				first = false
				column.Add(widget.Inset(0, theme.Space3, 0, 0, widget.NewText(g.Title(l), theme.TextCaption, theme.Dim).Bold()))
			}
			column.Add(widget.Ends(widget.Row(0, widget.NewText(l.T(cmd.Name), theme.TextBody, theme.Text).Shrink()), keyCap(cmd.Keys[0].Name(l))))
		}
	}
	scroll := container.NewVScroll(widget.Inset(0, 0, theme.Space4, 0, column))
	scroll.SetMinSize(fyne.NewSize(0, min(460, c.Size().Height-180)))
	widget.ShowDialog(c, l.T("Keyboard"), l.T("Close"), 460, scroll, nil)
}

func keyCap(text string) fyne.CanvasObject {
	return widget.Stack(widget.NewFill(theme.BubbleIn, 6), widget.Inset(theme.Space3, theme.Space1+1, theme.Space3, theme.Space1+1, widget.NewText(text, theme.TextCaption, theme.Text)))
}

// Menu is the commands of some groups as a menu, those that cannot be done now left out.
func Menu(l *lang.Lang, commands []Command, of ...Group) widget.Menu {
	var m widget.Menu
	for _, g := range of {
		var items []widget.Item
		for _, cmd := range commands {
			if cmd.Group == g && cmd.Can() {
				item := widget.Item{Name: l.T(cmd.Name), Do: cmd.Run}
				if len(cmd.Keys) > 0 {
					item.Hint = cmd.Keys[0].Name(l)
				}
				items = append(items, item)
			}
		}
		if len(items) > 0 && len(m.Items) > 0 {
			m.Items = append(m.Items, widget.Item{})
		}
		m.Items = append(m.Items, items...)
	}
	return m
}

// Listen has a window do the commands when their keys are pressed.
func Listen(c fyne.Canvas, commands []Command) {
	for _, cmd := range commands {
		for _, k := range cmd.Keys {
			c.AddShortcut(k.shortcut(), func(fyne.Shortcut) {
				if cmd.Can() {
					cmd.Run()
				}
			})
		}
	}
}
