package chat

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
)

// Reacts, Edits, Deletes and Replies are what people do to a message of either side.
func (p *person) Reacts(id content.ID, emoji string) content.ID {
	p.w.Helper()
	return p.did(p.React(context.Background(), id.String(), emoji, api.Queued, 0))
}

func (p *person) Edits(id content.ID, text string) content.ID {
	p.w.Helper()
	return p.did(p.Edit(context.Background(), id.String(), text, api.Queued, 0))
}

func (p *person) Deletes(id content.ID) content.ID {
	p.w.Helper()
	return p.did(p.DeleteForBoth(context.Background(), id.String(), api.Queued, 0))
}

func (p *person) Replies(to *person, id content.ID, text string) content.ID {
	p.w.Helper()
	return p.did(p.Send(context.Background(), p.finds(to), Words{Text: text, Reply: id.String()}, api.Queued, 0))
}

func (p *person) did(sent api.Sent, err error) content.ID {
	p.w.Helper()
	p.w.check(err)
	id, err := content.ParseID(sent.ID)
	p.w.check(err)
	return id
}

// lineOf is a line of the conversation with another, as the person sees it.
func (p *person) lineOf(with *person, id content.ID) api.Message {
	p.w.Helper()
	for _, m := range p.talk(with) {
		if m.ID == id.String() {
			return m
		}
	}
	p.w.Fatalf("%s sees no message %s", p.name, id)
	return api.Message{}
}

// talk are all lines of the conversation with another.
func (p *person) talk(with *person) []api.Message {
	p.w.Helper()
	all, err := p.Messages(context.Background(), p.contact(with), Page{}, 10_000)
	p.w.check(err)
	return all
}

// changes are what the person was told of a message, in order.
func (p *person) changesOf(id content.ID) (list []string) {
	for _, e := range p.saw(api.EventMessage) {
		if e.ID == id.String() {
			list = append(list, e.Change)
		}
	}
	return list
}

func (p *person) emoji(with *person, id content.ID) (list []string) {
	p.w.Helper()
	for _, r := range p.lineOf(with, id).Reactions {
		list = append(list, strings.Repeat(r.Emoji, len(r.By)))
	}
	return list
}

// Anna and Ben talk, and do all that people do to messages; both see the same.
func TestPeopleActOnMessages(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, ben := w.Person("Anna", w.Relay("oak")), w.Person("Ben")
		anna.Meets(ben)
		lunch := anna.Says(ben, "Lunch on Tuseday?")
		synctest.Wait()
		if e := anna.saw(api.EventMessage); len(e) != 1 || e[0].Reason != "" || e[0].Change != api.ChangeNew {
			w.Errorf("Anna was told of her message as %+v", e)
		}
		ben.Reads(anna, "Lunch on Tuseday?")
		said := ben.lineOf(anna, lunch).Time
		w.Advance(time.Minute)
		anna.Sees(anna.Edits(lunch, "Lunch on Tuesday?"), api.Delivered)
		yes := ben.Replies(anna, lunch, "Yes!")
		ben.Sees(ben.Reacts(lunch, "😋"), api.Delivered)
		anna.Sees(anna.Reacts(lunch, "😋"), api.Delivered)
		anna.Sees(anna.Reacts(yes, "👍"), api.Delivered)
		for _, p := range []*person{anna, ben} {
			other := map[*person]*person{anna: ben, ben: anna}[p]
			m := p.lineOf(other, lunch)
			if m.Text != "Lunch on Tuesday?" || m.Edited.Sub(said.Time) < time.Minute || !m.Time.Equal(said.Time) {
				w.Errorf("%s sees %q of %s, edited %s", p.name, m.Text, m.Time, m.Edited)
			}
			if got := p.emoji(other, lunch); !slices.Equal(got, []string{"😋😋"}) || !m.Reactions[0].Mine {
				w.Errorf("%s sees the reactions %q", p.name, got)
			}
			q := p.lineOf(other, yes).Reply
			if q == nil || q.ID != lunch.String() || q.Text != "Lunch on Tuesday?" || q.Author != anna.chain.Account().String() {
				w.Errorf("%s sees the answered message as %+v", p.name, q)
			}
		}
		ben.Sees(ben.Reacts(lunch, "🎉"), api.Delivered)
		ben.Sees(ben.Reacts(lunch, "🎉"), api.Delivered) // no other than before
		anna.Sees(anna.Reacts(lunch, ""), api.Delivered)
		for _, got := range [][]string{anna.emoji(ben, lunch), ben.emoji(anna, lunch)} {
			if !slices.Equal(got, []string{"🎉"}) {
				w.Errorf("after Anna took hers back there are %q", got)
			}
		}
		anna.Sees(anna.Deletes(lunch), api.Delivered)
		for p, other := range map[*person]*person{anna: ben, ben: anna} {
			if m := p.lineOf(other, lunch); !m.Deleted || m.Text != "" || m.Reactions != nil || !m.Edited.IsZero() {
				w.Errorf("%s still sees %+v", p.name, m)
			}
			if q := p.lineOf(other, yes).Reply; q == nil || q.Text != "" || !q.Deleted {
				w.Errorf("%s still sees what was answered: %+v", p.name, q)
			}
			if lines := p.talk(other); len(lines) != 2 {
				w.Errorf("%s sees %d lines: acts are none", p.name, len(lines))
			}
		}
		want := []string{api.ChangeNew, api.ChangeEdited, api.ChangeReacted, api.ChangeReacted, api.ChangeReacted, api.ChangeReacted, api.ChangeDeleted}
		if got := ben.changesOf(lunch); !slices.Equal(got, want) {
			w.Errorf("Ben was told %q", got)
		}
		if got := anna.changesOf(lunch); !slices.Equal(got, want) {
			w.Errorf("Anna was told %q", got)
		}
		w.check(second(ben.DeleteForMe(w.Context(), yes.String())))
		if got, was := ben.talk(anna), anna.talk(ben); len(got) != 1 || len(was) != 2 {
			w.Errorf("after Ben deleted his own for himself he sees %d lines and Anna %d", len(got), len(was))
		}
	})
}

// Ben is away. What Anna edited, deleted and reacted to meanwhile he finds as it is now.
func TestActsWaitAtRelaysWithTheirMessages(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		hello := ben.Says(anna, "hello")
		anna.Reads(ben, "hello")
		ben.Leaves()
		edited, gone := anna.Says(ben, "at fvie"), anna.Says(ben, "you did not see this")
		anna.Sees(anna.Edits(edited, "at five"), api.Kept)
		anna.Sees(anna.Deletes(gone), api.Kept)
		anna.Sees(anna.Reacts(hello, "👋"), api.Kept)
		w.Pass(day)
		ben.Returns()
		ben.Reads(anna, "at five", "")
		ben.Awaits("the reaction", func() bool { return slices.Equal(ben.emoji(anna, hello), []string{"👋"}) })
		if m := ben.lineOf(anna, gone); !m.Deleted {
			w.Errorf("Ben sees %+v", m)
		}
		anna.Sees(edited, api.Delivered)
	})
}

// Ben reacts to what Anna deletes at the same time, and answers it.
func TestActsMeetADeletedMessage(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		id := anna.Says(ben, "never mind")
		ben.Reads(anna, "never mind")
		anna.Leaves()
		ben.Sees(ben.Reacts(id, "❓"), api.Kept)
		answer := ben.Replies(anna, id, "what?")
		ben.Sees(answer, api.Kept)
		ben.Leaves()
		anna.Starts()
		anna.Deletes(id) // before anything of Ben's is read
		anna.Reads(ben, "what?")
		if m := anna.lineOf(ben, id); !m.Deleted || m.Reactions != nil {
			w.Errorf("Anna sees %+v", m)
		}
		if q := anna.lineOf(ben, answer).Reply; q == nil || !q.Deleted || q.Text != "" {
			w.Errorf("Anna sees the answer to %+v", q)
		}
		ben.Returns()
		ben.Awaits("the request to delete", func() bool { return ben.lineOf(anna, id).Deleted })
		if m := ben.lineOf(anna, id); m.Reactions != nil {
			w.Errorf("a reaction outlived its message: %+v", m)
		}
		for name, err := range map[string]error{
			"react":   second(ben.React(w.Context(), id.String(), "👍", "", 0)),
			"forward": second(ben.Forward(w.Context(), id.String(), ben.finds(anna), "", 0)),
			"answer":  second(ben.Send(w.Context(), ben.finds(anna), Words{Text: "hm", Reply: id.String()}, "", 0)),
			"edit":    second(anna.Edit(w.Context(), id.String(), "well", "", 0)),
			"delete":  second(anna.DeleteForBoth(w.Context(), id.String(), "", 0)),
		} {
			if !errors.Is(err, problem.MessageGone) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// What cannot be done is said, and does nothing.
func TestActsAreRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, ben, carol := w.Person("Anna", w.Relay("oak")), w.Person("Ben"), w.Person("Carol")
		anna.Meets(ben)
		anna.Meets(carol)
		mine, theirs := anna.Says(ben, "mine"), ben.Says(anna, "theirs")
		anna.Reads(ben, "theirs")
		other := anna.Says(carol, "to Carol")
		ctx := w.Context()
		for _, c := range []struct {
			name string
			err  error
			want problem.Code
		}{
			{"a reaction of words", second(anna.React(ctx, theirs.String(), "lol", "", 0)), problem.BadReaction},
			{"an edit of another's", second(anna.Edit(ctx, theirs.String(), "x", "", 0)), problem.NotYours},
			{"an edit without words", second(anna.Edit(ctx, mine.String(), "", "", 0)), problem.BadText},
			{"an edit too long", second(anna.Edit(ctx, mine.String(), strings.Repeat("x", content.MaxText), "", 0)), problem.BadText},
			{"deletion of another's for both", second(anna.DeleteForBoth(ctx, theirs.String(), "", 0)), problem.NotYours},
			{"an unknown id", second(anna.React(ctx, content.NewID().String(), "👍", "", 0)), problem.NoSuchMessage},
			{"no id", second(anna.DeleteForMe(ctx, "x")), problem.NoSuchMessage},
			{"an answer to what was said to somebody else", second(anna.Send(ctx, anna.finds(ben), Words{Text: "x", Reply: other.String()}, "", 0)), problem.NoSuchMessage},
			{"forwarding to nobody", second(anna.Forward(ctx, mine.String(), byID(99), "", 0)), problem.NoSuchContact},
		} {
			if !errors.Is(c.err, c.want) {
				w.Errorf("%s: %v, want %s", c.name, c.err, c.want)
			}
		}
		_, err := anna.ChangeContact(ctx, anna.contact(ben).ID, "blocked", func(c *store.Contact) error { c.Blocked = time.Now(); return nil })
		w.check(err)
		if _, err := anna.React(ctx, theirs.String(), "👍", "", 0); !errors.Is(err, problem.ContactBlocked) {
			w.Errorf("a reaction to somebody blocked: %v", err)
		}
		w.check(second(anna.DeleteForMe(ctx, theirs.String())))
		sent, err := anna.Forward(ctx, mine.String(), anna.finds(carol), api.Delivered, time.Minute)
		w.check(err)
		carol.Reads(anna, "to Carol", "mine")
		if m := carol.heard(anna)[1]; m.ID != sent.ID || !m.Forwarded {
			w.Errorf("Carol sees %+v", m)
		}
	})
}

// act is what a hostile program sends as the n-th item of its own making.
func act(from, to *person, seq uint64, kind content.Kind, body []byte) content.Item {
	i := said(from, to, seq, [32]byte{byte(seq)}, "")
	i.Kind, i.Body = kind, body
	return i
}

// Mallory's program does what no person could: it edits and deletes what others said, sends
// reactions by the thousand, timers for ever, and acts upon what was never said. Nothing comes
// of it, it fills nobody's memory, and Bob and Mallory can go on talking.
func TestHostileActs(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		mallory, bob, carol := w.Person("Mallory", oak), w.Person("Bob", oak), w.Person("Carol", oak)
		mallory.Meets(bob)
		carol.Meets(bob)
		bobs := bob.Says(mallory, "what Bob said")
		mallory.Reads(bob, "what Bob said")
		carols := carol.Says(bob, "what Carol said")
		bob.Reads(carol, "what Carol said")
		seq := uint64(0)
		do := func(kind content.Kind, body []byte) content.Item {
			seq++
			return act(mallory, bob, seq, kind, body)
		}
		edit := func(id content.ID, text string) []byte {
			return marshal(content.Edit{Of: id, Text: content.Text{Text: text}}.Marshal())
		}
		reaction := func(id content.ID, emoji string) []byte {
			return marshal(content.Reaction{To: id, Emoji: emoji}.Marshal())
		}
		mallory.SendsItems(bob,
			do(content.KindEdit, edit(bobs, "what Mallory wants")), do(content.KindEdit, edit(carols, "what Mallory wants")),
			do(content.KindErase, bobs[:]), do(content.KindErase, carols[:]), do(content.KindReaction, reaction(carols, "💩")),
			do(content.KindReaction, append(bobs[:], "not an emoji"...)), do(content.KindReaction, nil), do(content.KindErase, []byte{1}), do(content.KindEdit, bobs[:]),
			do(content.KindTimer, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}), // more than a century
			do(content.KindTimer, marshal(content.Timer{After: content.MaxTimer, Version: 253402300799999}.Marshal())),
			item(content.KindContext, append(make([]byte, 16), 3, 4, 0xff, 0xff, 0xff, 0xff)),
		)
		const reactions, unknown = 10_000, 2_000
		for n := 0; n < reactions; {
			var items []content.Item
			for ; len(items) < 250; n++ {
				items = append(items, do(content.KindReaction, reaction(bobs, string(rune(0x1f600+n%50)))))
			}
			mallory.SendsItems(bob, items...)
		}
		for n := 0; n < unknown; {
			var items []content.Item
			for ; len(items) < 250; n++ {
				items = append(items, do(content.KindEdit, edit(content.NewID(), "of what was never said")))
			}
			mallory.SendsItems(bob, items...)
		}
		mallory.Awaits("all to have come", func() bool { return mallory.waiting() == 0 })
		if m := bob.lineOf(mallory, bobs); m.Text != "what Bob said" || m.Deleted || !m.Edited.IsZero() || len(m.Reactions) != 1 || len(m.Reactions[0].By) != 1 {
			w.Errorf("Bob's own message became %+v", m)
		}
		if m := bob.lineOf(carol, carols); m.Text != "what Carol said" || m.Deleted || m.Reactions != nil {
			w.Errorf("Carol's message became %+v", m)
		}
		if n := len(bob.changesOf(bobs)); n < 2 || n > 1+reactions/250 {
			w.Errorf("of one message Bob was told %d times", n)
		}
		if lines := bob.talk(mallory); len(lines) != 3 { // Bob's, and that Mallory set timers
			w.Errorf("Bob sees %d lines", len(lines))
		}
		bob.View(func(tx *store.Tx) error {
			conv, err := tx.ConversationWith(bob.contact(mallory).ID)
			w.check(err)
			if ahead := time.Until(time.UnixMilli(conv.TimerVersion)); conv.Timer != content.MaxTimer || ahead > versionAhead {
				w.Errorf("the timer is %s, set %s in the future", conv.Timer, ahead)
			}
			return nil
		})
		// Bob can set another, and is believed by himself at least.
		bob.did(bob.SetTimer(w.Context(), bob.finds(mallory), time.Hour, "", 0))
		if v := bob.with(bob.finds(mallory)); time.Duration(v.Timer) != time.Hour {
			w.Errorf("Bob's timer is %v", v.Timer)
		}
		bob.Sees(bob.Says(mallory, "stop that"), api.Delivered)
		bob.View(func(tx *store.Tx) error {
			conv, err := tx.ConversationWith(bob.contact(mallory).ID)
			w.check(err)
			early, err := tx.CountEarlyActs(conv.ID)
			if early != store.EarlyActsMax {
				w.Errorf("%d acts wait for what was never said", early)
			}
			return err
		})
	})
}

// What is done to a message comes before the message, again, and later than it was waited for: in
// the end all is as it was meant.
func TestActsOutOfOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben := w.Person("Anna", oak), w.Person("Ben", oak)
		anna.Meets(ben)
		text := said(anna, ben, 3, [32]byte{}, "wrogn")
		edit := func(seq uint64, text string, id content.ID) content.Item {
			return act(anna, ben, seq, content.KindEdit, marshal(content.Edit{Of: id, Text: content.Text{Text: text}}.Marshal()))
		}
		gone := said(anna, ben, 5, [32]byte{}, "never said")
		anna.SendsItems(ben, edit(1, "worng", text.ID), edit(2, "wrong", text.ID), text,
			act(anna, ben, 4, content.KindErase, gone.ID[:]), gone)
		ben.Reads(anna, "wrong", "")
		if m := ben.lineOf(anna, gone.ID); !m.Deleted {
			w.Errorf("what was deleted before it came is %+v", m)
		}
		reaction := func(seq uint64, emoji string) content.Item {
			return act(anna, ben, seq, content.KindReaction, marshal(content.Reaction{To: text.ID, Emoji: emoji}.Marshal()))
		}
		first := reaction(6, "👍")
		w.Advance(time.Second)
		second, later := reaction(7, "👎"), edit(9, "right", text.ID)
		anna.SendsItems(ben, second, later) // first, and 8, are missing
		w.Advance(time.Minute)
		if got := ben.emoji(anna, text.ID); got != nil {
			w.Errorf("Ben sees %q, which waits for what is before it", got)
		}
		anna.Leaves()
		ben.Leaves()
		w.Pass(heldFor)
		anna.Returns()
		ben.Returns()
		ben.Awaits("what need not wait any more", func() bool { return ben.lineOf(anna, text.ID).Text == "right" })
		late := edit(8, "late", text.ID)
		late.Sent = later.Sent.Add(-time.Millisecond)
		anna.SendsItems(ben, first, late, second)
		w.Advance(10 * time.Second)
		if got := ben.emoji(anna, text.ID); !slices.Equal(got, []string{"👎"}) {
			w.Errorf("after an older one came late Ben sees %q", got)
		}
		ben.ReadsNow(anna, "right", "")
		anna.SendsItems(ben, reaction(10, ""))
		w.Advance(10 * time.Second)
		if got := ben.emoji(anna, text.ID); got != nil {
			w.Errorf("a reaction that was taken back is %q", got)
		}
	})
}
