// Package problem says what can go wrong in Godwit, once: a stable code, what
// happened, what it means, what to do, and the exit status of the command
// line. Every face prints problems from here, `godwit explain CODE` expands
// them, and the local API carries them as they are.
//
// A place that knows what went wrong wraps its cause:
//
//	return problem.New(problem.InvitationGone, err)
//
// and a caller that must branch asks errors.Is(err, problem.InvitationGone).
package problem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Exit statuses of the command line, after sysexits(3) where it has one.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnavailable = 69  // something that is needed cannot be reached
	ExitCannotMake  = 73  // a file, directory or account cannot be made
	ExitTryAgain    = 75  // it will probably work later
	ExitPermission  = 77  // locked, or not allowed
	ExitConfig      = 78  // wrongly or not yet set up
	ExitTimedOut    = 124 // as timeout(1)
	ExitInterrupted = 130 // as a shell reports SIGINT
)

// Code names a problem for ever: a family of three letters and a number. It is
// itself an error, so that errors.Is(err, problem.InvitationGone) works on
// whatever New returned.
type Code string

// Error is the code with what happened.
func (c Code) Error() string {
	if p, ok := Lookup(c); ok {
		return p.What + " (" + string(c) + ")"
	}
	return string(c)
}

// Problem is a row of the table: all that is known about a Code.
type Problem struct {
	Code  Code
	Exit  int    // exit status of a command that ends with it
	What  string // what happened, without a full stop
	Means string // what it means for the person, whole sentences
	Do    string // what to do, whole sentences
}

// Lookup finds the row of a code. Case does not matter.
func Lookup(c Code) (Problem, bool) {
	c = Code(strings.ToUpper(string(c)))
	for _, p := range table {
		if p.Code == c {
			return p, true
		}
	}
	return Problem{}, false
}

// Reason says whether a code is only told as the reason for a state of a message or a
// relay, or as what is wrong in `godwit status`: no command ends with it.
func (c Code) Reason() bool {
	switch c {
	case Recovered, DHTCrowd, DHTShrunk, DHTSplit, Expired, ContentUnknown, Renumbered, SessionLost, FirstAnswer, OutOfTouch,
		MayBeDisplaced, Asked, StrangersCrowd,
		RelayUnreached, RelayRefused, RelayUnproven, RelayFull, BoxFull, NoRelayNamed, FewRelays, CopyEnded,
		RelayLoses, RelayForges, RelayReturns, RelaySlow, RelayGone, FewOwnRelays, OnlyFriends, HomeUnreached:
		return true
	}
	return false
}

// All is the whole table, by family and number.
func All() []Problem { return append([]Problem(nil), table[:]...) }

// Error is a Problem that happened, with its cause. It is what New returns and
// From finds.
type Error struct {
	Problem
	Cause error // may be nil
}

// Error is what happened, its cause and the code, on one line.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Code.Error()
	}
	return fmt.Sprintf("%s: %v (%s)", e.What, e.Cause, string(e.Code))
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, code) true for the problem's own code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Detail is the cause in words, or nothing.
func (e *Error) Detail() string {
	if e.Cause == nil {
		return ""
	}
	return e.Cause.Error()
}

// New makes an error of a code and its cause, which may be nil. A cause that is
// this problem already is given back as it is. A code that is not in the table is
// a fault of ours and panics.
func New(code Code, cause error) error {
	if e := (*Error)(nil); errors.As(cause, &e) && e.Code == code {
		return cause
	}
	p, ok := Lookup(code)
	if !ok {
		panic("problem: no such code " + string(code))
	}
	return &Error{Problem: p, Cause: cause}
}

// Newf is New with a cause made by fmt.Errorf, %w included.
func Newf(code Code, format string, args ...any) error {
	return New(code, fmt.Errorf(format, args...))
}

// From finds the outermost problem in err, or makes the fitting general one:
// interrupted, timed out, not permitted, or unexpected. It is nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e == err || e.Error() == err.Error() {
			return e // wrapped without a word, as by errors.Join
		}
		// Keep the words that were wrapped round it.
		return &Error{Problem: e.Problem, Cause: err}
	}
	code := Unexpected
	switch {
	case errors.As(err, &code):
	case errors.Is(err, context.Canceled):
		code = Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		code = TimedOut
	case errors.Is(err, fs.ErrPermission):
		code = NotPermitted
	}
	if code == err || err == context.Canceled || err == context.DeadlineExceeded {
		err = nil // the code says it all
	}
	return New(code, err).(*Error)
}
