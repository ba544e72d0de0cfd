package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Addresses makes a reusable address and gives its link.
func (p *person) Addresses() (link string, id store.InvitationID) {
	p.w.Helper()
	id, err := p.Invite(p.w.Context(), identity.Reusable, 0)
	p.w.check(err)
	return p.link(id), id
}

// Asks has somebody write by an address, and gives the text's id.
func (p *person) Asks(other *person, link, text string) content.ID {
	p.w.Helper()
	p.Accepts(other, link, text)
	return p.said(other)
}

// said is what the person and another said last.
func (p *person) said(other *person) content.ID {
	p.w.Helper()
	list, err := p.Messages(context.Background(), p.contact(other), Page{}, 10)
	p.w.check(err)
	if len(list) == 0 {
		p.w.Fatal("nothing was said")
	}
	id, err := content.ParseID(list[len(list)-1].ID)
	p.w.check(err)
	return id
}

// requests are those who wait for the person's decision.
func (p *person) requests() []api.Request {
	p.w.Helper()
	list, err := p.Requests(context.Background())
	p.w.check(err)
	return list
}

// IsAsked waits until another's request is there, and gives it.
func (p *person) IsAsked(by *person) (q api.Request) {
	p.w.Helper()
	p.Awaits(by.name+" to ask", func() bool {
		for _, r := range p.requests() {
			if r.ID == by.chain.Account().String() {
				q = r
				return true
			}
		}
		return false
	})
	return q
}

// steps are the trail of a message as the person is told it.
func (p *person) steps(id content.ID) []api.Step {
	p.w.Helper()
	list, err := p.Trail(context.Background(), id.String())
	p.w.check(err)
	return list
}

func (p *person) Admits(other *person) {
	p.w.Helper()
	_, err := p.AcceptRequest(context.Background(), other.chain.Account(), "")
	p.w.check(err)
}

// IsLeft waits until a message of the person's is left at so many relays of strangers.
func (p *person) IsLeft(id content.ID, relays int) api.Sent {
	p.w.Helper()
	p.Awaits("its message to be left", func() bool { s := p.state(id); return s.Relays != nil && s.Relays.Left >= relays })
	s := p.state(id)
	if s.State != api.Queued || s.Relays.Kept != 0 || s.Reason != Reason(string(problem.MayBeDisplaced)) {
		p.w.Errorf("what strangers leave is %s, kept at %d: %q", s.State, s.Relays.Kept, s.Reason)
	}
	return s
}

// Anna has put an address on her page and is away. Mia writes by it, twice. When Anna is back she
// is asked, and Mia learns nothing; when she accepts, all is there, once and in order,
// and they talk. A restart at any point changes nothing.
func TestAStrangerAsks(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.EasyRelay("oak"), w.EasyRelay("elm")
		anna, mia := w.Person("anna", oak, elm), w.Person("mia", elm)
		link, id := anna.Addresses()
		anna.Leaves()
		first := mia.Asks(anna, link, "I read your page")
		mia.IsLeft(first, 2)
		second := mia.Says(anna, "and like it")
		mia.IsLeft(second, 2)
		if steps := mia.steps(first); steps[len(steps)-1].What != api.StepState || steps[1].What != api.StepLeft || steps[1].Proof != api.ProofGood {
			w.Errorf("the trail is %+v", steps)
		}
		mia.Leaves()
		mia.Returns()

		anna.Returns()
		q := anna.IsAsked(mia)
		if q.Name != "mia" || q.Text != "I read your page" || q.Via != api.ViaAddress || q.Invitation != id.String() || q.LooksLike != "" || q.Time.IsZero() {
			w.Errorf("the request is %+v", q)
		}
		w.Advance(time.Minute)
		anna.Leaves()
		anna.Returns()
		w.Advance(time.Minute)
		if n := len(anna.requests()); n != 1 {
			w.Errorf("%d requests", n)
		}
		if anna.knows(mia) || anna.waiting() != 0 || len(anna.saw(api.EventMessage)) != 0 {
			w.Error("Anna's device treats a stranger as a contact")
		}
		for _, m := range []content.ID{first, second} {
			if s := mia.state(m); s.State != api.Queued {
				w.Errorf("Mia learns that her message is %s", s.State)
			}
		}
		if n := len(elm.kept()); n != 0 {
			w.Errorf("%d cells are left at the relay", n)
		}

		anna.Admits(mia)
		anna.ReadsNow(mia, "I read your page", "and like it")
		mia.Sees(first, api.Delivered)
		mia.Sees(second, api.Delivered)
		mia.Sees(mia.Says(anna, "thank you"), api.Delivered)
		anna.Sees(anna.Says(mia, "you are welcome"), api.Delivered)
		anna.Reads(mia, "I read your page", "and like it", "thank you")
		mia.Reads(anna, "you are welcome")
		if len(anna.requests()) != 0 || anna.contact(mia).Petname != "mia" {
			w.Errorf("after that there are %d requests, and Mia is called %q", len(anna.requests()), anna.contact(mia).Petname)
		}
	})
}

// What Mia sends directly is answered no more than what she leaves at a relay, and arrives
// as well.
func TestAStrangerAsksDirectly(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, mia := w.Person("anna"), w.Person("mia")
		link, _ := anna.Addresses()
		first := mia.Asks(anna, link, "is it you?")
		anna.IsAsked(mia)
		w.Advance(10 * time.Minute)
		if s := mia.state(first); s.State != api.Queued || s.Reason != Reason(string(problem.Asked)) {
			w.Errorf("Mia learns that her message is %s, %s", s.State, s.Reason)
		}
		if n := w.wires.dialled(anna.ip.String() + ":4001"); n > 5 {
			w.Errorf("Anna was called %d times", n)
		}
		if steps := mia.steps(first); steps[1].What != api.StepAsked {
			w.Errorf("the trail is %+v", steps)
		}
		second := mia.Says(anna, "are you there?")
		w.Advance(time.Minute)
		anna.Admits(mia)
		anna.ReadsNow(mia, "is it you?", "are you there?")
		mia.Sees(first, api.Delivered)
		mia.Sees(second, api.Delivered)
	})
}

// Ignored, Mia is not asked about again for a month, and learns nothing; blocked, never.
func TestAStrangerIsIgnoredOrBlocked(t *testing.T) {
	long(t)
	for _, block := range []bool{false, true} {
		inWorld(t, func(w *world) {
			oak := w.EasyRelay("oak")
			anna, mia := w.Person("anna", oak), w.Person("mia", oak)
			link, _ := anna.Addresses()
			first := mia.Asks(anna, link, "buy this")
			q := anna.IsAsked(mia)
			var err error
			if block {
				_, err = anna.BlockRequest(w.Context(), mia.chain.Account())
			} else {
				err = anna.IgnoreRequest(w.Context(), mia.chain.Account())
			}
			w.check(err)
			if _, err := anna.AcceptRequest(w.Context(), mia.chain.Account(), ""); !errors.Is(err, problem.NoSuchRequest) {
				w.Errorf("what was decided is decided again: %v", err)
			}
			mia.Says(anna, "it is cheap")
			w.Advance(3 * time.Hour) // it is left again after one, and after two more
			anna.Leaves()
			anna.Returns()
			w.Advance(time.Minute)
			if s := mia.state(first); s.State != api.Queued || strings.Contains(s.Reason, "block") {
				w.Errorf("Mia learns that her message is %s, %s", s.State, s.Reason)
			}
			if len(anna.requests()) != 0 || len(oak.kept()) != 0 {
				w.Errorf("%d requests and %d cells after the decision about %s", len(anna.requests()), len(oak.kept()), q.Name)
			}
			anna.View(func(tx *store.Tx) error {
				q, err := tx.RequestBy(mia.chain.Account())
				if block != errors.Is(err, store.ErrNotFound) || q.Text != "" || q.Flights != 0 {
					w.Errorf("what is remembered of a stranger is %+v, %v", q, err)
				}
				return nil
			})
			mia.Leaves()
			anna.Leaves()
			w.Pass(ignoreFor + 2*time.Hour)
			anna.Returns()
			mia.Returns()
			w.Advance(time.Minute)
			link, _ = anna.Addresses()
			mia.Accepts(anna, link, "again")
			w.Advance(time.Minute)
			if n := len(anna.requests()); block == (n != 0) {
				w.Errorf("a month later, blocked %v, there are %d requests", block, n)
			}
		})
	}
}

// A revoked address is closed: what lies there is gone, and who comes later is told.
func TestAnAddressIsRevoked(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, mia, tom := w.Person("anna", oak), w.Person("mia", oak), w.Person("tom", oak)
		link, id := anna.Addresses()
		asked := mia.Asks(anna, link, "before")
		anna.IsAsked(mia)
		anna.Leaves()
		late := tom.Asks(anna, link, "in between")
		tom.IsLeft(late, 1)
		anna.Starts()
		w.check(anna.Revoke(w.Context(), id))
		w.Advance(time.Minute)
		if n := len(oak.kept()); n != 0 {
			w.Errorf("%d cells are left in a closed queue", n)
		}
		if _, err := w.Person("eve", oak).Accept(w.Context(), link, "", ""); !errors.Is(err, problem.InvitationGone) {
			w.Errorf("a revoked address is accepted: %v", err)
		}
		tom.Says(anna, "too late")
		tom.Awaits("to be told", func() bool {
			list, err := tom.Messages(w.Context(), tom.contact(anna), Page{}, 10)
			w.check(err)
			return strings.Contains(list[len(list)-1].Reason, string(problem.InvitationGone))
		})
		for _, q := range anna.requests() {
			if q.ID == tom.chain.Account().String() && tom.state(late).State != api.Queued {
				w.Error("what was left before the address was revoked is lost without a word")
			}
		}
		// Who asked in time can be accepted still.
		anna.Admits(mia)
		mia.Sees(asked, api.Delivered)
	})
}

// What Mia left is displaced at one relay by stronger work, and another relay is lost. Her
// device, which nobody tells, leaves it again after an hour, for as much work as is asked by then,
// and it is the same cell: where it lies still there is no second. Anna is asked once.
func TestDisplacedAndLeftAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm, ash := w.EasyRelay("oak"), w.EasyRelay("elm"), w.EasyRelay("ash")
		anna, mia := w.Person("anna", oak, elm, ash), w.Person("mia")
		link, _ := anna.Addresses()
		mob := w.Mob(anna, link)
		anna.Leaves()
		ash.Stops()
		asked := mia.Asks(anna, link, "is anybody there?")
		mia.IsLeft(asked, 2)
		before := elm.kept()
		for range mailbox.IntroCells { // 200 of them would be as good
			mob.leaves(oak, 3, mob.junk())
		}
		if oak.holds(before[0].Cell) || len(oak.kept()) != mailbox.IntroCells {
			w.Fatal("nothing was displaced")
		}
		mia.Leaves()
		mia.Returns()
		w.Advance(askFirst + time.Minute)
		if weakest := slices.MinFunc(oak.kept(), func(a, b mailbox.Entry) int { return int(a.Work) - int(b.Work) }); weakest.Work != 3 || len(oak.kept()) != mailbox.IntroCells {
			w.Errorf("the weakest at the relay took %d bits of work", weakest.Work)
		}
		if strongest := slices.MaxFunc(oak.kept(), func(a, b mailbox.Entry) int { return int(a.Work) - int(b.Work) }); strongest.Work < 4 {
			w.Errorf("Mia's device did %d bits of work", strongest.Work)
		}
		if n := len(elm.kept()); n != 1 {
			w.Errorf("%d cells of one message lie at the other relay", n)
		}
		mia.IsLeft(asked, 2)
		if n := len(mia.steps(asked)); n > 8 {
			w.Errorf("the trail has %d steps", n)
		}
		mia.Leaves()
		elm.loses()
		ash.Starts()
		anna.Returns()
		anna.IsAsked(mia)
		w.Advance(10 * time.Minute)
		if n := len(anna.requests()); n != 1 {
			w.Errorf("there are %d requests", n)
		}
		anna.Admits(mia)
		anna.ReadsNow(mia, "is anybody there?")
	})
}

// junk is a cell that is nobody's flight.
func (m mob) junk() []byte {
	cell := make([]byte, mailbox.CellMedium)
	rand.Read(cell)
	return cell
}

// holds says whether a relay has a cell.
func (r *relay) holds(id mailbox.CellID) bool {
	return slices.ContainsFunc(r.kept(), func(e mailbox.Entry) bool { return e.Cell == id })
}

// Anna's address is on a card for half a year, while her prekeys change each week and she moves to
// another relay: who has the card can still write. Mia, who fetched the notice last month and was
// away since, can too.
func TestAnAddressLasts(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak, elm := w.EasyRelay("oak"), w.EasyRelay("elm")
		anna, mia := w.Person("anna", oak), w.NewPerson("mia")
		link, id := anna.Addresses()
		first := anna.noticed(id)
		anna.Leaves()
		for week := range 20 {
			w.Pass(7 * day)
			anna.Returns()
			if week == 3 {
				w.check(anna.AddRelay(w.Context(), elm.info(), store.RelayByHand, nil))
				anna.relays = append(anna.relays, elm.info())
			}
			w.Advance(time.Minute)
			if week == 18 {
				anna.View(func(tx *store.Tx) error {
					bundles, err := tx.BundlesOf(id)
					if anna.noticed(id).Sub(first) < 120*day || len(bundles) > 10 {
						w.Errorf("the notice is of %v, and %d bundles are kept", anna.noticed(id), len(bundles))
					}
					return err
				})
				anna.Leaves()
				mia.Returns()
				mia.Accepts(anna, link, "")
				w.Advance(10 * time.Second)
				mia.Leaves()
			}
			anna.Leaves()
		}
		tom := w.Person("tom")
		text := tom.Asks(anna, link, "I have your card")
		tom.IsLeft(text, 2) // the notice names the new relay too
		anna.Returns()
		anna.IsAsked(tom)
		anna.IsAsked(mia)
		anna.Admits(tom)
		tom.Sees(text, api.Delivered)
		anna.Admits(mia)
		mia.Returns()
		mia.Sees(mia.Says(anna, "better late than never"), api.Delivered)
	})
}

// noticed is when the notice of an address was sealed.
func (p *person) noticed(id store.InvitationID) (at time.Time) {
	p.w.Helper()
	p.View(func(tx *store.Tx) error {
		inv, err := tx.Invitation(id)
		at = inv.Noticed
		return err
	})
	return at
}

// A request nobody decides on is forgotten after its time; asking goes on for as long as there
// can be an answer, and then Mia has to accept the address again.
func TestNobodyDecides(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, mia := w.Person("anna", oak), w.Person("mia")
		link, _ := anna.Addresses()
		text := mia.Asks(anna, link, "hello?")
		anna.IsAsked(mia)
		mia.Leaves()
		anna.Leaves()
		w.Pass(requestFor + time.Hour)
		anna.Returns()
		w.Advance(2 * time.Minute)
		if n := len(anna.requests()); n != 0 {
			w.Errorf("%d requests are left", n)
		}
		mia.Returns()
		w.Advance(2 * time.Minute)
		if s := mia.state(text); s.State != api.Failed {
			w.Errorf("a message without an answer for a month is %s", s.State)
		}
		mia.Leaves()
		anna.Leaves()
		w.Pass(introductionFor)
		anna.Returns()
		mia.Returns()
		w.Advance(2 * time.Minute)
		anna.View(func(tx *store.Tx) error {
			n, err := tx.CountRequests()
			if n != 0 {
				w.Error("a flight that is too old asks again")
			}
			return err
		})
		again := mia.Asks(anna, link, "once more")
		anna.IsAsked(mia)
		anna.Admits(mia)
		mia.Sees(again, api.Delivered)
		mia.Sees(mia.Says(anna, "at last"), api.Delivered)
	})
}

// Carol, a contact of Anna's, lost her profile's sessions and writes by the address on Anna's page:
// she is no stranger. Blocked, she is looked at no more, and is told nothing.
func TestAContactUsesAnAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, carol := w.Person("anna", oak), w.Person("carol", oak)
		anna.Meets(carol)
		link, _ := anna.Addresses()
		anna.Leaves()
		text := carol.Asks(anna, link, "it is still me")
		w.Advance(time.Minute)
		anna.Returns()
		carol.Sees(text, api.Delivered)
		anna.Reads(carol, "it is still me")
		if len(anna.requests()) != 0 {
			w.Error("a contact is asked about")
		}
		_, err := anna.ChangeContact(w.Context(), anna.contact(carol).ID, "blocked", func(c *store.Contact) error {
			c.Blocked = time.Now()
			return nil
		})
		w.check(err)
		carol.Accepts(anna, link, "let me in")
		w.Advance(time.Minute)
		if len(anna.requests()) != 0 || len(oak.keptFor(0)) != 0 {
			w.Errorf("%d requests, %d cells", len(anna.requests()), len(oak.keptFor(0)))
		}
	})
}

// Somebody who calls himself as Anna's friend does, in other letters, is marked; he gets no name of
// that kind when he is accepted, nor does a guest with a single-use invitation.
func TestTheAnnaYouKnow(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, friend := w.Person("anna", oak), w.Person("Paul", oak)
		anna.Meets(friend)
		stranger, guest := w.Person("Рaul", oak), w.Person("PauI", oak)
		link, _ := anna.Addresses()
		stranger.Asks(anna, link, "lend me money")
		if q := anna.IsAsked(stranger); q.LooksLike != "Paul" || q.Name != "Рaul" {
			w.Errorf("the request is %+v", q)
		}
		if e := anna.saw(api.EventRequest); len(e) != 1 || e[0].LooksLike != "Paul" || e[0].Change != "new" {
			w.Errorf("Anna is told %+v", e)
		}
		anna.Admits(stranger)
		anna.Meets(guest)
		for _, p := range []*person{stranger, guest} {
			if who := anna.contact(p); who.Petname != "" || who.Name != p.name {
				w.Errorf("%s is called %q", p.name, who.Petname)
			}
		}
		anna.View(func(tx *store.Tx) error {
			people, err := tx.Contacts()
			w.check(err)
			marks, err := LooksLike(tx, people)
			if len(marks) != 2 || marks[anna.contact(stranger).ID] != "Paul" {
				w.Errorf("marked are %v", marks)
			}
			return err
		})
	})
}

// Mia thinks better of it while her computer still works for a relay that asks for the most: the
// work ends, and nothing is left.
func TestAskingIsGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.NewRelay("oak")
		oak.Work = mailbox.MaxIntroWork
		oak.Starts()
		anna, mia := w.Person("anna", oak), w.Person("mia")
		link, _ := anna.Addresses()
		mia.Accepts(anna, link, "hello")
		w.check(mia.RemoveContact(w.Context(), mia.contact(anna).ID))
		w.Advance(time.Minute)
		if n := len(oak.kept()); n != 0 || len(mia.working) != 0 {
			w.Errorf("%d cells are left, and %d are worked for", n, len(mia.working))
		}
	})
}
