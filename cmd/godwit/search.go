package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/problem"
)

// hit is one thing that was found, as --json prints it: a person or a message.
type hit struct {
	Person *api.Conversation `json:"person,omitempty"`
	*api.FoundMessage

	in string // what the conversation is called
}

func (c *cli) searchCommand() *cobra.Command {
	var r api.SearchRequest
	cmd := &cobra.Command{
		Use:   "search WORDS...",
		Short: "Find people and messages",
		Long: "Finds people by name and messages by the words in them, the newest first. All words must be there; the last may be the beginning of one.\n" +
			"Words \"in quotation marks\" (which the shell must leave there) have to stand together. Case, accents and width make no difference.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Text = strings.Join(args, " ")
			if r.Limit < 1 || r.Limit > api.MaxFound {
				return problem.Newf(problem.Usage, "--limit is between 1 and %d", api.MaxFound)
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				found, err := a.Search(ctx, r)
				if err != nil {
					return err
				}
				hits, err := hitsOf(ctx, a, found)
				if err != nil {
					return err
				}
				if err := results(c, hits, "Nothing found.", humanHit); err != nil {
					return err
				}
				if found.More {
					last := found.Messages[len(found.Messages)-1].Message.ID
					c.note("There is more: add --before %s", last)
				}
				switch {
				case found.DiskFull:
					c.note("Not everything could be searched: the disk is full. Make room, and search again.")
				case found.Unindexed > 0:
					c.note("The oldest messages are still being prepared for searching: try again in a moment.")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&r.Conversation, "contact", "", "only what was said with `CONTACT`")
	cmd.Flags().IntVar(&r.Limit, "limit", 20, "the newest `N` messages")
	cmd.Flags().StringVar(&r.Before, "before", "", "those before the message `ID`")
	return cmd
}

// hitsOf are the lines of what was found.
func hitsOf(ctx context.Context, a account, found api.Found) (hits []hit, err error) {
	names := make(map[string]string)
	var only []string
	for _, m := range found.Messages {
		if id := m.Message.Conversation; names[id] == "" {
			names[id] = id
			only = append(only, id)
		}
	}
	if only != nil {
		list, err := a.Conversations(ctx, api.ConversationsRequest{Only: only})
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			names[v.ID] = v.Name
		}
	}
	for i := range found.People {
		hits = append(hits, hit{Person: &found.People[i]})
	}
	for i := range found.Messages {
		hits = append(hits, hit{FoundMessage: &found.Messages[i], in: names[found.Messages[i].Message.Conversation]})
	}
	return hits, nil
}

func humanHit(w io.Writer, h hit) {
	if h.Person != nil {
		fmt.Fprintf(w, "%-20s %s\n", visible(h.Person.Name), h.Person.ID)
		return
	}
	who := visible(h.in)
	if h.Message.Name == "" {
		who = chat.Self + " to " + who
	}
	fmt.Fprintf(w, "%s  %s: %s\n", when(h.Message.Time), who, visible(h.Snippet))
}
