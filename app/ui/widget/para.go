package widget

import (
	"sort"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Para is a paragraph of words of ours, wrapped, without room of its own round it.
type Para struct {
	fynewidget.BaseWidget
	text   string
	size   float32
	colour fyne.ThemeColorName
	style  fyne.TextStyle
	align  fyne.TextAlign
}

// NewPara is a paragraph at one of the theme's sizes.
func NewPara(text string, size float32, colour fyne.ThemeColorName) *Para {
	p := &Para{text: harmless(text), size: size, colour: colour}
	p.ExtendBaseWidget(p)
	return p
}

// Bold makes it SemiBold.
func (p *Para) Bold() *Para { p.style.Bold = true; return p }

// Mono makes it of one width.
func (p *Para) Mono() *Para { p.style.Monospace = true; return p }

// Centred puts its lines in the middle.
func (p *Para) Centred() *Para { p.align = fyne.TextAlignCenter; return p }

// Set changes the words.
func (p *Para) Set(text string) {
	if text = harmless(text); text != p.text {
		p.text = text
		p.Refresh()
	}
}

// mostLines is how many lines of a text a Para shows: ours have far fewer.
const mostLines = 200

// harmless is OneLine of each line, as far as there is an end of them.
func harmless(text string) string {
	lines := strings.SplitN(text, "\n", mostLines)
	for i := range lines {
		lines[i] = OneLine(lines[i])
	}
	return strings.Join(lines, "\n")
}

// String is the whole text.
func (p *Para) String() string { return p.text }

// AccessibilityLabel implements fyne.Accessible.
func (p *Para) AccessibilityLabel() string { return p.text }

// AccessibilityRole implements fyne.Accessible.
func (p *Para) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// CreateRenderer implements fyne.Widget.
func (p *Para) CreateRenderer() fyne.WidgetRenderer {
	r := &paraRenderer{p: p, width: -1}
	r.Layout(p.Size())
	return r
}

type paraRenderer struct {
	p     *Para
	width float32 // for which the lines were made
	lines []fyne.CanvasObject
}

func (r *paraRenderer) lineHeight() float32 { return r.p.size * 1.45 }

func (r *paraRenderer) Refresh() {
	r.width = -1
	r.Layout(r.p.Size())
}

func (r *paraRenderer) Layout(s fyne.Size) {
	if s.Width != r.width {
		r.width = s.Width
		r.lines = nil
		for _, line := range Wrap(r.p.text, s.Width, func(t string) float32 { return measure(t, r.p.size, r.p.style).Width }) {
			if w := writerOf(line); w != nil {
				r.lines = append(r.lines, w.Write(line, r.p.size, r.p.style, theme.Color(r.p.colour), s.Width+0.5))
				continue
			}
			c := canvas.NewText(line, theme.Color(r.p.colour))
			c.TextSize, c.TextStyle, c.Alignment = r.p.size, r.p.style, r.p.align
			r.lines = append(r.lines, c)
		}
		canvas.Refresh(r.p)
	}
	for i, o := range r.lines {
		x, y := float32(0), float32(i)*r.lineHeight()
		if c, ok := o.(*fyne.Container); ok { // as large as what is written
			if r.p.align == fyne.TextAlignCenter {
				x = (s.Width - c.Size().Width) / 2
			}
			y += (r.lineHeight() - c.Size().Height) / 2
		} else {
			o.Resize(fyne.NewSize(s.Width, r.lineHeight()))
		}
		o.Move(fyne.NewPos(x, y))
	}
}

func (r *paraRenderer) MinSize() fyne.Size {
	return fyne.NewSize(0, float32(max(len(r.lines), 1))*r.lineHeight())
}
func (r *paraRenderer) Objects() []fyne.CanvasObject { return r.lines }
func (r *paraRenderer) Destroy()                     {}

// breaks says whether a line may end at a space: all but those that hold together what is at both sides.
func breaks(r rune) bool { return unicode.IsSpace(r) && r != '\u00a0' && r != '\u202f' }

// Wrap breaks text into lines that fit a width: at spaces, or inside of a word that is
// too long for a line of its own. Breaks in the text stay.
func Wrap(text string, width float32, measure func(string) float32) (lines []string) {
	if width <= 0 {
		return []string{text}
	}
	for _, para := range strings.Split(text, "\n") {
		line := ""
		for word := range strings.FieldsFuncSeq(para, breaks) {
			next := word
			if line != "" {
				next = line + " " + word
			}
			if measure(next) <= width {
				line = next
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			line = word
			for measure(line) > width && len([]rune(line)) > 1 {
				runes := []rune(line)
				n := max(1, sort.Search(len(runes), func(n int) bool { return measure(string(runes[:n+1])) > width })) // as many as fit
				lines = append(lines, string(runes[:n]))
				line = string(runes[n:])
			}
		}
		lines = append(lines, line)
	}
	return lines
}
