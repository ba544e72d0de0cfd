package store

import (
	"path/filepath"
	"testing"
	"time"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, [32]byte{1}, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20.db")
	s := open(t, path)
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if err := s.View(t.Context(), func(tx *Tx) error { b, err := tx.Setting("a"); t.Logf("%s", b); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(t.Context(), t0()); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, [32]byte{2}, Options{Create: true})
	t.Log(err)
}

func t0() time.Time { return time.Unix(1700000000, 0) }
