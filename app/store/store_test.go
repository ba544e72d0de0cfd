package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

func TestWhatIsCommittedIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20&e.db") // every character that a URI knows
	s := openAt(t, path, Options{Create: true})
	update(t, s, func(tx *Tx) error { return tx.PutSetting("color", []byte("green")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	if got := get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("color") }); string(got) != "green" {
		t.Errorf("got %q", got)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if s.Path() != path {
		t.Errorf("path is %q", s.Path())
	}
}

func TestUpdateUndoesEverythingOnError(t *testing.T) {
	s := openNew(t)
	sorry := errors.New("sorry")
	err := s.Update(t.Context(), func(tx *Tx) error {
		if err := tx.PutSetting("a", nil); err != nil {
			return err
		}
		return sorry
	})
	if !errors.Is(err, sorry) {
		t.Errorf("error is %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(t.Context(), func(tx *Tx) error {
			_ = tx.PutSetting("a", nil)
			panic("a bug")
		})
	}()
	view(t, s, func(tx *Tx) error {
		if _, err := tx.Setting("a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the setting is there: %v", err)
		}
		return nil
	})
	update(t, s, func(tx *Tx) error { return tx.PutSetting("a", nil) }) // and the writer is free
}

// TestAFailedVerbFailsTheTransaction: who forgets to look at an error does not
// commit half of something.
func TestAFailedVerbFailsTheTransaction(t *testing.T) {
	s := openNew(t)
	err := s.Update(t.Context(), func(tx *Tx) error {
		if err := tx.PutSetting("a", nil); err != nil {
			return err
		}
		_ = tx.PutDevice(Device{Device: bobsPhone, Contact: 404}) // no such contact
		if err := tx.PutSetting("b", nil); err == nil {
			t.Error("a verb works after one failed")
		}
		return nil
	})
	if err == nil {
		t.Fatal("committed")
	}
	view(t, s, func(tx *Tx) error {
		if _, err := tx.Setting("a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the setting is there: %v", err)
		}
		return nil
	})
}

// TestFindingNothingFailsNothing: ErrNotFound and ErrExists are answers.
func TestFindingNothingFailsNothing(t *testing.T) {
	s := openNew(t)
	withBob(t, s)
	update(t, s, func(tx *Tx) error {
		if _, err := tx.Contact(404); !errors.Is(err, ErrNotFound) {
			t.Errorf("contact 404: %v", err)
		}
		if _, err := tx.ContactByPetname("BOB"); err != nil {
			t.Errorf("the case of a petname matters: %v", err)
		}
		c, err := tx.ContactByPetname("bob")
		if err != nil {
			return err
		}
		c.Account[0]++
		if _, err := tx.InsertContact(c); !errors.Is(err, ErrExists) {
			t.Errorf("a second bob: %v", err)
		}
		return tx.PutSetting("after", nil)
	})
	get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("after") })
}

func TestATransactionThatIsOverDoesNothing(t *testing.T) {
	s := openNew(t)
	var kept *Tx
	update(t, s, func(tx *Tx) error { kept = tx; return nil })
	if err := kept.PutSetting("a", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v", err)
	}
}

func TestViewsNeitherWriteNorWaitForWriters(t *testing.T) {
	s := openNew(t)
	update(t, s, func(tx *Tx) error { return tx.PutSetting("a", []byte("old")) })
	update(t, s, func(tx *Tx) error {
		if err := tx.PutSetting("a", []byte("new")); err != nil {
			return err
		}
		// The writer is in the middle; a view sees what was.
		if got := get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("a") }); string(got) != "old" {
			t.Errorf("a view sees %q", got)
		}
		return nil
	})
	err := s.View(t.Context(), func(tx *Tx) error { return tx.PutSetting("a", nil) })
	if !errors.Is(err, ErrReadOnly) {
		t.Errorf("a view wrote: %v", err)
	}
	if got := get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("a") }); string(got) != "new" {
		t.Errorf("a later view sees %q", got)
	}
}

func TestContexts(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *Tx) error {
		cancel()
		return tx.PutSetting("a", nil)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled transaction: %v", err)
	}
	if err := s.Update(ctx, func(*Tx) error { t.Error("it ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	if err := s.View(ctx, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled view: %v", err)
	}
	view(t, s, func(tx *Tx) error {
		if _, err := tx.Setting("a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("committed after all: %v", err)
		}
		return nil
	})
}

func TestCloseWaitsAndIsFinal(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), testKey, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	running, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Update(t.Context(), func(tx *Tx) error {
			close(running)
			<-release
			return tx.PutSetting("a", nil)
		})
		if err != nil {
			t.Errorf("the running transaction: %v", err)
		}
	})
	<-running
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	<-s.closed
	if err := s.Update(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("update while closing: %v", err)
	}
	close(release)
	wg.Wait()
	if err := s.View(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view after close: %v", err)
	}
	if err := s.Maintain(t.Context(), day0()); !errors.Is(err, ErrClosed) {
		t.Errorf("maintain after close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestManyAtOnce: writers take turns, readers see whole transactions.
func TestManyAtOnce(t *testing.T) {
	s := openNew(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				value := []byte(fmt.Sprint(w, i))
				err := s.Update(t.Context(), func(tx *Tx) error {
					return errors.Join(tx.PutSetting("x", value), tx.PutSetting("y", value))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 25 {
				err := s.View(t.Context(), func(tx *Tx) error {
					x, errX := tx.Setting("x")
					y, errY := tx.Setting("y")
					if string(x) != string(y) || errors.Is(errX, ErrNotFound) != errors.Is(errY, ErrNotFound) {
						t.Errorf("half a transaction: %q %q", x, y)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		if w == 2 {
			wg.Go(func() {
				for range 5 {
					if err := s.Maintain(t.Context(), day0()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
}

// TestLazyCommits: what a lazy transaction wrote is seen by others at once, in this
// process and after its death, and a later commit or Sync brings it to the disk.
func TestLazyCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true})
	for n := range 3 {
		want := []byte{byte(n)}
		update(t, s, func(tx *Tx) error {
			tx.Lazy()
			return tx.PutSetting("lazy", want)
		})
		err := s.View(t.Context(), func(tx *Tx) error {
			got, err := tx.Setting("lazy")
			if err == nil && !bytes.Equal(got, want) {
				err = fmt.Errorf("read %x, want %x", got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wal := func() *gathered {
		c := <-s.writer
		defer func() { s.writer <- c }()
		f, err := c.wal()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if !wal().owed || wal().lazy {
		t.Error("the lazy commits were synced, or the next one is lazy too")
	}
	if err := s.Sync(t.Context()); err != nil || wal().owed {
		t.Errorf("Sync: %v, still owed: %t", err, wal().owed)
	}
	update(t, s, func(tx *Tx) error { tx.Lazy(); return nil }) // writes nothing
	if wal().lazy {
		t.Error("a commit without changes made the next one lazy")
	}
	update(t, s, func(tx *Tx) error { tx.Lazy(); return tx.PutSetting("lazy", []byte{9}) })
	update(t, s, func(tx *Tx) error { return tx.PutSetting("other", nil) })
	if wal().owed {
		t.Error("a commit that is not lazy left something unsynced")
	}
}
