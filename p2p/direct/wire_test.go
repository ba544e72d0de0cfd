package direct

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/frame"
	"github.com/libp2p/go-libp2p/core/network"
)

// fuzz checks a decoder: it never panics, refuses with ErrMalformed, and what it
// takes has no second encoding.
func fuzz[T any](f *testing.F, parse func([]byte) (T, error), marshal func(T) []byte, seeds ...T) {
	for _, s := range seeds {
		b := marshal(s)[headSize:]
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(bytes.Clone(b), 0))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v", err)
			}
			return
		}
		if again := marshal(v)[headSize:]; !bytes.Equal(again, b) {
			t.Fatalf("%x has a second encoding %x", b, again)
		}
	})
}

func FuzzParse32(f *testing.F) {
	fuzz(f, parse32, func(v [32]byte) []byte { return append(head(typeHello), v[:]...) }, [32]byte{1, 2, 3})
}

func FuzzParseWelcome(f *testing.F) {
	fuzz(f, parseWelcome, welcome.marshal,
		welcome{window: window{256, 2 << 20}}, welcome{window: window{1, maxMessage}}, welcome{window: window{0, maxMessage}},
		welcome{window: window{513, maxMessage}}, welcome{window: window{1, maxMessage - 1}}, welcome{window: window{65535, 1<<32 - 1}})
}

func FuzzParseAck(f *testing.F) {
	fuzz(f, parseAck, marshalAck, []Ack{{}}, make([]Ack, 2), make([]Ack, maxEntries), make([]Ack, maxEntries+1))
}

func FuzzParseNak(f *testing.F) {
	fuzz(f, parseNak, marshalNak, []Nak{{Code: Busy}}, []Nak{{Code: 255}, {Code: 1}}, []Nak{{Code: Accepted}}, make([]Nak, maxEntries+1))
}

func FuzzParsePing(f *testing.F) {
	fuzz(f, parsePing, func(n uint64) []byte { return marshalPing(typePing, n) }, 0, 1, 1<<64-1)
}

func FuzzParseBye(f *testing.F) {
	fuzz(f, parseBye, marshalBye, byeLeaving, 255, 0)
}

func FuzzExpect(f *testing.F) {
	f.Add([]byte{1, typeWelcome, 3}, byte(typeWelcome))
	f.Add([]byte{1, typeBye, byeBusy}, byte(typeWelcome))
	f.Add([]byte{2, typeWelcome}, byte(typeWelcome))
	f.Add([]byte{1}, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, want byte) {
		body, err := expect(b, want)
		if err == nil && !bytes.Equal(append(head(want), body...), b) {
			t.Fatalf("%x in place of type %d", b, want)
		}
	})
}

// script is a stream that brings given bytes and takes all.
type script struct {
	network.Stream
	io.Reader
}

func (s script) Read(b []byte) (int, error)       { return s.Reader.Read(b) }
func (script) Write(b []byte) (int, error)        { return len(b), nil }
func (script) SetReadDeadline(time.Time) error    { return nil }
func (script) SetWriteDeadline(t time.Time) error { return nil }
func (script) Reset() error                       { return nil }

// FuzzInbound feeds a proven stream any frames. It ends, and never holds more
// than the window.
func FuzzInbound(f *testing.F) {
	m := append([]byte{0, 0, 0x0f, 0xda, 1, typeMessage}, make([]byte, 4056)...)
	f.Add(m)
	f.Add(bytes.Repeat(m, 5))
	f.Add([]byte{0, 0, 0, 10, 1, typePing, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 3, 1, typeBye, 1})
	f.Add([]byte{0, 0, 0, 3, 1, typeBye, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		st := script{Reader: bytes.NewReader(b)}
		in := &inbound{
			svc: &Service{cfg: Config{Window: 2}.withDefaults()}, stream: st,
			r: frame.NewReader(st, maxFrame, 0), w: frame.NewWriter(st, maxFrame, 0),
			ctx: context.Background(), wake: make(chan struct{}, 1),
		}
		if err := in.receive(); err == nil {
			t.Fatal("it never ends")
		}
		if len(in.queue) > 2 {
			t.Fatalf("%d messages with a window of 2", len(in.queue))
		}
	})
}

// pipe is a stream over a net.Pipe, which holds nothing back: a write waits until
// it is read.
type pipe struct {
	network.Stream
	end net.Conn
}

func (p pipe) Read(b []byte) (int, error)         { return p.end.Read(b) }
func (p pipe) Write(b []byte) (int, error)        { return p.end.Write(b) }
func (p pipe) SetReadDeadline(t time.Time) error  { return p.end.SetReadDeadline(t) }
func (p pipe) SetWriteDeadline(t time.Time) error { return p.end.SetWriteDeadline(t) }
func (p pipe) Reset() error                       { return p.end.Close() }

// keeper keeps everything.
type keeper struct {
	Handler
	kept atomic.Int32
}

func (k *keeper) Deliver(_ context.Context, _ SessionID, messages [][]byte) []Code {
	k.kept.Add(int32(len(messages)))
	return make([]Code, len(messages))
}

// A friend sends and never reads: once an answer has been stuck for 10 s he is
// given up, and what he sent until then is kept.
func TestPeerThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		st := pipe{end: here}
		k := &keeper{}
		in := &inbound{
			svc: &Service{cfg: Config{}.withDefaults(), handler: k}, stream: st,
			r: frame.NewReader(st, maxFrame, 0), w: frame.NewWriter(st, maxFrame, writeTimeout),
			ctx: context.Background(), wake: make(chan struct{}, 1), read: make(chan struct{}),
		}
		var both sync.WaitGroup
		both.Go(in.deliver)
		both.Go(func() {
			defer close(in.read)
			_ = in.receive()
		})
		w := frame.NewWriter(there, maxFrame, 0)
		start := time.Now()
		for i := range byte(20) {
			m := make([]byte, 4056)
			m[0] = i
			if err := send(w, typeMessage, m); err != nil {
				t.Fatal(err)
			}
		}
		both.Wait()
		if d := time.Since(start); d != writeTimeout {
			t.Errorf("given up after %v", d)
		}
		if n := k.kept.Load(); n != 20 {
			t.Errorf("%d of 20 messages kept", n)
		}
	})
}
