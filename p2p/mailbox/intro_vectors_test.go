package mailbox

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/rate"
)

// fixedProof is the proof of some terms that a search from 0 finds.
func fixedProof(t Terms, cell []byte) Proof {
	p := Proof{terms: t, cell: IDOf(cell)}
	salt := introSalt(t.relay, t.challenge, t.queue, p.cell, t.Work)
	for tried(salt, p.try) < int(t.Work) {
		p.try[7]++ // the work is little enough
	}
	p.seal = sealed(salt, p.try)
	return p
}

// TestIntroVectors is section 2.2 of SPEC.md, in bytes.
func TestIntroVectors(t *testing.T) {
	k, relay := fixedRelay(t)
	write, err := NewWriteKey(relay, CatchAll, [32]byte(bytes.Repeat([]byte{0x55}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	midnight := time.Unix(1893456000, 0)
	challenge := [32]byte(bytes.Repeat([]byte{0x66}, 32))
	cell := pattern(CellMedium)
	asked := Terms{Work: 4, relay: relay, queue: write.id, challenge: challenge}
	p := fixedProof(asked, cell)
	salt := introSalt(relay, challenge, write.id, p.cell, asked.Work)
	leaf := leafHash(Evictable, write.id, p.cell, midnight.Add(MaxTTL))
	signature, err := k.Sign(receiptText(relay, midnight, 1, leaf))
	if err != nil {
		t.Fatal(err)
	}
	receipt := Receipt{Evictable, midnight.Add(MaxTTL), midnight, 1, 0, nil, [64]byte(signature)}
	if err := receipt.VerifyEvictable(relay, write.id, p.cell); err != nil {
		t.Fatal(err)
	}
	frame := func(m message) string { return hex.EncodeToString(encode(nil, 1, m)) }
	frozen(t, "intro.json", struct{ Relay, WritePub, QID, CellID, Salt, Try, Seal, Open, Terms, Told, Intro, Receipt, News string }{
		hex.EncodeToString([]byte(relay)), hex.EncodeToString(write.public()), write.id.String(), p.cell.String(), hex.EncodeToString(salt[:]),
		hex.EncodeToString(p.try[:]), hex.EncodeToString(p.seal[:]), frame(&open{Intro, midnight.Add(90 * EpochTime), []QID{write.id}}),
		frame(&terms{write.id}), frame(&termsAnswer{challenge, asked.Work, introGood}),
		frame(&intro{write.id, MaxTTL, challenge, asked.Work, p.try, p.seal, cell}), frame(raw{kindIntro | kindAnswer, receipt.Marshal()}),
		frame(&news{[]Entry{{1, write.id, p.cell, CellMedium, receipt.Expiry, asked.Work}}}),
	})
}

// TestEvictableIsNotKept: no bit of a receipt makes it promise more.
func TestEvictableIsNotKept(t *testing.T) {
	k, relay := newRelay(t)
	s := &Server{key: k, relay: relay}
	kept := []*Deposit{{Queue: QID{1}, ID: CellID{1}, Until: time.Unix(2e9, 0)}, {Queue: QID{2}, ID: CellID{2}, Until: time.Unix(2e9, 0), Work: 1}}
	var leaves [][32]byte
	for _, d := range kept {
		leaves = append(leaves, leafHash(d.promise(), d.Queue, d.ID, d.Until))
	}
	receipts, err := s.receipts(kept, leaves) // of both kinds, under one signature
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		q, c := kept[i].Queue, kept[i].ID
		asKept, asEvictable := r.Verify(relay, q, c), r.VerifyEvictable(relay, q, c)
		if (asKept == nil) != (i == 0) || (asEvictable == nil) != (i == 1) {
			t.Fatalf("receipt %d: %v as kept, %v as evictable", i, asKept, asEvictable)
		}
		raw := r.Marshal()
		raw[1] ^= 3 // the other promise
		other, err := ParseReceipt(raw)
		if err != nil {
			t.Fatal(err)
		}
		if other.Verify(relay, q, c) == nil || other.VerifyEvictable(relay, q, c) == nil {
			t.Fatalf("receipt %d proves another promise", i)
		}
	}
}

// TestLoad: the work that is asked for follows what is pending and what comes, within bounds.
func TestLoad(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newIntroGate(DefaultIntroWork)
	want := func(pending int, bits uint8) {
		t.Helper()
		if got := g.work(pending, now); got != bits {
			t.Fatalf("%d bits for %d pending at a load of %v, want %d", got, pending, g.load, bits)
		}
	}
	for pending, bits := range map[int]uint8{0: 7, 49: 7, 50: 8, 100: 9, 199: 10, 200: 11, 100000: 11} {
		want(pending, bits)
	}
	pour := func(perSecond int) { // for five minutes, from everywhere
		t.Helper()
		admitted := 0
		for i := range 300 * perSecond {
			now = now.Add(time.Second / time.Duration(perSecond))
			var stream rate.Bucket
			if g.enter(&stream, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24), now) == nil {
				g.waiting--
				admitted++
			}
		}
		if most := 300*relayRate + relayProofs; float64(admitted) > most {
			t.Fatalf("%d proofs were admitted, more than %v", admitted, most)
		}
	}
	pour(2) // 120 a minute
	if got := g.work(0, now); got < 8 || got > 9 {
		t.Fatalf("%d bits at 2 a second", got)
	}
	pour(100)
	want(0, 11)
	want(200, 11)
	now = now.Add(50 * time.Second) // a sixth of 960 in a minute is left
	want(0, 9)
	now = now.Add(-time.Hour) // the clock is set back: nothing is forgotten early, nothing breaks
	if got := g.work(0, now); got < 9 || got > 11 {
		t.Fatalf("%d bits with the clock set back", got)
	}
	now = now.Add(3 * time.Hour)
	want(0, 7)
	if stubborn := newIntroGate(MaxIntroWork); stubborn.work(1000, now) != MaxIntroWork {
		t.Fatal("an operator's choice does not hold")
	}
}

// TestGateIsBounded: attacks.md row 36. However many ask from wherever, few wait and little is remembered.
func TestGateIsBounded(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newIntroGate(1)
	group := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i)}), 24)
	}
	admitted := 0
	for i := range 10000 { // nothing is computed yet
		var stream rate.Bucket
		if g.enter(&stream, group(i), now) == nil {
			admitted++
		}
	}
	if admitted != waitingProofs || g.waiting != waitingProofs || g.groups.Len() > rate.MaxGroups+1 {
		t.Fatalf("%d admitted, %d wait, %d groups", admitted, g.waiting, g.groups.Len())
	}
	for range waitingProofs {
		g.check([32]byte{}, [8]byte{}, 1)
	}
	if g.waiting != 0 || len(g.turns) != 0 || cap(g.turns) > 4 {
		t.Fatalf("%d wait, %d of %d turns", g.waiting, len(g.turns), cap(g.turns))
	}
	now = now.Add(time.Hour) // all groups are forgiven, and forgotten
	var stream rate.Bucket
	if err := g.enter(&stream, group(1<<20), now); err != nil || g.groups.Len() > 2 {
		t.Fatalf("%d groups an hour later (%v)", g.groups.Len(), err)
	}
}

// BenchmarkIntroCheck is what a proof costs a relay: one that is not sealed, and one that is.
func BenchmarkIntroCheck(b *testing.B) {
	salt, try := [32]byte{1}, [8]byte{2}
	seal := sealed(salt, try)
	b.Run("unsealed", func(b *testing.B) {
		for b.Loop() {
			if isSealed(salt, try, [8]byte{}) {
				b.Fatal("sealed")
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			isSealed(salt, try, seal)
			tried(salt, try)
		}
	})
}

// BenchmarkIntroWork is what a stranger does at the least difficulty, and
// the seal alone, which a proof that does not hold takes too.
func BenchmarkIntroWork(b *testing.B) {
	_, relay := newRelay(b)
	cell := pattern(CellMedium)
	b.Run("least", func(b *testing.B) {
		n := byte(0)
		for b.Loop() {
			n++
			if _, err := Work(b.Context(), Terms{Work: DefaultIntroWork, Until: time.Now().Add(time.Hour), relay: relay, challenge: [32]byte{n}}, cell); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seal", func(b *testing.B) {
		n := byte(0)
		for b.Loop() {
			n++
			sealed([32]byte{n}, [8]byte{})
		}
	})
}
