package identity

import (
	"errors"
	"fmt"
)

var (
	// ErrRollback says that a chain is older than the one pinned.
	ErrRollback = errors.New("identity: older than what is known of this account")
	// ErrFork says that an account has two manifests of one number. The
	// contact is frozen until ROOT signs a newer one.
	ErrFork = errors.New("identity: two versions of this account's devices")
	// ErrDowngrade says that a suite is below what the contact has used.
	ErrDowngrade = errors.New("identity: weaker algorithms than this contact has used")
)

// Pin is what is remembered of a contact's account, so that nobody can show an
// older or another list of its devices.
type Pin struct {
	Account AccountID
	N       uint64
	Head    [32]byte
	// RootSigned tells that the pinned manifest itself is signed by ROOT.
	RootSigned bool
	Suite      byte // the lowest that is still accepted
	Frozen     bool // two versions were seen, and none was signed by ROOT since
}

// NewPin pins a chain that is seen for the first time. The error is the
// chain's.
func NewPin(c Chain, suite byte) (Pin, error) {
	if err := c.Verify(); err != nil {
		return Pin{}, err
	}
	m := c.Newest()
	return Pin{Account: m.Account, N: m.N, Head: m.Hash(), RootSigned: m.RootSigned(), Suite: suite}, nil
}

// Advance weighs a chain against what is pinned and gives what to remember
// from now on, also when it gives an error:
//
//   - the same or a successor: the pin moves on;
//   - an older one: ErrRollback, the pin stays;
//   - another manifest of a number that is known: ErrFork, the pin is frozen;
//   - one that ROOT signed, newer than the pin or against a pinned one of the
//     same number that ROOT did not sign: it wins and ends a freeze.
//
// Other errors are those of Chain.Verify, and ErrWrongAccount.
func (p Pin) Advance(c Chain) (Pin, error) {
	next, err := NewPin(c, p.Suite)
	if err != nil {
		return p, err
	}
	if c.Account() != p.Account {
		return p, ErrWrongAccount
	}
	start := &c.manifests[0] // the one that ROOT signed
	switch {
	case start.N > p.N, start.N == p.N && !p.RootSigned:
		return next, nil
	case next.N < p.N:
		return p, ErrRollback
	case c.manifests[p.N-start.N].Hash() != p.Head, p.Frozen:
		p.Frozen = true
		return p, ErrFork
	}
	return next, nil
}

// Raise accepts a suite for this contact, or refuses with ErrDowngrade. The
// lowest that is accepted only rises.
func (p Pin) Raise(suite byte) (Pin, error) {
	if suite < p.Suite {
		return p, fmt.Errorf("%w: suite %d after %d", ErrDowngrade, suite, p.Suite)
	}
	p.Suite = suite
	return p, nil
}
