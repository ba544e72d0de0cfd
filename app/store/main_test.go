package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/identity"
)

func TestMain(m *testing.M) {
	if task := os.Getenv("GODWIT_STORE_TEST"); task != "" {
		child(task) // this process is one that a test started to kill it
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var testKey = [32]byte{1, 2, 3}

// day0 is when the stories begin.
func day0() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, testKey, o)
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

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "godwit.db"), Options{Create: true})
}

// update and view are transactions that must succeed.
func update(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// get runs a verb that reads in a view.
func get[T any](t testing.TB, s *Store, verb func(*Tx) (T, error)) (v T) {
	t.Helper()
	view(t, s, func(tx *Tx) (err error) { v, err = verb(tx); return err })
	return v
}

var bobsPhone = identity.DevicePublic{0xb0, 0xb}

// withBob adds a contact with a device and a conversation.
func withBob(t testing.TB, s *Store) (contact, conversation int64) {
	t.Helper()
	update(t, s, func(tx *Tx) (err error) {
		contact, err = tx.InsertContact(Contact{Account: identity.AccountID{7}, Name: "Bob", Petname: "bob", Kind: ContactNew, PinSuite: 1, Created: day0()})
		if err != nil {
			return err
		}
		if err := tx.PutDevice(Device{Device: bobsPhone, Contact: contact, Agreement: identity.AgreementPublic{9}}); err != nil {
			return err
		}
		conversation, err = tx.InsertConversation(Conversation{Conversation: ConversationID{5}, Contact: contact})
		return err
	})
	return contact, conversation
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func getErr[T any](s *Store, read func(*Tx) (T, error)) (v T, err error) {
	err = s.View(context.Background(), func(tx *Tx) (err error) {
		v, err = read(tx)
		return err
	})
	return v, err
}
