package mailbox

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// kind is the first byte of a frame (section 2).
type kind byte

const (
	kindLogin   kind = 0x01
	kindLease   kind = 0x02
	kindOpen    kind = 0x03
	kindClose   kind = 0x04
	kindProve   kind = 0x05
	kindPut     kind = 0x06
	kindList    kind = 0x07
	kindGet     kind = 0x08
	kindAck     kind = 0x09
	kindWatch   kind = 0x0a
	kindPost    kind = 0x0b
	kindUnpost  kind = 0x0c
	kindFetch   kind = 0x0d
	kindPing    kind = 0x0e
	kindTerms   kind = 0x0f
	kindIntro   kind = 0x10
	kindRoutes  kind = 0x11
	kindRelease kind = 0x12
	kindAllows  kind = 0x13
	kindHello   kind = 0x80
	kindAnswer  kind = 0x80 // is set in the answer to a request
	kindNews    kind = 0xc0
	kindRefused kind = 0xff
)

const (
	helloVersion = 1
	newer        = 1 << 7                     // among the leases of HELLO
	headSize     = 1 + 4                      // bytes of kind and id
	maxFrame     = headSize + 123 + CellLarge // bytes, 65,664 as section 2 says
)

// message is a body that knows its kind and how it is written.
type message interface {
	kind() kind
	append(b *cryptobyte.Builder)
}

// request is a message from the dialler, which the relay decodes.
type request interface {
	message
	parse(*cryptobyte.String) bool
}

// encode makes a frame, without its length, behind what dst holds.
func encode(dst []byte, id uint32, m message) []byte {
	b := cryptobyte.NewBuilder(dst)
	b.AddUint8(uint8(m.kind()))
	b.AddUint32(id)
	m.append(b)
	raw, err := b.Bytes()
	if err != nil {
		panic("mailbox: a message outgrew its encoding: " + err.Error())
	}
	return raw
}

// splitFrame parts a frame into head and body. Its error wraps ErrMalformed.
func splitFrame(frame []byte) (k kind, id uint32, body []byte, err error) {
	s := cryptobyte.String(frame)
	var b uint8
	if !s.ReadUint8(&b) || !s.ReadUint32(&id) {
		return 0, 0, nil, malformed("frame")
	}
	return kind(b), id, s, nil
}

// parseRequest decodes the body of a request. Byte slices in the result point
// into body. Its error wraps ErrMalformed.
func parseRequest(k kind, body []byte) (request, error) {
	var (
		m request
		s = cryptobyte.String(body)
	)
	switch k {
	case kindLogin:
		m = new(login)
	case kindLease:
		m = new(lease)
	case kindOpen:
		m = new(open)
	case kindClose:
		m = new(closeQueues)
	case kindProve:
		m = new(prove)
	case kindPut:
		m = new(put)
	case kindList:
		m = new(list)
	case kindGet:
		m = new(get)
	case kindAck:
		m = new(ack)
	case kindWatch:
		m = new(watch)
	case kindPost:
		m = new(post)
	case kindUnpost:
		m = new(unpost)
	case kindFetch:
		m = new(fetch)
	case kindPing:
		m = new(ping)
	case kindTerms:
		m = new(terms)
	case kindIntro:
		m = new(intro)
	case kindRoutes:
		m = new(routes)
	case kindRelease:
		m = new(release)
	case kindAllows:
		m = new(allows)
	default:
		return nil, malformed(fmt.Sprintf("request of kind %#x", byte(k)))
	}
	if !m.parse(&s) || !s.Empty() {
		return nil, malformed(fmt.Sprintf("request of kind %#x", byte(k)))
	}
	return m, nil
}

// readTime reads unix seconds within bounds.
func readTime(s *cryptobyte.String, t *time.Time) bool {
	var n uint64
	if !s.ReadUint64(&n) || n > maxUnix {
		return false
	}
	*t = time.Unix(int64(n), 0)
	return true
}

func addTime(b *cryptobyte.Builder, t time.Time) { b.AddUint64(uint64(t.Unix())) }

// readMilli reads unix milliseconds within bounds.
func readMilli(s *cryptobyte.String, t *time.Time) bool {
	var n uint64
	if !s.ReadUint64(&n) || n > maxUnix*1000 {
		return false
	}
	*t = time.UnixMilli(int64(n))
	return true
}

func addMilli(b *cryptobyte.Builder, t time.Time) { b.AddUint64(uint64(t.UnixMilli())) }

// readTTL reads a duration in whole seconds.
func readTTL(s *cryptobyte.String, d *time.Duration) bool {
	var n uint32
	if !s.ReadUint32(&n) {
		return false
	}
	*d = time.Duration(n) * time.Second
	return true
}

func addTTL(b *cryptobyte.Builder, d time.Duration) { b.AddUint32(uint32(d / time.Second)) }

// readCount reads a count of 1 to limit.
func readCount(s *cryptobyte.String, limit int) (n int, ok bool) {
	var c uint16
	if !s.ReadUint16(&c) || c == 0 || int(c) > limit {
		return 0, false
	}
	return int(c), true
}

// LeaseKind is what pays for a box.
type LeaseKind byte

const (
	LeaseOpen  LeaseKind = 0 // nothing
	LeaseToken LeaseKind = 1 // bytes that the operator gave out
	LeaseWork  LeaseKind = 2 // proof of work on the stream's challenge
)

// Limits are what a relay tells of itself when the stream opens.
type Limits struct {
	Difficulty uint8         // bits of work that a lease takes
	Leases     []LeaseKind   // those accepted, rising
	Proofs     uint16        // queues remembered as proven on one stream
	Window     uint32        // bytes of requests without answer
	MaxTTL     time.Duration // of a cell or notice
	QueueCells uint16        // cells in one queue
	QueueBytes uint32        // bytes of cells in one queue
	BoxBytes   uint64        // bytes of cells and notices in one box
	BoxQueues  uint32        // queues open in one box
	Newer      bool          // it knows RELEASE and ALLOWS, which an older relay would not understand
}

type hello struct {
	time      time.Time
	challenge [32]byte
	limits    Limits
}

func (m *hello) kind() kind { return kindHello }

func (m *hello) append(b *cryptobyte.Builder) {
	b.AddUint8(helloVersion)
	addMilli(b, m.time)
	b.AddBytes(m.challenge[:])
	b.AddUint8(m.limits.Difficulty)
	var leases uint8
	for _, k := range m.limits.Leases {
		leases |= 1 << k
	}
	if m.limits.Newer {
		leases |= newer
	}
	b.AddUint8(leases)
	b.AddUint16(m.limits.Proofs)
	b.AddUint32(m.limits.Window)
	addTTL(b, m.limits.MaxTTL)
	b.AddUint16(m.limits.QueueCells)
	b.AddUint32(m.limits.QueueBytes)
	b.AddUint64(m.limits.BoxBytes)
	b.AddUint32(m.limits.BoxQueues)
}

// parseHello decodes a HELLO. Its error wraps ErrMalformed.
func parseHello(body []byte) (*hello, error) {
	var (
		m               hello
		s               = cryptobyte.String(body)
		version, leases uint8
	)
	if !s.ReadUint8(&version) || version != helloVersion || !readMilli(&s, &m.time) || !s.CopyBytes(m.challenge[:]) ||
		!s.ReadUint8(&m.limits.Difficulty) || !s.ReadUint8(&leases) || !s.ReadUint16(&m.limits.Proofs) || !s.ReadUint32(&m.limits.Window) ||
		!readTTL(&s, &m.limits.MaxTTL) || !s.ReadUint16(&m.limits.QueueCells) || !s.ReadUint32(&m.limits.QueueBytes) ||
		!s.ReadUint64(&m.limits.BoxBytes) || !s.ReadUint32(&m.limits.BoxQueues) || !s.Empty() {
		return nil, malformed("hello")
	}
	if m.limits.Proofs == 0 || m.limits.Window < maxFrame || m.limits.MaxTTL == 0 {
		return nil, malformed("hello: impossible limits")
	}
	m.limits.Newer = leases&newer != 0
	for k := range LeaseKind(7) {
		if leases>>k&1 == 1 {
			m.limits.Leases = append(m.limits.Leases, k)
		}
	}
	return &m, nil
}

// prove and put are a writer's requests, see wire_box.go for a reader's.
type prove struct {
	epoch     uint32
	public    [ed25519.PublicKeySize]byte
	signature [ed25519.SignatureSize]byte
}

func (m *prove) kind() kind { return kindProve }

func (m *prove) append(b *cryptobyte.Builder) {
	b.AddUint32(m.epoch)
	b.AddBytes(m.public[:])
	b.AddBytes(m.signature[:])
}

func (m *prove) parse(s *cryptobyte.String) bool {
	return s.ReadUint32(&m.epoch) && s.CopyBytes(m.public[:]) && s.CopyBytes(m.signature[:])
}

type put struct {
	queue QID
	ttl   time.Duration
	cell  []byte
}

func (m *put) kind() kind { return kindPut }

func (m *put) append(b *cryptobyte.Builder) {
	b.AddBytes(m.queue[:])
	addTTL(b, m.ttl)
	b.AddBytes(m.cell)
}

// parse leaves the size of the cell to the caller: a wrong one is a refusal of
// its own (size), not malformed.
func (m *put) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(m.queue[:]) && readTTL(s, &m.ttl) && s.ReadBytes(&m.cell, len(*s)) && len(m.cell) <= CellLarge
}

// raw is the body of an answer that is one string of bytes.
type raw struct {
	k    kind
	body []byte
}

func (m raw) kind() kind                   { return m.k }
func (m raw) append(b *cryptobyte.Builder) { b.AddBytes(m.body) }

// answer is the empty answer to a request.
func answer(k kind) raw { return raw{k: k | kindAnswer} }
