package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
)

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
