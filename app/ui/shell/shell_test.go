package shell

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/app/ui/theme"
)

func TestTheWindowIsAsItWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "window.json")
	if got := LoadLook(path); got != fallback() {
		t.Errorf("without a file: %+v", got)
	}
	want := Look{Width: 900, Height: 700, List: 300, Mode: theme.Dark, Scale: 120, Lang: "fr"}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	if got := LoadLook(path); got != want {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".window-*")); len(left) > 0 {
		t.Errorf("%q is left over", left)
	}
	if err := want.Save(filepath.Join(t.TempDir(), "nowhere", "window.json")); err == nil {
		t.Error("it was kept where it cannot be")
	}
}

func TestADamagedFileIsNoHarm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "window.json")
	for text, want := range map[string]Look{
		"":                               fallback(),
		"{":                              fallback(),
		`{"width":-1,"height":1e30}`:     fallback(),
		`{"mode":"pink","scale":1000}`:   fallback(),
		`{"scale":105,"list":5}`:         fallback(),
		`{"width":1000,"unknown":[1,2]}`: {Width: 1000, Height: 760, List: theme.ListWidth, Mode: theme.System, Scale: 100},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := LoadLook(path); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestPanesByWidth(t *testing.T) {
	for _, c := range []struct {
		width                  float32
		list, content, details bool
		want                   Place
		single                 bool
	}{
		{1280, true, true, false, Place{72, 328, 880, 0}, false},
		{1280, true, true, true, Place{72, 328, 580, 300}, false},
		{1000, true, true, true, Place{72, 328, 0, 600}, false}, // details take the content's place
		{1000, false, true, false, Place{72, 0, 928, 0}, false},
		{760, true, false, false, Place{72, 268, 420, 0}, false},
		{759, true, false, false, Place{72, 687, 0, 0}, true},
		{560, true, true, false, Place{0, 0, 560, 0}, true},
		{560, true, true, true, Place{0, 0, 0, 560}, true},
		{560, false, false, false, Place{72, 0, 488, 0}, true},
	} {
		got, single := Arrange(c.width, theme.ListWidth, c.list, c.content, c.details)
		if got != c.want || single != c.single {
			t.Errorf("%v: %+v %v, want %+v", c, got, single, c.want)
		}
	}
}

func TestKeysAreCalledAsOnTheKeyboard(t *testing.T) {
	if got := (Key{Mod: Ctrl("K").Mod, Key: "K"}).String(); got != "Ctrl+K" && got != "⌘K" {
		t.Error(got)
	}
	if got := Alt("Down").String(); got != "Alt+↓" && got != "Alt↓" {
		t.Error(got)
	}
}
