package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

const (
	// pageSize in bytes. It is part of the format. A sealed 4 KiB message fits
	// one page without an overflow page; smaller pages make batches of 256
	// dearer by a fifth, larger ones double the cost of a single commit, and of
	// indexes with random keys (bench_test.go, in CPU time).
	pageSize = 8 << 10
	// checksumSize is what SQLite's checksums reserve at the end of each page.
	checksumSize = 8
	// autoCheckpoint is the WAL's length, in pages (8 MiB), from which a commit
	// copies it into the database.
	autoCheckpoint = 1024
	// busyMilliseconds bounds the wait for another process.
	busyMilliseconds = 5000
)

// magic begins every SQLite file (https://sqlite.org/fileformat.html, 1.3).
var magic = []byte("SQLite format 3\x00")

// prepareFile makes an empty file that only its owner can read.
func prepareFile(path string, create bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && (info.Size() > 0 || create):
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist) && !create:
		return fmt.Errorf("%w: %s", ErrMissing, filepath.Base(path))
	case !errors.Is(err, fs.ErrNotExist):
		return classify(err)
	}
	return classify(touch(path))
}

// touch makes a file that only its owner can read, if there is none.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *Store) openDB(readOnly bool) (*sql.DB, error) {
	registerVFS()
	db, err := driver.Open(uri(s.path), func(c *sqlite3.Conn) error { return s.setUp(c, readOnly) })
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(readers) // connections live as long as the Store
	return db, nil
}

// uri names a file to SQLite whatever characters its path has
// (https://sqlite.org/uri.html).
func uri(path string) string {
	slashes := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		slashes = "/" + slashes
	}
	u := url.URL{Path: slashes}
	q := url.Values{"vfs": {vfsName}, "modeof": {path}} // the WAL gets the permissions of the database
	return "file:" + strings.TrimPrefix(u.EscapedPath(), "./") + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// setUp gives a fresh connection its key, checks that the key fits before
// anything else touches the file, and sets what SQLite keeps per connection.
func (s *Store) setUp(c *sqlite3.Conn, readOnly bool) error {
	// The page size comes before the first read: until it has read the header
	// SQLite takes its default, and the checksum of a page read in the wrong
	// size never fits.
	if err := c.Exec(fmt.Sprintf("PRAGMA hexkey = '%s'; PRAGMA page_size = %d;", s.pageKey, pageSize)); err != nil {
		return err
	}
	empty, err := readHeader(c)
	if err != nil {
		return err
	}
	if err := touch(s.path + "-shm"); err != nil { // the driver would let others read it
		return err
	}
	cache := s.options.CacheKiB
	if readOnly {
		cache /= 4
	}
	pragmas := fmt.Sprintf(`
		PRAGMA busy_timeout = %d;
		PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = -%d;
		PRAGMA foreign_keys = ON;
		PRAGMA trusted_schema = OFF;
		PRAGMA cell_size_check = ON;
		PRAGMA secure_delete = ON;
		PRAGMA synchronous = FULL;
		`, busyMilliseconds, cache)
	switch {
	case readOnly:
		// A reader never checkpoints: that is the writer's.
		pragmas += "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;"
	case empty:
		if _, err := c.FileControl("main", sqlite3.FCNTL_RESERVE_BYTES, checksumSize); err != nil {
			return err
		}
		fallthrough
	default:
		pragmas += fmt.Sprintf("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = %d;", autoCheckpoint)
		if s.options.maxPages > 0 {
			pragmas += fmt.Sprintf("PRAGMA max_page_count = %d;", s.options.maxPages)
		}
	}
	return c.Exec(pragmas)
}

// readHeader reads the start of the file through the connection's own file, for
// two reasons: a wrong key shows before SQLite does anything, and the layer that
// computes checksums learns that this database has them even when SQLite takes
// its first page from the WAL.
func readHeader(c *sqlite3.Conn) (empty bool, err error) {
	f, err := c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	if err != nil {
		return false, err
	}
	file, ok := f.(io.ReaderAt)
	if !ok {
		return false, fmt.Errorf("the driver hides its file (%T)", f)
	}
	header := make([]byte, 100)
	n, err := file.ReadAt(header, 0)
	switch {
	case n == 0 && (err == nil || errors.Is(err, io.EOF)):
		return true, nil
	case n < len(header):
		return false, fmt.Errorf("%w: its first page cannot be read: %v", ErrDamaged, err)
	case !bytes.HasPrefix(header, magic):
		return false, ErrKey
	case header[20] != checksumSize:
		return false, fmt.Errorf("%w: its pages have no checksums", ErrDamaged)
	}
	return false, nil
}

// conn is one connection with its prepared statements. One goroutine uses it at
// a time.
type conn struct {
	sql        *sql.Conn
	statements map[string]*sql.Stmt
}

func dial(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, classify(err)
	}
	return &conn{c, map[string]*sql.Stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return classify(errors.Join(append(errs, c.sql.Close())...))
}

// prepare returns the statement of a query, prepared once per connection.
// Queries are constants, so their number is bounded.
func (c *conn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	s, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, classify(err)
	}
	c.statements[query] = s
	return s, nil
}

func (c *conn) exec(ctx context.Context, query string) error {
	_, err := c.sql.ExecContext(ctx, query)
	return classify(err)
}

// transact runs fn between begin and COMMIT, or ROLLBACK if anything failed or
// panicked.
func (c *conn) transact(ctx context.Context, begin string, s *Store, fn func(*Tx) error) (err error) {
	if err := c.exec(ctx, begin); err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		if e := c.rollback(); e != nil {
			err = errors.Join(err, fmt.Errorf("store: rollback: %w", e))
		}
	}()
	tx := &Tx{ctx: ctx, conn: c, store: s}
	err = fn(tx)
	if tx.err != nil && !errors.Is(err, tx.err) {
		err = errors.Join(err, tx.err)
	}
	tx.err = ErrClosed // whoever keeps the Tx finds it closed
	if err != nil {
		return err
	}
	if err := c.exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	committed = true
	return nil
}

// rollback ends a transaction if SQLite has not done so itself, as it does
// after some errors.
func (c *conn) rollback() error {
	return classify(c.sql.Raw(func(dc any) error {
		raw := dc.(driver.Conn).Raw()
		if raw.GetAutocommit() {
			return nil
		}
		old := raw.SetInterrupt(context.Background())
		defer raw.SetInterrupt(old)
		return raw.Exec("ROLLBACK")
	}))
}
