package chats

import (
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/problems"
)

// StateGlyph is the icon of a message's state, and its name: a shape for each, so that
// no state is told by colour alone. A tick is shown only for what a device of theirs
// acknowledged.
func StateGlyph(l *lang.Lang, s api.State) (icon, name string) {
	switch s {
	case api.Queued:
		return "clock", l.T("Waiting on this device")
	case api.Kept:
		return "cube", l.T("Kept at relays")
	case api.Delivered:
		return "tick", l.T("Delivered")
	case api.Read:
		return "ticks", l.T("Read")
	case api.Failed:
		return "alert", l.T("Not delivered")
	}
	return "", ""
}

// StateWords says how far a message has come and why it is not further, in one line. It
// is empty for a message that has arrived: then the tick says it all.
func StateWords(l *lang.Lang, m api.Message) string {
	switch m.State {
	case api.Queued:
		if why := problems.Reason(l, m.Reason); why != "" {
			return l.T("Waiting on this device") + " · " + why
		}
		return l.T("Waiting on this device")
	case api.Kept:
		if m.Relays == nil || m.Relays.Kept == 0 {
			return l.T("Kept at relays")
		}
		if m.Expires.IsZero() {
			return l.N("Kept at {n} relays", m.Relays.Kept)
		}
		return l.N("Kept at {n} relays until {day}", m.Relays.Kept, "day", Until(l, m.Expires.Time))
	case api.Failed:
		if why := problems.Reason(l, m.Reason); why != "" {
			return l.T("Not delivered") + " · " + why
		}
		return l.T("Not delivered")
	}
	return ""
}

// Step is a line of a message's trail as it is shown.
type Step struct {
	When string
	Icon string
	What string
	More string // path, relay, proof: small below
}

// Steps are the lines of a trail.
func Steps(l *lang.Lang, trail []api.Step, now time.Time) []Step {
	var list []Step
	for _, s := range trail {
		v := Step{When: When(l, s.Time.Time, now) + " " + s.Time.Local().Format("15:04:05")}
		if dayNumber(s.Time.Local()) == dayNumber(now.Local()) {
			v.When = s.Time.Local().Format("15:04:05")
		}
		switch s.What {
		case api.StepQueued:
			v.Icon, v.What = "clock", l.T("Kept on this device")
		case api.StepDeposited:
			v.Icon, v.What = "cube", l.T("A relay promised to keep it")
			if !s.Until.IsZero() {
				v.What = l.T("A relay promised to keep it until {day}", "day", Until(l, s.Until.Time))
			}
		case api.StepLeft:
			v.Icon, v.What = "cube", l.T("A relay took it, without a promise")
		case api.StepAsked:
			v.Icon, v.What = "requests", l.T("Their device has seen it; they decide")
		case api.StepRefused:
			v.Icon, v.What = "alert", l.T("It was not taken")
		case api.StepAcknowledged:
			v.Icon, v.What = "tick", l.T("Their device has it")
			if s.State == api.Read {
				v.Icon, v.What = "ticks", l.T("They read it")
			}
		case api.StepState:
			icon, name := StateGlyph(l, s.State)
			v.Icon, v.What = icon, l.T("Now: {state}", "state", name)
		default:
			v.Icon, v.What = "info", string(s.What)
		}
		v.More = strings.Join(more(l, s), " · ")
		list = append(list, v)
	}
	return list
}

// more is what else is known of a step.
func more(l *lang.Lang, s api.Step) (parts []string) {
	switch s.Path {
	case "direct":
		parts = append(parts, l.T("directly"))
	case "mailbox", "flight":
		if s.Peer != "" {
			parts = append(parts, l.T("relay {id}", "id", tail(s.Peer)))
		}
		if s.Via != "" {
			parts = append(parts, l.T("by way of {id}", "id", tail(s.Via)))
		}
	}
	if s.Device != "" {
		parts = append(parts, l.T("device {id}", "id", head(s.Device)))
	}
	switch s.Proof {
	case api.ProofGood:
		parts = append(parts, l.T("proof checked"))
	case api.ProofWrong:
		parts = append(parts, l.T("the proof does not fit: the database was altered"))
	case api.ProofGone:
		parts = append(parts, l.T("the keys to check it with are erased, as they have to be"))
	}
	if s.Reason != "" {
		parts = append(parts, problems.Explain(l, s.Reason))
	}
	return parts
}

// tail is the end of a peer's id, where it differs from others.
func tail(id string) string {
	if len(id) > 8 {
		return "…" + id[len(id)-8:]
	}
	return id
}

func head(id string) string {
	if len(id) > 8 {
		return id[:8] + "…"
	}
	return id
}

// Foot is the status line at the foot of the list: one truth about the network.
type Foot struct {
	Icon string // empty: a dot
	Good bool
	Text string
}

// FootOf says how the account is reached. The status is nil until it is known.
func FootOf(l *lang.Lang, s *api.Status, err error) Foot {
	switch {
	case err != nil:
		return Foot{Icon: "alert", Text: l.T("Godwit has stopped working")}
	case s == nil:
		return Foot{Icon: "clock", Text: l.T("Starting…")}
	case !s.Revoked.IsZero():
		return Foot{Icon: "alert", Text: l.T("This device was replaced by another")}
	}
	working, usual := 0, 0
	for _, r := range s.Relays {
		if r.Friend != "" {
			continue // nothing rests on it
		}
		usual++
		if r.State == "connected" && r.Failing == "" {
			working++
		}
	}
	var parts []string
	if s.Connected > 0 {
		parts = append(parts, l.N("{n} people connected", s.Connected))
	}
	if working > 0 {
		parts = append(parts, l.N("{n} relays", working))
	}
	good := len(parts) > 0
	switch {
	case working > 0:
		parts = append([]string{l.T("Connected")}, parts...)
	case usual > 0:
		parts = append([]string{l.T("No relay reached")}, parts...)
	default:
		parts = append(parts, l.T("No relay yet"))
	}
	if s.Queued > 0 {
		parts = append(parts, l.N("{n} messages waiting", s.Queued))
	}
	f := Foot{Good: good && working > 0, Text: strings.Join(parts, " · ")}
	if !f.Good {
		f.Icon = "alert"
	}
	return f
}
