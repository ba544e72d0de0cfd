package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/sample"
	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/store"
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

// typed is what the search benchmark looks for: each as it is typed, letter by letter.
func typed() []string {
	return []string{"harbour at six", "kommst du heute", "the address", "\"happy birthday\"", "jürgen", "生日快乐", "поезд опять", "soup", "nowhere at all", "la"}
}

// benchSearch measures what the window asks of the store, in a made-up profile of 100,000
// messages, with the window's cache.
func benchSearch(ctx context.Context, report func(figure) error) (err error) {
	dir, err := os.MkdirTemp("", "godwit-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := store.Open(ctx, filepath.Join(dir, "godwit.db"), [32]byte{1}, store.Options{Create: true, CacheKiB: 64 << 10})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	now := time.Now()
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.PutAccount(store.Account{Name: "Sam", Created: now}) }); err != nil {
		return err
	}
	size := sample.Size{Conversations: 200, Messages: 100_000}
	if err := sample.Fill(ctx, s, size, now); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *store.Store, func(figure) error) error{searchTimes, listTimes, indexTime} {
		if err := step(ctx, s, report); err != nil {
			return err
		}
	}
	return nil
}

// searchTimes measures searches as a person types.
func searchTimes(ctx context.Context, s *store.Store, report func(figure) error) error {
	var times []time.Duration
	hits := 0
	for _, text := range typed() {
		for i := range text {
			q := search.Parse(text[:i])
			if q.Empty() {
				continue
			}
			began := time.Now()
			err := s.View(ctx, func(tx *store.Tx) error {
				list, err := tx.Search(q, 0, 0, 20)
				for _, m := range list {
					search.Snippet(string(m.Body), q.Find(string(m.Body)))
				}
				hits += len(list)
				return err
			})
			if err != nil {
				return err
			}
			times = append(times, time.Since(began))
		}
	}
	if hits == 0 {
		return fmt.Errorf("nothing was found of %s", strings.Join(typed(), ", "))
	}
	slices.Sort(times)
	for _, f := range []figure{
		{"search_ms_p50", micros(times[len(times)/2]) / 1000, "ms"},
		{"search_ms_p95", micros(times[len(times)*95/100]) / 1000, "ms"},
		{"search_ms_max", micros(times[len(times)-1]) / 1000, "ms"},
	} {
		if err := report(f); err != nil {
			return err
		}
	}
	return nil
}

// listTimes measures the list of conversations and the newest page of each.
func listTimes(ctx context.Context, s *store.Store, report func(figure) error) error {
	var lists, pages []time.Duration
	var all []store.Listed
	for range 20 {
		began := time.Now()
		err := s.View(ctx, func(tx *store.Tx) (err error) {
			all, err = tx.ListConversations()
			return err
		})
		if err != nil {
			return err
		}
		lists = append(lists, time.Since(began))
	}
	for _, l := range all {
		began := time.Now()
		err := s.View(ctx, func(tx *store.Tx) error {
			_, err := tx.Messages(l.Conversation.ID, 0, 50)
			return err
		})
		if err != nil {
			return err
		}
		pages = append(pages, time.Since(began))
	}
	if err := report(figure{"conversations_ms", micros(median(lists)) / 1000, "ms"}); err != nil {
		return err
	}
	return report(figure{"page_ms", micros(median(pages)) / 1000, "ms"})
}

// indexTime measures how long a profile from before the index takes to get one.
func indexTime(ctx context.Context, s *store.Store, report func(figure) error) error {
	if err := s.Update(ctx, (*store.Tx).ForgetIndex); err != nil {
		return err
	}
	began := time.Now()
	for left := int64(1); left > 0; {
		err := s.Update(ctx, func(tx *store.Tx) (err error) {
			tx.Lazy()
			left, err = tx.Index(500)
			return err
		})
		if err != nil {
			return err
		}
	}
	return report(figure{"search_index_s", time.Since(began).Seconds(), "s"})
}
