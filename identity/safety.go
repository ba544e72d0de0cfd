package identity

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// SafetyDigits is the length of a safety number.
	SafetyDigits = 60
	// safetyRounds is the count of SHA-512 that a guess costs; Signal's.
	safetyRounds = 5200
)

// ErrSafetyNumber says that what was compared is not the safety number: some
// digits differ, or not all of them were compared.
var ErrSafetyNumber = errors.New("identity: not the safety number")

// SafetyNumber is what two people compare to know that nobody sits between
// them: 60 digits over both ROOT keys, the same on both sides. It is Signal's
// numeric fingerprint (libsignal, fingerprint.rs, version 0) with the account
// id as the stable identifier.
func SafetyNumber(a, b RootPublic) string {
	idA, idB := a.Account(), b.Account()
	return displayable(fingerprint(a[:], idA[:]), fingerprint(b[:], idB[:]))
}

// SafetyGroups is a safety number as people read it aloud: twelve groups of
// five digits.
func SafetyGroups(number string) []string {
	var groups []string
	for group := range slices.Chunk([]byte(number), 5) {
		groups = append(groups, string(group))
	}
	return groups
}

// CompareSafetyNumber tells whether a number that the other side read out or
// sent is the safety number, all 60 digits of it. White space does not count.
// Its error is ErrSafetyNumber.
func CompareSafetyNumber(number, theirs string) error {
	theirs = strings.Join(strings.Fields(theirs), "")
	switch {
	case len(theirs) != SafetyDigits:
		return fmt.Errorf("%w: %d of %d digits", ErrSafetyNumber, len(theirs), SafetyDigits)
	case theirs != number:
		return ErrSafetyNumber
	}
	return nil
}

// displayable joins two fingerprints, the smaller first.
func displayable(a, b string) string {
	if b < a {
		a, b = b, a
	}
	return a + b
}

// fingerprint is one side's 30 digits.
func fingerprint(key, id []byte) string {
	h := sha512.New()
	h.Write([]byte{0, 0}) // version
	h.Write(key)
	h.Write(id)
	h.Write(key)
	var sum [sha512.Size]byte
	h.Sum(sum[:0])
	for range safetyRounds - 1 {
		h.Reset()
		h.Write(sum[:])
		h.Write(key)
		h.Sum(sum[:0])
	}
	var digits strings.Builder
	for i := 0; i < 30; i += 5 {
		n := uint64(sum[i])<<32 | uint64(sum[i+1])<<24 | uint64(sum[i+2])<<16 | uint64(sum[i+3])<<8 | uint64(sum[i+4])
		fmt.Fprintf(&digits, "%05d", n%100000)
	}
	return digits.String()
}
