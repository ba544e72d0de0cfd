package mailbox

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"
)

var update = flag.Bool("update", false, "write testdata anew")

// frozen compares v with a file under testdata, whose bytes must never change
// while the protocol is /godwit/mailbox/1.
func frozen(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("testdata/%s no longer holds: the protocol changed", name)
	}
}

func fixedRelay(t testing.TB) (crypto.PrivKey, peer.ID) {
	t.Helper()
	k, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x11}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

func fixedDescriptor(t testing.TB) *Descriptor {
	t.Helper()
	_, id := fixedRelay(t)
	d := &Descriptor{
		Relay: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/4001"), ma.StringCast("/ip4/127.0.0.1/udp/4001/quic-v1")},
		Epoch0: 21914, N: DescriptorEpochs, Cells: 512, Bytes: 8 << 20, Expiry: time.Unix(1899849600, 0),
	}
	for i := range d.Seed {
		d.Seed[i] = byte(i)
	}
	return d
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestVectors(t *testing.T) {
	d := fixedDescriptor(t)
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	type queue struct {
		Epoch                       uint32
		WritePub, QID, CellKey      string
		CellID4K, CellID16K, Nonce4 string
	}
	v := struct {
		Relay, Seed, Descriptor string
		Queues                  []queue
		Receipts                []string
	}{Relay: hex.EncodeToString([]byte(d.Relay)), Seed: hex.EncodeToString(d.Seed[:]), Descriptor: hex.EncodeToString(raw)}
	for _, e := range []uint32{21914, 21915, 21958, CatchAll} {
		q := d.Queue(e)
		small, err := q.Key.Seal(pattern(CellSmall - CellOverhead))
		medium, err2 := q.Key.Seal(pattern(CellMedium - CellOverhead))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		v.Queues = append(v.Queues, queue{
			e, hex.EncodeToString(q.Write.public()), q.Write.QID().String(), hex.EncodeToString(q.Key[:]),
			IDOf(small).String(), IDOf(medium).String(), hex.EncodeToString(small[:24]),
		})
	}
	k, id := fixedRelay(t)
	for _, n := range []int{1, 3} {
		leaves := make([][32]byte, n)
		for i := range leaves {
			leaves[i] = leafHash(Kept, QID{byte(i)}, CellID{byte(i)}, time.Unix(1896048000, 0))
		}
		tr, at := newTree(leaves), time.UnixMilli(1893456000123)
		signature, err := k.Sign(receiptText(id, at, uint16(n), tr.root()))
		if err != nil {
			t.Fatal(err)
		}
		for i := range leaves {
			r := Receipt{Kept, time.Unix(1896048000, 0), at, uint16(n), uint16(i), tr.path(i), [64]byte(signature)}
			if err := r.Verify(id, QID{byte(i)}, CellID{byte(i)}); err != nil {
				t.Fatal(err)
			}
			v.Receipts = append(v.Receipts, hex.EncodeToString(r.Marshal()))
		}
	}
	frozen(t, "vectors.json", v)
}

// TestTranscript is section 5 of SPEC.md, in bytes.
func TestTranscript(t *testing.T) {
	relayKey, relay := fixedRelay(t)
	box := NewBoxPrivate([32]byte(bytes.Repeat([]byte{0x22}, 32)))
	name := box.Public()
	d := fixedDescriptor(t)
	q := d.Queue(21915)
	midnight := time.Unix(1893456000, 0)
	c1, c2 := [32]byte(bytes.Repeat([]byte{0x33}, 32)), [32]byte(bytes.Repeat([]byte{0x44}, 32))
	limits := (&ServerConfig{Quotas: DefaultQuotas(), Leases: []LeaseKind{LeaseOpen, LeaseWork}}).limits()
	limits.Newer = false // as relays were when this was written
	cell, err := q.Key.Seal(pattern(CellSmall - CellOverhead))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{key: relayKey, relay: relay}
	kept := []Deposit{{Queue: q.Write.QID(), ID: IDOf(cell), Until: midnight.Add(MaxTTL)}}
	leaf := leafHash(Kept, kept[0].Queue, kept[0].ID, kept[0].Until)
	signature, err := s.key.Sign(receiptText(relay, midnight, 1, leaf))
	if err != nil {
		t.Fatal(err)
	}
	receipt := Receipt{Kept, kept[0].Until, midnight, 1, 0, nil, [64]byte(signature)}
	var names []QID
	for _, q := range d.Queues() {
		names = append(names, q.Write.QID())
	}
	entry := Entry{1, q.Write.QID(), IDOf(cell), CellSmall, kept[0].Until, 0}
	sign := func(k ed25519.PrivateKey, label string, c [32]byte, name []byte) [64]byte {
		return [64]byte(ed25519.Sign(k, signed(label, relay, c, name)))
	}
	boxKey := ed25519.NewKeyFromSeed(box.seed[:])

	type line struct{ From, Frame string }
	var lines []line
	say := func(from string, id uint32, m message) {
		lines = append(lines, line{from, hex.EncodeToString(encode(nil, id, m))})
	}
	say("relay", 0, &hello{midnight, c1, limits})
	say("reader", 1, &login{name, sign(boxKey, "godwit/1/mailbox/login", c1, name[:])})
	say("relay", 1, &loginAnswer{BoxInfo{Limit: limits.BoxBytes}})
	say("reader", 2, &lease{LeaseOpen, nil})
	say("relay", 2, &until{kindLease | kindAnswer, midnight.Add(LeaseTime)})
	say("reader", 3, &open{Ordinary, midnight.Add(90 * EpochTime), names})
	say("relay", 3, answer(kindOpen))
	say("reader", 4, &watch{0})
	say("relay", 4, answer(kindWatch))
	say("relay", 0, &hello{midnight, c2, limits})
	say("writer", 1, &prove{21915, [32]byte(q.Write.public()), sign(q.Write.key, "godwit/1/mailbox/prove", c2, q.Write.id[:])})
	say("writer", 2, &put{q.Write.QID(), MaxTTL, cell})
	say("relay", 2, raw{kindPut | kindAnswer, receipt.Marshal()})
	say("relay", 4, &news{[]Entry{entry}})
	say("reader", 5, &get{IDOf(cell)})
	say("relay", 5, raw{kindGet | kindAnswer, cell})
	say("reader", 6, &ack{[]CellID{IDOf(cell)}})
	say("relay", 6, &ackAnswer{1})
	frozen(t, "transcript.json", lines)
}

func TestDescriptors(t *testing.T) {
	d := fixedDescriptor(t)
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDescriptor(raw)
	if err != nil || got.Relay != d.Relay || got.Seed != d.Seed || len(got.Addrs) != 2 || !got.Expiry.Equal(d.Expiry) {
		t.Fatal(got, err)
	}
	for n := range raw {
		if _, err := ParseDescriptor(raw[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := ParseDescriptor(append(bytes.Clone(raw), 0)); !errors.Is(err, ErrMalformed) {
		t.Fatal(err)
	}
	if bad := bytes.Clone(raw); true {
		bad[3] ^= 0xff // no Ed25519 key is named like this
		if _, err := ParseDescriptor(bad); err == nil {
			t.Fatal("a relay that cannot be one")
		}
	}
	for name, change := range map[string]func(*Descriptor){
		"no days":            func(d *Descriptor) { d.N = 0 },
		"too many days":      func(d *Descriptor) { d.N = 367 },
		"into the catch-all": func(d *Descriptor) { d.Epoch0 = CatchAll - 3 },
		"nine addresses":     func(d *Descriptor) { d.Addrs = make([]ma.Multiaddr, 9) },
		"an address twice":   func(d *Descriptor) { d.Addrs = append(d.Addrs, d.Addrs[0]) },
		"an empty address":   func(d *Descriptor) { d.Addrs = append(d.Addrs, nil) },
		"another peer":       func(d *Descriptor) { d.Addrs = append(d.Addrs, ma.StringCast("/p2p/"+d.Relay.String())) },
		"before 1970":        func(d *Descriptor) { d.Expiry = time.Unix(-1, 0) },
	} {
		bad := *d
		change(&bad)
		if _, err := bad.Marshal(); err == nil {
			t.Errorf("%s was written", name)
		}
	}

	// Days follow each other; what is not covered goes to the catch-all.
	queues := d.Queues()
	seen := make(map[QID]bool)
	for i, q := range queues {
		seen[q.Write.QID()] = true
		if want := d.Epoch0 + uint32(i); i < 45 && q.Write.Epoch() != want || i == 45 && q.Write.Epoch() != CatchAll {
			t.Fatalf("queue %d is of day %d", i, q.Write.Epoch())
		}
	}
	if len(queues) != 46 || len(seen) != 46 {
		t.Fatalf("%d queues, %d names", len(queues), len(seen))
	}
	for _, e := range []uint32{0, d.Epoch0 - 1, d.Epoch0 + 45, CatchAll} {
		if d.Queue(e).Write.QID() != queues[45].Write.QID() {
			t.Fatalf("day %d has a queue of its own", e)
		}
	}
	_, other := newRelay(t)
	e := *d
	e.Relay = other
	if e.Queue(21915).Write.QID() == d.Queue(21915).Write.QID() || e.Queue(21915).Key == d.Queue(21915).Key {
		t.Fatal("two relays could compare queues")
	}

	fresh, err := NewDescriptor(peer.AddrInfo{ID: other, Addrs: []ma.Multiaddr{
		ma.StringCast("/ip4/127.0.0.1/tcp/1/p2p/" + other.String()), ma.StringCast("/p2p/" + other.String()),
	}}, time.Unix(1893456000, 0), Limits{QueueCells: 3, QueueBytes: 4})
	if err != nil || fresh.Epoch0 != 21914 || len(fresh.Addrs) != 1 || fresh.Addrs[0].String() != "/ip4/127.0.0.1/tcp/1" || fresh.Cells != 3 {
		t.Fatal(fresh, err)
	}
	if _, err := fresh.Marshal(); err != nil {
		t.Fatal(err)
	}
	if fresh.Expiry.After(time.Unix(1893456000, 0).Add(MaxUntil)) {
		t.Fatal("its queues cannot be opened until its expiry")
	}
	if _, err := NewDescriptor(peer.AddrInfo{ID: "x"}, time.Now(), Limits{}); !errors.Is(err, ErrRelay) {
		t.Fatal(err)
	}
}

func TestCells(t *testing.T) {
	q := fixedDescriptor(t).Queue(21915)
	for _, size := range []int{CellSmall, CellMedium, CellLarge} {
		m := pattern(size - CellOverhead)
		cell, err := q.Key.Seal(m)
		again, err2 := q.Key.Seal(m)
		if err != nil || err2 != nil || len(cell) != size || !bytes.Equal(cell, again) {
			t.Fatalf("%d: a retry is another cell (%v %v)", size, err, err2)
		}
		if got, err := q.Key.Open(cell); err != nil || !bytes.Equal(got, m) {
			t.Fatal(err)
		}
		if _, err := fixedDescriptor(t).Queue(21916).Key.Open(cell); !errors.Is(err, ErrCell) {
			t.Fatal(err)
		}
		for _, n := range []int{size - 1, size + 1, 0, 40} {
			if _, err := q.Key.Open(make([]byte, n)); !errors.Is(err, ErrCell) {
				t.Fatal(err)
			}
		}
	}
	cell, err := q.Key.Seal(pattern(CellSmall - CellOverhead))
	if err != nil {
		t.Fatal(err)
	}
	for i := range cell {
		cell[i] ^= 0x40
		if _, err := q.Key.Open(cell); !errors.Is(err, ErrCell) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		cell[i] ^= 0x40
	}
	// A nonce that the writer chose: it would let one message be many cells.
	nonce := [24]byte{1}
	odd := q.Key.aead().Seal(bytes.Clone(nonce[:]), nonce[:], pattern(CellSmall-CellOverhead), nil)
	if _, err := q.Key.Open(odd); !errors.Is(err, ErrCell) {
		t.Fatal(err)
	}
	for _, n := range []int{0, CellSmall, CellSmall - CellOverhead - 1, CellLarge} {
		if _, err := q.Key.Seal(make([]byte, n)); !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	}
}

// FuzzDescriptor: a descriptor that is read is the one that would be written.
// TestDescriptorTellsTerms: what a relay is set to stands in a descriptor, read by who knows of it. A reader of before reads
// the same descriptor as ever, with a quota that is less than one cell off; and a writer of before tells no terms.
func TestDescriptorTellsTerms(t *testing.T) {
	// The reader of before.
	older := func(raw []byte) (d Descriptor) {
		s := cryptobyte.String(raw)
		var version, k uint8
		var id, seed []byte
		var expiry uint64
		if !s.ReadUint8(&version) || version != 1 || !s.ReadBytes(&id, 38) || !s.ReadBytes(&seed, 32) || !s.ReadUint32(&d.Epoch0) || !s.ReadUint16(&d.N) ||
			!s.ReadUint16(&d.Cells) || !s.ReadUint32(&d.Bytes) || !s.ReadUint64(&expiry) || !s.ReadUint8(&k) {
			t.Fatal("it cannot be read")
		}
		var ok bool
		if d.Addrs, ok = readAddrs(&s, int(k), isPlace); !ok || !s.Empty() {
			t.Fatal("its addresses cannot be read")
		}
		d.Relay, d.Seed, d.Expiry = peer.ID(id), [32]byte(seed), time.Unix(int64(expiry), 0)
		return d
	}
	limits := Limits{Leases: []LeaseKind{LeaseToken, LeaseWork}, QueueCells: 512, QueueBytes: 8<<20 + 1000}
	for _, c := range []struct {
		name  string
		more  Allowance
		token bool
		cells uint16
		bytes uint32
	}{
		{"work paid", Allowance{Token: Room{QueueCells: 4096, QueueBytes: 64 << 20}}, false, 512, 8 << 20},
		{"a token paid", Allowance{Token: Room{QueueCells: 4096, QueueBytes: 64 << 20}}, true, 4096, 64 << 20},
		{"a token paid, for more cells", Allowance{Token: Room{QueueCells: 4096}}, true, 4096, 8 << 20},
		{"a token paid, for no more", Allowance{}, true, 512, 8 << 20},
	} {
		d := fixedDescriptor(t)
		d.Tell(limits, c.more, c.token)
		raw, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDescriptor(raw)
		if err != nil {
			t.Fatal(err)
		}
		leases, token, told := got.Terms()
		if !told || token != c.token || !slices.Equal(leases, limits.Leases) || got.Cells != c.cells || got.Bytes != c.bytes {
			t.Errorf("%s: %v %v %v, %d cells and %d bytes", c.name, leases, token, told, got.Cells, got.Bytes)
		}
		was := older(raw)
		if was.Bytes < c.bytes || was.Bytes >= c.bytes+CellSmall {
			t.Errorf("%s: a reader of before takes the quota for %d bytes", c.name, was.Bytes)
		}
		if was.Bytes, got.Bytes, got.terms = 0, 0, 0; !reflect.DeepEqual(&was, got) {
			t.Errorf("%s: a reader of before reads %+v, not %+v", c.name, was, got)
		}
	}
	raw, err := fixedDescriptor(t).Marshal() // as a writer of before made it, see testdata/vectors.json
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDescriptor(raw)
	if err != nil {
		t.Fatal(err)
	}
	if leases, token, told := got.Terms(); told || token || leases != nil || got.Bytes != 8<<20 {
		t.Errorf("a writer of before told %v %v %v, %d bytes", leases, token, told, got.Bytes)
	}
	later := bytes.Clone(raw) // tells what is not known here
	later[1+38+32+4+2+2+2] |= 0x0f
	later[1+38+32+4+2+2+3] = 0xff
	if got, err = ParseDescriptor(later); err != nil || got.Bytes != 8<<20 {
		t.Fatal(got, err)
	}
	if again, err := got.Marshal(); err != nil || !bytes.Equal(again, later) {
		t.Fatal("what is not known is not passed on", err)
	}
}

func FuzzDescriptor(f *testing.F) {
	d := fixedDescriptor(f)
	raw, err := d.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	d.Tell(Limits{Leases: []LeaseKind{LeaseToken}, QueueCells: 9, QueueBytes: 1 << 20}, Allowance{}, true)
	if raw, err = d.Marshal(); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	d.Addrs = append(d.Addrs, circuits()...)
	if raw, err = d.Marshal(); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	d.Addrs, d.N, d.Epoch0 = nil, 1, CatchAll-1
	if raw, err = d.Marshal(); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ParseDescriptor(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrRelay) {
				t.Fatal(err)
			}
			return
		}
		if got, err := d.Marshal(); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("%x was read as %x (%v)", raw, got, err)
		}
		d.Queue(d.Epoch0)
	})
}

// FuzzCell: what opens was sealed by Seal.
func FuzzCell(f *testing.F) {
	k := CellKey{1}
	cell, err := k.Seal(pattern(CellSmall - CellOverhead))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cell)
	f.Fuzz(func(t *testing.T, cell []byte) {
		if m, err := k.Open(cell); err == nil {
			if again, err := k.Seal(m); err != nil || !bytes.Equal(again, cell) {
				t.Fatal("a cell that Seal does not make was opened", err)
			}
		}
	})
}
