// Package rendezvous makes and opens the records by which contacts find a device
// whose addresses changed. SPEC.md is the format.
//
// A record is 664 bytes that only those who know a Seed can find, read or write.
// It lies in the DHT, whose servers hold it to Validator. The package is pure
// but for randomness and, in Validator, the clock; p2p/dht carries the records.
package rendezvous

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// Size is the length of a record in bytes.
	Size = 664
	// Period is how long one key serves (section 2).
	Period = 6 * time.Hour
	// MaxLife is the longest time from a record's seq to its expiry.
	MaxLife = 12 * time.Hour
	// MaxAhead is how far a record's seq may be ahead of the clock of who
	// checks it. Reading t-1, t and t+1 bears as much and no more.
	MaxAhead = Period
	// Namespace is the first part of every key.
	Namespace = "godwit"

	contentSize = 512
	signedSize  = Size - ed25519.SignatureSize
	headSize    = 48 // pub, seq and expiry: the associated data
	nonceSize   = chacha20poly1305.NonceSizeX
	keyPrefix   = "/" + Namespace + "/"
	keySize     = len(keyPrefix) + sha256.Size
	recordLabel = "godwit/1/rdv-record"
	// maxMilli bounds every time, so that no arithmetic with it overflows: the
	// end of the year 9999.
	maxMilli = 253402300799999
)

var (
	// ErrMalformed says that bytes are no record or content, or that what is
	// to be encoded is out of bounds.
	ErrMalformed = errors.New("rendezvous: malformed")
	// ErrKey says that a record does not belong under the key.
	ErrKey = errors.New("rendezvous: wrong key")
	// ErrSignature says that the signature is not that of the record's key.
	ErrSignature = errors.New("rendezvous: wrong signature")
	// ErrExpired says that the record's time is over.
	ErrExpired = errors.New("rendezvous: expired")
	// ErrFuture says that the record was written too far ahead of the clock.
	ErrFuture = errors.New("rendezvous: from the future")
	// ErrSealed says that a record does not open with these keys.
	ErrSealed = errors.New("rendezvous: does not open")
)

// A Seed is shared by one writer and its readers; whoever knows it finds, reads
// and writes the records.
type Seed [32]byte

// NewSeed makes a random seed.
func NewSeed() (s Seed) {
	rand.Read(s[:]) // never fails, see crypto/rand
	return s
}

// Format implements fmt.Formatter: a seed prints as a word, whatever the verb.
func (Seed) Format(f fmt.State, _ rune) { io.WriteString(f, "[rendezvous seed]") }

// A Time is t of section 2: the number of a period.
type Time uint32

// At is the period of a moment between 1970 and the year 9999.
func At(now time.Time) Time { return Time(now.Unix() / int64(Period/time.Second)) }

// Around lists the periods in which to look: t, then t+1 and t-1.
func Around(now time.Time) [3]Time {
	t := At(now)
	return [3]Time{t, t + 1, t - 1}
}

// Start is when a period begins.
func (t Time) Start() time.Time { return time.Unix(int64(t)*int64(Period/time.Second), 0) }

// Keys are those of one seed and period.
type Keys struct {
	sign ed25519.PrivateKey
	seal [32]byte
}

// Format implements fmt.Formatter.
func (Keys) Format(f fmt.State, _ rune) { io.WriteString(f, "[rendezvous keys]") }

// Keys derives the keys of a period.
func (s Seed) Keys(t Time) Keys {
	seed := s.derive("godwit/1/rdv", t)
	return Keys{ed25519.NewKeyFromSeed(seed[:]), s.derive("godwit/1/rdv-k", t)}
}

func (s Seed) derive(label string, t Time) [32]byte {
	b, err := hkdf.Key(sha256.New, s[:], nil, label+string(binary.BigEndian.AppendUint32(nil, uint32(t))), 32)
	if err != nil {
		panic("rendezvous: HKDF of 32 bytes cannot fail: " + err.Error())
	}
	return [32]byte(b)
}

// Key is where the records lie in the DHT.
func (k Keys) Key() string { return keyOf([32]byte(k.sign.Public().(ed25519.PublicKey))) }

func keyOf(pub [32]byte) string {
	h := sha256.Sum256(pub[:])
	return keyPrefix + string(h[:])
}

// Seal makes a record that is written at seq, which is rounded down to
// milliseconds, and lives for life, more than none and at most MaxLife. The error wraps ErrMalformed.
func (k Keys) Seal(c Content, seq time.Time, life time.Duration) ([]byte, error) {
	text, err := c.marshal()
	if err != nil {
		return nil, err
	}
	from := seq.UnixMilli()
	if from < 0 || from > maxMilli-MaxLife.Milliseconds() || life < time.Millisecond || life > MaxLife {
		return nil, malformed("time or life out of bounds")
	}
	b := make([]byte, 0, Size)
	b = append(b, k.sign.Public().(ed25519.PublicKey)...)
	b = binary.BigEndian.AppendUint64(b, uint64(from))
	b = binary.BigEndian.AppendUint64(b, uint64(from+life.Milliseconds()))
	b = b[:headSize+nonceSize]
	nonce := b[headSize:]
	rand.Read(nonce) // never fails, see crypto/rand
	b = k.aead().Seal(b, nonce, text, b[:headSize])
	return append(b, ed25519.Sign(k.sign, append([]byte(recordLabel), b...))...), nil
}

// Open reads the content of a record that these keys sealed. It does not ask for
// the time, which Record.Verify does. The error is ErrKey, ErrSignature or
// ErrSealed, or wraps ErrMalformed.
func (k Keys) Open(r *Record) (Content, error) {
	if r.Pub != [32]byte(k.sign.Public().(ed25519.PublicKey)) {
		return Content{}, ErrKey
	}
	if !r.signed() {
		return Content{}, ErrSignature
	}
	text, err := k.aead().Open(nil, r.raw[headSize:headSize+nonceSize], r.raw[headSize+nonceSize:signedSize], r.raw[:headSize])
	if err != nil {
		return Content{}, ErrSealed
	}
	return parseContent(text)
}

func (k Keys) aead() interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
} {
	a, err := chacha20poly1305.NewX(k.seal[:])
	if err != nil {
		panic("rendezvous: 32 bytes are always a key: " + err.Error())
	}
	return a
}

// A Record is what a server sees of one.
type Record struct {
	Pub    [32]byte
	Seq    time.Time
	Expiry time.Time
	raw    [Size]byte
}

// Parse decodes a record and checks its form: the size and that its life is within
// bounds, no signature. The error wraps ErrMalformed.
func Parse(value []byte) (*Record, error) {
	if len(value) != Size {
		return nil, malformed("size")
	}
	seq, expiry := binary.BigEndian.Uint64(value[32:]), binary.BigEndian.Uint64(value[40:])
	if expiry > maxMilli || seq >= expiry || expiry-seq > uint64(MaxLife.Milliseconds()) {
		return nil, malformed("life")
	}
	return &Record{
		Pub: [32]byte(value[:32]), raw: [Size]byte(value),
		Seq: time.UnixMilli(int64(seq)), Expiry: time.UnixMilli(int64(expiry)),
	}, nil
}

// Key is where the record belongs.
func (r *Record) Key() string { return keyOf(r.Pub) }

// Bytes is what Parse read.
func (r *Record) Bytes() []byte { return r.raw[:] }

// Verify checks what section 5 asks of a record under a key, at the time now. The
// error is ErrKey, ErrFuture, ErrExpired or ErrSignature.
func (r *Record) Verify(key string, now time.Time) error {
	switch {
	case r.Key() != key:
		return ErrKey
	case r.Seq.After(now.Add(MaxAhead)):
		return ErrFuture
	case !r.Expiry.After(now):
		return ErrExpired
	case !r.signed():
		return ErrSignature
	}
	return nil
}

func (r *Record) signed() bool {
	return ed25519.Verify(r.Pub[:], append([]byte(recordLabel), r.raw[:signedSize]...), r.raw[signedSize:])
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
