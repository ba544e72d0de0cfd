package theme

import (
	"image/color"
	"io/fs"
	"math"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	fynetheme "fyne.io/fyne/v2/theme"

	"github.com/godwit-im/godwit/assets"
)

// luminance and contrast are those of WCAG 2.2.
func luminance(c color.Color) float64 {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	line := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*line(n.R) + 0.7152*line(n.G) + 0.0722*line(n.B)
}

func contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// over is a colour that lets through, laid on another.
func over(top, ground color.Color) color.Color {
	t, g := color.NRGBAModel.Convert(top).(color.NRGBA), color.NRGBAModel.Convert(ground).(color.NRGBA)
	mix := func(a, b uint8) uint8 { return uint8((int(a)*int(t.A) + int(b)*(255-int(t.A))) / 255) }
	return color.NRGBA{mix(t.R, g.R), mix(t.G, g.G), mix(t.B, g.B), 0xff}
}

func TestEverybodyCanReadEveryText(t *testing.T) {
	test.NewTempApp(t)
	h := New(System)
	for _, p := range []struct {
		text, ground fyne.ThemeColorName
		least        float64
	}{
		{Text, Canvas, 4.5}, {Text, Pane, 4.5}, {Text, Rail, 4.5}, {Text, Selected, 4.5}, {Text, BubbleIn, 4.5}, {Text, Sheet, 4.5},
		{Dim, Canvas, 4.5}, {Dim, Pane, 4.5}, {Dim, Rail, 4.5}, {Dim, Selected, 4.5}, {Dim, BubbleIn, 4.5}, {Dim, Sheet, 4.5},
		{Faint, Canvas, 4.5}, {Faint, Pane, 4.5}, {Faint, Selected, 4.5}, {Faint, BubbleIn, 4.5},
		{Accent, Canvas, 4.5}, {Accent, Pane, 4.5}, {Accent, Rail, 4.5}, {Accent, Selected, 4.5}, {Accent, BubbleIn, 4.5}, {Accent, BubbleOut, 4.5},
		{OnAccent, Accent, 4.5},
		{BubbleInText, BubbleIn, 4.5}, {BubbleOutText, BubbleOut, 4.5}, {BubbleOutMeta, BubbleOut, 4.5},
		{Warn, WarnGround, 4.5}, {Warn, Canvas, 4.5}, {Warn, Pane, 4.5},
		{Danger, Canvas, 4.5}, {Danger, Pane, 4.5}, {Danger, Sheet, 4.5}, {Danger, Selected, 4.5}, {OnDanger, Danger, 4.5},
		{OK, Canvas, 4.5}, {OK, Pane, 4.5},
		{fynetheme.ColorNamePlaceHolder, fynetheme.ColorNameInputBackground, 4.5},
		{fynetheme.ColorNameDisabled, fynetheme.ColorNameBackground, 4.5},
		{fynetheme.ColorNameForegroundOnPrimary, fynetheme.ColorNamePrimary, 4.5},
		{fynetheme.ColorNameForegroundOnError, fynetheme.ColorNameError, 4.5},
		{fynetheme.ColorNameForegroundOnSuccess, fynetheme.ColorNameSuccess, 4.5},
		{fynetheme.ColorNameForegroundOnWarning, fynetheme.ColorNameWarning, 4.5},
		// What is no text but has to be seen: 3:1.
		{Edge, Canvas, 3}, {Edge, Pane, 3}, {Focus, Canvas, 3}, {Focus, Pane, 3}, {Focus, Rail, 3}, {Focus, Selected, 3},
	} {
		for name, v := range map[string]fyne.ThemeVariant{"light": fynetheme.VariantLight, "dark": fynetheme.VariantDark} {
			text, ground := h.Color(p.text, v), h.Color(p.ground, v)
			if got := contrast(text, ground); got < p.least {
				t.Errorf("%s: %s on %s has contrast %.2f, wants %.1f", name, p.text, p.ground, got, p.least)
			}
		}
	}
	// Selected and found text keeps its colour on a tint.
	for name, v := range map[string]fyne.ThemeVariant{"light": fynetheme.VariantLight, "dark": fynetheme.VariantDark} {
		for text, ground := range map[fyne.ThemeColorName]fyne.ThemeColorName{BubbleInText: BubbleIn, BubbleOutText: BubbleOut, Text: Canvas} {
			if got := contrast(h.Color(text, v), over(h.Color(Highlight, v), h.Color(ground, v))); got < 4.5 {
				t.Errorf("%s: selected %s has contrast %.2f", name, text, got)
			}
		}
	}
}

func TestEveryColourOfFyneIsOurs(t *testing.T) {
	test.AssertAllColorNamesDefined(t, New(System), "harbour")
}

func TestTheModeIsStrongerThanTheSystem(t *testing.T) {
	test.NewTempApp(t)
	for _, v := range []fyne.ThemeVariant{fynetheme.VariantLight, fynetheme.VariantDark} {
		if got, want := New(Dark).Color(Canvas, v), rgb(0x191F1C); got != want {
			t.Errorf("dark, when the system has %v: %v", v, got)
		}
		if got, want := New(Light).Color(Canvas, v), rgb(0xFFFFFF); got != want {
			t.Errorf("light, when the system has %v: %v", v, got)
		}
	}
	if New(System).Color(Canvas, fynetheme.VariantDark) == New(System).Color(Canvas, fynetheme.VariantLight) {
		t.Error("the system's choice changes nothing")
	}
}

func TestIconsTakeTheirColour(t *testing.T) {
	test.NewTempApp(t)
	test.ApplyTheme(t, New(Light))
	icons, err := fs.Glob(assets.Icons, "icons/*.svg")
	if err != nil || len(icons) < 20 {
		t.Fatalf("%d icons, %v", len(icons), err)
	}
	for _, path := range icons {
		r := Icon(strings.TrimSuffix(strings.TrimPrefix(path, "icons/"), ".svg"), Accent)
		if svg := string(r.Content()); strings.Contains(svg, "currentColor") || !strings.Contains(svg, "#0b6b57") {
			t.Errorf("%s: %s", path, svg)
		}
	}
	if a, b := Icon("tick", Accent).Name(), Icon("tick", Danger).Name(); a == b {
		t.Error("two colours of an icon have one name: Fyne would show the first for both")
	}
}
