package ui

import (
	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/theme"
)

// commands is the table of all that a person can do by menu, keys or palette.
func (a *account) commands() []shell.Command {
	talking := func() bool { return a.section == shell.Chats && a.openID != "" }
	person := func() bool { return talking() && a.conversation(a.openID).Kind == api.KindPerson }
	mode := func(m theme.Mode) func() { return func() { a.relook(func(v *shell.Look) { v.Mode = m }) } }
	not := func(m theme.Mode) func() bool { return func() bool { return a.look.Mode != m } }
	return []shell.Command{
		{ID: "invite", Group: shell.People, Name: lang.Mark("Invite someone"), Keys: []shell.Key{shell.Ctrl(fyne.KeyN)}, Run: a.invite},
		{ID: "accept", Group: shell.People, Name: lang.Mark("Accept an invitation"), Keys: []shell.Key{shell.Ctrl(fyne.KeyJ)}, Run: a.askLink},
		{ID: "address", Group: shell.People, Name: lang.Mark("Make an address for strangers"), Run: func() { a.makeInvitation(true) }},
		{ID: "notes", Group: shell.People, Name: lang.Mark("Notes to self"), Run: a.notes},
		{ID: "echo", Group: shell.People, Name: lang.Mark("Try it with Echo"), Run: a.echo},

		{ID: "details", Group: shell.Chat, Name: lang.Mark("Details"), Keys: []shell.Key{shell.Ctrl(fyne.KeyI)}, Run: a.showPerson, When: person},
		{ID: "find", Group: shell.Chat, Name: lang.Mark("Find in this chat"), Keys: []shell.Key{shell.Ctrl(fyne.KeyF)}, Run: a.openFind},
		{ID: "findnext", Group: shell.Chat, Name: lang.Mark("Next one found"), Keys: []shell.Key{{Key: fyne.KeyF3}}, When: func() bool { return a.find.on }, Run: func() { a.stepFind(true) }},
		{ID: "timer", Group: shell.Chat, Name: lang.Mark("Disappearing messages"), Keys: []shell.Key{shell.CtrlShift(fyne.KeyT)}, Run: a.chooseTimer, When: func() bool { return talking() && a.talkable(a.openID) }},
		{ID: "introduce", Group: shell.Chat, Name: lang.Mark("Introduce to…"), Run: a.introduce, When: func() bool { return talking() && a.introducible(a.openID) }},
		{ID: "pinned", Group: shell.Chat, Name: lang.Mark("Next pinned message"), Keys: []shell.Key{shell.CtrlShift(fyne.KeyP)}, Run: a.toPin, When: func() bool { return talking() && len(a.marks.pins) > 0 }},
		{ID: "archive", Group: shell.Chat, Name: lang.Mark("Archive"), Keys: []shell.Key{shell.Ctrl(fyne.KeyE)}, When: talking, Run: func() {
			archived := !a.conversation(a.openID).Archived
			a.change(api.SetConversationRequest{Conversation: a.openID, Archived: &archived})
		}},
		{ID: "mute", Group: shell.Chat, Name: lang.Mark("Mute or unmute"), Keys: []shell.Key{shell.CtrlShift(fyne.KeyM)}, When: talking, Run: a.toggleMute},

		{ID: "palette", Group: shell.Go, Name: lang.Mark("Go to a person or a command"), Keys: []shell.Key{shell.Ctrl(fyne.KeyK)}, Run: a.palette},
		{ID: "search", Group: shell.Go, Name: lang.Mark("Search"), Keys: []shell.Key{shell.CtrlShift(fyne.KeyF)}, Run: a.beginSearch},
		{ID: "pane", Group: shell.Go, Name: lang.Mark("To the list or to what is being written"), Keys: []shell.Key{{Key: fyne.KeyF6}}, Run: a.otherPane},
		{ID: "back", Group: shell.Go, Name: lang.Mark("Back"), Keys: []shell.Key{{Key: fyne.KeyEscape}, shell.Alt(fyne.KeyLeft)}, Run: a.back},
		{ID: "starred", Group: shell.Go, Name: lang.Mark("Starred messages"), Keys: []shell.Key{shell.CtrlShift(fyne.KeyS)}, Run: a.showStarred},
		{ID: "next", Group: shell.Go, Name: lang.Mark("Next chat"), Keys: []shell.Key{shell.Alt(fyne.KeyDown)}, Run: func() { a.step(true) }},
		{ID: "previous", Group: shell.Go, Name: lang.Mark("Previous chat"), Keys: []shell.Key{shell.Alt(fyne.KeyUp)}, Run: func() { a.step(false) }},
		{ID: "chats", Group: shell.Go, Name: lang.Mark("Chats"), Keys: []shell.Key{shell.Ctrl(fyne.Key1)}, Run: func() { a.go_(shell.Chats) }},
		{ID: "requests", Group: shell.Go, Name: lang.Mark("Requests"), Keys: []shell.Key{shell.Ctrl(fyne.Key2)}, Run: func() { a.go_(shell.Requests) }, When: func() bool { return len(a.requests) > 0 }},
		{ID: "network", Group: shell.Go, Name: lang.Mark("Network"), Keys: []shell.Key{shell.Ctrl(fyne.Key3)}, Run: func() { a.go_(shell.Network) }},
		{ID: "settings", Group: shell.Go, Name: lang.Mark("Settings"), Keys: []shell.Key{shell.Ctrl(fyne.KeyComma), shell.Ctrl(fyne.Key4)}, Run: func() { a.go_(shell.Settings) }},

		{ID: "test", Group: shell.Go, Name: lang.Mark("Test the network"), Run: a.testNetwork},
		{ID: "stoprelay", Group: shell.Go, Name: lang.Mark("Keep no more mail for contacts"), When: a.keepsMail, Run: func() { a.keepMail(false) }},

		{ID: "larger", Group: shell.View, Name: lang.Mark("Larger"), Keys: []shell.Key{shell.Ctrl(fyne.KeyEqual), shell.Ctrl(fyne.KeyPlus), shell.CtrlShift(fyne.KeyEqual)}, Run: func() { a.zoom(shell.ScaleStep) }},
		{ID: "smaller", Group: shell.View, Name: lang.Mark("Smaller"), Keys: []shell.Key{shell.Ctrl(fyne.KeyMinus)}, Run: func() { a.zoom(-shell.ScaleStep) }},
		{ID: "usual", Group: shell.View, Name: lang.Mark("Usual size"), Keys: []shell.Key{shell.Ctrl(fyne.Key0)}, Run: func() { a.zoom(0) }},
		{ID: "light", Group: shell.View, Name: lang.Mark("Light colours"), Run: mode(theme.Light), When: not(theme.Light)},
		{ID: "dark", Group: shell.View, Name: lang.Mark("Dark colours"), Run: mode(theme.Dark), When: not(theme.Dark)},
		{ID: "system", Group: shell.View, Name: lang.Mark("Colours as the system has them"), Run: mode(theme.System), When: not(theme.System)},
		{ID: "words", Group: shell.View, Name: lang.Mark("Recovery words"), Run: a.showWords, When: func() bool { return a.status != nil && a.status.Words }},
		{ID: "help", Group: shell.View, Name: lang.Mark("Keyboard"), Keys: []shell.Key{shell.Ctrl(fyne.KeySlash)}, Run: func() { shell.ShowHelp(a.win.Canvas(), a.l, a.table) }},
		{ID: "quit", Group: shell.View, Name: lang.Mark("Quit"), Keys: []shell.Key{shell.Ctrl(fyne.KeyQ)}, Run: a.quit},
	}
}

func (a *account) toggleMute() {
	c := a.conversation(a.openID)
	until := api.Time{Time: a.now()}
	if !chats.Muted(c, a.now()) {
		until.Time = tomorrow(a.now())
	}
	a.change(api.SetConversationRequest{Conversation: c.ID, MutedUntil: &until})
}

// palette opens the palette of people and commands.
func (a *account) palette() {
	shell.ShowPalette(a.win.Canvas(), a.l, a.l.T("Go to a person or a command"), func(query string) (hits []shell.Hit) {
		for _, r := range chats.Rows(a.l, a.convs, a.now(), chats.All, query, a.openID) {
			hits = append(hits, shell.Hit{Name: r.Name, Person: r.ID, Do: func() { a.open(r.ID) }})
			if len(hits) == 5 {
				break
			}
		}
		for _, c := range shell.Find(a.l, a.table, query) {
			h := shell.Hit{Name: a.l.T(c.Name), Icon: "go", Do: c.Run}
			if len(c.Keys) > 0 {
				h.Hint = c.Keys[0].Name(a.l)
			}
			hits = append(hits, h)
		}
		return hits
	})
}
