package relay

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// After a crash little is forgotten of what came and went in a day: it is written when that is some MiB, or
// a minute old, and while nothing comes not more often than the rest.
func TestACrashForgetsLittleOfADay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	now := time.Date(2026, 10, 31, 23, 30, 0, 0, time.UTC)
	var h history
	look := func(after time.Duration, bytes int64) (used int64) {
		t.Helper()
		h.carry(now.Add(after), bytes, bytes)
		if err := h.save(path, now.Add(after), false); err != nil {
			t.Fatal(err)
		}
		var next history // of who starts after a crash
		if err := next.load(path, now.Add(after)); err != nil {
			t.Fatal(err)
		}
		used, _ = next.lastDay()
		return used
	}
	const mib = 1 << 20
	for _, c := range []struct {
		after       time.Duration
		bytes, want int64
	}{{0, 0, 0}, {2 * time.Second, mib, 0}, {4 * time.Second, 4 * mib, 4 * mib}, {6 * time.Second, 5 * mib, 4 * mib}, {70 * time.Second, 5*mib + 1, 5*mib + 1}, {90 * time.Second, 5*mib + 2, 5*mib + 1}, {3 * time.Minute, 5*mib + 2, 5*mib + 2}} {
		if used := look(c.after, c.bytes); used != c.want {
			t.Errorf("after %v %d bytes came, and %d are remembered, not %d", c.after, c.bytes, used, c.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if used := look(14*time.Minute, 5*mib+2); used == 0 || h.due(now.Add(15*time.Minute)) {
		t.Error("it is written at the wrong times while nothing comes")
	}
}

// What the page shows goes on over a restart, though counts begin anew; a month begins on its
// first, and a file that is no history is none.
func TestHistoryGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	now := time.Date(2026, 10, 31, 23, 30, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	report := func(n int64) func() Report {
		return func() Report {
			return Report{Deposits: n, Fetches: n / 2, Disk: 7, Peers: 3, Taken: 100 * n, Given: 50 * n}
		}
	}
	var h history
	h.note(at(0), false, report(0))
	h.note(at(0), false, report(1)) // too soon
	h.note(at(10), false, report(10))
	h.note(at(10), true, report(12)) // the end
	if err := h.save(path, at(10), true); err != nil {
		t.Fatal(err)
	}
	if m := h.thisMonth(1300, 650); m != (Month{Since: at(0), Taken: 1300, Given: 650}) {
		t.Errorf("%+v", m)
	}

	var next history
	if err := next.load(path, at(20)); err != nil {
		t.Fatal(err)
	}
	next.note(at(20), false, report(5))
	if past := next.last(); len(past) != 3 || past[2].deposits != 15 || past[1].at.Unix() != at(10).Unix() {
		t.Errorf("%+v", past)
	}
	if m := next.thisMonth(500, 250); m.Taken != 1700 || m.Given != 850 {
		t.Errorf("%+v", m)
	}
	next.note(at(40), false, report(6))
	if m := next.thisMonth(600, 300); m != (Month{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Taken: 100, Given: 50}) {
		t.Errorf("in November: %+v", m)
	}
	next.note(at(40+25*60), false, report(6))
	if past := next.last(); len(past) != 1 {
		t.Errorf("%d samples are older than a day", len(past)-1)
	}

	if err := os.WriteFile(path, []byte(`{"version":1,"past":[[`), 0o600); err != nil {
		t.Fatal(err)
	}
	var none history
	if err := none.load(path, at(0)); err == nil || len(none.last()) != 0 {
		t.Errorf("%v, %+v", err, none.last())
	}
}
