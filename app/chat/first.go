package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"

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

// The lifetime of invitations.
const (
	DefaultLifetime = 7 * 24 * time.Hour // of a single-use one
	MinLifetime     = time.Minute
	MaxLifetime     = 30 * 24 * time.Hour
)

// Lifetimes are how long an invitation of a kind lives unless its maker says else, and at
// most.
func Lifetimes(kind byte) (usual, longest time.Duration) {
	if kind == identity.Reusable {
		return DefaultAddress, MaxAddress
	}
	return DefaultLifetime, MaxLifetime
}

// openingTime is how long Invite and Accept wait for relays to open queues; what
// is not open then is opened when the relay is reached.
const openingTime = 3 * time.Second

// fetchTime bounds the search for an invitation's notice at one place.
const fetchTime = 10 * time.Second

// Invite makes an invitation: a single-use one, or an address for any number of people, who
// then ask to be contacts. It returns when the invitation is durable
// here and at those of our relays that answered in time. lifetime 0 is the usual one.
// Errors: problem.InvitationLifetime, NoWayIn, TooManyInvitations.
func (c *Chat) Invite(ctx context.Context, kind byte, lifetime time.Duration) (store.InvitationID, error) {
	if err := c.inUse(); err != nil {
		return store.InvitationID{}, err
	}
	usual, longest := Lifetimes(kind)
	if lifetime == 0 {
		lifetime = usual
	}
	if lifetime < MinLifetime || lifetime > longest {
		return store.InvitationID{}, problem.Newf(problem.InvitationLifetime, "%s", lifetime)
	}
	return c.inviteGuest(ctx, kind, lifetime, guest{})
}

// guest is for whom alone an invitation is, and who asked for it; the zero value is
// anybody, and nobody.
type guest struct {
	account    *identity.AccountID
	introducer int64
}

// inviteGuest is Invite for a guest.
func (c *Chat) inviteGuest(ctx context.Context, kind byte, lifetime time.Duration, g guest) (id store.InvitationID, err error) {
	var relays int
	err = c.update(ctx, func(t *turn) (err error) {
		id, relays, err = c.invite(t, kind, lifetime, g)
		return err
	})
	if err != nil || relays == 0 {
		return id, err
	}
	c.syncBoxes()
	ctx, cancel := context.WithTimeout(ctx, openingTime)
	defer cancel()
	_, err = c.await(ctx, func(tx *store.Tx) (bool, error) {
		at, err := tx.InvitationRelays(id)
		for _, r := range at {
			if r.Posted.IsZero() {
				return false, err
			}
		}
		return true, err
	})
	return id, err
}

func (c *Chat) invite(t *turn, kind byte, lifetime time.Duration, g guest) (id store.InvitationID, relays int, err error) {
	hints, err := c.hints(t.Tx, kind)
	if err != nil {
		return id, 0, err
	}
	if len(hints) == 0 {
		return id, 0, problem.New(problem.NoWayIn, nil)
	}
	if err := roomToInvite(t); err != nil {
		return id, 0, err
	}
	known := identity.NewInvitation(kind, c.self(), inLink(hints))
	noticeID := known.NoticeID()
	inv := store.Invitation{ID: store.InvitationID(noticeID[:8]), Kind: kind, Secret: known.Secret, Link: known.Link(),
		Created: t.now, Noticed: t.now, Expires: t.now.Add(lifetime).Truncate(time.Second), State: store.InvitationOpen,
		Guest: g.account, Introducer: g.introducer}
	bundle, err := c.bundle(t, inv, hints)
	if err != nil {
		return id, 0, err
	}
	if inv.Notice, err = known.SealNotice(bundle.Raw); err != nil {
		return id, 0, err
	}
	if err := t.InsertInvitation(inv); err != nil {
		return id, 0, err
	}
	if err := t.InsertBundle(bundle); err != nil {
		return id, 0, err
	}
	for _, h := range hints {
		if h.Kind != identity.HintRelay {
			continue
		}
		relays++
		if err := inviteAt(t, inv.ID, known, store.PeerID(h.Peer)); err != nil {
			return id, 0, err
		}
	}
	return inv.ID, relays, nil
}

// bundle is what the notice of an invitation offers from now on.
func (c *Chat) bundle(t *turn, inv store.Invitation, hints []identity.Hint) (b store.Bundle, err error) {
	set, keys, err := currentPrekeys(t)
	if err != nil {
		return b, err
	}
	b = store.Bundle{PrekeySet: set, Invitation: &inv.ID, Expires: inv.Expires}
	offer := &identity.Bundle{
		Suite: identity.Suite, Chain: c.chain, Device: c.me, Agreement: c.agreement.Public(), Signed: keys.signed.Public(),
		KEM:   identity.KEMPrekey{ID: uint32(set), Public: keys.kem.EncapsulationKey().Bytes(), LastResort: true},
		Intro: keys.intro.PublicKey().Bytes(), Relays: hints,
	}
	if inv.Kind == identity.Single {
		oneTime := identity.GeneratePrekey()
		public, private := oneTime.Public(), oneTime.Bytes()
		offer.OneTime, b.OneTime = &public, &private
	} else if last := t.now.Add(noticeFor).Truncate(time.Second); last.Before(b.Expires) {
		b.Expires = last
	}
	offer.Expiry = b.Expires
	b.Raw, err = offer.Sign(c.device)
	b.ID = store.BundleID(offer.ID())
	return b, err
}

// inviteAt has a relay given an invitation's queue and notice.
func inviteAt(t *turn, id store.InvitationID, known identity.Invitation, relay store.PeerID) error {
	key, err := mailbox.NewWriteKey(peer.ID(relay), mailbox.CatchAll, known.WriteKey([]byte(relay)))
	if err != nil {
		return err
	}
	row, err := t.InsertOwnQueue(store.OwnQueue{Invitation: &id, Relay: relay, N: 1})
	if err != nil {
		return err
	}
	if err := t.PutQueueID(store.QueueID(key.QID()), row, mailbox.CatchAll); err != nil {
		return err
	}
	return t.PutInvitationRelay(store.InvitationRelay{Invitation: id, Relay: relay})
}

// roomToInvite says whether there may be one more open invitation: a relay keeps the
// notices of so many, and would refuse the next.
func roomToInvite(t *turn) error {
	all, err := t.Invitations()
	if err != nil {
		return err
	}
	open := 0
	for _, inv := range all {
		if inv.State == store.InvitationOpen && t.now.Before(inv.Expires) {
			open++
		}
	}
	if open >= mailbox.MaxNotices {
		return problem.New(problem.TooManyInvitations, nil)
	}
	return nil
}

// hints say where who is invited finds us: our relays, with the others that lead there, and in the places left
// over this device itself. A reusable address, which anybody may read, names the device only if
// nothing else leads to us.
func (c *Chat) hints(tx *store.Tx, kind byte) ([]identity.Hint, error) {
	relays, err := tx.Relays()
	if err != nil {
		return nil, err
	}
	// Those that fail come last, and may find no place.
	slices.SortStableFunc(relays, func(a, b store.Relay) int {
		return cmp.Compare(len(c.choice.failing(a.Peer)), len(c.choice.failing(b.Peer)))
	})
	var hints []identity.Hint
	for _, r := range relays {
		if r.Removed.IsZero() && len(hints) < identity.MaxHints {
			hints = append(hints, hint(identity.HintRelay, []byte(r.Peer), withRoutes(r.Addrs, r.Routes)))
		}
	}
	if kind == identity.Reusable && len(hints) > 0 {
		return hints, nil
	}
	if own := c.presence(); !c.brief && len(own.Addrs) > 0 && len(hints) < identity.MaxHints {
		hints = append(hints, hint(identity.HintDevice, own.Peer, own.Addrs))
	}
	return hints, nil
}

// hint keeps to the bounds of a hint: what it leaves out would not fit a link.
func hint(kind byte, peer []byte, addrs [][]byte) identity.Hint {
	h := identity.Hint{Kind: kind, Peer: peer}
	for _, a := range addrs {
		if len(a) <= identity.MaxAddrSize && len(h.Addrs) < identity.MaxAddrs {
			h.Addrs = append(h.Addrs, a)
		}
	}
	return h
}

// openNotice is the notice of an invitation that is still good.
func openNotice(tx *store.Tx, id [32]byte) ([]byte, error) {
	inv, err := tx.Invitation(store.InvitationID(id[:8]))
	if err != nil {
		return nil, err
	}
	known, err := identity.ParseLink(inv.Link)
	if err != nil || known.NoticeID() != id {
		return nil, errors.Join(err, store.ErrNotFound)
	}
	if inv.State != store.InvitationOpen || time.Now().After(inv.Expires) {
		return nil, errUsed
	}
	return inv.Notice, nil
}

// Revoke ends an open invitation. Errors: problem.NoSuchInvitation, InvitationGone.
func (c *Chat) Revoke(ctx context.Context, id store.InvitationID) error {
	return c.update(ctx, func(t *turn) error {
		t.then(func() {
			c.syncBoxes()
			c.doors.tell()
		})
		inv, err := t.Invitation(id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return problem.New(problem.NoSuchInvitation, nil)
		case err != nil:
			return err
		case inv.State != store.InvitationOpen:
			return problem.Newf(problem.InvitationSpent, "it is %s", inv.State)
		}
		return t.SetInvitationState(id, store.InvitationRevoked, 0)
	})
}

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

// firstFlight puts the first message of a session into the outbox, to leave at a
// time: who we are, where we read and listen, and what the person wants to say at
// once.
func (c *Chat) firstFlight(t *turn, next time.Time, contact int64, device identity.DevicePublic, body []byte) error {
	items, err := c.introduction(t, device)
	if err != nil {
		return err
	}
	if body == nil {
		return c.queueAt(t, next, device, store.ClassProfile, 0, items...)
	}
	who, err := t.Contact(contact)
	if err != nil {
		return err
	}
	said, row, err := c.say(t, who, content.Context{Of: content.NewID()}, content.KindText, body)
	if err != nil {
		return err
	}
	together := slices.Concat(items, said)
	room := session.FlightMax() - content.HeaderSize
	for i := range together {
		room -= together[i].Size()
	}
	if room >= 0 {
		return c.queueAt(t, next, device, store.ClassMessage, row, together...)
	}
	if err := c.queueAt(t, next, device, store.ClassProfile, 0, items...); err != nil {
		return err
	}
	return c.queueAt(t, next, device, store.ClassMessage, row, said...)
}

// letGo lets everything for a device leave at once that waits for a time.
func (c *Chat) letGo(t *turn, device identity.DevicePublic) error {
	const part = 100
	for after, more := int64(0), true; more; {
		rows, err := t.Pending(device, after, part)
		if err != nil {
			return err
		}
		for _, o := range rows {
			after = o.ID
			if !o.Next.After(t.now) {
				continue
			}
			if err := t.Postpone(o.ID, o.Attempts, t.now); err != nil {
				return err
			}
		}
		more = len(rows) == part
	}
	t.then(func() { c.courier(device).changed() })
	return nil
}

// nextFor is the number of the first message that a device still gets, and the hash
// of the one before it: of what waits for it, or else of what is said next.
func nextFor(t *turn, conv store.Conversation, device identity.DevicePublic) (seq uint64, prev [32]byte, err error) {
	const part = 100
	for after, more := int64(0), true; more; {
		rows, err := t.Pending(device, after, part)
		if err != nil {
			return 0, prev, err
		}
		for _, o := range rows {
			after = o.ID
			if o.Message != 0 {
				m, err := t.Message(o.Message)
				return m.Seq, m.Prev, err
			}
		}
		more = len(rows) == part
	}
	return conv.SendSeq, conv.SendPrev, nil
}

// introduction is what a device is told first: our name, where we read, where in
// the conversation it comes in, where we listen.
func (c *Chat) introduction(t *turn, device identity.DevicePublic) ([]content.Item, error) {
	me, err := t.Account()
	if err != nil {
		return nil, err
	}
	body, err := content.Profile{Name: me.Name}.Marshal()
	profile, err := loose(t.now, content.KindProfile, content.WantsReceipt, body, err)
	if err != nil {
		return nil, err
	}
	descriptors, err := c.descriptors(t, device)
	if err != nil {
		return nil, err
	}
	items := []content.Item{profile, descriptors}
	who, err := t.ContactByDevice(device)
	if err != nil {
		return nil, err
	}
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return nil, err
	}
	next, prev, err := nextFor(t, conv, device)
	if err != nil {
		return nil, err
	}
	if next > 1 { // a new device does not wait for what others were told
		body, err := content.GaveUp{Conversation: content.ConversationID(conv.Conversation), Seq: next - 1, Hash: prev}.Marshal()
		item, err := loose(t.now, content.KindGaveUp, content.WantsReceipt, body, err)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if own := c.presence(); len(own.Addrs) > 0 {
		body, err := own.Marshal()
		item, err := loose(t.now, content.KindPresence, 0, body, err)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// origin is where a first flight came from.
type origin struct {
	relay store.PeerID // empty: directly
	work  uint8        // bits of the proof of work that brought it, as the relay says; 0: none
}

// opened is a first flight whose outside was opened and whose author's manifests
// hold.
type openedFlight struct {
	origin
	cell   []byte
	flight pqxdh.Flight
	chain  identity.Chain
	from   pqxdh.Peer
}

// openFlight does the costly part of a first flight beside the owner.
func (c *Chat) openFlight(ctx context.Context, cell []byte, by origin) (o openedFlight, err error) {
	o.origin, o.cell = by, cell
	var sets []store.PrekeySet
	err = c.store.View(ctx, func(tx *store.Tx) error {
		sets, err = tx.PrekeySets()
		return err
	})
	if err != nil {
		return o, err
	}
	if o.flight, err = unseal(sets, cell); err != nil {
		return o, err
	}
	if o.chain, err = identity.ParseChain(o.flight.Chain); err != nil {
		return o, errUnreadable
	}
	if err := c.sift(ctx, o); err != nil {
		return o, err
	}
	if o.chain, o.from, err = o.flight.From(); err != nil {
		c.log.Info("a first flight of somebody whose keys do not hold", "err", err)
		return o, errUnreadable
	}
	return o, nil
}

// unseal takes off the seal of a flight, under one of several sets of prekeys.
func unseal(sets []store.PrekeySet, cell []byte) (f pqxdh.Flight, err error) {
	for _, set := range sets {
		keys, err := parsePrekeys(set.Secrets)
		if err != nil {
			return f, err
		}
		if f, err = pqxdh.OpenFlight(keys.intro, cell); err == nil {
			return f, nil
		}
	}
	return f, errUnreadable
}

// takeFlight begins the session of a first flight and keeps its message. The
// same flight again, or a later one of the same session, is taken as any message.
func (c *Chat) takeFlight(t *turn, o openedFlight) (auth [32]byte, hash direct.Hash, err error) {
	hash = direct.Hash(ratchet.MessageHash(o.flight.Message))
	sid := store.SessionID(o.flight.Offer.SessionID())
	a := arrival{device: o.flight.Device, wire: o.flight.Message, relay: o.relay}
	if known, err := t.keys.Has(sid); err != nil {
		return auth, hash, err
	} else if known {
		heads, err := t.SessionHeads(a.device)
		if err != nil {
			return auth, hash, err
		}
		if !slices.ContainsFunc(heads, func(h store.SessionHead) bool { return h.ID == sid }) {
			return auth, hash, errUnreadable // it names another's session
		}
		if auth, err = t.keys.Auth(sid); err != nil {
			return auth, hash, err
		}
		_, err = c.take(t, a)
		return auth, hash, err
	}
	given, err := t.Bundle(store.BundleID(o.flight.Offer.Bundle))
	if errors.Is(err, store.ErrNotFound) {
		return auth, hash, errUsed
	}
	if err != nil {
		return auth, hash, err
	}
	if given.Invitation == nil {
		return auth, hash, errUsed
	}
	inv, err := t.Invitation(*given.Invitation)
	if err != nil {
		return auth, hash, err
	}
	if inv.Kind == identity.Reusable {
		asks, err := c.knocks(t.Tx, o, inv)
		if err != nil {
			return auth, hash, err
		}
		if asks {
			return auth, hash, c.knock(t, given, inv, o)
		}
		return c.beginBy(t, given, o, a)
	}
	if given.ConsumedBy != nil || given.OneTime == nil {
		return auth, hash, errUsed
	}
	if inv.State != store.InvitationOpen || t.now.After(inv.Expires) && o.relay == "" {
		// By mailbox a flight may have been deposited in time and come late.
		return auth, hash, errUsed
	}
	if inv.Guest != nil && *inv.Guest != o.chain.Account() {
		c.log.Warn("a first flight by an invitation for somebody else was refused")
		return auth, hash, errUsed
	}
	if known, err := t.ContactByAccount(o.chain.Account()); err == nil && !known.Blocked.IsZero() {
		return auth, hash, errNotFromYou
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return auth, hash, err
	}
	if auth, hash, err = c.beginBy(t, given, o, a); err != nil {
		return auth, hash, err
	}
	if err := t.ConsumeBundle(given.ID, sid); err != nil {
		return auth, hash, err
	}
	who, err := t.ContactByDevice(o.flight.Device)
	if err != nil {
		return auth, hash, err
	}
	if inv.Introducer != 0 {
		if err := t.SetIntroducer(who.ID, inv.Introducer); err != nil {
			return auth, hash, err
		}
	}
	t.then(c.syncBoxes)
	return auth, hash, t.SetInvitationState(inv.ID, store.InvitationUsed, who.ID)
}

// beginBy begins the session of a first flight and keeps its message. Its author is a
// contact from here on.
func (c *Chat) beginBy(t *turn, given store.Bundle, o openedFlight, a arrival) (auth [32]byte, hash direct.Hash, err error) {
	hash = direct.Hash(messageHash(a.wire))
	answered, err := c.respond(t.Tx, given, o)
	if err != nil {
		return auth, hash, err
	}
	who, err := c.person(t, o.chain)
	if err != nil {
		if errors.Is(err, problem.ContactFrozen) || errors.Is(err, problem.InvitationForged) {
			err = fmt.Errorf("%w: %w", errUnreadable, err)
		}
		return auth, hash, err
	}
	if err := t.PutDevice(store.Device{Device: o.flight.Device, Contact: who.ID, Agreement: o.flight.Agreement}); err != nil {
		return auth, hash, ignoreAs(err, store.ErrExists, errUnreadable) // the device is another contact's
	}
	_, payload, err := t.keys.Answer(answered, t.now)
	if err != nil {
		return auth, hash, unreadable(err)
	}
	t.then(func() { c.contactEvent(who, "added") })
	// First, so that what the device says stands behind the note that it is another.
	if err := c.retire(t, who, o.chain, o.flight.Device); err != nil {
		return auth, hash, err
	}
	if err := c.keep(t, who, a, store.Hash(hash), payload); err != nil {
		return auth, hash, err
	}
	if err := c.reseal(t, o.flight.Device); err != nil {
		return auth, hash, err
	}
	return answered.Secrets.Auth, hash, c.welcome(t, o.flight.Device)
}

// unreadable says errUnreadable of a message that is itself at fault: who cannot seal
// under a session does not hold the keys it names.
func unreadable(err error) error {
	if fault(err) {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return err
}

// respond is the responder's part of the handshake.
func (c *Chat) respond(tx *store.Tx, given store.Bundle, o openedFlight) (a session.Answered, err error) {
	bundle, err := identity.ParseBundle(given.Raw)
	if err != nil {
		return a, fmt.Errorf("own bundle: %w: %w", store.ErrDamaged, err)
	}
	set, err := tx.PrekeySet(given.PrekeySet)
	if err != nil {
		return a, err
	}
	keys, err := parsePrekeys(set.Secrets)
	if err != nil {
		return a, err
	}
	own := pqxdh.Prekeys{Agreement: c.agreement, Signed: keys.signed, KEM: keys.kem}
	if given.OneTime != nil {
		oneTime := identity.NewPrekeyPrivate(*given.OneTime)
		own.OneTime = &oneTime
	}
	a = session.Answered{Offer: o.flight.Offer, Prekey: keys.signed, Message: o.flight.Message}
	if a.Secrets, err = pqxdh.Respond(own, bundle, o.from, o.flight.Offer); err != nil {
		return a, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	a.Parties = ratchet.Parties{InitiatorRoot: o.from.Root, InitiatorDevice: o.from.Device, ResponderRoot: c.chain.Root(), ResponderDevice: c.me, Suite: bundle.Suite}
	return a, nil
}

// welcome answers a first flight, which ends the other side's flights.
func (c *Chat) welcome(t *turn, device identity.DevicePublic) error {
	if err := c.makeQueues(t, device); err != nil {
		return err
	}
	items, err := c.introduction(t, device)
	if err != nil {
		return err
	}
	t.then(c.syncBoxes)
	return c.queue(t, device, store.ClassProfile, 0, items...)
}

// sealFlight puts an outbox row's message into a flight, a new one each time.
func (c *Chat) sealFlight(ctx context.Context, device identity.DevicePublic, p *parcel) (cell []byte, auth [32]byte, err error) {
	var s store.Session
	err = c.store.View(ctx, func(tx *store.Tx) error {
		o, err := tx.Outgoing(p.row)
		if err != nil {
			return err
		}
		s, err = tx.Session(*o.Session)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && s.Offer == nil {
		return nil, auth, errNoSession
	}
	if err != nil {
		return nil, auth, err
	}
	in, err := parseIntro(s.Intro)
	if err != nil {
		return nil, auth, err
	}
	offer, err := pqxdh.ParseOffer(s.Offer)
	if err != nil {
		return nil, auth, err
	}
	cell, err = pqxdh.SealFlight(in.key, pqxdh.Flight{
		Chain: c.chain.Marshal(), Device: c.me, Agreement: c.agreement.Public(), Offer: offer, Message: p.wire,
	})
	return cell, s.Auth, err
}

// intro is what flights need until the first answer: the invitation, whose queues
// they go to, and the key that they are sealed to.
//
//	length 2 | link | introduction key
type intro struct {
	invitation identity.Invitation
	key        []byte
}

func (i intro) marshal() []byte {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(i.invitation.Link())) })
	b.AddBytes(i.key)
	return b.BytesOrPanic()
}

func parseIntro(raw []byte) (*intro, error) {
	s := cryptobyte.String(raw)
	var link cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&link) || len(s) != identity.IntroSize {
		return nil, fmt.Errorf("intro: %w", store.ErrDamaged)
	}
	inv, err := identity.ParseLink(string(link))
	return &intro{inv, []byte(s)}, err
}

// presence is where this device listens now.
func (c *Chat) presence() content.Presence {
	p := content.Presence{Peer: []byte(c.node.Host().ID())}
	for _, a := range c.node.PeerAddrs() {
		if a, last := ma.SplitLast(a); last != nil && last.Protocol().Code == ma.P_P2P && len(a.Bytes()) <= content.MaxAddr && len(p.Addrs) < content.MaxAddrs {
			p.Addrs = append(p.Addrs, a.Bytes())
		}
	}
	return p
}
