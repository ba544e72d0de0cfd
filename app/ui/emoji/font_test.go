package emoji

import (
	"bytes"
	"testing"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"

	"github.com/godwit-im/godwit/assets"
)

// A font that was given emoji writes each of them as its one picture, however it is typed, and
// letters as before.
func TestAFontWithEmoji(t *testing.T) {
	set := Load()
	base, err := assets.Fonts.ReadFile("fonts/Inter-Regular.otf")
	if err != nil {
		t.Fatal(err)
	}
	made, err := set.Font(base)
	if err != nil {
		t.Fatal(err)
	}
	before, err := font.ParseTTF(bytes.NewReader(base))
	if err != nil {
		t.Fatal(err)
	}
	face, err := font.ParseTTF(bytes.NewReader(made))
	if err != nil {
		t.Fatal(err)
	}
	var shaper shaping.HarfbuzzShaper
	shape := func(f *font.Face, s string) shaping.Output {
		text := []rune(s)
		return shaper.Shape(shaping.Input{Text: text, RunEnd: len(text), Direction: di.DirectionLTR, Face: f, Size: fixed.I(14), Script: language.Latin, Language: "en"})
	}
	for _, s := range []string{"Hello, Åse! 1/2 → #5 © 2026", "e\u0301 fi", "Привет"} {
		a, b := shape(before, s), shape(face, s)
		if len(a.Glyphs) != len(b.Glyphs) || a.Advance != b.Advance {
			t.Errorf("%q is written otherwise: %d glyphs of %v, were %d of %v", s, len(b.Glyphs), b.Advance, len(a.Glyphs), a.Advance)
			continue
		}
		for i, g := range b.Glyphs {
			was, _ := before.GlyphData(a.Glyphs[i].GlyphID).(font.GlyphOutline)
			is, _ := face.GlyphData(g.GlyphID).(font.GlyphOutline)
			if g.GlyphID != a.Glyphs[i].GlyphID || len(was.Segments) != len(is.Segments) {
				t.Errorf("%q: glyph %d has another outline", s, i)
			}
		}
	}
	check := func(text string, id ID) {
		t.Helper()
		pictures, width := 0, fixed.Int26_6(0)
		for _, g := range shape(face, text).Glyphs {
			width += g.Advance
			if b, ok := face.GlyphData(g.GlyphID).(font.GlyphBitmap); ok && string(b.Data) == set.pack[set.starts[id]:set.starts[id+1]] && g.Height < 0 {
				pictures++
			}
		}
		if pictures != 1 || width < fixed.I(16) || width > fixed.I(19) {
			t.Errorf("%q (%+q): %d times its picture, %v wide", text, text, pictures, width)
		}
	}
	for _, g := range set.Groups() {
		for _, e := range g.Emoji {
			check(e.Text, e.ID)
			for _, v := range e.Tones {
				check(v.Text, v.ID)
			}
			if id, ok := set.Lookup(plain(e.Text)); ok && len([]rune(plain(e.Text))) > 1 {
				check(plain(e.Text), id)
			}
		}
	}
	for _, bad := range [][]byte{nil, base[:100], base[:len(base)/2], made[:2000]} {
		if _, err := set.Font(bad); err == nil {
			t.Errorf("%d bytes are a font", len(bad))
		}
	}
}

func BenchmarkFont(b *testing.B) {
	set := Load()
	base, _ := assets.Fonts.ReadFile("fonts/Inter-Regular.otf")
	for b.Loop() {
		made, err := set.Font(base)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := font.ParseTTF(bytes.NewReader(made)); err != nil {
			b.Fatal(err)
		}
	}
}
