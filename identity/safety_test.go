package identity

import (
	"errors"
	"strings"
	"testing"
)

func TestSignalFingerprint(t *testing.T) {
	type side struct {
		StableID string `json:"stable_id"`
		Identity hexBytes
	}
	var v struct {
		Iterations, Version int
		Alice, Bob          side
		Displayable         string
	}
	othersVectors(t, "fingerprint/numeric.json", &v)
	if v.Iterations != safetyRounds || v.Version != 0 {
		t.Fatalf("made for %d rounds of version %d", v.Iterations, v.Version)
	}
	a := fingerprint(v.Alice.Identity, []byte(v.Alice.StableID))
	b := fingerprint(v.Bob.Identity, []byte(v.Bob.StableID))
	if displayable(a, b) != v.Displayable || displayable(b, a) != v.Displayable {
		t.Errorf("%s, want %s", displayable(a, b), v.Displayable)
	}
}

// Alice and Bob compare over the phone.
func TestAliceAndBobCompare(t *testing.T) {
	alice, bob, mallory := NewRootPrivate([32]byte{1}).Public(), NewRootPrivate([32]byte{2}).Public(), NewRootPrivate([32]byte{3}).Public()
	number := SafetyNumber(alice, bob)
	if len(number) != SafetyDigits || strings.Trim(number, "0123456789") != "" {
		t.Fatalf("not 60 digits: %q", number)
	}
	if number != SafetyNumber(bob, alice) {
		t.Error("the two sides see different numbers")
	}
	groups := SafetyGroups(number)
	if len(groups) != 12 || strings.Join(groups, "") != number {
		t.Errorf("groups %q", groups)
	}
	if err := CompareSafetyNumber(number, strings.Join(groups[:6], " ")+"\n"+strings.Join(groups[6:], " ")); err != nil {
		t.Errorf("read out in groups: %v", err)
	}
	for what, theirs := range map[string]string{
		"with Mallory between them": SafetyNumber(alice, mallory),
		"the first half":            number[:30],
		"all but one digit":         number[:59],
		"one digit too many":        number + "0",
		"nothing":                   "",
		"dots for digits":           number[:57] + "...",
	} {
		if err := CompareSafetyNumber(number, theirs); !errors.Is(err, ErrSafetyNumber) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(SafetyGroups("")) != 0 {
		t.Error("no number has groups")
	}
}
