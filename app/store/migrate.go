package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed sql/migrations/*.sql
var migrationFiles embed.FS

// migrations are the steps from an empty database to today's schema, one file
// each, in the order of their names. Files are only added; what sql/schema says
// is their sum. The number of steps taken is the database's user_version.
func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "sql/migrations")
	if err != nil {
		panic("store: the migrations are embedded: " + err.Error())
	}
	return sub
}

// migrate takes the steps that the database has not seen, all in one
// transaction, and keeps a copy of the file until that is committed.
func (s *Store) migrate(ctx context.Context, c *conn) error {
	names, err := fs.Glob(s.options.migrations, "*.sql") // sorted
	if err != nil {
		return err
	}
	version, err := c.version()
	if err != nil {
		return err
	}
	backup := s.path + ".before-" + strconv.Itoa(len(names))
	switch {
	case int(version) > len(names):
		return fmt.Errorf("%w (version %d; this program knows %d)", ErrNewer, version, len(names))
	case int(version) == len(names):
		return removeIfThere(backup) // left by a crash between the commit and the removal
	case version > 0:
		if err := c.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return err
		}
		if err := copyFile(s.path, backup); err != nil {
			return fmt.Errorf("copy before migration: %w", classify(err))
		}
	}
	err = c.transact(ctx, "BEGIN IMMEDIATE", s, func(tx *Tx) error {
		for _, name := range names[version:] {
			text, err := fs.ReadFile(s.options.migrations, name)
			if err != nil {
				return err
			}
			if err := c.exec(string(text)); err != nil {
				return fmt.Errorf("migration %s: %w", name, err)
			}
		}
		return c.exec("PRAGMA user_version = " + strconv.Itoa(len(names)))
	})
	if err != nil {
		return err
	}
	return removeIfThere(backup)
}

func (c *conn) version() (v int64, err error) {
	err = c.each("PRAGMA user_version", nil, func(r row) (bool, error) { return false, r.Scan(&v) })
	return v, err
}

// copyFile replaces to by a copy of from, whole or not at all.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := to + ".new"
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(temp, to)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	return syncDir(filepath.Dir(to))
}

// syncDir makes a rename durable. Windows cannot sync directories and does not
// need to.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
