package mailbox

import (
	"crypto/ed25519"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// login proves the box.
type login struct {
	box       BoxPublic
	signature [ed25519.SignatureSize]byte
}

func (m *login) kind() kind { return kindLogin }

func (m *login) append(b *cryptobyte.Builder) {
	b.AddBytes(m.box[:])
	b.AddBytes(m.signature[:])
}

func (m *login) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(m.box[:]) && s.CopyBytes(m.signature[:])
}

// BoxInfo is what a relay says of a box.
type BoxInfo struct {
	Until  time.Time // of the lease; the zero time if there is none
	Used   uint64    // bytes of cells and notices
	Limit  uint64    // bytes
	Queues uint32    // open
	Token  bool      // pays for the lease; a Store tells it, not the relay
}

type loginAnswer struct{ info BoxInfo }

func (m *loginAnswer) kind() kind { return kindLogin | kindAnswer }

func (m *loginAnswer) append(b *cryptobyte.Builder) {
	addTimeOrZero(b, m.info.Until)
	b.AddUint64(m.info.Used)
	b.AddUint64(m.info.Limit)
	b.AddUint32(m.info.Queues)
}

func (m *loginAnswer) parse(s *cryptobyte.String) bool {
	return readTimeOrZero(s, &m.info.Until) && s.ReadUint64(&m.info.Used) && s.ReadUint64(&m.info.Limit) && s.ReadUint32(&m.info.Queues)
}

func addTimeOrZero(b *cryptobyte.Builder, t time.Time) {
	if t.IsZero() {
		b.AddUint64(0)
		return
	}
	addTime(b, t)
}

func readTimeOrZero(s *cryptobyte.String, t *time.Time) bool {
	if !readTime(s, t) {
		return false
	}
	if t.Unix() == 0 {
		*t = time.Time{}
	}
	return true
}

// lease asks for room.
type lease struct {
	proof LeaseKind
	bytes []byte // at most 255
}

func (m *lease) kind() kind { return kindLease }

func (m *lease) append(b *cryptobyte.Builder) {
	b.AddUint8(uint8(m.proof))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.bytes) })
}

func (m *lease) parse(s *cryptobyte.String) bool {
	var k uint8
	var proof cryptobyte.String
	if !s.ReadUint8(&k) || !s.ReadUint8LengthPrefixed(&proof) {
		return false
	}
	m.proof, m.bytes = LeaseKind(k), proof
	return true
}

// until answers LEASE and POST.
type until struct {
	k kind
	t time.Time
}

func (m *until) kind() kind                      { return m.k }
func (m *until) append(b *cryptobyte.Builder)    { addTime(b, m.t) }
func (m *until) parse(s *cryptobyte.String) bool { return readTime(s, &m.t) }

// open opens queues.
type open struct {
	class  Class
	until  time.Time
	queues []QID
}

func (m *open) kind() kind { return kindOpen }

func (m *open) append(b *cryptobyte.Builder) {
	b.AddUint8(uint8(m.class))
	addTime(b, m.until)
	addNames(b, m.queues)
}

func (m *open) parse(s *cryptobyte.String) bool {
	var c uint8
	if !s.ReadUint8(&c) || !readTime(s, &m.until) || !readNames(s, &m.queues) {
		return false
	}
	m.class = Class(c)
	return m.class.valid()
}

// name is a QID or CellID.
type name interface{ ~[32]byte | ~[16]byte }

func addNames[N name](b *cryptobyte.Builder, names []N) {
	b.AddUint16(uint16(len(names)))
	for _, n := range names {
		b.AddBytes(bytesOf(&n))
	}
}

func readNames[N name](s *cryptobyte.String, names *[]N) bool {
	n, ok := readCount(s, MaxBatch)
	if !ok || len(*s) < n*len(*new(N)) {
		return false
	}
	*names = make([]N, n)
	for i := range *names {
		if !s.CopyBytes(bytesOf(&(*names)[i])) {
			return false
		}
	}
	return true
}

func bytesOf[N name](n *N) []byte {
	switch n := any(n).(type) {
	case *QID:
		return n[:]
	case *CellID:
		return n[:]
	}
	panic("mailbox: a name of another type")
}

// closeQueues closes queues.
type closeQueues struct{ queues []QID }

func (m *closeQueues) kind() kind                      { return kindClose }
func (m *closeQueues) append(b *cryptobyte.Builder)    { addNames(b, m.queues) }
func (m *closeQueues) parse(s *cryptobyte.String) bool { return readNames(s, &m.queues) }

// list asks for the entries after a sequence.
type list struct {
	after uint64
	max   uint16
}

func (m *list) kind() kind { return kindList }

func (m *list) append(b *cryptobyte.Builder) {
	b.AddUint64(m.after)
	b.AddUint16(m.max)
}

func (m *list) parse(s *cryptobyte.String) bool {
	return s.ReadUint64(&m.after) && s.ReadUint16(&m.max) && m.max > 0 && m.max <= MaxEntries
}

// An Entry tells of one cell in a box.
type Entry struct {
	Sequence uint64 // its place in the box, rising
	Queue    QID
	Cell     CellID
	Size     int // bytes: CellSmall, CellMedium or CellLarge
	Expiry   time.Time
	Work     uint8 // bits, of a cell in an intro queue; else 0
}

func (e *Entry) append(b *cryptobyte.Builder) {
	b.AddUint64(e.Sequence)
	b.AddBytes(e.Queue[:])
	b.AddBytes(e.Cell[:])
	b.AddUint8(sizeClass(e.Size) | e.Work<<2)
	addTime(b, e.Expiry)
}

func (e *Entry) parse(s *cryptobyte.String) bool {
	var class uint8
	if !s.ReadUint64(&e.Sequence) || !s.CopyBytes(e.Queue[:]) || !s.CopyBytes(e.Cell[:]) || !s.ReadUint8(&class) || !readTime(s, &e.Expiry) {
		return false
	}
	e.Work = class >> 2
	switch class & 3 {
	case 1:
		e.Size = CellSmall
	case 2:
		e.Size = CellMedium
	case 3:
		e.Size = CellLarge
	default:
		return false
	}
	return e.Work == 0 || e.Size == CellMedium && e.Work <= MaxIntroWork
}

func sizeClass(n int) uint8 {
	switch n {
	case CellSmall:
		return 1
	case CellMedium:
		return 2
	case CellLarge:
		return 3
	}
	panic("mailbox: a kept cell has one of three sizes")
}

func addEntries(b *cryptobyte.Builder, entries []Entry) {
	b.AddUint16(uint16(len(entries)))
	for i := range entries {
		entries[i].append(b)
	}
}

// readEntries refuses entries that do not rise.
func readEntries(s *cryptobyte.String, entries *[]Entry) bool {
	var n uint16
	if !s.ReadUint16(&n) || n > MaxEntries {
		return false
	}
	*entries = make([]Entry, n)
	for i := range *entries {
		if !(*entries)[i].parse(s) || i > 0 && (*entries)[i].Sequence <= (*entries)[i-1].Sequence {
			return false
		}
	}
	return true
}

// listAnswer answers LIST.
type listAnswer struct {
	more    bool
	entries []Entry
}

func (m *listAnswer) kind() kind { return kindList | kindAnswer }

func (m *listAnswer) append(b *cryptobyte.Builder) {
	var more uint8
	if m.more {
		more = 1
	}
	b.AddUint8(more)
	addEntries(b, m.entries)
}

func (m *listAnswer) parse(s *cryptobyte.String) bool {
	var more uint8
	if !s.ReadUint8(&more) || more > 1 || !readEntries(s, &m.entries) {
		return false
	}
	m.more = more == 1
	return true
}

// news is what a WATCH brings.
type news struct{ entries []Entry }

func (m *news) kind() kind                   { return kindNews }
func (m *news) append(b *cryptobyte.Builder) { addEntries(b, m.entries) }
func (m *news) parse(s *cryptobyte.String) bool {
	return readEntries(s, &m.entries) && len(m.entries) > 0
}

// get asks for one cell.
type get struct{ cell CellID }

func (m *get) kind() kind                      { return kindGet }
func (m *get) append(b *cryptobyte.Builder)    { b.AddBytes(m.cell[:]) }
func (m *get) parse(s *cryptobyte.String) bool { return s.CopyBytes(m.cell[:]) }

// ack deletes cells.
type ack struct{ cells []CellID }

func (m *ack) kind() kind                      { return kindAck }
func (m *ack) append(b *cryptobyte.Builder)    { addNames(b, m.cells) }
func (m *ack) parse(s *cryptobyte.String) bool { return readNames(s, &m.cells) }

type ackAnswer struct{ deleted uint16 }

func (m *ackAnswer) kind() kind                      { return kindAck | kindAnswer }
func (m *ackAnswer) append(b *cryptobyte.Builder)    { b.AddUint16(m.deleted) }
func (m *ackAnswer) parse(s *cryptobyte.String) bool { return s.ReadUint16(&m.deleted) }

// watch asks for news.
type watch struct{ after uint64 }

func (m *watch) kind() kind                      { return kindWatch }
func (m *watch) append(b *cryptobyte.Builder)    { b.AddUint64(m.after) }
func (m *watch) parse(s *cryptobyte.String) bool { return s.ReadUint64(&m.after) }

// release gives the box up.
type release struct{}

func (m *release) kind() kind                    { return kindRelease }
func (m *release) append(*cryptobyte.Builder)    {}
func (m *release) parse(*cryptobyte.String) bool { return true }

// post leaves a notice.
type post struct {
	id   NoticeID
	ttl  time.Duration
	blob []byte // NoticeSize
}

func (m *post) kind() kind { return kindPost }

func (m *post) append(b *cryptobyte.Builder) {
	b.AddBytes(m.id[:])
	addTTL(b, m.ttl)
	b.AddBytes(m.blob)
}

func (m *post) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(m.id[:]) && readTTL(s, &m.ttl) && s.ReadBytes(&m.blob, NoticeSize)
}

// unpost removes a notice.
type unpost struct{ id NoticeID }

func (m *unpost) kind() kind                      { return kindUnpost }
func (m *unpost) append(b *cryptobyte.Builder)    { b.AddBytes(m.id[:]) }
func (m *unpost) parse(s *cryptobyte.String) bool { return s.CopyBytes(m.id[:]) }

// fetch asks for a notice.
type fetch struct{ id NoticeID }

func (m *fetch) kind() kind                      { return kindFetch }
func (m *fetch) append(b *cryptobyte.Builder)    { b.AddBytes(m.id[:]) }
func (m *fetch) parse(s *cryptobyte.String) bool { return s.CopyBytes(m.id[:]) }

// ping keeps a quiet stream open and tells the time.
type ping struct{}

func (m *ping) kind() kind                    { return kindPing }
func (m *ping) append(*cryptobyte.Builder)    {}
func (m *ping) parse(*cryptobyte.String) bool { return true }

type pingAnswer struct{ time time.Time }

func (m *pingAnswer) kind() kind                      { return kindPing | kindAnswer }
func (m *pingAnswer) append(b *cryptobyte.Builder)    { addMilli(b, m.time) }
func (m *pingAnswer) parse(s *cryptobyte.String) bool { return readMilli(s, &m.time) }
