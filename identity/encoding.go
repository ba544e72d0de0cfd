package identity

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Errors of every decoder of this package. A decoder's error wraps one of
// these, or ErrKey for a field that is no key of its type.
var (
	// ErrMalformed says that bytes are not an encoding of SPEC.md: truncated,
	// trailing, out of bounds, or a second spelling of the same value.
	ErrMalformed = errors.New("identity: malformed")
	// ErrNewer says that the bytes are of a version or suite that this
	// program does not know.
	ErrNewer = errors.New("identity: made by a newer version")
	// ErrTooLarge says that a value does not fit its bound.
	ErrTooLarge = errors.New("identity: too large")
)

// maxTime is the last second of the year 9999, the latest time an encoding
// can hold.
const maxTime = 253402300799

// addTime writes t as whole seconds since 1970 in UTC; what lies outside
// 1970 to 9999 becomes the nearer end.
func addTime(b *cryptobyte.Builder, t time.Time) { b.AddUint64(uint64(clampTime(t))) }

func clampTime(t time.Time) int64 { return min(max(t.Unix(), 0), maxTime) }

// seconds is t as an encoding keeps it.
func seconds(t time.Time) time.Time { return time.Unix(clampTime(t), 0).UTC() }

func readTime(s *cryptobyte.String, t *time.Time) bool {
	var n uint64
	if !s.ReadUint64(&n) || n > maxTime {
		return false
	}
	*t = time.Unix(int64(n), 0).UTC()
	return true
}

// readVersion reads the first byte of an encoding.
func readVersion(s *cryptobyte.String, what string) error {
	var v uint8
	switch {
	case !s.ReadUint8(&v) || v == 0:
		return malformed(what)
	case v > 1:
		return fmt.Errorf("%w: %s of version %d", ErrNewer, what, v)
	}
	return nil
}

func malformed(what string) error { return fmt.Errorf("%w %s", ErrMalformed, what) }

// compareDevices orders devices' names as encodings list them.
func compareDevices(a, b DevicePublic) int { return bytes.Compare(a[:], b[:]) }
