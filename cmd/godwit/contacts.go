package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) contactsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "contacts",
		Short: "List contacts",
		Long: "Lists the contacts that are on this device. It waits for nothing: where no node runs, run `godwit listen` or `godwit node` for a while to\n" +
			"learn who has accepted an invitation.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				list, err := a.Contacts(ctx, api.ContactsRequest{})
				if err != nil {
					return err
				}
				return results(c, list, "No contacts yet. Make an invitation with `godwit invite`.", humanContact)
			})
		},
	}
}

func humanContact(w io.Writer, p api.Contact) {
	var marks []string
	for _, m := range []struct {
		on   bool
		word string
	}{{p.Verified, "verified"}, {p.Blocked, "blocked"}, {p.Frozen, "frozen: its keys contradict each other"},
		{!p.Recovered.IsZero(), "recovered on another device " + day(p.Recovered)}} {
		if m.on {
			marks = append(marks, m.word)
		}
	}
	if p.Introduced != "" {
		marks = append(marks, "introduced by "+visible(p.Introduced))
	}
	if p.LooksLike != "" {
		marks = append(marks, notTheOne(p.Claims, p.LooksLike))
	}
	line := fmt.Sprintf("%-20s %s %s", visible(p.Name), p.ID, strings.Join(marks, ", "))
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

func (c *cli) contactCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "contact", Short: "Rename, block, unblock or remove a contact", Args: cobra.NoArgs, RunE: c.group}
	cmd.AddCommand(&cobra.Command{
		Use:   "rename CONTACT NAME",
		Short: "Give a contact another petname",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeContact(cmd.Context(), func(ctx context.Context, a account) (api.Contact, error) {
				return a.RenameContact(ctx, api.RenameRequest{Contact: args[0], Name: args[1]})
			})
		},
	})
	for _, s := range []struct {
		name, short string
		method      func(api.Backend, context.Context, api.ContactRequest) (api.Contact, error)
	}{
		{"block", "Take nothing from a contact and send it nothing", api.Backend.BlockContact},
		{"unblock", "Take a block back", api.Backend.UnblockContact},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:   s.name + " CONTACT",
			Short: s.short,
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.changeContact(cmd.Context(), func(ctx context.Context, a account) (api.Contact, error) {
					return s.method(a, ctx, api.ContactRequest{Contact: args[0]})
				})
			},
		})
	}
	cmd.AddCommand(c.contactRemoveCommand())
	return cmd
}

func (c *cli) contactRemoveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove CONTACT",
		Short: "Forget a contact, its sessions and its history",
		Long:  "Forgets a contact with all that was said. It cannot be taken back. On a terminal it asks first.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if !yes && c.terminalIn() {
				fmt.Fprintf(c.err, "Forget %s and all that was said? Type yes: ", visible(args[0]))
				if answer, err := c.line(ctx); err != nil {
					return err
				} else if answer != "yes" {
					return problem.Newf(problem.Usage, "nothing was removed")
				}
			}
			return c.with(ctx, nil, func(ctx context.Context, a account) error {
				p, err := a.RemoveContact(ctx, api.ContactRequest{Contact: args[0]})
				if err != nil {
					return err
				}
				return c.result(p, func(w io.Writer) { fmt.Fprintf(w, "%s is removed, with all that was said.\n", visible(args[0])) })
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (c *cli) changeContact(ctx context.Context, change func(context.Context, account) (api.Contact, error)) error {
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		p, err := change(ctx, a)
		if err != nil {
			return err
		}
		return c.result(p, func(w io.Writer) { humanContact(w, p) })
	})
}

func (c *cli) verifyCommand() *cobra.Command {
	var confirm bool
	cmd := &cobra.Command{
		Use:   "verify CONTACT",
		Short: "Show the safety number shared with a contact",
		Long: "Shows the safety number shared with a contact. If it is the same at their side, read aloud or side by side, nobody is between you.\n" +
			"--confirm marks it compared.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				n, err := a.Verify(ctx, api.VerifyRequest{Contact: args[0], Confirm: confirm})
				if err != nil {
					return err
				}
				return c.result(n, func(w io.Writer) {
					groups := strings.Fields(n.Number)
					for i := 0; i < len(groups); i += 4 {
						fmt.Fprintln(w, strings.Join(groups[i:min(i+4, len(groups))], " "))
					}
					if n.Verified {
						fmt.Fprintf(w, "%s is verified.\n", visible(n.Name))
					} else {
						fmt.Fprintf(w, "%s is not verified yet: compare, then `godwit verify CONTACT --confirm`.\n", visible(n.Name))
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "it was compared and is the same")
	return cmd
}
