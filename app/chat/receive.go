package chat

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/ratchet"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

const (
	// heldFor is how long a message waits for the one before it.
	heldFor = 24 * time.Hour
	// hiddenMax is how many messages of a device wait for those before them: as
	// many as keys of missing messages are kept on one chain (crypto.md,
	// "Session"). With more the first is shown without waiting longer.
	hiddenMax = 1000
	// reacknowledge is how old an opened message must be when a copy comes
	// by mailbox to be acknowledged again: younger copies are those of the
	// other relays, an older one says that our receipt was lost.
	reacknowledge = time.Hour
)

// Why something that arrived was not kept.
var (
	errUnreadable = errors.New("chat: no session opens this message")
	errTooFar     = errors.New("chat: too many messages before this one are missing")
	errNotFromYou = errors.New("chat: from somebody who is blocked")
	errUsed       = errors.New("chat: the invitation is used, revoked or expired")
	errNoSession  = errors.New("chat: no session with this device yet")
)

// arrival is a ratchet message that came.
type arrival struct {
	device identity.DevicePublic
	wire   []byte
	relay  store.PeerID // empty: directly
	late   bool         // it came before, and nobody was told: see replay

	about map[content.ID]content.Context // what is said of the items in it
}

// take opens what arrived and keeps what is in it, all in the turn's
// transaction; only after its commit may it be acknowledged. A copy of what was
// opened before is a success. The error is one of those above if the message is
// at fault, any other if it could not be kept.
func (c *Chat) take(t *turn, a arrival) (fresh bool, err error) {
	hash := store.Hash(ratchet.MessageHash(a.wire))
	who, err := t.ContactByDevice(a.device)
	if err != nil {
		return false, err
	}
	if !served(who) {
		return false, errNotFromYou
	}
	before, err := t.keys.Preferred(a.device)
	if err != nil {
		return false, ignoreAs(err, session.ErrNoSession, errUnreadable)
	}
	sid, payload, err := t.keys.OpenAny(a.device, a.wire, t.now)
	switch {
	case errors.Is(err, session.ErrSeen):
		return false, c.seenAgain(t, a, hash)
	case errors.Is(err, ratchet.ErrTooFarAhead):
		return false, c.lost(t, who, a, hash, errTooFar)
	case errors.Is(err, session.ErrMalformed): // an answer all the same
		err = c.unknownContent(t, a, hash, a.wire, err)
	case errors.Is(err, ratchet.ErrUsed):
		// Another message than the one that was opened with these keys: the
		// author's profile was put back, or it comes later than keys are kept.
		return false, c.lost(t, who, a, hash, errUnreadable)
	case errors.Is(err, session.ErrNoSession), errors.Is(err, ratchet.ErrUnknown), errors.Is(err, ratchet.ErrForged), errors.Is(err, ratchet.ErrMalformed):
		return false, errUnreadable
	case err == nil:
		err = c.keep(t, who, a, hash, payload)
	}
	if err != nil {
		return false, err
	}
	if err := c.watchStall(t, who, sid); err != nil {
		return false, err
	}
	if sid == before.ID && before.Initiator && before.Confirmed.IsZero() {
		return true, c.confirmed(t, a.device, sid)
	}
	return true, nil
}

// lost sets aside a message that the session which it belongs to cannot open, and
// tells of it once. It returns why, if that could be kept.
func (c *Chat) lost(t *turn, who store.Contact, a arrival, hash store.Hash, why error) error {
	known, err := t.IsAside(hash)
	if err != nil {
		return err
	}
	if known {
		return why
	}
	c.log.Warn("a message was set aside: the session has to be begun anew")
	if err := t.SetAside(store.Aside{Hash: hash, Device: &a.device, Relay: a.relay, Wire: a.wire, Reason: string(problem.SessionLost), At: t.now}); err != nil {
		return err
	}
	t.then(func() { c.contactEvent(who, "session lost") })
	return why
}

// watchStall tells once of a session whose other side withholds the post-quantum
// half: messages are then safe against today's computers only.
func (c *Chat) watchStall(t *turn, who store.Contact, sid store.SessionID) error {
	stats, err := t.keys.Stats(sid)
	if err != nil {
		return err
	}
	switch {
	case stats.Stalled == c.stalled[sid]:
	case stats.Stalled:
		t.then(func() {
			if c.stalled[sid] {
				return // by another message of this turn
			}
			c.stalled[sid] = true
			c.log.Warn("a session has had no new post-quantum key for long", "steps", stats.Steps)
			c.contactEvent(who, "stalled")
		})
	default:
		t.then(func() { delete(c.stalled, sid) })
	}
	return nil
}

// seenAgain acknowledges a copy of what was opened long ago: our receipt was lost.
func (c *Chat) seenAgain(t *turn, a arrival, hash store.Hash) error {
	if a.relay == "" {
		return nil // the line answers for it
	}
	seen, err := t.Seen(hash)
	if err == nil && t.now.Sub(seen.At) > reacknowledge {
		t.receipt(a.device, hash)
	}
	return err
}

// keep keeps what was in an opened message.
func (c *Chat) keep(t *turn, who store.Contact, a arrival, hash store.Hash, payload []byte) error {
	p, err := content.Parse(payload)
	if err != nil {
		return c.unknownContent(t, a, hash, payload, err)
	}
	a.about = c.contexts(p.Items)
	wants := false
	for _, item := range p.Items {
		wants = wants || item.Flags&content.WantsReceipt != 0
		if err := c.takeItem(t, &who, a, item); err != nil {
			return err
		}
	}
	if wants && (a.relay != "" || a.late) {
		t.receipt(a.device, hash)
	}
	return nil
}

// contexts are what a payload says of its own items, by their ids.
func (c *Chat) contexts(items []content.Item) map[content.ID]content.Context {
	var all map[content.ID]content.Context
	for _, item := range items {
		if item.Kind != content.KindContext || item.Flags&content.Numbered != 0 {
			continue
		}
		about, err := content.ParseContext(item.Body)
		if err != nil {
			c.log.Warn("passed over something malformed", "kind", item.Kind.String(), "err", err)
			continue
		}
		if all == nil {
			all = make(map[content.ID]content.Context)
		}
		all[about.Of] = about
	}
	return all
}

// unknownContent keeps what is authentic, and yet nothing that we can read, for a
// version that can, so that it is not sent for ever.
func (c *Chat) unknownContent(t *turn, a arrival, hash store.Hash, raw []byte, why error) error {
	c.log.Warn("the content of a message is malformed", "err", why)
	return t.SetAside(store.Aside{Hash: hash, Device: &a.device, Relay: a.relay, Wire: raw, Reason: string(problem.ContentUnknown), At: t.now})
}

// takeItem acts upon one item. A body that is malformed is logged and passed
// over: what else came with it is good.
func (c *Chat) takeItem(t *turn, who *store.Contact, a arrival, item content.Item) error {
	if item.Flags&content.Numbered != 0 {
		return c.takeNumbered(t, *who, a, item)
	}
	var err error
	switch item.Kind {
	case content.KindReceipt:
		var r content.Receipt
		if r, err = content.ParseReceipt(item.Body); err == nil {
			return c.takeReceipt(t, a, r)
		}
	case content.KindRead:
		var r content.Read
		if r, err = content.ParseRead(item.Body); err == nil {
			return c.takeRead(t, *who, a, r)
		}
	case content.KindProfile:
		var p content.Profile
		if p, err = content.ParseProfile(item.Body); err == nil {
			return c.takeProfile(t, who, p)
		}
	case content.KindDescriptors:
		var d content.Descriptors
		if d, err = content.ParseDescriptors(item.Body); err == nil {
			return c.takeDescriptors(t, a.device, d)
		}
	case content.KindPresence:
		var p content.Presence
		if p, err = content.ParsePresence(item.Body); err == nil {
			return c.takePresence(t, a.device, item.Sent, p)
		}
	case content.KindRendezvous:
		var r content.Rendezvous
		if r, err = content.ParseRendezvous(item.Body); err == nil {
			return c.takeRendezvous(t, a.device, item.Sent, r)
		}
	case content.KindKeeping:
		var k content.Keeping
		if k, err = content.ParseKeeping(item.Body); err == nil {
			return c.takeKeeping(t, a.device, item.Sent, k)
		}
	case content.KindManifest:
		var m content.Manifest
		if m, err = content.ParseManifest(item.Body); err == nil {
			return c.takeManifest(t, m)
		}
	case content.KindContext:
		return nil // see contexts
	case content.KindTyping:
		var y content.Typing
		if y, err = content.ParseTyping(item.Body); err == nil {
			return c.takeTyping(t, *who, a, y)
		}
	case content.KindGaveUp:
		var g content.GaveUp
		if g, err = content.ParseGaveUp(item.Body); err == nil {
			return c.takeGaveUp(t, *who, a.device, g)
		}
	default:
		c.log.Info("passed over something of a newer version", "kind", item.Kind.String())
		return nil
	}
	c.log.Warn("passed over something malformed", "kind", item.Kind.String(), "err", err)
	return nil
}

// takeNumbered keeps something said, and shows it if its turn has come.
func (c *Chat) takeNumbered(t *turn, who store.Contact, a arrival, item content.Item) error {
	if item.Kind.Local() {
		c.log.Warn("passed over a note that only this device makes")
		return nil
	}
	conv, err := c.conversation(t.Tx, who)
	if err != nil {
		return err
	}
	if item.Place.Conversation != content.ConversationID(conv.Conversation) {
		c.log.Warn("passed over a message of a conversation that its author is not in")
		return nil
	}
	s, err := t.Stream(a.device, conv.ID)
	if err != nil {
		return err
	}
	if item.Place.Seq > max(s.NextSeq, 1) {
		if s, err = c.roomToWait(t, who, s); err != nil {
			return err
		}
	}
	if s.NextSeq == 0 {
		s.NextSeq = 1
	}
	m := store.Message{
		Message: store.MessageID(item.ID), Conversation: conv.ID, Author: a.device, Seq: item.Place.Seq, Prev: item.Place.Prev,
		Sent: item.Sent, At: t.now, Kind: int(item.Kind), Body: item.Body, State: store.Received, Shown: item.Place.Seq <= s.NextSeq,
		Silent: item.Kind.Acts(),
	}
	framed(&m, a.about[item.ID])
	if !m.Shown {
		m.ShowBy = t.now.Add(heldFor)
	}
	again := m.Seq == s.NextSeq && m.Prev != s.Prev
	if m.Seq < s.NextSeq { // or late: it was not waited for any more
		if again, err = t.Numbered(a.device, conv.ID, m.Seq); err != nil {
			return err
		}
	}
	if again {
		// A second message of this number: the author's profile was copied or
		// put back. What they said is shown all the same.
		m.Reason = string(problem.Renumbered)
	}
	m.ID, err = t.InsertMessage(m)
	if errors.Is(err, store.ErrExists) {
		return nil // sealed anew after a session was reset
	}
	if err != nil || !m.Shown {
		return err
	}
	if err := c.shown(t, who, m, m.Seq < s.NextSeq); err != nil {
		return err
	}
	if m.Seq == s.NextSeq {
		return c.advance(t, who, s, item.Hash())
	}
	return nil
}

// roomToWait sees that one more message of a stream can wait for its predecessor: a
// device whose messages never come in order must not fill the database with what
// nobody sees.
func (c *Chat) roomToWait(t *turn, who store.Contact, s store.Stream) (store.Stream, error) {
	n, err := t.CountHidden(s.Device, s.Conversation)
	if err != nil || n < hiddenMax {
		return s, err
	}
	first, err := t.NextHidden(s.Device, s.Conversation, math.MaxInt64)
	if err != nil {
		return s, err
	}
	if err := c.skipTo(t, who, first); err != nil {
		return s, err
	}
	return t.Stream(s.Device, s.Conversation)
}

// advance moves a stream past its next item, which has the given hash, and
// shows what waited for that.
func (c *Chat) advance(t *turn, who store.Contact, s store.Stream, hash [32]byte) error {
	s.NextSeq, s.Prev = s.NextSeq+1, hash
	for {
		m, err := t.NextHidden(s.Device, s.Conversation, s.NextSeq)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if m.Seq < s.NextSeq || m.Prev != s.Prev {
			m.Reason = string(problem.Renumbered)
		}
		if err := c.show(t, who, &m); err != nil {
			return err
		}
		if m.Seq == s.NextSeq {
			s.NextSeq++
			if s.Prev, err = c.itemHash(t.Tx, m); err != nil {
				return err
			}
		}
	}
	return t.PutStream(s)
}

// show shows a message that waited.
func (c *Chat) show(t *turn, who store.Contact, m *store.Message) (err error) {
	if m.ID, err = t.Show(m.ID, t.now); err != nil {
		return err
	}
	if m.Reason != "" {
		if err := t.SetState(m.ID, m.State, m.Reason); err != nil {
			return err
		}
	}
	m.Shown = true
	return c.shown(t, who, *m, false)
}

// itemHash is the hash of the item that a message of another's was, before anything was
// done to it.
func (c *Chat) itemHash(tx *store.Tx, m store.Message) (hash [32]byte, err error) {
	conv, err := tx.Conversation(m.Conversation)
	if err != nil {
		return hash, fmt.Errorf("conversation of message %d: %w", m.ID, err)
	}
	item := content.Item{
		Flags: content.Numbered | content.WantsReceipt, ID: content.ID(m.Message), Sent: m.Sent, Kind: content.Kind(m.Kind), Body: m.Body,
		Place: content.Place{Conversation: content.ConversationID(conv.Conversation), Seq: m.Seq, Prev: m.Prev},
	}
	return item.Hash(), nil
}

// shown tells of a message whose turn has come, or does what it is for. late says that
// its turn was over.
func (c *Chat) shown(t *turn, who store.Contact, m store.Message, late bool) error {
	if m.Silent {
		return c.perform(t, who, m, late)
	}
	take := func(*turn, store.Contact, *store.Message) error { return nil }
	switch content.Kind(m.Kind) {
	case content.KindTimer:
		take = c.takeTimer
	case content.KindIntroduction:
		take = c.takeIntroduction
	}
	if err := take(t, who, &m); err != nil {
		return err
	}
	m, err := c.performEarly(t, who, m)
	if err != nil {
		return err
	}
	return c.tellNew(t, who, m)
}

// takeGaveUp moves past an item that will not come any more.
func (c *Chat) takeGaveUp(t *turn, who store.Contact, device identity.DevicePublic, g content.GaveUp) error {
	conv, err := c.conversation(t.Tx, who)
	if err != nil || g.Conversation != content.ConversationID(conv.Conversation) {
		return err
	}
	s, err := t.Stream(device, conv.ID)
	if err != nil {
		return err
	}
	if s.NextSeq == 0 {
		s.NextSeq = g.Seq // we are a new device: this says where we come in
	}
	if g.Seq != s.NextSeq {
		return nil // an earlier one is missing too; its own note or the time will move us
	}
	return c.advance(t, who, s, g.Hash)
}

// takeReceipt notes what the other device says it has.
func (c *Chat) takeReceipt(t *turn, a arrival, r content.Receipt) error {
	for _, h := range r.Hashes {
		o, err := t.OutgoingByHash(store.Hash(h))
		if errors.Is(err, store.ErrNotFound) || err == nil && o.Device != a.device {
			continue // known already, or not this device's to say
		}
		if err != nil {
			return err
		}
		taken, err := t.Acknowledge(store.Hash(h))
		if err != nil {
			return err
		}
		if err := c.delivered(t, taken, store.Evidence{Path: store.PathMailbox, Peer: a.relay, What: store.WhatReceipt, Proof: h[:]}); err != nil {
			return err
		}
		t.then(func() { c.courier(a.device).done(h) })
	}
	return nil
}

// takeRead notes what the other person says to have read, if such things are shared here
// too.
func (c *Chat) takeRead(t *turn, who store.Contact, a arrival, r content.Read) error {
	if !c.readReceipts.Load() {
		return nil
	}
	for _, id := range r.IDs {
		m, err := t.MessageByID(store.MessageID(id))
		if errors.Is(err, store.ErrNotFound) || err == nil && (!m.Mine || m.State == store.Failed || m.State == store.Read) {
			continue
		}
		if err != nil {
			return err
		}
		conv, err := t.Conversation(m.Conversation)
		if err != nil {
			return err
		}
		if conv.Contact != who.ID {
			continue
		}
		e := store.Evidence{Message: m.ID, Device: a.device, At: t.now, Path: store.PathMailbox, What: store.WhatReceipt}
		if err := t.AddEvidence(e); err != nil {
			return err
		}
		if err := c.setState(t, m, store.Read, ""); err != nil {
			return err
		}
	}
	return nil
}

// takeProfile keeps what people call themselves, and calls them so if nobody
// else is and the name is fit.
func (c *Chat) takeProfile(t *turn, who *store.Contact, p content.Profile) error {
	if p.Name == who.Name && who.Petname != "" {
		return nil
	}
	change := "renamed"
	who.Name = p.Name
	if who.Petname == "" && CheckName(p.Name) == nil {
		free, err := nameIsFree(t, p.Name, who.ID)
		if err != nil {
			return err
		}
		if free {
			who.Petname = p.Name
		}
	}
	if err := t.UpdateContact(*who); err != nil {
		return err
	}
	now := *who
	t.then(func() { c.contactEvent(now, change) })
	return nil
}

// nameIsFree says whether nobody but the contact of the row is called this or something
// that looks like it, and nobody's account id starts with it.
func nameIsFree(t *turn, name string, row int64) (bool, error) {
	if _, err := t.ContactByPetname(name); !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	k, err := knownNames(t.Tx)
	if err != nil || k.like(name, row) != "" {
		return false, err
	}
	other, err := beginsID(t.Tx, name, 0)
	return !other, err
}

// beginsID says whether the account id of a contact, but for the one of the row,
// begins with a name and would be found by it.
func beginsID(tx *store.Tx, name string, but int64) (bool, error) {
	if len(name) < MinPrefix {
		return false, nil
	}
	people, err := tx.Contacts()
	return slices.ContainsFunc(people, func(p store.Contact) bool {
		return p.ID != but && strings.HasPrefix(p.Account.String(), strings.ToLower(name))
	}), err
}

// takeDescriptors keeps where the device reads from now on.
func (c *Chat) takeDescriptors(t *turn, device identity.DevicePublic, d content.Descriptors) error {
	var queues []store.TheirQueue
	for i, raw := range slices.Concat(d.List, d.Extra) {
		one, err := mailbox.ParseDescriptor(raw)
		if err != nil {
			c.log.Warn("passed over a descriptor", "err", err)
			continue
		}
		if slices.ContainsFunc(queues, func(q store.TheirQueue) bool { return q.Relay == store.PeerID(one.Relay) }) {
			c.log.Warn("passed over a second descriptor of one relay")
			continue
		}
		q := store.TheirQueue{Device: device, Relay: store.PeerID(one.Relay), Seed: one.Seed, Epoch0: one.Epoch0, N: uint32(one.N), Expires: one.Expiry, Version: int64(d.Version), Extra: i >= len(d.List)}
		q.Addrs = addrBytes(one.Addrs)
		queues = append(queues, q)
	}
	newer, err := t.PutTheirQueues(device, int64(d.Version), queues)
	if newer {
		t.then(func() { c.courier(device).changed() })
	}
	return err
}

// takePresence keeps where the device listens. What comes is an hour old at most,
// so that after as long it is newer than what is known, whatever the clocks say.
func (c *Chat) takePresence(t *turn, device identity.DevicePublic, told time.Time, p content.Presence) error {
	known, err := t.Address(device)
	switch {
	case err == nil && t.now.Sub(known.Seen).Abs() > presenceTTL && !told.After(known.Told):
		told = known.Told.Add(time.Millisecond)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	}
	newer, err := t.PutAddress(store.Address{Device: device, Peer: store.PeerID(p.Peer), Addrs: p.Addrs, Told: told, Seen: t.now})
	if newer {
		t.then(func() { c.courier(device).told() })
	}
	return err
}

// receipt notes that a ratchet message that came by mailbox is to be
// acknowledged; flushReceipts does so at the end of the turn.
func (t *turn) receipt(device identity.DevicePublic, hash store.Hash) {
	if t.receipts == nil {
		t.receipts = make(map[identity.DevicePublic][][32]byte)
	}
	t.receipts[device] = append(t.receipts[device], hash)
}

func (c *Chat) flushReceipts(t *turn) error {
	for device, hashes := range t.receipts {
		for len(hashes) > 0 {
			n := min(len(hashes), content.MaxReceipts)
			body, err := content.Receipt{Hashes: hashes[:n]}.Marshal()
			item, err := loose(t.now, content.KindReceipt, 0, body, err)
			if err != nil {
				return err
			}
			if err := c.queue(t, device, store.ClassReceipt, 0, item); err != nil {
				return err
			}
			hashes = hashes[n:]
		}
	}
	return nil
}

// fault says whether an error of a session is the message's own.
func fault(err error) bool {
	for _, is := range []error{session.ErrSeen, session.ErrMalformed, session.ErrNoSession, ratchet.ErrUnknown, ratchet.ErrForged, ratchet.ErrMalformed,
		ratchet.ErrUsed, ratchet.ErrTooFarAhead, ratchet.ErrSelf, identity.ErrKey} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func messageHash(wire []byte) store.Hash { return store.Hash(ratchet.MessageHash(wire)) }
