package text

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// show writes a Doc down: styles round their text, | between paragraphs.
func show(d *Doc) string {
	var b strings.Builder
	for _, s := range d.Spans {
		text := strings.ReplaceAll(string(d.Runes[s.Start:s.End]), "\n", "|")
		switch {
		case s.Emoji >= 0:
			fmt.Fprintf(&b, "{%s}", text)
		case s.URL != "":
			fmt.Fprintf(&b, "<%s>", text)
			if s.URL != text {
				fmt.Fprintf(&b, "(%s)", s.URL)
			}
		case s.Style != 0:
			names := ""
			for bit, c := range map[Style]string{Bold: "b", Italic: "i", Code: "c", Mention: "m"} {
				if s.Style&bit != 0 {
					names += c
				}
			}
			fmt.Fprintf(&b, "%s[%s]", names, text)
		default:
			b.WriteString(text)
		}
	}
	return b.String()
}

func TestPeopleWriteAsTheyDo(t *testing.T) {
	set := emoji.Load()
	for _, c := range []struct{ raw, want string }{
		{"14:00 works 👍", "14:00 works {👍}"},
		{"a *bold* word, **another**, _italic_ and `code *not bold*`", "a b[bold] word, b[another], i[italic] and c[code *not bold*]"},
		{"2 * 3 * 4, snake_case_name, * a list", "2 * 3 * 4, snake_case_name, * a list"},
		{"*open and _open and `open", "*open and _open and `open"},
		{"**", "**"},
		{"see https://example.org/a_(b), or mailto:anna@example.org.", "see <https://example.org/a_(b)>, or <mailto:anna@example.org>."},
		{"(https://example.org/x)", "(<https://example.org/x>)"},
		{"godwit:abc and Godwit:", "<godwit:abc> and Godwit:"},
		{"javascript:alert(1) file:///etc/passwd ssh://x data:text/html,x", "javascript:alert(1) file:///etc/passwd ssh://x data:text/html,x"},
		{"[bank](https://evil.example/)", "[bank](<https://evil.example/>)"},
		{"![](http://192.0.2.1/pixel.png)", "![](<http://192.0.2.1/pixel.png>)"},
		{"$(calc) %s <b>no</b>", "$(calc) %s <b>no</b>"},
		// The host that it really goes to.
		{"https://bank.example@evil.example/login", "<https://evil.example/login>(https://bank.example@evil.example/login)"},
		{"https://аррӏе.com/", "<https://xn--80ak6aa92e.com/>"}, // all Cyrillic, under .com
		{"https://pаypal.com/", "<https://xn--pypal-4ve.com/>"}, // one Cyrillic letter
		{"https://пример.рф/", "<https://пример.рф/>(https://xn--e1afmkfd.xn--p1ai/)"},
		{"https://münchen.de/", "<https://münchen.de/>(https://xn--mnchen-3ya.de/)"},
		{"https://xn--mnchen-3ya.de/", "<https://münchen.de/>(https://xn--mnchen-3ya.de/)"},
		{"https://gıthub.com/", "<https://xn--gthub-n4a.com/>"}, // i without its dot
		{"https://example.comǃlogin.evil.example/", "<https://example.xn--comlogin-fnc.evil.example/>"},
		{"https://łódź.pl/", "<https://łódź.pl/>(https://xn--d-uga0v4h.pl/)"},
		{"mailto:a@example.org?subject=Hi&body=you", "<mailto:a@example.org?subject=Hi&body=you>"},
		{"mailto:a@example.org?attach=/etc/passwd", "mailto:a@example.org?attach=/etc/passwd"},
		{"mailto:?Subject=x&ATTACHMENT=~/.ssh/id", "mailto:?Subject=x&ATTACHMENT=~/.ssh/id"},
		{"https:///nowhere http://", "https:///nowhere http://"},
		{"hi @Anna, and @Annabel and x@Anna", "hi m[@Anna], and @Annabel and x@Anna"},
		{"one\r\ntwo\n\nthree\n", "one|two||three"},
		{"👨‍👩‍👧‍👦 🇵🇱 1️⃣ ❤️ 👍🏽 © ©️ 5", "{👨‍👩‍👧‍👦} {🇵🇱} {1️⃣} {❤️} {👍🏽} © {©️} 5"},
		{"a\u202etxt.exe\u202c b\x00c\x1b[31m \u2066d\u2069", "a\ufffdtxt.exe b\ufffdc\ufffd[31m d"},
		{"tab\there\u2028and\vthere\ufeff", "tab    here and there"},
	} {
		got := show(Parse(c.raw, Options{Emoji: set, Names: []string{"Anna"}}))
		if strings.HasPrefix(c.want, "<") && strings.Contains(c.want, "xn--") && !strings.Contains(c.want, "(") {
			got = got[:strings.IndexByte(got, '>')+1]
		}
		if got != c.want {
			t.Errorf("%q is shown as\n %s\nnot\n %s", c.raw, got, c.want)
		}
	}
}

func TestWhatMayBeOpened(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.org/": true, "http://example.org": true, "mailto:a@example.org": true, "godwit:abc": true,
		"file:///etc/passwd": false, "javascript:x": false, "https://example.org/ x": false, "": false, "smb://x/y": false,
	} {
		if Allowed(address) != want {
			t.Errorf("Allowed(%q) is %v", address, !want)
		}
	}
}

func TestDirectionIsThatOfTheFirstLetter(t *testing.T) {
	for text, want := range map[string]bool{
		"שלום world": true, "hello שלום": false, "123 مرحبا": true, "👍 שלום": true, "...": false, "": false, "こんにちは": false,
	} {
		if got := Parse(text, Options{}).Paras[0].RTL; got != want {
			t.Errorf("%q runs from right to left: %v", text, got)
		}
	}
}

func TestLongTextsAreCutAndSaySo(t *testing.T) {
	set := emoji.Load()
	long := strings.Repeat("word ", 100_000)
	d := Parse(long, Options{Emoji: set})
	if len(d.Runes) > firstRunes || len(d.Runes)+d.Left != len(long)-1 {
		t.Errorf("%d runes are shown and %d bytes left of %d", len(d.Runes), d.Left, len(long))
	}
	d = Parse(strings.Repeat("x\n", 400), Options{Emoji: set})
	if len(d.Paras) != firstLines || d.Left == 0 {
		t.Errorf("%d lines, %d bytes left", len(d.Paras), d.Left)
	}
	d = Parse(strings.Repeat("👩‍🚀", 5000), Options{Emoji: set})
	for _, s := range d.Spans {
		if s.Emoji < 0 {
			t.Fatalf("an emoji was cut: %q", string(d.Runes[s.Start:s.End]))
		}
	}
	d = Parse("e"+strings.Repeat("\u0301", 10_000), Options{Emoji: set, Runes: 20_000})
	if len(d.Runes) != 1+marksPerLetter {
		t.Errorf("a letter with %d marks", len(d.Runes)-1)
	}
}

func TestTextThatBreaksTheShaperIsShownPlainly(t *testing.T) {
	f := world(t)
	d := Parse("see *this* שלום 👍\nand https://example.org/", Options{Emoji: f.Emoji()})
	d.Spans[1].Start, d.Spans[1].End = 9, 2 // others' code would not survive this
	l := f.Layout(d, 14, 300)
	if got := l.Doc.Plain(); got != "see this ???? ?\nand https://example.org/" || len(l.Rows) != 2 {
		t.Errorf("it is shown as %q in %d rows", got, len(l.Rows))
	}
	if got := f.Layout(Parse("שלום", Options{}), 14, 300); len(got.Rows) != 1 || got.Rows[0].Width == 0 {
		t.Error("and nothing after it is shown")
	}
}

// world is fonts that are the same on every computer.
func world(t testing.TB) *Fonts {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	return NewFonts(theme.New(theme.Light), emoji.Load(), false)
}

func colours() Colours {
	return Colours{Text: theme.Color(theme.Text), Link: theme.Color(theme.Accent), Faint: theme.Color(theme.Faint), Code: theme.Color(theme.Hover)}
}

func TestLinesFitAndLoseNothing(t *testing.T) {
	f := world(t)
	for _, text := range []string{
		"They did. Sending the edited set now, it is big but we are on the same Wi-Fi so it goes straight across.",
		"שלום עולם, מה שלומך היום? אני בסדר גמור, תודה רבה לך על הכול 123 (סוף)",
		strings.Repeat("x", 400), strings.Repeat("👍", 80), "a\n\nb", "> quoted\nanswer", "",
	} {
		for _, width := range []float32{60, 200, 460} {
			d := Parse(text, Options{Emoji: f.Emoji()})
			l := f.Layout(d, 14, width)
			at := 0
			for i, r := range l.Rows {
				if r.Start > at+1 {
					t.Errorf("%.20q at %v: runes %d to %d are in no row", text, width, at, r.Start)
				}
				at = r.End
				// A space at the end of a line may reach beyond it: nothing is seen there.
				if r.Width > width+8 {
					t.Errorf("%.20q at %v: row %d is %v wide", text, width, i, r.Width)
				}
				if i > 0 && r.Y < l.Rows[i-1].Y+l.Rows[i-1].Height {
					t.Errorf("%.20q at %v: row %d lies on the one above", text, width, i)
				}
			}
			if at < len(d.Runes) {
				t.Errorf("%.20q at %v: the last %d runes are in no row", text, width, len(d.Runes)-at)
			}
		}
	}
}

func TestEveryPlaceCanBeClicked(t *testing.T) {
	f := world(t)
	for _, text := range []string{"office affair, *bold* `code` 👨‍👩‍👧‍👦 end", "one two three four five six seven", "e\u0301a\u0308 x"} {
		l := f.Layout(Parse(text, Options{Emoji: f.Emoji()}), 14, 120)
		last := -1
		for i := range l.Rows {
			row := &l.Rows[i]
			for x := float32(0); x < row.Width; x++ {
				index, _, hit := l.Index(row.X+x, row.Y+row.Height/2)
				if !hit || index < row.Start || index > row.End || index < last {
					t.Fatalf("%q: at %v of row %d is place %d, after %d", text, x, i, index, last)
				}
				if index < len(l.Doc.Runes) && index > row.Start && unicode.Is(unicode.Mn, l.Doc.Runes[index]) {
					t.Fatalf("%q: a letter was parted from its mark", text)
				}
				last = index
			}
			last = -1
		}
		n := 0
		for _, r := range l.Rects(0, len(l.Doc.Runes)) {
			if r.Width > 0 {
				n++
			}
		}
		if n != len(l.Rows) {
			t.Errorf("%q: selected as a whole it shows %d boxes on %d rows", text, n, len(l.Rows))
		}
	}
}

// press is a click of the first button, without letting go.
func press(x, y float32) *desktop.MouseEvent {
	e := &desktop.MouseEvent{Button: desktop.MouseButtonPrimary}
	e.Position = fyne.NewPos(x, y)
	return e
}

func TestAnnaSelectsAndCopies(t *testing.T) {
	f := world(t)
	m := NewMessageText(f, Parse("Take the *seven o'clock* ferry: https://ferry.example/now", Options{Emoji: f.Emoji()}), 14, colours)
	w := test.NewTempWindow(t, m)
	w.Resize(fyne.NewSize(600, 60))
	m.Resize(fyne.NewSize(500, 40))
	l := m.block.Layout()

	at := func(rune int) (x, y float32) {
		r := l.Rects(rune, rune+1)[0]
		return r.X + 1, r.Y + r.Height/2
	}
	m.MouseDown(press(at(0)))
	x, y := at(8)
	m.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(x, y)}})
	if got := m.SelectedText(); got != "Take the" {
		t.Errorf("dragging over two words selected %q", got)
	}
	clip := test.NewClipboard()
	m.TypedShortcut(&fyne.ShortcutCopy{Clipboard: clip})
	if clip.Content() != "Take the" {
		t.Errorf("copied %q", clip.Content())
	}
	m.MouseDown(press(at(10)))
	m.MouseUp(press(at(10)))
	m.MouseDown(press(at(10)))
	if got := m.SelectedText(); got != "seven" {
		t.Errorf("a double click selected %q", got)
	}
	m.MouseUp(press(at(10)))
	m.MouseDown(press(at(10)))
	if got := m.SelectedText(); got != l.Doc.Plain() {
		t.Errorf("a triple click selected %q", got)
	}
	m.TypedShortcut(&fyne.ShortcutCopy{Clipboard: clip})
	if strings.Contains(clip.Content(), "*") {
		t.Errorf("copied marks: %q", clip.Content())
	}

	opened := ""
	m.OnLink = func(to string) { opened = to }
	m.FocusLost()
	m.clicks = Clicks{}
	x, y = at(len(l.Doc.Runes) - 4)
	m.MouseMoved(press(x, y))
	if m.Cursor() != desktop.PointerCursor {
		t.Error("no hand over the link")
	}
	m.MouseDown(press(x, y))
	m.MouseUp(press(x, y))
	if opened != "https://ferry.example/now" {
		t.Errorf("the click opened %q", opened)
	}
}

// Whatever somebody sends is laid out, and nothing of it can act.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "*a* _b_ `c`", "**x** __y__", "> q\n> r", "https://user:pw@exa\u0301mple.com:80/x?y#z", "http://[::1]/", "mailto:", "godwit:x",
		"e\u0301\u0301\u0301\u0301\u0301\u0301", "\u202e\u2066\u0000", "👨‍👩‍👧‍👦1️⃣🇵🇱🇵", "שלום *עולם* 12", "@Anna", "\xff\xfe", "*_*_*_", "a\n\n\nb", "\u0600\u06dd", "ไทย",
	} {
		f.Add(s, uint16(100))
	}
	test.NewTempApp(f).Settings().SetTheme(theme.New(theme.Light))
	fonts := NewFonts(theme.New(theme.Light), emoji.Load(), false)
	f.Fuzz(func(t *testing.T, s string, width uint16) {
		d := Parse(s, Options{Emoji: fonts.Emoji(), Names: []string{"Anna"}, Runes: 300})
		at := 0
		for _, sp := range d.Spans {
			if sp.Start != at || sp.End <= sp.Start || sp.End > len(d.Runes) {
				t.Fatalf("spans with a gap: %+v after %d of %d", sp, at, len(d.Runes))
			}
			at = sp.End
			if sp.URL != "" && !Allowed(sp.URL) {
				t.Fatalf("a link to %q", sp.URL)
			}
		}
		if at != len(d.Runes) {
			t.Fatalf("%d runes are in no span", len(d.Runes)-at)
		}
		for _, r := range d.Runes {
			if r != '\n' && unicode.Is(unicode.Cc, r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
				t.Fatalf("%U is shown", r)
			}
		}
		l := fonts.Layout(d, 14, float32(width%600))
		for i := range l.Rows {
			row := &l.Rows[i]
			for x := float32(-1); x < row.Width+2; x += row.Width/7 + 1 {
				if index, _, _ := l.Index(row.X+x, row.Y+1); index < 0 || index > len(d.Runes) {
					t.Fatalf("place %d of %d", index, len(d.Runes))
				}
			}
		}
		l.Rects(0, len(d.Runes))
	})
}

// Names and previews are written with emoji as pictures, whatever fonts there are; where
// there are none Fyne writes.
func TestLinesOfTheWindowWithEmoji(t *testing.T) {
	fonts := NewFonts(theme.New(theme.Light), emoji.Load(), false)
	th := Dress(theme.New(theme.Light), func() *Fonts { return fonts })
	for line, want := range map[string]bool{"": false, "Anna Müller": false, "It’s “so” … · – 5 €": false, "© 2026 ™": false, "12:30 #1": false, "Hi 👍🏽": true, "1️⃣": true, "❤️": true, "שלום 😀": true} {
		if th.Wants(line) != want {
			t.Errorf("%q: wanted %v", line, !want)
		}
	}
	test.NewTempApp(t).Settings().SetTheme(th)
	colourful := func(o fyne.CanvasObject, size fyne.Size) (n int) {
		w := test.NewWindow(container.NewWithoutLayout(o))
		defer w.Close()
		w.Resize(fyne.NewSize(400, 60))
		o.Resize(size)
		img := w.Canvas().Capture()
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, g, b, _ := img.At(x, y).RGBA(); r>>8 > 200 && g>>8 > 120 && b>>8 < 110 {
					n++
					if x > int(size.Width)+8 {
						t.Fatalf("at %d something is drawn outside of %v", x, size)
					}
				}
			}
		}
		return n
	}
	line := widget.NewText("See you there 😀 and here 😀😀😀😀😀😀😀😀😀😀😀😀", theme.TextSecondary, theme.Dim).Shrink()
	all, some := colourful(line, fyne.NewSize(380, 20)), colourful(line, fyne.NewSize(130, 20))
	if some < 50 || all < 3*some {
		t.Errorf("%d yellow pixels in a part of the line, %d in all of it", some, all)
	}
	if n := colourful(line, fyne.NewSize(60, 20)); n != 0 {
		t.Errorf("%d yellow pixels where only words have room", n)
	}
	line.Set("See you there")
	if n := colourful(line, fyne.NewSize(380, 20)); n != 0 {
		t.Error("the pictures of another text stay")
	}
	if n := colourful(widget.NewPara("Remove Anna 😀? It cannot be brought back.", theme.TextBody, theme.Dim), fyne.NewSize(120, 60)); n < 50 {
		t.Errorf("%d yellow pixels in a paragraph", n)
	}
	if n := colourful(widget.NewAvatar("id", "☆ 😀", 40), fyne.NewSize(40, 40)); n < 30 {
		t.Errorf("%d yellow pixels in the avatar of a name of emoji alone", n)
	}
	if n := colourful(widget.NewAvatar("id", "😀 Anna", 40), fyne.NewSize(40, 40)); n != 0 {
		t.Error("a name with letters has its first letter in its avatar")
	}
	field := widget.NewField("")
	field.SetText("Hi 😀😀 there")
	if !fonts.Boxes(field.Text) || fonts.Boxes("See you – there ©") {
		t.Error("what a font lacks is not known")
	}
	fyne.CurrentApp().Settings().SetTheme(th.Pictured())
	if n := colourful(field, fyne.NewSize(200, 36)); n < 50 {
		t.Errorf("%d yellow pixels where one types", n)
	}
	plain, written := fyne.MeasureText("Anna", theme.TextBody, fyne.TextStyle{Bold: true}).Width, th.Width("Anna", theme.TextBody, fyne.TextStyle{Bold: true})
	if written < plain-1 || written > plain+2 {
		t.Errorf("a line is %v wide, Fyne's %v", written, plain)
	}
}

// A line is left to Fyne only where its own text is enough: it looks through every font of the system for each
// character that none has.
func TestLinesThatFyneCannotWrite(t *testing.T) {
	f := world(t)
	th := Dress(theme.New(theme.Light), func() *Fonts { return f })
	for line, want := range map[string]bool{
		"Anna": false, "Zoë Müller — “hi…”": false, "Anna 👍": true, "… 👍": true, "\u1100\u1100": true, "王小明": true, "🇦": true,
	} {
		if th.Wants(line) != want {
			t.Errorf("%q is ours to write: %v", line, !want)
		}
	}
	if !f.Has('a') || !f.Has('ë') || f.Has('\u1100') {
		t.Error("which characters there are fonts for")
	}
	if l := f.Cut(th.doc(strings.Repeat("\u1100", 9999), fyne.TextStyle{}), 14, 100, 1); len(l.Doc.Runes) > longest+1 || len(l.Rows) != 1 {
		t.Errorf("a line of %d characters in %d rows", len(l.Doc.Runes), len(l.Rows))
	}
}
