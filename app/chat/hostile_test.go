package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// must is a change by the person's owner that has to succeed.
func (p *person) must(change func(*turn) error) {
	p.w.Helper()
	p.w.check(p.update(context.Background(), change))
}

// Sends has the person's device send a payload that their program would not make.
// It gives the ratchet message.
func (p *person) Sends(to *person, payload []byte) (wire []byte) {
	p.w.Helper()
	device := to.device.Public()
	p.must(func(t *turn) error {
		head, err := t.keys.Preferred(device)
		if err != nil {
			return err
		}
		sealed, err := t.keys.Seal(head.ID, payload, t.now)
		if err != nil {
			return err
		}
		wire = sealed.Wire
		return p.enqueue(t, to, head.ID, wire)
	})
	return wire
}

// SendsWire has the person's device send a ratchet message, whoever sealed it.
func (p *person) SendsWire(to *person, wire []byte) {
	p.w.Helper()
	p.must(func(t *turn) error {
		head, err := t.keys.Preferred(to.device.Public())
		if err != nil {
			return err
		}
		return p.enqueue(t, to, head.ID, wire)
	})
}

func (p *person) enqueue(t *turn, to *person, sid store.SessionID, wire []byte) error {
	hash := messageHash(wire)
	o := store.Outgoing{Device: to.device.Public(), Class: store.ClassProfile, Item: []byte{}, Session: &sid, Wire: wire, Hash: &hash, Size: len(wire), Created: t.now, Next: t.now}
	var err error
	if o.ID, err = t.Enqueue(o); err != nil {
		return err
	}
	t.then(func() { p.courier(o.Device).offer(o) })
	return nil
}

// SendsItems is Sends for items.
func (p *person) SendsItems(to *person, items ...content.Item) {
	p.w.Helper()
	raw, err := (&content.Payload{Author: p.chain.Head(), Reader: to.chain.Head(), Items: items}).Marshal()
	p.w.check(err)
	p.Sends(to, raw)
}

// item is one without a place in a conversation.
func item(kind content.Kind, body []byte) content.Item {
	return content.Item{Flags: content.WantsReceipt, ID: content.NewID(), Sent: time.Now().Truncate(time.Millisecond), Kind: kind, Body: body}
}

// said is an item with a place in the conversation of two people.
func said(from, to *person, seq uint64, prev [32]byte, text string) content.Item {
	i := item(content.KindText, []byte(text))
	i.Flags |= content.Numbered
	i.Place = content.Place{Conversation: content.Between(from.chain.Account(), to.chain.Account()), Seq: seq, Prev: prev}
	return i
}

func marshal(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// asides are what the person set aside.
func (p *person) asides() (list []store.Aside) {
	p.w.Helper()
	p.View(func(tx *store.Tx) (err error) {
		list, err = tx.Asides(store.SetAsideMax)
		return err
	})
	return list
}

// Mallory, a contact of Bob's, sends him the oddest things by the relay. Whatever
// it is, Carol's message, which lies behind it, arrives, and so does what Mallory
// says next; nothing is left at the relay and nothing comes back for ever.
func TestNothingPoisonsTheBox(t *testing.T) {
	type letter struct {
		name string
		send func(mallory, bob *person)
	}
	payload := func(name string, make func(mallory, bob *person) []byte) letter {
		return letter{name, func(m, b *person) { m.Sends(b, make(m, b)) }}
	}
	items := func(name string, make func(mallory, bob *person) []content.Item) letter {
		return letter{name, func(m, b *person) { m.SendsItems(b, make(m, b)...) }}
	}
	descriptor := func(m, b *person, edit func(*mailbox.Descriptor)) []byte {
		own := m.ownQueues(b)[0]
		var r store.Relay
		m.View(func(tx *store.Tx) (err error) {
			r, err = tx.Relay(own.Relay)
			return err
		})
		d := ownDescriptor(own, r)
		edit(d)
		return marshal(d.Marshal())
	}
	letters := []letter{
		payload("no payload at all", func(*person, *person) []byte { return nil }),
		payload("a payload of a later version", func(*person, *person) []byte { return []byte{2, 1, 2, 3} }),
		payload("a payload that is cut short", func(m, b *person) []byte {
			return marshal((&content.Payload{Items: []content.Item{said(m, b, 1, [32]byte{}, "cut")}}).Marshal())[:80]
		}),
		{"a message of no form inside a good seal", func(m, b *person) {
			m.must(func(t *turn) error {
				s, row, err := m.ratchetWith(t, b)
				if err != nil {
					return err
				}
				wire, err := s.Seal([]byte{77, 1, 2, 3}, ratchet.Small)
				if err != nil {
					return err
				}
				state, err := s.MarshalBinary()
				if err != nil {
					return err
				}
				return errors.Join(t.SaveSession(row.ID, row.Version, row.Auth, state, t.now), m.enqueue(t, b, row.ID, wire))
			})
			m.Leaves() // her keeper holds the state of before
			m.Returns()
		}},
		payload("no items", func(*person, *person) []byte { return marshal((&content.Payload{}).Marshal()) }),
		items("malformed bodies of every kind", func(m, b *person) (list []content.Item) {
			for k := content.KindText; k <= content.KindIntroduction+1; k++ {
				list = append(list, item(k, []byte{0xff, 0xfe, 3}), item(k, nil))
			}
			return list
		}),
		items("255 items", func(m, b *person) (list []content.Item) {
			for range content.MaxItems {
				list = append(list, item(99, nil))
			}
			return list
		}),
		items("a number at the end of numbers, from the end of time", func(m, b *person) []content.Item {
			i := said(m, b, math.MaxUint64, [32]byte{1}, "late")
			i.Sent = time.UnixMilli(math.MaxInt64)
			j := said(m, b, math.MaxInt64, [32]byte{1}, "early")
			j.Sent = time.UnixMilli(math.MinInt64)
			return []content.Item{i, j}
		}),
		items("that it gave up what nobody waits for", func(m, b *person) []content.Item {
			place := content.Between(m.chain.Account(), b.chain.Account())
			return []content.Item{
				item(content.KindGaveUp, marshal(content.GaveUp{Conversation: place, Seq: math.MaxUint64}.Marshal())),
				item(content.KindGaveUp, marshal(content.GaveUp{Seq: 1}.Marshal())),
			}
		}),
		items("the same thing twice in one message", func(m, b *person) []content.Item {
			i := said(m, b, 9, [32]byte{1}, "twice")
			return []content.Item{i, i}
		}),
		items("a message of a conversation that it is not in", func(m, b *person) []content.Item {
			i := said(m, b, 1, [32]byte{}, "I was never there")
			i.Place.Conversation = content.ConversationID{1, 2, 3}
			return []content.Item{i}
		}),
		items("two descriptors of one relay", func(m, b *person) []content.Item {
			one := descriptor(m, b, func(*mailbox.Descriptor) {})
			return []content.Item{item(content.KindDescriptors, marshal(content.Descriptors{Version: 1 << 50, List: [][]byte{one, one}}.Marshal()))}
		}),
		items("descriptors of a version past all clocks", func(m, b *person) []content.Item {
			one := descriptor(m, b, func(*mailbox.Descriptor) {})
			return []content.Item{item(content.KindDescriptors, marshal(content.Descriptors{Version: math.MaxUint64, List: [][]byte{one}}.Marshal()))}
		}),
		items("a descriptor of days far off", func(m, b *person) []content.Item {
			one := descriptor(m, b, func(d *mailbox.Descriptor) { d.Epoch0, d.Expiry = 1<<31, time.Unix(0, 0) })
			return []content.Item{item(content.KindDescriptors, marshal(content.Descriptors{Version: 1 << 50, List: [][]byte{one}}.Marshal()))}
		}),
		items("a presence of no peer at no address", func(m, b *person) []content.Item {
			return []content.Item{item(content.KindPresence, marshal(content.Presence{Peer: []byte{1}, Addrs: [][]byte{{1, 2}, {3}}}.Marshal()))}
		}),
		items("a receipt and a reading of what never was", func(m, b *person) []content.Item {
			return []content.Item{
				item(content.KindReceipt, marshal(content.Receipt{Hashes: [][32]byte{{1}}}.Marshal())),
				item(content.KindRead, marshal(content.Read{IDs: []content.ID{{1}}}.Marshal())),
			}
		}),
		items("text that is no text", func(m, b *person) []content.Item {
			i := said(m, b, 1, [32]byte{}, "")
			i.Body = []byte("\xff\xfe\x00\x1b[2J")
			return []content.Item{i}
		}),
		{"what no session opens", func(m, b *person) { m.SendsWire(b, bytes.Repeat([]byte{1}, int(ratchet.Small))) }},
		{"what is not even its size", func(m, b *person) {
			// The courier would not: straight into the queue.
			m.puts(b, bytes.Repeat([]byte{7}, mailbox.CellSmall))
		}},
	}
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		bob, carol := w.Person("bob", oak), w.Person("carol", oak)
		carol.Meets(bob)
		mallories := make([]*person, len(letters))
		for i := range letters {
			mallories[i] = w.Person(fmt.Sprint("mallory ", i), oak)
			mallories[i].Meets(bob)
		}
		bob.Leaves()
		for i, l := range letters {
			l.send(mallories[i], bob)
			w.Advance(10 * time.Second)
			// The numbers of what she says may be spoilt by now; she has a day.
			mallories[i].Says(bob, "hello, it is Mallory")
			w.Advance(10 * time.Second)
			mallories[i].Leaves()
		}
		carol.Sees(carol.Says(bob, "hello, it is Carol"), api.Kept)
		carol.Leaves()
		bob.Returns()
		bob.Reads(carol, "hello, it is Carol")
		w.Advance(time.Minute)
		if n := len(oak.keptFor(0)); n != 0 {
			w.Errorf("%d cells are left for Bob at the relay", n)
		}
		if list, err := bob.Relays(context.Background()); err != nil || list[0].State != relayConnected {
			w.Errorf("Bob's relay is %+v, %v", list, err)
		}
		bob.Leaves()
		w.Pass(heldFor)
		bob.Returns()
		for i, l := range letters {
			heard := bob.heard(mallories[i])
			if !slices.Contains(texts(heard), "hello, it is Mallory") {
				w.Errorf("after %s: what Mallory said next did not arrive: %q", l.name, texts(heard))
			}
			for _, m := range heard {
				raw, err := api.Encode(m)
				if err == nil {
					err = json.Unmarshal(raw, new(api.Message))
				}
				if err != nil {
					w.Errorf("after %s: a message has no JSON: %v", l.name, err)
				}
			}
		}
	})
}

// ratchetWith is a copy of the person's session with another.
func (p *person) ratchetWith(t *turn, other *person) (*ratchet.Session, store.Session, error) {
	head, err := t.keys.Preferred(other.device.Public())
	if err != nil {
		return nil, store.Session{}, err
	}
	row, err := t.Session(head.ID)
	if err != nil {
		return nil, row, err
	}
	s, err := ratchet.ParseSession(row.State)
	return s, row, err
}

// puts leaves a cell in the queue where the person would leave one for another.
func (p *person) puts(to *person, cell []byte) {
	p.w.Helper()
	q := p.theirQueues(to)[0]
	h, release, err := p.pool.Host(p.w.Context(), "puts")
	p.w.check(err)
	defer release()
	var relay *relay
	for _, r := range p.w.relays {
		if store.PeerID(r.id()) == q.Relay {
			relay = r
		}
	}
	client, err := mailbox.Dial(p.w.Context(), h, relay.info())
	p.w.check(err)
	defer client.Close()
	d := mailbox.Descriptor{Relay: relay.id(), Seed: q.Seed, Epoch0: q.Epoch0, N: uint16(q.N), Expiry: q.Expires}
	_, err = client.Put(p.w.Context(), d.Queue(client.Epoch()).Write, cell, 0)
	p.w.check(err)
}

// flightIn is the one first flight that a relay keeps, and its queue.
func (r *relay) flightIn() (mailbox.Entry, []byte) {
	r.w.Helper()
	for _, b := range r.boxes() {
		entries, _, err := r.store.List(b, 0, 100, time.Now())
		r.w.check(err)
		for _, e := range entries {
			if e.Size == mailbox.CellMedium {
				cell, err := r.store.Cell(b, e.Cell, time.Now())
				r.w.check(err)
				return e, cell
			}
		}
	}
	r.w.Fatal("there is no flight at the relay")
	return mailbox.Entry{}, nil
}

// leaves puts a cell into a queue of the relay, as who knows the invitation can.
func (r *relay) leaves(q mailbox.QID, cell []byte) {
	r.w.Helper()
	d := &mailbox.Deposit{Queue: q, ID: mailbox.IDOf(cell), Cell: cell, Expiry: time.Now().Add(day)}
	r.w.check(r.store.Commit(time.Now(), []mailbox.Change{d}))
	r.w.check(d.Err)
}

// sessions is how many sessions the person has with another's device.
func (p *person) sessions(with *person) (n int) {
	p.View(func(tx *store.Tx) error {
		heads, err := tx.SessionHeads(with.device.Public())
		n = len(heads)
		return err
	})
	return n
}

// Attack 4: a first flight comes again, to the same relay, to another one, after a
// restart and from a connection. Its message is kept once.
func TestAFlightReplayed(t *testing.T) {
	inWorld(t, func(w *world) {
		oak, elm := w.Relay("oak"), w.Relay("elm")
		alice, bob := w.Person("alice", oak, elm), w.Person("bob", oak)
		link := alice.Invites()
		alice.Leaves()
		elm.Stops()
		bob.Accepts(alice, link, "hello Alice, it is Bob")
		w.Advance(10 * time.Second)
		entry, flight := oak.flightIn()
		bob.Leaves()
		elm.Starts()
		alice.Returns()
		alice.Reads(bob, "hello Alice, it is Bob")
		for i, r := range []*relay{oak, elm, oak} {
			if i == 2 {
				alice.Leaves()
			}
			q := entry.Queue
			if r == elm {
				inv, err := identity.ParseLink(link)
				w.check(err)
				key, err := mailbox.NewWriteKey(elm.id(), mailbox.CatchAll, inv.WriteKey([]byte(elm.id())))
				w.check(err)
				q = key.QID()
			}
			r.leaves(q, flight)
			if i == 2 {
				alice.Starts()
			} else {
				alice.Leaves()
				alice.Starts()
			}
			w.Advance(time.Minute)
			if n := len(r.kept()); r == elm && n != 0 {
				w.Errorf("the flight was left at the relay: %d cells", n)
			}
		}
		alice.ReadsNow(bob, "hello Alice, it is Bob")
		if n := alice.sessions(bob); n != 1 {
			w.Errorf("Alice has %d sessions with Bob", n)
		}
		if _, hash, code := (lines{alice.Chat}).Flight(w.Context(), flight); code != 0 || hash == [32]byte{} {
			w.Errorf("a flight that was taken by mailbox is answered directly with %v", code)
		}
		bob.Returns()
		w.Advance(time.Minute)
		alice.Sees(alice.Says(bob, "hello Bob"), api.Delivered)
		alice.ReadsNow(bob, "hello Alice, it is Bob")
	})
}

// Bob repeats the offer of his first flight in the name of a device that nobody knows.
// That is thrown away, and what others leave for Alice at that relay goes on coming.
func TestAFlightInAnothersName(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob, carol := w.Person("alice", oak), w.Person("bob", oak), w.Person("carol", oak)
		alice.Meets(carol)
		link := alice.Invites()
		alice.Leaves()
		bob.Accepts(alice, link, "hello Alice, it is Bob")
		w.Advance(10 * time.Second)
		entry, _ := oak.flightIn()
		var flight []byte
		bob.View(func(tx *store.Tx) error {
			heads, err := tx.SessionHeads(alice.device.Public())
			if err != nil {
				return err
			}
			s, err := tx.Session(heads[0].ID)
			if err != nil {
				return err
			}
			in, err := parseIntro(s.Intro)
			if err != nil {
				return err
			}
			offer, err := pqxdh.ParseOffer(s.Offer)
			if err != nil {
				return err
			}
			root := identity.RootFromEntropy(identity.NewEntropy())
			device, agreement := newDevice(), newAgreement()
			flight, err = pqxdh.SealFlight(in.key, pqxdh.Flight{
				Chain: identity.NewChain(root, device, agreement.Public(), time.Now()).Marshal(), Device: device.Public(), Agreement: agreement.Public(),
				Offer: offer, Message: bob.outbox(alice)[0].Wire,
			})
			return err
		})
		oak.leaves(entry.Queue, flight)
		carol.Sees(carol.Says(alice, "by oak"), api.Kept)
		bob.Leaves()
		carol.Leaves()
		alice.Returns()
		w.Advance(time.Minute)
		alice.ReadsNow(bob, "hello Alice, it is Bob")
		alice.ReadsNow(carol, "by oak")
		if n := len(oak.keptFor(0)); n != 0 {
			w.Errorf("%d cells are left for Alice", n)
		}
		if _, _, code := (lines{alice.Chat}).Flight(w.Context(), flight); code != direct.Unreadable {
			w.Errorf("directly it is answered with %v", code)
		}
	})
}

// Attack 4: two people use one single-use invitation. One becomes a contact; the
// other is refused and learns so.
func TestTwoUseOneInvitation(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob, mallory := w.Person("alice", oak), w.Person("bob", oak), w.Person("mallory", oak)
		link := alice.Invites()
		alice.Leaves()
		bob.Accepts(alice, link, "it is Bob")
		w.Advance(time.Minute)
		mallory.Accepts(alice, link, "it is Bob too")
		w.Advance(time.Minute)
		alice.Returns()
		alice.Reads(bob, "it is Bob")
		w.Advance(time.Minute)
		if alice.knows(mallory) {
			w.Error("both were let in by one invitation")
		}
		if n := alice.sessions(mallory); n != 0 {
			w.Errorf("there are %d sessions with who was refused", n)
		}
		// And directly, now that it is used.
		carol := w.Person("carol", oak)
		if _, err := carol.Accept(w.Context(), link, "alice", ""); !errors.Is(err, problem.InvitationGone) {
			w.Errorf("a used invitation: %v", err)
		}
	})
}

// Attack 4: somebody who knows the link fills the invitation's queue with rubbish.
// The guest says why he waits, and gets in once the inviter has cleared it.
func TestAnInvitationIsFlooded(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		link := alice.Invites()
		alice.Leaves()
		inv, err := identity.ParseLink(link)
		w.check(err)
		key, err := mailbox.NewWriteKey(oak.id(), mailbox.CatchAll, inv.WriteKey([]byte(oak.id())))
		w.check(err)
		for i := range mailbox.InviteCells {
			oak.leaves(key.QID(), bytes.Repeat([]byte{byte(i)}, mailbox.CellMedium))
		}
		bob.Accepts(alice, link, "let me in")
		w.Advance(time.Minute)
		list, err := bob.Messages(w.Context(), bob.contact(alice), Page{}, 10)
		w.check(err)
		if list[0].State != api.Queued || list[0].Reason != Reason(string(problem.BoxFull)) {
			w.Errorf("the message is %s (%s)", list[0].State, list[0].Reason)
		}
		alice.Returns()
		w.Advance(15 * time.Minute)
		alice.ReadsNow(bob, "let me in")
	})
}

// Attack 5: what Alice said comes back to her, as the ratchet message it was and as
// an item inside one of Bob's.
func TestReflection(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		var wire []byte
		id := content.NewID()
		alice.must(func(t *turn) error {
			who, err := sendable(t, alice.finds(bob))
			if err != nil {
				return err
			}
			items, row, err := alice.say(t, who, content.Context{Of: id}, content.KindText, []byte("my own words"))
			if err != nil {
				return err
			}
			if err := alice.queueToAll(t, who, row, items...); err != nil {
				return err
			}
			rows, err := t.Pending(bob.device.Public(), 0, 1)
			wire = rows[0].Wire
			return err
		})
		alice.Sees(id, api.Delivered)
		asides := len(alice.asides())

		bob.SendsWire(alice, wire) // over the line
		w.Advance(10 * time.Second)
		reflected := said(alice, bob, 1, [32]byte{}, "my own words")
		reflected.ID = id
		bob.SendsItems(alice, reflected)
		alice.Leaves()
		w.Advance(time.Second)
		bob.puts(alice, marshal(bob.descriptorOf(alice).Key.Seal(wire))) // by mailbox
		alice.Returns()
		w.Advance(time.Minute)
		alice.ReadsNow(bob)
		if sent := alice.state(id); sent.State != api.Delivered {
			w.Errorf("Alice's message is %s", sent.State)
		}
		if n := len(alice.asides()) - asides; n > 1 {
			w.Errorf("%d messages were set aside", n)
		}
		bob.Says(alice, "Bob's words")
		alice.Leaves()
		bob.Leaves()
		w.Pass(heldFor)
		alice.Starts()
		bob.Starts()
		w.Advance(2 * time.Minute)
		alice.ReadsNow(bob, "Bob's words")
		alice.Sees(alice.Says(bob, "still here"), api.Delivered)

		if _, err := alice.Accept(w.Context(), alice.Invites(), "", ""); !errors.Is(err, problem.OwnInvitation) {
			w.Errorf("an invitation of one's own: %v", err)
		}
	})
}

// descriptorOf is today's queue of another's.
func (p *person) descriptorOf(other *person) mailbox.Queue {
	q := p.theirQueues(other)[0]
	d := mailbox.Descriptor{Relay: peer.ID(q.Relay), Seed: q.Seed, Epoch0: q.Epoch0, N: uint16(q.N), Expiry: q.Expires}
	return d.Queue(mailbox.Epoch(time.Now()))
}

// Attack 7: Mallory skips more messages than are followed. Her message is set
// aside, is not acknowledged, and Bob is told; others are not touched by it.
func TestASkipBomb(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		mallory, bob, carol := w.Person("mallory", oak), w.Person("bob", oak), w.Person("carol", oak)
		mallory.Meets(bob)
		carol.Meets(bob)
		bob.Leaves()
		mallory.must(func(t *turn) error {
			head, err := t.keys.Preferred(bob.device.Public())
			for range 25_010 {
				if err == nil {
					_, err = t.keys.Seal(head.ID, []byte("skipped"), t.now)
				}
			}
			return err
		})
		id := mallory.Says(bob, "boom")
		mallory.Sees(id, api.Kept)
		carol.Sees(carol.Says(bob, "hello, it is Carol"), api.Kept)
		mallory.Leaves()
		carol.Leaves()
		bob.Returns()
		bob.Reads(carol, "hello, it is Carol")
		bob.ReadsNow(mallory)
		aside := bob.asides()
		if len(aside) != 1 || aside[0].Reason != string(problem.SessionLost) || *aside[0].Device != mallory.device.Public() {
			w.Errorf("set aside: %+v", aside)
		}
		told := 0
		for _, e := range bob.saw(api.EventContact) {
			if e.Change == "session lost" && e.Contact == mallory.chain.Account().String() {
				told++
			}
		}
		if told != 1 {
			w.Errorf("Bob was told %d times", told)
		}
		w.Advance(time.Hour)
		if n := len(oak.kept()); n == 0 {
			w.Error("the relay's copy was acknowledged")
		}
		for _, o := range bob.outbox(mallory) {
			if o.Class == store.ClassReceipt {
				w.Error("the message was acknowledged")
			}
		}
	})
}

// So many of Bob's messages wait for others that never come that no more may: what he
// says next is shown without waiting, and no more is hidden than before.
func TestTooManyWaitForTheirPredecessors(t *testing.T) {
	long(t)
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("bob", oak)
		alice.Meets(bob)
		hidden := func() (n int64) {
			alice.View(func(tx *store.Tx) error {
				conv, err := tx.ConversationWith(alice.contact(bob).ID)
				if err != nil {
					return err
				}
				n, err = tx.CountHidden(bob.device.Public(), conv.ID)
				return err
			})
			return n
		}
		w.check(alice.update(w.Context(), func(t *turn) error {
			conv, err := alice.conversation(t.Tx, alice.contact(bob))
			if err != nil {
				return err
			}
			for i := range uint64(hiddenMax - 1) {
				_, err := t.InsertMessage(store.Message{
					Message: store.MessageID(content.NewID()), Conversation: conv.ID, Author: bob.device.Public(), Seq: 1000 + 2*i, Sent: t.now, At: t.now,
					Kind: int(content.KindText), Body: []byte("?"), State: store.Received, ShowBy: t.now.Add(heldFor),
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
		alice.Leaves()
		bob.Sees(bob.Says(alice, "first"), api.Kept)
		oak.loses()
		for _, text := range []string{"second", "third", "fourth"} {
			bob.Sees(bob.Says(alice, text), api.Kept)
		}
		bob.Leaves()
		alice.Returns()
		alice.Reads(bob, "second", "third", "fourth")
		if n := hidden(); n != hiddenMax-1 {
			w.Errorf("%d messages are hidden", n)
		}
		w.Advance(heldFor + 20*tidyEvery)
		if n := hidden(); n != 0 {
			w.Errorf("a day later %d messages are hidden", n)
		}
		bob.Returns()
		bob.Says(alice, "fifth")
		alice.Awaits("the first and the last", func() bool { return len(alice.heard(bob)) == hiddenMax-1+5 })
	})
}
