package ratchet

import (
	"testing"
	"time"
)

// TestBenchFigures holds that the figures are there and sane; how good they
// are is for `godwit bench` to say on a quiet machine.
func TestBenchFigures(t *testing.T) {
	want := []string{
		"session_seal_ratio", "bare_seal_ns", "session_seal_ns",
		"session_open_ratio", "bare_open_ns", "session_open_ns",
		"session_pingpong_ops", "session_pingpong_epochs",
	}
	got := Bench(300 * time.Millisecond)
	if len(got) != len(want) {
		t.Fatalf("%d figures, want %d", len(got), len(want))
	}
	for i, f := range got {
		t.Logf("%s %.3f %s", f.Name, f.Value, f.Unit)
		if f.Name != want[i] || !(f.Value > 0) {
			t.Errorf("figure %d is %s = %v, want a positive %s", i, f.Name, f.Value, want[i])
		}
	}
}
