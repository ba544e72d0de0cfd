package ui

import (
	"context"
	"slices"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/chats"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

// introducible says whether somebody can be introduced to somebody else.
func (a *account) introducible(id string) bool {
	return a.talkable(id) && slices.ContainsFunc(a.convs, func(c api.Conversation) bool { return c.ID != id && a.talkable(c.ID) })
}

// introduce asks to whom the person who is spoken to is to be introduced, and says what
// comes of it.
func (a *account) introduce() {
	id, l := a.openID, a.l
	name := chats.Name(l, a.conversation(id))
	a.choosePerson(l.T("Introduce {name} to…", "name", name), func(c api.Conversation) bool { return c.ID != id && a.talkable(c.ID) }, func(to string) {
		other := chats.Name(l, a.conversation(to))
		people.ShowQuestion(a.win.Canvas(), l, l.T("Introduce {name} and {other}?", "name", name, "other", other),
			l.T("{name} is asked first. Only if they accept, {other} is told how to write to them, and may accept too. Both know from you who the other is.", "name", name, "other", other),
			l.T("Introduce"), func() {
				a.decide(func(ctx context.Context) error {
					_, err := a.b.Introduce(ctx, api.IntroduceRequest{Contact: id, To: to})
					return err
				})
			})
	})
}

// decideCard accepts an introduction, or takes it away from here: nobody is told.
func (a *account) decideCard(m timeline.Message, n int) {
	if n > 0 {
		a.delete(m.ID, false)
		return
	}
	if a.accepting == m.ID {
		return // it takes a while, and once is enough
	}
	a.accepting = m.ID
	type met struct {
		asked bool
		who   api.Conversation
	}
	task.Load(a.work, func(ctx context.Context) (v met, err error) {
		p, err := a.b.AcceptIntroduction(ctx, api.AcceptIntroductionRequest{ID: m.ID})
		if err == nil && !p.Asked {
			v.who, err = a.one(ctx, p.Contact)
		}
		return met{p.Asked, v.who}, err
	}, func(v met, err error) {
		a.accepting = ""
		a.renew(m.ID, "")
		switch {
		case err != nil:
			a.fail(err)
		case !v.asked:
			a.opened(v.who, nil)
		}
	})
}
