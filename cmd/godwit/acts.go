package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

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

func (c *cli) timerCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "timer CONTACT AFTER|off",
		Short: "Have the messages of a conversation disappear after a time",
		Long: "Has the texts of a conversation that are written from now on disappear on both sides: at the reader's AFTER it was read, at the writer's AFTER it left\n" +
			"the device. AFTER is such as 30s, 1h, 1d or 4w. A device does so by itself; nobody can know whether another did, or what was copied before.\n" +
			"A message is read when it was seen in a window, or by `godwit read`. It waits as `godwit send` does.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			after, err := parseTimer(args[1])
			if err != nil {
				return err
			}
			r := api.SetTimerRequest{Contact: args[0], After: api.Duration(after)}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.SetTimer(ctx, r)
			})
		},
	}
	w.flags(cmd)
	return cmd
}

// parseTimer reads off, or a time with days and weeks.
func parseTimer(s string) (after time.Duration, err error) {
	const day = 24 * time.Hour
	switch n, long := s, day; {
	case s == "off":
		return 0, nil
	case strings.HasSuffix(s, "w"), strings.HasSuffix(s, "d"):
		if strings.HasSuffix(s, "w") {
			long = 7 * day
		}
		var count uint64
		count, err = strconv.ParseUint(n[:len(n)-1], 10, 16)
		after = time.Duration(count) * long
	default:
		after, err = time.ParseDuration(s)
	}
	if err != nil || after == 0 || !content.CheckTimer(after) {
		return 0, problem.Newf(problem.BadTimer, "%q", s)
	}
	return after, nil
}

// timerWords is a timer as a person reads it.
func timerWords(after api.Duration) string {
	const day = 24 * time.Hour
	d := time.Duration(after)
	switch {
	case d%(7*day) == 0:
		return fmt.Sprintf("%dw", d/(7*day))
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	words := d.String()
	words = strings.TrimSuffix(words, "0s")
	if d >= time.Hour {
		words = strings.TrimSuffix(words, "0m")
	}
	return cmp.Or(words, d.String())
}

func (c *cli) readCommand() *cobra.Command {
	var r api.MarkReadRequest
	cmd := &cobra.Command{
		Use:   "read CONTACT",
		Short: "Mark a conversation as read",
		Long: "Marks a conversation as read, all of it or up to a message. Its author is told if you share that (`read_receipts` in config.toml, `godwit config set`),\n" +
			"and what disappears begins to. Reading with `godwit messages` does neither.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Conversation = args[0]
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				v, err := a.MarkRead(ctx, r)
				if err != nil {
					return err
				}
				return c.result(v, func(w io.Writer) { fmt.Fprintf(w, "%s: %d unread\n", visible(v.Name), v.Unread) })
			})
		},
	}
	cmd.Flags().StringVar(&r.UpTo, "up-to", "", "up to the message `ID`")
	return cmd
}

func (c *cli) introduceCommand() *cobra.Command {
	var w waiting
	var accept api.AcceptIntroductionRequest
	cmd := &cobra.Command{
		Use:   "introduce CONTACT OTHER | --accept ID [--name PETNAME]",
		Short: "Make two contacts known to each other",
		Long: "Asks a contact whether another one may write to them. If they agree, their device makes an invitation for that person alone, this one passes it on, and\n" +
			"the other accepts it or not: nobody learns how to reach anybody who has not agreed. Both take it from you who the other is: they should compare safety\n" +
			"numbers. It waits as `godwit send` does, for the question.\n" +
			"With --accept it says yes to an introduction that somebody else makes, by the id of its line in `godwit messages -v`.",
		Args: func(cmd *cobra.Command, args []string) error {
			if accept.ID != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if accept.ID == "" {
				if accept.Name != "" {
					return problem.Newf(problem.Usage, "--name goes with --accept")
				}
				r := api.IntroduceRequest{Contact: args[0], To: args[1]}
				return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
					r.Wait, r.Timeout = want, limit
					return a.Introduce(ctx, r)
				})
			}
			if cmd.Flags().Changed("wait") || cmd.Flags().Changed("timeout") {
				return problem.Newf(problem.Usage, "with --accept there is nothing to wait for")
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				p, err := a.AcceptIntroduction(ctx, accept)
				if err != nil {
					return err
				}
				words := "%s is a contact now (%s).\n"
				if p.Asked {
					words = "%s is told how to write to you (%s).\n"
				}
				if err := c.result(p, func(w io.Writer) { fmt.Fprintf(w, words, visible(p.Name), p.Contact) }); err != nil {
					return err
				}
				return a.linger(ctx, lingerTime)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&accept.ID, "accept", "", "say yes to the introduction in the message `ID`")
	cmd.Flags().StringVar(&accept.Name, "name", "", "with --accept: what to call the other, a `PETNAME` that only you see")
	return cmd
}

// introductionWords is a step of an introduction as a person reads it.
func introductionWords(i api.Introduction, mine bool, id string) string {
	name := fmt.Sprintf("%q", i.Name)
	switch {
	case i.Step == api.StepAgree:
		return "(agreed to the introduction)"
	case i.Known:
		return "(introduces " + name + ", who is known by now)"
	case mine && i.Step == api.StepAsk:
		return "(asks whether " + name + " may write)"
	case mine:
		return "(introduces " + name + ")"
	case i.Agreed:
		return "(asked whether " + name + " may write to you; you agreed)"
	case i.Step == api.StepAsk:
		return "(asks whether " + name + " may write to you: `godwit introduce --accept " + id + "`)"
	}
	return "(introduces " + name + ": `godwit introduce --accept " + id + "`)"
}
