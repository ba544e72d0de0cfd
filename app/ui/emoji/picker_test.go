package emoji

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
)

func TestPickingByKeysAndByMouse(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	picked := ""
	p := NewPicker(Load(), lang.New("en"), []string{"🎉", "👍"}, func(s string) { picked = s })
	w := test.NewTempWindow(t, p)
	w.Resize(p.MinSize())
	g := p.grid
	key := func(k fyne.KeyName) { g.TypedKey(&fyne.KeyEvent{Name: k}) }

	w.Canvas().Focus(g)
	key(fyne.KeyReturn)
	if picked != "🎉" {
		t.Errorf("the first of those used lately is %q", picked)
	}
	key(fyne.KeyRight)
	key(fyne.KeyRight) // over the end of the line, and a headline
	key(fyne.KeySpace)
	if picked != "😀" {
		t.Errorf("the first of all is %q", picked)
	}
	if p.name.String() != "grinning face  :grinning:" {
		t.Errorf("it is called %q", p.name.String())
	}
	for range 300 {
		key(fyne.KeyDown)
		y := g.lines[g.row].y - g.offset
		if y < 0 || y+cell > g.Size().Height+1 {
			t.Fatalf("the current line is at %v", y)
		}
	}
	if g.row != len(g.lines)-1 {
		t.Errorf("300 lines down is line %d of %d", g.row, len(g.lines))
	}
	if len(g.rows) > 14 {
		t.Errorf("%d lines are drawn", len(g.rows))
	}

	p.tabs[3].Tapped(nil) // food
	g.Tapped(&fyne.PointEvent{Position: fyne.NewPos(10, headline+10)})
	if picked != "🍇" {
		t.Errorf("the first food is %q", picked)
	}
	g.MouseMoved(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(cell+5, headline+10)}})
	if p.name.String() != "melon  :melon:" {
		t.Errorf("the mouse is on %q", p.name.String())
	}
	g.TypedRune('w')
	for _, r := range "ave" {
		p.search.TypedRune(r)
	}
	if e, _ := g.first(); e.Text != "👋" {
		t.Errorf("wave finds %q", e.Text)
	}
	w.Canvas().Focus(g)
	key(desktop.KeyMenu)
	if w.Canvas().Overlays().Top() == nil {
		t.Error("no skin tones")
	}
	p.search.SetText("no such thing")
	if _, ok := g.first(); ok || len(g.lines) != 1 || g.lines[0].title == "" {
		t.Error("a search that finds nothing does not say so")
	}
}
