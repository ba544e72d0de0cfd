package mailbox

import (
	"cmp"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

const (
	descriptorVersion = 1
	// DescriptorEpochs is n, the days a fresh descriptor covers (design, network.md).
	DescriptorEpochs = 45
	maxEpochs        = 366
	// MaxAddrs is how many addresses a descriptor holds at most.
	MaxAddrs = 8
)

// A Descriptor lets one contact device deposit at one relay (section 1.1). It
// is a secret between the two devices.
type Descriptor struct {
	Relay  peer.ID
	Addrs  []ma.Multiaddr // at most MaxAddrs: the relay's own without /p2p, and ADDR/p2p/HOP/p2p-circuit
	Seed   [32]byte
	Epoch0 uint32 // the first day
	N      uint16 // days
	Cells  uint16 // quota of each queue, in cells
	Bytes  uint32 // quota of each queue, in bytes of cells
	Expiry time.Time

	terms uint32 // those of the wire, with termsTold; 0: they are not told, as earlier versions do not
}

// Terms stand in the last bits of the quota in bytes, of which that needs none: cells have whole multiples of CellSmall.
// Who does not know them reads a quota that is less than one cell more.
const (
	termsMask  = CellSmall - 1
	termsToken = 1 << 6 // a token paid for the box whose quota it is
	termsTold  = 1 << 7 // the bits from 0 on are kinds of lease that the relay takes
)

// Tell has the descriptor tell the quota of a queue in a box at a relay that says this of itself, paid for by a token or not, and what
// pays for a box there.
func (d *Descriptor) Tell(l Limits, more Allowance, token bool) {
	d.Cells, d.Bytes = l.QueueCells, l.QueueBytes
	if d.terms = termsTold; token {
		d.terms |= termsToken
		d.Cells, d.Bytes = cmp.Or(more.Token.QueueCells, d.Cells), cmp.Or(more.Token.QueueBytes, d.Bytes)
	}
	d.Bytes &^= termsMask
	for _, k := range l.Leases {
		if k < 6 {
			d.terms |= 1 << k
		}
	}
}

// Terms are what pays for a box at the relay, and whether a token paid for the one of this descriptor. told is false if
// the descriptor is of an earlier version, which does not say so.
func (d *Descriptor) Terms() (leases []LeaseKind, token, told bool) {
	for k := range LeaseKind(6) {
		if d.terms>>k&1 == 1 {
			leases = append(leases, k)
		}
	}
	return leases, d.terms&termsToken != 0, d.terms&termsTold != 0
}

// NewDescriptor makes a descriptor of DescriptorEpochs days that starts on the
// day before now, so that a request under way at midnight finds its queue. The
// queues, catch-all too, must be opened until Expiry: the last day, then MaxTTL
// for the catch-all. now is the relay's time. The error is ErrRelay.
func NewDescriptor(relay peer.AddrInfo, now time.Time, l Limits) (*Descriptor, error) {
	if _, err := relayKey(relay.ID); err != nil {
		return nil, err
	}
	d := &Descriptor{Relay: relay.ID, Epoch0: Epoch(now) - 1, N: DescriptorEpochs}
	d.Tell(l, Allowance{}, false)
	for _, a := range relay.Addrs {
		if a, _ := peer.SplitAddr(a); a != nil && len(d.Addrs) < MaxAddrs {
			d.Addrs = append(d.Addrs, a)
		}
	}
	d.Expiry = time.Unix(int64(d.Epoch0+uint32(d.N))*int64(EpochTime/time.Second), 0).Add(MaxTTL)
	rand.Read(d.Seed[:]) // never fails, see crypto/rand
	return d, nil
}

// isPlace says whether a descriptor may hold an address.
func isPlace(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_P2P)
	return err != nil || isCircuit(a)
}

// AddrInfo is what Dial takes.
func (d *Descriptor) AddrInfo() peer.AddrInfo { return peer.AddrInfo{ID: d.Relay, Addrs: d.Addrs} }

// A Queue is one day of a descriptor: the writer deposits with Write and seals
// with Key, the reader knows its cells by Write.QID() and opens with Key.
type Queue struct {
	Write WriteKey
	Key   CellKey
}

// Queue derives the queue of an epoch; one that the descriptor does not cover
// is the catch-all's.
func (d *Descriptor) Queue(epoch uint32) Queue {
	if epoch < d.Epoch0 || epoch-d.Epoch0 >= uint32(d.N) {
		epoch = CatchAll
	}
	k, err := NewWriteKey(d.Relay, epoch, d.derive("godwit/1/qw", epoch))
	if err != nil {
		panic("mailbox: a descriptor's relay was checked when it was made: " + err.Error())
	}
	return Queue{k, d.derive("godwit/1/qc", epoch)}
}

// Queues derives all N+1 queues, the catch-all last.
func (d *Descriptor) Queues() []Queue {
	q := make([]Queue, 0, int(d.N)+1)
	for i := range uint32(d.N) {
		q = append(q, d.Queue(d.Epoch0+i))
	}
	return append(q, d.Queue(CatchAll))
}

func (d *Descriptor) derive(label string, epoch uint32) [32]byte {
	info := label + string(d.Relay) + string(binary.BigEndian.AppendUint32(nil, epoch))
	b, err := hkdf.Key(sha256.New, d.Seed[:], nil, info, 32)
	if err != nil {
		panic("mailbox: HKDF of 32 bytes cannot fail: " + err.Error())
	}
	return [32]byte(b)
}

// Marshal encodes the descriptor as in section 1.1. The error wraps
// ErrMalformed if a field is out of bounds.
func (d *Descriptor) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(descriptorVersion)
	b.AddBytes([]byte(d.Relay))
	b.AddBytes(d.Seed[:])
	b.AddUint32(d.Epoch0)
	b.AddUint16(d.N)
	b.AddUint16(d.Cells)
	if d.terms&termsTold != 0 {
		b.AddUint32(d.Bytes&^termsMask | d.terms)
	} else {
		b.AddUint32(d.Bytes &^ termsTold) // which would say that they are
	}
	b.AddUint64(uint64(d.Expiry.Unix()))
	b.AddUint8(uint8(min(len(d.Addrs), 255)))
	for _, a := range d.Addrs {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a.Bytes()) })
	}
	raw, err := b.Bytes()
	if err != nil {
		return nil, malformed("descriptor: address too long")
	}
	if _, err := ParseDescriptor(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// ParseDescriptor decodes a descriptor. Its errors wrap ErrMalformed or are
// ErrRelay.
func ParseDescriptor(raw []byte) (*Descriptor, error) {
	s := cryptobyte.String(raw)
	var (
		d           Descriptor
		version, k  uint8
		relay, seed []byte
		expiry      uint64
		bad         = func(what string) (*Descriptor, error) { return nil, malformed("descriptor: " + what) }
	)
	if !s.ReadUint8(&version) || version != descriptorVersion {
		return bad("version")
	}
	if !s.ReadBytes(&relay, relayIDSize) || !s.ReadBytes(&seed, 32) || !s.ReadUint32(&d.Epoch0) || !s.ReadUint16(&d.N) ||
		!s.ReadUint16(&d.Cells) || !s.ReadUint32(&d.Bytes) || !s.ReadUint64(&expiry) || !s.ReadUint8(&k) {
		return bad("truncated")
	}
	if d.Bytes&termsTold != 0 {
		d.terms, d.Bytes = d.Bytes&termsMask, d.Bytes&^termsMask
	}
	if d.N == 0 || d.N > maxEpochs || d.Epoch0 > CatchAll-uint32(d.N) {
		return bad("epochs")
	}
	if expiry > maxUnix {
		return bad("expiry")
	}
	var ok bool
	if k > MaxAddrs {
		return bad("addresses")
	}
	if d.Addrs, ok = readAddrs(&s, int(k), isPlace); !ok || !s.Empty() {
		return bad("addresses")
	}
	id, err := peer.IDFromBytes(relay)
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", ErrRelay)
	}
	if _, err := relayKey(id); err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	d.Relay, d.Seed, d.Expiry = id, [32]byte(seed), time.Unix(int64(expiry), 0)
	return &d, nil
}

// maxUnix bounds every time on the wire, in unix seconds: the end of the year
// 9999, so that no arithmetic with it overflows.
const maxUnix = 253402300799

// CellKey seals the cells of one queue.
type CellKey [32]byte

// Seal makes the cell of a message (section 1.2), whose length must be that of
// a cell less CellOverhead; the error wraps ErrMalformed otherwise. The same message gives
// the same cell.
func (k CellKey) Seal(message []byte) ([]byte, error) {
	if !ValidSize(len(message) + CellOverhead) {
		return nil, malformed(fmt.Sprintf("a message of %d bytes fits no cell", len(message)))
	}
	nonce := k.nonce(message)
	cell := make([]byte, len(nonce), len(message)+CellOverhead)
	copy(cell, nonce[:])
	return k.aead().Seal(cell, nonce[:], message, nil), nil
}

// Open is the message in a cell. Its error is ErrCell.
func (k CellKey) Open(cell []byte) ([]byte, error) {
	if !ValidSize(len(cell)) {
		return nil, ErrCell
	}
	message, err := k.aead().Open(nil, cell[:24], cell[24:], nil)
	if err != nil {
		return nil, ErrCell
	}
	if nonce := k.nonce(message); !hmac.Equal(nonce[:], cell[:24]) {
		return nil, ErrCell
	}
	return message, nil
}

func (k CellKey) nonce(message []byte) [24]byte {
	m := hmac.New(sha256.New, k[:])
	m.Write(message)
	return [24]byte(m.Sum(nil)[:24])
}

func (k CellKey) aead() interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
} {
	a, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		panic("mailbox: 32 bytes are always a key: " + err.Error())
	}
	return a
}
