package settings

import (
	"fmt"
	"slices"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// person is what somebody has set.
type person struct {
	receipts bool
	notes    int
	size     int
	asked    int
}

func (p *person) pages() []Page {
	return []Page{
		{ID: "look", Name: "Appearance", Items: []Item{
			{ID: "size", Name: "Size of everything", Help: "Text and buttons.", Number: &Number{Value: p.size, Usual: 100, Min: 80, Max: 120, Step: 10,
				Text: func(n int) string { return fmt.Sprintf("%d %%", n) }, Set: func(n int) { p.size = n }}},
		}},
		{ID: "privacy", Name: "Privacy", Items: []Item{
			{ID: "receipts", Name: "Read receipts", Help: "Others see when you have read what they wrote.", Switch: &Switch{On: p.receipts, Usual: true, Set: func(on bool) { p.receipts = on }}},
			{ID: "notes", Name: "Notifications", Help: "What they tell.", Choice: &Choice{Names: []string{"Nothing", "Who wrote", "Who wrote, and what"}, At: p.notes, Usual: 1, Set: func(n int) { p.notes = n }}},
			{ID: "words", Name: "Recovery words", Help: "Write them down.", Do: &Action{Text: "Show them", Run: func() { p.asked++ }}},
			{ID: "about", Name: "Keys", Help: "They never leave this computer."},
		}},
	}
}

func view(t *testing.T, p *person) (*View, fyne.Window) {
	t.Helper()
	test.NewTempApp(t)
	test.ApplyTheme(t, theme.New(theme.Light))
	v := NewView(lang.New(), p.pages)
	w := test.NewTempWindow(t, v)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(theme.WindowMinW, theme.WindowMinH))
	return v, w
}

func names(pages []Page) (list []string) {
	for _, p := range pages {
		for _, i := range p.Items {
			list = append(list, p.ID+"/"+i.ID)
		}
	}
	return list
}

func TestFind(t *testing.T) {
	all := (&person{}).pages()
	for query, want := range map[string][]string{
		"":               {"look/size", "privacy/receipts", "privacy/notes", "privacy/words", "privacy/about"},
		"READ":           {"privacy/receipts"},
		"wrote":          {"privacy/receipts", "privacy/notes"},
		"what who":       {"privacy/notes"}, // all words, in any order, and in what can be chosen
		"appearance":     {"look/size"},
		"show":           {"privacy/words"},
		"no such":        nil,
		"  size  \tof  ": {"look/size"},
	} {
		if got := names(Find(all, query)); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
}

func TestChanged(t *testing.T) {
	p := &person{receipts: true, notes: 1, size: 100}
	for _, page := range p.pages() {
		for _, i := range page.Items {
			if i.Changed() {
				t.Errorf("%s is as usual", i.ID)
			}
		}
	}
	changed := 0
	for _, page := range (&person{size: 90}).pages() {
		for _, i := range page.Items {
			if i.Changed() {
				changed++
			}
		}
	}
	if changed != 3 {
		t.Errorf("%d changed", changed)
	}
}

// Everything is set by keyboard alone, holds at once, keeps the focus, and says what
// it is.
func TestSettingByKeyboard(t *testing.T) {
	p := &person{receipts: true, notes: 1, size: 110}
	v, w := view(t, p)
	v.Open("privacy")
	r := v.rows[0]
	if r.dot.Visible() || r.toggle.press.AccessibilityLabel() != "Read receipts: on" {
		t.Errorf("changed %v, %q", r.dot.Visible(), r.toggle.press.AccessibilityLabel())
	}
	w.Canvas().Focus(r.toggle.press)
	r.toggle.press.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	if p.receipts || !r.dot.Visible() || r.toggle.press.AccessibilityLabel() != "Read receipts: off" {
		t.Errorf("%+v, changed %v, %q", p, r.dot.Visible(), r.toggle.press.AccessibilityLabel())
	}
	if w.Canvas().Focused() != fyne.Focusable(r.toggle.press) || v.rows[0] != r {
		t.Error("the focus was lost")
	}
	v.rows[1].chips[2].TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	test.Tap(v.rows[2].box.(*fyne.Container).Objects[0].(*fyne.Container).Objects[1].(*fyne.Container).Objects[0].(*widget.Button))
	if p.notes != 2 || p.asked != 1 {
		t.Errorf("%+v", p)
	}
	v.Open("look")
	for range 3 {
		v.rows[0].more.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	}
	if p.size != 120 || !v.rows[0].more.Disabled() || v.rows[0].less.Disabled() || v.rows[0].value.String() != "120 %" {
		t.Errorf("%+v, %q", p, v.rows[0].value)
	}
}

func TestSearching(t *testing.T) {
	v, w := view(t, &person{size: 100})
	w.Canvas().Focus(v.Search())
	v.Search().SetText("wrote")
	if len(v.rows) != 2 {
		t.Errorf("%d rows", len(v.rows))
	}
	v.Search().SetText("zzz")
	if len(v.rows) != 0 || len(v.column.Objects) != 1 {
		t.Errorf("%d rows, %d objects", len(v.rows), len(v.column.Objects))
	}
	v.Search().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if v.Search().Text != "" || len(v.rows) != 1 || v.rows[0].item.ID != "size" {
		t.Errorf("after Escape: %q, %d rows", v.Search().Text, len(v.rows))
	}
}

// At the least width of the window nothing is wider than it, in both themes.
func TestSettingsFit(t *testing.T) {
	v, w := view(t, &person{size: 100})
	for _, page := range []string{"look", "privacy"} {
		v.Open(page)
		for _, m := range []theme.Mode{theme.Light, theme.Dark} {
			test.ApplyTheme(t, theme.New(m))
			if width := v.MinSize().Width; width > theme.WindowMinW-theme.RailWidth {
				t.Errorf("%s is %v wide", page, width)
			}
			if img := software.RenderCanvas(w.Canvas(), fyne.CurrentApp().Settings().Theme()); img.Bounds().Dx() < int(theme.WindowMinW) {
				t.Errorf("%s: %v", page, img.Bounds())
			}
		}
	}
}
