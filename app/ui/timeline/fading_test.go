package timeline

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/app/ui/lang"
)

func TestHowLongAMessageIsStillThere(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		timer, rest time.Duration // rest 0: it was not read
		word        string
		next        time.Duration
	}{
		{7 * day, 0, "7 d", 0},
		{30 * time.Second, 0, "30 s", 0},
		{90 * time.Second, 0, "90 s", 0},
		{30 * time.Second, 12 * time.Second, "30 s", 0}, // nothing runs for it
		{7 * day, 7 * day, "7 d", day},
		{7 * day, 7*day - time.Second, "7 d", day - time.Second},
		{7 * day, day + time.Second, "2 d", time.Second},
		{7 * day, day, "1 d", time.Hour},
		{7 * day, 90 * time.Minute, "2 h", 30 * time.Minute},
		{7 * day, time.Hour, "1 h", time.Minute},
		{5 * time.Minute, 61 * time.Second, "2 min", time.Second},
		{5 * time.Minute, time.Second, "1 min", 0},
		{5 * time.Minute, -time.Hour, "1 min", 0}, // a node that is late
		{0, day, "1 d", time.Hour},                // of a version that told no timer
	} {
		m := Message{Timer: c.timer}
		if c.rest != 0 {
			m.Disappears = now.Add(c.rest)
		}
		if word, next := left(lang.New("en"), &m, now); word != c.word || next != c.next {
			t.Errorf("of %v are left %v: %q for %v, want %q for %v", c.timer, c.rest, word, next, c.word, c.next)
		}
	}
}

// What is said of a message follows the time, and what disappears is gone from where it was
// quoted too.
func TestAMessageDisappearsBeforeOnesEyes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 0, Conversation{})
		p.cfg.Now = time.Now
		says := func(id string) string { return p.items[id].AccessibilityLabel() }
		p.Add(Message{ID: "x", Author: "Anna", Time: time.Now(), Text: "Under the mat", Timer: time.Hour})
		p.Add(Message{ID: "y", Author: "Anna", Time: time.Now(), Text: "Got it?", Reply: &Quote{ID: "x", Name: "Anna", Text: "Under the mat"}})
		if got := says("x"); got != "Anna: Under the mat, 00:00, disappears after it was read, in 1 h" {
			t.Errorf("%q", got)
		}
		p.Add(Message{ID: "x", Author: "Anna", Time: time.Now(), Text: "Under the mat", Timer: time.Hour, Disappears: time.Now().Add(time.Hour)})
		before := p.shapes["x"]
		time.Sleep(time.Minute)
		p.settle()
		if got := says("x"); got != "Anna: Under the mat, 00:00, disappears in 59 min" || p.shapes["x"] == before {
			t.Errorf("a minute later it says %q", got)
		}
		time.Sleep(57*time.Minute + time.Second)
		p.settle()
		last := p.shapes["x"]
		time.Sleep(time.Minute)
		p.settle()
		if got := says("x"); got != "Anna: Under the mat, 00:00, disappears in 1 min" || p.shapes["x"] == last || p.fading != nil {
			t.Errorf("in the last minute it says %q, and %v runs", got, p.fading)
		}
		p.Remove("x")
		if q := p.rows[p.index["y"]].Message.Reply; q.Text != "This message is not here." || p.items["x"] != nil {
			t.Errorf("of it is left %+v", q)
		}
	})
}
