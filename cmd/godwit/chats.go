package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) chatsCommand() *cobra.Command {
	archived := false
	cmd := &cobra.Command{
		Use:   "chats",
		Short: "List conversations, with what is unread",
		Long:  "Lists conversations: those that are pinned, then by what was said last. It waits for nothing, as `contacts` does.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				all, err := a.Conversations(ctx, api.ConversationsRequest{})
				if err != nil {
					return err
				}
				var list []api.Conversation
				for _, v := range all {
					if v.Archived == archived {
						list = append(list, v)
					}
				}
				return results(c, list, "No conversations.", humanConversation)
			})
		},
	}
	cmd.Flags().BoolVar(&archived, "archived", false, "those that were put away")
	return cmd
}

func humanConversation(w io.Writer, v api.Conversation) {
	var marks []string
	if v.Unread > 0 {
		marks = append(marks, fmt.Sprintf("%d unread", v.Unread))
	}
	for _, m := range []struct {
		on   bool
		word string
	}{{v.Pinned, "pinned"}, {!v.MutedUntil.IsZero(), "muted"}, {v.Blocked, "blocked"}, {v.Frozen, "frozen"}, {v.Draft != "", "draft"}} {
		if m.on {
			marks = append(marks, m.word)
		}
	}
	line := fmt.Sprintf("%s  %-20s", when(v.Active), visible(v.Name))
	if marks != nil {
		line += " (" + strings.Join(marks, ", ") + ")"
	}
	if v.Last != nil {
		who := ""
		if v.Last.Name == "" {
			who = chat.Self + ": "
		}
		line += " " + who + visible(firstLine(cmp.Or(v.Last.Text, "("+v.Last.Kind+")")))
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// firstLine is as much of a text as a list shows.
func firstLine(text string) string {
	const most = 60
	line, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	if rest != "" {
		line += " …"
	}
	return line
}

// arrangeCommands are those that change what a person does with a conversation.
func (c *cli) arrangeCommands() (list []*cobra.Command) {
	yes, no := true, false
	for _, s := range []struct {
		name, short string
		change      api.SetConversationRequest
	}{
		{"pin", "Keep a conversation on top", api.SetConversationRequest{Pinned: &yes}},
		{"unpin", "Take a conversation from the top", api.SetConversationRequest{Pinned: &no}},
		{"archive", "Put a conversation away until something new is said", api.SetConversationRequest{Archived: &yes}},
		{"unarchive", "Take a conversation out again", api.SetConversationRequest{Archived: &no}},
	} {
		list = append(list, &cobra.Command{
			Use:   s.name + " CONTACT",
			Short: s.short,
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.arrange(cmd.Context(), args[0], s.change)
			},
		})
	}
	return append(list, c.muteCommand())
}

func (c *cli) muteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "mute CONTACT 1h|tomorrow|always|off",
		Short: "Have a conversation make no noise for a while",
		Long: "Mutes a conversation for a length of time such as 1h or 168h, until tomorrow (8 in the morning), always, or not any more (off).\n" +
			"One that is archived and muted stays put away when something new is said.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			until, err := muteUntil(args[1], time.Now())
			if err != nil {
				return err
			}
			return c.arrange(cmd.Context(), args[0], api.SetConversationRequest{MutedUntil: &api.Time{Time: until}})
		},
	}
}

// muteUntil is the time that a person means; zero: off.
func muteUntil(word string, now time.Time) (time.Time, error) {
	switch word {
	case "off":
		return time.Time{}, nil
	case "always":
		return time.Parse(time.RFC3339, api.Always)
	case "tomorrow":
		y, m, d := now.Date()
		return time.Date(y, m, d+1, 8, 0, 0, 0, now.Location()), nil
	}
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 {
		return time.Time{}, problem.Newf(problem.Usage, "%q is no length of time such as 1h, nor tomorrow, always or off", word)
	}
	return now.Add(d), nil
}

func (c *cli) arrange(ctx context.Context, contact string, r api.SetConversationRequest) error {
	r.Conversation = contact
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		v, err := a.SetConversation(ctx, r)
		if err != nil {
			return err
		}
		return c.result(v, func(w io.Writer) { humanConversation(w, v) })
	})
}

// starCommands mark messages and list those that are marked.
func (c *cli) starCommands() (list []*cobra.Command) {
	for _, s := range []struct {
		name, short string
		on          bool
	}{{"star", "Mark a message", true}, {"unstar", "Take the mark off a message", false}} {
		list = append(list, &cobra.Command{
			Use:   s.name + " ID",
			Short: s.short,
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
					m, err := a.Star(ctx, api.StarRequest{ID: args[0], Starred: s.on})
					if err != nil {
						return err
					}
					return c.result(m, func(w io.Writer) { c.humanMessage(w, m) })
				})
			},
		})
	}
	r := api.MarkedRequest{Mark: api.MarkStarred}
	starred := &cobra.Command{
		Use:   "starred [CONTACT]",
		Short: "Read the messages that were marked, oldest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				r.Conversation = args[0]
			}
			if r.Limit < 1 || r.Limit > api.MaxMessages {
				return problem.Newf(problem.Usage, "--limit is between 1 and %d", api.MaxMessages)
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				list, err := a.Marked(ctx, r)
				if err != nil {
					return err
				}
				return results(c, list, "No messages.", c.humanMessage)
			})
		},
	}
	starred.Flags().IntVar(&r.Limit, "limit", 50, "the newest `N`")
	return append(list, starred)
}

func (c *cli) noteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "note TEXT",
		Short: "Write a note to yourself",
		Long:  "Keeps a text in the conversation `self`, on this computer only: `godwit messages self` reads it. TEXT - reads standard input.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.text(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				s, err := a.Send(ctx, api.SendRequest{Contact: api.Self, Text: text})
				if err != nil {
					return err
				}
				return c.result(s, func(w io.Writer) { fmt.Fprintln(w, "noted") })
			})
		},
	}
}

func (c *cli) echoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "echo",
		Short: "Add Echo, who lives on this computer and repeats what it is told",
		Long:  "Adds Echo, to try things alone: `godwit send echo TEXT` while a node runs, and `godwit messages echo`. `godwit contact remove echo` removes it.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				v, err := a.AddEcho(ctx, api.AddEchoRequest{})
				if err != nil {
					return err
				}
				return c.result(v, func(w io.Writer) { humanConversation(w, v) })
			})
		},
	}
}
