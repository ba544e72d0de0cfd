package mailbox

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Why a relay refused, for callers to tell apart with errors.Is (section 2.1).
// ErrMalformed is one of them too.
var (
	ErrSignature    = errors.New("mailbox: the relay refused the signature")
	ErrUnknownQueue = errors.New("mailbox: the queue is not open at the relay")
	ErrUnproven     = errors.New("mailbox: the queue was not proven")
	ErrEpoch        = errors.New("mailbox: the queue is not of the relay's day")
	ErrQuota        = errors.New("mailbox: the queue is full")
	ErrBoxFull      = errors.New("mailbox: the box is full")
	ErrFull         = errors.New("mailbox: the relay is full")
	ErrSize         = errors.New("mailbox: not a size that the queue takes")
	ErrTTL          = errors.New("mailbox: not a time that the relay keeps things for")
	ErrLogin        = errors.New("mailbox: wants one login")
	ErrLease        = errors.New("mailbox: the box has no lease")
	ErrNotFound     = errors.New("mailbox: not found")
	ErrTaken        = errors.New("mailbox: belongs to another box")
	ErrTooMany      = errors.New("mailbox: too many")
	ErrTryLater     = errors.New("mailbox: the relay is busy")
	ErrWork         = errors.New("mailbox: the proof of work is not what the relay asks for")
	ErrDamaged      = errors.New("mailbox: the relay's storage failed")
)

// codes is section 2.1.
func codes() []error {
	return []error{1: ErrMalformed, 2: ErrSignature, 3: ErrUnknownQueue, 4: ErrUnproven, 5: ErrEpoch, 6: ErrQuota, 7: ErrBoxFull, 8: ErrFull,
		9: ErrSize, 10: ErrTTL, 11: ErrLogin, 12: ErrLease, 13: ErrNotFound, 14: ErrTaken, 15: ErrTooMany, 16: ErrTryLater, 17: ErrDamaged, 18: ErrWork}
}

// maxCode is the highest code.
const maxCode = 18

// codeNames are the names of the codes.
func codeNames() [maxCode + 1]string {
	return [...]string{1: "malformed", 2: "signature", 3: "unknown queue", 4: "unproven", 5: "epoch", 6: "quota", 7: "box full", 8: "full",
		9: "size", 10: "ttl", 11: "login", 12: "lease", 13: "not found", 14: "taken", 15: "too many", 16: "try later", 17: "damaged", 18: "work"}
}

// codeOf is the code of a refusal; anything unknown is damage, because nothing
// can be said about what was asked.
func codeOf(err error) uint16 {
	for code, e := range codes() {
		if e != nil && errors.Is(err, e) {
			return uint16(code)
		}
	}
	return 17
}

// delayed is a reason to refuse with the advice when to try again.
type delayed struct {
	error
	retry time.Duration
}

func (d delayed) Unwrap() error { return d.error }

// A Refusal is a relay's no. It wraps one of the errors above.
type Refusal struct {
	Reason error
	// Retry is the relay's advice when to try again; 0 is none.
	Retry time.Duration
	// Time is the relay's clock when it refused.
	Time time.Time
}

func (r *Refusal) Error() string {
	if r.Retry > 0 {
		return fmt.Sprintf("%v (again in %v)", r.Reason, r.Retry)
	}
	return r.Reason.Error()
}

func (r *Refusal) Unwrap() error { return r.Reason }

func (r *Refusal) kind() kind { return kindRefused }

func (r *Refusal) append(b *cryptobyte.Builder) {
	b.AddUint16(codeOf(r.Reason))
	addTTL(b, r.Retry)
	addMilli(b, r.Time)
}

func (r *Refusal) parse(s *cryptobyte.String) bool {
	var code uint16
	if !s.ReadUint16(&code) || !readTTL(s, &r.Retry) || !readMilli(s, &r.Time) {
		return false
	}
	r.Reason = ErrTryLater
	if c := codes(); int(code) < len(c) && c[code] != nil {
		r.Reason = c[code]
	}
	return true
}
