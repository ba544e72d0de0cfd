package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the network, the relays and what is waiting",
		Long: "Shows the network, the relays and what is waiting. Where no node runs, it runs the account for up to 3 s, in which it fetches what the relays\n" +
			"keep and sends what waits.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				s, err := a.settledStatus(ctx)
				if err != nil {
					return err
				}
				return c.result(s, func(w io.Writer) { humanStatus(w, s, a.own) })
			})
		},
	}
}

// settledStatus is the status; an app that has only just started is first given
// a moment to reach its relays.
func (a account) settledStatus(ctx context.Context) (s api.Status, err error) {
	if !a.own {
		return a.Status(ctx, api.StatusRequest{})
	}
	err = a.settle(ctx, settleTime, func(now api.Status) bool {
		s = now
		for _, r := range s.Relays {
			if r.State == "connecting" || r.State == "unknown" {
				return false
			}
		}
		return true
	})
	return s, err
}

func humanStatus(w io.Writer, s api.Status, own bool) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s.Name != "" {
		row("name", "%s", visible(s.Name))
	}
	row("account", "%s", s.Account)
	if own {
		row("node", "not running; started for this command")
	} else if !s.Started.IsZero() {
		row("node", "process %d, for %s", s.PID, age(time.Since(s.Started.Time)))
	}
	if !s.Revoked.IsZero() {
		p, _ := problem.Lookup(problem.DeviceRevoked)
		row("REVOKED", "%s. %s (%s)", day(s.Revoked), p.Means, string(p.Code))
		row("", "%s", p.Do)
	}
	row("network", "%s, %d of %s connected", s.Network, s.Connected, count(s.Contacts, "contact"))
	switch {
	case s.NeverStraight:
		row("private", "only: relays where messages are left for others see another relay; where none leads there, messages wait")
	case s.Private:
		row("private", "on: relays where messages are left for others see another relay, where one leads there")
	default:
		row("private", "off: relays where messages are left for others see this computer's address")
	}
	if !slices.ContainsFunc(s.Relays, func(r api.Relay) bool { return r.State != "draining" }) {
		row("relays", "none: messages reach others only while both are online. Add one with `godwit relay add ADDRESS`.")
	}
	for _, r := range s.Relays {
		humanRelay(w, r)
	}
	if s.Choice != nil {
		row("choice", "%s", choice(*s.Choice))
	}
	if s.DHT != nil {
		humanDHT(row, *s.DHT)
	}
	switch {
	case s.Waiting == 0:
		row("waiting", "nothing")
	case s.Queued == 0:
		row("waiting", "%s, kept at relays", count(s.Waiting, "message"))
	case s.Queued == s.Waiting:
		row("waiting", "%s, on this device only", count(s.Waiting, "message"))
	default:
		row("waiting", "%s, %d of them on this device only", count(s.Waiting, "message"), s.Queued)
	}
	if s.OutOfTouch > 0 {
		p, _ := problem.Lookup(problem.OutOfTouch)
		row("", "%s out of touch: %s (%s)", count(s.OutOfTouch, "contact"), p.What, p.Code)
	}
	row("keys", "%s: %s", s.Protection.Kind, s.Protection.Means)
}

func humanDHT(row func(name, format string, args ...any), d api.DHT) {
	text := count(d.Peers, "peer")
	switch {
	case d.Peers == 0:
		text = "no peers: a contact whose addresses have all changed is not found"
	case d.Ways == 1:
		text += ", all through one way in, which decides what is seen of it"
	case d.Servers > d.Peers:
		text += fmt.Sprintf(" of some %d", d.Servers)
	}
	row("dht", "%s", text)
	for _, x := range d.Alarms {
		p, _ := problem.Lookup(problem.Code(x.Code))
		row("alarm", "%s (%s), since %s. %s", x.Reason, x.Code, x.Since.Local().Format("2006-01-02 15:04"), p.Do)
	}
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func humanRelay(w io.Writer, r api.Relay) {
	line := fmt.Sprintf("%-10s %s %s", "relay", r.Relay, r.State)
	if r.State == "draining" {
		line += " (" + draining(r) + ")"
	}
	if r.Reason != "" {
		line += ": " + visible(r.Reason)
	}
	switch r.Source {
	case "dht":
		line += ", found in the DHT"
	case "invitation":
		line += ", named by an invitation"
	case "friend":
		whose := "a contact's"
		if r.Name != "" {
			whose = visible(r.Name) + "'s"
		}
		line += ", " + whose + " computer, which is on at times: nothing rests on it"
	}
	if r.Failing != "" {
		line += "; it fails: " + visible(r.Failing)
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// choice says how the choice of relays stands.
func choice(c api.Choice) string {
	words := fmt.Sprintf("%d of %d relays do their work", c.Working, c.Wanted)
	if c.Alike > 0 {
		words += fmt.Sprintf(", %d of them have an operator or address group in common", c.Alike)
	}
	if c.Seeking {
		words += "; another is looked for"
	}
	if c.Reason != "" {
		words += ": " + visible(c.Reason)
	}
	return words
}

// draining says of a relay that was given up how long it is still asked for mail.
func draining(r api.Relay) string {
	last := r.Until.Format("2006-01-02")
	switch {
	case r.Unaware == 0:
		return "given up; every contact knows, and what was under way is still fetched"
	case time.Now().After(r.Until.Time):
		return "given up, but the last that a contact knows"
	case r.Unaware == 1:
		return "given up; until one contact has heard, or " + last
	}
	return fmt.Sprintf("given up; until %d contacts have heard, or %s", r.Unaware, last)
}
