// Package frame cuts a stream into messages: a length of four bytes, big-endian,
// and that many bytes. It is shared by the protocols under p2p, which say what
// is in a frame, how long one may be and how long it may take to arrive.
//
// A frame is never empty, so a length of 0 is refused, as is one above the
// reader's bound, before anything is read or allocated for it. A stream may end
// between two frames and nowhere else.
//
// Both ends work in batches. A Writer collects frames until Flush, so that a
// hundred small ones leave in one write; a Reader takes in what the stream has
// and tells by Buffered whether the next frame is already whole, so that its
// caller handles all that came at once.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	pool "github.com/libp2p/go-buffer-pool"
)

// HeaderSize is the length in bytes of what precedes each frame.
const HeaderSize = 4

const (
	// smallBuffer is what an idle Reader holds, in bytes: 10,000 idle
	// streams then cost 40 MiB.
	smallBuffer = 4 << 10
	// largeBuffer bounds, in bytes, what a Reader takes in at once beyond a
	// single large frame, and what a Writer collects before it writes by
	// itself.
	largeBuffer = 64 << 10
)

var (
	// ErrSize says that a frame is empty or larger than the bound.
	ErrSize = errors.New("frame: size out of bounds")
	// ErrClosed says that the Reader or Writer was closed by its owner.
	ErrClosed = errors.New("frame: closed")
)

// A Source is the reading half of a stream; a libp2p network.Stream is one, and
// so is a net.Conn.
type Source interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// A Sink is the writing half of a stream.
type Sink interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// A Reader reads frames from a stream. It is not safe for concurrent use.
type Reader struct {
	src     Source
	max     int
	timeout time.Duration
	buf     []byte // from the pool; nil before the first read and after Close
	r, w    int    // buf[r:w] came and was not handed out
	full    bool   // the last read filled buf, so more is likely to wait
	closed  bool
	until   deadline
}

// NewReader reads frames of up to max bytes (without their header). If timeout
// is not 0 it bounds the time from the moment Next starts to wait until the
// frame is whole, however slowly its bytes trickle, to that or up to an eighth more; if it is 0 the stream's own
// deadline, set by the caller, holds.
func NewReader(src Source, max int, timeout time.Duration) *Reader {
	return &Reader{src: src, max: max, timeout: timeout}
}

// SetMax changes the bound on the frames to come, in bytes without header.
func (r *Reader) SetMax(max int) { r.max = max }

// SetTimeout changes the bound on the time that each frame to come may take.
func (r *Reader) SetTimeout(d time.Duration) {
	if r.timeout != d {
		r.timeout, r.until = d, deadline{}
	}
}

// Buffered tells whether Next would return without waiting: a whole frame is
// there, or a header that will be refused.
func (r *Reader) Buffered() bool {
	n, err := r.pending()
	return err != nil || n > 0 && r.w-r.r >= HeaderSize+n
}

// pending is the length of the frame whose header is in the buffer, 0 if the
// header is not there yet. Its error is ErrSize.
func (r *Reader) pending() (int, error) {
	if r.w-r.r < HeaderSize {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(r.buf[r.r:])
	if n == 0 || uint64(n) > uint64(r.max) {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrSize, n, r.max)
	}
	return int(n), nil
}

// Next returns the next frame. The bytes are valid until the following call of
// Next or Close. The error is io.EOF if the stream ended between two frames,
// io.ErrUnexpectedEOF if it ended within one, wraps ErrSize for a bad length,
// and is the stream's otherwise. After a timeout of the stream Next may be
// called again: nothing that came is lost.
func (r *Reader) Next() ([]byte, error) {
	if r.closed {
		return nil, ErrClosed
	}
	waiting := false
	for {
		n, err := r.pending()
		if err != nil {
			return nil, err
		}
		if n > 0 && r.w-r.r >= HeaderSize+n {
			b := r.buf[r.r+HeaderSize : r.r+HeaderSize+n : r.r+HeaderSize+n]
			r.r += HeaderSize + n
			return b, nil
		}
		if !waiting && r.timeout > 0 {
			waiting = true
			if err := r.until.renew(r.timeout, r.src.SetReadDeadline); err != nil {
				return nil, fmt.Errorf("frame: set read deadline: %w", err)
			}
		}
		if err := r.fill(HeaderSize + max(n, 1)); err != nil {
			return nil, err
		}
	}
}

// fill reads once, with room for a frame of need bytes, header included.
func (r *Reader) fill(need int) error {
	switch {
	case r.buf == nil:
		r.buf = pool.Get(max(smallBuffer, need))
	case need > len(r.buf) || r.full && len(r.buf) < largeBuffer:
		r.move(pool.Get(max(need, min(2*len(r.buf), largeBuffer))))
	case r.r > 0:
		r.move(r.buf)
	}
	if r.w == len(r.buf) {
		panic("frame: no room to read into")
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	r.full = r.w == len(r.buf)
	if n > 0 {
		return nil // an error, if it lasts, comes again
	}
	if errors.Is(err, io.EOF) {
		if r.w > r.r {
			return io.ErrUnexpectedEOF
		}
		return io.EOF
	}
	return err
}

// move brings the unread bytes to the start of b, which becomes the buffer.
func (r *Reader) move(b []byte) {
	n := copy(b, r.buf[r.r:r.w])
	if &b[0] != &r.buf[0] {
		pool.Put(r.buf)
	}
	r.buf, r.r, r.w = b, 0, n
}

// Close gives the buffer back; frames returned by Next become invalid. The
// stream stays open: it is its owner's.
func (r *Reader) Close() {
	if r.buf != nil {
		pool.Put(r.buf)
	}
	r.buf, r.r, r.w, r.closed = nil, 0, 0, true
}

// A Writer writes frames to a stream. It is not safe for concurrent use.
type Writer struct {
	dst     Sink
	max     int
	timeout time.Duration
	buf     []byte // from the pool, held only while frames wait in it
	n       int
	err     error // the first failure; the stream is unusable after it
	until   deadline
}

// NewWriter writes frames of up to max bytes (without their header). If timeout
// is not 0 it bounds the time of each write to the stream, to that or up to an eighth more: a peer that does not
// read in that time is given up.
func NewWriter(dst Sink, max int, timeout time.Duration) *Writer {
	return &Writer{dst: dst, max: max, timeout: timeout}
}

// Append adds one frame, made of the parts joined. It is held back until Flush
// or until 64 KiB have come together. The error wraps ErrSize, which leaves the
// Writer as it was, or is the stream's, which is final.
func (w *Writer) Append(parts ...[]byte) error {
	if w.err != nil {
		return w.err
	}
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n == 0 || n > w.max {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrSize, n, w.max)
	}
	if w.n > 0 && w.n+HeaderSize+n > len(w.buf) {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if w.buf == nil {
		w.buf = pool.Get(max(largeBuffer, HeaderSize+n))
	}
	binary.BigEndian.PutUint32(w.buf[w.n:], uint32(n))
	w.n += HeaderSize
	for _, p := range parts {
		w.n += copy(w.buf[w.n:], p)
	}
	return nil
}

// Buffered is the number of bytes that wait for Flush, headers included.
func (w *Writer) Buffered() int { return w.n }

// Flush writes what was appended. Its error is the stream's and final.
func (w *Writer) Flush() error {
	if w.err != nil || w.n == 0 {
		return w.err
	}
	if w.timeout > 0 {
		w.err = w.until.renew(w.timeout, w.dst.SetWriteDeadline)
	}
	if w.err == nil {
		_, w.err = w.dst.Write(w.buf[:w.n])
	}
	w.release()
	return w.err
}

func (w *Writer) release() {
	if w.buf != nil {
		pool.Put(w.buf)
	}
	w.buf, w.n = nil, 0
}

// A deadline is that of a stream, as it was set last; zero: none was. To set one stops a timer and starts another, which costs as
// much as a small frame, so that it is set a little later than it must be, and holds for what follows soon.
type deadline time.Time

// renew sets the deadline, by set, if it is less than timeout off, or too far.
func (d *deadline) renew(timeout time.Duration, set func(time.Time) error) error {
	now, was := time.Now(), time.Time(*d)
	if left := was.Sub(now); left >= timeout && left <= timeout+timeout/8 {
		return nil
	}
	next := now.Add(timeout)
	if !was.IsZero() {
		next = next.Add(timeout / 8)
	}
	if err := set(next); err != nil {
		return err
	}
	*d = deadline(next)
	return nil
}

// Close drops what was not flushed and gives the buffer back. The stream stays
// open: it is its owner's.
func (w *Writer) Close() {
	if w.err == nil {
		w.err = ErrClosed
	}
	w.release()
}
