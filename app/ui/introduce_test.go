package ui

import (
	"context"
	"slices"
	"testing"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/ui/shell"
)

func (h *house) Introduce(_ context.Context, r api.IntroduceRequest) (api.Sent, error) {
	h.decide("introduce " + r.Contact + " to " + r.To)
	return api.Sent{}, nil
}

func (h *house) AcceptIntroduction(_ context.Context, r api.AcceptIntroductionRequest) (api.Accepted, error) {
	h.decide("accept " + r.ID)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.messages["anna"] {
		if m.ID == r.ID {
			if m.Introduction.Step == api.StepMeet {
				h.convs = append(h.convs, api.Conversation{ID: m.Introduction.Account, Kind: api.KindPerson, Name: m.Introduction.Name, Active: at(12)})
				m.Introduction.Known = true
			}
			m.Introduction.Agreed = !m.Introduction.Known
			return api.Accepted{Contact: m.Introduction.Account, Name: m.Introduction.Name, Asked: m.Introduction.Agreed}, nil
		}
	}
	return api.Accepted{}, nil
}

func (h *house) Delete(_ context.Context, r api.DeleteRequest) (api.Sent, error) {
	h.decide("delete " + r.ID)
	h.mu.Lock()
	h.messages["anna"] = slices.DeleteFunc(h.messages["anna"], func(m api.Message) bool { return m.ID == r.ID })
	h.mu.Unlock()
	h.events <- api.Event{Event: api.EventMessage, Conversation: "anna", ID: r.ID, Change: api.ChangeRemoved}
	return api.Sent{}, nil
}

func (h *house) decide(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decided = append(h.decided, what)
}

// introduction is a step of one, as Anna says it.
func introduction(id, step, name string, hour int) api.Message {
	return api.Message{ID: id, Conversation: "anna", Author: "anna", Name: "Anna", Kind: "introduction", Time: at(hour),
		Deeds: api.Deeds{Introduction: &api.Introduction{Step: step, Account: "id of " + name, Name: name}}}
}

// An introduction is a card: it is accepted or put aside, by mouse or by keys, and
// afterwards it says what came of it.
func TestAnIntroductionIsACard(t *testing.T) {
	h := harbour()
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.until("the messages", func() bool { return s.shows("m3") })
	h.say(introduction("i1", api.StepAsk, "Cleo", 10))
	s.until("the card", func() bool {
		return s.says("Anna would like to introduce Cleo") && s.says("May Cleo write to you?") && s.says("Ignore")
	})
	s.press("Accept")
	s.until("what came of it", func() bool { return s.says("You have agreed: Cleo is told how to write to you.") && !s.says("Ignore") })
	h.mu.Lock()
	h.messages["anna"][3].Introduction = &api.Introduction{Step: api.StepAsk, Account: "id of Cleo", Name: "Cleo", Known: true}
	h.mu.Unlock()

	h.say(introduction("i2", api.StepMeet, "Dora", 11))
	h.say(introduction("i3", api.StepMeet, "Eve", 11))
	s.until("two more", func() bool { return s.says("Anna introduces Dora") && s.says("Anna introduces Eve") })
	s.choose("i3", "Ignore")
	s.until("Eve is put aside", func() bool { return !s.says("Eve") })
	s.press("Accept")
	s.until("Dora's conversation", func() bool { return s.inner.conversation(s.inner.openID).Name == "Dora" })
	if want := []string{"accept i1", "delete i3", "accept i2"}; !slices.Equal(h.decided, want) {
		t.Errorf("%q, want %q", h.decided, want)
	}
}

// The buttons of a card have the focus one after the other.
func TestACardIsReachedByKeys(t *testing.T) {
	h := harbour()
	h.messages["anna"] = append(h.messages["anna"], introduction("i1", api.StepAsk, "Cleo", 10))
	s := look(t, h, narrow)
	s.until("the list", func() bool { return s.says("Anna") })
	s.inner.open("anna")
	s.until("the card", func() bool { return s.says("Ignore") })
	c := s.win.Canvas()
	var names []string
	for range 3 { // back from what is written: the messages, the card
		c.FocusPrevious()
		names = append(names, c.Focused().(fyne.Accessible).AccessibilityLabel())
	}
	if want := []string{"Messages", "Ignore", "Accept"}; !slices.Equal(names, want) {
		t.Fatalf("Shift+Tab leads through %q, want %q", names, want)
	}
	c.Focused().TypedKey(enter)
	s.until("it is accepted", func() bool { return s.says("You have agreed") })
}

// home is a host whose account is that of a person in the real world.
type home struct {
	Host
	p *apptest.Person
}

func (h home) Open(context.Context, string) (api.Backend, error) { return h.p.App, nil }

// Anna introduces Ben and Carol from her window; each accepts in theirs, and then they
// write to each other. Accounts, relay and network are the real ones.
func TestTwoWhoWereIntroducedReallyWrite(t *testing.T) {
	w := apptest.New(t)
	w.Relay("relay")
	anna, ben, carol := w.Person("Anna", "relay"), w.Person("Ben", "relay"), w.Person("Carol", "relay")
	anna.Meets(ben)
	anna.Meets(carol)

	at := look(t, home{p: anna}, wide)
	at.until("Ben and Carol", func() bool { return at.says("Ben") && at.says("Carol") })
	row := func(s *sight, name string) string {
		i := slices.IndexFunc(s.inner.convs, func(c api.Conversation) bool { return c.Name == name })
		if i < 0 {
			return ""
		}
		return s.inner.convs[i].ID
	}
	at.inner.open(row(at, "Ben"))
	shell.Find(at.l, at.inner.table, "introduce")[0].Run()
	at.write("Car")
	at.until("the question", func() bool { return at.says("Introduce Ben and Carol?") })
	at.press("Introduce")
	at.until("it is asked", func() bool { return at.says("You asked whether Carol may write to them.") })

	bens := look(t, home{p: ben}, wide)
	bens.until("Anna", func() bool { return bens.says("Anna would like to introduce Carol") })
	bens.inner.open(row(bens, "Anna"))
	bens.until("the card", func() bool { return bens.says("May Carol write to you?") })
	bens.press("Accept")
	bens.until("he has agreed", func() bool { return bens.says("You have agreed: Carol is told how to write to you.") })

	carols := look(t, home{p: carol}, wide)
	carols.until("Anna", func() bool { return carols.says("Anna introduces Ben") })
	carols.inner.open(row(carols, "Anna"))
	carols.until("the card", func() bool { return carols.says("Ben agreed that you write to each other.") })
	carols.press("Accept")
	carols.until("Ben's conversation", func() bool { return row(carols, "Ben") != "" && carols.inner.openID == row(carols, "Ben") })
	carols.write("Anna says you bake")
	bens.until("Carol and her words", func() bool { return row(bens, "Carol") != "" && bens.says("Anna says you bake") })
	bens.until("the card knows her", func() bool { return bens.says("Carol is among your contacts.") })
	bens.inner.open(row(bens, "Carol"))
	bens.write("On Tuesdays!")
	carols.until("his answer", func() bool { return carols.says("On Tuesdays!") })
	bens.until("who introduced her", func() bool { return bens.says("Introduced by Anna · Connected directly") })
	bens.inner.showPerson()
	bens.until("that in the details", func() bool { return slices.Contains(bens.words(), "Introduced by Anna") })
}
