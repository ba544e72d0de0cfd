package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// local finds a conversation with nobody else.
func local(id string) Find {
	return func(tx *store.Tx) (store.Contact, error) { return Local(tx, id) }
}

// echo is the contact that Echo is.
func (p *person) echo() (who store.Contact) {
	p.View(func(tx *store.Tx) (err error) {
		who, err = Local(tx, api.Echo)
		return err
	})
	return who
}

// list are the names of the person's conversations, with how much is unread.
func (p *person) list() (list []string) {
	p.w.Helper()
	all, err := p.Conversations(context.Background())
	p.w.check(err)
	for _, v := range all {
		list = append(list, fmt.Sprintf("%s %d", v.Name, v.Unread))
	}
	return list
}

func (p *person) sees(list ...string) {
	p.w.Helper()
	if got := p.list(); !slices.Equal(got, list) {
		p.w.Errorf("%s's conversations are %q, want %q", p.name, got, list)
	}
}

// with is the person's conversation with somebody.
func (p *person) with(find Find) api.Conversation {
	p.w.Helper()
	v, err := p.Conversation(context.Background(), find)
	p.w.check(err)
	return v
}

// sets changes a conversation of the person's.
func (p *person) sets(find Find, r api.SetConversationRequest) api.Conversation {
	p.w.Helper()
	v, err := p.SetConversation(context.Background(), find, r)
	p.w.check(err)
	return v
}

// told are the conversations of which events told since the last call.
func (p *person) told() (ids []string) {
	p.w.Advance(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Event == api.EventConversation && !slices.Contains(ids, e.Conversation+e.Change) {
			ids = append(ids, e.Conversation+e.Change)
		}
	}
	p.events = nil
	slices.Sort(ids)
	return ids
}

// Anna hears from Bob and Carol. What was said last is on top, what she has read is not
// counted, and each change is told.
func TestAListOfConversations(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, bob, carol := w.Person("anna", oak), w.Person("bob", oak), w.Person("carol", oak)
		anna.Meets(bob)
		anna.Meets(carol)
		for _, p := range []*person{bob, carol} {
			_, err := anna.Rename(w.Context(), anna.contact(p).ID, p.name)
			w.check(err)
		}
		anna.sees("carol 0", "bob 0") // nothing was said: who came last
		toBob, toCarol := anna.finds(bob), anna.finds(carol)
		bobID := bob.chain.Account().String()

		anna.told()
		bob.Sees(bob.Says(anna, "one"), api.Delivered)
		first := anna.heard(bob)[0].ID
		bob.Sees(bob.Says(anna, "two"), api.Delivered)
		anna.sees("bob 2", "carol 0")
		if told := anna.told(); !slices.Equal(told, []string{bobID}) {
			w.Errorf("events told of %q", told)
		}
		v := anna.with(toBob)
		if v.ID != bobID || v.Kind != api.KindPerson || v.FirstUnread != first || v.Last == nil || v.Last.Text != "two" || !v.Connected {
			w.Errorf("the conversation is %+v", v)
		}
		w.Advance(time.Second)
		carol.Sees(carol.Says(anna, "hello"), api.Delivered)
		anna.sees("carol 1", "bob 2")

		v, err := anna.MarkRead(w.Context(), toBob, first)
		w.check(err)
		if v.Unread != 1 || v.FirstUnread == first {
			w.Errorf("after the first was read: %+v", v)
		}
		_, err = anna.MarkRead(w.Context(), toBob, "")
		w.check(err)
		anna.sees("carol 1", "bob 0")
		_, err = anna.MarkRead(w.Context(), toBob, first) // what was read stays read
		w.check(err)
		anna.sees("carol 1", "bob 0")
		_, err = anna.MarkRead(w.Context(), toCarol, first)
		if !errors.Is(err, problem.NoSuchMessage) {
			w.Errorf("reading up to somebody else's message: %v", err)
		}

		// What Anna says herself is no news to her, but moves the conversation up.
		anna.told()
		w.Advance(time.Second)
		anna.Sees(anna.Says(bob, "two what?"), api.Delivered)
		anna.sees("bob 0", "carol 1")

		pinned, draft := true, "Dear Carol"
		anna.sets(toCarol, api.SetConversationRequest{Pinned: &pinned, Draft: &draft})
		anna.sees("carol 1", "bob 0")
		anna.Leaves()
		anna.Returns()
		if v := anna.with(toCarol); !v.Pinned || v.Draft != draft {
			w.Errorf("after a restart: %+v", v)
		}
		long := strings.Repeat("x", 100_000)
		if _, err := anna.SetConversation(w.Context(), toCarol, api.SetConversationRequest{Draft: &long}); !errors.Is(err, problem.BadText) {
			w.Errorf("a draft that could not be sent: %v", err)
		}
		off, none := false, ""
		if v := anna.sets(toCarol, api.SetConversationRequest{Pinned: &off, Draft: &none}); v.Pinned || v.Draft != "" {
			w.Errorf("taken back: %+v", v)
		}
		anna.told()
		w.check(anna.RemoveContact(w.Context(), anna.contact(bob).ID))
		anna.sees("carol 1")
		if told := anna.told(); !slices.Contains(told, bobID+"removed") {
			w.Errorf("events told of %q", told)
		}
	})
}

// What is archived comes back with the next message, unless it is muted; that ends by
// itself.
func TestArchivedAndMuted(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, bob := w.Person("anna", oak), w.Person("bob", oak)
		anna.Meets(bob)
		toBob := anna.finds(bob)
		on := true
		if v := anna.sets(toBob, api.SetConversationRequest{Archived: &on}); !v.Archived {
			w.Errorf("archived: %+v", v)
		}
		bob.Sees(bob.Says(anna, "still there?"), api.Delivered)
		if v := anna.with(toBob); v.Archived {
			w.Errorf("after a message: %+v", v)
		}
		until := api.Time{Time: time.Now().Add(time.Hour)}
		anna.sets(toBob, api.SetConversationRequest{Archived: &on, MutedUntil: &until})
		bob.Sees(bob.Says(anna, "hello?"), api.Delivered)
		if v := anna.with(toBob); !v.Archived || !v.MutedUntil.Equal(until.Time) || v.Unread != 2 {
			w.Errorf("muted: %+v", v)
		}
		w.Advance(time.Hour)
		if v := anna.with(toBob); !v.Archived || !v.MutedUntil.IsZero() {
			w.Errorf("an hour later: %+v", v)
		}
		bob.Sees(bob.Says(anna, "hello!"), api.Delivered)
		if v := anna.with(toBob); v.Archived {
			w.Errorf("after one more message: %+v", v)
		}
	})
}

// A conversation is read page by page, from either side and around a message.
func TestPages(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, bob := w.Person("anna", oak), w.Person("bob", oak)
		anna.Meets(bob)
		said := bob.SaysMany(anna, 9)
		anna.Reads(bob, said...)
		who := anna.contact(bob)
		all, err := anna.Messages(w.Context(), who, Page{}, 100)
		w.check(err)
		for _, c := range []struct {
			at    Page
			limit int
			want  []string
		}{
			{Page{}, 3, said[6:]},
			{Page{Before: all[6].ID}, 3, said[3:6]},
			{Page{Before: all[1].ID}, 3, said[:1]},
			{Page{After: all[2].ID}, 3, said[3:6]},
			{Page{After: all[8].ID}, 3, nil},
			{Page{Around: all[4].ID}, 4, said[2:6]},
			{Page{Around: all[0].ID}, 4, said[:4]},
			{Page{Around: all[8].ID}, 4, said[6:]},
		} {
			list, err := anna.Messages(w.Context(), who, c.at, c.limit)
			w.check(err)
			if got := texts(list); !slices.Equal(got, c.want) {
				w.Errorf("%d at %+v: %q, want %q", c.limit, c.at, got, c.want)
			}
		}
		if _, err := anna.Messages(w.Context(), who, Page{Around: "nobody's"}, 4); !errors.Is(err, problem.NoSuchMessage) {
			w.Errorf("around nothing: %v", err)
		}
	})
}

// Some messages are kept at hand.
func TestStarsAndPins(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, bob, carol := w.Person("anna", oak), w.Person("bob", oak), w.Person("carol", oak)
		anna.Meets(bob)
		anna.Meets(carol)
		bob.Sees(bob.Says(anna, "the door is blue"), api.Delivered)
		carol.Sees(carol.Says(anna, "it is at 5"), api.Delivered)
		carol.Sees(carol.Says(anna, "no, at 6"), api.Delivered)
		door, five := anna.heard(bob)[0].ID, anna.heard(carol)[0].ID
		marked := func(mark string, with Find, want ...string) {
			w.Helper()
			list, err := anna.Marked(w.Context(), mark, with, "", 10)
			w.check(err)
			if got := texts(list); !slices.Equal(got, want) {
				w.Errorf("%s are %q, want %q", mark, got, want)
			}
		}
		for _, id := range []string{five, door} {
			m, err := anna.Star(w.Context(), id, true)
			w.check(err)
			if !m.Starred || m.Pinned {
				w.Errorf("starred: %+v", m)
			}
		}
		marked(api.MarkStarred, nil, "the door is blue", "it is at 5")
		marked(api.MarkStarred, anna.finds(carol), "it is at 5")
		m, err := anna.PinMessage(w.Context(), door, true)
		w.check(err)
		if !m.Pinned {
			w.Errorf("pinned: %+v", m)
		}
		marked(api.MarkPinned, anna.finds(bob), "the door is blue")
		marked(api.MarkPinned, anna.finds(carol))
		_, err = anna.Star(w.Context(), five, false)
		w.check(err)
		marked(api.MarkStarred, nil, "the door is blue")
		if _, err := anna.Star(w.Context(), "nothing", true); !errors.Is(err, problem.NoSuchMessage) {
			w.Errorf("a star for nothing: %v", err)
		}
	})
}

// Anna is alone. Her notes stay hers; Echo repeats what it is told, also what it was told
// just before she left.
func TestAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		anna := w.Person("anna")
		anna.sees()
		self, echo := local(api.Self), local(api.Echo)
		if v := anna.with(self); v.ID != api.Self || v.Kind != api.KindSelf || v.Last != nil {
			w.Errorf("no notes yet: %+v", v)
		}
		if _, err := anna.Conversation(w.Context(), echo); !errors.Is(err, problem.NoSuchContact) {
			w.Errorf("no Echo yet: %v", err)
		}
		sent, err := anna.Send(w.Context(), self, Words{Text: "milk, bread"}, api.Kept, 0)
		w.check(err)
		if sent.State != api.Delivered || sent.Conversation != api.Self {
			w.Errorf("a note: %+v", sent)
		}
		anna.sees("Notes to self 0")
		if v := anna.with(self); v.Last.Text != "milk, bread" || v.Last.State != "" || v.Last.Name != "" {
			w.Errorf("with a note: %+v", v.Last)
		}

		v, err := anna.AddEcho(w.Context(), "")
		w.check(err)
		if v.ID != api.Echo || v.Kind != api.KindEcho || v.Last.Text != EchoGreeting || v.Last.Author != api.Echo {
			w.Errorf("Echo: %+v, %+v", v, v.Last)
		}
		_, err = anna.AddEcho(w.Context(), "once more")
		w.check(err)
		anna.sees("Echo 1", "Notes to self 0")
		says := func(want ...string) {
			w.Helper()
			list, err := anna.Messages(w.Context(), anna.echo(), Page{}, 10)
			w.check(err)
			if got := texts(list); !slices.Equal(got, want) {
				w.Errorf("with Echo: %q, want %q", got, want)
			}
		}
		_, err = anna.Send(w.Context(), echo, Words{Text: "hello"}, api.Queued, 0)
		w.check(err)
		says(EchoGreeting, "hello")
		w.Advance(echoThinks)
		says(EchoGreeting, "hello", "hello")
		_, err = anna.Send(w.Context(), echo, Words{Text: "bye"}, api.Queued, 0)
		w.check(err)
		anna.Leaves()
		w.Advance(time.Hour)
		anna.Returns()
		says(EchoGreeting, "hello", "hello", "bye", "bye")
		if n := anna.waiting(); n != 0 {
			w.Errorf("%d things wait to leave this computer", n)
		}

		w.check(anna.RemoveContact(w.Context(), anna.echo().ID))
		anna.sees("Notes to self 0")
		_, err = anna.AddEcho(w.Context(), "Bonjour")
		w.check(err)
		says("Bonjour")
	})
}

// What people do in chats works with notes and Echo too, and nothing of it waits to leave.
func TestActsAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		anna := w.Person("anna")
		_, err := anna.AddEcho(w.Context(), "hello")
		w.check(err)
		for _, id := range []string{api.Self, api.Echo} {
			with := local(id)
			first := anna.did(anna.Send(w.Context(), with, Words{Text: "first"}, api.Delivered, 0))
			anna.did(anna.Send(w.Context(), with, Words{Text: "second", Reply: first.String()}, api.Delivered, 0))
			anna.did(anna.React(w.Context(), first.String(), "👍", api.Delivered, 0))
			anna.did(anna.Edit(w.Context(), first.String(), "the first", api.Delivered, 0))
			gone := anna.did(anna.Send(w.Context(), with, Words{Text: "oops"}, api.Delivered, 0))
			anna.Deletes(gone)
			w.Advance(time.Second)
			list, err := anna.Marked(w.Context(), api.MarkStarred, with, "", 10)
			w.check(err)
			if len(list) != 0 {
				w.Errorf("starred: %+v", list)
			}
			var who store.Contact
			anna.View(func(tx *store.Tx) error {
				who, err = with(tx)
				return err
			})
			list, err = anna.Messages(w.Context(), who, Page{}, 20)
			w.check(err)
			var seen []string
			for _, m := range list {
				if m.Author != anna.chain.Account().String() {
					continue
				}
				if m.State != "" {
					w.Errorf("with %s a message is %s", id, m.State)
				}
				line := m.Text
				if m.Reply != nil {
					line += " to " + m.Reply.Text
				}
				if len(m.Reactions) > 0 {
					line += " " + m.Reactions[0].Emoji
				}
				if m.Deleted {
					line += "(deleted)"
				}
				seen = append(seen, line)
			}
			if want := []string{"the first 👍", "second to the first", "(deleted)"}; !slices.Equal(seen, want) {
				w.Errorf("with %s: %q, want %q", id, seen, want)
			}
			if _, found := anna.searches("oops", with); id == api.Self && found != nil {
				w.Errorf("what was deleted is found: %q", found)
			}
		}
		if n := anna.waiting(); n != 0 {
			w.Errorf("%d things wait to leave this computer", n)
		}
	})
}
