package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"golang.org/x/crypto/cryptobyte"
)

// Rows of the index, as FORMAT.md has them.
type (
	cellKey struct {
		box mailbox.BoxPublic
		id  mailbox.CellID
	}
	cell struct {
		sequence uint64
		expiry   int64
		queue    mailbox.QID
		at       location
		size     int
		work     uint8 // bits, in an intro queue; else 0
		came     int64 // in minutes
	}
	// introKey is an intro queue of a box; another box may open one of the same
	// name after it was closed, which has its own cells.
	introKey struct {
		box mailbox.BoxPublic
		id  mailbox.QID
	}
	// pending is a row w: a cell in an intro queue. Their order is that in
	// which they are displaced.
	pending struct {
		work     uint8
		sequence uint64
		id       mailbox.CellID
	}
	queue struct {
		box   mailbox.BoxPublic
		class mailbox.Class
		until int64
		cells uint32
		bytes uint32
	}
	box struct {
		until    int64
		used     uint64
		sequence uint64 // the last given to a cell
		queues   uint32
		notices  uint32
		token    bool // pays for the lease
	}
	notice struct {
		box    mailbox.BoxPublic
		expiry int64
		at     location
		sum    mailbox.CellID // made like a cell's name
	}
	// totals is row p.
	totals struct {
		end     location // of the last group applied
		time    int64    // its, in milliseconds
		cells   uint64
		bytes   uint64
		queues  uint64
		boxes   uint64
		notices uint64

		oldest int64 // cell's minute, 0 if there is none; not in the row but from rows a
	}
)

const (
	indexVersion = 4
	// boxGrace is how long after its lease a box is known, in seconds:
	// longer than MaxUntil and MaxTTL, so that nothing is left in it.
	boxGrace = int64((mailbox.MaxUntil + 24*time.Hour) / time.Second)
)

func key(prefix byte, parts ...[]byte) []byte {
	k := make([]byte, 1, 64)
	k[0] = prefix
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func keyTotals() []byte                    { return key('p') }
func keyBox(b mailbox.BoxPublic) []byte    { return key('b', b[:]) }
func keyQueue(q mailbox.QID) []byte        { return key('q', q[:]) }
func keyCell(k cellKey) []byte             { return key('c', k.box[:], k.id[:]) }
func keyNotice(n mailbox.NoticeID) []byte  { return key('n', n[:]) }
func keyLive(segment uint64) []byte        { return key('g', number(segment)) }
func keyCame(minute int64) []byte          { return key('a', number(uint64(minute))) }
func keyEnd(when int64, row []byte) []byte { return key('x', number(uint64(when)), row) }

// parseCellKey reads what keyCell wrote.
func parseCellKey(k []byte) (c cellKey, ok bool) {
	if len(k) != 49 {
		return c, false
	}
	return cellKey{mailbox.BoxPublic(k[1:33]), mailbox.CellID(k[33:])}, true
}

// keyIn is of a queue or notice of a box.
func keyIn(b mailbox.BoxPublic, row []byte) []byte { return key('o', b[:], row) }

func keySequence(b mailbox.BoxPublic, n uint64) []byte {
	return key('s', b[:], number(n))
}

// keyPending puts the weakest first, and of equals the latest.
func keyPending(q introKey, p pending) []byte {
	return key('w', q.box[:], q.id[:], []byte{p.work}, number(^p.sequence))
}

func comparePending(a, b pending) int {
	return cmp.Or(cmp.Compare(a.work, b.work), cmp.Compare(b.sequence, a.sequence))
}

// loadPending reads the rows w of a queue, in order. The error wraps
// mailbox.ErrDamaged.
func loadPending(db *pebble.DB, q introKey) (all []pending, err error) {
	damaged := func(err error) ([]pending, error) {
		return nil, fmt.Errorf("%w: row w of the index: %w", mailbox.ErrDamaged, err)
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: key('w', q.box[:], q.id[:]), UpperBound: key('w', q.box[:], q.id[:], []byte{255})})
	if err != nil {
		return damaged(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			all, err = damaged(e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		v, err := it.ValueAndErr()
		if err != nil || len(k) != 1+32+32+1+8 || len(v) != len(mailbox.CellID{}) {
			return damaged(errors.Join(err, errRecord))
		}
		all = append(all, pending{k[65], ^binary.BigEndian.Uint64(k[66:]), mailbox.CellID(v)})
	}
	return all, nil
}

func (v totals) value() []byte {
	b := []byte{indexVersion}
	for _, n := range []uint64{v.end.segment, v.end.offset, uint64(v.time), v.cells, v.bytes, v.queues, v.boxes, v.notices} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func parseTotals(raw []byte) (v totals, ok bool) {
	var version uint8
	var milli uint64
	s := cryptobyte.String(raw)
	ok = s.ReadUint8(&version) && version == indexVersion && s.ReadUint64(&v.end.segment) && s.ReadUint64(&v.end.offset) && s.ReadUint64(&milli) &&
		s.ReadUint64(&v.cells) && s.ReadUint64(&v.bytes) && s.ReadUint64(&v.queues) && s.ReadUint64(&v.boxes) && s.ReadUint64(&v.notices) &&
		s.Empty() && milli <= maxMilli
	v.time = int64(milli)
	return v, ok
}

func (v box) value() []byte {
	b := appendUnix(make([]byte, 0, 33), v.until)
	b = binary.BigEndian.AppendUint64(b, v.used)
	b = binary.BigEndian.AppendUint64(b, v.sequence)
	b = binary.BigEndian.AppendUint32(b, v.queues)
	return appendFlag(binary.BigEndian.AppendUint32(b, v.notices), v.token)
}

func parseBox(raw []byte) (v box, ok bool) {
	s := cryptobyte.String(raw)
	ok = readUnix(&s, &v.until) && s.ReadUint64(&v.used) && s.ReadUint64(&v.sequence) && s.ReadUint32(&v.queues) && s.ReadUint32(&v.notices)
	if !s.Empty() { // else of version 2: what paid for it is not known
		ok = ok && readFlag(&s, &v.token) && s.Empty()
	}
	return v, ok
}

func (v queue) value() []byte {
	b := append(make([]byte, 0, 49), v.box[:]...)
	b = append(b, byte(v.class))
	b = appendUnix(b, v.until)
	b = binary.BigEndian.AppendUint32(b, v.cells)
	return binary.BigEndian.AppendUint32(b, v.bytes)
}

func parseQueue(raw []byte) (v queue, ok bool) {
	s := cryptobyte.String(raw)
	var class uint8
	ok = s.CopyBytes(v.box[:]) && s.ReadUint8(&class) && readUnix(&s, &v.until) && s.ReadUint32(&v.cells) && s.ReadUint32(&v.bytes) && s.Empty()
	v.class = mailbox.Class(class)
	return v, ok && knownClass(v.class)
}

func (v cell) value() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 73), v.sequence)
	b = appendUnix(b, v.expiry)
	b = append(b, v.queue[:]...)
	b = binary.BigEndian.AppendUint64(b, v.at.segment)
	b = binary.BigEndian.AppendUint64(b, v.at.offset)
	b = append(b, classOf(v.size)|v.work<<2)
	return appendUnix(b, v.came)
}

func parseCell(raw []byte) (v cell, ok bool) {
	s := cryptobyte.String(raw)
	var class uint8
	ok = s.ReadUint64(&v.sequence) && readUnix(&s, &v.expiry) && s.CopyBytes(v.queue[:]) && s.ReadUint64(&v.at.segment) &&
		s.ReadUint64(&v.at.offset) && s.ReadUint8(&class) && class&3 != 0
	if s.Empty() { // of version 1: as if it had been left for the longest
		v.came = minute(time.Unix(v.expiry, 0).Add(-mailbox.MaxTTL))
	} else {
		ok = ok && readUnix(&s, &v.came) && s.Empty()
	}
	v.size, v.work = sizeOf(class), class>>2
	return v, ok && (v.work == 0 || v.size == mailbox.CellMedium && v.work <= mailbox.MaxIntroWork)
}

func (v notice) value() []byte {
	b := append(make([]byte, 0, 72), v.box[:]...)
	b = appendUnix(b, v.expiry)
	b = binary.BigEndian.AppendUint64(b, v.at.segment)
	b = binary.BigEndian.AppendUint64(b, v.at.offset)
	return append(b, v.sum[:]...)
}

func parseNotice(raw []byte) (v notice, ok bool) {
	s := cryptobyte.String(raw)
	ok = s.CopyBytes(v.box[:]) && readUnix(&s, &v.expiry) && s.ReadUint64(&v.at.segment) && s.ReadUint64(&v.at.offset) && s.CopyBytes(v.sum[:]) && s.Empty()
	return v, ok
}

// each calls f with all rows whose keys begin with a prefix. The error wraps mailbox.ErrDamaged, unless it was given.
func each(db pebble.Reader, prefix []byte, f func(key, value []byte) error) (err error) {
	defer func() {
		var g givenError
		if errors.As(err, &g) {
			err = g.error
		} else if err != nil {
			err = damagedRow(prefix[0], err)
		}
	}()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key(), v)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// givenError is one for which the index is not to blame.
type givenError struct{ error }

func given(err error) error {
	if err == nil {
		return nil
	}
	return givenError{err}
}

func damagedRow(row byte, err error) error {
	return fmt.Errorf("%w: row %c of the index: %w", mailbox.ErrDamaged, row, cmp.Or(err, errRecord))
}

// after is the first key after all that begin with a prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// load reads one row of the index. ok is false if there is none; the error
// wraps mailbox.ErrDamaged.
func load[V any](db *pebble.DB, key []byte, parse func([]byte) (V, bool)) (v V, ok bool, err error) {
	raw, done, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, fmt.Errorf("%w: read index: %w", mailbox.ErrDamaged, err)
	}
	defer done.Close()
	if v, ok = parse(raw); !ok {
		return v, false, fmt.Errorf("%w: row %c of the index", mailbox.ErrDamaged, key[0])
	}
	return v, true, nil
}

// row is a row of the index as a txn sees it.
type row[V any] struct {
	v         V
	ok, dirty bool
	was       bool // ok when it was read
}

// txn makes one group's changes in the index: read through, written at the end
// in one batch. Its methods apply without asking; what may happen is decided in
// change.go. err is the first failure to read, after which nothing counts.
type txn struct {
	db      *pebble.DB
	recent  *recents
	batch   *pebble.Batch
	totals  totals
	queues  map[mailbox.QID]*row[queue]
	boxes   map[mailbox.BoxPublic]*row[box]
	cells   map[cellKey]*row[cell]
	notices map[mailbox.NoticeID]*row[notice]
	bundles map[uint64]*row[bundle]
	intros  map[introKey][]pending // in order; of queues that were looked at
	live    map[uint64]int64       // by how much a segment's live bytes change
	now     int64                  // the minute of the group
	came    map[int64]int64        // by how much the number of cells of a minute changes
	err     error
}

// recents spare those who deposit a look at the index.
type recents struct {
	queues recent[mailbox.QID, queue]
	boxes  recent[mailbox.BoxPublic, box]
	cells  filter
}

func newTxn(db *pebble.DB, recent *recents, totals totals, now time.Time) *txn {
	return &txn{
		db: db, recent: recent, batch: db.NewBatch(), totals: totals, now: minute(now), came: make(map[int64]int64),
		queues: make(map[mailbox.QID]*row[queue]), boxes: make(map[mailbox.BoxPublic]*row[box]),
		cells: make(map[cellKey]*row[cell]), notices: make(map[mailbox.NoticeID]*row[notice]), bundles: make(map[uint64]*row[bundle]),
		intros: make(map[introKey][]pending), live: make(map[uint64]int64),
	}
}

// see is a row as this txn has it; known, unless nil, spares a look.
func see[K comparable, V any](t *txn, rows map[K]*row[V], known *recent[K, V], k K, key func(K) []byte, parse func([]byte) (V, bool)) *row[V] {
	if r, ok := rows[k]; ok {
		return r
	}
	r := new(row[V])
	var err error
	if r.v, r.ok, err = loadRecent(t.db, known, k, key, parse); err != nil && t.err == nil {
		t.err = err
	}
	r.was = r.ok
	rows[k] = r
	return r
}

// loadRecent is load by way of what is remembered.
func loadRecent[K comparable, V any](db *pebble.DB, known *recent[K, V], k K, key func(K) []byte, parse func([]byte) (V, bool)) (V, bool, error) {
	if known == nil {
		return load(db, key(k), parse)
	}
	v, ok, changes := known.get(k)
	if ok {
		return v, true, nil
	}
	v, ok, err := load(db, key(k), parse)
	if ok && err == nil {
		known.learned(k, v, changes)
	}
	return v, ok, err
}

func (t *txn) queue(q mailbox.QID) *row[queue] {
	return see(t, t.queues, &t.recent.queues, q, keyQueue, parseQueue)
}

func (t *txn) box(b mailbox.BoxPublic) *row[box] {
	return see(t, t.boxes, &t.recent.boxes, b, keyBox, parseBox)
}

func (t *txn) cell(k cellKey) *row[cell] {
	if t.cells[k] == nil && t.recent.cells.lacks(k) {
		t.cells[k] = new(row[cell])
	}
	return see(t, t.cells, nil, k, keyCell, parseCell)
}

func (t *txn) notice(n mailbox.NoticeID) *row[notice] {
	return see(t, t.notices, nil, n, keyNotice, parseNotice)
}

// pending are the cells in an intro queue as this txn has them.
func (t *txn) pending(q introKey) []pending {
	all, ok := t.intros[q]
	if !ok {
		var err error
		if all, err = loadPending(t.db, q); err != nil && t.err == nil {
			t.err = err
		}
		t.intros[q] = all
	}
	return all
}

func (t *txn) putPending(q introKey, p pending) {
	all := t.pending(q)
	if i, found := slices.BinarySearchFunc(all, p, comparePending); !found {
		t.intros[q] = slices.Insert(all, i, p)
	}
	t.put(keyPending(q, p), p.id[:])
}

func (t *txn) dropPending(q introKey, p pending) {
	all := t.pending(q)
	if i, found := slices.BinarySearchFunc(all, p, comparePending); found {
		t.intros[q] = slices.Delete(all, i, i+1)
	}
	t.drop(keyPending(q, p))
}

func (t *txn) put(key, value []byte) { t.keep(t.batch.Set(key, value, nil)) }
func (t *txn) drop(key []byte)       { t.keep(t.batch.Delete(key, nil)) }

func (t *txn) keep(err error) {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("%w: write index: %w", mailbox.ErrDamaged, err)
	}
}

func flush[K comparable, V interface{ value() []byte }](t *txn, rows map[K]*row[V], key func(K) []byte) {
	for k, r := range rows {
		switch {
		case r.dirty && r.ok:
			t.put(key(k), r.v.value())
		case r.dirty:
			t.drop(key(k))
		}
	}
}

// commit writes all rows that changed, in one batch, and the place in the log
// up to which the index now knows it. lives are all segments' live bytes, came when all cells did.
func (t *txn) commit(end location, now time.Time, lives map[uint64]int64, came *ages) error {
	flush(t, t.queues, keyQueue)
	flush(t, t.boxes, keyBox)
	flush(t, t.cells, keyCell)
	flush(t, t.notices, keyNotice)
	flush(t, t.bundles, keyBundle)
	for segment, change := range t.live {
		lives[segment] += change
		t.put(keyLive(segment), number(uint64(lives[segment])))
	}
	for m, change := range t.came {
		if n := came.change(m, change); n != 0 {
			t.put(keyCame(m), number(uint64(n)))
		} else {
			t.drop(keyCame(m))
		}
	}
	t.totals.oldest = came.oldest()
	t.totals.end = end
	t.totals.time = max(t.totals.time, now.UnixMilli())
	t.put(keyTotals(), t.totals.value())
	if t.err != nil {
		return t.err
	}
	if err := t.batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("%w: write index: %w", mailbox.ErrDamaged, err)
	}
	t.recent.queues.committed(t.queues)
	t.recent.boxes.committed(t.boxes)
	for k, r := range t.cells {
		if r.ok != r.was {
			t.recent.cells.count(k, r.ok)
		}
	}
	return nil
}

func (t *txn) close() { t.batch.Close() }

func (t *txn) putCell(k cellKey, v cell) {
	v.came = t.now
	t.putCellOf(k, v)
}

// putCellOf is putCell of one that came earlier.
func (t *txn) putCellOf(k cellKey, v cell) {
	t.dropCell(k)
	r := t.cell(k)
	r.v, r.ok, r.dirty = v, true, true
	t.came[v.came]++
	t.put(keySequence(k.box, v.sequence), k.id[:])
	t.put(keyEnd(v.expiry, keyCell(k)), nil)
	if v.work > 0 {
		t.putPending(introKey{k.box, v.queue}, pending{v.work, v.sequence, k.id})
	}
	b := t.box(k.box)
	b.v.used += uint64(v.size)
	b.v.sequence = max(b.v.sequence, v.sequence)
	b.dirty = b.ok
	if q := t.queue(v.queue); q.ok {
		q.v.cells++
		q.v.bytes += uint32(v.size)
		q.dirty = true
	}
	t.totals.cells++
	t.totals.bytes += uint64(v.size)
	t.live[v.at.segment] += int64(v.size)
}

func (t *txn) dropCell(k cellKey) bool {
	r := t.cell(k)
	if !r.ok {
		return false
	}
	v := r.v
	r.ok, r.dirty = false, true
	t.came[v.came]--
	t.drop(keySequence(k.box, v.sequence))
	t.drop(keyEnd(v.expiry, keyCell(k)))
	if v.work > 0 {
		t.dropPending(introKey{k.box, v.queue}, pending{v.work, v.sequence, k.id})
	}
	b := t.box(k.box)
	b.v.used -= min(b.v.used, uint64(v.size))
	b.dirty = b.ok
	// A queue that was closed and opened again has counted anew.
	if q := t.queue(v.queue); q.ok {
		q.v.cells -= min(q.v.cells, 1)
		q.v.bytes -= min(q.v.bytes, uint32(v.size))
		q.dirty = true
	}
	t.totals.cells--
	t.totals.bytes -= uint64(v.size)
	t.live[v.at.segment] -= int64(v.size)
	return true
}

func (t *txn) extendCell(k cellKey, expiry int64) {
	if r := t.cell(k); r.ok {
		t.drop(keyEnd(r.v.expiry, keyCell(k)))
		r.v.expiry, r.dirty = expiry, true
		t.put(keyEnd(expiry, keyCell(k)), nil)
	}
}

func (t *txn) moveCell(k cellKey, at location) {
	if r := t.cell(k); r.ok {
		t.live[r.v.at.segment] -= int64(r.v.size)
		t.live[at.segment] += int64(r.v.size)
		r.v.at, r.dirty = at, true
	}
}

func (t *txn) openQueue(q mailbox.QID, v queue) {
	r := t.queue(q)
	if r.ok {
		if v.until > r.v.until {
			t.drop(keyEnd(r.v.until, keyQueue(q)))
			r.v.until, r.dirty = v.until, true
			t.put(keyEnd(v.until, keyQueue(q)), nil)
		}
		return
	}
	r.v, r.ok, r.dirty = v, true, true
	t.put(keyEnd(v.until, keyQueue(q)), nil)
	t.put(keyIn(v.box, keyQueue(q)), nil)
	b := t.box(v.box)
	b.v.queues++
	b.dirty = b.ok
	t.totals.queues++
}

func (t *txn) dropQueue(q mailbox.QID) {
	r := t.queue(q)
	if !r.ok {
		return
	}
	r.ok, r.dirty = false, true
	t.drop(keyEnd(r.v.until, keyQueue(q)))
	t.drop(keyIn(r.v.box, keyQueue(q)))
	b := t.box(r.v.box)
	b.v.queues -= min(b.v.queues, 1)
	b.dirty = b.ok
	t.totals.queues--
}

func (t *txn) leaseBox(name mailbox.BoxPublic, until int64, token bool) {
	b := t.box(name)
	if b.ok {
		if until < b.v.until || until == b.v.until && !token {
			return
		}
		t.drop(keyEnd(b.v.until+boxGrace, keyBox(name)))
	} else {
		b.v, b.ok = box{}, true
		t.totals.boxes++
	}
	b.v.until, b.v.token, b.dirty = until, token, true
	t.put(keyEnd(until+boxGrace, keyBox(name)), nil)
}

// endLease has the lease of a box, which may be known to be another, end at a time.
func (t *txn) endLease(name mailbox.BoxPublic, at int64, token bool) {
	if b := t.box(name); b.ok {
		t.drop(keyEnd(b.v.until+boxGrace, keyBox(name)))
		b.v.until, b.v.token, b.dirty = at, token, true
		t.put(keyEnd(at+boxGrace, keyBox(name)), nil)
	}
}

func (t *txn) dropBox(name mailbox.BoxPublic) {
	if b := t.box(name); b.ok {
		b.ok, b.dirty = false, true
		t.drop(keyEnd(b.v.until+boxGrace, keyBox(name)))
		t.totals.boxes--
	}
}

func (t *txn) putNotice(n mailbox.NoticeID, v notice) {
	t.dropNotice(n)
	r := t.notice(n)
	r.v, r.ok, r.dirty = v, true, true
	t.put(keyEnd(v.expiry, keyNotice(n)), nil)
	t.put(keyIn(v.box, keyNotice(n)), nil)
	b := t.box(v.box)
	b.v.used += mailbox.NoticeSize
	b.v.notices++
	b.dirty = b.ok
	t.totals.notices++
	t.totals.bytes += mailbox.NoticeSize
	t.live[v.at.segment] += mailbox.NoticeSize
}

func (t *txn) dropNotice(n mailbox.NoticeID) {
	r := t.notice(n)
	if !r.ok {
		return
	}
	v := r.v
	r.ok, r.dirty = false, true
	t.drop(keyEnd(v.expiry, keyNotice(n)))
	t.drop(keyIn(v.box, keyNotice(n)))
	b := t.box(v.box)
	b.v.used -= min(b.v.used, mailbox.NoticeSize)
	b.v.notices -= min(b.v.notices, 1)
	b.dirty = b.ok
	t.totals.notices--
	t.totals.bytes -= mailbox.NoticeSize
	t.live[v.at.segment] -= mailbox.NoticeSize
}

func (t *txn) moveNotice(n mailbox.NoticeID, at location) {
	if r := t.notice(n); r.ok {
		t.live[r.v.at.segment] -= mailbox.NoticeSize
		t.live[at.segment] += mailbox.NoticeSize
		r.v.at, r.dirty = at, true
	}
}

// expire removes what the first limit rows x up to at name. It reads the rows
// from the database, so it must be the only record of its txn.
func (t *txn) expire(at int64, limit int) {
	ends, err := endsUpTo(t.db, at, limit)
	t.keep(err)
	for _, e := range ends {
		row := e[9:]
		switch row[0] {
		case 'c':
			t.dropCell(cellKey{mailbox.BoxPublic(row[1:33]), mailbox.CellID(row[33:49])})
		case 'q':
			t.dropQueue(mailbox.QID(row[1:33]))
		case 'n':
			t.dropNotice(mailbox.NoticeID(row[1:33]))
		case 'b':
			t.dropBox(mailbox.BoxPublic(row[1:33]))
		}
	}
}

// endsUpTo are the keys of the first limit rows x up to a time.
func endsUpTo(db *pebble.DB, at int64, limit int) (keys [][]byte, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: key('x'), UpperBound: keyEnd(at+1, nil)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(keys) < limit; ok = it.Next() {
		k := bytes.Clone(it.Key())
		if want := map[byte]int{'c': 9 + 49, 'q': 9 + 33, 'n': 9 + 33, 'b': 9 + 33}; len(k) < 10 || len(k) != want[k[9]] {
			return nil, fmt.Errorf("%w: row x of the index", mailbox.ErrDamaged)
		}
		keys = append(keys, k)
	}
	return keys, it.Error()
}

// inBox names what is in a box.
type inBox struct {
	queues  []mailbox.QID
	notices []mailbox.NoticeID
	cells   []mailbox.CellID
}

// contents tells the first limit things that are in a box, queues before cells, and whether there are
// more. The error wraps mailbox.ErrDamaged.
func contents(db *pebble.DB, b mailbox.BoxPublic, limit int) (in inBox, more bool, err error) {
	n := 0
	for _, rows := range [2][]byte{key('o', b[:]), key('s', b[:])} {
		err := each(db, rows, func(k, v []byte) error {
			if n++; n > limit {
				more = true
				return errEnough
			}
			switch name := k[len(rows):]; {
			case rows[0] == 's' && len(v) == len(mailbox.CellID{}):
				in.cells = append(in.cells, mailbox.CellID(v))
			case rows[0] == 'o' && len(name) == 33 && name[0] == 'q':
				in.queues = append(in.queues, mailbox.QID(name[1:]))
			case rows[0] == 'o' && len(name) == 33 && name[0] == 'n':
				in.notices = append(in.notices, mailbox.NoticeID(name[1:]))
			default:
				return errRecord
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return in, false, err
		}
	}
	return in, more, nil
}

// errEnough ends each.
var errEnough = errors.New("disk: enough rows")
