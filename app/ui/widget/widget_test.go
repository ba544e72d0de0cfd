package widget

import (
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/theme"
)

func window(t *testing.T, o fyne.CanvasObject) fyne.Window {
	t.Helper()
	test.NewTempApp(t)
	test.ApplyTheme(t, theme.New(theme.Light))
	w := test.NewTempWindow(t, o)
	w.SetPadded(false)
	return w
}

func TestAPersonPressesByMouseAndByKeys(t *testing.T) {
	pressed, asked := 0, 0
	b := NewButton("Invite someone", Primary, func() { pressed++ })
	b.OnSecondary(func(fyne.Position) { asked++ })
	w := window(t, container.NewVBox(b))
	test.Tap(b)
	w.Canvas().FocusNext()
	if w.Canvas().Focused() != fyne.Focusable(b) {
		t.Fatalf("Tab leads to %T", w.Canvas().Focused())
	}
	b.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	b.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	b.TypedKey(&fyne.KeyEvent{Name: "Menu"})
	if pressed != 3 || asked != 1 {
		t.Errorf("pressed %d times and asked %d times", pressed, asked)
	}
	b.Disable()
	test.Tap(b)
	if pressed != 3 {
		t.Error("a disabled button works")
	}
	if b.AccessibilityLabel() != "Invite someone" {
		t.Errorf("a screen reader says %q", b.AccessibilityLabel())
	}
}

func TestWhatCanBePressedIsLargeEnough(t *testing.T) {
	w := window(t, container.NewWithoutLayout())
	_ = w
	for name, o := range map[string]fyne.CanvasObject{
		"icon": NewIconButton("search", "Search", nil), "button": NewButton("OK", Plain, nil), "link": NewButton("x", Link, nil), "round": NewRoundButton("plus", "New", 36, nil),
	} {
		if m := o.MinSize(); m.Width < theme.Target || m.Height < theme.Target {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestFocusIsSeen(t *testing.T) {
	b := NewIconButton("search", "Search", func() {})
	w := window(t, container.NewVBox(b))
	before := test.RenderToMarkup(w.Canvas())
	w.Canvas().Focus(b)
	if test.RenderToMarkup(w.Canvas()) == before {
		t.Error("nothing shows the focus")
	}
}

func TestTwoPeopleOfOneNameLookDifferent(t *testing.T) {
	a, b := LookOf("anna-1"), LookOf("anna-2")
	if a == b {
		t.Error("two keys have one look")
	}
	if a != LookOf("anna-1") {
		t.Error("a look changes")
	}
	seen := map[Look]bool{}
	for i := range 1000 {
		l := LookOf(strings.Repeat("x", i))
		if l.Face == l.Ring {
			t.Fatalf("face and ring of %d have one hue", i)
		}
		seen[l] = true
	}
	if len(seen) < 990 {
		t.Errorf("of 1000 keys only %d looks", len(seen))
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{"anna": "A", " ★ émile": "É", "": "?", "こんにちは": "こ", "🎉": "?", "\u202egnp.exe": "G"} {
		if got := Initial(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestNamesAreMadeHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"Anna":                  "Anna",
		"a\nb\t\tc":             "a b c",
		"\u202egnp.exe\x1b[31m": "gnp.exe[31m",
	} {
		if got := OneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if n := len([]rune(OneLine(strings.Repeat("é", 1<<20)))); n > maxLine+1 {
		t.Errorf("a name of a megabyte gives %d runes", n)
	}
}

func TestLongNamesEndInAnEllipsis(t *testing.T) {
	name := NewText(strings.Repeat("Bartholomew ", 20), theme.TextBody, theme.Text).Shrink()
	w := window(t, container.NewWithoutLayout(name))
	w.Resize(fyne.NewSize(400, 100))
	name.Resize(fyne.NewSize(120, 20))
	shown := test.WidgetRenderer(name).Objects()[0].(*canvas.Text)
	if !strings.HasSuffix(shown.Text, "…") || fyne.MeasureText(shown.Text, shown.TextSize, shown.TextStyle).Width > 121 {
		t.Errorf("%q", shown.Text)
	}
	name.Resize(fyne.NewSize(40, 20))
	name.Resize(fyne.NewSize(5000, 20))
	if shown.Text != name.String() {
		t.Errorf("with room again it is %q", shown.Text)
	}
	if got := Cut("abc", 0, func(s string) float32 { return float32(len(s)) }); got != "…" {
		t.Errorf("no room at all: %q", got)
	}
}

func TestANumberStaysWithItsUnit(t *testing.T) {
	count := func(s string) float32 { return float32(utf8.RuneCountInString(s)) }
	got := Wrap("it takes 34\u00a0MiB", 12, count)
	if want := []string{"it takes", "34\u00a0MiB"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestEdgeLeavesNoSeams(t *testing.T) {
	bar, list, rest := NewFill(theme.Rail, 0), NewFill(theme.Pane, 0), NewFill(theme.Canvas, 0)
	w := window(t, Edge(Exactly(0, 10, bar), nil, Exactly(72, 0, list), nil, rest))
	w.Resize(fyne.NewSize(800, 600))
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject
	if at(rest) != fyne.NewPos(72, 10) || rest.Size() != fyne.NewSize(728, 590) {
		t.Errorf("the centre is at %v, %v", at(rest), rest.Size())
	}
}

func TestGrowTakesWhatIsLeft(t *testing.T) {
	a, b := NewFill(theme.Rail, 0), NewFill(theme.Pane, 0)
	w := window(t, Row(8, Exactly(50, 20, a), Grow(AtLeast(10, 20, b))))
	w.Resize(fyne.NewSize(400, 40))
	if b.Size().Width != 342 {
		t.Errorf("%v", b.Size())
	}
}

// Fyne forgets renderers of what was out of sight for long; what comes back must be
// laid out.
func TestWhatWasOutOfSightComesBackWhole(t *testing.T) {
	w := window(t, container.NewWithoutLayout())
	_ = w
	for name, o := range map[string]fyne.Widget{
		"fill": NewFill(theme.Accent, 3), "text": NewText("hello", theme.TextBody, theme.Text), "icon": NewIcon("send", 20, theme.Text),
		"para": NewPara("some words that go on", theme.TextBody, theme.Text), "press": NewIconButton("send", "Send", nil), "avatar": NewAvatar("id", "Anna", 40),
	} {
		o.Resize(fyne.NewSize(60, 60))
		again := o.CreateRenderer()
		for _, part := range again.Objects() {
			if s := part.Size(); part.Visible() && (s.Width == 0 || s.Height == 0) {
				t.Errorf("%s: a %T has no size", name, part)
			}
		}
	}
}

// However large the window shows it, an avatar is as large as it says and round, and its
// hues and dots are where they belong.
func TestAnAvatarIsRoundAtEveryScale(t *testing.T) {
	l := LookOf("anna")
	for scale := 0.8; scale <= 2; scale += 0.05 {
		side := 42 * scale
		pixels := int(math.Round(60 * scale))
		img := l.disc(pixels, pixels, side)
		covered := 0.0
		for i := 3; i < len(img.Pix); i += 4 {
			covered += float64(img.Pix[i]) / 0xff
		}
		if want := math.Pi * side * side / 4; math.Abs(covered-want) > want/200 {
			t.Errorf("scale %.2f: it covers %.1f pixels, want %.1f", scale, covered, want)
		}
		at := func(angle, radius float64) color.NRGBA {
			sin, cos := math.Sincos(angle)
			c := float64(pixels) / 2
			return color.NRGBAModel.Convert(img.At(int(c+radius*sin), int(c-radius*cos))).(color.NRGBA)
		}
		if got := at(0, 0); got != hue(byte(l.Face)) {
			t.Errorf("scale %.2f: the face is %v", scale, got)
		}
		for i, there := range l.Dots {
			want := hue(byte(l.Ring))
			if between := at(float64(2*i+1)*math.Pi/12, side*0.45); between != want {
				t.Errorf("scale %.2f: after dot %d the ring is %v", scale, i, between)
			}
			if there {
				want = color.NRGBA{0xff, 0xff, 0xff, 0xff}
			}
			if got := at(float64(i)*math.Pi/6, side*0.45); got != want {
				t.Errorf("scale %.2f: dot %d is %v, want %v", scale, i, got, want)
			}
		}
	}
}

// What others write is shown in one line, and as the beginning of a text, without what acts, hides, or draws over its
// neighbours.
func TestWhatOthersWriteIsHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"Anna":                             "Anna",
		"a\x1b[31m\u202eb\u2066c":          "a[31mbc",
		"a\r\n\tb\u2028c":                  "a b c",
		"Z" + strings.Repeat("\u0301", 99): "Z" + strings.Repeat("\u0301", 4),
		"e\u0301a\u0308\u0323":             "e\u0301a\u0308\u0323",
		strings.Repeat("x", 9999):          strings.Repeat("x", 512) + "…",
	} {
		if got := OneLine(text); got != want {
			t.Errorf("%.20q is shown as %.40q", text, got)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", ""}, {"one\ntwo", "one\ntwo"}, {"one\n\n\n \n\ttwo\n\n", "one\ntwo"}, {strings.Repeat("\n", 99), ""},
		{"1\n2\n3\n4", "1\n2\n3…"}, {"abcdefghijklmnop", "abcdefghij…"}, {"abcdefghij", "abcdefghij"}, {"abcdefghij\nk", "abcdefghij…"},
	} {
		if got := Beginning(c.text, 10, 3); got != c.want {
			t.Errorf("%q begins with %q", c.text, got)
		}
	}
	if n := strings.Count(NewPara(strings.Repeat("\n", 60_000), 14, theme.Text).String(), "\n"); n >= mostLines {
		t.Errorf("a paragraph of %d lines", n)
	}
}

// What is shown or hidden in a container, or in what can be pressed in it, makes room or
// takes it, without anything being drawn anew that stays as it is.
func TestArrangeMakesRoom(t *testing.T) {
	name, mark, more := NewText("Anna", theme.TextBody, theme.Text), NewIcon("verified", 15, theme.Accent), NewText("more", theme.TextBody, theme.Text)
	mark.Hide()
	press := NewPress("Anna", Row(4, name, mark, more), nil)
	card := Col(0, press)
	w := window(t, card)
	w.Resize(fyne.NewSize(400, 100))
	before := more.Position()
	mark.Hidden = false
	Arrange(card)
	if by := more.Position().X - before.X; by != 15+4 {
		t.Errorf("the icon takes %v px", by)
	}
	name.Set("Anna Bergmann")
	Arrange(press)
	if want := mark.Position().X + 15 + 4; mark.Position().X < name.Natural().Width || more.Position().X != want {
		t.Errorf("the icon is at %v, behind words of %v, and others at %v", mark.Position().X, name.Natural().Width, more.Position().X)
	}
}
