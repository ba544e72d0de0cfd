package sample

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// What is filled has as much as was asked for, in every conversation something, all of it
// good to be shown; and it is done once.
func TestFill(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"), [32]byte{1}, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutAccount(store.Account{ID: identity.AccountID{1}, Name: "Sam", Created: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	size := Size{Conversations: 250, Messages: 2500}
	if err := Fill(t.Context(), s, size, now); err != nil {
		t.Fatal(err)
	}
	if err := Fill(t.Context(), s, size, now); err == nil {
		t.Error("a profile was filled twice")
	}
	messages, unread := 0, 0
	err = s.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.ListConversations()
		if len(list) != size.Conversations {
			t.Errorf("%d conversations", len(list))
		}
		for _, l := range list {
			unread += l.Unread
			if err := chat.CheckName(l.Contact.Petname); err != nil {
				t.Errorf("%q: %v", l.Contact.Petname, err)
			}
			if l.Last == nil || l.Last.At.After(now) {
				t.Errorf("%q says last %+v", l.Contact.Petname, l.Last)
			}
			all, err := tx.Messages(l.Conversation.ID, 0, size.Messages)
			if err != nil {
				return err
			}
			messages += len(all)
		}
		return err
	})
	if err != nil || messages != size.Messages || unread == 0 {
		t.Errorf("%d messages, %d unread, %v", messages, unread, err)
	}
}

// A profile that is filled is an account like any other.
func TestProfile(t *testing.T) {
	cfg, _, err := config.Load(config.Sources{Profile: t.TempDir(), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if err := Profile(t.Context(), cfg, Size{Conversations: 3, Messages: 20}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := Profile(t.Context(), cfg, Size{}, time.Now()); err == nil {
		t.Error("a profile was filled twice")
	}
}
