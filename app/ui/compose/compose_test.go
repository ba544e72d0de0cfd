package compose

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
)

// writer sits before a Composer.
type writer struct {
	*testing.T
	*Composer
	window fyne.Window
	clock  time.Time
	log    []string // what the Composer reported
}

func sit(t *testing.T) *writer {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	w := &writer{T: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	say := func(format string, a ...any) { w.log = append(w.log, fmt.Sprintf(format, a...)) }
	w.Composer = New(Config{
		Fonts: text.NewFonts(theme.New(theme.Light), emoji.Load(), false), Lang: lang.New("en"), Limit: 500,
		Now:        func() time.Time { return w.clock },
		OnSend:     func(s string, m Mode) { say("send %q reply=%s edit=%s", s, m.Reply, m.Edit) },
		OnDraft:    func(s string) { say("draft %q", s) },
		OnEditLast: func() { say("edit last") },
		OnEscape:   func() { say("escape") },
	})
	w.window = test.NewTempWindow(t, w.Composer)
	w.window.SetPadded(false)
	w.window.Resize(fyne.NewSize(600, 60))
	w.Composer.Open("Anna", "")
	w.Focus()
	return w
}

// types letters one by one, as fingers do.
func (w *writer) types(s string) {
	for _, r := range s {
		w.clock = w.clock.Add(80 * time.Millisecond)
		w.entry.TypedRune(r)
	}
}

func (w *writer) key(k fyne.KeyName) {
	w.clock = w.clock.Add(80 * time.Millisecond)
	w.entry.TypedKey(&fyne.KeyEvent{Name: k})
}

func (w *writer) shiftEnter() {
	w.entry.KeyDown(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
	w.key(fyne.KeyReturn)
	w.entry.KeyUp(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
}

// reported is the log since it was last asked for, without drafts unless they are
// wanted.
func (w *writer) reported(drafts bool) string {
	var out []string
	for _, l := range w.log {
		if drafts || !strings.HasPrefix(l, "draft") {
			out = append(out, l)
		}
	}
	w.log = nil
	return strings.Join(out, "\n")
}

func (w *writer) expect(what, want string) {
	w.Helper()
	if got := w.reported(false); got != want {
		w.Errorf("%s: reported %s, not %s", what, got, want)
	}
}

func TestEnterSendsAndShiftEnterBeginsALine(t *testing.T) {
	w := sit(t)
	if got := w.entry.AccessibilityLabel(); got != "Message Anna" {
		t.Errorf("the field is called %q", got)
	}
	w.key(fyne.KeyReturn)
	w.types("   ")
	w.key(fyne.KeyReturn)
	w.expect("nothing", "")
	w.types("hello")
	w.shiftEnter()
	w.types("world ")
	if w.Text() != "   hello\nworld " {
		t.Errorf("wrote %q", w.Text())
	}
	w.key(fyne.KeyReturn)
	w.expect("sent", `send "hello\nworld" reply= edit=`)
	if w.Text() != "" {
		t.Errorf("%q is left", w.Text())
	}
	w.EnterSends(false)
	w.types("a")
	w.key(fyne.KeyEnter)
	w.types("b")
	w.expect("Enter begins a line", "")
	w.shiftEnter()
	w.expect("Shift+Enter sends", `send "a\nb" reply= edit=`)
	w.types("c")
	w.entry.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyReturn, Modifier: fyne.KeyModifierControl})
	w.expect("so does Ctrl+Enter", `send "c" reply= edit=`)
}

func TestTheEnterThatEndsAnInputMethodDoesNotSend(t *testing.T) {
	w := sit(t)
	for _, r := range "こんにちは" { // a word at once
		w.entry.TypedRune(r)
	}
	w.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	w.clock = w.clock.Add(quiet - time.Millisecond)
	w.entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	w.expect("in the same moment", "")
	if w.Text() != "こんにちは" {
		t.Errorf("wrote %q", w.Text())
	}
	w.key(fyne.KeyReturn)
	w.expect("afterwards", `send "こんにちは" reply= edit=`)
}

func TestDraftsAreReported(t *testing.T) {
	w := sit(t)
	w.types("ab")
	w.key(fyne.KeyReturn)
	if got, want := w.reported(true), "draft \"a\"\ndraft \"ab\"\ndraft \"\"\nsend \"ab\" reply= edit="; got != want {
		t.Errorf("reported\n%s", got)
	}
	w.Composer.Open("Tomás", "was here")
	if w.Text() != "was here" || w.reported(true) != "" {
		t.Error("opening a draft changes it")
	}
	w.types("!")
	if w.Text() != "was here!" {
		t.Errorf("the cursor was not at the end: %q", w.Text())
	}
}

func TestAnsweringAndEditing(t *testing.T) {
	w := sit(t)
	w.key(fyne.KeyUp)
	w.expect("Up in an empty field", "edit last")
	w.types("half a thought")
	w.key(fyne.KeyUp)
	w.expect("Up in a text", "")
	w.reported(true)

	w.Edit("m7", "teh harbour")
	if !w.bar.Visible() || w.Text() != "teh harbour" {
		t.Errorf("editing %q", w.Text())
	}
	w.types("!")
	if got := w.reported(true); got != "" {
		t.Errorf("an edit is no draft: %s", got)
	}
	w.key(fyne.KeyEscape)
	if w.Text() != "half a thought" || w.bar.Visible() {
		t.Errorf("after Esc %q", w.Text())
	}
	w.Edit("m7", "teh harbour")
	w.Edit("m8", "another")
	w.key(fyne.KeyReturn)
	w.expect("edited", `send "another" reply= edit=m8`)
	if w.Text() != "half a thought" || w.Mode() != (Mode{}) {
		t.Errorf("after an edit %q", w.Text())
	}
	w.Reply("a3", "Anna", "Who brings the tent?")
	w.key(fyne.KeyReturn)
	w.expect("answered", `send "half a thought" reply=a3 edit=`)
	w.Reply("a3", "Anna", "Who brings the tent?")
	w.key(fyne.KeyEscape)
	w.key(fyne.KeyEscape)
	w.expect("left twice", "escape")
}

func TestItGrowsToSixRows(t *testing.T) {
	w := sit(t)
	heights := []float32{w.MinSize().Height}
	for i := range 9 {
		w.types(fmt.Sprint("line ", i))
		w.shiftEnter()
		heights = append(heights, w.MinSize().Height)
	}
	if heights[0] != theme.ComposerSize || !(heights[3] > heights[1]) || heights[5] <= heights[4] || heights[9] != heights[5] {
		t.Errorf("heights %v", heights)
	}
	w.key(fyne.KeyReturn)
	if got := w.MinSize().Height; got != heights[0] {
		t.Errorf("after sending it is %v high", got)
	}
	w.Insert(strings.Repeat("words that wrap ", 20))
	if got := w.MinSize().Height; got <= heights[1] {
		t.Errorf("a long line is %v high", got)
	}
}

func TestShortcodesAndThePicker(t *testing.T) {
	w := sit(t)
	w.types("at 14:00: :tada: and :nonsense:")
	if w.Text() != "at 14:00: 🎉 and :nonsense:" {
		t.Errorf("wrote %q", w.Text())
	}
	pick := func(name string) {
		w.Pick()
		if w.window.Canvas().Overlays().Top() == nil {
			t.Fatal("no picker")
		}
		for _, r := range name {
			w.window.Canvas().Focused().TypedRune(r)
		}
		w.window.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	}
	pick("pizza")
	if w.Text() != "at 14:00: 🎉 and :nonsense:🍕" || w.window.Canvas().Overlays().Top() != nil {
		t.Errorf("picked %q", w.Text())
	}
	pick("rocket")
	pick("pizza")
	pick("") // the one that was picked last
	if !strings.HasSuffix(w.Text(), "🍕🚀🍕🍕") || !slices.Equal(w.recent, []string{"🍕", "🚀"}) {
		t.Errorf("picked %q, and lately %q", w.Text(), w.recent)
	}
	if w.window.Canvas().Focused() != fyne.Focusable(w.entry) {
		t.Error("the keys do not write any more")
	}
}

func TestWhatCannotBeSentSaysWhy(t *testing.T) {
	w := sit(t)
	w.Insert(strings.Repeat("x", 512))
	if got := w.hint.String(); got != "12 bytes too long" {
		t.Errorf("it says %q", got)
	}
	w.key(fyne.KeyReturn)
	w.expect("too long", "")
	w.Composer.Open("Anna", "")
	w.Note("Encrypted")
	w.Disable("Anna is blocked.")
	if w.why.AccessibilityLabel() != "Anna is blocked." || !w.entry.Disabled() {
		t.Error("no reason is given")
	}
	w.entry.TypedRune('x')
	w.Pick()
	w.send()
	w.expect("disabled", "")
	w.Disable("")
	w.types("ok")
	if w.Text() != "ok" {
		t.Errorf("wrote %q", w.Text())
	}
}
