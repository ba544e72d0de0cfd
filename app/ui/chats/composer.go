package chats

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Composer is where a message is written: Enter sends, Shift+Enter begins a new line.
type Composer struct {
	fynewidget.BaseWidget
	all   fyne.CanvasObject
	Entry *writing
	send  func(string)
}

// NewComposer is an empty composer.
func NewComposer(l *lang.Lang, send, draft func(string)) *Composer {
	c := &Composer{send: send}
	c.Entry = &writing{submit: c.Send}
	c.Entry.MultiLine, c.Entry.Wrapping = true, fyne.TextWrapWord
	c.Entry.ExtendBaseWidget(c.Entry)
	c.Entry.SetMinRowsVisible(1)
	c.Entry.OnChanged = func(text string) {
		c.Entry.SetMinRowsVisible(min(max(strings.Count(text, "\n")+1, 1), 6))
		draft(text)
	}
	button := widget.NewRoundButton("send", l.T("Send"), theme.ComposerSize, c.Send)
	c.all = widget.Edge(nil, nil, nil, widget.Inset(theme.Space3+2, 0, 0, 0, widget.ColumnTop(theme.ComposerSize, button)), widget.Roomy(c.Entry))
	c.ExtendBaseWidget(c)
	return c
}

// CreateRenderer implements fyne.Widget.
func (c *Composer) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(c.all) }

// Send sends what is written, if it is anything.
func (c *Composer) Send() {
	text := strings.TrimSpace(c.Entry.Text)
	if text != "" {
		c.Entry.SetText("")
		c.send(text)
	}
}

// Set puts a draft in place.
func (c *Composer) Set(text string) {
	if c.Entry.Text != text {
		c.Entry.SetText(text)
	}
}

// writing is the entry of a composer.
type writing struct {
	fynewidget.Entry
	submit func()
	// Escape is called for that key.
	Escape func()
}

// TypedKey implements fyne.Focusable.
func (w *writing) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter {
		if d, ok := fyne.CurrentApp().Driver().(desktop.Driver); !ok || d.CurrentKeyModifiers()&fyne.KeyModifierShift == 0 {
			w.submit()
			return
		}
	}
	if e.Name == fyne.KeyEscape && w.Escape != nil {
		w.Escape()
		return
	}
	if !widget.ForwardKey(w, e) {
		w.Entry.TypedKey(e)
	}
}

// TypedShortcut implements fyne.Shortcutable.
func (w *writing) TypedShortcut(s fyne.Shortcut) {
	if !widget.Forward(w, s) {
		w.Entry.TypedShortcut(s)
	}
}
