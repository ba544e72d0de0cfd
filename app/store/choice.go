package store

import (
	"errors"
	"time"
)

// CellID names a cell at a relay.
type CellID [16]byte

// RelayTest is what this device knows of a relay of its own by trying it.
type RelayTest struct {
	Relay PeerID
	Down  time.Duration // that it did not serve while we were online, since it last did; whole milliseconds
	Cell  *CellID       // a cell of ours that lies there; nil: none
	Laid  time.Time
	Until time.Time // by its receipt; zero: there is no receipt
	Proof []byte    // the receipt and what it is for
	Last  *CellID   // the cell before it, which was deleted
}

func scanRelayTest(r row) (t RelayTest, err error) {
	var cell, last []byte
	var down int64
	if err = r.Scan(peerID{&t.Relay}, &down, &cell, stamp{&t.Laid}, stamp{&t.Until}, &t.Proof, &last); err != nil {
		return t, err
	}
	t.Down = time.Duration(down) * time.Millisecond
	for _, id := range []struct {
		raw  []byte
		into **CellID
	}{{cell, &t.Cell}, {last, &t.Last}} {
		if id.raw == nil {
			continue
		}
		*id.into = new(CellID)
		if err := fixed((*id.into)[:]).Scan(id.raw); err != nil {
			return t, err
		}
	}
	return t, nil
}

// PutRelayTest keeps what is known of a relay, in place of what was.
func (tx *Tx) PutRelayTest(t RelayTest) error {
	id := func(c *CellID) any {
		if c == nil {
			return nil
		}
		return c[:]
	}
	return tx.run("INSERT OR REPLACE INTO relay_tests (relay, down_ms, cell, laid, until, proof, last) VALUES (?, ?, ?, ?, ?, ?, ?)",
		[]byte(t.Relay), t.Down.Milliseconds(), id(t.Cell), ms(t.Laid), ms(t.Until), blob(t.Proof), id(t.Last))
}

// RelayTest returns what is known of a relay, or ErrNotFound.
func (tx *Tx) RelayTest(p PeerID) (RelayTest, error) {
	return one(tx, scanRelayTest, "SELECT relay, down_ms, cell, laid, until, proof, last FROM relay_tests WHERE relay = ?", []byte(p))
}

// FaultsFor is how long the faults of relays are remembered.
const FaultsFor = 30 * 24 * time.Hour

// RelayFault is something that a relay of ours did and had promised not to.
type RelayFault struct {
	Relay PeerID
	At    time.Time
	What  string // problem code
	Proof []byte // what it had signed, as in RelayTest
}

// AddRelayFault keeps a fault.
func (tx *Tx) AddRelayFault(f RelayFault) error {
	return tx.run("INSERT INTO relay_faults (relay, at, what, proof) VALUES (?, ?, ?, ?)", []byte(f.Relay), f.At.UnixMilli(), f.What, blob(f.Proof))
}

// RelayFaults returns the faults of a relay after a time, in their order.
func (tx *Tx) RelayFaults(p PeerID, after time.Time) ([]RelayFault, error) {
	return all(tx, func(r row) (f RelayFault, err error) {
		err = r.Scan(peerID{&f.Relay}, stamp{&f.At}, &f.What, &f.Proof)
		return f, err
	}, "SELECT relay, at, what, proof FROM relay_faults WHERE relay = ? AND at > ? ORDER BY id", []byte(p), after.UnixMilli())
}

// AnswersKept is how many answers of a relay are remembered, each for FaultsFor.
const AnswersKept = 24

// AddRelayAnswer keeps how long an answer of a relay of ours took, in whole milliseconds, and
// forgets the oldest beyond AnswersKept.
func (tx *Tx) AddRelayAnswer(p PeerID, at time.Time, took time.Duration) error {
	return errors.Join(
		tx.run("INSERT INTO relay_answers (relay, at, took_ms) VALUES (?, ?, ?)", []byte(p), at.UnixMilli(), took.Milliseconds()),
		tx.run("DELETE FROM relay_answers WHERE relay = ?1 AND id NOT IN (SELECT id FROM relay_answers WHERE relay = ?2 ORDER BY id DESC LIMIT ?3)", []byte(p), []byte(p), AnswersKept))
}

// RelayAnswers returns how long the latest answers of a relay took, the newest last.
func (tx *Tx) RelayAnswers(p PeerID) ([]time.Duration, error) {
	return all(tx, func(r row) (took time.Duration, err error) {
		var ms int64
		err = r.Scan(&ms)
		return time.Duration(ms) * time.Millisecond, err
	}, "SELECT took_ms FROM relay_answers WHERE relay = ? ORDER BY id", []byte(p))
}

// MaxCandidates is the most relays that are kept as candidates.
const MaxCandidates = 64

// Candidate is a relay that could be used.
type Candidate struct {
	Peer     PeerID
	Addrs    [][]byte    // multiaddrs, in bytes
	Source   RelaySource // RelayByHand: it was removed by hand
	Operator string      // who is taken to run it; empty: unknown
	Seen     time.Time   // first
	Heard    time.Time   // last
	Failed   int         // how often it was tried in vain
	Retry    time.Time   // not used before
}

// PutCandidate keeps a candidate, in place of what was known of it. The caller sees to
// MaxCandidates.
func (tx *Tx) PutCandidate(c Candidate) error {
	list, err := encodeList(c.Addrs)
	if err != nil {
		return err
	}
	return tx.run("INSERT OR REPLACE INTO relay_candidates (peer, addrs, source, operator, seen, heard, failed, retry) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		[]byte(c.Peer), list, string(c.Source), []byte(c.Operator), c.Seen.UnixMilli(), c.Heard.UnixMilli(), c.Failed, c.Retry.UnixMilli())
}

// Candidates returns all candidates, those first seen first.
func (tx *Tx) Candidates() ([]Candidate, error) {
	return all(tx, func(r row) (c Candidate, err error) {
		var operator []byte
		err = r.Scan(peerID{&c.Peer}, addrs{&c.Addrs}, &c.Source, &operator, stamp{&c.Seen}, stamp{&c.Heard}, &c.Failed, stamp{&c.Retry})
		c.Operator = string(operator)
		return c, err
	}, "SELECT peer, addrs, source, operator, seen, heard, failed, retry FROM relay_candidates ORDER BY seen, peer")
}

// DeleteCandidate forgets a candidate.
func (tx *Tx) DeleteCandidate(p PeerID) error {
	return tx.run("DELETE FROM relay_candidates WHERE peer = ?", []byte(p))
}
