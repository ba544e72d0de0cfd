package disk

import (
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"golang.org/x/crypto/cryptobyte"
)

// resettled is the record of a bundle of cells that came before, in another bundle or in another store. They keep their
// sequences, so that nobody hears of them twice, and when they came.
type resettled struct{ gathered }

func (r *resettled) append(b []byte) []byte {
	b = append(b, typeResettled, byte(len(r.cells)))
	for i, k := range r.cells {
		v := r.rows[i]
		b = append(append(append(b, k.box[:]...), k.id[:]...), v.queue[:]...)
		b = append(appendUnix(b, v.expiry), classOf(v.size)|v.work<<2)
		b = appendUnix(binary.BigEndian.AppendUint64(b, v.sequence), v.came)
	}
	return append(b, r.all...)
}

func (r *resettled) parse(s *cryptobyte.String) bool {
	return r.parseWith(s, func(v *cell) bool { return s.ReadUint64(&v.sequence) && readUnix(s, &v.came) })
}

func (r *resettled) apply(t *txn, at location) {
	place, _ := placeOf(at.offset)
	for i, k := range r.cells {
		v := r.rows[i]
		v.at = location{at.segment, at.offset + uint64(i)}
		if is := t.cell(k); is.ok && is.v.sequence == v.sequence {
			t.moveCell(k, v.at)
		} else {
			t.putCellOf(k, v)
		}
		t.bundleCell(place, bundled{k, v.size})
	}
}

// kept is a cell with all that is known of it.
type kept struct {
	cellKey
	row   cell // but for at
	bytes []byte
}

// resettle brings cells into bundles anew.
func (p *Plan) resettle(cells []kept) {
	p.settle()
	for len(cells) > 0 {
		r := new(resettled)
		for len(cells) > 0 && (len(r.cells) == 0 || r.fits(cells[0].row.size)) {
			r.add(cells[0].cellKey, cells[0].row, cells[0].bytes)
			cells = cells[1:]
		}
		place := p.end + uint64(len(p.Entries)) + 1
		p.put('u', number(place), time.Time{}, false, r)
		r.apply(p.t, location{viewLog, spot(place, 0)})
	}
}

// Sparse looks at up to so many bundles that lie behind a place. It returns where those lie of which less than half is alive, by bytes,
// and the last place that was looked at, 0 at the end. The error wraps mailbox.ErrDamaged.
func (v *View) Sparse(behind uint64, looks int) (found []uint64, last uint64, err error) {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: keyBundle(behind + 1), UpperBound: after(key('u'))})
	if err != nil {
		return nil, 0, damagedRow('u', err)
	}
	defer it.Close()
	ok := it.First()
	for ; ok && looks > 0; ok = it.Next() {
		looks--
		raw, err := it.ValueAndErr()
		b, good := parseBundle(raw)
		if err != nil || !good || len(it.Key()) != 9 {
			return nil, 0, damagedRow('u', err)
		}
		last = binary.BigEndian.Uint64(it.Key()[1:])
		live, all := 0, 0
		for i, c := range b.cells {
			if all += c.size; b.gone>>i&1 == 0 {
				live += c.size
			}
		}
		if 2*live < all {
			found = append(found, last)
		}
	}
	if !ok {
		last = 0
	}
	return found, last, it.Error()
}

// Bundle is the Blob of the Entry of a bundle.
type Bundle struct {
	Place uint64
	Blob  []byte
}

// PlanRewrite plans that what is left of bundles goes into others, so that theirs can go. A bundle that is gone by now, or that is
// not what it should be, stays as it is.
func (v *View) PlanRewrite(bundles []Bundle) (*Plan, error) {
	p := v.plan(v.Latest(), 0) // a move is not news
	var cells []kept
	for _, b := range bundles {
		row := p.t.bundle(b.Place)
		if !row.ok {
			continue
		}
		left, good := p.left(b, row.v)
		if !good {
			continue
		}
		p.gone = append(p.gone, going{b.Place, row.v.gone != 0})
		row.v.gone, row.dirty = 1<<len(row.v.cells)-1, true
		cells = append(cells, left...)
	}
	gone := p.gone
	p.gone = nil // the cells are elsewhere before it is said that they are not here
	p.resettle(cells)
	p.gone = gone
	return p.planned()
}

// left are the cells of a bundle that are not gone.
func (p *Plan) left(b Bundle, row bundle) (cells []kept, good bool) {
	from := 0
	for i, c := range row.cells {
		if from+c.size > len(b.Blob) {
			return nil, false
		}
		bytes := b.Blob[from:][:c.size]
		if from += c.size; row.gone>>i&1 == 1 {
			continue
		}
		is := p.t.cell(c.cellKey)
		if !is.ok || is.v.at.offset != spot(b.Place, i) || mailbox.IDOf(bytes) != c.id {
			return nil, false
		}
		cells = append(cells, kept{c.cellKey, is.v, bytes})
	}
	return cells, true
}

// numbered is the record that the cells of a box go on from a sequence: of a box that was moved here.
type numbered struct {
	box      mailbox.BoxPublic
	sequence uint64
}

func (r *numbered) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(append(b, typeNumbered), r.box[:]...), r.sequence)
}

func (r *numbered) parse(s *cryptobyte.String) bool {
	return s.CopyBytes(r.box[:]) && s.ReadUint64(&r.sequence)
}

func (r *numbered) blob() []byte { return nil }

func (r *numbered) apply(t *txn, _ location) {
	if b := t.box(r.box); b.ok {
		b.v.sequence, b.dirty = max(b.v.sequence, r.sequence), true
	}
}
