package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/ncruces/go-sqlite3"
)

// Errors that callers branch on. The ones about the file as a whole say in
// their text what it means.
var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists says that there is such a row already.
	ErrExists = errors.New("exists already")
	// ErrStale says that a row was changed by someone else since it was read:
	// another process, or a copy of this one, uses the same profile.
	ErrStale = errors.New("changed meanwhile by another user of this database")
	// ErrClosed says that the store, or the transaction, is over.
	ErrClosed = errors.New("store: closed")

	// ErrMissing says that there is no database to open.
	ErrMissing = errors.New("there is no database")
	// ErrKey says that the key does not open the database. A file whose first
	// bytes were overwritten looks the same.
	ErrKey = errors.New("the key does not fit this database, or the start of the file is destroyed")
	// ErrNewer says that a newer version of the program wrote the database.
	ErrNewer = errors.New("the database was written by a newer version of Godwit")
	// ErrDamaged says that the file, or a sealed row, is not what was written.
	ErrDamaged = errors.New("the database is damaged")
	// ErrFull says that the disk is full. Nothing of the transaction was kept.
	ErrFull = errors.New("the disk is full")
	// ErrReadOnly says that the file or its directory may not be written.
	ErrReadOnly = errors.New("the database may not be written")
	// ErrBusy says that another process holds the database.
	ErrBusy = errors.New("another process holds the database")
)

// classify gives an error of SQLite the sentinel that it stands for. Errors
// that stand for none pass as they are.
func classify(err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlite3.FULL), errors.Is(full(err), sqlite3.FULL), errors.Is(err, sqlite3.IOERR_SHMSIZE):
		kind = ErrFull
	case errors.Is(err, sqlite3.CONSTRAINT_UNIQUE), errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY), errors.Is(err, sqlite3.CONSTRAINT_ROWID):
		kind = ErrExists
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.IOERR_DATA),
		errors.Is(err, sqlite3.IOERR_SHORT_READ), errors.Is(err, sqlite3.IOERR_CORRUPTFS):
		kind = ErrDamaged
	case errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.PERM), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = ErrReadOnly
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		kind = ErrBusy
	default:
		return err
	}
	if errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w (%w)", kind, err)
}

// fatal tells whether an error ends its transaction. Finding nothing, or one
// too many, does not.
func fatal(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrStale)
}
