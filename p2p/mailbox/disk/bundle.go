package disk

import (
	"encoding/binary"
	"math/bits"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"golang.org/x/crypto/cryptobyte"
)

// A bundle is the cells that one Entry of a View's log brings. They were deposited together,
// and the Entry goes when none of them is left.

const (
	// bundleCells and bundleBytes bound a bundle: who fetches one of its cells has to read all.
	bundleCells = 8
	bundleBytes = 32 << 10 // unless it is of one cell
)

// spot is the place in a View's log as the offset of a location: of a notice, or of a cell of a bundle. It
// grows with the place, and is a cell's sequence, too.
func spot(place uint64, index int) uint64 { return place*bundleCells + uint64(index) }

func placeOf(spot uint64) (place uint64, index int) {
	return spot / bundleCells, int(spot % bundleCells)
}

// bundle is row u of a View: what was at a place of the log, and what of it is gone.
type bundle struct {
	cells []bundled
	gone  uint8 // bit i: cell i
}

type bundled struct {
	cellKey
	size int
}

func keyBundle(place uint64) []byte { return key('u', number(place)) }

func (v bundle) value() []byte {
	b := append(make([]byte, 0, 2+len(v.cells)*49), byte(len(v.cells)), v.gone)
	for _, c := range v.cells {
		b = append(append(append(b, classOf(c.size)), c.box[:]...), c.id[:]...)
	}
	return b
}

func parseBundle(raw []byte) (v bundle, ok bool) {
	s := cryptobyte.String(raw)
	var n, class uint8
	if !s.ReadUint8(&n) || n == 0 || n > bundleCells || !s.ReadUint8(&v.gone) || v.gone>>n != 0 {
		return v, false
	}
	v.cells = make([]bundled, n)
	for i := range v.cells {
		c := &v.cells[i]
		if !s.ReadUint8(&class) || class == 0 || class > 3 || !s.CopyBytes(c.box[:]) || !s.CopyBytes(c.id[:]) {
			return v, false
		}
		c.size = sizeOf(class)
	}
	return v, s.Empty()
}

// left is how many of its cells are not gone.
func (v bundle) left() int { return len(v.cells) - bits.OnesCount8(v.gone) }

// gathered is the record of a bundle.
type gathered struct {
	cells []cellKey
	rows  []cell // but for at and sequence, which follow from the place
	all   []byte // the cells themselves
}

func (r *gathered) append(b []byte) []byte {
	b = append(b, typeGathered, byte(len(r.cells)))
	for i, k := range r.cells {
		v := r.rows[i]
		b = append(append(append(b, k.box[:]...), k.id[:]...), v.queue[:]...)
		b = append(appendUnix(b, v.expiry), classOf(v.size)|v.work<<2)
	}
	return append(b, r.all...)
}

func (r *gathered) parse(s *cryptobyte.String) bool {
	return r.parseWith(s, func(*cell) bool { return true })
}

// parseWith is parse where more follows each cell's class.
func (r *gathered) parseWith(s *cryptobyte.String, more func(*cell) bool) bool {
	var n, class uint8
	if !s.ReadUint8(&n) || n == 0 || n > bundleCells {
		return false
	}
	r.cells, r.rows = make([]cellKey, n), make([]cell, n)
	bytes := 0
	for i := range r.cells {
		k, v := &r.cells[i], &r.rows[i]
		if !s.CopyBytes(k.box[:]) || !s.CopyBytes(k.id[:]) || !s.CopyBytes(v.queue[:]) || !readUnix(s, &v.expiry) || !s.ReadUint8(&class) || class&3 == 0 {
			return false
		}
		v.size, v.work = sizeOf(class&3), class>>2
		if v.work > mailbox.MaxIntroWork || v.work > 0 && v.size != mailbox.CellMedium {
			return false
		}
		if !more(v) {
			return false
		}
		bytes += v.size
	}
	return (n == 1 || bytes <= bundleBytes) && s.ReadBytes(&r.all, bytes)
}

func (r *gathered) blob() []byte { return r.all }

func (r *gathered) apply(t *txn, at location) {
	place, _ := placeOf(at.offset)
	for i, k := range r.cells {
		v := r.rows[i]
		v.at = location{at.segment, at.offset + uint64(i)}
		v.sequence = v.at.offset
		t.putCell(k, v)
		t.bundleCell(place, bundled{k, v.size})
	}
}

// fits tells whether a cell may be added.
func (r *gathered) fits(size int) bool {
	return len(r.cells) < bundleCells && len(r.all)+size <= bundleBytes
}

// add adds a cell.
func (r *gathered) add(k cellKey, v cell, bytes []byte) {
	if r.all == nil {
		r.all = make([]byte, 0, max(len(bytes), bundleBytes))
	}
	r.cells, r.rows, r.all = append(r.cells, k), append(r.rows, v), append(r.all, bytes...)
}

// dropped is the record of what is gone of a bundle by now.
type dropped struct {
	place uint64
	gone  uint8
}

func (r *dropped) append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, typeDropped), r.place), r.gone)
}

func (r *dropped) parse(s *cryptobyte.String) bool {
	return s.ReadUint64(&r.place) && r.place <= maxPlace && s.ReadUint8(&r.gone) && r.gone != 0
}

func (r *dropped) blob() []byte { return nil }

func (r *dropped) apply(t *txn, _ location) {
	row := t.bundle(r.place)
	if !row.ok {
		return
	}
	for i, c := range row.v.cells {
		// A cell that was deleted may have come again, in another bundle.
		if r.gone>>i&1 == 1 {
			if is := t.cell(c.cellKey); is.ok && is.v.at.offset == spot(r.place, i) {
				t.dropCell(c.cellKey)
			}
			row.v.gone |= 1 << i
		}
	}
	row.dirty = true
	row.ok = row.v.left() > 0
}

// maxPlace bounds places, so that a spot is a number of 64 bits.
const maxPlace = 1<<60 - 1

// bundleCell adds a cell to the row of a bundle.
func (t *txn) bundleCell(place uint64, c bundled) {
	row := t.bundle(place)
	row.v.cells = append(row.v.cells, c)
	row.ok, row.dirty = true, true
}

func (t *txn) bundle(place uint64) *row[bundle] {
	return see(t, t.bundles, nil, place, keyBundle, parseBundle)
}
