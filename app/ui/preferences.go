package ui

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/network"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/settings"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/theme"
)

// Session is how the program is registered with the person's session; see
// autostart.Program.
type Session interface {
	AtLogin() (bool, error)
	SetAtLogin(bool) error
	OpensLinks() (bool, error)
	SetOpensLinks(bool) error
}

// registered is what was last heard of the Session.
type registered struct{ known, login, links bool }

// pages are the settings.
func (a *account) pages() []settings.Page {
	l := a.l
	pages := []settings.Page{
		{ID: "look", Name: l.T("Appearance"), Items: a.lookItems()},
		{ID: "notices", Name: l.T("Notifications"), Items: []settings.Item{a.noticeItem()}},
		{ID: "privacy", Name: l.T("Privacy"), Items: a.privacyItems()},
		{ID: "keys", Name: l.T("Keys"), Items: a.keyItems()},
	}
	if items := a.computerItems(); len(items) > 0 {
		pages = append(pages, settings.Page{ID: "computer", Name: l.T("This computer"), Items: items})
	}
	return append(pages, settings.Page{ID: "about", Name: l.T("About"), Items: []settings.Item{
		{ID: "version", Name: l.T("Godwit {version}", "version", a.opt.Version), Help: l.T("No servers: the computers of those who use it are the whole system.")},
		{ID: "keyboard", Name: l.T("Keyboard"), Help: l.T("Everything here can be done by keys."), Do: &settings.Action{Text: l.T("Show the keys"), Run: func() { shell.ShowHelp(a.win.Canvas(), a.l, a.table) }}},
	}})
}

func (a *account) lookItems() []settings.Item {
	l := a.l
	modes := []theme.Mode{theme.System, theme.Light, theme.Dark}
	tongues := append([]string{""}, lang.Available()...)
	names := []string{l.T("As the system")}
	for _, t := range tongues[1:] {
		names = append(names, lang.NameOf(t))
	}
	return []settings.Item{
		{ID: "mode", Name: l.T("Light and dark"), Help: l.T("The colours of the window."), Choice: &settings.Choice{
			Names: []string{l.T("As the system"), l.T("Light"), l.T("Dark")}, At: max(0, slices.Index(modes, a.look.Mode)),
			Set: func(n int) { a.relook(func(v *shell.Look) { v.Mode = modes[n] }) }}},
		{ID: "scale", Name: l.T("Size of everything"), Help: l.T("Text, pictures and buttons grow together."), Number: &settings.Number{
			Value: a.look.Scale, Usual: 100, Min: shell.MinScale, Max: shell.MaxScale, Step: shell.ScaleStep,
			Text: func(n int) string { return l.T("{n} %", "n", strconv.Itoa(n)) }, Set: func(n int) { a.zoom(n - a.look.Scale) }}},
		{ID: "motion", Name: l.T("Motion"), Help: l.T("Nothing in this window slides or fades, whatever the system is set to. A message that you were led to is marked for two seconds.")},
		{ID: "lang", Name: l.T("Language"), Help: l.T("Of the window. What people write stays as they wrote it."), Choice: &settings.Choice{
			Names: names, At: max(0, slices.Index(tongues, a.look.Lang)), Set: func(n int) { a.speak(tongues[n]) }}},
	}
}

func (a *account) noticeItem() settings.Item {
	l := a.l
	i := settings.Item{ID: "notices", Name: l.T("What notifications tell"), Help: l.T("Notifications can be read by whoever sees the screen. Muted chats, and the one before you, make none.")}
	if a.opt.Notices == nil {
		i.Help = l.T("This desktop has no way to show notifications.")
		return i
	}
	levels := notify.Levels()
	i.Choice = &settings.Choice{
		Names: []string{l.T("Nothing"), l.T("That there is a message"), l.T("Who wrote"), l.T("Who wrote, and what")},
		At:    slices.Index(levels, a.level()), Usual: slices.Index(levels, notify.Name),
		Set: func(n int) {
			a.look.Notify = string(levels[n])
			a.keepLook()
			a.dressNotices()
		},
	}
	return i
}

func (a *account) privacyItems() []settings.Item {
	l := a.l
	where := l.T("Relays see from where messages are left with them.")
	if a.status != nil && a.status.Private {
		where = l.T("Messages are left at relays by way of other relays, so that who keeps them does not see from where they come.")
	}
	return []settings.Item{
		{ID: "way", Name: l.T("The way of messages"), Help: where},
		{ID: "strangers", Name: l.T("Strangers"), Help: l.T("Only who has an invitation or an address of yours can write to you, and learns nothing before you accept.")},
		{ID: "receipts", Name: l.T("Read receipts"), Help: l.T("People see that you have read their messages. Off, you do not see it of yours either."), Switch: a.choice(true,
			func(s *api.Settings) bool { return s.ReadReceipts }, func(on bool) api.SetSettingsRequest { return api.SetSettingsRequest{ReadReceipts: &on} })},
		{ID: "typing", Name: l.T("Typing"), Help: l.T("Whoever is connected with you directly sees that you are writing, and you see it of those who share it too."), Switch: a.choice(false,
			func(s *api.Settings) bool { return s.Typing }, func(on bool) api.SetSettingsRequest { return api.SetSettingsRequest{Typing: &on} })},
		{ID: "previews", Name: l.T("Link previews"), Help: l.T("Off, always: Godwit never fetches a link. A page is asked for when you click, and nobody sees before that you read a message.")},
	}
}

// choice is the switch of something that is chosen for the account; nil while it is not
// known.
func (a *account) choice(usual bool, is func(*api.Settings) bool, set func(bool) api.SetSettingsRequest) *settings.Switch {
	if a.choices == nil {
		return nil
	}
	return &settings.Switch{On: is(a.choices), Usual: usual, Set: func(on bool) {
		task.Load(a.work, func(ctx context.Context) (api.Settings, error) { return a.b.SetSettings(ctx, set(on)) }, func(s api.Settings, err error) {
			if err != nil {
				a.fail(err)
				return
			}
			a.choices = &s
			a.prefs.Update()
		})
	}}
}

// loadChoices asks what is chosen for the account.
func (a *account) loadChoices() {
	task.Load(a.work, func(ctx context.Context) (api.Settings, error) { return a.b.Settings(ctx, api.SettingsRequest{}) }, func(s api.Settings, err error) {
		if err != nil {
			a.opt.Log.Warn("it is not known what the account shares", "err", err)
			return
		}
		a.choices = &s
		a.prefs.Update()
	})
}

func (a *account) keyItems() []settings.Item {
	l := a.l
	items := []settings.Item{{ID: "words", Name: l.T("Recovery words"), Help: l.T("Whoever has these 24 words is you. Write them on paper: they bring your account back on another computer."),
		Do: &settings.Action{Text: l.T("Show the words"), Run: a.showWords}}}
	locked := a.status != nil && a.status.Protection.Kind == api.ByPassphrase
	help := l.T("Asked when Godwit starts. Without it nobody can open this account here, you neither.")
	switch {
	case a.status == nil:
	case a.status.Protection.Kind == api.ByKeyring:
		help += " " + l.T("Now the keys are in this computer's keyring.")
	case !locked:
		help += " " + l.T("Now only file permissions protect the keys.")
	}
	if locked {
		return append(items, settings.Item{ID: "passphrase", Name: l.T("Passphrase"), Help: l.T("It is asked when Godwit starts."), Do: &settings.Action{Text: l.T("Take it off"), Run: a.unlock}})
	}
	return append(items, settings.Item{ID: "passphrase", Name: l.T("Passphrase"), Help: help, Do: &settings.Action{Text: l.T("Set a passphrase"), Run: a.lock}})
}

func (a *account) computerItems() (items []settings.Item) {
	l := a.l
	if s := a.opt.Session; s != nil && a.registered.known {
		items = append(items,
			settings.Item{ID: "login", Name: l.T("Start at login"), Help: l.T("Messages arrive from the moment that you log in."), Switch: &settings.Switch{On: a.registered.login, Set: func(on bool) {
				a.register(func() error { return s.SetAtLogin(on) })
			}}},
			settings.Item{ID: "links", Name: l.T("Open godwit: links"), Help: l.T("An invitation that you click in a browser or a mail opens here."), Switch: &settings.Switch{On: a.registered.links, Set: func(on bool) {
				a.register(func() error { return s.SetOpensLinks(on) })
			}}})
	}
	if a.trayHere {
		items = append(items, settings.Item{ID: "tray", Name: l.T("Stay in the tray"), Help: l.T("A window that is closed goes to the tray, and messages still arrive. Ctrl+Q ends the program."), Switch: &settings.Switch{On: a.look.Tray, Set: func(on bool) {
			a.look.Tray = on
			a.keepLook()
			a.dressTray()
		}}})
	}
	return append(items, a.friendsItems()...)
}

// friendsItems are about keeping mail for contacts on this computer, with what it costs.
func (a *account) friendsItems() []settings.Item {
	l := a.l
	if a.status == nil || a.status.FriendsRelay == nil {
		return nil
	}
	v := *a.status.FriendsRelay
	items := []settings.Item{{ID: "friends", Name: l.T("Keep mail for contacts"), Help: network.FriendsOf(l, v).String(), Switch: &settings.Switch{On: v.On, Set: a.keepMail}}}
	if !v.On {
		return items
	}
	size := func(id, name, help string, at int64, steps []int64, usual int64, set func(int64) api.SetFriendsRelayRequest) settings.Item {
		if !slices.Contains(steps, at) { // it was set elsewhere
			steps = append(steps, at)
			slices.Sort(steps)
		}
		var names []string
		for _, n := range steps {
			names = append(names, l.Size(n))
		}
		return settings.Item{ID: id, Name: name, Help: help, Choice: &settings.Choice{Names: names, At: slices.Index(steps, at), Usual: slices.Index(steps, usual), Set: func(n int) { a.setFriends(set(steps[n]), func() {}) }}}
	}
	const mib, gib = 1 << 20, 1 << 30
	days := []int{7, 14, 30}
	if !slices.Contains(days, v.Days) {
		days = append(days, v.Days)
		slices.Sort(days)
	}
	var names []string
	for _, n := range days {
		names = append(names, l.N("{n} days", n))
	}
	return append(items,
		size("friends-disk", l.T("Room on the disk"), l.T("All that is kept for contacts fits in here. When it is full nothing more is taken."), v.MaxDisk, []int64{256 * mib, gib, 4 * gib, 16 * gib}, gib,
			func(n int64) api.SetFriendsRelayRequest {
				share := min(v.Share, n)
				return api.SetFriendsRelayRequest{MaxDisk: &n, Share: &share}
			}),
		size("friends-share", l.T("Room for each contact"), l.T("So that no one of them can fill it all."), v.Share, []int64{16 * mib, 64 * mib, 256 * mib}, 64*mib,
			func(n int64) api.SetFriendsRelayRequest {
				disk := max(v.MaxDisk, n)
				return api.SetFriendsRelayRequest{Share: &n, MaxDisk: &disk}
			}),
		size("friends-daily", l.T("Traffic a day"), l.T("So much mail may come and go in a day, half of it come. What is beyond it waits, or goes to other relays."), v.Daily, []int64{256 * mib, gib, 4 * gib, 16 * gib}, gib,
			func(n int64) api.SetFriendsRelayRequest { return api.SetFriendsRelayRequest{Daily: &n} }),
		settings.Item{ID: "friends-days", Name: l.T("How long mail is kept"), Help: l.T("What nobody fetched in that time is removed."), Choice: &settings.Choice{
			Names: names, At: slices.Index(days, v.Days), Usual: slices.Index(days, 30), Set: func(n int) {
				a.setFriends(api.SetFriendsRelayRequest{Days: &days[n]}, func() {})
			}}})
}

// register changes how the program is registered, and looks at what came of it.
func (a *account) register(change func() error) {
	s := a.opt.Session
	if s == nil {
		return
	}
	task.Load(a.work, func(context.Context) (r registered, err error) {
		if err := change(); err != nil {
			return r, err
		}
		r.known = true
		if r.login, err = s.AtLogin(); err == nil {
			r.links, err = s.OpensLinks()
		}
		return r, err
	}, func(r registered, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.registered = r
		a.prefs.Update()
	})
}

// lock asks for a passphrase, twice in one line of thought: it is shown while typed.
func (a *account) lock() {
	a.askPassphrase(a.l.T("Set a passphrase"), a.l.T("Several words that you will remember. There is no way back without it, but your recovery words."), func(ctx context.Context, text string) error {
		_, err := a.b.Lock(ctx, api.LockRequest{Passphrase: text})
		return err
	})
}

func (a *account) unlock() {
	a.askPassphrase(a.l.T("Take the passphrase off"), a.l.T("The one that is set now."), func(ctx context.Context, text string) error {
		_, err := a.b.Unlock(ctx, api.UnlockRequest{Passphrase: text})
		return err
	})
}

func (a *account) askPassphrase(title, says string, do func(context.Context, string) error) {
	people.ShowAsk(a.win.Canvas(), a.l, people.Ask{Title: title, Says: says, Button: a.l.T("OK"), Do: func(text string, done func(string)) {
		task.Load(a.work, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx, strings.TrimSpace(text)) }, func(_ struct{}, err error) {
			if err != nil {
				done(a.sentence(err))
				return
			}
			done("")
			a.refreshStatus()
		})
	}})
}

// speak changes the language of the window, which is made anew.
func (a *account) speak(tongue string) {
	d := a.Desk
	d.look.Lang = tongue
	d.l = lang.New(d.opt.Languages...)
	if tongue != "" {
		d.l = lang.New(tongue)
	}
	d.keepLook()
	a.keepDraft()
	a.end()
	a.line.Close()
	d.inner = newAccount(d, a.b)
	d.inner.go_(shell.Settings)
	d.inner.prefs.Open("look")
}
