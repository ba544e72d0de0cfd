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

// renewSearch empties an index of words that another version made, for Index to make it anew.
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
	p, err := tx.progress()
	if err != nil {
		return err
	}
	return tx.run("UPDATE search_progress SET version = ?, after = ?, upto = ?", search.Version, p.last, p.last)
}

// progress is what the index of words has: the messages of row ids above after and up to upto.
// last is the newest that there is.
type progress struct{ after, upto, last int64 }

func (tx *Tx) progress() (progress, error) {
	return one(tx, func(r row) (p progress, err error) {
		err = r.Scan(&p.after, &p.upto, &p.last)
		return p, err
	}, "SELECT after, upto, max(upto, (SELECT coalesce(max(id), 0) FROM messages)) FROM search_progress")
}

// Index puts messages into the index of words that are not in it yet, those of n row ids at
// most: first what was said since, then what was there before the index, the newest first. It
// tells how many row ids are left.
//
// A message is not put in as it is kept: by itself each would cost as much as all else that is
// done for it, and many together cost a fraction of that.
func (tx *Tx) Index(n int64) (left int64, err error) {
	p, err := tx.progress()
	if err != nil {
		return 0, err
	}
	var after, upto int64
	switch {
	case p.upto < p.last:
		after, upto = p.upto, min(p.upto+n, p.last)
		p.upto = upto
	case p.after > 0:
		after, upto = max(p.after-n, 0), p.after
		p.after = after
	default:
		return 0, nil
	}
	if err := tx.run(`INSERT INTO search (rowid, text, place) SELECT id, words_of(kind, body), 'c' || conversation
		FROM messages WHERE id > ? AND id <= ? AND shown = 1 AND silent = 0 ORDER BY id`, after, upto); err != nil {
		return 0, err
	}
	return p.last - p.upto + p.after, tx.run("UPDATE search_progress SET after = ?, upto = ?", p.after, p.upto)
}

// Unindexed is of how many row ids messages are not in the index of words yet: of the newest,
// and of the oldest.
func (tx *Tx) Unindexed() (newest, oldest int64, err error) {
	p, err := tx.progress()
	return p.last - p.upto, p.after, err
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
