package disk

import "sync"

// recentRows is how many rows each half of a cache holds: with both halves of
// both caches full, about 20 MiB.
const recentRows = 32 << 10

// recent remembers rows of the index that were lately read or written, so that
// a deposit need not look for its queue and box again. It holds what is
// committed and nothing else. Two halves stand in for an order of use: when one is
// full the other is forgotten.
type recent[K comparable, V any] struct {
	mu       sync.Mutex
	now, old map[K]V
	changes  uint64 // commits that were told
}

// get is the row if it is remembered; changes is to be given to learned.
func (r *recent[K, V]) get(k K) (v V, ok bool, changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok = r.now[k]; !ok {
		if v, ok = r.old[k]; ok {
			r.keep(k, v)
		}
	}
	return v, ok, r.changes
}

// learned takes in what was read from the index after get, unless there was a
// commit meanwhile: it may be older than that.
func (r *recent[K, V]) learned(k K, v V, changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes == changes {
		r.keep(k, v)
	}
}

// committed takes in the rows that a commit changed.
func (r *recent[K, V]) committed(rows map[K]*row[V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	for k, row := range rows {
		switch {
		case row.ok:
			r.keep(k, row.v)
		case row.dirty:
			delete(r.now, k)
			delete(r.old, k)
		}
	}
}

func (r *recent[K, V]) keep(k K, v V) {
	if len(r.now) >= recentRows {
		r.old, r.now = r.now, nil
	}
	if r.now == nil {
		r.now = make(map[K]V)
	}
	r.now[k] = v
}
