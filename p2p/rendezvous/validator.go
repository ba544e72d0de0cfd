package rendezvous

import (
	"bytes"
	"time"

	record "github.com/libp2p/go-libp2p-record"
)

// Validator holds the servers of a DHT to section 5, by the computer's clock.
type Validator struct{}

var _ record.Validator = Validator{}

// Validate says whether a server keeps value under key. Its errors are those of
// Parse and Record.Verify.
func (Validator) Validate(key string, value []byte) error {
	if len(key) != keySize {
		return ErrKey
	}
	r, err := Parse(value)
	if err != nil {
		return err
	}
	return r.Verify(key, time.Now())
}

// Select is the index of the record that stays: the first of those with the highest seq
// which is greatest as bytes. What is not a record is passed over; the error
// wraps ErrMalformed if none is one.
func (Validator) Select(_ string, values [][]byte) (int, error) {
	best := -1
	var newest *Record
	for i, v := range values {
		r, err := Parse(v)
		if err == nil && (newest == nil || r.Newer(newest)) {
			best, newest = i, r
		}
	}
	if newest == nil {
		return 0, malformed("none is a record")
	}
	return best, nil
}

// Newer says whether r is the one to keep of two different records under one key.
func (r *Record) Newer(than *Record) bool {
	if c := r.Seq.Compare(than.Seq); c != 0 {
		return c > 0
	}
	return bytes.Compare(r.raw[:], than.raw[:]) > 0
}
