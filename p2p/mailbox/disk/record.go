package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"golang.org/x/crypto/cryptobyte"
)

// errRecord says that bytes are not what FORMAT.md says.
var errRecord = errors.New("disk: not a group of records")

// location is where the first byte of a cell or notice is.
type location struct{ segment, offset uint64 }

// A record is one change as the log keeps it. apply makes the change in the
// index and must depend on nothing but the index and the record, because it is done again
// after a crash; at is where the record's blob lies, if it has one.
type record interface {
	append(b []byte) []byte
	parse(s *cryptobyte.String) bool
	apply(t *txn, at location)
	blob() []byte // what ends the record and is read from the log; nil if nothing is
}

const (
	segmentVersion = 1
	magic          = "godwit log"
	segmentHead    = len(magic) + 1 + 8
	groupHead      = 4 + 4 // bytes before time
	maxGroup       = 40 << 20
)

func appendSegmentHead(b []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(append(b, magic...), segmentVersion), number)
}

// beginGroup appends a group's head, to be finished by endGroup.
func beginGroup(b []byte, now time.Time) []byte {
	b = append(b, make([]byte, groupHead)...)
	return binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
}

// endGroup fills in the head of the group that is all of b.
func endGroup(b []byte, at location) {
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-groupHead))
	binary.BigEndian.PutUint32(b, checksum(b, at))
}

func checksum(group []byte, at location) uint32 {
	var where [16]byte
	binary.BigEndian.PutUint64(where[:], at.segment)
	binary.BigEndian.PutUint64(where[8:], at.offset)
	table := crc32.MakeTable(crc32.Castagnoli) // kept by the library
	return crc32.Update(crc32.Checksum(where[:], table), table, group[4:])
}

// parseGroup reads a whole group, head included, that lies at a place in the
// log. Blobs point into b. Its error wraps errRecord.
func parseGroup(b []byte, at location) (now time.Time, records []record, ats []location, err error) {
	bad := func(what string) (time.Time, []record, []location, error) {
		return time.Time{}, nil, nil, fmt.Errorf("%w: %s", errRecord, what)
	}
	s := cryptobyte.String(b)
	var sum, length uint32
	var milli uint64
	if !s.ReadUint32(&sum) || !s.ReadUint32(&length) || int64(length) != int64(len(s)) || length > maxGroup {
		return bad("length")
	}
	if sum != checksum(b, at) {
		return bad("checksum")
	}
	if !s.ReadUint64(&milli) || milli > maxMilli {
		return bad("time")
	}
	for !s.Empty() {
		r, err := parseRecord(&s)
		if err != nil {
			return bad(err.Error())
		}
		records = append(records, r)
		ats = append(ats, location{at.segment, at.offset + uint64(len(b)-len(s)-len(r.blob()))})
	}
	return time.UnixMilli(int64(milli)), records, ats, nil
}

// maxMilli bounds times, so that no arithmetic overflows: the end of the year 9999.
const maxMilli = 253402300799999

func parseRecord(s *cryptobyte.String) (record, error) {
	var kind uint8
	var r record
	if !s.ReadUint8(&kind) {
		return nil, errors.New("no type")
	}
	switch kind {
	case typeDeposited:
		r = new(deposited)
	case typeExtended:
		r = new(extended)
	case typeDeleted:
		r = new(deleted)
	case typeOpened:
		r = new(opened)
	case typeClosed:
		r = new(closed)
	case typeLeased, typeLeasedToken:
		r = &leased{token: kind == typeLeasedToken}
	case typePosted:
		r = new(posted)
	case typeUnposted:
		r = new(unposted)
	case typeExpired:
		r = new(expired)
	case typeMovedCell:
		r = new(movedCell)
	case typeMovedNotice:
		r = new(movedNotice)
	case typeIntroduced:
		r = new(introduced)
	case typeForgotten:
		r = new(forgotten)
	case typeGathered:
		r = new(gathered)
	case typeDropped:
		r = new(dropped)
	case typeEnded:
		r = new(ended)
	case typeResettled:
		r = new(resettled)
	case typeNumbered:
		r = new(numbered)
	default:
		return nil, fmt.Errorf("type %d", kind)
	}
	if !r.parse(s) {
		return nil, fmt.Errorf("record of type %d", kind)
	}
	return r, nil
}

const (
	typeDeposited   = 1
	typeExtended    = 2
	typeDeleted     = 3
	typeOpened      = 4
	typeClosed      = 5
	typeLeased      = 6
	typePosted      = 7
	typeUnposted    = 8
	typeExpired     = 9
	typeMovedCell   = 10
	typeMovedNotice = 11
	typeIntroduced  = 12
	typeForgotten   = 13
	typeGathered    = 14
	typeDropped     = 15
	typeLeasedToken = 16
	typeEnded       = 17
	typeResettled   = 18
	typeNumbered    = 19
)

// readUnix reads a time in unix seconds within bounds.
func readUnix(s *cryptobyte.String, t *int64) bool {
	var n uint64
	if !s.ReadUint64(&n) || n > maxMilli/1000 {
		return false
	}
	*t = int64(n)
	return true
}

func appendUnix(b []byte, t int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(t)) }

func readFlag(s *cryptobyte.String, f *bool) bool {
	var n uint8
	ok := s.ReadUint8(&n) && n <= 1
	*f = n == 1
	return ok
}

func appendFlag(b []byte, f bool) []byte {
	if f {
		return append(b, 1)
	}
	return append(b, 0)
}

// sizeOf and classOf turn a cell's class into its size and back.
func sizeOf(class uint8) int {
	return [4]int{0, mailbox.CellSmall, mailbox.CellMedium, mailbox.CellLarge}[class&3]
}

func classOf(size int) uint8 {
	for class := range uint8(4) {
		if class > 0 && sizeOf(class) == size {
			return class
		}
	}
	panic("disk: a kept cell has one of three sizes")
}

func readCell(s *cryptobyte.String, cell *[]byte) bool {
	var class uint8
	return s.ReadUint8(&class) && class >= 1 && class <= 3 && s.ReadBytes(cell, sizeOf(class))
}

type deposited struct {
	box      mailbox.BoxPublic
	queue    mailbox.QID
	id       mailbox.CellID
	sequence uint64
	expiry   int64
	cell     []byte
}

func (r *deposited) append(b []byte) []byte {
	b = append(b, typeDeposited)
	b = append(b, r.box[:]...)
	b = append(b, r.queue[:]...)
	b = append(b, r.id[:]...)
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = appendUnix(b, r.expiry)
	b = append(b, classOf(len(r.cell)))
	return append(b, r.cell...)
}

func (r *deposited) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.CopyBytes(r.queue[:]) && s.CopyBytes(r.id[:]) &&
		s.ReadUint64(&r.sequence) && readUnix(s, &r.expiry) && readCell(s, &r.cell)
}

func (r *deposited) blob() []byte { return r.cell }

func (r *deposited) apply(t *txn, at location) {
	t.putCell(cellKey{r.box, r.id}, cell{sequence: r.sequence, expiry: r.expiry, queue: r.queue, at: at, size: len(r.cell)})
}

// introduced is deposited for an intro queue.
type introduced struct {
	box      mailbox.BoxPublic
	queue    mailbox.QID
	id       mailbox.CellID
	sequence uint64
	expiry   int64
	work     uint8
	cell     []byte // mailbox.CellMedium
}

func (r *introduced) append(b []byte) []byte {
	b = append(b, typeIntroduced)
	b = append(b, r.box[:]...)
	b = append(b, r.queue[:]...)
	b = append(b, r.id[:]...)
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = appendUnix(b, r.expiry)
	b = append(b, r.work)
	return append(b, r.cell...)
}

func (r *introduced) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.CopyBytes(r.queue[:]) && s.CopyBytes(r.id[:]) && s.ReadUint64(&r.sequence) &&
		readUnix(s, &r.expiry) && s.ReadUint8(&r.work) && r.work > 0 && r.work <= mailbox.MaxIntroWork && s.ReadBytes(&r.cell, mailbox.CellMedium)
}

func (r *introduced) blob() []byte { return r.cell }

func (r *introduced) apply(t *txn, at location) {
	t.putCell(cellKey{r.box, r.id}, cell{sequence: r.sequence, expiry: r.expiry, queue: r.queue, at: at, size: len(r.cell), work: r.work})
}

type extended struct {
	box    mailbox.BoxPublic
	id     mailbox.CellID
	expiry int64
}

func (r *extended) append(b []byte) []byte {
	b = append(b, typeExtended)
	b = append(b, r.box[:]...)
	b = append(b, r.id[:]...)
	return appendUnix(b, r.expiry)
}

func (r *extended) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.CopyBytes(r.id[:]) && readUnix(s, &r.expiry)
}

func (r *extended) blob() []byte             { return nil }
func (r *extended) apply(t *txn, _ location) { t.extendCell(cellKey{r.box, r.id}, r.expiry) }

type deleted struct {
	box mailbox.BoxPublic
	ids []mailbox.CellID // 1 to mailbox.MaxBatch
}

func (r *deleted) append(b []byte) []byte {
	b = append(b, typeDeleted)
	b = append(b, r.box[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.ids)))
	for i := range r.ids {
		b = append(b, r.ids[i][:]...)
	}
	return b
}

func (r *deleted) parse(s *cryptobyte.String) bool {
	var n uint16
	if !s.CopyBytes(r.box[:]) || !s.ReadUint16(&n) || n == 0 || n > mailbox.MaxBatch || len(*s) < int(n)*len(mailbox.CellID{}) {
		return false
	}
	r.ids = make([]mailbox.CellID, n)
	for i := range r.ids {
		s.CopyBytes(r.ids[i][:])
	}
	return true
}

func (r *deleted) blob() []byte { return nil }

func (r *deleted) apply(t *txn, _ location) {
	for _, id := range r.ids {
		t.dropCell(cellKey{r.box, id})
	}
}

func appendQueues(b []byte, queues []mailbox.QID) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(queues)))
	for i := range queues {
		b = append(b, queues[i][:]...)
	}
	return b
}

func readQueues(s *cryptobyte.String, queues *[]mailbox.QID) bool {
	var n uint16
	if !s.ReadUint16(&n) || n == 0 || n > mailbox.MaxBatch || len(*s) < int(n)*len(mailbox.QID{}) {
		return false
	}
	*queues = make([]mailbox.QID, n)
	for i := range *queues {
		s.CopyBytes((*queues)[i][:])
	}
	return true
}

type opened struct {
	box    mailbox.BoxPublic
	class  mailbox.Class
	until  int64
	queues []mailbox.QID
}

func (r *opened) append(b []byte) []byte {
	b = append(b, typeOpened)
	b = append(b, r.box[:]...)
	b = append(b, byte(r.class))
	b = appendUnix(b, r.until)
	return appendQueues(b, r.queues)
}

func (r *opened) parse(s *cryptobyte.String) bool {
	var class uint8
	if !s.CopyBytes(r.box[:]) || !s.ReadUint8(&class) || !readUnix(s, &r.until) || !readQueues(s, &r.queues) {
		return false
	}
	r.class = mailbox.Class(class)
	return knownClass(r.class)
}

func (r *opened) blob() []byte { return nil }

func (r *opened) apply(t *txn, _ location) {
	for _, q := range r.queues {
		t.openQueue(q, queue{box: r.box, class: r.class, until: r.until})
	}
}

func knownClass(c mailbox.Class) bool { return c >= mailbox.Ordinary && c <= mailbox.Intro }

type closed struct {
	box    mailbox.BoxPublic
	queues []mailbox.QID
}

func (r *closed) append(b []byte) []byte {
	b = append(b, typeClosed)
	b = append(b, r.box[:]...)
	return appendQueues(b, r.queues)
}

func (r *closed) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && readQueues(s, &r.queues)
}

func (r *closed) blob() []byte { return nil }

func (r *closed) apply(t *txn, _ location) {
	for _, q := range r.queues {
		if row := t.queue(q); row.ok && row.v.box == r.box {
			t.dropQueue(q)
		}
	}
}

type leased struct {
	box   mailbox.BoxPublic
	until int64
	token bool // pays for it
}

func (r *leased) append(b []byte) []byte {
	if r.token {
		b = append(b, typeLeasedToken)
	} else {
		b = append(b, typeLeased)
	}
	b = append(b, r.box[:]...)
	return appendUnix(b, r.until)
}

func (r *leased) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && readUnix(s, &r.until)
}
func (r *leased) blob() []byte             { return nil }
func (r *leased) apply(t *txn, _ location) { t.leaseBox(r.box, r.until, r.token) }

// ended is of a box whose lease ended before its time.
type ended struct {
	box   mailbox.BoxPublic
	at    int64
	token bool // paid for it
}

func (r *ended) append(b []byte) []byte {
	return appendFlag(appendUnix(append(append(b, typeEnded), r.box[:]...), r.at), r.token)
}

func (r *ended) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && readUnix(s, &r.at) && readFlag(s, &r.token)
}
func (r *ended) blob() []byte             { return nil }
func (r *ended) apply(t *txn, _ location) { t.endLease(r.box, r.at, r.token) }

type posted struct {
	box    mailbox.BoxPublic
	id     mailbox.NoticeID
	expiry int64
	notice []byte
}

func (r *posted) append(b []byte) []byte {
	b = append(b, typePosted)
	b = append(b, r.box[:]...)
	b = append(b, r.id[:]...)
	b = appendUnix(b, r.expiry)
	return append(b, r.notice...)
}

func (r *posted) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.CopyBytes(r.id[:]) && readUnix(s, &r.expiry) && s.ReadBytes(&r.notice, mailbox.NoticeSize)
}

func (r *posted) blob() []byte { return r.notice }

func (r *posted) apply(t *txn, at location) {
	t.putNotice(r.id, notice{r.box, r.expiry, at, mailbox.IDOf(r.notice)})
}

type unposted struct{ id mailbox.NoticeID }

func (r *unposted) append(b []byte) []byte          { return append(append(b, typeUnposted), r.id[:]...) }
func (r *unposted) parse(s *cryptobyte.String) bool { return s.CopyBytes(r.id[:]) }
func (r *unposted) blob() []byte                    { return nil }
func (r *unposted) apply(t *txn, _ location)        { t.dropNotice(r.id) }

type expired struct {
	at    int64
	limit uint32
}

func (r *expired) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(appendUnix(append(b, typeExpired), r.at), r.limit)
}

func (r *expired) parse(s *cryptobyte.String) bool {
	return readUnix(s, &r.at) && s.ReadUint32(&r.limit)
}
func (r *expired) blob() []byte             { return nil }
func (r *expired) apply(t *txn, _ location) { t.expire(r.at, int(r.limit)) }

type movedCell struct {
	box  mailbox.BoxPublic
	id   mailbox.CellID
	cell []byte
}

func (r *movedCell) append(b []byte) []byte {
	b = append(b, typeMovedCell)
	b = append(b, r.box[:]...)
	b = append(b, r.id[:]...)
	b = append(b, classOf(len(r.cell)))
	return append(b, r.cell...)
}

func (r *movedCell) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.CopyBytes(r.id[:]) && readCell(s, &r.cell)
}

func (r *movedCell) blob() []byte              { return r.cell }
func (r *movedCell) apply(t *txn, at location) { t.moveCell(cellKey{r.box, r.id}, at) }

type movedNotice struct {
	id     mailbox.NoticeID
	notice []byte
}

func (r *movedNotice) append(b []byte) []byte {
	b = append(b, typeMovedNotice)
	b = append(b, r.id[:]...)
	return append(b, r.notice...)
}

func (r *movedNotice) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.id[:]) && s.ReadBytes(&r.notice, mailbox.NoticeSize)
}

func (r *movedNotice) blob() []byte              { return r.notice }
func (r *movedNotice) apply(t *txn, at location) { t.moveNotice(r.id, at) }

// forgotten is of a box that was released; in the logs of Views also of one that has expired,
// which others tell by when, not by name.
type forgotten struct{ box mailbox.BoxPublic }

func (r *forgotten) append(b []byte) []byte          { return append(append(b, typeForgotten), r.box[:]...) }
func (r *forgotten) parse(s *cryptobyte.String) bool { return s.CopyBytes(r.box[:]) }
func (r *forgotten) blob() []byte                    { return nil }
func (r *forgotten) apply(t *txn, _ location)        { t.dropBox(r.box) }
