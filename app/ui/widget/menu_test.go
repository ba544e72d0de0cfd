package widget

import (
	"fmt"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Everything in a menu can be chosen by keys and by clicks, the menus in it too, and it
// stays within the window wherever it is asked for.
func TestAMenuIsReadByKeysAndByClicks(t *testing.T) {
	field := NewField("Message")
	w := window(t, container.NewStack(field))
	w.Resize(fyne.NewSize(500, 400))
	c := w.Canvas()
	done := ""
	do := func(s string) func() { return func() { done += s + " " } }
	menu := Menu{
		Picks: []Pick{{Name: "thumb", Picture: Gap(24, 24), Do: do("thumb")}, {Name: "heart", Picture: Gap(24, 24), Checked: true, Do: do("heart")}},
		Items: []Item{
			{Name: "Answer", Icon: "reply", Do: do("answer")},
			{Name: "Mute", Icon: "mute", More: []Item{{Name: "For an hour", Do: do("hour")}, {Name: "Always", Checked: true, Do: do("always")}}},
			{},
			{Name: "Delete", Icon: "trash", Hint: "Ctrl+D", Grave: true, Do: do("delete")},
		},
	}
	open := func() *menuSheet {
		t.Helper()
		ShowMenu(c, menu, fyne.NewPos(490, 390))
		s, ok := c.Overlays().Top().(*menuSheet)
		if !ok || c.Focused() != fyne.Focusable(s) {
			t.Fatal("no menu has the keys")
		}
		return s
	}
	for _, way := range []struct{ keys, wants string }{
		{"Down Return", "answer"},
		{"Up Return", "delete"},
		{"Down Up Return", "thumb"}, // they are above the first
		{"Down Up Right Return", "heart"},
		{"Down Up Left Return", "heart"}, // round
		{"Down Up Left Left Return", "thumb"},
		{"End -_", "delete"},
		{"Down Down Right Down Return", "always"},
		{"Down Down Return Return", "hour"},
		{"Down Down Right Left Return Return", "hour"},
		{"Down Down Down Down Down Return", "answer"}, // round, by the pictures
		{"Home Tab Tab Return", "delete"},
		{"-d Return", "delete"},
		{"-mu Return Return", "hour"},
		{"-mu Return -for_an Return", "hour"},
		{"-xa Return", "answer"}, // nothing begins with xa: what was typed last counts
		{"Return Escape", ""},
		{"-m Return Escape Escape", ""}, // out of the menu in it, and out of it
	} {
		done = ""
		s := open()
		for k := range strings.FieldsSeq(way.keys) {
			if runes, ok := strings.CutPrefix(k, "-"); ok {
				for _, r := range strings.ReplaceAll(runes, "_", " ") {
					s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyName(strings.ToUpper(string(r)))}) // a window tells both
					s.TypedRune(r)
				}
				continue
			}
			s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyName(k)})
		}
		if strings.TrimSpace(done) != way.wants || c.Overlays().Top() != nil {
			t.Errorf("%s: did %q, wants %q; open: %v", way.keys, done, way.wants, c.Overlays().Top() != nil)
		}
	}

	s := open()
	if at, end := s.box.Position(), s.box.Position().Add(s.box.Size()); at.X < 0 || at.Y < 0 || end.X > 500 || end.Y > 400 {
		t.Errorf("the menu is at %v to %v", at, end)
	}
	test.Tap(s.rows[1])
	if s.above != "Mute" || c.Focused() != fyne.Focusable(s) {
		t.Error("a click does not go into the menu")
	}
	done = ""
	test.Tap(s.rows[1])
	if done != "always " {
		t.Errorf("a click did %q", done)
	}
	s = open()
	s.Tapped(nil)
	if c.Overlays().Top() != nil {
		t.Error("a click beside it leaves it open")
	}
	for i := range 40 {
		menu.Items = append(menu.Items, Item{Name: fmt.Sprint("More ", i)})
	}
	s = open()
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	if s.box.Size().Height > 400-theme.Space3 || s.scroll.Offset.Y == 0 {
		t.Error("a long menu does not scroll to its mark")
	}
	if !IsMenuKey(&fyne.KeyEvent{Name: desktop.KeyMenu}) || IsMenuKey(&fyne.KeyEvent{Name: fyne.KeyF9}) {
		t.Error("the Menu key")
	}
}
