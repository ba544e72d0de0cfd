package chats

import (
	"fmt"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// The list shows each row as it was set last, wherever it was scrolled to and whichever
// colours there were meanwhile.
func TestTheListShowsWhatItWasSet(t *testing.T) {
	test.NewTempApp(t)
	test.ApplyTheme(t, theme.New(theme.Light))
	v := NewList(english, ListActions{})
	w := test.NewTempWindow(t, v)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(320, 600))
	rows := make([]Row, 40)
	for i := range rows {
		rows[i] = Row{ID: fmt.Sprint(i), Name: fmt.Sprint("Person ", i), Said: "hello"}
	}
	set := func(change func(rows []Row) []Row) {
		rows = change(append([]Row(nil), rows...))
		v.Set(rows, "")
	}
	shown := func(at int) *rowView {
		t.Helper()
		view := v.views[at]
		if view == nil {
			t.Fatalf("row %d is not in the window", at)
		}
		return view
	}
	same := func(at int) {
		t.Helper()
		view, r := shown(at), rows[at]
		if view.name.String() != r.Name || view.said.String() != r.Said || view.badge.Visible() != (r.Unread > 0) || view.press.Visible() != (r.Head == "") || view.inks != theme.Inks() {
			t.Errorf("row %d is %q %q, want %+v", at, view.name.String(), view.said.String(), r)
		}
	}
	set(func(r []Row) []Row { return r })
	same(2)
	untouched := shown(3)
	set(func(r []Row) []Row { r[2].Said, r[2].Unread = "new", 3; return r })
	same(2)
	same(3)
	if shown(3) != untouched {
		t.Error("a row that stayed as it was is shown by another widget")
	}
	v.ScrollTo(39)
	same(39)
	test.ApplyTheme(t, theme.New(theme.Dark))
	set(func(r []Row) []Row { r[1].Said, r[39].Said = "above", "below"; return r })
	same(39)
	v.ScrollTo(0)
	same(1)
	same(2)
	set(func(r []Row) []Row { return append([]Row{{Head: "People"}}, r[:4]...) })
	same(0)
	same(1)
	set(func(r []Row) []Row { r[0], r[1] = Row{ID: "x", Name: "X"}, Row{Head: "Messages"}; return r })
	same(0)
	same(1)
	set(func([]Row) []Row { return nil })
	if !v.empty.Visible() {
		t.Error("an empty list does not say so")
	}
}
