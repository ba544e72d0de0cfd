package mailbox

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/bits"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

func newRelay(t testing.TB) (crypto.PrivKey, peer.ID) {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

// rfcRoot is MTH of RFC 9162, section 2.1.1, word for word, over leaf hashes.
func rfcRoot(d [][32]byte) [32]byte {
	if len(d) == 1 {
		return d[0]
	}
	k := 1 << (bits.Len(uint(len(d)-1)) - 1) // the largest power of two below n
	return nodeHash(rfcRoot(d[:k]), rfcRoot(d[k:]))
}

// rfcPath is PATH of RFC 9162, section 2.1.3.1.
func rfcPath(m int, d [][32]byte) [][32]byte {
	if len(d) == 1 {
		return nil
	}
	k := 1 << (bits.Len(uint(len(d)-1)) - 1)
	if m < k {
		return append(rfcPath(m, d[:k]), rfcRoot(d[k:]))
	}
	return append(rfcPath(m-k, d[k:]), rfcRoot(d[:k]))
}

func TestTree(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 100, 255, 256, 257, 511, 512} {
		leaves := make([][32]byte, n)
		for i := range leaves {
			leaves[i] = leafHash(Kept, QID{byte(i)}, CellID{byte(i >> 8)}, time.Unix(int64(i), 0))
		}
		tr := newTree(leaves)
		if tr.root() != rfcRoot(leaves) {
			t.Fatalf("%d leaves: another root", n)
		}
		for i := range leaves {
			path, want := tr.path(i), rfcPath(i, leaves)
			if len(path) != len(want) || len(path) != pathLength(i, n) || len(path) > 9 {
				t.Fatalf("leaf %d of %d: path of %d, want %d", i, n, len(path), len(want))
			}
			for j := range path {
				if path[j] != want[j] {
					t.Fatalf("leaf %d of %d: another path", i, n)
				}
			}
			if rootOf(leaves[i], i, n, path) != tr.root() {
				t.Fatalf("leaf %d of %d does not lead to the root", i, n)
			}
		}
	}
}

// group makes the receipts of n deposits.
func group(t testing.TB, n int) (peer.ID, []*Deposit, []Receipt) {
	t.Helper()
	k, id := newRelay(t)
	s := &Server{key: k, relay: id}
	kept := make([]*Deposit, n)
	leaves := make([][32]byte, n)
	for i := range kept {
		kept[i] = &Deposit{Queue: QID{byte(i), 1}, ID: CellID{byte(i), 2}, Until: time.Unix(2e9, 0)}
		leaves[i] = leafHash(Kept, kept[i].Queue, kept[i].ID, kept[i].Until)
	}
	receipts, err := s.receipts(kept, leaves)
	if err != nil {
		t.Fatal(err)
	}
	return id, kept, receipts
}

func TestReceipts(t *testing.T) {
	id, kept, receipts := group(t, 11)
	_, other := newRelay(t)
	for i, r := range receipts {
		raw := r.Marshal()
		got, err := ParseReceipt(raw)
		if err != nil || !bytes.Equal(got.Marshal(), raw) || got.Verify(id, kept[i].Queue, kept[i].ID) != nil {
			t.Fatalf("receipt %d: %v", i, err)
		}
		for name, err := range map[string]error{
			"another relay": got.Verify(other, kept[i].Queue, kept[i].ID),
			"another queue": got.Verify(id, kept[(i+1)%11].Queue, kept[i].ID),
			"another cell":  got.Verify(id, kept[i].Queue, kept[(i+1)%11].ID),
			"no receipt":    Receipt{}.Verify(id, kept[i].Queue, kept[i].ID),
		} {
			if !errors.Is(err, ErrBadReceipt) {
				t.Fatalf("receipt %d for %s: %v", i, name, err)
			}
		}
		if err := got.Verify("not a peer", kept[i].Queue, kept[i].ID); !errors.Is(err, ErrRelay) {
			t.Fatal(err)
		}
		for j := range raw {
			flipped := bytes.Clone(raw)
			flipped[j] ^= 1
			if bad, err := ParseReceipt(flipped); err == nil && bad.Verify(id, kept[i].Queue, kept[i].ID) == nil {
				t.Fatalf("receipt %d with byte %d flipped proves something", i, j)
			}
		}
	}
	if _, _, many := group(t, MaxBatch); len(many[0].Marshal()) != 374 || len(many[0].path) != 9 {
		t.Fatalf("the longest receipt has %d bytes", len(many[0].Marshal()))
	}
}

// FuzzReceipt: a receipt that is read is the one that would be written, and
// none proves what was not signed.
func FuzzReceipt(f *testing.F) {
	id, kept, receipts := group(f, 5)
	for _, r := range receipts {
		f.Add(r.Marshal())
	}
	signed := make(map[string]bool)
	for _, r := range receipts {
		signed[string(r.Marshal())] = true
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseReceipt(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(r.Marshal(), raw) {
			t.Fatalf("%x was read as %x", raw, r.Marshal())
		}
		if r.Verify(id, kept[0].Queue, kept[0].ID) == nil && !signed[string(raw)] {
			t.Fatalf("%x proves what was not signed", raw)
		}
	})
}
