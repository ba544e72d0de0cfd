package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// openingTime is how long Invite and Accept wait for relays to open queues; what
// is not open then is opened when the relay is reached.
const openingTime = 3 * time.Second

// fetchTime bounds the search for an invitation's notice at one place.
const fetchTime = 10 * time.Second

// Met is who was met by an invitation.
type Met struct {
	Contact int64     // its row
	SeenBy  []peer.ID // relays that saw where we are, though private routing is on
}

// Accept adds the inviter as a contact and returns once the first flight
// is durable here. petname and text may be empty.
// Errors: problem.NotAnInvitation, NotYet, OwnInvitation, InvitationGone,
// InvitationUnreachable, NoOtherRelay, InvitationForged, BadName, BadText, DeviceRevoked.
func (c *Chat) Accept(ctx context.Context, link, petname, text string) (met Met, err error) {
	if err := c.inUse(); err != nil {
		return met, err
	}
	inv, err := identity.ParseLink(link)
	switch {
	case err != nil:
		return met, problem.New(problem.NotAnInvitation, err)
	case inv.Account == c.self():
		return met, problem.New(problem.OwnInvitation, nil)
	}
	if petname != "" {
		if err := CheckName(petname); err != nil {
			return met, problem.New(problem.BadName, err)
		}
	}
	var body []byte
	if text != "" {
		if body, err = (content.Text{Text: text}).Marshal(); err != nil {
			return met, problem.New(problem.BadText, err)
		}
	}
	for _, h := range inv.Hints {
		if at := (peer.AddrInfo{ID: peer.ID(h.Peer), Addrs: multiaddrs(h.Addrs)}); h.Kind == identity.HintRelay {
			at.Addrs, _ = splitPlaces(at.Addrs)
			c.wayInByContact(at)
		} else {
			c.wayIn(at)
		}
	}
	raw, seenBy, err := c.fetchNotice(ctx, inv)
	if err != nil {
		return met, err
	}
	if met.SeenBy = seenBy; len(seenBy) > 0 {
		c.log.Warn("no other relay led to those of an invitation: they saw where this device is", "relays", seenBy)
	}
	bundle, err := identity.ParseBundle(raw)
	if err == nil {
		err = bundle.Verify(inv.Account, time.Now())
	}
	switch {
	case errors.Is(err, identity.ErrExpired):
		return met, problem.New(problem.InvitationGone, err)
	case err != nil:
		return met, problem.New(problem.InvitationForged, err)
	}
	// The contact, its queues and the flight, which tells where they are, are
	// kept at once: an end in between leaves no contact that knows nothing of
	// us. The flight leaves when our relays have opened the queues.
	err = c.update(ctx, func(t *turn) (err error) {
		if met.Contact, err = acceptedBefore(t, bundle.Device, inv); err != nil || met.Contact != 0 {
			return errors.Join(err, c.acceptAgain(t, met.Contact, petname, body))
		}
		if met.Contact, err = c.meet(t, bundle, inv, petname); err != nil {
			return err
		}
		if err := c.noteHints(t, inv.Account, bundle.Relays); err != nil {
			return err
		}
		return c.firstFlight(t, t.now.Add(openingTime), met.Contact, bundle.Device, body)
	})
	if err != nil {
		return met, c.freezeIf(ctx, inv.Account, err)
	}
	c.openQueues(ctx, bundle.Device)
	return met, c.update(context.WithoutCancel(ctx), func(t *turn) error { return c.letGo(t, bundle.Device) })
}

// acceptedBefore is the contact of an invitation that was accepted already and has
// no answer yet, or 0. A second session from it would be refused by the inviter.
func acceptedBefore(t *turn, device identity.DevicePublic, inv identity.Invitation) (contact int64, err error) {
	heads, err := t.SessionHeads(device)
	if err != nil {
		return 0, err
	}
	for _, h := range heads {
		if !h.Initiator || !h.Confirmed.IsZero() {
			continue
		}
		s, err := t.Session(h.ID)
		if err != nil {
			return 0, err
		}
		in, err := parseIntro(s.Intro)
		if err != nil {
			return 0, err
		}
		if in.invitation.Secret == inv.Secret {
			who, err := t.ContactByDevice(device)
			if !served(who) {
				return 0, err // forgotten meanwhile, with all that was under way
			}
			return who.ID, err
		}
	}
	return 0, nil
}

// acceptAgain does what is left to do for an invitation that was accepted before.
func (c *Chat) acceptAgain(t *turn, contact int64, petname string, body []byte) error {
	if contact == 0 {
		return nil
	}
	who, err := t.Contact(contact)
	if err != nil {
		return err
	}
	if err := setPetname(t, &who, petname); err != nil {
		return err
	}
	if err := t.UpdateContact(who); err != nil || body == nil {
		return err
	}
	return c.sayToAll(t, who, content.Context{Of: content.NewID()}, content.KindText, body)
}

// setPetname calls a contact by a name, if one is given. Errors: problem.BadName.
func setPetname(t *turn, who *store.Contact, petname string) error {
	if petname == "" {
		return nil
	}
	if other, err := t.ContactByPetname(petname); err == nil && other.ID != who.ID {
		return problem.Newf(problem.BadName, "somebody is called %q already", petname)
	}
	if other, err := beginsID(t.Tx, petname, who.ID); err != nil || other {
		return errors.Join(err, errBeginsID(petname))
	}
	who.Petname = petname
	return nil
}

func errBeginsID(name string) error {
	return problem.Newf(problem.BadName, "another contact's account id begins with %q", name)
}

// fetchNotice finds the bundle of an invitation. That one place has it not says
// that it is gone; that none answers says nothing. With private routing its relays are asked
// by way of others, and those that did not answer so are asked straight, which shows them
// where we are: seenBy are these.
func (c *Chat) fetchNotice(ctx context.Context, inv identity.Invitation) (raw []byte, seenBy []peer.ID, err error) {
	s := search{c: c, inv: inv}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		s.relays = c.hintedPlaces(inv)
		return c.orderHops(tx, identity.DevicePublic{}, s.relays)
	})
	if err != nil {
		return nil, nil, err
	}
	if c.routing == Straight {
		raw = s.relaysAnswer(ctx, true)
	} else {
		through, cancel := context.WithTimeout(ctx, routePatience)
		raw = s.relaysAnswer(through, false)
		cancel()
	}
	if raw == nil {
		raw = s.devicesAnswer(ctx)
	}
	if raw == nil && c.routing == Private {
		raw = s.relaysAnswer(ctx, true)
	}
	switch {
	case raw != nil:
		return raw, s.seenBy, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case s.gone != nil:
		return nil, nil, problem.New(problem.InvitationGone, s.gone)
	case s.failed == nil:
		s.failed = problem.New(problem.InvitationUnreachable, errors.New("the invitation names no place"))
	}
	return nil, nil, s.failed
}

// search is a search for the notice of an invitation.
type search struct {
	c      *Chat
	inv    identity.Invitation
	relays []place // that have not answered yet
	seenBy []peer.ID
	gone   error // one has it not
	failed error
}

// relaysAnswer asks relays one after the other.
func (s *search) relaysAnswer(ctx context.Context, straight bool) (raw []byte) {
	s.relays = slices.DeleteFunc(s.relays, func(at place) bool {
		if raw != nil || ctx.Err() != nil {
			return false
		}
		if straight && s.c.routing != Straight {
			s.seenBy = append(s.seenBy, at.relay.ID)
		}
		var answered bool
		raw, answered = s.take(ctx, at.relay.ID, func(ctx context.Context) ([]byte, error) { return s.c.fetchFrom(ctx, at, s.inv.NoticeID(), straight) })
		return answered
	})
	return raw
}

// devicesAnswer asks the devices.
func (s *search) devicesAnswer(ctx context.Context) (raw []byte) {
	for _, h := range s.inv.Hints {
		if h.Kind != identity.HintDevice || raw != nil || ctx.Err() != nil {
			continue
		}
		at := peer.AddrInfo{ID: peer.ID(h.Peer), Addrs: multiaddrs(h.Addrs)}
		raw, _ = s.take(ctx, at.ID, func(ctx context.Context) ([]byte, error) {
			select {
			case <-s.c.running:
				return s.c.direct.FetchNotice(ctx, at, s.inv.NoticeID())
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
	}
	return raw
}

// take fetches the notice from one place, and says whether that answered at all.
func (s *search) take(ctx context.Context, from peer.ID, fetch func(context.Context) ([]byte, error)) (raw []byte, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	notice, err := fetch(ctx)
	switch {
	case err == nil:
		if raw, err = s.inv.OpenNotice(notice); err != nil {
			s.failed = problem.New(problem.InvitationForged, err)
		}
		return raw, true
	case errors.Is(err, mailbox.ErrNotFound), errors.Is(err, direct.Unknown), errors.Is(err, direct.Used):
		s.gone = err
		return nil, true
	}
	s.c.log.Debug("an invitation's place does not answer", "peer", from, "err", err)
	switch {
	case errors.Is(s.failed, problem.InvitationForged), errors.Is(s.failed, problem.NoOtherRelay):
	case s.c.routing == OnlyPrivate && errors.Is(err, node.ErrNoCircuit):
		s.failed = problem.New(problem.NoOtherRelay, nil)
	default:
		s.failed = problem.New(problem.InvitationUnreachable, errors.New(why(err)))
	}
	return nil, false
}

// fetchFrom asks a relay for a notice.
func (c *Chat) fetchFrom(ctx context.Context, at place, id [32]byte, straight bool) ([]byte, error) {
	purpose := "fetch " + string(id[:])
	l, err := (*link)(nil), error(nil)
	if straight {
		l, err = c.straightTo(ctx, purpose, at.relay)
	} else {
		l, err = c.through(ctx, purpose, at.relay.ID, at.hops, 0)
	}
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.Fetch(ctx, mailbox.NoticeID(id))
}

// meet makes a contact of who signed a verified bundle, and begins a session.
func (c *Chat) meet(t *turn, bundle *identity.Bundle, inv identity.Invitation, petname string) (int64, error) {
	who, err := c.person(t, bundle.Chain)
	if err != nil {
		return 0, err
	}
	if err := setPetname(t, &who, petname); err != nil {
		return 0, err
	}
	who.Kind = store.ContactKnown
	if err := t.UpdateContact(who); err != nil {
		return 0, err
	}
	if err := t.PutDevice(store.Device{Device: bundle.Device, Contact: who.ID, Agreement: bundle.Agreement}); err != nil {
		return 0, ignoreAs(err, store.ErrExists, problem.Newf(problem.InvitationForged, "its device is another contact's"))
	}
	offer, secrets, err := pqxdh.Initiate(pqxdh.Initiator{
		Root: c.chain.Root(), Head: c.chain.Head(), Device: c.me, Agreement: c.agreement,
	}, bundle)
	if err != nil {
		return 0, problem.New(problem.InvitationForged, err)
	}
	inv = merge(inv, bundle.Relays)
	in := intro{invitation: inv, key: bundle.Intro}
	_, err = t.keys.Start(session.Initiated{Offer: offer, Secrets: secrets, Prekey: bundle.Signed, Intro: in.marshal(), Parties: ratchet.Parties{
		InitiatorRoot: c.chain.Root(), InitiatorDevice: c.me, ResponderRoot: bundle.Chain.Root(), ResponderDevice: bundle.Device, Suite: bundle.Suite,
	}}, t.now)
	if err != nil {
		return 0, err
	}
	for _, h := range inv.Hints {
		if h.Kind == identity.HintDevice {
			a := store.Address{Device: bundle.Device, Peer: store.PeerID(h.Peer), Addrs: h.Addrs, Told: time.UnixMilli(0), Seen: t.now}
			if _, err := t.PutAddress(a); err != nil {
				return 0, err
			}
		}
	}
	t.then(func() { c.contactEvent(who, "added") })
	if err := c.reseal(t, bundle.Device); err != nil {
		return 0, err
	}
	if err := c.retire(t, who, bundle.Chain, bundle.Device); err != nil {
		return 0, err
	}
	return who.ID, c.makeQueues(t, bundle.Device)
}

// person finds or makes the contact of an account, whose chain was verified, and
// pins it.
func (c *Chat) person(t *turn, chain identity.Chain) (store.Contact, error) {
	root := chain.Root()
	who, err := t.ContactByAccount(chain.Account())
	if errors.Is(err, store.ErrNotFound) {
		pin, err := identity.NewPin(chain, identity.Suite)
		if err != nil {
			return who, err
		}
		who = store.Contact{Account: chain.Account(), Root: &root, Chain: chain.Marshal(), PinN: pin.N, PinHead: pin.Head, PinSuite: pin.Suite,
			Kind: store.ContactNew, Created: t.now}
		who.ID, err = t.InsertContact(who)
		return who, err
	}
	if err != nil {
		return who, err
	}
	if who.Root == nil { // blocked before their manifests were looked at
		pin, err := identity.NewPin(chain, identity.Suite)
		if err != nil {
			return who, err
		}
		who.Root, who.Chain, who.PinN, who.PinHead, who.PinSuite, who.Removed = &root, chain.Marshal(), pin.N, pin.Head, pin.Suite, time.Time{}
		return who, t.UpdateContact(who)
	}
	known, err := identity.ParseChain(who.Chain)
	if err != nil {
		return who, fmt.Errorf("chain of contact %d: %w", who.ID, store.ErrDamaged)
	}
	pinned := known.Newest()
	pin := identity.Pin{Account: who.Account, N: who.PinN, Head: who.PinHead, RootSigned: pinned.RootSigned(), Suite: who.PinSuite, Frozen: who.Frozen}
	next, perr := pin.Advance(chain)
	who.PinN, who.PinHead, who.Frozen = next.N, next.Head, next.Frozen
	switch {
	case perr == nil:
		who.Chain = chain.Marshal()
	case errors.Is(perr, identity.ErrFork):
		return who, problem.New(problem.ContactFrozen, perr) // for freezeIf: this turn keeps nothing
	default:
		return who, problem.New(problem.InvitationForged, perr)
	}
	who.Removed = time.Time{}
	return who, t.UpdateContact(who)
}
