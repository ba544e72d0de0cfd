package store

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/search"
)

// registerSearch gives a connection what the index of words needs.
func registerSearch(c *sqlite3.Conn) error {
	wordsOf := func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		ctx.ResultText(search.Words(content.Said(content.Kind(arg[0].Int64()), arg[1].RawBlob())))
	}
	return errors.Join(fts5.Register(c), c.CreateFunction("words_of", 2, sqlite3.DETERMINISTIC|sqlite3.INNOCUOUS, wordsOf))
}

// renewSearch empties an index of words that another version made. What is said from then
// on is in it at once, and Index puts in the rest.
func (s *Store) renewSearch(ctx context.Context, c *conn) error {
	return c.transact(ctx, "BEGIN IMMEDIATE", s, func(tx *Tx) error {
		// Tests open profiles that are older than the index.
		if there, err := one(tx, integer, "SELECT count(*) FROM sqlite_schema WHERE name = 'search_progress'"); err != nil || there == 0 {
			return err
		}
		stale, err := one(tx, integer, "SELECT count(*) FROM search_progress WHERE version <> ?", search.Version)
		if err != nil || stale == 0 {
			return err
		}
		return tx.ForgetIndex()
	})
}

// ForgetIndex empties the index of words, for Index to make it anew.
func (tx *Tx) ForgetIndex() error {
	if err := tx.run("INSERT INTO search (search) VALUES ('delete-all')"); err != nil {
		return err
	}
	return tx.run("UPDATE search_progress SET version = ?, after = (SELECT coalesce(max(id), 0) FROM messages)", search.Version)
}

// Index puts messages into the index of words that are not in it yet, the newest first and
// those of n row ids at most. It tells how many row ids are left.
func (tx *Tx) Index(n int64) (left int64, err error) {
	after, err := tx.Unindexed()
	if err != nil || after == 0 {
		return 0, err
	}
	left = max(after-n, 0)
	if err := tx.run(`INSERT INTO search (rowid, text, place) SELECT id, words_of(kind, body), 'c' || conversation
		FROM messages WHERE id > ? AND id <= ? AND shown = 1 AND silent = 0 ORDER BY id`, left, after); err != nil {
		return after, err
	}
	return left, tx.run("UPDATE search_progress SET after = ?", left)
}

// Unindexed is up to which row id messages are not in the index of words yet.
func (tx *Tx) Unindexed() (int64, error) {
	return one(tx, integer, "SELECT after FROM search_progress")
}

// Search returns up to limit lines that have what is asked for, by a row id below before (0:
// the newest), newest first: of one conversation, or of all if that is 0.
func (tx *Tx) Search(q search.Query, conversation, before int64, limit int) (list []Message, err error) {
	if q.Empty() {
		return nil, nil
	}
	if before == 0 {
		before = math.MaxInt64
	}
	match := "{text} : (" + q.Match() + ")"
	if conversation != 0 {
		match += ` AND {place} : "c` + strconv.FormatInt(conversation, 10) + `"`
	}
	rows, err := all(tx, integer, "SELECT rowid FROM search WHERE search MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?", match, before, limit)
	if err != nil {
		return nil, err
	}
	for _, id := range rows {
		m, err := tx.Message(id)
		if errors.Is(err, ErrNotFound) {
			continue // the index is damaged: it has no checksum against SQLite itself
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}
