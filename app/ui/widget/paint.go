package widget

import (
	"image/color"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Text is one line that follows the theme. Where it does not fit it ends in an
// ellipsis. It is for words of ours and for names; what people write is shown by the
// timeline.
type Text struct {
	fynewidget.BaseWidget
	text   string
	colour fyne.ThemeColorName
	size   float32
	style  fyne.TextStyle
	align  fyne.TextAlign
	shrink bool
}

// NewText is a line of text at one of the theme's sizes.
func NewText(text string, size float32, colour fyne.ThemeColorName) *Text {
	t := &Text{text: OneLine(text), size: size, colour: colour}
	t.ExtendBaseWidget(t)
	return t
}

// Bold makes it SemiBold.
func (t *Text) Bold() *Text { t.style.Bold = true; return t }

// Mono makes it of one width, for numbers that are compared.
func (t *Text) Mono() *Text { t.style.Monospace = true; return t }

// Centred puts it in the middle of its room.
func (t *Text) Centred() *Text { t.align = fyne.TextAlignCenter; return t }

// Shrink lets it be narrower than it is long.
func (t *Text) Shrink() *Text { t.shrink = true; return t }

// Set changes the words.
func (t *Text) Set(text string) {
	if text = OneLine(text); text != t.text {
		t.text = text
		t.Refresh()
	}
}

// String is the whole text.
func (t *Text) String() string { return t.text }

// Paint changes the colour.
func (t *Text) Paint(colour fyne.ThemeColorName) {
	if colour != t.colour {
		t.colour = colour
		t.Refresh()
	}
}

// Natural is the size that the whole text has.
func (t *Text) Natural() fyne.Size { return measure(t.text, t.size, t.style) }

// AccessibilityLabel implements fyne.Accessible.
func (t *Text) AccessibilityLabel() string { return t.text }

// AccessibilityRole says that it is text.
func (t *Text) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// CreateRenderer implements fyne.Widget.
func (t *Text) CreateRenderer() fyne.WidgetRenderer {
	r := &textRenderer{t: t, c: canvas.NewText("", nil)}
	r.Refresh()
	r.Layout(t.Size())
	return r
}

type textRenderer struct {
	t       *Text
	c       *canvas.Text
	writer  Writer // nil: c shows the text
	written *fyne.Container
	width   float32   // for which that was written
	whole   fyne.Size // of the untruncated text
}

func (r *textRenderer) Refresh() {
	r.c.Color, r.c.TextSize, r.c.TextStyle, r.c.Alignment = theme.Color(r.t.colour), r.t.size, r.t.style, r.t.align
	r.whole = r.t.Natural()
	r.writer, r.written = writerOf(r.t.text), nil
	r.Layout(r.t.Size())
	r.c.Refresh()
	if r.writer != nil {
		canvas.Refresh(r.t)
	}
}

func (r *textRenderer) fit(width float32) {
	text := r.t.text
	if width > 0 && r.whole.Width > width+0.5 {
		text = Cut(text, width, func(s string) float32 { return fyne.MeasureText(s, r.t.size, r.t.style).Width })
	}
	if text != r.c.Text {
		r.c.Text = text
		r.c.Refresh()
	}
}

// write has the text written for a width.
func (r *textRenderer) write(s fyne.Size) {
	width := r.whole.Width
	if s.Width > 0 {
		width = min(width, s.Width)
	}
	if r.written == nil || r.width != width {
		r.width = width
		r.written = r.writer.Write(r.t.text, r.t.size, r.t.style, theme.Color(r.t.colour), width+0.5)
	}
	x := float32(0)
	if r.t.align == fyne.TextAlignCenter {
		x = max(0, (s.Width-r.written.Size().Width)/2)
	}
	r.written.Move(fyne.NewPos(x, max(0, (s.Height-r.whole.Height)/2)))
}

func (r *textRenderer) Layout(s fyne.Size) {
	if r.writer != nil {
		r.write(s)
		return
	}
	r.fit(s.Width)
	r.c.Resize(s)
}

func (r *textRenderer) MinSize() fyne.Size {
	if r.t.shrink {
		return fyne.NewSize(0, r.whole.Height)
	}
	return r.whole
}

func (r *textRenderer) Objects() []fyne.CanvasObject {
	if r.writer != nil {
		return []fyne.CanvasObject{r.written}
	}
	return []fyne.CanvasObject{r.c}
}
func (r *textRenderer) Destroy() {}

// maxLine bounds, in runes, what is laid out of one line of chrome.
const maxLine = 512

// maxMarks is how many combining marks a letter keeps: no language stacks more, and
// hundreds draw over all that is above and below.
const maxMarks = 4

// OneLine makes text harmless in one line: breaks and tabs become spaces, what
// controls a terminal or turns the direction of text goes, no letter has more marks than
// letters have, and it has an end.
func OneLine(s string) string {
	mark := func(r rune) bool { return r >= 0x300 && unicode.In(r, unicode.Mn, unicode.Me) }
	marks := 0
	odd := func(r rune) bool {
		if !mark(r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return true
		}
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
	}
	if len(s) <= maxLine && !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	n, space := 0, false
	marks = 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		case odd(r):
			continue
		}
		space = r == ' '
		if n++; n > maxLine {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Beginning is the beginning of a text of several lines by others: so many characters and
// lines at most, without empty lines, and with an ellipsis if there is more.
func Beginning(s string, runes, lines int) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(OneLine(line)); line == "" {
			continue
		}
		if lines == 0 || runes <= 0 {
			b.WriteString("…")
			break
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		for _, r := range line {
			if runes--; runes < 0 {
				b.WriteString("…")
				return b.String()
			}
			b.WriteRune(r)
		}
		lines--
	}
	return b.String()
}

// Cut shortens text until it fits a width, and marks that with an ellipsis.
func Cut(text string, width float32, measure func(string) float32) string {
	runes := []rune(text)
	low, high := 0, len(runes) // runes[:low] fits with its ellipsis, or low is 0
	for low < high {
		mid := (low + high + 1) / 2
		if measure(strings.TrimRight(string(runes[:mid]), " ")+"…") <= width {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return strings.TrimRight(string(runes[:low]), " ") + "…"
}

// Fill is an area in one of the theme's colours, perhaps with an edge.
type Fill struct {
	fynewidget.BaseWidget
	colour, edge fyne.ThemeColorName
	radius       float32
	thick        float32 // of the edge; 0: 1 px
	shadow       bool
}

// NewFill is a filled area; without a colour it is only its edge, if it has one.
func NewFill(colour fyne.ThemeColorName, radius float32) *Fill {
	f := &Fill{colour: colour, radius: radius}
	f.ExtendBaseWidget(f)
	return f
}

// Edged gives it an edge of 1 px.
func (f *Fill) Edged(colour fyne.ThemeColorName) *Fill { f.edge = colour; return f }

// Raised gives it the one shadow of the theme, for dialogs.
func (f *Fill) Raised() *Fill { f.shadow = true; return f }

// Paint changes the colours.
func (f *Fill) Paint(colour, edge fyne.ThemeColorName) {
	if f.colour != colour || f.edge != edge {
		f.colour, f.edge = colour, edge
		f.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (f *Fill) CreateRenderer() fyne.WidgetRenderer {
	r := &fillRenderer{f: f, rect: canvas.NewRectangle(nil)}
	r.Refresh()
	r.Layout(f.Size())
	return r
}

type fillRenderer struct {
	f    *Fill
	rect *canvas.Rectangle
}

func (r *fillRenderer) Refresh() {
	r.rect.FillColor, r.rect.StrokeColor, r.rect.StrokeWidth = color.Transparent, color.Transparent, 0
	if r.f.colour != "" {
		r.rect.FillColor = theme.Color(r.f.colour)
	}
	if r.f.edge != "" {
		r.rect.StrokeColor, r.rect.StrokeWidth = theme.Color(r.f.edge), max(r.f.thick, 1)
	}
	r.rect.CornerRadius = r.f.radius
	if r.f.shadow {
		r.rect.Shadow = canvas.Shadow{Color: theme.Color("shadow"), BlurRadius: 24, Offset: fyne.NewPos(0, 6)}
	}
	r.rect.Refresh()
}
func (r *fillRenderer) Layout(s fyne.Size)           { r.rect.Resize(s) }
func (r *fillRenderer) MinSize() fyne.Size           { return fyne.Size{} }
func (r *fillRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.rect} }
func (r *fillRenderer) Destroy()                     {}

// Rule is a line of 1 px, lying or standing.
func Rule(standing bool) fyne.CanvasObject {
	if standing {
		return Exactly(1, 0, NewFill(theme.Line, 0))
	}
	return Exactly(0, 1, NewFill(theme.Line, 0))
}

// Icon is one of our icons in one of the theme's colours.
type Icon struct {
	fynewidget.BaseWidget
	name   string
	colour fyne.ThemeColorName
	size   float32
}

// NewIcon is an icon of a size.
func NewIcon(name string, size float32, colour fyne.ThemeColorName) *Icon {
	i := &Icon{name: name, colour: colour, size: size}
	i.ExtendBaseWidget(i)
	return i
}

// Set changes the picture and its colour.
func (i *Icon) Set(name string, colour fyne.ThemeColorName) {
	if i.name != name || i.colour != colour {
		i.name, i.colour = name, colour
		i.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (i *Icon) CreateRenderer() fyne.WidgetRenderer {
	r := &iconRenderer{i: i, img: canvas.NewImageFromResource(nil)}
	r.img.FillMode = canvas.ImageFillContain
	r.Refresh()
	r.Layout(i.Size())
	return r
}

type iconRenderer struct {
	i   *Icon
	img *canvas.Image
}

func (r *iconRenderer) Refresh() {
	r.img.Resource = nil
	if r.i.name != "" {
		r.img.Resource = theme.Icon(r.i.name, r.i.colour)
	}
	r.img.Refresh()
}

func (r *iconRenderer) Layout(s fyne.Size) {
	r.img.Resize(fyne.NewSquareSize(r.i.size))
	r.img.Move(fyne.NewPos((s.Width-r.i.size)/2, (s.Height-r.i.size)/2))
}
func (r *iconRenderer) MinSize() fyne.Size           { return fyne.NewSquareSize(r.i.size) }
func (r *iconRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.img} }
func (r *iconRenderer) Destroy()                     {}
