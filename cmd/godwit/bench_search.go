package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/sample"
)

// benchProfileCommand fills a profile for benchmarks and screenshots of the window.
func (c *cli) benchProfileCommand() *cobra.Command {
	var size sample.Size
	cmd := &cobra.Command{
		Use:    "profile",
		Short:  "Fill the new profile that --profile names with made-up people and messages",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.profile == "" {
				return problem.Newf(problem.Usage, "--profile has to name the directory")
			}
			cfg, _, err := c.load()
			if err != nil {
				return err
			}
			if err := sample.Profile(cmd.Context(), cfg, size, time.Now()); err != nil {
				return problem.New(problem.BenchFailed, err)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&size.Conversations, "conversations", 200, "with so many people")
	cmd.Flags().IntVar(&size.Messages, "messages", 100_000, "so many messages")
	return cmd
}
