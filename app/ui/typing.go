package ui

import (
	"context"
	"time"

	"github.com/godwit-im/godwit/app/api"
)

// sayTypingEvery is how often the account is asked at most to tell somebody that the person
// is writing. It tells them every 5 s at most, and they believe it for 10 s.
const sayTypingEvery = 3 * time.Second

// typing is who is writing at this moment: others, and the person.
type typing struct {
	by  map[string]time.Time // conversations whose other side is, and until when that is believed
	due *time.Timer          // for the first of them

	to string    // who was told that the person is; empty: nobody
	at time.Time // when
}

// is says whether the other side of a conversation is writing.
func (t *typing) is(id string, now time.Time) bool { return now.Before(t.by[id]) }

func (t *typing) end(id string) { delete(t.by, id) }

// sawTyping takes the event that somebody is writing, or not any more.
func (a *account) sawTyping(e api.Event) {
	if e.Expires.IsZero() {
		a.typing.end(e.Conversation)
	} else {
		a.typing.by[e.Conversation] = e.Expires.Time
	}
	a.showTyping()
}

// showTyping shows who is writing, and again when that is over.
func (a *account) showTyping() {
	if a.life.Err() != nil {
		return
	}
	t, now := &a.typing, a.now()
	var next time.Duration
	for id, until := range t.by {
		if left := until.Sub(now); left <= 0 {
			t.end(id)
		} else if next == 0 || left < next {
			next = left
		}
	}
	if t.due != nil {
		t.due.Stop()
		t.due = nil
	}
	if next > 0 {
		t.due = time.AfterFunc(next, func() { a.work.Do(a.showTyping) })
	}
	a.showList()
}

// typed tells whom the person is writing to, if that is shared.
func (a *account) typed() {
	t, id := &a.typing, a.openID
	if a.choices == nil || !a.choices.Typing || a.conversation(id).Kind != api.KindPerson {
		return
	}
	if t.to == id && a.now().Sub(t.at) < sayTypingEvery {
		return
	}
	t.to, t.at = id, a.now()
	a.sayTyping(id, false)
}

// stopTyping tells who was told so that the person is not writing any more.
func (a *account) stopTyping() {
	if a.typing.to != "" {
		a.sayTyping(a.typing.to, true)
		a.typing.to = ""
	}
}

func (a *account) sayTyping(id string, stopped bool) {
	a.work.Go(func(ctx context.Context) {
		if _, err := a.b.Typing(ctx, api.TypingRequest{Contact: id, Stopped: stopped}); err != nil && ctx.Err() == nil {
			a.opt.Log.Debug("it could not be told who is writing", "err", err)
		}
	})
}
