package content

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// MaxTimer is the longest time after which a message may disappear.
const MaxTimer = 365 * 24 * time.Hour

// Timer says after which time messages of a conversation disappear from now on, those
// of both sides: each names its own in its Context. Of two timers the one with the higher
// version holds, of two with the same version the longer.
//
//	body: seconds 4, at most MaxTimer; 0: they stay | version 8 (unix ms; above that of the timer before)
type Timer struct {
	After   time.Duration // whole seconds
	Version uint64
}

// Marshal encodes the timer.
func (t Timer) Marshal() ([]byte, error) {
	seconds, err := marshalTimer(t.After)
	if err != nil || t.Version > maxSent {
		return nil, fmt.Errorf("%w: timer %s, version %d", ErrMalformed, t.After, t.Version)
	}
	b := cryptobyte.NewBuilder(seconds)
	b.AddUint64(t.Version)
	return b.Bytes()
}

// ParseTimer reads a body of KindTimer.
func ParseTimer(body []byte) (t Timer, err error) {
	s := cryptobyte.String(body)
	t.After, err = readTimer(&s)
	if err != nil || !s.ReadUint64(&t.Version) || !s.Empty() || t.Version > maxSent {
		return t, fmt.Errorf("%w: timer", ErrMalformed)
	}
	return t, nil
}

// CheckTimer says whether a time can be a timer.
func CheckTimer(after time.Duration) bool {
	return after >= 0 && after <= MaxTimer && after%time.Second == 0
}

func marshalTimer(after time.Duration) ([]byte, error) {
	if !CheckTimer(after) {
		return nil, fmt.Errorf("%w: timer %s", ErrMalformed, after)
	}
	var b cryptobyte.Builder
	b.AddUint32(uint32(after / time.Second))
	return b.Bytes()
}

func readTimer(s *cryptobyte.String) (time.Duration, error) {
	var seconds uint32
	if !s.ReadUint32(&seconds) || !CheckTimer(time.Duration(seconds)*time.Second) {
		return 0, fmt.Errorf("%w: timer", ErrMalformed)
	}
	return time.Duration(seconds) * time.Second, nil
}
