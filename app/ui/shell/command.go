package shell

import (
	"runtime"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"github.com/godwit-im/godwit/app/ui/lang"
)

// Command is something that a person can do in the window: one row of the table that
// makes the menu, the shortcuts, the palette and the help sheet.
type Command struct {
	ID   string // stable, for tests and settings
	Name string // marked with lang.Mark, translated where it is shown
	Group
	Keys []Key // the first is the one that is shown
	Run  func()
	// When says whether it can be done now; nil: always.
	When func() bool
}

// Group is where a command stands in the menu and on the help sheet.
type Group string

// The groups in their order.
const (
	People Group = "People"
	Chat   Group = "Chat"
	Go     Group = "Go to"
	View   Group = "View"
)

// Groups are the groups in their order, and what they are called.
var groups = [...]Group{People, Chat, Go, View}

// Title is what a group is called.
func (g Group) Title(l *lang.Lang) string {
	switch g {
	case People:
		return l.T("People")
	case Chat:
		return l.T("Chat")
	case Go:
		return l.T("Go to")
	}
	return l.T("View")
}

// Key is a key with what is held down.
type Key struct {
	Mod fyne.KeyModifier
	Key fyne.KeyName
}

// Ctrl is the key with the modifier that commands have: Control, on a Mac Command.
func Ctrl(k fyne.KeyName) Key { return Key{fyne.KeyModifierShortcutDefault, k} }

// CtrlShift is Ctrl with Shift.
func CtrlShift(k fyne.KeyName) Key {
	return Key{fyne.KeyModifierShortcutDefault | fyne.KeyModifierShift, k}
}

// Alt is the key with Alt.
func Alt(k fyne.KeyName) Key { return Key{fyne.KeyModifierAlt, k} }

// Name is String as keyboards of a language have it: Strg+Umschalt+M.
func (k Key) Name(l *lang.Lang) string {
	return strings.NewReplacer("Ctrl", l.T("Ctrl"), "Shift", l.T("Shift"), "Space", l.T("Space")).Replace(k.String())
}

// String is the key as on a keyboard: Ctrl+Shift+M.
func (k Key) String() string {
	var parts []string
	add := func(m fyne.KeyModifier, name string) {
		if k.Mod&m != 0 {
			parts = append(parts, name)
		}
	}
	add(fyne.KeyModifierControl, "Ctrl")
	add(fyne.KeyModifierSuper, "⌘")
	add(fyne.KeyModifierAlt, "Alt")
	add(fyne.KeyModifierShift, "Shift")
	name := string(k.Key)
	switch k.Key {
	case fyne.KeyUp:
		name = "↑"
	case fyne.KeyDown:
		name = "↓"
	case fyne.KeyPlus, fyne.KeyEqual:
		name = "+"
	case fyne.KeyMinus:
		name = "−"
	case fyne.KeyEscape:
		name = "Esc"
	}
	sep := "+"
	if runtime.GOOS == "darwin" {
		sep = ""
	}
	return strings.Join(append(parts, name), sep)
}

func (k Key) shortcut() fyne.Shortcut {
	return &desktop.CustomShortcut{KeyName: k.Key, Modifier: k.Mod}
}

// Typed does the command of a key that is pressed by itself, and says whether there was
// one that can be done now.
func Typed(commands []Command, e *fyne.KeyEvent) bool {
	for _, c := range commands {
		for _, k := range c.Keys {
			if k.Mod == 0 && k.Key == e.Name && c.Can() {
				c.Run()
				return true
			}
		}
	}
	return false
}

// Can says whether a command can be done now.
func (c Command) Can() bool { return c.Run != nil && (c.When == nil || c.When()) }

// Find is the commands that can be done now and whose names have all the words of a
// query, in any case; those where one begins a name are first.
func Find(l *lang.Lang, all []Command, query string) []Command {
	words := strings.Fields(strings.ToLower(query))
	var first, rest []Command
	for _, c := range all {
		if !c.Can() {
			continue
		}
		name := strings.ToLower(l.T(c.Name))
		hits, starts := 0, false
		for _, w := range words {
			if strings.Contains(name, w) {
				hits++
			}
			starts = starts || strings.HasPrefix(name, w)
		}
		switch {
		case hits < len(words):
		case starts:
			first = append(first, c)
		default:
			rest = append(rest, c)
		}
	}
	return append(first, rest...)
}
