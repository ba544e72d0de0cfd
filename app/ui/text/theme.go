package text

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Theme is a theme in which names and other lines of the window are written like messages
// where Fyne's own text is not enough: with emoji as pictures, and with characters that the
// theme's fonts lack. (For one that no font has Fyne 2.8.1 looks through all fonts of the
// system, a millisecond each time it is measured.) It belongs to the goroutine of the user
// interface.
type Theme struct {
	fyne.Theme
	fonts func() *Fonts // asked for when the first line wants them

	pictured fyne.Resource // the regular font with emoji; nil: as the theme has it
}

var _ widget.Writer = Theme{}

// Dress is a theme that writes with fonts.
func Dress(th fyne.Theme, fonts func() *Fonts) Theme { return Theme{Theme: th, fonts: fonts} }

// Pictured is the theme with emoji in its regular font, for fields, whose text Fyne draws: they
// look there as they do in messages. It costs 40 ms when the first text is drawn, and 40 MB.
func (t Theme) Pictured() Theme {
	t.pictured = pictured{t.Theme.Font(fyne.TextStyle{}), t.fonts}
	return t
}

// Font implements fyne.Theme.
func (t Theme) Font(s fyne.TextStyle) fyne.Resource {
	if t.pictured == nil || s.Bold || s.Italic || s.Monospace || s.Symbol {
		return t.Theme.Font(s)
	}
	return t.pictured
}

// pictured is a font with emoji. It is made whenever it is read, which is once: what Fyne makes
// of it stays, and the file need not.
type pictured struct {
	plain fyne.Resource
	fonts func() *Fonts
}

func (p pictured) Name() string { return p.plain.Name() + " with emoji" }

func (p pictured) Content() []byte {
	b, err := p.fonts().Emoji().Font(p.plain.Content())
	if err != nil {
		panic(err) // both are built in, and tested
	}
	return b
}

// Wants implements widget.Writer: it is for lines with emoji in them, and characters that the
// theme's fonts do not have.
func (t Theme) Wants(line string) bool {
	const first = 0x2010 // no emoji is without a character from here on
	looked := false
	for _, r := range line {
		if r >= 0x80 && !t.fonts().own(r) {
			return true
		}
		if r < first || looked {
			continue
		}
		looked = true
		set := t.fonts().Emoji()
		for c := range emoji.Clusters(line) {
			if _, ok := set.Lookup(c); ok {
				return true
			}
		}
	}
	return false
}

// longest is how many characters of a line are looked at: more are not seen side by side.
const longest = 256

// doc is a line as it is laid out.
func (t Theme) doc(line string, style fyne.TextStyle) *Doc {
	s := Style(0)
	if style.Bold {
		s |= Bold
	}
	if style.Italic {
		s |= Italic
	}
	if style.Monospace {
		s |= Code
	}
	d := Parse(line, Options{Emoji: t.fonts().Emoji(), Plain: true, Runes: longest})
	d.Big = false
	return d.InStyle(s)
}

// endless is wider than any line.
const endless = 1 << 18

// Width implements widget.Writer.
func (t Theme) Width(line string, size float32, style fyne.TextStyle) float32 {
	return t.fonts().Layout(t.doc(line, style), size, endless).Width
}

// Write implements widget.Writer.
func (t Theme) Write(line string, size float32, style fyne.TextStyle, c color.Color, width float32) *fyne.Container {
	f := t.fonts()
	l := f.Cut(t.doc(line, style), size, max(width, 1), 1)
	b := NewBlock(f)
	b.Set(l, Colours{Text: c, Link: c, Faint: c}, l.Width)
	whole, base := fyne.CurrentApp().Driver().RenderedTextSize("0", size, style, nil)
	b.Move(fyne.NewPos(0, base-l.Rows[0].Baseline))
	box := container.NewWithoutLayout(b.Objects()...)
	box.Resize(fyne.NewSize(l.Width, whole.Height))
	return box
}
