package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"lukechampine.com/adiantum"
)

const (
	// pageSize in bytes. It is part of the format. Messages on their way are
	// committed a few at a time, also when 256 of them are (a window comes in
	// batches of about ten), and each touches pages of indexes with random keys:
	// 8 KiB would cost a sixth more, though a sealed 4 KiB message would fit a
	// page (apptest.BenchmarkWindow, in CPU time).
	pageSize = 4 << 10
	// cipherBlock is how many bytes Adiantum encrypts together, in the driver.
	cipherBlock = 4096
	// checksumSize is what SQLite's checksums reserve at the end of each page.
	checksumSize = 8
	// autoCheckpoint is the WAL's length, in pages (8 MiB), from which a commit
	// copies it into the database.
	autoCheckpoint = 2048
	// busyMilliseconds bounds the wait for another process.
	busyMilliseconds = 5000
)

// magic begins every SQLite file (https://sqlite.org/fileformat.html, 1.3).
var magic = []byte("SQLite format 3\x00")

// exists tells whether there is a database: an empty file is none.
func exists(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() > 0, classify(err)
}

// trimWAL cuts off the part of a block that a power cut may have left at the end of
// a WAL. The cipher cannot read it and would fail the recovery of what comes before.
// A process writes whole blocks, so one that is at work leaves nothing to cut.
func trimWAL(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size()%cipherBlock != 0 {
		err = os.Truncate(path, info.Size()-info.Size()%cipherBlock)
	}
	return err
}

// touch makes a file that only its owner can read, if there is none.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// uri names a file to SQLite whatever characters its path has
// (https://sqlite.org/uri.html).
func uri(path, vfs string) string {
	// No slash goes before a drive's letter, as it would with SQLite's own layer for Windows:
	// the driver's hands the path to the system as it stands.
	slashes := filepath.ToSlash(path)
	if strings.HasPrefix(slashes, "//") { // a share: between "//" and "/" would be a host
		slashes = "//" + slashes
	}
	u := url.URL{Path: slashes}
	q := url.Values{"vfs": {vfs}, "modeof": {path}} // the WAL gets the permissions of the database
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
	header, err := s.readHeader(c)
	if err != nil {
		return err
	}
	if err := touch(s.path + "-shm"); err != nil { // the driver would let others read it
		return err
	}
	if err := trimWAL(s.path + "-wal"); err != nil {
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
	case header == headerNone:
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
	if err := c.Exec(pragmas); err != nil || header != headerTorn || readOnly {
		return err
	}
	if err := c.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	_, err = s.readHeader(c)
	return err
}

// headerState is what the first page of the file looks like.
type headerState int

const (
	headerGood headerState = iota
	headerNone             // the file is empty
	headerTorn             // garbled, but the WAL is ours and has it: a power cut met a checkpoint
)

// readHeader reads the start of the file through the connection's own file, for
// two reasons: a wrong key shows before SQLite does anything, and the layer that
// computes checksums learns that this database has them even when SQLite takes
// its first page from the WAL.
func (s *Store) readHeader(c *sqlite3.Conn) (headerState, error) {
	f, err := c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	if err != nil {
		return 0, err
	}
	file, ok := f.(io.ReaderAt)
	if !ok {
		return 0, fmt.Errorf("the driver hides its file (%T)", f)
	}
	header := make([]byte, 100)
	n, err := file.ReadAt(header, 0)
	switch {
	case n == 0 && (err == nil || errors.Is(err, io.EOF)):
		return headerNone, nil
	case n < len(header):
		return 0, fmt.Errorf("%w: its first page cannot be read: %v", ErrDamaged, err)
	case bytes.HasPrefix(header, magic) && header[20] == checksumSize:
		return headerGood, nil
	case bytes.HasPrefix(header, magic):
		return 0, fmt.Errorf("%w: its pages have no checksums", ErrDamaged)
	case s.ownWAL():
		return headerTorn, nil
	}
	return 0, ErrKey
}

// ownWAL tells whether there is a WAL that our key opens, by its first four bytes
// (https://sqlite.org/fileformat.html, 4.1).
func (s *Store) ownWAL() bool {
	f, err := os.Open(s.path + "-wal")
	if err != nil {
		return false
	}
	defer f.Close()
	key, err := hex.DecodeString(s.pageKey)
	block := make([]byte, cipherBlock) // its tweak is its offset, 8 bytes
	if _, errRead := io.ReadFull(f, block); err != nil || errRead != nil {
		return false
	}
	const walMagic = 0x377f0682 // or one more
	return binary.BigEndian.Uint32(adiantum.New(key).Decrypt(block, make([]byte, 8)))&^1 == walMagic
}

// conn is one connection with its prepared statements. One goroutine uses it at
// a time.
type conn struct {
	sqlite     *sqlite3.Conn
	statements map[string]*statement
}

// statement is a prepared statement and room for a row of it.
type statement struct {
	*sqlite3.Stmt
	row row
}

// dial opens a connection.
func (s *Store) dial(ctx context.Context, readOnly bool) (*conn, error) {
	registerVFS()
	c, err := sqlite3.OpenContext(ctx, uri(s.path, s.options.vfs))
	if err != nil {
		return nil, classify(err)
	}
	err = s.setUp(c, readOnly)
	if err == nil {
		err = registerSearch(c)
	}
	if err != nil {
		return nil, errors.Join(classify(err), c.Close())
	}
	return &conn{c, map[string]*statement{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return classify(errors.Join(append(errs, c.sqlite.Close())...))
}

// prepare returns the statement of a query, prepared once per connection.
// Queries are constants, so their number is bounded.
func (c *conn) prepare(query string) (*statement, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	stmt, _, err := c.sqlite.PrepareFlags(query, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	s := &statement{stmt, make(row, stmt.ColumnCount())}
	c.statements[query] = s
	return s, nil
}

// each runs a statement and hands its rows to a function, if there is one, for as
// long as that wants more. The row must not be kept.
func (c *conn) each(query string, args []any, f func(row) (more bool, err error)) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return c.explain(err)
	}
	for i, a := range args {
		if err := bind(s.Stmt, i+1, a); err != nil {
			return c.explain(err)
		}
	}
	if f == nil {
		return c.explain(s.Exec())
	}
	for s.Step() {
		if err = s.ColumnsRaw(s.row...); err != nil {
			break
		}
		var more bool
		if more, err = f(s.row); err != nil || !more {
			break
		}
	}
	if err == nil {
		err = s.Err()
	}
	if e := s.Reset(); err == nil {
		err = e
	}
	return c.explain(err)
}

// bind gives a statement the value of a parameter, counted from 1.
func bind(s *sqlite3.Stmt, i int, value any) error {
	switch v := value.(type) {
	case nil:
		return s.BindNull(i)
	case bool:
		return s.BindBool(i, v)
	case int:
		return s.BindInt(i, v)
	case int64:
		return s.BindInt64(i, v)
	case uint8:
		return s.BindInt64(i, int64(v))
	case uint32:
		return s.BindInt64(i, int64(v))
	case string:
		return s.BindText(i, v)
	case []byte:
		return s.BindBlob(i, v)
	}
	panic(fmt.Sprintf("store: no column holds a %T", value))
}

// explain is classify that names a statement which its context stopped by the
// context's own error.
func (c *conn) explain(err error) error {
	if errors.Is(err, sqlite3.INTERRUPT) && c.sqlite.GetInterrupt().Err() != nil {
		return c.sqlite.GetInterrupt().Err()
	}
	return classify(err)
}

// exec runs one statement after the other, without parameters or rows.
func (c *conn) exec(query string) error { return c.explain(c.sqlite.Exec(query)) }

// transact runs fn between begin and COMMIT, or ROLLBACK if anything failed or
// panicked. The context's end interrupts it.
func (c *conn) transact(ctx context.Context, begin string, s *Store, fn func(*Tx) error) (err error) {
	c.sqlite.SetInterrupt(ctx)
	defer c.sqlite.SetInterrupt(context.Background())
	if err := c.each(begin, nil, nil); err != nil {
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
	tx := &Tx{conn: c, store: s}
	err = fn(tx)
	if tx.err != nil && !errors.Is(err, tx.err) {
		err = errors.Join(err, tx.err)
	}
	tx.err = ErrClosed // whoever keeps the Tx finds it closed
	if err != nil {
		return err
	}
	if err := c.commit(tx.lazy); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	committed = true
	return nil
}

// commit ends a transaction; a lazy one is synced with the next. What is copied from
// the WAL after it (a checkpoint is part of SQLite's COMMIT) is synced first.
func (c *conn) commit(lazy bool) error {
	if lazy {
		wal, err := c.wal()
		if err != nil {
			return err
		}
		wal.lazy = true
		defer func() { wal.lazy = false }() // nothing was written
	}
	return c.each("COMMIT", nil, nil)
}

// sync syncs what lazy commits have written.
func (c *conn) sync() error {
	wal, err := c.wal()
	if err != nil || !wal.owed {
		return err
	}
	return wal.Sync(vfs.SYNC_NORMAL)
}

// wal is the connection's WAL.
func (c *conn) wal() (*gathered, error) {
	f, err := c.sqlite.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return nil, err
	}
	file, _ := f.(vfs.File)
	wal, ok := vfsutil.UnwrapFile[*gathered](file)
	if !ok {
		return nil, fmt.Errorf("the driver hides its WAL (%T)", f)
	}
	return wal, nil
}

// rollback ends a transaction if SQLite has not done so itself, as it does
// after some errors.
func (c *conn) rollback() error {
	if c.sqlite.GetAutocommit() {
		return nil
	}
	c.sqlite.SetInterrupt(context.Background())
	return c.exec("ROLLBACK")
}
