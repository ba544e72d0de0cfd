// Package store is the database of one profile: an SQLite file, encrypted page
// by page, that holds everything which must outlive the process except the keys
// (identity/vault) and the configuration.
//
// The tables are described in sql/schema, one file for each group and one Go
// file beside this one with the rows and verbs that belong to it. Packages above
// see transactions (Update, View), rows and verbs, never SQL.
//
// # What is promised
//
//   - Update returns nil only when the transaction is on the disk (WAL,
//     synchronous=FULL), unless it was Lazy: then a power cut may undo it, as
//     long as no other transaction or Sync came after it; the death of the process
//     may not. There is one writer; readers never wait for it.
//   - Nothing readable is on the disk, in the database, its WAL or temporary
//     files: pages go through Adiantum (ncruces/go-sqlite3/vfs/adiantum), and
//     deleted rows are overwritten (secure_delete).
//   - Adiantum has no MAC. So each page carries a checksum inside the
//     encryption: as the cipher is a wide-block one, a flipped bit on the disk
//     scrambles 4 KiB of the page and the page is refused (ErrDamaged) but for
//     one chance in 2^64. Who can write the file can still put back an old copy
//     of a page. Keys and ratchet states are therefore also sealed one by one
//     with XChaCha20-Poly1305, bound to their table and row.
//   - An old copy of the whole file cannot be told from a new one here; the
//     session protocol is made to survive it.
//
// Both keys come from the one given to Open:
// HKDF-SHA256(key, "godwit/1/store/pages") and "godwit/1/store/rows".
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options are the choices that a caller has. The zero value opens an existing
// database with the cache of the headless program.
type Options struct {
	// Create makes the database if there is none. Without it a missing or
	// empty file is ErrMissing.
	Create bool
	// CacheKiB bounds the page cache of the writer; readers take a quarter
	// each. 0: 16 MiB.
	CacheKiB int

	migrations fs.FS  // for tests: instead of sql/migrations
	maxPages   int    // for tests: a full disk, as PRAGMA max_page_count
	vfs        string // for tests: instead of vfsName
}

// readers is how many views may run at once; more wait.
const readers = 2

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	path    string
	options Options
	pageKey string // hexadecimal, for PRAGMA hexkey
	rows    sealer

	writer, views chan *conn // idle connections; nil: to be opened on first use
	lastOutgoing  int64      // id of the newest outbox row that this Store has had; whoever has the writer's
	lastMessage   int64      // row id of the newest message that there was ever, 0: not known yet; likewise
	closed        chan struct{}
	closing       sync.Once
	closeErr      error
}

// Open opens the database at path with a 32-byte key, and brings it to this
// program's version; before it changes a schema it keeps a copy beside the
// file until the change is committed. Errors: ErrMissing, ErrKey, ErrNewer,
// ErrDamaged, ErrReadOnly, ErrFull, ErrBusy.
//
// Nothing is written when the key is wrong or the version is newer.
func Open(ctx context.Context, path string, key [32]byte, options Options) (*Store, error) {
	s := &Store{
		path:    path,
		options: options,
		pageKey: pageKey(key),
		rows:    newSealer(key),
		writer:  make(chan *conn, 1),
		views:   make(chan *conn, readers),
		closed:  make(chan struct{}),
	}
	if s.options.CacheKiB == 0 {
		s.options.CacheKiB = 16 << 10
	}
	if s.options.vfs == "" {
		s.options.vfs = vfsName
	}
	if s.options.migrations == nil {
		s.options.migrations = migrations()
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	for range readers {
		s.views <- nil
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	there, err := exists(s.path)
	if err != nil {
		return err
	}
	if !there {
		if !s.options.Create {
			return fmt.Errorf("%w: %s", ErrMissing, filepath.Base(s.path))
		}
		if err := s.create(ctx); err != nil {
			return err
		}
	}
	return s.start(ctx)
}

// create makes a database under another name first, so that at no moment there is
// half a one under its own.
func (s *Store) create(ctx context.Context) error {
	path := s.path
	defer func() { s.path = path }()
	s.path += ".new"
	for _, file := range []string{s.path, s.path + "-wal", s.path + "-shm", s.path + "-journal"} {
		if err := removeIfThere(file); err != nil {
			return classify(err)
		}
	}
	if err := touch(s.path); err != nil {
		return classify(err)
	}
	err := s.start(ctx)
	if err == nil {
		err = (<-s.writer).close()
	}
	if err != nil {
		return errors.Join(err, classify(removeIfThere(s.path)))
	}
	if err := os.Rename(s.path, path); err != nil {
		return classify(err)
	}
	return syncDir(filepath.Dir(path))
}

// start opens the file at s.path and takes the migrations that it has not seen.
func (s *Store) start(ctx context.Context) error {
	c, err := s.dial(ctx, false)
	if err != nil {
		return err
	}
	if err := s.migrate(ctx, c); err != nil {
		return errors.Join(err, c.close())
	}
	if err := s.countOutbox(ctx, c); err != nil {
		return errors.Join(err, c.close())
	}
	if err := s.renewSearch(ctx, c); err != nil {
		return errors.Join(err, c.close())
	}
	s.writer <- c
	return nil
}

// countOutbox notes the newest outbox row: its id is given to no other while this Store is
// open, though the row may go.
func (s *Store) countOutbox(ctx context.Context, c *conn) error {
	return c.transact(ctx, "BEGIN", s, func(tx *Tx) (err error) {
		s.lastOutgoing, err = one(tx, integer, "SELECT coalesce(max(id), 0) FROM outbox")
		return err
	})
}

// Path is the file that Open was given. SQLite keeps a "-wal" and a "-shm"
// beside it while it is open.
func (s *Store) Path() string { return s.path }

// Close waits for running transactions and closes the database: readers before the
// writer, which then leaves no WAL behind. Later calls of
// any method return ErrClosed; a second Close returns what the first did.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		for range readers {
			if c := <-s.views; c != nil {
				s.closeErr = errors.Join(s.closeErr, c.close())
			}
		}
		if c := <-s.writer; c != nil {
			s.closeErr = errors.Join(s.closeErr, c.close())
		}
	})
	return s.closeErr
}

// Update runs fn in the one write transaction and commits it if fn returns nil
// and no verb of the transaction failed. When Update returns nil the changes
// are on the disk. When it returns an error they are undone, with one exception
// that no database can spare its caller: if the disk failed in the commit
// itself, a restart may show the changes after all.
//
// fn must not keep the Tx. ctx bounds the wait for the writer; a transaction
// that runs is not interrupted, but not committed either once ctx is done.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	c, err := s.take(ctx, s.writer)
	if err != nil {
		return err
	}
	defer func() { s.writer <- c }()
	return c.transact(context.Background(), "BEGIN IMMEDIATE", s, func(tx *Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// Sync returns when lazy transactions are on the disk too.
func (s *Store) Sync(ctx context.Context) error {
	c, err := s.take(ctx, s.writer)
	if err != nil {
		return err
	}
	defer func() { s.writer <- c }()
	return classify(c.sync())
}

// View runs fn on a snapshot. It never waits for a writer. fn must not keep the
// Tx; verbs that write fail. ctx interrupts it.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	c, err := s.take(ctx, s.views)
	if err != nil {
		return err
	}
	defer func() { s.views <- c }()
	return c.transact(ctx, "BEGIN", s, fn)
}

// take waits for a connection of the pool. The caller gives it back.
func (s *Store) take(ctx context.Context, pool chan *conn) (*conn, error) {
	select { // where several could go on below, these come first
	case <-s.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	default:
	}
	select {
	case c := <-pool:
		if c != nil {
			return c, nil
		}
		c, err := s.dial(ctx, pool == s.views)
		if err != nil {
			pool <- nil
			return nil, fmt.Errorf("store: open: %w", err)
		}
		return c, nil
	case <-s.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Tx is a running transaction. Its methods are the verbs of the tables. A verb
// that finds nothing returns ErrNotFound, one that would make a second of what
// there may be only one returns ErrExists; both leave the transaction as it
// was. After any other error of the database every later verb fails with the
// same error and the transaction will be undone.
type Tx struct {
	conn  *conn
	store *Store
	err   error
	lazy  bool
}

// Lazy says that the transaction need not be on the disk when Update returns: all
// it notes would be said again to whoever lost it. It spares the disk a sync, the
// greater part of a small transaction's time.
func (tx *Tx) Lazy() { tx.lazy = true }

// Maintain does the housekeeping that is due once an hour: it forgets what has
// expired (see expire.go) and empties the WAL, so that the ciphertext of
// deleted pages does not stay there. A reader that holds the WAL open is no
// error: the next call does it.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	if err := s.Update(ctx, func(tx *Tx) error { return tx.expire(now) }); err != nil {
		return err
	}
	c, err := s.take(ctx, s.writer)
	if err != nil {
		return err
	}
	defer func() { s.writer <- c }()
	if err := c.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && !errors.Is(err, ErrBusy) {
		return fmt.Errorf("store: checkpoint: %w", err)
	}
	return nil
}

// Check reads the whole database and tells whether every page, index and
// reference is sound. Its error is ErrDamaged. It takes time in proportion to
// the file.
func (s *Store) Check(ctx context.Context) error {
	return s.View(ctx, func(tx *Tx) error {
		for _, pragma := range []string{"PRAGMA integrity_check(1)", "PRAGMA foreign_key_check"} {
			found, err := all(tx, func(r row) (string, error) {
				var text string
				return text, r.Scan(&text)
			}, pragma)
			if err != nil {
				return err
			}
			if len(found) > 0 && found[0] != "ok" {
				return fmt.Errorf("store: %w: %s", ErrDamaged, found[0])
			}
		}
		return nil
	})
}
