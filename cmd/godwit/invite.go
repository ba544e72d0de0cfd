package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/identity"
)

func (c *cli) inviteCommand() *cobra.Command {
	var expires time.Duration
	var reusable bool
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make an invitation",
		Long: "Makes an invitation for one person and prints its link. Give it to that person in any way that nobody else reads:\n" +
			"who accepts it first is your contact.\n" +
			"With --reusable it makes an address for any number of people, to be printed on a card or a page. Who writes by it does some work first\n" +
			"(more while many do), and is a request until you accept it: see `godwit requests`. Until then you answer them nothing.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("expires") && reusable {
				expires = chat.DefaultAddress
			}
			kind := identity.Single
			if reusable {
				kind = identity.Reusable
			}
			if _, longest := chat.Lifetimes(kind); expires < chat.MinLifetime || expires > longest {
				return problem.Newf(problem.InvitationLifetime, "--expires %s", expires)
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				i, err := a.Invite(ctx, api.InviteRequest{Expires: api.Duration(expires), Reusable: reusable})
				if err != nil {
					return err
				}
				err = c.result(i, func(w io.Writer) {
					fmt.Fprintln(w, i.Link)
					if c.terminalOut() && !c.quiet {
						_ = drawQR(w, i.Link, c.getenv("NO_COLOR") == "") // the link above says the same
					}
				})
				if errors.Is(err, problem.OutputLost) {
					return fmt.Errorf("nobody has seen the link; `godwit invite revoke %s` ends it: %w", i.ID, err)
				}
				if err != nil {
					return err
				}
				who := "one person"
				if reusable {
					who = "anybody"
				}
				c.note("Good for %s until %s. Revoke it with `godwit invite revoke %s`.", who, when(i.Expires), i.ID)
				if i.Notice != "" {
					c.note("%s", i.Notice)
				}
				return nil
			})
		},
	}
	cmd.Flags().DurationVar(&expires, "expires", 168*time.Hour, "how long it is good for, a `DURATION` such as 24h (with --reusable 8760h unless given)")
	cmd.Flags().BoolVar(&reusable, "reusable", false, "for any number of people, who then ask to be contacts")
	cmd.AddCommand(&cobra.Command{
		Use:   "revoke ID",
		Short: "End an invitation",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				i, err := a.RevokeInvite(ctx, api.InvitationRequest{ID: args[0]})
				if err != nil {
					return err
				}
				return c.result(i, func(w io.Writer) { humanInvitation(w, i) })
			})
		},
	})
	return cmd
}

func (c *cli) invitesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "invites",
		Short: "List the invitations made here",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				list, err := a.Invites(ctx, api.InvitesRequest{})
				if err != nil {
					return err
				}
				return results(c, list, "No invitations.", humanInvitation)
			})
		},
	}
}

func humanInvitation(w io.Writer, i api.Invitation) {
	fmt.Fprintf(w, "%s  %-8s  %-7s  until %s", i.ID, i.Kind, i.State, when(i.Expires))
	if i.Link != "" {
		fmt.Fprintf(w, "  %s", i.Link)
	}
	fmt.Fprintln(w)
	if i.Notice != "" {
		fmt.Fprintf(w, "    (%s)\n", i.Notice)
	}
}

func (c *cli) acceptCommand() *cobra.Command {
	var r api.AcceptRequest
	cmd := &cobra.Command{
		Use:   "accept LINK",
		Short: "Accept an invitation",
		Long: "Accepts an invitation: the inviter becomes a contact. Quote the link, so that the shell leaves its # alone. LINK - reads standard input.\n" +
			"By a reusable address the inviter is only asked, and decides whether to answer. To ask takes work of this computer, a second or some minutes;\n" +
			"where no node runs, the command stays until that is done, up to 10 minutes. Interrupted, it is done when a node runs again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Link = args[0]
			if r.Link == "-" {
				if r.Link, err = c.line(cmd.Context()); err != nil {
					return err
				}
			}
			if err := checkText(r.Message); err != nil {
				return err
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				p, err := a.Accept(ctx, r)
				if err != nil {
					return err
				}
				words, linger := "%s is a contact now (%s).\n", lingerTime
				if p.Asked {
					words, linger = "%s is asked to be a contact (%s).\n", askingTime
				}
				err = c.result(p, func(w io.Writer) {
					fmt.Fprintf(w, words, visible(p.Name), p.Contact)
					for _, relay := range p.SeenBy {
						fmt.Fprintf(w, "No other relay led to the inviter's relay %s: it saw the address of this computer.\n", relay)
					}
				})
				if err != nil {
					return err
				}
				return a.linger(ctx, linger)
			})
		},
	}
	cmd.Flags().StringVar(&r.Name, "name", "", "what to call the inviter: a `PETNAME` that only you see")
	cmd.Flags().StringVar(&r.Message, "message", "", "`TEXT` to say at once")
	return cmd
}
