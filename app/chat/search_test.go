package chat

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// searches are the people and the snippets that somebody finds, with what was looked for in
// brackets.
func (p *person) searches(text string, with Find) (people, messages []string) {
	p.w.Helper()
	found, err := p.Search(context.Background(), text, with, "", 20)
	p.w.check(err)
	for _, v := range found.People {
		people = append(people, v.Name)
	}
	for _, m := range found.Messages {
		s, at := "", 0
		for _, r := range m.Matches {
			s += m.Snippet[at:r.From] + "[" + m.Snippet[r.From:r.To] + "]"
			at = r.To
		}
		messages = append(messages, s+m.Snippet[at:])
	}
	return people, messages
}

// Anna looks for what was said, by her and by others, as she types.
func TestSearchingForWords(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, bob, carol := w.Person("anna", oak), w.Person("bob", oak), w.Person("carol", oak)
		anna.Meets(bob)
		anna.Meets(carol)
		_, err := anna.Rename(w.Context(), anna.contact(bob).ID, "Bob Harbourn")
		w.check(err)
		bob.Sees(bob.Says(anna, "See you at the HARBOUR at six"), api.Delivered)
		anna.Sees(anna.Says(carol, "bob waits at the harbour"), api.Delivered)
		_, err = anna.Send(w.Context(), local(api.Self), Words{Text: "buy a map of the old harbours"}, api.Queued, 0)
		w.check(err)
		wants := func(text string, with Find, people, messages []string) {
			w.Helper()
			if p, m := anna.searches(text, with); !slices.Equal(p, people) || !slices.Equal(m, messages) {
				w.Errorf("%q finds %q and %q, want %q and %q", text, p, m, people, messages)
			}
		}
		wants("harb", nil, []string{"Bob Harbourn"}, []string{"buy a map of the old [harbours]", "bob waits at the [harbour]", "See you at the [HARBOUR] at six"})
		wants("at harb", anna.finds(bob), nil, []string{"See you [at] the [HARBOUR] [at] six"})
		wants(`"the old`, nil, nil, []string{"buy a map of [the old] harbours"})
		wants("harb", local(api.Self), nil, []string{"buy a map of the old [harbours]"})
		wants("", nil, nil, nil)
		wants(`" OR text:*`, nil, nil, nil)
		// Page by page.
		first, err := anna.Search(w.Context(), "harb", nil, "", 2)
		w.check(err)
		rest, err := anna.Search(w.Context(), "harb", nil, first.Messages[1].Message.ID, 2)
		w.check(err)
		if !first.More || rest.More || len(rest.Messages) != 1 || len(rest.People) != 0 || first.Unindexed != 0 {
			w.Errorf("%+v, then %+v", first, rest)
		}
		if _, err := anna.Search(w.Context(), "harb", nil, "nobody's", 2); !errors.Is(err, problem.NoSuchMessage) {
			w.Errorf("before nothing: %v", err)
		}
		// What is gone is not found.
		w.check(anna.RemoveContact(w.Context(), anna.contact(bob).ID))
		wants("harb", nil, nil, []string{"buy a map of the old [harbours]", "bob waits at the [harbour]"})
	})
}

// Anna's profile is older than the index: it is made while she is there, and goes on where
// it was when she comes again.
func TestTheIndexIsMadeBesideOtherWork(t *testing.T) {
	inWorld(t, func(w *world) {
		anna := w.NewPerson("anna")
		s, err := store.Open(w.Context(), anna.path, anna.key, store.Options{})
		w.check(err)
		var notes store.Contact
		w.check(s.Update(w.Context(), func(tx *store.Tx) (err error) {
			notes = store.Contact{Account: localAccount(api.Self), Kind: store.ContactSelf}
			if notes.ID, err = tx.InsertContact(notes); err != nil {
				return err
			}
			conv, err := tx.InsertConversation(store.Conversation{Contact: notes.ID, SendSeq: 1})
			if err != nil {
				return err
			}
			for range 3 * indexPart {
				m := store.Message{Message: store.MessageID(content.NewID()), Conversation: conv, Mine: true, Kind: int(content.KindText), Body: []byte("note"), State: store.Delivered, Shown: true}
				if _, err := tx.InsertMessage(m); err != nil {
					return err
				}
			}
			return tx.ForgetIndex()
		}))
		w.check(s.Close())
		anna.Returns()
		found, err := anna.Search(w.Context(), "note", nil, "", 4*indexPart)
		w.check(err)
		if found.Unindexed != 0 || len(found.Messages) != 3*indexPart {
			w.Errorf("%d found, %d not indexed", len(found.Messages), found.Unindexed)
		}

		// All of it is removed, which is too much to be taken out word by word; what else
		// was said is found a moment later.
		_, err = anna.AddEcho(w.Context(), "take note")
		w.check(err)
		w.check(anna.RemoveContact(w.Context(), notes.ID))
		w.Advance(time.Second)
		found, err = anna.Search(w.Context(), "note", nil, "", 10)
		w.check(err)
		if found.Unindexed != 0 || len(found.Messages) != 1 || found.Messages[0].Snippet != "take note" {
			w.Errorf("after the notes were removed: %+v", found)
		}
	})
}

// What is said is in the index a second later, or at once when somebody looks for it; what was
// said in the last second before the program ended is, when it begins again.
func TestWhatIsSaidIsIndexedLater(t *testing.T) {
	inWorld(t, func(w *world) {
		anna := w.NewPerson("anna")
		anna.Returns()
		note := func(text string) {
			w.Helper()
			_, err := anna.Send(w.Context(), local(api.Self), Words{Text: text}, api.Queued, 0)
			w.check(err)
		}
		left := func() int64 {
			w.Helper()
			newest, oldest, err := anna.unindexed(w.Context())
			w.check(err)
			return newest + oldest
		}
		w.Advance(time.Minute)
		note("apple")
		w.Advance(indexAfter / 2)
		if n := left(); n != 1 {
			w.Errorf("%d messages wait for the index at once, want 1", n)
		}
		w.Advance(indexAfter)
		if n := left(); n != 0 {
			w.Errorf("%d messages wait for the index a second later", n)
		}
		note("banana")
		if _, found := anna.searches("banana", nil); !slices.Equal(found, []string{"[banana]"}) || left() != 0 {
			w.Errorf("found at once: %q", found)
		}
		note("cherry")
		anna.Leaves()
		anna.Returns()
		w.Advance(time.Millisecond)
		if n := left(); n != 0 {
			w.Errorf("%d messages wait for the index after the start", n)
		}
	})
}
