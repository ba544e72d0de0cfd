package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) sendCommand() *cobra.Command {
	var w waiting
	var files []string
	var reply string
	cmd := &cobra.Command{
		Use:   "send CONTACT TEXT",
		Short: "Send a message",
		Long: "Sends a message and says how far it is known to have come. TEXT - reads standard input.\n" +
			"With --wait the command returns when that state, or a later one, is reached: queued (on this device), kept (at relays, by signed receipts),\n" +
			"delivered (on a device of theirs), read (by the person, if both of you share that).\n" +
			"Where no node runs and --wait is not given, the command stays up to 10 s until the message has left this device,\n" +
			"and what has not is sent when a node runs again.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(files) > 0 {
				return problem.Newf(problem.NotYet, "--file: files come with a later version")
			}
			text, err := c.text(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			r := api.SendRequest{Contact: args[0], Text: text, ReplyTo: reply}
			return c.sends(cmd.Context(), w, func(ctx context.Context, a account, want api.State, limit api.Duration) (api.Sent, error) {
				r.Wait, r.Timeout = want, limit
				return a.Send(ctx, r)
			})
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&reply, "reply-to", "", "as an answer to the message `ID`")
	cmd.Flags().StringArrayVar(&files, "file", nil, "send this file with it (comes with a later version) (`PATH`)")
	return cmd
}

// text is the text of an argument, or for - what is read from standard input.
func (c *cli) text(ctx context.Context, arg string) (string, error) {
	if arg == "-" {
		// One byte and a line's end more than can be sent: enough to refuse it.
		b, err := interruptibly(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(c.in, content.MaxText+2)) })
		if err != nil {
			return "", err
		}
		arg = strings.TrimSuffix(string(b), "\n")
	}
	if arg == "" {
		return "", problem.Newf(problem.BadText, "it is empty")
	}
	return arg, checkText(arg)
}

// waiting is how far a command follows what it sends.
type waiting struct {
	state   string
	timeout time.Duration
}

func (w *waiting) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.state, "wait", "", "return when it is queued, kept, delivered or read (`STATE`)")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 30*time.Second, "how long to wait at most, a `DURATION` such as 30s")
}

// sends queues something and says how far it is known to have come.
func (c *cli) sends(ctx context.Context, w waiting, send func(context.Context, account, api.State, api.Duration) (api.Sent, error)) error {
	want := api.State(w.state)
	if w.state != "" && !want.Valid() {
		return problem.Newf(problem.Usage, "--wait %s: wants queued, kept, delivered or read", w.state)
	}
	if w.timeout < 0 {
		return problem.Newf(problem.Usage, "--timeout %s is negative", w.timeout)
	}
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		// To the API no time is the usual time; a person means it.
		state, limit := want, api.Duration(max(w.timeout, time.Nanosecond))
		if w.state == "" && a.own {
			state, limit = api.Kept, api.Duration(lingerTime)
		}
		s, err := send(ctx, a, state, limit)
		if err != nil {
			return err
		}
		if err := c.result(s, func(w io.Writer) { fmt.Fprintln(w, stateWords(s.State, s.Relays, s.Expires, s.Reason)) }); err != nil {
			return err
		}
		switch {
		case s.State == api.Failed:
			return problem.New(problem.MessageFailed, reason(s.Reason))
		case w.state != "" && !s.State.Meets(want):
			return problem.New(problem.WaitTimedOut, unmet(s))
		}
		return nil
	})
}

// unmet is why a message has not come as far as was waited for. That it could be
// kept better is no reason for it not to be delivered.
func unmet(s api.Sent) error {
	if s.State == api.Kept {
		return errors.New("relays keep it, and no device of theirs has fetched it")
	}
	return reason(s.Reason)
}

func reason(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(s)
}

// stateWords says how far a message has come, as a person reads it.
func stateWords(s api.State, copies *api.Copies, expires api.Time, reason string) string {
	words := string(s)
	if s == api.Kept && copies != nil {
		words = fmt.Sprintf("kept at %d of %d relays", copies.Kept, copies.Wanted)
		if !expires.IsZero() {
			words += " until " + day(expires)
		}
	}
	if s == api.Queued && copies != nil && copies.Left > 0 {
		words += ", left at " + count(copies.Left, "relay") + " without a promise"
	}
	if reason != "" {
		words += ": " + visible(reason)
	}
	return words
}

func (c *cli) messagesCommand() *cobra.Command {
	var r api.MessagesRequest
	var trail string
	cmd := &cobra.Command{
		Use:   "messages CONTACT | --trail ID",
		Short: "Read a conversation, oldest first",
		Long: "Reads what is on this device of a conversation, oldest first. It waits for nothing: where no node runs, run `godwit listen` or `godwit node`\n" +
			"for a while to collect what relays keep.\n" +
			"With -v each is followed by its id, as events have it.\n" +
			"With --trail it tells what became of one message that you sent: each step with its time, way and receipt, whose signature is checked again.",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("trail") {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
					list, err := a.Trail(ctx, api.TrailRequest{ID: trail})
					if err != nil {
						return err
					}
					return results(c, list, "", humanStep)
				})
			}
			r.Contact = args[0]
			if r.Limit < 1 || r.Limit > api.MaxMessages {
				return problem.Newf(problem.Usage, "--limit is between 1 and %d", api.MaxMessages)
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				list, err := newestMessages(ctx, a, r)
				if err != nil {
					return err
				}
				newest := "" // of mine that are delivered
				for _, m := range list {
					if mine := m.Name == ""; mine && (m.State == api.Delivered || m.State == api.Read) {
						newest = m.ID
					}
				}
				return results(c, list, "No messages.", func(w io.Writer, m api.Message) {
					c.humanMessage(w, m)
					if m.ID == newest {
						fmt.Fprintf(w, "    (%s)\n", m.State)
					}
				})
			})
		},
	}
	cmd.Flags().IntVar(&r.Limit, "limit", 50, "the newest `N`")
	cmd.Flags().StringVar(&r.Before, "before", "", "those before the message `ID`")
	cmd.Flags().StringVar(&trail, "trail", "", "what became of the message `ID`")
	return cmd
}

// newestMessages reads as many messages as are wanted, by pages: long ones come fewer at a time.
func newestMessages(ctx context.Context, a account, r api.MessagesRequest) (list []api.Message, err error) {
	for wanted := r.Limit; len(list) < wanted; r.Before = list[0].ID {
		r.Limit = wanted - len(list)
		page, err := a.Messages(ctx, r)
		if err != nil || len(page) == 0 {
			return list, err
		}
		list = append(page, list...)
	}
	return list, nil
}

// humanStep prints a step of a message's trail.
func humanStep(w io.Writer, s api.Step) {
	words := string(s.What)
	if s.What == api.StepState {
		words = "so it is " + string(s.State)
	}
	switch {
	case s.What == api.StepLeft:
		words += ", may be displaced, no longer than until " + day(s.Until)
	case !s.Until.IsZero():
		words += " until " + day(s.Until)
	}
	switch s.Path {
	case "direct":
		words += ", directly"
	case "mailbox", "flight":
		words += " at relay " + s.Peer
		if s.What == api.StepDeposited && s.Via == "" {
			words += ", straight"
		} else if s.Via != "" {
			words += " through relay " + s.Via
		}
	}
	switch s.Proof {
	case api.ProofGood:
		words += " (proof checked)"
	case api.ProofWrong:
		words += " (the proof does NOT fit)"
	case api.ProofGone:
		words += " (its keys are erased, so the proof cannot be checked again)"
	}
	if s.Reason != "" {
		words += ": " + visible(s.Reason)
	}
	fmt.Fprintf(w, "%s  %s\n", s.Time.Local().Format("2006-01-02 15:04:05.000"), words)
}

// humanMessage prints a message. What follows its first line is marked, so that no
// text looks like a line of ours.
func (c *cli) humanMessage(w io.Writer, m api.Message) {
	who := visible(m.Name)
	if who == "" {
		who = chat.Self
	}
	text := m.Text
	if m.Deleted {
		fmt.Fprintf(w, "%s  %s: (deleted)\n", when(m.Time), who)
		return
	}
	if m.Kind == content.KindRecovered.String() {
		fmt.Fprintf(w, "%s  * %s: %s\n", when(m.Time), who, visible(m.Reason))
		return
	}
	if m.Kind == content.KindTimer.String() && m.Reason == "" {
		text = "(messages disappear " + timerWords(m.Timer) + " after they are read)"
		if m.Timer == 0 {
			text = "(messages do not disappear any more)"
		}
	}
	if m.Introduction != nil {
		text = introductionWords(*m.Introduction, m.Name == "", m.ID)
	}
	if m.Kind != "text" && text == "" {
		text = "(" + m.Kind + ")"
	}
	marks := ""
	if m.Forwarded {
		marks += " (forwarded)"
	}
	if !m.Edited.IsZero() {
		marks += " (edited)"
	}
	fmt.Fprintf(w, "%s  %s%s: %s\n", when(m.Time), who, marks, visibleLines(text, "    | "))
	if m.Reply != nil {
		fmt.Fprintf(w, "    (answers %s)\n", quoteWords(*m.Reply))
	}
	for _, r := range m.Reactions {
		fmt.Fprintf(w, "    (%s by %s)\n", visible(r.Emoji), reactors(r))
	}
	switch {
	case !m.Disappears.IsZero():
		fmt.Fprintf(w, "    (disappears %s)\n", when(m.Disappears))
	case m.Timer != 0 && m.Kind == "text":
		fmt.Fprintf(w, "    (disappears %s after it is read)\n", timerWords(m.Timer))
	}
	if c.verbose {
		fmt.Fprintf(w, "    (id %s)\n", m.ID)
	}
	// Words only where the state is not as hoped.
	if m.State == api.Queued || m.State == api.Kept || m.State == api.Failed {
		fmt.Fprintf(w, "    (%s)\n", stateWords(m.State, m.Relays, m.Expires, m.Reason))
	}
}

// quoteWords is an answered message on one line.
func quoteWords(q api.Quote) string {
	who := visible(q.Name)
	switch {
	case q.Deleted:
		return "a message that was deleted"
	case q.Author == "":
		return "a message that is not here"
	case who == "":
		who = chat.Self
	}
	const most = 60
	text := []rune(strings.Join(strings.Fields(visible(q.Text)), " "))
	if len(text) > most {
		text = append(text[:most-1], '…')
	}
	return fmt.Sprintf("%s: %s", who, string(text))
}

// reactors says who of the two reacted.
func reactors(r api.Reaction) string {
	switch {
	case r.Mine && len(r.By) > 1:
		return "both"
	case r.Mine:
		return chat.Self
	}
	return "them"
}

func (c *cli) listenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "listen",
		Short: "Follow what happens until interrupted",
		Long: "Prints what happens until it is interrupted, which is how it ends: with exit status 0. Where no node runs, it is the node for that time:\n" +
			"other commands find it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			stays := func(cfg *config.Config) { cfg.Brief = false }
			err := c.with(ctx, stays, func(ctx context.Context, a account) error {
				follow := func(ctx context.Context) error { return a.Events(ctx, api.EventsRequest{}, c.event) }
				if !a.own {
					return follow(ctx)
				}
				return c.serve(ctx, a, follow)
			})
			if ctx.Err() != nil {
				return nil // being interrupted is how it ends
			}
			return err
		},
	}
}

// serve lets other commands find the account of this process while f runs.
func (c *cli) serve(ctx context.Context, a account, f func(context.Context) error) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	server, err := api.Listen(cfg.Dirs.Socket, a.Backend, config.Version)
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return server.Run(ctx) })
	parts.Go(func() error { return f(ctx) })
	return parts.Wait()
}

// event prints one event.
func (c *cli) event(e api.Event) error {
	return c.result(e, func(w io.Writer) { c.humanEvent(w, e) })
}

func (c *cli) humanEvent(w io.Writer, e api.Event) {
	switch e.Event {
	case api.EventReady:
		fmt.Fprintf(w, "ready  %s\n", cmp.Or(e.Account, e.Peer))
		if e.HTTP != "" {
			fmt.Fprintf(w, "       http://%s\n", e.HTTP)
		}
		for _, a := range e.Addrs {
			fmt.Fprintf(w, "       %s\n", a)
		}
	case api.EventMessage:
		c.humanMessageEvent(w, e)
	case api.EventTyping:
		words := "is writing"
		if e.Expires.IsZero() {
			words = "stopped writing"
		}
		fmt.Fprintf(w, "%s  %s %s\n", when(e.At), visible(e.Name), words)
	case api.EventState:
		fmt.Fprintf(w, "%s  message %s: %s\n", when(e.At), e.ID, stateWords(api.State(e.State), e.Relays, e.Expires, e.Reason))
	case api.EventContact:
		fmt.Fprintf(w, "%s  %s: %s\n", when(e.At), visible(e.Name), e.Change)
	case api.EventRequest:
		if e.Change != "new" {
			fmt.Fprintf(w, "%s  request %s: %s\n", when(e.At), e.ID, e.Change)
			return
		}
		humanRequest(w, api.Request{ID: e.ID, Name: e.Name, LooksLike: e.LooksLike, Text: e.Text, Time: e.Time})
	case api.EventRelay:
		who := "relay " + e.Relay // without a name: the one that runs here
		fmt.Fprintf(w, "%s  %s: %s\n", when(e.At), strings.TrimSpace(who), stateWords(api.State(e.State), nil, api.Time{}, e.Reason))
	case api.EventConversation: // what a person hears of it is the message, or their own doing
	case api.EventAccount:
		fmt.Fprintf(w, "%s  account %s: %s\n", when(e.At), e.Change, visible(e.Reason))
	default:
		fmt.Fprintf(w, "%s  %s %s\n", when(e.At), e.Event, visible(e.Reason))
	}
}

// humanMessageEvent prints a message, or what has become of one.
func (c *cli) humanMessageEvent(w io.Writer, e api.Event) {
	switch e.Change {
	case api.ChangeDeleted, api.ChangeRemoved:
		fmt.Fprintf(w, "%s  message %s: %s\n", when(e.At), e.ID, e.Change)
		return
	case api.ChangeTimed:
		fmt.Fprintf(w, "%s  message %s: disappears %s\n", when(e.At), e.ID, when(e.Disappears))
		return
	case api.ChangeEdited, api.ChangeReacted:
		fmt.Fprintf(w, "%s  message %s: %s, now it is\n", when(e.At), e.ID, e.Change)
	}
	c.humanMessage(w, api.Message{ID: e.ID, Name: e.Name, Time: e.Time, Kind: e.Kind, Text: e.Text, State: api.State(e.State),
		Relays: e.Relays, Expires: e.Expires, Reason: e.Reason, Deeds: e.Deeds})
}

// checkText refuses what is too long or not UTF-8. On its way to the node JSON
// would put other characters in the place of the latter, without a word.
func checkText(text string) error {
	switch {
	case len(text) > content.MaxText: // first, as what was read may end within a character
		return problem.Newf(problem.BadText, "it has more than %s bytes", humanize.Comma(content.MaxText))
	case !utf8.ValidString(text):
		return problem.Newf(problem.BadText, "it is not UTF-8")
	}
	return nil
}
