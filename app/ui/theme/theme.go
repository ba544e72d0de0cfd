// Package theme is "harbour", the look of Godwit: calm, like paper, one accent. It
// names each colour, space, radius and type size once; the screens use these names
// and no numbers of their own. Colours are looked up through Fyne, so that light,
// dark and the system's choice change everything at once:
//
//	fill.FillColor = theme.Color(theme.BubbleIn)
package theme

import (
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"

	"github.com/godwit-im/godwit/assets"
)

// Spacing between things, in px at scale 1.
const (
	Space1 float32 = 2
	Space2 float32 = 4
	Space3 float32 = 8
	Space4 float32 = 12
	Space5 float32 = 16
	Space6 float32 = 24
	Space7 float32 = 32
	Space8 float32 = 44
)

// Corner radii.
const (
	RadiusBubble float32 = 14
	RadiusJoined float32 = 5 // the corner of a bubble where the next one continues it
	RadiusCard   float32 = 12
	RadiusField  float32 = 10
)

// Type sizes. Headings are SemiBold, which is Fyne's bold here.
const (
	TextMeta      float32 = 11
	TextCaption   float32 = 12
	TextSecondary float32 = 13
	TextBody      float32 = 14
	TextLetter    float32 = 15
	TextTitle     float32 = 16
	TextSection   float32 = 20
	TextHero      float32 = 24
)

// Measures of the window.
const (
	RailWidth    float32 = 72
	ListWidth    float32 = 328 // until it is dragged
	ListMin      float32 = 260
	ListMax      float32 = 420
	DetailsWidth float32 = 300
	DetailsFrom  float32 = 1280 // window width from which details have a pane of their own
	ContentMin   float32 = 420
	SingleBelow  float32 = 760 // window width below which one pane is shown at a time
	HeaderHeight float32 = 56
	RowHeight    float32 = 62
	RowGap       float32 = 2
	ComposerSize float32 = 44
	BubbleMax    float32 = 460 // of a bubble's text
	Target       float32 = 32  // the least height and width of what can be clicked
	Primary      float32 = 40  // height of fields and buttons
	WindowMinW   float32 = 480
	WindowMinH   float32 = 560
)

// The colours, as names for Color and for Fyne.
const (
	Rail          fyne.ThemeColorName = "harbour-rail"
	Pane          fyne.ThemeColorName = "harbour-pane"
	Canvas        fyne.ThemeColorName = "harbour-canvas"
	Sheet         fyne.ThemeColorName = "harbour-sheet" // of menus, over all of these
	Line          fyne.ThemeColorName = "harbour-line"
	Edge          fyne.ThemeColorName = "harbour-edge" // of fields: seen by its line alone, so it has contrast
	Selected      fyne.ThemeColorName = "harbour-selected"
	Text          fyne.ThemeColorName = "harbour-text"
	Dim           fyne.ThemeColorName = "harbour-dim"
	Faint         fyne.ThemeColorName = "harbour-faint"
	Accent        fyne.ThemeColorName = "harbour-accent"
	OnAccent      fyne.ThemeColorName = "harbour-on-accent"
	BubbleIn      fyne.ThemeColorName = "harbour-bubble-in"
	BubbleInText  fyne.ThemeColorName = "harbour-bubble-in-text"
	BubbleOut     fyne.ThemeColorName = "harbour-bubble-out"
	BubbleOutText fyne.ThemeColorName = "harbour-bubble-out-text"
	BubbleOutMeta fyne.ThemeColorName = "harbour-bubble-out-meta"
	Warn          fyne.ThemeColorName = "harbour-warn"
	WarnGround    fyne.ThemeColorName = "harbour-warn-ground"
	Danger        fyne.ThemeColorName = "harbour-danger"
	OnDanger      fyne.ThemeColorName = "harbour-on-danger"
	OK            fyne.ThemeColorName = "harbour-ok"
	Hover         fyne.ThemeColorName = "harbour-hover"
	Focus         fyne.ThemeColorName = "harbour-focus"
	Highlight     fyne.ThemeColorName = "harbour-highlight" // under selected and found text
	Veil          fyne.ThemeColorName = "harbour-veil"      // over what cannot be pressed now
	White         fyne.ThemeColorName = "harbour-white"     // on the hues of avatars, by day and by night
)

// pair is a colour by day and by night.
type pair struct{ light, dark color.NRGBA }

// rgb reads a colour written as 0xRRGGBB.
func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

func rgba(v uint32, a uint8) color.NRGBA {
	c := rgb(v)
	c.A = a
	return c
}

// harbour is the table of all colours.
func harbour(n fyne.ThemeColorName) (pair, bool) {
	switch n {
	case Rail:
		return pair{rgb(0xE9EDEA), rgb(0x0D110F)}, true
	case Pane:
		return pair{rgb(0xF6F8F6), rgb(0x141A17)}, true
	case Canvas:
		return pair{rgb(0xFFFFFF), rgb(0x191F1C)}, true
	case Sheet:
		return pair{rgb(0xFFFFFF), rgb(0x232C28)}, true
	case Line:
		return pair{rgb(0xDDE3DF), rgb(0x2B3530)}, true
	case Edge:
		return pair{rgb(0x808D86), rgb(0x6B7A73)}, true
	case Selected:
		return pair{rgb(0xDCEBE4), rgb(0x1F2F29)}, true
	case Text:
		return pair{rgb(0x15201C), rgb(0xE7EDEA)}, true
	case Dim:
		return pair{rgb(0x55625C), rgb(0xA2AFA9)}, true
	case Faint:
		return pair{rgb(0x5C6963), rgb(0x8E9C95)}, true
	case Accent:
		return pair{rgb(0x0B6B57), rgb(0x5FD3B5)}, true
	case OnAccent:
		return pair{rgb(0xFFFFFF), rgb(0x06231B)}, true
	case BubbleIn:
		return pair{rgb(0xEFF3F0), rgb(0x252E2A)}, true
	case BubbleInText:
		return pair{rgb(0x15201C), rgb(0xE7EDEA)}, true
	case BubbleOut:
		return pair{rgb(0xD3EEE4), rgb(0x174A3D)}, true
	case BubbleOutText:
		return pair{rgb(0x0E2019), rgb(0xEAF6F1)}, true
	case BubbleOutMeta:
		return pair{rgb(0x3F5A50), rgb(0xA9CFC2)}, true
	case Warn:
		return pair{rgb(0x7A4F00), rgb(0xF0C060)}, true
	case WarnGround:
		return pair{rgb(0xFFF3D6), rgb(0x33290F)}, true
	case Danger:
		return pair{rgb(0xB3261E), rgb(0xFF8A80)}, true
	case OnDanger:
		return pair{rgb(0xFFFFFF), rgb(0x33100D)}, true
	case OK:
		return pair{rgb(0x1B6E3A), rgb(0x7BD88F)}, true
	case Hover:
		return pair{rgba(0x15201C, 0x0F), rgba(0xE7EDEA, 0x12)}, true
	case Focus:
		return pair{rgb(0x0B6B57), rgb(0x5FD3B5)}, true
	case Highlight:
		return pair{rgba(0x0B6B57, 0x40), rgba(0x5FD3B5, 0x48)}, true
	case Veil:
		return pair{rgba(0xFFFFFF, 0x88), rgba(0x191F1C, 0x88)}, true
	case White:
		return pair{rgb(0xFFFFFF), rgb(0xFFFFFF)}, true
	}
	return pair{}, false
}

// stock says which of our colours each of Fyne's own widgets is drawn in.
func stock(n fyne.ThemeColorName) (fyne.ThemeColorName, bool) {
	switch n {
	case fynetheme.ColorNameBackground, fynetheme.ColorNameInputBackground, fynetheme.ColorNameOverlayBackground:
		return Canvas, true
	case fynetheme.ColorNameMenuBackground:
		return Sheet, true
	case fynetheme.ColorNameButton, fynetheme.ColorNameHeaderBackground, fynetheme.ColorNameDisabledButton:
		return BubbleIn, true
	case fynetheme.ColorNameForeground:
		return Text, true
	case fynetheme.ColorNameDisabled, fynetheme.ColorNamePlaceHolder:
		return Faint, true // Fyne's own are unreadable
	case fynetheme.ColorNamePrimary, fynetheme.ColorNameHyperlink:
		return Accent, true
	case fynetheme.ColorNameForegroundOnPrimary:
		return OnAccent, true
	case fynetheme.ColorNameError:
		return Danger, true
	case fynetheme.ColorNameForegroundOnError:
		return OnDanger, true
	case fynetheme.ColorNameSuccess:
		return OK, true
	case fynetheme.ColorNameForegroundOnSuccess:
		return OnDanger, true
	case fynetheme.ColorNameWarning:
		return Warn, true
	case fynetheme.ColorNameForegroundOnWarning:
		return WarnGround, true
	case fynetheme.ColorNameInputBorder:
		return Edge, true
	case fynetheme.ColorNameSeparator:
		return Line, true
	case fynetheme.ColorNameHover:
		return Hover, true
	case fynetheme.ColorNameSelection:
		return Highlight, true
	}
	return "", false
}

// Mode is light, dark, or as the system has it.
type Mode string

// The modes.
const (
	System Mode = "system"
	Light  Mode = "light"
	Dark   Mode = "dark"
)

// Harbour is the theme. Make it with New.
type Harbour struct {
	mode                    Mode
	regular, semibold, ital fyne.Resource
}

var _ fyne.Theme = (*Harbour)(nil)

// New is the theme in a mode.
func New(mode Mode) *Harbour {
	return &Harbour{mode: mode, regular: font("Inter-Regular"), semibold: font("Inter-SemiBold"), ital: font("Inter-Italic")}
}

func font(name string) fyne.Resource {
	b, err := assets.Fonts.ReadFile("fonts/" + name + ".otf")
	if err != nil {
		panic(err) // it is built in
	}
	return fyne.NewStaticResource(name, b)
}

// Color implements fyne.Theme.
func (h *Harbour) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	switch h.mode {
	case Light:
		v = fynetheme.VariantLight
	case Dark:
		v = fynetheme.VariantDark
	}
	switch n {
	case fynetheme.ColorNameFocus:
		p, _ := harbour(Accent)
		if v == fynetheme.VariantLight {
			return rgba(0x0B6B57, 0x30)
		}
		p.dark.A = 0x38
		return p.dark
	case fynetheme.ColorNameShadow:
		return color.NRGBA{A: 0x29} // 16 %
	case fynetheme.ColorNameScrollBar:
		p, _ := harbour(Dim)
		c := p.light
		if v != fynetheme.VariantLight {
			c = p.dark
		}
		c.A = 0x66
		return c
	}
	if s, ok := stock(n); ok {
		n = s
	}
	if p, ok := harbour(n); ok {
		if v == fynetheme.VariantLight {
			return p.light
		}
		return p.dark
	}
	return fynetheme.DefaultTheme().Color(n, v)
}

// Font implements fyne.Theme. Bold is Inter SemiBold; mono and symbols are Fyne's.
func (h *Harbour) Font(s fyne.TextStyle) fyne.Resource {
	switch {
	case s.Monospace || s.Symbol:
		return fynetheme.DefaultTheme().Font(s)
	case s.Bold:
		return h.semibold
	case s.Italic:
		return h.ital
	}
	return h.regular
}

// Icon implements fyne.Theme: the few icons that Fyne's own widgets ask for.
func (h *Harbour) Icon(n fyne.ThemeIconName) fyne.Resource {
	return fynetheme.DefaultTheme().Icon(n)
}

// Size implements fyne.Theme.
func (h *Harbour) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case fynetheme.SizeNameText:
		return TextBody
	case fynetheme.SizeNameCaptionText:
		return TextCaption
	case fynetheme.SizeNameSubHeadingText:
		return TextTitle
	case fynetheme.SizeNameHeadingText:
		return TextSection
	case fynetheme.SizeNamePadding:
		return Space2
	case fynetheme.SizeNameInnerPadding:
		return Space3
	case fynetheme.SizeNameLineSpacing:
		return 3
	case fynetheme.SizeNameInputBorder, fynetheme.SizeNameSeparatorThickness:
		return 1
	case fynetheme.SizeNameInputRadius, fynetheme.SizeNameButtonRadius:
		return RadiusField
	case fynetheme.SizeNameCardRadius, fynetheme.SizeNameDialogRadius, fynetheme.SizeNamePopupRadius, fynetheme.SizeNameMenuRadius:
		return RadiusCard
	case fynetheme.SizeNameSelectionRadius:
		return 3
	case fynetheme.SizeNameScrollBar:
		return 10
	case fynetheme.SizeNameScrollBarSmall:
		return 4
	}
	return fynetheme.DefaultTheme().Size(n)
}

// Color is the present value of one of the colours above, or of Fyne's.
func Color(n fyne.ThemeColorName) color.Color { return fynetheme.Color(n) }

// Inks tells the colours of one time from those of another: what was drawn under another
// name is to be drawn anew.
func Inks() string {
	r, g, b, _ := Color(Canvas).RGBA()
	r2, g2, b2, _ := Color(Accent).RGBA()
	return string([]rune{rune(r), rune(g), rune(b), rune(r2), rune(g2), rune(b2)})
}
