package chat

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// mob are many accounts with one address to write by.
type mob struct {
	w      *world
	bundle *identity.Bundle
	inv    identity.Invitation
}

// Mob reads an address's notice for many.
func (w *world) Mob(victim *person, link string) mob {
	w.Helper()
	inv, err := identity.ParseLink(link)
	w.check(err)
	noticeID := inv.NoticeID()
	var stored store.Invitation
	victim.View(func(tx *store.Tx) (err error) {
		stored, err = tx.Invitation(store.InvitationID(noticeID[:8]))
		return err
	})
	raw, err := inv.OpenNotice(stored.Notice)
	w.check(err)
	bundle, err := identity.ParseBundle(raw)
	w.check(err)
	w.check(bundle.Verify(inv.Account, time.Now()))
	return mob{w, bundle, inv}
}

// flight is a flawless first flight of one more account.
func (m mob) flight(name, text string) []byte {
	m.w.Helper()
	device, agree := newDevice(), newAgreement()
	chain := identity.NewChain(identity.RootFromEntropy(identity.NewEntropy()), device, agree.Public(), time.Now())
	return m.flightBy(chain, device, agree, name, text)
}

func (m mob) flightBy(chain identity.Chain, device identity.DevicePrivate, agree identity.AgreementPrivate, name, text string) []byte {
	m.w.Helper()
	offer, secrets, err := pqxdh.Initiate(pqxdh.Initiator{Root: chain.Root(), Head: chain.Head(), Device: device.Public(), Agreement: agree}, m.bundle)
	m.w.check(err)
	s, err := ratchet.NewInitiator(ratchet.Secrets{RootEC: secrets.RootEC, RootPQ: secrets.RootPQ, HeaderA: secrets.HeaderA, NextHeaderB: secrets.NextHeaderB}, ratchet.Parties{
		InitiatorRoot: chain.Root(), InitiatorDevice: device.Public(), ResponderRoot: m.bundle.Chain.Root(), ResponderDevice: m.bundle.Device, Suite: m.bundle.Suite}, m.bundle.Signed)
	m.w.check(err)
	items := []content.Item{item(content.KindProfile, []byte(name)), item(content.KindText, []byte(text))}
	items[1].Flags |= content.Numbered
	items[1].Place = content.Place{Conversation: content.Between(chain.Account(), m.inv.Account), Seq: 1}
	payload, err := (&content.Payload{Items: items}).Marshal()
	m.w.check(err)
	wire, err := s.Seal(append([]byte{1, 0, 0, 0, 1}, payload...), ratchet.Small) // app/session/SPEC.md
	m.w.check(err)
	cell, err := pqxdh.SealFlight(m.bundle.Intro, pqxdh.Flight{Chain: chain.Marshal(), Device: device.Public(), Agreement: agree.Public(), Offer: offer, Message: wire})
	m.w.check(err)
	return cell
}

// leaves leaves cells at a relay for work that was done beforehand. It says how many
// the relay took.
func (m mob) leaves(r *relay, work uint8, cells ...[]byte) (taken int) {
	m.w.Helper()
	id := r.id()
	key, err := mailbox.NewWriteKey(id, mailbox.CatchAll, m.inv.WriteKey([]byte(id)))
	m.w.check(err)
	for _, cell := range cells {
		d := &mailbox.Deposit{Queue: key.QID(), ID: mailbox.IDOf(cell), Cell: cell, Expiry: time.Now().Add(20 * day), Work: work}
		m.w.check(r.store.Commit(time.Now(), []mailbox.Change{d}))
		if mailbox.OutcomeOf(d).Err == nil {
			taken++
		}
	}
	return taken
}

// Looks has the person's boxes ask their relays what there is: what leaves puts there comes
// without news.
func (p *person) Looks() {
	p.w.Helper()
	var relays []store.Relay
	p.View(func(tx *store.Tx) (err error) {
		relays, err = tx.Relays()
		return err
	})
	for _, r := range relays {
		p.startBox(r)
	}
	p.w.Advance(10 * time.Second)
}

// 300 accounts write by Anna's address while she is away, each with the work of an easy day. Mia is
// asked for more, does it, and is among the first that Anna is asked about; of the others
// there are no more than there is room for, the rest stays at the relay, unread, and goes when Anna
// revokes the address. Her contacts notice nothing.
func TestAFloodOfStrangers(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, tom := w.Person("anna", oak), w.Person("tom", oak)
		mia := w.NewPerson("mia", oak)
		anna.Meets(tom)
		link, id := anna.Addresses()
		mob := w.Mob(anna, link)
		anna.Leaves()
		var cells [][]byte
		for i := range 300 {
			cells = append(cells, mob.flight(fmt.Sprintf("mob %d", i), "buy this"))
		}
		if n := mob.leaves(oak, 2, cells...); n != mailbox.IntroCells {
			w.Fatalf("the relay took %d", n)
		}
		mia.Returns()
		asked := mia.Asks(anna, link, "it is me, Mia")
		mia.IsLeft(asked, 1)
		kept := tom.Says(anna, "I am a friend")
		tom.Sees(kept, api.Kept)

		anna.Returns()
		anna.Reads(tom, "I am a friend")
		if q := anna.IsAsked(mia); q.Name != "mia" {
			w.Errorf("the request is %+v", q)
		}
		mia.Leaves()
		w.Advance(20 * time.Minute)
		if n := len(anna.requests()); n != requestsMax {
			w.Errorf("there are %d requests", n)
		}
		left := len(oak.kept())
		if want := mailbox.IntroCells - requestsMax; left != want {
			w.Errorf("%d cells are left at the relay, want %d", left, want)
		}
		fetched := oak.server.Stats().Fetches
		w.Advance(time.Hour)
		if len(oak.kept()) != left || oak.server.Stats().Fetches > fetched {
			w.Error("what there is no room for is read all the same")
		}

		// Who does more work than the least displaces it.
		if n := mob.leaves(oak, 9, mob.flight("a rich one", "buy this too")); n != 1 {
			w.Fatal("the relay took nothing")
		}
		anna.Looks()
		anna.Awaits("the rich one", func() bool {
			list := anna.requests()
			return list[len(list)-1].Name == "a rich one" && len(list) == requestsMax
		})

		// A decision makes room for one.
		w.check(anna.IgnoreRequest(w.Context(), mia.chain.Account()))
		w.Advance(time.Minute)
		if n := len(oak.kept()); n != left-1 || len(anna.requests()) != requestsMax {
			w.Errorf("after a decision %d cells are left, of %d, and there are %d requests", n, left, len(anna.requests()))
		}
		w.check(anna.Revoke(w.Context(), id))
		w.Advance(time.Minute)
		if n := len(oak.kept()); n != 0 {
			w.Errorf("%d cells are left in a closed queue", n)
		}
		tom.Sees(tom.Says(anna, "still here"), api.Delivered)
	})
}

// One of Anna's relays lies: it claims the most work for whatever it likes, as much as there is room
// for and more. Mia's request comes by the other, for next to none.
func TestARelayThatLiesOfWork(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		liar, oak := w.EasyRelay("liar"), w.EasyRelay("oak")
		anna := w.Person("anna", liar, oak)
		link, _ := anna.Addresses()
		mob := w.Mob(anna, link)
		anna.Leaves()
		for i := range requestsMax + 20 {
			mob.leaves(liar, mailbox.MaxIntroWork, mob.flight(fmt.Sprintf("mob %d", i), "buy this"))
		}
		anna.Returns()
		w.Advance(10 * time.Minute)
		if n := len(anna.requests()); n != requestsEach {
			w.Errorf("there are %d requests", n)
		}
		if n := mob.leaves(oak, 1, mob.flight("mia", "it is me, Mia")); n != 1 {
			w.Fatal("the relay took nothing")
		}
		anna.Looks()
		anna.Awaits("mia to ask", func() bool {
			list := anna.requests()
			return list[len(list)-1].Name == "mia"
		})
	})
}

// However many come and go, no more than so many are taken in a day, also over restarts. The
// rest comes the next day.
func TestRequestsOfADay(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna := w.Person("anna", oak)
		link, _ := anna.Addresses()
		mob := w.Mob(anna, link)
		anna.must(func(t *turn) error {
			return t.PutSetting(daySetting(store.PeerID(oak.id())), tally{begin: t.now, count: requestsDay - 5}.marshal())
		})
		for round := range 3 {
			for i := range 3 {
				mob.leaves(oak, 2, mob.flight(fmt.Sprintf("mob %d %d", round, i), "buy this"))
			}
			anna.Looks()
			for _, q := range anna.requests() {
				account, err := identity.ParseAccountID(q.ID)
				w.check(err)
				w.check(anna.IgnoreRequest(w.Context(), account))
			}
			anna.Leaves()
			anna.Returns()
		}
		if n := len(oak.kept()); n != 4 {
			w.Errorf("%d cells are left at the relay", n)
		}
		anna.Leaves()
		w.Pass(24 * time.Hour)
		anna.Returns()
		if n := len(oak.kept()); n != 0 || len(anna.requests()) != 4 {
			w.Errorf("the next day there are %d requests, and %d cells are left", len(anna.requests()), n)
		}
	})
}

// Mallory leaves at the address what is wrong in one way each: in Mia's name, whose request waits,
// by other devices and by her own; with keys that are not in the manifest; what is no flight. No
// request comes of it, and nothing is left. What she sends twice counts once.
func TestStrangersWhoCheat(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.EasyRelay("oak")
		anna, mia := w.Person("anna", oak), w.Person("mia", oak)
		link, _ := anna.Addresses()
		mob := w.Mob(anna, link)
		mia.Asks(anna, link, "hello")
		anna.IsAsked(mia)

		device, agree := newDevice(), newAgreement()
		own := identity.NewChain(identity.RootFromEntropy(identity.NewEntropy()), device, agree.Public(), time.Now())
		for name, cell := range map[string][]byte{
			"in Mia's name":                mob.flightBy(mia.chain, device, agree, "mia", "send money"),
			"in Mia's name, by her device": mob.flightBy(mia.chain, mia.device, agree, "mia", "send money"),
			"with another's agreement key": mob.flightBy(own, device, newAgreement(), "m", "hello"),
			"with another's device":        mob.flightBy(own, newDevice(), agree, "m", "hello"),
			"nothing that opens":           make([]byte, mailbox.CellMedium),
			"in Anna's own name":           mob.flightBy(anna.chain, device, agree, "anna", "hello"),
		} {
			if mob.leaves(oak, 3, cell) != 1 {
				w.Fatal("the relay took nothing")
			}
			anna.Looks()
			if len(anna.requests()) != 1 || len(oak.kept()) != 0 {
				w.Errorf("%s: there are %d requests, and %d cells are left", name, len(anna.requests()), len(oak.kept()))
			}
		}

		// A name that cannot be shown is none, and the request stands.
		mob.leaves(oak, 3, mob.flightBy(own, device, agree, "Mi\u202ea", "hello"))
		anna.Looks()
		anna.Awaits("a request without a name", func() bool { return len(anna.requests()) == 2 })
		if q := anna.requests()[1]; q.Name != "" || q.Text != "hello" {
			w.Errorf("the request is %+v", q)
		}
		// The same again, and again after a restart and by the direct way: nothing new.
		replayed := mob.flightBy(own, device, agree, "", "hello again")
		for range 3 {
			mob.leaves(oak, 3, replayed)
			w.Advance(10 * time.Second)
			anna.Leaves()
			anna.Returns()
		}
		anna.View(func(tx *store.Tx) error {
			q, err := tx.RequestBy(own.Account())
			if q.Flights != 2 {
				w.Errorf("%d flights are kept", q.Flights)
			}
			return err
		})
		_, _, code := (lines{anna.Chat}).Flight(context.Background(), replayed)
		if code.String() != "asked" {
			w.Errorf("a flight that is known is answered %q", code)
		}
		// When Anna has accepted, it is a copy of what she has read.
		_, err := anna.AcceptRequest(w.Context(), own.Account(), "Mallory")
		w.check(err)
		mob.leaves(oak, 3, replayed)
		anna.Looks()
		var texts []string
		list, err := anna.Messages(context.Background(), anna.by(own.Account()), Page{}, 100)
		w.check(err)
		for _, m := range list {
			texts = append(texts, m.Text)
		}
		if strings.Join(texts, "|") != "hello|hello again" && strings.Join(texts, "|") != "hello" {
			w.Errorf("Anna reads %q", texts)
		}
	})
}

// by is what the person knows of an account.
func (p *person) by(account identity.AccountID) (who store.Contact) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		who, err = tx.ContactByAccount(account)
		return err
	})
	return who
}
