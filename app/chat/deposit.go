package chat

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// place is a relay where a device reads.
type place struct {
	relay      peer.AddrInfo
	hops       []peer.AddrInfo     // through which it is reached, in the order to be tried
	descriptor *mailbox.Descriptor // the device's; nil while only flights can go
	intro      *intro              // the invitation's, for flights of
	session    store.SessionID     // this session
	extra      bool                // a computer that is only on now and then: what it keeps counts for nothing
}

// depositResult is what became of one parcel at one relay.
type depositResult struct {
	parcel *parcel
	proof  []byte // of the receipt, see receiptProof
	cell   []byte // that was left, if the same is to be left again
	until  time.Time
	via    peer.ID // through which relay; empty: straight, or not known
	err    error
}

// isServed is served for the owner of a device.
func isServed(tx *store.Tx, device identity.DevicePublic) (bool, error) {
	who, err := tx.ContactByDevice(device)
	return err == nil && served(who), ignore(err, store.ErrNotFound)
}

// places are the relays where a device reads now, and where it listens.
func (c *Chat) places(tx *store.Tx, device identity.DevicePublic) (list []place, at peer.AddrInfo, err error) {
	addr, err := tx.Address(device)
	switch {
	case err == nil:
		at = peer.AddrInfo{ID: peer.ID(addr.Peer), Addrs: multiaddrs(addr.Addrs)}
	case !errors.Is(err, store.ErrNotFound):
		return nil, at, err
	}
	queues, err := tx.TheirQueues(device)
	if err != nil {
		return nil, at, err
	}
	for _, q := range queues {
		straight, circuits := splitPlaces(multiaddrs(q.Addrs))
		relay := peer.AddrInfo{ID: peer.ID(q.Relay), Addrs: straight}
		list = append(list, place{relay: relay, hops: node.Hops(c.node.Mode(), circuits), descriptor: &mailbox.Descriptor{
			Relay: relay.ID, Addrs: relay.Addrs, Seed: q.Seed, Epoch0: q.Epoch0, N: uint16(q.N), Expiry: q.Expires,
		}, extra: q.Extra})
	}
	heads, err := tx.SessionHeads(device)
	if err != nil {
		return nil, at, err
	}
	for _, h := range heads {
		if !h.Initiator || !h.Confirmed.IsZero() {
			continue
		}
		s, err := tx.Session(h.ID)
		if err != nil {
			return nil, at, err
		}
		in, err := parseIntro(s.Intro)
		if err != nil {
			return nil, at, err
		}
		for _, at := range c.hintedPlaces(in.invitation) {
			at.intro, at.session = in, h.ID
			list = append(list, at)
		}
	}
	return list, at, c.orderHops(tx, device, list)
}

// takes says whether a parcel can go to a place: flights go to the queues of
// the invitation that their session came from, and nothing else does.
func (at place) takes(p *parcel) bool {
	if at.intro != nil {
		return p.flight && p.session == at.session
	}
	return !p.flight
}

// key tells places of one device apart.
func (at place) key() placeKey { return placeKey{at.relay.ID, at.session} }

type placeKey struct {
	relay   peer.ID
	session store.SessionID
}

// multiaddrs decodes addresses and passes over what is none.
func multiaddrs(raw [][]byte) (list []ma.Multiaddr) {
	for _, b := range raw {
		if a, err := ma.NewMultiaddrBytes(b); err == nil {
			list = append(list, a)
		}
	}
	return list
}

// addrBytes encodes addresses.
func addrBytes(list []ma.Multiaddr) (raw [][]byte) {
	for _, a := range list {
		raw = append(raw, a.Bytes())
	}
	return raw
}

// readPlaces reads where things for a device can go: nowhere while its owner is
// blocked or removed.
func (c *Chat) readPlaces(ctx context.Context, device identity.DevicePublic) (list []place, at peer.AddrInfo, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if ok, err := isServed(tx, device); err != nil || !ok {
			return err
		}
		list, at, err = c.places(tx, device)
		return err
	})
	return list, at, err
}

// readOutbox reads the next rows for a device, up to limit, and says which was
// the last; rows that wait to be sealed are passed over. There are none for who is
// blocked or removed.
func (c *Chat) readOutbox(ctx context.Context, device identity.DevicePublic, after int64, limit int) (list []*parcel, last int64, more bool, err error) {
	last = after
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if ok, err := isServed(tx, device); err != nil || !ok {
			return err
		}
		rows, err := tx.Pending(device, after, limit)
		if err != nil {
			return err
		}
		more = len(rows) == limit
		for _, o := range rows {
			last = o.ID
			if o.Wire == nil {
				continue
			}
			p := newParcel(o)
			if o.Attempts > 0 {
				deposits, err := tx.Deposits(o.ID)
				if err != nil {
					return err
				}
				for _, d := range deposits {
					// What a stranger left is of no use to a contact.
					if weak := evictable(d.Receipt); d.Receipt != nil && (o.Flight || !weak) {
						p.kept[peer.ID(d.Relay)] = stay{d.At, d.Until, weak}
					}
				}
			}
			list = append(list, p)
		}
		return nil
	})
	return list, last, more, err
}

// deposit leaves parcels at one relay, many at once, straight or through another. The
// report's error is that of reaching the relay; its results are of those that were tried.
func (c *Chat) deposit(ctx context.Context, device identity.DevicePublic, at place, due []*parcel, w way, straight bool) (r report) {
	// A relay that answers nothing must not keep a host from the others.
	limit, atOnce := roundTime, putsAtOnce
	if at.stranger() {
		end, err := c.startWork(ctx)
		if err != nil {
			return report{at: &at, err: err}
		}
		defer end()
		limit, atOnce = workTime, 1
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if at.stranger() && !straight { // the work must not outlive the circuit
		w.carried, due = circuitRound, due[:min(len(due), asksPerCircuit)]
	}
	r = report{at: &at, carried: w.carried}
	l, err := c.reach(ctx, device, at, w, straight)
	if err != nil {
		r.err = err
		return r
	}
	defer l.Close()
	var wait sync.WaitGroup
	if c.routing != Straight && at.descriptor != nil {
		wait.Go(func() { r.moved = c.learnRoutes(ctx, l, device, at) })
	}
	due = l.fits(due)
	r.carried, r.results = l.carried, make([]depositResult, len(due))
	slots := make(chan struct{}, atOnce)
	for i, p := range due {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			r.results[i] = c.put(ctx, l.Client, device, at, p)
			r.results[i].via = l.via
		})
	}
	wait.Wait()
	r.via = l.via
	if l.via != "" && slices.ContainsFunc(r.results, func(r depositResult) bool { return isCut(r.err) }) {
		l.cut()
	}
	return r
}

// put makes the cell of one parcel and deposits it.
func (c *Chat) put(ctx context.Context, client *mailbox.Client, device identity.DevicePublic, at place, p *parcel) depositResult {
	r := depositResult{parcel: p}
	var key mailbox.WriteKey
	var cell []byte
	if p.flight {
		if key, r.err = mailbox.NewWriteKey(at.relay.ID, mailbox.CatchAll, at.intro.invitation.WriteKey([]byte(at.relay.ID))); r.err != nil {
			return r
		}
		if at.stranger() {
			cell, r.err = c.cellFor(ctx, p, at.relay.ID)
			r.cell = cell
		} else {
			cell, _, r.err = c.sealFlight(ctx, device, p)
		}
		if r.err != nil {
			return r
		}
	} else {
		q := at.descriptor.Queue(client.Epoch())
		key = q.Write
		if cell, r.err = q.Key.Seal(p.wire); r.err != nil {
			return r
		}
	}
	ttl := mailbox.MaxTTL
	if !p.expires.IsZero() {
		ttl = min(ttl, max(time.Until(p.expires), time.Minute))
	}
	ttl = min(ttl, client.Limits().MaxTTL)
	var receipt mailbox.Receipt
	if at.stranger() {
		receipt, r.err = c.introduce(ctx, client, key, at.relay.ID, p, cell, ttl)
	} else {
		receipt, r.err = client.Put(ctx, key, cell, ttl)
	}
	if r.err != nil {
		return r
	}
	r.until = receipt.Expiry
	r.proof = receiptProof(key.QID(), mailbox.IDOf(cell), receipt.Marshal())
	return r
}

// recordDeposits keeps what a relay promised, or why it did not, and works out
// what that makes of the messages.
func (c *Chat) recordDeposits(ctx context.Context, at place, due []*parcel, results []depositResult, failed error) error {
	if failed != nil {
		for _, p := range due {
			results = append(results, depositResult{parcel: p, err: failed})
		}
	}
	var settled []*parcel
	err := c.update(ctx, func(t *turn) error {
		settled = settled[:0]
		for _, r := range results {
			over, err := c.recordDeposit(t, at, r)
			if err != nil {
				return err
			}
			if over {
				settled = append(settled, r.parcel)
			}
		}
		return nil
	})
	for _, p := range settled {
		c.courier(p.device).done(p.hash)
	}
	return err
}

// recordDeposit keeps one result; over says that nothing more is to be done for
// the parcel.
func (c *Chat) recordDeposit(t *turn, at place, r depositResult) (over bool, err error) {
	o, err := t.Outgoing(r.parcel.row)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil // acknowledged meanwhile
	}
	if err != nil {
		return false, err
	}
	if o.Hash == nil || *o.Hash != r.parcel.hash {
		return false, nil // sealed anew meanwhile: this is of a copy that is of no more use
	}
	relay := store.PeerID(at.relay.ID)
	path := store.PathMailbox
	if r.parcel.flight {
		path = store.PathFlight
	}
	before, err := t.Deposits(o.ID)
	if err != nil {
		return false, err
	}
	d := store.Deposit{Outbox: o.ID, Relay: relay, At: t.now, Extra: at.extra}
	e := store.Evidence{Message: o.Message, Device: o.Device, At: t.now, Path: path, Peer: relay, Via: store.PeerID(r.via)}
	if r.err == nil {
		d.Receipt, d.Until, d.Cell = r.proof, r.until, r.cell
		e.What, e.Proof = store.WhatDeposit, r.proof
	} else {
		reason := string(c.depositReason(r.err))
		switch {
		case errors.Is(r.err, errNoSession):
			return false, nil // it is not wanted there any more
		case at.stranger() && errors.Is(r.err, mailbox.ErrUnknownQueue):
			reason = string(problem.InvitationGone)
		case at.stranger() && errors.Is(r.err, mailbox.ErrQuota):
			reason = string(problem.StrangersCrowd)
		}
		for _, b := range before {
			if b.Relay == relay && (b.Receipt != nil && t.now.Before(b.Until) || b.Reason == reason) {
				// Nothing new: a failed renewal, or the same refusal again; but what
				// lasts may come to mean something else.
				if o.Message == 0 || b.Receipt != nil || t.now.Sub(b.At) < outOfTouch {
					return false, nil
				}
				return false, c.judge(t, o.Message)
			}
		}
		d.Reason, e.What, e.Reason = reason, store.WhatRefused, reason
	}
	if err := t.PutDeposit(d); err != nil {
		return false, err
	}
	if o.Message != 0 {
		if err := t.AddEvidence(e); err != nil {
			return false, err
		}
	}
	if err := t.Postpone(o.ID, o.Attempts+1, o.Next); err != nil {
		return false, err
	}
	if o.Class == store.ClassMessage && o.Message != 0 {
		return false, c.judge(t, o.Message)
	}
	if r.err != nil || o.Class == store.ClassDescriptors || o.Class == store.ClassProfile {
		return false, nil
	}
	// A receipt or a presence is not acknowledged in turn. Enough relays
	// keep it: that is as much as can be done.
	kept := 0
	if !at.extra {
		kept++
	}
	for _, b := range before {
		if b.Receipt != nil && b.Relay != relay && !b.Extra && t.now.Before(b.Until) {
			kept++
		}
	}
	list, _, err := c.places(t.Tx, o.Device)
	if err != nil {
		return false, err
	}
	if o.Class == store.ClassReceipt && kept < min(keptEnough, countTaking(list, r.parcel)) {
		return false, nil
	}
	_, err = t.Withdraw(o.ID)
	return true, err
}

// countTaking is how many places take a parcel, but for the extra ones.
func countTaking(list []place, p *parcel) (n int) {
	for _, at := range list {
		if at.takes(p) && !at.extra {
			n++
		}
	}
	return n
}
