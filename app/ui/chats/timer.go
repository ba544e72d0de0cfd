package chats

import (
	"time"

	"github.com/godwit-im/godwit/app/ui/lang"
)

// Timers are the choices for how long messages stay after they were read; 0: for good.
// They are those that people know from Signal.
func Timers() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{0, 30 * time.Second, 5 * time.Minute, time.Hour, 8 * time.Hour, day, 7 * day, 28 * day}
}

// TimerName is a timer in words, as a choice.
func TimerName(l *lang.Lang, d time.Duration) string {
	if d == 0 {
		return l.T("Off")
	}
	return Lasting(l, d)
}

// Lasting is a length of time in words, in the largest unit that says it exactly.
func Lasting(l *lang.Lang, d time.Duration) string {
	const day = 24 * time.Hour
	n := func(unit time.Duration) int { return int(d / unit) }
	switch {
	case d%(7*day) == 0:
		return l.N("{n} weeks", n(7*day))
	case d%day == 0:
		return l.N("{n} days", n(day))
	case d%time.Hour == 0:
		return l.N("{n} hours", n(time.Hour))
	case d%time.Minute == 0:
		return l.N("{n} minutes", n(time.Minute))
	}
	return l.N("{n} seconds", n(time.Second))
}
