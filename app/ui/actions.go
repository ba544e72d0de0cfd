package ui

import (
	"context"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// newWelcome is what is shown while no conversation is open: a sentence, and what one
// can do.
func (a *account) newWelcome() fyne.CanvasObject {
	l := a.l
	buttons := widget.Col(theme.Space4,
		widget.NewButton(l.T("Invite someone"), widget.Primary, a.invite),
		widget.NewButton(l.T("Accept an invitation"), widget.Plain, a.askLink),
		widget.NewButton(l.T("Try it with Echo"), widget.Link, a.echo))
	return widget.Inset(theme.Space6, theme.Space6, theme.Space6, theme.Space6, widget.Column(320, widget.Col(theme.Space6,
		widget.NewPara(l.T("Choose a chat, or say hello to someone."), theme.TextTitle, theme.Dim).Centred(), buttons)))
}

// newChat is the menu under the plus.
func (a *account) newChat() {
	m := shell.Menu(a.l, a.table, shell.People)
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(a.list)
	widget.ShowMenu(a.win.Canvas(), m, at.AddXY(a.list.Size().Width-230, theme.HeaderHeight))
}

// invite makes an invitation and shows it. Without a relay it first says what that means.
func (a *account) invite() {
	task.Load(a.work, func(ctx context.Context) ([]api.Relay, error) { return a.b.Relays(ctx, api.RelaysRequest{}) }, func(list []api.Relay, err error) {
		switch {
		case err != nil:
			a.fail(err)
		case len(list) > 0:
			a.makeInvitation(false)
		default:
			people.ShowNoRelay(a.win.Canvas(), a.l, people.NoRelay{
				Add: func() { a.askRelay(func() { a.makeInvitation(false) }) },
				Run: func() { a.startRelay(func() { a.makeInvitation(false) }) },
				Go:  func() { a.makeInvitation(false) },
			})
		}
	})
}

func (a *account) makeInvitation(reusable bool) {
	task.Load(a.work, func(ctx context.Context) (api.Invitation, error) {
		return a.b.Invite(ctx, api.InviteRequest{Reusable: reusable})
	}, func(v api.Invitation, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.invited = people.ShowInvitation(a.win.Canvas(), a.l, people.InvitationOf(a.l, v, a.now()), func() { a.invited = nil })
	})
}

// welcomeNew shows somebody who has just come by an invitation, if that is what is
// waited for.
func (a *account) welcomeNew(id string) {
	if a.invited == nil {
		return
	}
	a.invited.Close()
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) { return a.one(ctx, id) }, a.opened)
}

// follow shows what a link names. An invitation is shown with a question.
func (a *account) follow(what link.Link) {
	switch what.Kind {
	case link.Invitation:
		if a.asked != nil { // a flood of links is one question
			a.asked.Close()
		}
		a.asked = a.askAccept(what.Invitation, true)
	case link.Conversation:
		task.Load(a.work, func(ctx context.Context) (api.Conversation, error) { return a.one(ctx, what.Conversation) }, func(c api.Conversation, err error) {
			if err != nil {
				a.fail(err)
				return
			}
			a.put(c)
			a.openAt(c.ID, what.Message)
		})
	case link.Requests:
		a.go_(shell.Requests)
	}
}

// askLink asks for an invitation link and accepts it.
func (a *account) askLink() {
	text := ""
	if c := a.app.Clipboard(); c != nil && strings.HasPrefix(strings.TrimSpace(c.Content()), "godwit:i#") {
		text = strings.TrimSpace(c.Content()) // most likely what is meant
	}
	a.askAccept(text, false)
}

// askAccept asks whether an invitation is to be accepted. One from outside comes at any
// moment: what is being typed then is not for it.
func (a *account) askAccept(text string, outside bool) *widget.Dialog {
	return people.ShowAsk(a.win.Canvas(), a.l, people.Ask{
		Title: a.l.T("Accept an invitation"), Says: a.l.T("Paste the link that somebody sent you."), Placeholder: "godwit:i#…", Text: text, Button: a.l.T("Accept"), Sudden: outside,
		Do: func(link string, done func(string)) { a.acceptLink(link, done) },
	})
}

// accept accepts an invitation that was given on the first screen or from outside.
func (a *account) accept(link string) {
	a.acceptLink(link, func(problem string) {
		if problem != "" {
			people.ShowAsk(a.win.Canvas(), a.l, people.Ask{
				Title: a.l.T("Accept an invitation"), Says: problem, Text: link, Button: a.l.T("Try again"),
				Do: func(link string, done func(string)) { a.acceptLink(link, done) },
			})
		}
	})
}

func (a *account) acceptLink(link string, done func(problem string)) {
	link = strings.TrimSpace(link)
	if problem := a.linkProblem(link); problem != "" {
		done(problem)
		return
	}
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) {
		v, err := a.b.Accept(ctx, api.AcceptRequest{Link: link})
		if err != nil {
			return api.Conversation{}, err
		}
		return a.one(ctx, v.Contact)
	}, func(c api.Conversation, err error) {
		if err != nil {
			done(a.sentence(err))
			return
		}
		done("")
		a.put(c)
		a.open(c.ID)
	})
}

// one asks about one conversation.
func (a *account) one(ctx context.Context, id string) (api.Conversation, error) {
	list, err := a.b.Conversations(ctx, api.ConversationsRequest{Only: []string{id}})
	if err != nil || len(list) == 0 {
		return api.Conversation{ID: id}, err
	}
	return list[0], nil
}

// echo starts Echo and opens it.
func (a *account) echo() {
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) {
		return a.b.AddEcho(ctx, api.AddEchoRequest{Greeting: a.l.T("I am Echo and live on this computer. Write something, and I say it back.")})
	}, a.opened)
}

// notes opens the notes to oneself.
func (a *account) notes() {
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) { return a.one(ctx, api.Self) }, a.opened)
}

func (a *account) opened(c api.Conversation, err error) {
	if err != nil {
		a.fail(err)
		return
	}
	a.put(c)
	a.open(c.ID)
}

func (a *account) acceptRequest(id string) {
	task.Load(a.work, func(ctx context.Context) (api.Conversation, error) {
		v, err := a.b.AcceptRequest(ctx, api.DecideRequest{ID: id})
		if err != nil {
			return api.Conversation{}, err
		}
		return a.one(ctx, v.ID)
	}, func(c api.Conversation, err error) {
		a.loadRequests()
		a.opened(c, err)
	})
}

func (a *account) ignoreRequest(id string) {
	a.decide(func(ctx context.Context) error {
		_, err := a.b.IgnoreRequest(ctx, api.DecideRequest{ID: id})
		return err
	})
}

func (a *account) blockRequest(id string) {
	a.decide(func(ctx context.Context) error {
		_, err := a.b.BlockRequest(ctx, api.DecideRequest{ID: id})
		return err
	})
}

func (a *account) decide(do func(context.Context) error) {
	task.Load(a.work, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) }, func(_ struct{}, err error) {
		if err != nil {
			a.fail(err)
		}
		a.loadRequests()
	})
}

// addRelay asks for a relay's address.
func (a *account) addRelay() { a.askRelay(func() {}) }

func (a *account) askRelay(then func()) {
	people.ShowAsk(a.win.Canvas(), a.l, people.Ask{
		Title: a.l.T("Add a relay address"), Says: a.l.T("Whoever runs the relay can tell you its address. If it asks for a token, write that behind the address, after a space."), Placeholder: "/ip4/…/tcp/…/p2p/…", Button: a.l.T("Add"),
		Do: func(addr string, done func(string)) {
			task.Load(a.work, func(ctx context.Context) (api.Relay, error) {
				return a.b.AddRelay(ctx, relayAsked(addr))
			}, func(_ api.Relay, err error) {
				a.refreshStatus()
				if err != nil {
					done(a.sentence(err))
					return
				}
				done("")
				then()
			})
		},
	})
}

// relayAsked reads an address, behind which a token may stand.
func relayAsked(text string) api.AddRelayRequest {
	addr, token, _ := strings.Cut(strings.Join(strings.Fields(text), " "), " ")
	return api.AddRelayRequest{Addr: addr, Token: token}
}

// startRelay has this computer keep mail for contacts, and for who has no relay at all.
func (a *account) startRelay(then func()) {
	on := true
	a.setFriends(api.SetFriendsRelayRequest{On: &on}, then)
}

// setFriends changes how this computer keeps mail for contacts.
func (a *account) setFriends(r api.SetFriendsRelayRequest, then func()) {
	task.Load(a.work, func(ctx context.Context) (api.FriendsRelay, error) { return a.b.SetFriendsRelay(ctx, r) }, func(v api.FriendsRelay, err error) {
		if err == nil && a.status != nil {
			a.status.FriendsRelay = &v
			a.prefs.Update()
		}
		a.refreshStatus()
		if err != nil {
			a.fail(err)
			return
		}
		then()
	})
}

// keepsMail says whether this computer keeps mail for contacts.
func (a *account) keepsMail() bool {
	return a.status != nil && a.status.FriendsRelay != nil && a.status.FriendsRelay.On
}

// keepMail has this computer keep mail for contacts, or asks whether it is not to any more.
func (a *account) keepMail(on bool) {
	if on {
		a.startRelay(func() {})
		return
	}
	people.ShowConfirm(a.win.Canvas(), a.l, a.l.T("Keep no more mail for contacts?"),
		a.l.T("They are told, and nothing more is taken. What is kept is given out first, while this computer is on; then it ends by itself."), a.l.T("Keep no more"), func() {
			a.setFriends(api.SetFriendsRelayRequest{On: &on}, func() {})
		})
}

// showFriends opens what can be set of it.
func (a *account) showFriends() {
	a.go_(shell.Settings)
	a.prefs.Open("computer")
}

// testNetwork tries the relays and the DHT now.
func (a *account) testNetwork() {
	a.go_(shell.Network)
	a.net.Testing(true)
	task.Load(a.work, func(ctx context.Context) (api.NetworkTest, error) {
		return a.b.TestNetwork(ctx, api.TestNetworkRequest{})
	}, func(t api.NetworkTest, err error) {
		a.net.Testing(false)
		if err != nil {
			a.fail(err)
			return
		}
		a.tested = &t
		a.showFoot()
		a.refreshStatus()
	})
}

func (a *account) removeRelay(id string) {
	people.ShowConfirm(a.win.Canvas(), a.l, a.l.T("Give this relay up?"), a.l.T("What others leave there before they know is still fetched."), a.l.T("Give up"), func() {
		a.decide(func(ctx context.Context) error {
			_, err := a.b.RemoveRelay(ctx, api.RelayRequest{Relay: id})
			return err
		})
	})
}

// conversationMenu is what can be done with a conversation.
func (a *account) conversationMenu(id string, at fyne.Position) {
	c, l := a.conversation(id), a.l
	if c.ID == "" {
		return
	}
	set := func(change func(*api.SetConversationRequest)) func() {
		return func() {
			r := api.SetConversationRequest{Conversation: id}
			change(&r)
			a.change(r)
		}
	}
	until := func(t time.Time) func() {
		return set(func(r *api.SetConversationRequest) { r.MutedUntil = &api.Time{Time: t} })
	}
	var items []widget.Item
	add := func(icon, name string, do func()) { items = append(items, widget.Item{Icon: icon, Name: name, Do: do}) }
	if c.Kind == api.KindPerson {
		add("info", l.T("Details"), func() { a.open(id); a.showPerson() })
	}
	pin := !c.Pinned
	if pin {
		add("pin", l.T("Pin to the top"), set(func(r *api.SetConversationRequest) { r.Pinned = &pin }))
	} else {
		add("pin", l.T("Unpin"), set(func(r *api.SetConversationRequest) { r.Pinned = &pin }))
	}
	if chats.Muted(c, a.now()) {
		add("mute", l.T("Unmute"), until(a.now().Add(-time.Second)))
	} else {
		always, _ := time.Parse(time.RFC3339, api.Always)
		items = append(items, widget.Item{Icon: "mute", Name: l.T("Mute"), More: []widget.Item{
			{Name: l.T("For an hour"), Do: until(a.now().Add(time.Hour))},
			{Name: l.T("Until tomorrow"), Do: until(tomorrow(a.now()))},
			{Name: l.T("Always"), Do: until(always)},
		}})
	}
	if a.introducible(id) {
		add("person", l.T("Introduce to…"), func() { a.open(id); a.introduce() })
	}
	if a.talkable(id) {
		timer := widget.Item{Icon: "timer", Name: l.T("Disappearing messages")}
		for _, d := range chats.Timers() {
			timer.More = append(timer.More, widget.Item{Name: chats.TimerName(l, d), Checked: d == time.Duration(c.Timer), Do: func() { a.setTimer(id, d) }})
		}
		items = append(items, timer)
	}
	archive := !c.Archived
	name := l.T("Archive")
	if !archive {
		name = l.T("Take out of the archive")
	}
	add("archive", name, set(func(r *api.SetConversationRequest) { r.Archived = &archive }))
	if c.Kind != api.KindSelf {
		items = append(items, widget.Item{})
	}
	if c.Kind == api.KindPerson {
		if c.Blocked {
			add("block", l.T("Unblock"), func() { a.block(id, false) })
		} else {
			items = append(items, widget.Item{Icon: "block", Name: l.T("Block"), Grave: true, Do: func() { a.askBlock(id) }})
		}
	}
	if c.Kind != api.KindSelf {
		items = append(items, widget.Item{Icon: "trash", Name: l.T("Remove contact"), Grave: true, Do: func() { a.askRemove(id) }})
	}
	widget.ShowMenu(a.win.Canvas(), widget.Menu{Items: items}, at)
}

// talkable says whether a conversation is with a person who can be written to.
func (a *account) talkable(id string) bool {
	c := a.conversation(id)
	return c.Kind == api.KindPerson && !c.Blocked && !c.Frozen
}

// chooseTimer asks how long messages stay after they were read.
func (a *account) chooseTimer() {
	id, all := a.openID, chats.Timers()
	c := people.Choice{
		Title: a.l.T("Disappearing messages"),
		Says:  a.l.T("What is written from now on disappears on both sides, so long after it was read; what you write, so long after it left this computer."),
		At:    slices.Index(all, time.Duration(a.conversation(id).Timer)), Set: func(i int) { a.setTimer(id, all[i]) },
	}
	for _, d := range all {
		c.Names = append(c.Names, chats.TimerName(a.l, d))
	}
	people.ShowChoice(a.win.Canvas(), a.l, c)
}

func (a *account) setTimer(id string, after time.Duration) {
	if after == time.Duration(a.conversation(id).Timer) {
		return
	}
	a.decide(func(ctx context.Context) error {
		_, err := a.b.SetTimer(ctx, api.SetTimerRequest{Contact: id, After: api.Duration(after)})
		return err
	})
}

// mailNames is whether mail for somebody is kept on this computer, in words: it is, and it is not.
func (a *account) mailNames() []string {
	return []string{a.l.T("Kept here"), a.l.T("Not kept here")}
}

// mailFor is which of mailNames holds for a contact.
func (a *account) mailFor(id string) int {
	if slices.ContainsFunc(a.status.FriendsRelay.But, func(e api.Excepted) bool { return e.Contact == id }) {
		return 1
	}
	return 0
}

// chooseMail asks whether mail for whom is spoken to is kept on this computer.
func (a *account) chooseMail() {
	id := a.openID
	if !a.keepsMail() { // it was switched off since
		a.showPerson()
		return
	}
	at := a.mailFor(id)
	people.ShowChoice(a.win.Canvas(), a.l, people.Choice{
		Title: a.l.T("Mail for {name}", "name", a.conversation(id).Name),
		Says:  a.l.T("This computer keeps sealed mail for contacts while they are away. Who is left out is told so, and fetches what is there."),
		Names: a.mailNames(), At: at,
		Set: func(i int) {
			if i == at {
				return
			}
			on := i == 0
			a.setFriends(api.SetFriendsRelayRequest{On: &on, Contact: id}, func() {
				if a.details != nil {
					a.details()
				}
			})
		},
	})
}

// tomorrow is eight in the morning of the next day.
func tomorrow(now time.Time) time.Time {
	y, m, d := now.Local().Date()
	return time.Date(y, m, d+1, 8, 0, 0, 0, now.Local().Location())
}

func (a *account) askBlock(id string) {
	name := a.conversation(id).Name
	people.ShowConfirm(a.win.Canvas(), a.l, a.l.T("Block {name}?", "name", name), a.l.T("Nothing more is taken from them or sent to them. They are not told."), a.l.T("Block"), func() { a.block(id, true) })
}

func (a *account) block(id string, block bool) {
	a.decide(func(ctx context.Context) (err error) {
		if block {
			_, err = a.b.BlockContact(ctx, api.ContactRequest{Contact: id})
		} else {
			_, err = a.b.UnblockContact(ctx, api.ContactRequest{Contact: id})
		}
		return err
	})
}

func (a *account) askRemove(id string) {
	name := chats.Name(a.l, a.conversation(id))
	people.ShowConfirm(a.win.Canvas(), a.l, a.l.T("Remove {name}?", "name", name), a.l.T("The contact and all that was said is erased on this computer. It cannot be brought back."), a.l.T("Remove"), func() {
		a.decide(func(ctx context.Context) error {
			_, err := a.b.RemoveContact(ctx, api.ContactRequest{Contact: id})
			return err
		})
	})
}

// showPerson shows the details of whom is spoken to.
func (a *account) showPerson() {
	c := a.conversation(a.openID)
	if c.Kind != api.KindPerson {
		return
	}
	type both struct {
		contact api.Contact
		number  api.SafetyNumber
	}
	task.Load(a.work, func(ctx context.Context) (v both, err error) {
		list, err := a.b.Contacts(ctx, api.ContactsRequest{})
		for _, p := range list {
			if p.ID == c.ID {
				v.contact = p
			}
		}
		v.number, _ = a.b.Verify(ctx, api.VerifyRequest{Contact: c.ID}) // without it: the keys are not known yet
		return v, err
	}, func(v both, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		if a.openID != c.ID {
			return
		}
		a.details = a.showPerson
		var introduce func()
		if a.introducible(c.ID) {
			introduce = a.introduce
		}
		p := people.PersonOf(a.l, v.contact, v.number)
		p.Timer = chats.TimerName(a.l, time.Duration(a.conversation(c.ID).Timer))
		if a.keepsMail() {
			p.Mail = a.mailNames()[a.mailFor(c.ID)]
		}
		a.frame.SetDetails(people.NewDetails(a.l, p, people.PersonActions{
			Close: a.closeDetails, Timer: a.chooseTimer, Mail: a.chooseMail, Introduce: introduce,
			Verify: func() {
				a.decide(func(ctx context.Context) error {
					_, err := a.b.Verify(ctx, api.VerifyRequest{Contact: c.ID, Confirm: true})
					a.work.Do(a.showPerson)
					return err
				})
			},
			Rename: func() { a.askName(c.ID) }, Block: func() { a.askBlock(c.ID) },
			Unblock: func() { a.block(c.ID, false) }, Remove: func() { a.askRemove(c.ID) },
		}))
	})
}

func (a *account) askName(id string) {
	people.ShowAsk(a.win.Canvas(), a.l, people.Ask{
		Title: a.l.T("Rename"), Says: a.l.T("Only you see this name."), Text: a.conversation(id).Name, Button: a.l.T("Rename"),
		Do: func(name string, done func(string)) {
			task.Load(a.work, func(ctx context.Context) (api.Contact, error) {
				return a.b.RenameContact(ctx, api.RenameRequest{Contact: id, Name: strings.TrimSpace(name)})
			}, func(_ api.Contact, err error) {
				if err != nil {
					done(a.sentence(err))
					return
				}
				done("")
				if a.details != nil {
					a.details()
				}
			})
		},
	})
}

// showTrail shows what became of a message.
func (a *account) showTrail(id string) {
	task.Load(a.work, func(ctx context.Context) ([]api.Step, error) { return a.b.Trail(ctx, api.TrailRequest{ID: id}) }, func(steps []api.Step, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.details = func() { a.showTrail(id) }
		a.frame.SetDetails(people.NewTrail(a.l, chats.Steps(a.l, steps, a.now()), a.closeDetails))
	})
}

func (a *account) closeDetails() {
	a.details = nil
	if a.frame != nil && a.frame.HasDetails() {
		a.frame.SetDetails(nil)
	}
}

// zoom makes everything larger or smaller; 0 is the usual size.
func (a *account) zoom(by int) {
	a.relook(func(v *shell.Look) {
		if by == 0 {
			v.Scale = 100
		} else {
			v.Scale = min(max(v.Scale+by, shell.MinScale), shell.MaxScale)
		}
	})
}
