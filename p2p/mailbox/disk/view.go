package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// viewLog stands for the number of a segment in the rows of a View, whose offsets are spots.
const viewLog = 1

// Entry is what a log says of one thing.
type Entry struct {
	Key  []byte // names the thing, and what of it
	Head []byte // for Apply
	Blob []byte // the cells or the notice that belong to it, or nil; not in Head
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
	v.recent.cells = countCells(v.db, v.totals.cells)
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

// Spot is where the bytes of a cell or notice are: in the Blob of the Entry at a place.
type Spot struct {
	Place      uint64
	From, Size int // bytes of the Blob
}

// Cell is where a kept cell is. Its error wraps mailbox.ErrNotFound or mailbox.ErrDamaged.
func (v *View) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) (s Spot, err error) {
	row, ok, err := load(v.db, keyCell(cellKey{b, id}), parseCell)
	if err == nil && (!ok || row.expiry <= now.Unix()) {
		err = mailbox.ErrNotFound
	}
	if err != nil {
		return s, err
	}
	place, index := placeOf(row.at.offset)
	all, ok, err := load(v.db, keyBundle(place), parseBundle)
	if err == nil && (!ok || index >= len(all.cells)) {
		err = mailbox.ErrNotFound // it was deleted just now
	}
	if err != nil {
		return s, err
	}
	s = Spot{Place: place, Size: row.size}
	for _, c := range all.cells[:index] {
		s.From += c.size
	}
	return s, nil
}

// Notice is where a kept notice is. Its error wraps mailbox.ErrNotFound or
// mailbox.ErrDamaged.
func (v *View) Notice(id mailbox.NoticeID, now time.Time) (Spot, error) {
	row, ok, err := load(v.db, keyNotice(id), parseNotice)
	if err == nil && (!ok || row.expiry <= now.Unix()) {
		err = mailbox.ErrNotFound
	}
	place, _ := placeOf(row.at.offset)
	return Spot{Place: place, Size: mailbox.NoticeSize}, err
}

// Plan is changes that were decided on: their outcomes are so once its Entries are in the log,
// the first at the place after End.
type Plan struct {
	Entries []Entry
	Changes int // decided on, of those given
	view    *View
	end     uint64
	open    *gathered // the bundle of the last Entry, to which cells may still be added; or nil
	gone    []going   // bundles of which cells are gone; no Entry says so yet
	decision
}

// MaxEntries bounds the Entries of one Plan.
const MaxEntries = expirePart

// Plan decides on changes as the View knows the log, on as many of the first as can be one
// group, and fills in their outcomes. room is how many bytes of cells and notices may be
// added. What it returns is to be closed. The error wraps mailbox.ErrDamaged.
func (v *View) Plan(now time.Time, changes []mailbox.Change, room int64) (*Plan, error) {
	p := v.plan(now, room)
	entries, bytes := 0, 0 // at most
	for _, c := range changes {
		n := 2 // a stranger's cell may displace another
		switch c := c.(type) {
		case *mailbox.Deposit:
			c.New, bytes = false, bytes+len(c.Cell)
		case *mailbox.Delete:
			n = 2 * len(c.Cells)
		case *mailbox.OpenQueues:
			n = len(c.Queues)
		case *mailbox.CloseQueues:
			n = len(c.Queues)
		case *mailbox.Expire, *mailbox.ReleaseBox:
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
	return p.planned()
}

// plan begins a Plan.
func (v *View) plan(now time.Time, room int64) *Plan {
	v.mu.RLock()
	defer v.mu.RUnlock()
	p := &Plan{view: v, end: v.totals.end.offset, decision: decision{t: newTxn(v.db, &v.recent, v.totals, now), now: now, room: room, quotas: v.quotas}}
	p.log = p
	return p
}

// planned ends what is decided.
func (p *Plan) planned() (*Plan, error) {
	p.settle()
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

// sequence is left to keep, which knows where a cell comes to lie.
func (p *Plan) sequence(box) uint64 { return 0 }

// keep takes a record in, as an Entry for each thing that it is about. Cells that follow each
// other share one; what is deleted is told at the end, or before anything that is not about cells.
func (p *Plan) keep(r record) location {
	name := func(box mailbox.BoxPublic, id mailbox.CellID) []byte { return append(box[:], id[:]...) }
	switch r := r.(type) {
	case *deposited:
		at := p.gather(cellKey{r.box, r.id}, cell{expiry: r.expiry, queue: r.queue, size: len(r.cell)}, r.cell)
		r.sequence = at.offset
		return at
	case *introduced:
		at := p.gather(cellKey{r.box, r.id}, cell{expiry: r.expiry, queue: r.queue, size: len(r.cell), work: r.work}, r.cell)
		r.sequence = at.offset
		return at
	case *deleted:
		for _, id := range r.ids {
			p.drop(cellKey{r.box, id})
		}
		return location{}
	}
	p.settle()
	switch r := r.(type) {
	case *extended:
		p.put('C', name(r.box, r.id), time.Unix(r.expiry, 0).Add(longGone), false, r)
	case *opened:
		for _, q := range r.queues {
			one := &opened{r.box, r.class, r.until, []mailbox.QID{q}}
			if p.t.queue(q).ok {
				p.put('Q', q[:], time.Unix(r.until, 0).Add(longGone), false, one)
			} else {
				p.put('q', q[:], time.Time{}, false, one)
			}
		}
	case *closed:
		for _, q := range r.queues {
			p.put('q', q[:], time.Time{}, true, &closed{r.box, []mailbox.QID{q}})
		}
	case *leased:
		if p.t.box(r.box).ok {
			p.put('B', r.box[:], time.Unix(r.until+boxGrace, 0).Add(longGone), false, r)
		} else {
			p.put('b', r.box[:], time.Time{}, false, r)
		}
	case *ended:
		// Not under the key of what is prolonged: after this that may end earlier than what was first granted,
		// which who reads the log from its beginning learns first.
		p.put('E', r.box[:], p.now.Add(mailbox.MaxLease+time.Duration(boxGrace)*time.Second+longGone), false, r)
	case *forgotten:
		p.put('b', r.box[:], time.Time{}, true, r)
	case *posted:
		p.put('n', r.id[:], time.Time{}, false, r)
	case *unposted:
		p.put('n', r.id[:], time.Time{}, true, r)
	default:
		panic("disk: a record that no View decides on")
	}
	return location{viewLog, spot(p.end+uint64(len(p.Entries)), 0)}
}

// longGone is how long after something has expired nobody asks for it any more.
const longGone = 48 * time.Hour

func (p *Plan) put(what byte, name []byte, ends time.Time, gone bool, r record) {
	p.Entries = append(p.Entries, p.entry(what, name, ends, gone, r))
}

func (p *Plan) entry(what byte, name []byte, ends time.Time, gone bool, r record) Entry {
	head := appendEntryHead(nil, entryVersion(r), !ends.IsZero(), p.now)
	head = r.append(head)
	return Entry{Key: append([]byte{what}, name...), Head: head[:len(head)-len(r.blob())], Blob: r.blob(), Ends: ends, Gone: gone}
}

// gather adds a cell to the open bundle, or to a new one, and tells where it comes to lie.
func (p *Plan) gather(k cellKey, v cell, bytes []byte) location {
	if p.open != nil && !p.open.fits(v.size) {
		p.seal()
	}
	if p.open == nil {
		p.open, p.Entries = new(gathered), append(p.Entries, Entry{}) // seal fills it in
	}
	p.open.add(k, v, bytes)
	place := p.end + uint64(len(p.Entries))
	p.t.bundleCell(place, bundled{k, v.size}) // now, for it may be deleted by what comes next
	return location{viewLog, spot(place, len(p.open.cells)-1)}
}

// seal ends the open bundle.
func (p *Plan) seal() {
	if p.open != nil {
		last, all := len(p.Entries)-1, p.open.all
		p.open.all = nil // so that the head is made without
		p.Entries[last] = p.entry('u', number(p.end+uint64(last)+1), time.Time{}, false, p.open)
		p.Entries[last].Blob, p.open = all, nil
	}
}

// going is a bundle of which cells are gone.
type going struct {
	place uint64
	told  bool // the log says of others already that they are gone
}

// drop remembers that a cell is gone.
func (p *Plan) drop(k cellKey) {
	place, index := placeOf(p.t.cell(k).v.at.offset)
	row := p.t.bundle(place)
	if !row.ok || index >= len(row.v.cells) {
		if p.t.err == nil {
			p.t.err = fmt.Errorf("%w: row u of the index", mailbox.ErrDamaged)
		}
		return
	}
	if !slices.ContainsFunc(p.gone, func(g going) bool { return g.place == place }) {
		p.gone = append(p.gone, going{place, row.v.gone != 0})
	}
	row.v.gone |= 1 << index
	row.dirty = true
}

// settle ends the open bundle and has Entries tell what is gone by now.
func (p *Plan) settle() {
	p.seal()
	for i, g := range p.gone {
		row, name := p.t.bundle(g.place), number(g.place)
		r := &dropped{g.place, row.v.gone}
		if row.v.left() > 0 {
			// Later the cells that are gone have expired, and nobody needs to be told.
			p.put('v', name, p.now.Add(mailbox.MaxTTL+longGone), false, r)
			continue
		}
		row.ok = false
		p.put('u', name, time.Time{}, true, r)
		if g.told && len(p.Entries)+len(p.gone)-i < MaxEntries {
			p.put('v', name, time.Time{}, true, r) // else it goes later
		}
	}
	p.gone = nil
}

// expire removes what has expired, one by one: a log of Entries can forget them only so. Each
// may need two Entries.
func (p *Plan) expire(c *mailbox.Expire) error {
	ends, err := endsUpTo(p.t.db, c.At.Unix(), MaxEntries/2+1)
	if err != nil {
		return err
	}
	if c.More = len(ends) > MaxEntries/2; c.More {
		ends = ends[:MaxEntries/2]
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

// EntryVersion is that of the entries a View makes and takes, but for those that say what it cannot: they are of later ones, so
// that a process of an earlier program that reads on says that it is too old, and not that the log is damaged. Their heads are
// what FORMAT.md says.
const (
	EntryVersion   = 2
	tokenEntry     = 3 // of a lease that a token paid for
	endedEntry     = 4
	resettledEntry = 5
	newestEntry    = resettledEntry
)

// entryVersion is that of the entry of a record.
func entryVersion(r record) uint8 {
	switch r := r.(type) {
	case *leased:
		if r.token {
			return tokenEntry
		}
	case *ended:
		return endedEntry
	case *resettled:
		return resettledEntry
	}
	return EntryVersion
}

func appendEntryHead(b []byte, version uint8, adds bool, now time.Time) []byte {
	b = append(b, version, 0)
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
	if len(head) > 10 && head[0] > newestEntry && head[1] <= 1 && binary.BigEndian.Uint64(head[2:]) <= maxMilli {
		return nil, false, time.Time{}, ErrNewer
	}
	if size < 0 || size > mailbox.CellLarge {
		return bad(errRecord)
	}
	s := cryptobyte.String(append(bytes.Clone(head), make([]byte, size)...))
	var version, more uint8
	var milli uint64
	if !s.ReadUint8(&version) || !s.ReadUint8(&more) || more > 1 || !s.ReadUint64(&milli) || milli > maxMilli {
		return bad(errRecord)
	}
	if r, err = parseRecord(&s); err != nil {
		return bad(err)
	}
	if !s.Empty() || len(r.blob()) != size || version != entryVersion(r) {
		return bad(errRecord)
	}
	switch r.(type) {
	case *deposited, *introduced, *deleted, *expired, *movedCell, *movedNotice, *numbered:
		return bad(errRecord) // of the other kind of log
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
	case *ended:
		return t.box(r.box).ok
	}
	return true
}

// forget removes what a record that adds to nothing makes anew: that it went meanwhile, a log that
// forgets may not tell.
func (t *txn) forget(r record) {
	switch r := r.(type) {
	case *opened:
		t.dropQueue(r.queues[0])
	case *closed: // by who opened it last; as far as is known here, perhaps another
		t.dropQueue(r.queues[0])
	case *leased:
		if b := t.box(r.box); b.ok { // what is still known to be in it is told of by itself
			t.drop(keyEnd(b.v.until+boxGrace, keyBox(r.box)))
			b.v.until = 0
		}
	}
}

// Applied is an Entry as the log tells it.
type Applied struct {
	Place uint64
	Key   []byte
	Head  []byte
	Size  int // of its Blob, bytes
}

// about is the Key under which a record is at a place of the log; nil: it is nowhere.
func about(r record, adds bool, place uint64) []byte {
	name := func(what byte, adding byte, name []byte) []byte {
		if adds {
			what = adding
		}
		if what == 0 {
			return nil
		}
		return append([]byte{what}, name...)
	}
	switch r := r.(type) {
	case *gathered, *resettled:
		return name('u', 0, number(place))
	case *extended:
		return name(0, 'C', append(r.box[:], r.id[:]...))
	case *opened:
		if len(r.queues) == 1 {
			return name('q', 'Q', r.queues[0][:])
		}
	case *closed:
		if len(r.queues) == 1 {
			return name('q', 0, r.queues[0][:])
		}
	case *leased:
		return name('b', 'B', r.box[:])
	case *ended:
		return name(0, 'E', r.box[:])
	case *forgotten:
		return name('b', 0, r.box[:])
	case *posted:
		return name('n', 0, r.id[:])
	case *unposted:
		return name('n', 0, r.id[:])
	}
	return nil
}

// belongs says whether a record is where a View puts it.
func (e Applied) belongs(r record, adds bool) bool {
	if r, ok := r.(*dropped); ok { // of all of a bundle there may be one under each
		return bytes.Equal(e.Key, append([]byte{'v'}, number(r.place)...)) || !adds && bytes.Equal(e.Key, append([]byte{'u'}, number(r.place)...))
	}
	key := about(r, adds, e.Place)
	return key != nil && bytes.Equal(e.Key, key)
}

// Apply takes in Entries that others put into the log, in order; those known already are
// passed over, and so is what no View made, of which it returns the places. It returns the boxes into which
// cells came, too. The error wraps mailbox.ErrDamaged or, for what a newer version wrote, ErrNewer.
func (v *View) Apply(entries []Applied) (news map[mailbox.BoxPublic]struct{}, foreign []uint64, err error) {
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
		if errors.Is(err, ErrNewer) {
			return nil, nil, err
		}
		end = e.Place
		if err != nil || !e.belongs(r, adds) {
			foreign = append(foreign, e.Place)
			continue
		}
		if now.After(made) {
			made = now
		}
		if adds && !t.known(r) {
			continue
		}
		if !adds {
			t.forget(r)
		}
		if r, ok := r.(*gathered); ok {
			for _, k := range r.cells {
				news[k.box] = struct{}{}
			}
		}
		t.now = minute(now)
		r.apply(t, location{viewLog, spot(e.Place, 0)})
	}
	return news, foreign, v.know(t, end, made)
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
