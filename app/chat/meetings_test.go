package chat

import (
	"errors"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// step waits for a line that tells of a step of an introduction, and gives its id.
func (p *person) step(from *person, step string) (found api.Message) {
	p.w.Helper()
	p.Awaits("an introduction by "+from.name, func() bool {
		for _, m := range p.heard(from) {
			if m.Introduction != nil && m.Introduction.Step == step {
				found = m
			}
		}
		return found.ID != ""
	})
	return found
}

func (p *person) introduces(first, second *person) content.ID {
	p.w.Helper()
	return p.did(p.Introduce(p.w.Context(), p.finds(first), p.finds(second), api.Queued, 0))
}

func (p *person) agrees(m api.Message) error {
	_, _, err := p.AcceptIntroduction(p.w.Context(), m.ID, "")
	return err
}

// Anna introduces Ben and Carol. Ben agrees while she is away, and Carol accepts while Ben is:
// in the end they talk, and each is said to be introduced by Anna.
func TestTwoAreIntroduced(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben, carol := w.Person("Anna", oak), w.Person("Ben", oak), w.Person("Carol", oak)
		anna.Meets(ben)
		anna.Meets(carol)
		anna.Sees(anna.introduces(ben, carol), api.Delivered)
		asked := ben.step(anna, api.StepAsk)
		if i := asked.Introduction; i.Name != "Carol" || i.Account != carol.chain.Account().String() || i.Known || i.Agreed {
			w.Errorf("Ben is asked about %+v", i)
		}
		if list, err := ben.Conversations(w.Context()); err != nil || list[0].Last.Introduction == nil || list[0].Last.Introduction.Name != "Carol" {
			w.Errorf("Ben's list says %+v, %v", list, err)
		}
		if carol.knows(ben) || len(carol.talk(anna)) != 0 {
			w.Error("Carol knows of Ben before he has agreed")
		}
		anna.Leaves()
		w.check(ben.agrees(asked))
		w.check(ben.agrees(asked)) // once more: it is the same invitation
		if i := ben.lineOf(anna, mustID(w, asked.ID)).Introduction; !i.Agreed || i.Known {
			w.Errorf("Ben has agreed, and is told %+v", i)
		}
		ben.Awaits("his answers to be left at the relay", func() bool { return len(oak.kept()) >= 2 })
		anna.Returns()
		told := carol.step(anna, api.StepMeet)
		if i := told.Introduction; i.Name != "Ben" || i.Account != ben.chain.Account().String() || i.Known {
			w.Errorf("Carol is told of %+v", i)
		}
		ben.Leaves()
		w.check(carol.agrees(told))
		ben.Returns()
		ben.Awaits("Carol", func() bool { return ben.knows(carol) })
		carol.Sees(carol.Says(ben, "Anna says you bake"), api.Delivered)
		ben.Reads(carol, "Anna says you bake")
		for p, other := range map[*person]*person{ben: carol, carol: ben} {
			who := p.contact(other)
			if who.Introducer != p.contact(anna).ID || !who.Verified.IsZero() {
				w.Errorf("to %s the other is %+v", p.name, who)
			}
			if list, err := p.Conversations(w.Context()); err != nil || len(list) != 2 || list[0].Introduced != "Anna" || list[1].Introduced != "" {
				w.Errorf("the list of %s says %+v, %v", p.name, list, err)
			}
		}
		if !carol.lineOf(anna, mustID(w, told.ID)).Introduction.Known {
			w.Error("Carol's line does not say that she knows Ben now")
		}
		if err := ben.agrees(asked); !errors.Is(err, problem.AlreadyContact) {
			w.Errorf("Ben can agree still: %v", err)
		}
		if err := carol.agrees(told); !errors.Is(err, problem.AlreadyContact) {
			w.Errorf("Carol can accept still: %v", err)
		}
		// Only one invitation was made, and Anna passed it on once.
		n := 0
		for _, m := range carol.talk(anna) {
			if m.Introduction != nil {
				n++
			}
		}
		ben.View(func(tx *store.Tx) error {
			all, err := tx.Invitations()
			if len(all) != 1 || all[0].State != store.InvitationUsed || n != 1 {
				w.Errorf("Ben made %d invitations, and Carol was told %d times", len(all), n)
			}
			return err
		})
	})
}

func mustID(w *world, s string) content.ID {
	id, err := content.ParseID(s)
	w.check(err)
	return id
}

// What cannot be introduced is refused; a link that was made for Carol is of no use to
// Mallory, and nobody is told of what nobody asked for.
func TestIntroductionsAreForThoseTwo(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		anna, ben, carol, mallory := w.Person("Anna", oak), w.Person("Ben", oak), w.Person("Carol", oak), w.Person("Mallory", oak)
		anna.Meets(ben)
		anna.Meets(carol)
		self := func(tx *store.Tx) (store.Contact, error) { return Local(tx, api.Self) }
		for name, pair := range map[string][2]Find{"somebody to themselves": {anna.finds(ben), anna.finds(ben)}, "oneself": {anna.finds(ben), self}} {
			if _, err := anna.Introduce(w.Context(), pair[0], pair[1], "", 0); !errors.Is(err, problem.CannotIntroduce) {
				w.Errorf("%s: %v", name, err)
			}
		}
		if _, err := anna.Introduce(w.Context(), anna.finds(ben), byID(99), "", 0); !errors.Is(err, problem.NoSuchContact) {
			w.Errorf("nobody: %v", err)
		}
		// Ben says, without having been asked, that Carol may come by a link.
		link := ben.Invites()
		ben.must(func(t *turn) error {
			who, err := t.Contact(ben.contact(anna).ID)
			w.check(err)
			return ben.sayStep(t, who, content.NewID(), content.Introduction{Step: content.StepAgree, ID: content.NewID(), Account: carol.chain.Account(), Link: link})
		})
		anna.step(ben, api.StepAgree)
		// Anna asks, and Ben's program answers with a link of somebody else's.
		anna.introduces(ben, carol)
		asked := ben.step(anna, api.StepAsk)
		ben.must(func(t *turn) error {
			m, err := t.MessageByID(store.MessageID(mustID(w, asked.ID)))
			w.check(err)
			step, err := content.ParseIntroduction(m.Body)
			w.check(err)
			who, err := t.Contact(ben.contact(anna).ID)
			w.check(err)
			other := identity.NewInvitation(identity.Single, identity.AccountID{9}, nil)
			return ben.sayStep(t, who, content.NewID(), content.Introduction{Step: content.StepAgree, ID: step.ID, Account: carol.chain.Account(), Link: other.Link()})
		})
		w.Advance(10 * time.Second)
		if n := len(carol.talk(anna)); n != 0 {
			w.Errorf("Carol was told %d times of what nobody agreed to", n)
		}
		w.check(ben.agrees(asked))
		told := carol.step(anna, api.StepMeet)
		// Mallory, who has seen what Carol was told, comes first.
		var stolen string
		carol.View(func(tx *store.Tx) error {
			m, err := tx.MessageByID(store.MessageID(mustID(w, told.ID)))
			w.check(err)
			step, err := content.ParseIntroduction(m.Body)
			stolen = step.Link
			return err
		})
		mallory.Accepts(ben, stolen, "I am Carol")
		w.Advance(time.Minute)
		if ben.knows(mallory) {
			w.Fatal("Mallory came by Carol's invitation")
		}
		w.check(carol.agrees(told))
		ben.Awaits("Carol", func() bool { return ben.knows(carol) })
		// A line that is none, and one of one's own.
		for name, id := range map[string]string{"a text": anna.Says(ben, "hi").String(), "one's own": anna.introduces(ben, carol).String()} {
			if _, _, err := anna.AcceptIntroduction(w.Context(), id, ""); !errors.Is(err, problem.WrongKind) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}
