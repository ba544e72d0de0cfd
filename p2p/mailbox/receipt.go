package mailbox

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/crypto/cryptobyte"
)

const receiptVersion = 1

// A Promise is what a relay promises of a cell.
type Promise byte

const (
	// Kept: the relay keeps it until Expiry or ACK.
	Kept Promise = 1
	// Evictable: as Kept, unless stronger cells displace it from an intro queue. It
	// must never be counted as kept.
	Evictable Promise = 2
)

// A Receipt is a relay's signed promise to keep a cell (section 1.3). It is
// evidence: Verify and VerifyEvictable tell whether it proves anything.
type Receipt struct {
	// Promise is what the relay promised.
	Promise Promise
	// Expiry is until when the cell is kept, by the relay's clock, in whole seconds.
	Expiry time.Time
	// Time is when the relay signed, by its clock, in whole milliseconds.
	Time time.Time

	count, index uint16
	path         [][32]byte
	signature    [ed25519.SignatureSize]byte
}

// leafHash and nodeHash are H of RFC 9162, section 2.1.1, with our leaf.
func leafHash(p Promise, q QID, c CellID, expiry time.Time) [32]byte {
	var b [2 + 32 + 16 + 8]byte
	b[1] = byte(p)
	copy(b[2:], q[:])
	copy(b[34:], c[:])
	binary.BigEndian.PutUint64(b[50:], uint64(expiry.Unix()))
	return sha256.Sum256(b[:])
}

func nodeHash(left, right [32]byte) [32]byte {
	var b [1 + 64]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// tree is every level of a Merkle tree, leaves first. A last node without a
// sibling rises as it is, which gives the tree of RFC 9162, section 2.1.1.
type tree [][][32]byte

func newTree(leaves [][32]byte) tree {
	t := tree{leaves}
	for level := leaves; len(level) > 1; {
		up := make([][32]byte, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, nodeHash(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		t = append(t, up)
		level = up
	}
	return t
}

func (t tree) root() [32]byte { return t[len(t)-1][0] }

func (t tree) path(index int) [][32]byte {
	p := make([][32]byte, 0, len(t)-1)
	for _, level := range t[:len(t)-1] {
		if sibling := index ^ 1; sibling < len(level) {
			p = append(p, level[sibling])
		}
		index /= 2
	}
	return p
}

// pathLength is how many nodes the path of (index, count) has.
func pathLength(index, count int) (n int) {
	for last := count - 1; last > 0; index, last = index/2, last/2 {
		if index^1 <= last {
			n++
		}
	}
	return n
}

// rootOf is RFC 9162, section 2.1.3.2: the root that leaf, path and place lead to.
func rootOf(leaf [32]byte, index, count int, path [][32]byte) [32]byte {
	h := leaf
	for last := count - 1; last > 0; index, last = index/2, last/2 {
		switch {
		case index%2 == 1:
			h, path = nodeHash(path[0], h), path[1:]
		case index < last:
			h, path = nodeHash(h, path[0]), path[1:]
		}
	}
	return h
}

func receiptText(relay peer.ID, at time.Time, count uint16, root [32]byte) []byte {
	b := make([]byte, 0, 128)
	b = append(b, "godwit/1/receipt"...)
	b = append(b, relay...)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, count)
	return append(b, root[:]...)
}

// Verify tells whether the relay promised to keep this cell in this queue; a
// receipt that promises less proves nothing here. Its
// error is ErrBadReceipt or ErrRelay. It does not look at Expiry.
func (r Receipt) Verify(relay peer.ID, q QID, c CellID) error {
	if r.Promise != Kept {
		return ErrBadReceipt
	}
	return r.verify(relay, q, c)
}

// VerifyEvictable tells whether the relay took this cell into this intro queue,
// with the promise Evictable. Its errors are those of Verify.
func (r Receipt) VerifyEvictable(relay peer.ID, q QID, c CellID) error {
	if r.Promise != Evictable {
		return ErrBadReceipt
	}
	return r.verify(relay, q, c)
}

func (r Receipt) verify(relay peer.ID, q QID, c CellID) error {
	key, err := relayKey(relay)
	if err != nil {
		return err
	}
	text, ok := r.text(relay, q, c)
	if !ok || !ed25519.Verify(key, text, r.signature[:]) {
		return ErrBadReceipt
	}
	return nil
}

// text is what the relay signed if the receipt is for this cell.
func (r Receipt) text(relay peer.ID, q QID, c CellID) (text []byte, ok bool) {
	if !r.wellFormed() {
		return nil, false
	}
	root := rootOf(leafHash(r.Promise, q, c, r.Expiry), int(r.index), int(r.count), r.path)
	return receiptText(relay, r.Time, r.count, root), true
}

func (r Receipt) wellFormed() bool {
	return (r.Promise == Kept || r.Promise == Evictable) && r.count >= 1 && r.count <= MaxBatch && r.index < r.count && len(r.path) == pathLength(int(r.index), int(r.count))
}

// Marshal encodes the receipt as in section 1.3, at most 374 bytes.
func (r Receipt) Marshal() []byte {
	b := make([]byte, 0, 22+32*len(r.path)+len(r.signature))
	b = append(b, receiptVersion, byte(r.Promise))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expiry.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, r.count)
	b = binary.BigEndian.AppendUint16(b, r.index)
	for _, p := range r.path {
		b = append(b, p[:]...)
	}
	return append(b, r.signature[:]...)
}

// ParseReceipt decodes a receipt without verifying it. Its error wraps
// ErrMalformed.
func ParseReceipt(raw []byte) (Receipt, error) {
	var (
		r                Receipt
		version, promise uint8
		expiry, at       uint64
		s                = cryptobyte.String(raw)
	)
	if !s.ReadUint8(&version) || version != receiptVersion || !s.ReadUint8(&promise) || promise != byte(Kept) && promise != byte(Evictable) {
		return Receipt{}, malformed("receipt: version or promise")
	}
	if !s.ReadUint64(&expiry) || !s.ReadUint64(&at) || !s.ReadUint16(&r.count) || !s.ReadUint16(&r.index) ||
		expiry > maxUnix || at > maxUnix*1000 || r.count == 0 || r.count > MaxBatch || r.index >= r.count {
		return Receipt{}, malformed("receipt: fields")
	}
	r.Promise = Promise(promise)
	r.Expiry, r.Time = time.Unix(int64(expiry), 0), time.UnixMilli(int64(at))
	if n := pathLength(int(r.index), int(r.count)); n > 0 {
		r.path = make([][32]byte, n)
	}
	for i := range r.path {
		if !s.CopyBytes(r.path[i][:]) {
			return Receipt{}, malformed("receipt: path")
		}
	}
	if !s.CopyBytes(r.signature[:]) || !s.Empty() {
		return Receipt{}, malformed("receipt: signature")
	}
	return r, nil
}
