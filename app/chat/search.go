package chat

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	words "github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/store"
)

const (
	// maxPeople is how many people a search finds.
	maxPeople = 20
	// indexPart is how many messages that the index of words lacks are put into it at a time: some 20 ms
	// in which nothing else is changed.
	indexPart = 500
	// indexAfter is how long what was said waits for the index of words, unless somebody searches,
	// so that much that is said at once is put in together and nobody waits for it.
	indexAfter = time.Second
)

// Search finds people by their names and messages by their words, of the conversation with the
// contact that is found or if with is nil of all; see api.Backend. Errors:
// problem.NoSuchContact, NoSuchMessage, and those of the look-up.
func (c *Chat) Search(ctx context.Context, text string, with Find, before string, limit int) (found api.Found, err error) {
	q := words.Parse(text)
	var newest int64
	if !q.Empty() {
		if newest, err = c.indexNewest(ctx); err != nil {
			return found, err
		}
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		found = api.Found{People: []api.Conversation{}, Messages: []api.FoundMessage{}}
		_, oldest, err := tx.Unindexed()
		if err != nil || q.Empty() {
			return err
		}
		found.Unindexed = newest + oldest
		found.DiskFull = found.Unindexed > 0 && c.cramped.Load()
		if with == nil && before == "" {
			if found.People, err = c.people(tx, q); err != nil {
				return err
			}
		}
		found.Messages, found.More, err = c.findMessages(tx, q, with, before, limit)
		return err
	})
	return found, err
}

// people are the conversations with those who are meant by name.
func (c *Chat) people(tx *store.Tx, q words.Query) ([]api.Conversation, error) {
	all, err := tx.Contacts()
	if err != nil {
		return nil, err
	}
	var meant []Find
	for _, p := range all {
		if p.Removed.IsZero() && p.Kind != store.ContactRequest && q.Names(DisplayName(p)) {
			meant = append(meant, func(*store.Tx) (store.Contact, error) { return p, nil })
		}
	}
	if meant == nil {
		return []api.Conversation{}, nil
	}
	list, err := c.conversationViews(tx, meant)
	return list[:min(len(list), maxPeople)], err
}

// findMessages finds messages, newest first, and tells whether there are more.
func (c *Chat) findMessages(tx *store.Tx, q words.Query, with Find, before string, limit int) (list []api.FoundMessage, more bool, err error) {
	list = []api.FoundMessage{}
	var conv store.Conversation
	if with != nil {
		who, err := with(tx)
		if err != nil {
			return nil, false, ignoreAs(err, store.ErrNotFound, problem.New(problem.NoSuchContact, nil))
		}
		if conv, err = tx.ConversationWith(who.ID); err != nil {
			return list, false, ignore(err, store.ErrNotFound)
		}
	}
	var row int64
	if before != "" {
		m, err := message(tx, before)
		if err != nil {
			return nil, false, err
		}
		row = m.ID
	}
	rows, err := tx.Search(q, conv.ID, row, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(rows) > limit; more {
		rows = rows[:limit]
	}
	lines, err := c.lineViews(tx, rows)
	for _, m := range lines {
		at := q.Find(m.Text)
		if at == nil {
			continue // SQLite has its own idea of what the index says
		}
		f := api.FoundMessage{Message: m}
		var in []words.Range
		f.Snippet, in = words.Snippet(m.Text, at)
		for _, r := range in {
			f.Matches = append(f.Matches, api.Match(r))
		}
		f.Message.Text = ""
		list = append(list, f)
	}
	return list, more, err
}

// indexNewest puts into the index of words what was said before now and is not in it yet, so
// that a search finds it. It tells how many row ids are left if the disk is full.
func (c *Chat) indexNewest(ctx context.Context) (left int64, err error) {
	left, _, err = c.unindexed(ctx)
	for err == nil && left > 0 {
		if err = c.indexSome(ctx); err == nil {
			left = max(left-indexPart, 0)
		}
	}
	return left, ignore(err, store.ErrFull)
}

// index puts into the index of words what is not in it yet, until the context ends: what was
// said, indexAfter later, and the messages of a profile from before there was an index, or of another version of
// it, or all after many were removed. It goes on where it was.
func (c *Chat) index(ctx context.Context) {
	for {
		next := c.said.wait()
		newest, oldest, err := c.unindexed(ctx)
		if err == nil && newest+oldest == 0 {
			select {
			case <-ctx.Done():
				return
			case <-next:
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(indexAfter):
			}
			continue
		}
		if err == nil {
			err = c.indexSome(ctx)
		}
		if ctx.Err() != nil || errors.Is(err, errStopped) {
			return
		}
		if err != nil { // such as a full disk
			c.log.Error("messages could not be prepared for searching", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(tidyEvery):
			}
		}
	}
}

func (c *Chat) unindexed(ctx context.Context) (newest, oldest int64, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) (err error) {
		newest, oldest, err = tx.Unindexed()
		return err
	})
	return newest, oldest, err
}

// indexSome puts the next messages into the index of words. A power cut may take that back:
// they are put in anew then.
func (c *Chat) indexSome(ctx context.Context) error {
	err := c.update(ctx, func(t *turn) error {
		t.mayWait()
		_, err := t.Index(indexPart)
		return err
	})
	if err == nil || errors.Is(err, store.ErrFull) {
		c.cramped.Store(err != nil)
	}
	return err
}
