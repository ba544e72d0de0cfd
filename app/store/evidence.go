package store

import (
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Path is the way that an attempt took.
type Path string

// The ways.
const (
	PathDirect  Path = "direct"
	PathMailbox Path = "mailbox"
	PathFlight  Path = "flight"
)

// What came of an attempt.
type What string

// The outcomes: a relay's receipt, the device's acknowledgement, a read receipt,
// a refusal, another try.
const (
	WhatDeposit What = "deposit"
	WhatAck     What = "ack"
	WhatReceipt What = "receipt"
	WhatRefused What = "refused"
	WhatRetry   What = "retry"
)

// Evidence is one step of a message's trail.
type Evidence struct {
	Message int64 // row id
	Device  identity.DevicePublic
	At      time.Time
	Path    Path
	Peer    PeerID // may be empty
	What    What
	Proof   []byte // the relay's receipt or the acknowledgement's MAC; may be nil
	Reason  string // problem code; may be empty
	Via     PeerID // the relay through which a deposit went; empty: straight
}

// MaxSteps is how many deposits and refusals of one relay a message's trail holds: the
// newest. A relay could say something else at each try, for a month.
const MaxSteps = 50

// AddEvidence adds a step to a message's trail.
func (tx *Tx) AddEvidence(e Evidence) error {
	err := tx.run(`INSERT INTO evidence (message, step, device, at, path, peer, what, proof, reason, via)
		VALUES (?1, (SELECT coalesce(max(step), 0) + 1 FROM evidence WHERE message = ?1), ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Message, e.Device[:], e.At.UnixMilli(), string(e.Path), peer(e.Peer), string(e.What), blob(e.Proof), text(e.Reason), peer(e.Via))
	if err != nil || e.What != WhatDeposit && e.What != WhatRefused {
		return err
	}
	const of = "message = ?1 AND peer IS ?2 AND what IN ('deposit', 'refused')"
	return tx.run("DELETE FROM evidence WHERE "+of+" AND step <= (SELECT step FROM evidence WHERE "+of+" ORDER BY step DESC LIMIT 1 OFFSET ?3)", e.Message, peer(e.Peer), MaxSteps)
}

// Evidence returns a message's trail, in the order it was left.
func (tx *Tx) Evidence(message int64) ([]Evidence, error) {
	return all(tx, func(r row) (e Evidence, err error) {
		e.Message = message
		err = r.Scan(fixed(e.Device[:]), stamp{&e.At}, &e.Path, peerID{&e.Peer}, &e.What, &e.Proof, nullText{&e.Reason}, peerID{&e.Via})
		return e, err
	}, "SELECT device, at, path, peer, what, proof, reason, via FROM evidence WHERE message = ? ORDER BY step", message)
}
