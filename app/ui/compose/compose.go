// Package compose has the Composer: where somebody writes a message. It grows with the
// text, answers and edits, offers emoji, and keeps what is written as a draft through
// its Config. It knows nothing of accounts or of how messages are sent.
package compose

import (
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	parts "github.com/godwit-im/godwit/app/ui/widget"
)

// Mode is what a text will be, besides a message: an answer, or a new version of one.
// The zero value is neither.
type Mode struct {
	Reply string // id of the message that is answered
	Edit  string // id of the message that is edited
}

// Config is what a Composer works with. The functions may be nil, and are called on
// the goroutine of the user interface.
type Config struct {
	Fonts *text.Fonts
	Lang  *lang.Lang
	Now   func() time.Time // nil: time.Now
	Limit int              // the most bytes of a message, 0: no limit

	OnSend     func(text string, m Mode) // not called without text
	OnDraft    func(text string)         // what is written changed; not while a message is edited
	OnTyping   func()                    // a letter was typed
	OnEditLast func()                    // Up in an empty field
	OnEscape   func()                    // Esc, with nothing left to leave
	OnBoxes    func()                    // there are emoji in the text that no font has
}

// Measures, in px.
const (
	most   = 6 // rows, from which on the text scrolls
	button = 40
	inset  = 10 // left of the text, besides the field's own
)

// recentEmoji is how many emoji are offered as chosen lately. They are forgotten with the window:
// what is kept of that is not sealed.
const recentEmoji = 24

// Composer is the widget. Make it with New; Open says whom it writes to.
type Composer struct {
	widget.BaseWidget
	cfg        Config
	entry      *entry
	mode       Mode
	kept       string // the draft, while a message is edited
	enterSends bool
	reason     string // why nothing can be written, "" if it can
	rows       int

	field   *canvas.Rectangle
	text    fyne.CanvasObject // the entry without its edge
	smile   *parts.Press
	sendBtn *parts.Press
	hint    *parts.Text // at the right: what is wrong, or what is good to know
	note    string      // the hint when nothing is wrong
	why     *text.MessageText
	bar     *replyBar
	popup   *widget.PopUp
	recent  []string // emoji that were chosen, the last one first
	focused bool
}

var _ fyne.Widget = (*Composer)(nil)

// New is a Composer that sends by Enter.
func New(cfg Config) *Composer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Composer{cfg: cfg, enterSends: true, rows: 1, field: canvas.NewRectangle(nil)}
	c.entry = newEntry(c)
	c.entry.OnChanged = c.changed
	c.text = container.NewThemeOverride(c.entry, bare{})
	c.smile = parts.NewIconButton("emoji", cfg.Lang.T("Emoji"), c.Pick)
	c.sendBtn = parts.NewRoundButton("send", cfg.Lang.T("Send"), theme.ComposerSize, c.send)
	c.hint = parts.NewText("", theme.TextCaption, theme.Faint)
	c.bar = newReplyBar(c)
	c.bar.Hide()
	c.why = text.NewMessageText(cfg.Fonts, c.plain(""), theme.TextSecondary, func() text.Colours {
		return text.Colours{Text: theme.Color(theme.Dim), Link: theme.Color(theme.Accent), Faint: theme.Color(theme.Faint)}
	})
	c.why.Hide()
	c.ExtendBaseWidget(c)
	return c
}

func (c *Composer) plain(s string) *text.Doc {
	return text.Parse(text.OneLine(s), text.Options{Emoji: c.cfg.Fonts.Emoji(), Plain: true, Runes: 300})
}

// Open writes to somebody else, with the draft that was left there.
func (c *Composer) Open(name, draft string) {
	c.mode, c.kept = Mode{}, ""
	c.bar.Hide()
	c.Called(name)
	c.quietly(draft)
	c.Disable("")
}

// Called says what whoever is written to is called now; nobody is: it is a note.
func (c *Composer) Called(name string) {
	var b strings.Builder
	for cluster := range emoji.Clusters(text.OneLine(name)) { // Fyne writes here, in whatever fonts there are
		_, picture := c.cfg.Fonts.Emoji().Lookup(cluster)
		if boxes := strings.ContainsFunc(cluster, func(r rune) bool { return !c.cfg.Fonts.Has(r) }); !picture && !boxes {
			b.WriteString(cluster)
		}
	}
	p := strings.TrimSpace(c.cfg.Lang.T("Message {name}", "name", strings.Join(strings.Fields(b.String()), " ")))
	if name == "" {
		p = c.cfg.Lang.T("Write a note")
	}
	if p != c.entry.PlaceHolder {
		c.entry.SetPlaceHolder(p)
	}
}

// quietly sets the text, which is no change by whoever writes.
func (c *Composer) quietly(s string) {
	c.entry.OnChanged = nil
	c.entry.SetText(s)
	c.entry.OnChanged = c.changed
	c.toEnd()
	c.measure()
}

// toEnd puts the cursor behind the last letter.
func (c *Composer) toEnd() {
	c.entry.Entry.TypedKey(&fyne.KeyEvent{Name: fyne.KeyPageDown})
}

// Text is what is written.
func (c *Composer) Text() string { return c.entry.Text }

// Draft is what is written to be sent: while a message is edited, what waits meanwhile.
func (c *Composer) Draft() string {
	if c.mode.Edit != "" {
		return c.kept
	}
	return c.entry.Text
}

// Mode is what it will be.
func (c *Composer) Mode() Mode { return c.mode }

// EnterSends says whether Enter sends and Shift+Enter begins a line, or the other way
// round.
func (c *Composer) EnterSends(yes bool) { c.enterSends = yes }

// Note is a word at the right of an empty field: what is good to know before writing.
func (c *Composer) Note(s string) {
	c.note = s
	c.hints()
}

// Disable shows why nothing can be written; an empty reason ends that.
func (c *Composer) Disable(reason string) {
	c.reason = reason
	if reason != "" {
		c.entry.Disable()
		c.why.SetDoc(c.plain(reason))
		c.why.Show()
		c.text.Hide()
		c.bar.Hide()
	} else {
		c.entry.Enable()
		c.why.Hide()
		c.text.Show()
	}
	c.hints()
	c.Refresh()
}

// Reply answers a message: its author and text are shown above what is written.
func (c *Composer) Reply(id, name, quoted string) {
	if c.mode.Edit != "" {
		c.quietly(c.kept)
	}
	c.mode = Mode{Reply: id}
	c.bar.show("reply", c.cfg.Lang.T("Answer to {name}", "name", text.OneLine(name)), quoted)
	c.measure()
	c.Focus()
}

// Edit takes a message that was sent into the field. The draft returns afterwards.
func (c *Composer) Edit(id, was string) {
	if c.mode.Edit == "" {
		c.kept = c.entry.Text
	}
	c.mode = Mode{Edit: id}
	c.bar.show("edit", c.cfg.Lang.T("Edit message"), was)
	c.quietly(was)
	c.Focus()
}

// Leave ends answering or editing.
func (c *Composer) Leave() {
	edited := c.mode.Edit != ""
	c.mode = Mode{}
	c.bar.Hide()
	if edited {
		c.quietly(c.kept)
		c.kept = ""
	}
	c.measure()
}

// escape leaves one thing after the other.
func (c *Composer) escape() {
	switch {
	case c.mode != (Mode{}):
		c.Leave()
	case c.cfg.OnEscape != nil:
		c.cfg.OnEscape()
	}
}

// Focus lets the keys write here.
func (c *Composer) Focus() {
	if w := fyne.CurrentApp().Driver().CanvasForObject(c.entry); w != nil && c.reason == "" {
		w.Focus(c.entry)
	}
}

// Field is what the focus goes to: for Canvas.Focus, where Focus does not know the
// canvas yet, because this was never shown.
func (c *Composer) Field() fyne.Focusable { return c.entry }

// Type writes a letter that was typed elsewhere, and goes on here.
func (c *Composer) Type(r rune) {
	c.Focus()
	c.entry.TypedRune(r)
}

// Insert writes text at the cursor.
func (c *Composer) Insert(s string) {
	c.entry.insert(s)
	c.Focus()
}

func (c *Composer) changed(s string) {
	c.measure()
	if c.mode.Edit == "" && c.cfg.OnDraft != nil {
		c.cfg.OnDraft(s)
	}
	if s != "" && c.cfg.OnTyping != nil {
		c.cfg.OnTyping()
	}
}

// over is how many bytes a text is too long.
func (c *Composer) over() int {
	if c.cfg.Limit == 0 {
		return 0
	}
	return max(0, len(c.entry.Text)-c.cfg.Limit)
}

// send hands the text over and begins anew.
func (c *Composer) send() {
	s := strings.TrimSpace(c.entry.Text)
	if s == "" || c.reason != "" || c.over() > 0 {
		return
	}
	m, kept := c.mode, c.kept
	c.mode, c.kept = Mode{}, ""
	c.bar.Hide()
	c.quietly(kept)
	if m.Edit == "" && c.cfg.OnDraft != nil {
		c.cfg.OnDraft("")
	}
	if c.cfg.OnSend != nil {
		c.cfg.OnSend(s, m)
	}
}

// measure grows or shrinks with the text.
func (c *Composer) measure() {
	if c.cfg.OnBoxes != nil && c.cfg.Fonts.Boxes(c.entry.Text) {
		c.cfg.OnBoxes()
	}
	rows := 1
	if width := c.entry.Size().Width - 2*theme.Space3; width > 20 && c.entry.Text != "" {
		doc := text.Parse(c.entry.Text, text.Options{Plain: true, Runes: 4000, Lines: most + 1})
		rows = len(c.cfg.Fonts.Layout(doc, theme.TextBody, width).Rows)
		rows += strings.Count(c.entry.Text[len(strings.TrimRight(c.entry.Text, "\n")):], "\n")
	}
	rows = min(rows, most)
	c.hints()
	if rows != c.rows {
		c.rows = rows
		c.entry.SetMinRowsVisible(rows)
	}
	c.Refresh()
}

// hints says what is wrong, or the note if there is room.
func (c *Composer) hints() {
	switch over := c.over(); {
	case c.reason != "":
		c.hint.Set("")
	case over > 0:
		c.hint.Paint(theme.Danger)
		c.hint.Set(c.cfg.Lang.N("{n} bytes too long", over))
	case c.entry.Text == "" && c.mode == (Mode{}):
		c.hint.Paint(theme.Faint)
		c.hint.Set(c.note)
	default:
		c.hint.Set("")
	}
}

func (c *Composer) focus(on bool) {
	c.focused = on
	c.Refresh()
}

// Pick shows the emoji, and inserts the one that is chosen.
func (c *Composer) Pick() { c.PickFor(c.Insert) }

// PickFor shows the emoji, for something else than what is being written.
func (c *Composer) PickFor(do func(emoji string)) {
	w := fyne.CurrentApp().Driver().CanvasForObject(c)
	if w == nil || c.reason != "" {
		return
	}
	picker := emoji.NewPicker(c.cfg.Fonts.Emoji(), c.cfg.Lang, c.recent, func(s string) {
		c.popup.Hide()
		do(s)
		others := slices.DeleteFunc(c.recent, func(r string) bool { return r == s })
		c.recent = slices.Insert(others[:min(len(others), recentEmoji-1)], 0, s)
	})
	c.popup = widget.NewPopUp(parts.Stack(parts.NewFill(theme.Sheet, theme.RadiusCard).Edged(theme.Line), picker), w)
	size := picker.MinSize()
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(c).Add(c.smile.Position())
	at = at.SubtractXY(size.Width-button, size.Height+theme.Space5)
	c.popup.ShowAtPosition(fyne.NewPos(max(4, at.X), max(4, at.Y)))
	w.Focus(picker.Focus())
}

// CreateRenderer implements fyne.Widget.
func (c *Composer) CreateRenderer() fyne.WidgetRenderer {
	return &renderer{c}
}

type renderer struct{ c *Composer }

// room is the width of the field, without the button beside it.
func (r *renderer) room(s fyne.Size) float32 {
	return max(40, s.Width-theme.ComposerSize-theme.Space4)
}

// height is that of the text, or of the words that stand in its place.
func (r *renderer) height() float32 {
	if r.c.reason != "" {
		return max(theme.ComposerSize, r.c.why.MinSize().Height+2*theme.Space4)
	}
	return max(theme.ComposerSize, r.c.entry.MinSize().Height+4)
}

func (r *renderer) bar() float32 {
	if r.c.bar.Visible() {
		return barHeight
	}
	return 0
}

func (r *renderer) Layout(s fyne.Size) {
	c := r.c
	width := r.room(s)
	if c.reason != "" {
		width = s.Width
	}
	bar, h := r.bar(), r.height()
	c.field.Move(fyne.NewPos(0, 0))
	c.field.Resize(fyne.NewSize(width, bar+h))
	c.bar.Move(fyne.NewPos(0, 0))
	c.bar.Resize(fyne.NewSize(width, bar))
	c.why.Resize(fyne.NewSize(width-2*theme.Space5, h))
	c.why.Move(fyne.NewPos(theme.Space5, (h-c.why.MinSize().Height)/2))
	c.smile.Resize(fyne.NewSquareSize(button))
	c.smile.Move(fyne.NewPos(width-button-3, bar+h-button-2))
	c.sendBtn.Resize(fyne.NewSquareSize(theme.ComposerSize))
	c.sendBtn.Move(fyne.NewPos(s.Width-theme.ComposerSize, bar+h-theme.ComposerSize))

	eh := c.entry.MinSize().Height
	end := width - button - 6
	if hint := c.hint.MinSize(); hint.Width > 0 && width > 360 {
		c.hint.Resize(hint)
		c.hint.Move(fyne.NewPos(end-hint.Width, bar+h-(theme.ComposerSize+hint.Height)/2))
		c.hint.Show()
		end -= hint.Width + theme.Space3
	} else {
		c.hint.Hide()
	}
	was := c.entry.Size().Width
	c.text.Resize(fyne.NewSize(end-inset, eh))
	c.text.Move(fyne.NewPos(inset, bar+(h-eh)/2))
	if c.entry.Size().Width != was {
		c.measure()
	}
}

func (r *renderer) MinSize() fyne.Size { return fyne.NewSize(240, r.bar()+r.height()) }

func (r *renderer) Objects() []fyne.CanvasObject {
	c := r.c
	if c.reason != "" {
		return []fyne.CanvasObject{c.field, c.why}
	}
	return []fyne.CanvasObject{c.field, c.bar, c.text, c.hint, c.smile, c.sendBtn}
}

func (r *renderer) Destroy() {}

func (r *renderer) Refresh() {
	c := r.c
	c.field.CornerRadius = theme.ComposerSize / 2
	c.field.FillColor, c.field.StrokeColor, c.field.StrokeWidth = theme.Color(theme.Canvas), theme.Color(theme.Edge), 1
	if c.reason != "" {
		c.field.FillColor, c.field.StrokeColor = theme.Color(theme.Pane), theme.Color(theme.Line)
	} else if c.focused {
		c.field.StrokeColor, c.field.StrokeWidth = theme.Color(theme.Focus), 2
	}
	r.Layout(c.Size())
	c.field.Refresh()
	c.smile.Refresh()
	c.sendBtn.Refresh()
}

// replyBar stands above the text and says what it answers, or that it changes
// something.
type replyBar struct {
	widget.BaseWidget
	c     *Composer
	icon  *parts.Icon
	name  *parts.Text
	quote *text.Block
	doc   *text.Doc
	line  *canvas.Rectangle
	leave *parts.Press
}

const barHeight = 52

func newReplyBar(c *Composer) *replyBar {
	b := &replyBar{
		c: c, icon: parts.NewIcon("reply", 18, theme.Accent), name: parts.NewText("", theme.TextCaption, theme.Accent).Bold().Shrink(),
		quote: text.NewBlock(c.cfg.Fonts), line: canvas.NewRectangle(nil),
		leave: parts.NewIconButton("close", c.cfg.Lang.T("Leave"), c.Leave),
	}
	b.ExtendBaseWidget(b)
	return b
}

func (b *replyBar) show(icon, title, quoted string) {
	b.icon.Set(icon, theme.Accent)
	b.name.Set(title)
	b.doc = b.c.plain(quoted)
	b.Show()
	b.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (b *replyBar) CreateRenderer() fyne.WidgetRenderer { return &barRenderer{b} }

type barRenderer struct{ b *replyBar }

func (r *barRenderer) Layout(s fyne.Size) {
	b := r.b
	if b.doc == nil || s.Height < 1 {
		return
	}
	b.icon.Resize(fyne.NewSquareSize(18))
	b.icon.Move(fyne.NewPos(18, (s.Height-18)/2))
	b.leave.Resize(fyne.NewSquareSize(36))
	b.leave.Move(fyne.NewPos(s.Width-36-5, (s.Height-36)/2))
	width := max(20, s.Width-48-50)
	b.name.Resize(fyne.NewSize(width, 16))
	b.name.Move(fyne.NewPos(48, 8))
	ink := theme.Color(theme.Dim)
	l := b.c.cfg.Fonts.Cut(b.doc, theme.TextSecondary, width, 1)
	b.quote.Set(l, text.Colours{Text: ink, Link: ink, Faint: ink}, width)
	b.quote.Move(fyne.NewPos(48, 27))
	b.line.FillColor = theme.Color(theme.Line)
	b.line.Move(fyne.NewPos(14, s.Height-1))
	b.line.Resize(fyne.NewSize(max(0, s.Width-28), 1))
}

func (r *barRenderer) MinSize() fyne.Size { return fyne.NewSize(100, barHeight) }
func (r *barRenderer) Destroy()           {}
func (r *barRenderer) Refresh() {
	r.Layout(r.b.Size())
	r.b.icon.Refresh()
	r.b.line.Refresh()
}

func (r *barRenderer) Objects() []fyne.CanvasObject {
	b := r.b
	list := []fyne.CanvasObject{b.icon, b.name, b.leave, b.line}
	return append(list, b.quote.Objects()...)
}
