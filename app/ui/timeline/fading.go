package timeline

import (
	"time"

	"github.com/godwit-im/godwit/app/ui/lang"
)

// Messages that disappear say how long they are still there. That is told in whole
// minutes, hours or days, so that a window at rest is drawn anew once a minute at the most.

// left is how long a message is still there, in a word, and after how long that is
// another; 0: never.
func left(l *lang.Lang, m *Message, now time.Time) (word string, next time.Duration) {
	d := m.Timer
	if !m.Disappears.IsZero() && (d == 0 || d >= time.Minute) {
		unit, rest := time.Minute, max(m.Disappears.Sub(now), 1)
		switch {
		case rest > 24*time.Hour:
			unit = 24 * time.Hour
		case rest > time.Hour:
			unit = time.Hour
		}
		d = (rest + unit - 1) / unit * unit
		if d > unit { // the last minute is not counted down
			next = rest - (d - unit)
		}
	}
	switch {
	case d%(24*time.Hour) == 0:
		return l.T("{n} d", "n", int(d/(24*time.Hour))), next
	case d%time.Hour == 0:
		return l.T("{n} h", "n", int(d/time.Hour)), next
	case d%time.Minute == 0:
		return l.T("{n} min", "n", int(d/time.Minute)), next
	}
	return l.T("{n} s", "n", int(d/time.Second)), next
}

// fade has what is left told anew when it is another word for a message in the window.
func (t *Timeline) fade() {
	if t.fading != nil {
		t.fading.Stop()
		t.fading = nil
	}
	first, now := time.Duration(0), t.cfg.Now()
	for _, it := range t.placed {
		if m := it.row.Message; m != nil && !m.Disappears.IsZero() {
			if _, next := left(t.cfg.Lang, m, now); next > 0 && (first == 0 || next < first) {
				first = next
			}
		}
	}
	if first == 0 || t.closed {
		return
	}
	t.fading = time.AfterFunc(first, func() {
		t.cfg.Do(func() {
			if t.closed {
				return
			}
			for i := range t.rows {
				if m := t.rows[i].Message; m != nil && !m.Disappears.IsZero() {
					delete(t.shapes, t.rows[i].Key)
				}
			}
			t.place()
		})
	})
}
