package chat

import (
	"testing"
	"time"
)

// A copy at a relay is renewed before it ends, and never in a loop: not when the
// message itself ends soon, so that no deposit can last longer, and not when the
// relay keeps things for a second only or lives in another year.
func TestCopiesAreRenewedInTime(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		lasts, want time.Duration
	}{
		{"a month", 30 * 24 * time.Hour, 28 * 24 * time.Hour},
		{"its message ends in two days", 48 * time.Hour, 24 * time.Hour},
		{"its message ends in an hour", time.Hour, 30 * time.Minute},
		{"a second", time.Second, renewPause},
		{"the relay is a year behind", -365 * 24 * time.Hour, renewPause},
	} {
		if got := (stay{since: now, until: now.Add(c.lasts)}).renewal(now).Sub(now); got != c.want {
			t.Errorf("%s: renewed after %s, want %s", c.name, got, c.want)
		}
	}
	// All the deposits of a message in the last two days of its life, at a relay
	// whose clock is an hour behind, so that no receipt reaches its end.
	end, at, deposits := now.Add(48*time.Hour), now, 0
	for ; at.Before(end); deposits++ {
		at = stay{since: at, until: end.Add(-time.Hour)}.renewal(now)
	}
	if deposits > 20 {
		t.Errorf("%d deposits in the last two days of a message", deposits)
	}
}

// What a courier has in memory is bounded in number and in bytes.
func TestHowMuchIsInMemory(t *testing.T) {
	for _, c := range []struct {
		n, size int
		much    bool
	}{{0, 0, false}, {windows*window - 1, 4 << 10, false}, {windows * window, 4 << 10, true}, {windowsBytes/(64<<10) - 1, 64 << 10, false}, {windowsBytes / (64 << 10), 64 << 10, true}} {
		wire, parcels := make([]byte, c.size), make([]*parcel, c.n)
		for i := range parcels {
			parcels[i] = &parcel{wire: wire}
		}
		if isMuch(parcels) != c.much {
			t.Errorf("%d parcels of %d bytes: want %v", c.n, c.size, c.much)
		}
	}
}
