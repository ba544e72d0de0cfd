package widget

import (
	"fmt"

	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Kind is how much a button asks for attention.
type Kind int

// The kinds of buttons.
const (
	Plain   Kind = iota // one of several
	Primary             // what most people want here: one a screen
	Danger              // what cannot be taken back
	Link                // words in the accent, without a ground
)

// Button is a button with words.
type Button struct {
	Press
	text *Text
}

// NewButton is a button with words; what it does is what they say.
func NewButton(text string, kind Kind, tap func()) *Button {
	fill, colour := theme.BubbleIn, theme.Text
	switch kind {
	case Primary:
		fill, colour = theme.Accent, theme.OnAccent
	case Danger:
		fill, colour = theme.Danger, theme.OnDanger
	case Link:
		fill, colour = "", theme.Accent
	}
	t := NewText(text, theme.TextBody, colour).Bold().Centred().Shrink()
	side := theme.Space5
	if kind == Link {
		t = NewText(text, theme.TextSecondary, colour).Bold().Centred().Shrink()
		side = theme.Space3
	}
	b := &Button{text: t}
	width := t.Natural().Width + 2*side
	b.init(b, text, Inset(side, 0, side, 0, t), tap)
	least := fyne.NewSize(max(width, theme.Target), theme.Primary)
	if kind == Link {
		least.Height = theme.Target
	}
	b.Shape(fill, "", theme.RadiusField, least)
	return b
}

// Set changes the words.
func (b *Button) Set(text string) {
	b.text.Set(text)
	b.Name(text)
}

// NewIconButton is a round button with an icon. The name is what screen readers and
// the help sheet say.
func NewIconButton(icon, name string, tap func()) *Press {
	const side = 36
	p := NewPress(name, NewIcon(icon, 20, theme.Dim), tap)
	return p.Shape("", "", side/2, fyne.NewSquareSize(side))
}

// NewRoundButton is an icon button in the accent: what most people want here.
func NewRoundButton(icon, name string, side float32, tap func()) *Press {
	p := NewPress(name, NewIcon(icon, side/2, theme.OnAccent), tap)
	return p.Shape(theme.Accent, "", side/2, fyne.NewSquareSize(side))
}

// Chip is a pill that is on or off.
type Chip struct {
	Press
	text *Text
	icon *Icon // in place of words; nil: there is none
}

// NewChip is a chip that is off.
func NewChip(text string, tap func()) *Chip {
	c := &Chip{text: NewText(text, theme.TextCaption, theme.Dim).Centred()}
	c.init(c, text, Inset(theme.Space4, 0, theme.Space4, 0, c.text), tap)
	c.Shape(theme.BubbleIn, "", chipHeight/2, fyne.NewSize(theme.Target, chipHeight))
	return c
}

// chipHeight is that to the eye; the target is higher by the room round it.
const chipHeight = 28

// NewIconChip is a chip with an icon, that is off.
func NewIconChip(icon, name string, tap func()) *Chip {
	c := &Chip{text: NewText("", theme.TextCaption, theme.Dim), icon: NewIcon(icon, 16, theme.Dim)}
	c.init(c, name, Inset(theme.Space4, 0, theme.Space4, 0, c.icon), tap)
	c.Shape(theme.BubbleIn, "", chipHeight/2, fyne.NewSize(40, chipHeight))
	return c
}

// Select turns it on or off; it is not only the colour that says so.
func (c *Chip) Select(on bool) {
	c.text.style.Bold = on
	if c.icon != nil {
		ink := theme.Dim
		if on {
			ink = theme.OnAccent
		}
		c.icon.Set(c.icon.name, ink)
	}
	if on {
		c.text.Paint(theme.OnAccent)
		c.Paint(theme.Accent, "")
	} else {
		c.text.Paint(theme.Dim)
		c.Paint(theme.BubbleIn, "")
	}
	c.text.Refresh()
}

// Set changes the words.
func (c *Chip) Set(text string) { c.text.Set(text); c.Name(text) }

// Badge is a number in a pill; nothing is shown for 0.
type Badge struct {
	fynewidget.BaseWidget
	fill *Fill
	text *Text
}

const badgeHeight float32 = 17

// NewBadge is a badge that shows nothing yet.
func NewBadge() *Badge {
	b := &Badge{fill: NewFill(theme.Accent, badgeHeight/2), text: NewText("", theme.TextMeta, theme.OnAccent).Bold().Centred()}
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

// CreateRenderer implements fyne.Widget.
func (b *Badge) CreateRenderer() fyne.WidgetRenderer {
	return fynewidget.NewSimpleRenderer(AtLeast(badgeHeight, badgeHeight, b.fill, Inset(theme.Space2+1, 1, theme.Space2+1, 1, b.text)))
}

// Set shows a number. A quiet badge, as of a muted chat, is without the accent.
func (b *Badge) Set(n int, quiet bool) {
	if n <= 0 {
		b.Hide()
		return
	}
	text := fmt.Sprint(n)
	if n > 999 {
		text = "999+"
	}
	if quiet {
		b.fill.Paint(theme.Line, "")
		b.text.Paint(theme.Dim)
	} else {
		b.fill.Paint(theme.Accent, "")
		b.text.Paint(theme.OnAccent)
	}
	b.text.Set(text)
	b.Show()
}
