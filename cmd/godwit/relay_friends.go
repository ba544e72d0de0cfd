package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) relayFriendsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "friends",
		Short: "Keep mail for contacts on this computer",
		Long: "Keeps mail for this account's contacts on this computer, as a relay for them alone, while `godwit node` or the window runs. Their devices are told by themselves, and use it\n" +
			"beside their other relays: what lies here is one copy more, which nothing rests on, as this computer may be off. What is kept is sealed.\n" +
			"It costs disk space and traffic, up to a cap each. Contacts learn this computer's address, and so do those who write to them; it learns when they fetch, and how much lies there for each.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.friendsStatus(cmd.Context()) },
	}
	cmd.AddCommand(c.relayFriendsOn(), c.relayFriendsOff(), &cobra.Command{
		Use: "status", Short: "Show what is kept for contacts, and what it costs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.friendsStatus(cmd.Context()) },
	})
	return cmd
}

func (c *cli) relayFriendsOn() *cobra.Command {
	var disk, share, daily string
	var days int
	cmd := &cobra.Command{
		Use:   "on [CONTACT]",
		Short: "Begin to keep mail for contacts, or change the limits",
		Long:  "Begins to keep mail for contacts, with these limits; those that are not given stay as they are. With CONTACT, mail is kept again for somebody for whom it was switched off.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			on := true
			r := api.SetFriendsRelayRequest{On: &on, Contact: strings.Join(args, "")}
			for _, s := range []struct {
				flag, text string
				to         **int64
			}{{"max-disk", disk, &r.MaxDisk}, {"share", share, &r.Share}, {"daily", daily, &r.Daily}} {
				if !cmd.Flags().Changed(s.flag) {
					continue
				}
				n, err := humanize.ParseBytes(s.text)
				if err != nil || n > 1<<62 {
					return problem.Newf(problem.Usage, "--%s: %q is not a size, such as 1GiB", s.flag, s.text)
				}
				size := int64(n)
				*s.to = &size
			}
			if cmd.Flags().Changed("days") {
				r.Days = &days
			}
			return c.setFriends(cmd.Context(), r)
		},
	}
	cmd.Flags().StringVar(&disk, "max-disk", "1GiB", "fill at most `SIZE` of the disk, 64MiB to 1TiB")
	cmd.Flags().StringVar(&share, "share", "64MiB", "keep at most `SIZE` for each contact's device, 1MiB or more")
	cmd.Flags().StringVar(&daily, "daily", "1GiB", "let at most `SIZE` of mail come and go in a day, 16MiB or more; half of it may come")
	cmd.Flags().IntVar(&days, "days", 30, "keep mail for at most `N` days, 1 to 30")
	return cmd
}

func (c *cli) relayFriendsOff() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "off [CONTACT]",
		Short: "Keep no more mail for contacts",
		Long: "Takes no more mail for contacts and tells them so. What is kept is given out first, for as long as the days that were promised: it ends by itself once all is fetched. With --now it ends at once, and\n" +
			"what nobody has fetched is given out no more; for most of it there are copies at other relays. With CONTACT, nothing more is kept for this one, who hears of it and fetches what is there.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			off := false
			return c.setFriends(cmd.Context(), api.SetFriendsRelayRequest{On: &off, Now: now, Contact: strings.Join(args, "")})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "do not wait until what is kept is fetched")
	return cmd
}

func (c *cli) setFriends(ctx context.Context, r api.SetFriendsRelayRequest) error {
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		v, err := a.SetFriendsRelay(ctx, r)
		if errors.Is(err, problem.BadRequest) { // of what was given here
			return problem.New(problem.Usage, errors.New(problem.From(err).Detail()))
		}
		if err != nil {
			return err
		}
		return c.result(v, func(w io.Writer) { humanFriends(w, v) })
	})
}

func (c *cli) friendsStatus(ctx context.Context) error {
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		v, err := a.FriendsRelay(ctx, api.FriendsRelayRequest{})
		if err != nil {
			return err
		}
		return c.result(v, func(w io.Writer) { humanFriends(w, v) })
	})
}

// humanFriends says how it stands, and what it costs.
func humanFriends(w io.Writer, v api.FriendsRelay) {
	size := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	row := rows(w)
	day := func(t time.Time) string { return t.Local().Format("2006-01-02") }
	switch v.State {
	case api.FriendsOff:
		fmt.Fprintln(w, "No mail is kept for contacts here. `godwit relay friends on` begins.")
		return
	case api.FriendsWaiting:
		if !v.On {
			fmt.Fprintf(w, "It was switched off. What is kept is given out while `godwit node` or the window runs, until %s at the latest.\n", day(v.Until.Time))
			return
		}
		fmt.Fprintln(w, "Mail is kept for contacts while `godwit node` or the window runs. Neither does.")
	case api.FriendsDraining:
		fmt.Fprintf(w, "It was switched off: nothing more is taken. %s in %s wait to be fetched, until %s at the latest.\n", size(v.Bytes), count(int(v.Cells), "cell"), day(v.Until.Time))
	case api.FriendsFull:
		fmt.Fprintf(w, "It is full, and takes no more: %s.\n", visible(v.Reason))
	case api.FriendsSpent:
		fmt.Fprintln(w, "As much mail came today as may, and more is taken as the hours pass: it goes to other relays meanwhile. What is kept is given out.")
	case api.FriendsFailed:
		fmt.Fprintf(w, "It does not run: %s\n", visible(v.Reason))
	default:
		fmt.Fprintln(w, "Mail is kept for contacts here.")
		if v.Reason != "" {
			fmt.Fprintln(w, visible(v.Reason)+".")
		}
	}
	row("gives", "%s to each contact, %s in all, for %s; carries %s a day", size(v.Share), size(v.MaxDisk), count(v.Days, "day"), size(v.Daily))
	if len(v.But) > 0 {
		var names []string
		for _, who := range v.But {
			names = append(names, who.Name)
		}
		row("not for", "%s", visible(strings.Join(names, ", ")))
	}
	if v.Relay != "" {
		row("contacts", "%d of %s use it", v.Using, count(v.Friends, "device"))
		row("disk", "%s of %s, %s of it mail in %s", size(v.Disk), size(v.MaxDisk), size(v.Bytes), count(int(v.Cells), "cell"))
		row("today", "%s of %s came and went; what comes has half of that", size(v.Today), size(v.Daily))
		if m := v.Month; m != nil {
			row("traffic", "%s of mail came and %s went since %s", size(m.Taken), size(m.Given), day(m.Since.Time))
		}
		for _, a := range v.Addrs {
			row("address", "%s", a)
		}
		if v.Hops > 0 {
			row("reached", "through %s", count(v.Hops, "other relay"))
		}
	}
	if v.Own {
		row("also", "the mail of this account, which had no relay")
	}
	for _, line := range []string{"Contacts learn this computer's address, and so do those who write to them.", "While this computer is off, mail waits at other relays."} {
		row("", "%s", strings.TrimSpace(line))
	}
}
