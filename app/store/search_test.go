package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/godwit-im/godwit/app/search"
)

// tell keeps texts of Bob's in a conversation, the first with the number n.
func tell(t testing.TB, s *Store, conversation int64, n int, texts ...string) (rows []int64) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		for i, text := range texts {
			m := said(conversation, 0)
			binary.BigEndian.PutUint64(m.Message[:], uint64(conversation))
			binary.BigEndian.PutUint64(m.Message[8:], uint64(n+i))
			m.Seq, m.Body = uint64(n+i), []byte(text)
			row, err := tx.InsertMessage(m)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows
}

// index puts everything into the index, a few at a time.
func index(t testing.TB, s *Store) {
	t.Helper()
	for left := int64(1); left > 0; {
		update(t, s, func(tx *Tx) (err error) { left, err = tx.Index(50); return err })
	}
}

// found are the texts that are found.
func found(t testing.TB, s *Store, typed string, conversation int64) (texts []string) {
	t.Helper()
	list := get(t, s, func(tx *Tx) ([]Message, error) { return tx.Search(search.Parse(typed), conversation, 0, 100) })
	for _, m := range list {
		texts = append(texts, string(m.Body))
	}
	return texts
}

func finds(t testing.TB, s *Store, typed string, conversation int64, want ...string) {
	t.Helper()
	if got := found(t, s, typed, conversation); !slices.Equal(got, want) {
		t.Errorf("%q finds %q, want %q", typed, got, want)
	}
}

// sound wants an index that is as the messages are.
func sound(t testing.TB, s *Store) {
	t.Helper()
	var words, want []string
	update(t, s, func(tx *Tx) (err error) {
		if words, err = terms(tx); err != nil {
			return err
		}
		list, err := all(tx, scanMessage, "SELECT "+messageColumns+" FROM messages WHERE shown = 1 AND silent = 0 AND id > (SELECT after FROM search_progress) AND id <= (SELECT upto FROM search_progress)")
		for _, m := range list {
			want = append(want, fmt.Sprint("c", m.Conversation))
			want = append(want, strings.Fields(search.Words(string(m.Body)))...)
		}
		return err
	})
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(words, want) {
		t.Errorf("the index has the words\n%q, the messages have\n%q", words, want)
	}
	update(t, s, func(tx *Tx) error { return tx.run("INSERT INTO search (search, rank) VALUES ('integrity-check', 0)") })
}

// terms are the words that the index has, in the order of the alphabet.
func terms(tx *Tx) ([]string, error) {
	if err := tx.run("CREATE VIRTUAL TABLE IF NOT EXISTS temp.terms USING fts5vocab (main, search, row)"); err != nil {
		return nil, err
	}
	return all(tx, func(r row) (s string, err error) { err = r.Scan(&s); return s, err }, "SELECT term FROM temp.terms ORDER BY term")
}

func TestSearch(t *testing.T) {
	s := openNew(t)
	_, bob := withBob(t, s)
	carol := otherConversation(t, s)
	tell(t, s, bob, 1, "The harbour at six", "Kommst du zum Hafen, Jürgen?", "明日港で会いましょう", "harbour, harbour!")
	tell(t, s, carol, 1, "the harbours of Crete", `OR "NEAR" c1 text: 50%`)
	index(t, s)
	finds(t, s, "harbour", 0, "the harbours of Crete", "harbour, harbour!", "The harbour at six")
	finds(t, s, "harbour ", 0, "harbour, harbour!", "The harbour at six")
	finds(t, s, "the harbour", 0, "the harbours of Crete", "The harbour at six")
	finds(t, s, "harbour", bob, "harbour, harbour!", "The harbour at six")
	finds(t, s, "harbour", carol, "the harbours of Crete")
	finds(t, s, "jurgen", 0, "Kommst du zum Hafen, Jürgen?")
	finds(t, s, "JÜRGEN", 0, "Kommst du zum Hafen, Jürgen?")
	finds(t, s, "港で", 0, "明日港で会いましょう")
	finds(t, s, "港会", 0)
	finds(t, s, `"harbour at"`, 0, "The harbour at six")
	finds(t, s, `"at harbour"`, 0)
	finds(t, s, "c1", 0, `OR "NEAR" c1 text: 50%`) // the place of a message is no word of it
	for _, hostile := range []string{"", "   ", `"`, `"""`, "*", "^", "NEAR(", "AND", "a AND", "text:", "{place} : c1", "NOT x", "(", "-", "\x00", `a" OR "b`, "'; DROP TABLE search; --", strings.Repeat("(", 10_000), strings.Repeat("a ", 10_000)} {
		found(t, s, hostile, 0)
		found(t, s, hostile, bob)
	}
	sound(t, s)

	list := get(t, s, func(tx *Tx) ([]Message, error) { return tx.Search(search.Parse("harbour"), 0, 0, 1) })
	next := get(t, s, func(tx *Tx) ([]Message, error) { return tx.Search(search.Parse("harbour"), 0, list[0].ID, 1) })
	if len(next) != 1 || string(next[0].Body) != "harbour, harbour!" {
		t.Errorf("the next page is %+v", next)
	}
}

// otherConversation adds a second contact with a conversation.
func otherConversation(t testing.TB, s *Store) (id int64) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		who, err := tx.InsertContact(Contact{Account: [32]byte{8}, Petname: "carol", Kind: ContactNew, PinSuite: 1, Created: day0()})
		if err != nil {
			return err
		}
		id, err = tx.InsertConversation(Conversation{Conversation: ConversationID{6}, Contact: who})
		return err
	})
	return id
}

// The index goes with the messages: what is said is in it once Index has come to it, hidden
// ones are not before they are shown, and what is changed or deleted leaves it at once, by whatever way.
func TestTheIndexGoesWithTheMessages(t *testing.T) {
	s := openNew(t)
	contact, bob := withBob(t, s)
	rows := tell(t, s, bob, 1, "apple banana", "cherry banana", "damson")
	finds(t, s, "banana", 0)
	sound(t, s)
	index(t, s)
	finds(t, s, "banana", 0, "cherry banana", "apple banana")
	sound(t, s)
	hidden := said(bob, 100)
	hidden.Body, hidden.Shown, hidden.ShowBy = []byte("elderberry"), false, day0()
	var row int64
	update(t, s, func(tx *Tx) (err error) {
		row, err = tx.InsertMessage(hidden)
		return err
	})
	index(t, s)
	finds(t, s, "elderberry", 0)
	sound(t, s)
	update(t, s, func(tx *Tx) error {
		_, err := tx.Show(row, day0())
		return err
	})
	index(t, s)
	finds(t, s, "elderberry", 0, "elderberry")
	sound(t, s)
	update(t, s, func(tx *Tx) error {
		return tx.run("UPDATE messages SET body = ? WHERE id = ?", []byte("apple fig"), rows[0])
	})
	finds(t, s, "banana", 0, "cherry banana")
	finds(t, s, "apple fig", 0, "apple fig")
	sound(t, s)
	update(t, s, func(tx *Tx) error { return tx.run("DELETE FROM messages WHERE id = ?", rows[1]) })
	finds(t, s, "banana", 0)
	sound(t, s)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.EditMessage(rows[0], []byte("apple ginger"), day0()), tx.DeleteMessage(rows[2], true, day0()))
	})
	finds(t, s, "fig", 0)
	finds(t, s, "damson", 0)
	finds(t, s, "ginger", 0, "apple ginger")
	sound(t, s)
	// What did not happen is not in it.
	nothing := errors.New("nothing")
	err := s.Update(t.Context(), func(tx *Tx) error {
		m := said(bob, 101)
		m.Body = []byte("grape")
		if _, err := tx.InsertMessage(m); err != nil {
			return err
		}
		return nothing
	})
	is(t, "undone", err, nothing)
	index(t, s)
	finds(t, s, "grape", 0)
	sound(t, s)
	update(t, s, func(tx *Tx) error { return tx.ForgetContact(contact, day0()) })
	finds(t, s, "apple", 0)
	sound(t, s)
}

// What is edited or deleted before Index has come to it was never in it; and if the program
// ends before that, what was said is found by the next.
func TestTheIndexComesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true})
	_, bob := withBob(t, s)
	tell(t, s, bob, 1, "apple")
	index(t, s)
	rows := tell(t, s, bob, 2, "banana", "cherry", "damson")
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.EditMessage(rows[0], []byte("blueberry"), day0()), tx.DeleteMessage(rows[1], true, day0()))
	})
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	index(t, s)
	sound(t, s)
	for _, gone := range []string{"banana", "cherry"} {
		finds(t, s, gone, 0)
	}
	finds(t, s, "blueberry", 0, "blueberry")
	// The newest is deleted, and the program begins anew: the next has a row id of its own, or
	// it would count as one that is in the index.
	update(t, s, func(tx *Tx) error { return tx.run("DELETE FROM messages WHERE id = ?", rows[2]) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	tell(t, s, bob, 5, "elderberry")
	sound(t, s)
	index(t, s)
	finds(t, s, "elderberry", 0, "elderberry")
	sound(t, s)
}

// Who has said very much is forgotten as fast: the index is made anew for the others.
func TestForgettingMuch(t *testing.T) {
	s := openNew(t)
	contact, bob := withBob(t, s)
	carol := otherConversation(t, s)
	tell(t, s, carol, 1, "kept apple")
	var texts []string
	for i := range forgetSingly + 1 {
		texts = append(texts, fmt.Sprint("apple ", i))
	}
	tell(t, s, bob, 1, texts...)
	index(t, s)
	update(t, s, func(tx *Tx) error { return tx.ForgetContact(contact, day0()) })
	sound(t, s)
	finds(t, s, "apple", 0)
	index(t, s)
	sound(t, s)
	finds(t, s, "apple", 0, "kept apple")
}

// What is deleted leaves the pages of the index too: they are read as the cipher gives them.
func TestDeletedWordsLeaveThePages(t *testing.T) {
	s := openNew(t)
	_, bob := withBob(t, s)
	const secret = "zanzibarquell"
	var texts []string
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("message number %d of the ordinary kind, with some words%d of its own", i, i))
	}
	texts[150] = "the word is " + secret
	rows := tell(t, s, bob, 1, texts...)
	index(t, s)
	in := func() bool {
		pages := get(t, s, func(tx *Tx) ([]string, error) {
			return all(tx, func(r row) (string, error) {
				var b []byte
				err := r.Scan(&b)
				return string(b), err
			}, "SELECT block FROM search_data")
		})
		return slices.ContainsFunc(pages, func(p string) bool { return strings.Contains(p, secret[4:]) })
	}
	if !in() {
		t.Fatal("the word is not where it is looked for")
	}
	update(t, s, func(tx *Tx) error { return tx.run("DELETE FROM messages WHERE id = ?", rows[150]) })
	if in() {
		t.Error("the word is still in the index")
	}
	sound(t, s)
}

// A profile that is older than the index gets it bit by bit, the newest messages first;
// what is said, changed or deleted meanwhile is right at every moment, and being killed between
// changes nothing.
func TestTheIndexOfAnOlderProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit.db")
	older := fstest.MapFS{}
	names, err := fs.Glob(migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.Contains(name, "-search") {
			break
		}
		text, err := fs.ReadFile(migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		older[name] = &fstest.MapFile{Data: text}
	}
	s, err := Open(t.Context(), path, testKey, Options{Create: true, migrations: older})
	if err != nil {
		t.Fatal(err)
	}
	s.lastMessage = 1 // or it would be looked up in today's tables
	_, bob := withBob(t, s)
	var texts []string
	for i := range 50 {
		texts = append(texts, fmt.Sprintf("common word%d", i))
	}
	rows := tell(t, s, bob, 1, texts...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openAt(t, path, Options{})
	if left, err := filepath.Glob(path + ".before-*"); err != nil || len(left) > 0 {
		t.Errorf("the copy before the migration was left: %v, %v", left, err)
	}
	finds(t, s, "common", 0)
	tell(t, s, bob, 51, "common new")
	some := func(n int64) (left int64) {
		t.Helper()
		update(t, s, func(tx *Tx) (err error) { left, err = tx.Index(n); return err })
		sound(t, s)
		return left
	}
	same(t, "left", some(10), 51)
	finds(t, s, "common", 0, "common new")
	same(t, "left", some(10), 41)
	finds(t, s, "common", 0, append([]string{"common new"}, reversed(texts[40:])...)...)
	// One that is in the index is changed, and one that is not; one of each is deleted.
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.run("UPDATE messages SET body = ? WHERE id = ?", []byte("edited late"), rows[45]),
			tx.run("UPDATE messages SET body = ? WHERE id = ?", []byte("edited early"), rows[5]),
			tx.run("DELETE FROM messages WHERE id IN (?, ?)", rows[46], rows[6]))
	})
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	for left := int64(1); left > 0; {
		left = some(7)
	}
	finds(t, s, "edited", 0, "edited late", "edited early")
	same(t, "found", len(found(t, s, "common", 0)), 50+1-4)

	// The index of another version of app/search is made anew.
	update(t, s, func(tx *Tx) error { return tx.run("UPDATE search_progress SET version = 'other'") })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	finds(t, s, "common", 0)
	sound(t, s)
	same(t, "left", some(1000), 0)
	same(t, "found", len(found(t, s, "common", 0)), 50+1-4)
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// BenchmarkIndex puts 100,000 messages into the index.
func BenchmarkIndex(b *testing.B) {
	s, _ := busy(b)
	for b.Loop() {
		b.StopTimer()
		update(b, s, (*Tx).ForgetIndex)
		b.StartTimer()
		for left := int64(1); left > 0; {
			update(b, s, func(tx *Tx) (err error) {
				tx.Lazy()
				left, err = tx.Index(500)
				return err
			})
		}
	}
}
