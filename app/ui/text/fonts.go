package text

import (
	"bytes"

	"fyne.io/fyne/v2"
	"github.com/go-text/render"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/fontscan"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"

	"github.com/godwit-im/godwit/app/ui/emoji"
)

// remembered is how many characters a face remembers the font of, so that a text of
// every character there is does not fill the memory.
const remembered = 4096

// Fonts lays text out and draws it: in the fonts of a theme, in those of the system
// for what these lack, and emoji from a Set. Make it once with NewFonts.
type Fonts struct {
	theme  fyne.Theme
	emoji  *emoji.Set
	system bool

	faces    map[fyne.TextStyle]*faces
	scanned  bool
	fallback *fontscan.FontMap // nil: none, or not looked for yet

	shaper    shaping.HarfbuzzShaper
	segmenter shaping.Segmenter
	wrapper   shaping.LineWrapper
	renderer  render.Renderer
	glyphs    glyphs
}

// NewFonts uses the fonts of a theme. The fonts of the system are looked at when the
// first character asks for them; without them such characters are boxes.
func NewFonts(th fyne.Theme, set *emoji.Set, system bool) *Fonts {
	return &Fonts{theme: th, emoji: set, system: system, faces: map[fyne.TextStyle]*faces{}, glyphs: glyphs{masks: map[glyphKey]glyphMask{}}}
}

// Emoji is the set that the texts are drawn with.
func (f *Fonts) Emoji() *emoji.Set { return f.emoji }

// faces is the font of a style, and where it finds what that lacks. It is a Fontmap.
type faces struct {
	fonts  *Fonts
	aspect font.Aspect
	family string
	own    *font.Face
	script language.Script
	others map[rune]*font.Face
}

// style is what Fyne calls a Style of ours.
func (s Style) style() fyne.TextStyle {
	if s&Code != 0 {
		return fyne.TextStyle{Monospace: true}
	}
	return fyne.TextStyle{Bold: s&(Bold|Mention) != 0, Italic: s&Italic != 0 && s&(Bold|Mention) == 0}
}

func (f *Fonts) face(s Style) *faces {
	st := s.style()
	if have, ok := f.faces[st]; ok {
		return have
	}
	own, err := font.ParseTTF(bytes.NewReader(f.theme.Font(st).Content()))
	if err != nil {
		panic("text: a font of the theme: " + err.Error()) // it is built in
	}
	m := &faces{fonts: f, own: own, family: fontscan.SansSerif, others: map[rune]*font.Face{}}
	if st.Monospace {
		m.family = fontscan.Monospace
	}
	if st.Bold {
		m.aspect.Weight = font.WeightBold
	}
	if st.Italic {
		m.aspect.Style = font.StyleItalic
	}
	f.faces[st] = m
	return m
}

// SetScript implements shaping.FontmapScript.
func (m *faces) SetScript(s language.Script) { m.script = s }

// ResolveFace implements shaping.Fontmap.
func (m *faces) ResolveFace(r rune) *font.Face {
	if _, ok := m.own.NominalGlyph(r); ok {
		return m.own
	}
	if face, ok := m.others[r]; ok {
		return face
	}
	face := m.find(r)
	if len(m.others) >= remembered {
		clear(m.others)
	}
	m.others[r] = face
	return face
}

func (m *faces) find(r rune) *font.Face {
	if sys := m.fonts.systemFonts(); sys != nil {
		sys.SetQuery(fontscan.Query{Families: []string{m.family}, Aspect: m.aspect})
		sys.SetScript(m.script)
		if face := sys.ResolveFace(r); face != nil {
			if _, ok := face.NominalGlyph(r); ok {
				return face
			}
		}
	}
	return m.own
}

// own says whether the theme's font has a character.
func (f *Fonts) own(r rune) bool {
	_, ok := f.face(0).own.NominalGlyph(r)
	return ok
}

// Has says whether any font has a character.
func (f *Fonts) Has(r rune) bool {
	_, ok := f.face(0).ResolveFace(r).NominalGlyph(r)
	return ok
}

// Boxes says whether there are emoji in a text that are boxes where it is drawn as text, not as
// pictures: neither the theme nor the system has a font for them.
func (f *Fonts) Boxes(text string) bool {
	const first = 0x231A // of those that are emoji by themselves
	for _, r := range text {
		if r < first {
			continue
		}
		if _, ok := f.emoji.Lookup(string(r)); !ok {
			continue
		}
		if _, ok := f.face(0).ResolveFace(r).NominalGlyph(r); !ok {
			return true
		}
	}
	return false
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// systemFonts reads the index of the system's fonts, which Fyne has made by then.
func (f *Fonts) systemFonts() *fontscan.FontMap {
	if f.system && !f.scanned {
		f.scanned = true
		if m := fontscan.NewFontMap(silent{}); m.UseSystemFonts("") == nil {
			f.fallback = m
		}
	}
	return f.fallback
}
