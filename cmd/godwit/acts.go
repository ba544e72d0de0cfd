package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) reactCommand() *cobra.Command {
	var w waiting
	var back bool
	cmd := &cobra.Command{
		Use:   "react ID EMOJI | --take-back ID",
		Short: "React to a message with an emoji",
		Long: "Reacts to a message, of either side, with an emoji; there is one of each person at each message. ID is as events and `godwit messages -v` have it.\n" +
			"It waits as `godwit send` does.",
		Args: func(cmd *cobra.Command, args []string) error {
			if back {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r := api.ReactRequest{ID: args[0]}
			if !back {
				// What is not UTF-8 would arrive as something else.
				if r.Emoji = args[1]; r.Emoji == "" || !content.ReactionText(r.Emoji) {
					return problem.Newf(problem.BadReaction, "%q", r.Emoji)
				}
			}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.React(ctx, r)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&back, "take-back", false, "take the reaction back")
	return cmd
}

func (c *cli) editCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "edit ID TEXT",
		Short: "Put another text in the place of one that you sent",
		Long: "Puts another text in the place of one that you sent, here and on the other side, where it is marked as edited. When it was said stays.\n" +
			"TEXT - reads standard input. It waits as `godwit send` does.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.text(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			r := api.EditRequest{ID: args[0], Text: text}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.Edit(ctx, r)
			})
		},
	}
	w.flags(cmd)
	return cmd
}

func (c *cli) deleteCommand() *cobra.Command {
	var w waiting
	r := api.DeleteRequest{}
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a message here, or ask the other side's device to delete it too",
		Long: "Deletes a message from this device. With --both, for one that you sent, the other side's device is asked to delete it as well:\n" +
			"Godwit does so, but nobody can know what a device really does, and what was read was read. What has not reached them yet still does, and the request after it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.ID = args[0]
			if !r.ForBoth {
				if cmd.Flags().Changed("wait") || cmd.Flags().Changed("timeout") {
					return problem.Newf(problem.Usage, "without --both there is nothing to wait for")
				}
				return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
					s, err := a.Delete(ctx, r)
					if err != nil {
						return err
					}
					return c.result(s, func(w io.Writer) { fmt.Fprintln(w, "deleted on this device") })
				})
			}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.Delete(ctx, r)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&r.ForBoth, "both", false, "ask the other side's device to delete it too")
	return cmd
}

func (c *cli) forwardCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "forward ID CONTACT",
		Short: "Send the text of a message to somebody else",
		Long:  "Sends the text of a message, of either side, to a contact, marked as forwarded. Who wrote it is not told. It waits as `godwit send` does.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := api.ForwardRequest{ID: args[0], Contact: args[1]}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.Forward(ctx, r)
			})
		},
	}
	w.flags(cmd)
	return cmd
}
