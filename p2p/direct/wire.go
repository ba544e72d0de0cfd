package direct

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// version is the first byte of every frame (SPEC.md, section 2).
const version = 1

// The types of frames (section 2).
const (
	typeHello     = 1
	typeChallenge = 2
	typeProof     = 3
	typeWelcome   = 4
	typeMessage   = 5
	typeAck       = 6
	typeNak       = 7
	typePing      = 8
	typePong      = 9
	typeBye       = 10
	typeFlight    = 16
	typeFetch     = 17
	typeNotice    = 18
)

const (
	headSize = 2 // version, type
	// FlightSize is the length in bytes of a first flight and of a notice.
	FlightSize = 16384
	// maxMessage is the longest ratchet message: a cell of 64 KiB less the
	// 40 bytes of its seal.
	maxMessage = 65536 - 40
	// maxEntries is the number of entries of one ACK or NAK.
	maxEntries = 512
	// maxFirst and maxFrame bound a frame before and after the hello.
	maxFirst = headSize + FlightSize
	maxFrame = headSize + maxMessage
)

// ErrMalformed says that bytes are not a frame of this protocol.
var ErrMalformed = errors.New("direct: malformed frame")

// messageSize tells whether a ratchet message has one of the three lengths: a
// cell of 4, 16 or 64 KiB less the 40 bytes of its seal.
func messageSize(n int) bool { return n == 4096-40 || n == 16384-40 || n == maxMessage }

// head starts a frame.
func head(kind byte) []byte { return []byte{version, kind} }

// split checks a frame's version and gives its type and body.
func split(frame []byte) (kind byte, body []byte, err error) {
	if len(frame) < headSize {
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(frame))
	}
	if frame[0] != version {
		return 0, nil, fmt.Errorf("%w: version %d", ErrMalformed, frame[0])
	}
	return frame[1], frame[headSize:], nil
}

// expect gives the body of a frame that must be of one type.
func expect(frame []byte, want byte) ([]byte, error) {
	kind, body, err := split(frame)
	if err != nil {
		return nil, err
	}
	if kind != want {
		if kind == typeBye {
			reason, err := parseBye(body)
			if err != nil {
				return nil, err
			}
			return nil, byeError(reason)
		}
		return nil, fmt.Errorf("%w: type %d in place of %d", ErrMalformed, kind, want)
	}
	return body, nil
}

// parse32 is the body of HELLO, CHALLENGE, PROOF and FETCH.
func parse32(body []byte) (v [32]byte, err error) {
	if len(body) != len(v) {
		return v, fmt.Errorf("%w: %d bytes in place of %d", ErrMalformed, len(body), len(v))
	}
	return [32]byte(body), nil
}

// window bounds what may be unanswered (section 5).
type window struct {
	messages uint16
	bytes    uint32
}

// welcome is the body of WELCOME.
type welcome struct {
	mac    [32]byte
	window window
}

func (w welcome) marshal() []byte {
	b := cryptobyte.NewBuilder(head(typeWelcome))
	b.AddBytes(w.mac[:])
	b.AddUint16(w.window.messages)
	b.AddUint32(w.window.bytes)
	return b.BytesOrPanic()
}

func parseWelcome(body []byte) (w welcome, err error) {
	s := cryptobyte.String(body)
	if !s.CopyBytes(w.mac[:]) || !s.ReadUint16(&w.window.messages) || !s.ReadUint32(&w.window.bytes) || !s.Empty() {
		return w, fmt.Errorf("%w: WELCOME of %d bytes", ErrMalformed, len(body))
	}
	if n := w.window.messages; n < 1 || n > maxEntries {
		return w, fmt.Errorf("%w: a window of %d messages", ErrMalformed, n)
	}
	if n := w.window.bytes; n < maxMessage {
		return w, fmt.Errorf("%w: a window of %d bytes", ErrMalformed, n)
	}
	return w, nil
}

// marshalAck makes an ACK of at least one and at most maxEntries entries.
func marshalAck(acks []Ack) []byte {
	b := head(typeAck)
	for _, a := range acks {
		b = append(append(b, a.Hash[:]...), a.MAC[:]...)
	}
	return b
}

func parseAck(body []byte) ([]Ack, error) {
	const size = 32 + 16
	n := len(body) / size
	if len(body)%size != 0 || n < 1 || n > maxEntries {
		return nil, fmt.Errorf("%w: ACK of %d bytes", ErrMalformed, len(body))
	}
	acks := make([]Ack, n)
	s := cryptobyte.String(body)
	for i := range acks {
		if !s.CopyBytes(acks[i].Hash[:]) || !s.CopyBytes(acks[i].MAC[:]) {
			panic("direct: the length was checked")
		}
	}
	return acks, nil
}

// marshalNak makes a NAK of at least one and at most maxEntries entries.
func marshalNak(naks []Nak) []byte {
	b := head(typeNak)
	for _, n := range naks {
		b = append(append(b, n.Hash[:]...), byte(n.Code))
	}
	return b
}

func parseNak(body []byte) ([]Nak, error) {
	const size = 32 + 1
	n := len(body) / size
	if len(body)%size != 0 || n < 1 || n > maxEntries {
		return nil, fmt.Errorf("%w: NAK of %d bytes", ErrMalformed, len(body))
	}
	naks := make([]Nak, n)
	s := cryptobyte.String(body)
	for i := range naks {
		if !s.CopyBytes(naks[i].Hash[:]) || !s.ReadUint8((*uint8)(&naks[i].Code)) {
			panic("direct: the length was checked")
		}
		if naks[i].Code == Accepted {
			return nil, fmt.Errorf("%w: NAK with code 0", ErrMalformed)
		}
	}
	return naks, nil
}

func marshalPing(kind byte, n uint64) []byte {
	b := cryptobyte.NewBuilder(head(kind))
	b.AddUint64(n)
	return b.BytesOrPanic()
}

// parsePing is the body of PING and PONG.
func parsePing(body []byte) (n uint64, err error) {
	s := cryptobyte.String(body)
	if !s.ReadUint64(&n) || !s.Empty() {
		return 0, fmt.Errorf("%w: PING or PONG of %d bytes", ErrMalformed, len(body))
	}
	return n, nil
}

func marshalBye(reason byte) []byte { return append(head(typeBye), reason) }

func parseBye(body []byte) (reason byte, err error) {
	if len(body) != 1 || body[0] == 0 {
		return 0, fmt.Errorf("%w: BYE of %d bytes", ErrMalformed, len(body))
	}
	return body[0], nil
}
