package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// What the states of our messages rest on:
//
//	queued     a row in the outbox, and a reason if one is known
//	kept       receipts of min(2, relays named) relays, checked against their
//	           keys, in deposits and evidence
//	delivered  the device's acknowledgement: a MAC under the session's key over
//	           the message's hash (direct), or a Receipt inside the session
//	read       a Read inside the session
//	failed     past its expiry, or refused for good, with the reason
//
// States only rise, with two exceptions: failed ends a message that is neither
// delivered nor read, and kept falls back to queued when the receipts that it
// rests on have ended and no relay signed new ones, or are of a session that was
// begun anew.
func rank(s store.State) int {
	return slices.Index([]store.State{store.Queued, store.Kept, store.Delivered, store.Read}, s)
}

// setState raises a message's state, or changes the reason for it, and tells.
func (c *Chat) setState(t *turn, m store.Message, state store.State, reason problem.Code) error {
	lapsed := m.State == store.Kept && state == store.Queued
	if m.State == store.Failed || state != store.Failed && rank(state) < rank(m.State) && !lapsed {
		return nil
	}
	if m.State == state && m.Reason == string(reason) && state != store.Kept {
		return nil
	}
	if err := t.SetState(m.ID, state, string(reason)); err != nil {
		return err
	}
	m.State, m.Reason = state, string(reason)
	if m.Timer != 0 && state != store.Queued && state != store.Failed {
		who, err := correspondent(t.Tx, m.Conversation)
		if err != nil {
			return err
		}
		if err := c.countDown(t, who, m); err != nil {
			return err
		}
	}
	sent, err := c.sentView(t.Tx, m)
	if err != nil {
		return err
	}
	emit := c.events.emit
	if m.Silent {
		emit = c.events.emitToFollowers // nobody else knows the id
	} else {
		t.touch(sent.Conversation)
	}
	t.then(func() { emit(api.StateEvent(t.now, sent)) })
	return nil
}

// judge works out how far a message has come by what relays signed.
func (c *Chat) judge(t *turn, message int64) error {
	m, err := t.Message(message)
	if err != nil || m.State != store.Queued && m.State != store.Kept {
		return err
	}
	copies, err := c.copies(t.Tx, m)
	if err != nil {
		return err
	}
	switch enough := min(keptEnough, copies.Named); {
	case copies.Named == 0:
		return c.setState(t, m, store.Queued, copies.unnamed())
	case copies.Kept < enough:
		return c.setState(t, m, store.Queued, copies.reason)
	case copies.Kept < keptWanted && copies.Named < keptWanted:
		return c.setState(t, m, store.Kept, problem.FewRelays)
	case copies.Kept < copies.Named:
		return c.setState(t, m, store.Kept, copies.reason)
	}
	return c.setState(t, m, store.Kept, "")
}

// alone says whether nobody at all can be reached, neither a relay of ours, though there
// are some, nor a contact: it is our own network then.
func (c *Chat) alone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ours := 0
	for _, b := range c.boxes {
		if b.view().State != relayUnreachable {
			return false
		}
		if b.relay.Friend == nil {
			ours++
		}
	}
	for _, k := range c.couriers {
		if k.isConnected() {
			return false
		}
	}
	return ours > 0
}

// reason is why a message of ours has not come further, in words.
func (c *Chat) reason(m store.Message) string {
	if m.State == store.Queued && m.Reason == string(problem.RelayUnreached) && c.alone() {
		return Reason(string(problem.NoRelayReached))
	}
	return Reason(m.Reason)
}

// unkept judges a message anew that is kept no more where it was: the other side may
// have lost the session that relays keep it in.
func (c *Chat) unkept(t *turn, message int64) error {
	m, err := t.Message(message)
	if err != nil || m.State != store.Kept {
		return err
	}
	return c.judge(t, message)
}

// outOfTouch is how long none of a device's relays may have taken a message before
// that is taken to last.
const outOfTouch = 24 * time.Hour

// copies counts the relays that keep a message, for the device that has the
// fewest, and says why it is not more.
type copies struct {
	api.Copies
	until  time.Time    // of the receipt that ends first
	reason problem.Code // of a relay that refused; may be empty
}

// unnamed is why nothing is kept for a device that named no relay.
func (n copies) unnamed() problem.Code {
	if n.Extra > 0 {
		return problem.OnlyFriends
	}
	return problem.NoRelayNamed
}

func (c *Chat) copies(tx *store.Tx, m store.Message) (least copies, err error) {
	rows, err := tx.OutgoingOf(m.ID)
	if err != nil {
		return least, err
	}
	for i, o := range rows {
		one := copies{Copies: api.Copies{Wanted: keptWanted}}
		places, _, err := c.places(tx, o.Device)
		if err != nil {
			return least, err
		}
		silent := make(map[store.PeerID]bool) // relays named that have not taken it for long
		for _, at := range places {
			if (at.intro != nil) == o.Flight && (!o.Flight || at.session == *o.Session) && !at.extra {
				one.Named++
				silent[store.PeerID(at.relay.ID)] = false
			}
		}
		deposits, err := tx.Deposits(o.ID)
		if err != nil {
			return least, err
		}
		for _, d := range deposits {
			if d.Extra {
				if d.Receipt != nil && time.Now().Before(d.Until) {
					one.Extra++
				}
				continue
			}
			if d.Receipt == nil {
				one.reason = problem.Code(d.Reason)
				if _, named := silent[d.Relay]; named {
					silent[d.Relay] = isGone(one.reason) && time.Since(d.At) >= outOfTouch
				}
				continue
			}
			if !time.Now().Before(d.Until) {
				one.reason = problem.CopyEnded // it promises nothing any more
				continue
			}
			if evictable(d.Receipt) {
				one.Left++
				continue
			}
			one.Kept++
			if one.until.IsZero() || d.Until.Before(one.until) {
				one.until = d.Until
			}
		}
		if one.Named > 0 && !slices.Contains(slices.Collect(maps.Values(silent)), false) {
			one.reason = problem.OutOfTouch
		}
		// A relay that the device has given up since may still keep a copy.
		one.Named = max(one.Named, one.Kept+one.Left)
		if one.Left > 0 {
			one.reason = problem.MayBeDisplaced
		}
		if i == 0 || one.Kept < least.Kept {
			least = one
		}
	}
	return least, nil
}

// delivered notes that a device has what an outbox row carried.
func (c *Chat) delivered(t *turn, taken store.Taken, e store.Evidence) error {
	switch taken.Class {
	case store.ClassDescriptors:
		// Only the newest descriptors are in the outbox: these were they.
		return errors.Join(t.AcknowledgeQueues(taken.Device, 1<<62, t.now), t.LeaveQueues(taken.Device, t.now))
	case store.ClassPresence:
		t.then(func() { c.acquainted(taken.Device) }) // there is only one, and it is this start's
		return nil
	case store.ClassRendezvous:
		return t.TellSeeds(taken.Device, taken.Created, t.now)
	case store.ClassMessage:
	default:
		return nil
	}
	if taken.Message == 0 {
		return nil
	}
	e.Message, e.Device, e.At = taken.Message, taken.Device, t.now
	if err := t.AddEvidence(e); err != nil {
		return err
	}
	m, err := t.Message(taken.Message)
	if err != nil {
		return err
	}
	return c.setState(t, m, store.Delivered, "")
}

// recordAcks notes what a device acknowledged over a direct connection. What is lost
// of that is sent and acknowledged again.
func (c *Chat) recordAcks(device identity.DevicePublic, via []byte, acks []direct.Ack) error {
	return c.update(context.Background(), func(t *turn) error {
		t.mayWait()
		for _, a := range acks {
			taken, err := t.Acknowledge(store.Hash(a.Hash))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			proof := append(a.Hash[:], a.MAC[:]...)
			e := store.Evidence{Path: store.PathDirect, Peer: store.PeerID(via), What: store.WhatAck, Proof: proof}
			if err := c.delivered(t, taken, e); err != nil {
				return err
			}
		}
		t.then(func() {
			k := c.courier(device)
			for _, a := range acks {
				k.done(a.Hash)
			}
		})
		return nil
	})
}

// receiptProof is the evidence of a deposit: what the receipt is for, and the
// receipt itself (mailbox.Receipt.Verify takes all three).
func receiptProof(q mailbox.QID, cell mailbox.CellID, receipt []byte) []byte {
	b := append(q[:], cell[:]...)
	return append(b, receipt...)
}

// depositReason is a relay's failure as a problem.
func (c *Chat) depositReason(err error) problem.Code {
	switch {
	case c.routing == OnlyPrivate && errors.Is(err, node.ErrNoCircuit):
		return problem.NoOtherRelay
	case errors.Is(err, mailbox.ErrBadReceipt):
		return problem.RelayUnproven
	case errors.Is(err, mailbox.ErrWork):
		return problem.RelayRefused
	case errors.Is(err, mailbox.ErrQuota), errors.Is(err, mailbox.ErrBoxFull):
		return problem.BoxFull
	case errors.Is(err, mailbox.ErrFull), errors.Is(err, mailbox.ErrDamaged):
		return problem.RelayFull
	case errors.Is(err, mailbox.ErrUnknownQueue), errors.Is(err, mailbox.ErrEpoch), errors.Is(err, mailbox.ErrSignature), errors.Is(err, mailbox.ErrLease):
		return problem.RelayRefused
	}
	return problem.RelayUnreached
}

// isGone says whether a relay does not answer for a contact any more.
func isGone(c problem.Code) bool { return c == problem.RelayUnreached || c == problem.RelayRefused }

// lapse notes which receipts have ended, and judges their messages anew: one that
// too few relays promise to keep now waits on this device only, and is said to.
func (c *Chat) lapse(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Deposit, error) { return tx.ExpiringDeposits(time.Now()) }, c.lapsed)
}

func (c *Chat) lapsed(t *turn, d store.Deposit) error {
	o, err := t.Outgoing(d.Outbox)
	if err != nil {
		return ignore(err, store.ErrNotFound) // acknowledged meanwhile
	}
	now, err := t.Deposits(o.ID)
	if err != nil {
		return err
	}
	for _, n := range now {
		if n.Relay != d.Relay || !n.Until.Equal(d.Until) {
			continue
		}
		n.Reason = string(problem.CopyEnded)
		if err := t.PutDeposit(n); err != nil {
			return err
		}
	}
	if o.Class != store.ClassMessage || o.Message == 0 {
		return nil
	}
	return c.judge(t, o.Message)
}

// giveUp fails what is past its expiry and tells the other side not to wait.
func (c *Chat) giveUp(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Message, error) { return tx.Expired(time.Now()) }, func(t *turn, m store.Message) error {
		m, err := t.Message(m.ID)
		if err != nil || m.State != store.Queued && m.State != store.Kept {
			return ignore(err, store.ErrNotFound)
		}
		return c.expire(t, m)
	})
}

func (c *Chat) expire(t *turn, m store.Message) error {
	rows, err := t.OutgoingOf(m.ID)
	if err != nil {
		return err
	}
	for _, o := range rows {
		if _, err := t.Withdraw(o.ID); err != nil {
			return err
		}
		hash := [32]byte{}
		if o.Hash != nil {
			hash = *o.Hash
		}
		said, err := numbered(o)
		if err != nil {
			return err
		}
		note := content.GaveUp{Conversation: said.Place.Conversation, Seq: said.Place.Seq, Hash: said.Hash()}
		body, err := note.Marshal()
		item, err := loose(t.now, content.KindGaveUp, content.WantsReceipt, body, err)
		if err != nil {
			return err
		}
		t.note(o.Device, item)
		t.then(func() { c.courier(o.Device).done(hash) })
	}
	return c.setState(t, m, store.Failed, problem.Expired)
}

// numbered is the item with a place in a conversation that a row of the outbox carries.
// The message itself may have been edited or deleted since.
func numbered(o store.Outgoing) (content.Item, error) {
	p, err := content.Parse(o.Item)
	if err != nil {
		return content.Item{}, err
	}
	for _, item := range p.Items {
		if item.Flags&content.Numbered != 0 {
			return item, nil
		}
	}
	return content.Item{}, fmt.Errorf("row %d of the outbox carries nothing that was said", o.ID)
}

// note tells a device that a message was given up; flushNotes does so at the end of
// the turn.
func (t *turn) note(device identity.DevicePublic, item content.Item) {
	if t.notes == nil {
		t.notes = make(map[identity.DevicePublic][]content.Item)
	}
	t.notes[device] = append(t.notes[device], item)
}

// maxNotes is how many notes go together: some 33 KB.
const maxNotes = content.MaxItems

// flushNotes queues what was noted, in the order of the messages and with what was noted before
// and not acknowledged yet: the reader moves past them one after the other, and by
// themselves they could overtake each other.
func (c *Chat) flushNotes(t *turn) error {
	for device, items := range t.notes {
		before, err := c.takeBackNotes(t, device)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(append(before, items...), maxNotes) {
			if err := c.queue(t, device, store.ClassProfile, 0, chunk...); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeBackNotes withdraws the notes that wait for a device, to be sent with later ones.
func (c *Chat) takeBackNotes(t *turn, device identity.DevicePublic) (notes []content.Item, err error) {
	err = c.eachPending(t, device, func(o *store.Outgoing) error {
		if o.Class != store.ClassProfile {
			return nil
		}
		p, err := content.Parse(o.Item)
		if err != nil || slices.ContainsFunc(p.Items, func(i content.Item) bool { return i.Kind != content.KindGaveUp }) {
			return err
		}
		notes = append(notes, p.Items...)
		_, err = t.Withdraw(o.ID)
		return err
	})
	return notes, err
}

// showOverdue shows what waited long enough for the message before it.
func (c *Chat) showOverdue(ctx context.Context) error {
	return forEach(ctx, c, func(tx *store.Tx) ([]store.Message, error) { return tx.Overdue(time.Now()) }, func(t *turn, m store.Message) error {
		m, err := t.Message(m.ID)
		if err != nil || m.Shown {
			return ignore(err, store.ErrNotFound) // shown by the one before it, and renumbered
		}
		who, err := t.ContactByDevice(m.Author)
		if err != nil {
			return err
		}
		return c.skipTo(t, who, m)
	})
}

// skipTo shows a message that waits, without what should come before it, and what
// follows it.
func (c *Chat) skipTo(t *turn, who store.Contact, m store.Message) error {
	s, err := t.Stream(m.Author, m.Conversation)
	if err != nil {
		return err
	}
	hash, err := c.itemHash(t.Tx, m)
	if err != nil {
		return err
	}
	if err := c.show(t, who, &m); err != nil || m.Seq < s.NextSeq {
		return err
	}
	s.NextSeq = m.Seq
	return c.advance(t, who, s, hash)
}

// views

// sentView is how far a message of ours has come, as the API tells it.
func (c *Chat) sentView(tx *store.Tx, m store.Message) (api.Sent, error) {
	v := api.Sent{ID: content.ID(m.Message).String(), State: api.State(m.State), Reason: c.reason(m)}
	account, err := tx.Correspondent(m.Conversation)
	if err != nil {
		return v, err
	}
	v.Conversation = accountID(account)
	if m.State != store.Queued && m.State != store.Kept {
		return v, nil
	}
	n, err := c.copies(tx, m)
	if err != nil {
		return v, err
	}
	v.Relays = &n.Copies
	v.Expires = api.Time{Time: m.Expires}
	if m.State == store.Kept {
		v.Expires = api.Time{Time: n.until}
	}
	switch {
	case m.State != store.Queued || v.Reason != "":
	case n.Named == 0:
		v.Reason = Reason(string(n.unnamed()))
	case time.Since(m.At) > directPatience:
		m.Reason, err = c.ahead(tx, m)
		v.Reason = c.reason(m)
	}
	return v, err
}

// ahead is what hinders the messages before one that was not tried yet: only so many are
// under way at once. It is empty if there is nothing that does.
func (c *Chat) ahead(tx *store.Tx, m store.Message) (reason string, err error) {
	rows, err := tx.OutgoingOf(m.ID)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	const enough = 8 // the first may be something else than messages
	first, err := tx.Pending(rows[0].Device, 0, enough)
	for _, o := range first {
		if o.ID >= rows[0].ID || err != nil {
			break
		}
		var deposits []store.Deposit
		deposits, err = tx.Deposits(o.ID)
		for _, d := range deposits {
			if d.Receipt == nil {
				reason = d.Reason
			}
		}
	}
	return reason, err
}

// Reason is a stored problem code in words, with the code for `godwit explain`.
func Reason(code string) string {
	if code == "" {
		return ""
	}
	return problem.Code(code).Error()
}
