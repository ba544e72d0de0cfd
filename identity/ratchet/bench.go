package ratchet

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-im/godwit/identity"
)

// Figure is one result of Bench.
type Figure struct {
	Name  string
	Value float64
	Unit  string
}

// Bench measures sessions as `godwit bench` prints them, on 4 KiB cells with
// the largest payload. It takes about four times per, and wants a process that
// does nothing else: all is counted in the CPU time of the process, with the
// garbage collector and all threads, which is fair where other processes share
// the machine.
//
// The figures, each ratio followed by its two parts:
//
//	session_seal_ratio       bare_seal_ns / session_seal_ns
//	session_open_ratio       bare_open_ns / session_open_ns
//	session_pingpong_ops     strict ping-pong, seal + open, both ratchets turning, per CPU-second
//	session_pingpong_epochs  post-quantum epochs that began in each of those
//
// Bare is what the format cannot do without: XChaCha20-Poly1305 over the header,
// SHA-256 of the prefix, HKDF-SHA512 and ChaCha20-Poly1305 over the body, all in
// buffers that are there already.
func Bench(per time.Duration) []Figure {
	alice, bob := benchPair()
	bare := newBare()

	// Batches in turn, and the sum of many, so that what else the machine
	// does falls on all of them alike.
	const batch = 500
	var bareSeal, seal, bareOpen, open time.Duration
	wires, bareWires := make([][]byte, batch), make([][]byte, batch)
	for i := range bareWires {
		bareWires[i] = make([]byte, Small)
	}
	n := 0
	measure := func(sum *time.Duration, f func(i int)) {
		before := cpuTime()
		for i := range batch {
			f(i)
		}
		*sum += cpuTime() - before
	}
	for end := time.Now().Add(2 * per); n == 0 || time.Now().Before(end); n += batch {
		measure(&bareSeal, func(i int) { bare.seal(bareWires[i]) })
		measure(&seal, func(i int) { wires[i] = benchSeal(alice) })
		measure(&bareOpen, func(i int) { bare.open(bareWires[i]) })
		measure(&open, func(i int) { benchOpen(bob, wires[i]) })
	}
	each := func(sum time.Duration) float64 { return float64(sum) / float64(n) }

	from, to := benchPair()
	ops, epoch := 0, from.Stats().Epoch
	before := cpuTime()
	for end := time.Now().Add(2 * per); ops == 0 || time.Now().Before(end); ops += batch {
		for range batch {
			benchOpen(to, benchSeal(from))
			from, to = to, from
		}
	}
	spent := cpuTime() - before

	return []Figure{
		{"session_seal_ratio", each(bareSeal) / each(seal), "ratio"},
		{"bare_seal_ns", each(bareSeal), "ns"},
		{"session_seal_ns", each(seal), "ns"},
		{"session_open_ratio", each(bareOpen) / each(open), "ratio"},
		{"bare_open_ns", each(bareOpen), "ns"},
		{"session_open_ns", each(open), "ns"},
		{"session_pingpong_ops", float64(ops) / spent.Seconds(), "ops/cpu-s"},
		{"session_pingpong_epochs", float64(from.Stats().Epoch-epoch) / float64(ops), "epochs/op"},
	}
}

// benchPair is a session on which one message went each way.
func benchPair() (alice, bob *Session) {
	prekey := identity.GeneratePrekey()
	var s Secrets
	for _, k := range []*[32]byte{&s.RootEC, &s.RootPQ, &s.HeaderA, &s.NextHeaderB} {
		rand.Read(k[:])
	}
	p := Parties{InitiatorDevice: identity.DevicePublic{1}, ResponderDevice: identity.DevicePublic{2}, Suite: identity.Suite}
	alice, err := NewInitiator(s, p, prekey.Public())
	if err == nil {
		bob, err = NewResponder(s, p, prekey)
	}
	if err != nil {
		panic("ratchet: " + err.Error())
	}
	benchOpen(bob, benchSeal(alice))
	benchOpen(alice, benchSeal(bob))
	return alice, bob
}

func benchSeal(s *Session) []byte {
	var payload [int(Small) - atBody - chacha20poly1305.Overhead - 1]byte
	wire, err := s.Seal(payload[:], Small)
	if err != nil {
		panic("ratchet: " + err.Error())
	}
	return wire
}

func benchOpen(s *Session, wire []byte) {
	if _, err := s.Open(wire, time.Unix(0, 0)); err != nil {
		panic("ratchet: " + err.Error())
	}
}

// bare does to a cell what no session could leave out, in buffers of its own.
type bare struct {
	headerKey, ec, pq key
	header            [headerSize]byte
	headerAD          [1 + 32]byte
	ad                [atBody + 32]byte
	plain             [int(Small)]byte
}

func newBare() *bare {
	b := new(bare)
	rand.Read(b.headerKey[:])
	rand.Read(b.ec[:])
	return b
}

// body is the cipher of the body.
func (b *bare) body(wire []byte) cipher.AEAD {
	salt := sha256.Sum256(wire[:atCommit])
	var ikm [64]byte
	copy(ikm[:], b.ec[:])
	copy(ikm[32:], b.pq[:])
	okm, err := hkdf.Key(sha512.New, ikm[:], salt[:], "godwit/1/message", 64)
	if err != nil {
		panic("ratchet: " + err.Error())
	}
	copy(b.ad[:], wire[:atBody])
	return bodyAEAD((*key)(okm))
}

func (b *bare) seal(wire []byte) {
	nonce := wire[atNonce:atHeader]
	rand.Read(nonce)
	headerAEAD(&b.headerKey).Seal(wire[:atHeader], nonce, b.header[:], b.headerAD[:])
	var zero [chacha20poly1305.NonceSize]byte
	b.body(wire).Seal(wire[:atBody], zero[:], b.plain[:len(wire)-atBody-chacha20poly1305.Overhead], b.ad[:])
}

func (b *bare) open(wire []byte) {
	_, err := headerAEAD(&b.headerKey).Open(b.header[:0], wire[atNonce:atHeader], wire[atHeader:atCommit], b.headerAD[:])
	if err == nil {
		var zero [chacha20poly1305.NonceSize]byte
		_, err = b.body(wire).Open(b.plain[:0], zero[:], wire[atBody:], b.ad[:])
	}
	if err != nil {
		panic("ratchet: " + err.Error())
	}
}
