package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/identity"
	"golang.org/x/crypto/chacha20poly1305"
)

func TestTheyTalk(t *testing.T) {
	alice, bob := meet(t)
	if _, err := bob.Seal([]byte("too early"), Small); !errors.Is(err, ErrNotReady) {
		t.Fatalf("Bob, who heard nothing yet, could write: %v", err)
	}
	for i := range 30 {
		from, to := alice, bob
		if i%2 == 1 {
			from, to = bob, alice
		}
		for j := range 1 + i%4 {
			text := fmt.Sprintf("%d.%d", i, j)
			hears(t, to, says(t, from, text), text)
		}
	}
	a, b := alice.Stats(), bob.Stats()
	if a.Epoch < 9 || a.Epoch != b.Epoch && a.Epoch != b.Epoch-1 || a.Stalled || b.Stalled || a.Missing+b.Missing > 0 {
		t.Errorf("after 30 turns: Alice %+v, Bob %+v", a, b)
	}
}

func TestSizes(t *testing.T) {
	alice, bob := meet(t)
	for _, size := range []Size{Small, Medium, Large} {
		for _, n := range []int{0, 1, PayloadMax(size) - 1, PayloadMax(size)} {
			// Payloads that look like padding come back whole.
			for _, fill := range []byte{0, 0x80, 0xff} {
				payload := bytes.Repeat([]byte{fill}, n)
				wire, err := alice.Seal(payload, size)
				if err != nil || len(wire) != int(size) {
					t.Fatalf("%d bytes in %d: %d bytes, %v", n, size, len(wire), err)
				}
				got, err := bob.Open(wire, noon)
				if err != nil || !bytes.Equal(got, payload) {
					t.Fatalf("%d bytes of %#x in %d did not come back: %v", n, fill, size, err)
				}
			}
		}
		before := state(t, alice)
		if _, err := alice.Seal(make([]byte, PayloadMax(size)+1), size); !errors.Is(err, ErrTooLong) {
			t.Errorf("a payload one byte too long for %d: %v", size, err)
		}
		if !bytes.Equal(before, state(t, alice)) {
			t.Error("a refused Seal changed the state")
		}
		if got, err := SizeFor(PayloadMax(size)); got != size || err != nil {
			t.Errorf("SizeFor(%d) = %d, %v", PayloadMax(size), got, err)
		}
	}
	if _, err := SizeFor(PayloadMax(Large) + 1); !errors.Is(err, ErrTooLong) {
		t.Errorf("SizeFor beyond the largest: %v", err)
	}
	if _, err := alice.Seal(nil, Small+1); !errors.Is(err, ErrTooLong) {
		t.Errorf("a size of its own: %v", err)
	}
	if PayloadMax(Small) != 2702 {
		t.Errorf("a small message carries %d bytes; SPEC.md says 2702", PayloadMax(Small))
	}
}

func TestMessagesThatComeTwice(t *testing.T) {
	alice, bob := meet(t)
	first := says(t, alice, "once")
	hears(t, bob, first, "once")
	if err := refuses(t, bob, first); !errors.Is(err, ErrUsed) {
		t.Errorf("the same message again: %v", err)
	}
	late := says(t, alice, "late")
	hears(t, bob, says(t, alice, "early"), "early")
	hears(t, bob, late, "late")
	if err := refuses(t, bob, late); !errors.Is(err, ErrUsed) {
		t.Errorf("a late message again: %v", err)
	}
	talk(t, bob, alice, 3)
	if err := refuses(t, bob, late); !errors.Is(err, ErrUnknown) {
		t.Errorf("a message of a chain long gone again: %v", err)
	}
}

// TestLateAcrossEpochs: messages of a closed chain and of a closed epoch open,
// also where the two halves closed theirs at different messages.
func TestLateAcrossEpochs(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 2)
	for round := range 12 {
		from, to := alice, bob
		if round%2 == 1 {
			from, to = bob, alice
		}
		var late [][]byte
		for i := range 3 {
			late = append(late, says(t, from, fmt.Sprint("late ", i)))
		}
		// Between the two, from's epoch may turn while its chain does not:
		// what to says meanwhile carries the key or the ciphertext.
		epoch := from.Stats().Epoch
		hears(t, from, says(t, to, "meanwhile"), "meanwhile")
		more := says(t, from, "late 3")
		hears(t, to, says(t, from, "in time"), "in time")
		if from.Stats().Epoch != epoch && from.pq.prevSent == 0 {
			t.Fatal("the epoch turned without counting the messages before")
		}
		talk(t, to, from, 1)
		hears(t, to, more, "late 3")
		for i := range slices.Backward(late) {
			hears(t, to, late[i], fmt.Sprint("late ", i))
		}
		if to.ecSkipped.len()+to.pqSkipped.len() != 0 {
			t.Fatalf("keys left over: %d and %d", to.ecSkipped.len(), to.pqSkipped.len())
		}
	}
}

func TestClosedEpochOpensByPqPn(t *testing.T) {
	alice, bob := meet(t)
	hears(t, bob, says(t, alice, "first"), "first")
	late := says(t, alice, "of epoch 0") // under epoch 0, its successor under epoch 1
	hears(t, alice, says(t, bob, "the ciphertext of epoch 1"), "the ciphertext of epoch 1")
	next := says(t, alice, "of epoch 1")
	hears(t, bob, next, "of epoch 1")
	if len(bob.pqSkipped) != 1 || bob.pqSkipped[0].id != 0 || len(bob.ecSkipped) != 1 {
		t.Fatalf("Bob keeps no key of epoch 0: %d, %d", len(bob.pqSkipped), len(bob.ecSkipped))
	}
	hears(t, bob, late, "of epoch 0")
}

func TestEveryByteFlipped(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 2)
	late := says(t, alice, "late")
	hears(t, bob, says(t, alice, "in time"), "in time")
	kinds := map[string][]byte{"late": late, "same chain": says(t, alice, "same chain")}
	hears(t, alice, says(t, bob, "turn"), "turn")
	kinds["next chain"] = says(t, alice, "next chain")
	attached := map[byte]bool{alice.pq.body[0]: true}
	for len(attached) < 2 { // with a key, and with a ciphertext
		talk(t, alice, bob, 1)
		kinds[fmt.Sprint("attached ", alice.pq.role)] = says(t, alice, fmt.Sprint("attached ", alice.pq.role))
		attached[byte(alice.pq.role)] = true
	}
	for name, wire := range kinds {
		for i := range wire {
			forged := bytes.Clone(wire)
			forged[i] ^= 1 << (i % 8)
			err := refuses(t, bob, forged)
			switch {
			case i == 0 && errors.Is(err, ErrMalformed):
			case 0 < i && i < atCommit && errors.Is(err, ErrUnknown):
			case i >= atCommit && (errors.Is(err, ErrForged) || errors.Is(err, ErrUnknown)):
			default:
				t.Fatalf("%s: byte %d flipped: %v", name, i, err)
			}
		}
		for _, n := range []int{0, 1, atBody, len(wire) - 1, len(wire) + 1, int(Medium)} {
			if err := refuses(t, bob, append(bytes.Clone(wire), make([]byte, Medium)...)[:n]); errors.Is(err, nil) {
				t.Fatalf("%s: %d bytes of it: %v", name, n, err)
			}
		}
	}
	hears(t, bob, kinds["late"], "late") // nothing of all this did harm
}

// TestCommitmentCounts: a body that opens under the right key is refused if the
// message commits to another. Poly1305 commits to no key, so that without this one
// message could be made to open under two keys and tell by which it did
// (partitioning oracle: Len, Grubbs, Ristenpart, USENIX Security 2021).
func TestCommitmentCounts(t *testing.T) {
	for _, honest := range []bool{true, false} {
		alice, bob := meet(t)
		h, ecKey, pqKey, err := alice.advance()
		if err != nil {
			t.Fatal(err)
		}
		wire := alice.seal(&h, &alice.ec.sendHeader, ecKey, pqKey, nil, Small)
		body, commitment := messageKDF(ecKey, pqKey, wire[:atCommit])
		if !honest {
			commitment[0] ^= 1
		}
		copy(wire[atCommit:], commitment[:])
		plain := wire[atBody : len(wire)-chacha20poly1305.Overhead]
		clear(plain)
		plain[copy(plain, "hello")] = 0x80
		var nonce [chacha20poly1305.NonceSize]byte
		bodyAEAD(&body).Seal(plain[:0], nonce[:], plain, alice.bodyAD(wire))
		if honest {
			hears(t, bob, wire, "hello") // what is refused below is refused for its commitment alone
		} else if err := refuses(t, bob, wire); !errors.Is(err, ErrForged) {
			t.Errorf("a commitment to another key: %v, want ErrForged", err)
		}
	}
}

// TestSkipBombs: whoever holds a session's keys cannot make the other side work
// for long, nor keep much.
func TestSkipBombs(t *testing.T) {
	const most = math.MaxUint32
	bombs := map[string]func(*header){
		"n":         func(h *header) { h.n = most },
		"pn":        func(h *header) { h.pn = most },
		"pn, n":     func(h *header) { h.pn, h.n = most, most },
		"pqN":       func(h *header) { h.pqN = most },
		"pqPn":      func(h *header) { h.pqPn = most },
		"pqPn, pqN": func(h *header) { h.pqPn, h.pqN = most, most },
		"sum":       func(h *header) { h.pn, h.n = maxJump, 2 },
		"pq sum":    func(h *header) { h.pqPn, h.pqN = maxJump, 2 },
	}
	for name, edit := range bombs {
		alice, bob := meet(t)
		talk(t, alice, bob, 1)
		// Alice's next message is the first of a chain; make it the first of an
		// epoch as well.
		for alice.pq.role != roleW || alice.pq.body == nil {
			talk(t, alice, bob, 1)
		}
		bomb := lies(t, alice, edit)
		if err := refuses(t, bob, bomb); !errors.Is(err, ErrTooFarAhead) {
			t.Errorf("%s: %v", name, err)
		}
		// What a bomb may cost is a DH step that a bad pqN or body then undoes, not
		// 2^32 hashes: those would outlast the test's time, a thousand times over.
		for range 1000 {
			bob.Open(bomb, noon)
		}
	}
}

func TestJumps(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 2)
	begin := alice.Clone()
	skip := func(s *Session, n int) {
		for range n {
			s.ec.send.skip()
			s.pq.send.skip()
		}
	}
	// The one message that is just too far.
	skip(alice, maxJump+1)
	tooFar := says(t, alice, "too far")
	if err := refuses(t, bob, tooFar); !errors.Is(err, ErrTooFarAhead) {
		t.Fatalf("25,001 messages missing: %v", err)
	}
	// The one that is not, and those before it.
	alice = begin
	var sent [][]byte
	keep := map[int]bool{0: true, 23_999: true, 24_000: true, maxJump - 1: true, maxJump: true}
	for i := 0; i <= maxJump; i++ {
		if keep[i] {
			sent = append(sent, says(t, alice, fmt.Sprint(i)))
		} else {
			skip(alice, 1)
		}
	}
	hears(t, bob, sent[4], "25000")
	if ec, pq := bob.ecSkipped.len(), bob.pqSkipped.len(); ec != maxSkippedChain || pq != maxSkippedChain {
		t.Errorf("Bob keeps %d and %d keys, want the newest %d", ec, pq, maxSkippedChain)
	}
	hears(t, bob, sent[3], "24999")
	hears(t, bob, sent[2], "24000")
	for _, wire := range sent[:2] {
		if err := refuses(t, bob, wire); !errors.Is(err, ErrUsed) {
			t.Errorf("a message older than the newest 1,000: %v", err)
		}
	}
}

func TestSkippedKeysAreBounded(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 2)
	var late [][]byte
	for range 4 { // four chains, each with 900 messages lost
		late = append(late, says(t, alice, "late"))
		for range 899 {
			alice.ec.send.skip()
			alice.pq.send.skip()
		}
		talk(t, alice, bob, 1)
	}
	if ec, pq := bob.ecSkipped.len(), bob.pqSkipped.len(); ec != maxSkipped || pq != maxSkipped {
		t.Fatalf("of 3,600 Bob keeps %d and %d keys, want %d", ec, pq, maxSkipped)
	}
	if got := len(state(t, bob)); got > 200<<10 {
		t.Errorf("a full state has %d bytes", got)
	}
	if err := refuses(t, bob, late[0]); !errors.Is(err, ErrUnknown) {
		t.Errorf("a message past the bound: %v", err)
	}
	hears(t, bob, late[3], "late")

	// They die of age: by the next message, or by Expire.
	month := noon.Add(maxSkippedAge)
	if bob.Clone().Expire(month) {
		t.Error("keys of 30 days are gone")
	}
	quiet := bob.Clone()
	if !quiet.Expire(month.Add(time.Second)) || quiet.Stats().Missing != 0 {
		t.Errorf("%d keys older than 30 days are left", quiet.Stats().Missing)
	}
	if _, err := bob.Open(says(t, alice, "a month later"), month.Add(time.Second)); err != nil || bob.Stats().Missing != 0 {
		t.Errorf("a month later %d keys are left: %v", bob.Stats().Missing, err)
	}
	if !bytes.Equal(state(t, bob.Clone()), state(t, bob)) {
		t.Error("a clone is not the same")
	}
}

func TestOldHeaderKeysAreBounded(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 1)
	var late [][]byte
	for i := range 10 {
		late = append(late, says(t, alice, fmt.Sprint(i)))
		talk(t, alice, bob, 1)
	}
	present := 0
	for _, ch := range bob.ecSkipped {
		if ch.id == bob.ec.recvHeader {
			present++
		}
	}
	if old := len(bob.ecSkipped) - present; old != maxOldHeaderKeys {
		t.Fatalf("Bob tries %d old header keys, want %d", old, maxOldHeaderKeys)
	}
	for i, wire := range late {
		if i < len(late)-maxOldHeaderKeys-present {
			if err := refuses(t, bob, wire); !errors.Is(err, ErrUnknown) {
				t.Errorf("message %d: %v", i, err)
			}
			continue
		}
		if !bob.Recognises(wire) {
			t.Errorf("Bob does not know message %d as his", i)
		}
		hears(t, bob, wire, fmt.Sprint(i))
	}
	// A stranger's message costs seven trials at most, each some 2 us.
	carol, _ := meet(t)
	if err := refuses(t, bob, says(t, carol, "hello?")); !errors.Is(err, ErrUnknown) {
		t.Errorf("a stranger's message: %v", err)
	}
}

// TestClones: a backup that was restored, or a virtual machine that was copied,
// never seals two things under one key.
func TestClones(t *testing.T) {
	alice, bob := meet(t)
	for round := range 6 { // with and without a step owed, as K, W and C
		keys, nonces := map[[32]byte]bool{}, map[string]bool{}
		for range 50 {
			clone, err := ParseSession(state(t, alice))
			if err != nil {
				t.Fatal(err)
			}
			wire := says(t, clone, "the same words")
			commitment := [32]byte(wire[atCommit:atBody])
			if keys[commitment] || nonces[string(wire[atNonce:atHeader])] {
				t.Fatalf("round %d: a clone used a key or nonce again", round)
			}
			keys[commitment], nonces[string(wire[atNonce:atHeader])] = true, true
		}
		talk(t, alice, bob, 1)
		if round%2 == 0 {
			hears(t, alice, says(t, bob, "once more"), "once more")
		}
	}
}

// TestRolledBack: a side that lost its newest states never repeats a key, and
// within a chain it goes on once it is past the numbers it used before.
func TestRolledBack(t *testing.T) {
	alice, bob := meet(t)
	talk(t, alice, bob, 4)
	hears(t, bob, says(t, alice, "begins a chain"), "begins a chain")
	backup := alice.Clone()
	hears(t, bob, says(t, alice, "one"), "one")
	hears(t, bob, says(t, alice, "two"), "two")

	alice = backup
	for _, text := range []string{"instead of one", "instead of two"} {
		if err := refuses(t, bob, says(t, alice, text)); !errors.Is(err, ErrUsed) {
			t.Errorf("%s: %v", text, err)
		}
	}
	hears(t, bob, says(t, alice, "three"), "three")
	talk(t, bob, alice, 4)

	// Across a step of its own it has lost its ratchet key: the two sides
	// have parted, say so at each message, and the session is to be reset.
	hears(t, alice, says(t, bob, "your turn"), "your turn")
	backup = alice.Clone()
	hears(t, bob, says(t, alice, "with a new key"), "with a new key")
	alice = backup
	if err := refuses(t, bob, says(t, alice, "with another")); !errors.Is(err, ErrForged) {
		t.Errorf("another key in the same chain: %v", err)
	}
	if err := refuses(t, alice, says(t, bob, "to the lost key")); !errors.Is(err, ErrForged) {
		t.Errorf("a message to a lost key: %v", err)
	}
}

func TestReflection(t *testing.T) {
	alice, bob := meet(t)
	for range 6 {
		for _, s := range []struct{ from, to *Session }{{alice, bob}, {bob, alice}} {
			wire := says(t, s.from, "mine")
			if err := refuses(t, s.from, wire); !errors.Is(err, ErrUnknown) {
				t.Fatalf("one's own message: %v", err)
			}
			hears(t, s.to, wire, "mine")
			if err := refuses(t, s.from, wire); !errors.Is(err, ErrUnknown) {
				t.Fatalf("one's own message, later: %v", err)
			}
		}
	}
}

func TestWithOneself(t *testing.T) {
	f := newFirst()
	f.parties.ResponderDevice = f.parties.InitiatorDevice
	if _, err := NewInitiator(f.secrets, f.parties, f.prekey.Public()); !errors.Is(err, ErrSelf) {
		t.Errorf("initiating with oneself: %v", err)
	}
	if _, err := NewResponder(f.secrets, f.parties, f.prekey); !errors.Is(err, ErrSelf) {
		t.Errorf("responding to oneself: %v", err)
	}
	// A person's own devices share ROOT, and may talk.
	f = newFirst()
	f.parties.ResponderRoot = f.parties.InitiatorRoot
	talk(t, f.initiator(t), f.responder(t), 2)
}

// badPoints are X25519 points that no honest key is: of low order (RFC 7748,
// section 6.1; the list of cr.yp.to/ecdh.html), or not canonical.
func badPoints(t testing.TB) [][32]byte {
	var points [][32]byte
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 9, not canonical
		"0900000000000000000000000000000000000000000000000000000000000080", // 9, high bit
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, [32]byte(b))
	}
	return points
}

func TestBadRatchetKeys(t *testing.T) {
	for _, point := range badPoints(t) {
		alice, bob := meet(t)
		talk(t, alice, bob, 2)
		wire := lies(t, alice, func(h *header) { h.dh = point })
		if err := refuses(t, bob, wire); !errors.Is(err, ErrForged) || !errors.Is(err, identity.ErrKey) {
			t.Errorf("%x: %v", point, err)
		}
		if _, err := NewInitiator(newFirst().secrets, newFirst().parties, point); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%x as signed prekey: %v", point, err)
		}
		if _, err := identity.ParsePrekey(point[:]); err == nil {
			t.Errorf("%x: identity.ParsePrekey and this package disagree", point)
		}
	}
	// Another key in the middle of a chain.
	alice, bob := meet(t)
	talk(t, alice, bob, 2)
	hears(t, bob, says(t, alice, "one"), "one")
	wire := lies(t, alice, func(h *header) { h.dh = identity.GeneratePrekey().Public() })
	if err := refuses(t, bob, wire); !errors.Is(err, ErrForged) {
		t.Errorf("another ratchet key in one chain: %v", err)
	}
}

// TestConfusedTypes: what a header attaches has one form per side and epoch,
// and no other is taken even from the true sender.
func TestConfusedTypes(t *testing.T) {
	other, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	otherKey := other.EncapsulationKey().Bytes()
	tooLarge := bytes.Repeat([]byte{0xff}, len(otherKey)) // coefficients of 4095 > q
	edits := map[string]func(*header){
		"nothing":                   func(h *header) { h.attached, h.epoch, h.body = attachNone, 0, nil },
		"nothing, of an epoch":      func(h *header) { h.attached, h.body = attachNone, nil },
		"nothing, with bytes":       func(h *header) { h.attached, h.epoch = attachNone, 0 },
		"an unknown thing":          func(h *header) { h.attached = 3 },
		"the other kind":            func(h *header) { h.attached = attachKey + attachCiphertext - h.attached },
		"a key of this epoch":       func(h *header) { h.attached, h.epoch, h.body = attachKey, h.pqEpoch, otherKey },
		"a key two epochs on":       func(h *header) { h.attached, h.epoch, h.body = attachKey, h.pqEpoch+2, otherKey },
		"the epoch before its time": func(h *header) { h.pqEpoch += 2; h.epoch += 2 },
		"the other's epoch":         func(h *header) { h.pqEpoch++; h.epoch++ },
		"the last epoch":            func(h *header) { h.pqEpoch, h.epoch = math.MaxUint32, 0 },
		"a key that is none":        func(h *header) { h.attached, h.epoch, h.body = attachKey, h.pqEpoch+1, tooLarge },
		"rubbish behind": func(h *header) {
			h.body = append(bytes.Clone(h.body), make([]byte, 1184+22-len(h.body))...)
			h.body[len(h.body)-1] = 1
		},
	}
	for name, edit := range edits {
		for _, as := range []role{roleK, roleC} {
			alice, bob := meet(t)
			for { // until Bob waits for just what Alice is about to attach
				talk(t, alice, bob, 1)
				next := alice.Clone()
				if says(t, next, "probe"); next.pq.role == as && (as == roleC) == (bob.pq.role == roleK) {
					break
				}
			}
			honest := alice.Clone()
			err := refuses(t, bob, lies(t, alice, edit))
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrForged) && !errors.Is(err, ErrUsed) {
				t.Errorf("role %d attaches %s: %v", as, name, err)
			}
			hears(t, bob, says(t, honest, "honest"), "honest")
		}
	}
}

func TestCiphertextForAnotherKey(t *testing.T) {
	alice, bob := meet(t)
	hears(t, bob, says(t, alice, "first"), "first")
	// Mallory stands between and re-encapsulates to Alice's very key: the
	// header she cannot reseal, and where she can, the secret is not Bob's.
	ek, err := mlkem.NewEncapsulationKey768(alice.pq.body)
	if err != nil {
		t.Fatal(err)
	}
	_, ct := ek.Encapsulate()
	wire := lies(t, bob, func(h *header) { h.body = ct })
	if err := refuses(t, alice, wire); !errors.Is(err, ErrForged) {
		t.Errorf("another ciphertext: %v", err)
	}
}

// TestPostQuantumHalfRefused: who never answers with the post-quantum half can
// still talk, and is reported after 20 steps.
func TestPostQuantumHalfRefused(t *testing.T) {
	alice, bob := meet(t)
	for i := 1; i <= StallAfter+1; i++ {
		bob.pq.body, bob.pq.ek = nil, nil // Bob forgets Alice's key whenever he sees it
		hears(t, bob, says(t, alice, "ping"), "ping")
		bob.pq.body, bob.pq.ek = nil, nil
		hears(t, alice, says(t, bob, "pong"), "pong")
		if got := alice.Stats(); got.Stalled != (got.Steps >= StallAfter) || got.Steps != uint32(i-1) {
			t.Fatalf("after %d turns: %+v", i, got)
		}
	}
	if got := alice.Stats(); !got.Stalled || got.Epoch != 0 {
		t.Errorf("Alice notices nothing: %+v", got)
	}
	talk(t, alice, bob, 2)
	if got := alice.Stats(); got.Stalled || got.Epoch == 0 {
		t.Errorf("Bob came round, and Alice says %+v", got)
	}
}
