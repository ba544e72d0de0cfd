package network

import (
	"strings"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/problems"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// ofFriend is a contact's computer that keeps mail for this account.
func ofFriend(l *lang.Lang, r api.Relay) Relay {
	v := Relay{ID: r.Relay, Name: l.T("A contact's computer"), Icon: "clock"}
	if r.Name != "" {
		v.Name = l.T("The computer of {name}", "name", r.Name)
	}
	switch r.State {
	case "connected":
		v.Icon, v.State = "tick", l.T("Connected: it keeps one copy more")
	case "draining":
		v.State = l.T("Given up, and emptied until others know")
	default:
		v.State = l.T("It is off, or cannot be reached. Nothing rests on it.")
	}
	return v
}

// Friends says how it stands with mail that is kept for contacts here, and what it costs.
type Friends struct {
	State   string   // empty: it is not known
	Figures []string // a line each
	Notes   []string // what it means for whom
}

// String is all of it, for where there is room for one text alone.
func (f Friends) String() string {
	return strings.Join(append(append([]string{f.State}, f.Figures...), f.Notes...), "\n")
}

// FriendsOf puts it in words.
func FriendsOf(l *lang.Lang, v api.FriendsRelay) (f Friends) {
	figure := func(s string) { f.Figures = append(f.Figures, s) }
	note := func(s string) { f.Notes = append(f.Notes, s) }
	switch v.State {
	case api.FriendsOff:
		f.State = l.T("This computer can keep sealed mail for your contacts while they are away, and for nobody else. They use it by themselves.")
		note(l.T("It costs room on the disk, up to {cap}, and traffic, up to {daily} a day.", "cap", l.Size(v.MaxDisk), "daily", l.Size(v.Daily)))
	case api.FriendsDraining:
		f.State = l.T("Switched off: nothing more is taken.") + " " +
			l.N("{n} messages ({size}) wait to be fetched, until {day} at the latest.", int(v.Cells), "size", l.Size(v.Bytes), "day", chats.Until(l, v.Until.Time))
		return f
	case api.FriendsWaiting:
		f.State = l.T("Starting…")
	case api.FriendsFailed:
		f.State = l.T("It does not run, and is tried again.") + " " + problems.Explain(l, v.Reason)
	case api.FriendsFull:
		f.State = l.T("It is full and takes no more mail; what is kept is given out.")
	case api.FriendsSpent:
		f.State = l.T("As much mail came today as may. More is taken as the hours pass; what is kept is given out.")
	default:
		f.State = l.T("Mail is kept for your contacts here.")
		if v.Reason != "" {
			f.State = problems.Explain(l, v.Reason)
		}
	}
	if v.Relay != "" {
		figure(l.T("{disk} of {cap} are used.", "disk", l.Size(v.Disk), "cap", l.Size(v.MaxDisk)))
		figure(l.T("Today {used} of {cap} came and went.", "used", l.Size(v.Today), "cap", l.Size(v.Daily)))
		if m := v.Month; m != nil {
			figure(l.T("This month {taken} came and {given} went.", "taken", l.Size(m.Taken), "given", l.Size(m.Given)))
		}
		figure(l.T("Devices of contacts that use it: {n} of {all}.", "n", v.Using, "all", v.Friends))
	}
	if n := len(v.But); n > 3 {
		figure(l.N("Nothing is kept for {n} contacts; that is set in their details.", n))
	} else if n > 0 {
		var names []string
		for _, who := range v.But {
			names = append(names, who.Name)
		}
		figure(l.T("Nothing is kept for {names}; that is set in their details.", "names", widget.OneLine(strings.Join(names, ", "))))
	}
	if v.Own {
		note(l.T("Your own mail is kept here too, as you had no relay."))
	}
	note(l.T("Your contacts, and those who write to them, learn this computer's address. While it is off, mail waits at other relays."))
	return f
}
