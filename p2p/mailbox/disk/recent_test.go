package disk

import "testing"

func TestRecent(t *testing.T) {
	var r recent[int, string]
	_, ok, before := r.get(1)
	if ok {
		t.Fatal("remembered what it was never told")
	}
	r.committed(map[int]*row[string]{1: {v: "new", ok: true, dirty: true}})
	r.learned(1, "old", before) // was read before the commit
	if v, _, _ := r.get(1); v != "new" {
		t.Fatalf("remembers %q", v)
	}
	_, _, now := r.get(2)
	r.learned(2, "two", now)
	if v, ok, _ := r.get(2); !ok || v != "two" {
		t.Fatalf("remembers %q", v)
	}
	for i := range recentRows { // 1 and 2 are now in the older half
		r.learned(1000+i, "x", now)
	}
	r.committed(map[int]*row[string]{1: {dirty: true}, 2: {v: "2", ok: true, dirty: true}, 3: {}})
	if _, ok, _ := r.get(1); ok {
		t.Fatal("remembers what was deleted")
	}
	if v, _, _ := r.get(2); v != "2" {
		t.Fatalf("remembers %q", v)
	}
	for i := range 3 * recentRows {
		_, _, now = r.get(1000 + i)
		r.learned(1000+i, "x", now)
	}
	if n := len(r.now) + len(r.old); n > 2*recentRows {
		t.Fatalf("remembers %d rows", n)
	}
}
