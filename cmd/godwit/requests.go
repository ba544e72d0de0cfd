package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
)

func (c *cli) requestsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "requests",
		Short: "List the strangers who ask to be contacts",
		Long: "Lists the strangers who wrote by a reusable address and wait for a decision. They are told nothing before you accept. A request is\n" +
			"forgotten after 30 days. It waits for nothing: where no node runs, run `godwit listen` or `godwit node` for a while to collect what relays keep.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				list, err := a.Requests(ctx, api.RequestsRequest{})
				if err != nil {
					return err
				}
				return results(c, list, "No requests.", humanRequest)
			})
		},
	}
}

// humanRequest prints a request. What follows the first line is marked as in
// humanMessage.
func humanRequest(w io.Writer, q api.Request) {
	name := visible(q.Name)
	if name == "" {
		name = "Somebody without a name"
	}
	fmt.Fprintf(w, "%s  %s asks to be a contact (%s)\n", when(q.Time), name, q.ID)
	if q.LooksLike != "" {
		fmt.Fprintf(w, "    %s\n", notTheOne(q.Name, q.LooksLike))
	}
	if q.Text != "" {
		fmt.Fprintf(w, "    | %s\n", visibleLines(q.Text, "    | "))
	}
}

// notTheOne warns of a claimed name that could be taken for that of a contact.
func notTheOne(claimed, known string) string {
	words := fmt.Sprintf("Not the %s you know", visible(known))
	if claimed != known {
		words += fmt.Sprintf(": calls themselves %s", visible(claimed))
	}
	return words
}

func (c *cli) requestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "request", Short: "Accept, ignore or block a stranger", Args: cobra.NoArgs, RunE: c.group}
	var name string
	accept := &cobra.Command{
		Use:   "accept ID",
		Short: "Make a contact of a stranger",
		Long:  "Makes a contact of a stranger: what they sent arrives, and they see it delivered. ID is their account id or its beginning, as `godwit requests` has it.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				p, err := a.AcceptRequest(ctx, api.DecideRequest{ID: args[0], Name: name})
				if err != nil {
					return err
				}
				if err := c.result(p, func(w io.Writer) { fmt.Fprintf(w, "%s is a contact now (%s).\n", visible(p.Name), p.ID) }); err != nil {
					return err
				}
				return a.linger(ctx, lingerTime)
			})
		},
	}
	accept.Flags().StringVar(&name, "name", "", "what to call them: a `PETNAME` that only you see")
	cmd.AddCommand(accept, &cobra.Command{
		Use:   "ignore ID",
		Short: "Forget a request",
		Long:  "Forgets a request. They are told nothing. What else they send within 30 days is dropped; after that they can ask again.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				d, err := a.IgnoreRequest(ctx, api.DecideRequest{ID: args[0]})
				if err != nil {
					return err
				}
				return c.result(d, func(w io.Writer) { fmt.Fprintf(w, "The request of %s is forgotten.\n", d.ID) })
			})
		},
	}, &cobra.Command{
		Use:   "block ID",
		Short: "Forget a request and take nothing more from its account",
		Long:  "Forgets a request and blocks the account for good. They are told nothing. `godwit contact unblock ID` takes it back.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				p, err := a.BlockRequest(ctx, api.DecideRequest{ID: args[0]})
				if err != nil {
					return err
				}
				return c.result(p, func(w io.Writer) { humanContact(w, p) })
			})
		},
	})
	return cmd
}
