package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// plan is how SQLite goes about a query, one step a line.
func plan(t *testing.T, s *Store, query string, args ...any) (steps string) {
	t.Helper()
	view(t, s, func(tx *Tx) error {
		list, err := all(tx, func(r row) (string, error) { return string(r[3].([]byte)), nil }, "EXPLAIN QUERY PLAN "+query, args...)
		steps = strings.Join(list, "\n")
		return err
	})
	return steps
}

// Whatever is looked up for a chat goes by an index, so that it costs the same with
// 100,000 messages as with ten.
func TestConversationsGoByIndexes(t *testing.T) {
	s := openNew(t)
	for name, q := range map[string]struct {
		query string
		args  []any
		by    []string
	}{
		"list": {listedQuery("p.removed IS NULL AND p.kind <> 'request'"), nil,
			[]string{"SEARCH messages USING INDEX messages_conversation (conversation=? AND id>?)", "SEARCH messages USING INDEX messages_conversation (conversation=?)", "SEARCH m USING INTEGER PRIMARY KEY"}},
		"starred": {"SELECT id FROM messages WHERE starred IS NOT NULL AND shown = 1 AND id < ? AND (? = 0 OR +conversation = ?) ORDER BY id DESC LIMIT ?", []any{1, 0, 0, 1},
			[]string{"messages_starred"}},
		"pinned": {"SELECT id FROM messages WHERE conversation = ? AND pinned IS NOT NULL AND shown = 1 AND id < ? ORDER BY id DESC LIMIT ?", []any{1, 1, 1},
			[]string{"messages_pinned"}},
		"after": {"SELECT " + messageColumns + " FROM messages WHERE conversation = ? AND id > ? AND shown = 1 ORDER BY id LIMIT ?", []any{1, 1, 1},
			[]string{"messages_conversation (conversation=? AND id>?)"}},
	} {
		steps := plan(t, s, q.query, q.args...)
		for _, by := range q.by {
			if !strings.Contains(steps, by) {
				t.Errorf("%s does not go by %s:\n%s", name, by, steps)
			}
		}
		if strings.Contains(steps, "SCAN m") || strings.Contains(steps, "TEMP B-TREE") {
			t.Errorf("%s reads every message, or sorts:\n%s", name, steps)
		}
	}
}

// A message that comes after one that was read and deleted is not taken as read, though
// it could have had its row id; not after a restart either.
func TestRowIDsOfMessagesAreNotGivenTwice(t *testing.T) {
	s := openNew(t)
	bob, conv := withBob(t, s)
	var last int64
	update(t, s, func(tx *Tx) (err error) {
		if last, err = tx.InsertMessage(said(conv, 1)); err != nil {
			return err
		}
		if _, err := tx.MarkRead(conv, last); err != nil {
			return err
		}
		return tx.run("DELETE FROM messages")
	})
	unread := func() int {
		return get(t, s, func(tx *Tx) (Listed, error) { return tx.ListConversation(bob) }).Unread
	}
	same(t, "unread", unread(), 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.Path(), Options{})
	for n := range 2 {
		update(t, s, func(tx *Tx) error {
			_, err := tx.InsertMessage(said(conv, byte(2+n)))
			return err
		})
		same(t, "unread", unread(), n+1)
	}
}

// BenchmarkConversations reads the list of 1,000 conversations with 100,000 messages, of which
// every tenth conversation has 20 unread; BenchmarkOpenChat the newest 50 messages of one, and
// BenchmarkAround 50 in the middle of the one with 50,000.
func BenchmarkConversations(b *testing.B) {
	s, _ := busy(b)
	for b.Loop() {
		list := get(b, s, (*Tx).ListConversations)
		if len(list) != 1000 {
			b.Fatal(len(list))
		}
	}
}

func BenchmarkOpenChat(b *testing.B) {
	s, long := busy(b)
	for b.Loop() {
		if list := get(b, s, func(tx *Tx) ([]Message, error) { return tx.Messages(long, 0, 50) }); len(list) != 50 {
			b.Fatal(len(list))
		}
	}
}

func BenchmarkAround(b *testing.B) {
	s, long := busy(b)
	for b.Loop() {
		var n int
		view(b, s, func(tx *Tx) error {
			before, err := tx.Messages(long, 50_000, 25)
			if err != nil {
				return err
			}
			after, err := tx.MessagesAfter(long, 49_999, 25)
			n = len(before) + len(after)
			return err
		})
		if n != 50 {
			b.Fatal(n)
		}
	}
}

// busy is a profile with 1,000 conversations and 100,000 messages, half of them in the
// conversation that is named.
func busy(b *testing.B) (s *Store, long int64) {
	b.Helper()
	s = openAt(b, filepath.Join(b.TempDir(), "godwit.db"), Options{Create: true, CacheKiB: 64 << 10}) // as the window has it
	var convs []int64
	update(b, s, func(tx *Tx) error {
		for i := range 1000 {
			who, err := tx.InsertContact(Contact{Account: identity.AccountID{byte(i), byte(i >> 8), 1}, Petname: fmt.Sprint("Person ", i), Kind: ContactKnown, PinSuite: 1, Created: day0()})
			if err != nil {
				return err
			}
			id, err := tx.InsertConversation(Conversation{Conversation: ConversationID{byte(i), byte(i >> 8), 1}, Contact: who})
			if err != nil {
				return err
			}
			convs = append(convs, id)
		}
		return nil
	})
	w := &world{Store: s}
	for part := 0; part < 100_000; part += 1000 {
		update(b, s, func(tx *Tx) error {
			for i := range 1000 {
				m := said(convs[0], byte(i))
				if i%2 == 1 {
					m.Conversation = convs[(part+i)/2%1000]
				}
				m.Message, m.At, m.Body = w.id(), day0().Add(time.Duration(part+i)*time.Minute), []byte("a line as long as people write them, more or less")
				if _, err := tx.InsertMessage(m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	update(b, s, func(tx *Tx) error {
		for i, id := range convs {
			list, err := tx.Messages(id, 0, 20)
			if err != nil {
				return err
			}
			upTo := list[len(list)-1].ID
			if i%10 == 0 {
				upTo = list[0].ID - 1
			}
			if _, err := tx.MarkRead(id, upTo); err != nil {
				return err
			}
		}
		return nil
	})
	return s, convs[0]
}

func TestConversationsAndStreams(t *testing.T) {
	s := openNew(t)
	bob, id := withBob(t, s)
	want := Conversation{ID: id, Conversation: ConversationID{5}, Contact: bob, SendSeq: 3, SendPrev: [32]byte{8}}
	update(t, s, func(tx *Tx) error {
		_, err := tx.InsertConversation(Conversation{Conversation: ConversationID{6}, Contact: bob})
		is(t, "a second conversation with Bob", err, ErrExists)
		st, err := tx.Stream(bobsPhone, id)
		same(t, "a stream that has not begun", st, Stream{Device: bobsPhone, Conversation: id})
		return errors.Join(err, tx.AdvanceSend(id, 3, [32]byte{8}),
			tx.PutStream(Stream{bobsPhone, id, 1, [32]byte{1}}), tx.PutStream(Stream{bobsPhone, id, 2, [32]byte{2}}))
	})
	for _, find := range []func(*Tx) (Conversation, error){
		func(tx *Tx) (Conversation, error) { return tx.Conversation(id) },
		func(tx *Tx) (Conversation, error) { return tx.ConversationByID(ConversationID{5}) },
		func(tx *Tx) (Conversation, error) { return tx.ConversationWith(bob) },
	} {
		same(t, "conversation", get(t, s, find), want)
	}
	same(t, "conversations", get(t, s, (*Tx).Conversations), []Conversation{want})
	same(t, "stream", get(t, s, func(tx *Tx) (Stream, error) { return tx.Stream(bobsPhone, id) }), Stream{bobsPhone, id, 2, [32]byte{2}})
}
