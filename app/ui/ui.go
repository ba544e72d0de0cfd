// Package ui is the window of Godwit: it puts the screens together, keeps what they
// show, and is the only place where what happens in the account meets the window. It
// works on an api.Backend alone, whether that is the app in this process or a node in
// another.
//
// Everything that changes what is shown runs on the window's thread: answers come by
// task.Load, events by task.Follow, at most 30 times a second. While nothing happens
// nothing runs.
package ui

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/onboarding"
	"github.com/godwit-im/godwit/app/ui/problems"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Host is what the window needs of the program round it. Its methods take as long as
// they must, and are called beside the window.
type Host interface {
	// Open opens the account of the profile. Errors: problem.NoAccount, on which the first
	// screen is shown; Locked, on which the passphrase is asked; ErrElsewhere.
	Open(ctx context.Context, passphrase string) (api.Backend, error)
	// Create makes the account and opens it.
	Create(ctx context.Context, name string) (api.Backend, error)
	// Restore makes the account from recovery words and opens it.
	Restore(ctx context.Context, name, words string) (api.Backend, error)
}

// ErrElsewhere says that another window has the account, and came to the front.
var ErrElsewhere = errors.New("ui: the account has a window")

// Options is how the window is told what it cannot know. The zero value of each field
// is what its comment says.
type Options struct {
	Name      string            // of the person, to begin with; empty: none
	Look      string            // file in which the window's look is kept; empty: nowhere
	Languages []string          // wanted, best first; none: English
	Do        func(func())      // runs on the window's thread; nil: fyne.Do
	Scale     func(percent int) // changes the scale of the whole program; nil: it cannot be
	Log       *slog.Logger      // nil: nothing is said
	Quit      func()            // ends the program, its window being closed or another one having the account; nil: the window closes by itself
	Painted   func()            // called once, when the first screen with content is shown; may be nil
	Version   string
	Notices   notify.Notifier // shows notifications; nil: none are shown
	Session   Session         // registers the program with the person's session; nil: it cannot be
	Tray      TrayWatch       // tells whether the desktop has a tray; nil: there is none
	Icon      fyne.Resource   // of the window and the tray; nil: Fyne's
}

// Desk is the window with what it shows. Its methods belong to the window's thread.
type Desk struct {
	app  fyne.App
	win  fyne.Window
	host Host
	opt  Options
	l    *lang.Lang
	look shell.Look
	work *task.Runner
	now  func() time.Time

	first    *onboarding.First
	inner    *account // once there is one
	notices  *notices
	trayHere bool // the desktop has a tray
	trayIcon bool // ours is in it
	hidden   bool // the window is in the tray

	faces *text.Fonts     // of what people write; made when it is first needed
	boxes bool            // emoji were typed that no font has: ours gets them
	later link.Link       // what a link asked to see before there was an account
	told  map[string]bool // what went wrong and stands over the window
}

// New makes the window, not shown yet, and begins to open the account. The work ends
// with the context; Wait returns then.
func New(ctx context.Context, a fyne.App, host Host, opt Options) *Desk {
	if opt.Do == nil {
		opt.Do = fyne.Do
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{app: a, host: host, opt: opt, l: lang.New(opt.Languages...), look: shell.LoadLook(opt.Look), work: task.New(ctx, opt.Do), now: time.Now}
	if d.look.Lang != "" {
		d.l = lang.New(d.look.Lang)
	}
	d.dress()
	d.win = a.NewWindow("Godwit")
	d.win.SetPadded(false)
	d.win.Resize(fyne.NewSize(d.look.Width, d.look.Height))
	d.win.SetMaster()
	d.win.SetContent(widget.Stack(widget.NewFill(theme.Rail, 0), widget.Gap(theme.WindowMinW, theme.WindowMinH)))
	if opt.Icon != nil {
		a.SetIcon(opt.Icon)
	}
	d.win.SetCloseIntercept(func() {
		if d.stays() {
			d.Keep()
			d.hidden = true
			d.win.Hide()
			return
		}
		d.quit()
	})
	d.notices = newNotices(d)
	d.watchTray()
	d.open("")
	return d
}

// Window is the window.
func (d *Desk) Window() fyne.Window { return d.win }

// Wait returns when all work beside the window has ended. The context must be over.
func (d *Desk) Wait() {
	if d.inner != nil {
		d.inner.line.Close()
	}
	d.work.Wait()
}

// fonts are those of what people write.
func (d *Desk) fonts() *text.Fonts {
	if d.faces == nil {
		d.faces = text.NewFonts(theme.New(d.look.Mode), emoji.Load(), true)
	}
	return d.faces
}

// Keep writes down what would be lost if the window closed now.
func (d *Desk) Keep() {
	if d.inner != nil {
		d.inner.keepDraft()
	}
	d.keepLook()
}

// quit ends the program.
func (d *Desk) quit() {
	d.Keep()
	if d.opt.Quit != nil {
		d.opt.Quit()
		return
	}
	d.win.Close()
}

// dress puts the theme on.
func (d *Desk) dress() {
	if d.opt.Scale != nil {
		d.opt.Scale(d.look.Scale)
	}
	th := text.Dress(theme.New(d.look.Mode), d.fonts)
	if d.boxes {
		th = th.Pictured()
	}
	d.app.Settings().SetTheme(th)
}

// picture puts emoji into the font of the window, as where one types no other font has them.
func (d *Desk) picture() {
	if !d.boxes {
		d.boxes = true
		d.work.Do(d.dress) // not while the field is drawn
	}
}

// relook changes how the window looks, and keeps that.
func (d *Desk) relook(change func(*shell.Look)) {
	change(&d.look)
	d.dress()
	d.keepLook()
	if d.inner != nil {
		d.inner.prefs.Update()
	}
}

// keepLook writes the window's look down.
func (d *Desk) keepLook() {
	if d.opt.Look == "" {
		return
	}
	if s := d.win.Canvas().Size(); s.Width > 0 && !d.win.FullScreen() {
		d.look.Width, d.look.Height = s.Width, s.Height
	}
	if err := d.look.Save(d.opt.Look); err != nil {
		d.opt.Log.Warn("how the window looks could not be kept", "err", err)
	}
}

// open opens the account, and shows what comes of it.
func (d *Desk) open(passphrase string) {
	task.Load(d.work, func(ctx context.Context) (api.Backend, error) { return d.host.Open(ctx, passphrase) }, func(b api.Backend, err error) {
		switch {
		case err == nil:
			d.enter(b)
		case errors.Is(err, ErrElsewhere):
			d.quit()
		case errors.Is(err, problem.NoAccount):
			d.showFirst()
		case errors.Is(err, problem.Locked):
			d.showUnlock()
		default:
			d.showStuck(err)
		}
		d.painted()
	})
}

func (d *Desk) painted() {
	if d.opt.Painted != nil {
		d.opt.Painted()
		d.opt.Painted = nil
	}
}

// showFirst shows the first screen.
func (d *Desk) showFirst() {
	d.first = onboarding.NewFirst(d.l, d.opt.Name, onboarding.Actions{
		Invite: func(name string) { d.begin(name, func(a *account) { a.invite() }) },
		Accept: func(name, link string) {
			if problem := d.linkProblem(link); problem != "" {
				d.first.Problem(widget.Card("alert", theme.Warn, d.l.T("That is no invitation"), problem))
				return
			}
			d.begin(name, func(a *account) { a.accept(link) })
		},
		Echo:    func(name string) { d.begin(name, func(a *account) { a.echo() }) },
		Restore: func(name string) { d.showRestore(name) },
	})
	if d.later.Kind == link.Invitation {
		d.first.Link.SetText(d.later.Invitation)
		d.later = link.Link{}
	}
	d.win.SetContent(d.first)
}

// begin makes the account, opens it and goes on.
func (d *Desk) begin(name string, then func(*account)) {
	d.first.Busy(true)
	d.first.Problem(nil)
	task.Load(d.work, func(ctx context.Context) (api.Backend, error) { return d.host.Create(ctx, name) }, func(b api.Backend, err error) {
		d.first.Busy(false)
		if err != nil {
			d.first.Problem(d.problemCard(err))
			return
		}
		then(d.enter(b))
	})
}

func (d *Desk) showRestore(name string) {
	back := func() {
		d.showFirst()
		d.first.Name.SetText(name)
	}
	screen, focus := onboarding.NewRestore(d.l, back, func(words string, failed func(string)) {
		task.Load(d.work, func(ctx context.Context) (api.Backend, error) { return d.host.Restore(ctx, name, words) }, func(b api.Backend, err error) {
			if err != nil {
				failed(d.sentence(err))
				return
			}
			d.look.Words = shell.WordsWritten // they were just read
			d.enter(b)
		})
	})
	d.win.SetContent(screen)
	d.win.Canvas().Focus(focus)
}

func (d *Desk) showUnlock() {
	screen, focus := onboarding.NewUnlock(d.l, func(passphrase string, failed func(string)) {
		task.Load(d.work, func(ctx context.Context) (api.Backend, error) { return d.host.Open(ctx, passphrase) }, func(b api.Backend, err error) {
			if err != nil {
				failed(d.sentence(err))
				return
			}
			d.enter(b)
		})
	})
	d.win.SetContent(screen)
	d.win.Canvas().Focus(focus)
}

// showStuck says why there is no window, and offers to try again.
func (d *Desk) showStuck(err error) {
	again := widget.NewButton(d.l.T("Try again"), widget.Primary, func() { d.open("") })
	p := problems.Of(d.l, err)
	card := widget.Card("alert", theme.Danger, p.What, p.Means, again)
	details := widget.NewPara(d.details(err), theme.TextCaption, theme.Dim)
	d.win.SetContent(widget.Stack(widget.NewFill(theme.Rail, 0), widget.Inset(theme.Space6, theme.Space6, theme.Space6, theme.Space6, widget.Column(520, widget.Col(theme.Space4, card, details)))))
}

// enter shows the account.
func (d *Desk) enter(b api.Backend) *account {
	d.first = nil
	d.inner = newAccount(d, b)
	d.inner.follow(d.later)
	d.later = link.Link{}
	d.painted()
	return d.inner
}

// Raise brings the window to the front and shows what a link names. It may be called
// from any goroutine. The token is the desktop's leave to do so; Fyne has no use for it.
func (d *Desk) Raise(what link.Link, _ string) {
	d.work.Do(func() {
		d.show()
		switch {
		case d.inner != nil:
			d.inner.follow(what)
		case d.first != nil && what.Kind == link.Invitation:
			d.first.Link.SetText(what.Invitation)
		case what.Kind != link.Window: // which does not take the place of one that waits
			d.later = what
		}
	})
}

// sentence is an error for people, in a line or two.
func (d *Desk) sentence(err error) string { return problems.Of(d.l, err).Sentence() }

// details are what somebody who helps wants to know.
func (d *Desk) details(err error) string {
	p := problem.From(err)
	text := d.l.T("Code {code}", "code", string(p.Code))
	if p.Detail() != "" {
		text += ": " + p.Detail()
	}
	return text
}

// problemCard says what happened and what it means; what to do about it is its end.
func (d *Desk) problemCard(err error) fyne.CanvasObject {
	p := problems.Of(d.l, err)
	return widget.Card("alert", theme.Danger, p.What, p.Means)
}

// fail shows an error over the window: what happened, what it means, one button; the
// code and the cause are shown when asked for.
func (d *Desk) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	p := problems.Of(d.l, err)
	if d.told[p.What] { // once is enough
		return
	}
	if d.told == nil {
		d.told = map[string]bool{}
	}
	d.told[p.What] = true
	text := widget.NewPara(p.Means, theme.TextBody, theme.Dim)
	more := widget.NewPara("", theme.TextCaption, theme.Dim)
	more.Hide()
	var dialog *widget.Dialog
	details := widget.NewButton(d.l.T("Details"), widget.Link, func() {
		more.Set(d.details(err))
		more.Show()
		dialog.Fit()
	})
	dialog = widget.ShowDialog(d.win.Canvas(), p.What, d.l.T("Close"), 440, widget.Col(theme.Space4, text, more), func() { delete(d.told, p.What) },
		details, widget.NewButton(d.l.T("OK"), widget.Primary, func() { dialog.Close() }))
}
