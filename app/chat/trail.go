package chat

import (
	"bytes"
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Trail tells what became of a message of ours, and checks again what it rests
// on. Errors: problem.NoSuchMessage.
func (c *Chat) Trail(ctx context.Context, id string) (list []api.Step, err error) {
	mid, err := content.ParseID(id)
	if err != nil {
		return nil, problem.New(problem.NoSuchMessage, nil)
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		m, err := tx.MessageByID(store.MessageID(mid))
		if errors.Is(err, store.ErrNotFound) || err == nil && !m.Mine {
			return problem.New(problem.NoSuchMessage, nil)
		}
		if err != nil {
			return err
		}
		list = []api.Step{{Time: api.Time{Time: m.At}, What: api.StepQueued}}
		steps, err := tx.Evidence(m.ID)
		if err != nil {
			return err
		}
		for _, e := range steps {
			list = append(list, c.stepView(e))
		}
		sent, err := c.sentView(tx, m)
		if err != nil {
			return err
		}
		last := api.Step{Time: list[len(list)-1].Time, What: api.StepState, State: sent.State, Reason: sent.Reason}
		if sent.State == api.Kept {
			last.Until = sent.Expires
		}
		list = append(list, last)
		return nil
	})
	return list, err
}

// stepView is one piece of evidence, checked.
func (c *Chat) stepView(e store.Evidence) api.Step {
	v := api.Step{Time: api.Time{Time: e.At}, Path: string(e.Path), Device: e.Device.String(), Reason: Reason(e.Reason)}
	if e.Peer != "" {
		v.Peer = peer.ID(e.Peer).String()
	}
	if e.Via != "" {
		v.Via = peer.ID(e.Via).String()
	}
	switch e.What {
	case store.WhatDeposit:
		v.What = api.StepDeposited
		v.Proof = api.ProofWrong
		if r, ok := provenReceipt(e); ok {
			v.Proof, v.Until = api.ProofGood, api.Time{Time: r.Expiry}
			if r.Promise == mailbox.Evictable {
				v.What = api.StepLeft
			}
		}
	case store.WhatAck:
		v.What, v.Proof = api.StepAcknowledged, c.provenAck(e)
	case store.WhatReceipt:
		v.What, v.Proof = api.StepAcknowledged, api.ProofInner
	case store.WhatRefused:
		v.What = api.StepRefused
		if e.Reason == string(problem.Asked) {
			v.What = api.StepAsked
		}
	default:
		v.What = api.StepRefused
	}
	return v
}

// provenReceipt is the receipt of a deposit, if the relay signed it for this cell.
func provenReceipt(e store.Evidence) (r mailbox.Receipt, ok bool) {
	if r, ok = receiptIn(e.Proof); !ok {
		return r, false
	}
	q, cell := mailbox.QID(e.Proof[:32]), mailbox.CellID(e.Proof[32:48])
	if r.Promise == mailbox.Evictable {
		return r, r.VerifyEvictable(peer.ID(e.Peer), q, cell) == nil
	}
	return r, r.Verify(peer.ID(e.Peer), q, cell) == nil
}

// receiptIn is the receipt in what receiptProof made, unchecked.
func receiptIn(proof []byte) (r mailbox.Receipt, ok bool) {
	const names = len(mailbox.QID{}) + len(mailbox.CellID{})
	if len(proof) < names {
		return r, false
	}
	r, err := mailbox.ParseReceipt(proof[names:])
	return r, err == nil
}

// provenAck checks a device's acknowledgement under the sessions that there still
// are with it.
func (c *Chat) provenAck(e store.Evidence) api.Proof {
	var hash [32]byte
	if len(e.Proof) != len(hash)+16 {
		return api.ProofWrong
	}
	mac := e.Proof[copy(hash[:], e.Proof):]
	for _, a := range c.keys.Auths() {
		if want := pqxdh.AckMAC(a.Auth, hash); a.Device == e.Device && bytes.Equal(want[:], mac) {
			return api.ProofGood
		}
	}
	return api.ProofGone
}
