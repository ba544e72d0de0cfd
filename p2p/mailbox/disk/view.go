package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"golang.org/x/crypto/cryptobyte"
)

// A View is the index of a log that is kept elsewhere, by a Store that several processes
// share: package jetstream. The log is a row of Entries, each at a place, from 1 on. It
// need not hold an Entry for longer than until there is a later one of the same Key.
// What is in a View follows from the log and can be made anew from it.
//
// Plan and Apply are called by one goroutine at a time, the rest by any number beside it.
type View struct {
	reader
	fs     vfs.FS
	dir    string
	quotas mailbox.Quotas

	lives map[uint64]int64 // of one log; for commit
	came  *ages            // the same

	mu     sync.RWMutex // guards what follows
	totals totals
}

// viewLog stands for the number of a segment in the rows of a View, whose offsets are places.
const viewLog = 1

// Entry is what a log says of one thing.
type Entry struct {
	Key  []byte // names the thing, and what of it
	Head []byte // for Apply
	Blob []byte // the cell or notice that belongs to it, or nil; not in Head
	// Ends is when the Entry is of no more use by itself: it adds something to a thing that has
	// expired then. Zero: when a later one of its Key comes.
	Ends time.Time
	// Gone says that nothing is left of the thing. The Entry matters to those alone who know
	// an earlier one.
	Gone bool
}

// OpenView opens the View in a directory, or makes an empty one. Its errors wrap ErrNewer,
// mailbox.ErrDamaged or the operating system's.
func OpenView(dir string, quotas mailbox.Quotas, log *slog.Logger) (*View, error) {
	v := &View{fs: vfs.Default, dir: dir, quotas: quotas, lives: make(map[uint64]int64)}
	if err := makeDir(v.fs, dir); err != nil {
		return nil, fmt.Errorf("disk: make directory: %w", err)
	}
	fs := newBallasted(v.fs, v.fs.PathJoin(dir, "ballast"))
	if err := fs.lay(); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	var err error
	if v.db, err = openIndex(fs, v.fs.PathJoin(dir, "index"), log); err != nil {
		return nil, fmt.Errorf("%w: open index: %w", mailbox.ErrDamaged, err)
	}
	if v.totals, v.came, _, err = loadTotals(v.db); err != nil {
		return nil, errors.Join(err, v.db.Close())
	}
	return v, nil
}

// Close makes what is known durable, so that little of the log is read the next time.
func (v *View) Close() error {
	return errors.Join(v.db.Flush(), v.db.Close())
}

// End is the place of the last Entry that is known, and when it was made.
func (v *View) End() (place uint64, made time.Time) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.totals.end.offset, time.UnixMilli(v.totals.time)
}

// Usage is mailbox.Store's, but for Disk.
func (v *View) Usage() mailbox.Usage {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t := v.totals
	return mailbox.Usage{Cells: t.cells, Bytes: t.bytes, Queues: t.queues, Boxes: t.boxes, Notices: t.notices, Oldest: t.oldestCell()}
}

// Latest is mailbox.Store's.
func (v *View) Latest() time.Time {
	if _, made := v.End(); made.UnixMilli() != 0 {
		return made
	}
	return time.Time{}
}

// Cell is the place of a kept cell. Its error wraps mailbox.ErrNotFound or mailbox.ErrDamaged.
func (v *View) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) (place uint64, err error) {
	row, ok, err := load(v.db, keyCell(cellKey{b, id}), parseCell)
	if err == nil && (!ok || row.expiry <= now.Unix()) {
		err = mailbox.ErrNotFound
	}
	return row.at.offset, err
}

// Notice is the place of a kept notice. Its error wraps mailbox.ErrNotFound or
// mailbox.ErrDamaged.
func (v *View) Notice(id mailbox.NoticeID, now time.Time) (place uint64, err error) {
	row, ok, err := load(v.db, keyNotice(id), parseNotice)
	if err == nil && (!ok || row.expiry <= now.Unix()) {
		err = mailbox.ErrNotFound
	}
	return row.at.offset, err
}

// Plan is changes that were decided on: their outcomes are so once its Entries are in the log,
// the first at the place after End.
type Plan struct {
	Entries []Entry
	Changes int // decided on, of those given
	view    *View
	end     uint64
	decision
}

// MaxEntries bounds the Entries of one Plan.
const MaxEntries = expirePart

// Plan decides on changes as the View knows the log, on as many of the first as can be one
// group, and fills in their outcomes. room is how many bytes of cells and notices may be
// added. What it returns is to be closed. The error wraps mailbox.ErrDamaged.
func (v *View) Plan(now time.Time, changes []mailbox.Change, room int64) (*Plan, error) {
	v.mu.RLock()
	p := &Plan{view: v, end: v.totals.end.offset, decision: decision{t: newTxn(v.db, &v.recent, v.totals, now), now: now, room: room, quotas: v.quotas}}
	v.mu.RUnlock()
	p.log = p
	entries, bytes := 0, 0 // at most
	for _, c := range changes {
		n := 2 // a stranger's cell may displace another
		switch c := c.(type) {
		case *mailbox.Deposit:
			c.New, bytes = false, bytes+len(c.Cell)
		case *mailbox.Delete:
			n = len(c.Cells)
		case *mailbox.OpenQueues:
			n = len(c.Queues)
		case *mailbox.CloseQueues:
			n = len(c.Queues)
		case *mailbox.Expire:
			n = MaxEntries // alone
		}
		if entries += n; p.Changes > 0 && (entries > MaxEntries || bytes > partBytes) {
			break
		}
		o := mailbox.OutcomeOf(c)
		if e, ok := c.(*mailbox.Expire); ok {
			o.Err = p.expire(e)
		} else {
			o.Err = p.plan(c)
		}
		p.Changes++
	}
	if p.t.err != nil {
		p.t.close()
		return nil, p.t.err
	}
	return p, nil
}

// Done has the View know the Entries, which are in the log now.
func (p *Plan) Done() error {
	return p.view.know(p.t, p.end+uint64(len(p.Entries)), p.now)
}

// Close ends the use of a Plan, done or not.
func (p *Plan) Close() { p.t.close() }

func (v *View) know(t *txn, end uint64, now time.Time) error {
	if err := t.commit(location{viewLog, end}, now, v.lives, v.came); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.totals = t.totals
	return nil
}

func (p *Plan) sequence(box) uint64 { return p.end + uint64(len(p.Entries)) + 1 }

// keep takes a record in, as an Entry for each thing that it is about.
func (p *Plan) keep(r record) location {
	put := func(what byte, name []byte, ends time.Time, gone bool, single record) {
		head := appendEntryHead(nil, !ends.IsZero(), p.now)
		head = single.append(head)
		p.Entries = append(p.Entries, Entry{
			Key: append([]byte{what}, name...), Head: head[:len(head)-len(single.blob())], Blob: single.blob(), Ends: ends, Gone: gone,
		})
	}
	name := func(box mailbox.BoxPublic, id mailbox.CellID) []byte { return append(box[:], id[:]...) }
	margin := 48 * time.Hour // after which nobody asks
	switch r := r.(type) {
	case *deposited:
		put('c', name(r.box, r.id), time.Time{}, false, r)
	case *introduced:
		put('c', name(r.box, r.id), time.Time{}, false, r)
	case *extended:
		put('C', name(r.box, r.id), time.Unix(r.expiry, 0).Add(margin), false, r)
	case *deleted:
		for _, id := range r.ids {
			put('c', name(r.box, id), time.Time{}, true, &deleted{r.box, []mailbox.CellID{id}})
		}
	case *opened:
		for _, q := range r.queues {
			one := &opened{r.box, r.class, r.until, []mailbox.QID{q}}
			if p.t.queue(q).ok {
				put('Q', q[:], time.Unix(r.until, 0).Add(margin), false, one)
			} else {
				put('q', q[:], time.Time{}, false, one)
			}
		}
	case *closed:
		for _, q := range r.queues {
			put('q', q[:], time.Time{}, true, &closed{r.box, []mailbox.QID{q}})
		}
	case *leased:
		if p.t.box(r.box).ok {
			put('B', r.box[:], time.Unix(r.until+boxGrace, 0).Add(margin), false, r)
		} else {
			put('b', r.box[:], time.Time{}, false, r)
		}
	case *forgotten:
		put('b', r.box[:], time.Time{}, true, r)
	case *posted:
		put('n', r.id[:], time.Time{}, false, r)
	case *unposted:
		put('n', r.id[:], time.Time{}, true, r)
	default:
		panic("disk: a record that no View decides on")
	}
	return location{viewLog, p.end + uint64(len(p.Entries))}
}

// expire removes what has expired, one by one: a log of Entries can forget them only so.
func (p *Plan) expire(c *mailbox.Expire) error {
	ends, err := endsUpTo(p.t.db, c.At.Unix(), expirePart+1)
	if err != nil {
		return err
	}
	if c.More = len(ends) > expirePart; c.More {
		ends = ends[:expirePart]
	}
	for _, e := range ends {
		row := e[9:]
		switch row[0] {
		case 'c':
			p.add(&deleted{mailbox.BoxPublic(row[1:33]), []mailbox.CellID{mailbox.CellID(row[33:49])}})
		case 'q':
			q := mailbox.QID(row[1:33])
			p.add(&closed{p.t.queue(q).v.box, []mailbox.QID{q}})
		case 'n':
			p.add(&unposted{mailbox.NoticeID(row[1:33])})
		case 'b':
			p.add(&forgotten{mailbox.BoxPublic(row[1:33])})
		}
	}
	return nil
}

// An entry's head is what FORMAT.md says.
const entryVersion = 1

func appendEntryHead(b []byte, adds bool, now time.Time) []byte {
	b = append(b, entryVersion, 0)
	if adds {
		b[len(b)-1] = 1
	}
	return binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
}

// parseEntry reads an entry's head; the blob, which is not needed to know where it is, is
// taken to be zeros. The error wraps ErrNewer or mailbox.ErrDamaged.
func parseEntry(head []byte, size int) (r record, adds bool, now time.Time, err error) {
	bad := func(what error) (record, bool, time.Time, error) {
		return nil, false, time.Time{}, fmt.Errorf("%w: an entry of the log: %w", mailbox.ErrDamaged, what)
	}
	if len(head) > 0 && head[0] > entryVersion {
		return nil, false, time.Time{}, ErrNewer
	}
	if size < 0 || size > mailbox.CellLarge {
		return bad(errRecord)
	}
	s := cryptobyte.String(append(bytes.Clone(head), make([]byte, size)...))
	var version, more uint8
	var milli uint64
	if !s.ReadUint8(&version) || version != entryVersion || !s.ReadUint8(&more) || more > 1 || !s.ReadUint64(&milli) || milli > maxMilli {
		return bad(errRecord)
	}
	if r, err = parseRecord(&s); err != nil {
		return bad(err)
	}
	if !s.Empty() || len(r.blob()) != size {
		return bad(errRecord)
	}
	return r, more == 1, time.UnixMilli(int64(milli)), nil
}

// known tells whether there is what a record adds something to. Of a log that forgets, what
// was added to a thing that is gone may be left.
func (t *txn) known(r record) bool {
	switch r := r.(type) {
	case *opened:
		q := t.queue(r.queues[0])
		return q.ok && q.v.box == r.box
	case *leased:
		return t.box(r.box).ok
	}
	return true
}

// Applied is an Entry as the log tells it.
type Applied struct {
	Place uint64
	Head  []byte
	Size  int // of its Blob, bytes
}

// Apply takes in Entries that others put into the log, in order; those known already are
// passed over. It returns the boxes into which cells came. The error wraps mailbox.ErrDamaged
// or, for what a newer version wrote, ErrNewer.
func (v *View) Apply(entries []Applied) (news map[mailbox.BoxPublic]struct{}, err error) {
	v.mu.RLock()
	t, end := newTxn(v.db, &v.recent, v.totals, time.Time{}), v.totals.end.offset
	v.mu.RUnlock()
	defer t.close()
	news = make(map[mailbox.BoxPublic]struct{})
	var made time.Time
	for _, e := range entries {
		if e.Place <= end {
			continue
		}
		r, adds, now, err := parseEntry(e.Head, e.Size)
		if err != nil {
			return nil, err
		}
		end = e.Place
		if now.After(made) {
			made = now
		}
		if adds && !t.known(r) {
			continue
		}
		switch r := r.(type) {
		case *deposited:
			news[r.box] = struct{}{}
		case *introduced:
			news[r.box] = struct{}{}
		}
		t.now = minute(now)
		r.apply(t, location{viewLog, e.Place})
	}
	return news, v.know(t, end, made)
}

// Skip has the View know that the log has nothing more up to a place.
func (v *View) Skip(place uint64) error {
	v.mu.RLock()
	t, end := newTxn(v.db, &v.recent, v.totals, time.Time{}), v.totals.end.offset
	v.mu.RUnlock()
	defer t.close()
	if place <= end {
		return nil
	}
	return v.know(t, place, time.Time{})
}
