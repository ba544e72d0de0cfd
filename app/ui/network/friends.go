package network

import (
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/problems"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Size is a number of bytes as it is shown.
func Size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

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

// FriendsOf says how it stands with mail that is kept for contacts here, and what it costs.
func FriendsOf(l *lang.Lang, v api.FriendsRelay) string {
	var lines []string
	open := false // the last line is not at its end
	say := func(s string) {
		if open {
			lines[len(lines)-1] += " " + s
			return
		}
		lines, open = append(lines, s), true
	}
	switch v.State {
	case api.FriendsOff:
		say(l.T("This computer can keep sealed mail for your contacts while they are away, and for nobody else. They use it by themselves."))
		say(l.T("It costs room on the disk, up to {cap}, and traffic, up to {daily} a day.", "cap", Size(v.MaxDisk), "daily", Size(v.Daily)))
	case api.FriendsDraining:
		say(l.T("Switched off: nothing more is taken."))
		say(l.N("{n} messages ({size}) wait to be fetched, until {day} at the latest.", int(v.Cells), "size", Size(v.Bytes), "day", v.Until.Local().Format("2006-01-02")))
		return strings.Join(lines, "\n")
	case api.FriendsWaiting:
		say(l.T("Starting…"))
	case api.FriendsFailed:
		say(l.T("It does not run, and is tried again.") + " " + problems.Explain(l, v.Reason))
	case api.FriendsFull:
		say(l.T("It is full and takes no more mail; what is kept is given out."))
	case api.FriendsSpent:
		say(l.T("As much mail came today as may. More is taken as the hours pass; what is kept is given out."))
	default:
		if v.Reason != "" {
			say(problems.Explain(l, v.Reason))
		} else {
			say(l.T("Mail is kept for your contacts here."))
		}
	}
	open = false
	if v.Relay != "" {
		say(l.T("{disk} of {cap} are used.", "disk", Size(v.Disk), "cap", Size(v.MaxDisk)))
		say(l.T("Devices of contacts that use it: {n} of {all}.", "n", v.Using, "all", v.Friends))
		say(l.T("Today {used} of {cap} came and went.", "used", Size(v.Today), "cap", Size(v.Daily)))
		if m := v.Month; m != nil {
			say(l.T("This month {taken} came and {given} went.", "taken", Size(m.Taken), "given", Size(m.Given)))
		}
	}
	open = false
	if n := len(v.But); n > 3 {
		say(l.N("Nothing is kept for {n} contacts; that is set in their details.", n))
	} else if n > 0 {
		var names []string
		for _, who := range v.But {
			names = append(names, who.Name)
		}
		say(l.T("Nothing is kept for {names}; that is set in their details.", "names", widget.OneLine(strings.Join(names, ", "))))
	}
	open = false
	if v.Own {
		say(l.T("Your own mail is kept here too, as you had no relay."))
	}
	say(l.T("Your contacts, and those who write to them, learn this computer's address. While it is off, mail waits at other relays."))
	return strings.Join(lines, "\n")
}
