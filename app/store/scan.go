package store

import (
	"fmt"
	"reflect"
	"time"
)

// row is what a scan function reads: the values of one row, as
// sqlite3.Stmt.ColumnsRaw gives them. Bytes are SQLite's until the next step, so
// scanning copies them.
type row []any

// scanner is a destination that takes a value itself: int64, []byte (also of a
// TEXT) or nil.
type scanner interface{ Scan(src any) error }

// Scan copies the row's values into what dest points to.
func (r row) Scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("a row of %d values for %d", len(r), len(dest))
	}
	for i, d := range dest {
		if err := scan(d, r[i]); err != nil {
			return err
		}
	}
	return nil
}

func scan(dest, src any) error {
	switch d := dest.(type) {
	case scanner:
		return d.Scan(src)
	case *[]byte:
		switch v := src.(type) {
		case []byte:
			*d = append([]byte{}, v...)
			return nil
		case nil:
			*d = nil
			return nil
		}
	case *int64:
		if v, ok := src.(int64); ok {
			*d = v
			return nil
		}
	case *bool:
		if v, ok := src.(int64); ok {
			*d = v != 0
			return nil
		}
	case *string:
		if v, ok := src.([]byte); ok {
			*d = string(v)
			return nil
		}
	default: // a type of our own
		v := reflect.ValueOf(dest).Elem()
		switch n := src.(type) {
		case int64:
			switch {
			case v.CanInt() && !v.OverflowInt(n):
				v.SetInt(n)
				return nil
			case v.CanUint() && n >= 0 && !v.OverflowUint(uint64(n)):
				v.SetUint(uint64(n))
				return nil
			}
		case []byte:
			if v.Kind() == reflect.String {
				v.SetString(string(n))
				return nil
			}
		}
	}
	return fmt.Errorf("%w: a value is no %T", ErrDamaged, dest)
}

// fail remembers the first error that ends the transaction.
func (tx *Tx) fail(err error) error {
	if fatal(err) && tx.err == nil {
		tx.err = err
	}
	return err
}

// exec runs a statement that returns no rows.
func (tx *Tx) exec(query string, args []any) error {
	if tx.err != nil {
		return tx.err
	}
	err := tx.conn.each(query, args, nil)
	if err != nil {
		err = tx.fail(fmt.Errorf("store: %w", err))
	}
	return err
}

// run is exec for statements whose result does not matter.
func (tx *Tx) run(query string, args ...any) error { return tx.exec(query, args) }

// insert is exec for an INSERT into a table with a row id, which it returns.
func (tx *Tx) insert(query string, args ...any) (int64, error) {
	if err := tx.exec(query, args); err != nil {
		return 0, err
	}
	return tx.conn.sqlite.LastInsertRowID(), nil
}

// count is exec for statements that say how many rows they touched.
func (tx *Tx) count(query string, args ...any) (int64, error) {
	if err := tx.exec(query, args); err != nil {
		return 0, err
	}
	return tx.conn.sqlite.Changes(), nil
}

// must is exec for statements that touch one row: none is ErrNotFound.
func (tx *Tx) must(query string, args ...any) error {
	n, err := tx.count(query, args...)
	if err == nil && n == 0 {
		return fmt.Errorf("store: %w", ErrNotFound)
	}
	return err
}

// one reads one row, or returns ErrNotFound.
func one[T any](tx *Tx, scan func(row) (T, error), query string, args ...any) (T, error) {
	var none, v T
	if tx.err != nil {
		return none, tx.err
	}
	found := false
	err := tx.conn.each(query, args, func(r row) (more bool, err error) {
		found = true
		v, err = scan(r)
		return false, err
	})
	if err != nil {
		return none, tx.fail(fmt.Errorf("store: %w", err))
	}
	if !found {
		return none, fmt.Errorf("store: %w", ErrNotFound)
	}
	return v, nil
}

// all reads every row that a query gives.
func all[T any](tx *Tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	var list []T
	err := tx.conn.each(query, args, func(r row) (bool, error) {
		v, err := scan(r)
		list = append(list, v)
		return err == nil, err
	})
	if err != nil {
		return nil, tx.fail(fmt.Errorf("store: %w", err))
	}
	return list, nil
}

// integer reads a single number.
func integer(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

// fixed scans a BLOB of exactly its own length into the array behind it.
type fixed []byte

// Scan implements scanner.
func (f fixed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(f) {
		return fmt.Errorf("%w: a value has not %d bytes", ErrDamaged, len(f))
	}
	copy(f, b)
	return nil
}

// optional scans a BLOB of 32 bytes, or NULL as nil.
type optional[A ~[32]byte] struct{ to **A }

// Scan implements scanner.
func (o optional[A]) Scan(src any) error {
	if src == nil {
		*o.to = nil
		return nil
	}
	var b [32]byte
	if err := fixed(b[:]).Scan(src); err != nil {
		return err
	}
	a := A(b)
	*o.to = &a
	return nil
}

func maybe32[A ~[32]byte](to **A) optional[A] { return optional[A]{to} }

// null32 is the value of a BLOB of 32 bytes that is NULL when nil.
func null32[A ~[32]byte](a *A) any {
	if a == nil {
		return nil
	}
	b := [32]byte(*a)
	return b[:]
}

// stamp scans unix milliseconds, or NULL as the zero time.
type stamp struct{ to *time.Time }

// Scan implements scanner.
func (s stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s.to = time.Time{}
	case int64:
		*s.to = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("%w: a time is not a number", ErrDamaged)
	}
	return nil
}

// ms is a time as the database keeps it; the zero time is NULL.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// nullText scans a TEXT, or NULL as the empty string.
type nullText struct{ to *string }

// Scan implements scanner.
func (n nullText) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*n.to = ""
	case []byte:
		*n.to = string(v)
	default:
		return fmt.Errorf("%w: a text is not text", ErrDamaged)
	}
	return nil
}

// text is the value of a TEXT that is NULL when empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// blob is the value of a BLOB that is NULL when nil.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// whole is the value of a BLOB that is never NULL.
func whole(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// null is the value of a reference that is NULL when zero.
func null(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// nullID scans a reference, or NULL as zero.
type nullID struct{ to *int64 }

// Scan implements scanner.
func (n nullID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*n.to = 0
	case int64:
		*n.to = v
	default:
		return fmt.Errorf("%w: a reference is not a number", ErrDamaged)
	}
	return nil
}
