package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
)

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestAccountAndSettings(t *testing.T) {
	s := openNew(t)
	want := Account{ID: identity.AccountID{1}, Root: identity.RootPublic{2}, Chain: []byte("chain"), Device: identity.DevicePublic{3}, Name: "Alice", Created: day0()}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Account()
		is(t, "no account yet", err, ErrNotFound)
		if err := tx.PutAccount(want); err != nil {
			return err
		}
		want.Name = "Alice L."
		return tx.PutAccount(want)
	})
	same(t, "account", get(t, s, (*Tx).Account), want)

	update(t, s, func(tx *Tx) error {
		if err := errors.Join(tx.PutSetting("a", []byte("1")), tx.PutSetting("a", []byte("2")), tx.PutSetting("b", nil)); err != nil {
			return err
		}
		v, err := tx.Setting("a")
		same(t, "setting", string(v), "2")
		return errors.Join(err, tx.DeleteSetting("b"), tx.DeleteSetting("b"))
	})
	view(t, s, func(tx *Tx) error {
		_, err := tx.Setting("b")
		is(t, "deleted setting", err, ErrNotFound)
		return nil
	})
}

func TestContactsAndTheirDevices(t *testing.T) {
	s := openNew(t)
	bob, _ := withBob(t, s)
	update(t, s, func(tx *Tx) error {
		c, err := tx.Contact(bob)
		if err != nil {
			return err
		}
		root := identity.RootPublic{4}
		c.Root, c.Chain, c.PinN, c.PinHead, c.Frozen = &root, []byte("bob's"), 1<<63+5, [32]byte{6}, true
		c.Kind, c.Petname, c.Verified, c.Blocked = ContactKnown, "Straße", day0(), day0().Add(time.Second)
		if err := tx.UpdateContact(c); err != nil {
			return err
		}
		for how, find := range map[string]func() (Contact, error){
			"row":     func() (Contact, error) { return tx.Contact(bob) },
			"account": func() (Contact, error) { return tx.ContactByAccount(identity.AccountID{7}) },
			"petname": func() (Contact, error) { return tx.ContactByPetname("STRASSE") },
			"device":  func() (Contact, error) { return tx.ContactByDevice(bobsPhone) },
		} {
			got, err := find()
			if err != nil {
				t.Errorf("by %s: %v", how, err)
			}
			same(t, "bob by "+how, got, c)
		}

		// A second person may not take the same petname in other letters,
		// and keeps an empty one to share with everybody.
		carol := Contact{Account: identity.AccountID{8}, Kind: ContactRequest, Petname: "strasse", Created: day0()}
		_, err = tx.InsertContact(carol)
		is(t, "taken petname", err, ErrExists)
		carol.Petname = ""
		if carol.ID, err = tx.InsertContact(carol); err != nil {
			return err
		}
		carol.Petname = "ＳＴＲＡＳＳＥ" // full-width
		is(t, "look-alike petname", tx.UpdateContact(carol), ErrExists)
		is(t, "nobody", tx.UpdateContact(Contact{ID: 404, Kind: ContactKnown}), ErrNotFound)
		list, err := tx.Contacts()
		same(t, "people", len(list), 2)
		if err != nil {
			return err
		}

		is(t, "a stolen device", tx.PutDevice(Device{Device: bobsPhone, Contact: carol.ID}), ErrExists)
		tablet := Device{Device: identity.DevicePublic{0xb1}, Contact: bob, Agreement: identity.AgreementPublic{1}}
		if err := tx.PutDevice(tablet); err != nil {
			return err
		}
		devices, err := tx.Devices(bob)
		same(t, "devices", len(devices), 2)
		if err != nil {
			return err
		}
		if last, err := tx.LastRevoked(bob); err != nil || !last.IsZero() {
			t.Errorf("before a device is revoked: %v, %v", last, err)
		}
		tablet.Revoked = day0()
		if err := tx.PutDevice(tablet); err != nil {
			return err
		}
		if last, err := tx.LastRevoked(bob); err != nil || !last.Equal(day0()) {
			t.Errorf("the last was revoked at %v, %v", last, err)
		}
		got, err := tx.Device(tablet.Device)
		same(t, "revoked device", got, tablet)
		if err != nil {
			return err
		}
		devices, err = tx.AllDevices()
		same(t, "devices in use", devices, []Device{{Device: bobsPhone, Contact: bob, Agreement: identity.AgreementPublic{9}}})
		return err
	})
}

func TestTheNewestAddressWins(t *testing.T) {
	s := openNew(t)
	withBob(t, s)
	a := Address{Device: bobsPhone, Peer: "peer-1", Addrs: [][]byte{{4, 127, 0, 0, 1}, {}}, Told: day0(), Seen: day0()}
	old := Address{Device: bobsPhone, Peer: "peer-0", Told: day0().Add(-time.Minute), Seen: day0().Add(time.Hour)}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Address(bobsPhone)
		is(t, "no address yet", err, ErrNotFound)
		for _, step := range []struct {
			a     Address
			newer bool
		}{{a, true}, {old, false}, {a, false}} {
			newer, err := tx.PutAddress(step.a)
			if err != nil {
				return err
			}
			same(t, "newer", newer, step.newer)
		}
		return nil
	})
	same(t, "address", get(t, s, func(tx *Tx) (Address, error) { return tx.Address(bobsPhone) }), a)
}

func TestSessionRows(t *testing.T) {
	s := openNew(t)
	mine := Session{
		SessionHead: SessionHead{ID: SessionID{1}, Device: bobsPhone, Initiator: true, Generation: 3, Transcript: [64]byte{9}, Created: day0(), Used: day0(), Retired: day0()},
		Offer:       []byte("offer"), Intro: []byte("intro"), Auth: [32]byte{5}, State: []byte("state"), Version: 1,
	}
	theirs := mine
	theirs.ID, theirs.Initiator, theirs.Offer, theirs.Intro, theirs.Created = SessionID{2}, false, nil, nil, day0().Add(time.Minute)
	theirs.Retired = theirs.Created
	later := day0().Add(time.Hour)
	update(t, s, func(tx *Tx) error {
		if err := errors.Join(tx.InsertSession(mine), tx.InsertSession(theirs)); err != nil {
			return err
		}
		is(t, "the same session twice", tx.InsertSession(mine), ErrExists)
		got, err := tx.Session(mine.ID)
		same(t, "session", got, mine)
		if err != nil {
			return err
		}
		if err := errors.Join(tx.PreferSession(mine.ID, day0()), tx.PreferSession(theirs.ID, later)); err != nil {
			return err
		}
		heads, err := tx.SessionHeads(bobsPhone)
		if err != nil {
			return err
		}
		same(t, "heads", len(heads), 2)
		same(t, "preferred", heads[0].ID, theirs.ID)
		same(t, "one is preferred", heads[0].Preferred && !heads[1].Preferred && heads[1].Retired.Equal(later), true)
		is(t, "no such session to prefer", tx.PreferSession(SessionID{4}, later), ErrNotFound)

		n, err := tx.CountFlight(mine.ID)
		same(t, "flights", n, 1)
		if err := errors.Join(err, tx.SetIntro(mine.ID, []byte("elsewhere"))); err != nil {
			return err
		}
		if err := errors.Join(tx.ConfirmSession(mine.ID, day0()), tx.ConfirmSession(mine.ID, later)); err != nil {
			return err
		}
		got, err = tx.Session(mine.ID)
		same(t, "after the first answer", got.Offer == nil && got.Intro == nil && got.Confirmed.Equal(day0()) && got.Flights == 1, true)
		if err != nil {
			return err
		}

		if err := tx.SaveSession(mine.ID, 1, mine.Auth, []byte("state 2"), later); err != nil {
			return err
		}
		is(t, "a save on top of an old version", tx.SaveSession(mine.ID, 1, mine.Auth, []byte("state 2b"), later), ErrStale)
		got, err = tx.Session(mine.ID)
		same(t, "state", string(got.State), "state 2")
		same(t, "version", got.Version, 2)
		if err != nil {
			return err
		}

		retired, err := tx.RetiredSessions(later.Add(1 * time.Millisecond))
		same(t, "retired", retired, []SessionID{mine.ID})
		if err := errors.Join(err, tx.DeleteSession(mine.ID)); err != nil {
			return err
		}
		all, err := tx.AllSessions()
		same(t, "sessions left", len(all), 1)
		return err
	})
}

func TestPrekeysAreUsedOnceAndOutliveTheirBundles(t *testing.T) {
	s := openNew(t)
	secret := [32]byte{0x11}
	var set int64
	bundle := Bundle{ID: BundleID{1}, OneTime: &secret, Raw: []byte("bundle"), Invitation: &InvitationID{2}, Expires: day0().Add(7 * 24 * time.Hour)}
	plain := Bundle{ID: BundleID{3}, Raw: []byte("without"), Expires: day0()}
	update(t, s, func(tx *Tx) (err error) {
		_, err = tx.NewestPrekeySet()
		is(t, "no prekeys yet", err, ErrNotFound)
		if set, err = tx.InsertPrekeySet(PrekeySet{Secrets: []byte("first"), Created: day0()}); err != nil {
			return err
		}
		if _, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("second"), Created: day0().Add(time.Hour)}); err != nil {
			return err
		}
		bundle.PrekeySet, plain.PrekeySet = set, set
		if err := tx.InsertInvitation(Invitation{ID: InvitationID{2}, Kind: 1, Created: day0(), Expires: bundle.Expires, State: InvitationOpen}); err != nil {
			return err
		}
		return errors.Join(tx.InsertBundle(bundle), tx.InsertBundle(plain))
	})
	update(t, s, func(tx *Tx) error {
		newest, err := tx.NewestPrekeySet()
		same(t, "newest", string(newest.Secrets), "second")
		if err != nil {
			return err
		}
		sets, err := tx.PrekeySets()
		same(t, "sets", len(sets), 2)
		if err != nil {
			return err
		}
		got, err := tx.PrekeySet(set)
		same(t, "set", got, PrekeySet{ID: set, Secrets: []byte("first"), Created: day0()})
		if err != nil {
			return err
		}
		for _, want := range []Bundle{bundle, plain} {
			got, err := tx.Bundle(want.ID)
			same(t, "bundle", got, want)
			if err != nil {
				return err
			}
		}
		of, err := tx.BundlesOf(InvitationID{2})
		same(t, "bundles of the invitation", of, []Bundle{bundle})
		if err != nil {
			return err
		}

		// Carol uses the one-time key, and her repeated flight is welcome;
		// Mallory is refused.
		carol, mallory := SessionID{0xca}, SessionID{0x3a}
		if err := errors.Join(tx.ConsumeBundle(bundle.ID, carol), tx.ConsumeBundle(bundle.ID, carol)); err != nil {
			return err
		}
		is(t, "the key used twice", tx.ConsumeBundle(bundle.ID, mallory), ErrExists)
		is(t, "no such bundle", tx.ConsumeBundle(BundleID{99}, mallory), ErrNotFound)
		got2, err := tx.Bundle(bundle.ID)
		same(t, "consumed", got2.OneTime == nil && *got2.ConsumedBy == carol, true)
		return errors.Join(err, tx.RetirePrekeySet(set, bundle.Expires.Add(PrekeysFor)))
	})

	// The set dies with the last bundle that named it, 32 days after that.
	for _, step := range []struct {
		at      time.Duration
		bundles bool
	}{{0, true}, {38 * 24 * time.Hour, true}, {39 * 24 * time.Hour, false}} {
		if err := s.Maintain(t.Context(), day0().Add(step.at)); err != nil {
			t.Fatal(err)
		}
		view(t, s, func(tx *Tx) error {
			_, err := tx.Bundle(bundle.ID)
			_, errSet := tx.PrekeySet(set)
			same(t, "bundle after "+step.at.String(), err == nil, step.bundles)
			same(t, "set after "+step.at.String(), errSet == nil, step.bundles)
			return nil
		})
	}
}

func TestInvitations(t *testing.T) {
	s := openNew(t)
	bob, _ := withBob(t, s)
	want := Invitation{ID: InvitationID{1, 2}, Kind: 1, Secret: [16]byte{3}, Link: "godwit:i#abc", Notice: []byte("sealed"),
		Created: day0(), Noticed: day0(), Expires: day0().Add(168 * time.Hour), State: InvitationOpen}
	update(t, s, func(tx *Tx) error {
		if err := tx.InsertInvitation(want); err != nil {
			return err
		}
		is(t, "twice", tx.InsertInvitation(want), ErrExists)
		r := InvitationRelay{Invitation: want.ID, Relay: "relay-1"}
		if err := tx.PutInvitationRelay(r); err != nil {
			return err
		}
		r.Posted = day0()
		if err := tx.PutInvitationRelay(r); err != nil {
			return err
		}
		relays, err := tx.InvitationRelays(want.ID)
		same(t, "relays", relays, []InvitationRelay{r})
		return errors.Join(err, tx.SetInvitationState(want.ID, InvitationUsed, bob), tx.SetNotice(want.ID, []byte("anew"), day0().Add(time.Hour)))
	})
	want.State, want.Contact, want.Notice, want.Noticed = InvitationUsed, bob, []byte("anew"), day0().Add(time.Hour)
	same(t, "invitation", get(t, s, func(tx *Tx) (Invitation, error) { return tx.Invitation(want.ID) }), want)
	same(t, "invitations", get(t, s, (*Tx).Invitations), []Invitation{want})
	update(t, s, func(tx *Tx) error {
		is(t, "no such invitation", tx.SetInvitationState(InvitationID{9}, InvitationRevoked, 0), ErrNotFound)
		return nil
	})
}

func TestConversationsAndStreams(t *testing.T) {
	s := openNew(t)
	bob, id := withBob(t, s)
	want := Conversation{ID: id, Conversation: ConversationID{5}, Contact: bob, SendSeq: 3, SendPrev: [32]byte{8}}
	update(t, s, func(tx *Tx) error {
		_, err := tx.InsertConversation(Conversation{Conversation: ConversationID{6}, Contact: bob})
		is(t, "a second conversation with Bob", err, ErrExists)
		st, err := tx.Stream(bobsPhone, id)
		same(t, "a stream that has not begun", st, Stream{Device: bobsPhone, Conversation: id})
		return errors.Join(err, tx.AdvanceSend(id, 3, [32]byte{8}),
			tx.PutStream(Stream{bobsPhone, id, 1, [32]byte{1}}), tx.PutStream(Stream{bobsPhone, id, 2, [32]byte{2}}))
	})
	for _, find := range []func(*Tx) (Conversation, error){
		func(tx *Tx) (Conversation, error) { return tx.Conversation(id) },
		func(tx *Tx) (Conversation, error) { return tx.ConversationByID(ConversationID{5}) },
		func(tx *Tx) (Conversation, error) { return tx.ConversationWith(bob) },
	} {
		same(t, "conversation", get(t, s, find), want)
	}
	same(t, "conversations", get(t, s, (*Tx).Conversations), []Conversation{want})
	same(t, "stream", get(t, s, func(tx *Tx) (Stream, error) { return tx.Stream(bobsPhone, id) }), Stream{bobsPhone, id, 2, [32]byte{2}})
}

// said is Bob's n-th message.
func said(conversation int64, n byte) Message {
	return Message{Message: MessageID{n}, Conversation: conversation, Author: bobsPhone, Seq: uint64(n), Prev: [32]byte{n}, Sent: day0(),
		At: day0().Add(time.Duration(n) * time.Second), Kind: 1, Body: []byte{n}, State: Received, Shown: true}
}

func TestMessagesArePagedInTheOrderTheyCame(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	var want []Message
	update(t, s, func(tx *Tx) error {
		for n := range byte(5) {
			m := said(id, n)
			var err error
			if m.ID, err = tx.InsertMessage(m); err != nil {
				return err
			}
			want = append(want, m)
		}
		_, err := tx.InsertMessage(want[2])
		is(t, "the same message twice", err, ErrExists)
		return nil
	})
	page := func(before int64, limit int) []Message {
		return get(t, s, func(tx *Tx) ([]Message, error) { return tx.Messages(id, before, limit) })
	}
	same(t, "newest two", page(0, 2), want[3:])
	same(t, "three before", page(want[3].ID, 3), want[:3])
	same(t, "before the first", len(page(want[0].ID, 3)), 0)
	same(t, "by id", get(t, s, func(tx *Tx) (Message, error) { return tx.MessageByID(MessageID{4}) }), want[4])
	same(t, "by row", get(t, s, func(tx *Tx) (Message, error) { return tx.Message(want[4].ID) }), want[4])
}

// TestAMessageWaitsForItsPredecessor: Bob's second message overtakes the first,
// and is shown after it all the same.
func TestAMessageWaitsForItsPredecessor(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	second := said(id, 2)
	second.Shown, second.ShowBy = false, day0().Add(24*time.Hour)
	update(t, s, func(tx *Tx) error {
		row, err := tx.InsertMessage(second)
		if err != nil {
			return err
		}
		second.ID = row
		hidden, err := tx.NextHidden(bobsPhone, id, second.Seq)
		same(t, "hidden", hidden, second)
		if err != nil {
			return err
		}
		_, err = tx.NextHidden(bobsPhone, id, second.Seq-1)
		is(t, "nothing that early", err, ErrNotFound)
		list, err := tx.Messages(id, 0, 10)
		same(t, "shown", len(list), 0)
		if err != nil {
			return err
		}
		overdue, err := tx.Overdue(day0().Add(24*time.Hour - time.Millisecond))
		same(t, "overdue", len(overdue), 0)
		if err != nil {
			return err
		}
		overdue, err = tx.Overdue(day0().Add(24 * time.Hour))
		same(t, "overdue a day later", len(overdue), 1)
		if err != nil {
			return err
		}
		if _, err := tx.InsertMessage(said(id, 1)); err != nil {
			return err
		}
		row, err = tx.Show(second.ID, day0())
		if err != nil {
			return err
		}
		_, err = tx.Show(row, day0())
		is(t, "shown twice", err, ErrNotFound)
		list, err = tx.Messages(id, 0, 10)
		if err != nil {
			return err
		}
		same(t, "order", []uint64{list[0].Seq, list[1].Seq}, []uint64{1, 2})
		same(t, "row", list[1].ID, row)
		return nil
	})
}

// TestTheLifeOfASentMessage: queued, sealed, kept at one relay, refused at
// another, acknowledged.
func TestTheLifeOfASentMessage(t *testing.T) {
	s := openNew(t)
	_, id := withBob(t, s)
	wire := bytes.Repeat([]byte{7}, 4056)
	hash := Hash(sha256.Sum256(wire))
	sid := SessionID{3}
	mine := Message{Message: MessageID{1}, Conversation: id, Author: identity.DevicePublic{0xa}, Mine: true, Sent: day0(), At: day0(), Kind: 1,
		Body: []byte("hi"), State: Queued, Expires: day0().Add(30 * 24 * time.Hour), Shown: true}
	out := Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Created: day0(), Expires: mine.Expires, Next: day0()}
	update(t, s, func(tx *Tx) (err error) {
		if mine.ID, err = tx.InsertMessage(mine); err != nil {
			return err
		}
		out.Message = mine.ID
		out.ID, err = tx.Enqueue(out)
		return err
	})
	one := func(verb func(*Tx) ([]Outgoing, error)) []Outgoing { t.Helper(); return get(t, s, verb) }
	want := []Outgoing{out}
	same(t, "pending", one(func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, 0, 10) }), want)
	same(t, "pending after it", len(one(func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, out.ID, 10) })), 0)
	same(t, "of the message", one(func(tx *Tx) ([]Outgoing, error) { return tx.OutgoingOf(mine.ID) }), want)

	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.SetSealed(out.ID, sid, wire, hash, true), tx.SetFlight(out.ID, false), tx.Postpone(out.ID, 1, day0().Add(time.Minute)))
	})
	out.Session, out.Wire, out.Hash, out.Size, out.Attempts, out.Next = &sid, wire, &hash, len(wire), 1, day0().Add(time.Minute)
	same(t, "sealed", get(t, s, func(tx *Tx) (Outgoing, error) { return tx.OutgoingByHash(hash) }), out)

	until := day0().Add(30 * 24 * time.Hour)
	deposits := []Deposit{
		{Outbox: out.ID, Relay: "relay-1", Receipt: []byte("signed"), Until: until, At: day0()},
		{Outbox: out.ID, Relay: "relay-2", Reason: "REL-05", At: day0()},
	}
	update(t, s, func(tx *Tx) error {
		for _, d := range deposits {
			if err := tx.PutDeposit(Deposit{Outbox: d.Outbox, Relay: d.Relay, Reason: "NET-01", At: day0()}); err != nil {
				return err
			}
			if err := tx.PutDeposit(d); err != nil {
				return err
			}
		}
		return errors.Join(tx.SetState(mine.ID, Kept, "REL-05"),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-1", What: WhatDeposit, Proof: []byte("signed")}),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-2", What: WhatRefused, Reason: "REL-05", Via: "relay-3"}))
	})
	same(t, "deposits", get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(out.ID) }), deposits)
	same(t, "expiring", get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.ExpiringDeposits(until) }), deposits[:1])
	noted := deposits[0]
	noted.Reason = "REL-14"
	update(t, s, func(tx *Tx) error { return tx.PutDeposit(noted) })
	same(t, "noted as ended", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.ExpiringDeposits(until) })), 0)
	count := func(now time.Time) Undelivered {
		return get(t, s, func(tx *Tx) (Undelivered, error) { return tx.Undelivered(now) })
	}
	same(t, "at a relay", count(until.Add(-time.Millisecond)), Undelivered{Waiting: 1})
	same(t, "here only", count(until), Undelivered{Waiting: 1, Queued: 1})
	contacts := func(reason string) int {
		return get(t, s, func(tx *Tx) (int, error) { return tx.ContactsWaiting(reason) })
	}
	same(t, "kept, whatever else is said", contacts("REL-05"), 0)
	update(t, s, func(tx *Tx) error { return tx.SetState(mine.ID, Queued, "MSG-10") })
	same(t, "contacts for whom something waits", [2]int{contacts("MSG-10"), contacts("REL-05")}, [2]int{1, 0})
	update(t, s, func(tx *Tx) error { return tx.SetState(mine.ID, Kept, "REL-05") })
	same(t, "waiting", get(t, s, (*Tx).Waiting), map[Class]int{ClassMessage: 1})
	same(t, "expired", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires) })), 1)
	same(t, "not yet", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires.Add(-time.Millisecond)) })), 0)

	update(t, s, func(tx *Tx) error {
		taken, err := tx.Acknowledge(hash)
		same(t, "acknowledged", taken, Taken{out.ID, mine.ID, bobsPhone, ClassMessage, out.Created})
		if err != nil {
			return err
		}
		_, err = tx.Acknowledge(hash)
		is(t, "acknowledged twice", err, ErrNotFound)
		return errors.Join(tx.SetState(mine.ID, Delivered, ""),
			tx.AddEvidence(Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathDirect, What: WhatAck, Proof: []byte("mac")}))
	})
	same(t, "deposits went with it", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(out.ID) })), 0)
	same(t, "a trail of three", len(get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(mine.ID) })), 3)
	// A relay that refuses for ever, each time for another reason, fills no disk; what others
	// promised, and that it was acknowledged, stays.
	update(t, s, func(tx *Tx) error {
		for i := range 3 * MaxSteps {
			e := Evidence{Message: mine.ID, Device: bobsPhone, At: day0(), Path: PathMailbox, Peer: "relay-2", What: WhatRefused, Reason: fmt.Sprint("no ", i)}
			if err := tx.AddEvidence(e); err != nil {
				return err
			}
		}
		return nil
	})
	trail := get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(mine.ID) })
	same(t, "steps of a long trail", len(trail), MaxSteps+2)
	same(t, "its first", trail[0].Peer, PeerID("relay-1"))
	same(t, "its last", trail[len(trail)-1].Reason, fmt.Sprint("no ", 3*MaxSteps-1))
	same(t, "state", get(t, s, func(tx *Tx) (Message, error) { return tx.Message(mine.ID) }).State, Delivered)
	same(t, "delivered does not expire", len(get(t, s, func(tx *Tx) ([]Message, error) { return tx.Expired(mine.Expires) })), 0)
}

func TestOnlyTheNewestDescriptorsAreSent(t *testing.T) {
	s := openNew(t)
	other := identity.DevicePublic{0xcc}
	update(t, s, func(tx *Tx) error {
		for _, o := range []Outgoing{
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("1")},
			{Device: other, Class: ClassDescriptors, Item: []byte("other's")},
			{Device: bobsPhone, Class: ClassReceipt, Item: []byte("receipt")},
			{Device: bobsPhone, Class: ClassReceipt, Item: []byte("receipt")},
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("2")},
			{Device: bobsPhone, Class: ClassDescriptors, Item: []byte("3")},
		} {
			o.Created, o.Next = day0(), day0()
			if _, err := tx.Enqueue(o); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "waiting", get(t, s, (*Tx).Waiting), map[Class]int{ClassReceipt: 2, ClassDescriptors: 2})
	update(t, s, func(tx *Tx) error {
		list, err := tx.Pending(bobsPhone, 0, 10)
		if err != nil {
			return err
		}
		last := list[len(list)-1]
		same(t, "the newest", string(last.Item), "3")
		taken, err := tx.Withdraw(last.ID)
		same(t, "withdrawn", taken.Class, ClassDescriptors)
		return err
	})
}

// TestASessionIsReset: what was sealed on it is sealed anew, what relays said of
// it is forgotten.
func TestASessionIsReset(t *testing.T) {
	s := openNew(t)
	broken, fine := SessionID{1}, SessionID{2}
	update(t, s, func(tx *Tx) error {
		for n, sid := range []SessionID{broken, fine} {
			h := Hash{byte(n)}
			id, err := tx.Enqueue(Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Session: &sid, Wire: []byte("wire"), Hash: &h,
				Created: day0(), Next: day0().Add(time.Hour)})
			if err != nil {
				return err
			}
			if err := tx.PutDeposit(Deposit{Outbox: id, Relay: "relay", Receipt: []byte("r"), At: day0()}); err != nil {
				return err
			}
		}
		n, err := tx.Unseal(broken)
		same(t, "unsealed", n, 1)
		return err
	})
	list := get(t, s, func(tx *Tx) ([]Outgoing, error) { return tx.Pending(bobsPhone, 0, 10) })
	same(t, "sealed anew", list[0].Wire == nil && list[0].Hash == nil && list[0].Session == nil && string(list[0].Item) == "item" && list[0].Next.Equal(day0()), true)
	same(t, "the other", string(list[1].Wire), "wire")
	for n, want := range []int{0, 1} {
		same(t, "deposits", len(get(t, s, func(tx *Tx) ([]Deposit, error) { return tx.Deposits(list[n].ID) })), want)
	}
}

func TestRelays(t *testing.T) {
	s := openNew(t)
	want := Relay{Peer: "relay-1", Addrs: [][]byte{{1, 2}}, Source: RelayByHand, Box: [32]byte{9}, Added: day0(), Routes: [][]byte{{3}, {4, 5}}}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutRelay(want); err != nil {
			return err
		}
		want.Lease, want.LeaseUntil = []byte("lease"), day0().Add(time.Hour)
		return tx.PutRelay(want)
	})
	same(t, "relay", get(t, s, func(tx *Tx) (Relay, error) { return tx.Relay("relay-1") }), want)
	update(t, s, func(tx *Tx) error { return tx.RemoveRelay("relay-1", day0()) })
	want.Removed = day0()
	same(t, "relays", get(t, s, (*Tx).Relays), []Relay{want})
	update(t, s, func(tx *Tx) error {
		is(t, "no such relay", tx.RemoveRelay("relay-2", day0()), ErrNotFound)
		return tx.DeleteRelay("relay-1")
	})
	same(t, "forgotten", len(get(t, s, (*Tx).Relays)), 0)
}

func TestOwnQueues(t *testing.T) {
	s := openNew(t)
	invitation := InvitationID{4}
	device := bobsPhone
	forBob := OwnQueue{Device: &device, Relay: "relay", Seed: [32]byte{1}, Epoch0: 20_000, N: 45, OpenedUntil: 20_010, Version: 7}
	forAny := OwnQueue{Invitation: &invitation, Relay: "relay", Seed: [32]byte{2}, Epoch0: 20_000, N: 1, OpenedUntil: 20_001}
	update(t, s, func(tx *Tx) (err error) {
		if err := tx.InsertInvitation(Invitation{ID: invitation, Kind: 1, Created: day0(), Expires: day0(), State: InvitationOpen}); err != nil {
			return err
		}
		if forBob.ID, err = tx.InsertOwnQueue(forBob); err != nil {
			return err
		}
		if forAny.ID, err = tx.InsertOwnQueue(forAny); err != nil {
			return err
		}
		const catchAll = 1<<32 - 1
		return errors.Join(tx.PutQueueID(QueueID{1}, forBob.ID, 20_000), tx.PutQueueID(QueueID{2}, forBob.ID, catchAll), tx.PutQueueID(QueueID{3}, forAny.ID, 20_000))
	})
	queues := func(verb func(*Tx) ([]OwnQueue, error)) []OwnQueue { t.Helper(); return get(t, s, verb) }
	same(t, "at the relay", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesAt("relay") }), []OwnQueue{forBob, forAny})
	same(t, "Bob's", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesFor(bobsPhone) }), []OwnQueue{forBob})
	same(t, "the invitation's", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesOf(invitation) }), []OwnQueue{forAny})
	update(t, s, func(tx *Tx) error {
		q, epoch, err := tx.QueueByID(QueueID{2})
		same(t, "queue of a cell", q, forBob)
		same(t, "epoch", epoch, 1<<32-1)
		if err != nil {
			return err
		}
		return errors.Join(tx.SetOpened(forBob.ID, 20_020), tx.AcknowledgeQueues(bobsPhone, 6, day0()))
	})
	forBob.OpenedUntil = 20_020
	same(t, "an older acknowledgement", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.AcknowledgeQueues(bobsPhone, 7, day0()) })
	forBob.Acknowledged = day0()
	same(t, "acknowledged", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)

	// It can be left once its relay is given up, and not before.
	relay := Relay{Peer: "relay", Source: RelayByHand, Added: day0()}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.PutRelay(relay), tx.LeaveQueues(bobsPhone, day0())) })
	same(t, "its relay is in use", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.RemoveRelay("relay", day0()), tx.LeaveQueues(bobsPhone, day0()), tx.ProlongQueue(forBob.ID, day0()))
	})
	forBob.Leaving, forBob.Prolonged = day0(), day0()
	same(t, "left", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.ResumeQueues("relay") })
	forBob.Leaving = time.Time{}
	same(t, "used again", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.DeleteRelay("relay") })

	update(t, s, func(tx *Tx) error {
		if err := tx.ForgetQueueIDs(forBob.ID, 20_001); err != nil {
			return err
		}
		_, _, err := tx.QueueByID(QueueID{1})
		is(t, "a day that is over", err, ErrNotFound)
		if err := errors.Join(tx.SetQueueVersion(forBob.ID, 8), tx.CloseQueue(forBob.ID, day0())); err != nil {
			return err
		}
		_, _, err = tx.QueueByID(QueueID{2})
		is(t, "a closed queue", err, ErrNotFound)
		_, _, err = tx.QueueByID(QueueID{3})
		return err
	})
	same(t, "still open", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesAt("relay") }), []OwnQueue{forAny})

	// It is remembered until the relay has closed it, or is none of ours any more.
	closedAt := func() []OwnQueue {
		return queues(func(tx *Tx) ([]OwnQueue, error) { return tx.ClosedQueuesAt("relay") })
	}
	remembered := func(now time.Time) bool {
		t.Helper()
		if err := s.Maintain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		found := false
		view(t, s, func(tx *Tx) error {
			_, err := tx.OwnQueue(forBob.ID)
			found = err == nil
			return nil
		})
		return found
	}
	update(t, s, func(tx *Tx) error { return tx.PutRelay(Relay{Peer: "relay", Source: RelayByHand, Added: day0()}) })
	same(t, "closed here, open there", len(closedAt()), 1)
	same(t, "remembered", remembered(day0()), true)
	same(t, "remembered for a while", remembered(day0().Add(ClosedFor-time.Second)), true)
	update(t, s, func(tx *Tx) error { return tx.SetOpened(forBob.ID, Shut) })
	same(t, "closed there", len(closedAt()), 0)
	same(t, "remembered", remembered(day0()), false)
}

// What is over is forgotten after its time, and nothing before.
func TestWhatIsOverIsForgotten(t *testing.T) {
	s := openNew(t)
	_, conv := withBob(t, s)
	inv := Invitation{ID: InvitationID{7}, Kind: 1, Created: day0(), Expires: day0().Add(time.Hour), State: InvitationOpen}
	var said1 int64
	update(t, s, func(tx *Tx) (err error) {
		set, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("keys"), Created: day0()})
		if err != nil {
			return err
		}
		if err := tx.InsertInvitation(inv); err != nil {
			return err
		}
		if _, err := tx.InsertOwnQueue(OwnQueue{Invitation: &inv.ID, Relay: "relay", N: 1}); err != nil {
			return err
		}
		m := said(conv, 1)
		m.Mine, m.State = true, Delivered
		if said1, err = tx.InsertMessage(m); err != nil {
			return err
		}
		return errors.Join(
			tx.InsertBundle(Bundle{ID: BundleID{1}, PrekeySet: set, Raw: []byte("bundle"), Invitation: &inv.ID, Expires: inv.Expires}),
			tx.PutInvitationRelay(InvitationRelay{Invitation: inv.ID, Relay: "relay"}),
			tx.AddEvidence(Evidence{Message: said1, Device: bobsPhone, At: day0(), Path: PathDirect, What: WhatAck}))
	})
	for _, step := range []struct {
		at                   time.Duration
		invitation, evidence int
	}{
		{time.Hour, 1, 1},
		{InvitationsFor, 1, 1},
		{InvitationsFor + time.Hour, 0, 1},
		{EvidenceFor - time.Second, 0, 1},
		{EvidenceFor, 0, 0},
	} {
		if err := s.Maintain(t.Context(), day0().Add(step.at)); err != nil {
			t.Fatal(err)
		}
		same(t, "invitations after "+step.at.String(), len(get(t, s, (*Tx).Invitations)), step.invitation)
		same(t, "queues after "+step.at.String(), len(get(t, s, func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesOf(inv.ID) })), step.invitation)
		same(t, "evidence after "+step.at.String(), len(get(t, s, func(tx *Tx) ([]Evidence, error) { return tx.Evidence(said1) })), step.evidence)
	}
}

func TestTheirNewestQueuesCount(t *testing.T) {
	s := openNew(t)
	queue := func(relay PeerID, version int64) TheirQueue {
		return TheirQueue{Device: bobsPhone, Relay: relay, Addrs: [][]byte{[]byte(relay)}, Seed: [32]byte{byte(version)}, Epoch0: 20_000, N: 45,
			Expires: day0().Add(24 * time.Hour), Version: version}
	}
	first, second := []TheirQueue{queue("r1", 1), queue("r2", 1)}, []TheirQueue{queue("r2", 2), queue("r3", 2)}
	update(t, s, func(tx *Tx) error {
		for _, step := range []struct {
			version int64
			queues  []TheirQueue
			newer   bool
		}{{1, first, true}, {2, second, true}, {1, first, false}, {2, first, false}} {
			newer, err := tx.PutTheirQueues(bobsPhone, step.version, step.queues)
			same(t, "newer", newer, step.newer)
			if err != nil {
				return err
			}
		}
		return nil
	})
	theirs := func() []TheirQueue {
		return get(t, s, func(tx *Tx) ([]TheirQueue, error) { return tx.TheirQueues(bobsPhone) })
	}
	same(t, "queues", theirs(), second)
	if err := s.Maintain(t.Context(), day0().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	same(t, "past their time, by a clock that may be wrong", theirs(), second)
}

func TestSeen(t *testing.T) {
	s := openNew(t)
	want := Seen{Hash: Hash{1}, At: day0(), Expires: day0().Add(SeenFor)}
	update(t, s, func(tx *Tx) error {
		_, err := tx.Seen(want.Hash)
		is(t, "unseen", err, ErrNotFound)
		if err := tx.PutSeen(want); err != nil {
			return err
		}
		is(t, "seen twice", tx.PutSeen(want), ErrExists)
		return tx.NameSeen(want.Hash, MessageID{8})
	})
	want.Message = &MessageID{8}
	seen := func(tx *Tx) (Seen, error) { return tx.Seen(want.Hash) }
	same(t, "seen", get(t, s, seen), want)
	if err := s.Maintain(t.Context(), want.Expires.Add(-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	same(t, "45 days", get(t, s, seen), want)
	if err := s.Maintain(t.Context(), want.Expires); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		_, err := seen(tx)
		is(t, "after 45 days", err, ErrNotFound)
		return nil
	})
}

func TestWhatIsSetAsideIsBounded(t *testing.T) {
	s := openNew(t)
	aside := func(n int) Aside {
		d, sid := bobsPhone, SessionID{1}
		return Aside{Hash: Hash(sha256.Sum256([]byte{byte(n), byte(n >> 8)})), Device: &d, Session: &sid, Relay: "relay", Wire: []byte{1}, Reason: "MSG-09", At: day0()}
	}
	update(t, s, func(tx *Tx) error {
		for n := range SetAsideMax + 50 {
			for range 2 { // three relays deliver three copies
				if err := tx.SetAside(aside(n)); err != nil {
					return err
				}
			}
		}
		list, err := tx.AsidesOf(bobsPhone)
		same(t, "kept", len(list), SetAsideMax)
		if err != nil {
			return err
		}
		want := aside(50)
		want.ID = list[0].ID
		same(t, "the oldest kept", list[0], want)
		list, err = tx.Asides(1)
		same(t, "the newest", list[0].Hash, aside(SetAsideMax+49).Hash)
		return errors.Join(err, tx.DeleteAside(want.Hash))
	})
	update(t, s, func(tx *Tx) error {
		for n, want := range map[int]bool{49: false, 50: false, 51: true} {
			is, err := tx.IsAside(aside(n).Hash)
			same(t, "set aside", is, want)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestSeeds(t *testing.T) {
	s := openNew(t)
	withBob(t, s)
	seed := func(n byte) (x [32]byte) { x[0] = n; return x }
	at := func(days int) time.Time { return day0().AddDate(0, 0, days) }
	own := func() []OwnSeed { return get(t, s, func(tx *Tx) ([]OwnSeed, error) { return tx.OwnSeeds(bobsPhone) }) }
	tells := func(made, now time.Time) {
		t.Helper()
		update(t, s, func(tx *Tx) error { return tx.TellSeeds(bobsPhone, made, now) })
	}
	var list []OwnSeed
	for i := range 3 {
		o := OwnSeed{Device: bobsPhone, Seed: seed(byte(i)), Made: at(30 * i)}
		update(t, s, func(tx *Tx) (err error) {
			o.ID, err = tx.InsertOwnSeed(o)
			return err
		})
		list = append(list, o)
	}
	same(t, "seeds", own(), list)
	tells(at(-1), at(91)) // an acknowledgement of something before
	same(t, "seeds", own(), list)
	tells(at(30), at(91))
	list[1].Told = at(91)
	same(t, "seeds once the second was acknowledged", own(), list[1:])
	tells(at(60), at(92))
	list[2].Told = at(92)
	same(t, "seeds once the third was acknowledged", own(), list[2:])

	theirs := func() (TheirSeed, error) {
		var x TheirSeed
		err := s.View(t.Context(), func(tx *Tx) (err error) {
			x, err = tx.TheirSeed(bobsPhone)
			return err
		})
		return x, err
	}
	puts := func(x TheirSeed, want bool) {
		t.Helper()
		update(t, s, func(tx *Tx) error {
			newer, err := tx.PutTheirSeed(x)
			same(t, "newer", newer, want)
			return err
		})
	}
	_, err := theirs()
	is(t, "no seed", err, ErrNotFound)
	first, second := TheirSeed{Device: bobsPhone, Seed: seed(7), Made: at(1)}, TheirSeed{Device: bobsPhone, Seed: seed(8), Made: at(2)}
	puts(first, true)
	update(t, s, func(tx *Tx) error { return tx.SawRecord(bobsPhone, at(3)) })
	first.Seq = at(3)
	got, err := theirs()
	is(t, "read", err, nil)
	same(t, "their seed", got, first)
	puts(second, true) // records of another seed count anew
	puts(first, false)
	got, err = theirs()
	is(t, "read", err, nil)
	same(t, "their newer seed", got, second)

	bob := get(t, s, func(tx *Tx) (Contact, error) { return tx.ContactByDevice(bobsPhone) })
	update(t, s, func(tx *Tx) error { return tx.ForgetContact(bob.ID, at(100)) })
	_, err = theirs()
	is(t, "their seed once they are forgotten", err, ErrNotFound)
	same(t, "seeds once they are forgotten", len(own()), 0)
}

// Requests wait, the weakest and of those the latest is the first to make room;
// what was kept of one goes with it.
func TestRequests(t *testing.T) {
	s := openNew(t)
	bundle := Bundle{ID: BundleID{1}, Raw: []byte("bundle"), Expires: day0()}
	var ids []int64
	update(t, s, func(tx *Tx) error {
		set, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte("secrets"), Created: day0()})
		if err != nil {
			return err
		}
		bundle.PrekeySet = set
		if err := tx.InsertBundle(bundle); err != nil {
			return err
		}
		for i, work := range []uint8{9, 7, 7, 8} {
			id, err := tx.InsertRequest(Request{Account: identity.AccountID{byte(i)}, State: RequestWaiting, Name: "Mallory", Text: "hello", Work: work, At: day0(), Expires: day0().Add(time.Hour)})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		_, err = tx.InsertRequest(Request{Account: identity.AccountID{1}, State: RequestIgnored, At: day0(), Expires: day0()})
		is(t, "a second of one account", err, ErrExists)
		for i, id := range ids {
			f := RequestFlight{Request: id, Hash: Hash{byte(i)}, Bundle: bundle.ID, Cell: []byte("flight")}
			if i == 3 {
				f.Relay = "oak"
			}
			if err := tx.InsertRequestFlight(f); err != nil {
				return err
			}
			is(t, "the same flight again", tx.InsertRequestFlight(f), ErrExists)
		}
		return nil
	})
	weakest := get(t, s, (*Tx).WeakestRequest)
	same(t, "weakest", weakest.ID, ids[2])
	same(t, "its flights", weakest.Flights, 1)
	by := func(relay PeerID) func(*Tx) (Request, error) {
		return func(tx *Tx) (Request, error) { return tx.WeakestRequestBy(relay) }
	}
	same(t, "weakest by a relay", get(t, s, by("oak")).ID, ids[3])
	same(t, "weakest of those that came direct", get(t, s, by("")).ID, ids[2])
	same(t, "waiting by a relay", get(t, s, func(tx *Tx) (int64, error) { return tx.CountRequestsBy("oak") }), int64(1))
	weakest.State, weakest.Text, weakest.Expires = RequestIgnored, "", day0().Add(2*time.Hour)
	update(t, s, func(tx *Tx) error { return errors.Join(tx.UpdateRequest(weakest), tx.ForgetRequestFlights(weakest.ID)) })
	same(t, "waiting", get(t, s, (*Tx).CountRequests), int64(3))
	same(t, "weakest now", get(t, s, (*Tx).WeakestRequest).ID, ids[1])
	same(t, "kept", get(t, s, func(tx *Tx) (bool, error) { return tx.HasRequestFlight(Hash{2}) }), false)
	update(t, s, func(tx *Tx) error { return tx.DeleteRequest(ids[0]) })
	same(t, "kept of a deleted one", get(t, s, func(tx *Tx) (bool, error) { return tx.HasRequestFlight(Hash{0}) }), false)

	// The bundle of what waits outlives its own time.
	at := day0().Add(PrekeysFor)
	update(t, s, func(tx *Tx) error {
		q, err := tx.RequestBy(identity.AccountID{1})
		q.Expires = at.Add(time.Hour)
		return errors.Join(err, tx.UpdateRequest(q))
	})
	if err := s.Maintain(context.Background(), at); err != nil {
		t.Fatal(err)
	}
	same(t, "waiting after the others' time", len(get(t, s, (*Tx).Requests)), 1)
	if _, err := getErr(s, func(tx *Tx) (Bundle, error) { return tx.Bundle(bundle.ID) }); err != nil {
		t.Errorf("the bundle of a request that waits: %v", err)
	}
	if err := s.Maintain(context.Background(), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err := getErr(s, func(tx *Tx) (Bundle, error) { return tx.Bundle(bundle.ID) })
	is(t, "the bundle when nothing waits", err, ErrNotFound)
}

func getErr[T any](s *Store, read func(*Tx) (T, error)) (v T, err error) {
	err = s.View(context.Background(), func(tx *Tx) (err error) {
		v, err = read(tx)
		return err
	})
	return v, err
}

// Whoever has read the outbox up to a row has missed nothing, also when that row was there before
// the Store was opened and has left since.
func TestOutboxIDsAreNotGivenTwice(t *testing.T) {
	s := openNew(t)
	out := Outgoing{Device: bobsPhone, Class: ClassMessage, Item: []byte("item"), Created: day0(), Next: day0()}
	var before, after int64
	update(t, s, func(tx *Tx) (err error) {
		before, err = tx.Enqueue(out)
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.Path(), Options{})
	update(t, s, func(tx *Tx) error {
		_, err := tx.Withdraw(before)
		return err
	})
	update(t, s, func(tx *Tx) (err error) {
		after, err = tx.Enqueue(out)
		return err
	})
	if after <= before {
		t.Errorf("row %d is followed by row %d", before, after)
	}
}
