package frame_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source makes a Source of a plain reader, which has no deadlines.
type source struct{ io.Reader }

func (source) SetReadDeadline(time.Time) error { return nil }

// sink keeps what each write brought.
type sink struct {
	writes [][]byte
	err    error
}

func (s *sink) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.writes = append(s.writes, bytes.Clone(b))
	return len(b), nil
}

func (s *sink) SetWriteDeadline(time.Time) error { return nil }

func frames(t *testing.T, max int, sizes ...int) []byte {
	t.Helper()
	s := &sink{}
	w := frame.NewWriter(s, max, 0)
	for i, n := range sizes {
		if err := w.Append(bytes.Repeat([]byte{byte(i)}, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.Join(s.writes, nil)
}

// What one side wrote the other reads, however the stream cuts it up.
func TestFramesSurviveAnyCut(t *testing.T) {
	sizes := []int{1, 4096, 3, 65536, 2, 70000, 16384, 1}
	stream := frames(t, 70000, sizes...)
	for name, r := range map[string]io.Reader{
		"whole":    bytes.NewReader(stream),
		"bytewise": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves":   iotest.HalfReader(bytes.NewReader(stream)),
		"with end": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		fr := frame.NewReader(source{r}, 70000, 0)
		for i, n := range sizes {
			b, err := fr.Next()
			if err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, n)) {
				t.Fatalf("%s: frame %d differs", name, i)
			}
		}
		if _, err := fr.Next(); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
		fr.Close()
	}
}

// Many frames leave in few writes, and the reader sees that they are there.
func TestBatches(t *testing.T) {
	s := &sink{}
	w := frame.NewWriter(s, 4096, 0)
	for range 100 {
		if err := w.Append([]byte("head"), bytes.Repeat([]byte("x"), 4000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.writes); n > 7 {
		t.Errorf("400 KiB left in %d writes", n)
	}
	if w.Buffered() != 0 {
		t.Errorf("%d bytes stayed behind", w.Buffered())
	}
	r := frame.NewReader(source{bytes.NewReader(bytes.Join(s.writes, nil))}, 4096, 0)
	defer r.Close()
	waits := 0
	for range 100 {
		if !r.Buffered() {
			waits++
		}
		b, err := r.Next()
		if err != nil || len(b) != 4004 || string(b[:4]) != "head" {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	}
	if waits > 12 {
		t.Errorf("the reader waited %d times for 100 frames that were there", waits)
	}
}

func TestSizesRefused(t *testing.T) {
	w := frame.NewWriter(&sink{}, 10, 0)
	for _, b := range [][]byte{nil, make([]byte, 11)} {
		if err := w.Append(b); !errors.Is(err, frame.ErrSize) {
			t.Errorf("%d bytes written: %v", len(b), err)
		}
	}
	if err := w.Append(make([]byte, 10)); err != nil {
		t.Errorf("10 of 10 bytes: %v", err)
	}
	for _, head := range []string{"\x00\x00\x00\x00", "\x00\x00\x00\x0b", "\x80\x00\x00\x01", "\xff\xff\xff\xff"} {
		r := frame.NewReader(source{bytes.NewReader([]byte(head + "0123456789a"))}, 10, 0)
		if _, err := r.Next(); !errors.Is(err, frame.ErrSize) {
			t.Errorf("header %x: %v", head, err)
		}
		if !r.Buffered() {
			t.Errorf("header %x: a refusal needs no wait", head)
		}
		r.Close()
	}
}

func TestStreamEndsWithinFrame(t *testing.T) {
	stream := frames(t, 100, 50)
	for n := 1; n < len(stream); n++ {
		r := frame.NewReader(source{bytes.NewReader(stream[:n])}, 100, 0)
		if _, err := r.Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("after %d bytes: %v", n, err)
		}
		r.Close()
	}
}

// Who trickles a byte now and then is given up when the frame's time is over,
// not when the last byte's is.
func TestTrickleIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		stream := frames(t, 100, 100)
		var peer sync.WaitGroup
		defer peer.Wait()
		defer here.Close()
		peer.Go(func() {
			defer there.Close()
			for _, b := range stream {
				if _, err := there.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		})
		r := frame.NewReader(here, 100, 10*time.Second)
		defer r.Close()
		start := time.Now()
		_, err := r.Next()
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// After a timeout the frame is continued where it stopped.
func TestTimeoutLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		stream := frames(t, 100, 60)
		go func() {
			defer there.Close()
			there.Write(stream[:20])
			<-time.After(15 * time.Second)
			there.Write(stream[20:])
		}()
		r := frame.NewReader(here, 100, 10*time.Second)
		defer r.Close()
		if _, err := r.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if b, err := r.Next(); err != nil || len(b) != 60 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

func TestSilentReaderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		w := frame.NewWriter(here, 100, 5*time.Second)
		w.Append([]byte("hello?"))
		start := time.Now()
		if err := w.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := w.Append([]byte("again")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the failure did not last: %v", err)
		}
	})
}

func TestClosed(t *testing.T) {
	s := &sink{}
	w := frame.NewWriter(s, 10, 0)
	w.Append([]byte("x"))
	w.Close()
	if err := w.Flush(); !errors.Is(err, frame.ErrClosed) || len(s.writes) != 0 {
		t.Errorf("%v, %d writes", err, len(s.writes))
	}
	r := frame.NewReader(source{bytes.NewReader(frames(t, 10, 1))}, 10, 0)
	r.Close()
	if _, err := r.Next(); !errors.Is(err, frame.ErrClosed) {
		t.Error(err)
	}
}

// FuzzReader cuts any bytes into reads of any sizes. The frames must be those
// that are in the bytes, and the buffer must stay within its bound.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01a\x00\x00\x00\x02bc"), []byte{1, 2, 3})
	f.Add([]byte("\x00\x00\x00\x00"), []byte{4})
	f.Add([]byte("\xff\xff\xff\xff"), []byte{1})
	f.Add([]byte("\x00\x00\x00\x05abc"), []byte{0})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		const max = 64
		var got [][]byte
		r := frame.NewReader(source{&cutter{stream, cuts}}, max, 0)
		defer r.Close()
		var err error
		for {
			var b []byte
			if b, err = r.Next(); err != nil {
				break
			}
			if len(b) == 0 || len(b) > max {
				t.Fatalf("a frame of %d bytes", len(b))
			}
			got = append(got, bytes.Clone(b))
		}
		var again []byte
		for _, b := range got {
			again = append(append(again, 0, 0, 0, byte(len(b))), b...)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatal("frames that are not in the stream")
		}
		rest := stream[len(again):]
		switch {
		case len(rest) == 0 && err != io.EOF:
			t.Fatalf("at the end: %v", err)
		case len(rest) > 0 && err != io.ErrUnexpectedEOF && !errors.Is(err, frame.ErrSize):
			t.Fatalf("%d bytes left: %v", len(rest), err)
		}
	})
}

// A cutter reads as many bytes at once as cuts say, over and over.
type cutter struct {
	rest []byte
	cuts []byte
}

func (c *cutter) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := len(c.rest)
	if len(c.cuts) > 0 {
		n = min(n, int(c.cuts[0])+1)
		c.cuts = append(slices.Clone(c.cuts[1:]), c.cuts[0])
	}
	n = copy(b, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

// A peer who takes as long as it may is never cut off early, and one who says nothing more at most an eighth late.
func TestTimeoutsAreNotEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		one := frames(t, 100, 60)
		const first, next = 30 * time.Second, 5 * time.Minute
		go func() {
			for _, silent := range []time.Duration{first - time.Second, 30 * time.Second, next - time.Second, 0, next / 16, next - time.Second} {
				time.Sleep(silent)
				there.Write(one)
			}
		}()
		defer there.Close()
		r := frame.NewReader(here, 100, first)
		defer r.Close()
		for i := range 6 {
			began := time.Now()
			if _, err := r.Next(); err != nil {
				t.Fatalf("frame %d after %v: %v", i, time.Since(began), err)
			}
			r.SetTimeout(next)
		}
		silent := func(least, most time.Duration) {
			t.Helper()
			began := time.Now()
			if _, err := r.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if took := time.Since(began); took < least || took > most {
				t.Errorf("cut off after %v, want %v to %v", took, least, most)
			}
		}
		silent(next, next+next/8)
		silent(next, next+next/8)
		r.SetTimeout(first) // shorter
		silent(first, first)
		r.SetTimeout(0) // somebody else sees to it
		here.SetReadDeadline(time.Now().Add(time.Second))
		silent(time.Second, time.Second)
		r.SetTimeout(first)
		silent(first, first)
	})
}

// brittle takes no deadline the first time.
type brittle struct {
	net.Conn
	failed bool
}

func (b *brittle) SetReadDeadline(t time.Time) error {
	if !b.failed {
		b.failed = true
		return errors.New("not now")
	}
	return b.Conn.SetReadDeadline(t)
}

func TestDeadlineThatWasNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		r := frame.NewReader(&brittle{Conn: here}, 100, time.Second)
		defer r.Close()
		if _, err := r.Next(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if _, err := r.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}
