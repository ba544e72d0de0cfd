package disk

import (
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// filterSize is how many counters a filter has, of a byte each. With a million cells it knows of six absent ones in seven, and
	// of a hundred thousand of all but one in 400.
	filterSize = 4 << 20
	// filterCells is of how many cells a filter is made when an index is opened. To count more would take seconds, and tell of
	// few that they are absent.
	filterCells = 2 << 20
)

// filter knows of most cells that are not kept that they are not: whoever deposits brings one, and to look for it in the index
// costs more than to decide on all else. It is a counting Bloom filter of two hashes (Fan, Cao, Almeida, Broder: Summary Cache,
// 1998), for cells also go. The lock of those who commit guards it.
type filter struct {
	seed   maphash.Seed // so that nobody can choose cells that are taken for others
	counts []uint8      // nil: it knows nothing
}

// countCells makes a filter of the cells of an index, or one that knows nothing: of too many cells, or if they cannot all be read,
// which is for those to tell who need them.
func countCells(db *pebble.DB, cells uint64) filter {
	if cells > filterCells {
		return filter{}
	}
	f := filter{maphash.MakeSeed(), make([]uint8, filterSize)}
	err := each(db, key('c'), func(k, _ []byte) error {
		name, ok := parseCellKey(k)
		if !ok {
			return errRecord
		}
		f.count(name, true)
		return nil
	})
	if err != nil {
		return filter{}
	}
	return f
}

func (f *filter) places(k cellKey) (a, b uint64) {
	h := maphash.Comparable(f.seed, k)
	return h % filterSize, h >> 32 % filterSize
}

// lacks says that a cell is not there; if not, it may be.
func (f *filter) lacks(k cellKey) bool {
	if f.counts == nil {
		return false
	}
	a, b := f.places(k)
	return f.counts[a] == 0 || f.counts[b] == 0
}

// count notes that a cell has come or gone. A counter that is full stays so: how many it stands for is not known any more.
func (f *filter) count(k cellKey, came bool) {
	if f.counts == nil {
		return
	}
	a, b := f.places(k)
	for _, i := range [...]uint64{a, b} {
		switch n := &f.counts[i]; {
		case *n == 255:
		case came:
			*n++
		default:
			*n--
		}
	}
}
