package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/node"
)

// lines is the Chat as package direct sees it.
type lines struct{ *Chat }

// Sessions are those of all contacts that are not blocked.
func (c lines) Sessions() []direct.Session {
	blocked, err := c.blocked()
	if err != nil {
		c.log.Error("sessions cannot be read", "err", err)
		return nil
	}
	auths := c.keys.Auths()
	out := make([]direct.Session, 0, len(auths))
	for _, a := range auths {
		if blocked[a.Device] {
			continue
		}
		out = append(out, direct.Session{ID: direct.SessionID(a.ID), Auth: a.Auth})
	}
	return out
}

// blocked are the devices of contacts that are blocked or removed.
func (c *Chat) blocked() (map[identity.DevicePublic]bool, error) {
	list := make(map[identity.DevicePublic]bool)
	err := c.store.View(context.Background(), func(tx *store.Tx) error {
		people, err := tx.Contacts()
		if err != nil {
			return err
		}
		for _, p := range people {
			if served(p) {
				continue
			}
			devices, err := tx.Devices(p.ID)
			if err != nil {
				return err
			}
			for _, d := range devices {
				list[d.Device] = true
			}
		}
		return nil
	})
	return list, err
}

// Deliver keeps what came over a line, and accepts it once that is durable.
func (c lines) Deliver(ctx context.Context, sid direct.SessionID, messages [][]byte) []direct.Code {
	codes := make([]direct.Code, len(messages))
	device, ok := c.deviceOf(sid)
	if !ok {
		for i := range codes {
			codes[i] = direct.Unreadable
		}
		return codes
	}
	err := c.update(ctx, func(t *turn) error {
		for i, wire := range messages {
			_, err := c.take(t, arrival{device: device, wire: wire})
			if codes[i] = answer(err); codes[i] == direct.Full {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.log.Error("messages could not be kept", "count", len(messages), "err", err)
		for i := range codes {
			codes[i] = direct.Full
		}
	}
	return codes
}

// answer is how the outcome of take is told to the other device.
func answer(err error) direct.Code {
	switch {
	case err == nil:
		return direct.Accepted
	case errors.Is(err, errNotFromYou):
		return direct.Refused
	case errors.Is(err, errTooFar):
		return direct.TooFar
	case errors.Is(err, errUnreadable):
		return direct.Unreadable
	case errors.Is(err, errUsed):
		return direct.Used
	case errors.Is(err, errAsked):
		return direct.Asked
	case errors.Is(err, errCrowded):
		return direct.Busy
	}
	return direct.Full
}

// Flight keeps the message in a first flight.
func (c lines) Flight(ctx context.Context, cell []byte) (auth [32]byte, hash direct.Hash, code direct.Code) {
	opened, err := c.openFlight(ctx, cell, origin{})
	if err != nil {
		return auth, hash, answer(err)
	}
	if auth, hash, err = c.takeOpened(ctx, opened); err != nil && !errors.Is(err, errAsked) {
		c.log.Info("a first flight was refused", "err", err)
	}
	return auth, hash, answer(err)
}

// Notice is the sealed bundle of an open invitation.
func (c lines) Notice(ctx context.Context, id [32]byte) (notice []byte, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		notice, err = openNotice(tx, id)
		return err
	})
	return notice, err
}

// Connected hands the line to the device's courier.
func (c lines) Connected(sid direct.SessionID, line *direct.Conn) {
	device, ok := c.deviceOf(sid)
	if !ok {
		return
	}
	if c.finder != nil { // first of all: the next time the device may have to be found
		err := c.update(context.Background(), func(t *turn) error {
			if err := c.renewSeed(t, device); err != nil || c.knows(device) {
				return err
			}
			return c.tellPresence(t, device) // or else records would have to, once it is away
		})
		if err != nil {
			c.log.Error("a device could not be told how it finds us", "err", err)
		}
	}
	c.courier(device).connected(line)
	c.online(device, true)
}

// Disconnected takes it back.
func (c lines) Disconnected(sid direct.SessionID, line *direct.Conn, reason error) {
	device, ok := c.deviceOf(sid)
	if !ok {
		return
	}
	c.log.Debug("a direct connection ended", "reason", reason)
	k := c.courier(device)
	k.disconnected(line)
	c.online(device, k.isConnected())
}

// Acked records what the other device keeps.
func (c lines) Acked(sid direct.SessionID, acks []direct.Ack) {
	device, ok := c.deviceOf(sid)
	if !ok {
		return
	}
	var via []byte
	if line := c.service().Conn(sid); line != nil {
		via = []byte(line.Peer())
	}
	if err := c.recordAcks(device, via, acks); err != nil {
		c.log.Error("acknowledgements could not be kept", "count", len(acks), "err", err)
	}
}

// Refused sends what was refused another way, or later, and says so of messages
// that no way will help.
func (c lines) Refused(sid direct.SessionID, naks []direct.Nak) {
	device, ok := c.deviceOf(sid)
	if !ok {
		return
	}
	k := c.courier(device)
	var lost []direct.Hash
	for _, n := range naks {
		c.log.Warn("the other device did not keep a message", "code", n.Code.String())
		if n.Code == direct.Unreadable || n.Code == direct.TooFar {
			lost = append(lost, n.Hash)
		}
		k.again(n.Hash, n.Code == direct.Full || n.Code == direct.Busy)
	}
	if len(lost) == 0 {
		return
	}
	if err := c.update(context.Background(), func(t *turn) error { return c.unread(t, lost) }); err != nil {
		c.log.Error("refusals could not be kept", "count", len(lost), "err", err)
	}
}

// unread notes that the other device has no session that opens these messages.
func (c *Chat) unread(t *turn, hashes []direct.Hash) error {
	for _, h := range hashes {
		o, err := t.OutgoingByHash(store.Hash(h))
		if errors.Is(err, store.ErrNotFound) || err == nil && o.Message == 0 {
			continue
		}
		if err != nil {
			return err
		}
		m, err := t.Message(o.Message)
		if err != nil {
			return err
		}
		if m.Reason == string(problem.SessionLost) {
			continue
		}
		e := store.Evidence{Message: m.ID, Device: o.Device, At: t.now, Path: store.PathDirect, What: store.WhatRefused, Reason: string(problem.SessionLost)}
		if err := t.AddEvidence(e); err != nil {
			return err
		}
		if err := c.setState(t, m, m.State, problem.SessionLost); err != nil {
			return err
		}
	}
	return nil
}

// service is that of direct connections. It is there once Run has begun, which a
// caller of another method, or a device that connects at once, may be ahead of.
func (c *Chat) service() *direct.Service {
	<-c.running
	return c.direct
}

// connect reaches a device directly; its courier learns of the line by Connected.
func (c *Chat) connect(ctx context.Context, device identity.DevicePublic, at peer.AddrInfo) error {
	var head store.SessionHead
	err := c.store.View(ctx, func(tx *store.Tx) error {
		heads, err := tx.SessionHeads(device)
		if len(heads) > 0 {
			head = heads[0]
		}
		return err
	})
	if err != nil {
		return err
	}
	a, ok := c.keys.Auth(head.ID)
	if !ok {
		return errNoSession
	}
	session := direct.Session{ID: direct.SessionID(a.ID), Auth: a.Auth}
	_, err = c.service().Connect(ctx, at, session)
	if other, ok := node.Other(err); ok {
		// An account's PeerID is another at each start. Whether this is the device
		// shows in the hello, which tells nothing to anybody else.
		at.ID = other
		_, err = c.service().Connect(ctx, at, session)
	}
	return err
}

// sendFlights brings first flights to the inviting device itself.
func (c *Chat) sendFlights(ctx context.Context, device identity.DevicePublic, at peer.AddrInfo, parcels []*parcel) error {
	for _, p := range parcels {
		flight, auth, err := c.sealFlight(ctx, device, p)
		if err != nil {
			return err
		}
		ack, err := c.service().SendFlight(ctx, at, flight, p.hash, auth)
		if errors.Is(err, direct.Asked) {
			if err := c.asked(ctx, at.ID, p); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("send a first flight: %w", err)
		}
		if err := c.recordAcks(device, []byte(at.ID), []direct.Ack{ack}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chat) deviceOf(sid direct.SessionID) (identity.DevicePublic, bool) {
	a, ok := c.keys.Auth(store.SessionID(sid))
	return a.Device, ok
}
