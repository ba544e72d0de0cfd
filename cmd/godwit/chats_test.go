package main

import (
	"testing"
	"time"
)

func TestMuteUntil(t *testing.T) {
	now := time.Date(2026, 3, 28, 23, 30, 0, 0, time.FixedZone("east", 3600))
	for word, want := range map[string]time.Time{
		"off":      {},
		"1h":       now.Add(time.Hour),
		"tomorrow": time.Date(2026, 3, 29, 8, 0, 0, 0, now.Location()),
		"always":   time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := muteUntil(word, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is until %v, want %v (%v)", word, got, want, err)
		}
	}
	for _, word := range []string{"", "-1h", "0s", "1", "never", "TOMORROW "} {
		if got, err := muteUntil(word, now); err == nil {
			t.Errorf("%q is until %v", word, got)
		}
	}
}

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{"": "", "one": "one", "one\ntwo": "one …", "\n\n one": "one"} {
		if got := firstLine(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
