package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

// window is how many messages the direct protocol has in flight, and so what one
// group commit covers.
const window = 256

// world is a profile with a session, in which n messages were sent.
type world struct {
	*Store
	conversation int64
	session      SessionID
	version      int64
	state        []byte
	n            uint64
}

func newWorld(b *testing.B) *world {
	b.Helper()
	w := &world{Store: openNew(b), session: SessionID{1}, version: 1, state: make([]byte, 4000)}
	_, w.conversation = withBob(b, w.Store)
	update(b, w.Store, func(tx *Tx) error {
		return tx.InsertSession(Session{SessionHead: SessionHead{ID: w.session, Device: bobsPhone, Created: day0(), Used: day0()}, State: w.state})
	})
	return w
}

// id is the w.n-th message's.
func (w *world) id() (m MessageID) {
	w.n++
	binary.BigEndian.PutUint64(m[8:], w.n)
	h := sha256.Sum256(m[:])
	copy(m[:], h[:])
	return m
}

// send queues n messages, each sealed in 4 KiB, and keeps the ratchet.
func (w *world) send(b *testing.B, n int) (hashes []Hash) {
	update(b, w.Store, func(tx *Tx) error {
		for range n {
			wire := make([]byte, 4056)
			rand.Read(wire)
			hash := Hash(wire[:32])
			m := Message{Message: w.id(), Conversation: w.conversation, Author: identity.DevicePublic{1}, Mine: true, Seq: w.n, Sent: day0(), At: day0(), Kind: 1,
				Body: w.line(), State: Queued, Expires: day0(), Shown: true}
			row, err := tx.InsertMessage(m)
			if err != nil {
				return err
			}
			_, err = tx.Enqueue(Outgoing{Message: row, Device: bobsPhone, Class: ClassMessage, Item: make([]byte, 100), Session: &w.session, Wire: wire, Hash: &hash,
				Created: day0(), Expires: day0(), Next: day0()})
			if err != nil {
				return err
			}
			if err := tx.AdvanceSend(w.conversation, w.n, hash); err != nil {
				return err
			}
			hashes = append(hashes, hash)
		}
		return w.save(tx)
	})
	return hashes
}

func (w *world) save(tx *Tx) error {
	w.version++
	return tx.SaveSession(w.session, w.version-1, [32]byte{}, w.state, day0())
}

// acknowledge takes messages out of the outbox, with the evidence.
func (w *world) acknowledge(b *testing.B, hashes []Hash) {
	update(b, w.Store, func(tx *Tx) error {
		for _, h := range hashes {
			taken, err := tx.Acknowledge(h)
			if err != nil {
				return err
			}
			if err := tx.SetState(taken.Message, Delivered, ""); err != nil {
				return err
			}
			err = tx.AddEvidence(Evidence{Message: taken.Message, Device: taken.Device, At: day0(), Path: PathDirect, Peer: "12D3KooW-some-peer-id-of-38-bytes....", What: WhatAck, Proof: h[:16]})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// receive keeps n messages of the other side.
func (w *world) receive(b *testing.B, n int) {
	update(b, w.Store, func(tx *Tx) error {
		for range n {
			id := w.id()
			hash := Hash(sha256.Sum256(id[:]))
			if _, err := tx.Seen(hash); err == nil {
				b.Fatal("seen")
			}
			m := Message{Message: id, Conversation: w.conversation, Author: bobsPhone, Seq: w.n, Prev: hash, Sent: day0(), At: day0(), Kind: 1,
				Body: w.line(), State: Received, Shown: true}
			if _, err := tx.InsertMessage(m); err != nil {
				return err
			}
			if err := tx.PutSeen(Seen{Hash: hash, Message: &id, At: day0(), Expires: day0()}); err != nil {
				return err
			}
			if err := tx.PutStream(Stream{bobsPhone, w.conversation, w.n, hash}); err != nil {
				return err
			}
		}
		return w.save(tx)
	})
}

func perMessage(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "us/message")
}

// BenchmarkSend is one group commit of 256 sends, in an outbox that stays short.
func BenchmarkSend(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		hashes := w.send(b, window)
		b.StopTimer()
		w.acknowledge(b, hashes)
		b.StartTimer()
	}
	perMessage(b, window)
}

// BenchmarkAcknowledge is one group commit of 256 acknowledgements.
func BenchmarkAcknowledge(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		b.StopTimer()
		hashes := w.send(b, window)
		b.StartTimer()
		w.acknowledge(b, hashes)
	}
	perMessage(b, window)
}

// BenchmarkReceive is one group commit of 256 messages of the other side.
func BenchmarkReceive(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.receive(b, window)
	}
	perMessage(b, window)
}

// line is a text as long as people write them, each with words of its own.
func (w *world) line() []byte {
	return fmt.Appendf(nil, "See you at number %d, harbour street %d, at half past %d if the train comes", w.n, w.n%1000, w.n%12)
}

// BenchmarkSendOne, BenchmarkAcknowledgeOne and BenchmarkReceiveOne commit each
// message alone: what a person who types waits for.
func BenchmarkSendOne(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		hashes := w.send(b, 1)
		b.StopTimer()
		w.acknowledge(b, hashes)
		b.StartTimer()
	}
}

func BenchmarkAcknowledgeOne(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		b.StopTimer()
		hashes := w.send(b, 1)
		b.StartTimer()
		w.acknowledge(b, hashes)
	}
}

func BenchmarkReceiveOne(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.receive(b, 1)
	}
}

// BenchmarkPage reads the newest 50 of 10,000 messages.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b)
	for range 10_000 / window {
		w.receive(b, window)
	}
	for b.Loop() {
		list := get(b, w.Store, func(tx *Tx) ([]Message, error) { return tx.Messages(w.conversation, 0, 50) })
		if len(list) != 50 {
			b.Fatal(len(list))
		}
	}
}

// BenchmarkOpen opens a profile of 10,000 messages.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "godwit.db")
	w := &world{Store: openAt(b, path, Options{Create: true}), session: SessionID{1}, version: 1}
	_, w.conversation = withBob(b, w.Store)
	update(b, w.Store, func(tx *Tx) error {
		return tx.InsertSession(Session{SessionHead: SessionHead{ID: w.session, Device: bobsPhone, Created: day0(), Used: day0()}})
	})
	for range 10_000 / window {
		w.receive(b, window)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(b.Context(), path, testKey, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
